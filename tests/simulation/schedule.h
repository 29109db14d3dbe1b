// What one seed makes of a run: the sweep, the workers, how often what goes wrong.
#ifndef COPPICE_TESTS_SIMULATION_SCHEDULE_H_
#define COPPICE_TESTS_SIMULATION_SCHEDULE_H_

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
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

// Probabilities: of a message, of a transaction, of a trainer's step.
struct Rates {
  double lost = 0;
  double duplicated = 0;
  double delayed = 0;
  double stream_broken = 0;
  double commit_failed = 0;
  double crash_at_commit = 0;
  double trainer = 0;
};

// Something that is done to the system at a time; to whom is drawn when it comes.
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
};

struct Schedule {
  v1::SweepSpec spec;
  std::vector<WorkerShape> workers;
  absl::Duration lease;
  absl::Duration heartbeat;
  absl::Duration step_time;                // of a trainer
  std::map<GridPoint, uint32_t> diverges;  // at this step, whatever runs it
  Rates rates;
  absl::Duration faults_end;  // after that nothing goes wrong any more
  std::vector<std::pair<absl::Duration, Disturbance>> disturbances;
};

Schedule DrawSchedule(Random& random);

// The trajectory of a grid point: a chain, so that a step that is left out, done twice, or resumed
// from a wrong state shows in every later value.
uint64_t StartState(const GridPoint& point);
uint64_t NextState(uint64_t state, uint32_t step);
double LossOf(uint64_t state);
bool IsReportStep(uint32_t step, uint32_t every, uint32_t steps);

}  // namespace coppice::simulation

#endif  // COPPICE_TESTS_SIMULATION_SCHEDULE_H_
