#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "cli/checkpoint_fetch.h"
#include "cli/commands/commands.h"
#include "cli/format.h"
#include "cli/json.h"
#include "cli/local/waits.h"
#include "cli/stop_watch.h"
#include "cli/table.h"
#include "common/base/status_macros.h"

namespace coppice::cli {
namespace {

// ---- list

struct ListOptions {
  std::string target;
  FilterFlags filter;
};

using EachJob = std::function<absl::Status(const v1::GetJobResponse&)>;

// Calls `each` with the jobs that ever ran, by id.
absl::Status ForEachJob(Client* client, const v1::JobFilter& filter, const EachJob& each) {
  absl::Status failure;
  COPPICE_RETURN_IF_ERROR(client->ListJobs(filter, false, [&](const v1::ListJobsResponse& page) {
    for (const v1::Job& job : page.jobs()) {
      if (job.attempts() == 0) continue;
      const absl::StatusOr<v1::GetJobResponse> details = client->GetJob(job.id());
      failure = details.ok() ? each(*details) : details.status();
      if (!failure.ok()) return false;
    }
    return true;
  }));
  return failure;
}

std::string JsonOf(const v1::Job& job, const v1::Checkpoint& checkpoint, bool current) {
  auto json = nlohmann::ordered_json::parse(ToJson(checkpoint, false));
  json["sweep"] = job.sweep();
  if (job.point().empty()) {
    json["task"] = job.task();
    json["depth"] = job.depth();
  }
  for (const v1::Coordinate& coordinate : job.point())
    json["point"][coordinate.axis()] = coordinate.value();
  json["seed"] = job.seed();
  json["current"] = current;
  return EscapeControls(json.dump());
}

absl::Status PrintJson(Client* client, const v1::JobFilter& filter, std::ostream& out) {
  // The document is printed whole or not at all: an error midway must not leave half of it.
  std::vector<std::string> objects;
  COPPICE_RETURN_IF_ERROR(ForEachJob(client, filter, [&](const v1::GetJobResponse& details) {
    for (int i = 0; i < details.checkpoints_size(); ++i)
      objects.push_back(JsonOf(details.job(), details.checkpoints(i), i == 0));
    return absl::OkStatus();
  }));
  out << "{\"checkpoints\": [\n" << absl::StrJoin(objects, ",\n") << "\n]}\n";
  return absl::OkStatus();
}

absl::StatusOr<int> List(const ListOptions& options, Context* context) {
  COPPICE_ASSIGN_OR_RETURN(Client * client, context->Connect());
  COPPICE_ASSIGN_OR_RETURN(const v1::JobFilter filter,
                           Select(client, options.target, options.filter));
  if (context->json) {
    COPPICE_RETURN_IF_ERROR(PrintJson(client, filter, context->out));
    return kExitDone;
  }
  Table table({{"job"},
               {"step", Align::kRight},
               {"attempt", Align::kRight},
               {"bytes", Align::kRight},
               {"digest"},
               {"committed"},
               {"current"}});
  bool any = false;
  COPPICE_RETURN_IF_ERROR(ForEachJob(client, filter, [&](const v1::GetJobResponse& details) {
    for (int i = 0; i < details.checkpoints_size(); ++i) {
      const v1::Checkpoint& checkpoint = details.checkpoints(i);
      any = true;
      table.AddRow({absl::StrCat(details.job().sweep(), "/", JobName(details.job())),
                    absl::StrCat(checkpoint.step()), absl::StrCat(checkpoint.attempt()),
                    absl::StrCat(checkpoint.bytes()), checkpoint.digest(),
                    FormatTime(checkpoint.committed_ms()), i == 0 ? "current" : ""});
    }
    return absl::OkStatus();
  }));
  context->out << (any ? table.Render(context->terminal.width)
                       : "no job that matches has a committed checkpoint yet\n");
  return kExitDone;
}

// ---- fetch

struct GetOptions {
  std::string job;
  std::optional<uint32_t> step;
  OutputName output;
};

constexpr size_t kMaxJobNameBytes = 100;

// The end of a checkpoint's file name: that of the trainer, or the one that a program gave.
std::string TypeOf(const v1::Job& job, const v1::Checkpoint& checkpoint) {
  if (!job.task().empty()) return ".safetensors";
  const std::string name = checkpoint.path().substr(checkpoint.path().rfind('/') + 1);
  const size_t point = name.rfind('.');
  return point == std::string::npos ? "" : name.substr(point);
}

// "demo-question-2-0-step-300.safetensors", in the working folder. With axes of the sweep's own
// "demo-task=question-size=small-seed=0-step-300.safetensors", or the job's number if that is long.
absl::StatusOr<std::string> DefaultName(const v1::Job& job, const v1::Checkpoint& checkpoint) {
  std::string job_name = absl::StrCat(job.task(), "-", job.depth(), "-", job.seed());
  if (!job.point().empty()) job_name = absl::StrReplaceAll(JobName(job), {{"/", "-"}});
  // A file's name has at most 255 bytes.
  if (job_name.size() > kMaxJobNameBytes) job_name = absl::StrCat("job-", job.id());
  const std::string name = absl::StrCat(job.sweep(), "-", job_name, "-step-", checkpoint.step(),
                                        TypeOf(job, checkpoint));
  if (!absl::StrContains(name, '/')) return name;
  return absl::InternalError(
      absl::StrCat("'", name, "' cannot be a file's name; give one with -o"));
}

// A bar on a terminal, nothing in a pipe.
class FetchProgress {
 public:
  explicit FetchProgress(Context* context)
      : terminal_(context->terminal), block_(context->out, terminal_) {}

  void Show(uint64_t bytes, uint64_t total) {
    const int percent = total == 0 ? 100 : static_cast<int>(100.0 * bytes / total);
    if (!terminal_.interactive || percent == shown_) return;
    shown_ = percent;
    block_.Draw({absl::StrCat(ProgressBar(terminal_, percent / 100.0, 32), " ", percent, "%  ",
                              FormatBytes(bytes), " of ", FormatBytes(total))});
  }
  void Stop() {
    if (terminal_.interactive) block_.Erase();
  }

 private:
  const Terminal terminal_;
  LiveBlock block_;
  int shown_ = -1;
};

absl::StatusOr<int> FetchJob(const GetOptions& options, std::optional<OutputFile> opened,
                             Client* client, Context* context) {
  COPPICE_ASSIGN_OR_RETURN(const uint64_t id, ResolveJob(client, options.job));
  COPPICE_ASSIGN_OR_RETURN(const v1::GetJobResponse details, client->GetJob(id));
  FetchProgress progress(context);
  std::string path = options.output.path;
  FetchOptions fetch;
  fetch.job_id = id;
  fetch.step = options.step;
  fetch.open = [&](const v1::Checkpoint& checkpoint) -> absl::StatusOr<OutputFile> {
    if (opened.has_value()) return *std::move(opened);
    if (path.empty()) {
      COPPICE_ASSIGN_OR_RETURN(path, DefaultName(details.job(), checkpoint));
    }
    return OutputFile::Open(path, ExistingOf(options.output));
  };
  const bool to_stdout = path == kStandardOutputName;
  if (to_stdout)
    fetch.out = &context->out;
  else
    fetch.progress = [&](uint64_t bytes, uint64_t total) { progress.Show(bytes, total); };
  const absl::StatusOr<v1::Checkpoint> fetched = FetchCheckpoint(client, fetch);
  progress.Stop();
  COPPICE_RETURN_IF_ERROR(fetched.status());
  (to_stdout ? context->err : context->out)
      << (to_stdout ? "standard output" : path) << ": " << details.job().sweep() << "/"
      << JobName(details.job()) << " at step " << fetched->step() << ", "
      << FormatBytes(fetched->bytes()) << ", digest " << fetched->digest() << "\n";
  return kExitDone;
}

// A named pipe is opened at once, before signals are blocked: the open may wait for its reader
// forever.
absl::StatusOr<std::optional<OutputFile>> OpenPipe(const OutputName& output) {
  struct stat info;
  if (::stat(output.path.c_str(), &info) != 0 || !S_ISFIFO(info.st_mode))
    return std::optional<OutputFile>();
  COPPICE_ASSIGN_OR_RETURN(OutputFile file, OutputFile::Open(output.path, ExistingOf(output)));
  return std::optional<OutputFile>(std::move(file));
}

absl::StatusOr<int> Fetch(const GetOptions& options, Context* context) {
  COPPICE_ASSIGN_OR_RETURN(std::optional<OutputFile> pipe, OpenPipe(options.output));
  // Made before the client, whose threads must inherit the mask.
  COPPICE_ASSIGN_OR_RETURN(const auto signals, StopSignals::Block());
  COPPICE_ASSIGN_OR_RETURN(Client * client, context->Connect());
  StopWatch watch(signals.get(), client);
  absl::StatusOr<int> code = FetchJob(options, std::move(pipe), client, context);
  if (!code.ok() && IsReadable(signals->fd()))
    return absl::CancelledError("stopped; no file was written");
  return code;
}

void AddListCommand(CLI::App* app, Context* context, Action* action) {
  CLI::App* command = app->add_subcommand("list", "List the committed checkpoints of jobs");
  const auto options = std::make_shared<ListOptions>();
  command->add_option("SWEEP|JOB", options->target,
                      "SWEEP, SWEEP/TASK[/DEPTH[/SEED]] or a job number");
  AddFilterFlags(command, &options->filter);
  AddJsonFlag(command, context);
  command->callback([=] { *action = [=] { return List(*options, context); }; });
}

void AddFetchCommand(CLI::App* app, Context* context, Action* action) {
  CLI::App* command = app->add_subcommand(
      "fetch", "Bring a committed checkpoint here, held against its size and digest");
  const auto options = std::make_shared<GetOptions>();
  command->add_option("JOB", options->job, "Its number, or SWEEP/TASK/DEPTH/SEED")->required();
  command->add_option("--step", options->step, "Of this step instead of the current one");
  AddOutputFlags(command, &options->output,
                 "File to write [<sweep>-<task>-<depth>-<seed>-step-<n>.safetensors]");
  command->callback([=] { *action = [=] { return Fetch(*options, context); }; });
}

}  // namespace

void AddCheckpoint(CLI::App* app, Context* context, Action* action) {
  CLI::App* command = app->add_subcommand("checkpoint", "List, fetch and verify checkpoints");
  command->require_subcommand(1);
  AddListCommand(command, context, action);
  AddFetchCommand(command, context, action);
  AddCheckpointVerify(command, context, action);
}

}  // namespace coppice::cli
