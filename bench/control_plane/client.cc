#include "bench/control_plane/client.h"

#include <grpcpp/client_context.h>

#include <utility>

#include "absl/time/clock.h"
#include "bench/control_plane/coordinator_process.h"
#include "bench/control_plane/sweeps.h"
#include "common/base/status_macros.h"
#include "common/rpc/channel.h"
#include "common/rpc/status.h"
#include "worker/daemon/call_registry.h"

namespace coppice::bench {
namespace {

constexpr absl::Duration kTimeout = absl::Minutes(5);

}  // namespace

Client::Client(const std::string& address)
    : stub_(v1::SweepService::NewStub(*rpc::MakeChannel(address))) {}

absl::StatusOr<v1::SubmitSweepResponse> Client::Submit(const v1::SweepSpec& spec) {
  v1::SubmitSweepRequest request;
  *request.mutable_spec() = spec;
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  worker::SetDeadline(&context, kTimeout);
  v1::SubmitSweepResponse response;
  COPPICE_RETURN_IF_ERROR(rpc::FromGrpc(stub_->SubmitSweep(&context, request, &response)));
  return response;
}

absl::StatusOr<v1::GetSweepResponse> Client::GetSweep(const std::string& name) {
  v1::GetSweepRequest request;
  request.set_name(name);
  grpc::ClientContext context;
  worker::SetDeadline(&context, kTimeout);
  v1::GetSweepResponse response;
  COPPICE_RETURN_IF_ERROR(rpc::FromGrpc(stub_->GetSweep(&context, request, &response)));
  return response;
}

absl::Status Client::FirstJobs(const std::string& sweep) {
  v1::ListJobsRequest request;
  request.mutable_filter()->set_sweep(sweep);
  grpc::ClientContext context;
  worker::SetDeadline(&context, kTimeout);
  v1::ListJobsResponse response;
  return rpc::FromGrpc(stub_->ListJobs(&context, request, &response));
}

absl::Status Client::ListWorkers() {
  grpc::ClientContext context;
  worker::SetDeadline(&context, kTimeout);
  v1::ListWorkersResponse response;
  return rpc::FromGrpc(stub_->ListWorkers(&context, v1::ListWorkersRequest(), &response));
}

absl::Status Client::EachJob(const std::string& sweep, v1::JobState state,
                             const std::function<void(const v1::Job&)>& each) {
  v1::ListJobsRequest request;
  request.mutable_filter()->set_sweep(sweep);
  request.mutable_filter()->add_states(state);
  request.set_page_size(10'000);
  for (;;) {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    worker::SetDeadline(&context, kTimeout);
    v1::ListJobsResponse page;
    COPPICE_RETURN_IF_ERROR(rpc::FromGrpc(stub_->ListJobs(&context, request, &page)));
    for (const v1::Job& job : page.jobs()) each(job);
    if (page.next_page_token().empty()) return absl::OkStatus();
    request.set_page_token(page.next_page_token());
  }
}

StatusProbe::StatusProbe(const Options& options, const std::string& address, What what)
    : options_(options), address_(address), what_(what), client_(address), thread_([this] {
        Run();
      }) {}

StatusLatencies StatusProbe::Stop() {
  stopped_ = true;
  if (thread_.joinable()) thread_.join();
  return std::exchange(latencies_, StatusLatencies());
}

void StatusProbe::Run() {
  const auto ask = [this](Latencies* latencies, const std::function<absl::Status()>& call) {
    const absl::Time start = absl::Now();
    if (!call().ok()) ++latencies_.failed;
    latencies->Add(absl::Now() - start);
  };
  for (int round = 0; !stopped_; ++round) {
    if (what_ == kAll) {
      ask(&latencies_.get_sweep, [this] { return client_.GetSweep(kLarge).status(); });
      ask(&latencies_.list_jobs, [this] { return client_.FirstJobs(kLarge); });
      if (round % 8 == 0) ask(&latencies_.list_workers, [this] { return client_.ListWorkers(); });
    }
    if ((round % 8 == 4 || what_ == kCommandAlone) && !options_.coppice.empty()) {
      ask(&latencies_.command, [this]() -> absl::Status {
        COPPICE_ASSIGN_OR_RETURN(
            const int code, RunCommand({options_.coppice, "--insecure", "--coordinator", address_,
                                        "status", kLarge},
                                       "/dev/null"));
        return code == 0 ? absl::OkStatus() : absl::InternalError("coppice status failed");
      });
    }
    for (int i = 0; i < 10 && !stopped_; ++i) absl::SleepFor(absl::Milliseconds(20));
  }
}

}  // namespace coppice::bench
