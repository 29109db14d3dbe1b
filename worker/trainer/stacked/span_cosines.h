// Cosines of growing spans, for the tree projections (model/kernels.h, SpanCosineArgs).
#ifndef COPPICE_WORKER_TRAINER_STACKED_SPAN_COSINES_H_
#define COPPICE_WORKER_TRAINER_STACKED_SPAN_COSINES_H_

#include "worker/trainer/stacked/lanes.h"

namespace coppice::trainer {

// A chain's words have the indices first .. first + length in the lists of rows, and its cosines
// the same indices in the results.
struct ChainPlace {
  int64_t first = 0;
  int64_t length = 0;
};

template <typename T>
struct SpanCosineChain {
  static constexpr LaneGroup kLaneGroup = LaneGroup::kWarp;
  int64_t members = 0;
  int64_t chains = 0;
  int64_t words = 0;  // of all chains
  int64_t d = 0;
  const ChainPlace* places = nullptr;     // [chains]
  const int32_t* context_rows = nullptr;  // [words]
  const int32_t* alone_rows = nullptr;    // [words]
  const T* context = nullptr;             // [K, C, d]
  int64_t context_stride = 0;             // between two members
  const T* alone = nullptr;               // [K, R, d]
  int64_t alone_stride = 0;               // between two members
  T* sums = nullptr;                      // [K, chains, 2 d]
  double* cosines = nullptr;              // [K, words]

  COPPICE_HOST_DEVICE int64_t items() const { return members * chains; }

  // A lane reads back only the sums that it wrote itself.
  template <typename Lanes>
  COPPICE_HOST_DEVICE void operator()(const Lanes& lanes, int64_t item) const {
    const int64_t k = item / chains;
    const ChainPlace place = places[item % chains];
    T* in_context = sums + item * 2 * d;
    T* by_itself = in_context + d;
    for (int64_t i = lanes.lane(); i < d; i += lanes.size()) in_context[i] = by_itself[i] = T(0);
    for (int64_t j = place.first; j < place.first + place.length; ++j) {
      const T* from_context = context + k * context_stride + context_rows[j] * d;
      const T* from_alone = alone + k * alone_stride + alone_rows[j] * d;
      T contexts = 0, alones = 0, products = 0;
      for (int64_t i = lanes.lane(); i < d; i += lanes.size()) {
        in_context[i] += from_context[i];
        by_itself[i] += from_alone[i];
        contexts += in_context[i] * in_context[i];
        alones += by_itself[i] * by_itself[i];
        products += in_context[i] * by_itself[i];
      }
      const double norms = sqrt(static_cast<double>(lanes.Sum(contexts))) *
                           sqrt(static_cast<double>(lanes.Sum(alones)));
      const double product = static_cast<double>(lanes.Sum(products));
      // This form keeps NaN.
      if (lanes.lane() == 0) cosines[k * words + j] = norms == 0 ? 0 : product / norms;
    }
  }
};

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_STACKED_SPAN_COSINES_H_
