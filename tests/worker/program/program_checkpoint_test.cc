// What a program has saved becomes a durable checkpoint, or is refused with its reason.
#include "worker/program/program_checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "common/base/digest.h"
#include "common/base/file_names.h"
#include "common/base/files.h"
#include "tests/testing/temp_dir.h"

namespace coppice::worker {
namespace {

using ::testing::HasSubstr;

class ProgramCheckpointTest : public ::testing::Test {
 protected:
  ProgramCheckpointTest() : attempt_(dir_.Join("attempt-1")), work_(*MakeWorkFolder(attempt_)) {}

  void Write(const std::string& name, const std::string& content) {
    const std::filesystem::path path = work_ + "/" + name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << content;
  }
  std::string Refusal(const std::string& path) {
    const auto taken = TakeCheckpoint(attempt_, path, 7);
    EXPECT_TRUE(absl::IsInvalidArgument(taken.status())) << path << ": " << taken.status();
    return std::string(taken.status().message());
  }

  testing::TempDir dir_;
  const std::string attempt_;
  const std::string work_;
};

TEST_F(ProgramCheckpointTest, AFileIsTakenOutOfTheProgramsReachAndKeepsItsSuffix) {
  Write("sub/model.pt", "weights");
  const auto taken = TakeCheckpoint(attempt_, "sub/model.pt", 1000);
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_EQ(taken->file, "step-000001000.file.pt");
  EXPECT_EQ(taken->bytes, 7u);
  EXPECT_EQ(taken->digest, *DigestOfFile(attempt_ + "/" + taken->file));
  EXPECT_FALSE(FileExists(work_ + "/sub/model.pt"));
  // A program that always saves to one name does not overwrite what was taken.
  Write("sub/model.pt", "better");
  ASSERT_TRUE(TakeCheckpoint(attempt_, "sub/model.pt", 2000).ok());
  EXPECT_EQ(*ReadFile(attempt_ + "/step-000001000.file.pt"), "weights");
  EXPECT_EQ(*UnpackCheckpoint(attempt_ + "/" + taken->file, dir_.Join("attempt-2"), 1000),
            attempt_ + "/step-000001000.file.pt")
      << "a file is given as it is";
}

TEST_F(ProgramCheckpointTest, AFolderIsPackedRemovedAndUnpackedForTheNextAttempt) {
  Write("saved/weights", "w");
  Write("saved/optimizer/state", "o");
  const auto taken = TakeCheckpoint(attempt_, "saved", 20);
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_EQ(taken->file, "step-000000020.tar");
  EXPECT_EQ(taken->digest, *DigestOfFile(attempt_ + "/" + taken->file));
  EXPECT_FALSE(FileExists(work_ + "/saved"));
  const auto resume = UnpackCheckpoint(attempt_ + "/" + taken->file, dir_.Join("attempt-2"), 20);
  ASSERT_TRUE(resume.ok()) << resume.status();
  EXPECT_THAT(*resume, HasSubstr(dir_.Join("attempt-2/work/")));
  EXPECT_EQ(*ReadFile(*resume + "/weights"), "w");
  EXPECT_EQ(*ReadFile(*resume + "/optimizer/state"), "o");
}

TEST_F(ProgramCheckpointTest, EveryNameIsOneThatRetentionMayRemove) {
  for (const char* name : {"m", "m.pt", "m.tar", "a.b.c", ".hidden", "m.has space", "m.",
                           "m.averyveryverylongsuffix"}) {
    Write(name, "x");
    const auto taken = TakeCheckpoint(attempt_, name, 3);
    ASSERT_TRUE(taken.ok()) << taken.status();
    EXPECT_TRUE(IsCheckpointFileName(taken->file)) << taken->file;
    EXPECT_FALSE(IsCheckpointArchiveName(taken->file)) << taken->file;
  }
}

TEST_F(ProgramCheckpointTest, WhatIsNoCheckpointIsRefusedWithItsReason) {
  Write("file", "x");
  Write("empty", "");
  ASSERT_EQ(::symlink("/etc/passwd", (work_ + "/link").c_str()), 0);
  ASSERT_EQ(::symlink("/etc", (work_ + "/linked").c_str()), 0);
  ASSERT_EQ(::mkfifo((work_ + "/pipe").c_str(), 0600), 0);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const std::string path = work_ + "/socket";
  ASSERT_LT(path.size(), sizeof(address.sun_path));
  std::memcpy(address.sun_path, path.c_str(), path.size());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_THAT(Refusal("nothing"), HasSubstr("is not there"));
  EXPECT_THAT(Refusal("no/folder"), HasSubstr("is not there"));
  EXPECT_THAT(Refusal("empty"), HasSubstr("is empty"));
  EXPECT_THAT(Refusal("link"), HasSubstr("symbolic link"));
  EXPECT_THAT(Refusal("linked/passwd"), HasSubstr("symbolic link"));
  EXPECT_THAT(Refusal("pipe"), HasSubstr("neither a file nor a folder"));
  EXPECT_THAT(Refusal("socket"), HasSubstr("neither a file nor a folder"));
  EXPECT_THAT(Refusal("file/deeper"), HasSubstr("is no folder"));
  for (const char* outside : {"../step-1", "/etc/passwd", "a/../../b", "", "."}) {
    EXPECT_THAT(Refusal(outside), HasSubstr("not below its checkpoint_dir")) << outside;
  }
  ::close(fd);
}

TEST_F(ProgramCheckpointTest, TheWorkFolderGoesWithAllThatIsInItAndLinksAreNotFollowed) {
  std::ofstream(dir_.Join("precious")) << "x";
  Write("deep/er/file", "x");
  ASSERT_EQ(::symlink(dir_.path().c_str(), (work_ + "/deep/up").c_str()), 0);
  ASSERT_EQ(::mkfifo((work_ + "/pipe").c_str(), 0600), 0);
  std::ofstream(attempt_ + "/step-000000001.file") << "kept";
  ASSERT_EQ(RemoveWorkFolder(attempt_), absl::OkStatus());
  EXPECT_FALSE(FileExists(work_));
  EXPECT_TRUE(FileExists(dir_.Join("precious")));
  EXPECT_TRUE(FileExists(attempt_ + "/step-000000001.file"));
  EXPECT_EQ(RemoveWorkFolder(attempt_), absl::OkStatus());
}

}  // namespace
}  // namespace coppice::worker
