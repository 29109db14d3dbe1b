#include "common/base/directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "common/base/files.h"
#include "tests/testing/temp_dir.h"

namespace coppice {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

class DirectoryTest : public ::testing::Test {
 protected:
  DirectoryTest() {
    fs::create_directories(dir_.Join("own/inner"));
    fs::create_directories(dir_.Join("theirs/inner"));
    std::ofstream(dir_.Join("theirs/precious")) << "x";
    std::ofstream(dir_.Join("theirs/inner/precious")) << "x";
  }
  bool PreciousIsThere() {
    return FileExists(dir_.Join("theirs/precious")) &&
           FileExists(dir_.Join("theirs/inner/precious"));
  }
  static std::string Message(const absl::Status& status) { return std::string(status.message()); }

  testing::TempDir dir_;
};

TEST_F(DirectoryTest, NoLinkIsFollowedNeitherToTheFolderNorInIt) {
  fs::create_directory_symlink(dir_.Join("theirs"), dir_.Join("link"));
  for (const char* name : {"link", "link/", "link//"}) {
    const auto folder = Directory::Open(dir_.Join(name));
    EXPECT_TRUE(absl::IsFailedPrecondition(folder.status())) << name;
    EXPECT_THAT(Message(folder.status()), HasSubstr("symbolic link"));
  }
  fs::create_directory_symlink(dir_.Join("theirs"), dir_.Join("own/inner/link"));
  fs::create_symlink(dir_.Join("theirs/precious"), dir_.Join("own/inner/file"));
  const Directory own = Directory::Open(dir_.Join("own")).value();
  const Directory inner = own.OpenFolder("inner").value();
  EXPECT_TRUE(absl::IsFailedPrecondition(inner.OpenFolder("link").status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(inner.MakeFolder("link").status()));
  EXPECT_TRUE(absl::IsNotFound(own.Walk("inner/link/inner").status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(inner.Read("file").status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(inner.RemoveFile("file")));
  EXPECT_FALSE(inner.RemoveFolderIfEmpty("link").value());
  EXPECT_TRUE(PreciousIsThere());
}

TEST_F(DirectoryTest, WhatIsPutInItsPlaceLaterIsNotTouched) {
  std::ofstream(dir_.Join("own/inner/precious")) << "ours";
  const Directory inner = Directory::Open(dir_.Join("own/inner")).value();
  fs::rename(dir_.Join("own"), dir_.Join("moved"));
  fs::create_directory_symlink(dir_.Join("theirs"), dir_.Join("own"));
  EXPECT_TRUE(inner.RemoveFile("precious").ok());
  EXPECT_FALSE(FileExists(dir_.Join("moved/inner/precious")));
  EXPECT_TRUE(PreciousIsThere());
}

TEST_F(DirectoryTest, PathsThatLeaveTheFolderAreRefused) {
  const Directory own = Directory::Open(dir_.Join("own")).value();
  for (const char* path : {"..", "../theirs", "inner/../../theirs", "/", ""}) {
    EXPECT_FALSE(own.Walk(path).ok()) << path;
  }
  EXPECT_TRUE(own.Walk("inner").ok());
}

TEST_F(DirectoryTest, OnlyRegularFilesAreReadAndRemoved) {
  ASSERT_EQ(::mkfifo(dir_.Join("own/pipe").c_str(), 0600), 0);
  const Directory own = Directory::Open(dir_.Join("own")).value();
  EXPECT_TRUE(absl::IsFailedPrecondition(own.Read("pipe").status())) << "and does not wait";
  EXPECT_TRUE(absl::IsFailedPrecondition(own.RemoveFile("pipe")));
  EXPECT_TRUE(absl::IsFailedPrecondition(own.RemoveFile("inner")));
  EXPECT_TRUE(own.RemoveFile("absent").ok());
  EXPECT_TRUE(own.Write("file", "text").ok());
  EXPECT_EQ(own.Read("file").value(), "text");
  EXPECT_TRUE(own.RemoveFile("file").ok());
}

TEST_F(DirectoryTest, AFolderThatOthersMayWriteToIsRefusedWithTheRemedy) {
  const Directory own = Directory::Open(dir_.Join("own")).value();
  EXPECT_TRUE(own.CheckOwned().ok());
  for (const mode_t mode : {0775, 0757, 0777}) {
    ::chmod(dir_.Join("own").c_str(), mode);
    EXPECT_THAT(Message(own.CheckOwned()), AllOf(HasSubstr("chmod -R go-w"), HasSubstr("own")));
  }
  EXPECT_TRUE(own.MakePrivate().value());
  EXPECT_TRUE(own.CheckOwned().ok());
  EXPECT_FALSE(own.MakePrivate().value()) << "nothing was left to take";
}

TEST_F(DirectoryTest, AnotherFilesystemIsNotEntered) {
  // Mounts of the machine itself; at least one is on another filesystem than its parent.
  const Directory root = Directory::Open("/").value();
  const absl::Status entered = root.OpenFolder("proc").status();
  EXPECT_TRUE(absl::IsFailedPrecondition(entered));
  EXPECT_THAT(Message(entered), HasSubstr("another filesystem"));
}

}  // namespace
}  // namespace coppice
