#include "coordinator/core/dispatch/worker_health.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace coppice::core {
namespace {

// Limit on each worker's failed jobs; the suspicion is certain long before.
constexpr size_t kMaxJobs = 1000;
// Limit on each worker's groups with their own width. New sweeps keep coming, and a forgotten width
// is learned again.
constexpr size_t kMaxWidths = 4096;

uint32_t& WidthOf(std::map<GroupId, uint32_t>& widths, GroupId group) {
  if (widths.size() >= kMaxWidths && !widths.contains(group)) widths.erase(widths.begin());
  return widths[group];
}

}  // namespace

void WorkerHealth::OnFailure(const std::string& worker, const Failure& failure, absl::Duration now,
                             int64_t now_ms) {
  Entry& entry = workers_[worker];
  if (entry.jobs.size() >= kMaxJobs || !entry.jobs.insert(failure.job_id).second) return;
  if (failure.request_id == entry.last_request) return;
  entry.last_request = failure.request_id;
  if (++entry.failures < kFailures) return;
  const uint32_t doublings = std::min(entry.failures - kFailures, 10u);
  const absl::Duration rest = std::min(kFirstBackoff * (1u << doublings), kLongestBackoff);
  suspects_.insert(worker);
  entry.suspicion = {now + rest, now_ms + absl::ToInt64Milliseconds(rest),
                     absl::StrCat(entry.failures, " packs of different jobs in a row failed on it ",
                                  "before they had got anywhere; the last: ", failure.what)};
}

void WorkerHealth::OnProgress(const std::string& worker, int64_t now_ms) {
  Entry& entry = workers_[worker];
  entry.progressed_ms = now_ms;
  entry.failures = 0;
  entry.last_request.clear();
  entry.jobs.clear();
  entry.suspicion = {};
  suspects_.erase(worker);
}

void WorkerHealth::OnNewProcess(const std::string& worker, bool same_settings) {
  const auto it = workers_.find(worker);
  if (it == workers_.end()) return;
  Entry fresh;
  fresh.progressed_ms = it->second.progressed_ms;
  if (same_settings) fresh.widths = std::move(it->second.widths);
  it->second = std::move(fresh);
  suspects_.erase(worker);
}

void WorkerHealth::Forget(const std::string& worker) {
  workers_.erase(worker);
  suspects_.erase(worker);
}

std::optional<WorkerHealth::Suspicion> WorkerHealth::SuspicionOf(const std::string& worker,
                                                                 absl::Duration now) const {
  const auto it = workers_.find(worker);
  if (it == workers_.end() || it->second.suspicion.until <= now) return std::nullopt;
  return it->second.suspicion;
}

std::optional<absl::Duration> WorkerHealth::NextEnd(absl::Duration now) const {
  std::optional<absl::Duration> next;
  for (const std::string& name : suspects_) {
    const absl::Duration until = workers_.at(name).suspicion.until;
    if (until > now) next = std::min(next.value_or(until), until);
  }
  return next;
}

int64_t WorkerHealth::progressed_ms(const std::string& worker) const {
  const auto it = workers_.find(worker);
  return it == workers_.end() ? 0 : it->second.progressed_ms;
}

void WorkerHealth::OnTooWide(const std::string& worker, GroupId group, uint32_t width) {
  const uint32_t half = std::max(width / 2, 1u);
  uint32_t& width_of_group = WidthOf(workers_[worker].widths, group);
  width_of_group = width_of_group == 0 ? half : std::min(width_of_group, half);
}

void WorkerHealth::OnMeasured(const std::string& worker, GroupId group, uint32_t width) {
  WidthOf(workers_[worker].measured, group) = std::max(width, 1u);
}

bool WorkerHealth::KnowsWidth(const std::string& worker, GroupId group) const {
  const auto it = workers_.find(worker);
  return it != workers_.end() &&
         (it->second.widths.contains(group) || it->second.measured.contains(group));
}

uint32_t WorkerHealth::WidthFor(const std::string& worker, GroupId group, uint32_t asked) const {
  const auto it = workers_.find(worker);
  if (it == workers_.end()) return asked;
  uint32_t width = asked;
  for (const auto* reported : {&it->second.widths, &it->second.measured}) {
    const auto limit = reported->find(group);
    if (limit != reported->end()) width = std::min(width, limit->second);
  }
  return width;
}

}  // namespace coppice::core
