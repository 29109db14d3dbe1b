#include "tests/simulation/schedule.h"

#include <algorithm>

namespace coppice::simulation {
namespace {

v1::SweepSpec DrawSpec(Random& random) {
  v1::SweepSpec spec;
  spec.set_name("sim");
  spec.add_tasks("question");
  if (random.Chance(0.3)) spec.add_tasks("dyck");
  spec.add_depths(2);
  if (random.Chance(0.3)) spec.add_depths(4);
  const uint64_t groups =
      static_cast<uint64_t>(spec.tasks_size()) * static_cast<uint64_t>(spec.depths_size());
  const uint64_t seeds = std::max<uint64_t>(1, random.Uniform(3, 8) / groups);
  for (uint32_t seed = 0; seed < seeds; ++seed) spec.add_seeds(seed);
  const auto every = static_cast<uint32_t>(random.Uniform(3, 5));
  const auto steps = static_cast<uint32_t>(every * random.Uniform(4, 6) - random.Uniform(0, 1));
  spec.mutable_train()->set_steps(steps);
  spec.mutable_train()->set_warmup_steps(1);
  spec.mutable_report()->set_every(every);
  if (random.Chance(0.3)) {
    spec.mutable_report()->set_stall_seconds(static_cast<uint32_t>(random.Uniform(20, 40)));
  }
  spec.mutable_checkpoint()->set_every(static_cast<uint32_t>(random.Uniform(2, 10)));
  spec.mutable_checkpoint()->set_keep(static_cast<uint32_t>(random.Uniform(1, 3)));
  if (random.Chance(0.3)) spec.mutable_checkpoint()->set_keep_every(every);
  spec.set_max_failures(static_cast<uint32_t>(random.Uniform(2, 5)));
  return spec;
}

// Most schedules omit most faults, so that the remaining ones combine in many ways.
double Maybe(Random& random, double share, std::vector<double> rates) {
  return random.Chance(share) ? random.Pick(rates) : 0;
}

Rates DrawRates(Random& random) {
  Rates rates;
  rates.lost = Maybe(random, 0.5, {0.01, 0.05, 0.2});
  rates.duplicated = Maybe(random, 0.4, {0.02, 0.1, 0.3});
  rates.delayed = Maybe(random, 0.5, {0.02, 0.1, 0.3});
  rates.stream_broken = Maybe(random, 0.4, {0.02, 0.1, 0.25});
  rates.commit_failed = Maybe(random, 0.25, {0.005, 0.03});
  rates.crash_at_commit = Maybe(random, 0.3, {0.002, 0.01});
  rates.trainer = Maybe(random, 0.5, {0.005, 0.015, 0.04});
  return rates;
}

// Faults of trainers and disks have schedules of their own.
Rates DrawFencingRates(Random& random) {
  Rates rates;
  rates.lost = Maybe(random, 0.5, {0.01, 0.05, 0.2});
  rates.duplicated = Maybe(random, 0.5, {0.02, 0.1, 0.3});
  rates.delayed = Maybe(random, 0.7, {0.02, 0.1, 0.3});
  rates.stream_broken = Maybe(random, 0.3, {0.02, 0.1});
  rates.crash_at_commit = Maybe(random, 0.3, {0.002, 0.01});
  return rates;
}

void DrawFencingDisturbances(Random& random, Schedule& schedule) {
  static constexpr Disturbance kAll[] = {Disturbance::kRequeue,
                                         Disturbance::kRequeue,
                                         Disturbance::kRequeue,
                                         Disturbance::kTwins,
                                         Disturbance::kTwins,
                                         Disturbance::kPartition,
                                         Disturbance::kCoordinatorCrash,
                                         Disturbance::kWorkerCrash,
                                         Disturbance::kMachineLost};
  for (uint64_t i = random.Uniform(6, 20); i > 0; --i) {
    const Disturbance what = kAll[random.Next() % std::size(kAll)];
    schedule.disturbances.emplace_back(random.Time(absl::Seconds(1), schedule.faults_end), what);
  }
}

void DrawDisturbances(Random& random, Schedule& schedule) {
  static constexpr Disturbance kAll[] = {Disturbance::kPartition,
                                         Disturbance::kPartition,
                                         Disturbance::kCoordinatorCrash,
                                         Disturbance::kCoordinatorCrash,
                                         Disturbance::kCoordinatorRestart,
                                         Disturbance::kDatabaseFull,
                                         Disturbance::kWorkerCrash,
                                         Disturbance::kWorkerCrash,
                                         Disturbance::kWorkerStop,
                                         Disturbance::kMachineLost,
                                         Disturbance::kTwins,
                                         Disturbance::kWorkerDiskFull,
                                         Disturbance::kDamageCheckpoint,
                                         Disturbance::kWallClockJump,
                                         Disturbance::kMonotonicJump,
                                         Disturbance::kPause,
                                         Disturbance::kCancel,
                                         Disturbance::kRetry,
                                         Disturbance::kDrain};
  const uint64_t count = random.Uniform(2, 9);
  for (uint64_t i = 0; i < count; ++i) {
    const Disturbance what = kAll[random.Next() % std::size(kAll)];
    schedule.disturbances.emplace_back(random.Time(absl::Seconds(1), schedule.faults_end * 9 / 10),
                                       what);
  }
}

void DrawExtensions(Random& random, Schedule& schedule) {
  v1::SweepSpec spec = schedule.spec;
  for (uint64_t i = random.Uniform(1, 3); i > 0; --i) {
    if (random.Chance(0.7)) {
      spec.mutable_train()->set_steps(spec.train().steps() +
                                      static_cast<uint32_t>(random.Uniform(1, 7)));
    }
    if (random.Chance(0.4)) spec.add_seeds(static_cast<uint32_t>(spec.seeds_size()));
    if (random.Chance(0.2)) spec.add_depths(spec.depths(spec.depths_size() - 1) + 1);
    if (random.Chance(0.3)) spec.mutable_checkpoint()->set_keep(random.Chance(0.5) ? 1 : 3);
    schedule.extensions.emplace_back(random.Time(absl::Seconds(1), schedule.faults_end * 9 / 10),
                                     spec);
  }
  std::vector<absl::Duration> times;
  times.reserve(schedule.extensions.size());
  for (const auto& extension : schedule.extensions) times.push_back(extension.first);
  std::sort(times.begin(), times.end());
  for (size_t i = 0; i < times.size(); ++i) schedule.extensions[i].first = times[i];
}

}  // namespace

Schedule DrawSchedule(Random& random, Family family) {
  Schedule schedule;
  schedule.spec = DrawSpec(random);
  for (uint64_t i = random.Uniform(1, 3); i > 0; --i) {
    WorkerShape worker;
    worker.slots = static_cast<uint32_t>(random.Uniform(1, 2));
    worker.pack_width = static_cast<uint32_t>(random.Uniform(1, 3));
    worker.shared = random.Chance(0.6);
    schedule.workers.push_back(worker);
  }
  schedule.heartbeat = random.Time(absl::Seconds(3), absl::Seconds(6));
  schedule.lease = schedule.heartbeat * 4 + absl::Seconds(3);
  schedule.step_time = random.Time(absl::Milliseconds(500), absl::Milliseconds(2500));
  for (const std::string& task : schedule.spec.tasks()) {
    for (const uint32_t depth : schedule.spec.depths()) {
      for (const uint32_t seed : schedule.spec.seeds()) {
        if (!random.Chance(0.04)) continue;
        schedule.diverges[{task, depth, seed}] =
            static_cast<uint32_t>(random.Uniform(1, schedule.spec.train().steps()));
      }
    }
  }
  const bool fencing = family == Family::kFencing;
  schedule.rates = fencing ? DrawFencingRates(random) : DrawRates(random);
  schedule.faults_end = random.Time(absl::Seconds(40), absl::Seconds(150));
  fencing ? DrawFencingDisturbances(random, schedule) : DrawDisturbances(random, schedule);
  if (!fencing && random.Chance(0.35)) DrawExtensions(random, schedule);
  return schedule;
}

uint64_t StartState(const GridPoint& point) {
  uint64_t state = Mix(std::get<1>(point)) ^ Mix(uint64_t{std::get<2>(point)} << 32);
  for (const char c : std::get<0>(point)) state = Mix(state ^ static_cast<uint8_t>(c));
  return state;
}

uint64_t NextState(uint64_t state, uint32_t step) { return Mix(state ^ Mix(step)); }

double LossOf(uint64_t state) { return static_cast<double>(state >> 11) * 0x1.0p-53; }

bool IsReportStep(uint32_t step, uint32_t every, uint32_t steps) {
  return step > 0 && (step % every == 0 || step == steps);
}

}  // namespace coppice::simulation
