#include <gmock/gmock.h>

#include "tests/coordinator/core/harness.h"

namespace coppice::core {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class QueriesTest : public Harness {
 protected:
  absl::StatusOr<JobPage> List(const JobFilter& filter, JobId after = 0, uint32_t limit = 0,
                               bool latest = false) {
    return Ask<JobPage>([&](auto done) { c_->ListJobs({}, filter, after, limit, latest, done); });
  }
  static std::vector<JobId> Ids(const absl::StatusOr<JobPage>& page) {
    EXPECT_TRUE(page.ok()) << page.status();
    std::vector<JobId> ids;
    if (!page.ok()) return ids;
    for (const Job& job : page->jobs) ids.push_back(job.id);
    return ids;
  }
};

TEST_F(QueriesTest, PagesOfJobsLeaveNothingOutAndRepeatNothing) {
  ASSERT_TRUE(Submit(Spec("grid", {Group("dyck", 2), Group("tense", 4)}, 4)).ok());
  std::vector<JobId> all;
  for (JobId after = 0;;) {
    const auto page = List(Whole("grid"), after, 3);
    ASSERT_TRUE(page.ok());
    for (const Job& job : page->jobs) all.push_back(job.id);
    if (page->next_after == 0) break;
    after = page->next_after;
  }
  EXPECT_THAT(all, ElementsAre(1, 2, 3, 4, 5, 6, 7, 8));
  EXPECT_EQ(List(Whole("grid"), 0, 8)->next_after, 0u);
}

TEST_F(QueriesTest, FiltersCombine) {
  ASSERT_TRUE(Submit(Spec("a", {Group("dyck", 2), Group("dyck", 4), Group("tense", 4)}, 3)).ok());
  ASSERT_TRUE(Submit(Spec("b", {Group("dyck", 2)}, 1)).ok());
  JobFilter filter = Whole("a");
  filter.tasks = {"dyck"};
  filter.depths = {4};
  EXPECT_THAT(Ids(List(filter)), ElementsAre(4, 5, 6));
  filter.seeds = {1};
  EXPECT_THAT(Ids(List(filter)), ElementsAre(5));
  filter.states = {JobState::kRunning};
  EXPECT_THAT(Ids(List(filter)), IsEmpty());
  JobFilter ids;
  ids.job_ids = {10, 2, 2};
  EXPECT_THAT(Ids(List(ids)), ElementsAre(2, 10));
  ids.sweep = "b";
  EXPECT_THAT(Ids(List(ids)), ElementsAre(10));
  TakeOne(Register("w"));
  JobFilter running = Whole("a");
  running.states = {JobState::kRunning, JobState::kFailed};
  EXPECT_THAT(Ids(List(running)), ElementsAre(1));
  EXPECT_TRUE(absl::IsNotFound(List(Whole("c")).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(List({}).status()));
}

TEST_F(QueriesTest, AQueryWhoseCallerHasGoneEnds) {
  SubmitSmall(10);
  const Caller gone{"p", "", [] { return true; }};
  const auto page =
      Ask<JobPage>([&](auto done) { c_->ListJobs(gone, Whole("small"), 0, 0, false, done); });
  EXPECT_TRUE(absl::IsCancelled(page.status())) << page.status();
  const Caller stays{"p", "", [] { return false; }};
  EXPECT_THAT(
      Ids(Ask<JobPage>([&](auto done) { c_->ListJobs(stays, Whole("small"), 0, 0, false, done); })),
      SizeIs(10));
}

TEST_F(QueriesTest, LatestHoldsTheNewestValueOfEachMetric) {
  SubmitSmall(1);
  const std::string worker = Register("w");
  const LeaseRef lease = TakeOne(worker);
  Append(worker, {{lease, 1, MetricRow{10, {{"a", 1}, {"rare", 7}}}},
                  {lease, 2, MetricRow{20, {{"a", 2}}}}})
      .IgnoreError();
  const auto page = List(Whole("small"), 0, 0, true);
  ASSERT_THAT(page->jobs[0].latest, SizeIs(2));
  EXPECT_EQ(page->jobs[0].latest[0].value, 2);
  EXPECT_EQ(page->jobs[0].latest[1].name, "rare");
  EXPECT_EQ(page->jobs[0].latest[1].value, 7);
  EXPECT_THAT(List(Whole("small"))->jobs[0].latest, IsEmpty());
}

TEST_F(QueriesTest, MetricsComeByJobAndStepWhateverThePageSize) {
  SubmitSmall(3);
  const std::string worker = Register("w");
  const auto grant = Acquire(worker, 3, "r");
  for (const Lease& lease : grant->leases) Report(worker, lease.ref, 0, 50);
  const auto all = Metrics(Whole("small"));
  ASSERT_THAT(all, SizeIs(15));
  for (const uint32_t limit : {1u, 2u, 5u, 7u, 15u}) {
    const auto paged = Metrics(Whole("small"), false, limit);
    ASSERT_THAT(paged, SizeIs(15)) << limit;
    for (size_t i = 0; i < all.size(); ++i) {
      EXPECT_EQ(paged[i].job_id, i / 5 + 1);
      EXPECT_EQ(paged[i].row.step, i % 5 * 10 + 10);
      EXPECT_EQ(paged[i].seed, i / 5);
      EXPECT_EQ(paged[i].task, "dyck");
    }
  }
}

TEST_F(QueriesTest, MetricsCanBeNarrowedToNamesAndSteps) {
  SubmitSmall(1);
  const std::string worker = Register("w");
  const LeaseRef lease = TakeOne(worker);
  for (uint64_t i = 1; i <= 3; ++i) {
    const auto step = static_cast<uint32_t>(10 * i);
    Append(worker, {{lease, i, MetricRow{step, {{"a", 1}, {"b", 2}, {i == 2 ? "c" : "d", 3}}}}})
        .IgnoreError();
  }
  MetricsQuery query{Whole("small"), {"c", "nothing"}, 0, false};
  auto page = Ask<MetricsPage>([&](auto done) { c_->GetMetrics({}, query, {}, 0, done); });
  ASSERT_THAT(page->rows, SizeIs(1));
  EXPECT_EQ(page->rows[0].row.step, 20u);
  EXPECT_THAT(page->rows[0].row.values, SizeIs(1));
  EXPECT_TRUE(page->end);
  query = {Whole("small"), {}, 20, false};
  page = Ask<MetricsPage>([&](auto done) { c_->GetMetrics({}, query, {}, 0, done); });
  ASSERT_THAT(page->rows, SizeIs(2));
  EXPECT_EQ(page->rows[0].row.step, 20u);
}

TEST_F(QueriesTest, ArchivedRowsComeWithTheirAttemptWhateverThePageSize) {
  SubmitSmall(1);
  const std::string worker = Register("w");
  for (AttemptNumber attempt = 1; attempt <= 3; ++attempt) {
    const LeaseRef lease = TakeOne(worker);
    Report(worker, lease, 0, 20);
    if (attempt < 3) {
      ASSERT_EQ(Release(EndOf(worker, lease, 0)), absl::OkStatus());
    }
  }
  for (const uint32_t limit : {1u, 2u, 100u}) {
    const auto rows = Metrics(Whole("small"), true, limit);
    ASSERT_THAT(rows, SizeIs(6)) << limit;
    for (size_t i = 0; i < rows.size(); ++i) {
      EXPECT_EQ(rows[i].row.step, i / 3 * 10 + 10);
      EXPECT_EQ(rows[i].attempt, i % 3 + 1);
      EXPECT_EQ(rows[i].archived, i % 3 != 2);
    }
  }
  EXPECT_THAT(Metrics(Whole("small")), SizeIs(2));
}

TEST_F(QueriesTest, UnknownThingsAreNotFound) {
  EXPECT_TRUE(
      absl::IsNotFound(Ask<JobDetails>([&](auto done) { c_->GetJob({}, 5, done); }).status()));
  EXPECT_TRUE(
      absl::IsNotFound(Ask<LogPage>([&](auto done) { c_->GetLog({}, 5, 0, 0, done); }).status()));
  EXPECT_TRUE(
      absl::IsNotFound(Ask<Explanation>([&](auto done) { c_->ExplainJob({}, 5, done); }).status()));
}

TEST_F(QueriesTest, AnEmptyLogOfAnEndedJobSaysSo) {
  SubmitSmall(1);
  auto page = Ask<LogPage>([&](auto done) { c_->GetLog({}, 1, 0, 0, done); });
  EXPECT_FALSE(page->job_ended);
  const std::string worker = Register("w");
  RunToEnd(worker, TakeOne(worker));
  page = Ask<LogPage>([&](auto done) { c_->GetLog({}, 1, 0, 0, done); });
  EXPECT_TRUE(page->job_ended);
  EXPECT_EQ(page->text, "");
}

TEST_F(QueriesTest, JobDetailsTellTheWholeStory) {
  SubmitSmall(1);
  const std::string worker = Register("w");
  LeaseRef lease = TakeOne(worker);
  ASSERT_EQ(Fail(EndOf(worker, lease, 3), FailureKind::kCrashed), absl::OkStatus());
  Advance(absl::Seconds(3));
  lease = TakeOne(worker);
  RunToEnd(worker, lease);
  const JobDetails details = Details(1);
  std::vector<EventType> types;
  for (const JobEvent& event : details.events) types.push_back(event.type);
  EXPECT_THAT(types,
              ElementsAre(EventType::kSubmitted, EventType::kGranted, EventType::kAttemptFailed,
                          EventType::kGranted, EventType::kCheckpoint, EventType::kSucceeded));
  ASSERT_THAT(details.attempts, SizeIs(2));
  EXPECT_EQ(details.attempts[0].outcome, AttemptOutcome::kFailed);
  EXPECT_EQ(details.attempts[0].end_step, 3u);
  EXPECT_EQ(details.attempts[1].outcome, AttemptOutcome::kSucceeded);
  EXPECT_EQ(details.run_json, Group("dyck", 2).run_json);
  EXPECT_EQ(details.job.reason, "");
}

}  // namespace
}  // namespace coppice::core
