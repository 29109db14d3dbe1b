#ifndef COPPICE_WORKER_DAEMON_PACK_RUN_H_
#define COPPICE_WORKER_DAEMON_PACK_RUN_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "coppice/v1/coordinator.pb.h"
#include "worker/daemon/attempt_reporter.h"
#include "worker/daemon/granted_run.h"
#include "worker/daemon/log_forwarder.h"
#include "worker/daemon/member_end.h"
#include "worker/daemon/pack_widths.h"
#include "worker/daemon/resume_check.h"
#include "worker/daemon/run_start.h"
#include "worker/daemon/sequence.h"
#include "worker/daemon/session.h"
#include "worker/daemon/stall_watch.h"
#include "worker/daemon/trainer_stop.h"
#include "worker/program/process_launcher.h"
#include "worker/program/program_checkpoint.h"
#include "worker/program/trainer_events.h"

namespace coppice::worker {

// Purpose: one trainer process and the leases it works on, from the grant to the process's end. The
// trainer is Coppice's own or a program of the user's own, whose output nobody trusts.
// Owner: the Agent. It lives on the agent's sequence. The reporters outlive it: their records may
// be sent long after.
//   1. Measure, if widths are measured: the best width for packs of this kind is found. The members
//      beyond it are released. All are released if the pack should be wider and the coordinator
//      waits for the width.
//   2. Check: every member's checkpoint to resume from is present and whole.
//   3. Start: the run spec is written and the trainer started.
//   4. Run: the trainer's events become records. A stalled trainer is killed, and its members fail.
//      A checkpoint that a program names is made durable first, and its events wait meanwhile. A
//      program whose time is up is asked to end, and its members fail.
//   5. End: the process has exited. The exit decides the end of every member that the trainer has
//      not ended. If the trainer refused the run, it would refuse it again, so its members fail for
//      good.
// The trainer stops its whole pack or nothing. So when some members are to stop, the others are
// preempted with them, are released, and resume from their checkpoints. Running out of memory fails
// no member of a pack: they are released with the pack's width, and the coordinator grants this
// worker narrower packs. Only a member that was alone fails.
class PackRun {
 public:
  struct Result {
    // The pack ended by a fault of this machine, or before the trainer was running. The slot should
    // wait before it takes more work.
    bool troubled = false;
    // A lease that was released untrained, with the width that the next grant should have. The slot
    // should ask again once the release is durable.
    std::optional<LeaseKey> width_release;
  };
  // The inputs that decide the pack's width, and the place where it trains.
  struct Packing {
    PackWidths* widths = nullptr;  // null: the granted width
    bool unmeasured = false;       // the coordinator would grant more if it knew the width
    std::string gpu;               // the trainer's CUDA_VISIBLE_DEVICES; empty: this process's
  };
  // `on_finished` comes once, after the process has exited.
  PackRun(const Environment* environment, Session* session, const PackConfig* config,
          std::string name, GrantedRun run, std::vector<std::shared_ptr<AttemptReporter>> reporters,
          Packing packing, std::function<void(Result)> on_finished);
  ~PackRun();
  PackRun(const PackRun&) = delete;
  PackRun& operator=(const PackRun&) = delete;

  void Start();
  // Asks the trainer to checkpoint and exit, then releases the members. The trainer is killed if it
  // does not exit `within` that time, which is at most the grace period.
  void Preempt(const std::string& reason) { Preempt(reason, config_->grace); }
  void Preempt(const std::string& reason, absl::Duration within);
  // A lease of this pack is lost, or its attempt has failed for a reason other than the trainer's
  // report.
  void OnLeaseEnded(const LeaseKey& key);
  // Kills the trainer now. Unfinished members are released from their last checkpoint.
  void Kill(const std::string& reason);
  // Fills in a heartbeat's pace: how long the trainer has made no progress, and the step rate that
  // this leaves.
  void DescribePace(v1::HeldLease* held) const;

 private:
  enum class Phase { kMeasuring, kChecking, kStarting, kRunning, kFinished };
  struct Member {
    std::shared_ptr<AttemptReporter> reporter;
    std::string attempt_dir;  // absolute
    std::optional<v1::Checkpoint> resume;
    std::unique_ptr<ResumeCheck> check;
    bool checked = false;
    uint32_t step = 0;
    bool ended = false;  // the trainer has reported its end

    uint32_t seed() const { return reporter->lease().seed(); }
  };

  void OnWidth(uint32_t width);
  void Check();
  void OnChecked(Member* member, absl::Status status, std::optional<v1::Checkpoint> resume);
  void WriteSpec();
  void OnPrepared(const absl::Status& status);
  void Launch();
  void OnStdout(const std::string& bytes);
  void OnStderr(const std::string& bytes);
  void OnExit(const ProcessExit& exit);
  void HandleEvents();
  void Handle(const TrainerEvent& event);
  void Take(const TrainerCheckpoint& checkpoint);
  void OnTaken(const TrainerCheckpoint& checkpoint, const absl::StatusOr<TakenCheckpoint>& taken);
  // Returns whether the event is a sign of progress.
  bool ShowsProgress(const TrainerEvent& event);
  void OnStalled();
  void OnTimeUp();
  void OnGarbage(const absl::Status& what);
  void Distrust(FailureKind kind, const std::string& why);
  void OnNotStarted(const absl::Status& status);
  void EndMember(Member* member, const ProcessExit& exit);
  void OutOfMemory(Member* member, uint32_t step, const std::string& message);
  void RemoveWorkFolders();
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
  const RunStart start_;
  const std::function<void(Result)> on_finished_;
  CallbackOwner callbacks_;

  std::vector<Member> members_;
  Phase phase_ = Phase::kChecking;
  std::optional<PackWidths::Id> question_;  // in kMeasuring
  std::unique_ptr<Process> process_;
  std::unique_ptr<TrainerEventReader> reader_;
  LogForwarder log_;
  TrainerStop trainer_stop_;
  StallWatch stall_watch_;
  Timer time_limit_;
  std::deque<TrainerEvent> events_;  // read, and not handled yet
  absl::Status bad_event_;           // what the reader found behind them
  bool taking_ = false;              // a program's checkpoint is being made durable
  uint64_t activity_ = 0;            // as last reported
  uint32_t width_ = 0;               // number of members that the trainer was started with
  TrainerFacts trainer_;
  Result result_;
};

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_PACK_RUN_H_
