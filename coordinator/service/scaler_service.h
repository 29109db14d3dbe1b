#ifndef COPPICE_COORDINATOR_SERVICE_SCALER_SERVICE_H_
#define COPPICE_COORDINATOR_SERVICE_SCALER_SERVICE_H_

#include "coordinator/core/coordinator.h"
#include "coppice/keda/scaler.grpc.pb.h"

namespace coppice::service {

// The metric: jobs that run, or that a worker would get now. Paused ones do not count, nor those
// that wait after a failure, as for the pools. Running jobs count, so that the autoscaler keeps the
// workers that they have.
inline constexpr char kOpenJobs[] = "open_jobs";
// The entry of the trigger's metadata that says how many jobs a worker trains at once (1).
inline constexpr char kJobsPerWorker[] = "jobsPerWorker";

// Purpose: tells KEDA how many jobs are open, and nothing else (docs/kubernetes.md). It asks for no
// token, because KEDA has none. Owner: Server, if it was asked for. Thread-safe; nothing blocks in
// a reaction. Failure codes: those of core::Coordinator, INVALID_ARGUMENT (jobsPerWorker is no
// number from 1 to kMaxPackWidth), NOT_FOUND (another metric).
class ScalerServiceImpl final : public externalscaler::ExternalScaler::CallbackService {
 public:
  explicit ScalerServiceImpl(core::Coordinator* core) : core_(core) {}

  using Context = grpc::CallbackServerContext;
  using Unary = grpc::ServerUnaryReactor;
  Unary* IsActive(Context*, const externalscaler::ScaledObjectRef*,
                  externalscaler::IsActiveResponse*) override;
  Unary* GetMetricSpec(Context*, const externalscaler::ScaledObjectRef*,
                       externalscaler::GetMetricSpecResponse*) override;
  Unary* GetMetrics(Context*, const externalscaler::GetMetricsRequest*,
                    externalscaler::GetMetricsResponse*) override;

 private:
  core::Coordinator* const core_;
};

}  // namespace coppice::service

#endif  // COPPICE_COORDINATOR_SERVICE_SCALER_SERVICE_H_
