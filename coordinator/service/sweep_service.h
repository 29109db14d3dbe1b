#ifndef COPPICE_COORDINATOR_SERVICE_SWEEP_SERVICE_H_
#define COPPICE_COORDINATOR_SERVICE_SWEEP_SERVICE_H_

#include "coordinator/pools/autoscaler.h"
#include "coordinator/service/checkpoint_streams.h"
#include "coordinator/service/live_streams.h"
#include "coordinator/service/server_facts.h"
#include "coppice/v1/coordinator.grpc.pb.h"

namespace coppice::service {

// Purpose: SweepService, the RPCs for clients. Each handler decodes, calls the core and encodes.
// Owner: Server. Thread-safe; nothing blocks in a reaction. Failure codes: those of
// core::Coordinator, and INVALID_ARGUMENT from the decoding.
class SweepServiceImpl final : public v1::SweepService::CallbackService {
 public:
  // All arguments outlive this object.
  // `pools` may be null.
  SweepServiceImpl(const TransferContext& context, LiveStreams* live, const ServerFacts* facts,
                   pools::Autoscaler* pools)
      : context_(context), core_(context.core), live_(live), facts_(facts), pools_(pools) {}

  using Context = grpc::CallbackServerContext;
  using Unary = grpc::ServerUnaryReactor;
  Unary* SubmitSweep(Context*, const v1::SubmitSweepRequest*, v1::SubmitSweepResponse*) override;
  Unary* ExtendSweep(Context*, const v1::ExtendSweepRequest*, v1::ExtendSweepResponse*) override;
  Unary* GetSweep(Context*, const v1::GetSweepRequest*, v1::GetSweepResponse*) override;
  Unary* ListSweeps(Context*, const v1::ListSweepsRequest*, v1::ListSweepsResponse*) override;
  Unary* DeleteSweep(Context*, const v1::DeleteSweepRequest*, v1::DeleteSweepResponse*) override;
  Unary* AnnotateSweep(Context*, const v1::AnnotateSweepRequest*,
                       v1::AnnotateSweepResponse*) override;
  Unary* ListJobs(Context*, const v1::ListJobsRequest*, v1::ListJobsResponse*) override;
  Unary* GetJob(Context*, const v1::GetJobRequest*, v1::GetJobResponse*) override;
  Unary* ExplainJob(Context*, const v1::ExplainJobRequest*, v1::ExplainJobResponse*) override;
  Unary* CancelJobs(Context*, const v1::CancelJobsRequest*, v1::CancelJobsResponse*) override;
  Unary* PauseSweep(Context*, const v1::PauseSweepRequest*, v1::PauseSweepResponse*) override;
  Unary* ResumeSweep(Context*, const v1::ResumeSweepRequest*, v1::ResumeSweepResponse*) override;
  Unary* RetryJobs(Context*, const v1::RetryJobsRequest*, v1::RetryJobsResponse*) override;
  Unary* ListWorkers(Context*, const v1::ListWorkersRequest*, v1::ListWorkersResponse*) override;
  Unary* DrainWorker(Context*, const v1::DrainWorkerRequest*, v1::DrainWorkerResponse*) override;
  Unary* ForgetWorker(Context*, const v1::ForgetWorkerRequest*, v1::ForgetWorkerResponse*) override;
  Unary* GetServerInfo(Context*, const v1::GetServerInfoRequest*,
                       v1::GetServerInfoResponse*) override;
  grpc::ServerWriteReactor<v1::WatchSweepResponse>* WatchSweep(
      Context*, const v1::WatchSweepRequest*) override;
  grpc::ServerWriteReactor<v1::GetMetricsResponse>* GetMetrics(
      Context*, const v1::GetMetricsRequest*) override;
  grpc::ServerWriteReactor<v1::GetLogsResponse>* GetLogs(Context*,
                                                         const v1::GetLogsRequest*) override;
  grpc::ServerWriteReactor<v1::FetchCheckpointResponse>* FetchCheckpoint(
      Context*, const v1::FetchCheckpointRequest*) override;

 private:
  const TransferContext context_;
  core::Coordinator* const core_;
  LiveStreams* const live_;
  const ServerFacts* const facts_;
  pools::Autoscaler* const pools_;
};

}  // namespace coppice::service

#endif  // COPPICE_COORDINATOR_SERVICE_SWEEP_SERVICE_H_
