// Measures all contestants on one configuration, in rounds, so that other load on the machine
// affects all alike.
#ifndef COPPICE_BENCH_TRAINER_RACE_H_
#define COPPICE_BENCH_TRAINER_RACE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace coppice::bench {

struct RaceOptions {
  int rounds = 3;
  double seconds = 4;  // of each measurement
  // For the guard: races only eager and ours, eager only with one seed for each core (the faster
  // way for small models).
  bool brief = false;
  bool cpu_time = false;  // see Process
  int cores = 1;          // used by every contestant
};

// A baseline's use of the cores: the number of seeds at once, and the threads of each.
struct Spread {
  int seeds = 1;
  int threads = 1;
};

// Rates are seed-steps a second, as medians over the rounds. Ratios are medians of each round's
// ratio, in which part of the machine's noise cancels.
struct Figures {
  double eager = 0, tuned = 0, ours = 0, products = 0;
  Spread eager_spread, tuned_spread;  // the faster one, in the last round
  double over_eager = 0, over_tuned = 0;
  double gemm = 0;        // floating-point operations a second
  double gemm_share = 0;  // the share of `gemm` that ours reaches
};

double Median(std::vector<double> values);

// `flops`: those of one seed's step. `configuration`: index into Configurations(). Starts this
// program again for each process of a contestant. INTERNAL: one of them failed; its stderr has the
// reason.
absl::StatusOr<Figures> Race(int configuration, double flops, const RaceOptions& options);

}  // namespace coppice::bench

#endif  // COPPICE_BENCH_TRAINER_RACE_H_
