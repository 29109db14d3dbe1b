#ifndef COPPICE_WORKER_DAEMON_COORDINATOR_CLIENT_H_
#define COPPICE_WORKER_DAEMON_COORDINATOR_CLIENT_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coppice/v1/coordinator.pb.h"

namespace coppice::worker {

// The stream of rows, logs and provenance to the coordinator. Lives on one sequence; destruction
// cancels it.
class ReportStream {
 public:
  virtual ~ReportStream() = default;
  // Sent in the order of the calls. The caller bounds how much is unanswered; nothing is refused
  // here.
  virtual void Send(const v1::StreamMetricsRequest& message) = 0;
};

// The worker's view of WorkerService: one attempt per call, with a deadline; who calls decides what
// is tried again. Thread-safe, nothing blocks. Callbacks come on any thread, exactly once. Codes
// are those of the service; UNAVAILABLE and DEADLINE_EXCEEDED also when the coordinator is not
// there.
class CoordinatorClient {
 public:
  template <typename Response>
  using Callback = std::function<void(absl::StatusOr<Response>)>;

  virtual ~CoordinatorClient() = default;

  virtual void Register(const v1::RegisterRequest& request,
                        Callback<v1::RegisterResponse> callback) = 0;
  // Its deadline is wait_ms and some seconds.
  virtual void AcquireLeases(const v1::AcquireLeasesRequest& request,
                             Callback<v1::AcquireLeasesResponse> callback) = 0;
  // Ends every AcquireLeases in flight with CANCELLED, so that nothing is granted to a worker that
  // takes nothing more.
  virtual void CancelAcquires() = 0;
  virtual void Heartbeat(const v1::HeartbeatRequest& request,
                         Callback<v1::HeartbeatResponse> callback) = 0;
  virtual void CommitCheckpoint(const v1::CommitCheckpointRequest& request,
                                Callback<v1::CommitCheckpointResponse> callback) = 0;
  virtual void RejectCheckpoint(const v1::RejectCheckpointRequest& request,
                                Callback<v1::RejectCheckpointResponse> callback) = 0;
  virtual void CompleteJob(const v1::CompleteJobRequest& request,
                           Callback<v1::CompleteJobResponse> callback) = 0;
  virtual void FailJob(const v1::FailJobRequest& request,
                       Callback<v1::FailJobResponse> callback) = 0;
  virtual void ReleaseLease(const v1::ReleaseLeaseRequest& request,
                            Callback<v1::ReleaseLeaseResponse> callback) = 0;

  // Sends the file and commits it. DATA_LOSS when the local file cannot be read.
  virtual void UploadCheckpoint(const v1::CommitCheckpointRequest& header, const std::string& file,
                                Callback<v1::UploadCheckpointResponse> callback) = 0;
  // Writes what it receives to `file` atomically, making its folder. `bytes` is the expected size,
  // for the deadline only. FAILED_PRECONDITION when this machine cannot store it.
  virtual void DownloadCheckpoint(const v1::DownloadCheckpointRequest& request, uint64_t bytes,
                                  const std::string& file,
                                  std::function<void(absl::Status)> callback) = 0;

  // `on_end` comes once, after the last answer; neither is guaranteed once the stream is destroyed.
  virtual std::unique_ptr<ReportStream> OpenReports(
      std::function<void(v1::StreamMetricsResponse)> on_answer,
      std::function<void(absl::Status)> on_end) = 0;

  // A failed call in words that say which coordinator and what to do.
  virtual std::string Explain(const absl::Status& status) const = 0;
};

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_COORDINATOR_CLIENT_H_
