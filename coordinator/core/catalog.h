// The facts about a sweep that only an extension changes, and whether it is paused. They are there
// as long as the sweep is stored.
#ifndef COPPICE_COORDINATOR_CORE_CATALOG_H_
#define COPPICE_COORDINATOR_CORE_CATALOG_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/synchronization/mutex.h"
#include "coordinator/core/store.h"

namespace coppice::core {

struct SweepInfo {
  SweepId id = 0;
  std::string name;
  int32_t priority = 0;
  uint32_t max_failures = 0;
  int64_t created_ms = 0;
};

struct GroupInfo {
  GroupId id = 0;
  GroupSpec spec;
  JobId first_job = 0;
  uint64_t jobs = 0;
  std::shared_ptr<const SweepInfo> sweep;
};

// Purpose: finds the names and settings that belong to ids. Owner: the core. Thread-safe. The
// writer adds, replaces and removes entries after commits. Returned pointers stay valid, and show
// what was true.
class Catalog {
 public:
  void Add(const SweepRow& sweep, const std::vector<GroupRow>& groups);
  // Replaces what is known of a sweep, and those of its groups that are given, or adds them.
  void Extend(const SweepRow& sweep, const std::vector<GroupRow>& groups);
  void SetPaused(SweepId id, bool paused);
  void Remove(SweepId id);

  std::shared_ptr<const SweepInfo> FindSweep(const std::string& name) const;  // null: unknown
  std::shared_ptr<const SweepInfo> FindSweep(SweepId id) const;               // likewise
  std::shared_ptr<const GroupInfo> Group(GroupId id) const;
  std::vector<std::shared_ptr<const GroupInfo>> GroupsOf(SweepId id) const;  // by id
  bool paused(SweepId id) const;
  std::vector<std::shared_ptr<const SweepInfo>> Sweeps() const;  // by id; for tests

 private:
  struct Entry {
    std::shared_ptr<const SweepInfo> sweep;
    std::vector<std::shared_ptr<const GroupInfo>> groups;
  };
  mutable absl::Mutex mutex_;
  absl::flat_hash_map<SweepId, Entry> sweeps_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, SweepId> ids_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<GroupId, std::shared_ptr<const GroupInfo>> groups_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_set<SweepId> paused_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_CATALOG_H_
