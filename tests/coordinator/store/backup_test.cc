#include "coordinator/store/backup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "coordinator/store/restore.h"
#include "coordinator/store/schema.h"
#include "coordinator/store/sqlite_store.h"
#include "tests/testing/temp_dir.h"

namespace coppice::store {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr int64_t kNow = 1'700'000'000'000;

class BackupTest : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directory(dir_.Join("data"));
    fs::create_directory(dir_.Join("out"));
    OpenStore();
  }
  void OpenStore() {
    auto store = OpenSqliteStore({path_, 1, 0});
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  // Writes two rows in one transaction: a snapshot has both or none.
  void AddPair(int number) {
    const absl::Status status = store_->RunInTransaction([&](core::WriteTransaction& tx) {
      core::WorkerRow worker;
      for (const char* half : {"a", "b"}) {
        worker.id = worker.info.name = absl::StrCat("w", number, half);
        if (auto put = tx.PutWorker(worker); !put.ok()) return put;
      }
      return absl::OkStatus();
    });
    ASSERT_TRUE(status.ok()) << status;
  }
  absl::StatusOr<DatabaseFacts> Backup(bool force = false) {
    return BackupDatabase({path_, target_, force, kNow});
  }
  absl::Status Restore(bool force = false) {
    auto staged = StagedRestore::Begin({target_, path_, force});
    if (!staged.ok()) return staged.status();
    auto aside = (*staged)->Install(kNow);
    if (aside.ok()) aside_ = *aside;
    return aside.status();
  }
  static std::vector<std::string> Workers(const std::string& path) {
    std::vector<std::string> names;
    auto db = Connection::Open(path, SQLITE_OPEN_READONLY);
    if (!db.ok()) return {db.status().ToString()};
    Statement statement = (*db)->Prepare("SELECT name FROM workers ORDER BY name");
    for (auto more = statement.Step(); more.ok() && *more; more = statement.Step())
      names.push_back(statement.Text(0));
    return names;
  }
  std::vector<std::string> Out() { return *ListDirectory(dir_.Join("out")); }

  testing::TempDir dir_;
  const std::string path_ = dir_.Join("data/coppice.db");
  const std::string target_ = dir_.Join("out/backup");
  std::unique_ptr<core::Store> store_;
  std::string aside_;
};

TEST_F(BackupTest, OfARunningStoreIsOneFileForItsOwnerAloneWithEverythingCommitted) {
  AddPair(1);
  const auto facts = Backup();
  ASSERT_TRUE(facts.ok()) << facts.status();
  EXPECT_EQ(facts->store_id, store_->store_id());
  EXPECT_EQ(facts->version, static_cast<int64_t>(Migrations().size()));
  EXPECT_EQ(facts->bytes, fs::file_size(target_));
  EXPECT_EQ(fs::status(target_).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_THAT(Out(), ElementsAre("backup"));
  EXPECT_THAT(Workers(target_), ElementsAre("w1a", "w1b"));
  EXPECT_THAT(Out(), ElementsAre("backup")) << "a backup that is read stays one file";
}

TEST_F(BackupTest, OfAStoreThatWasKilledHasWhatItsLogHolds) {
  AddPair(1);
  // Copies file and log, as the death of a process leaves them.
  fs::create_directory(dir_.Join("dead"));
  for (const char* suffix : {"", "-wal"}) {
    fs::copy_file(path_ + suffix, dir_.Join("dead/coppice.db") + suffix);
  }
  ASSERT_GT(fs::file_size(dir_.Join("dead/coppice.db-wal")), 0u);
  ASSERT_TRUE(BackupDatabase({dir_.Join("dead/coppice.db"), target_, false, kNow}).ok());
  EXPECT_THAT(Workers(target_), ElementsAre("w1a", "w1b"));
}

TEST_F(BackupTest, WhileTransactionsAreCommittedIsOneMomentOfThem) {
  std::atomic<bool> stop{false};
  std::atomic<int> written{0};
  std::thread writer([&] {
    while (!stop && written < 20'000) AddPair(written++);
  });
  while (written < 20) std::this_thread::yield();
  for (int i = 0; i < 5; ++i) {
    const int before = written - 1;
    const auto facts = Backup(/*force=*/true);
    ASSERT_TRUE(facts.ok()) << facts.status();
    const std::vector<std::string> names = Workers(target_);
    EXPECT_EQ(names.size() % 2, 0u) << "half a transaction was copied";
    EXPECT_GE(names.size(), 2u * static_cast<size_t>(before)) << "a commit is missing";
  }
  stop = true;
  writer.join();
}

TEST_F(BackupTest, NeverReplacesAFileUnlessItIsToldTo) {
  std::ofstream(target_) << "last week's";
  EXPECT_TRUE(absl::IsAlreadyExists(Backup().status()));
  EXPECT_EQ(*ReadFile(target_), "last week's");
  ASSERT_TRUE(Backup(/*force=*/true).ok());
  EXPECT_THAT(Workers(target_), ElementsAre());
  EXPECT_TRUE(absl::IsInvalidArgument(BackupDatabase({path_, path_, true, kNow}).status()));
  EXPECT_TRUE(
      absl::IsInvalidArgument(BackupDatabase({path_, dir_.Join("out"), true, kNow}).status()));
  fs::create_symlink(path_, dir_.Join("out/link"));
  EXPECT_TRUE(
      absl::IsInvalidArgument(BackupDatabase({path_, dir_.Join("out/link"), true, kNow}).status()));
}

TEST_F(BackupTest, ThatFailsLeavesTheOneBefore) {
  ASSERT_TRUE(Backup().ok());
  const std::string good = *ReadFile(target_);
  AddPair(1);
  store_.reset();
  std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
  for (size_t i = 4096; i < fs::file_size(path_); i += 8) {
    file.seekp(static_cast<std::streamoff>(i));
    file.put('\x55');
  }
  file.close();
  const absl::Status status = Backup(/*force=*/true).status();
  EXPECT_TRUE(absl::IsDataLoss(status) || absl::IsInternal(status)) << status;
  EXPECT_EQ(*ReadFile(target_), good);
  EXPECT_THAT(Out(), ElementsAre("backup"));
}

TEST_F(BackupTest, OfNothingOrOfSomethingElseSaysSo) {
  EXPECT_TRUE(absl::IsNotFound(
      BackupDatabase({dir_.Join("nowhere/coppice.db"), target_, false, kNow}).status()));
  EXPECT_TRUE(
      absl::IsNotFound(BackupDatabase({path_, dir_.Join("none/backup"), false, kNow}).status()));
  std::ofstream(dir_.Join("list")) << std::string(5000, 'x');
  EXPECT_TRUE(absl::IsFailedPrecondition(
      BackupDatabase({dir_.Join("list"), target_, false, kNow}).status()));
  store_.reset();
  (*Connection::Open(path_, SQLITE_OPEN_READWRITE))
      ->Execute("PRAGMA user_version = 99")
      .IgnoreError();
  const absl::Status newer = Backup().status();
  EXPECT_TRUE(absl::IsFailedPrecondition(newer));
  EXPECT_THAT(std::string(newer.message()), HasSubstr("version 99"));
  EXPECT_THAT(Out(), ElementsAre());
}

TEST_F(BackupTest, OnAFullDiskLeavesNothingAndSaysSo) {
  const std::string small = dir_.Join("small");
  fs::create_directory(small);
  if (::mount("none", small.c_str(), "tmpfs", 0, "size=16k") != 0) {
    GTEST_SKIP() << "cannot mount a small filesystem here";
  }
  const absl::Status status =
      BackupDatabase({path_, JoinPath(small, "backup"), false, kNow}).status();
  const std::vector<std::string> left = *ListDirectory(small);
  ::umount(small.c_str());
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_THAT(left, ElementsAre());
}

TEST_F(BackupTest, RemovesWhatAKilledBackupLeft) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  ::waitpid(child, nullptr, 0);  // a process id no longer in use
  std::ofstream(absl::StrCat(target_, ".partial-", child)) << "half";
  std::ofstream(absl::StrCat(target_, ".partial-", ::getppid())) << "another one's, which lives";
  ASSERT_TRUE(Backup().ok());
  EXPECT_THAT(Out(), ElementsAre("backup", absl::StrCat("backup.partial-", ::getppid())));
}

// ---- restore

TEST_F(BackupTest, RestoredItIsTheStoreThatWasBackedUp) {
  AddPair(1);
  const std::string id = store_->store_id();
  ASSERT_TRUE(Backup().ok());
  AddPair(2);
  store_.reset();
  fs::remove_all(dir_.Join("data"));
  ASSERT_EQ(Restore(), absl::OkStatus());
  EXPECT_EQ(aside_, "");
  EXPECT_EQ(store_, nullptr);
  OpenStore();
  EXPECT_EQ(store_->store_id(), id);
  EXPECT_THAT(Workers(path_), ElementsAre("w1a", "w1b"));
}

TEST_F(BackupTest, IsNotRestoredUnderARunningStoreNorOverADatabase) {
  AddPair(1);
  ASSERT_TRUE(Backup().ok());
  AddPair(2);
  const absl::Status running = Restore(/*force=*/true);
  EXPECT_TRUE(absl::IsFailedPrecondition(running));
  EXPECT_THAT(std::string(running.message()), HasSubstr("another process"));
  store_.reset();
  EXPECT_TRUE(absl::IsAlreadyExists(Restore()));
  EXPECT_THAT(Workers(path_), SizeIs(4));
}

TEST_F(BackupTest, ForcedItPutsTheOldDatabaseAsideWithItsLog) {
  AddPair(1);
  ASSERT_TRUE(Backup().ok());
  AddPair(2);
  // As after a kill, the second pair is only in the log. The log must not be lost, nor mistaken for
  // the restored database's.
  for (const char* suffix : {"", "-wal", "-shm"}) {
    fs::copy_file(path_ + suffix, dir_.Join("out/kept") + suffix);
  }
  store_.reset();
  for (const char* suffix : {"", "-wal", "-shm"}) {
    fs::copy_file(dir_.Join("out/kept") + suffix, path_ + suffix,
                  fs::copy_options::overwrite_existing);
  }
  ASSERT_EQ(Restore(/*force=*/true), absl::OkStatus());
  EXPECT_THAT(aside_, HasSubstr("coppice.db.replaced-2023"));
  EXPECT_FALSE(FileExists(path_ + "-wal"));
  EXPECT_FALSE(FileExists(path_ + "-shm"));
  EXPECT_THAT(Workers(path_), ElementsAre("w1a", "w1b"));
  EXPECT_THAT(Workers(aside_), ElementsAre("w1a", "w1b", "w2a", "w2b"));
  const std::string first = aside_;
  ASSERT_EQ(Restore(/*force=*/true), absl::OkStatus());
  EXPECT_NE(aside_, first) << "the second buried what the first had put aside";
}

TEST_F(BackupTest, ALogWithoutItsDatabaseIsNotTakenForTheRestoredOnes) {
  AddPair(1);
  ASSERT_TRUE(Backup().ok());
  AddPair(2);
  fs::copy_file(path_ + "-wal", dir_.Join("out/wal"));
  store_.reset();
  fs::remove(path_);
  fs::copy_file(dir_.Join("out/wal"), path_ + "-wal");
  ASSERT_EQ(Restore(), absl::OkStatus());
  EXPECT_THAT(Workers(path_), ElementsAre("w1a", "w1b"));
}

TEST_F(BackupTest, ThatIsDamagedOrNewerReplacesNothing) {
  AddPair(1);
  ASSERT_TRUE(Backup().ok());
  store_.reset();
  const std::string whole = *ReadFile(target_);
  const auto refused = [&](const std::string& content) {
    std::ofstream(target_, std::ios::binary) << content;
    const absl::Status status = Restore(/*force=*/true);
    EXPECT_FALSE(status.ok());
    const auto names = ListDirectory(dir_.Join("data"));
    EXPECT_TRUE(names.ok()) << names.status();
    for (const std::string& name : names.value_or(std::vector<std::string>())) {
      EXPECT_THAT(name, ::testing::AnyOf("coppice.db", "coppice.db-shm", "coppice.db-wal",
                                         "coppice.db.lock"));
    }
    EXPECT_THAT(Workers(path_), SizeIs(2));
    return std::string(status.message());
  };
  refused(whole.substr(0, whole.size() / 2));
  refused(whole.substr(0, whole.size() - 4096));
  refused("");
  refused("not a database");
  std::string holes = whole;
  for (size_t i = 8192; i < holes.size(); i += 64) holes[i] = '\x55';
  refused(holes);
  std::string newer = whole;
  newer[63] = 99;  // user_version, big-endian, at 60
  EXPECT_THAT(refused(newer), HasSubstr("version 99"));
  fs::remove(target_);
  EXPECT_TRUE(absl::IsNotFound(Restore(/*force=*/true)));
}

}  // namespace
}  // namespace coppice::store
