// Checks the contract of core::Store for sweeps, jobs, workers and transactions. On a file and in
// memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "absl/synchronization/notification.h"
#include "common/base/status_macros.h"
#include "tests/coordinator/store/contract_fixture.h"

namespace coppice::store {
namespace {

using core::AttemptRow;
using core::JobRow;
using core::JobState;
using core::ReadTransaction;
using core::StateSet;
using core::WriteTransaction;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST_P(StoreContract, WhatIsPlannedComesBackAsItWas) {
  FillWith(3);
  const auto sweep = Read<std::optional<core::SweepRow>>(
      [](ReadTransaction& read) { return read.FindSweep("s"); });
  ASSERT_TRUE(sweep.has_value());
  EXPECT_EQ(sweep->priority, -3);
  EXPECT_EQ(sweep->max_failures, 3u);
  EXPECT_EQ(sweep->created_ms, 1234);
  EXPECT_EQ(sweep->unfinished, 3u);
  EXPECT_EQ(sweep->steps_total, 300u);
  EXPECT_FALSE(sweep->paused);
  EXPECT_EQ(Read<std::string>([](ReadTransaction& read) { return read.GetSpecBlob(1); }),
            std::string("spec\0blob", 9));
  const core::GroupRow group = OnlyGroup();
  EXPECT_EQ(group.spec.task, "dyck");
  EXPECT_EQ(group.spec.depth, 2u);
  EXPECT_EQ(group.spec.work_per_step, 1.5);
  EXPECT_EQ(group.spec.keep, 2u);
  EXPECT_EQ(group.spec.program_pack, 4u);
  EXPECT_EQ(group.first_job, 1u);
  EXPECT_EQ(group.jobs, 3u);
  EXPECT_EQ(group.counts.pending, 3u);
  EXPECT_EQ(Job(3).seed, 12u);
  EXPECT_EQ(Job(3).state, JobState::kPending);
}

TEST_P(StoreContract, IdsGoOnAcrossGroups) {
  FillWith(3);
  ASSERT_EQ(Write([&](WriteTransaction& tx) -> absl::Status {
              COPPICE_ASSIGN_OR_RETURN(const core::GroupId group, tx.InsertGroup(GroupOf(1)));
              COPPICE_ASSIGN_OR_RETURN(const core::JobId first, tx.ReserveJobs(1, group, 2));
              EXPECT_EQ(first, 4u);
              return absl::OkStatus();
            }),
            absl::OkStatus());
}

TEST_P(StoreContract, AnIncompleteSweepIsHiddenAndCanBeTakenBackInParts) {
  FillWith(3);
  core::SweepId id = 0;
  ASSERT_EQ(Write([&](WriteTransaction& tx) -> absl::Status {
              core::SweepRow sweep;
              sweep.name = "late";
              sweep.max_failures = 1;
              COPPICE_ASSIGN_OR_RETURN(id, tx.InsertSweep(sweep, "blob"));
              COPPICE_ASSIGN_OR_RETURN(const core::GroupId group, tx.InsertGroup(GroupOf(id)));
              COPPICE_ASSIGN_OR_RETURN(const core::JobId first, tx.ReserveJobs(id, group, 10));
              EXPECT_EQ(first, 4u);
              return tx.InsertJobs(id, group, first, {0, 1, 2, 3, 4, 5, 6});
            }),
            absl::OkStatus());
  const auto names = [&](bool incomplete) {
    std::vector<std::string> names;
    for (const auto& row : Read<std::vector<core::SweepRow>>([&](ReadTransaction& read) {
           return incomplete ? read.ListIncompleteSweeps() : read.ListSweeps();
         })) {
      names.push_back(row.name);
    }
    return names;
  };
  EXPECT_THAT(names(false), ElementsAre("s"));
  EXPECT_THAT(names(true), ElementsAre("late"));
  EXPECT_FALSE(Read<std::optional<core::SweepRow>>([](ReadTransaction& read) {
                 return read.FindSweep("late");
               }).has_value());
  EXPECT_FALSE(
      Write([&](WriteTransaction& tx) { return tx.DeletePartOfSweep(1, 100).status(); }).ok())
      << "the other one is complete";
  std::vector<uint64_t> deleted;
  bool gone = false;
  do {
    ASSERT_EQ(Write([&](WriteTransaction& tx) -> absl::Status {
                COPPICE_ASSIGN_OR_RETURN(const core::DeletedPart part, tx.DeletePartOfSweep(id, 4));
                deleted.push_back(part.rows);
                gone = part.gone;
                return absl::OkStatus();
              }),
              absl::OkStatus());
  } while (!gone);
  EXPECT_THAT(deleted, ElementsAre(4, 3));
  EXPECT_THAT(names(true), IsEmpty());
  EXPECT_EQ(Job(3).seed, 12u);
  EXPECT_TRUE(absl::IsNotFound(
      store_->Read([](ReadTransaction& read) { return read.GetJob(4).status(); })));
}

TEST_P(StoreContract, AScanEndsWhenItIsToldToStop) {
  FillWith(50'000);
  int looks = 0;
  const absl::Status status = store_->Read([&](ReadTransaction& read) {
    read.StopWhen([&] { return ++looks > 2; });
    // No job is in this state, so only the stop can end the scan early.
    return read.ScanJobs(1, 50'000, core::StateSet({JobState::kFailed}),
                         [](const JobRow&) { return true; });
  });
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  EXPECT_EQ(looks, 3);
  EXPECT_EQ(Job(50'000).state, JobState::kPending) << "the next read is not stopped";
}

TEST_P(StoreContract, MissingRowsAreNotFound) {
  const absl::Status status = store_->Read([](ReadTransaction& read) {
    EXPECT_TRUE(absl::IsNotFound(read.GetSweep(1).status()));
    EXPECT_TRUE(absl::IsNotFound(read.GetSpecBlob(1).status()));
    EXPECT_TRUE(absl::IsNotFound(read.GetJob(1).status()));
    EXPECT_TRUE(absl::IsNotFound(read.GetAttempt(1, 1).status()));
    EXPECT_FALSE(read.FindSweep("s")->has_value());
    EXPECT_EQ(*read.NewestLogAttempt(1), 0u);
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok());
}

TEST_P(StoreContract, AFailedTransactionChangesNothing) {
  const absl::Status status = Write([&](WriteTransaction& tx) -> absl::Status {
    COPPICE_RETURN_IF_ERROR(Fill(tx, 3));
    return absl::AbortedError("changed my mind");
  });
  EXPECT_TRUE(absl::IsAborted(status));
  EXPECT_THAT(
      Read<std::vector<core::SweepRow>>([](ReadTransaction& read) { return read.ListSweeps(); }),
      IsEmpty());
  FillWith(1);  // and the next one works
  EXPECT_EQ(Job(1).seed, 10u);
}

TEST_P(StoreContract, AFailedSavepointUndoesItsOwnWritesAlone) {
  FillWith(2);
  ASSERT_EQ(Write([&](WriteTransaction& tx) -> absl::Status {
              EXPECT_EQ(tx.Savepoint([&] {
                return tx.InsertEvent(1, {1, 1, core::EventType::kGranted, ""});
              }),
                        absl::OkStatus());
              EXPECT_TRUE(absl::IsAborted(tx.Savepoint([&]() -> absl::Status {
                COPPICE_RETURN_IF_ERROR(tx.InsertEvent(1, {2, 1, core::EventType::kReleased, ""}));
                COPPICE_RETURN_IF_ERROR(tx.InsertMetricRow(1, 1, {10, {{"lost_name", 1}}}));
                return absl::AbortedError("no");
              })));
              return tx.Savepoint([&]() -> absl::Status {
                // The name was interned in the undone savepoint, so it must be interned again.
                return tx.InsertMetricRow(1, 1, {10, {{"lost_name", 2}}});
              });
            }),
            absl::OkStatus());
  const auto events = Read<std::vector<core::JobEvent>>(
      [](ReadTransaction& read) { return read.ListEvents(1, 10); });
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0].type, core::EventType::kGranted);
  core::MetricsScan scan;
  scan.job_id = 1;
  const auto rows = Rows(scan);
  ASSERT_THAT(rows, SizeIs(1));
  EXPECT_EQ(rows[0].row.values[0].name, "lost_name");
  EXPECT_EQ(rows[0].row.values[0].value, 2);
}

TEST_P(StoreContract, UpdatingAJobKeepsEveryCounter) {
  FillWith(3);
  ASSERT_EQ(Update(1,
                   [](JobRow& job) {
                     job.state = JobState::kRunning;
                     job.worker = "w";
                     job.attempt = 1;
                   }),
            absl::OkStatus());
  ASSERT_EQ(Update(1, [](JobRow& job) { job.step = 40; }), absl::OkStatus());
  core::GroupRow group = OnlyGroup();
  EXPECT_EQ(group.counts.pending, 2u);
  EXPECT_EQ(group.counts.running, 1u);
  EXPECT_EQ(group.steps_done, 40u);
  EXPECT_EQ(group.open_steps, 40u);
  ASSERT_EQ(Update(1,
                   [](JobRow& job) {
                     job.state = JobState::kSucceeded;
                     job.worker = "";
                     job.step = 100;
                   }),
            absl::OkStatus());
  group = OnlyGroup();
  EXPECT_EQ(group.counts.running, 0u);
  EXPECT_EQ(group.counts.succeeded, 1u);
  EXPECT_EQ(group.steps_done, 100u);
  EXPECT_EQ(group.open_steps, 0u);
  EXPECT_EQ(Read<core::SweepRow>([](ReadTransaction& read) { return read.GetSweep(1); }).unfinished,
            2u);
}

TEST_P(StoreContract, EveryColumnOfAJobComesBack) {
  FillWith(1);
  JobRow want;
  ASSERT_EQ(Update(1,
                   [&](JobRow& job) {
                     job = {1,   1,     1, 10, JobState::kRunning, 30, 40, 20, 7, 3, 2, 4, 99,
                            "w", "why", 5, 6};
                     want = job;
                   }),
            absl::OkStatus());
  const JobRow got = Job(1);
  EXPECT_EQ(std::tie(got.state, got.step, got.best_step, got.checkpoint_step, got.attempt,
                     got.attempts, got.failures),
            std::tie(want.state, want.step, want.best_step, want.checkpoint_step, want.attempt,
                     want.attempts, want.failures));
  EXPECT_EQ(std::tie(got.forgiven_attempt, got.not_before_ms, got.worker, got.reason,
                     got.started_ms, got.finished_ms),
            std::tie(want.forgiven_attempt, want.not_before_ms, want.worker, want.reason,
                     want.started_ms, want.finished_ms));
}

TEST_P(StoreContract, AnUpdateFromAnotherStateOrAttemptIsRefused) {
  FillWith(1);
  const JobRow pending = Job(1);
  ASSERT_EQ(Update(1, [](JobRow& job) { job.attempt = 1; }), absl::OkStatus());
  EXPECT_TRUE(absl::IsInternal(
      Write([&](WriteTransaction& tx) { return tx.UpdateJob(pending, pending); })));
}

TEST_P(StoreContract, AStateOutsideItsRangeIsRefused) {
  FillWith(1);
  EXPECT_FALSE(Update(1, [](JobRow& job) { job.state = static_cast<JobState>(9); }).ok());
  EXPECT_FALSE(Update(1, [](JobRow& job) { job.state = JobState::kRunning; }).ok())
      << "RUNNING without a worker";
  EXPECT_EQ(Job(1).state, JobState::kPending);
}

TEST_P(StoreContract, RowsWithoutTheirParentAreRefused) {
  AttemptRow attempt;
  attempt.job_id = 77;
  attempt.number = 1;
  attempt.worker = "w";
  EXPECT_FALSE(Write([&](WriteTransaction& tx) { return tx.InsertAttempt(attempt); }).ok());
}

TEST_P(StoreContract, ScansTakeTheWantedStatesInOrderAndStopWhenTold) {
  FillWith(6);
  for (const core::JobId id : {2, 5}) {
    ASSERT_EQ(Update(id, [](JobRow& job) { job.state = JobState::kCancelled; }), absl::OkStatus());
  }
  const auto scan = [&](StateSet states, size_t stop) {
    std::vector<core::JobId> ids;
    EXPECT_TRUE(store_
                    ->Read([&](ReadTransaction& read) {
                      return read.ScanJobs(2, 6, states, [&](const JobRow& job) {
                        ids.push_back(job.id);
                        return ids.size() < stop;
                      });
                    })
                    .ok());
    return ids;
  };
  EXPECT_THAT(scan(StateSet::All(), 99), ElementsAre(2, 3, 4, 5, 6));
  EXPECT_THAT(scan(StateSet({JobState::kCancelled}), 99), ElementsAre(2, 5));
  EXPECT_THAT(scan(StateSet({JobState::kPending}), 2), ElementsAre(3, 4));
}

TEST_P(StoreContract, AWorkerIsKnownByItsName) {
  core::WorkerRow worker;
  worker.id = "id1";
  worker.info = {"name", "instance", "host", "1.0", 2, 10, "cpu", true};
  worker.draining = worker.preempt = true;
  worker.registered_ms = 3;
  worker.last_seen_ms = 4;
  worker.info.ends_ms = 5;
  worker.info.incarnation = 6;
  worker.info.programs = true;
  worker.superseded_host = "older";
  worker.superseded_ms = 7;
  worker.info.allocation = {"slurm", "tiny", "120_4", "124",    "low",
                            "n1",    2,      3,       "pool-1", {"0", "MIG-1"}};
  worker.departed_ms = 8;
  worker.departed_reason = "preempted: SIGTERM";
  ASSERT_EQ(Write([&](WriteTransaction& tx) { return tx.PutWorker(worker); }), absl::OkStatus());
  worker.id = "id2";
  ASSERT_EQ(Write([&](WriteTransaction& tx) { return tx.PutWorker(worker); }), absl::OkStatus());
  const auto workers =
      Read<std::vector<core::WorkerRow>>([](ReadTransaction& read) { return read.ListWorkers(); });
  ASSERT_THAT(workers, SizeIs(1));
  EXPECT_EQ(workers[0].id, "id2");
  EXPECT_EQ(workers[0].info.pack_width, 10u);
  EXPECT_TRUE(workers[0].info.shared_checkpoints);
  EXPECT_TRUE(workers[0].info.programs);
  EXPECT_TRUE(workers[0].preempt);
  EXPECT_EQ(workers[0].last_seen_ms, 4);
  EXPECT_EQ(workers[0].info.ends_ms, 5);
  EXPECT_EQ(workers[0].info.incarnation, 6u);
  const auto found = Read<std::optional<core::WorkerRow>>(
      [](ReadTransaction& read) { return read.FindWorker("name"); });
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->id, "id2");
  EXPECT_EQ(found->superseded_host, "older");
  EXPECT_EQ(found->superseded_ms, 7);
  EXPECT_EQ(found->info.allocation, worker.info.allocation);
  EXPECT_EQ(found->departed_ms, 8);
  EXPECT_EQ(found->departed_reason, "preempted: SIGTERM");
  EXPECT_FALSE(Read<std::optional<core::WorkerRow>>([](ReadTransaction& read) {
                 return read.FindWorker("nam");
               }).has_value());
  for (int twice = 0; twice < 2; ++twice) {  // deleting an absent one is no error
    ASSERT_EQ(Write([&](WriteTransaction& tx) { return tx.DeleteWorker("name"); }),
              absl::OkStatus());
    EXPECT_THAT(Read<std::vector<core::WorkerRow>>(
                    [](ReadTransaction& read) { return read.ListWorkers(); }),
                ::testing::IsEmpty());
  }
}

TEST_P(StoreContract, TheGreatestIncarnationIsKept) {
  const auto greatest = [this] {
    return Read<uint64_t>([](ReadTransaction& read) { return read.GetIncarnations(); });
  };
  EXPECT_EQ(greatest(), 0u);
  for (const uint64_t number : {1u, 2u}) {
    ASSERT_EQ(Write([&](WriteTransaction& tx) { return tx.SetIncarnations(number); }),
              absl::OkStatus());
    EXPECT_EQ(greatest(), number);
  }
}

TEST_P(StoreContract, AFullDiskIsResourceExhaustedAndLosesOnlyWhatDidNotFit) {
  OpenStore(256 << 10);
  FillWith(1);
  absl::Status status;
  int written = 0;
  while (status.ok() && written < 1000) {
    status = Write([&](WriteTransaction& tx) {
      return tx.Savepoint([&] {
        return tx.AppendLog(1, 1, static_cast<uint64_t>(written) * 8192, std::string(8192, 'x'));
      });
    });
    if (status.ok()) ++written;
  }
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_GT(written, 0);
  const auto log = Read<std::vector<core::LogChunk>>(
      [](ReadTransaction& read) { return read.ReadLog(1, 1, 0, 1 << 30); });
  EXPECT_THAT(log, SizeIs(written));
  ASSERT_EQ(Write([](WriteTransaction& tx) { return tx.TrimLog(1, 1, 1 << 30); }),
            absl::OkStatus());
  EXPECT_EQ(Write([](WriteTransaction& tx) { return tx.AppendLog(1, 2, 0, "room again"); }),
            absl::OkStatus());
}

TEST_P(StoreContract, AReaderSeesOneSnapshotWhileTheWriterGoesOn) {
  if (std::string(GetParam()) == "memory")
    GTEST_SKIP() << "one connection: a reader excludes the writer";
  FillWith(2);
  absl::Notification reading;
  absl::Notification written;
  std::thread reader([&] {
    const absl::Status status = store_->Read([&](ReadTransaction& read) -> absl::Status {
      COPPICE_ASSIGN_OR_RETURN(const JobRow before, read.GetJob(1));
      reading.Notify();
      written.WaitForNotification();
      COPPICE_ASSIGN_OR_RETURN(const JobRow after, read.GetJob(1));
      EXPECT_EQ(before.state, after.state);
      return absl::OkStatus();
    });
    EXPECT_TRUE(status.ok()) << status;
  });
  reading.WaitForNotification();
  EXPECT_EQ(Update(1, [](JobRow& job) { job.state = JobState::kCancelled; }), absl::OkStatus());
  written.Notify();
  reader.join();
  EXPECT_EQ(Job(1).state, JobState::kCancelled);
}

TEST_P(StoreContract, TheStoresNameAndContentSurviveReopening) {
  FillWith(1);
  const std::string id = store_->store_id();
  EXPECT_EQ(id.size(), 32u);
  if (std::string(GetParam()) == "memory") return;
  OpenStore();
  EXPECT_EQ(store_->store_id(), id);
  EXPECT_EQ(Job(1).seed, 10u);
}

INSTANTIATE_TEST_SUITE_P(Stores, StoreContract, ::testing::Values("file", "memory"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace coppice::store