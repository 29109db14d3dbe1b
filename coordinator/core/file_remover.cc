#include "coordinator/core/file_remover.h"

#include <utility>

#include "common/base/files.h"
#include "spdlog/spdlog.h"

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
  // The path was checked when it was committed; once more costs nothing, and a deletion is for
  // good.
  if (!IsSafeRelativePath(checkpoint.path)) return;
  const absl::Status status = RemoveFile(JoinPath(root_, checkpoint.path));
  if (!status.ok()) {
    spdlog::warn("cannot remove the old checkpoint of job {} at step {}: {}", checkpoint.job_id,
                 checkpoint.step, status.ToString());
  }
}

}  // namespace coppice::core
