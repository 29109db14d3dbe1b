// Extensions by points, seeds and settings.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/coordinator/core/extension_harness.h"

namespace coppice::core {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ExtendTest : public ExtensionHarness {
 protected:
  // The ids of the jobs that a filter finds.
  std::vector<JobId> Ids(const JobFilter& filter) {
    const auto page =
        Ask<JobPage>([&](auto done) { c_->ListJobs({}, filter, 0, 1000, false, done); });
    EXPECT_TRUE(page.ok()) << page.status();
    std::vector<JobId> ids;
    if (page.ok()) {
      for (const Job& job : page->jobs) ids.push_back(job.id);
    }
    return ids;
  }
  std::vector<JobId> OfSeed(uint32_t seed) {
    JobFilter filter = Whole("small");
    filter.seeds = {seed};
    return Ids(filter);
  }
};

TEST_F(ExtendTest, NewPointsAndSeedsBecomeJobsAndAPointWithMoreSeedsStaysOnePoint) {
  ASSERT_TRUE(Submit(Grid({Point(2), Point(4)}, {0, 1})).ok());
  const Extension extension = Extended(Grid({Point(2), Point(4), Point(6)}, {0, 1, 7}));
  EXPECT_EQ(extension.new_points, 1u);
  EXPECT_EQ(extension.new_jobs, 5u);
  EXPECT_EQ(extension.added_steps, 500u);
  EXPECT_EQ(extension.continued_jobs + extension.longer_jobs + extension.changed_jobs, 0u);

  const SweepDetails sweep = Sweep();
  EXPECT_EQ(sweep.summary.counts.pending, 9u);
  EXPECT_EQ(sweep.summary.steps_total, 900u);
  ASSERT_EQ(sweep.groups.size(), 3u);
  for (const GroupSummary& group : sweep.groups) EXPECT_EQ(group.counts.total(), 3u);
  EXPECT_EQ(sweep.groups[2].spec.depth, 6u);

  EXPECT_THAT(OfSeed(7), ElementsAre(5, 6, 9));
  EXPECT_THAT(OfSeed(1), ElementsAre(2, 4, 8));
  EXPECT_EQ(GetJob(5).depth, 2u);
  EXPECT_EQ(GetJob(6).depth, 4u);
  EXPECT_EQ(GetJob(9).seed, 7u);
}

TEST_F(ExtendTest, EveryNewJobIsGrantedAndTheSweepEndsWithIt) {
  ASSERT_TRUE(Submit(Grid({Point(2)}, {0})).ok());
  const std::string w = Register("w1");
  RunFrom(w, TakeOne(w), 0, 100);
  EXPECT_NE(Summary("small").finished_ms, 0);
  // A worker that waits gets new work at once.
  Answer<LeaseGrant> waiting;
  c_->AcquireLeases({w, "request", 0, 4, 60'000}, {}, waiting.done());
  Workers();
  EXPECT_FALSE(waiting.ready());
  Extended(Grid({Point(2)}, {0, 5, 6}));
  const auto grant = waiting.Wait();
  ASSERT_TRUE(grant.ok()) << grant.status();
  ASSERT_EQ(grant->leases.size(), 2u);
  EXPECT_EQ(grant->leases[0].seed, 5u);
  EXPECT_EQ(Summary("small").finished_ms, 0);
  for (const Lease& lease : grant->leases) RunFrom(w, lease.ref, 0, 100);
  EXPECT_EQ(Summary("small").counts.succeeded, 3u);
  EXPECT_NE(Summary("small").finished_ms, 0);
}

TEST_F(ExtendTest, AWatcherSeesTheLargerSweepAndItsEnd) {
  ASSERT_TRUE(Submit(Grid({Point(2)}, {0})).ok());
  absl::Mutex mutex;
  uint64_t most = 0;
  absl::Notification finished;
  const auto watch = c_->WatchSweep("small", [&](const SweepChange& change) {
    absl::MutexLock lock(&mutex);
    if (change.summary) most = std::max(most, change.summary->counts.total());
    if (change.finished) finished.Notify();
  });
  ASSERT_TRUE(watch.ok());
  Extended(Grid({Point(2)}, {0, 5}));
  const std::string w = Register("w1");
  for (int i = 0; i < 2; ++i) RunFrom(w, TakeOne(w), 0, 100);
  ASSERT_TRUE(finished.WaitForNotificationWithTimeout(kPatience));
  absl::MutexLock lock(&mutex);
  EXPECT_EQ(most, 2u);
}

TEST_F(ExtendTest, TheSameAgainChangesNothingAndASubmitOfItIsTheSame) {
  const SweepSpec before = Grid({Point(2)}, {0});
  ASSERT_TRUE(Submit(before).ok());
  SweepSpec after = Grid({Point(2)}, {0, 1});
  after.priority = 3;
  const auto first = Extend(after);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_TRUE(first->changed);
  EXPECT_EQ(first->sweep.counts.pending, 2u);
  const auto again = Extend(after);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_FALSE(again->changed);
  EXPECT_THAT(again->extension.settings, IsEmpty());
  EXPECT_EQ(Sweep().operations.size(), 2u);
  EXPECT_EQ(Sweep().operations[1].action, "extended");
  EXPECT_EQ(Sweep().operations[1].detail, "1 new jobs; priority: 0 -> 3");
  EXPECT_EQ(Sweep().spec_blob, after.spec_blob);
  const auto submitted = Submit(after);
  ASSERT_TRUE(submitted.ok()) << submitted.status();
  EXPECT_FALSE(submitted->created);
  EXPECT_TRUE(absl::IsAlreadyExists(Submit(before).status()));
}

TEST_F(ExtendTest, ADryRunStoresNothingAndListsWhatWouldBeRefused) {
  ASSERT_TRUE(Submit(Grid({Point(2), Point(4)}, {0, 1})).ok());
  const std::string w = Register("w1");
  TakeOne(w);
  const auto result = Extend(Grid({Point(2, 100, "lr=2"), Point(6)}, {0, 2}), /*dry_run=*/true);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_FALSE(result->changed);
  EXPECT_EQ(result->extension.new_points, 1u);
  EXPECT_EQ(result->extension.new_jobs, 3u);
  EXPECT_THAT(result->extension.refused,
              ElementsAre("left out: dyck/4", "lr: 1 -> 2 (dyck/2)", "seeds left out: 1"));
  EXPECT_EQ(Summary("small").counts.total(), 4u);
  EXPECT_EQ(Sweep().operations.size(), 1u);
}

TEST_F(ExtendTest, WhatAJobThatHasBegunWouldNotSurviveIsRefusedWithEachDifference) {
  ASSERT_TRUE(Submit(Grid({Point(2), Point(4)}, {0, 1})).ok());
  const std::string w = Register("w1");
  const LeaseRef lease = TakeOne(w);
  ASSERT_EQ(GetJob(lease.job_id).depth, 2u);
  const std::pair<SweepSpec, std::string> refused[] = {
      {Grid({Point(2, 100, "lr=2"), Point(4)}, {0, 1}), "lr: 1 -> 2 (dyck/2)"},
      {Grid({Point(2, 90), Point(4)}, {0, 1}), "train.steps: 100 -> 90 (dyck/2)"},
      {Grid({Point(2)}, {0, 1}), "left out: dyck/4"},
      {Grid({Point(2), Point(4)}, {1, 2}), "seeds left out: 0"},
  };
  for (const auto& [spec, why] : refused) {
    const absl::Status status = Extend(spec).status();
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(why));
  }
  SweepSpec axes = Grid({Point(2)}, {0, 1});
  axes.groups[0].point = {{"size", "small"}};
  const absl::Status status = Extend(axes).status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("axes: task, depth, seed -> size, seed"));
  EXPECT_EQ(Summary("small").counts.total(), 4u);
  EXPECT_EQ(Sweep().operations.size(), 1u);
}

TEST_F(ExtendTest, AGroupOfWhichNoJobHasBegunMayChangeAltogether) {
  ASSERT_TRUE(Submit(Grid({Point(2), Point(4)}, {0, 1})).ok());
  const std::string w = Register("w1");
  TakeOne(w);  // of depth 2
  const Extension extension = Extended(Grid({Point(2), Point(4, 50, "lr=2")}, {0, 1}));
  EXPECT_EQ(extension.changed_jobs, 2u);
  EXPECT_THAT(extension.settings,
              ElementsAre("lr: 1 -> 2 (dyck/4)", "train.steps: 100 -> 50 (dyck/4)"));
  EXPECT_EQ(Summary("small").steps_total, 300u);
  const auto grant = Acquire(w, 4, "second");  // the rest of depth 2 comes first
  ASSERT_TRUE(grant.ok());
  EXPECT_EQ(grant->run_json, "lr=1");
  const auto changed = Acquire(w, 4, "third");
  ASSERT_TRUE(changed.ok());
  EXPECT_EQ(changed->run_json, "lr=2");
  for (const Lease& lease : changed->leases) RunFrom(w, lease.ref, 0, 50);
  EXPECT_EQ(Summary("small").counts.succeeded, 2u);
  EXPECT_TRUE(absl::IsFailedPrecondition(Extend(Grid({Point(2), Point(4, 50)}, {0, 1})).status()));
}

TEST_F(ExtendTest, PriorityFailuresAndCheckpointsChangeInPlace) {
  ASSERT_TRUE(Submit(Grid({Point(2, 100, "lr=1 checkpoint.keep=2")}, {0, 1})).ok());
  SweepSpec other = Spec("other", {Group("question", 2)}, 1);
  other.priority = 1;
  ASSERT_TRUE(Submit(other).ok());
  const std::string w = Register("w1");
  EXPECT_EQ(GetJob(TakeOne(w).job_id).sweep, "other");

  SweepSpec after = Grid({Point(2, 100, "lr=1 checkpoint.keep=3")}, {0, 1});
  after.groups[0].keep = 3;
  after.priority = 2;
  after.max_failures = 1;
  const Extension extension = Extended(after);
  EXPECT_THAT(extension.settings,
              ElementsAre("priority: 0 -> 2", "max_failures: 3 -> 1", "checkpoint.keep: 2 -> 3"));
  SweepSpec third = Spec("third", {Group("question", 2)}, 1);
  third.priority = 1;
  ASSERT_TRUE(Submit(third).ok());
  const auto grant = Acquire(w, 1, "next");
  ASSERT_TRUE(grant.ok());
  ASSERT_EQ(grant->leases.size(), 1u);
  EXPECT_EQ(grant->leases[0].sweep, "small");
  EXPECT_EQ(grant->run_json, "lr=1 checkpoint.keep=3");
  const LeaseRef lease = grant->leases[0].ref;
  for (const uint32_t step : {20u, 40u, 60u}) {
    Report(w, lease, step - 20, step);
    EXPECT_EQ(Commit(CommitOf(w, lease, step)), absl::OkStatus());
  }
  EXPECT_EQ(Details(lease.job_id).checkpoints.size(), 3u);
  EXPECT_EQ(Fail(EndOf(w, lease, 60), FailureKind::kCrashed), absl::OkStatus());
  EXPECT_EQ(GetJob(lease.job_id).state, JobState::kFailed);
}

TEST_F(ExtendTest, AnUnknownSweepAndTooManyJobsAreRefused) {
  EXPECT_TRUE(absl::IsNotFound(Extend(Grid({Point(2)}, {0})).status()));
  ASSERT_TRUE(Submit(Grid({Point(2)}, {0})).ok());
  std::vector<uint32_t> seeds(kMaxNewJobs + 2);
  for (uint32_t i = 0; i < seeds.size(); ++i) seeds[i] = i;
  const absl::Status status = Extend(Grid({Point(2)}, seeds)).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("100001 new jobs"));
  EXPECT_EQ(Summary("small").counts.total(), 1u);
}

TEST_F(ExtendTest, ExtensionsOfOneNameRunOneAfterTheOther) {
  ASSERT_TRUE(Submit(Grid({Point(2)}, {0})).ok());
  const SweepSpec after = Grid({Point(2)}, {0, 1});
  std::vector<Answer<ExtendResult>> answers(8);
  for (auto& answer : answers) {
    c_->ExtendSweep({}, {after, false, std::make_shared<const WordReader>()}, answer.done());
  }
  int changed = 0;
  for (auto& answer : answers) {
    const auto result = answer.Wait();
    ASSERT_TRUE(result.ok()) << result.status();
    changed += result->changed ? 1 : 0;
  }
  EXPECT_EQ(changed, 1);
  EXPECT_EQ(Summary("small").counts.total(), 2u);
}

TEST_F(ExtendTest, AFailedCommitChangesNothingAndARestartKeepsAll) {
  ASSERT_TRUE(Submit(Grid({Point(2)}, {0})).ok());
  const SweepSpec after = Grid({Point(2), Point(4)}, {0, 1});
  faulty_->fail_commits = true;
  EXPECT_FALSE(Extend(after).ok());
  faulty_->fail_commits = false;
  EXPECT_EQ(Summary("small").counts.total(), 1u);
  EXPECT_THAT(OfSeed(1), IsEmpty());
  Extended(after);
  Restart();
  EXPECT_EQ(Sweep().groups.size(), 2u);
  EXPECT_EQ(Sweep().groups[0].counts.pending, 2u);
  EXPECT_THAT(OfSeed(1), ElementsAre(2, 4));
  const auto again = Extend(after);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_FALSE(again->changed);
}

}  // namespace
}  // namespace coppice::core
