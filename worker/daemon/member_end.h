// The end of a pack's member whose trainer exited without reporting it.
#ifndef COPPICE_WORKER_DAEMON_MEMBER_END_H_
#define COPPICE_WORKER_DAEMON_MEMBER_END_H_

#include <cstdint>
#include <optional>
#include <string>

#include "common/base/failure_kind.h"
#include "worker/program/process_launcher.h"

namespace coppice::worker {

// The facts about the trainer of a pack that its exit does not tell.
struct TrainerFacts {
  struct Fault {
    FailureKind kind = FailureKind::kGarbage;
    std::string text;
  };
  bool program = false;  // a program of the user's own
  bool started = false;  // it has reported its start
  // Nothing of it counts any more, and it is being killed: its output is garbage, or the disk
  // refused its checkpoint.
  std::optional<Fault> fault;
  std::optional<Fault> overdue;  // it has stalled, or its time is up
  std::string refused;           // its reason to refuse the run; empty: it has not refused
  std::string stop_reason;       // why it was asked to stop; empty: it was not

  const char* Word() const { return program ? "program" : "trainer"; }
  // Why it stopped, if it did so on request.
  std::string StopReason() const;
};

struct MemberEnd {
  enum class Kind { kFailed, kReleased, kOutOfMemory };
  Kind kind = Kind::kFailed;
  FailureKind failure = FailureKind::kInternal;  // of kFailed
  std::string text;
  // The pack ended by a fault of this machine, or before the trainer was running.
  bool troubled = false;
};

MemberEnd EndOf(const TrainerFacts& trainer, const ProcessExit& exit, uint32_t seed);

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_MEMBER_END_H_
