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
#include "worker/daemon/lease_reporter.h"
#include "worker/daemon/pack_run.h"
#include "worker/daemon/pack_widths.h"
#include "worker/daemon/report_pump.h"
#include "worker/daemon/sequence.h"
#include "worker/daemon/session.h"

namespace coppice::worker {

struct AgentConfig {
  std::string name;
  std::string host;
  std::string device;  // for people; what the trainer is told is in `pack`
  uint32_t slots = 1;
  uint32_t pack_width = 1;
  // Set: packs have the width that is measured to be best, up to pack_width.
  std::optional<PackWidthsConfig> measure;
  PackConfig pack;
  std::string spool_dir;  // absolute
  // Shared checkpoints: the store that the folder belongs to.
  std::string store_id;
  // From Stop to the exit, whatever is left then.
  absl::Duration grace = absl::Seconds(25);
  // Exit when there was no work for so long; infinite: stay.
  absl::Duration idle_exit = absl::InfiniteDuration();
  bool exit_when_drained = false;
  // From Start to when the machine is taken away (a cluster's walltime), and how long before that
  // the last lease is taken.
  absl::Duration walltime = absl::InfiniteDuration();
  absl::Duration walltime_margin = absl::Seconds(85);
};

// Purpose: one worker. Takes leases for its slots, runs a pack in each, reports, obeys the
// coordinator's directives. Owned by main, or by a simulation. Start, Stop and Kill may be called
// from any thread; everything else happens on the environment's main sequence. The owner ends that
// sequence before it destroys the agent. Life of a lease here:
//   1. granted to a slot's long poll, presented in every heartbeat from then on;
//   2. a PackRun measures how wide packs of its kind should be where that is unknown, and trains
//   it, its LeaseReporter spools and reports;
//   3. the process is gone: the slot is free for other work, the reporter goes on until its end is
//   answered;
//   4. the end is answered, or the coordinator says that the lease is over: forgotten.
// A coordinator that is away changes nothing in 2. Directives: CONTINUE; PREEMPT: checkpoint and
// release; STOP: drop the reports, stop the trainer. Durability: leases and unsent reports of an
// earlier process are found in the spool folder, resent, and released.
class Agent {
 public:
  // Another process has taken this worker's name.
  static constexpr int kExitSuperseded = 79;
  // `on_exit` comes once: exit code, and a message for people (empty after a stop that was asked
  // for).
  using OnExit = std::function<void(int code, const std::string& message)>;
  Agent(const Environment& environment, AgentConfig config, OnExit on_exit);
  ~Agent();
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  void Start();
  // Checkpoints and releases everything, exits with 0 inside the grace period. Reports that the
  // coordinator has not taken by then stay in the spool.
  void Stop(const std::string& reason);
  // Kills the trainers, releases what the coordinator takes back within a second, exits with 1.
  void Leave(const std::string& reason);

 private:
  struct Slot {
    explicit Slot(const Environment* environment);
    uint32_t index = 0;
    std::unique_ptr<PackRun> run;
    bool polling = false;
    // Not asked before the coordinator has heard of this lease's end and the width it tells.
    std::optional<LeaseKey> told;
    std::string request_id;  // resent until it is answered
    Backoff empty;           // empty answers that came too soon
    Backoff trouble;
    Timer pause;
  };
  struct Entry {
    std::shared_ptr<LeaseReporter> reporter;
    PackRun* run = nullptr;  // null once its process is gone, and for what an earlier process left
  };

  // What an earlier process left in the spool folder.
  void Recover();
  void RecoverFile(const Directory& spool, const std::string& name);
  absl::Status OnRegistered(const v1::RegisterResponse& response);
  void OnHeartbeat(const v1::HeartbeatResponse& response);
  void Obey(const v1::Directive& directive);
  void SetDraining(bool draining);
  bool TakesNoWork() const { return stopping_ || draining_ || closing_; }
  void WatchWalltime();
  void OnLastLease();

  void PollAll();
  void Poll(Slot* slot);
  void OnPolled(Slot* slot, absl::Duration asked, absl::Status status,
                const std::optional<v1::AcquireLeasesResponse>& response);
  void OnNoWork(Slot* slot, absl::Duration waited);
  void Begin(Slot* slot, const v1::AcquireLeasesResponse& grant);
  void OnPackFinished(Slot* slot, PackRun::Result result);

  LeaseReporter::Hooks HooksFor(const LeaseKey& key);
  LeaseReporter::Config ReporterConfig() const;
  std::vector<v1::HeldLease> Held() const;
  void Forget(const LeaseKey& key);
  // The coordinator does not take this worker: checkpoints are saved and their reports spooled for
  // a worker that it takes, then the exit.
  void OnFatal(const absl::Status& status);
  // The leases are over: nothing that the trainers still do counts.
  void OnSuperseded(const v1::Superseded& newer);
  void BeginStop(const std::string& reason);
  void BeginLeave(const std::string& reason);
  void MaybeExit();
  void Exit(int code, const std::string& message);
  bool Idle() const;

  const Environment environment_;
  const AgentConfig config_;
  const OnExit on_exit_;
  CallbackOwner callbacks_;
  Session session_;
  ReportPump pump_;
  std::map<LeaseKey, Entry> entries_;
  std::unique_ptr<PackWidths> widths_;  // null: none is measured
  std::vector<std::unique_ptr<Slot>> slots_;
  absl::Duration busy_until_ = absl::ZeroDuration();  // monotonic; when the last lease here ended
  bool draining_ = false;
  bool closing_ = false;  // too little of the walltime is left for another lease
  bool stopping_ = false;
  bool exited_ = false;
  std::string fatal_;  // why the exit is none that was asked for
  int fatal_code_ = 1;
  Timer kill_timer_;
  Timer exit_timer_;
  Timer linger_timer_;
  Timer last_lease_timer_;
  Timer walltime_timer_;
};

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_AGENT_H_
