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

// Purpose: one run of the coordinator's process: the real core on a store that outlives it, its
// threads replaced by the world's queue. Owner: a Simulation, to the end of the schedule also when
// the process has long ended: what is on the stack of a crash may still touch it.
class CoordinatorProcess {
 public:
  struct Setup {
    World* world;
    Network* network;
    core::Store* store;  // what is durable
    const Schedule* schedule;
    PlantedBug bug;
    std::string checkpoint_root;
    std::function<void(const Changes&)> committed;
  };
  explicit CoordinatorProcess(const Setup& setup);

  bool alive() const { return life_ != nullptr; }
  // Nothing of it runs from now on, queued work is lost, nobody hears of what was not answered.
  void Crash();
  // As SIGTERM does: what is queued is done and answered.
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
  std::unique_ptr<SimService> service_;  // outlives what the core still holds of it
  std::unique_ptr<core::Coordinator> core_;
};

}  // namespace coppice::simulation

#endif  // COPPICE_TESTS_SIMULATION_SIM_COORDINATOR_H_
