#ifndef COPPICE_COORDINATOR_CORE_CHECKPOINT_TREE_H_
#define COPPICE_COORDINATOR_CORE_CHECKPOINT_TREE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/core/garbage_plan.h"

namespace coppice::core {

// Purpose: the checkpoint root as those see and touch it that remove files there. Below the root no
// symbolic link is followed, neither in looking nor in removing, and nothing that does not have the
// layout of an attempt and a checkpoint's name is seen at all. Owner: one run of the collector. Not
// thread-safe; blocks on the disk. Failure codes: those of files.h; FAILED_PRECONDITION (of Open:
// the folder is not this store's).
class CheckpointTree {
 public:
  // `root` must bear the mark of the store.
  static absl::StatusOr<std::unique_ptr<CheckpointTree>> Open(const std::string& root,
                                                              const std::string& store_id);
  // The same whatever mark it bears, for files whose paths the store has told.
  static absl::StatusOr<std::unique_ptr<CheckpointTree>> OpenAnyStores(const std::string& root);
  ~CheckpointTree();
  CheckpointTree(const CheckpointTree&) = delete;
  CheckpointTree& operator=(const CheckpointTree&) = delete;

  // Names of folders that may be a sweep's, sorted.
  absl::StatusOr<std::vector<std::string>> Sweeps() const;
  absl::StatusOr<std::vector<JobId>> Jobs(const std::string& sweep) const;  // by number
  absl::StatusOr<FoundJob> Look(const std::string& sweep, JobId job) const;

  // A path that Look gave. OK also when it is gone already.
  absl::Status RemoveFile(const std::string& path) const;
  // A folder of an attempt, a job or a sweep. False: something is in it, or it is gone.
  absl::StatusOr<bool> RemoveIfEmpty(const std::string& path) const;

 private:
  explicit CheckpointTree(int root) : root_(root) {}
  // A descriptor of the folder at `path` (empty: the root).
  absl::StatusOr<int> OpenFolder(const std::string& path) const;
  absl::StatusOr<std::vector<std::string>> Names(const std::string& path) const;

  const int root_;
};

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_CHECKPOINT_TREE_H_
