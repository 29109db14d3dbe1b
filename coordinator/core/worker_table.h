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
  bool leaving = false;  // it said in its last heartbeat that it drains by itself
  bool fresh = false;    // registered and not heard of since
  bool heard = false;    // since this coordinator started
  absl::Duration heard_at;
  int64_t heard_ms = 0;
  std::optional<absl::Duration> beat_at;  // its last heartbeat, or its registration
  // Between two heartbeats of it. One that registered with an earlier coordinator may have been
  // told another interval than this one tells; then it is what is seen.
  absl::Duration interval = absl::InfiniteDuration();
  bool draining() const { return row.draining || leaving; }
};

// Purpose: the registered workers, by name and by the id each registration got. Owner: the writer
// thread, the only one to touch it; changed after commits.
class WorkerTable {
 public:
  void Put(WorkerEntry entry);  // takes the place of another of the same name
  // A heartbeat; returns how much more than its interval has passed since this worker's last one,
  // nullopt if that is not known. `shortest`: what workers are told now.
  std::optional<absl::Duration> Heard(const std::string& id, absl::Duration now, int64_t now_ms,
                                      bool leaving, absl::Duration shortest);
  void Remove(const std::string& name);
  // Of the process that the row names, if it still has the name.
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
