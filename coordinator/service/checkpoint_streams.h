// Checkpoints over the wire, for workers that do not share the coordinator's filesystem.
#ifndef COPPICE_COORDINATOR_SERVICE_CHECKPOINT_STREAMS_H_
#define COPPICE_COORDINATOR_SERVICE_CHECKPOINT_STREAMS_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/base/clock.h"
#include "common/base/executor.h"
#include "coordinator/core/coordinator.h"
#include "coordinator/service/checkpoint_files.h"
#include "coordinator/service/live_streams.h"
#include "coordinator/service/pull_stream.h"
#include "coppice/v1/coordinator.pb.h"

namespace coppice::service {

inline constexpr size_t kCheckpointChunkBytes = 1 << 20;
// A transfer that takes longer is given up.
inline constexpr absl::Duration kTransferLimit = absl::Minutes(30);

// What the transfers share. Owner: Server; all of it outlives the streams.
struct TransferContext {
  core::Coordinator* core;
  CheckpointFiles* files;
  Executor* io;  // where the disk is touched
  Clock* clock;
};

// Purpose: receives one checkpoint. Owner: itself (OwnedStream). Thread-safe.
//   1. The header is checked, the lease asked for, the temporary file made.
//   2. Each chunk is written before the next is read: the disk sets the pace.
//   3. At the end of the stream size and digest are checked, the file made durable under its name.
//   4. CommitCheckpoint; when the core refuses, the file is removed again.
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
  void Begin(core::CheckpointCommit announced);
  void Complete();
  // Runs blocking work, then goes on with its status.
  void OnDisk(std::function<absl::Status()> work, void (UploadStream::*then)(absl::Status));
  void ReadNext(absl::Status status);
  void Commit(absl::Status status);
  // Only by who holds busy_: exactly once.
  void End(absl::Status status);

  const TransferContext context_;
  std::unique_ptr<StreamLimit> limit_;
  v1::UploadCheckpointRequest request_;
  // Touched by one step at a time.
  core::CheckpointCommit announced_;
  std::unique_ptr<CheckpointUpload> upload_;

  absl::Mutex mutex_;
  bool busy_ ABSL_GUARDED_BY(mutex_) =
      false;  // a step runs outside of gRPC; otherwise a read is out
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<absl::Status> stop_ ABSL_GUARDED_BY(mutex_);
};

// Purpose: sends one committed checkpoint of the leased job. Owner: itself. Failure codes: ABORTED
// (stale epoch), NOT_FOUND (not a checkpoint of this job, or its file is gone).
class DownloadStream final : public PullStream<v1::DownloadCheckpointResponse> {
 public:
  DownloadStream(LiveStreams* live, const TransferContext& context, core::CheckpointCommit wanted)
      : PullStream(live), context_(context), wanted_(std::move(wanted)) {}
  void Start();

 private:
  void Fetch() override;
  void Release() override;
  void Authorize();
  void Find(const absl::StatusOr<core::JobDetails>& details);
  void ReadChunk();

  const TransferContext context_;
  const core::CheckpointCommit wanted_;
  std::unique_ptr<StreamLimit> limit_;
  // Touched only between Fetch and its outcome.
  std::unique_ptr<CheckpointReader> reader_;
};

}  // namespace coppice::service

#endif  // COPPICE_COORDINATOR_SERVICE_CHECKPOINT_STREAMS_H_
