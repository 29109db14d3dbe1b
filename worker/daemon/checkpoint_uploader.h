#ifndef COPPICE_WORKER_DAEMON_CHECKPOINT_UPLOADER_H_
#define COPPICE_WORKER_DAEMON_CHECKPOINT_UPLOADER_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "coppice/v1/coordinator.pb.h"
#include "worker/daemon/checkpoint_place.h"
#include "worker/daemon/sequence.h"
#include "worker/daemon/session.h"

namespace coppice::worker {

// Purpose: sends the checkpoint files of one attempt to a coordinator that does not share the
// checkpoint folder, and removes those from the scratch folder that are no longer needed.
// Owner: an Outbox. It lives on the agent's sequence.
// Failure codes: those of UploadCheckpoint that another try would not change.
class CheckpointUploader {
 public:
  CheckpointUploader(const Environment* environment, Session* session, CheckpointPlace place,
                     const v1::Lease& lease);
  ~CheckpointUploader() { Cancel(); }
  CheckpointUploader(const CheckpointUploader&) = delete;
  CheckpointUploader& operator=(const CheckpointUploader&) = delete;

  // False: the coordinator reads the files itself, in the shared folder.
  bool needed() const { return !place_.shared; }
  bool uploading() const { return uploading_; }
  // One upload at a time. It is tried again until the coordinator has an answer.
  void Upload(const v1::CheckpointRecord& checkpoint, std::function<void(absl::Status)> done);
  void Cancel();
  // This checkpoint counts, so the file of the one before it is removed.
  void OnCommitted(const v1::CheckpointRecord& checkpoint);
  // Removes the attempt's scratch folder, if it has one. Blocks on the disk, on any thread.
  std::function<absl::Status()> RemovalOfFolder() const;

 private:
  const Environment* const environment_;
  Session* const session_;
  const CheckpointPlace place_;
  const v1::LeaseRef lease_;
  const std::string checkpoint_dir_;  // of the lease, relative
  bool uploading_ = false;
  Session::CallId call_ = 0;
  std::string committed_;  // the path of the newest file that counts
};

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_CHECKPOINT_UPLOADER_H_
