#include "worker/daemon/worker_end.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/logging.h"
#include "worker/daemon/coordinator_client.h"
#include "worker/daemon/exit_code.h"
#include "worker/daemon/trainer_stop.h"

namespace coppice::worker {
namespace {

// A stopping worker that has only records left waits this long for a coordinator that is away.
constexpr absl::Duration kLinger = absl::Seconds(2);
// An exit waits this long for the answer to its goodbye, and never beyond the grace period.
constexpr absl::Duration kGoodbyeWait = absl::Seconds(1);
// Leave gives the coordinator this long to take leases back.
constexpr absl::Duration kLeaveWait = absl::Seconds(1);
// Part of the walltime kept after the grace period, for a machine that is slow to end.
constexpr absl::Duration kWalltimeReserve = absl::Seconds(10);

}  // namespace

WorkerEnd::WorkerEnd(const Environment* environment, const AgentConfig* config, Session* session,
                     Hooks hooks)
    : environment_(environment),
      config_(config),
      session_(session),
      hooks_(std::move(hooks)),
      walltime_(config->walltime),
      exit_timer_(environment),
      linger_timer_(environment),
      last_lease_timer_(environment),
      walltime_timer_(environment),
      watch_timer_(environment) {}

void WorkerEnd::Start() {
  WatchWalltime();
  WatchCoordinator();
}

void WorkerEnd::WatchWalltime() {
  last_lease_timer_.Stop();
  walltime_timer_.Stop();
  if (walltime_ == absl::InfiniteDuration()) return;
  spdlog::info("the walltime ends in {}; no new work in its last {}",
               absl::FormatDuration(absl::Trunc(walltime_, absl::Seconds(1))),
               absl::FormatDuration(config_->walltime_margin));
  const auto before_end = [this](absl::Duration part) {
    return std::max(absl::ZeroDuration(), walltime_ - part);
  };
  last_lease_timer_.Start(before_end(config_->walltime_margin), [this] { OnLastLease(); });
  walltime_timer_.Start(before_end(config_->grace + kWalltimeReserve),
                        [this] { Begin(v1::EXIT_WALLTIME, "its walltime ends"); });
}

void WorkerEnd::MoveEnd(absl::Time end) {
  if (stopping_ || exited_) return;
  walltime_ = end - environment_->clock->Now();
  session_->SetEnd(end);
  WatchWalltime();
  if (!closing_ || walltime_ <= config_->walltime_margin) return;
  closing_ = false;
  spdlog::info("taking work again: the walltime ends later than it did");
  hooks_.ask_for_work();
}

void WorkerEnd::OnLastLease() {
  if (closing_) return;
  closing_ = true;
  spdlog::info("too little of the walltime is left for new work; what runs goes on for {}",
               absl::FormatDuration(absl::Trunc(
                   std::max(absl::ZeroDuration(), std::min(walltime_, config_->walltime_margin) -
                                                      config_->grace - kWalltimeReserve),
                   absl::Seconds(1))));
  environment_->coordinator->CancelAcquires();
  MaybeExit();
}

void WorkerEnd::SetDraining(bool draining) {
  if (draining == draining_) return;
  draining_ = draining;
  spdlog::info(draining ? "draining: taking no new work" : "taking work again");
  if (draining) {
    environment_->coordinator->CancelAcquires();
  } else {
    hooks_.ask_for_work();
  }
}

absl::Duration WorkerEnd::IdleLimit() const {
  return granted_ ? config_->idle_exit : std::min(config_->idle_exit, config_->first_idle_exit);
}

void WorkerEnd::WatchCoordinator() {
  if (config_->coordinator_timeout == absl::InfiniteDuration() || stopping_ || exited_) return;
  const absl::Duration idle_limit = std::min(config_->coordinator_timeout, IdleLimit());
  const absl::Duration limit = Idle() ? idle_limit : config_->coordinator_timeout;
  const absl::Duration away = session_->away();
  if (away < limit) {
    const absl::Duration next = away > absl::ZeroDuration() ? limit - away : idle_limit;
    watch_timer_.Start(std::min(next, idle_limit), [this] { WatchCoordinator(); });
    return;
  }
  fatal_code_ = kExitCoordinatorTimeout;
  fatal_ = absl::StrCat("the coordinator could not be reached for ",
                        absl::FormatDuration(absl::Trunc(away, absl::Seconds(1))),
                        Idle() ? ", and there is nothing to do" : "",
                        "; start the worker again when it can");
  spdlog::error("{}", fatal_);
  Begin(v1::EXIT_STOPPED, "the coordinator cannot be reached");
}

void WorkerEnd::OnWorkEnded() {
  busy_until_ = environment_->clock->Monotonic();
  MaybeExit();
}

bool WorkerEnd::ExitIfIdle() {
  const absl::Duration idle =
      environment_->clock->Monotonic() - std::max(busy_until_, session_->connected_since());
  if (!Idle() || !session_->connected() || idle < IdleLimit()) return false;
  const std::string reason = absl::StrCat("no work for ", absl::FormatDuration(IdleLimit()));
  spdlog::info("{}", reason);
  Exit(v1::EXIT_IDLE, reason);
  return true;
}

void WorkerEnd::Stop(const std::string& reason) {
  Begin(ReasonOfRequest(config_->allocation), reason);
}

void WorkerEnd::OnFatal(const absl::Status& status) {
  fatal_ = environment_->coordinator->Explain(status);
  fatal_code_ = kExitRefused;
  if (hooks_.leases() == 0) return Exit(v1::EXIT_FAILED, fatal_);
  spdlog::error("{}", fatal_);
  Begin(v1::EXIT_FAILED, "the coordinator does not take this worker");
}

void WorkerEnd::OnSuperseded(const v1::Superseded& newer) {
  // A requested stop goes on as requested, only sooner.
  if (!stopping_ && !exited_) {
    fatal_code_ = kExitSuperseded;
    fatal_ = absl::StrCat(
        "a newer worker has the name ", config_->name, ": it registered from ",
        newer.host().empty() ? "an unknown host" : newer.host(), " at ",
        absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", absl::FromUnixMillis(newer.since_ms()),
                         absl::UTCTimeZone()),
        ". This one ends, and its jobs go on elsewhere. If both are wanted, start each with a "
        "--name of its own");
    spdlog::error("{}", fatal_);
  }
  hooks_.abandon();
  Begin(v1::EXIT_STOPPED, "a newer worker has its name");
  hooks_.kill("a newer worker has its name");
  exit_timer_.Start(kLeaveWait, [this] { Exit(stop_why_, stop_reason_); });
  MaybeExit();
}

void WorkerEnd::Begin(v1::ExitReason why, const std::string& reason) {
  if (stopping_ || exited_) return;
  stopping_ = true;
  stop_why_ = why;
  stop_reason_ = reason;
  stop_deadline_ = environment_->clock->Monotonic() + config_->grace;
  spdlog::info("stopping ({}): checkpointing and releasing {} leases", reason, hooks_.leases());
  environment_->coordinator->CancelAcquires();
  hooks_.preempt(absl::StrCat("the worker stops: ", reason),
                 TrainerStop::TimeWithin(config_->grace));
  exit_timer_.Start(config_->grace, [this] { Exit(stop_why_, stop_reason_); });
  MaybeExit();
}

void WorkerEnd::Leave(const std::string& reason) {
  if (exited_) return;
  if (fatal_.empty()) {
    fatal_ =
        absl::StrCat(reason, " again: left at once; what was not checkpointed is computed anew");
  }
  Begin(v1::EXIT_FAILED, reason);
  stop_why_ = v1::EXIT_FAILED;
  hooks_.kill("the worker leaves at once");
  exit_timer_.Start(kLeaveWait, [this] { Exit(v1::EXIT_FAILED, stop_reason_); });
}

void WorkerEnd::MaybeExit() {
  if (exited_) return;
  if (!stopping_ && !closing_ && !(draining_ && config_->exit_when_drained)) return;
  if (hooks_.running()) return;
  if (hooks_.leases() == 0) {
    if (stopping_) return Exit(stop_why_, stop_reason_);
    if (closing_) return Exit(v1::EXIT_WALLTIME, "too little of its walltime is left for work");
    return Exit(v1::EXIT_DRAINED, "");
  }
  if (stopping_ && !linger_timer_.running()) {
    linger_timer_.Start(kLinger, [this] {
      if (!session_->connected()) return Exit(stop_why_, stop_reason_);
      MaybeExit();
    });
  }
}

void WorkerEnd::Fail(int code, const std::string& message) {
  fatal_code_ = code;
  fatal_ = message;
  Exit(v1::EXIT_FAILED, message);
}

void WorkerEnd::Exit(v1::ExitReason why, const std::string& reason) {
  if (exited_) return;
  exited_ = true;
  watch_timer_.Stop();
  if (hooks_.leases() > 0) {
    spdlog::warn("records of {} leases wait in {} for the next start of this worker",
                 hooks_.leases(), config_->spool_dir);
  }
  const absl::Duration left = stop_deadline_ - environment_->clock->Monotonic();
  if (left <= absl::ZeroDuration()) return Finish(why);
  environment_->coordinator->CancelAcquires();
  exit_timer_.Start(std::min(left, kGoodbyeWait), [this, why] { Finish(why); });
  if (!session_->Leave(why, reason, [this, why] { Finish(why); })) Finish(why);
}

void WorkerEnd::Finish(v1::ExitReason why) {
  if (finished_) return;
  finished_ = true;
  exit_timer_.Stop();
  hooks_.on_exit(fatal_.empty() ? ExitCodeOf(why) : fatal_code_, fatal_);
}

}  // namespace coppice::worker
