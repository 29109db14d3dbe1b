#include "cli/client.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <algorithm>
#include <set>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "cli/clean.h"
#include "common/base/backoff.h"
#include "common/base/build_info.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/rpc/channel.h"
#include "common/rpc/status.h"
#include "coppice/v1/coordinator.grpc.pb.h"
#include "coppice/v1/pools.grpc.pb.h"

namespace coppice::cli {
namespace {

constexpr absl::Duration kQuick = absl::Seconds(30);
// Planning, cancelling or retrying millions of jobs is one transaction.
constexpr absl::Duration kBulk = absl::Minutes(10);
// Several commands of a batch system that is slow to answer.
constexpr absl::Duration kBatchSystem = absl::Minutes(3);
// The time that a probe takes beside the wait for its job.
constexpr absl::Duration kProbe = absl::Minutes(5);
constexpr absl::Duration kTransfer = absl::Hours(6);
// An overloaded coordinator is asked again for this long.
constexpr absl::Duration kBusyPatience = absl::Seconds(15);
constexpr absl::Duration kFollowLog = absl::Hours(30 * 24);
// A follower's call is renewed after this long. Keepalive detects a dead peer much sooner.
constexpr absl::Duration kFollow = absl::Hours(1);

}  // namespace

// Owns the stub and tracks the calls in flight, so that they can be cancelled.
class Client::Calls {
 public:
  using Stub = v1::SweepService::Stub;
  using Pools = v1::PoolService::Stub;

  Calls(std::shared_ptr<grpc::Channel> channel, std::string address, bool tls)
      : channel_(std::move(channel)),
        address_(std::move(address)),
        tls_(tls),
        stub_(v1::SweepService::NewStub(channel_)),
        pools_(v1::PoolService::NewStub(channel_)) {}

  template <typename Request, typename Response>
  absl::StatusOr<Response> Unary(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                              Response*),
                                 const Request& request, absl::Duration deadline) {
    return Unary(stub_.get(), method, request, deadline);
  }
  template <typename Request, typename Response>
  absl::StatusOr<Response> Unary(grpc::Status (Pools::*method)(grpc::ClientContext*, const Request&,
                                                               Response*),
                                 const Request& request, absl::Duration deadline) {
    return Unary(pools_.get(), method, request, deadline);
  }
  template <typename Service, typename Request, typename Response>
  absl::StatusOr<Response> Unary(Service* stub,
                                 grpc::Status (Service::*method)(grpc::ClientContext*,
                                                                 const Request&, Response*),
                                 const Request& request, absl::Duration deadline) {
    Clock* const clock = Clock::Real();
    const absl::Duration give_up = clock->Monotonic() + std::min(deadline, kBusyPatience);
    Backoff backoff(absl::Milliseconds(200), absl::Seconds(2));
    for (;;) {
      Response response;
      const absl::Status status = Run(deadline, [&](grpc::ClientContext* context) {
        return (stub->*method)(context, request, &response);
      });
      if (status.ok()) {
        Clean(&response);
        return response;
      }
      // RESOURCE_EXHAUSTED: the call was not begun, and may succeed later.
      if (!absl::IsResourceExhausted(status) || clock->Monotonic() > give_up ||
          !Pause(backoff.Next())) {
        return Explain(status);
      }
    }
  }

  void KeepTextAsItIs() { clean_ = false; }
  void Clean(google::protobuf::Message* response) const {
    if (clean_) CleanText(response);
  }

  absl::Status Explain(const absl::Status& status) const {
    return rpc::ExplainCallError(status, address_, tls_);
  }

  // The raw status of a server stream. OK also if `each` ended it.
  template <typename Request, typename Response>
  absl::Status Stream(std::unique_ptr<grpc::ClientReader<Response>> (Stub::*method)(
                          grpc::ClientContext*, const Request&),
                      const Request& request, absl::Duration deadline,
                      const std::function<bool(const Response&)>& each) {
    bool ended = false;
    const absl::Status status = Run(deadline, [&](grpc::ClientContext* context) {
      auto reader = (stub_.get()->*method)(context, request);
      Response response;
      while (!ended && reader->Read(&response)) {
        ended = !each(response);
      }
      if (ended) context->TryCancel();
      return reader->Finish();
    });
    return ended ? absl::OkStatus() : status;
  }

  // False if Close was called meanwhile.
  bool Pause(absl::Duration time) {
    absl::MutexLock lock(&mutex_);
    return !mutex_.AwaitWithTimeout(absl::Condition(&closed_), time);
  }

  void Close() {
    absl::MutexLock lock(&mutex_);
    closed_ = true;
    for (grpc::ClientContext* context : running_) context->TryCancel();
  }

 private:
  template <typename Call>
  absl::Status Run(absl::Duration deadline, const Call& call) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(Clock::Real()->Now() + deadline));
    {
      absl::MutexLock lock(&mutex_);
      if (closed_) return absl::CancelledError("stopped");
      running_.insert(&context);
    }
    const absl::Status status = rpc::FromGrpc(call(&context));
    absl::MutexLock lock(&mutex_);
    running_.erase(&context);
    return status;
  }

  const std::shared_ptr<grpc::Channel> channel_;
  const std::string address_;
  const bool tls_;
  bool clean_ = true;
  const std::unique_ptr<Stub> stub_;
  const std::unique_ptr<Pools> pools_;
  absl::Mutex mutex_;
  std::set<grpc::ClientContext*> running_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

absl::StatusOr<std::unique_ptr<Client>> Client::Create(const std::string& address,
                                                       const rpc::Credentials& credentials) {
  COPPICE_ASSIGN_OR_RETURN(std::shared_ptr<grpc::Channel> channel,
                           rpc::MakeChannel(address, credentials));
  return std::unique_ptr<Client>(
      new Client(address, std::make_unique<Calls>(std::move(channel), address, credentials.tls())));
}

Client::Client(std::string address, std::unique_ptr<Calls> calls)
    : address_(std::move(address)), calls_(std::move(calls)) {}

Client::~Client() = default;

void Client::KeepTextAsItIs() { calls_->KeepTextAsItIs(); }

void Client::CancelAll() { calls_->Close(); }

absl::StatusOr<v1::GetServerInfoResponse> Client::GetServerInfo() {
  return calls_->Unary(&Calls::Stub::GetServerInfo, v1::GetServerInfoRequest(), kQuick);
}

absl::Status Client::CheckVersion() {
  COPPICE_ASSIGN_OR_RETURN(const v1::GetServerInfoResponse info, GetServerInfo());
  if (info.protocol() == rpc::kProtocolVersion) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "the coordinator at ", address_, " is version ", info.version(), " and speaks protocol ",
      info.protocol(), ", this coppice is version ", VersionText(), " and speaks protocol ",
      rpc::kProtocolVersion, "; install the same version on both machines"));
}

absl::StatusOr<v1::SubmitSweepResponse> Client::Submit(const v1::SubmitSweepRequest& request) {
  return calls_->Unary(&Calls::Stub::SubmitSweep, request, kBulk);
}

absl::StatusOr<v1::ExtendSweepResponse> Client::Extend(const v1::ExtendSweepRequest& request) {
  return calls_->Unary(&Calls::Stub::ExtendSweep, request, kBulk);
}

absl::StatusOr<v1::GetSweepResponse> Client::GetSweep(const std::string& name) {
  v1::GetSweepRequest request;
  request.set_name(name);
  request.set_without_runs(true);
  return calls_->Unary(&Calls::Stub::GetSweep, request, kQuick);
}

absl::StatusOr<v1::GetSweepResponse> Client::GetSweepWithRuns(const std::string& name) {
  v1::GetSweepRequest request;
  request.set_name(name);
  return calls_->Unary(&Calls::Stub::GetSweep, request, kQuick);
}

absl::StatusOr<v1::ListSweepsResponse> Client::ListSweeps(const std::vector<std::string>& tags) {
  v1::ListSweepsResponse all;
  v1::ListSweepsRequest request;
  request.mutable_tags()->Assign(tags.begin(), tags.end());
  for (;;) {
    COPPICE_ASSIGN_OR_RETURN(const v1::ListSweepsResponse page,
                             calls_->Unary(&Calls::Stub::ListSweeps, request, kQuick));
    all.mutable_sweeps()->MergeFrom(page.sweeps());
    if (page.next_page_token().empty()) return all;
    request.set_page_token(page.next_page_token());
  }
}

absl::Status Client::ListJobs(const v1::JobFilter& filter, bool with_latest,
                              const std::function<bool(const v1::ListJobsResponse&)>& each) {
  v1::ListJobsRequest request;
  *request.mutable_filter() = filter;
  request.set_with_latest(with_latest);
  request.set_page_size(5'000);
  for (;;) {
    COPPICE_ASSIGN_OR_RETURN(const v1::ListJobsResponse page,
                             calls_->Unary(&Calls::Stub::ListJobs, request, kQuick));
    if (!each(page) || page.next_page_token().empty()) return absl::OkStatus();
    request.set_page_token(page.next_page_token());
  }
}

absl::StatusOr<v1::GetJobResponse> Client::GetJob(uint64_t id) {
  v1::GetJobRequest request;
  request.set_job_id(id);
  return calls_->Unary(&Calls::Stub::GetJob, request, kQuick);
}

absl::StatusOr<v1::ExplainJobResponse> Client::ExplainJob(uint64_t id) {
  v1::ExplainJobRequest request;
  request.set_job_id(id);
  return calls_->Unary(&Calls::Stub::ExplainJob, request, kQuick);
}

absl::StatusOr<v1::CancelJobsResponse> Client::CancelJobs(const v1::JobFilter& filter) {
  v1::CancelJobsRequest request;
  *request.mutable_filter() = filter;
  return calls_->Unary(&Calls::Stub::CancelJobs, request, kBulk);
}

absl::StatusOr<v1::RetryJobsResponse> Client::RetryJobs(const v1::JobFilter& filter) {
  v1::RetryJobsRequest request;
  *request.mutable_filter() = filter;
  return calls_->Unary(&Calls::Stub::RetryJobs, request, kBulk);
}

absl::StatusOr<v1::PauseSweepResponse> Client::PauseSweep(const std::string& name) {
  v1::PauseSweepRequest request;
  request.set_name(name);
  return calls_->Unary(&Calls::Stub::PauseSweep, request, kQuick);
}

absl::StatusOr<v1::ResumeSweepResponse> Client::ResumeSweep(const std::string& name) {
  v1::ResumeSweepRequest request;
  request.set_name(name);
  return calls_->Unary(&Calls::Stub::ResumeSweep, request, kQuick);
}

absl::StatusOr<v1::DeleteSweepResponse> Client::DeleteSweep(const v1::DeleteSweepRequest& request) {
  return calls_->Unary(&Calls::Stub::DeleteSweep, request, kBulk);
}

absl::StatusOr<v1::AnnotateSweepResponse> Client::AnnotateSweep(
    const v1::AnnotateSweepRequest& request) {
  return calls_->Unary(&Calls::Stub::AnnotateSweep, request, kQuick);
}

absl::StatusOr<v1::ListWorkersResponse> Client::ListWorkers(bool all) {
  v1::ListWorkersResponse list;
  v1::ListWorkersRequest request;
  request.set_all(all);
  for (;;) {
    COPPICE_ASSIGN_OR_RETURN(const v1::ListWorkersResponse page,
                             calls_->Unary(&Calls::Stub::ListWorkers, request, kQuick));
    list.mutable_workers()->MergeFrom(page.workers());
    list.mutable_warnings()->MergeFrom(page.warnings());
    if (page.next_page_token().empty()) return list;
    request.set_page_token(page.next_page_token());
  }
}

absl::StatusOr<v1::DrainWorkerResponse> Client::DrainWorker(const v1::DrainWorkerRequest& request) {
  return calls_->Unary(&Calls::Stub::DrainWorker, request, kQuick);
}

absl::StatusOr<v1::ForgetWorkerResponse> Client::ForgetWorker(const std::string& worker) {
  v1::ForgetWorkerRequest request;
  request.set_worker(worker);
  return calls_->Unary(&Calls::Stub::ForgetWorker, request, kQuick);
}

absl::StatusOr<v1::AddPoolResponse> Client::AddPool(const v1::AddPoolRequest& request) {
  return calls_->Unary(&Calls::Pools::AddPool, request, kQuick);
}

absl::StatusOr<v1::ListPoolsResponse> Client::ListPools() {
  return calls_->Unary(&Calls::Pools::ListPools, v1::ListPoolsRequest(), kQuick);
}

absl::StatusOr<v1::GetPoolResponse> Client::GetPool(const std::string& name) {
  v1::GetPoolRequest request;
  request.set_name(name);
  return calls_->Unary(&Calls::Pools::GetPool, request, kQuick);
}

absl::StatusOr<v1::CheckPoolResponse> Client::CheckPool(const v1::CheckPoolRequest& request) {
  absl::Duration deadline = kBatchSystem;
  if (request.probe()) deadline += absl::Seconds(request.probe_wait_s()) + kProbe;
  return calls_->Unary(&Calls::Pools::CheckPool, request, deadline);
}

absl::StatusOr<v1::ScalePoolResponse> Client::ScalePool(const v1::ScalePoolRequest& request) {
  return calls_->Unary(&Calls::Pools::ScalePool, request, kQuick);
}

absl::StatusOr<v1::SetPoolModeResponse> Client::SetPoolMode(const v1::SetPoolModeRequest& request) {
  return calls_->Unary(&Calls::Pools::SetPoolMode, request, kQuick);
}

absl::StatusOr<v1::RemovePoolResponse> Client::RemovePool(const v1::RemovePoolRequest& request) {
  return calls_->Unary(&Calls::Pools::RemovePool, request, kQuick);
}

absl::Status Client::Wait(absl::Duration time) {
  return calls_->Pause(time) ? absl::OkStatus() : absl::CancelledError("stopped");
}

absl::StatusOr<v1::RunCommandsResponse> Client::RunCommands(const v1::RunCommandsRequest& request) {
  return calls_->Unary(&Calls::Pools::RunCommands, request, kQuick);
}

absl::Status Client::WatchSweep(const std::string& name, absl::Duration patience,
                                const std::function<void()>& reconnected,
                                const std::function<bool(const v1::WatchSweepResponse&)>& each) {
  v1::WatchSweepRequest request;
  request.set_name(name);
  Clock* const clock = Clock::Real();
  Backoff backoff(absl::Milliseconds(200), absl::Seconds(2));
  absl::Duration heard = -absl::InfiniteDuration();
  for (;;) {
    const absl::Status status = calls_->Stream<v1::WatchSweepRequest, v1::WatchSweepResponse>(
        &Calls::Stub::WatchSweep, request, kFollow, [&](const v1::WatchSweepResponse& response) {
          heard = clock->Monotonic();
          backoff.Reset();
          v1::WatchSweepResponse shown = response;
          calls_->Clean(&shown);
          return each(shown);
        });
    // The call reached its own deadline, so the connection was alive until now.
    if (absl::IsDeadlineExceeded(status)) heard = clock->Monotonic();
    // RESOURCE_EXHAUSTED: this side read too slowly and must start anew. If the coordinator has
    // never answered, the user gets the error at once.
    if (!rpc::IsRetryable(status) || clock->Monotonic() - heard > patience ||
        !calls_->Pause(backoff.Next())) {
      return calls_->Explain(status);
    }
    reconnected();
  }
}

absl::Status Client::GetMetrics(const v1::GetMetricsRequest& request,
                                const std::function<bool(const v1::GetMetricsResponse&)>& each) {
  return calls_->Explain(calls_->Stream(&Calls::Stub::GetMetrics, request, kTransfer, each));
}

absl::Status Client::GetLogs(const v1::GetLogsRequest& request,
                             const std::function<bool(const v1::GetLogsResponse&)>& each) {
  const absl::Duration deadline = request.follow() ? kFollowLog : kTransfer;
  return calls_->Explain(calls_->Stream(&Calls::Stub::GetLogs, request, deadline, each));
}

absl::Status Client::FetchCheckpoint(
    uint64_t job_id, std::optional<uint32_t> step,
    const std::function<bool(const v1::FetchCheckpointResponse&)>& each) {
  v1::FetchCheckpointRequest request;
  request.set_job_id(job_id);
  if (step.has_value()) request.set_step(*step);
  return calls_->Explain(calls_->Stream(&Calls::Stub::FetchCheckpoint, request, kTransfer, each));
}

}  // namespace coppice::cli
