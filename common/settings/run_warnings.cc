#include "common/settings/run_warnings.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/strings/str_cat.h"

namespace coppice::settings {
namespace {

constexpr double kLargestProbeShare = 1.0 / 3;

// The cost of reading a sentence, relative to training on one. Measured at d_model 512
// (docs/performance.md, "What the probes cost"). Below 256, where a step is little more than its
// products, it is about twice as high.
struct ReadingCost {
  double probe;
  double evaluation;
};

ReadingCost CostOf(const RunFacts& run) {
  ReadingCost cost = {0.23, 0.14};
  if (run.task == "tense") cost = {0.23, 0.06};
  if (run.task == "dyck") cost = {1.1, 0.03};
  const double scale = run.d_model < 256 ? 2 : 1;
  return {cost.probe * scale, cost.evaluation * scale};
}

void CheckLearningRate(const RunFacts& run, std::vector<RunWarning>* warnings) {
  if (run.warmup_steps >= run.steps) {
    const double reached = static_cast<double>(run.steps) /
                           static_cast<double>(std::max<int64_t>(1, run.warmup_steps));
    warnings->push_back(
        {"train.warmup_steps", "train.steps",
         absl::StrCat("is ", run.warmup_steps, " and train.steps ", run.steps,
                      ": the learning rate only rises, to ",
                      std::lround(100 * std::min(1.0, reached)),
                      "% of train.learning_rate, and little is learned; use fewer, for example ",
                      run.steps / 10)});
  }
  if (run.lr_decay_steps < run.steps) {
    warnings->push_back({"train.lr_decay_steps", "train.steps",
                         absl::StrCat("is ", run.lr_decay_steps, " and train.steps ", run.steps,
                                      ": the learning rate is 0 from there on; use more, or fewer "
                                      "steps")});
  }
}

void CheckIntervals(const RunFacts& run, std::vector<RunWarning>* warnings) {
  if (run.report_every > run.steps) {
    warnings->push_back({"report.every", "train.steps",
                         absl::StrCat("is ", run.report_every, " and train.steps ", run.steps,
                                      ": the last step is the only one that is reported")});
  }
  if (run.checkpoint_every > run.steps) {
    warnings->push_back(
        {"checkpoint.every", "train.steps",
         absl::StrCat("is ", run.checkpoint_every, " and train.steps ", run.steps,
                      ": nothing is saved before the last step, so that a lost machine costs the "
                      "whole run")});
  }
  if (run.checkpoint_keep_every == 0 || run.checkpoint_every == 0) return;
  // A checkpoint can be kept only at a step that has one.
  const int64_t kept = std::lcm(run.checkpoint_keep_every, run.checkpoint_every);
  if (kept == run.checkpoint_keep_every && kept <= run.steps) return;
  warnings->push_back(
      {"checkpoint.keep_every", "checkpoint.every",
       absl::StrCat("is ", run.checkpoint_keep_every, " and checkpoint.every ",
                    run.checkpoint_every, ": of the checkpoints ",
                    kept > run.steps ? std::string("none before the last step is kept for it")
                                     : absl::StrCat("those at multiples of ", kept, " are kept"),
                    "; use a multiple of checkpoint.every")});
}

void CheckProbes(const RunFacts& run, std::vector<RunWarning>* warnings) {
  const double share = ProbeShare(run);
  if (share <= kLargestProbeShare) return;
  warnings->push_back(
      {"report.probes.sentences", "report.every",
       absl::StrCat("is ", run.probe_sentences, " with a report every ", run.report_every,
                    " steps: the probes take about ", std::lround(100 * share),
                    "% of the run's time; use fewer sentences, rarer reports or probes.every")});
}

}  // namespace

RunFacts FactsOf(const Values& run) {
  RunFacts facts;
  facts.task = run.Text("task");
  facts.d_model = run.Integer("model.d_model");
  facts.steps = run.Integer("train.steps");
  facts.batch_size = run.Integer("train.batch_size");
  facts.warmup_steps = run.Integer("train.warmup_steps");
  facts.lr_decay_steps = run.Integer("train.lr_decay_steps");
  facts.train_sentences = run.Integer("data.train");
  facts.val_sentences = run.Integer("data.val");
  facts.gen_sentences = run.Integer("data.gen");
  facts.report_every = run.Integer("report.every");
  facts.probe_sentences = run.Integer("report.probes.sentences");
  facts.probe_every = run.Integer("report.probes.every");
  facts.checkpoint_every = run.Integer("checkpoint.every");
  facts.checkpoint_keep_every = run.Integer("checkpoint.keep_every");
  return facts;
}

double ProbeShare(const RunFacts& run) {
  // Question formation probes only inputs that ask for a question, which are half of all.
  const int64_t most = run.task == "question" ? run.train_sentences / 2 : run.train_sentences;
  const auto probed = static_cast<double>(std::min(run.probe_sentences, most));
  if (probed <= 0) return 0;
  const ReadingCost cost = CostOf(run);
  // All amounts are in sentences trained on, for the part of a run with one round of probes.
  const double every = static_cast<double>(run.report_every) *
                       static_cast<double>(std::max<int64_t>(1, run.probe_every));
  const auto steps = static_cast<double>(run.steps);
  const double reports =
      std::max(1.0, std::min(every, steps) / static_cast<double>(run.report_every));
  const double trained = std::min(every, steps) * static_cast<double>(run.batch_size);
  const double evaluated =
      reports * cost.evaluation * static_cast<double>(run.val_sentences + run.gen_sentences);
  const double probes = cost.probe * probed;
  return probes / (trained + evaluated + probes);
}

std::vector<RunWarning> RunWarnings(const RunFacts& run) {
  std::vector<RunWarning> warnings;
  if (run.steps <= 0 || run.report_every <= 0) return warnings;
  CheckLearningRate(run, &warnings);
  CheckIntervals(run, &warnings);
  CheckProbes(run, &warnings);
  return warnings;
}

}  // namespace coppice::settings
