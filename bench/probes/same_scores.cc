#include "bench/probes/same_scores.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/probes/per_span.h"
#include "bench/trainer/one_seed.h"
#include "common/base/status_macros.h"
#include "worker/trainer/probes/sample.h"
#include "worker/trainer/probes/tree_projection.h"

namespace coppice::bench {
namespace {

constexpr int64_t kSteps = 3;

double MeanScore(const trainer::ProbePlan& plan, const std::vector<double>& charts) {
  double score = 0;
  for (size_t s = 0; s < plan.sentences(); ++s) {
    score +=
        trainer::ProjectTree(plan.words(s), absl::MakeConstSpan(charts.data() + plan.first_value(s),
                                                                trainer::SpanCount(plan.words(s))))
            .normalized_score;
  }
  return score / static_cast<double>(plan.sentences());
}

absl::Status CompareNumbers(absl::string_view what, double ours, double theirs, double tolerance) {
  if (std::abs(ours - theirs) <= tolerance * std::max(1.0, std::abs(theirs)))
    return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(what, " is ", ours, " by the probes and ", theirs, " by one pass per span"));
}

template <typename T>
absl::Status Check(const trainer::RunConfig& run, const trainer::Dataset& dataset,
                   const std::vector<std::vector<int32_t>>& sentences, double tolerance) {
  const c10::InferenceMode no_autograd;
  OneSeed<T> seed(run, dataset, /*seed=*/0);
  for (int64_t step = 0; step < kSteps; ++step) seed.Step(step);
  const int32_t sos = dataset.vocabulary.sos();
  const trainer::ProbePlan plan(sentences, sos);
  const std::atomic<bool> no_stop{false};
  const auto ours = trainer::ReadProbes(plan, seed.weights(), &seed.model(), no_stop);
  const trainer::ProbeReadings theirs =
      ReadPerSpan<T>(sentences, sos, seed.weights(), &seed.model());
  return CompareReadings(plan, ours->front(), theirs, tolerance);
}

}  // namespace

absl::Status CompareReadings(const trainer::ProbePlan& plan, const trainer::ProbeReadings& ours,
                             const trainer::ProbeReadings& theirs, double tolerance) {
  for (size_t s = 0; s < plan.sentences(); ++s) {
    for (int64_t i = 0; i < trainer::SpanCount(plan.words(s)); ++i) {
      const int64_t at = plan.first_value(s) + i;
      COPPICE_RETURN_IF_ERROR(CompareNumbers(absl::StrCat("value ", i, " of sentence ", s),
                                             ours.charts[at], theirs.charts[at], tolerance));
    }
  }
  COPPICE_RETURN_IF_ERROR(CompareNumbers("the sum of the attention entropies", ours.entropy_sum,
                                         theirs.entropy_sum, tolerance));
  return CompareNumbers("t_score", MeanScore(plan, ours.charts), MeanScore(plan, theirs.charts),
                        tolerance);
}

absl::Status CheckSameScores(const trainer::RunConfig& run, const trainer::Dataset& dataset,
                             int64_t rows) {
  trainer::RunConfig moving = run;
  moving.train.warmup_steps = 1;  // so that the steps move the weights
  COPPICE_ASSIGN_OR_RETURN(
      trainer::ProbeSample sample,
      trainer::DrawProbeSample(run.task, dataset, run.data.seed, run.report.probe_sentences));
  std::vector<std::vector<int32_t>> sentences;
  for (std::vector<int32_t>& sentence : sample.sentences) {
    const int64_t more = RowsPerSpan(static_cast<int64_t>(sentence.size()));
    if (more > rows) continue;
    rows -= more;
    sentences.push_back(std::move(sentence));
  }
  if (sentences.empty()) return absl::InvalidArgumentError("no sentence has as few rows");
  COPPICE_RETURN_IF_ERROR(Check<double>(moving, dataset, sentences, 1e-9));
  return Check<float>(moving, dataset, sentences, 1e-4);
}

}  // namespace coppice::bench
