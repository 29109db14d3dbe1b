#ifndef COPPICE_COORDINATOR_SERVICE_RECORD_STREAM_H_
#define COPPICE_COORDINATOR_SERVICE_RECORD_STREAM_H_

#include <grpcpp/support/server_callback.h>

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "coordinator/core/coordinator.h"
#include "coordinator/service/checkpoint_streams.h"
#include "coordinator/service/live_streams.h"
#include "coordinator/service/record_queue.h"
#include "coppice/v1/coordinator.pb.h"

namespace coppice::service {

// Bounds on the memory of one stream. At any of them the server stops reading, and HTTP/2 flow
// control stops the worker.
inline constexpr size_t kMaxPendingRecords = 512;
inline constexpr size_t kMaxPendingBytes = 2 << 20;
inline constexpr size_t kMaxPendingAnswers = 64;

// Purpose: passes a worker's records to the core and returns the answers. While one batch is being
// committed, the next is collected. An answer is sent once its batch is durable. The file of a
// checkpoint is checked before the core gets the record (commit_check.h), and only its attempt
// waits for that (record_queue.h). At the bound of all streams together, only a stream that holds
// nothing reads on.
// Owner: itself (OwnedStream). Thread-safe. Failure codes: INVALID_ARGUMENT (a message that cannot
// be answered; worker_id missing or changed), those of Append. A record with bad content is refused
// in the answer of its attempt, and the stream continues. The stream ends with OK once the worker
// has half-closed and every answer was sent.
class RecordStream final
    : public OwnedStream<
          grpc::ServerBidiReactor<v1::StreamRecordsRequest, v1::StreamRecordsResponse>> {
 public:
  RecordStream(LiveStreams* live, const TransferContext& context)
      : OwnedStream(live),
        context_(context),
        budget_(live->report_bytes()),
        queue_(live->report_bytes()) {}
  void Start() { Advance(); }
  void Stop(absl::Status status) override;
  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override { Stop(absl::CancelledError("the call was cancelled")); }

 private:
  // The operations that Advance starts once the mutex is free.
  struct Work {
    std::string worker_id;
    std::vector<RecordQueue::Check> checks;
    std::vector<core::Record> batch;
  };

  // Starts every operation that can start now.
  void Advance();
  Work AdvanceLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status AcceptLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool HasRoomLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void StartCheck(const std::string& worker_id, RecordQueue::Check check);
  void OnAppended(absl::StatusOr<std::vector<core::AttemptAnswer>> answers);

  const TransferContext context_;
  const std::shared_ptr<ByteBudget> budget_;
  v1::StreamRecordsRequest request_;    // of the pending read
  v1::StreamRecordsResponse response_;  // of the pending write

  absl::Mutex mutex_;
  std::string worker_id_ ABSL_GUARDED_BY(mutex_);
  RecordQueue queue_ ABSL_GUARDED_BY(mutex_);
  std::deque<v1::StreamRecordsResponse> answers_ ABSL_GUARDED_BY(mutex_);
  bool reading_ ABSL_GUARDED_BY(mutex_) = false;
  bool half_closed_ ABSL_GUARDED_BY(mutex_) = false;
  bool appending_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<absl::Status> stop_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace coppice::service

#endif  // COPPICE_COORDINATOR_SERVICE_RECORD_STREAM_H_
