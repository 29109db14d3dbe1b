#include "bench/trainer/same_model.h"

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <vector>

#include "ATen/ops/zeros.h"
#include "absl/strings/str_cat.h"
#include "bench/trainer/workload.h"
#include "c10/core/InferenceMode.h"
#include "common/base/status_macros.h"
#include "worker/trainer/model/transformer.h"
#include "worker/trainer/train/optimizer.h"
#include "worker/trainer/train/permutation.h"

namespace coppice::bench {
namespace {

constexpr uint64_t kSeed = 0;
constexpr double kTolerance = 1e-6;
constexpr double kUpdateTolerance = 1e-2;
constexpr int64_t kUpdates = 3;

// The trainer's model and optimizer for one seed, put together as train/member.cc does it.
template <typename T>
class Ours {
 public:
  static constexpr at::ScalarType kType = std::is_same_v<T, double> ? at::kDouble : at::kFloat;

  Ours(const trainer::RunConfig& run, const trainer::Dataset& dataset)
      : run_(run),
        dataset_(dataset),
        layout_(ShapeOf(run, dataset)),
        model_(layout_, LongestSequence(dataset), kType, trainer::MakeCpuFusedOps(kType)),
        order_(kSeed, static_cast<int32_t>(dataset.train.examples.size()),
               static_cast<int32_t>(run.train.batch_size)) {
    for (at::Tensor* row : {&parameters_, &gradients_, &m_, &v_})
      *row = at::zeros({1, layout_.row_size()}, kType);
    std::vector<float> initial(layout_.row_size());
    trainer::InitializeParameters(layout_, kSeed, initial.data());
    std::copy(initial.begin(), initial.end(), parameters_.data_ptr<T>());
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
    model_.LossAndGradients(trainer::Weights::View(parameters_, layout_),
                            trainer::Weights::View(gradients_, layout_),
                            {{&batch}, {trainer::Dropout()}}, &loss);
    return loss;
  }

  void Step(int64_t step) {
    LossAndGradients(step);
    trainer::ClippedAdamW<T>(run_.train, step,
                             {layout_.row_size(), gradients_.data_ptr<T>(), m_.data_ptr<T>(),
                              v_.data_ptr<T>(), parameters_.data_ptr<T>()});
  }

  const trainer::ParameterLayout& layout() const { return layout_; }
  absl::Span<const T> parameters() const { return Row(parameters_); }
  absl::Span<const T> gradients() const { return Row(gradients_); }

 private:
  absl::Span<const T> Row(const at::Tensor& row) const {
    return {row.data_ptr<T>(), static_cast<size_t>(layout_.row_size())};
  }

  const trainer::RunConfig& run_;
  const trainer::Dataset& dataset_;
  const trainer::ParameterLayout layout_;
  trainer::Transformer model_;
  trainer::BatchOrder order_;
  at::Tensor parameters_, gradients_, m_, v_;
};

}  // namespace

Difference Compare(const trainer::ParameterLayout& layout, absl::Span<const double> ours,
                   absl::Span<const double> theirs) {
  // What is not a number is worse than anything.
  const auto worse = [](double a, double b) { return a > b || (std::isnan(a) && !std::isnan(b)); };
  Difference worst;
  for (const trainer::Parameter& parameter : layout.parameters()) {
    double largest = 0, difference = 0;
    for (int64_t i = parameter.offset; i < parameter.offset + parameter.count(); ++i) {
      largest = std::max(largest, std::abs(ours[i]));
      const double apart = std::abs(ours[i] - theirs[i]);
      if (worse(apart, difference)) difference = apart;
    }
    const double relative = difference / std::max(largest, 1e-30);
    if (worse(relative, worst.relative)) worst = {relative, parameter.name};
  }
  return worst;
}

namespace {

absl::Status CheckGradients(BaselineKind kind, const trainer::RunConfig& run,
                            const trainer::Dataset& dataset) {
  Ours<double> ours(run, dataset);
  Baseline theirs(kind, run, &dataset, kSeed);
  std::vector<double> gradients(ours.layout().row_size());
  const double our_loss = ours.LossAndGradients(0);
  const double their_loss = theirs.LossAndGradients(0, gradients.data());
  if (!(std::abs(our_loss - their_loss) <= kTolerance * std::abs(our_loss))) {
    return absl::FailedPreconditionError(absl::StrCat("the baseline is another model: its loss is ",
                                                      their_loss, ", ours ", our_loss));
  }
  const Difference worst = Compare(ours.layout(), ours.gradients(), gradients);
  if (worst.relative <= kTolerance) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("the baseline is another model: the gradient of ", worst.parameter,
                   " differs by ", worst.relative, " of its largest element"));
}

absl::Status CheckUpdates(BaselineKind kind, const trainer::RunConfig& run,
                          const trainer::Dataset& dataset) {
  Ours<float> ours(run, dataset);
  Baseline theirs(kind, run, &dataset, kSeed);
  const std::vector<float> initial(ours.parameters().begin(), ours.parameters().end());
  for (int64_t step = 0; step < kUpdates; ++step) {
    ours.Step(step);
    theirs.Step(step);
  }
  std::vector<float> row = initial;
  theirs.CopyParameters(row.data());
  double moved = 0, apart = 0;
  for (size_t i = 0; i < row.size(); ++i) {
    moved += std::pow(ours.parameters()[i] - initial[i], 2);
    apart += std::pow(ours.parameters()[i] - row[i], 2);
  }
  if (moved > 0 && std::sqrt(apart / moved) <= kUpdateTolerance) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("the baseline has another optimizer: after ", kUpdates, " updates it is ",
                   std::sqrt(apart), " away, of ", std::sqrt(moved), " that ours has moved"));
}

}  // namespace

absl::Status CheckSameModel(BaselineKind kind, trainer::RunConfig run,
                            const trainer::Dataset& dataset) {
  run.model.dropout = 0;
  run.train.warmup_steps = 1;  // so that the second update already moves the weights
  COPPICE_RETURN_IF_ERROR(CheckGradients(kind, run, dataset));
  return CheckUpdates(kind, run, dataset);
}

}  // namespace coppice::bench
