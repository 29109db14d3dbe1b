#include "coordinator/core/deletions.h"

#include <gmock/gmock.h>

#include <fstream>

#include "coordinator/core/restore.h"
#include "tests/coordinator/core/harness.h"

namespace coppice::core {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Sweeps whose rows go in parts of a few.
class DeletionsTest : public Harness {
 protected:
  void SetUp() override {
    options_.jobs_a_part = 7;
    Harness::SetUp();
  }
  absl::StatusOr<DeletedSweep> Delete(const std::string& name, SweepId id = 0,
                                      bool dry_run = false) {
    return Ask<DeletedSweep>([&](auto done) { c_->DeleteSweep({}, {name, id, dry_run}, done); });
  }
  uint64_t Cancel(const std::string& name) {
    return *Ask<uint64_t>([&](auto done) { c_->CancelJobs({}, Whole(name), done); });
  }
  std::vector<std::string> Sweeps() {
    std::vector<std::string> names;
    const auto sweeps =
        Ask<std::vector<SweepSummary>>([&](auto done) { c_->ListSweeps({}, done); });
    for (const SweepSummary& sweep : *sweeps) names.push_back(sweep.name);
    return names;
  }
  absl::Status GetError(const std::string& name) {
    return Ask<SweepDetails>([&](auto done) { c_->GetSweep({}, name, done); }).status();
  }
  std::vector<SweepRow> HalfDeleted() {
    std::vector<SweepRow> rows;
    EXPECT_EQ(store_->Read([&](ReadTransaction& read) -> absl::Status {
      rows = *read.ListDeletedSweeps();
      return absl::OkStatus();
    }),
              absl::OkStatus());
    return rows;
  }
  // Returns once nothing is left of deleted sweeps.
  void Settle() {
    while (!HalfDeleted().empty()) Workers();
  }
  fs::path FileOf(const LeaseRef& lease, uint32_t step, const std::string& sweep) {
    return fs::path(options_.checkpoint_root) / CommitOf("", lease, step, sweep).path;
  }
  // Runs every job of a sweep to its end, with a checkpoint file each. Returns the leases.
  std::vector<LeaseRef> RunAll(const std::string& sweep, uint32_t seeds) {
    EXPECT_TRUE(Submit(Spec(sweep, {Group("dyck", 2)}, seeds)).ok());
    worker_ = Register("w");
    std::vector<LeaseRef> leases;
    for (uint32_t i = 0; i < seeds; ++i) {
      const LeaseRef lease = TakeOne(worker_);
      Report(worker_, lease, 0, 100);
      EXPECT_EQ(Take(worker_, {lease, NextNumber(lease), LogText{"a log"}}), absl::OkStatus());
      fs::create_directories(FileOf(lease, 100, sweep).parent_path());
      std::ofstream(FileOf(lease, 100, sweep)) << "weights";
      EXPECT_EQ(Commit(CommitOf(worker_, lease, 100, sweep)), absl::OkStatus());
      EXPECT_EQ(Complete(EndOf(worker_, lease, 100)), absl::OkStatus());
      leases.push_back(lease);
    }
    return leases;
  }

  std::string worker_;
};

TEST_F(DeletionsTest, OneWithJobsLeftIsRefusedWithTheRemedy) {
  SubmitSmall(3);
  const auto refused = Delete("small");
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status()));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("3 jobs"));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("coppice cancel small"));
  TakeOne(Register("w"));
  EXPECT_TRUE(absl::IsFailedPrecondition(Delete("small", 0, true).status())) << "a dry run too";
  EXPECT_EQ(Cancel("small"), 3u);
  EXPECT_TRUE(Delete("small").ok());
  EXPECT_TRUE(absl::IsNotFound(Delete("small").status()));
  EXPECT_TRUE(absl::IsNotFound(Delete("unknown").status()));
}

TEST_F(DeletionsTest, NobodySeesItAndItsNameIsFreeAtOnceWithNewIds) {
  const auto leases = RunAll("study", 9);
  const auto deleted = Delete("study");
  ASSERT_TRUE(deleted.ok()) << deleted.status();
  EXPECT_EQ(deleted->sweep.name, "study");
  EXPECT_EQ(deleted->sweep.counts.succeeded, 9u);
  EXPECT_EQ(deleted->checkpoints, 9u);
  EXPECT_EQ(deleted->checkpoint_bytes, 63u);
  EXPECT_THAT(Sweeps(), IsEmpty());
  EXPECT_TRUE(absl::IsNotFound(GetError("study")));
  for (const LeaseRef& lease : leases) {
    const auto job =
        Ask<JobDetails>([&](auto done) { c_->GetJob({}, lease.job_id, std::move(done)); });
    EXPECT_TRUE(absl::IsNotFound(job.status()));
    const auto log = Ask<LogPage>([&](auto done) { c_->GetLog({}, lease.job_id, 0, 0, done); });
    EXPECT_TRUE(absl::IsNotFound(log.status()));
  }
  const auto jobs =
      Ask<JobPage>([&](auto done) { c_->ListJobs({}, Whole("study"), 0, 10, false, done); });
  EXPECT_TRUE(absl::IsNotFound(jobs.status()));
  const auto again = Submit(Spec("study", {Group("tense", 4)}, 2));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(again->created);
  EXPECT_GT(again->sweep.id, deleted->sweep.id);
  EXPECT_GT(TakeOne(worker_).job_id, leases.back().job_id);
  Settle();
  EXPECT_EQ(Summary("study").counts.total(), 2u);
}

TEST_F(DeletionsTest, IdsGoOnBehindAllThatWasEverGivenAfterARestartToo) {
  const auto leases = RunAll("last", 3);
  const SweepId id = Summary("last").id;
  ASSERT_TRUE(Delete("last").ok());
  Settle();
  Restart();
  const auto next = Submit(Spec("next", {Group("dyck", 2)}, 1));
  ASSERT_TRUE(next.ok());
  EXPECT_GT(next->sweep.id, id);
  EXPECT_GT(TakeOne(Register("v")).job_id, leases.back().job_id);
}

TEST_F(DeletionsTest, ADryRunCountsAndChangesNothing) {
  RunAll("study", 2);
  const auto counted = Delete("study", 0, true);
  ASSERT_TRUE(counted.ok());
  EXPECT_EQ(counted->checkpoints, 2u);
  EXPECT_THAT(Sweeps(), ElementsAre("study"));
  EXPECT_THAT(HalfDeleted(), IsEmpty());
}

TEST_F(DeletionsTest, AnIdFromBeforeProtectsANewSweepOfTheSameName) {
  RunAll("study", 1);
  const SweepId asked_about = Delete("study", 0, true)->sweep.id;
  ASSERT_TRUE(Delete("study", asked_about).ok());
  RunAll("study", 1);
  const auto refused = Delete("study", asked_about);
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status()));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("another one"));
  EXPECT_THAT(Sweeps(), ElementsAre("study"));
}

TEST_F(DeletionsTest, ItsFilesGoWithTheirFoldersAndOthersStay) {
  const auto kept = RunAll("kept", 1);
  const auto leases = RunAll("study", 3);
  const fs::path stranger = FileOf(leases[1], 100, "study").parent_path() / "notes.txt";
  std::ofstream(stranger) << "a person's own";
  ASSERT_TRUE(Delete("study").ok());
  Settle();
  Close();  // the remover ends its work
  EXPECT_TRUE(fs::exists(FileOf(kept[0], 100, "kept")));
  EXPECT_FALSE(fs::exists(FileOf(leases[0], 100, "study").parent_path().parent_path()));
  EXPECT_FALSE(fs::exists(FileOf(leases[1], 100, "study")));
  EXPECT_TRUE(fs::exists(stranger));
  EXPECT_FALSE(fs::exists(FileOf(leases[2], 100, "study")));
  Open();
}

TEST_F(DeletionsTest, LateMessagesOfItsWorkersAreOverAndBringNothingBack) {
  SubmitSmall(2);
  const std::string worker = Register("w");
  const LeaseRef lease = TakeOne(worker);
  Report(worker, lease, 0, 20);
  Cancel("small");
  ASSERT_TRUE(Delete("small").ok());
  for (int settled = 0; settled < 2; ++settled) {
    SCOPED_TRACE(settled ? "all rows gone" : "at once");
    const auto answers = Append(worker, {Row(lease, 3, 30)});
    ASSERT_TRUE(answers.ok()) << answers.status();
    EXPECT_TRUE(answers->at(0).over);
    EXPECT_LT(answers->at(0).number, 3u);
    EXPECT_EQ(Do([&](auto done) { c_->CheckLease(worker, lease, done); }).code(),
              absl::StatusCode::kAborted);
    EXPECT_TRUE(absl::IsAborted(Take(worker, {lease, 3, Completion{100}})));
    const auto beat = Beat(worker, {Held(lease, 30)});
    ASSERT_TRUE(beat.ok());
    ASSERT_THAT(beat->directives, SizeIs(1));
    EXPECT_EQ(beat->directives[0].action, DirectiveAction::kStop);
    Settle();
  }
  EXPECT_THAT(Sweeps(), IsEmpty());
  EXPECT_THAT(Acquire(worker, 1, "r")->leases, IsEmpty());
}

TEST_F(DeletionsTest, HeartbeatsAreAnsweredBetweenItsParts) {
  ASSERT_TRUE(Submit(Spec("huge", {Group("dyck", 2)}, 3000)).ok());
  Cancel("huge");
  const std::string worker = Register("w");
  ASSERT_TRUE(Delete("huge").ok());
  int beats = 0;
  while (!HalfDeleted().empty()) {
    ASSERT_TRUE(Beat(worker, {}).ok());
    ++beats;
  }
  EXPECT_GT(beats, 10) << "of " << 3000 / 7 << " parts and more";
}

TEST_F(DeletionsTest, OneThatACrashCutShortAnywhereGoesOnAtTheStart) {
  for (int parts = 0; parts < 12; ++parts) {
    SCOPED_TRACE(parts);
    const auto leases = RunAll("study", 3);
    ASSERT_TRUE(Delete("study").ok());
    for (int i = 0; i < parts && !HalfDeleted().empty(); ++i) Workers();
    faulty_->fail_commits = true;  // nothing after this moment is durable
    Restart();
    EXPECT_THAT(Sweeps(), IsEmpty());
    Settle();
    const auto next = Submit(Spec("study", {Group("tense", 2)}, 1));
    ASSERT_TRUE(next.ok()) << next.status();
    const LeaseRef lease = TakeOne(Register("v"));
    EXPECT_GT(lease.job_id, leases.back().job_id);
    Cancel("study");
    ASSERT_TRUE(Delete("study").ok());
    Settle();
  }
}

TEST_F(DeletionsTest, AFullDiskOnlyDelaysIt) {
  ASSERT_TRUE(Submit(Spec("huge", {Group("dyck", 2)}, 3000)).ok());
  Cancel("huge");
  ASSERT_TRUE(Delete("huge").ok());
  faulty_->fail_commits = true;
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(Beat("w", {}).ok()) << "a part shares its fate";
  ASSERT_THAT(HalfDeleted(), SizeIs(1));
  faulty_->fail_commits = false;
  while (!HalfDeleted().empty()) Advance(Deletions::kRetryAfter);
  EXPECT_TRUE(Submit(Spec("huge", {Group("dyck", 2)}, 1)).ok());
}

TEST_F(DeletionsTest, ABackupFromItsMiddleIsRestoredWithoutIt) {
  RunAll("kept", 1);
  ASSERT_TRUE(Submit(Spec("huge", {Group("dyck", 2)}, 3000)).ok());
  Cancel("huge");
  ASSERT_TRUE(Delete("huge").ok());
  faulty_->fail_commits = true;
  Close();
  store_ = *store::OpenSqliteStore({dir_ / "coppice.db", 2, 0});
  ASSERT_THAT(HalfDeleted(), SizeIs(1));
  const auto restored = PrepareRestored(*store_, clock_, 0);
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ(restored->sweeps, 1u);
  store_.reset();
  Open();
  EXPECT_THAT(Sweeps(), ElementsAre("kept"));
  Settle();
}

TEST_F(DeletionsTest, AWatchOfItEndsByTellingSo) {
  RunAll("study", 1);
  SubmitSmall(1);
  absl::Notification entered, go;
  // The hub's thread waits here, so that the other watch begins behind the deletion.
  const auto blocking = c_->WatchSweep("small", [&](const SweepChange&) {
    if (!entered.HasBeenNotified()) entered.Notify();
    go.WaitForNotification();
  });
  ASSERT_TRUE(blocking.ok());
  entered.WaitForNotification();
  Answer<SweepChange> heard;
  const auto watch =
      c_->WatchSweep("study", [done = heard.done()](const SweepChange& change) { done(change); });
  ASSERT_TRUE(watch.ok());
  ASSERT_TRUE(Delete("study").ok());
  EXPECT_TRUE(absl::IsNotFound(c_->WatchSweep("study", [](const SweepChange&) {}).status()));
  go.Notify();
  const auto change = heard.Wait();
  ASSERT_TRUE(change.ok());
  EXPECT_TRUE(change->deleted);
  EXPECT_FALSE(change->finished);
  EXPECT_FALSE(change->summary.has_value());
}

}  // namespace
}  // namespace coppice::core
