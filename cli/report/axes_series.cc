#include "cli/report/axes_series.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <unordered_map>
#include <utility>

#include "common/base/status_macros.h"
#include "common/spec/axes.h"

namespace coppice::cli {
namespace {

constexpr size_t kMaxOwnMetrics = 6;

using AxesJobIndex = std::unordered_map<uint64_t, AxesJob*>;

absl::Status ReadJobs(Client* client, AxesSeries* series) {
  std::map<std::string, size_t> groups;
  for (int i = 0; i < series->sweep.groups_size(); ++i)
    groups.emplace(GroupName(series->sweep.groups(i)), static_cast<size_t>(i));
  v1::JobFilter filter;
  filter.set_sweep(series->sweep.sweep().name());
  COPPICE_RETURN_IF_ERROR(client->ListJobs(filter, false, [&](const v1::ListJobsResponse& page) {
    for (const v1::Job& job : page.jobs()) {
      const auto group = groups.find(spec::PointText(job.point(), job.task(), job.depth()));
      if (group != groups.end()) series->jobs.push_back({job, group->second, {}});
    }
    return true;
  }));
  std::sort(series->jobs.begin(), series->jobs.end(), [](const AxesJob& a, const AxesJob& b) {
    return std::make_pair(a.group, a.job.seed()) < std::make_pair(b.group, b.job.seed());
  });
  return absl::OkStatus();
}

absl::Status ReadCurves(Client* client, AxesSeries* series) {
  AxesJobIndex jobs;
  for (AxesJob& job : series->jobs) jobs[job.job.id()] = &job;
  v1::GetMetricsRequest request;
  request.mutable_filter()->set_sweep(series->sweep.sweep().name());
  for (const std::string& name : series->metrics) request.add_names(name);
  std::set<std::string> names;
  COPPICE_RETURN_IF_ERROR(client->GetMetrics(request, [&](const v1::GetMetricsResponse& response) {
    for (const v1::JobMetrics& row : response.rows()) {
      const auto job = jobs.find(row.job_id());
      if (job == jobs.end()) continue;
      for (const v1::MetricValue& value : row.row().values()) {
        if (!std::isfinite(value.value())) {
          ++series->not_finite;
          continue;
        }
        job->second->curves[value.name()].push_back({row.row().step(), value.value()});
        names.insert(value.name());
      }
    }
    return true;
  }));
  if (!series->metrics.empty()) return absl::OkStatus();
  series->metrics.assign(names.begin(), names.end());
  series->metrics.resize(std::min(series->metrics.size(), kMaxOwnMetrics));
  return absl::OkStatus();
}

}  // namespace

bool AxesJob::counts() const {
  const v1::JobState state = job.state();
  return !curves.empty() &&
         (state == v1::SUCCEEDED || state == v1::RUNNING || state == v1::PENDING);
}

size_t AxesSeries::AxisIndex(const std::string& name) const {
  return static_cast<size_t>(std::find(points.axes.begin(), points.axes.end(), name) -
                             points.axes.begin());
}

std::vector<std::string> AxesSeries::ValuesOf(size_t axis) const {
  std::vector<std::string> values;
  // Points of a grid come in the order of its axes, but an exclude may take the first ones out.
  for (const v1::Axis& of : spec::AxesOf(sweep.spec())) {
    if (of.name() != points.axes[axis]) continue;
    for (const v1::AxisValue& value : of.values()) {
      const bool any = std::any_of(points.values.begin(), points.values.end(),
                                   [&](const auto& point) { return point[axis] == value.name(); });
      if (any) values.push_back(value.name());
    }
  }
  return values;
}

absl::StatusOr<AxesSeries> CollectAxesSeries(Client* client, const std::string& sweep) {
  AxesSeries series;
  COPPICE_ASSIGN_OR_RETURN(series.sweep, client->GetSweepWithRuns(sweep));
  series.points = PointRowsOf(series.sweep.groups());
  if (!series.sweep.spec().has_program()) {
    series.metrics = {"gen_accuracy", "id_accuracy", "val_loss", "train_loss"};
  } else {
    const auto& primary = series.sweep.spec().program().primary();
    series.metrics.assign(primary.begin(), primary.end());
  }
  COPPICE_RETURN_IF_ERROR(ReadJobs(client, &series));
  COPPICE_RETURN_IF_ERROR(ReadCurves(client, &series));
  return series;
}

}  // namespace coppice::cli
