#include "coordinator/pools/probe.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/ids.h"
#include "common/base/logging.h"
#include "common/base/probe_file.h"
#include "coordinator/pools/output_tail.h"
#include "coordinator/pools/script.h"
#include "coordinator/pools/slurm_reasons.h"

namespace coppice::pools {
namespace {

constexpr absl::Duration kPollEvery = absl::Seconds(2);
constexpr size_t kProbeTailLines = 10;
// Another machine may see a new file late.
constexpr int kFileTries = 5;
constexpr absl::Duration kFilePause = absl::Seconds(1);

std::string FileText(const absl::Status& found, const std::string& root) {
  if (found.ok())
    return absl::StrCat("the coordinator and the node see each other's files in ", root);
  return absl::StrCat("the coordinator does not see what the node wrote (", found.message(),
                      "): --checkpoint-dir of the worker must be the coordinator's folder ", root,
                      ". Mount it on the nodes, or leave --checkpoint-dir out: checkpoints then go "
                      "over the network.");
}

}  // namespace

std::string ProbeKey(absl::string_view store_id, absl::string_view pool) {
  return absl::StrCat(store_id.substr(0, 8), "-", pool, "-probe-x", RandomId().substr(0, 8));
}

Probe::Probe(ProbeContext context, PoolSpec spec, std::string key, absl::Duration wait, Done done)
    : context_(std::move(context)),
      spec_(std::move(spec)),
      key_(std::move(key)),
      wait_(wait),
      done_(std::move(done)) {}

void Probe::Start() {
  begun_ = context_.clock->Monotonic();
  if (context_.checkpoint_root.empty()) return Submit();
  const auto written = Bind([self = this](const absl::Status& status) {
    self->wrote_file_ = status.ok();
    if (!status.ok()) {
      self->Add(Finding::Level::kFailed, "checkpoints",
                absl::StrCat("the coordinator cannot write to its checkpoint folder: ",
                             status.message()));
    }
    self->Submit();
  });
  context_.disk([root = context_.checkpoint_root, key = key_, written] {
    written(WriteProbeFile(root, key, ProbeSide::kCoordinator));
  });
}

void Probe::Submit() {
  Submission submission;
  submission.key = key_;
  submission.cluster = spec_.cluster;
  submission.log_dir = spec_.log_dir;
  submission.script = WriteProbeScript(spec_, key_);
  spdlog::info("pool {}: submits the probe {}", spec_.name, key_);
  context_.batch->Submit(
      submission, Bind([self = this](const SubmitResult& result) {
        if (result.kind == SubmitResult::Kind::kAccepted) {
          self->job_id_ = result.job_id;
        } else if (result.kind == SubmitResult::Kind::kUnclear) {
          self->trouble_ = result.text;
        } else {
          self->Add(Finding::Level::kFailed, "submit",
                    absl::StrCat(result.text, result.remedy.empty() ? "" : ". ", result.remedy));
          return self->Finish();
        }
        self->begun_ = self->context_.clock->Monotonic();
        self->Wait();
      }));
}

void Probe::Wait() {
  if (done_ == nullptr) return;
  context_.clock->Schedule(kPollEvery, Bind([self = this] { self->Poll(); }));
}

void Probe::Poll() {
  if (done_ == nullptr) return;
  context_.batch->Queue({spec_.cluster},
                        Bind([self = this](const absl::StatusOr<std::vector<Job>>& jobs) {
                          if (self->done_ == nullptr) return;
                          if (jobs.ok()) {
                            self->trouble_.clear();
                            self->Take(*jobs);
                          } else {
                            self->trouble_ = std::string(jobs.status().message());
                          }
                          if (self->done_ == nullptr || self->ended_) return;
                          const absl::Duration now = self->context_.clock->Monotonic();
                          if (!self->running_ && now - self->begun_ >= self->wait_) {
                            return self->GiveUpWaiting();
                          }
                          if (self->running_ && now - self->started_ >= kProbeRun) {
                            self->Add(Finding::Level::kFailed, "node",
                                      absl::StrCat("the check on ", self->node_, " hangs; see ",
                                                   OutputPath(self->spec_, self->key_)));
                            return self->Finish();
                          }
                          self->Wait();
                        }));
}

void Probe::Take(const std::vector<Job>& jobs) {
  for (const Job& job : jobs) {
    if (job.key != key_) continue;
    job_id_ = job.job_id;
    reason_ = job.reason;
    if (!job.node.empty()) node_ = job.node;
    if (job.phase == JobPhase::kEnded) return Ended(job);
    if (job.phase == JobPhase::kRunning) NoteStart();
  }
}

void Probe::NoteStart() {
  if (running_) return;
  running_ = true;
  started_ = context_.clock->Monotonic();
  Add(Finding::Level::kOk, "start",
      absl::StrCat(job_id_.empty() ? "the job" : absl::StrCat("job ", job_id_), " started on ",
                   node_, " after ",
                   absl::FormatDuration(absl::Trunc(started_ - begun_, absl::Seconds(1)))));
}

void Probe::GiveUpWaiting() {
  const std::string waited = absl::FormatDuration(wait_);
  if (job_id_.empty()) {
    Add(Finding::Level::kFailed, "submit",
        absl::StrCat("Slurm has shown no job of the probe for ", waited,
                     trouble_.empty() ? "" : ": ", trouble_, ". Try again once squeue answers."));
    return Finish();
  }
  const PendingReason reason = ClassifyPending(reason_);
  const bool waits = reason.kind == PendingReason::Kind::kWaits;
  Add(waits ? Finding::Level::kWarning : Finding::Level::kFailed, "start",
      absl::StrCat(
          "job ", job_id_, " did not start within ", waited,
          reason_.empty() ? "" : absl::StrCat(" (", reason_, ")"), " and is cancelled. ",
          reason.remedy.empty() ? "The queue is full: --probe-wait waits longer." : reason.remedy));
  context_.batch->CancelQueued(
      {job_id_}, spec_.cluster, Bind([self = this](const absl::Status& s) {
        if (!s.ok()) {
          self->Add(Finding::Level::kWarning, "start",
                    absl::StrCat("scancel ", self->job_id_, " failed: ", s.message()));
        }
        self->Finish();
      }));
}

// The job has ended without a last report.
void Probe::Ended(const Job& job) {
  ended_ = true;
  const std::string output = OutputPath(spec_, key_);
  const auto read = Bind([self = this, job, output](const std::string& tail) {
    if (self->done_ == nullptr) return;  // the report came after all
    self->Add(Finding::Level::kFailed, "node",
              absl::StrCat("job ", job.job_id, self->node_.empty() ? "" : " on ", self->node_,
                           " ended as ", job.state,
                           job.exit_code.has_value() ? absl::StrCat(" (", *job.exit_code, ")") : "",
                           self->reported_ ? " before its last report"
                                           : " and never reached the "
                                             "coordinator",
                           ". ", tail));
    self->Finish();
  });
  context_.disk([output, read] {
    const absl::StatusOr<std::string> tail = OutputTail(output, kProbeTailLines);
    read(tail.ok() ? absl::StrCat("The end of its output:\n", *tail)
                   : absl::StrCat("Its output is not visible here (", tail.status().message(),
                                  "); if it is on the node, let --log-dir be a shared folder."));
  });
}

void Probe::TakeReport(NodeReport report, std::function<void(NodeReportAnswer)> done) {
  if (!reported_) {
    if (node_.empty()) node_ = report.node;
    NoteStart();
    Add(Finding::Level::kOk, "coordinator",
        absl::StrCat(report.node, " reaches the coordinator, and its access is accepted"));
  }
  reported_ = true;
  for (Finding& finding : report.findings) findings_.push_back(std::move(finding));
  const auto answer = [self = shared_from_this(), last = report.last, done] {
    done({self->context_.store_id, self->context_.clock->NowMillis()});
    if (last) self->Finish();
  };
  if (!report.wrote_file || context_.checkpoint_root.empty()) return answer();
  LookForFile(kFileTries, answer);
}

void Probe::LookForFile(int tries, std::function<void()> then) {
  const auto checked = Bind([self = this, tries, then](const absl::Status& found) {
    if (!found.ok() && tries > 1) {
      self->context_.clock->Schedule(
          kFilePause, self->Bind([self, tries, then] { self->LookForFile(tries - 1, then); }));
      return;
    }
    self->Add(found.ok() ? Finding::Level::kOk : Finding::Level::kFailed, "checkpoints",
              FileText(found, self->context_.checkpoint_root));
    then();
  });
  context_.disk([root = context_.checkpoint_root, key = key_, checked] {
    checked(CheckProbeFile(root, key, ProbeSide::kNode));
  });
}

void Probe::Add(Finding::Level level, std::string topic, std::string text) {
  findings_.push_back({level, std::move(topic), std::move(text)});
}

void Probe::Finish() {
  if (done_ == nullptr) return;
  if (wrote_file_) {
    context_.disk([root = context_.checkpoint_root, key = key_] {
      RemoveProbeFile(root, key, ProbeSide::kCoordinator);
    });
  }
  std::exchange(done_, nullptr)(std::move(findings_));
}

}  // namespace coppice::pools
