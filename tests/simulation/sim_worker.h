#ifndef COPPICE_TESTS_SIMULATION_SIM_WORKER_H_
#define COPPICE_TESTS_SIMULATION_SIM_WORKER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "tests/simulation/sim_client.h"
#include "tests/simulation/sim_trainer.h"
#include "worker/daemon/agent.h"

namespace coppice::simulation {

// A machine: a folder, a disk that may fill, and trainers that may outlive their daemon. Owner: a
// Simulation, to the end of the schedule.
struct Machine {
  Machine(std::string name, const WorkerShape& shape, std::string root, const TrainerHost& host);

  const std::string name;
  const WorkerShape shape;
  const std::string root;
  bool disk_full = false;
  SimLauncher launcher;

  std::string spool() const { return root + "/spool"; }
  // Deletes everything on the machine.
  void Wipe();
};

// Purpose: one run of a worker's process on a machine. It is the real agent, with the world's queue
// in place of its threads. Owner: a Simulation.
class WorkerProcess {
 public:
  struct Setup {
    World* world;
    Network* network;
    Ledger* ledger;
    Machine* machine;
    std::string worker;   // the name it registers with
    std::string process;  // names this run
    PlantedBug bug;
    std::string checkpoint_root;  // of the coordinator
    std::string store_id;
    std::function<void(int code, const std::string& message)> on_exit;  // when it exits on its own
  };
  explicit WorkerProcess(const Setup& setup);
  ~WorkerProcess();

  bool alive() const { return life_ != nullptr; }
  // Ends the process as SIGTERM does.
  void Stop(const std::string& reason) { agent_->Stop(reason); }
  // Ends the process as SIGKILL does. Unsynced data is lost, in whole or in part.
  void Kill();

  const Setup& setup() const { return setup_; }
  testing::FakeClock& clock() { return *clock_; }

 private:
  worker::Environment MakeEnvironment();
  worker::AgentConfig MakeConfig() const;
  void RunBackground(uint64_t id);
  absl::Status OnDisk(const std::function<absl::Status()>& work);
  // Runs disk work that the crash interrupted.
  void Tear(const std::function<void()>& work);
  void Exited(int code, const std::string& message);

  const Setup setup_;
  Life life_ = NewLife();
  const std::shared_ptr<testing::FakeClock> clock_;
  SimClient client_;
  uint64_t last_background_ = 0;
  std::map<uint64_t, std::function<void()>> background_;
  std::unique_ptr<worker::Agent> agent_;
};

}  // namespace coppice::simulation

#endif  // COPPICE_TESTS_SIMULATION_SIM_WORKER_H_
