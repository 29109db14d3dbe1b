#include "common/base/secret_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/files.h"
#include "tests/testing/temp_dir.h"

namespace coppice {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

mode_t ModeOf(const std::string& path) {
  struct stat info = {};
  ::stat(path.c_str(), &info);
  return info.st_mode & 07777;
}

TEST(SecretFile, IsForItsOwnerOnlyWhateverTheUmask) {
  testing::TempDir dir;
  const std::string path = dir.Join("secret");
  const mode_t before = ::umask(0);
  ASSERT_TRUE(CreateSecretFile(path, "hidden").ok());
  ::umask(0777);
  ASSERT_TRUE(ReplaceSecretFile(path, "hidden too").ok());
  ::umask(before);
  EXPECT_EQ(ModeOf(path), 0600u);
  EXPECT_EQ(ReadSecretFile(path).value(), "hidden too");
  EXPECT_THAT(ListDirectory(dir.path()).value(), ElementsAre("secret")) << "nothing else stays";
}

TEST(SecretFile, IsNeverReplacedByCreate) {
  testing::TempDir dir;
  const std::string path = dir.Join("secret");
  ASSERT_TRUE(CreateSecretFile(path, "first").ok());
  EXPECT_TRUE(absl::IsAlreadyExists(CreateSecretFile(path, "second")));
  EXPECT_EQ(ReadSecretFile(path).value(), "first");
  EXPECT_THAT(ListDirectory(dir.path()).value(), ElementsAre("secret"));
  const std::string link = dir.Join("link");
  ASSERT_EQ(::symlink(dir.Join("elsewhere").c_str(), link.c_str()), 0);
  EXPECT_TRUE(absl::IsAlreadyExists(CreateSecretFile(link, "x"))) << "nor written through a link";
  EXPECT_FALSE(FileExists(dir.Join("elsewhere")));
}

TEST(SecretFile, ThatOthersMayReadOrChangeIsRefusedWithTheRemedy) {
  testing::TempDir dir;
  const std::string path = dir.Join("secret");
  ASSERT_TRUE(CreateSecretFile(path, "hidden").ok());
  for (const mode_t bad : {0644, 0604, 0620, 0602, 0666}) {
    ::chmod(path.c_str(), bad);
    const absl::Status status = ReadSecretFile(path).status();
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << bad;
    EXPECT_THAT(std::string(status.message()), HasSubstr("chmod 600 " + path));
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("hidden")));
  }
  for (const mode_t good : {0600, 0400, 0640, 0440}) {
    ::chmod(path.c_str(), good);
    EXPECT_TRUE(ReadSecretFile(path).ok()) << good;
  }
}

TEST(SecretFile, WhatIsNoFileOrTooLargeIsRefused) {
  testing::TempDir dir;
  EXPECT_TRUE(absl::IsNotFound(ReadSecretFile(dir.Join("none")).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(ReadSecretFile(dir.path()).status()));
  ASSERT_EQ(::mkfifo(dir.Join("pipe").c_str(), 0600), 0);
  EXPECT_TRUE(absl::IsInvalidArgument(ReadSecretFile(dir.Join("pipe")).status()))
      << "and it does not wait for a writer";
  ASSERT_TRUE(CreateSecretFile(dir.Join("big"), std::string(kMaxSecretBytes + 1, 'x')).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(ReadSecretFile(dir.Join("big")).status()));
}

}  // namespace
}  // namespace coppice
