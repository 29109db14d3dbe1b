// Proof that the probes measure what one pass per span measures.
#ifndef COPPICE_BENCH_PROBES_SAME_SCORES_H_
#define COPPICE_BENCH_PROBES_SAME_SCORES_H_

#include <cstdint>

#include "absl/status/status.h"
#include "worker/trainer/config.h"
#include "worker/trainer/probes/probes.h"
#include "worker/trainer/tasks/dataset.h"

namespace coppice::bench {

// Two readings of the plan's sentences: every chart value within `tolerance`, the entropies and the
// mean t_score within `tolerance` of the larger of 1 and their magnitude. FAILED_PRECONDITION names
// the first that differs.
absl::Status CompareReadings(const trainer::ProbePlan& plan, const trainer::ProbeReadings& ours,
                             const trainer::ProbeReadings& theirs, double tolerance);

// Reads sentences of the run's sample, as many as one pass per span reads in `rows`, both ways,
// with initial weights after a few training steps: within 1e-9 in float64, 1e-4 in float32.
// FAILED_PRECONDITION: they differ. Codes of DrawProbeSample.
absl::Status CheckSameScores(const trainer::RunConfig& run, const trainer::Dataset& dataset,
                             int64_t rows);

}  // namespace coppice::bench

#endif  // COPPICE_BENCH_PROBES_SAME_SCORES_H_
