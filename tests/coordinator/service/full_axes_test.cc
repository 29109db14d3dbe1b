// A sweep with four axes through the whole coordinator: submission, lists, changes, metrics, a
// restart.
#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/spec/axes.h"
#include "tests/coordinator/service/full_fixture.h"

namespace coppice::service {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kSpec[] = R"(name: 'axes' seeds: 0 seeds: 1
  axes { name: 'size'
         values { name: 'small' settings { task: 'tense' model { d_model: 64 heads: 4 } } }
         values { name: 'paper' settings { task: 'dyck' } } }
  axes { name: 'depth' values { name: '2' settings { depth: 2 } }
                       values { name: '4' settings { depth: 4 } } }
  axes { name: 'train.learning_rate'
         values { name: '3e-4' settings { train { learning_rate: 3e-4 } } }
         values { name: '0.001' settings { train { learning_rate: 1e-3 } } } }
  exclude { where { axis: 'size' values: 'paper' } where { axis: 'depth' values: '4' } }
  train { steps: 20 } report { every: 10 } checkpoint { every: 20 })";

class WholeSweepWithAxes : public Full {
 protected:
  void SubmitAxes() {
    v1::SubmitSweepRequest request;
    ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(kSpec, request.mutable_spec()));
    v1::SubmitSweepResponse response;
    CALL_OK(sweeps_, SubmitSweep, request, &response);
    EXPECT_TRUE(response.created());
    EXPECT_EQ(response.plan().jobs(), 12u);
    CALL_OK(sweeps_, SubmitSweep, request, &response);
    EXPECT_FALSE(response.created()) << "the same sweep again";
    // Another order of an axis' values makes no difference.
    request.mutable_spec()->mutable_axes(0)->mutable_values()->SwapElements(0, 1);
    CALL_OK(sweeps_, SubmitSweep, request, &response);
    EXPECT_FALSE(response.created());
    request.mutable_spec()->clear_exclude();
    CallContext context;
    const grpc::Status status = sweeps_->SubmitSweep(&context, request, &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::ALREADY_EXISTS);
    EXPECT_THAT(status.error_message(), HasSubstr("exclude takes out there size=paper/depth=4/"));
  }

  static v1::JobFilter Where(const std::string& axis, const std::vector<std::string>& values) {
    v1::JobFilter filter;
    filter.set_sweep("axes");
    v1::AxisCondition* where = filter.add_where();
    where->set_axis(axis);
    for (const std::string& value : values) where->add_values(value);
    return filter;
  }

  std::vector<std::string> NamesOf(const v1::JobFilter& filter) {
    v1::ListJobsRequest request;
    *request.mutable_filter() = filter;
    v1::ListJobsResponse response;
    CallContext context;
    const grpc::Status status = sweeps_->ListJobs(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    std::vector<std::string> names;
    for (const v1::Job& job : response.jobs())
      names.push_back(spec::JobText(job.point(), job.task(), job.depth(), job.seed()));
    return names;
  }

  grpc::Status Refusal(const v1::JobFilter& filter) {
    v1::ListJobsRequest request;
    *request.mutable_filter() = filter;
    v1::ListJobsResponse response;
    CallContext context;
    return sweeps_->ListJobs(&context, request, &response);
  }

  void Reopen() {
    served_->server->CloseStreams();
    core_->Shutdown();
    served_->server->Shutdown(absl::Seconds(5));
    served_.reset();
    core_.reset();
    core::CoordinatorOptions options;
    options.checkpoint_root = root_;
    core_ = core::Coordinator::Open(store_.get(), Clock::Real(), options).value();
    served_.emplace(core_.get(), Clock::Real(), root_);
    sweeps_ = served_->sweeps.get();
    workers_ = served_->workers.get();
  }

  void CheckLists() {
    v1::JobFilter filter = Where("train.learning_rate", {"0.001"});
    filter.add_depths(4);
    EXPECT_THAT(NamesOf(filter),
                ElementsAre("size=small/depth=4/train.learning_rate=0.001/seed=0",
                            "size=small/depth=4/train.learning_rate=0.001/seed=1"));
    filter = Where("size", {"paper"});
    filter.add_seeds(1);
    EXPECT_THAT(NamesOf(filter),
                ElementsAre("size=paper/depth=2/train.learning_rate=3e-4/seed=1",
                            "size=paper/depth=2/train.learning_rate=0.001/seed=1"));
    EXPECT_EQ(Refusal(Where("rate", {"1"})).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(Refusal(Where("depth", {"6"})).error_code(), grpc::StatusCode::NOT_FOUND);
    v1::GetSweepRequest get;
    get.set_name("axes");
    v1::GetSweepResponse sweep;
    CALL_OK(sweeps_, GetSweep, get, &sweep);
    ASSERT_EQ(sweep.groups_size(), 6);
    EXPECT_EQ(spec::PointText(sweep.groups(4).point(), "", 0),
              "size=paper/depth=2/train.learning_rate=3e-4");
    EXPECT_EQ(sweep.groups(2).run().model().d_model(), 64u);
    EXPECT_EQ(sweep.spec().axes_size(), 3);
  }
};

TEST_F(WholeSweepWithAxes, GoesFromSubmissionToMetricsAndThroughARestart) {
  ASSERT_NO_FATAL_FAILURE(SubmitAxes());
  ASSERT_NO_FATAL_FAILURE(CheckLists());
  Register();
  const v1::AcquireLeasesResponse grant = Acquire("r1");
  ASSERT_EQ(grant.leases_size(), 2) << "a pack is the seeds of one point";
  v1::AttemptRecord row;
  row.mutable_row()->set_step(10);
  v1::MetricValue* value = row.mutable_row()->add_values();
  value->set_name("loss");
  value->set_value(0.5);
  EXPECT_EQ(Send(grant.leases(1).lease(), 1, {row}).number(), 1u);
  v1::CancelJobsRequest cancel;
  *cancel.mutable_filter() = Where("size", {"small"});
  v1::CancelJobsResponse cancelled;
  CALL_OK(sweeps_, CancelJobs, cancel, &cancelled);
  EXPECT_EQ(cancelled.cancelled(), 8u);
  for (const bool again : {false, true}) {
    if (again) Reopen();
    ASSERT_NO_FATAL_FAILURE(CheckLists());
    const std::vector<v1::JobMetrics> rows = Metrics("axes", false);
    ASSERT_EQ(rows.size(), 1u);
    const v1::Job job = Job(rows[0].job_id()).job();
    EXPECT_EQ(spec::PointText(rows[0].point(), "", 0), spec::PointText(job.point(), "", 0));
    EXPECT_EQ(rows[0].point_size(), 3);
    EXPECT_EQ(rows[0].seed(), 1u);
  }
}

}  // namespace
}  // namespace coppice::service
