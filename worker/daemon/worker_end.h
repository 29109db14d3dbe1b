#ifndef COPPICE_WORKER_DAEMON_WORKER_END_H_
#define COPPICE_WORKER_DAEMON_WORKER_END_H_

#include <cstddef>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "coppice/v1/coordinator.pb.h"
#include "worker/daemon/agent_config.h"
#include "worker/daemon/sequence.h"
#include "worker/daemon/session.h"

namespace coppice::worker {

// Purpose: decides when and why a worker ends, and brings the end about. The reasons: a signal, the
// walltime, no work, no coordinator, a drain, a refusal, a newer worker of the name. An end:
//   1. Stop: no more work is taken, and the trainers are asked to checkpoint. The grace period
//      begins. A drain, and the last part of the walltime, take no more work but let trainers go
//      on.
//   2. Exit, when no trainer runs and no lease is left, or when the grace period is over: the
//      session says goodbye.
//   3. The coordinator has answered the goodbye, or a second has passed: `on_exit` is called.
// Owner: the Agent. It lives on the agent's sequence, as do all its callbacks.
class WorkerEnd {
 public:
  struct Hooks {
    std::function<size_t()> leases;  // also those whose end only waits for its answer
    std::function<bool()> running;   // some slot has a pack
    // Asks every trainer to checkpoint and exit within that time, and stops every slot.
    std::function<void(const std::string& reason, absl::Duration within)> preempt;
    std::function<void(const std::string& reason)> kill;
    std::function<void()> abandon;  // drops the records of every lease
    std::function<void()> ask_for_work;
    // Called once, with the exit code (exit_code.h) and a message for people. The message is empty
    // after an orderly end.
    std::function<void(int code, const std::string& message)> on_exit;
  };
  // The pointers outlive this object.
  WorkerEnd(const Environment* environment, const AgentConfig* config, Session* session,
            Hooks hooks);
  WorkerEnd(const WorkerEnd&) = delete;
  WorkerEnd& operator=(const WorkerEnd&) = delete;

  // Watches the walltime and the coordinator from now on. The session has started.
  void Start();

  bool takes_work() const { return !stopping_ && !draining_ && !closing_; }
  bool exited() const { return exited_; }

  // Somebody asked for the end, for example by a signal.
  void Stop(const std::string& reason);
  // Kills the trainers, waits up to a second for the coordinator to take the leases back, and exits
  // with 1.
  void Leave(const std::string& reason);
  // The coordinator does not accept this worker. Checkpoints are saved, their records are spooled
  // for a worker that is accepted, and the worker exits.
  void OnFatal(const absl::Status& status);
  // The leases are over: nothing counts that the trainers still do.
  void OnSuperseded(const v1::Superseded& newer);
  // Exits for a reason that nobody asked for, with a message.
  void Fail(int code, const std::string& message);

  void SetDraining(bool draining);
  // The allocation ends then, and no longer when it was said before. Infinite: it has no end.
  void MoveEnd(absl::Time end);
  // This process got work.
  void OnGranted() { granted_ = true; }
  // A pack has ended, or a lease was forgotten.
  void OnWorkEnded();
  // Exits if there is nothing left that it should wait for.
  void MaybeExit();
  // Exits, and returns true, if there has been no work for too long.
  bool ExitIfIdle();

 private:
  void Begin(v1::ExitReason why, const std::string& reason);
  void WatchWalltime();
  void OnLastLease();
  void WatchCoordinator();
  bool Idle() const { return hooks_.leases() == 0 && !hooks_.running(); }
  // The time without work after which the worker exits.
  absl::Duration IdleLimit() const;
  // Says goodbye if the coordinator can be reached, then ends.
  void Exit(v1::ExitReason why, const std::string& reason);
  void Finish(v1::ExitReason why);

  const Environment* const environment_;
  const AgentConfig* const config_;
  Session* const session_;
  const Hooks hooks_;
  absl::Duration walltime_;  // from now on, as last set
  bool draining_ = false;
  bool closing_ = false;  // too little of the walltime is left for another lease
  bool stopping_ = false;
  bool exited_ = false;
  bool finished_ = false;
  bool granted_ = false;                              // this process got work
  absl::Duration busy_until_ = absl::ZeroDuration();  // monotonic; when the last lease here ended
  v1::ExitReason stop_why_ = v1::EXIT_STOPPED;
  std::string stop_reason_;
  absl::Duration stop_deadline_ = absl::InfiniteDuration();  // monotonic
  std::string fatal_;  // why the worker exits unasked; empty after a requested stop
  int fatal_code_ = 1;
  Timer exit_timer_;
  Timer linger_timer_;
  Timer last_lease_timer_;
  Timer walltime_timer_;
  Timer watch_timer_;
};

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_WORKER_END_H_
