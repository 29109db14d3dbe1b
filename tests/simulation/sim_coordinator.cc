#include "tests/simulation/sim_coordinator.h"

#include <utility>
#include <variant>

namespace coppice::simulation {

CoordinatorProcess::CoordinatorProcess(const Setup& setup)
    : setup_(setup),
      clock_(setup.world->NewClock()),
      store_(setup.world, setup.store, setup.schedule, setup.bug,
             {setup.committed, [this, life = LifeRef(life_)] {
                if (!life.expired()) Crash();
              }}) {
  auto core = core::Coordinator::Open(&store_, clock_.get(), Options(setup));
  if (!core.ok()) {
    setup_.world->Violation("the coordinator does not start: " + core.status().ToString());
    life_.reset();
    return;
  }
  core_ = *std::move(core);
  service_ = std::make_unique<SimService>(setup.world, life_, core_.get(), setup.checkpoint_root);
  if (setup.bug == PlantedBug::kStaleAttemptAccepted) {
    service_->set_accept_stale([this](const core::Record& record) { return AcceptStale(record); });
  }
  setup_.network->SetServer(service_.get());
}

core::CoordinatorOptions CoordinatorProcess::Options(const Setup& setup) const {
  core::CoordinatorOptions options;
  options.jobs_a_part = 3;  // small, so that a submission can be interrupted
  options.lease = setup.schedule->lease;
  options.heartbeat_interval = setup.schedule->heartbeat;
  options.checkpoint_root = setup.checkpoint_root;
  options.runner = [world = setup.world, life = LifeRef(life_)](std::function<void()> work) {
    if (!life.expired()) world->For(life, absl::ZeroDuration(), std::move(work));
  };
  return options;
}

void CoordinatorProcess::Crash() {
  life_.reset();
  store_.Die();
  setup_.network->SetServer(nullptr);
}

void CoordinatorProcess::Stop() {
  core_->Shutdown();
  if (!alive()) return;  // killed during its shutdown
  Crash();
}

bool CoordinatorProcess::AcceptStale(const core::Record& record) {
  const auto* row = std::get_if<core::MetricRow>(&record.content);
  if (row == nullptr) return false;
  return setup_.store
      ->RunInTransaction([&](core::WriteTransaction& tx) {
        return tx.InsertMetricRow(record.lease.job_id, record.lease.attempt, *row);
      })
      .ok();
}

}  // namespace coppice::simulation
