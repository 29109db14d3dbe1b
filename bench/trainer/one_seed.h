// The trainer's model and optimizer for one seed, assembled as in train/member.cc.
#ifndef COPPICE_BENCH_TRAINER_ONE_SEED_H_
#define COPPICE_BENCH_TRAINER_ONE_SEED_H_

#include <algorithm>
#include <type_traits>
#include <vector>

#include "ATen/ops/zeros.h"
#include "absl/types/span.h"
#include "bench/trainer/workload.h"
#include "c10/core/InferenceMode.h"
#include "worker/trainer/model/transformer.h"
#include "worker/trainer/train/optimizer.h"
#include "worker/trainer/train/permutation.h"

namespace coppice::bench {

// T: float, or double for comparisons. The run and the dataset must outlive it. Not thread-safe.
template <typename T>
class OneSeed {
 public:
  static constexpr at::ScalarType kType = std::is_same_v<T, double> ? at::kDouble : at::kFloat;

  OneSeed(const trainer::RunConfig& run, const trainer::Dataset& dataset, uint64_t seed)
      : run_(run),
        dataset_(dataset),
        seed_(seed),
        layout_(ShapeOf(run, dataset)),
        model_(layout_, LongestSequence(dataset), kType, trainer::MakeCpuOps(kType)),
        order_(seed, static_cast<int32_t>(dataset.train.examples.size()),
               static_cast<int32_t>(run.train.batch_size)) {
    for (at::Tensor* row : {&parameters_, &gradients_, &m_, &v_})
      *row = at::zeros({1, layout_.row_size()}, kType);
    std::vector<float> initial(layout_.row_size());
    trainer::InitializeParameters(layout_, seed, initial.data());
    std::copy(initial.begin(), initial.end(), parameters_.data_ptr<T>());
    weights_ = trainer::Weights::View(parameters_, layout_);
    gradient_views_ = trainer::Weights::View(gradients_, layout_);
  }

  double LossAndGradients(int64_t step) {
    const c10::InferenceMode no_autograd;
    trainer::MemberBatch batch;
    const int32_t* indices = order_.Batch(step);
    for (int64_t i = 0; i < run_.train.batch_size; ++i) {
      const std::vector<int32_t>& words = dataset_.train.examples[indices[i]].tokens;
      batch.Append(words.data(), static_cast<int32_t>(words.size()), dataset_.vocabulary.sos(),
                   dataset_.vocabulary.eos());
    }
    double loss = 0;
    model_.LossAndGradients(weights_, gradient_views_,
                            {{&batch}, {trainer::Dropout::For(seed_, step, run_.model.dropout)}},
                            &loss);
    return loss;
  }

  void Step(int64_t step) {
    LossAndGradients(step);
    trainer::ClippedAdamW<T>(run_.train, step,
                             {layout_.row_size(), gradients_.data_ptr<T>(), m_.data_ptr<T>(),
                              v_.data_ptr<T>(), parameters_.data_ptr<T>()});
  }

  trainer::Transformer& model() { return model_; }
  const trainer::Weights& weights() const { return weights_; }
  const trainer::ParameterLayout& layout() const { return layout_; }
  absl::Span<const T> parameters() const { return Row(parameters_); }
  absl::Span<const T> gradients() const { return Row(gradients_); }

 private:
  absl::Span<const T> Row(const at::Tensor& row) const {
    return {row.data_ptr<T>(), static_cast<size_t>(layout_.row_size())};
  }

  const trainer::RunConfig& run_;
  const trainer::Dataset& dataset_;
  const uint64_t seed_;
  const trainer::ParameterLayout layout_;
  trainer::Transformer model_;
  trainer::BatchOrder order_;
  at::Tensor parameters_, gradients_, m_, v_;
  trainer::Weights weights_, gradient_views_;
};

}  // namespace coppice::bench

#endif  // COPPICE_BENCH_TRAINER_ONE_SEED_H_
