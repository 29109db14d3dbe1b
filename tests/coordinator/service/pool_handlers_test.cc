// PoolService over a real autoscaler, whose batch system takes nothing.
#include <gmock/gmock.h>

#include "absl/strings/str_join.h"
#include "absl/synchronization/notification.h"
#include "coordinator/service/convert_pools.h"
#include "coppice/v1/pools.grpc.pb.h"
#include "tests/coordinator/pools/specs.h"
#include "tests/coordinator/service/mock_coordinator.h"
#include "tests/coordinator/service/served.h"

namespace coppice::service {
namespace {

using ::testing::_;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class MemoryRecords : public pools::PoolRecords {
 public:
  // A call to the autoscaler that is made afterwards finds it loaded.
  absl::Notification loaded;
  void Load(int64_t, std::function<void(absl::StatusOr<pools::PoolsLoaded>)> done) override {
    done(pools::PoolsLoaded());
    loaded.Notify();
  }
  void Save(std::vector<pools::PoolRow>, std::vector<pools::AllocationRow>,
            std::function<void(absl::Status)> done) override {
    done(absl::OkStatus());
  }
};

class ClosedBatchSystem : public pools::BatchSystem {
 public:
  void Submit(pools::Submission, std::function<void(pools::SubmitResult)> done) override {
    done({pools::SubmitResult::Kind::kTransient, "", "closed", ""});
  }
  void Queue(std::vector<std::string>,
             std::function<void(absl::StatusOr<std::vector<pools::Job>>)> done) override {
    done(std::vector<pools::Job>());
  }
  void Show(std::string, std::string,
            std::function<void(absl::StatusOr<std::optional<pools::Job>>)> done) override {
    done(std::optional<pools::Job>());
  }
  void CancelQueued(std::vector<std::string>, std::string,
                    std::function<void(absl::Status)> done) override {
    done(absl::OkStatus());
  }
  void GetCapabilities(std::string, std::string,
                       std::function<void(absl::StatusOr<pools::Capabilities>)> done) override {
    done(pools::Capabilities());
  }
  void TestSubmit(pools::Submission, std::function<void(pools::SubmitResult)> done) override {
    done({pools::SubmitResult::Kind::kPermanent, "", "Invalid partition name specified",
          "Name a partition."});
  }
};

class PoolHandlers : public ::testing::Test {
 protected:
  PoolHandlers() {
    autoscaler_.Start();
    ServerOptions options;
    options.pools = &autoscaler_;
    served_ = std::make_unique<Served>(&core_, Clock::Real(), dir_.path(), options);
    stub_ = v1::PoolService::NewStub(served_->channel);
    records_.loaded.WaitForNotification();
  }
  ~PoolHandlers() override { served_->server.reset(); }

  template <typename Request, typename Response>
  grpc::Status Call(grpc::Status (v1::PoolService::Stub::*method)(grpc::ClientContext*,
                                                                  const Request&, Response*),
                    const Request& request, Response* response) {
    CallContext context;
    return (stub_.get()->*method)(&context, request, response);
  }
  grpc::Status List() {
    list_.Clear();
    return Call(&v1::PoolService::Stub::ListPools, v1::ListPoolsRequest(), &list_);
  }
  grpc::Status Add(const pools::PoolSpec& spec, bool replace = false) {
    v1::AddPoolRequest request;
    ToProto(spec, request.mutable_spec());
    request.set_replace(replace);
    v1::AddPoolResponse response;
    return Call(&v1::PoolService::Stub::AddPool, request, &response);
  }
  grpc::Status SetMode(const std::string& name, v1::PoolMode mode) {
    v1::SetPoolModeRequest request;
    request.set_name(name);
    request.set_mode(mode);
    v1::SetPoolModeResponse response;
    return Call(&v1::PoolService::Stub::SetPoolMode, request, &response);
  }

  static pools::AutoscalerOptions Options() {
    pools::AutoscalerOptions options;
    options.store_id = "0123456789";
    return options;
  }

  ::testing::StrictMock<core::MockCoordinator> core_;
  testing::TempDir dir_;
  MemoryRecords records_;
  ClosedBatchSystem batch_;
  pools::Autoscaler autoscaler_{
      Options(), Clock::Real(), &batch_, &records_,
      [](std::function<void(absl::StatusOr<pools::Demand>)> done) { done(pools::Demand()); }};
  std::unique_ptr<Served> served_;
  std::unique_ptr<v1::PoolService::Stub> stub_;
  v1::ListPoolsResponse list_;
};

TEST_F(PoolHandlers, APoolIsAddedOnceAndReplacedOnlyWhenAsked) {
  ASSERT_TRUE(Add(pools::GoodSpec("low")).ok());
  EXPECT_EQ(Add(pools::GoodSpec("low")).error_code(), grpc::StatusCode::ALREADY_EXISTS);
  pools::PoolSpec more = pools::GoodSpec("low");
  more.max_workers = 9;
  ASSERT_TRUE(Add(more, /*replace=*/true).ok());
  ASSERT_TRUE(List().ok());
  ASSERT_EQ(list_.pools_size(), 1);
  EXPECT_EQ(list_.pools(0).spec().max_workers(), 9u);
  EXPECT_EQ(Add(pools::GoodSpec("other"), /*replace=*/true).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST_F(PoolHandlers, BadSettingsAreRefusedByTheNameOfTheirFlag) {
  pools::PoolSpec spec = pools::GoodSpec("low");
  spec.max_walltime_s = 5;
  const grpc::Status status = Add(spec);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("--walltime"));
  spec = pools::GoodSpec("low");
  spec.partition = std::string(5000, 'x');
  EXPECT_EQ(Add(spec).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  ASSERT_TRUE(List().ok());
  EXPECT_EQ(list_.pools_size(), 0);
}

TEST_F(PoolHandlers, ModesAndTheTargetChangeAndAStopIsNotForCallers) {
  ASSERT_TRUE(Add(pools::GoodSpec("low")).ok());
  ASSERT_TRUE(SetMode("low", v1::POOL_PAUSED).ok());
  v1::ScalePoolRequest scale;
  scale.set_name("low");
  scale.set_target(2);
  v1::ScalePoolResponse scaled;
  ASSERT_TRUE(Call(&v1::PoolService::Stub::ScalePool, scale, &scaled).ok());
  v1::GetPoolRequest get;
  get.set_name("low");
  v1::GetPoolResponse got;
  ASSERT_TRUE(Call(&v1::PoolService::Stub::GetPool, get, &got).ok());
  EXPECT_EQ(got.pool().mode(), v1::POOL_PAUSED);
  EXPECT_EQ(got.pool().spec().target(), 2u);
  EXPECT_EQ(SetMode("low", v1::POOL_STOPPED).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(SetMode("other", v1::POOL_PAUSED).error_code(), grpc::StatusCode::NOT_FOUND);
  get.set_name("other");
  EXPECT_EQ(Call(&v1::PoolService::Stub::GetPool, get, &got).error_code(),
            grpc::StatusCode::NOT_FOUND);
  v1::RemovePoolRequest remove;
  remove.set_name("low");
  v1::RemovePoolResponse removed;
  ASSERT_TRUE(Call(&v1::PoolService::Stub::RemovePool, remove, &removed).ok());
  ASSERT_TRUE(List().ok());
  EXPECT_EQ(list_.pools_size(), 0);
}

TEST_F(PoolHandlers, ACheckOfNewSettingsHasTheScriptAndTheRefusal) {
  v1::CheckPoolRequest request;
  ToProto(pools::GoodSpec("low"), request.mutable_spec());
  v1::CheckPoolResponse response;
  ASSERT_TRUE(Call(&v1::PoolService::Stub::CheckPool, request, &response).ok());
  EXPECT_THAT(response.script(), HasSubstr("#SBATCH --partition=low"));
  EXPECT_THAT(absl::StrJoin(response.errors(), "\n"), HasSubstr("Invalid partition name"));
}

TEST_F(PoolHandlers, AReportOfNoProbeAndABadOneAreRefused) {
  v1::ReportNodeRequest report;
  report.set_key("01234567-low-probe-x1");
  report.set_node("n1");
  v1::ReportNodeResponse answer;
  EXPECT_EQ(Call(&v1::PoolService::Stub::ReportNode, report, &answer).error_code(),
            grpc::StatusCode::NOT_FOUND);
  report.add_findings()->set_topic("clock");
  EXPECT_EQ(Call(&v1::PoolService::Stub::ReportNode, report, &answer).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(PoolHandlers, ACoordinatorThatRunsSlurmsCommandsItselfGivesNoneOut) {
  v1::RunCommandsRequest request;
  request.set_session("s1");
  request.set_host("login1");
  v1::RunCommandsResponse response;
  const grpc::Status status = Call(&v1::PoolService::Stub::RunCommands, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(), HasSubstr("--slurm-by-client"));
  request.add_answers()->set_id(1);
  EXPECT_EQ(Call(&v1::PoolService::Stub::RunCommands, request, &response).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(PoolHandlers, AProbeDoesNotFollowACheckWithErrors) {
  v1::CheckPoolRequest request;
  ToProto(pools::GoodSpec("low"), request.mutable_spec());
  request.set_probe(true);
  v1::CheckPoolResponse response;
  ASSERT_TRUE(Call(&v1::PoolService::Stub::CheckPool, request, &response).ok());
  EXPECT_FALSE(response.errors().empty());
  EXPECT_TRUE(response.findings().empty());
  request.set_probe_wait_s(3600);
  EXPECT_EQ(Call(&v1::PoolService::Stub::CheckPool, request, &response).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(PoolHandlers, TheReasonsOfAWaitingJobNameThePools) {
  ASSERT_TRUE(Add(pools::GoodSpec("low")).ok());
  ASSERT_TRUE(SetMode("low", v1::POOL_PAUSED).ok());
  core::Explanation explanation;
  explanation.job.state = core::JobState::kPending;
  explanation.reasons = {"It waits."};
  EXPECT_CALL(core_, ExplainJob(8, _)).WillRepeatedly([&](auto, auto done) { done(explanation); });
  v1::ExplainJobRequest request;
  request.set_job_id(8);
  v1::ExplainJobResponse response;
  CallContext context;
  ASSERT_TRUE(served_->sweeps->ExplainJob(&context, request, &response).ok());
  EXPECT_THAT(response.reasons(), ElementsAre("It waits.", HasSubstr("pool resume low")));
  explanation.job.state = core::JobState::kSucceeded;
  CallContext again;
  ASSERT_TRUE(served_->sweeps->ExplainJob(&again, request, &response).ok());
  EXPECT_THAT(response.reasons(), ElementsAre("It waits.")) << "a job that has ended needs none";
}

TEST_F(PoolHandlers, ACallAfterTheAutoscalersEndIsUnavailable) {
  autoscaler_.Shutdown();
  EXPECT_EQ(List().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST(PoolHandlersAlone, WithoutPoolsEveryCallIsRefused) {
  ::testing::StrictMock<core::MockCoordinator> core;
  const testing::TempDir dir;
  Served served(&core, Clock::Real(), dir.path());
  const auto stub = v1::PoolService::NewStub(served.channel);
  CallContext context;
  v1::ListPoolsResponse response;
  EXPECT_EQ(stub->ListPools(&context, {}, &response).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
}

TEST(ExplainPools, QueuedAllocationsHaveTheirReasonAndTheirStart) {
  pools::AutoscalerStatus status;
  EXPECT_THAT(ExplainPools(status), IsEmpty());
  pools::PoolStatus& pool = status.pools.emplace_back();
  pool.row.spec = pools::GoodSpec("low");
  pool.queued = 2;
  for (const int64_t start_ms : {int64_t{1'700'000'600'000}, int64_t{1'700'000'000'000}}) {
    pools::AllocationRow& row = pool.allocations.emplace_back();
    row.state = pools::AllocationState::kQueued;
    row.reason = "Priority";
    row.estimated_start_ms = start_ms;
  }
  EXPECT_THAT(ExplainPools(status),
              ElementsAre("2 allocations are queued in the pool low: Priority, start about "
                          "2023-11-14 22:13 UTC."));
  pool.queued = 0;
  pool.row.decision = "waits: no work.";
  EXPECT_THAT(ExplainPools(status), ElementsAre("The pool low: waits: no work."));
  status.trouble = "Unable to contact slurm controller";
  EXPECT_THAT(ExplainPools(status), ElementsAre(HasSubstr("does not answer: Unable"), _));
}

}  // namespace
}  // namespace coppice::service
