// Workers that fail every job, packs that exceed their memory, workers long gone.
#include "coordinator/core/dispatch/worker_health.h"

#include <gmock/gmock.h>

#include "absl/strings/str_join.h"
#include "tests/coordinator/core/harness.h"

namespace coppice::core {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class WorkerHealthTest : public ::testing::Test {
 protected:
  void Fail(const std::string& request, JobId job) {
    health_.OnFailure("w", {request, job, "it broke"}, now_, 1000);
  }
  bool Suspect() { return health_.SuspicionOf("w", now_).has_value(); }
  absl::Duration Rest() { return health_.SuspicionOf("w", now_)->until - now_; }

  WorkerHealth health_;
  absl::Duration now_ = absl::Hours(5);
};

TEST_F(WorkerHealthTest, ThreePacksOfDifferentJobsInARowMakeASuspect) {
  Fail("a", 1);
  Fail("b", 2);
  EXPECT_FALSE(Suspect());
  Fail("c", 3);
  ASSERT_TRUE(Suspect());
  EXPECT_EQ(Rest(), absl::Minutes(1));
  EXPECT_THAT(health_.SuspicionOf("w", now_)->reason, HasSubstr("it broke"));
  EXPECT_EQ(health_.SuspicionOf("w", now_)->until_ms, 61'000);
  EXPECT_EQ(health_.NextEnd(now_), now_ + absl::Minutes(1));
}

TEST_F(WorkerHealthTest, OnePackOfManyJobsCountsOnce) {
  for (JobId job = 1; job <= 10; ++job) Fail("a", job);
  EXPECT_FALSE(Suspect());
}

TEST_F(WorkerHealthTest, OneJobThatFailsAgainAndAgainIsNotItsWorkersFault) {
  for (int i = 0; i < 10; ++i) Fail(absl::StrCat("r", i), 1);
  EXPECT_FALSE(Suspect());
}

TEST_F(WorkerHealthTest, AfterItsRestOneMoreFailureMakesTheNextTwiceAsLongUpToABound) {
  for (JobId job = 1; job <= 3; ++job) Fail(absl::StrCat("r", job), job);
  absl::Duration expected = absl::Minutes(2);
  for (JobId job = 4; job <= 20; ++job) {
    now_ += Rest();
    ASSERT_FALSE(Suspect());
    Fail(absl::StrCat("r", job), job);
    ASSERT_TRUE(Suspect());
    EXPECT_EQ(Rest(), expected);
    expected = std::min(expected * 2, WorkerHealth::kLongestBackoff);
  }
}

TEST_F(WorkerHealthTest, ProgressOrANewProcessClearsIt) {
  for (JobId job = 1; job <= 3; ++job) Fail(absl::StrCat("r", job), job);
  health_.OnProgress("w", 2000);
  EXPECT_FALSE(Suspect());
  EXPECT_EQ(health_.NextEnd(now_), std::nullopt);
  EXPECT_EQ(health_.progressed_ms("w"), 2000);
  for (JobId job = 1; job <= 3; ++job) Fail(absl::StrCat("s", job), job);
  ASSERT_TRUE(Suspect());
  health_.OnNewProcess("w", true);
  EXPECT_FALSE(Suspect());
  EXPECT_EQ(health_.progressed_ms("w"), 2000);
}

TEST_F(WorkerHealthTest, APackThatWasTooWideIsHalvedForItsGroupAlone) {
  health_.OnTooWide("w", 7, 10);
  EXPECT_EQ(health_.WidthFor("w", 7, 10), 5u);
  EXPECT_EQ(health_.WidthFor("w", 7, 3), 3u);
  EXPECT_EQ(health_.WidthFor("w", 8, 10), 10u);
  EXPECT_EQ(health_.WidthFor("x", 7, 10), 10u);
  health_.OnTooWide("w", 7, 10);  // the pack's next member
  EXPECT_EQ(health_.WidthFor("w", 7, 10), 5u);
  health_.OnTooWide("w", 7, 5);
  health_.OnTooWide("w", 7, 2);
  health_.OnTooWide("w", 7, 1);
  EXPECT_EQ(health_.WidthFor("w", 7, 10), 1u);
  health_.OnNewProcess("w", true);
  EXPECT_EQ(health_.WidthFor("w", 7, 10), 1u);
  health_.OnNewProcess("w", false);
  EXPECT_EQ(health_.WidthFor("w", 7, 10), 10u);
}

TEST_F(WorkerHealthTest, AWidthThatWasMeasuredHoldsUntilAnotherProcessTakesTheName) {
  EXPECT_FALSE(health_.KnowsWidth("w", 7));
  health_.OnMeasured("w", 7, 4);
  EXPECT_TRUE(health_.KnowsWidth("w", 7));
  EXPECT_FALSE(health_.KnowsWidth("w", 8));
  EXPECT_FALSE(health_.KnowsWidth("x", 7));
  EXPECT_EQ(health_.WidthFor("w", 7, 32), 4u);
  health_.OnMeasured("w", 7, 8);
  EXPECT_EQ(health_.WidthFor("w", 7, 32), 8u);
  health_.OnTooWide("w", 7, 8);  // the memory limit prevails
  EXPECT_EQ(health_.WidthFor("w", 7, 32), 4u);
  health_.OnMeasured("w", 7, 2);
  EXPECT_EQ(health_.WidthFor("w", 7, 32), 2u);
  health_.OnNewProcess("w", true);
  EXPECT_EQ(health_.WidthFor("w", 7, 32), 4u);
  EXPECT_TRUE(health_.KnowsWidth("w", 7));
  health_.OnNewProcess("w", false);
  EXPECT_FALSE(health_.KnowsWidth("w", 7));
}

class FaultyWorkersTest : public Harness {
 protected:
  std::string Why(JobId id) {
    const auto explanation = Ask<Explanation>([&](auto done) { c_->ExplainJob({}, id, done); });
    return absl::StrJoin(explanation->reasons, "\n");
  }
  void FailAtOnce(const std::string& worker, int times) {
    for (int i = 0; i < times; ++i) {
      ASSERT_EQ(Fail(EndOf(worker, TakeOne(worker), 0), FailureKind::kCrashed), absl::OkStatus());
    }
  }
  Worker Named(const std::string& name) {
    for (const Worker& worker : Workers()) {
      if (worker.info.name == name) return worker;
    }
    ADD_FAILURE() << "no worker " << name;
    return {};
  }
};

TEST_F(FaultyWorkersTest, AWorkerThatFailsWhateverItGetsIsPassedOverWhileAnotherIsThere) {
  SubmitSmall(10);
  const std::string bad = Register("bad");
  const std::string good = Register("good");
  FailAtOnce(bad, 3);
  const Worker suspect = Named("bad");
  EXPECT_THAT(suspect.suspect_reason, AllOf(HasSubstr("3 packs"), HasSubstr("crashed: it broke")));
  EXPECT_EQ(suspect.suspect_until_ms, clock_.NowMillis() + 60'000);
  EXPECT_EQ(Named("good").suspect_until_ms, 0);
  EXPECT_THAT(Acquire(bad, 1, "r1")->leases, IsEmpty());
  EXPECT_THAT(Acquire(good, 1, "r2")->leases, SizeIs(1));
  EXPECT_THAT(Why(10), HasSubstr("1 worker is passed over"));
  Advance(absl::Seconds(61));
  Beat(good, {}).IgnoreError();
  EXPECT_EQ(Named("bad").suspect_until_ms, 0);
  EXPECT_THAT(Acquire(bad, 1, "r3")->leases, SizeIs(1));
}

TEST_F(FaultyWorkersTest, ASuspectsWaitingRequestIsServedWhenItsRestIsOver) {
  SubmitSmall(10);
  const std::string bad = Register("bad");
  const std::string good = Register("good");
  FailAtOnce(bad, 3);
  Answer<LeaseGrant> answer;
  c_->AcquireLeases({bad, "r", 0, 1, 300'000}, {}, answer.done());
  Advance(absl::Seconds(55));
  Beat(good, {}).IgnoreError();
  Workers();
  EXPECT_FALSE(answer.ready());
  clock_.Advance(absl::Seconds(6));
  EXPECT_THAT(answer.Wait()->leases, SizeIs(1));
}

TEST_F(FaultyWorkersTest, WhereEveryWorkerIsSuspectTheWorkIsTriedAndEndsInFailure) {
  SubmitSmall(4);
  const std::string only = Register("only");
  for (int round = 0; round < 3; ++round) {
    FailAtOnce(only, 4);
    if (round == 0) {
      EXPECT_NE(Named("only").suspect_until_ms, 0);
      EXPECT_THAT(Why(1), HasSubstr("tried on them all the same"));
    }
    Advance(absl::Seconds(11));
  }
  EXPECT_EQ(Summary("small").counts.failed, 4u);
}

TEST_F(FaultyWorkersTest, AJobsOwnFailureSaysNothingAboutItsWorker) {
  SubmitSmall(12);
  const std::string worker = Register("w");
  Register("other");
  using enum FailureKind;
  for (const FailureKind kind : {kNan, kNan, kData, kRefused, kRefused, kRefused}) {
    ASSERT_EQ(Fail(EndOf(worker, TakeOne(worker), 0), kind), absl::OkStatus());
  }
  for (int i = 0; i < 4; ++i) {  // these had made progress
    const LeaseRef lease = TakeOne(worker);
    Report(worker, lease, 0, 10);
    ASSERT_EQ(Fail(EndOf(worker, lease, 15), FailureKind::kCrashed), absl::OkStatus());
  }
  EXPECT_EQ(Named("w").suspect_until_ms, 0);
}

TEST_F(FaultyWorkersTest, TwoBrokenWorkersDoNotQuarantineAJobThatNeverBegan) {
  SubmitSmall(1);
  const std::string a = Register("a");
  ASSERT_EQ(Fail(EndOf(a, TakeOne(a), 0), FailureKind::kCrashed), absl::OkStatus());
  Advance(absl::Seconds(3));
  const std::string b = Register("b");
  ASSERT_EQ(Fail(EndOf(b, TakeOne(b), 0), FailureKind::kCrashed), absl::OkStatus());
  EXPECT_EQ(GetJob(1).state, JobState::kPending);
}

TEST_F(FaultyWorkersTest, OneOfThemThatHasRunAJobIsEvidenceEnough) {
  SubmitSmall(2);
  const std::string a = Register("a");
  const auto both = Acquire(a, 2, "r");
  ASSERT_THAT(both->leases, SizeIs(2));
  Report(a, both->leases[1].ref, 0, 10);
  ASSERT_EQ(Fail(EndOf(a, both->leases[0].ref, 0), FailureKind::kCrashed), absl::OkStatus());
  Advance(absl::Seconds(3));
  const std::string b = Register("b");
  ASSERT_EQ(Fail(EndOf(b, TakeOne(b), 0), FailureKind::kCrashed), absl::OkStatus());
  EXPECT_EQ(GetJob(1).state, JobState::kFailed);
  EXPECT_THAT(GetJob(1).reason, HasSubstr("quarantined"));
}

TEST_F(FaultyWorkersTest, APackTooWideForTheMemoryIsReleasedUnchargedAndComesBackNarrower) {
  SubmitSmall(8);
  const std::string worker = Register("w");
  auto grant = Acquire(worker, 8, "r0");
  ASSERT_THAT(grant->leases, SizeIs(8));
  for (const size_t expected : {4u, 2u, 1u}) {
    for (const Lease& lease : grant->leases) {
      const End end = EndOf(worker, lease.ref, 0);
      const core::Release::TooWide too_wide{static_cast<uint32_t>(grant->leases.size())};
      ASSERT_EQ(Release(end, too_wide, "out of memory"), absl::OkStatus());
      ASSERT_EQ(Release(end, too_wide, "out of memory"), absl::OkStatus());  // sent again
    }
    grant = Acquire(worker, 8, RandomId());
    EXPECT_THAT(grant->leases, SizeIs(expected));
  }
  const JobDetails details = Details(1);
  EXPECT_EQ(details.job.failures, 0u);
  EXPECT_EQ(details.attempts[0].outcome, AttemptOutcome::kReleased);
  EXPECT_THAT(details.attempts[0].message,
              AllOf(HasSubstr("out of memory"), HasSubstr("w gets packs of at most 4")));
  // Another machine has its own memory.
  EXPECT_THAT(Acquire(Register("big"), 8, "big")->leases, SizeIs(7));
}

TEST_F(FaultyWorkersTest, WorkersLongGoneAreForgottenUnlessTheyHoldOrWereDrained) {
  SubmitSmall(1);
  const std::string holder = Register("holder");
  const LeaseRef lease = TakeOne(holder);
  Register("gone");
  Register("drained");
  ASSERT_TRUE(
      Ask<Worker>([&](auto done) { c_->DrainWorker({}, "drained", false, false, done); }).ok());
  clock_.JumpWallTime(absl::Hours(8 * 24));
  Advance(absl::Seconds(50));
  ASSERT_TRUE(Beat(holder, {Held(lease)}).ok());
  Advance(absl::Seconds(50));
  ASSERT_TRUE(Beat(holder, {Held(lease)}).ok());
  Advance(absl::Hours(1));
  Register("new");
  Restart();
  std::vector<std::string> names;
  for (const Worker& worker : Workers()) names.push_back(worker.info.name);
  EXPECT_THAT(names, ElementsAre("drained", "holder", "new"));
}

class MeasuringWorkersTest : public Harness {
 protected:
  absl::StatusOr<LeaseGrant> AskMeasuring(const std::string& worker, const std::string& request) {
    return Ask<LeaseGrant>([&](auto done) {
      c_->AcquireLeases({worker, request, 0, 32, 0, true}, {}, done);
    });
  }
  void SetPaused(bool paused) {
    Ask<SweepSummary>([&](auto done) { c_->SetPaused({}, "small", paused, done); }).IgnoreError();
  }
  absl::Status Tell(const End& end, uint32_t width) {
    return Release(end, core::Release::Measured{width}, "measured");
  }
};

TEST_F(MeasuringWorkersTest, OfAnUnknownGroupItGetsOneJobAndAfterItsWordAPack) {
  SubmitSmall(8);
  const std::string worker = Register("w");
  const auto first = AskMeasuring(worker, "r1");
  ASSERT_THAT(first->leases, SizeIs(1));
  EXPECT_TRUE(first->unmeasured);
  EXPECT_TRUE(AskMeasuring(worker, "r1")->unmeasured);  // its answer was lost
  const End end = EndOf(worker, first->leases[0].ref, 0);
  ASSERT_EQ(Tell(end, 4), absl::OkStatus());
  ASSERT_EQ(Tell(end, 4), absl::OkStatus());  // sent again
  const Job job = GetJob(first->leases[0].ref.job_id);
  EXPECT_EQ(job.state, JobState::kPending);
  EXPECT_EQ(job.failures, 0u);
  EXPECT_THAT(job.reason, HasSubstr("measured; w gets packs of 4 of its kind from now on"));
  const auto pack = AskMeasuring(worker, "r2");
  EXPECT_THAT(pack->leases, SizeIs(4));
  EXPECT_FALSE(pack->unmeasured);
  // Another worker has other memory and other cores.
  EXPECT_THAT(AskMeasuring(Register("x"), "r3")->leases, SizeIs(1));
}

TEST_F(MeasuringWorkersTest, MeasuringIsNoAttemptToAnybody) {
  SubmitSmall(2);
  const std::string worker = Register("w");
  const Lease measured = AskMeasuring(worker, "r1")->leases[0];
  EXPECT_EQ(GetJob(1).attempts, 1u);
  Advance(absl::Seconds(10));
  ASSERT_EQ(Tell(EndOf(worker, measured.ref, 0), 2), absl::OkStatus());
  JobDetails details = Details(1);
  EXPECT_EQ(details.job.attempts, 0u);
  EXPECT_EQ(details.job.started_ms, 0);
  EXPECT_THAT(details.attempts, IsEmpty());
  EXPECT_EQ(details.events.back().type, EventType::kReleased);  // the event stays on record

  const auto pack = AskMeasuring(worker, "r2");
  ASSERT_THAT(pack->leases, SizeIs(2));
  EXPECT_GT(pack->leases[0].ref.attempt, measured.ref.attempt);
  details = Details(1);
  EXPECT_EQ(details.job.attempts, 1u);
  EXPECT_EQ(details.job.started_ms, clock_.NowMillis());
  EXPECT_THAT(details.attempts, SizeIs(1));
  Restart();
  EXPECT_EQ(GetJob(1).attempts, 1u);
  EXPECT_THAT(Details(1).attempts, SizeIs(1));

  // The same holds for a lease that was released before its trainer started. A lease under which a
  // trainer ran counts.
  const End end = EndOf(worker, pack->leases[0].ref, 0);
  ASSERT_EQ(Release(end, core::Release::Untrained{}), absl::OkStatus());
  EXPECT_EQ(GetJob(1).attempts, 0u);
  ASSERT_EQ(Release(EndOf(worker, pack->leases[1].ref, 0)), absl::OkStatus());
  EXPECT_EQ(GetJob(2).attempts, 1u);
}

TEST_F(MeasuringWorkersTest, StartedJobsThatFillItsPackComeBeforeManyNewOnes) {
  SubmitSmall(8);
  const std::string before = Register("before");
  const auto started = Acquire(before, 2, "r0");
  for (const Lease& lease : started->leases) {
    Report(before, lease.ref, 0, 20);
    ASSERT_EQ(Commit(CommitOf(before, lease.ref, 20)), absl::OkStatus());
    ASSERT_EQ(Release(EndOf(before, lease.ref, 20)), absl::OkStatus());
  }
  const std::string worker = Register("w");
  const auto first = AskMeasuring(worker, "r1");
  ASSERT_THAT(first->leases, SizeIs(1));
  ASSERT_EQ(Tell(EndOf(worker, first->leases[0].ref, 0), 2), absl::OkStatus());
  const auto pack = AskMeasuring(worker, "r2");
  ASSERT_THAT(pack->leases, SizeIs(2));
  for (const Lease& lease : pack->leases) {
    ASSERT_TRUE(lease.resume.has_value());
    EXPECT_EQ(lease.resume->step, 20u);
  }
}

TEST_F(MeasuringWorkersTest, TheLastJobOfAGroupNeedsNoMeasurement) {
  SubmitSmall(1);
  const auto grant = AskMeasuring(Register("w"), "r1");
  ASSERT_THAT(grant->leases, SizeIs(1));
  EXPECT_FALSE(grant->unmeasured);
}

TEST_F(MeasuringWorkersTest, FewJobsAreSharedOutAmongTheSlotsThatWait) {
  const std::string a = Register("a");
  const std::string b = Register("b");
  SubmitSmall(2);
  for (const std::string& worker : {a, b}) {
    const auto grant = AskMeasuring(worker, RandomId());
    ASSERT_THAT(grant->leases, SizeIs(1));
    ASSERT_EQ(Tell(EndOf(worker, grant->leases[0].ref, 0), 32), absl::OkStatus());
  }
  SetPaused(true);
  Answer<LeaseGrant> first, second;
  c_->AcquireLeases({a, "r1", 0, 32, 60'000, true}, {}, first.done());
  c_->AcquireLeases({b, "r2", 0, 32, 60'000, true}, {}, second.done());
  Workers();  // both wait
  SetPaused(false);
  EXPECT_THAT(first.Wait()->leases, SizeIs(1));
  EXPECT_THAT(second.Wait()->leases, SizeIs(1));
}

}  // namespace
}  // namespace coppice::core
