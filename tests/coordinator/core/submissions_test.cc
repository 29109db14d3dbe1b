#include <gmock/gmock.h>

#include "tests/coordinator/core/harness.h"

namespace coppice::core {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

// Sweeps that are stored in parts of a few jobs.
class SubmissionsTest : public Harness {
 protected:
  void SetUp() override {
    options_.jobs_a_part = kPart;
    Harness::SetUp();
  }
  std::vector<SweepSummary> Sweeps() {
    return *Ask<std::vector<SweepSummary>>([&](auto done) { c_->ListSweeps({}, done); });
  }
  std::vector<Job> Jobs(const std::string& sweep) {
    return Ask<JobPage>([&](auto done) { c_->ListJobs({}, Whole(sweep), 0, 10'000, false, done); })
        ->jobs;
  }
  std::vector<SweepRow> Incomplete() {
    std::vector<SweepRow> rows;
    EXPECT_TRUE(store_
                    ->Read([&](ReadTransaction& read) -> absl::Status {
                      rows = *read.ListIncompleteSweeps();
                      return absl::OkStatus();
                    })
                    .ok());
    return rows;
  }
  // Returns once all earlier calls, and their follow-up work, are done.
  void Settle() {
    while (!Incomplete().empty()) Workers();
  }

  static constexpr uint64_t kPart = 7;
  const SweepSpec large_ = Spec("large", {Group("dyck", 2), Group("tense", 4)}, 150);
};

TEST_F(SubmissionsTest, EveryJobIsThereOnceInItsGroup) {
  const int before = faulty_->transactions;
  const auto result = Submit(large_);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(result->created);
  EXPECT_EQ(result->sweep.counts.pending, 300u);
  EXPECT_GE(faulty_->transactions - before, 300 / static_cast<int>(kPart));
  const std::vector<Job> jobs = Jobs("large");
  ASSERT_THAT(jobs, SizeIs(300));
  for (size_t i = 0; i < jobs.size(); ++i) {
    EXPECT_EQ(jobs[i].id, i + 1);
    EXPECT_EQ(jobs[i].seed, i % 150);
    EXPECT_EQ(jobs[i].task, i < 150 ? "dyck" : "tense");
  }
  EXPECT_THAT(Incomplete(), IsEmpty());
  EXPECT_EQ(Acquire(Register("w"), 400, "r")->leases.size(), 150u) << "a group's jobs";
}

TEST_F(SubmissionsTest, SentAgainItIsTheSameSweep) {
  ASSERT_TRUE(Submit(large_).ok());
  const auto again = Submit(large_);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_FALSE(again->created);
  EXPECT_THAT(Sweeps(), SizeIs(1));
}

TEST_F(SubmissionsTest, OthersAreServedBetweenItsParts) {
  const std::string worker = Register("w");
  Answer<SubmitResult> submitted;
  c_->SubmitSweep({}, Spec("huge", {Group("dyck", 2)}, 5000), 0, submitted.done());
  int beats = 0;
  while (!submitted.ready()) {
    ASSERT_TRUE(Beat(worker, {}).ok());
    ++beats;
  }
  EXPECT_TRUE(submitted.Wait().ok());
  EXPECT_GT(beats, 10) << "of " << 5000 / kPart << " parts";
}

TEST_F(SubmissionsTest, NothingOfItIsSeenOrGrantedBeforeItIsComplete) {
  const std::string worker = Register("w");
  Answer<SubmitResult> submitted;
  c_->SubmitSweep({}, Spec("huge", {Group("dyck", 2)}, 5000), 0, submitted.done());
  while (!submitted.ready()) {
    const std::vector<SweepSummary> sweeps = Sweeps();
    const auto grant = Acquire(worker, 1, RandomId());
    if (submitted.ready()) break;  // it may be complete by now
    for (const SweepSummary& sweep : sweeps) {
      EXPECT_EQ(sweep.counts.pending + sweep.counts.running, 5000u);
    }
    ASSERT_TRUE(grant.ok());
    if (grant->leases.empty()) continue;
    // A grant means that the sweep was complete.
    EXPECT_THAT(Sweeps(), SizeIs(1));
    break;
  }
  EXPECT_TRUE(submitted.Wait().ok());
}

TEST_F(SubmissionsTest, OneThatFailsHalfwayLeavesNothingAndItsNameIsFree) {
  Answer<SubmitResult> submitted;
  c_->SubmitSweep({}, Spec("huge", {Group("dyck", 2)}, 5000), 0, submitted.done());
  while (Incomplete().empty()) Workers();
  faulty_->fail_commits = true;
  EXPECT_TRUE(absl::IsResourceExhausted(submitted.Wait().status()));
  faulty_->fail_commits = false;
  EXPECT_THAT(Sweeps(), IsEmpty());
  // The next submission takes back the part that the full disk left.
  const auto again = Submit(large_);
  ASSERT_TRUE(again.ok());
  const auto huge = Submit(Spec("huge", {Group("dyck", 2)}, 20));
  ASSERT_TRUE(huge.ok()) << huge.status();
  EXPECT_THAT(Jobs("huge"), SizeIs(20));
  EXPECT_THAT(Jobs("large"), SizeIs(300));
  EXPECT_THAT(Incomplete(), IsEmpty());
}

TEST_F(SubmissionsTest, OneThatACrashCutShortIsTakenBackAtTheStart) {
  Answer<SubmitResult> submitted;
  c_->SubmitSweep({}, Spec("huge", {Group("dyck", 2), Group("tense", 2)}, 2500), 0,
                  submitted.done());
  while (Incomplete().empty()) Workers();
  c_->Shutdown();
  EXPECT_TRUE(absl::IsUnavailable(submitted.Wait().status()));
  ASSERT_THAT(Incomplete(), SizeIs(1));
  Restart();
  EXPECT_THAT(Sweeps(), IsEmpty());
  EXPECT_THAT(Acquire(Register("w"), 1, "r")->leases, IsEmpty());
  Settle();
  ASSERT_TRUE(Submit(large_).ok());
  EXPECT_THAT(Jobs("large"), SizeIs(300));
  EXPECT_EQ(Acquire(Register("v"), 1, "r2")->leases.size(), 1u);
}

TEST_F(SubmissionsTest, TwoOfOneNameAtOnceAreOneSweep) {
  Answer<SubmitResult> first, second, other;
  SweepSpec another = large_;
  another.spec_blob = "something else";
  c_->SubmitSweep({}, large_, 0, first.done());
  c_->SubmitSweep({}, large_, 0, second.done());
  c_->SubmitSweep({}, another, 0, other.done());
  EXPECT_TRUE(first.Wait()->created);
  EXPECT_FALSE(second.Wait()->created);
  EXPECT_TRUE(absl::IsAlreadyExists(other.Wait().status()));
  EXPECT_THAT(Sweeps(), SizeIs(1));
}

TEST_F(SubmissionsTest, TwoOfDifferentNamesAtOnceKeepTheirJobsApart) {
  Answer<SubmitResult> first, second;
  c_->SubmitSweep({}, large_, 0, first.done());
  c_->SubmitSweep({}, Spec("wide", {Group("dyck", 2), Group("dyck", 4), Group("dyck", 6)}, 120), 0,
                  second.done());
  ASSERT_TRUE(first.Wait().ok());
  ASSERT_TRUE(second.Wait().ok());
  EXPECT_THAT(Jobs("large"), SizeIs(300));
  const std::vector<Job> wide = Jobs("wide");
  ASSERT_THAT(wide, SizeIs(360));
  for (size_t i = 0; i < wide.size(); ++i) {
    EXPECT_EQ(wide[i].seed, i % 120);
    EXPECT_EQ(wide[i].depth, 2 + 2 * (i / 120));
  }
}

}  // namespace
}  // namespace coppice::core
