#include "cli/program/trial.h"

#include <algorithm>
#include <csignal>
#include <memory>
#include <utility>
#include <variant>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/optional.h"
#include "common/base/clock.h"
#include "common/base/failure_kind.h"
#include "common/base/files.h"
#include "common/base/secret_file.h"
#include "common/base/status_macros.h"
#include "common/base/utf8.h"
#include "worker/program/program_checkpoint.h"
#include "worker/program/trainer_events.h"

namespace coppice::cli {
namespace {

using worker::Process;
using worker::TrainerEvent;

constexpr size_t kLastWordsBytes = 4096;

std::string AttemptDir(const TrialPlan& plan, uint32_t seed) {
  return JoinPath(plan.folder, absl::StrCat("seed-", seed));
}

// Watches one process. Its callbacks come on the launcher's thread, one at a time.
class Trial {
 public:
  Trial(const TrialPlan& plan, worker::TrainerEventReader reader)
      : plan_(plan), reader_(std::move(reader)) {
    for (const TrialPlan::Member& member : plan.members) record_.members[member.seed];
  }

  TrialRecord Run(worker::ProcessLauncher* launcher, worker::ProcessCommand command) {
    worker::ProcessCallbacks callbacks;
    callbacks.on_stdout = [this](const std::string& text) { OnStdout(text); };
    callbacks.on_stderr = [this](const std::string& text) { OnStderr(text); };
    callbacks.on_exit = [this](const worker::ProcessExit& exit) { OnExit(exit); };
    absl::MutexLock lock(&mutex_);
    heard_at_ = Now();
    process_ = launcher->Start(std::move(command), std::move(callbacks));
    Await();
    return std::move(record_);
  }

 private:
  static absl::Duration Now() { return Clock::Real()->Monotonic(); }

  // Until the process has ended. Kills it when it is silent or its grace period is over.
  void Await() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const auto ended = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return ended_; };
    bool doomed = false;
    for (;;) {
      const absl::Duration left = doomed ? absl::InfiniteDuration() : Deadline() - Now();
      if (mutex_.AwaitWithTimeout(absl::Condition(&ended), left)) return;
      // An event may have moved the deadline meanwhile.
      if (doomed || Deadline() > Now()) continue;
      doomed = true;
      (record_.asked ? record_.killed : record_.silent) = true;
      process_->Signal(SIGKILL);
    }
  }
  absl::Duration Deadline() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return record_.asked ? asked_at_ + plan_.grace : heard_at_ + plan_.silence;
  }

  void OnStdout(const std::string& text) {
    absl::MutexLock lock(&mutex_);
    heard_at_ = Now();
    std::vector<TrainerEvent> events;
    const absl::Status status =
        record_.fault.empty() ? reader_.Feed(text, &events) : absl::OkStatus();
    for (const TrainerEvent& event : events) {
      if (record_.fault.empty()) Handle(event);
    }
    if (!status.ok() && record_.fault.empty()) {
      Blame(reader_.faulty_event(), std::string(status.message()));
    }
    process_->ReadMore(Process::Pipe::kStdout);
  }
  void OnStderr(const std::string& text) {
    absl::MutexLock lock(&mutex_);
    record_.last_words = Utf8Tail(record_.last_words + text, kLastWordsBytes);
    process_->ReadMore(Process::Pipe::kStderr);
  }
  void OnExit(const worker::ProcessExit& exit) {
    absl::MutexLock lock(&mutex_);
    record_.exit = exit;
    if (record_.asked) record_.after_request = Now() - asked_at_;
    ended_ = true;
  }

  void Blame(const std::string& event, const std::string& fault)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    record_.fault = fault;
    record_.faulty_event = event;
    process_->Signal(SIGKILL);
  }

  void Handle(const TrainerEvent& event) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (std::holds_alternative<worker::TrainerStart>(event)) {
      record_.started = true;
    } else if (const auto* metrics = std::get_if<worker::TrainerMetrics>(&event)) {
      auto& row = record_.members[metrics->seed].rows[metrics->step];
      for (const auto& [name, value] : metrics->values) row[name] = value;
      if (plan_.stop_at == StopAt::kFirstReport) Ask();
    } else if (const auto* checkpoint = std::get_if<worker::TrainerCheckpoint>(&event)) {
      Take(*checkpoint);
    } else if (const auto* done = std::get_if<worker::TrainerDone>(&event)) {
      record_.members[done->seed].done = true;
    } else if (const auto* failed = std::get_if<worker::TrainerFailed>(&event)) {
      record_.members[failed->seed].failed =
          absl::StrCat(FailureKindText(failed->kind), ": ", failed->message);
    } else if (const auto* preempted = std::get_if<worker::TrainerPreempted>(&event)) {
      record_.members[preempted->seed].preempted = preempted->step;
    } else if (const auto* refused = std::get_if<worker::TrainerRefused>(&event)) {
      record_.refused = refused->message;
    }
  }

  void Ask() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (record_.asked) return;
    record_.asked = true;
    asked_at_ = Now();
    process_->Signal(SIGTERM);
  }

  void Take(const worker::TrainerCheckpoint& checkpoint) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const std::string folder = AttemptDir(plan_, checkpoint.seed);
    const auto taken = worker::TakeCheckpoint(folder, checkpoint.file, checkpoint.step);
    heard_at_ = Now();
    if (!taken.ok()) return Blame("checkpoint", std::string(taken.status().message()));
    record_.members[checkpoint.seed].checkpoints[checkpoint.step] = JoinPath(folder, taken->file);
  }

  const TrialPlan& plan_;
  absl::Mutex mutex_;
  worker::TrainerEventReader reader_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<Process> process_ ABSL_GUARDED_BY(mutex_);
  TrialRecord record_ ABSL_GUARDED_BY(mutex_);
  absl::Duration heard_at_ ABSL_GUARDED_BY(mutex_);
  absl::Duration asked_at_ ABSL_GUARDED_BY(mutex_);
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace

absl::StatusOr<TrialRecord> RunTrial(worker::ProcessLauncher* launcher,
                                     const worker::Program& program, const TrialPlan& plan) {
  std::vector<worker::ProgramMember> members;
  std::vector<worker::TrainerEventReader::Member> expected;
  for (const TrialPlan::Member& member : plan.members) {
    const std::string folder = AttemptDir(plan, member.seed);
    worker::ProgramMember entry;
    entry.seed = member.seed;
    COPPICE_ASSIGN_OR_RETURN(entry.checkpoint_dir, worker::MakeWorkFolder(folder));
    if (!member.resume.empty()) {
      COPPICE_ASSIGN_OR_RETURN(entry.resume,
                               worker::UnpackCheckpoint(member.resume, folder, member.resume_step));
      entry.resume_step = member.resume_step;
    }
    expected.push_back({member.seed, member.resume_step, entry.checkpoint_dir});
    members.push_back(std::move(entry));
  }
  const worker::ProgramSlot slot;
  const std::string spec = JoinPath(plan.folder, "run.json");
  COPPICE_RETURN_IF_ERROR(ReplaceSecretFile(spec, worker::ProgramSpec(program, members, slot)));
  Trial trial(plan,
              worker::TrainerEventReader(std::move(expected), plan.steps, program.report_every));
  return trial.Run(launcher, worker::ProgramCommand(program, slot, spec, ""));
}

}  // namespace coppice::cli
