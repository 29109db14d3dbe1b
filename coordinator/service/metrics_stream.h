#ifndef COPPICE_COORDINATOR_SERVICE_METRICS_STREAM_H_
#define COPPICE_COORDINATOR_SERVICE_METRICS_STREAM_H_

#include <grpcpp/support/server_callback.h>

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "coordinator/core/coordinator.h"
#include "coordinator/service/live_streams.h"
#include "coppice/v1/coordinator.pb.h"

namespace coppice::service {

// Bounds on the memory of one stream. At any of them the server stops reading, and HTTP/2 flow
// control stops the worker.
inline constexpr size_t kMaxPendingRecords = 512;
inline constexpr size_t kMaxPendingBytes = 2 << 20;
inline constexpr size_t kMaxPendingAcks = 1024;
// Far more than the largest report that the core accepts.
inline constexpr size_t kMaxReportMessageBytes = 1 << 20;

// Purpose: passes a worker's records to the core and returns acknowledgements. While one batch is
// being committed, the next is collected. An acknowledgement is sent once its batch is durable.
// At the bound of all streams together, only a stream that holds nothing reads on.
// Owner: itself (OwnedStream). Thread-safe. Failure codes: INVALID_ARGUMENT (a message that cannot
// be acknowledged; worker_id missing or changed), those of Append. A record with bad content gets
// an acknowledgement with `error`, in order, and the stream continues. The stream ends with OK once
// the worker has half-closed and every acknowledgement was sent.
class MetricsStream final
    : public OwnedStream<
          grpc::ServerBidiReactor<v1::StreamMetricsRequest, v1::StreamMetricsResponse>> {
 public:
  MetricsStream(LiveStreams* live, core::Coordinator* core)
      : OwnedStream(live), core_(core), budget_(live->report_bytes()) {}
  ~MetricsStream() override { budget_->GiveBack(pending_bytes_); }
  void Start() { Advance(); }
  void Stop(absl::Status status) override;
  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override { Stop(absl::CancelledError("the call was cancelled")); }

 private:
  // Starts every operation that can start now.
  void Advance();
  absl::Status AcceptLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool HasRoomLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnAppended(const absl::StatusOr<std::vector<core::RecordAck>>& acks);

  core::Coordinator* const core_;
  const std::shared_ptr<ByteBudget> budget_;
  v1::StreamMetricsRequest request_;    // of the pending read
  v1::StreamMetricsResponse response_;  // of the pending write

  absl::Mutex mutex_;
  std::string worker_id_ ABSL_GUARDED_BY(mutex_);
  std::vector<core::Record> pending_ ABSL_GUARDED_BY(mutex_);
  size_t pending_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::deque<v1::StreamMetricsResponse> acks_ ABSL_GUARDED_BY(mutex_);
  bool reading_ ABSL_GUARDED_BY(mutex_) = false;
  bool half_closed_ ABSL_GUARDED_BY(mutex_) = false;
  bool appending_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<absl::Status> stop_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace coppice::service

#endif  // COPPICE_COORDINATOR_SERVICE_METRICS_STREAM_H_
