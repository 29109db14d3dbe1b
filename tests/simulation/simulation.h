#ifndef COPPICE_TESTS_SIMULATION_SIMULATION_H_
#define COPPICE_TESTS_SIMULATION_SIMULATION_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/simulation/invariants.h"
#include "tests/simulation/sim_coordinator.h"
#include "tests/simulation/sim_worker.h"

namespace coppice::simulation {

struct Options {
  uint64_t seed = 1;
  Family family = Family::kEverything;
  PlantedBug bug = PlantedBug::kNone;
  bool trace = false;
  std::string folder;  // for this schedule's files; removed afterwards
};

struct Outcome {
  std::vector<std::string> violations;  // empty: every invariant held
  uint64_t trace_digest = 0;            // of all events, in order
  uint64_t state_digest = 0;            // of the stored data at the end
  uint64_t events = 0;
  absl::Duration duration;  // simulated
  uint64_t jobs = 0;
  uint64_t attempts = 0;
  FaultCounts faults;
  size_t most_live = 0;  // processes of one name at once
};

// Purpose: runs one schedule from its seed: a real coordinator core, real worker agents and a
// sweep. Faults occur for a while; then they stop, and the sweep has to end. Not thread-safe;
// everything happens on the caller's thread.
class Simulation {
 public:
  explicit Simulation(const Options& options);
  ~Simulation();
  Outcome Run();

 private:
  // A worker by name, on whichever machine it runs now.
  struct Seat {
    std::string worker;
    Machine* machine = nullptr;
    WorkerProcess* process = nullptr;
    bool starting = false;
  };

  // -- simulation.cc
  void Submit();
  void Finish();
  // Waits until every job has ended. False: not within the bound.
  bool WaitForJobs();
  void RetryWhatFailed();
  // Makes the sweep what it is in the end.
  void ExtendToTheEnd();
  void StopWorkers();
  // Repeats a client's command until it is answered with OK.
  template <typename T>
  void Insist(const std::function<void(core::Coordinator&, core::Coordinator::Done<T>)>& command);
  void CheckNow();
  void CheckNames();

  // -- fleet.cc: processes and their restarts
  void StartCoordinator();
  void AddWorker(const WorkerShape& shape);
  Machine* AddMachine(const WorkerShape& shape);
  WorkerProcess* StartWorker(const std::string& worker, Machine* machine);
  void Supervise();
  void OnExit(size_t index, int code, const std::string& message);
  std::vector<WorkerProcess*> LiveProcessesOf(const std::string& worker);
  void StartTwin(Seat* seat);
  void Requeue(Seat* seat);
  Seat* AnyLiveSeat();

  // -- disturbances.cc
  void Disturb(Disturbance what);
  void CutOff();
  void StopOrKill(Disturbance what);
  void FillDatabaseDisk();
  void FillWorkerDisk();
  void DamageCheckpoint(int tries);
  void MoveClock(bool wall);
  void Command(Disturbance what);
  void Pause();
  void SetPaused(bool paused);
  void CancelOne();
  void RetryAll();
  void Drain();
  // A client extends the sweep, and asks again until it is answered with OK.
  void Extend(size_t extension);
  void SetDraining(const std::string& worker, bool draining, bool preempt);

  const Options options_;
  World world_;
  const Schedule schedule_;
  bool healed_ = false;
  bool closing_ = false;  // ended workers are not restarted
  std::unique_ptr<core::Store> store_;
  std::string root_;
  Network network_;
  Ledger ledger_;
  std::unique_ptr<Invariants> invariants_;
  std::vector<std::unique_ptr<CoordinatorProcess>> coordinators_;  // the last one is current
  bool coordinator_starting_ = false;
  std::vector<std::unique_ptr<Machine>> machines_;
  std::vector<std::unique_ptr<WorkerProcess>> processes_;
  std::vector<Seat> seats_;
  uint64_t last_command_ = 0;  // of a client, to pause or drain
  size_t extended_ = 0;        // extensions that were answered with OK
  size_t most_live_ = 0;       // processes of one name at once
  bool livelocked_ = false;    // it would go on for ever
};

}  // namespace coppice::simulation

#endif  // COPPICE_TESTS_SIMULATION_SIMULATION_H_
