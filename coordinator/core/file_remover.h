#ifndef COPPICE_COORDINATOR_CORE_FILE_REMOVER_H_
#define COPPICE_COORDINATOR_CORE_FILE_REMOVER_H_

#include <atomic>
#include <cstddef>
#include <string>
#include <vector>

#include "common/base/executor.h"
#include "coordinator/core/types.h"

namespace coppice::core {

// Purpose: deletes the files of checkpoints that retention dropped, or whose sweep was deleted,
// after the commit that did so. Best effort: the store lists dropped files that a crash left
// behind, and the next start finds them. The garbage collector finds all others.
// While kMaxPending files wait (a filesystem that hangs), further ones are left in place. Owner:
// the coordinator. Thread-safe; never blocks the caller.
class FileRemover {
 public:
  static constexpr size_t kMaxPending = 100'000;

  // With an empty root, nothing is ever removed.
  FileRemover(std::string root, Executor::Runner runner)
      : root_(std::move(root)), executor_(1, std::move(runner)) {}

  // kRemove: also the folders of the attempt and the job, if they are empty then.
  enum class Folders { kKeep, kRemove };
  void Remove(std::vector<Checkpoint> checkpoints, Folders folders = Folders::kKeep);
  size_t waiting() const { return pending_; }
  void Shutdown() { executor_.Shutdown(); }

 private:
  void RemoveOne(const Checkpoint& checkpoint, Folders folders);

  const std::string root_;
  std::atomic<size_t> pending_{0};
  Executor executor_;
};

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_FILE_REMOVER_H_
