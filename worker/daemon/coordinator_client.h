#ifndef COPPICE_WORKER_DAEMON_COORDINATOR_CLIENT_H_
#define COPPICE_WORKER_DAEMON_COORDINATOR_CLIENT_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coppice/v1/coordinator.pb.h"

namespace coppice::worker {

// The stream of records to the coordinator. It lives on one sequence. Destruction cancels it.
class RecordStream {
 public:
  virtual ~RecordStream() = default;
  // Messages are sent in the order of the calls. Send refuses nothing: the caller bounds the number
  // of unacknowledged records.
  virtual void Send(v1::StreamRecordsRequest message) = 0;
};

// The worker's view of WorkerService. Each call is one try with a deadline; the caller decides
// about retries.
// Threads: thread-safe, and nothing blocks. Callbacks come on any thread, exactly once.
// Failure codes: those of the service; UNAVAILABLE and DEADLINE_EXCEEDED also if the coordinator is
// away.
class CoordinatorClient {
 public:
  template <typename Response>
  using Callback = std::function<void(absl::StatusOr<Response>)>;

  virtual ~CoordinatorClient() = default;

  virtual void Register(const v1::RegisterRequest& request,
                        Callback<v1::RegisterResponse> callback) = 0;
  // The deadline is wait_ms plus a few seconds.
  virtual void AcquireLeases(const v1::AcquireLeasesRequest& request,
                             Callback<v1::AcquireLeasesResponse> callback) = 0;
  // Ends every AcquireLeases in flight with CANCELLED, so that nothing is granted to a worker that
  // takes no more work.
  virtual void CancelAcquires() = 0;
  virtual void Heartbeat(const v1::HeartbeatRequest& request,
                         Callback<v1::HeartbeatResponse> callback) = 0;
  // The process's last call. Its deadline is short: the exit waits for it.
  virtual void Leave(const v1::LeaveRequest& request, Callback<v1::LeaveResponse> callback) = 0;
  virtual void RejectCheckpoint(const v1::RejectCheckpointRequest& request,
                                Callback<v1::RejectCheckpointResponse> callback) = 0;

  // Sends the file. DATA_LOSS if the local file cannot be read.
  virtual void UploadCheckpoint(const v1::CheckpointUpload& header, const std::string& file,
                                Callback<v1::UploadCheckpointResponse> callback) = 0;
  // Writes the received file to `file` atomically, and creates its folder. `bytes` is the expected
  // size, used only for the deadline. FAILED_PRECONDITION if this machine cannot store it.
  virtual void DownloadCheckpoint(const v1::DownloadCheckpointRequest& request, uint64_t bytes,
                                  const std::string& file,
                                  std::function<void(absl::Status)> callback) = 0;

  // `on_end` comes once, after the last answer. Neither is guaranteed once the stream is destroyed.
  virtual std::unique_ptr<RecordStream> OpenRecords(
      std::function<void(v1::StreamRecordsResponse)> on_answer,
      std::function<void(absl::Status)> on_end) = 0;

  // Describes a failed call: the message names the coordinator and the remedy.
  virtual std::string Explain(const absl::Status& status) const = 0;
};

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_COORDINATOR_CLIENT_H_
