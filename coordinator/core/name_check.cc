#include "coordinator/core/name_check.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace coppice::core {
namespace {

std::string TooMany(const std::string& who, size_t most, const std::string& name) {
  return absl::StrCat(who, " would have more than ", most, " different metric names with '", name,
                      "'; a name says what is measured, never a step or a value");
}

}  // namespace

absl::Status NameCheck::Take(const JobRow& job, const MetricRow& row, std::string& error) {
  const MetricNames& known = tx_.memory().metric_names;
  std::vector<std::string> unknown;  // not known in memory
  for (const MetricValue& value : row.values) {
    if (!known.SweepHas(job.sweep_id, value.name)) unknown.push_back(value.name);
  }
  uint64_t count = known.CountOf(job.sweep_id);
  std::vector<std::string> fresh;
  if (!unknown.empty()) {
    COPPICE_ASSIGN_OR_RETURN(count, tx_.read().CountMetricNames(job.sweep_id));
    for (const std::string& name : unknown) {
      COPPICE_ASSIGN_OR_RETURN(const bool there, tx_.read().HasMetricName(job.sweep_id, name));
      if (!there) fresh.push_back(name);
    }
    count += fresh.size();
    if (!fresh.empty() && count > kMaxMetricNamesPerSweep) {
      error = TooMany("the sweep", kMaxMetricNamesPerSweep, fresh.back());
      return absl::OkStatus();
    }
  }
  if (count > kMaxMetricNamesPerJob) COPPICE_RETURN_IF_ERROR(TakeForJob(job.id, row, error));
  if (!error.empty() || unknown.empty()) return absl::OkStatus();
  for (const std::string& name : fresh) {
    COPPICE_RETURN_IF_ERROR(tx_.write().AddMetricName(job.sweep_id, name));
  }
  tx_.AfterCommit(SweepMetricNames{job.sweep_id, std::move(unknown), count});
  return absl::OkStatus();
}

absl::Status NameCheck::TakeForJob(JobId job, const MetricRow& row, std::string& error) {
  if (!of_job_.has_value()) {
    of_job_.emplace();
    if (const MetricNames::Set* known = tx_.memory().metric_names.OfJob(job)) {
      of_job_ = *known;
    } else {
      COPPICE_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                               tx_.read().ListMetricNames(job, kMaxMetricNamesPerJob));
      for (const std::string& name : names) of_job_->insert(MetricNames::HashOf(name));
    }
  }
  const size_t before = of_job_->size();
  for (const MetricValue& value : row.values) {
    if (of_job_->size() >= kMaxMetricNamesPerJob &&
        !of_job_->contains(MetricNames::HashOf(value.name))) {
      of_job_.reset();
      error = TooMany("the job", kMaxMetricNamesPerJob, value.name);
      return absl::OkStatus();
    }
    of_job_->insert(MetricNames::HashOf(value.name));
  }
  if (of_job_->size() == before && tx_.memory().metric_names.OfJob(job) != nullptr)
    return absl::OkStatus();
  tx_.AfterCommit(JobMetricNames{job, *of_job_});
  return absl::OkStatus();
}

}  // namespace coppice::core
