#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/ids.h"
#include "common/base/status_macros.h"
#include "coordinator/store/connection.h"
#include "coordinator/store/sqlite_store.h"

namespace coppice::store {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// A database with one job, its failed attempt and an event, in which a test changes a word.
class UnknownWords : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto store = OpenSqliteStore({path_, 1, 0});
    ASSERT_TRUE(store.ok()) << store.status();
    ASSERT_EQ((*store)->RunInTransaction(&Fill), absl::OkStatus());
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  static absl::Status Fill(core::WriteTransaction& tx) {
    core::SweepRow sweep;
    sweep.name = "s";
    sweep.max_failures = 3;
    COPPICE_ASSIGN_OR_RETURN(sweep.id, tx.InsertSweep(sweep, "blob"));
    core::GroupRow group;
    group.sweep_id = sweep.id;
    group.spec.steps = 10;
    group.spec.report_every = group.spec.checkpoint_every = 10;
    COPPICE_ASSIGN_OR_RETURN(group.id, tx.InsertGroup(group));
    COPPICE_ASSIGN_OR_RETURN(group.first_job, tx.ReserveJobs(sweep.id, group.id, 1));
    COPPICE_RETURN_IF_ERROR(tx.InsertJobs(sweep.id, group.id, group.first_job, {7}));
    core::AttemptRow attempt;
    attempt.job_id = group.first_job;
    attempt.number = 3;
    COPPICE_RETURN_IF_ERROR(tx.InsertAttempt(attempt));
    attempt.outcome = core::AttemptOutcome::kFailed;
    attempt.failure = FailureKind::kStalled;
    COPPICE_RETURN_IF_ERROR(tx.UpdateAttempt(attempt));
    return tx.InsertEvent(group.first_job, {1, 3, core::EventType::kAttemptFailed, ""});
  }

  // Changes the database and reads from it.
  absl::Status ReadAfter(const char* sql,
                         absl::FunctionRef<absl::Status(core::ReadTransaction&)> read) {
    {
      const auto db = Connection::Open(path_, SQLITE_OPEN_READWRITE);
      if (!db.ok()) return db.status();
      COPPICE_RETURN_IF_ERROR((*db)->Prepare(sql).Run());
    }
    const auto store = OpenSqliteStore({path_, 1, 0});
    if (!store.ok()) return store.status();
    return (*store)->Read(read);
  }

  const std::filesystem::path dir_ =
      std::filesystem::temp_directory_path() / absl::StrCat("coppice-words-", RandomId());
  const std::string path_ = dir_ / "coppice.db";
};

TEST_F(UnknownWords, AnAttemptOfAnUnknownKindIsAnErrorThatNamesRowAndWord) {
  const auto read = [](core::ReadTransaction& tx) { return tx.GetAttempt(1, 3).status(); };
  EXPECT_EQ(ReadAfter("UPDATE attempts SET worker = 'w'", read), absl::OkStatus());
  const absl::Status status = ReadAfter("UPDATE attempts SET kind = 'martian'", read);
  EXPECT_TRUE(absl::IsInternal(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("attempt 3 of job 1"), HasSubstr("kind 'martian'")));
}

TEST_F(UnknownWords, AnEventOfAnUnknownTypeIsAnErrorThatNamesRowAndWord) {
  const auto read = [](core::ReadTransaction& tx) { return tx.ListEvents(1, 10).status(); };
  EXPECT_EQ(ReadAfter("UPDATE job_events SET message = 'm'", read), absl::OkStatus());
  const absl::Status status = ReadAfter("UPDATE job_events SET type = 'abducted'", read);
  EXPECT_TRUE(absl::IsInternal(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("event of job 1"), HasSubstr("type 'abducted'")));
}

}  // namespace
}  // namespace coppice::store
