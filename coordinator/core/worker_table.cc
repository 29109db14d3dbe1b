#include "coordinator/core/worker_table.h"

#include <algorithm>
#include <utility>

namespace coppice::core {

bool IsConnected(const WorkerEntry& entry, absl::Duration term, absl::Duration now) {
  return entry.seen && entry.row.departed_ms == 0 && now - entry.seen_at <= term;
}

void WorkerTable::Put(WorkerEntry entry) {
  const std::string name = entry.row.info.name;
  if (const auto it = by_name_.find(name); it != by_name_.end()) name_of_.erase(it->second.row.id);
  name_of_[entry.row.id] = name;
  by_name_.insert_or_assign(name, std::move(entry));
}

void WorkerTable::Remove(const std::string& name) {
  const auto it = by_name_.find(name);
  if (it == by_name_.end()) return;
  name_of_.erase(it->second.row.id);
  by_name_.erase(it);
}

void WorkerTable::SetRow(const WorkerRow& row) {
  if (WorkerEntry* entry = Mutable(row.id); entry != nullptr) entry->row = row;
}

WorkerEntry* WorkerTable::Mutable(const std::string& id) {
  const auto it = name_of_.find(id);
  return it == name_of_.end() ? nullptr : &by_name_.at(it->second);
}

void WorkerTable::Touch(const std::string& id, absl::Duration now, int64_t now_ms) {
  WorkerEntry* entry = Mutable(id);
  if (entry == nullptr) return;
  entry->seen = true;
  entry->seen_at = now;
  entry->seen_ms = now_ms;
}

std::optional<absl::Duration> WorkerTable::Seen(const std::string& id, absl::Duration now,
                                                int64_t now_ms, const BeatState& state,
                                                absl::Duration shortest) {
  Touch(id, now, now_ms);
  WorkerEntry* entry = Mutable(id);
  if (entry == nullptr) return std::nullopt;
  entry->self_draining = state.draining;
  entry->idle_slots = state.idle_slots;
  entry->fresh = false;
  const std::optional<absl::Duration> before = std::exchange(entry->beat_at, now);
  if (!before.has_value()) return std::nullopt;
  const absl::Duration passed = now - *before;
  // A worker repeats a failed heartbeat sooner than its interval.
  entry->interval = std::min(entry->interval, std::max(passed, shortest));
  return passed - entry->interval;
}

const WorkerEntry* WorkerTable::FindById(const std::string& id) const {
  const auto it = name_of_.find(id);
  return it == name_of_.end() ? nullptr : &by_name_.at(it->second);
}

const WorkerEntry* WorkerTable::FindByName(const std::string& name) const {
  const auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : &it->second;
}

std::vector<const WorkerEntry*> WorkerTable::All() const {
  std::vector<const WorkerEntry*> all;
  for (const auto& [name, entry] : by_name_) all.push_back(&entry);
  return all;
}

}  // namespace coppice::core
