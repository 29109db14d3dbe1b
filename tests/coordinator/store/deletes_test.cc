// Deletion of whole sweeps, part by part, and the ids that stay used.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "tests/coordinator/store/contract_fixture.h"

namespace coppice::store {
namespace {

using core::CheckpointState;
using core::JobId;
using core::JobState;
using core::ReadTransaction;
using core::SweepId;
using core::SweepRow;
using core::WriteTransaction;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class DeletedSweeps : public StoreContract {
 protected:
  // Everything that an ended job can have.
  static absl::Status EndJob(WriteTransaction& tx, JobId id) {
    COPPICE_ASSIGN_OR_RETURN(const core::JobRow before, tx.read().GetJob(id));
    core::JobRow after = before;
    after.state = JobState::kSucceeded;
    after.attempt = 2;
    COPPICE_RETURN_IF_ERROR(tx.UpdateJob(before, after));
    for (uint64_t attempt = 1; attempt <= 2; ++attempt) {
      core::AttemptRow row;
      row.job_id = id;
      row.number = attempt;
      row.worker = "w";
      COPPICE_RETURN_IF_ERROR(tx.InsertAttempt(row));
      COPPICE_RETURN_IF_ERROR(
          tx.InsertCheckpoint({id, attempt, 20, absl::StrCat("f", id, "-", attempt), "d", 8, 3},
                              /*row_due=*/false));
      for (uint64_t at = 0; at < 3; ++at)
        COPPICE_RETURN_IF_ERROR(tx.AppendLog(id, attempt, 5 * at, "a log"));
    }
    for (uint32_t step = 10; step <= 50; step += 10) {
      COPPICE_RETURN_IF_ERROR(tx.InsertMetricRow(id, 1, {step, {{"a", 1}, {"b", 2}}}));
      COPPICE_RETURN_IF_ERROR(tx.InsertEvent(id, {1, 1, core::EventType::kCheckpoint, ""}));
    }
    COPPICE_RETURN_IF_ERROR(tx.AddMetricName(before.sweep_id, "a"));
    return tx.ArchiveMetrics(id, 30).status();
  }

  // Adds a sweep of two groups, whose jobs have ended.
  SweepId AddEnded(const std::string& name, uint32_t jobs) {
    SweepId id = 0;
    EXPECT_EQ(Write([&](WriteTransaction& tx) -> absl::Status {
                SweepRow sweep;
                sweep.name = name;
                sweep.max_failures = 1;
                sweep.tags = {"a", "b-2"};
                COPPICE_ASSIGN_OR_RETURN(id, tx.InsertSweep(sweep, "blob"));
                for (int i = 0; i < 2; ++i) {
                  COPPICE_ASSIGN_OR_RETURN(const auto group, tx.InsertGroup(GroupOf(id)));
                  COPPICE_ASSIGN_OR_RETURN(const JobId first, tx.ReserveJobs(id, group, jobs));
                  std::vector<uint32_t> seeds(jobs);
                  COPPICE_RETURN_IF_ERROR(tx.InsertJobs(id, group, first, seeds));
                  for (JobId job = first; job < first + jobs; ++job)
                    COPPICE_RETURN_IF_ERROR(EndJob(tx, job));
                }
                return tx.InsertOperation(id, {1, "submitted", "ana", ""}, 10);
              }),
              absl::OkStatus());
    return id;
  }
  absl::Status Mark(SweepId id) {
    return Write([&](WriteTransaction& tx) { return tx.MarkSweepDeleted(id); });
  }
  absl::StatusOr<core::DeletedPart> DeletePart(SweepId id, uint64_t limit) {
    core::DeletedPart part;
    COPPICE_RETURN_IF_ERROR(Write([&](WriteTransaction& tx) -> absl::Status {
      COPPICE_ASSIGN_OR_RETURN(part, tx.DeletePartOfSweep(id, limit));
      return absl::OkStatus();
    }));
    return part;
  }
  std::vector<std::string> Names(bool deleted) {
    std::vector<std::string> names;
    for (const SweepRow& row : Read<std::vector<SweepRow>>([&](ReadTransaction& read) {
           return deleted ? read.ListDeletedSweeps() : read.ListSweeps();
         }))
      names.push_back(row.name);
    return names;
  }
  bool JobIsThere(JobId id) {
    return store_->Read([&](ReadTransaction& read) { return read.GetJob(id).status(); }).ok();
  }
  // Rows that belong to a job, without the job.
  size_t RowsOf(JobId id) {
    return Read<size_t>([&](ReadTransaction& read) -> absl::StatusOr<size_t> {
      size_t rows = 0;
      core::MetricsScan scan;
      scan.job_id = id;
      scan.include_archived = true;
      COPPICE_RETURN_IF_ERROR(
          read.ScanMetrics(scan, [&](const core::StoredRow&) { return ++rows > 0; }));
      COPPICE_ASSIGN_OR_RETURN(const auto attempts, read.ListAttempts(id));
      COPPICE_ASSIGN_OR_RETURN(const auto events, read.ListEvents(id, 100));
      rows += attempts.size() + events.size();
      for (const auto state : {CheckpointState::kListed, CheckpointState::kDropped}) {
        COPPICE_ASSIGN_OR_RETURN(const auto checkpoints, read.ListCheckpoints(id, state));
        rows += checkpoints.size();
      }
      for (uint64_t attempt = 1; attempt <= 2; ++attempt) {
        COPPICE_ASSIGN_OR_RETURN(const auto log, read.ReadLog(id, attempt, 0, 1000));
        rows += log.size();
      }
      return rows;
    });
  }
};

TEST_P(DeletedSweeps, AMarkedSweepIsHiddenWithItsJobsAndItsNameIsFree) {
  const SweepId id = AddEnded("old", 2);
  EXPECT_TRUE(JobIsThere(1));
  const auto sum =
      Read<core::CheckpointSum>([](ReadTransaction& read) { return read.SumCheckpoints(1, 4); });
  EXPECT_EQ(sum.count, 8u);
  EXPECT_EQ(sum.bytes, 64u);
  ASSERT_EQ(Mark(id), absl::OkStatus());
  EXPECT_FALSE(JobIsThere(1));
  EXPECT_THAT(Names(false), IsEmpty());
  EXPECT_THAT(Names(true), ElementsAre("(deleted 1) old"));
  EXPECT_FALSE(Read<std::optional<SweepRow>>([](ReadTransaction& read) {
                 return read.FindSweep("old");
               }).has_value());
  EXPECT_NE(Mark(id), absl::OkStatus()) << "it is deleted already";
  EXPECT_EQ(AddEnded("old", 2), id + 1);
  EXPECT_THAT(Names(false), ElementsAre("old"));
  EXPECT_TRUE(JobIsThere(5));
}

TEST_P(DeletedSweeps, OneWithJobsToRunCannotBeMarkedAndAWholeOneLosesNothing) {
  FillWith(3);
  EXPECT_NE(Mark(1), absl::OkStatus());
  EXPECT_TRUE(absl::IsFailedPrecondition(DeletePart(1, 100).status()));
  EXPECT_TRUE(JobIsThere(3));
}

TEST_P(DeletedSweeps, EveryRowGoesInPartsOfAnySizeAndOthersKeepTheirs) {
  for (const uint64_t limit : {1, 2, 7, 50, 10'000}) {
    SCOPED_TRACE(limit);
    OpenStore();
    const std::string number = absl::StrCat(limit);
    const SweepId before = AddEnded("before" + number, 3);
    const SweepId id = AddEnded("gone" + number, 4);
    AddEnded("after" + number, 3);
    const auto first = Read<std::vector<core::GroupRow>>(
                           [&](ReadTransaction& read) { return read.ListGroups(id); })
                           .front()
                           .first_job;
    const JobId kept = Read<std::vector<core::GroupRow>>(
                           [&](ReadTransaction& read) { return read.ListGroups(before); })
                           .front()
                           .first_job;
    const size_t rows_of_one = RowsOf(first);
    ASSERT_EQ(rows_of_one, 20u);
    ASSERT_EQ(Mark(id), absl::OkStatus());
    std::set<std::string> files;
    uint64_t rows = 0;
    for (;;) {
      const auto part = DeletePart(id, limit);
      ASSERT_TRUE(part.ok()) << part.status();
      EXPECT_LE(part->rows, limit + 4) << "rows of one step go together";
      rows += part->rows;
      for (const core::Checkpoint& file : part->checkpoints)
        EXPECT_TRUE(files.insert(file.path).second) << file.path;
      if (part->gone) break;
      ASSERT_GT(part->rows, 0u);
    }
    EXPECT_THAT(files, SizeIs(16));
    EXPECT_THAT(Names(true), IsEmpty());
    EXPECT_GT(rows, 8 * rows_of_one) << "a row of metrics is several rows of the database";
    for (JobId job = first - 6; job < first + 14; ++job) {
      const bool deleted = job >= first && job < first + 8;
      EXPECT_EQ(RowsOf(job), deleted ? 0 : rows_of_one) << "job " << job;
      EXPECT_EQ(JobIsThere(job), !deleted) << "job " << job;
    }
    EXPECT_EQ(Read<uint64_t>([&](ReadTransaction& read) { return read.CountMetricNames(id); }), 0u);
    EXPECT_THAT(Read<std::vector<core::Operation>>(
                    [&](ReadTransaction& read) { return read.ListOperations(id, 10); }),
                IsEmpty());
    EXPECT_TRUE(absl::IsNotFound(DeletePart(id, limit).status()));
    EXPECT_TRUE(JobIsThere(kept));
  }
}

TEST_P(DeletedSweeps, IdsOfSweepsGroupsAndJobsAreNeverGivenAgain) {
  const SweepId id = AddEnded("last", 2);
  const auto groups = [&](SweepId sweep) {
    return Read<std::vector<core::GroupRow>>(
        [&](ReadTransaction& read) { return read.ListGroups(sweep); });
  };
  const core::GroupRow last = groups(id).back();
  ASSERT_EQ(Mark(id), absl::OkStatus());
  ASSERT_TRUE(DeletePart(id, 10'000)->gone);
  if (std::string(GetParam()) == "file") OpenStore();
  const SweepId next = AddEnded("next", 2);
  EXPECT_EQ(next, id + 1);
  EXPECT_EQ(groups(next).front().id, last.id + 1);
  EXPECT_EQ(groups(next).front().first_job, last.first_job + last.jobs);
  // The floors never sink: a deletion of an older sweep leaves them.
  ASSERT_EQ(Mark(next), absl::OkStatus());
  ASSERT_TRUE(DeletePart(next, 10'000)->gone);
  EXPECT_EQ(AddEnded("third", 1), next + 1);
  EXPECT_EQ(groups(next + 1).front().first_job, last.first_job + last.jobs + 4);
}

TEST_P(DeletedSweeps, NotesAndTagsComeBackAsTheyWere) {
  const SweepId id = AddEnded("s", 1);
  const auto row = [&] {
    return Read<SweepRow>([&](ReadTransaction& read) { return read.GetSweep(id); });
  };
  EXPECT_THAT(row().tags, ElementsAre("a", "b-2"));
  EXPECT_EQ(row().note, "");
  ASSERT_EQ(Write([&](WriteTransaction& tx) -> absl::Status {
              COPPICE_RETURN_IF_ERROR(tx.SetSweepTags(id, {"one"}));
              return tx.SetSweepNote(id, "first line\nsecond, with '\"");
            }),
            absl::OkStatus());
  EXPECT_THAT(row().tags, ElementsAre("one"));
  EXPECT_EQ(row().note, "first line\nsecond, with '\"");
  ASSERT_EQ(Write([&](WriteTransaction& tx) { return tx.SetSweepTags(id, {}); }), absl::OkStatus());
  EXPECT_THAT(row().tags, IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Stores, DeletedSweeps, ::testing::Values("file", "memory"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace coppice::store
