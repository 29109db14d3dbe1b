#ifndef COPPICE_TESTS_SIMULATION_SIM_TRAINER_H_
#define COPPICE_TESTS_SIMULATION_SIM_TRAINER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "tests/simulation/ledger.h"
#include "tests/simulation/schedule.h"
#include "tests/simulation/world.h"
#include "worker/program/process_launcher.h"

namespace coppice::simulation {

// State shared by the trainers of one machine. It outlives them.
struct TrainerHost {
  World* world = nullptr;
  Ledger* ledger = nullptr;
  const Schedule* schedule = nullptr;
  const bool* healed = nullptr;     // no more faults
  const bool* disk_full = nullptr;  // of the machine
  // True if nobody needs an attempt's output any more, whether its worker knows it or not.
  std::function<bool(const LeaseKey&)> is_over;
};

// Purpose: a trainer that follows docs/trainer-protocol.md without training. A step advances a
// chain that depends only on seed and step. A checkpoint is a real file that holds the chain's
// state. A periodic checkpoint is a snapshot, written while later steps run. The trainer fails as
// the schedule says. Owner: SimLauncher, and the owner of the Process. Events of an ended process
// do not happen, but the data in its pipe is still read.
class SimTrainer : public std::enable_shared_from_this<SimTrainer> {
 public:
  SimTrainer(const TrainerHost& host, worker::ProcessCommand command,
             worker::ProcessCallbacks callbacks)
      : host_(host), command_(std::move(command)), callbacks_(std::move(callbacks)) {}

  void Start();
  void Signal(int signal);
  void ReadMore();
  // Its daemon has died: nobody reads its output, and it will be killed before long.
  void Orphan();
  bool alive() const { return life_ != nullptr; }

 private:
  struct Member {
    GridPoint point;
    LeaseKey lease;
    std::string folder;
    std::string resume;
    uint32_t step = 0;
    uint64_t state = 0;
    uint32_t reported = 0;         // the last step whose row was printed
    int64_t checkpoint_step = -1;  // of the newest file, or of the resumed one
    bool evaluating = false;
    bool ended = false;
    std::shared_ptr<const Member> snapshot;  // not written yet
  };

  Random& random() { return host_.world->random(); }
  void Begin();
  absl::Status ReadSpec();
  absl::Status Load(Member& member);
  void Tick();
  void ScheduleTick();
  void Advance(Member& member);
  void AfterStep(Member& member);
  void Report(Member& member);
  // False: it failed, and so did the member.
  bool Checkpoint(Member& member);
  bool FinishSnapshot(Member& member);
  bool WriteCheckpoint(Member& member, const Member& state);
  void WriteSnapshot(size_t index, uint32_t step);
  absl::Status TryWrite(const Member& state);
  absl::Status WriteFile(const Member& state, const std::string& path);
  bool CheckpointDue(const Member& member) const;
  void Fail(Member& member, const std::string& kind, const std::string& message);
  void PreemptAll();
  bool AnyActive() const;

  void Misbehave();
  void Crash();
  void CrashInCheckpoint();
  void RunOutOfMemory();
  void BlameAll();

  void Say(const std::string& line);
  void SayMembers(const std::string& event, const std::string& rest);
  void Pump();
  void Exit(int code, int signal);

  const TrainerHost host_;
  const worker::ProcessCommand command_;
  const worker::ProcessCallbacks callbacks_;
  Life life_ = NewLife();
  std::vector<Member> members_;
  std::string run_;
  uint32_t steps_ = 0;
  uint32_t report_every_ = 0;
  uint32_t checkpoint_every_ = 0;
  bool has_stall_limit_ = false;  // if set, it reports progress often
  bool terminate_ = false;
  bool orphan_ = false;
  bool any_failed_ = false;
  bool lost_its_file_ = false;
  absl::Duration hangs_until_ = absl::ZeroDuration();
  // The pipe: data written and not yet read.
  std::string written_;
  bool handed_out_ = false;
  bool exited_ = false;
  worker::ProcessExit exit_;
};

// Purpose: starts SimTrainers. Owner: a Machine; it outlives the daemons that run there.
class SimLauncher : public worker::ProcessLauncher {
 public:
  explicit SimLauncher(const TrainerHost& host) : host_(host) {}
  std::unique_ptr<worker::Process> Start(worker::ProcessCommand command,
                                         worker::ProcessCallbacks callbacks) override;
  // Called when the daemon has died.
  void OrphanAll();

 private:
  const TrainerHost host_;
  std::vector<std::shared_ptr<SimTrainer>> trainers_;
};

}  // namespace coppice::simulation

#endif  // COPPICE_TESTS_SIMULATION_SIM_TRAINER_H_
