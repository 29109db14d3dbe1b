#ifndef COPPICE_BENCH_CONTROL_PLANE_SWEEPS_H_
#define COPPICE_BENCH_CONTROL_PLANE_SWEEPS_H_

#include <cstdint>

#include "bench/control_plane/options.h"
#include "coppice/v1/coordinator.pb.h"

namespace coppice::bench {

// The large sweep: 2 tasks x 5 depths x jobs/10 seeds. A job has one report and one checkpoint,
// both at its last step.
inline constexpr char kLarge[] = "large";
inline constexpr uint32_t kShortSteps = 100;
v1::SweepSpec LargeSweep(const Options& options);

// The jobs that every worker holds throughout. They come first and never end.
inline constexpr char kHeld[] = "held";
v1::SweepSpec HeldSweep(const Options& options);

void FillRow(uint32_t step, uint32_t values, v1::MetricRow* row);

}  // namespace coppice::bench

#endif  // COPPICE_BENCH_CONTROL_PLANE_SWEEPS_H_
