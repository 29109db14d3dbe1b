// Files that a worker removes at its start, and files that it never touches.
#include "worker/daemon/state_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/ids.h"
#include "tests/testing/temp_dir.h"
#include "worker/daemon/scratch.h"

namespace coppice::worker {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

class StateFolderTest : public ::testing::Test {
 protected:
  std::string State(const std::string& name = "") { return JoinPath(dir_.Join("state"), name); }
  void Write(const std::string& path, const std::string& text = "x") {
    fs::create_directories(fs::path(path).parent_path());
    std::ofstream(path) << text;
  }
  // Creates the folder of an earlier version that marked no folders.
  void MakeFormer() {
    for (const char* folder : {"spool", "runs", "logs", "scratch", "widths"}) {
      fs::create_directories(State(folder));
    }
    Write(State("lock"), "");
    Write(State("name-suffix"), "ab12");
  }
  void Clean(const StateFolder& state, const std::set<std::string>& keep = {}) {
    RemoveOldFiles(state);
    EXPECT_TRUE(CleanScratch(*state.scratch, keep).ok());
  }
  void ExpectRefusal(const std::string& part) {
    const auto state = OpenStateFolder(State());
    EXPECT_TRUE(absl::IsFailedPrecondition(state.status())) << state.status();
    EXPECT_THAT(std::string(state.status().message()),
                AllOf(HasSubstr(part), HasSubstr("--state-dir")));
  }

  testing::TempDir dir_;
};

TEST_F(StateFolderTest, AFolderWithSomebodysFilesIsRefusedAndNothingInItChanges) {
  for (const char* file :
       {"scratch/data.bin", "logs/mail.log", "runs/1/attempt-2/step-3", "notes"}) {
    Write(State(file));
  }
  ExpectRefusal("notes");
  for (const char* file :
       {"scratch/data.bin", "logs/mail.log", "runs/1/attempt-2/step-3", "notes"}) {
    EXPECT_TRUE(FileExists(State(file))) << file;
  }
  EXPECT_FALSE(FileExists(State("lock")));
  EXPECT_FALSE(FileExists(State("spool")));
}

TEST_F(StateFolderTest, NoneOfItsFoldersMayBeALink) {
  Write(dir_.Join("theirs/sweep/7/attempt-1/step-000000020.safetensors"));
  Write(dir_.Join("theirs/job-1-attempt-1.log"));
  for (const char* folder : {"spool", "runs", "logs", "scratch", "widths"}) {
    MakeFormer();
    fs::remove(State(folder));
    fs::create_directory_symlink(dir_.Join("theirs"), State(folder));
    ExpectRefusal(folder);
    // The same if the folder already has its mark.
    fs::remove(State(folder));
    MakeFormer();
    { ASSERT_TRUE(OpenStateFolder(State()).ok()); }
    fs::remove(State(folder));
    fs::create_directory_symlink(dir_.Join("theirs"), State(folder));
    const absl::Status status = OpenStateFolder(State()).status();
    EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(folder), HasSubstr("link")));
    fs::remove_all(State());
  }
  EXPECT_TRUE(FileExists(dir_.Join("theirs/sweep/7/attempt-1/step-000000020.safetensors")));
  EXPECT_TRUE(FileExists(dir_.Join("theirs/job-1-attempt-1.log")));
}

TEST_F(StateFolderTest, AFormerVersionsFolderIsTakenUp) {
  MakeFormer();
  Write(State("spool/00000000000000000001-0000000001.spool"));
  const auto state = OpenStateFolder(State());
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_TRUE(FileExists(State(".coppice-worker")));
  EXPECT_TRUE(FileExists(State("spool/00000000000000000001-0000000001.spool")));
}

TEST_F(StateFolderTest, OnlyCheckpointsInAttemptsFoldersAreRemovedFromScratch) {
  const StateFolder state = OpenStateFolder(State()).value();
  const std::vector<std::string> ours = {"sweep/7/attempt-1/step-000000020.safetensors",
                                         "sweep/7/attempt-2/step-000000030.safetensors",
                                         "sweep/8/attempt-1/step-000000020.safetensors.tmp-12-0",
                                         "sweep/8/attempt-1/resume-attempt-0-step-10.safetensors"};
  const std::vector<std::string> theirs = {"step-000000020.safetensors",
                                           "sweep/7/step-000000020.safetensors",
                                           "sweep/7/attempt-1/model.pt",
                                           "sweep/7/attempt-1/deeper/step-000000020.safetensors",
                                           "data/train.txt",
                                           "a/b/c/attempt-1/step-000000020.safetensors"};
  for (const auto& files : {ours, theirs}) {
    for (const std::string& file : files) Write(JoinPath(State("scratch"), file));
  }
  Write(dir_.Join("outside/step-1"));
  fs::create_directory_symlink(dir_.Join("outside"), State("scratch/sweep/7/attempt-9"));
  Clean(state, {"sweep/7/attempt-2"});
  for (const std::string& file : theirs) {
    EXPECT_TRUE(FileExists(JoinPath(State("scratch"), file))) << file;
  }
  EXPECT_TRUE(FileExists(JoinPath(State("scratch"), ours[1]))) << "it still has to be uploaded";
  for (const size_t i : {0, 2, 3}) {
    EXPECT_FALSE(FileExists(JoinPath(State("scratch"), ours[i]))) << ours[i];
  }
  EXPECT_FALSE(FileExists(State("scratch/sweep/8"))) << "empty folders go";
  EXPECT_TRUE(FileExists(dir_.Join("outside/step-1")));
}

TEST_F(StateFolderTest, TheEndOfAnAttemptRemovesItsCheckpointsAndNothingThroughALink) {
  const StateFolder state = OpenStateFolder(State()).value();
  Write(State("scratch/s/7/attempt-1/step-000000020.safetensors"));
  Write(State("scratch/s/7/attempt-2/step-000000020.safetensors"));
  Write(State("scratch/s/7/attempt-2/notes"));
  EXPECT_TRUE(RemoveScratch(*state.scratch, "s/7/attempt-1").ok());
  EXPECT_TRUE(RemoveScratch(*state.scratch, "s/7/attempt-2").ok());
  EXPECT_TRUE(RemoveScratch(*state.scratch, "s/7/attempt-3").ok()) << "there is none";
  EXPECT_FALSE(FileExists(State("scratch/s/7/attempt-1")));
  EXPECT_FALSE(FileExists(State("scratch/s/7/attempt-2/step-000000020.safetensors")));
  EXPECT_TRUE(FileExists(State("scratch/s/7/attempt-2/notes")));

  Write(dir_.Join("outside/attempt-1/step-000000020.safetensors"));
  fs::create_directory_symlink(dir_.Join("outside"), State("scratch/s/8"));
  EXPECT_TRUE(RemoveScratch(*state.scratch, "s/8/attempt-1").ok());
  EXPECT_TRUE(RemoveScratchFile(*state.scratch, "s/8/attempt-1/step-000000020.safetensors").ok());
  EXPECT_FALSE(RemoveScratch(*state.scratch, "../../outside/attempt-1").ok());
  EXPECT_TRUE(FileExists(dir_.Join("outside/attempt-1/step-000000020.safetensors")));
}

TEST_F(StateFolderTest, OfLogsAndSpecsOnlyThoseWithAWorkersNamesAreThinnedOut) {
  const StateFolder state = OpenStateFolder(State()).value();
  constexpr int kMany = 510;
  for (int i = 0; i < kMany; ++i) Write(State(absl::StrCat("logs/job-", i + 1, "-attempt-1.log")));
  for (int i = 0; i < kMany; ++i) Write(State(absl::StrCat("logs/diary-", i, ".log")));
  fs::create_symlink(State("logs/diary-1.log"), State("logs/job-9999-attempt-1.log"));
  Write(State("runs/measure-3.json.tmp-77-0"), "half");
  Write(State("runs/settings.json"));
  Clean(state);
  int logs = 0, diaries = 0;
  for (const auto& entry : fs::directory_iterator(State("logs"))) {
    const std::string name = entry.path().filename();
    if (entry.is_symlink()) continue;
    name.starts_with("job-") ? ++logs : ++diaries;
  }
  EXPECT_EQ(logs, 500);
  EXPECT_EQ(diaries, kMany);
  EXPECT_FALSE(FileExists(State("runs/measure-3.json.tmp-77-0")));
  EXPECT_TRUE(FileExists(State("runs/settings.json")));
}

TEST_F(StateFolderTest, NothingIsRemovedByAWorkerThatDoesNotHoldTheLock) {
  const StateFolder first = OpenStateFolder(State()).value();
  const absl::Status second = OpenStateFolder(State()).status();
  EXPECT_TRUE(absl::IsUnavailable(second)) << second;
  EXPECT_THAT(std::string(second.message()),
              AllOf(HasSubstr("another worker"), HasSubstr("--state-dir")));
}

TEST_F(StateFolderTest, ByDefaultItIsTheUsersOwnAndOneForEachHost) {
  ::setenv("XDG_STATE_HOME", dir_.Join("home").c_str(), 1);
  EXPECT_EQ(DefaultStateFolder().value(),
            absl::StrCat(dir_.Join("home"), "/coppice/worker-", HostName()));
  ::unsetenv("XDG_STATE_HOME");
}

}  // namespace
}  // namespace coppice::worker
