#include "coordinator/core/file_remover.h"

#include <utility>

#include "common/base/files.h"
#include "common/base/logging.h"
#include "coordinator/core/checkpoint_tree.h"

namespace coppice::core {

void FileRemover::Remove(std::vector<Checkpoint> checkpoints) {
  if (root_.empty() || checkpoints.empty()) return;
  const size_t count = checkpoints.size();
  if (pending_.fetch_add(count) + count > kMaxPending) {
    pending_.fetch_sub(count);
    spdlog::warn("{} old checkpoints are left where they are: {} others wait to be removed", count,
                 kMaxPending);
    return;
  }
  executor_.Add([this, checkpoints = std::move(checkpoints)] {
    for (const Checkpoint& checkpoint : checkpoints) RemoveOne(checkpoint);
    pending_.fetch_sub(checkpoints.size());
  });
}

void FileRemover::RemoveOne(const Checkpoint& checkpoint) {
  // The path was checked when it was committed. A second check costs nothing, and a deletion is
  // final.
  if (!IsSafeRelativePath(checkpoint.path)) return;
  // The full path is not opened directly: a folder on it may have become a link.
  const auto tree = CheckpointTree::OpenAnyStores(root_);
  absl::Status status = tree.ok() ? (*tree)->RemoveFile(checkpoint.path) : tree.status();
  if (absl::IsNotFound(status)) status = absl::OkStatus();
  if (!status.ok()) {
    spdlog::warn("cannot remove the old checkpoint of job {} at step {}: {}", checkpoint.job_id,
                 checkpoint.step, status.ToString());
  }
}

}  // namespace coppice::core
