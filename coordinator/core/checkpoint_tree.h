#ifndef COPPICE_COORDINATOR_CORE_CHECKPOINT_TREE_H_
#define COPPICE_COORDINATOR_CORE_CHECKPOINT_TREE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/core/garbage_plan.h"

namespace coppice::core {

// Purpose: the checkpoint root, for code that lists and removes files in it. Below the root it
// follows no symbolic link. It ignores entries that do not have the layout of an attempt, the name
// of a checkpoint, or a place in the work folder of a program. Owner: one run of the collector. Not
// thread-safe; blocks on the disk. Failure codes: those of files.h; FAILED_PRECONDITION from Open
// (the folder is not this store's).
class CheckpointTree {
 public:
  // `root` must bear this store's mark.
  static absl::StatusOr<std::unique_ptr<CheckpointTree>> Open(const std::string& root,
                                                              const std::string& store_id);
  // Accepts any mark. For files whose paths come from the store.
  static absl::StatusOr<std::unique_ptr<CheckpointTree>> OpenAnyStores(const std::string& root);
  ~CheckpointTree();
  CheckpointTree(const CheckpointTree&) = delete;
  CheckpointTree& operator=(const CheckpointTree&) = delete;

  // Returns the names of folders that may belong to a sweep, sorted.
  absl::StatusOr<std::vector<std::string>> Sweeps() const;
  absl::StatusOr<std::vector<JobId>> Jobs(const std::string& sweep) const;  // by number
  absl::StatusOr<FoundJob> Find(const std::string& sweep, JobId job) const;

  // Removes a file that Find returned. OK also if it is already gone.
  absl::Status RemoveFile(const std::string& path) const;
  // Removes the empty folder of an attempt, a job or a sweep. False: it is not empty, or it is
  // gone.
  absl::StatusOr<bool> RemoveIfEmpty(const std::string& path) const;

 private:
  explicit CheckpointTree(int root) : root_(root) {}
  // Returns a descriptor of the folder at `path` (empty: the root).
  absl::StatusOr<int> OpenFolder(const std::string& path) const;
  // Without names that begin with a point, unless `hidden`.
  absl::StatusOr<std::vector<std::string>> Names(const std::string& path,
                                                 bool hidden = false) const;
  // Adds a program's work folder and what is in it, folders behind those inside them.
  absl::Status FindWork(const std::string& path, int depth, FoundJob* found) const;

  const int root_;
};

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_CHECKPOINT_TREE_H_
