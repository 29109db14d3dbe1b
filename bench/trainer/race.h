// Measures all contestants on one configuration, in rounds, so that what else the machine does
// meets each of them alike.
#ifndef COPPICE_BENCH_TRAINER_RACE_H_
#define COPPICE_BENCH_TRAINER_RACE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace coppice::bench {

struct RaceOptions {
  int rounds = 3;
  double seconds = 4;  // of each measurement
  // For the guard: eager only as one seed a core (of small models the faster way), and nothing but
  // eager and ours.
  bool brief = false;
  bool cpu_time = false;  // see Process
  int cores = 1;          // all contestants use as many
};

// How a baseline uses the cores: so many seeds at once, each with so many threads.
struct Spread {
  int seeds = 1;
  int threads = 1;
};

// Rates are seed-steps a second and medians over the rounds. Ratios are medians of each round's
// ratio, in which the noise of the machine cancels in part.
struct Figures {
  double eager = 0, tuned = 0, ours = 0, products = 0;
  Spread eager_spread, tuned_spread;  // the faster one, of the last round
  double over_eager = 0, over_tuned = 0;
  double gemm = 0;        // floating-point operations a second
  double gemm_share = 0;  // achieved by ours, of those
};

double Median(std::vector<double> values);

// `flops`: of one seed's step. `configuration`: index into Configurations(). Starts this program
// again for each process of a contestant. INTERNAL: one of them failed (its stderr says why).
absl::StatusOr<Figures> Race(int configuration, double flops, const RaceOptions& options);

}  // namespace coppice::bench

#endif  // COPPICE_BENCH_TRAINER_RACE_H_
