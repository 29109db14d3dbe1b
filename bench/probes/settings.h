// The runs whose probes are timed.
#ifndef COPPICE_BENCH_PROBES_SETTINGS_H_
#define COPPICE_BENCH_PROBES_SETTINGS_H_

#include <string>
#include <vector>

#include "worker/trainer/config.h"

namespace coppice::bench {

struct Setting {
  std::string name;
  trainer::RunConfig run;
  double largest_share = 0;  // of a run's time that its probes may take; 0: not judged
};

// The paper's settings, each task at its best depth and the question task at the smallest and the
// largest one; then a run of deploy/sweeps/demo.yaml.
std::vector<Setting> ProbeSettings();

// The same run with a `part`-th of what is evaluated: its evaluation takes a `part`-th of the time.
trainer::RunConfig WithPartOfTheEvaluation(trainer::RunConfig run, int64_t part);

// A run so small that a test affords it.
trainer::RunConfig TinyRun(trainer::Task task);

}  // namespace coppice::bench

#endif  // COPPICE_BENCH_PROBES_SETTINGS_H_
