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

// A machine: a folder, a disk that may fill, trainers that may outlive their daemon. Owner: a
// Simulation, to the end of the schedule.
struct Machine {
  Machine(std::string name, const WorkerShape& shape, std::string root, const TrainerHost& host);

  const std::string name;
  const WorkerShape shape;
  const std::string root;
  bool disk_full = false;
  SimLauncher launcher;

  std::string spool() const { return root + "/spool"; }
  // Loses everything on it.
  void Wipe();
};

// Purpose: one run of a worker's process on a machine: the real agent, its threads replaced by the
// world's queue. Owner: a Simulation.
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
    std::string checkpoint_root;  // the coordinator's
    std::string store_id;
    std::function<void(int code, const std::string& message)> on_exit;  // of its own accord
  };
  explicit WorkerProcess(const Setup& setup);
  ~WorkerProcess();

  bool alive() const { return life_ != nullptr; }
  // As SIGTERM does.
  void Stop(const std::string& reason) { agent_->Stop(reason); }
  // As SIGKILL does: what it had not synced is lost, in whole or in part.
  void Kill();

  const Setup& setup() const { return setup_; }
  testing::FakeClock& clock() { return *clock_; }

 private:
  worker::Environment MakeEnvironment();
  worker::AgentConfig MakeConfig() const;
  void RunBackground(uint64_t id);
  absl::Status OnDisk(const std::function<absl::Status()>& work);
  // Work on the disk that the crash cut off.
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
