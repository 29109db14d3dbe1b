#include "coordinator/core/catalog.h"

#include <map>
#include <utility>

namespace coppice::core {

void Catalog::Add(const SweepRow& sweep, const std::vector<GroupRow>& groups) {
  Entry entry;
  entry.sweep = std::make_shared<const SweepInfo>(
      SweepInfo{sweep.id, sweep.name, sweep.priority, sweep.max_failures, sweep.created_ms});
  for (const GroupRow& group : groups) {
    entry.groups.push_back(std::make_shared<const GroupInfo>(
        GroupInfo{group.id, group.spec, group.first_job, group.jobs, entry.sweep}));
  }
  absl::MutexLock lock(&mutex_);
  ids_[sweep.name] = sweep.id;
  for (const auto& group : entry.groups) groups_[group->id] = group;
  if (sweep.paused) paused_.insert(sweep.id);
  sweeps_[sweep.id] = std::move(entry);
}

void Catalog::Extend(const SweepRow& sweep, const std::vector<GroupRow>& groups) {
  const auto info = std::make_shared<const SweepInfo>(
      SweepInfo{sweep.id, sweep.name, sweep.priority, sweep.max_failures, sweep.created_ms});
  absl::MutexLock lock(&mutex_);
  const auto found = sweeps_.find(sweep.id);
  if (found == sweeps_.end()) return;
  std::map<GroupId, std::shared_ptr<const GroupInfo>> by_id;
  for (const auto& known : found->second.groups) {
    by_id[known->id] = std::make_shared<const GroupInfo>(
        GroupInfo{known->id, known->spec, known->first_job, known->jobs, info});
  }
  for (const GroupRow& group : groups) {
    by_id[group.id] = std::make_shared<const GroupInfo>(
        GroupInfo{group.id, group.spec, group.first_job, group.jobs, info});
  }
  Entry entry{info, {}};
  entry.groups.reserve(by_id.size());
  for (const auto& [id, group] : by_id) {
    groups_[id] = group;
    entry.groups.push_back(group);
  }
  found->second = std::move(entry);
}

void Catalog::SetPaused(SweepId id, bool paused) {
  absl::MutexLock lock(&mutex_);
  if (paused) {
    paused_.insert(id);
  } else {
    paused_.erase(id);
  }
}

void Catalog::Remove(SweepId id) {
  absl::MutexLock lock(&mutex_);
  const auto it = sweeps_.find(id);
  if (it == sweeps_.end()) return;
  const auto name = ids_.find(it->second.sweep->name);
  if (name != ids_.end() && name->second == id) ids_.erase(name);
  for (const auto& group : it->second.groups) groups_.erase(group->id);
  paused_.erase(id);
  sweeps_.erase(it);
}

std::shared_ptr<const SweepInfo> Catalog::FindSweep(const std::string& name) const {
  absl::MutexLock lock(&mutex_);
  const auto it = ids_.find(name);
  return it == ids_.end() ? nullptr : sweeps_.at(it->second).sweep;
}

std::shared_ptr<const SweepInfo> Catalog::FindSweep(SweepId id) const {
  absl::MutexLock lock(&mutex_);
  const auto it = sweeps_.find(id);
  return it == sweeps_.end() ? nullptr : it->second.sweep;
}

std::shared_ptr<const GroupInfo> Catalog::Group(GroupId id) const {
  absl::MutexLock lock(&mutex_);
  const auto it = groups_.find(id);
  return it == groups_.end() ? nullptr : it->second;
}

std::vector<std::shared_ptr<const GroupInfo>> Catalog::GroupsOf(SweepId id) const {
  absl::MutexLock lock(&mutex_);
  const auto it = sweeps_.find(id);
  if (it == sweeps_.end()) return {};
  return it->second.groups;
}

std::vector<std::shared_ptr<const SweepInfo>> Catalog::Sweeps() const {
  absl::MutexLock lock(&mutex_);
  std::map<SweepId, std::shared_ptr<const SweepInfo>> by_id;
  for (const auto& [id, entry] : sweeps_) by_id[id] = entry.sweep;
  std::vector<std::shared_ptr<const SweepInfo>> sweeps;
  for (auto& [id, sweep] : by_id) sweeps.push_back(std::move(sweep));
  return sweeps;
}

bool Catalog::paused(SweepId id) const {
  absl::MutexLock lock(&mutex_);
  return paused_.contains(id);
}

}  // namespace coppice::core
