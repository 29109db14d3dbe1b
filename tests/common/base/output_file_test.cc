// Tests of the rules for files that users name: existing files are kept, links stay links, devices
// stay devices.
#include "common/base/output_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <future>

#include "common/base/files.h"
#include "tests/testing/subprocess.h"
#include "tests/testing/temp_dir.h"

namespace coppice {
namespace {

using ::testing::HasSubstr;
using testing::ReadAll;
constexpr auto kKeep = OutputFile::Existing::kKeep;
constexpr auto kReplace = OutputFile::Existing::kReplace;

class OutputFileTest : public ::testing::Test {
 protected:
  std::string Put(const std::string& name, const std::string& content) {
    std::ofstream(dir_.Join(name)) << content;
    return dir_.Join(name);
  }
  mode_t ModeOf(const std::string& path) {
    struct stat info = {};
    EXPECT_EQ(::lstat(path.c_str(), &info), 0) << path;
    return info.st_mode;
  }
  std::vector<std::string> Names() { return ListDirectory(dir_.path()).value(); }

  testing::TempDir dir_;
};

TEST_F(OutputFileTest, ANewFileHasTheModeThatTheUserWants) {
  const mode_t before = ::umask(027);
  const std::string path = dir_.Join("new");
  EXPECT_EQ(WriteOutputFile(path, "content", kKeep), absl::OkStatus());
  ::umask(before);
  EXPECT_EQ(ReadAll(path), "content");
  EXPECT_EQ(ModeOf(path) & 07777, 0640u);
  EXPECT_THAT(Names(), ::testing::ElementsAre("new"));
}

TEST_F(OutputFileTest, WhatIsThereIsKeptUnlessItMayBeReplaced) {
  const std::string path = Put("mine", "precious");
  const absl::Status kept = WriteOutputFile(path, "other", kKeep);
  EXPECT_TRUE(absl::IsAlreadyExists(kept)) << kept;
  EXPECT_THAT(std::string(kept.message()), HasSubstr("--force"));
  EXPECT_EQ(ReadAll(path), "precious");
  EXPECT_EQ(WriteOutputFile(path, "other", kReplace), absl::OkStatus());
  EXPECT_EQ(ReadAll(path), "other");
}

TEST_F(OutputFileTest, AFileThatAppearsMeanwhileIsKeptToo) {
  const std::string path = dir_.Join("race");
  absl::StatusOr<OutputFile> file = OutputFile::Open(path, kKeep);
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE(file->Append("late").ok());
  Put("race", "first");
  EXPECT_TRUE(absl::IsAlreadyExists(file->Commit()));
  EXPECT_EQ(ReadAll(path), "first");
}

TEST_F(OutputFileTest, AReplacedFileKeepsItsMode) {
  const std::string path = Put("mode", "old");
  ASSERT_EQ(::chmod(path.c_str(), 0664), 0);
  ASSERT_EQ(WriteOutputFile(path, "new", kReplace), absl::OkStatus());
  EXPECT_EQ(ModeOf(path) & 07777, 0664u);
  ASSERT_EQ(::chmod(path.c_str(), 0600), 0);
  ASSERT_EQ(WriteOutputFile(path, "newer", kReplace), absl::OkStatus());
  EXPECT_EQ(ModeOf(path) & 07777, 0600u);
}

// Otherwise the program would run as the user who replaced it.
TEST_F(OutputFileTest, AFileThatGetsAnotherOwnerLosesSetUserId) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can act as another user";
  constexpr uid_t kNobody = 65534;
  const std::string path = Put("program", "old");
  ASSERT_EQ(::chown(path.c_str(), 0, kNobody), 0);
  ASSERT_EQ(::chmod(path.c_str(), 04755), 0);
  ASSERT_EQ(::chown(dir_.path().c_str(), kNobody, kNobody), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const bool changed = ::setgroups(0, nullptr) == 0 && ::setgid(kNobody) == 0 &&
                         ::setuid(kNobody) == 0 && WriteOutputFile(path, "new", kReplace).ok();
    ::_exit(changed ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  EXPECT_EQ(ReadAll(path), "new");
  EXPECT_EQ(ModeOf(path) & 07777, 0755u);
}

TEST_F(OutputFileTest, WhatIsGivenUpLeavesTheOldContentAndNothingElse) {
  const std::string path = Put("old", "old");
  {
    absl::StatusOr<OutputFile> file = OutputFile::Open(path, kReplace);
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE(file->Append("half").ok());
  }
  EXPECT_EQ(ReadAll(path), "old");
  EXPECT_THAT(Names(), ::testing::ElementsAre("old"));
}

TEST_F(OutputFileTest, ALinkStaysALinkAndItsTargetIsWritten) {
  std::filesystem::create_directory(dir_.Join("far"));
  const std::string target = Put("far/target", "old");
  std::filesystem::create_symlink("far/target", dir_.Join("near"));
  std::filesystem::create_symlink("near", dir_.Join("link"));
  const std::string link = dir_.Join("link");
  EXPECT_TRUE(absl::IsAlreadyExists(WriteOutputFile(link, "new", kKeep)));
  ASSERT_EQ(WriteOutputFile(link, "new", kReplace), absl::OkStatus());
  EXPECT_TRUE(S_ISLNK(ModeOf(link)));
  EXPECT_TRUE(S_ISREG(ModeOf(target)));
  EXPECT_EQ(ReadAll(target), "new");
}

TEST_F(OutputFileTest, ALinkToNothingMakesItsTarget) {
  std::filesystem::create_symlink("later", dir_.Join("link"));
  ASSERT_EQ(WriteOutputFile(dir_.Join("link"), "x", kKeep), absl::OkStatus());
  EXPECT_TRUE(S_ISLNK(ModeOf(dir_.Join("link"))));
  EXPECT_EQ(ReadAll(dir_.Join("later")), "x");
}

TEST_F(OutputFileTest, LinksInACircleAreRefused) {
  std::filesystem::create_symlink("b", dir_.Join("a"));
  std::filesystem::create_symlink("a", dir_.Join("b"));
  EXPECT_TRUE(absl::IsInvalidArgument(WriteOutputFile(dir_.Join("a"), "x", kReplace)));
}

TEST_F(OutputFileTest, ADeviceIsWrittenThroughAndStaysOne) {
  // A device of our own, if we may make one, so that a mistake does no harm.
  std::string null = dir_.Join("null");
  if (::mknod(null.c_str(), S_IFCHR | 0666, makedev(1, 3)) != 0) null = "/dev/null";
  std::string full = dir_.Join("full");
  if (::mknod(full.c_str(), S_IFCHR | 0666, makedev(1, 7)) != 0) full = "/dev/full";
  for (const auto existing : {kKeep, kReplace}) {
    const absl::Status written = WriteOutputFile(null, "x", existing);
    if (absl::IsPermissionDenied(written)) GTEST_SKIP() << "no device may be opened here";
    EXPECT_EQ(written, absl::OkStatus());
    EXPECT_TRUE(S_ISCHR(ModeOf(null)));
  }
  EXPECT_TRUE(absl::IsResourceExhausted(WriteOutputFile(full, "x", kKeep)));
  EXPECT_TRUE(S_ISCHR(ModeOf(full)));
  EXPECT_EQ(RemoveOutputFile(null), absl::OkStatus());
  EXPECT_TRUE(S_ISCHR(ModeOf(null)));
}

TEST_F(OutputFileTest, APipeGetsTheBytesAndStaysOne) {
  const std::string path = dir_.Join("pipe");
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  auto reader = std::async(std::launch::async, [&] { return ReadAll(path); });
  EXPECT_EQ(WriteOutputFile(path, "through", kKeep), absl::OkStatus());
  EXPECT_EQ(reader.get(), "through");
  EXPECT_TRUE(S_ISFIFO(ModeOf(path)));
}

TEST_F(OutputFileTest, ADescriptorIsWrittenWhereItStands) {
  const std::string path = Put("log", "before ");
  const int fd = ::open(path.c_str(), O_WRONLY | O_APPEND);
  ASSERT_GE(fd, 0);
  EXPECT_EQ(WriteOutputFile("/dev/fd/" + std::to_string(fd), "after", kKeep), absl::OkStatus());
  EXPECT_EQ(::fcntl(fd, F_GETFD) >= 0, true) << "it is the caller's to close";
  ::close(fd);
  EXPECT_EQ(ReadAll(path), "before after");
}

TEST_F(OutputFileTest, WhatIsNoFileIsRefusedWithAWordOnWhatItIs) {
  for (const auto& [path, part] : {std::pair<std::string, std::string>{dir_.path(), "is a folder"},
                                   {dir_.path() + "/", "is a folder"},
                                   {dir_.Join("not-there/"), "is a folder"},
                                   {"", "empty"}}) {
    const absl::Status status = WriteOutputFile(path, "x", kReplace);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(part));
  }
  const absl::Status missing = WriteOutputFile(dir_.Join("no/such/file"), "x", kReplace);
  EXPECT_TRUE(absl::IsNotFound(missing)) << missing;
  EXPECT_THAT(std::string(missing.message()), HasSubstr("no/such/file"));
}

TEST_F(OutputFileTest, RemovingTakesTheFileAndLeavesTheLink) {
  Put("file", "x");
  std::filesystem::create_symlink("file", dir_.Join("link"));
  EXPECT_EQ(RemoveOutputFile(dir_.Join("link")), absl::OkStatus());
  EXPECT_THAT(Names(), ::testing::ElementsAre("link"));
  EXPECT_EQ(RemoveOutputFile(dir_.Join("absent")), absl::OkStatus());
}

}  // namespace
}  // namespace coppice
