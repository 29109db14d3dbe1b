#include "common/base/user_folders.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <optional>
#include <string>

#include "common/base/files.h"
#include "tests/testing/temp_dir.h"

namespace coppice {
namespace {

using ::testing::HasSubstr;

// Sets an environment variable for a test and restores it afterwards.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    Set(value);
  }
  ~Variable() { Set(before_.has_value() ? before_->c_str() : nullptr); }

 private:
  void Set(const char* value) {
    if (value == nullptr) {
      ::unsetenv(name_);
    } else {
      ::setenv(name_, value, 1);
    }
  }
  const char* const name_;
  std::optional<std::string> before_;
};

mode_t ModeOf(const std::string& path) {
  struct stat info = {};
  ::stat(path.c_str(), &info);
  return info.st_mode & 07777;
}

TEST(UserFoldersTest, FollowTheBaseDirectoriesAndElseTheHome) {
  const Variable home("HOME", "/homes/ada");
  {
    const Variable state("XDG_STATE_HOME", "/big/state/");
    const Variable config("XDG_CONFIG_HOME", "/big/config");
    EXPECT_EQ(StateHome().value(), "/big/state/coppice");
    EXPECT_EQ(ConfigHome().value(), "/big/config/coppice");
  }
  const Variable state("XDG_STATE_HOME", nullptr);
  const Variable config("XDG_CONFIG_HOME", "");
  EXPECT_EQ(StateHome().value(), "/homes/ada/.local/state/coppice");
  EXPECT_EQ(ConfigHome().value(), "/homes/ada/.config/coppice");
}

TEST(UserFoldersTest, AreTheAccountsWhereHomeIsNotSet) {
  const Variable home("HOME", nullptr);
  const Variable state("XDG_STATE_HOME", nullptr);
  const auto folder = StateHome();
  // An account without an entry has no home. Then the message says what to do.
  if (folder.ok()) {
    EXPECT_EQ(folder->front(), '/');
    EXPECT_THAT(*folder, HasSubstr("/.local/state/coppice"));
  } else {
    EXPECT_THAT(folder.status().ToString(), HasSubstr("set HOME"));
  }
}

TEST(UserFoldersTest, ARelativePathIsRefusedAndNotTakenFromWhereTheProgramStands) {
  const Variable home("HOME", "/homes/ada");
  {
    const Variable state("XDG_STATE_HOME", "state");
    const auto folder = StateHome();
    EXPECT_TRUE(absl::IsFailedPrecondition(folder.status()));
    EXPECT_THAT(folder.status().ToString(), HasSubstr("XDG_STATE_HOME"));
  }
  const Variable state("XDG_STATE_HOME", nullptr);
  const Variable relative("HOME", "ada");
  EXPECT_TRUE(absl::IsFailedPrecondition(StateHome().status()));
}

TEST(UserFoldersTest, TemporaryFilesGoWhereTmpdirSays) {
  {
    const Variable chosen("TMPDIR", "/big/tmp");
    EXPECT_EQ(TemporaryFolder(), "/big/tmp");
  }
  const Variable empty("TMPDIR", "");
  EXPECT_EQ(TemporaryFolder(), "/tmp");
}

TEST(UserFoldersTest, WhatIsMadeIsForItsOwnerAloneAndWhatWasThereStays) {
  const testing::TempDir dir;
  const mode_t before = ::umask(0);
  ASSERT_TRUE(MakeDirectories(dir.Join("there")).ok());
  ::chmod(dir.Join("there").c_str(), 0755);
  const absl::Status made = MakePrivateDirectories(dir.Join("there/a/b/"));
  ::umask(before);
  ASSERT_TRUE(made.ok()) << made;
  EXPECT_EQ(ModeOf(dir.Join("there")), 0755u);
  EXPECT_EQ(ModeOf(dir.Join("there/a")), 0700u);
  EXPECT_EQ(ModeOf(dir.Join("there/a/b")), 0700u);
  EXPECT_TRUE(MakePrivateDirectories(dir.Join("there/a/b")).ok());

  ASSERT_TRUE(WriteFileAtomically(dir.Join("file"), "").ok());
  EXPECT_TRUE(absl::IsAlreadyExists(MakePrivateDirectories(dir.Join("file"))));
}

}  // namespace
}  // namespace coppice
