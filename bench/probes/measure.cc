#include "bench/probes/measure.h"

#include <time.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <limits>
#include <vector>

#include "absl/time/time.h"
#include "bench/probes/per_span.h"
#include "bench/probes/settings.h"
#include "bench/trainer/one_seed.h"
#include "bench/trainer/race.h"
#include "common/base/status_macros.h"
#include "worker/trainer/probes/probes.h"
#include "worker/trainer/train/evaluator.h"
#include "worker/trainer/train/runtime.h"

namespace coppice::bench {
namespace {

constexpr int64_t kWarmUpSteps = 3;

absl::Duration CpuTime() {
  timespec used = {};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return absl::DurationFromTimespec(used);
}

double CpuSeconds(const std::function<void()>& work) {
  const absl::Duration begin = CpuTime();
  work();
  return absl::ToDoubleSeconds(CpuTime() - begin);
}

// The first sentences of a sample whose rows stay within a limit.
struct Part {
  Part(const trainer::ProbeSample& sample, int64_t (*rows_of)(int64_t words), int64_t limit,
       int32_t sos) {
    probes.sample.right_branching_f1 = sample.right_branching_f1;
    for (size_t s = 0; s < sample.sentences.size(); ++s) {
      const int64_t more = rows_of(static_cast<int64_t>(sample.sentences[s].size()));
      if (more > limit) continue;
      limit -= more;
      probes.sample.sentences.push_back(sample.sentences[s]);
      if (sample.has_gold()) probes.sample.gold.push_back(sample.gold[s]);
    }
    probes.plan = trainer::ProbePlan(probes.sample.sentences, sos);
    rows = probes.plan.rows();
    per_span_rows = Sum(RowsPerSpan, probes.sample.sentences);
  }

  trainer::Probes probes;
  int64_t rows = 0;
  int64_t per_span_rows = 0;
};

class Bench {
 public:
  Bench(const trainer::RunConfig& run, const trainer::Dataset& dataset,
        const trainer::ProbeSample& sample, const Effort& effort)
      : effort_(effort),
        sos_(dataset.vocabulary.sos()),
        evaluation_(&dataset),
        whole_(sample, RowsPerFirstWord, std::numeric_limits<int64_t>::max(), sos_),
        probed_(sample, RowsPerFirstWord, effort.per_word_rows, sos_),
        quarter_probed_(sample, RowsPerFirstWord, effort.per_word_rows / 4, sos_),
        spanned_(sample, RowsPerSpan, effort.per_span_rows, sos_),
        quarter_spanned_(sample, RowsPerSpan, effort.per_span_rows / 4, sos_),
        seed_(run, dataset, /*seed=*/0) {
    for (int64_t i = 0; i < kWarmUpSteps; ++i) seed_.Step(step_++);
    Probe(quarter_probed_);
  }

  Costs Round() {
    Costs costs;
    costs.rows = whole_.rows;
    costs.per_span_rows = whole_.per_span_rows;
    const double steps_before = Step();
    const double quarter_probe = Probe(quarter_probed_);
    const double probe = Probe(probed_);
    costs.evaluation = Evaluate() * static_cast<double>(effort_.evaluation_part);
    const double quarter_spans = PerSpan(quarter_spanned_);
    const double spans = PerSpan(spanned_);
    costs.step = (steps_before + Step()) / 2;
    costs.probe = probe * static_cast<double>(whole_.rows);
    costs.per_span = spans * static_cast<double>(whole_.per_span_rows);
    costs.probe_scaling = quarter_probe / probe;
    costs.per_span_scaling = quarter_spans / spans;
    return costs;
  }

 private:
  // Returns CPU seconds a step. The steps run for half of a round's seconds.
  double Step() {
    const int64_t first = step_;
    double used = 0;
    while (used < effort_.seconds / 2) used += CpuSeconds([&] { seed_.Step(step_++); });
    return used / static_cast<double>(step_ - first);
  }

  double Evaluate() {
    trainer::MetricValues values;
    return CpuSeconds([&] {
      trainer::Evaluate(evaluation_, seed_.weights(), &seed_.model(), no_stop_, &values);
    });
  }

  // Returns seconds a row.
  double Probe(const Part& part) {
    trainer::MetricValues values;
    return CpuSeconds([&] {
             trainer::MeasureProbes(part.probes, seed_.weights(), &seed_.model(), no_stop_,
                                    &values);
           }) /
           static_cast<double>(part.rows);
  }
  double PerSpan(const Part& part) {
    return CpuSeconds([&] {
             ReadPerSpan<float>(part.probes.sample.sentences, sos_, seed_.weights(),
                                &seed_.model());
           }) /
           static_cast<double>(part.per_span_rows);
  }

  const Effort effort_;
  const int32_t sos_;
  const std::atomic<bool> no_stop_{false};
  const trainer::EvaluationPlan evaluation_;
  const Part whole_, probed_, quarter_probed_, spanned_, quarter_spanned_;
  OneSeed<float> seed_;
  int64_t step_ = 0;
};

double MedianOf(const std::vector<Costs>& rounds, const std::function<double(const Costs&)>& get) {
  std::vector<double> values;
  for (const Costs& round : rounds) values.push_back(get(round));
  return Median(values);
}

}  // namespace

absl::StatusOr<Measured> MeasureCosts(const trainer::RunConfig& run, const Effort& effort) {
  trainer::PrepareComputeThread();
  const c10::InferenceMode no_autograd;
  const trainer::RunConfig measured_run = WithPartOfTheEvaluation(run, effort.evaluation_part);
  COPPICE_ASSIGN_OR_RETURN(const trainer::Dataset dataset, MakeData(measured_run));
  COPPICE_ASSIGN_OR_RETURN(
      const trainer::ProbeSample sample,
      trainer::DrawProbeSample(run.task, dataset, run.data.seed, run.report.probe_sentences));
  Bench bench(measured_run, dataset, sample, effort);
  std::vector<Costs> rounds;
  for (int i = 0; i < effort.rounds; ++i) rounds.push_back(bench.Round());
  Measured measured;
  measured.costs = rounds.front();
  for (double Costs::*figure : {&Costs::step, &Costs::evaluation, &Costs::probe, &Costs::per_span,
                                &Costs::probe_scaling, &Costs::per_span_scaling}) {
    measured.costs.*figure = MedianOf(rounds, [&](const Costs& round) { return round.*figure; });
  }
  measured.share =
      MedianOf(rounds, [&](const Costs& round) { return round.Share(run.report.every); });
  measured.ratio = MedianOf(rounds, [](const Costs& round) { return round.Ratio(); });
  return measured;
}

}  // namespace coppice::bench
