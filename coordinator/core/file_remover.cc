#include "coordinator/core/file_remover.h"

#include <utility>

#include "common/base/files.h"
#include "common/base/logging.h"
#include "coordinator/core/checkpoint_tree.h"

namespace coppice::core {

namespace {

// Removes the folders <sweep>/<job>/<attempt> and <sweep>/<job>, as far as they are empty.
void RemoveFolders(const CheckpointTree& tree, std::string path) {
  for (int level = 0; level < 2; ++level) {
    const size_t slash = path.rfind('/');
    if (slash == std::string::npos) return;
    path.resize(slash);
    const absl::StatusOr<bool> removed = tree.RemoveIfEmpty(path);
    if (!removed.ok() || !*removed) return;
  }
}

}  // namespace

void FileRemover::Remove(std::vector<Checkpoint> checkpoints, Folders folders) {
  if (root_.empty() || checkpoints.empty()) return;
  const size_t count = checkpoints.size();
  if (pending_.fetch_add(count) + count > kMaxPending) {
    pending_.fetch_sub(count);
    spdlog::warn("{} old checkpoints are left where they are: {} others wait to be removed", count,
                 kMaxPending);
    return;
  }
  executor_.Add([this, folders, checkpoints = std::move(checkpoints)] {
    for (const Checkpoint& checkpoint : checkpoints) RemoveOne(checkpoint, folders);
    pending_.fetch_sub(checkpoints.size());
  });
}

void FileRemover::RemoveOne(const Checkpoint& checkpoint, Folders folders) {
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
  } else if (folders == Folders::kRemove) {
    RemoveFolders(**tree, checkpoint.path);
  }
}

}  // namespace coppice::core
