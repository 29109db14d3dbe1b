#ifndef COPPICE_WORKER_DAEMON_AGENT_H_
#define COPPICE_WORKER_DAEMON_AGENT_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/backoff.h"
#include "common/base/directory.h"
#include "coppice/v1/coordinator.pb.h"
#include "worker/daemon/allocation.h"
#include "worker/daemon/attempt_reporter.h"
#include "worker/daemon/pack_run.h"
#include "worker/daemon/pack_widths.h"
#include "worker/daemon/record_pump.h"
#include "worker/daemon/sequence.h"
#include "worker/daemon/session.h"

namespace coppice::worker {

struct AgentConfig {
  std::string name;
  std::string host;
  std::string device;     // for people; the trainer's device is in `pack`
  Allocation allocation;  // under Slurm a signal that asks for the end is a preemption
  uint32_t slots = 1;
  // The CUDA_VISIBLE_DEVICES of each slot's trainer, one entry a slot as the batch system gave it:
  // an index, "GPU-...", "MIG-...". Empty: trainers see what this process sees.
  std::vector<std::string> slot_devices;
  uint32_t pack_width = 1;
  // If set, packs have the width that is measured to be best, up to pack_width.
  std::optional<PackWidthsConfig> measure;
  PackConfig pack;
  std::string spool_dir;  // absolute
  // The store that a shared checkpoint folder belongs to.
  std::string store_id;
  // The worker exits this long after Stop, even if work is left.
  absl::Duration grace = absl::Seconds(25);
  // The worker exits after this long without work. Infinite: it stays.
  absl::Duration idle_exit = absl::InfiniteDuration();
  // The same for a worker that never got work. Infinite: idle_exit alone counts.
  absl::Duration first_idle_exit = absl::InfiniteDuration();
  // The worker stops when it could not reach the coordinator for so long. A worker without work
  // stops after idle_exit, if that is shorter. Infinite: it waits without limit.
  absl::Duration coordinator_timeout = absl::InfiniteDuration();
  bool exit_when_drained = false;
  // The machine is taken away this long after Start (a cluster's walltime). No lease is taken in
  // the last `walltime_margin` of it.
  absl::Duration walltime = absl::InfiniteDuration();
  absl::Duration walltime_margin = absl::Seconds(85);
};

// Purpose: one worker. It takes leases for its slots, runs a pack in each, reports, and obeys the
// coordinator's directives.
// Owner: main, or a simulation. The owner ends the main sequence before it destroys the agent.
// Threads: any thread may call Start, Stop, Leave and SetEnd. Everything else runs on the
// environment's main sequence. Life of a lease here:
//   1. The long poll of a slot is granted the lease. Every heartbeat lists it from then on.
//   2. A PackRun trains it. If the best pack width for its kind is unknown, the PackRun measures it
//      first. An AttemptReporter spools and sends its records.
//   3. When the process has exited, the slot is free for other work. The reporter goes on until the
//      coordinator has answered the end.
//   4. When the end is answered, or the coordinator says that the lease is over, it is forgotten.
// Step 2 goes on while the coordinator is away. Directives: CONTINUE; PREEMPT: checkpoint and
// release; STOP: drop the records and stop the trainer.
// Durability: leases and unsent records of an earlier process are found in the spool folder,
// resent, and released.
class Agent {
 public:
  // Called once, with the exit code (exit_code.h) and a message for people. The message is empty
  // after an orderly end.
  using OnExit = std::function<void(int code, const std::string& message)>;
  Agent(const Environment& environment, AgentConfig config, OnExit on_exit);
  ~Agent();
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  void Start();
  // Checkpoints and releases everything, and exits within the grace period. Records that the
  // coordinator has not taken by then stay in the spool.
  void Stop(const std::string& reason);
  // Kills the trainers, waits up to a second for the coordinator to take the leases back, and exits
  // with 1.
  void Leave(const std::string& reason);
  // The allocation ends then, and no longer when it was said before. Infinite: it has no end.
  void SetEnd(absl::Time end);

 private:
  struct Slot {
    explicit Slot(const Environment* environment);
    uint32_t index = 0;
    std::unique_ptr<PackRun> run;
    bool polling = false;
    // A released lease whose end carries the measured pack width. The slot asks for no work until
    // that end is durable, so that the next grant has the width.
    std::optional<LeaseKey> width_release;
    std::string request_id;  // resent until it is answered
    Backoff empty;           // empty answers that came too soon
    Backoff trouble;
    Timer pause;
    absl::Duration idle_since = absl::ZeroDuration();  // monotonic; while nothing runs
  };
  struct Entry {
    std::shared_ptr<AttemptReporter> reporter;
    PackRun* run = nullptr;  // null: its process has exited, or was an earlier one
  };

  // Takes up the leases that an earlier process left in the spool folder.
  void Recover();
  void RecoverFile(const Directory& spool, const std::string& name);
  absl::Status OnRegistered(const v1::RegisterResponse& response);
  void OnHeartbeat(const v1::HeartbeatResponse& response);
  void Obey(const v1::Directive& directive);
  void SetDraining(bool draining);
  bool TakesNoWork() const { return stopping_ || draining_ || closing_; }
  void WatchWalltime();
  void MoveEnd(absl::Time end);
  void OnLastLease();

  void PollAll();
  void Poll(Slot* slot);
  void OnPolled(Slot* slot, absl::Duration asked, absl::Status status,
                const std::optional<v1::AcquireLeasesResponse>& response);
  void OnNoWork(Slot* slot, absl::Duration waited);
  void Begin(Slot* slot, const v1::AcquireLeasesResponse& grant);
  void OnPackFinished(Slot* slot, PackRun::Result result);

  // Empty: not restricted.
  std::string GpuOf(const Slot& slot) const;
  AttemptReporter::Hooks HooksFor(const LeaseKey& key);
  void AddToPump(const std::shared_ptr<AttemptReporter>& reporter);
  Outbox::Place Place() const;
  std::vector<v1::HeldLease> Held() const;
  void Forget(const LeaseKey& key);
  // The coordinator does not accept this worker. Checkpoints are saved, their records are spooled
  // for a worker that is accepted, and the agent exits.
  void OnFatal(const absl::Status& status);
  // The leases are over: nothing counts that the trainers still do.
  void OnSuperseded(const v1::Superseded& newer);
  void BeginStop(v1::ExitReason why, const std::string& reason);
  void BeginLeave(const std::string& reason);
  void MaybeExit();
  // Exits for a reason that nobody asked for, with a message.
  void Fail(int code, const std::string& message);
  // Says goodbye if the coordinator can be reached, then ends.
  void Exit(v1::ExitReason why, const std::string& reason);
  void Finish(v1::ExitReason why);
  bool Idle() const;
  uint32_t IdleSlots() const;
  // The time without work after which the worker exits.
  absl::Duration IdleLimit() const;
  void WatchCoordinator();

  const Environment environment_;
  const AgentConfig config_;
  const OnExit on_exit_;
  CallbackOwner callbacks_;
  Session session_;
  RecordPump pump_;
  std::map<LeaseKey, Entry> entries_;
  std::unique_ptr<PackWidths> widths_;  // null: widths are not measured
  std::vector<std::unique_ptr<Slot>> slots_;
  absl::Duration busy_until_ = absl::ZeroDuration();  // monotonic; when the last lease here ended
  bool draining_ = false;
  absl::Duration walltime_;  // from now on, as last set
  bool closing_ = false;     // too little of the walltime is left for another lease
  bool stopping_ = false;
  bool exited_ = false;
  bool finished_ = false;
  bool granted_ = false;  // this process got work
  v1::ExitReason stop_why_ = v1::EXIT_STOPPED;
  std::string stop_reason_;
  absl::Duration stop_deadline_ = absl::InfiniteDuration();  // monotonic
  std::string fatal_;  // why the agent exits unasked; empty after a requested stop
  int fatal_code_ = 1;
  Timer exit_timer_;
  Timer linger_timer_;
  Timer last_lease_timer_;
  Timer walltime_timer_;
  Timer watch_timer_;
};

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_AGENT_H_
