#include "cli/report/analysis.h"

#include <algorithm>

namespace coppice::cli {
namespace {

bool Counts(const JobSeries& job) {
  const bool reported = !job.curves[kIdAccuracy].empty() || !job.curves[kGenAccuracy].empty();
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

void Finish(TaskResult* task) {
  for (size_t i = 0; i < task->depths.size(); ++i) {
    DepthResult& depth = task->depths[i];
    Finish(&depth);
    for (const SeedResult& seed : depth.seeds) {
      for (const Curve& curve : seed.job->curves) {
        if (!curve.empty()) task->last_step = std::max(task->last_step, curve.back().step);
      }
    }
    const bool better = depth.gen.n > 0 && (!task->best.has_value() ||
                                            depth.gen.mean > task->depths[*task->best].gen.mean);
    if (better) task->best = i;
  }
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
