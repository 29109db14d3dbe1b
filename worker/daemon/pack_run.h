#ifndef COPPICE_WORKER_DAEMON_PACK_RUN_H_
#define COPPICE_WORKER_DAEMON_PACK_RUN_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "coppice/v1/coordinator.pb.h"
#include "worker/daemon/granted_run.h"
#include "worker/daemon/lease_reporter.h"
#include "worker/daemon/log_forwarder.h"
#include "worker/daemon/pack_widths.h"
#include "worker/daemon/process_launcher.h"
#include "worker/daemon/resume_check.h"
#include "worker/daemon/sequence.h"
#include "worker/daemon/session.h"
#include "worker/daemon/stall_watch.h"
#include "worker/daemon/trainer_events.h"

namespace coppice::worker {

// How trainers are run; the same for every pack.
struct PackConfig {
  std::string trainer;   // path of the program
  uint32_t threads = 1;  // of each trainer
  std::string device = "auto";
  CheckpointPlace checkpoints;
  std::string runs_dir;  // run specs; absolute, as is the next
  std::string logs_dir;
  // From SIGTERM to SIGKILL.
  absl::Duration grace = absl::Seconds(25);
  // The same where there is nothing left to save.
  absl::Duration stop_grace = absl::Seconds(5);
};

// Purpose: one trainer process and the leases it works on, from the grant to the process's end:
//   1. measure, where widths are: what a pack of this kind should have is found out. Members beyond
//   it are released, or all of them when there should be more and the coordinator waits to hear;
//   2. check: every member's checkpoint to resume from is there and whole;
//   3. start: the run spec is written, the trainer started;
//   4. run: its events become reports;
//   A trainer that does not get on any more is killed, and its members fail;
//   5. end: the process has exited; every member that has not told its own end gets one from the
//   way it exited. A trainer that has refused its run would refuse it again: its members fail for
//   good.
// Owned by the Agent; lives on its sequence. The reporters outlive it: what they hold may be sent
// long after. The trainer stops all of its pack or none. So when some members are to stop, the
// others are preempted with them, are released, and come back from their checkpoint. A pack that
// does not fit into memory is nobody's failure: its members are released with its width, and the
// coordinator gives this worker narrower ones. Only a member that was alone fails.
class PackRun {
 public:
  struct Result {
    // The pack ended by a fault of this machine, or before the trainer got going: the slot should
    // wait before it takes more work.
    bool troubled = false;
    // Released untrained, with the width that the next grant should have: the slot should ask again
    // when the coordinator has heard of this one.
    std::optional<LeaseKey> told;
  };
  // How the width of the pack is decided.
  struct Packing {
    PackWidths* widths = nullptr;  // null: as it was granted
    bool unmeasured = false;       // the coordinator would grant more, but for want of a width
  };
  // `on_finished` comes once, when no process is left.
  PackRun(const Environment* environment, Session* session, const PackConfig* config,
          std::string name, GrantedRun run, std::vector<std::shared_ptr<LeaseReporter>> reporters,
          Packing packing, std::function<void(Result)> on_finished);
  ~PackRun();
  PackRun(const PackRun&) = delete;
  PackRun& operator=(const PackRun&) = delete;

  void Start();
  // Checkpoint, release, exit; SIGKILL when that takes longer than the grace period.
  void Preempt(const std::string& reason);
  // A lease of this pack is lost, or its attempt has failed other than by the trainer's word.
  void OnLeaseEnded(const LeaseKey& key);
  // SIGKILL now; what is unfinished is released from its last checkpoint.
  void Kill(const std::string& reason);
  // For a heartbeat: since when the trainer has not got on, and how fast that makes it.
  void DescribePace(v1::HeldLease* held) const;

 private:
  enum class Phase { kMeasuring, kChecking, kStarting, kRunning, kFinished };
  struct Member {
    std::shared_ptr<LeaseReporter> reporter;
    std::string checkpoint_dir;  // absolute
    std::optional<v1::Checkpoint> resume;
    std::unique_ptr<ResumeCheck> check;
    bool checked = false;
    uint32_t step = 0;
    bool ended = false;  // the trainer has said so

    uint32_t seed() const { return reporter->lease().seed(); }
  };

  void OnWidth(uint32_t width);
  void Check();
  void OnChecked(Member* member, absl::Status status, std::optional<v1::Checkpoint> resume);
  void WriteSpec();
  std::string SpecJson() const;
  void Launch();
  void OnStdout(const std::string& bytes);
  void OnStderr(const std::string& bytes);
  void OnExit(const ProcessExit& exit);
  void Handle(const TrainerEvent& event);
  // Whether the event shows that the trainer gets on.
  bool ShowsProgress(const TrainerEvent& event);
  void OnStalled();
  void OnGarbage(const absl::Status& what);
  void EndMember(Member* member, const ProcessExit& exit);
  void OutOfMemory(Member* member, uint32_t step, const std::string& message);
  void Stop(const std::string& reason, absl::Duration grace);
  void Trouble(const std::string& reason);
  void ReleaseAll(const std::string& reason);
  void Finish();
  Member* Find(uint32_t seed);
  bool AnyActive() const;

  const Environment* const environment_;
  Session* const session_;
  const PackConfig* const config_;
  const std::string name_;
  const GrantedRun run_;
  const Packing packing_;
  const std::function<void(Result)> on_finished_;
  CallbackOwner callbacks_;

  std::vector<Member> members_;
  Phase phase_ = Phase::kChecking;
  std::optional<PackWidths::Id> question_;  // in kMeasuring
  std::unique_ptr<Process> process_;
  std::unique_ptr<TrainerEventReader> reader_;
  LogForwarder log_;
  Timer kill_timer_;
  StallWatch stall_watch_;
  uint64_t activity_ = 0;  // as the trainer last said
  uint32_t width_ = 0;     // members that the trainer was started with
  bool started_ = false;   // the trainer has said so
  bool stopping_ = false;  // SIGTERM was sent
  bool killed_ = false;    // SIGKILL was sent
  std::string garbage_;    // what was wrong with the output; empty: nothing
  std::string refused_;    // why it trains no such run; empty: it has not said so
  std::string stalled_;    // why it was killed for not getting on; empty: it was not
  Result result_;
  std::string stop_reason_;
};

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_PACK_RUN_H_
