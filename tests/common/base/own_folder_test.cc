#include "common/base/own_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "tests/testing/temp_dir.h"

namespace coppice {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

OwnFolderKind Kind() {
  OwnFolderKind kind;
  kind.mark = ".mark";
  kind.what = "a thing's state";
  kind.flag = "--thing-dir";
  kind.version = 3;
  kind.proof = {"lock", "spool/"};
  kind.more = {"widths/"};
  return kind;
}

class OwnFolderTest : public ::testing::Test {
 protected:
  absl::Status Claim(const std::string& name, const OwnFolderKind& kind = Kind()) {
    return ClaimFolder(dir_.Join(name), kind).status();
  }
  void ExpectRefusal(const std::string& name, const std::string& part,
                     const OwnFolderKind& kind = Kind()) {
    const absl::Status status = Claim(name, kind);
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(part), HasSubstr("--thing-dir")));
  }
  void Write(const std::string& name, const std::string& text = "x") {
    fs::create_directories(fs::path(dir_.Join(name)).parent_path());
    std::ofstream(dir_.Join(name)) << text;
  }
  std::string Mark(const std::string& name) {
    return ReadFile(dir_.Join(name + "/.mark")).value_or("");
  }

  testing::TempDir dir_;
};

TEST_F(OwnFolderTest, AMissingAndAnEmptyFolderAreMarkedAndTakenUpAgain) {
  EXPECT_TRUE(Claim("a/b/new").ok());
  EXPECT_EQ(Mark("a/b/new"), "coppice: a thing's state, version 3\n");
  struct stat info;
  ASSERT_EQ(::stat(dir_.Join("a/b/new").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0700u);

  fs::create_directory(dir_.Join("empty"));
  ::chmod(dir_.Join("empty").c_str(), 0777);
  EXPECT_TRUE(Claim("empty").ok());
  Write("empty/anything");
  EXPECT_TRUE(Claim("empty").ok()) << "marked, so it is ours whatever is in it";

  fs::create_directories(dir_.Join("disk/lost+found"));
  EXPECT_TRUE(Claim("disk").ok()) << "a filesystem that was just made";
}

TEST_F(OwnFolderTest, AFolderWithOtherFilesAndNoMarkIsRefusedAndStaysAsItIs) {
  Write("home/thesis.tex");
  Write("home/scratch/data");
  ExpectRefusal("home", "thesis.tex");
  EXPECT_EQ(Mark("home"), "");
  // Only some of our names do not prove that a folder is ours.
  Write("half/spool/x");
  ExpectRefusal("half", "spool");
}

TEST_F(OwnFolderTest, AFolderOfAVersionWithoutMarksIsTakenUpOnlyIfNothingElseIsInIt) {
  Write("old/lock", "");
  Write("old/spool/x");
  Write("old/notes.txt");
  ExpectRefusal("old", "notes.txt");
  fs::remove(dir_.Join("old/notes.txt"));
  fs::create_directory_symlink(dir_.path(), dir_.Join("old/widths"));
  ExpectRefusal("old", "widths");
  fs::remove(dir_.Join("old/widths"));
  fs::create_directory(dir_.Join("old/widths"));
  EXPECT_TRUE(Claim("old").ok());
  EXPECT_NE(Mark("old"), "");
}

TEST_F(OwnFolderTest, WhereOnlySomeNamesAreNeededOthersAreInNobodysWay) {
  OwnFolderKind kind = Kind();
  kind.needs = {"lock", "spool", "worker-#", "out.csv"};
  Write("project/notes.txt");
  EXPECT_TRUE(Claim("project", kind).ok());
  Write("taken/out.csv");
  ExpectRefusal("taken", "out.csv", kind);
  Write("numbered/worker-7");
  ExpectRefusal("numbered", "worker-7", kind);
  Write("old/lock", "");
  Write("old/spool/x");
  Write("old/out.csv");
  Write("old/notes.txt");
  EXPECT_TRUE(Claim("old", kind).ok()) << "the proof says whose out.csv that is";
}

TEST_F(OwnFolderTest, AnotherKindALaterVersionAndALinkedMarkAreRefused) {
  Write("other/.mark", "coppice: a run, version 1\n");
  ExpectRefusal("other", "another kind");
  Write("later/.mark", "coppice: a thing's state, version 4\n");
  ExpectRefusal("later", "later Coppice");
  Write("garbage/.mark", "");
  ExpectRefusal("garbage", "another kind");
  Write("real/.mark", "coppice: a thing's state, version 3\n");
  fs::create_directory(dir_.Join("linked"));
  fs::create_symlink(dir_.Join("real/.mark"), dir_.Join("linked/.mark"));
  ExpectRefusal("linked", "symbolic link");
}

TEST_F(OwnFolderTest, ALinkAndAFolderThatOthersMayWriteToAreRefused) {
  ASSERT_TRUE(Claim("real").ok());
  fs::create_directory_symlink(dir_.Join("real"), dir_.Join("link"));
  ExpectRefusal("link", "symbolic link");
  ExpectRefusal("link/", "symbolic link");
  ::chmod(dir_.Join("real").c_str(), 0770);
  ExpectRefusal("real", "other accounts may write");
}

TEST_F(OwnFolderTest, AFolderBelowAStrangersInAnOpenPlaceIsRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "only the superuser can give a folder away";
  // Like /tmp: everybody may make a folder there, but nobody may remove another's.
  fs::create_directory(dir_.Join("open"));
  ::chmod(dir_.Join("open").c_str(), 01777);
  fs::create_directory(dir_.Join("open/theirs"));
  ::chmod(dir_.Join("open/theirs").c_str(), 0777);
  ASSERT_EQ(::chown(dir_.Join("open/theirs").c_str(), 12345, 12345), 0);
  ExpectRefusal("open/theirs/state", "another account");
  ExpectRefusal("open/theirs", "belongs to another account");
  EXPECT_TRUE(Claim("open/mine").ok());
  // In a folder that others cannot write to, the owner of a parent folder was let in deliberately.
  fs::rename(dir_.Join("open/theirs"), dir_.Join("lab"));
  EXPECT_TRUE(Claim("lab/mine").ok());
}

TEST_F(OwnFolderTest, AFewNamesAreToldOfMany) {
  EXPECT_EQ(SomeNames({}), "");
  EXPECT_EQ(SomeNames({"a", "b"}), "a, b");
  EXPECT_EQ(SomeNames({"1", "2", "3", "4", "5", "6", "7"}), "1, 2, 3, 4, 5 and 2 more");
}

}  // namespace
}  // namespace coppice
