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
#include "coppice/v1/coordinator.pb.h"
#include "worker/daemon/agent_config.h"
#include "worker/daemon/attempt_reporter.h"
#include "worker/daemon/pack_run.h"
#include "worker/daemon/pack_widths.h"
#include "worker/daemon/record_pump.h"
#include "worker/daemon/sequence.h"
#include "worker/daemon/session.h"
#include "worker/daemon/worker_end.h"

namespace coppice::worker {

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
  absl::Status OnRegistered(const v1::RegisterResponse& response);
  void OnHeartbeat(const v1::HeartbeatResponse& response);
  void Obey(const v1::Directive& directive);

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
  WorkerEnd::Hooks EndHooks(OnExit on_exit);
  bool Running() const;  // some slot has a pack
  uint32_t IdleSlots() const;

  const Environment environment_;
  const AgentConfig config_;
  CallbackOwner callbacks_;
  Session session_;
  RecordPump pump_;
  WorkerEnd end_;
  std::map<LeaseKey, Entry> entries_;
  std::unique_ptr<PackWidths> widths_;  // null: widths are not measured
  std::vector<std::unique_ptr<Slot>> slots_;
};

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_AGENT_H_
