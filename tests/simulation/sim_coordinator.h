#ifndef COPPICE_TESTS_SIMULATION_SIM_COORDINATOR_H_
#define COPPICE_TESTS_SIMULATION_SIM_COORDINATOR_H_

#include <functional>
#include <memory>
#include <string>

#include "coordinator/core/coordinator.h"
#include "tests/simulation/network.h"
#include "tests/simulation/sim_service.h"
#include "tests/simulation/sim_store.h"

namespace coppice::simulation {

// Purpose: one run of the coordinator's process. It is the real core on a store that outlives it,
// with the world's queue in place of its threads. Owner: a Simulation, to the end of the schedule,
// even after the process has ended: functions on the stack of a crash may still use it.
class CoordinatorProcess {
 public:
  struct Setup {
    World* world;
    Network* network;
    core::Store* store;  // the durable data
    const Schedule* schedule;
    PlantedBug bug;
    std::string checkpoint_root;
    std::function<void(const Changes&)> committed;
  };
  explicit CoordinatorProcess(const Setup& setup);

  bool alive() const { return life_ != nullptr; }
  // Kills the process: nothing of it runs any more, queued work is lost, and open calls get no
  // answer.
  void Crash();
  // Ends the process as SIGTERM does: queued work is finished and answered.
  void Stop();

  core::Coordinator& core() { return *core_; }
  SimStore& store() { return store_; }
  SimService& service() { return *service_; }
  testing::FakeClock& clock() { return *clock_; }

 private:
  core::CoordinatorOptions Options(const Setup& setup) const;
  bool AcceptStale(const core::Record& record);

  const Setup setup_;
  Life life_ = NewLife();
  const std::shared_ptr<testing::FakeClock> clock_;
  SimStore store_;
  std::unique_ptr<SimService> service_;  // outlives the core's references to it
  std::unique_ptr<core::Coordinator> core_;
};

}  // namespace coppice::simulation

#endif  // COPPICE_TESTS_SIMULATION_SIM_COORDINATOR_H_
