// Replaces a database by an older copy of itself, while workers continue.
#include "coordinator/core/restore.h"

#include <gmock/gmock.h>

#include <map>
#include <random>

#include "common/base/status_macros.h"
#include "coordinator/store/backup.h"
#include "coordinator/store/restore.h"
#include "tests/coordinator/core/harness.h"

namespace coppice::core {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class RestoreTest : public Harness {
 protected:
  std::string Database() const { return dir_ / "coppice.db"; }
  void Backup(const std::string& name) {
    const auto facts =
        store::BackupDatabase({Database(), dir_ / name, /*force=*/true, clock_.NowMillis()});
    ASSERT_TRUE(facts.ok()) << facts.status();
  }
  absl::StatusOr<RestoreSummary> Prepare(const std::string& name, bool install) {
    COPPICE_ASSIGN_OR_RETURN(const auto staged,
                             store::StagedRestore::Begin({dir_ / name, Database(), true}));
    absl::StatusOr<RestoreSummary> summary;
    {
      COPPICE_ASSIGN_OR_RETURN(const auto copy, store::OpenSqliteStore({staged->path(), 1, 0}));
      summary = PrepareRestored(*copy, clock_, staged->facts().backup_ms);
    }
    if (!summary.ok() || !install) return summary;
    COPPICE_RETURN_IF_ERROR(staged->Install(clock_.NowMillis()).status());
    return summary;
  }
  // The coordinator dies, its database is lost, and a backup replaces it.
  RestoreSummary LoseAndRestore(const std::string& name) {
    Close();
    std::filesystem::remove(Database());
    std::filesystem::remove(Database() + "-wal");
    const auto summary = Prepare(name, true);
    EXPECT_TRUE(summary.ok()) << summary.status();
    Open();
    return summary.ok() ? *summary : RestoreSummary();
  }
  bool IsStale(const std::string& worker_id, const Record& record) {
    const auto answers = Append(worker_id, {record});
    EXPECT_TRUE(answers.ok()) << answers.status();
    return answers.ok() && (*answers)[0].over;
  }
  static std::vector<uint32_t> WholeSeries() { return {10, 20, 30, 40, 50, 60, 70, 80, 90, 100}; }
};

TEST_F(RestoreTest, ASweepThatWentOnBehindTheBackupEndsWithOneSeriesPerJobAndNoRowOfALostAttempt) {
  SubmitSmall(3);
  const std::string worker = Register("old");
  const LeaseRef one = TakeOne(worker), two = TakeOne(worker);
  Report(worker, one, 0, 50);
  ASSERT_EQ(Commit(CommitOf(worker, one, 20)), absl::OkStatus());
  ASSERT_EQ(Commit(CommitOf(worker, one, 40)), absl::OkStatus());
  Report(worker, two, 0, 30);
  Backup("backup");

  // After the backup, job 1 ends, job 2 goes into its second attempt, job 3 into its first, and
  // another sweep is submitted.
  Report(worker, one, 50, 100);
  ASSERT_EQ(Commit(CommitOf(worker, one, 100)), absl::OkStatus());
  ASSERT_EQ(Complete(EndOf(worker, one, 100)), absl::OkStatus());
  ASSERT_EQ(Release(EndOf(worker, two, 0)), absl::OkStatus());
  const LeaseRef two_again = TakeOne(worker), three = TakeOne(worker);
  EXPECT_EQ(two_again, (LeaseRef{2, 2}));
  EXPECT_EQ(three, (LeaseRef{3, 1}));
  Report(worker, three, 0, 50);
  ASSERT_EQ(Commit(CommitOf(worker, three, 50)), absl::OkStatus());
  ASSERT_TRUE(Submit(Spec("later", {Group("dyck", 2)}, 1)).ok());
  const LeaseRef four = TakeOne(worker);
  EXPECT_EQ(four, (LeaseRef{4, 1}));

  clock_.Advance(absl::Hours(1));
  const RestoreSummary summary = LoseAndRestore("backup");
  EXPECT_EQ(summary.jobs, 3u);
  EXPECT_EQ(summary.unfinished, 3u);
  EXPECT_EQ(summary.released, 2u);
  EXPECT_EQ(GetJob(1).state, JobState::kPending);
  EXPECT_THAT(Details(1).events.back().message, HasSubstr("restored from a backup of 2023-"));
  EXPECT_EQ(Details(1).attempts[0].outcome, AttemptOutcome::kReleased);

  // The old worker must stop everything that it holds, whether the backup knows of it or not.
  const auto beat = Beat(worker, {Held(two), Held(two_again), Held(three), Held(four)});
  ASSERT_TRUE(beat.ok()) << beat.status();
  EXPECT_EQ(beat->directives.size(), 4u);
  for (const Directive& directive : beat->directives) {
    EXPECT_EQ(directive.action, DirectiveAction::kStop) << directive.lease.job_id;
  }
  // The lost jobs return. So does the other sweep, whose job has the number of the lost one.
  ASSERT_TRUE(Submit(Spec("again", {Group("dyck", 2)}, 1)).ok());
  const std::string fresh = Register("new");
  std::map<JobId, Lease> leases;
  for (int i = 0; i < 4; ++i) {
    const auto grant = Acquire(fresh, 1, RandomId());
    ASSERT_TRUE(grant.ok() && grant->leases.size() == 1);
    leases[grant->leases[0].ref.job_id] = grant->leases[0];
  }
  EXPECT_EQ(leases.at(1).resume->step, 40u);
  EXPECT_THAT(Steps(1), ElementsAre(10, 20, 30, 40));
  EXPECT_THAT(Steps(1, true), ElementsAre(50));
  for (const LeaseRef& lost : {one, two, two_again, three, four}) {
    EXPECT_NE(leases.at(lost.job_id).ref.attempt, lost.attempt);
    EXPECT_TRUE(IsStale(worker, Row(lost, 1, 10, 999))) << lost.job_id;
    EXPECT_TRUE(absl::IsAborted(Commit(CommitOf(worker, lost, 0))));
    EXPECT_TRUE(absl::IsAborted(Complete(EndOf(worker, lost, 100))));
  }
  for (const auto& [id, lease] : leases) {
    const uint32_t from = lease.resume.has_value() ? lease.resume->step : 0;
    Report(fresh, lease.ref, from, 100);
    ASSERT_EQ(Commit(CommitOf(fresh, lease.ref, 100, lease.sweep)), absl::OkStatus());
    ASSERT_EQ(Complete(EndOf(fresh, lease.ref, 100)), absl::OkStatus());
    EXPECT_EQ(Steps(id), WholeSeries());
  }
  for (const JobMetrics& row : Metrics(Whole("small"))) EXPECT_NE(row.row.values[0].value, 999);
  EXPECT_EQ(Summary("small").counts.succeeded, 3u);
  EXPECT_NE(Summary("small").finished_ms, 0);
}

// Files of checkpoints that a backup lists may be gone, because retention dropped them later.
TEST_F(RestoreTest, CheckpointsThatWereDroppedSinceAreRejectedDownToTheStart) {
  SubmitSmall(1);
  const std::string worker = Register("w");
  const LeaseRef lease = TakeOne(worker);
  Report(worker, lease, 0, 60);
  for (const uint32_t step : {20u, 40u}) {
    ASSERT_EQ(Commit(CommitOf(worker, lease, step)), absl::OkStatus());
  }
  Backup("backup");
  clock_.Advance(absl::Hours(1));
  LoseAndRestore("backup");
  const LeaseRef next = TakeOne(worker);
  for (const uint32_t step : {40u, 20u}) {
    NamedCheckpoint gone = CommitOf(worker, lease, step);
    gone.lease = next;
    const auto fallback = Ask<std::optional<Checkpoint>>(
        [&](auto done) { c_->RejectCheckpoint(gone, "no such file", done); });
    ASSERT_TRUE(fallback.ok()) << fallback.status();
    EXPECT_EQ(fallback->has_value(), step == 40);
  }
  EXPECT_THAT(Steps(1), IsEmpty());
  RunToEnd(worker, next);
  EXPECT_EQ(Steps(1), WholeSeries());
}

TEST_F(RestoreTest, TheSameBackupRestoredTwiceGivesNoAttemptTwice) {
  SubmitSmall(1);
  const std::string worker = Register("w");
  Backup("backup");
  clock_.Advance(absl::Minutes(1));
  LoseAndRestore("backup");
  Register("w", "i2");
  const LeaseRef first = TakeOne(Register("w", "i3"));
  clock_.Advance(absl::Minutes(1));
  LoseAndRestore("backup");
  const std::string again = Register("w");
  const LeaseRef second = TakeOne(again);
  EXPECT_GT(second.attempt, first.attempt);
  EXPECT_TRUE(IsStale(again, Row(first, 1, 10)));
}

TEST_F(RestoreTest, AClockThatStandsBeforeTheBackupIsRefused) {
  SubmitSmall(1);
  Backup("backup");
  clock_.JumpWallTime(-absl::Hours(1));
  Close();
  const auto summary = Prepare("backup", false);
  EXPECT_TRUE(absl::IsFailedPrecondition(summary.status()));
  EXPECT_THAT(std::string(summary.status().message()), HasSubstr("set the clock right"));
  Open();
}

// Holders of leases from a lost timeline report again and again, through any number of backups and
// restores. Only the current holder's reports are accepted.
TEST_F(RestoreTest, NoHistoryOfBackupsAndRestoresLetsALostLeaseReport) {
  struct Holder {
    LeaseRef lease;
    uint32_t step = 0;
  };
  const uint64_t seed = ::testing::UnitTest::GetInstance()->random_seed();
  SCOPED_TRACE(absl::StrCat("--gtest_random_seed=", seed));
  std::mt19937_64 random(seed);
  const auto chance = [&](int percent) { return static_cast<int>(random() % 100) < percent; };
  SubmitSmall(4);
  Backup("backup");
  std::string worker = Register("w");
  std::vector<Holder> holders;
  std::map<JobId, LeaseRef> current;
  int restores = 0;
  for (int turn = 0; turn < 400; ++turn) {
    clock_.Advance(absl::Milliseconds(1));
    if (chance(4)) Backup("backup");
    if (chance(3)) {
      // A restore in the backup's own millisecond is refused.
      clock_.Advance(absl::Milliseconds(1));
      LoseAndRestore("backup");
      worker = Register("w");
      current.clear();
      ++restores;
    }
    if (chance(30)) {
      const auto grant = Acquire(worker, 1, RandomId());
      ASSERT_TRUE(grant.ok()) << grant.status();
      for (const Lease& lease : grant->leases) {
        holders.push_back({lease.ref, lease.resume.has_value() ? lease.resume->step : 0});
        current[lease.ref.job_id] = lease.ref;
      }
    }
    if (holders.empty()) continue;
    Holder& holder = holders[random() % holders.size()];
    const auto it = current.find(holder.lease.job_id);
    const bool is_current = it != current.end() && it->second == holder.lease;
    const uint32_t next = holder.step + 10;
    if (next <= 100) {
      ASSERT_EQ(IsStale(worker, Row(holder.lease, NextNumber(holder.lease), next)), !is_current)
          << "turn " << turn << " job " << holder.lease.job_id << " attempt "
          << holder.lease.attempt;
      holder.step = next;
    }
    const absl::Status committed = Commit(CommitOf(worker, holder.lease, holder.step));
    ASSERT_EQ(committed.ok(), is_current) << committed;
    if (is_current && chance(20)) {
      ASSERT_EQ(Release(EndOf(worker, holder.lease, holder.step)), absl::OkStatus());
      current.erase(holder.lease.job_id);
    }
  }
  EXPECT_GT(restores, 2);
}

}  // namespace
}  // namespace coppice::core
