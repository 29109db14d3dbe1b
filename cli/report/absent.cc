#include "cli/report/absent.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/format.h"

namespace coppice::cli {
namespace {

bool IsProbe(Metric metric) {
  return metric == kAttentionSparsity || metric == kTScore || metric == kTParseval ||
         metric == kRightBranching;
}

struct JobsOf {
  size_t all = 0, pending = 0, running = 0, ended = 0, reported = 0;
};

JobsOf CountJobs(const SweepSeries& series, const std::string& task) {
  JobsOf jobs;
  for (const JobSeries& job : series.jobs) {
    if (job.job.task() != task) continue;
    const v1::JobState state = job.job.state();
    const bool lost = state == v1::FAILED || state == v1::CANCELLED;
    ++jobs.all;
    jobs.pending += state == v1::PENDING;
    jobs.running += state == v1::RUNNING;
    jobs.ended += lost;
    jobs.reported += !lost && std::any_of(job.curves.begin(), job.curves.end(),
                                          [](const Curve& curve) { return !curve.empty(); });
  }
  return jobs;
}

bool ProbesOff(const SweepSeries& series, const std::string& task) {
  const auto& groups = series.sweep.groups();
  return std::any_of(groups.begin(), groups.end(), [&](const v1::GroupSummary& group) {
    return group.task() == task && group.run().report().probes().sentences() == 0;
  });
}

// The settings or command that a run needs to report these metrics.
std::string Remedy(const SweepSeries& series, const std::string& task,
                   const std::vector<Metric>& metrics) {
  const auto has = [&](Metric metric) {
    return std::find(metrics.begin(), metrics.end(), metric) != metrics.end();
  };
  if (std::any_of(metrics.begin(), metrics.end(), IsProbe)) {
    return ProbesOff(series, task)
               ? "; the probes are off (report.probes.sentences is 0). A sweep with "
                 "report.probes.sentences above 0 measures them."
               : "; the probes run at every report.probes.every-th report and at the last one.";
  }
  if (has(kValLoss) || has(kIdAccuracy))
    return "; the trainer measures them on the validation set (data.val, data.files.val).";
  if (has(kGenAccuracy))
    return "; the trainer measures it on the generalization set (data.gen, data.files.gen).";
  return "; the trainer that ran them does not measure it.";
}

}  // namespace

std::string WhyAbsent(const SweepSeries& series, const std::string& task,
                      const std::vector<Metric>& metrics) {
  const std::string& sweep = series.sweep.sweep().name();
  const JobsOf jobs = CountJobs(series, task);
  const std::string again = "then write the report again.";
  if (jobs.reported == 0 && jobs.ended == jobs.all) {
    return absl::StrCat(task, ": every job failed or was cancelled. `coppice retry ", sweep,
                        "` puts them back in line; ", again);
  }
  if (jobs.reported == 0 && jobs.running == 0 && jobs.pending > 0) {
    return absl::StrCat(task, ": no job has reported yet, ", FormatCount(jobs.pending),
                        jobs.pending == 1 ? " waits" : " wait",
                        " to run. `coppice workers` shows who could run them; ", again);
  }
  if (jobs.reported == 0 && jobs.running > 0) {
    return absl::StrCat(task, ": no job has reported yet, ", FormatCount(jobs.running),
                        jobs.running == 1 ? " is" : " are", " running. `coppice status ", sweep,
                        " --watch` shows how far they are; ", again);
  }
  return absl::StrCat(
      task, ": no job that counts has reported ",
      absl::StrJoin(metrics, ", ",
                    [](std::string* out, Metric metric) { *out += MetricName(metric); }),
      Remedy(series, task, metrics));
}

}  // namespace coppice::cli
