#include "worker/daemon/member_end.h"

#include <csignal>

#include "absl/strings/str_cat.h"
#include "worker/program/exit_text.h"

namespace coppice::worker {
namespace {

using Kind = MemberEnd::Kind;

// People and schedulers ask a process to end by these signals. This daemon uses SIGTERM too, but a
// running trainer answers it with an exit code.
bool IsRequestToStop(int signal) {
  return signal == SIGTERM || signal == SIGINT || signal == SIGHUP || signal == SIGUSR1 ||
         signal == SIGUSR2;
}

}  // namespace

std::string TrainerFacts::StopReason() const {
  if (!stop_reason.empty()) return stop_reason;
  return absl::StrCat("the ", Word(), " was asked to stop by somebody else");
}

MemberEnd EndOf(const TrainerFacts& trainer, const ProcessExit& exit, uint32_t seed) {
  if (trainer.fault) return {Kind::kFailed, trainer.fault->kind, trainer.fault->text};
  // An exit with 75 is a stop even if the trainer did not write its checkpoint. A program that
  // nobody has stopped must say so with its event.
  const bool preempted = exit.code == kTrainerExitPreempted && !trainer.overdue && !trainer.program;
  if (!trainer.stop_reason.empty() || preempted)
    return {Kind::kReleased, FailureKind::kInternal, trainer.StopReason()};
  if (trainer.overdue) {
    return {Kind::kFailed, trainer.overdue->kind, trainer.overdue->text,
            trainer.overdue->kind == FailureKind::kStalled};
  }
  const std::string exited = absl::StrCat("the ", trainer.Word(), " ", DescribeExit(exit));
  // The signal came before the trainer could handle it, from somebody who stops everything here.
  if (IsRequestToStop(exit.signal))
    return {Kind::kReleased, FailureKind::kInternal, exited, /*troubled=*/true};
  if (exit.out_of_memory) return {Kind::kOutOfMemory, FailureKind::kOutOfMemory, exited};
  const bool usage = exit.signal == 0 && exit.code == kTrainerExitUsage;
  if (usage && !trainer.refused.empty())
    return {Kind::kFailed, FailureKind::kRefused, trainer.refused, !trainer.started};
  return {Kind::kFailed, usage ? FailureKind::kInternal : FailureKind::kCrashed,
          absl::StrCat(exited, " before seed ", seed, " ended"), !trainer.started};
}

}  // namespace coppice::worker
