// Checks the contract of core::Store for the records of a job: attempts, events, checkpoints,
// metrics, logs. On a file and in memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "tests/coordinator/store/contract_fixture.h"

namespace coppice::store {
namespace {

using core::AttemptRow;
using core::Checkpoint;
using core::CheckpointState;
using core::ReadTransaction;
using core::WriteTransaction;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST_P(StoreContract, AttemptsAreFoundByTheirRequestWhileTheyRun) {
  FillWith(3);
  AttemptRow attempt;
  attempt.worker = "w";
  attempt.request_id = "r";
  attempt.number = 1;
  attempt.granted_ms = 5;
  attempt.start_step = attempt.row_step = 20;
  for (const core::JobId job : {2, 1, 3}) {
    attempt.job_id = job;
    ASSERT_EQ(Write([&](WriteTransaction& tx) { return tx.InsertAttempt(attempt); }),
              absl::OkStatus());
  }
  attempt = Read<AttemptRow>([](ReadTransaction& read) { return read.GetAttempt(2, 1); });
  EXPECT_EQ(attempt.start_step, 20u);
  attempt.outcome = core::AttemptOutcome::kFailed;
  attempt.failure = FailureKind::kNan;
  attempt.message = "m";
  attempt.log_tail = "tail";
  attempt.last_sequence = 9;
  ASSERT_EQ(Write([&](WriteTransaction& tx) { return tx.UpdateAttempt(attempt); }),
            absl::OkStatus());
  const auto open = Read<std::vector<AttemptRow>>(
      [](ReadTransaction& read) { return read.FindOpenAttempts("w", "r"); });
  ASSERT_THAT(open, SizeIs(2));
  EXPECT_EQ(open[0].job_id, 1u);
  EXPECT_EQ(open[1].job_id, 3u);
  const auto ended = Read<AttemptRow>([](ReadTransaction& read) { return read.GetAttempt(2, 1); });
  EXPECT_EQ(ended.outcome, core::AttemptOutcome::kFailed);
  EXPECT_EQ(ended.failure, FailureKind::kNan);
  EXPECT_EQ(ended.log_tail, "tail");
  EXPECT_EQ(ended.last_sequence, 9u);
  EXPECT_THAT(Read<std::vector<AttemptRow>>(
                  [](ReadTransaction& read) { return read.FindOpenAttempts("x", "r"); }),
              IsEmpty());
}

TEST_P(StoreContract, TheNewestEventsComeOldestFirst) {
  FillWith(1);
  for (int i = 1; i <= 5; ++i) {
    ASSERT_EQ(
        Write([&](WriteTransaction& tx) {
          return tx.InsertEvent(1, {i, 1, core::EventType::kCheckpoint, absl::StrCat("e", i)});
        }),
        absl::OkStatus());
  }
  const auto events = Read<std::vector<core::JobEvent>>(
      [](ReadTransaction& read) { return read.ListEvents(1, 3); });
  ASSERT_THAT(events, SizeIs(3));
  EXPECT_EQ(events[0].message, "e3");
  EXPECT_EQ(events[2].message, "e5");
}

TEST_P(StoreContract, CheckpointsAreListedByStateNewestFirst) {
  FillWith(1);
  ASSERT_EQ(Write([&](WriteTransaction& tx) -> absl::Status {
              for (const auto& [attempt, step] :
                   std::vector<std::pair<uint64_t, uint32_t>>{{1, 20}, {1, 40}, {2, 40}}) {
                COPPICE_RETURN_IF_ERROR(tx.InsertCheckpoint(
                    {1, attempt, step, absl::StrCat("p", attempt, step), "d", 8, 3}, attempt == 2));
              }
              return tx.SetCheckpointState(1, 1, 20, CheckpointState::kDropped);
            }),
            absl::OkStatus());
  const auto listed = Read<std::vector<Checkpoint>>(
      [](ReadTransaction& read) { return read.ListCheckpoints(1, CheckpointState::kListed); });
  ASSERT_THAT(listed, SizeIs(2));
  EXPECT_EQ(listed[0].attempt, 2u);
  EXPECT_EQ(listed[1].attempt, 1u);
  EXPECT_EQ(listed[1].path, "p140");
  EXPECT_TRUE(Read<bool>([&](ReadTransaction& read) { return read.IsRowDue(listed[0]); }));
  EXPECT_FALSE(Read<bool>([&](ReadTransaction& read) { return read.IsRowDue(listed[1]); }));
  const auto dropped = [&] {
    return Read<std::vector<Checkpoint>>(
        [](ReadTransaction& read) { return read.ListDroppedCheckpoints(10); });
  };
  ASSERT_THAT(dropped(), SizeIs(1));
  EXPECT_EQ(dropped()[0].step, 20u);
  ASSERT_EQ(Write([](WriteTransaction& tx) { return tx.DeleteDroppedCheckpoints(1); }),
            absl::OkStatus());
  EXPECT_THAT(dropped(), IsEmpty());
  EXPECT_FALSE(Write([](WriteTransaction& tx) {
                 return tx.SetCheckpointState(1, 1, 20, CheckpointState::kBad);
               }).ok());
}

TEST_P(StoreContract, MetricsAreArchivedPastAStep) {
  FillWith(2);
  ASSERT_EQ(Write([&](WriteTransaction& tx) -> absl::Status {
              for (uint32_t step = 10; step <= 30; step += 10) {
                COPPICE_RETURN_IF_ERROR(
                    tx.InsertMetricRow(1, 1, {step, {{"a", 1.0 * step}, {"b", 2.0 * step}}}));
                COPPICE_RETURN_IF_ERROR(tx.InsertMetricRow(2, 1, {step, {{"a", 0}}}));
              }
              COPPICE_ASSIGN_OR_RETURN(const uint64_t archived, tx.ArchiveMetrics(1, 10));
              EXPECT_EQ(archived, 4u);
              return tx.InsertMetricRow(1, 2, {20, {{"a", -1}}});
            }),
            absl::OkStatus());
  core::MetricsScan scan;
  scan.job_id = 1;
  EXPECT_THAT(Rows(scan), SizeIs(2));
  scan.include_archived = true;
  const auto all = Rows(scan);
  ASSERT_THAT(all, SizeIs(4));
  EXPECT_EQ(all[1].attempt, 1u);
  EXPECT_TRUE(all[1].archived);
  EXPECT_EQ(all[2].attempt, 2u);
  EXPECT_FALSE(all[2].archived);
  scan.after = true;
  scan.after_step = 20;
  scan.after_attempt = 1;
  EXPECT_THAT(Rows(scan), SizeIs(2));
  scan.names = {"b"};
  ASSERT_THAT(Rows(scan), SizeIs(1));
  EXPECT_EQ(Rows(scan)[0].row.step, 30u);
  EXPECT_EQ(Read<uint64_t>([](ReadTransaction& read) { return read.CountMetricSteps(2, 20); }), 2u);
  const auto latest = Read<std::vector<core::MetricValue>>(
      [](ReadTransaction& read) { return read.LatestMetrics(1); });
  ASSERT_THAT(latest, SizeIs(2));
  EXPECT_EQ(latest[0].value, -1);
  EXPECT_EQ(latest[1].value, 20);
}

TEST_P(StoreContract, AStepTakesOneRow) {
  FillWith(1);
  const auto insert = [](WriteTransaction& tx) {
    return tx.InsertMetricRow(1, 1, {10, {{"a", 1}}});
  };
  ASSERT_EQ(Write(insert), absl::OkStatus());
  EXPECT_FALSE(Write(insert).ok());
}

TEST_P(StoreContract, LogsAreReadFromAnOffsetAndTrimmedFromTheFront) {
  FillWith(1);
  ASSERT_EQ(Write([](WriteTransaction& tx) -> absl::Status {
              COPPICE_RETURN_IF_ERROR(tx.AppendLog(1, 2, 0, "old\n"));
              COPPICE_RETURN_IF_ERROR(tx.AppendLog(1, 3, 0, std::string("a\0b", 3)));
              return tx.AppendLog(1, 3, 3, "second");
            }),
            absl::OkStatus());
  const auto read_log = [&](uint64_t offset, uint64_t bytes) {
    return Read<std::vector<core::LogChunk>>(
        [&](ReadTransaction& read) { return read.ReadLog(1, 3, offset, bytes); });
  };
  EXPECT_EQ(
      Read<core::AttemptNumber>([](ReadTransaction& read) { return read.NewestLogAttempt(1); }),
      3u);
  ASSERT_THAT(read_log(0, 100), SizeIs(2));
  EXPECT_EQ(read_log(0, 100)[0].text, std::string("a\0b", 3));
  EXPECT_THAT(read_log(0, 1), SizeIs(1));  // at least one
  EXPECT_EQ(read_log(1, 100)[0].offset, 3u);
  ASSERT_EQ(Write([](WriteTransaction& tx) { return tx.TrimLog(1, 3, 3); }), absl::OkStatus());
  EXPECT_THAT(read_log(0, 100), SizeIs(1));
}

INSTANTIATE_TEST_SUITE_P(Stores, StoreContract, ::testing::Values("file", "memory"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace coppice::store