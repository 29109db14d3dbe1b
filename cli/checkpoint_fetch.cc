#include "cli/checkpoint_fetch.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/digest.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"

namespace coppice::cli {
namespace {

// Purpose: takes the parts of one stream. Owner: FetchCheckpoint. Not thread-safe. Destroyed before
// Finish it leaves no file.
class Receiver {
 public:
  explicit Receiver(const FetchOptions& options) : options_(options) {}

  absl::Status Take(const v1::FetchCheckpointResponse& part) {
    if (part.has_header()) return Begin(part.header());
    if (!file_.has_value()) return absl::DataLossError("the coordinator sent data before a header");
    bytes_ += part.data().size();
    if (bytes_ > checkpoint_.bytes()) {
      return absl::DataLossError(
          absl::StrCat("more came than the ", checkpoint_.bytes(), " bytes that were committed"));
    }
    digest_.Update(part.data().data(), part.data().size());
    COPPICE_RETURN_IF_ERROR(file_->Append(part.data().data(), part.data().size()));
    if (options_.progress) options_.progress(bytes_, checkpoint_.bytes());
    return absl::OkStatus();
  }

  absl::StatusOr<FetchedCheckpoint> Finish() {
    if (!file_.has_value()) return absl::DataLossError("the coordinator sent nothing");
    if (bytes_ != checkpoint_.bytes()) {
      return absl::DataLossError(absl::StrCat("only ", bytes_, " of ", checkpoint_.bytes(),
                                              " bytes came; fetch it again"));
    }
    if (const std::string digest = digest_.Hex(); digest != checkpoint_.digest()) {
      return absl::DataLossError(absl::StrCat("what came has digest ", digest, ", committed was ",
                                              checkpoint_.digest(), "; fetch it again"));
    }
    COPPICE_RETURN_IF_ERROR(CheckFree());
    COPPICE_RETURN_IF_ERROR(file_->Commit());
    return FetchedCheckpoint{path_, checkpoint_};
  }

 private:
  absl::Status Begin(const v1::Checkpoint& checkpoint) {
    if (file_.has_value()) return absl::DataLossError("the coordinator sent two headers");
    checkpoint_ = checkpoint;
    COPPICE_ASSIGN_OR_RETURN(path_, options_.path(checkpoint));
    COPPICE_RETURN_IF_ERROR(CheckFree());
    COPPICE_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Open(path_));
    file_.emplace(std::move(file));
    return absl::OkStatus();
  }

  absl::Status CheckFree() const {
    if (options_.replace || !FileExists(path_)) return absl::OkStatus();
    return absl::AlreadyExistsError(
        absl::StrCat(path_, " is there already; name another file with -o, or give --force"));
  }

  const FetchOptions& options_;
  std::string path_;
  v1::Checkpoint checkpoint_;
  std::optional<AtomicFile> file_;
  Digest digest_;
  uint64_t bytes_ = 0;
};

}  // namespace

absl::StatusOr<FetchedCheckpoint> FetchCheckpoint(Client* client, const FetchOptions& options) {
  Receiver receiver(options);
  absl::Status failure;
  COPPICE_RETURN_IF_ERROR(client->FetchCheckpoint(options.job_id, options.step,
                                                  [&](const v1::FetchCheckpointResponse& part) {
                                                    failure = receiver.Take(part);
                                                    return failure.ok();
                                                  }));
  COPPICE_RETURN_IF_ERROR(failure);
  return receiver.Finish();
}

}  // namespace coppice::cli
