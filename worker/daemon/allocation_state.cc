#include "worker/daemon/allocation_state.h"

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "common/base/logging.h"

namespace coppice::worker {
namespace {

constexpr absl::Duration kLockWait = absl::Seconds(60);
// flock has no wait with a limit.
constexpr absl::Duration kLockRetry = absl::Seconds(1);
constexpr int kMaxFolders = 100;  // of one allocation's name

// Opens the folder, and while another process holds it, again and again for kLockWait.
absl::StatusOr<StateFolder> OpenWhenFree(const std::string& path, const Pause& pause) {
  for (absl::Duration waited;; waited += kLockRetry) {
    auto state = OpenStateFolder(path);
    if (!absl::IsUnavailable(state.status()) || waited >= kLockWait) return state;
    if (waited == absl::ZeroDuration()) {
      spdlog::warn("{}; the job was requeued, so that process may be on its way out: waiting {}",
                   std::string(state.status().message()), absl::FormatDuration(kLockWait));
    }
    if (!pause(kLockRetry)) return absl::CancelledError("asked to end");
  }
}

}  // namespace

absl::StatusOr<StateFolder> OpenAllocationState(const std::string& root,
                                                const Allocation& allocation, const Pause& pause) {
  const std::string first = JoinPath(root, AllocationName(allocation));
  std::string path = first;
  for (int i = 1;; ++i) {
    const bool wait = i == 1 && allocation.restarts > 0;
    auto state = wait ? OpenWhenFree(path, pause) : OpenStateFolder(path);
    if (!absl::IsUnavailable(state.status()) || i == kMaxFolders) return state;
    path = absl::StrCat(first, ".", i + 1);
    spdlog::warn("{}; taking {}", std::string(state.status().message()), path);
  }
}

std::string NameInAllocation(const Allocation& allocation, const StateFolder& state) {
  if (allocation.restarts > 0) return AllocationName(allocation);
  return state.path.substr(state.path.rfind('/') + 1);
}

}  // namespace coppice::worker
