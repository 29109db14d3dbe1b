#include "cli/sweep_model.h"

#include "cli/selection.h"
#include "cli/sweep_view.h"
#include "common/base/status_macros.h"

namespace coppice::cli {

absl::Status SweepModel::Load(Client* client, const std::string& sweep) {
  v1::JobFilter filter;
  filter.set_sweep(sweep);
  return LoadPoints(client, filter);
}

absl::Status SweepModel::LoadPoints(Client* client, const v1::JobFilter& filter) {
  COPPICE_ASSIGN_OR_RETURN(sweep_, client->GetSweep(filter.sweep()));
  narrowed_ = KeepPoints(filter, sweep_.mutable_groups());
  jobs_.clear();
  has_jobs_ =
      narrowed_ ? SumOf(CountsOf(sweep_.groups())) <= kMaxJobs : sweep_.sweep().jobs() <= kMaxJobs;
  if (!has_jobs_) return absl::OkStatus();
  return client->ListJobs(filter, true, [&](const v1::ListJobsResponse& page) {
    for (const v1::Job& job : page.jobs()) jobs_[job.id()] = job;
    return true;
  });
}

SweepModel::Change SweepModel::Apply(const v1::WatchSweepResponse& update) {
  Change change;
  if (update.has_summary()) {
    *sweep_.mutable_sweep() = update.summary();
    return change;
  }
  if (!update.has_job()) return change;
  change.is_job = true;
  change.now = update.job();
  if (!has_jobs_) return change;
  v1::Job& known = jobs_[update.job().id()];
  change.before = known;
  // An update of the state may omit the metrics.
  if (change.now.latest().empty()) *change.now.mutable_latest() = known.latest();
  known = change.now;
  return change;
}

void SweepModel::Refresh(const std::vector<v1::Job>& listed) {
  for (const v1::Job& job : listed) {
    const auto known = jobs_.find(job.id());
    if (known == jobs_.end()) continue;
    if (known->second.attempt() == job.attempt() && known->second.state() == job.state())
      known->second = job;
  }
}

bool LatestMetric(const v1::Job& job, const std::string& name, double* value) {
  for (const v1::MetricValue& metric : job.latest()) {
    if (metric.name() != name) continue;
    *value = metric.value();
    return true;
  }
  return false;
}

}  // namespace coppice::cli
