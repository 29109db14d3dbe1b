// The state folders of ended allocations: which ones are removed, and which ones never.
#include "worker/daemon/ended_allocations.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <optional>

#include "absl/strings/str_cat.h"
#include "common/base/file_names.h"
#include "common/base/files.h"
#include "tests/testing/temp_dir.h"
#include "worker/daemon/state_folder.h"

namespace coppice::worker {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);
const std::string kSavedByProgram =
    absl::StrCat("scratch/sweep/7/attempt-1/", kProgramWorkFolder, "/weights");

class EndedAllocationsTest : public ::testing::Test {
 protected:
  EndedAllocationsTest() { fs::create_directory(root_); }

  std::string Path(const std::string& name) { return JoinPath(root_, name); }
  void Write(const std::string& name, const std::string& text = "x") {
    fs::create_directories(fs::path(Path(name)).parent_path());
    std::ofstream(Path(name)) << text;
  }
  // The folder of a worker that has ended, with what workers leave behind.
  void MakeEnded(const std::string& name) {
    ASSERT_TRUE(OpenStateFolder(Path(name)).ok());
    Write(name + "/logs/job-1-attempt-1.log");
    Write(name + "/runs/job-1-attempt-1-and-3.json");
    Write(name + "/runs/job-1-attempt-1.json.tmp-7-0");
    Write(name + "/widths/0a.json");
    Write(name + "/scratch/sweep/7/attempt-1/step-000000020.safetensors");
    Write(JoinPath(name, kSavedByProgram));
    Write(name + "/name-suffix");
  }
  static void SetTime(const std::string& path, absl::Duration age) {
    const timespec time = absl::ToTimespec(kNow - age);
    const timespec times[] = {time, time};
    ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW), 0) << path;
  }
  // Makes the folder and everything in it as old as that.
  void Age(const std::string& name, absl::Duration age = absl::Hours(24 * 8)) {
    for (const auto& entry : fs::recursive_directory_iterator(Path(name))) {
      SetTime(entry.path(), age);
    }
    SetTime(Path(name), age);
  }
  void Remove() {
    RemoveEndedAllocations(root_, kNow, [] { return false; });
  }
  std::vector<std::string> Left() { return *ListDirectory(root_); }

  testing::TempDir dir_;
  const std::string root_ = dir_.Join("root");
};

TEST_F(EndedAllocationsTest, AFolderThatIsOldAndAllOursGoesWithEverythingInIt) {
  for (const char* name : {"hpc-2-123-3", "hpc-2-123-3.2", "slurm-120_4-0", "slurm-120_4-0.11"}) {
    MakeEnded(name);
    Age(name);
  }
  Remove();
  EXPECT_THAT(Left(), IsEmpty());
}

TEST_F(EndedAllocationsTest, AnythingThatChangedInTheLastWeekKeepsTheFolder) {
  for (const char* part :
       {"", "lock", "spool", "logs/job-1-attempt-1.log", "runs", "name-suffix"}) {
    MakeEnded("hpc-1-0");
    Age("hpc-1-0");
    SetTime(Path(JoinPath("hpc-1-0", part)), absl::Hours(24 * 6));
    Remove();
    EXPECT_TRUE(FileExists(Path("hpc-1-0/logs/job-1-attempt-1.log"))) << part;
  }
}

TEST_F(EndedAllocationsTest, ALockThatIsHeldKeepsTheFolder) {
  MakeEnded("hpc-1-0");
  {
    const auto held = OpenStateFolder(Path("hpc-1-0"));
    ASSERT_TRUE(held.ok());
    Age("hpc-1-0");
    Remove();
    EXPECT_TRUE(FileExists(Path("hpc-1-0/logs/job-1-attempt-1.log")));
  }
  Remove();
  EXPECT_THAT(Left(), IsEmpty());
}

TEST_F(EndedAllocationsTest, UnsentRecordsKeepTheFolderForEver) {
  MakeEnded("hpc-1-0");
  Write("hpc-1-0/spool/00000000000000000001-0000000001.spool");
  Age("hpc-1-0", absl::Hours(24 * 365));
  Remove();
  EXPECT_TRUE(FileExists(Path("hpc-1-0/spool/00000000000000000001-0000000001.spool")));
  EXPECT_TRUE(FileExists(Path("hpc-1-0/logs/job-1-attempt-1.log")));
}

// Nothing at all is removed from a folder with one file of somebody else.
TEST_F(EndedAllocationsTest, AForeignFileKeepsTheFolder) {
  for (const char* file :
       {"thesis.tex", "logs/mail.log", "runs/run.json", "spool/letters.txt", "widths/notes",
        "scratch/data.bin", "scratch/sweep/7/attempt-1/model.pt", "more/file"}) {
    MakeEnded("hpc-1-0");
    Write(JoinPath("hpc-1-0", file), "mine");
    Age("hpc-1-0");
    Remove();
    EXPECT_EQ(*ReadFile(Path(JoinPath("hpc-1-0", file))), "mine") << file;
    EXPECT_TRUE(FileExists(Path(JoinPath("hpc-1-0", kSavedByProgram)))) << file;
    EXPECT_TRUE(FileExists(Path("hpc-1-0/logs/job-1-attempt-1.log"))) << file;
    fs::remove_all(Path("hpc-1-0"));
  }
}

TEST_F(EndedAllocationsTest, FoldersWithoutTheMarkOrWithAnotherNameStay) {
  MakeEnded("hpc-1-0");
  fs::remove(Path("hpc-1-0/.coppice-worker"));
  MakeEnded("hpc-2-0");
  Write("hpc-2-0/.coppice-worker", "coppice: a worker's state, version 99\n");
  MakeEnded("hpc-3-0");
  Write("hpc-3-0/.coppice-worker", "coppice: a store, version 1\n");
  const std::vector<std::string> names = {"-1-0",   "hpc-1",     "hpc-1-0.x",  "hpc-1-0-",
                                          "widths", "worker-n1", "hpc-1_2_3-0"};
  for (const std::string& name : names) MakeEnded(name);
  for (const std::string& name : Left()) Age(name);
  Remove();
  EXPECT_THAT(Left(), SizeIs(3 + names.size()));
}

TEST_F(EndedAllocationsTest, NoLinkIsFollowed) {
  Write("../theirs/job-1-attempt-1.log", "mine");
  MakeEnded("hpc-1-0");
  fs::remove_all(Path("hpc-1-0/logs"));
  fs::create_directory_symlink(dir_.Join("theirs"), Path("hpc-1-0/logs"));
  MakeEnded("hpc-2-0");
  fs::remove(Path("hpc-2-0/lock"));
  fs::create_symlink(dir_.Join("theirs/job-1-attempt-1.log"), Path("hpc-2-0/lock"));
  MakeEnded("elsewhere");
  fs::create_directory_symlink(Path("elsewhere"), Path("hpc-3-0"));
  MakeEnded("hpc-4-0");
  fs::remove_all(Path("hpc-4-0/scratch/sweep"));
  fs::create_directory_symlink(dir_.Join("theirs"), Path("hpc-4-0/scratch/sweep"));
  for (const char* name : {"hpc-1-0", "hpc-2-0", "elsewhere", "hpc-4-0"}) Age(name);
  SetTime(Path("hpc-3-0"), absl::Hours(24 * 8));
  Remove();
  EXPECT_THAT(Left(), ElementsAre("elsewhere", "hpc-1-0", "hpc-2-0", "hpc-3-0", "hpc-4-0"));
  EXPECT_EQ(*ReadFile(dir_.Join("theirs/job-1-attempt-1.log")), "mine");
  EXPECT_TRUE(FileExists(Path("elsewhere/logs/job-1-attempt-1.log")));
}

TEST_F(EndedAllocationsTest, AFolderThatOthersMayWriteToStays) {
  MakeEnded("hpc-1-0");
  Age("hpc-1-0");
  fs::permissions(Path("hpc-1-0"), fs::perms::all);
  Remove();
  EXPECT_THAT(Left(), ElementsAre("hpc-1-0"));
  fs::permissions(Path("hpc-1-0"), fs::perms::owner_all);
  fs::permissions(root_, fs::perms::all);
  Remove();
  EXPECT_THAT(Left(), ElementsAre("hpc-1-0"));
}

TEST_F(EndedAllocationsTest, OneStartRemovesTwentyAndEndsWhenAsked) {
  for (int i = 0; i < 30; ++i) {
    const std::string name = absl::StrCat("hpc-", i, "-0");
    ASSERT_TRUE(OpenStateFolder(Path(name)).ok());
    Age(name);
  }
  int asked = 0;
  RemoveEndedAllocations(root_, kNow, [&asked] { return ++asked > 3; });
  EXPECT_THAT(Left(), SizeIs(27));
  Remove();
  EXPECT_THAT(Left(), SizeIs(7));
  Remove();
  EXPECT_THAT(Left(), IsEmpty());
}

// A crash in the middle leaves a folder that a worker takes up, and that a later start removes.
TEST_F(EndedAllocationsTest, AFolderThatIsHalfRemovedIsStillOurs) {
  MakeEnded("hpc-1-0");
  for (const char* name : {"spool", "runs", "logs", "scratch"})
    fs::remove_all(Path(JoinPath("hpc-1-0", name)));
  Age("hpc-1-0");
  Remove();
  EXPECT_THAT(Left(), IsEmpty());
  MakeEnded("hpc-1-0");
  fs::remove(Path("hpc-1-0/lock"));
  EXPECT_TRUE(OpenStateFolder(Path("hpc-1-0")).ok());
}

}  // namespace
}  // namespace coppice::worker
