// The runs whose probes are timed.
#ifndef COPPICE_BENCH_PROBES_SETTINGS_H_
#define COPPICE_BENCH_PROBES_SETTINGS_H_

#include <string>
#include <vector>

#include "worker/trainer/config/config.h"

namespace coppice::bench {

struct Setting {
  std::string name;
  trainer::RunConfig run;
  double largest_share = 0;  // of a run's time, for its probes; 0: not judged
};

// The paper's settings: each task at its best depth, and the question task also at the smallest and
// the largest one. The last is a run of deploy/sweeps/demo.yaml.
std::vector<Setting> ProbeSettings();

// The same run with 1/`part` of the evaluation data, whose evaluation takes 1/`part` of the time.
trainer::RunConfig WithPartOfTheEvaluation(trainer::RunConfig run, int64_t part);

// A run that is small enough for a test.
trainer::RunConfig TinyRun(trainer::Task task);

}  // namespace coppice::bench

#endif  // COPPICE_BENCH_PROBES_SETTINGS_H_
