// The answers for KEDA, and who may ask.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "coordinator/service/scaler_service.h"
#include "tests/coordinator/service/secured.h"

namespace coppice::service {
namespace {

using externalscaler::ExternalScaler;

class Scaler : public Secured {
 protected:
  void StartFor(bool scaler) {
    ServerOptions options = Options();
    options.keda_scaler = scaler;
    options.security.client_authority = authority_.certificate;
    Start(options);
    const security::KeyPair client =
        security::IssueClientCertificate(authority_, "keda", valid_).value();
    // No token.
    stub_ = ExternalScaler::NewStub(Channel({.tls_ca = ca_,
                                             .tls_cert = Put("client-cert", client.certificate),
                                             .tls_key = Put("client-key", client.key)}));
  }
  void Have(uint64_t grantable, uint64_t running) {
    pools::Demand demand;
    demand.grantable_jobs = grantable;
    demand.running_jobs = running;
    EXPECT_CALL(core_, GetDemand).WillRepeatedly([demand](auto done) { done(demand); });
  }
  int64_t OpenJobs() {
    CallContext context;
    externalscaler::GetMetricsRequest request;
    request.set_metric_name(kOpenJobs);
    externalscaler::GetMetricsResponse response;
    const grpc::Status status = stub_->GetMetrics(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    if (response.metric_values_size() != 1) return -1;
    EXPECT_EQ(response.metric_values(0).metric_name(), kOpenJobs);
    return response.metric_values(0).metric_value();
  }
  bool Active() {
    CallContext context;
    externalscaler::IsActiveResponse response;
    EXPECT_TRUE(stub_->IsActive(&context, {}, &response).ok());
    return response.result();
  }
  grpc::Status Spec(const std::string& jobs, externalscaler::GetMetricSpecResponse* response) {
    CallContext context;
    externalscaler::ScaledObjectRef request;
    if (!jobs.empty()) (*request.mutable_scaler_metadata())[kJobsPerWorker] = jobs;
    return stub_->GetMetricSpec(&context, request, response);
  }

  std::unique_ptr<ExternalScaler::Stub> stub_;
};

TEST_F(Scaler, RunningJobsAndThoseThatAWorkerWouldGetAreOpen) {
  StartFor(true);
  Have(5, 5);
  EXPECT_EQ(OpenJobs(), 10);
  EXPECT_TRUE(Active());
}

TEST_F(Scaler, NothingIsActiveWithoutOpenJobs) {
  StartFor(true);
  Have(0, 0);
  EXPECT_EQ(OpenJobs(), 0);
  EXPECT_FALSE(Active());
}

TEST_F(Scaler, TheManifestSaysHowManyJobsMakeAWorker) {
  StartFor(true);
  for (const auto& [text, expected] : {std::pair("", 1), std::pair("8", 8)}) {
    externalscaler::GetMetricSpecResponse response;
    ASSERT_TRUE(Spec(text, &response).ok());
    ASSERT_EQ(response.metric_specs_size(), 1);
    EXPECT_EQ(response.metric_specs(0).metric_name(), kOpenJobs);
    EXPECT_EQ(response.metric_specs(0).target_size(), expected);
  }
  for (const char* text : {"0", "-1", "many", "1025", "8.5"}) {
    externalscaler::GetMetricSpecResponse response;
    EXPECT_EQ(Spec(text, &response).error_code(), grpc::StatusCode::INVALID_ARGUMENT) << text;
  }
}

TEST_F(Scaler, AnUnknownMetricIsRefusedAndAFaultOfTheCoreIsNoZero) {
  StartFor(true);
  CallContext unknown, fault;
  externalscaler::GetMetricsRequest request;
  externalscaler::GetMetricsResponse response;
  request.set_metric_name("secrets");
  EXPECT_EQ(stub_->GetMetrics(&unknown, request, &response).error_code(),
            grpc::StatusCode::NOT_FOUND);
  EXPECT_CALL(core_, GetDemand).WillOnce([](auto done) { done(absl::UnavailableError("later")); });
  request.set_metric_name(kOpenJobs);
  EXPECT_EQ(stub_->GetMetrics(&fault, request, &response).error_code(),
            grpc::StatusCode::UNAVAILABLE);
}

TEST_F(Scaler, WithoutTheFlagNobodyIsTold) {
  StartFor(false);
  CallContext context;
  externalscaler::IsActiveResponse response;
  EXPECT_EQ(stub_->IsActive(&context, {}, &response).error_code(), grpc::StatusCode::UNIMPLEMENTED);
}

TEST_F(Scaler, AStrangerWithoutACertificateIsTurnedAway) {
  StartFor(true);
  const absl::Status status =
      Call(Channel({.tls_ca = ca_}), "/externalscaler.ExternalScaler/IsActive");
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
}

}  // namespace
}  // namespace coppice::service
