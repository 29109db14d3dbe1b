#include "cli/report/series.h"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <unordered_map>

#include "common/base/status_macros.h"

namespace coppice::cli {
namespace {

constexpr const char* kNames[kMetricCount] = {
    "id_accuracy",        "gen_accuracy", "weight_norm", "weight_norm_per_layer",
    "attention_sparsity", "t_score",      "t_parseval",  "right_branching_f1",
    "train_loss",         "val_loss"};

using JobIndex = std::unordered_map<uint64_t, JobSeries*>;

void Take(const v1::JobMetrics& row, const JobIndex& jobs, SweepSeries* series) {
  const auto job = jobs.find(row.job_id());
  if (job == jobs.end()) return;
  for (const v1::MetricValue& value : row.row().values()) {
    const auto name = std::find(std::begin(kNames), std::end(kNames), value.name());
    if (name == std::end(kNames)) continue;
    if (!std::isfinite(value.value())) {
      ++series->not_finite;
      continue;
    }
    job->second->curves[name - std::begin(kNames)].push_back({row.row().step(), value.value()});
  }
}

absl::Status ReadMetrics(Client* client, SweepSeries* series) {
  JobIndex jobs;
  for (JobSeries& job : series->jobs) jobs[job.job.id()] = &job;
  v1::GetMetricsRequest request;
  request.mutable_filter()->set_sweep(series->sweep.sweep().name());
  for (const char* name : kNames) request.add_names(name);
  COPPICE_RETURN_IF_ERROR(client->GetMetrics(request, [&](const v1::GetMetricsResponse& response) {
    for (const v1::JobMetrics& row : response.rows()) Take(row, jobs, series);
    return true;
  }));
  for (JobSeries& job : series->jobs) {
    Curve& per_layer = job.curves[kWeightNormPerLayer];
    if (!per_layer.empty() || job.job.depth() == 0) continue;
    for (const Point& point : job.curves[kWeightNorm]) {
      per_layer.push_back({point.step, point.value / job.job.depth()});
    }
  }
  return absl::OkStatus();
}

absl::Status ReadProvenance(Client* client, SweepSeries* series) {
  for (JobSeries& job : series->jobs) {
    if (job.job.attempts() == 0 && job.job.step() == 0 && job.job.attempt() == 0) continue;
    COPPICE_ASSIGN_OR_RETURN(const v1::GetJobResponse response, client->GetJob(job.job.id()));
    for (const v1::Attempt& attempt : response.attempts()) {
      if (!attempt.provenance().empty()) job.provenance = attempt.provenance();
    }
  }
  return absl::OkStatus();
}

}  // namespace

const char* MetricName(Metric metric) { return kNames[metric]; }

absl::StatusOr<SweepSeries> CollectSeries(Client* client, const std::string& sweep) {
  SweepSeries series;
  COPPICE_ASSIGN_OR_RETURN(series.sweep, client->GetSweepWithRuns(sweep));
  v1::JobFilter filter;
  filter.set_sweep(sweep);
  COPPICE_RETURN_IF_ERROR(client->ListJobs(filter, false, [&](const v1::ListJobsResponse& page) {
    for (const v1::Job& job : page.jobs()) series.jobs.emplace_back().job = job;
    return true;
  }));
  const auto& tasks = series.sweep.spec().tasks();
  const auto key = [&](const JobSeries& job) {
    return std::tuple(std::find(tasks.begin(), tasks.end(), job.job.task()) - tasks.begin(),
                      job.job.task(), job.job.depth(), job.job.seed());
  };
  std::sort(series.jobs.begin(), series.jobs.end(),
            [&](const JobSeries& a, const JobSeries& b) { return key(a) < key(b); });
  COPPICE_RETURN_IF_ERROR(ReadMetrics(client, &series));
  COPPICE_RETURN_IF_ERROR(ReadProvenance(client, &series));
  return series;
}

}  // namespace coppice::cli
