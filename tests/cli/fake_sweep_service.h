// A coordinator's client side with made-up answers, on a real gRPC server on loopback.
#ifndef COPPICE_TESTS_CLI_FAKE_SWEEP_SERVICE_H_
#define COPPICE_TESTS_CLI_FAKE_SWEEP_SERVICE_H_

#include <grpcpp/server.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "common/rpc/channel.h"
#include "coppice/v1/coordinator.grpc.pb.h"
#include "tests/cli/fake_pool_service.h"

namespace coppice::cli {

// Holds one sweep "demo": question and dyck, depths 1 and 2, seeds 0 and 1, with a job in each
// state. Members are read and set under `mutex`.
class FakeSweepService final : public v1::SweepService::Service {
 public:
  FakeSweepService();

  absl::Mutex mutex;
  uint32_t protocol = rpc::kProtocolVersion;
  std::vector<v1::SweepSummary> sweeps;
  v1::SweepSpec spec;
  std::vector<v1::GroupSummary> groups;
  std::vector<v1::Job> jobs;
  std::vector<v1::JobMetrics> metrics;
  std::vector<v1::Worker> workers;
  std::vector<v1::ServerCertificate> certificates;
  std::string provenance = R"({"device":"cpu"})";  // of every attempt
  // The updates of WatchSweep, which then ends with `watch_status`. The first `watch_breaks` calls
  // end with UNAVAILABLE after the first update.
  std::vector<v1::WatchSweepResponse> updates;
  grpc::Status watch_status;
  int watch_breaks = 0;
  bool watch_open = false;  // after its updates, WatchSweep waits until this is false
  // The parts that FetchCheckpoint sends; then it ends with `fetch_status`.
  std::vector<v1::FetchCheckpointResponse> fetch_parts;
  grpc::Status fetch_status;
  std::string taint;             // appended to every text of every answer
  std::string log = "first ";    // first part that GetLogs sends; empty: it sends nothing
  int busy = 0;                  // number of GetSweep calls to refuse with RESOURCE_EXHAUSTED
  bool stored = false;           // SubmitSweep came without dry_run
  v1::SweepExtension extension;  // what ExtendSweep answers; refused: it fails without dry_run
  bool extended = false;         // ExtendSweep succeeded without dry_run

  // The newest request of each kind.
  v1::SubmitSweepRequest submit;
  v1::ExtendSweepRequest extend;
  v1::GetMetricsRequest get_metrics;
  v1::GetLogsRequest get_logs;
  v1::FetchCheckpointRequest fetch;
  v1::CancelJobsRequest cancel;
  v1::RetryJobsRequest retry;
  uint64_t retryable = 1;
  v1::DrainWorkerRequest drain;
  std::string paused, resumed;
  std::vector<v1::DeleteSweepRequest> deletes;  // all of them
  grpc::Status delete_status;
  v1::AnnotateSweepRequest annotate;
  v1::ListSweepsRequest list_sweeps;
  int list_jobs_calls = 0;
  int watch_calls = 0;

  grpc::Status SubmitSweep(grpc::ServerContext*, const v1::SubmitSweepRequest*,
                           v1::SubmitSweepResponse*) override;
  grpc::Status ExtendSweep(grpc::ServerContext*, const v1::ExtendSweepRequest*,
                           v1::ExtendSweepResponse*) override;
  grpc::Status GetSweep(grpc::ServerContext*, const v1::GetSweepRequest*,
                        v1::GetSweepResponse*) override;
  grpc::Status ListSweeps(grpc::ServerContext*, const v1::ListSweepsRequest*,
                          v1::ListSweepsResponse*) override;
  grpc::Status ListJobs(grpc::ServerContext*, const v1::ListJobsRequest*,
                        v1::ListJobsResponse*) override;
  grpc::Status GetJob(grpc::ServerContext*, const v1::GetJobRequest*, v1::GetJobResponse*) override;
  grpc::Status ExplainJob(grpc::ServerContext*, const v1::ExplainJobRequest*,
                          v1::ExplainJobResponse*) override;
  grpc::Status WatchSweep(grpc::ServerContext*, const v1::WatchSweepRequest*,
                          grpc::ServerWriter<v1::WatchSweepResponse>*) override;
  grpc::Status GetMetrics(grpc::ServerContext*, const v1::GetMetricsRequest*,
                          grpc::ServerWriter<v1::GetMetricsResponse>*) override;
  grpc::Status GetLogs(grpc::ServerContext*, const v1::GetLogsRequest*,
                       grpc::ServerWriter<v1::GetLogsResponse>*) override;
  grpc::Status FetchCheckpoint(grpc::ServerContext*, const v1::FetchCheckpointRequest*,
                               grpc::ServerWriter<v1::FetchCheckpointResponse>*) override;
  grpc::Status CancelJobs(grpc::ServerContext*, const v1::CancelJobsRequest*,
                          v1::CancelJobsResponse*) override;
  grpc::Status PauseSweep(grpc::ServerContext*, const v1::PauseSweepRequest*,
                          v1::PauseSweepResponse*) override;
  grpc::Status ResumeSweep(grpc::ServerContext*, const v1::ResumeSweepRequest*,
                           v1::ResumeSweepResponse*) override;
  grpc::Status DeleteSweep(grpc::ServerContext*, const v1::DeleteSweepRequest*,
                           v1::DeleteSweepResponse*) override;
  grpc::Status AnnotateSweep(grpc::ServerContext*, const v1::AnnotateSweepRequest*,
                             v1::AnnotateSweepResponse*) override;
  grpc::Status RetryJobs(grpc::ServerContext*, const v1::RetryJobsRequest*,
                         v1::RetryJobsResponse*) override;
  grpc::Status ListWorkers(grpc::ServerContext*, const v1::ListWorkersRequest*,
                           v1::ListWorkersResponse*) override;
  grpc::Status DrainWorker(grpc::ServerContext*, const v1::DrainWorkerRequest*,
                           v1::DrainWorkerResponse*) override;
  grpc::Status ForgetWorker(grpc::ServerContext*, const v1::ForgetWorkerRequest*,
                            v1::ForgetWorkerResponse*) override;
  grpc::Status GetServerInfo(grpc::ServerContext*, const v1::GetServerInfoRequest*,
                             v1::GetServerInfoResponse*) override;

 private:
  const v1::Job* FindJob(uint64_t id) const;
  void Taint(google::protobuf::Message* answer) const;
};

// Serves a FakeSweepService and a FakePoolService while it lives.
class FakeCoordinator {
 public:
  FakeCoordinator();
  ~FakeCoordinator();

  FakeSweepService& service() { return service_; }
  FakePoolService& pools() { return pools_; }
  const std::string& address() const { return address_; }
  // The same over TLS, for clients with this text as their access file.
  const std::string& tls_address() const { return tls_address_; }
  const std::string& access() const { return access_; }
  // Flags that let a `coppice` process reach it, by an access file in this folder.
  std::vector<std::string> AccessFlags(const std::string& folder) const;

 private:
  FakeSweepService service_;
  FakePoolService pools_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_, tls_address_, access_;
};

struct CliResult {
  int code;
  std::string out;
  std::string err;
};

// Runs RunCli on a pipe, against `coordinator` unless the arguments name another, in plain text
// unless they say otherwise. The warning about plain text is left out.
CliResult RunCommand(const std::string& coordinator, std::vector<std::string> args);

}  // namespace coppice::cli

#endif  // COPPICE_TESTS_CLI_FAKE_SWEEP_SERVICE_H_
