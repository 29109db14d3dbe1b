#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "coordinator/store/connection.h"
#include "coordinator/store/schema.h"
#include "coordinator/store/sqlite_store.h"
#include "tests/testing/temp_dir.h"

namespace coppice::store {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class OpenTest : public ::testing::Test {
 protected:
  const testing::TempDir temp_;
  const std::filesystem::path dir_ = temp_.path();
  const std::string path_ = dir_ / "deeper" / "coppice.db";
};

TEST_F(OpenTest, TheFolderIsCreatedAndTheFileIsDurable) {
  auto store = OpenSqliteStore({path_, 1, 0});
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_TRUE(std::filesystem::exists(path_));
  auto db = Connection::Open(path_, SQLITE_OPEN_READONLY);
  ASSERT_TRUE(db.ok());
  Statement mode = (*db)->Prepare("PRAGMA journal_mode");
  ASSERT_TRUE(*mode.Step());
  EXPECT_EQ(mode.Text(0), "wal");
}

TEST_F(OpenTest, TwoProcessesCannotShareAFile) {
  auto store = OpenSqliteStore({path_, 1, 0});
  ASSERT_TRUE(store.ok());
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    // The child only opens the lock and uses none of the parent's threads or connections.
    const auto lock = FileLock::Acquire(path_ + ".lock");
    _exit(absl::IsFailedPrecondition(lock.status()) ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  const auto second = OpenSqliteStore({path_, 1, 0});
  EXPECT_TRUE(absl::IsFailedPrecondition(second.status()));
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("another process"));
  store->reset();
  EXPECT_TRUE(OpenSqliteStore({path_, 1, 0}).ok());
}

TEST_F(OpenTest, AFileThatIsNoDatabaseIsRefusedAndLeftAlone) {
  std::filesystem::create_directories(dir_ / "deeper");
  std::ofstream(path_)
      << "this is not a database, it is a shopping list: eggs, butter, flour, patience\n";
  const auto store = OpenSqliteStore({path_, 1, 0});
  EXPECT_TRUE(absl::IsFailedPrecondition(store.status())) << store.status();
  EXPECT_THAT(std::string(store.status().message()),
              AllOf(HasSubstr(path_), HasSubstr("not a database")));
  EXPECT_THAT(*ReadFile(path_), HasSubstr("eggs"));
}

TEST_F(OpenTest, ANewerDatabaseIsRefusedNamingFileAndVersions) {
  ASSERT_TRUE(OpenSqliteStore({path_, 1, 0}).ok());
  {
    auto db = Connection::Open(path_, SQLITE_OPEN_READWRITE);
    ASSERT_EQ((*db)->Execute("PRAGMA user_version = 99"), absl::OkStatus());
  }
  const auto store = OpenSqliteStore({path_, 1, 0});
  EXPECT_TRUE(absl::IsFailedPrecondition(store.status()));
  EXPECT_THAT(std::string(store.status().message()),
              AllOf(HasSubstr(path_), HasSubstr("version 99"),
                    HasSubstr(absl::StrCat("up to ", Migrations().size()))));
}

TEST_F(OpenTest, AFolderThatCannotBeWrittenIsRefused) {
  std::filesystem::create_directories(dir_ / "deeper");
  std::filesystem::permissions(
      dir_ / "deeper", std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
  if (access((dir_ / "deeper").c_str(), W_OK) == 0) {
    // The superuser can write anywhere, but a file in place of the folder stops everyone.
    std::filesystem::remove_all(dir_);
    std::ofstream(std::string(dir_)) << "a file";
  }
  const auto store = OpenSqliteStore({path_, 1, 0});
  ASSERT_FALSE(store.ok());
  EXPECT_THAT(std::string(store.status().message()), HasSubstr(std::string(dir_)));
  std::filesystem::permissions(dir_, std::filesystem::perms::owner_all);
  if (std::filesystem::is_directory(dir_)) {
    std::filesystem::permissions(dir_ / "deeper", std::filesystem::perms::owner_all);
  }
}

TEST_F(OpenTest, ADamagedDatabaseReportsAnErrorInsteadOfLying) {
  {
    auto store = OpenSqliteStore({path_, 1, 0});
    ASSERT_TRUE(store.ok());
    ASSERT_TRUE((*store)
                    ->RunInTransaction([](core::WriteTransaction& tx) {
                      core::WorkerRow worker;
                      for (int i = 0; i < 200; ++i) {
                        worker.id = absl::StrCat("id", i);
                        worker.info.name =
                            absl::StrCat("worker-with-a-long-name-", i, std::string(100, 'x'));
                        if (auto status = tx.PutWorker(worker); !status.ok()) return status;
                      }
                      return absl::OkStatus();
                    })
                    .ok());
  }
  const auto size = std::filesystem::file_size(path_);
  std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
  // Everything after the schema's first pages becomes noise.
  file.seekp(static_cast<std::streamoff>(size / 2));
  for (auto i = size / 2; i < size; ++i) file.put(static_cast<char>(i * 31));
  file.close();
  auto store = OpenSqliteStore({path_, 1, 0});
  absl::Status status = store.status();
  if (store.ok()) {
    status =
        (*store)->Read([](core::ReadTransaction& read) { return read.ListWorkers().status(); });
  }
  EXPECT_TRUE(absl::IsInternal(status)) << status;
}

TEST_F(OpenTest, ResultCodesBecomeStatusCodes) {
  const auto code = [](int sqlite) { return SqliteStatus(sqlite, "x", "y").code(); };
  EXPECT_EQ(code(SQLITE_OK), absl::StatusCode::kOk);
  EXPECT_EQ(code(SQLITE_FULL), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(code(SQLITE_IOERR_FSYNC), absl::StatusCode::kInternal);
  EXPECT_EQ(code(SQLITE_CORRUPT), absl::StatusCode::kInternal);
  EXPECT_EQ(code(SQLITE_READONLY_DIRECTORY), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(code(SQLITE_CANTOPEN), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(code(SQLITE_NOTADB), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(code(SQLITE_BUSY_SNAPSHOT), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace coppice::store
