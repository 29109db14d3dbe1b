#include "common/base/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/testing/temp_dir.h"

namespace coppice {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::TempDir;

TEST(WriteFileAtomically, ReplacesTheContentAndLeavesNoTemporaryFile) {
  TempDir dir;
  const std::string path = dir.Join("file");
  ASSERT_TRUE(WriteFileAtomically(path, "old").ok());
  ASSERT_TRUE(WriteFileAtomically(path, std::string("new\0bytes", 9)).ok());
  EXPECT_EQ(ReadFile(path).value(), std::string("new\0bytes", 9));
  EXPECT_THAT(ListDirectory(dir.path()).value(), ElementsAre("file"));
}

TEST(WriteFileAtomically, SaysNotFoundWhenTheFolderIsMissing) {
  TempDir dir;
  const absl::Status status = WriteFileAtomically(dir.Join("missing/file"), "x");
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("missing/file"));
}

TEST(WriteFileAtomically, LeavesAFolderInTheWayUntouched) {
  TempDir dir;
  ASSERT_TRUE(MakeDirectories(dir.Join("target/inside")).ok());
  EXPECT_FALSE(WriteFileAtomically(dir.Join("target"), "x").ok());
  EXPECT_THAT(ListDirectory(dir.path()).value(), ElementsAre("target"));
  EXPECT_THAT(ListDirectory(dir.Join("target")).value(), ElementsAre("inside"));
}

// A filesystem of 64 KiB, if the test may mount one.
class FullDisk : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::mount("tmpfs", dir_.path().c_str(), "tmpfs", 0, "size=64k") != 0) {
      GTEST_SKIP() << "cannot mount a small filesystem here: " << std::strerror(errno);
    }
    mounted_ = true;
  }
  void TearDown() override {
    if (mounted_) ::umount2(dir_.path().c_str(), MNT_DETACH);
  }
  TempDir dir_;
  bool mounted_ = false;
};

TEST_F(FullDisk, KeepsTheOldFileAndSaysResourceExhausted) {
  const std::string path = dir_.Join("file");
  ASSERT_TRUE(WriteFileAtomically(path, "precious").ok());
  const absl::Status status = WriteFileAtomically(path, std::string(1 << 20, 'x'));
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_EQ(ReadFile(path).value(), "precious");
  EXPECT_THAT(ListDirectory(dir_.path()).value(), ElementsAre("file"));
  EXPECT_TRUE(WriteFileAtomically(path, std::string(16 << 10, 'y')).ok())
      << "the failed write must give its space back";
}

TEST(AtomicFile, AppearsOnlyWithCommit) {
  TempDir dir;
  const std::string path = dir.Join("file");
  {
    absl::StatusOr<AtomicFile> file = AtomicFile::Open(path);
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE(file->Append("one ", 4).ok());
    ASSERT_TRUE(file->Append("two", 3).ok());
    EXPECT_FALSE(FileExists(path));
    AtomicFile moved = *std::move(file);
    ASSERT_TRUE(moved.Commit().ok());
  }
  EXPECT_EQ(ReadFile(path).value(), "one two");
}

TEST(AtomicFile, LeavesNothingWhenItIsGivenUp) {
  TempDir dir;
  {
    absl::StatusOr<AtomicFile> file = AtomicFile::Open(dir.Join("file"));
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE(file->Append("half", 4).ok());
  }
  EXPECT_THAT(ListDirectory(dir.path()).value(), IsEmpty());
}

TEST(AtomicFile, TwoWritersOfOneNameDoNotMix) {
  TempDir dir;
  const std::string path = dir.Join("file");
  AtomicFile first = AtomicFile::Open(path).value();
  AtomicFile second = AtomicFile::Open(path).value();
  ASSERT_TRUE(first.Append("aaaa", 4).ok());
  ASSERT_TRUE(second.Append("bb", 2).ok());
  ASSERT_TRUE(first.Commit().ok());
  ASSERT_TRUE(second.Commit().ok());
  EXPECT_EQ(ReadFile(path).value(), "bb");
}

// In a container a process may have the id of one that was killed earlier.
TEST(AtomicFile, WritesBesideWhatAKilledProcessOfItsNumberLeft) {
  TempDir dir;
  const std::string path = dir.Join("file");
  for (int i = 0; i < 100; ++i)
    std::ofstream(absl::StrCat(path, ".tmp-", ::getpid(), "-", i)) << "half";
  ASSERT_EQ(WriteFileAtomically(path, "whole"), absl::OkStatus());
  EXPECT_EQ(*ReadFile(path), "whole");
}

TEST(ReadFile, ReadsLargeAndEmptyFiles) {
  TempDir dir;
  const std::string large(300'000, 'z');
  ASSERT_TRUE(WriteFileAtomically(dir.Join("large"), large).ok());
  ASSERT_TRUE(WriteFileAtomically(dir.Join("empty"), "").ok());
  EXPECT_EQ(ReadFile(dir.Join("large")).value(), large);
  EXPECT_EQ(ReadFile(dir.Join("empty")).value(), "");
  EXPECT_EQ(FileSize(dir.Join("large")).value(), large.size());
}

TEST(ReadFile, SaysWhatIsMissing) {
  TempDir dir;
  const absl::Status status = ReadFile(dir.Join("absent")).status();
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("absent"));
  EXPECT_FALSE(ReadFile(dir.path()).ok()) << "a folder is no file";
  EXPECT_TRUE(absl::IsNotFound(FileSize(dir.Join("absent")).status()));
  EXPECT_TRUE(absl::IsNotFound(ListDirectory(dir.Join("absent")).status()));
}

TEST(MakeDirectories, CreatesParentsAndIsIdempotent) {
  TempDir dir;
  ASSERT_TRUE(MakeDirectories(dir.Join("a/b/c")).ok());
  EXPECT_TRUE(MakeDirectories(dir.Join("a/b/c")).ok());
  EXPECT_TRUE(MakeDirectories(dir.Join("a/b/d/")).ok()) << "a trailing slash is common in flags";
  EXPECT_THAT(ListDirectory(dir.Join("a/b")).value(), ElementsAre("c", "d"));
}

TEST(MakeDirectories, WinsAgainstOneThatRemovesEmptyFolders) {
  TempDir dir;
  std::atomic<bool> stop{false};
  std::atomic<int> removals{0};
  std::thread remover([&] {
    while (!stop) {
      if (removals > 0 && ::rmdir(dir.Join("a").c_str()) == 0) --removals;
    }
  });
  for (int i = 0; i < 100; ++i) {
    removals = 3;
    EXPECT_EQ(MakeDirectories(dir.Join("a/b")), absl::OkStatus());
    ::rmdir(dir.Join("a/b").c_str());
  }
  stop = true;
  remover.join();
}

TEST(MakeDirectories, RefusesAFileInTheWay) {
  TempDir dir;
  ASSERT_TRUE(WriteFileAtomically(dir.Join("a"), "").ok());
  EXPECT_TRUE(absl::IsAlreadyExists(MakeDirectories(dir.Join("a"))));
  EXPECT_FALSE(MakeDirectories(dir.Join("a/b")).ok());
  EXPECT_FALSE(MakeDirectories("").ok());
}

TEST(RemoveFile, IsContentWithAFileThatIsGone) {
  TempDir dir;
  ASSERT_TRUE(WriteFileAtomically(dir.Join("file"), "x").ok());
  EXPECT_TRUE(RemoveFile(dir.Join("file")).ok());
  EXPECT_FALSE(FileExists(dir.Join("file")));
  EXPECT_TRUE(RemoveFile(dir.Join("file")).ok());
  EXPECT_FALSE(RemoveFile(dir.path()).ok()) << "folders are not removed by accident";
}

TEST(IsSafeRelativePath, RefusesEveryWayOutOfTheRoot) {
  for (const char* good :
       {"a", "a/b", "job-1/attempt-2/step-000000010.safetensors", "..a", "a..b/c."}) {
    EXPECT_TRUE(IsSafeRelativePath(good)) << good;
  }
  for (const char* bad :
       {"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/..", "a/./b", "a\\b"}) {
    EXPECT_FALSE(IsSafeRelativePath(bad)) << bad;
  }
  EXPECT_FALSE(IsSafeRelativePath(absl::string_view("a\0b", 3)));
  EXPECT_FALSE(IsSafeRelativePath(std::string(5000, 'a')));
}

TEST(JoinPath, PutsExactlyOneSlashBetween) {
  EXPECT_EQ(JoinPath("a", "b"), "a/b");
  EXPECT_EQ(JoinPath("a/", "b"), "a/b");
  EXPECT_EQ(JoinPath("", "b"), "b");
}

TEST(FileLock, KeepsASecondHolderOutUntilItIsReleased) {
  TempDir dir;
  const std::string path = dir.Join("lock");
  {
    absl::StatusOr<FileLock> first = FileLock::Acquire(path);
    ASSERT_TRUE(first.ok());
    EXPECT_TRUE(absl::IsFailedPrecondition(FileLock::Acquire(path).status()));
    FileLock moved = *std::move(first);
    EXPECT_TRUE(absl::IsFailedPrecondition(FileLock::Acquire(path).status()));
  }
  EXPECT_TRUE(FileLock::Acquire(path).ok());
}

// Whoever opened the file before it was removed must not take its lock for that of the new file.
TEST(FileLock, HasOneHolderAlsoIfHoldersRemoveTheFile) {
  TempDir dir;
  const std::string path = dir.Join("lock");
  std::atomic<int> holders = 0;
  std::atomic<int> most = 0;
  constexpr size_t kThreads = 4;
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (size_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int held = 0; held < 300;) {
        const absl::StatusOr<FileLock> lock = FileLock::Acquire(path);
        if (!lock.ok()) continue;
        ++held;
        const int now = ++holders;
        if (now > most) most = now;
        std::this_thread::yield();
        --holders;
        std::remove(path.c_str());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(most, 1);
}

TEST(ErrnoToStatus, GivesTheCodesOthersDecideBy) {
  EXPECT_TRUE(absl::IsNotFound(ErrnoToStatus(ENOENT, "x")));
  EXPECT_TRUE(absl::IsPermissionDenied(ErrnoToStatus(EACCES, "x")));
  EXPECT_TRUE(absl::IsPermissionDenied(ErrnoToStatus(EROFS, "x")));
  EXPECT_TRUE(absl::IsResourceExhausted(ErrnoToStatus(ENOSPC, "x")));
  EXPECT_TRUE(absl::IsResourceExhausted(ErrnoToStatus(EDQUOT, "x")));
  EXPECT_TRUE(absl::IsAlreadyExists(ErrnoToStatus(EEXIST, "x")));
  EXPECT_TRUE(absl::IsInternal(ErrnoToStatus(EIO, "x")));
}

}  // namespace
}  // namespace coppice
