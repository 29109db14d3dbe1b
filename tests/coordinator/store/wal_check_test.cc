// A torn end that a crash leaves after the last commit is ignored. A change by the disk before it
// is not.
#include "coordinator/store/wal_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "coordinator/store/sqlite_store.h"
#include "tests/testing/temp_dir.h"

namespace coppice::store {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int kCommits = 12;
constexpr size_t kFrame = 24 + 4096;

class WalCheckTest : public ::testing::Test {
 protected:
  // Leaves a database as after a crash: kCommits transactions, each durable, none checkpointed.
  void SetUp() override {
    const std::string live = dir_ / "live" / "coppice.db";
    auto store = OpenSqliteStore({.path = live});
    ASSERT_TRUE(store.ok()) << store.status();
    for (int i = 0; i < kCommits; ++i) {
      ASSERT_TRUE((*store)
                      ->RunInTransaction([i](core::WriteTransaction& tx) {
                        core::WorkerRow worker;
                        worker.id = absl::StrCat("id", i);
                        worker.info.name = absl::StrCat("worker", i);
                        return tx.PutWorker(worker);
                      })
                      .ok());
    }
    std::filesystem::create_directories(dir_ / "crashed");
    for (const char* suffix : {"", "-wal"}) {
      std::filesystem::copy_file(live + suffix, path_ + suffix);
    }
    log_ = *ReadFile(path_ + "-wal");
    const auto state = CheckWal(path_ + "-wal");
    ASSERT_TRUE(state.ok()) << state.status();
    ASSERT_GE(state->commits, uint64_t{kCommits});
    ASSERT_EQ(state->lost_commits, 0u);
    commits_ = state->commits;
  }

  void WriteLog(const std::string& bytes) {
    std::ofstream(path_ + "-wal", std::ios::binary | std::ios::trunc) << bytes;
  }
  std::string Flipped(size_t offset) const {
    std::string bytes = log_;
    bytes[offset] = static_cast<char>(bytes[offset] ^ 0x10);
    return bytes;
  }
  static size_t Workers(core::Store& store) {
    size_t count = 0;
    EXPECT_TRUE(store
                    .Read([&](core::ReadTransaction& read) {
                      const auto workers = read.ListWorkers();
                      if (workers.ok()) count = workers->size();
                      return workers.status();
                    })
                    .ok());
    return count;
  }
  void ExpectEveryWorker() {
    const auto store = OpenSqliteStore({.path = path_});
    ASSERT_TRUE(store.ok()) << store.status();
    EXPECT_EQ(Workers(**store), size_t{kCommits});
  }

  const testing::TempDir temp_;
  const std::filesystem::path dir_ = temp_.path();
  const std::string path_ = dir_ / "crashed" / "coppice.db";
  std::string log_;
  uint64_t commits_ = 0;
};

TEST_F(WalCheckTest, ATornEndLosesNothing) {
  const std::string last = log_.substr(log_.size() - kFrame);
  std::string wrong = last;
  wrong[2000] ^= 1;
  for (const std::string& end : {last.substr(0, 1), last.substr(0, 3000), wrong, last,
                                 std::string(100, '\x7f'), std::string(3 * kFrame, '\0')}) {
    WriteLog(log_ + end);
    const auto state = CheckWal(path_ + "-wal");
    ASSERT_TRUE(state.ok()) << state.status();
    EXPECT_EQ(state->commits, commits_);
    EXPECT_LE(state->lost_commits, 1u);
    ExpectEveryWorker();
    std::filesystem::remove(path_);
    std::filesystem::copy_file(dir_ / "live" / "coppice.db", path_);
  }
}

TEST_F(WalCheckTest, AByteThatChangedBeforeTheEndIsFoundInsteadOfLosingWhatIsBehindIt) {
  for (const size_t offset : {size_t{32}, 32 + size_t{8}, 32 + size_t{20}, 32 + size_t{24} + 17,
                              32 + 5 * kFrame + 3000}) {
    WriteLog(Flipped(offset));
    const auto store = OpenSqliteStore({.path = path_});
    ASSERT_TRUE(absl::IsFailedPrecondition(store.status())) << offset << ": " << store.status();
    EXPECT_THAT(std::string(store.status().message()),
                AllOf(HasSubstr(path_ + "-wal"), HasSubstr("restore a backup"),
                      HasSubstr("--accept-data-loss")));
    // The log is left unchanged.
    EXPECT_EQ(*ReadFile(path_ + "-wal"), Flipped(offset));
  }
}

TEST_F(WalCheckTest, WhatIsLeftIsOpenedOnceTheLossIsAcceptedAndNeedsNoFlagAgain) {
  WriteLog(Flipped(log_.size() - 5 * kFrame));
  {
    const auto store = OpenSqliteStore({.path = path_, .accept_data_loss = true});
    ASSERT_TRUE(store.ok()) << store.status();
    EXPECT_GT(Workers(**store), 0u);
    EXPECT_LT(Workers(**store), size_t{kCommits});
  }
  const auto again = OpenSqliteStore({.path = path_});
  EXPECT_TRUE(again.ok()) << again.status();
}

// The limit of detection: the damage looks like a transaction that a crash cut off.
TEST_F(WalCheckTest, TheLastTransactionAloneCannotBeToldFromATornEnd) {
  WriteLog(Flipped(log_.size() - 100));
  const auto store = OpenSqliteStore({.path = path_});
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ(Workers(**store), size_t{kCommits - 1});
}

TEST_F(WalCheckTest, WhatIsNoLogHasNoCommits) {
  for (const std::string& bytes : {std::string(), std::string("short"), std::string(9000, 'x')}) {
    WriteLog(bytes);
    const auto state = CheckWal(path_ + "-wal");
    ASSERT_TRUE(state.ok());
    EXPECT_EQ(state->commits + state->lost_commits, 0u);
  }
  EXPECT_TRUE(CheckWal(dir_ / "nothing").ok());
}

TEST_F(WalCheckTest, EachStartBeginsWithAnEmptyLog) {
  ExpectEveryWorker();
  const auto store = OpenSqliteStore({.path = path_});
  ASSERT_TRUE(store.ok());
  EXPECT_EQ(std::filesystem::file_size(path_ + "-wal"), 0u);
}

}  // namespace
}  // namespace coppice::store
