// Checks the contract of core::Store for sweeps that grow.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/coordinator/store/contract_fixture.h"

namespace coppice::store {
namespace {

using core::JobRow;
using core::JobState;
using core::ReadTransaction;
using core::WriteTransaction;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class StoreExtension : public StoreContract {
 protected:
  void AddCheckpoint(core::JobId job, uint32_t step, core::CheckpointState state) {
    ASSERT_EQ(Write([&](WriteTransaction& tx) -> absl::Status {
                COPPICE_RETURN_IF_ERROR(
                    tx.InsertCheckpoint({job, 1, step, "p", std::string(32, 'a'), 7, 5}, false));
                return tx.SetCheckpointState(job, 1, step, state);
              }),
              absl::OkStatus());
  }
  bool Begun(core::JobId first, core::JobId last) {
    return Read<bool>([&](ReadTransaction& read) { return read.AnyBegun(first, last); });
  }
};

TEST_P(StoreExtension, AGroupAndItsSweepGetAnotherSpec) {
  FillWith(3);
  ASSERT_EQ(Write([](WriteTransaction& tx) -> absl::Status {
              COPPICE_ASSIGN_OR_RETURN(auto groups, tx.read().ListGroups(1));
              core::GroupRow group = groups.at(0);
              group.spec.run_json = "{\"a\":1}";
              group.spec.steps = 200;
              group.spec.report_every = 11;
              group.spec.checkpoint_every = 21;
              group.spec.keep = 3;
              group.spec.keep_every = 40;
              group.spec.work_per_step = 2.5;
              group.spec.program_pack = 5;
              group.spec.common_row_every = 55;
              COPPICE_RETURN_IF_ERROR(tx.UpdateGroup(group));
              COPPICE_ASSIGN_OR_RETURN(core::SweepRow sweep, tx.read().GetSweep(1));
              sweep.priority = 9;
              sweep.max_failures = 4;
              sweep.steps_total = 600;
              return tx.UpdateSweep(sweep, "other");
            }),
            absl::OkStatus());
  const core::GroupRow group = OnlyGroup();
  EXPECT_EQ(group.spec.run_json, "{\"a\":1}");
  EXPECT_EQ(group.spec.steps, 200u);
  EXPECT_EQ(group.spec.report_every, 11u);
  EXPECT_EQ(group.spec.checkpoint_every, 21u);
  EXPECT_EQ(group.spec.keep, 3u);
  EXPECT_EQ(group.spec.keep_every, 40u);
  EXPECT_EQ(group.spec.work_per_step, 2.5);
  EXPECT_EQ(group.spec.program_pack, 5u);
  EXPECT_EQ(group.spec.common_row_every, 55u);
  EXPECT_EQ(group.jobs, 3u);
  const auto sweep = Read<core::SweepRow>([](ReadTransaction& read) { return read.GetSweep(1); });
  EXPECT_EQ(sweep.priority, 9);
  EXPECT_EQ(sweep.max_failures, 4u);
  EXPECT_EQ(sweep.steps_total, 600u);
  EXPECT_EQ(Read<std::string>([](ReadTransaction& read) { return read.GetSpecBlob(1); }), "other");
}

TEST_P(StoreExtension, APartKnowsItsPointAndACompleteSweepStaysComplete) {
  FillWith(2);
  ASSERT_EQ(Write([](WriteTransaction& tx) -> absl::Status {
              core::GroupRow part = GroupOf(1);
              part.part_of = 1;
              COPPICE_ASSIGN_OR_RETURN(const core::GroupId id, tx.InsertGroup(part));
              COPPICE_ASSIGN_OR_RETURN(const core::JobId first, tx.ReserveJobs(1, id, 2));
              const std::vector<uint32_t> seeds = {7, 8};
              return tx.InsertJobs(1, id, first, seeds);
            }),
            absl::OkStatus());
  const auto groups = Read<std::vector<core::GroupRow>>(
      [](ReadTransaction& read) { return read.ListGroupCounts(1); });
  ASSERT_THAT(groups, SizeIs(2));
  EXPECT_EQ(groups[0].part_of, 0u);
  EXPECT_EQ(groups[1].part_of, 1u);
  EXPECT_EQ(groups[1].first_job, 3u);
  const auto sweep = Read<std::optional<core::SweepRow>>(
      [](ReadTransaction& read) { return read.FindSweep("s"); });
  ASSERT_TRUE(sweep.has_value());
  EXPECT_EQ(sweep->unfinished, 4u);
}

TEST_P(StoreExtension, ASweepWithAGroupThatGoesOnIsListed) {
  FillWith(1);
  const auto listed = [this] {
    return Read<std::vector<core::SweepRow>>(
        [](ReadTransaction& read) { return read.ListContinuingSweeps(); });
  };
  EXPECT_THAT(listed(), IsEmpty());
  for (const bool continuing : {true, false}) {
    ASSERT_EQ(Write([&](WriteTransaction& tx) { return tx.SetGroupContinuing(1, continuing); }),
              absl::OkStatus());
    EXPECT_THAT(listed(), SizeIs(continuing ? 1 : 0));
    EXPECT_EQ(OnlyGroup().continuing, continuing);
  }
}

TEST_P(StoreExtension, AJobHasBegunOnceAnAttemptCounts) {
  FillWith(3);
  EXPECT_FALSE(Begun(1, 3));
  ASSERT_EQ(Update(2, [](JobRow& job) { job.attempt = job.attempts = 1; }), absl::OkStatus());
  EXPECT_TRUE(Begun(1, 3));
  EXPECT_FALSE(Begun(1, 1));
  EXPECT_FALSE(Begun(3, 3));
}

TEST_P(StoreExtension, RepeatedStepsCountFromTheNewestListedCheckpointBefore) {
  FillWith(4);
  for (const core::JobId id : {1, 2, 3}) {
    ASSERT_EQ(Update(id, [](JobRow& job) { job.state = JobState::kSucceeded; }), absl::OkStatus());
  }
  AddCheckpoint(1, 95, core::CheckpointState::kListed);
  AddCheckpoint(1, 80, core::CheckpointState::kListed);
  AddCheckpoint(1, 60, core::CheckpointState::kListed);
  AddCheckpoint(2, 90, core::CheckpointState::kDropped);
  AddCheckpoint(2, 95, core::CheckpointState::kListed);
  const auto repeated = Read<core::RepeatedSteps>(
      [](ReadTransaction& read) { return read.CountRepeatedSteps(1, 2, 95); });
  EXPECT_EQ(repeated.jobs, 2u);
  EXPECT_EQ(repeated.steps, 15u + 95u);
  const auto none = Read<core::RepeatedSteps>(
      [](ReadTransaction& read) { return read.CountRepeatedSteps(4, 4, 95); });
  EXPECT_EQ(none.jobs, 0u);
  EXPECT_EQ(none.steps, 0u);
}

TEST_P(StoreExtension, AnAttemptKeepsItsSteps) {
  FillWith(1);
  core::AttemptRow attempt;
  attempt.job_id = attempt.number = 1;
  attempt.worker = "w";
  attempt.steps = 77;
  ASSERT_EQ(Write([&](WriteTransaction& tx) { return tx.InsertAttempt(attempt); }),
            absl::OkStatus());
  attempt.row_step = 5;
  ASSERT_EQ(Write([&](WriteTransaction& tx) { return tx.UpdateAttempt(attempt); }),
            absl::OkStatus());
  EXPECT_EQ(
      Read<core::AttemptRow>([](ReadTransaction& read) { return read.GetAttempt(1, 1); }).steps,
      77u);
}

INSTANTIATE_TEST_SUITE_P(Stores, StoreExtension, ::testing::Values("file", "memory"));

}  // namespace
}  // namespace coppice::store
