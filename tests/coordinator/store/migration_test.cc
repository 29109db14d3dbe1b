#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "coordinator/store/schema.h"
#include "coordinator/store/sqlite_store.h"
#include "tests/testing/temp_dir.h"

namespace coppice::store {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class MigrationTest : public ::testing::Test {
 protected:
  void SetUp() override { Reopen(); }
  void Reopen() {
    db_.reset();
    db_ = *Connection::Open(dir_ / "db", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  }
  int64_t Version() { return *db_->PragmaInt("user_version"); }

  const testing::TempDir temp_;
  const std::filesystem::path dir_ = temp_.path();
  // Three versions of an imaginary schema; the third carries data over.
  const std::vector<const char*> steps_ = {
      "CREATE TABLE a (x INTEGER NOT NULL) STRICT; INSERT INTO a VALUES (1)",
      "ALTER TABLE a ADD COLUMN y INTEGER NOT NULL DEFAULT 7",
      "CREATE TABLE b (z INTEGER NOT NULL) STRICT; INSERT INTO b SELECT x + y FROM a",
  };
  std::unique_ptr<Connection> db_;
};

TEST_F(MigrationTest, EveryEarlierVersionComesForwardWithItsData) {
  for (size_t from = 0; from <= steps_.size(); ++from) {
    db_.reset();
    std::filesystem::remove(dir_ / "db");
    Reopen();
    if (from > 0) {
      ASSERT_EQ(Migrate(*db_, {steps_.begin(), steps_.begin() + static_cast<long>(from)}),
                absl::OkStatus());
      ASSERT_EQ(Version(), static_cast<int64_t>(from));
      Reopen();
    }
    ASSERT_EQ(Migrate(*db_, steps_), absl::OkStatus()) << "from version " << from;
    EXPECT_EQ(Version(), 3);
    Statement statement = db_->Prepare("SELECT z FROM b ORDER BY z");
    ASSERT_TRUE(*statement.Step());
    EXPECT_EQ(statement.Int(0), 8);
    EXPECT_FALSE(*statement.Step());
  }
}

TEST_F(MigrationTest, AStepThatFailsLeavesTheVersionBeforeIt) {
  const std::vector<const char*> broken = {steps_[0],
                                           "CREATE TABLE c (x INTEGER) STRICT; CREATE NONSENSE"};
  EXPECT_FALSE(Migrate(*db_, broken).ok());
  EXPECT_EQ(Version(), 1);
  EXPECT_FALSE(db_->in_transaction());
  EXPECT_EQ(Migrate(*db_, steps_),
            absl::OkStatus());  // the failed step left nothing that interferes
  EXPECT_EQ(Version(), 3);
}

TEST_F(MigrationTest, ANewerVersionIsRefusedNamingBoth) {
  ASSERT_EQ(Migrate(*db_, steps_), absl::OkStatus());
  const absl::Status status = Migrate(*db_, {steps_[0]});
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("version 3"), HasSubstr("up to 1")));
}

TEST_F(MigrationTest, AnotherProgramsDatabaseIsRefusedAndLeftAlone) {
  ASSERT_EQ(db_->Execute("CREATE TABLE theirs (x INTEGER)"), absl::OkStatus());
  EXPECT_TRUE(absl::IsFailedPrecondition(Migrate(*db_, steps_)));
  EXPECT_EQ(Version(), 0);
  EXPECT_EQ(*db_->PragmaInt("application_id"), 0);
}

TEST_F(MigrationTest, AWorkerOfTheFirstShippedVersionIsKeptAndHasNoEnd) {
  ASSERT_EQ(Migrate(*db_, {Migrations().begin(), Migrations().begin() + 1}), absl::OkStatus());
  ASSERT_EQ(db_->Execute(R"sql(
      INSERT INTO workers VALUES ('w', 'id', 'i', 'h', '1', 2, 3, 'cpu', 0, 1, 0, 5, 6))sql"),
            absl::OkStatus());
  ASSERT_EQ(Migrate(*db_, Migrations()), absl::OkStatus());
  Statement statement = db_->Prepare("SELECT name, draining, last_seen_ms, ends_ms FROM workers");
  ASSERT_TRUE(*statement.Step());
  EXPECT_EQ(statement.Text(0), "w");
  EXPECT_EQ(statement.Int(1), 1);
  EXPECT_EQ(statement.Int(2), 6);
  EXPECT_EQ(statement.Int(3), 0);
}

TEST_F(MigrationTest, AWorkerOfEveryEarlierVersionComesForwardWithoutANumber) {
  for (size_t from = 1; from < Migrations().size(); ++from) {
    db_.reset();
    std::filesystem::remove(dir_ / "db");
    Reopen();
    ASSERT_EQ(Migrate(*db_, {Migrations().begin(), Migrations().begin() + static_cast<long>(from)}),
              absl::OkStatus());
    ASSERT_EQ(db_->Execute(R"sql(
        INSERT INTO workers (name, id, instance, host, version, slots, pack_width, device,
          shared_checkpoints, draining, preempt, registered_ms, last_seen_ms)
        VALUES ('w', 'id', 'i', 'h', '1', 2, 3, 'cpu', 0, 1, 0, 5, 6))sql"),
              absl::OkStatus());
    ASSERT_EQ(Migrate(*db_, Migrations()), absl::OkStatus()) << "from version " << from;
    Statement statement =
        db_->Prepare("SELECT host, incarnation, superseded_host, superseded_ms FROM workers");
    ASSERT_TRUE(*statement.Step());
    EXPECT_EQ(statement.Text(0), "h");
    EXPECT_EQ(statement.Int(1), 0);
    EXPECT_EQ(statement.Text(2), "");
    EXPECT_EQ(statement.Int(3), 0);
  }
}

TEST_F(MigrationTest, TheFirstShippedVersionComesForwardWithItsSweeps) {
  ASSERT_EQ(Migrate(*db_, {Migrations()[0]}), absl::OkStatus());
  ASSERT_EQ(db_->Execute(R"sql(
      INSERT INTO sweeps (id, name, spec, priority, max_failures, created_ms, unfinished,
        steps_total)
      VALUES (7, 's', x'0102', 1, 2, 3, 4, 5))sql"),
            absl::OkStatus());
  ASSERT_EQ(Migrate(*db_, Migrations()), absl::OkStatus());
  Statement statement = db_->Prepare(R"sql(
      SELECT s.name, s.unfinished, s.steps_total, x.spec
      FROM sweeps s
      JOIN sweep_specs x ON x.sweep_id = s.id
      WHERE s.id = 7)sql");
  ASSERT_TRUE(*statement.Step());
  EXPECT_EQ(statement.Text(0), "s");
  EXPECT_EQ(statement.Int(1), 4);
  EXPECT_EQ(statement.Int(2), 5);
  EXPECT_EQ(statement.Bytes(3), "\x01\x02");
}

TEST_F(MigrationTest, TheVersionWithoutPoolsComesForwardWithItsWorkersAndNoPool) {
  ASSERT_EQ(Migrate(*db_, {Migrations().begin(), Migrations().begin() + 9}), absl::OkStatus());
  ASSERT_EQ(db_->Execute(R"sql(
      INSERT INTO workers (name, id, instance, host, version, slots, pack_width, device,
        shared_checkpoints, draining, preempt, registered_ms, last_seen_ms, pool_key)
      VALUES ('w', 'id', 'i', 'h', '1', 2, 3, 'cpu', 0, 1, 0, 5, 6, 'k'))sql"),
            absl::OkStatus());
  ASSERT_EQ(Migrate(*db_, Migrations()), absl::OkStatus());
  Statement statement = db_->Prepare(R"sql(
      SELECT pool_key, (SELECT COUNT(*) FROM pools), (SELECT COUNT(*) FROM allocations)
      FROM workers)sql");
  ASSERT_TRUE(*statement.Step());
  EXPECT_EQ(statement.Text(0), "k");
  EXPECT_EQ(statement.Int(1), 0);
  EXPECT_EQ(statement.Int(2), 0);
  EXPECT_FALSE(db_->Execute(R"sql(
      INSERT INTO pools VALUES ('p', '{}', 'asleep', '', 1, 0, 0, '', 0, 0, 0, '', '[]'))sql")
                   .ok())
      << "a mode that no version knows";
}

TEST_F(MigrationTest, JobsOfAnEarlierVersionAreKeptAndTheirSeedsLookedAt) {
  ASSERT_EQ(Migrate(*db_, {Migrations().begin(), Migrations().begin() + 3}), absl::OkStatus());
  ASSERT_EQ(db_->Execute(R"sql(
      INSERT INTO sweeps (id, name, priority, max_failures, created_ms, steps_total)
      VALUES (1, 's', 0, 3, 5, 100);
      INSERT INTO groups (id, sweep_id, task, depth, run_json, steps, report_every,
        checkpoint_every, keep, keep_every, work_per_step, first_job, jobs)
      VALUES (1, 1, 'dyck', 2, '{}', 10, 1, 1, 2, 0, 1, 1, 3),
        (2, 1, 'dyck', 4, '{}', 10, 1, 1, 2, 0, 1, 4, 3);
      INSERT INTO jobs (id, sweep_id, group_id, seed, state, worker, epoch)
      VALUES (1, 1, 1, 0, 1, '', 0), (2, 1, 1, 1, 2, 'w', 3), (3, 1, 1, 5, 1, '', 0),
        (4, 1, 2, 7, 1, '', 0), (5, 1, 2, 5, 1, '', 0), (6, 1, 2, 9, 1, '', 0);
      INSERT INTO attempts (job_id, epoch, worker, request_id, granted_ms, start_step, row_step)
      VALUES (2, 3, 'w', 'r', 1, 0, 0))sql"),
            absl::OkStatus());
  ASSERT_EQ(Migrate(*db_, Migrations()), absl::OkStatus());
  Statement jobs = db_->Prepare("SELECT COUNT(*), SUM(seed), MAX(attempt), MAX(worker) FROM jobs");
  ASSERT_TRUE(*jobs.Step());
  EXPECT_EQ(jobs.Int(0), 6);
  EXPECT_EQ(jobs.Int(1), 27);
  EXPECT_EQ(jobs.Int(2), 3);
  EXPECT_EQ(jobs.Text(3), "w");
  Statement ascend = db_->Prepare("SELECT seeds_ascend FROM groups ORDER BY id");
  ASSERT_TRUE(*ascend.Step());
  EXPECT_EQ(ascend.Int(0), 1);
  ASSERT_TRUE(*ascend.Step());
  EXPECT_EQ(ascend.Int(0), 0);
  // An attempt still refers to its job.
  EXPECT_EQ(db_->Execute("PRAGMA foreign_keys = ON"), absl::OkStatus());
  EXPECT_FALSE(db_->Execute("DELETE FROM jobs WHERE id = 2").ok());
  EXPECT_EQ(db_->Execute("DELETE FROM jobs WHERE id = 1"), absl::OkStatus());
  Statement check = db_->Prepare("PRAGMA foreign_key_check");
  EXPECT_FALSE(*check.Step());
}

TEST_F(MigrationTest, GroupsOfTheVersionWithoutPointsHaveTheirTaskAndDepthAlone) {
  ASSERT_EQ(Migrate(*db_, {Migrations().begin(), Migrations().begin() + 11}), absl::OkStatus());
  ASSERT_EQ(db_->Execute(R"sql(
      INSERT INTO sweeps (id, name, priority, max_failures, created_ms, steps_total)
      VALUES (1, 's', 0, 3, 5, 100);
      INSERT INTO groups (id, sweep_id, task, depth, run_json, steps, report_every,
        checkpoint_every, keep, keep_every, work_per_step, first_job, jobs)
      VALUES (1, 1, 'dyck', 2, '{}', 10, 1, 1, 2, 0, 1, 1, 3))sql"),
            absl::OkStatus());
  db_.reset();
  const auto store = OpenSqliteStore({dir_ / "db", 2, 0});
  ASSERT_TRUE(store.ok()) << store.status();
  ASSERT_EQ((*store)->Read([](core::ReadTransaction& read) -> absl::Status {
    const auto groups = read.ListGroups(1);
    if (!groups.ok()) return groups.status();
    EXPECT_EQ(groups->size(), 1u);
    EXPECT_EQ(groups->at(0).spec.task, "dyck");
    EXPECT_EQ(groups->at(0).spec.depth, 2u);
    EXPECT_TRUE(groups->at(0).spec.point.empty());
    return absl::OkStatus();
  }),
            absl::OkStatus());
}

TEST_F(MigrationTest, WhatWasCalledEpochIsAnAttemptsNumberAndTheFloorStays) {
  ASSERT_EQ(Migrate(*db_, {Migrations().begin(), Migrations().begin() + 7}), absl::OkStatus());
  ASSERT_EQ(db_->Execute(R"sql(
      INSERT INTO sweeps (id, name, priority, max_failures, created_ms, steps_total)
      VALUES (1, 's', 0, 3, 5, 100);
      INSERT INTO groups (id, sweep_id, task, depth, run_json, steps, report_every,
        checkpoint_every, keep, keep_every, work_per_step, first_job, jobs)
      VALUES (1, 1, 'dyck', 2, '{}', 10, 1, 1, 2, 0, 1, 1, 1);
      INSERT INTO jobs (id, sweep_id, group_id, seed, epoch, forgiven_epoch)
      VALUES (1, 1, 1, 0, 9, 8);
      INSERT INTO attempts (job_id, epoch, worker, request_id, granted_ms, start_step, row_step)
      VALUES (1, 9, 'w', 'r', 1, 0, 0);
      INSERT INTO checkpoints (job_id, step, epoch, state, path, digest, bytes, committed_ms,
        row_due)
      VALUES (1, 5, 9, 1, 's/1/epoch-9/step-5', 'd', 1, 1, 0);
      INSERT INTO metric_names (id, name) VALUES (1, 'loss');
      INSERT INTO metrics (job_id, step, name_id, epoch, value) VALUES (1, 5, 1, 9, 0.5);
      INSERT INTO meta (key, value) VALUES ('epoch_floor', 7))sql"),
            absl::OkStatus());
  ASSERT_EQ(Migrate(*db_, Migrations()), absl::OkStatus());
  Statement all = db_->Prepare(R"sql(
      SELECT j.attempt, j.forgiven_attempt, a.attempt, c.attempt, c.path, m.attempt,
        (SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'attempt_floor')
      FROM jobs j
      JOIN attempts a ON a.job_id = j.id
      JOIN checkpoints c ON c.job_id = j.id
      JOIN metrics m ON m.job_id = j.id)sql");
  ASSERT_TRUE(*all.Step());
  EXPECT_EQ(all.Int(0), 9);
  EXPECT_EQ(all.Int(1), 8);
  EXPECT_EQ(all.Int(2), 9);
  EXPECT_EQ(all.Int(3), 9);
  EXPECT_EQ(all.Text(4), "s/1/epoch-9/step-5") << "a file keeps its place";
  EXPECT_EQ(all.Int(5), 9);
  EXPECT_EQ(all.Int(6), 7);
}

TEST_F(MigrationTest, AWorkerWithoutLabelsHasNoneAndHasNotDeparted) {
  ASSERT_EQ(Migrate(*db_, {Migrations().begin(), Migrations().begin() + 8}), absl::OkStatus());
  ASSERT_EQ(db_->Execute(R"sql(
      INSERT INTO workers VALUES ('w', 'id', 'i', 'h', '1', 2, 3, 'cpu', 0, 1, 0, 5, 6, 7, 8, 'o',
        9))sql"),
            absl::OkStatus());
  ASSERT_EQ(Migrate(*db_, Migrations()), absl::OkStatus());
  Statement statement = db_->Prepare(R"sql(
      SELECT superseded_host, incarnation, batch_system || cluster || job_id || raw_job_id ||
        cluster_partition || node || pool_key || gpus || departed_reason,
        proc_id + restarts + departed_ms
      FROM workers WHERE name = 'w')sql");
  ASSERT_TRUE(*statement.Step());
  EXPECT_EQ(statement.Text(0), "o");
  EXPECT_EQ(statement.Int(1), 8);
  EXPECT_EQ(statement.Text(2), "");
  EXPECT_EQ(statement.Int(3), 0);
}

TEST_F(MigrationTest, WhatWasThereBeforeProgramsIsTheTrainersAndRunsNone) {
  ASSERT_EQ(Migrate(*db_, {Migrations().begin(), Migrations().begin() + 10}), absl::OkStatus());
  ASSERT_EQ(db_->Execute(R"sql(
      INSERT INTO sweeps (id, name, priority, max_failures, created_ms, steps_total)
      VALUES (1, 's', 0, 3, 5, 100);
      INSERT INTO groups (id, sweep_id, task, depth, run_json, steps, report_every,
        checkpoint_every, keep, keep_every, work_per_step, first_job, jobs)
      VALUES (1, 1, 'dyck', 2, '{}', 10, 1, 1, 2, 0, 1, 1, 1);
      INSERT INTO workers (name, id, instance, host, version, slots, pack_width, device,
        shared_checkpoints, draining, preempt, registered_ms, last_seen_ms)
      VALUES ('w', 'id', 'i', 'h', '1', 2, 3, 'cpu', 0, 1, 0, 5, 6))sql"),
            absl::OkStatus());
  ASSERT_EQ(Migrate(*db_, Migrations()), absl::OkStatus());
  Statement statement =
      db_->Prepare("SELECT program_pack, programs FROM groups, workers WHERE groups.id = 1");
  ASSERT_TRUE(*statement.Step());
  EXPECT_EQ(statement.Int(0), 0);
  EXPECT_EQ(statement.Int(1), 0);
}

TEST_F(MigrationTest, AnAttemptOfAnEarlierVersionHasTheStepsOfItsGroup) {
  ASSERT_EQ(Migrate(*db_, {Migrations().begin(), Migrations().begin() + 12}), absl::OkStatus());
  ASSERT_EQ(db_->Execute(R"sql(
      INSERT INTO sweeps (id, name, priority, max_failures, created_ms, steps_total)
      VALUES (1, 's', 0, 3, 5, 100);
      INSERT INTO groups (id, sweep_id, task, depth, run_json, steps, report_every,
        checkpoint_every, keep, keep_every, work_per_step, first_job, jobs)
      VALUES (1, 1, 'dyck', 2, '{}', 10, 1, 1, 2, 0, 1, 1, 1);
      INSERT INTO jobs (id, sweep_id, group_id, seed) VALUES (1, 1, 1, 0);
      INSERT INTO attempts (job_id, attempt, worker, request_id, granted_ms, start_step, row_step)
      VALUES (1, 1, 'w', 'r', 5, 0, 0))sql"),
            absl::OkStatus());
  ASSERT_EQ(Migrate(*db_, Migrations()), absl::OkStatus());
  Statement statement = db_->Prepare(
      "SELECT a.steps, g.part_of, g.common_row_every, g.continuing FROM attempts a, groups g");
  ASSERT_TRUE(*statement.Step());
  EXPECT_EQ(statement.Int(0), 10);
  EXPECT_EQ(statement.Int(1) + statement.Int(2) + statement.Int(3), 0);
}

TEST_F(MigrationTest, TheShippedSchemaAppliesAndPassesSqlitesOwnChecks) {
  ASSERT_EQ(Migrate(*db_, Migrations()), absl::OkStatus());
  EXPECT_EQ(Version(), static_cast<int64_t>(Migrations().size()));
  Statement check = db_->Prepare("PRAGMA integrity_check");
  ASSERT_TRUE(*check.Step());
  EXPECT_EQ(check.Text(0), "ok");
}

TEST_F(MigrationTest, AFailedStatementIsNamedInOneLine) {
  Statement statement = db_->Prepare(R"sql(
      SELECT x
      FROM nowhere)sql");
  EXPECT_THAT(statement.Run().message(), HasSubstr("SELECT x FROM nowhere: no such table"));
}

}  // namespace
}  // namespace coppice::store
