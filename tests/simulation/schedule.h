// The parameters of a run, drawn from one seed: the sweep, the workers, the rates of faults.
#ifndef COPPICE_TESTS_SIMULATION_SCHEDULE_H_
#define COPPICE_TESTS_SIMULATION_SCHEDULE_H_

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "coppice/v1/sweep.pb.h"
#include "tests/simulation/random.h"

namespace coppice::simulation {

struct WorkerShape {
  uint32_t slots = 1;
  uint32_t pack_width = 1;
  bool shared = false;  // it sees the coordinator's checkpoint folder
};

// Task, depth, seed: one grid point of the sweep.
using GridPoint = std::tuple<std::string, uint32_t, uint32_t>;

// Probabilities, for each message, transaction or step of a trainer.
struct Rates {
  double lost = 0;
  double duplicated = 0;
  double delayed = 0;
  double stream_broken = 0;
  double commit_failed = 0;
  double crash_at_commit = 0;
  double trainer = 0;
};

// A disturbance at a given time. Its target is drawn when it happens.
enum class Disturbance {
  kPartition,
  kCoordinatorCrash,
  kCoordinatorRestart,
  kDatabaseFull,
  kWorkerCrash,
  kWorkerStop,
  kMachineLost,
  kTwins,
  kWorkerDiskFull,
  kDamageCheckpoint,
  kWallClockJump,
  kMonotonicJump,
  kPause,
  kCancel,
  kRetry,
  kDrain,
  kRequeue,
};

// Kinds of schedules.
enum class Family {
  kEverything,  // any fault
  // Names with several live processes at once: machines that are cut off and come back, jobs that
  // are started again elsewhere meanwhile, and crashes. Messages are lost, late and repeated.
  kFencing,
};

struct Schedule {
  v1::SweepSpec spec;
  std::vector<WorkerShape> workers;
  absl::Duration lease;
  absl::Duration heartbeat;
  absl::Duration step_time;                // of a trainer
  std::map<GridPoint, uint32_t> diverges;  // the step at which every attempt diverges
  Rates rates;
  absl::Duration faults_end;  // no faults after this
  std::vector<std::pair<absl::Duration, Disturbance>> disturbances;
  // The sweeps that it becomes, each larger than the one before, and when a client asks for it. The
  // last one is asked for again when the jobs have ended.
  std::vector<std::pair<absl::Duration, v1::SweepSpec>> extensions;

  // The sweep as it is in the end.
  const v1::SweepSpec& last_spec() const {
    return extensions.empty() ? spec : extensions.back().second;
  }
};

Schedule DrawSchedule(Random& random, Family family = Family::kEverything);

// The trajectory of a grid point. It is a chain: a step that is skipped, repeated or resumed from a
// wrong state shows in every later value.
uint64_t StartState(const GridPoint& point);
uint64_t NextState(uint64_t state, uint32_t step);
double LossOf(uint64_t state);
bool IsReportStep(uint32_t step, uint32_t every, uint32_t steps);

}  // namespace coppice::simulation

#endif  // COPPICE_TESTS_SIMULATION_SCHEDULE_H_
