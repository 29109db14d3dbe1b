// Extensions through a real server, on a real core.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/coordinator/service/full_fixture.h"

namespace coppice::service {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class FullExtend : public Full {
 protected:
  v1::ExtendSweepResponse Extend(const v1::SweepSpec& spec, bool dry_run = false) {
    v1::ExtendSweepRequest request;
    *request.mutable_spec() = spec;
    request.set_dry_run(dry_run);
    v1::ExtendSweepResponse response;
    CallContext context;
    const grpc::Status status = sweeps_->ExtendSweep(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  grpc::Status Refused(const v1::SweepSpec& spec) {
    v1::ExtendSweepRequest request;
    *request.mutable_spec() = spec;
    v1::ExtendSweepResponse response;
    CallContext context;
    return sweeps_->ExtendSweep(&context, request, &response);
  }
  v1::GetSweepResponse Sweep() {
    v1::GetSweepRequest request;
    request.set_name("s");
    v1::GetSweepResponse response;
    CallContext context;
    EXPECT_TRUE(sweeps_->GetSweep(&context, request, &response).ok());
    return response;
  }
  // Runs the two jobs of the sweep to their step 20.
  void RunBoth() {
    Register();
    const v1::AcquireLeasesResponse grant = Acquire("r1");
    ASSERT_EQ(grant.leases_size(), 2);
    for (const v1::Lease& lease : grant.leases()) {
      Send(lease.lease(), 1,
           {RowRecord(10, 0.5), RowRecord(20, 0.25), Write(CheckpointOf(lease, 20, "end"), "end"),
            CompletionRecord(20)});
    }
  }
};

TEST_F(FullExtend, AFinishedSweepGetsPointsSeedsStepsAndOtherSettingsInOneCall) {
  Submit("s");
  RunBoth();
  ASSERT_NE(Sweep().sweep().finished_ms(), 0);
  v1::SweepSpec spec = Spec("s");
  spec.add_depths(4);
  spec.add_seeds(9);
  spec.mutable_train()->set_steps(40);
  spec.mutable_checkpoint()->set_keep(5);
  spec.mutable_report()->set_stall_seconds(77);
  spec.set_priority(6);
  for (const bool dry_run : {true, false, false}) {
    const bool first = Sweep().sweep().steps_total() == 40;
    const v1::ExtendSweepResponse response = Extend(spec, dry_run);
    const v1::SweepExtension& extension = response.extension();
    EXPECT_EQ(response.changed(), first && !dry_run);
    EXPECT_EQ(response.plan().jobs(), 6u);
    EXPECT_EQ(extension.new_points(), first ? 1u : 0u);
    EXPECT_EQ(extension.new_jobs(), first ? 4u : 0u);
    EXPECT_EQ(extension.continued_jobs(), first ? 2u : 0u);
    EXPECT_EQ(extension.added_steps(), first ? 4 * 40 + 2 * 20 : 0u);
    EXPECT_THAT(extension.refused(), IsEmpty());
    if (!first) continue;
    EXPECT_THAT(extension.settings(),
                ElementsAre("priority: 0 -> 6", "checkpoint.keep: 2 -> 5",
                            "report.stall_seconds: unset -> 77", "train.steps: 20 -> 40"));
  }
  const v1::GetSweepResponse sweep = Sweep();
  EXPECT_EQ(sweep.spec().SerializeAsString(), spec.SerializeAsString());
  ASSERT_EQ(sweep.groups_size(), 2) << "a point with more seeds is one point";
  EXPECT_EQ(sweep.groups(0).counts().pending(), 3u);
  EXPECT_EQ(sweep.groups(0).run().checkpoint().keep(), 5u);
  EXPECT_EQ(sweep.sweep().steps_total(), 240u);
  EXPECT_EQ(sweep.sweep().priority(), 6);
  EXPECT_EQ(sweep.sweep().finished_ms(), 0);
  EXPECT_EQ(sweep.operations().rbegin()->action(), "extended");
}

TEST_F(FullExtend, EachDifferenceThatCannotBeMadeIsNamed) {
  Submit("s");
  RunBoth();
  v1::SweepSpec spec = Spec("s");
  spec.mutable_train()->set_learning_rate(0.5);
  spec.mutable_model()->set_heads(4);
  const grpc::Status status = Refused(spec);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(), HasSubstr("model.heads: 8 -> 4"));
  EXPECT_THAT(status.error_message(), HasSubstr("train.learning_rate: 0.0001 -> 0.5"));
  EXPECT_THAT(Extend(spec, /*dry_run=*/true).extension().refused(),
              ElementsAre("model.heads: 8 -> 4", "train.learning_rate: 0.0001 -> 0.5"));
  spec.set_name("other");
  EXPECT_EQ(Refused(spec).error_code(), grpc::StatusCode::NOT_FOUND);
  spec.mutable_train()->set_steps(0);
  EXPECT_EQ(Refused(spec).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(FullExtend, AnotherOrderOrAWrittenDefaultChangesNothing) {
  Submit("s");
  v1::SweepSpec spec = Spec("s");
  std::swap(*spec.mutable_seeds()->Mutable(0), *spec.mutable_seeds()->Mutable(1));
  spec.mutable_model()->set_heads(8);
  EXPECT_FALSE(Extend(spec).changed());
  EXPECT_EQ(Sweep().spec().SerializeAsString(), Spec("s").SerializeAsString());
}

}  // namespace
}  // namespace coppice::service
