#include "coordinator/pools/slurm_batch.h"

#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/files.h"
#include "common/base/printable.h"
#include "common/base/slurm_environment.h"
#include "common/base/utf8.h"
#include "coordinator/pools/slurm_reasons.h"
#include "coordinator/pools/slurm_text.h"

namespace coppice::pools {
namespace {

constexpr size_t kMaxWordsBytes = 500;

std::string Words(const CommandResult& result) {
  const absl::string_view text = absl::StripAsciiWhitespace(result.err);
  return Utf8Head(PrintableLine(text.empty() ? absl::StripAsciiWhitespace(result.out) : text),
                  kMaxWordsBytes);
}

// Why a question was not answered. A question that ran out of time, or that the controller did not
// answer, says nothing about any job.
absl::Status QueryError(absl::string_view program, const CommandResult& result) {
  if (absl::IsFailedPrecondition(result.status)) return result.status;
  if (!result.status.ok()) return absl::UnavailableError(result.status.message());
  return absl::UnavailableError(
      absl::StrCat(program, " ended with code ", result.code, ": ", Words(result)));
}

bool SaysUnknownJob(const CommandResult& result) {
  return absl::StrContains(absl::AsciiStrToLower(result.err), "invalid job id");
}

void AddCluster(const std::string& cluster, std::vector<std::string>* argv) {
  if (!cluster.empty()) argv->push_back(absl::StrCat("--clusters=", cluster));
}

bool AreIds(const std::vector<std::string>& ids) {
  return std::all_of(ids.begin(), ids.end(), [](const std::string& id) {
    return !id.empty() && std::all_of(id.begin(), id.end(), [](unsigned char c) {
      return absl::ascii_isdigit(c) || c == '_';
    });
  });
}

SubmitResult Unclear(absl::string_view text) {
  SubmitResult result;
  result.text = std::string(text);
  return result;
}

}  // namespace

SlurmBatch::SlurmBatch(SlurmOptions options, std::unique_ptr<CommandRunner> runner)
    : options_(std::move(options)),
      environment_(SlurmEnvironment(::environ)),
      runner_(std::move(runner)) {}

SlurmBatch::~SlurmBatch() { Shutdown(); }

void SlurmBatch::Shutdown() { runner_->Shutdown(); }

void SlurmBatch::Run(std::vector<std::string> argv, std::string input, absl::Duration limit,
                     std::function<void(CommandResult)> done, std::string folder) {
  if (!options_.bin_dir.empty()) argv.front() = JoinPath(options_.bin_dir, argv.front());
  Command command;
  command.argv = std::move(argv);
  command.environment = environment_;
  command.input = std::move(input);
  command.folder = std::move(folder);
  command.time_limit = limit;
  runner_->Run(std::move(command), std::move(done));
}

void SlurmBatch::Sbatch(Submission submission, std::vector<std::string> flags,
                        std::function<void(CommandResult)> done) {
  std::vector<std::string> argv = {"sbatch", "--parsable", "--export=NONE",
                                   absl::StrCat("--job-name=", submission.key),
                                   absl::StrCat("--comment=", submission.key)};
  AddCluster(submission.cluster, &argv);
  argv.insert(argv.end(), flags.begin(), flags.end());
  // Slurm takes a job whose output has no folder, and then cannot launch it.
  Run(std::move(argv), std::move(submission.script), options_.submit_limit, std::move(done),
      std::move(submission.log_dir));
}

void SlurmBatch::Submit(Submission submission, std::function<void(SubmitResult)> done) {
  Sbatch(std::move(submission), {}, [this, done](CommandResult result) {
    if (result.status.ok() && result.code == 0) {
      SubmitResult accepted;
      accepted.job_id = ParseSubmittedId(result.out);
      if (accepted.job_id.empty()) {
        return done(Unclear(absl::StrCat("sbatch named no job: ", Words(result))));
      }
      accepted.kind = SubmitResult::Kind::kAccepted;
      return done(std::move(accepted));
    }
    Classify(std::move(result), done);
  });
}

void SlurmBatch::Classify(CommandResult result, std::function<void(SubmitResult)> done) {
  if (absl::IsFailedPrecondition(result.status)) {
    SubmitResult missing;
    missing.kind = SubmitResult::Kind::kTransient;
    missing.text = std::string(result.status.message());
    missing.remedy = Absent().empty() ? "Slurm's commands must be in PATH, and --log-dir must be "
                                        "writable."
                                      : Absent();
    return done(std::move(missing));
  }
  if (!result.status.ok()) return done(Unclear(result.status.message()));
  // The version decides whether a refusal is one of its known faults.
  Run({"sbatch", "--version"}, "", options_.query_limit,
      [text = Words(result), done](CommandResult version) {
        done(ClassifyRefusal(text, version.status.ok() ? version.out : ""));
      });
}

void SlurmBatch::TestSubmit(Submission submission, std::function<void(SubmitResult)> done) {
  Sbatch(std::move(submission), {"--test-only"}, [this, done](CommandResult result) {
    if (!result.status.ok() || result.code != 0) return Classify(std::move(result), done);
    SubmitResult accepted;
    accepted.kind = SubmitResult::Kind::kAccepted;
    accepted.text = ReadableStart(Words(result));
    done(std::move(accepted));
  });
}

void SlurmBatch::Queue(std::vector<std::string> clusters,
                       std::function<void(absl::StatusOr<std::vector<Job>>)> done) {
  const std::set<std::string> different(clusters.begin(), clusters.end());
  clusters.assign(different.rbegin(), different.rend());
  if (clusters.empty()) clusters.emplace_back();
  QueueNext(std::move(clusters), {}, std::move(done));
}

void SlurmBatch::QueueNext(std::vector<std::string> clusters, std::vector<Job> jobs,
                           std::function<void(absl::StatusOr<std::vector<Job>>)> done) {
  if (clusters.empty()) return done(std::move(jobs));
  std::vector<std::string> argv = {"squeue", "--me", "--noheader", "--states=all",
                                   absl::StrCat("--format=", kQueueFormat)};
  AddCluster(clusters.back(), &argv);
  clusters.pop_back();
  Run(std::move(argv), "", options_.query_limit,
      [this, clusters = std::move(clusters), jobs = std::move(jobs),
       done](CommandResult result) mutable {
        if (!result.status.ok() || result.code != 0) return done(QueryError("squeue", result));
        for (Job& job : ParseQueue(result.out, absl::LocalTimeZone())) {
          jobs.push_back(std::move(job));
        }
        QueueNext(std::move(clusters), std::move(jobs), done);
      });
}

void SlurmBatch::Show(std::string job_id, std::string cluster,
                      std::function<void(absl::StatusOr<std::optional<Job>>)> done) {
  if (!AreIds({job_id})) return done(absl::InternalError("not a job's number"));
  std::vector<std::string> argv = {"scontrol", "show", "job", job_id, "--oneliner"};
  AddCluster(cluster, &argv);
  Run(std::move(argv), "", options_.query_limit, [done](CommandResult result) {
    if (result.status.ok() && result.code != 0 && SaysUnknownJob(result)) {
      return done(std::optional<Job>());
    }
    if (!result.status.ok() || result.code != 0) return done(QueryError("scontrol", result));
    absl::StatusOr<Job> job = ParseShownJob(result.out, absl::LocalTimeZone());
    if (!job.ok()) return done(job.status());
    done(std::optional<Job>(*std::move(job)));
  });
}

void SlurmBatch::CancelQueued(std::vector<std::string> job_ids, std::string cluster,
                              std::function<void(absl::Status)> done) {
  if (!AreIds(job_ids)) return done(absl::InternalError("not a job's number"));
  std::vector<std::string> argv = {"scancel", "--state=PENDING"};
  AddCluster(cluster, &argv);
  argv.insert(argv.end(), job_ids.begin(), job_ids.end());
  Run(std::move(argv), "", options_.query_limit, [done](CommandResult result) {
    // A job that has ended meanwhile is no error.
    const bool done_well = result.status.ok() && (result.code == 0 || SaysUnknownJob(result));
    done(done_well ? absl::OkStatus() : QueryError("scancel", result));
  });
}

void SlurmBatch::GetCapabilities(std::string partition, std::string cluster,
                                 std::function<void(absl::StatusOr<Capabilities>)> done) {
  std::vector<std::string> argv = {"scontrol", "show", "partition", "--oneliner"};
  if (!partition.empty()) argv.push_back(partition);
  AddCluster(cluster, &argv);
  Run(std::move(argv), "", options_.query_limit,
      [this, partition, cluster, done](CommandResult shown) {
        if (!shown.status.ok() || shown.code != 0) return done(QueryError("scontrol", shown));
        Capabilities capabilities;
        ParsePartition(partition.empty() ? DefaultPartition(shown.out) : shown.out, &capabilities);
        std::vector<std::string> config = {"scontrol", "show", "config"};
        AddCluster(cluster, &config);
        Run(std::move(config), "", options_.query_limit,
            [capabilities, done](CommandResult result) mutable {
              if (!result.status.ok() || result.code != 0) {
                return done(QueryError("scontrol", result));
              }
              ParseConfig(result.out, &capabilities);
              done(std::move(capabilities));
            });
      });
}

}  // namespace coppice::pools
