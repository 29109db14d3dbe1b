#include "cli/report/analysis.h"

#include <algorithm>

namespace coppice::cli {
namespace {

bool Counts(const JobSeries& job) {
  const bool reported = std::any_of(job.curves.begin(), job.curves.end(),
                                    [](const Curve& curve) { return !curve.empty(); });
  const v1::JobState state = job.job.state();
  return reported && (state == v1::SUCCEEDED || state == v1::RUNNING || state == v1::PENDING);
}

SeedResult ResultOf(const JobSeries& job) {
  const Curve& id = job.curves[kIdAccuracy];
  const Curve& gen = job.curves[kGenAccuracy];
  SeedResult seed;
  seed.job = &job;
  seed.provisional = job.job.state() != v1::SUCCEEDED;
  if (!id.empty()) seed.final_id = id.back().value;
  if (!gen.empty()) seed.final_gen = gen.back().value;
  seed.onset = FirstStaysAbove(gen, kGeneralizes);
  seed.stop = StopEarly(id, kPatience);
  if (seed.stop.has_value()) seed.early_gen = ValueAt(gen, seed.stop->checkpoint);
  return seed;
}

void Finish(DepthResult* depth) {
  std::vector<double> id, gen, early;
  for (const SeedResult& seed : depth->seeds) {
    if (seed.provisional) ++depth->provisional;
    if (seed.final_id.has_value()) id.push_back(*seed.final_id);
    if (seed.final_gen.has_value()) gen.push_back(*seed.final_gen);
    if (seed.early_gen.has_value()) early.push_back(*seed.early_gen);
    if (seed.final_gen.has_value() && *seed.final_gen > kGeneralizes) ++depth->above;
  }
  depth->id = Summarize(id);
  depth->gen = Summarize(gen);
  depth->early = Summarize(early);
  depth->share = WilsonInterval(depth->above, depth->gen.n);
}

void TakeSteps(const Curve& curve, TaskResult* task) {
  if (curve.empty()) return;
  task->last_step = std::max(task->last_step, curve.back().step);
  const bool zero = curve[0].step == 0;
  task->has_step_0 |= zero;
  if (zero && curve.size() == 1) return;
  const uint32_t first = curve[zero ? 1 : 0].step;
  task->first_step = task->first_step == 0 ? first : std::min(task->first_step, first);
}

void Finish(TaskResult* task) {
  std::vector<Moments> finals;
  for (DepthResult& depth : task->depths) {
    Finish(&depth);
    finals.push_back(depth.gen);
    for (const SeedResult& seed : depth.seeds) {
      for (const Curve& curve : seed.job->curves) TakeSteps(curve, task);
    }
  }
  task->ranking = Rank(finals);
}

}  // namespace

std::vector<TaskResult> Analyze(const SweepSeries& series) {
  std::vector<TaskResult> tasks;
  for (const JobSeries& job : series.jobs) {
    if (tasks.empty() || tasks.back().task != job.job.task()) {
      tasks.emplace_back().task = job.job.task();
    }
    std::vector<DepthResult>& depths = tasks.back().depths;
    if (depths.empty() || depths.back().depth != job.job.depth()) {
      depths.emplace_back().depth = job.job.depth();
    }
    ++depths.back().jobs;
    if (Counts(job)) depths.back().seeds.push_back(ResultOf(job));
  }
  for (TaskResult& task : tasks) Finish(&task);
  return tasks;
}

std::vector<const Curve*> CurvesOf(const DepthResult& depth, Metric metric) {
  std::vector<const Curve*> curves;
  for (const SeedResult& seed : depth.seeds) {
    const Curve& curve = seed.job->curves[metric];
    if (!curve.empty()) curves.push_back(&curve);
  }
  return curves;
}

}  // namespace coppice::cli
