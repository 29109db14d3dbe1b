#include <gmock/gmock.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <random>
#include <set>
#include <thread>

#include "absl/strings/str_split.h"
#include "coordinator/core/command_context.h"
#include "coordinator/core/garbage_collector.h"
#include "coordinator/core/garbage_plan.h"
#include "tests/coordinator/core/harness.h"

namespace coppice::core {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

TEST(GarbagePlan, OnlyNamesOfTheLayoutAreOurs) {
  EXPECT_EQ(ParseJobFolder("17"), 17u);
  EXPECT_EQ(ParseAttemptFolder("attempt-1700000000001"), 1700000000001u);
  for (const char* name : {"", "017", "+1", "-1", " 1", "1 ", "1x", "18446744073709551616"}) {
    EXPECT_FALSE(ParseJobFolder(name).has_value()) << name;
  }
  for (const char* name :
       {"attempt-", "attempt-01", "attempt-1.old", "Attempt-1", "attempt1", "1"}) {
    EXPECT_FALSE(ParseAttemptFolder(name).has_value()) << name;
  }
}

std::vector<std::string> PathsOf(const std::vector<FoundFile>& files) {
  std::vector<std::string> paths;
  for (const FoundFile& file : files) paths.push_back(file.path);
  return paths;
}

// Restates the rule in full: the reasons to keep a file.
bool MustStay(const std::string& path, const JobFacts* facts, absl::Duration age,
              absl::Duration min_age) {
  if (age < min_age) return true;
  if (facts == nullptr) return false;
  for (const std::string& listed : facts->listed) {
    if (listed == path) return true;
  }
  const std::vector<std::string> parts = absl::StrSplit(path, '/');
  return absl::StrCat(parts[0], "/", parts[1], "/", parts[2]) == facts->current_dir;
}

TEST(GarbagePlan, IsExactlyWhatIsNeitherListedNorCurrentNorYoung) {
  const uint64_t seed = ::testing::UnitTest::GetInstance()->random_seed();
  SCOPED_TRACE(absl::StrCat("--gtest_random_seed=", seed));
  std::mt19937_64 random(seed);
  const absl::Time now = absl::FromUnixSeconds(1'700'000'000);
  const absl::Duration min_age = absl::Hours(1);
  for (int round = 0; round < 2000; ++round) {
    FoundJob found{"s", 1 + random() % 3, {}, {}};
    JobFacts facts;
    std::vector<absl::Duration> ages;
    for (int attempt = 1; attempt <= 12; attempt += 1 + static_cast<int>(random() % 6)) {
      const std::string folder = absl::StrCat("s/", found.job, "/attempt-", attempt);
      const auto age = [&] { return absl::Minutes(static_cast<int64_t>(random() % 125) - 5); };
      found.folders.push_back({folder, now - age(), 0});
      if (random() % 4 == 0) facts.current_dir = folder;
      for (uint64_t file = random() % 4; file > 0; --file) {
        const std::string path = absl::StrCat(folder, "/step-", file);
        found.files.push_back({path, now - age(), 9});
        if (random() % 3 == 0) facts.listed.insert(path);
      }
    }
    if (random() % 5 == 0) facts.current_dir = "other/1/attempt-1";
    const JobFacts* known = random() % 6 == 0 ? nullptr : &facts;
    std::vector<std::string> files, folders;
    for (const FoundFile& file : found.files) {
      if (!MustStay(file.path, known, now - file.modified, min_age)) files.push_back(file.path);
    }
    for (const FoundFile& file : found.folders) {
      if (!MustStay(file.path, known, now - file.modified, min_age)) folders.push_back(file.path);
    }
    const GarbagePlan plan = PlanGarbage(found, known, now, min_age);
    ASSERT_EQ(PathsOf(plan.files), files) << "round " << round;
    ASSERT_EQ(PathsOf(plan.folders), folders) << "round " << round;
  }
}

// A coordinator's own folder, with files as its jobs leave them. Tests advance the clock until the
// files are old enough.
class GarbageTest : public Harness {
 protected:
  void SetUp() override {
    Harness::SetUp();
    root_ = options_.checkpoint_root;
    fs::create_directories(root_);
    std::ofstream(root_ / ".coppice-store") << store_->store_id();
    worker_ = Register("w");
    // Files get the real time, so the fake clock must not be behind it.
    struct stat info;
    ASSERT_EQ(::stat((root_ / ".coppice-store").c_str(), &info), 0);
    clock_.JumpWallTime(absl::TimeFromTimespec(info.st_mtim) - clock_.Now());
  }
  void Write(const std::string& relative, const std::string& content = "weights") {
    fs::create_directories((root_ / relative).parent_path());
    std::ofstream(root_ / relative) << content;
  }
  void WriteAndCommit(const LeaseRef& lease, uint32_t step) {
    const NamedCheckpoint commit = CommitOf(worker_, lease, step);
    Write(commit.path);
    ASSERT_EQ(Commit(commit), absl::OkStatus());
  }
  static std::string In(const LeaseRef& lease, const std::string& name) {
    return absl::StrCat("small/", lease.job_id, "/attempt-", lease.attempt, "/", name);
  }
  GarbageReport Collect(absl::Duration later = absl::Hours(2)) {
    clock_.JumpWallTime(later);
    GarbageCollector collector(store_.get(), &clock_, Options());
    const auto report = collector.Collect();
    clock_.JumpWallTime(-later);
    EXPECT_TRUE(report.ok()) << report.status();
    return report.ok() ? *report : GarbageReport();
  }
  GarbageOptions Options() {
    GarbageOptions options;
    options.root = root_;
    return options;
  }
  std::vector<std::string> Files() {
    std::vector<std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(root_)) {
      if (entry.is_directory() && !entry.is_symlink()) continue;
      files.push_back(entry.path().lexically_relative(root_));
    }
    std::sort(files.begin(), files.end());
    return files;
  }
  bool Exists(const std::string& relative) { return fs::exists(root_ / relative); }

  fs::path root_;
  std::string worker_;
};

TEST_F(GarbageTest, WhatEndedAttemptsDidNotCommitGoesAndWhatIsCommittedStays) {
  SubmitSmall(2);
  const LeaseRef first = TakeOne(worker_);
  Report(worker_, first, 0, 40);
  WriteAndCommit(first, 20);
  WriteAndCommit(first, 40);
  Write(In(first, "step-50"));
  Write(In(first, "step-60.tmp-77-0"), "half");
  EXPECT_EQ(Collect().files, 0u) << "the attempt runs";
  ASSERT_EQ(Release(EndOf(worker_, first, 40)), absl::OkStatus());
  EXPECT_EQ(Collect(absl::Minutes(30)).files, 0u) << "they are young";
  const LeaseRef second = TakeOne(worker_);
  ASSERT_EQ(second.job_id, first.job_id);
  Write(In(second, "step-50.tmp-78-0"), "being written");
  const GarbageReport report = Collect();
  EXPECT_EQ(report.files, 2u);
  EXPECT_EQ(report.bytes, 11u);
  EXPECT_EQ(report.failures, 0u);
  EXPECT_THAT(Files(), UnorderedElementsAre(".coppice-store", In(first, "step-20"),
                                            In(first, "step-40"), In(second, "step-50.tmp-78-0")));
}

TEST_F(GarbageTest, FoldersOfLostTimesAndUnknownSweepsGoNamesThatAreNotOursStay) {
  SubmitSmall(1);
  Write("gone/7/attempt-1/step-20");
  Write("small/99/attempt-3/step-20");         // a job that the store does not know
  Write("other/1/attempt-1/step-20");          // the number of a known job, in another's folder
  Write("small/1/attempt-1700000000/step-5");  // an attempt lost by a restore
  const std::vector<std::string> theirs = {".coppice-store",
                                           ".hidden/1/attempt-1/x",
                                           "gone/notes.txt",
                                           "gone/7/readme",
                                           "small/1/attempt-x/f",
                                           "small/01/attempt-1/f",
                                           "small/1/attempt-2.bak/f",
                                           "top.txt",
                                           "small/1/attempt-5/deeper/f",
                                           "small/1/attempt-5/model.pt",
                                           "gone/7/attempt-1/notes.md"};
  for (const std::string& path : theirs) {
    if (path != ".coppice-store") Write(path);
  }
  EXPECT_EQ(Collect().files, 4u);
  std::vector<std::string> sorted = theirs;
  std::sort(sorted.begin(), sorted.end());
  EXPECT_EQ(Files(), sorted);
  Collect(absl::Hours(4));  // a folder that was just emptied is young
  EXPECT_FALSE(Exists("other"));
  EXPECT_FALSE(Exists("small/99"));
  EXPECT_TRUE(Exists("gone/7"));
  EXPECT_EQ(Files(), sorted);
}

// A worker that is killed cannot remove what its program was saving.
TEST_F(GarbageTest, TheWorkFolderOfAProgramGoesWithItsAttempt) {
  SubmitSmall(1);
  const LeaseRef first = TakeOne(worker_);
  Write(In(first, "work/.saving/half.pt"));
  Write(In(first, "work/resume-step-000000020/model.pt"));
  fs::create_symlink("/etc", root_ / In(first, "work/.saving/link"));
  EXPECT_EQ(Collect().files, 0u) << "the attempt runs";
  ASSERT_EQ(Release(EndOf(worker_, first, 0)), absl::OkStatus());
  EXPECT_EQ(Collect().files, 2u);
  EXPECT_THAT(Files(), UnorderedElementsAre(".coppice-store", In(first, "work/.saving/link")));
  fs::remove(root_ / In(first, "work/.saving/link"));
  Collect(absl::Hours(4));
  EXPECT_FALSE(Exists(In(first, "")));
}

TEST_F(GarbageTest, NoLinkIsFollowedOutOfTheFolder) {
  SubmitSmall(1);
  const fs::path outside = dir_ / "outside";
  fs::create_directories(outside / "1/attempt-1");
  fs::create_directories(outside / "attempt-1");
  std::ofstream(outside / "1/attempt-1/precious") << "x";
  std::ofstream(outside / "attempt-1/precious") << "x";
  std::ofstream(outside / "precious") << "x";
  fs::create_directories(root_ / "gone/7/attempt-1");
  fs::create_directories(root_ / "gone/9");
  fs::create_directory_symlink(outside, root_ / "linked");                 // as a sweep
  fs::create_directory_symlink(outside, root_ / "gone/8");                 // as a job
  fs::create_directory_symlink(outside, root_ / "gone/9/attempt-1");       // as an attempt
  fs::create_symlink(outside / "precious", root_ / "gone/7/attempt-1/f");  // as a file
  EXPECT_EQ(Collect().files, 0u);
  EXPECT_TRUE(fs::exists(outside / "1/attempt-1/precious"));
  EXPECT_TRUE(fs::exists(outside / "attempt-1/precious"));
  EXPECT_TRUE(fs::exists(outside / "precious"));
}

TEST_F(GarbageTest, AFolderOfAnotherStoreIsNotTouched) {
  Write("gone/7/attempt-1/step-20");
  for (const char* mark : {"another store", ""}) {
    std::ofstream(root_ / ".coppice-store") << mark;
    clock_.JumpWallTime(absl::Hours(2));
    EXPECT_TRUE(absl::IsFailedPrecondition(
        GarbageCollector(store_.get(), &clock_, Options()).Collect().status()));
  }
  fs::remove(root_ / ".coppice-store");
  EXPECT_TRUE(
      absl::IsNotFound(GarbageCollector(store_.get(), &clock_, Options()).Collect().status()));
  EXPECT_TRUE(Exists("gone/7/attempt-1/step-20"));
}

TEST_F(GarbageTest, AfterARestoreNothingIsRemovedForADay) {
  Write("gone/7/attempt-1/step-20");
  ASSERT_EQ(store_->RunInTransaction([&](WriteTransaction& tx) {
    return tx.SetAttemptFloor(static_cast<AttemptNumber>(clock_.NowMillis()));
  }),
            absl::OkStatus());
  EXPECT_EQ(Collect(absl::Hours(23)).files, 0u);
  EXPECT_EQ(Collect(absl::Hours(25)).files, 1u);
}

TEST_F(GarbageTest, RunsAtTheStartAndAgainEveryHour) {
  Write("gone/7/attempt-1/step-20");
  clock_.JumpWallTime(absl::Hours(2));
  GarbageCollector collector(store_.get(), &clock_, Options());
  // A finished run sets a timer, which is the event to wait for.
  const auto wait_for_timer = [&](size_t timers) {
    for (int i = 0; i < 30'000'000 && clock_.pending_timers() < timers; ++i)
      std::this_thread::yield();
    ASSERT_GE(clock_.pending_timers(), timers);
  };
  const size_t before = clock_.pending_timers();
  collector.Start();
  wait_for_timer(before + 1);
  EXPECT_FALSE(Exists("gone/7/attempt-1/step-20"));
  Write("gone/8/attempt-1/step-20");
  clock_.JumpWallTime(absl::Hours(2));
  clock_.Advance(absl::Minutes(59));
  EXPECT_TRUE(Exists("gone/8/attempt-1/step-20"));
  clock_.Advance(absl::Minutes(2));
  wait_for_timer(before + 1);
  EXPECT_FALSE(Exists("gone/8/attempt-1/step-20"));
  collector.Shutdown();
  EXPECT_EQ(clock_.pending_timers(), before);
}

// Attempts write, commit and end in every way, while the collector runs again and again without a
// minimum age. It never removes a file that is committed or may still become so.
TEST_F(GarbageTest, NoHistoryOfAttemptsMakesItTakeAFileThatIsOrMayBecomeCommitted) {
  const uint64_t seed = ::testing::UnitTest::GetInstance()->random_seed();
  SCOPED_TRACE(absl::StrCat("--gtest_random_seed=", seed));
  std::mt19937_64 random(seed);
  GroupSpec group = Group("dyck", 2);
  group.keep = 2;
  group.keep_every = 40;
  ASSERT_TRUE(Submit(Spec("small", {group}, 3)).ok());
  GarbageOptions options = Options();
  options.min_age = absl::ZeroDuration();
  clock_.JumpWallTime(absl::Hours(1));
  struct Attempt {
    LeaseRef lease;
    uint32_t step = 0;
  };
  std::vector<Attempt> running;
  std::set<std::string> may_commit;  // written by a running attempt, not yet committed
  for (int turn = 0; turn < 300; ++turn) {
    const uint64_t what = random() % 10;
    if (what < 2) {
      const auto grant = Acquire(worker_, 1, RandomId());
      ASSERT_TRUE(grant.ok());
      for (const Lease& lease : grant->leases) {
        running.push_back({lease.ref, lease.resume.has_value() ? lease.resume->step : 0});
        if (lease.resume.has_value()) {
          ASSERT_TRUE(Exists(lease.resume->path)) << "turn " << turn << ": " << lease.resume->path;
        }
      }
    } else if (what < 8 && !running.empty()) {
      const size_t pick = random() % running.size();
      Attempt& attempt = running[pick];
      if (attempt.step < 100) {
        attempt.step += 10;
        ASSERT_TRUE(
            Append(worker_, {Row(attempt.lease, NextNumber(attempt.lease), attempt.step)}).ok());
        const NamedCheckpoint commit = CommitOf(worker_, attempt.lease, attempt.step);
        Write(commit.path);
        may_commit.insert(commit.path);
        if (random() % 2 == 0) {
          ASSERT_EQ(Commit(commit), absl::OkStatus());
          may_commit.erase(commit.path);
        }
      }
      if (random() % 5 == 0 || attempt.step == 100) {
        const LeaseRef lease = attempt.lease;
        for (auto it = may_commit.begin(); it != may_commit.end();) {
          it = it->rfind(CheckpointDir("small", lease) + "/", 0) == 0 ? may_commit.erase(it) : ++it;
        }
        ASSERT_EQ(Release(EndOf(worker_, lease, attempt.step)), absl::OkStatus());
        running.erase(running.begin() + static_cast<long>(pick));
      }
    } else {
      const auto report = GarbageCollector(store_.get(), &clock_, options).Collect();
      ASSERT_TRUE(report.ok()) << report.status();
      for (const std::string& path : may_commit) ASSERT_TRUE(Exists(path)) << path;
      for (JobId job = 1; job <= 3; ++job) {
        for (const Checkpoint& listed : Details(job).checkpoints) {
          ASSERT_TRUE(Exists(listed.path)) << "turn " << turn << ": " << listed.path;
        }
      }
    }
  }
  // In the end only listed files are left.
  for (const Attempt& attempt : running) {
    ASSERT_EQ(Release(EndOf(worker_, attempt.lease, attempt.step)), absl::OkStatus());
  }
  std::vector<std::string> listed = {".coppice-store"};
  for (JobId job = 1; job <= 3; ++job) {
    for (const Checkpoint& checkpoint : Details(job).checkpoints) listed.push_back(checkpoint.path);
  }
  std::sort(listed.begin(), listed.end());
  ASSERT_TRUE(GarbageCollector(store_.get(), &clock_, options).Collect().ok());
  Close();  // retention's own deletions are done
  EXPECT_EQ(Files(), listed);
}

}  // namespace
}  // namespace coppice::core
