#include "worker/daemon/shared_widths.h"

#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/files.h"
#include "common/base/own_folder.h"
#include "common/base/status_macros.h"
#include "worker/daemon/scratch.h"
#include "worker/daemon/width_cache.h"

namespace coppice::worker {
namespace {

constexpr size_t kKeptWidths = 500;
// No worker writes one of these small files for so long.
constexpr absl::Duration kAbandoned = absl::Hours(1);

OwnFolderKind SharedWidthsKind() {
  OwnFolderKind kind;
  kind.mark = ".coppice-widths";
  kind.what = "measured pack widths";
  kind.flag = "--state-dir";
  return kind;
}

}  // namespace

absl::StatusOr<std::string> OpenSharedWidths(const std::string& root) {
  const std::string path = JoinPath(root, "widths");
  auto folder = ClaimFolder(path, SharedWidthsKind());
  // Workers that start together may see the folder before it has its mark.
  if (absl::IsFailedPrecondition(folder.status())) folder = ClaimFolder(path, SharedWidthsKind());
  COPPICE_RETURN_IF_ERROR(folder.status());
  KeepNewest(*folder, {kWidthFileNames}, kKeptWidths, Clock::Real()->Now() - kAbandoned);
  return path;
}

}  // namespace coppice::worker
