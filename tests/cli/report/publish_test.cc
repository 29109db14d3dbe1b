// Places that `coppice report` writes to, and the files that it leaves if it fails, is stopped or
// is killed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "cli/report/staging.h"
#include "tests/cli/report/publish_fixture.h"
#include "tests/testing/subprocess.h"

namespace coppice::cli {
namespace {

namespace fs = std::filesystem;
using ::coppice::testing::ReadAll;
using ::coppice::testing::Subprocess;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Key;
using ::testing::Not;
using ::testing::StartsWith;

TEST_F(PublishTest, AFolderThatIsThereStaysTheSameFolder) {
  const std::string dir = dir_.Join("here");
  fs::create_directory(dir);
  fs::permissions(dir, fs::perms::owner_all);
  struct stat before, after;
  ASSERT_EQ(::stat(dir.c_str(), &before), 0);
  const fs::path working = fs::current_path();
  fs::current_path(dir);
  Good(".");
  EXPECT_TRUE(fs::exists("index.html")) << "the working folder was replaced";
  fs::current_path(working);
  ASSERT_EQ(::stat(dir.c_str(), &after), 0);
  EXPECT_EQ(before.st_ino, after.st_ino);
  EXPECT_EQ(before.st_mode, after.st_mode);
  EXPECT_THAT(Stagings(dir), IsEmpty());
}

TEST_F(PublishTest, FilesAreMadeInsideAFolderThatIsThere) {
  // The parent may be on another file system, or closed to the user.
  const std::string dir = dir_.Join("here");
  fs::create_directory(dir);
  const std::string where = dir_.Join("where");
  const CliResult result = Run(dir, Script(absl::StrCat("pwd > ", where, "\nexec gnuplot \"$@\"")));
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(ReadAll(where), StartsWith(fs::canonical(dir).string() + "/"));
}

TEST_F(PublishTest, ANewFolderHasTheModeOfAnyOther) {
  const mode_t mask = ::umask(002);
  Good(dir_.Join("new/report"));
  ::umask(mask);
  struct stat info;
  for (const char* name : {"new/report", "new/report/figures"}) {
    ASSERT_EQ(::stat(dir_.Join(name).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0775u) << name;
  }
  EXPECT_THAT(Stagings(dir_.Join("new")), IsEmpty());
}

TEST_F(PublishTest, ARunThatFailsLeavesNothing) {
  const std::string bad = Script("exit 3\n");
  fs::create_directory(dir_.Join("empty"));
  EXPECT_EQ(Run(dir_.Join("empty"), bad).code, 1);
  EXPECT_THAT(Tree(dir_.Join("empty")), IsEmpty());
  EXPECT_EQ(Run(dir_.Join("new/parent/report"), bad).code, 1);
  EXPECT_FALSE(fs::exists(dir_.Join("new")));
}

TEST_F(PublishTest, ARunThatFailsWhenItPublishesTakesAllBack) {
  const std::string dir = dir_.Join("report");
  Good(dir);
  // This path is reached after the figures.
  fs::remove(dir + "/summary.csv");
  fs::create_directory(dir + "/summary.csv");
  fs::remove_all(dir + "/figures");
  std::ofstream(dir + "/jobs.csv") << "old";
  const auto before = Tree(dir);
  CliResult result = Run(dir);
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, HasSubstr("summary.csv is a folder"));
  EXPECT_EQ(Tree(dir), before);

  fs::remove(dir + "/summary.csv");
  fs::create_directories(dir + "/figures/share-above-80.pdf");
  std::ofstream(dir + "/figures/grokking.svg") << "old";
  std::ofstream(dir + "/figures/dynamics-tense.svg") << "stale";
  const auto with_figures = Tree(dir);
  EXPECT_EQ(Run(dir).code, 1);
  EXPECT_EQ(Tree(dir), with_figures);
}

TEST_F(PublishTest, OnlyAnEarlierReportsFiguresAreRemoved) {
  const std::string dir = dir_.Join("report");
  Good(dir);
  const std::vector<std::string> mine = {"grokking.png", "dynamics-talk.svg", "mine.svg",
                                         "onset.svg.bak"};
  for (const std::string& name : mine) std::ofstream(dir + "/figures/" + name) << "mine";
  fs::create_directory(dir + "/figures/dynamics-old");
  fs::create_directory(dir + "/figures/dynamics-tense.pdf");
  for (const char* name : {"dynamics-dyck.svg", "dynamics-dyck.gp"})
    std::ofstream(dir + "/figures/" + name) << "stale";
  Good(dir);
  const auto tree = Tree(dir + "/figures");
  for (const std::string& name : mine) EXPECT_EQ(tree.at(name), "mine");
  EXPECT_EQ(tree.at("dynamics-old"), "/");
  EXPECT_EQ(tree.at("dynamics-tense.pdf"), "/");
  EXPECT_THAT(tree, Each(Key(Not(StartsWith("dynamics-dyck")))));
}

TEST_F(PublishTest, FiguresThatAreALinkToAnotherFolderAreNotWrittenInto) {
  const std::string dir = dir_.Join("report");
  Good(dir);
  const std::string other = dir_.Join("other");
  fs::rename(dir + "/figures", other);
  std::ofstream(other + "/dynamics-dyck.svg") << "mine";  // the name of a report's figure
  fs::create_directory_symlink(other, dir + "/figures");
  const auto before = Tree(other);
  const CliResult refused = Run(dir);
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err, ::testing::HasSubstr("figures is no folder"));
  EXPECT_EQ(Tree(other), before);
}

// ---- stopped and killed reports, in a process of their own

class StoppedReportTest : public PublishTest {
 protected:
  // Starts a report whose gnuplot waits for the file "go", and returns once it waits.
  std::unique_ptr<Subprocess> Start(const std::string& dir) {
    const std::string waits = Script(absl::StrCat(
        ": > ", dir_.Join("bin/waits"), "; n=0; while [ ! -e ", dir_.Join("bin/go"),
        " ] && [ $n -lt 600 ]; do sleep 0.1; n=$((n+1)); done\nexec gnuplot \"$@\"\n"));
    fs::remove(dir_.Join("bin/waits"));
    std::vector<std::string> command = coordinator_.AccessFlags(dir_.path());
    command.insert(command.begin(), COPPICE_CLI);
    command.insert(command.end(), {"report", "-o", dir, "--gnuplot", waits});
    auto run = std::make_unique<Subprocess>(command);
    Await(dir_.Join("bin"), "waits");
    return run;
  }
  static void Await(const std::string& folder, const std::string& name) {
    const int fd = ::inotify_init1(IN_CLOEXEC);
    ASSERT_GE(::inotify_add_watch(fd, folder.c_str(), IN_CREATE), 0);
    while (!fs::exists(folder + "/" + name)) {
      pollfd waiting = {fd, POLLIN, 0};
      ASSERT_EQ(::poll(&waiting, 1, 30'000), 1) << "the figures were not begun";
      char events[4096];
      ASSERT_GT(::read(fd, events, sizeof(events)), 0);
    }
    ::close(fd);
  }
  void Go() { std::ofstream(dir_.Join("bin/go")) << ""; }
};

TEST_F(StoppedReportTest, ASignalEndsItAndLeavesNothing) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    fs::create_directory(dir_.Join("empty"));
    for (const char* name : {"empty", "new"}) {
      const auto run = Start(dir_.Join(name));
      run->Signal(signal);
      const auto end = run->Wait(absl::Seconds(30));
      ASSERT_TRUE(end.has_value()) << "it went on";
      EXPECT_EQ(end->code, 1) << signal;
      EXPECT_THAT(run->err(), HasSubstr("stopped; no report was written"));
    }
    EXPECT_THAT(Tree(dir_.Join("empty")), IsEmpty());
    EXPECT_FALSE(fs::exists(dir_.Join("new")));
    EXPECT_THAT(Stagings(dir_.path()), IsEmpty());
  }
}

TEST_F(StoppedReportTest, WhatAKilledRunLeavesGoesWithTheNextOne) {
  fs::create_directory(dir_.Join("empty"));
  for (const char* name : {"empty", "new"}) {
    const auto run = Start(dir_.Join(name));
    run->Signal(SIGKILL);
    ASSERT_TRUE(run->Wait(absl::Seconds(30)).has_value());
  }
  EXPECT_EQ(Stagings(dir_.Join("empty")).size(), 1u);
  EXPECT_EQ(Stagings(dir_.path()).size(), 1u);
  Go();
  Good(dir_.Join("empty"));
  EXPECT_THAT(Stagings(dir_.Join("empty")), IsEmpty());
  EXPECT_THAT(Stagings(dir_.path()), IsEmpty());
}

TEST_F(StoppedReportTest, ARunningReportIsNotSwept) {
  fs::create_directory(dir_.Join("report"));
  const auto beside = Start(dir_.Join("new"));
  const auto inside = Start(dir_.Join("report"));
  Good(dir_.Join("report"));
  EXPECT_EQ(Stagings(dir_.Join("report")).size(), 1u);
  EXPECT_EQ(Stagings(dir_.path()).size(), 1u);
  Go();
  for (Subprocess* run : {beside.get(), inside.get()}) {
    const auto end = run->Wait(absl::Seconds(60));
    ASSERT_TRUE(end.has_value());
    EXPECT_EQ(end->code, 0) << run->err();
  }
  EXPECT_TRUE(fs::exists(dir_.Join("new/index.html")));
  EXPECT_THAT(Stagings(dir_.Join("report")), IsEmpty());
  EXPECT_THAT(Stagings(dir_.path()), IsEmpty());
}

TEST(StagingTest, ASweepTakesOnlyWhatIsItsOwn) {
  coppice::testing::TempDir dir;
  const auto held = Staging::Make(dir.path());
  ASSERT_TRUE(held.ok()) << held.status();
  const std::string dead = ".coppice-report-0123456789abcdef";
  fs::create_directories(dir.Join(dead + "/report/figures"));
  std::ofstream(dir.Join(dead + "/lock")) << "";
  fs::create_directory(dir.Join(".coppice-report-00000000000000ff"));  // killed before its lock
  // Entries of the user's: another name, no folder, and a full folder without a lock.
  fs::create_directory(dir.Join(".coppice-report-notes"));
  std::ofstream(dir.Join(".coppice-report-0123456789abcdee")) << "mine";
  fs::create_directories(dir.Join(".coppice-report-0123456789abcded/mine"));
  Staging::Sweep(dir.path());
  std::vector<std::string> left;
  for (const auto& entry : fs::directory_iterator(dir.path()))
    left.push_back(entry.path().filename());
  EXPECT_THAT(left, ::testing::UnorderedElementsAre(
                        fs::path(held->path()).filename().string(), ".coppice-report-notes",
                        ".coppice-report-0123456789abcdee", ".coppice-report-0123456789abcded"));
}

TEST(StagingTest, ASweepNeverTakesOneThatWasJustMade) {
  coppice::testing::TempDir dir;
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 200; ++round) {
        const auto held = Staging::Make(dir.path());
        ASSERT_TRUE(held.ok()) << held.status();
        std::ofstream(held->path() + "/file") << "mine";
        Staging::Sweep(dir.path());
        ASSERT_EQ(ReadAll(held->path() + "/file"), "mine");
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  Staging::Sweep(dir.path());
  EXPECT_TRUE(fs::is_empty(dir.path()));
}

}  // namespace
}  // namespace coppice::cli
