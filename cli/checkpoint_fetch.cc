#include "cli/checkpoint_fetch.h"

#include <ostream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/digest.h"
#include "common/base/output.h"
#include "common/base/status_macros.h"

namespace coppice::cli {
namespace {

// Purpose: takes the parts of one stream. Owner: FetchCheckpoint. Not thread-safe. If it is
// destroyed before Finish, it leaves no file.
class Receiver {
 public:
  explicit Receiver(const FetchOptions& options) : options_(options) {}

  absl::Status Take(const v1::FetchCheckpointResponse& part) {
    if (part.has_header()) return Begin(part.header());
    if (!begun_) return absl::DataLossError("the coordinator sent data before a header");
    bytes_ += part.data().size();
    if (bytes_ > checkpoint_.bytes()) {
      return absl::DataLossError(
          absl::StrCat("more came than the ", checkpoint_.bytes(), " bytes that were committed"));
    }
    digest_.Update(part.data().data(), part.data().size());
    COPPICE_RETURN_IF_ERROR(Append(part.data()));
    if (options_.progress) options_.progress(bytes_, checkpoint_.bytes());
    return absl::OkStatus();
  }

  absl::StatusOr<v1::Checkpoint> Finish() {
    if (!begun_) return absl::DataLossError("the coordinator sent nothing");
    if (bytes_ != checkpoint_.bytes()) {
      return absl::DataLossError(absl::StrCat("only ", bytes_, " of ", checkpoint_.bytes(),
                                              " bytes came; fetch it again"));
    }
    if (const std::string digest = digest_.Hex(); digest != checkpoint_.digest()) {
      return absl::DataLossError(absl::StrCat("what came has digest ", digest, ", committed was ",
                                              checkpoint_.digest(), "; fetch it again"));
    }
    COPPICE_RETURN_IF_ERROR(file_.has_value() ? file_->Commit() : FlushOutput(*options_.out));
    return checkpoint_;
  }

 private:
  absl::Status Begin(const v1::Checkpoint& checkpoint) {
    if (std::exchange(begun_, true)) return absl::DataLossError("the coordinator sent two headers");
    checkpoint_ = checkpoint;
    if (options_.out != nullptr) return absl::OkStatus();
    COPPICE_ASSIGN_OR_RETURN(OutputFile file, options_.open(checkpoint));
    file_.emplace(std::move(file));
    return absl::OkStatus();
  }

  absl::Status Append(const std::string& data) {
    if (file_.has_value()) return file_->Append(data);
    options_.out->write(data.data(), static_cast<std::streamsize>(data.size()));
    return options_.out->good() ? absl::OkStatus() : FlushOutput(*options_.out);
  }

  const FetchOptions& options_;
  bool begun_ = false;
  v1::Checkpoint checkpoint_;
  std::optional<OutputFile> file_;
  Digest digest_;
  uint64_t bytes_ = 0;
};

}  // namespace

absl::StatusOr<v1::Checkpoint> FetchCheckpoint(Client* client, const FetchOptions& options) {
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
