#include "tests/cli/report/synthetic_sweep.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <utility>

#include "common/spec/spec.h"

namespace coppice::cli {
namespace {

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

void AddValue(v1::MetricRow* row, const char* name, double value) {
  v1::MetricValue* added = row->add_values();
  added->set_name(name);
  added->set_value(value);
}

// The onset of a seed's generalization, as a fraction of the run, and its final level.
struct Fate {
  double onset, plateau, noise;
};

Fate FateOf(const v1::Job& job, std::mt19937* random) {
  const double depth = job.depth();
  std::uniform_real_distribution<double> unit(0, 1);
  const double from_best = std::fabs(depth - (job.task() == "tense" ? 4 : 6)) / 4;
  const bool groks = unit(*random) > 0.15 + 0.6 * from_best;
  if (job.task() == "dyck") return {0.01 + 0.01 * from_best, 0.997 - 0.03 * from_best, 0.002};
  const double late = job.task() == "tense" ? 0.25 : 0.1;
  return {late + 0.3 * unit(*random),
          groks ? 0.93 + 0.06 * unit(*random) : 0.15 + 0.5 * unit(*random), 0.025};
}

void AddRows(const Synthetic& synthetic, const v1::Job& job, FakeSweepService* service) {
  std::mt19937 random(static_cast<uint32_t>(job.id()) * 7919 + 11);
  std::normal_distribution<double> normal(0, 1);
  const Fate fate = FateOf(job, &random);
  const double depth = job.depth();
  // A generator of its own, so that the other numbers do not depend on whether there are losses.
  std::mt19937 loss_random(static_cast<uint32_t>(job.id()) * 104729 + 5);
  std::normal_distribution<double> loss_normal(0, 1);
  const uint32_t first = synthetic.step_0 ? 0 : synthetic.every;
  for (uint32_t step = first; step <= job.step(); step += synthetic.every) {
    if (job.state() == v1::PENDING) break;
    const double t = static_cast<double>(step) / job.steps();
    const double late = Sigmoid((t - fate.onset) * 25);
    v1::JobMetrics metrics;
    metrics.set_job_id(job.id());
    metrics.set_task(job.task());
    metrics.set_depth(job.depth());
    metrics.set_seed(job.seed());
    metrics.set_attempt(1);
    v1::MetricRow* row = metrics.mutable_row();
    row->set_step(step);
    if (synthetic.losses) {
      const double floor = 0.004 / (t + 0.02);
      AddValue(row, "train_loss",
               (2 * std::exp(-60 * t) + floor) * std::exp(0.08 * loss_normal(loss_random)));
      AddValue(row, "val_loss",
               (2 * std::exp(-60 * t) + 0.8 * floor) * std::exp(0.25 * loss_normal(loss_random)));
    }
    if (synthetic.accuracies) {
      const double id =
          1 - 0.6 * std::exp(-160 * t) - std::fabs(0.004 * normal(random)) * std::exp(-4 * t);
      AddValue(row, "id_accuracy", std::round(std::min(1.0, id) * 1000) / 1000);
      const double gen = fate.plateau * late + 0.05 * t + fate.noise * normal(random);
      AddValue(row, "gen_accuracy", std::round(std::clamp(gen, 0.0, 1.0) * 10000) / 10000);
    }
    AddValue(row, "grad_norm", 0.4);
    AddValue(row, "learning_rate", 1e-4);
    AddValue(row, "weight_norm",
             (60 + 25 * std::sqrt(t) + normal(random) * 0.4) * std::sqrt(depth));
    AddValue(row, "sequences_per_second", 120);
    if (!synthetic.probes) {
      service->metrics.push_back(std::move(metrics));
      continue;
    }
    AddValue(row, "attention_sparsity",
             -9 + 4 * Sigmoid((t - 0.2) * 10) - 0.15 * depth + 0.1 * normal(random));
    AddValue(row, "t_score",
             0.05 + 0.12 * Sigmoid((t - 0.15) * 18) - 0.004 * std::fabs(depth - 5) +
                 0.004 * normal(random));
    if (job.task() != "dyck") {
      AddValue(row, "t_parseval",
               0.3 + 0.4 * late - 0.02 * std::fabs(depth - 5) + 0.015 * normal(random));
      AddValue(row, "right_branching_f1", job.task() == "tense" ? 0.5 : 0.663);
    }
    service->metrics.push_back(std::move(metrics));
  }
}

void Count(v1::JobState state, v1::JobCounts* counts) {
  switch (state) {
    case v1::PENDING:
      counts->set_pending(counts->pending() + 1);
      break;
    case v1::RUNNING:
      counts->set_running(counts->running() + 1);
      break;
    case v1::FAILED:
      counts->set_failed(counts->failed() + 1);
      break;
    case v1::CANCELLED:
      counts->set_cancelled(counts->cancelled() + 1);
      break;
    default:
      counts->set_succeeded(counts->succeeded() + 1);
  }
}

v1::SweepSpec SpecOf(const Synthetic& synthetic) {
  v1::SweepSpec spec;
  spec.set_name(synthetic.name);
  for (const std::string& task : synthetic.tasks) spec.add_tasks(task);
  for (const uint32_t depth : synthetic.depths) spec.add_depths(depth);
  for (uint32_t seed = 0; seed < synthetic.seeds; ++seed) spec.add_seeds(seed);
  spec.mutable_train()->set_steps(synthetic.steps);
  spec.mutable_report()->set_every(synthetic.every);
  if (!synthetic.probes) spec.mutable_report()->mutable_probes()->set_sentences(0);
  if (synthetic.small_model) {
    spec.mutable_model()->set_d_model(128);
    spec.mutable_model()->set_heads(4);
    spec.mutable_train()->set_learning_rate(5e-4);
  }
  return spec;
}

}  // namespace

void Fill(const Synthetic& synthetic, FakeSweepService* service) {
  absl::MutexLock lock(&service->mutex);
  service->spec = SpecOf(synthetic);
  service->groups.clear();
  service->jobs.clear();
  service->metrics.clear();
  service->provenance =
      R"({"build":"g++ 12.2 -O3","libtorch":"1.13.0","blas":"OpenBLAS 0.3.21","device":"cpu","precision":"float32","threads":2,"pack_width":10})";
  v1::SweepSummary summary;
  summary.set_name(synthetic.name);
  summary.set_created_ms(1'763'700'000'000);
  uint64_t id = 0;
  for (const std::string& task : synthetic.tasks) {
    for (const uint32_t depth : synthetic.depths) {
      v1::GroupSummary group;
      group.set_task(task);
      group.set_depth(depth);
      group.set_steps(synthetic.steps);
      *group.mutable_run() = spec::ResolveRun(service->spec, task, depth);
      service->groups.push_back(group);
      for (uint32_t seed = 0; seed < synthetic.seeds; ++seed) {
        v1::Job job;
        job.set_id(++id);
        job.set_sweep(synthetic.name);
        job.set_task(task);
        job.set_depth(depth);
        job.set_seed(seed);
        job.set_steps(synthetic.steps);
        job.set_state(synthetic.state(id));
        const double done = job.state() == v1::SUCCEEDED ? 1
                            : job.state() == v1::PENDING ? 0
                                                         : synthetic.done(id);
        job.set_step(static_cast<uint32_t>(done * synthetic.steps));
        job.set_attempt(done > 0 ? 1 : 0);
        job.set_attempts(done > 0 ? 1 : 0);
        if (job.state() == v1::FAILED) job.set_reason("nan: the loss is not finite");
        Count(job.state(), summary.mutable_counts());
        summary.set_steps_done(summary.steps_done() + job.step());
        AddRows(synthetic, job, service);
        service->jobs.push_back(job);
      }
    }
  }
  summary.set_jobs(id);
  summary.set_steps_total(id * synthetic.steps);
  service->sweeps = {summary};
}

}  // namespace coppice::cli
