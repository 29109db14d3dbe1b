#include "bench/trainer/same_model.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/trainer/one_seed.h"
#include "common/base/status_macros.h"

namespace coppice::bench {
namespace {

constexpr uint64_t kSeed = 0;
constexpr double kTolerance = 1e-6;
constexpr double kUpdateTolerance = 1e-2;
constexpr int64_t kUpdates = 3;

}  // namespace

Difference Compare(const trainer::ParameterLayout& layout, absl::Span<const double> ours,
                   absl::Span<const double> theirs) {
  // NaN is worse than any number.
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
  OneSeed<double> ours(run, dataset, kSeed);
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
  OneSeed<float> ours(run, dataset, kSeed);
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
