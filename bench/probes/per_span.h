// The probes as a plain program computes them, for comparison: with one forward pass for each span
// of each sentence.
#ifndef COPPICE_BENCH_PROBES_PER_SPAN_H_
#define COPPICE_BENCH_PROBES_PER_SPAN_H_

#include <cstdint>
#include <vector>

#include "worker/trainer/model/transformer.h"
#include "worker/trainer/probes/probes.h"

namespace coppice::bench {

// Reads every sentence in context and every span of it by itself: SOS and the span's words at
// unchanged positions, as in Murty et al. 2023. Uses the trainer's own model in inference mode, and
// batches as large as the probes'. Two readings share only the row of SOS, which a batch has once;
// this favors the plain program. Only for K = 1. T is the weights' type.
template <typename T>
trainer::ProbeReadings ReadPerSpan(const std::vector<std::vector<int32_t>>& sentences, int32_t sos,
                                   const trainer::Weights& weights, trainer::Transformer* model);

// Number of words that ReadPerSpan reads of a sentence, including those in context but not SOS.
int64_t RowsPerSpan(int64_t words);
// Number of words in one pass for each first word. The probes read so many if nothing is shared.
int64_t RowsPerFirstWord(int64_t words);
int64_t Sum(int64_t (*rows)(int64_t words), const std::vector<std::vector<int32_t>>& sentences);

}  // namespace coppice::bench

#endif  // COPPICE_BENCH_PROBES_PER_SPAN_H_
