#ifndef COPPICE_COORDINATOR_CORE_WORKER_TABLE_H_
#define COPPICE_COORDINATOR_CORE_WORKER_TABLE_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "coordinator/core/store.h"

namespace coppice::core {

struct WorkerEntry {
  WorkerRow row;
  bool self_draining = false;  // its last heartbeat said that it drains on its own
  uint32_t idle_slots = 0;     // as its last heartbeat said
  bool fresh = false;          // registered, without a heartbeat since
  bool seen = false;           // since this coordinator started
  absl::Duration seen_at;
  int64_t seen_ms = 0;
  std::optional<absl::Duration> beat_at;  // last heartbeat or registration
  // The time between its heartbeats. A worker that registered with an earlier coordinator may use
  // another interval than this one assigns; then the observed interval counts.
  absl::Duration interval = absl::InfiniteDuration();
  bool draining() const { return row.draining || self_draining; }
};

// True if the worker called within the last term of a lease, and has not said goodbye.
bool IsConnected(const WorkerEntry& entry, absl::Duration term, absl::Duration now);

// Purpose: the registered workers, by name and by the id of each registration. Owner: the writer
// thread; no other thread touches it. It changes only after commits.
class WorkerTable {
 public:
  void Put(WorkerEntry entry);  // replaces an entry of the same name
  // Records a heartbeat. Returns how far the time since this worker's last heartbeat exceeds its
  // interval, or nullopt if that is unknown. `shortest`: the interval that workers are assigned
  // now.
  std::optional<absl::Duration> Seen(const std::string& id, absl::Duration now, int64_t now_ms,
                                     const BeatState& state, absl::Duration shortest);
  void Remove(const std::string& name);
  // Updates the row if its process still has the name.
  void SetRow(const WorkerRow& row);
  void Touch(const std::string& id, absl::Duration now, int64_t now_ms);

  const WorkerEntry* FindById(const std::string& id) const;
  const WorkerEntry* FindByName(const std::string& name) const;
  std::vector<const WorkerEntry*> All() const;  // by name
  size_t size() const { return by_name_.size(); }

 private:
  WorkerEntry* Mutable(const std::string& id);

  std::map<std::string, WorkerEntry> by_name_;
  absl::flat_hash_map<std::string, std::string> name_of_;
};

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_WORKER_TABLE_H_
