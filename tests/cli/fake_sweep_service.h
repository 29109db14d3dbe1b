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
  // What WatchSweep tells, then it ends with `watch_status`; the first `watch_breaks` calls end
  // with UNAVAILABLE after the first update.
  std::vector<v1::WatchSweepResponse> updates;
  grpc::Status watch_status;
  int watch_breaks = 0;
  bool watch_open = false;  // WatchSweep waits, once it has told everything, until this is false
  // What FetchCheckpoint sends, then it ends with `fetch_status`.
  std::vector<v1::FetchCheckpointResponse> fetch_parts;
  grpc::Status fetch_status;
  std::string taint;           // stands behind every text of every answer
  std::string log = "first ";  // the first part of what GetLogs sends; empty: nothing is sent
  int busy = 0;                // so many calls of GetSweep are refused with RESOURCE_EXHAUSTED
  bool stored = false;         // SubmitSweep without dry_run came

  // The newest request of each kind.
  v1::SubmitSweepRequest submit;
  v1::GetMetricsRequest get_metrics;
  v1::GetLogsRequest get_logs;
  v1::FetchCheckpointRequest fetch;
  v1::CancelJobsRequest cancel;
  v1::RetryJobsRequest retry;
  uint64_t retryable = 1;
  v1::DrainWorkerRequest drain;
  std::string paused, resumed;
  int list_jobs_calls = 0;
  int watch_calls = 0;

  grpc::Status SubmitSweep(grpc::ServerContext*, const v1::SubmitSweepRequest*,
                           v1::SubmitSweepResponse*) override;
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
  grpc::Status RetryJobs(grpc::ServerContext*, const v1::RetryJobsRequest*,
                         v1::RetryJobsResponse*) override;
  grpc::Status ListWorkers(grpc::ServerContext*, const v1::ListWorkersRequest*,
                           v1::ListWorkersResponse*) override;
  grpc::Status DrainWorker(grpc::ServerContext*, const v1::DrainWorkerRequest*,
                           v1::DrainWorkerResponse*) override;
  grpc::Status GetServerInfo(grpc::ServerContext*, const v1::GetServerInfoRequest*,
                             v1::GetServerInfoResponse*) override;

 private:
  const v1::Job* FindJob(uint64_t id) const;
  void Taint(google::protobuf::Message* answer) const;
};

// Serves a FakeSweepService for as long as it lives.
class FakeCoordinator {
 public:
  FakeCoordinator();
  ~FakeCoordinator();

  FakeSweepService& service() { return service_; }
  const std::string& address() const { return address_; }
  // The same behind TLS, for clients with this access file's text.
  const std::string& tls_address() const { return tls_address_; }
  const std::string& access() const { return access_; }
  // The flags of a `coppice` process that is to talk to it, by an access file in this folder.
  std::vector<std::string> AccessFlags(const std::string& folder) const;

 private:
  FakeSweepService service_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_, tls_address_, access_;
};

struct CliResult {
  int code;
  std::string out;
  std::string err;
};

// RunCli on a pipe, against `coordinator` unless the arguments name another. It talks in plain text
// unless they say otherwise; the warning about that is left out.
CliResult RunCommand(const std::string& coordinator, std::vector<std::string> args);

}  // namespace coppice::cli

#endif  // COPPICE_TESTS_CLI_FAKE_SWEEP_SERVICE_H_
