#include "worker/daemon/checkpoint_place.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/digest.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"

namespace coppice::worker {

absl::StatusOr<std::shared_ptr<const Directory>> ScratchOf(const CheckpointPlace& place) {
  if (place.scratch != nullptr) return place.scratch;
  COPPICE_ASSIGN_OR_RETURN(Directory found, Directory::Open(place.root));
  return std::make_shared<const Directory>(std::move(found));
}

absl::Status CheckThere(const CheckpointPlace& place) {
  if (!place.shared || FileExists(JoinPath(place.root, kStoreIdFile))) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("the checkpoint folder ", place.root, " is not there any more"));
}

absl::Status VerifyCheckpoint(const CheckpointPlace& place, const std::string& file,
                              const std::string& digest) {
  COPPICE_RETURN_IF_ERROR(CheckThere(place));
  const absl::StatusOr<std::string> found = DigestOfFile(file);
  // Something other than a regular file is not what was written either.
  if (absl::IsInvalidArgument(found.status())) return absl::DataLossError(found.status().message());
  COPPICE_RETURN_IF_ERROR(found.status());
  if (*found == digest) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(file, " has digest ", *found, " instead of ", digest));
}

}  // namespace coppice::worker
