// The client's side of SweepService and PoolService, without gRPC in its interface.
#ifndef COPPICE_CLI_CLIENT_H_
#define COPPICE_CLI_CLIENT_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/rpc/credentials.h"
#include "coppice/v1/coordinator.pb.h"
#include "coppice/v1/pools.pb.h"

namespace coppice::cli {

// Calls one coordinator. Every call has a deadline. Errors name the coordinator and the remedy
// (rpc::ExplainCallError). Thread-safe. Streams call back on the caller's thread; their callback
// returns false to end the stream early, which is OK.
class Client {
 public:
  // Does not connect yet. Codes as of rpc::MakeChannel.
  static absl::StatusOr<std::unique_ptr<Client>> Create(const std::string& address,
                                                        const rpc::Credentials& credentials = {});
  ~Client();

  const std::string& address() const { return address_; }

  // Keeps texts in answers as they are, for JSON, which escapes control characters itself. Without
  // this call they are made Printable. Texts of GetMetrics and GetLogs are never changed.
  void KeepTextAsItIs();

  absl::StatusOr<v1::GetServerInfoResponse> GetServerInfo();
  // FAILED_PRECONDITION, with both versions, if the coordinator speaks another protocol. For calls
  // that change something.
  absl::Status CheckVersion();

  absl::StatusOr<v1::SubmitSweepResponse> Submit(const v1::SubmitSweepRequest& request);
  // FAILED_PRECONDITION: the sweep cannot become that of the spec; with dry_run the answer has the
  // reasons instead.
  absl::StatusOr<v1::ExtendSweepResponse> Extend(const v1::ExtendSweepRequest& request);
  // Its groups have no `run`: with many points, those would be most of the answer.
  absl::StatusOr<v1::GetSweepResponse> GetSweep(const std::string& name);
  absl::StatusOr<v1::GetSweepResponse> GetSweepWithRuns(const std::string& name);
  // Those with all of `tags`.
  absl::StatusOr<v1::ListSweepsResponse> ListSweeps(const std::vector<std::string>& tags = {});
  // Reads all pages and calls `each` once a page.
  absl::Status ListJobs(const v1::JobFilter& filter, bool with_latest,
                        const std::function<bool(const v1::ListJobsResponse&)>& each);
  absl::StatusOr<v1::GetJobResponse> GetJob(uint64_t id);
  absl::StatusOr<v1::ExplainJobResponse> ExplainJob(uint64_t id);
  absl::StatusOr<v1::CancelJobsResponse> CancelJobs(const v1::JobFilter& filter);
  absl::StatusOr<v1::RetryJobsResponse> RetryJobs(const v1::JobFilter& filter);
  absl::StatusOr<v1::PauseSweepResponse> PauseSweep(const std::string& name);
  absl::StatusOr<v1::ResumeSweepResponse> ResumeSweep(const std::string& name);
  absl::StatusOr<v1::DeleteSweepResponse> DeleteSweep(const v1::DeleteSweepRequest& request);
  absl::StatusOr<v1::AnnotateSweepResponse> AnnotateSweep(const v1::AnnotateSweepRequest& request);
  // `all`: the departed too.
  absl::StatusOr<v1::ListWorkersResponse> ListWorkers(bool all = false);
  absl::StatusOr<v1::DrainWorkerResponse> DrainWorker(const v1::DrainWorkerRequest& request);
  absl::StatusOr<v1::ForgetWorkerResponse> ForgetWorker(const std::string& worker);

  absl::StatusOr<v1::AddPoolResponse> AddPool(const v1::AddPoolRequest& request);
  absl::StatusOr<v1::ListPoolsResponse> ListPools();
  absl::StatusOr<v1::GetPoolResponse> GetPool(const std::string& name);
  absl::StatusOr<v1::CheckPoolResponse> CheckPool(const v1::CheckPoolRequest& request);
  absl::StatusOr<v1::ScalePoolResponse> ScalePool(const v1::ScalePoolRequest& request);
  absl::StatusOr<v1::SetPoolModeResponse> SetPoolMode(const v1::SetPoolModeRequest& request);
  absl::StatusOr<v1::RemovePoolResponse> RemovePool(const v1::RemovePoolRequest& request);
  absl::StatusOr<v1::RunCommandsResponse> RunCommands(const v1::RunCommandsRequest& request);

  // OK when every job has ended. If the coordinator goes away, the call waits up to `patience`
  // without progress, then returns UNAVAILABLE. After each reconnection `reconnected` is called,
  // and the stream starts anew with a summary.
  absl::Status WatchSweep(const std::string& name, absl::Duration patience,
                          const std::function<void()>& reconnected,
                          const std::function<bool(const v1::WatchSweepResponse&)>& each);
  absl::Status GetMetrics(const v1::GetMetricsRequest& request,
                          const std::function<bool(const v1::GetMetricsResponse&)>& each);
  absl::Status GetLogs(const v1::GetLogsRequest& request,
                       const std::function<bool(const v1::GetLogsResponse&)>& each);
  // Streams one of a job's committed checkpoints (the current one if `step` is unset): first its
  // description, then its bytes.
  absl::Status FetchCheckpoint(uint64_t job_id, std::optional<uint32_t> step,
                               const std::function<bool(const v1::FetchCheckpointResponse&)>& each);

  // Waits. CANCELLED: CancelAll was called.
  absl::Status Wait(absl::Duration time);
  // Ends every call with CANCELLED, both running and later ones. Any thread may call it.
  void CancelAll();

 private:
  class Calls;
  Client(std::string address, std::unique_ptr<Calls> calls);

  const std::string address_;
  const std::unique_ptr<Calls> calls_;
};

}  // namespace coppice::cli

#endif  // COPPICE_CLI_CLIENT_H_
