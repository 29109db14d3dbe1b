#include "coordinator/service/scaler_service.h"

#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "coordinator/pools/demand.h"
#include "coordinator/service/answer.h"

namespace coppice::service {
namespace {

absl::StatusOr<uint32_t> JobsPerWorker(const externalscaler::ScaledObjectRef& object) {
  const auto found = object.scaler_metadata().find(kJobsPerWorker);
  if (found == object.scaler_metadata().end()) return 1;
  uint32_t jobs = 0;
  if (absl::SimpleAtoi(found->second, &jobs) && jobs >= 1 && jobs <= kMaxPackWidth) return jobs;
  return absl::InvalidArgumentError(absl::StrCat(kJobsPerWorker, " must be a number from 1 to ",
                                                 kMaxPackWidth, "; correct it in the trigger"));
}

int64_t OpenJobs(const pools::Demand& demand) {
  return static_cast<int64_t>(demand.grantable_jobs + demand.running_jobs);
}

}  // namespace

grpc::ServerUnaryReactor* ScalerServiceImpl::IsActive(
    Context* context, const externalscaler::ScaledObjectRef* request,
    externalscaler::IsActiveResponse* response) {
  Unary* reactor = context->DefaultReactor();
  core_->GetDemand(Answer<pools::Demand>(reactor, [response](const pools::Demand& demand) {
    response->set_result(OpenJobs(demand) > 0);
  }));
  return reactor;
}

grpc::ServerUnaryReactor* ScalerServiceImpl::GetMetricSpec(
    Context* context, const externalscaler::ScaledObjectRef* request,
    externalscaler::GetMetricSpecResponse* response) {
  Unary* reactor = context->DefaultReactor();
  const absl::StatusOr<uint32_t> jobs = JobsPerWorker(*request);
  if (!jobs.ok()) return Refuse(reactor, jobs.status());
  externalscaler::MetricSpec* const spec = response->add_metric_specs();
  spec->set_metric_name(kOpenJobs);
  spec->set_target_size(*jobs);
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

grpc::ServerUnaryReactor* ScalerServiceImpl::GetMetrics(
    Context* context, const externalscaler::GetMetricsRequest* request,
    externalscaler::GetMetricsResponse* response) {
  Unary* reactor = context->DefaultReactor();
  if (request->metric_name() != kOpenJobs) {
    return Refuse(reactor,
                  absl::NotFoundError(absl::StrCat("the only metric here is ", kOpenJobs)));
  }
  core_->GetDemand(Answer<pools::Demand>(reactor, [response](const pools::Demand& demand) {
    externalscaler::MetricValue* const value = response->add_metric_values();
    value->set_metric_name(kOpenJobs);
    value->set_metric_value(OpenJobs(demand));
  }));
  return reactor;
}

}  // namespace coppice::service
