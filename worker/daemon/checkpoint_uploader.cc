#include "worker/daemon/checkpoint_uploader.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "common/base/logging.h"
#include "worker/daemon/lease_key.h"
#include "worker/daemon/scratch.h"

namespace coppice::worker {

CheckpointUploader::CheckpointUploader(const Environment* environment, Session* session,
                                       CheckpointPlace place, const v1::Lease& lease)
    : environment_(environment),
      session_(session),
      place_(std::move(place)),
      lease_(lease.lease()),
      checkpoint_dir_(lease.checkpoint_dir()) {}

void CheckpointUploader::Upload(const v1::CheckpointRecord& checkpoint,
                                std::function<void(absl::Status)> done) {
  uploading_ = true;
  v1::CheckpointUpload header;
  *header.mutable_lease() = lease_;
  *header.mutable_checkpoint() = checkpoint;
  const auto upload =
      [client = environment_->coordinator, header, file = JoinPath(place_.root, checkpoint.path())](
          const std::string& worker_id, std::function<void(absl::Status)> answer) mutable {
        header.set_worker_id(worker_id);
        client->UploadCheckpoint(header, file, [answer = std::move(answer)](const auto& response) {
          answer(response.status());
        });
      };
  call_ = session_->Call(absl::StrCat("the upload of a checkpoint of ", ToString(KeyOf(lease_))),
                         upload, [this, done = std::move(done)](absl::Status status) {
                           uploading_ = false;
                           done(std::move(status));
                         });
}

void CheckpointUploader::Cancel() {
  if (uploading_) session_->Cancel(call_);
  uploading_ = false;
}

void CheckpointUploader::OnCommitted(const v1::CheckpointRecord& checkpoint) {
  if (!needed()) return;
  const std::string superseded = std::exchange(committed_, checkpoint.path());
  // The path came from the trainer.
  if (superseded.empty() || !IsSafeRelativePath(superseded)) return;
  environment_->background([superseded, place = place_] {
    const auto folder = ScratchOf(place);
    const absl::Status removed =
        folder.ok() ? RemoveScratchFile(**folder, superseded) : folder.status();
    if (!removed.ok()) spdlog::warn("{}", removed.ToString());
  });
}

std::function<absl::Status()> CheckpointUploader::RemovalOfFolder() const {
  // The folder's name came over the network or from a file.
  if (!needed() || !IsSafeRelativePath(checkpoint_dir_)) return [] { return absl::OkStatus(); };
  return [place = place_, folder = checkpoint_dir_] {
    const auto scratch = ScratchOf(place);
    return scratch.ok() ? RemoveScratch(**scratch, folder) : scratch.status();
  };
}

}  // namespace coppice::worker
