// Checkpoints over the wire, for workers that do not share the coordinator's filesystem and for
// clients.
#ifndef COPPICE_COORDINATOR_SERVICE_CHECKPOINT_STREAMS_H_
#define COPPICE_COORDINATOR_SERVICE_CHECKPOINT_STREAMS_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/base/clock.h"
#include "common/base/digest.h"
#include "coordinator/core/coordinator.h"
#include "coordinator/service/checkpoint_files.h"
#include "coordinator/service/disk_calls.h"
#include "coordinator/service/live_streams.h"
#include "coordinator/service/pull_stream.h"
#include "coppice/v1/coordinator.pb.h"

namespace coppice::service {

inline constexpr size_t kCheckpointChunkBytes = 1 << 20;
// A transfer that takes longer is ended.
inline constexpr absl::Duration kTransferLimit = absl::Minutes(30);

// The objects that all transfers share. Owner: Server; they outlive the streams.
struct TransferContext {
  core::Coordinator* core;
  // Shared with the work on the disk, and with checks of files that outlive their stream.
  std::shared_ptr<CheckpointFiles> files;
  std::shared_ptr<DiskCalls> disk;  // runs all work on the disk
  Clock* clock;
};

// Purpose: receives one checkpoint. Owner: itself (OwnedStream). Thread-safe.
//   1. Check the header, compare path and step with the lease, and make the temporary file.
//   2. Write each chunk before the next is read, so that the disk sets the pace.
//   3. At the end of the stream, check size and digest, and make the file durable under its name.
// It commits nothing. The worker then sends the checkpoint's record over its RecordStream. A file
// whose record never comes is garbage once its attempt has ended (core/garbage_plan.h).
class UploadStream final
    : public OwnedStream<grpc::ServerReadReactor<v1::UploadCheckpointRequest>> {
 public:
  UploadStream(LiveStreams* live, const TransferContext& context)
      : OwnedStream(live), context_(context) {}
  void Start();
  void Stop(absl::Status status) override;
  void OnReadDone(bool ok) override;
  void OnCancel() override { Stop(absl::CancelledError("the call was cancelled")); }

 private:
  void Release() override { limit_.reset(); }
  void Begin(core::NamedCheckpoint announced);
  void Complete();
  // Runs blocking work on upload_, then calls `then` with its status.
  void OnDisk(std::function<absl::Status(CheckpointUpload*)> work,
              void (UploadStream::*then)(absl::Status));
  void ReadNext(absl::Status status);
  void Stored(absl::Status status);
  void ReplaceIfDamaged(const absl::Status& exists);
  // Called exactly once, by the holder of busy_.
  void End(absl::Status status);

  const TransferContext context_;
  std::unique_ptr<StreamLimit> limit_;
  v1::UploadCheckpointRequest request_;
  // Touched by one step at a time.
  core::NamedCheckpoint announced_;
  std::shared_ptr<CheckpointUpload> upload_;

  absl::Mutex mutex_;
  bool busy_ ABSL_GUARDED_BY(mutex_) =
      false;  // a step runs outside of gRPC; otherwise a read is pending
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<absl::Status> stop_ ABSL_GUARDED_BY(mutex_);
};

// Purpose: sends a checkpoint file as a server stream, in pieces. Base of DownloadStream and
// FetchStream. Owner: itself. Failure codes: those of files.h for a file that cannot be read.
//   1. Locate determines the file and leads to exactly one call of Send or End.
//   2. Send opens the file on a thread that may block. Opened may refuse it, or fill a message that
//      precedes the data.
//   3. Fill puts each piece into a message. Ended checks the whole.
template <typename Response>
class FileStream : public PullStream<Response> {
 public:
  FileStream(LiveStreams* live, const TransferContext& context)
      : PullStream<Response>(live), context_(context) {}
  void Start() {
    limit_ = std::make_unique<StreamLimit>(context_.clock, kTransferLimit, this->weak_from_this());
    PullStream<Response>::Start();
  }

 protected:
  virtual void Locate() = 0;
  // `path` is relative to the checkpoint root.
  void Send(const std::string& path);
  // True: response_ is to be written before the first piece. An error ends the stream.
  virtual absl::StatusOr<bool> Opened(const absl::Status& opened, const CheckpointReader* reader) {
    if (!opened.ok()) return opened;
    return false;
  }
  virtual void Fill(std::string piece) = 0;
  virtual absl::Status Ended() { return absl::OkStatus(); }

  const TransferContext context_;

 private:
  void Fetch() final;
  void Release() final;
  void Open();
  void OnOpened(const absl::Status& opened);
  void ReadPiece();

  std::unique_ptr<StreamLimit> limit_;
  // Touched only between Fetch and its outcome.
  std::string path_;
  // Shared with the disk call in progress, which an unresponsive disk may hold up.
  std::shared_ptr<CheckpointReader> reader_;
};

// Purpose: sends one committed checkpoint of the leased job to its worker. Owner: itself. Failure
// codes: ABORTED (stale attempt), NOT_FOUND (not a checkpoint of this job, or its file is gone).
class DownloadStream final : public FileStream<v1::DownloadCheckpointResponse> {
 public:
  DownloadStream(LiveStreams* live, const TransferContext& context, core::NamedCheckpoint wanted)
      : FileStream(live, context), wanted_(std::move(wanted)) {}

 private:
  void Locate() override;
  void Find(const absl::StatusOr<core::JobDetails>& details);
  void Fill(std::string piece) override { response_.set_data(std::move(piece)); }

  const core::NamedCheckpoint wanted_;
};

// Purpose: sends a committed checkpoint to a client, its description first. The path comes from the
// store. Owner: itself. Failure codes: NOT_FOUND (no such job, no checkpoint at this step),
// DATA_LOSS (the file is gone, or its size or digest differs from the commit; the digest is known
// only at the end).
class FetchStream final : public FileStream<v1::FetchCheckpointResponse> {
 public:
  FetchStream(LiveStreams* live, const TransferContext& context, core::JobId job,
              std::optional<uint32_t> step)
      : FileStream(live, context), job_(job), step_(step) {}

 private:
  void Locate() override;
  void Find(const absl::StatusOr<core::JobDetails>& details);
  absl::StatusOr<bool> Opened(const absl::Status& opened, const CheckpointReader* reader) override;
  void Fill(std::string piece) override;
  absl::Status Ended() override;
  absl::Status Lost(absl::string_view what) const;

  const core::JobId job_;
  const std::optional<uint32_t> step_;
  // Touched by one step at a time.
  core::Checkpoint checkpoint_;
  Digest digest_;
  uint64_t bytes_ = 0;
};

}  // namespace coppice::service

#endif  // COPPICE_COORDINATOR_SERVICE_CHECKPOINT_STREAMS_H_
