// Proves that the probes measure the same values as one pass per span.
#ifndef COPPICE_BENCH_PROBES_SAME_SCORES_H_
#define COPPICE_BENCH_PROBES_SAME_SCORES_H_

#include <cstdint>

#include "absl/status/status.h"
#include "worker/trainer/config/config.h"
#include "worker/trainer/probes/probes.h"
#include "worker/trainer/tasks/dataset.h"

namespace coppice::bench {

// Compares two readings of the plan's sentences. Every chart value must agree within `tolerance`,
// the entropies and the mean t_score within `tolerance` times the larger of 1 and their magnitude.
// FAILED_PRECONDITION names the first that differs.
absl::Status CompareReadings(const trainer::ProbePlan& plan, const trainer::ProbeReadings& ours,
                             const trainer::ProbeReadings& theirs, double tolerance);

// Reads sentences of the run's sample both ways, as many as one pass per span reads in `rows`, with
// initial weights after a few training steps. They must agree within 1e-9 in float64 and 1e-4 in
// float32. FAILED_PRECONDITION: they differ. Otherwise codes of DrawProbeSample.
absl::Status CheckSameScores(const trainer::RunConfig& run, const trainer::Dataset& dataset,
                             int64_t rows);

}  // namespace coppice::bench

#endif  // COPPICE_BENCH_PROBES_SAME_SCORES_H_
