// The end of a Slurm job and its grace, as squeue and scontrol tell them, or fail to.
#include "worker/daemon/job_end.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "tests/testing/fake_clock.h"
#include "tests/testing/temp_dir.h"
#include "tests/worker/daemon/fakes.h"
#include "worker/daemon/grace_check.h"

namespace coppice::worker {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

class JobEndTest : public ::testing::Test {
 protected:
  JobEndTest() {
    environment_.clock = &clock_;
    environment_.launcher = &launcher_;
    environment_.main = [this](std::function<void()> work) {
      return sequence_.Add(std::move(work));
    };
    for (const char* program : {"squeue", "scontrol"}) {
      std::ofstream(dir_.Join(program)) << "#!/bin/sh\n";
      std::filesystem::permissions(dir_.Join(program), std::filesystem::perms::owner_all);
    }
  }
  void Start(std::optional<absl::Time> known = std::nullopt) {
    Allocation allocation;
    allocation.job_id = "120_4";
    allocation.raw_job_id = "123";
    // Relative folders of PATH are not searched.
    end_ = std::make_unique<JobEnd>(&environment_, allocation, ".:relative:" + dir_.path(), known,
                                    [this](absl::Time end) { ends_.push_back(end); });
    end_->Start();
    sequence_.RunAll();
  }
  void Pass(absl::Duration time) {
    clock_.Advance(time);
    sequence_.RunAll();
  }
  void Answer(const std::string& text, int code = 0) {
    if (!text.empty()) launcher_.last().Say(text);
    launcher_.last().Exit(code);
    sequence_.RunAll();
  }
  void Fail(const std::string& words) {
    launcher_.last().callbacks.on_stderr(words);
    Answer("", 1);
  }
  std::string Unix(absl::Time time) { return absl::StrCat(absl::ToUnixSeconds(time)); }
  absl::Time In(absl::Duration time) {
    return absl::FromUnixSeconds(absl::ToUnixSeconds(clock_.Now() + time));
  }
  size_t commands() const { return launcher_.trainers.size(); }

  testing::TempDir dir_;
  testing::FakeClock clock_;
  ManualSequence sequence_;
  FakeLauncher launcher_;
  Environment environment_;
  std::vector<absl::Time> ends_;
  std::unique_ptr<JobEnd> end_;
};

TEST_F(JobEndTest, SqueueIsAskedWithTheNumberThatSlurmKnowsAndWithoutAShell) {
  Start();
  ASSERT_EQ(commands(), 1u);
  EXPECT_THAT(launcher_.last().command.argv,
              ElementsAre(dir_.Join("squeue"), "-h", "-j", "123", "-o", "%e"));
  EXPECT_THAT(launcher_.last().command.environment, Contains(Pair("SLURM_TIME_FORMAT", "%s")));
  const absl::Time end = In(absl::Hours(2));
  Answer(Unix(end));
  EXPECT_THAT(ends_, ElementsAre(end));
}

TEST_F(JobEndTest, AMovedLimitIsFollowedBothWays) {
  const absl::Time first = In(absl::Hours(2));
  Start(first);
  Answer(Unix(first));
  EXPECT_THAT(ends_, IsEmpty());
  for (const absl::Time moved : {first + absl::Hours(1), first - absl::Hours(1)}) {
    Pass(absl::Minutes(3));
    Answer(Unix(moved));
    ASSERT_FALSE(ends_.empty());
    EXPECT_EQ(ends_.back(), moved);
  }
  Pass(absl::Minutes(3));
  Answer("NONE");
  EXPECT_EQ(ends_.back(), absl::InfiniteFuture());
  EXPECT_THAT(ends_, SizeIs(3));
}

TEST_F(JobEndTest, WhereSqueueHasNoAnswerScontrolIsAsked) {
  Start();
  Fail("slurm_load_jobs error: Invalid job id specified");
  EXPECT_THAT(launcher_.last().command.argv,
              ElementsAre(dir_.Join("scontrol"), "-o", "show", "job", "123"));
  const absl::Time end = In(absl::Hours(3));
  Answer("JobId=123 StartTime=5 EndTime=" + Unix(end) + " TimeLimit=03:00:00");
  EXPECT_THAT(ends_, ElementsAre(end));
}

TEST_F(JobEndTest, ACoordinatorOfSlurmThatIsAwayChangesNothingAndIsAskedAgain) {
  const absl::Time known = In(absl::Hours(2));
  Start(known);
  for (int minutes = 0; minutes < 12; minutes += 3) {
    Fail("slurm_load_jobs error: Unable to contact slurm controller (connect failure)");
    Fail("Unable to contact slurm controller (connect failure)");
    EXPECT_THAT(ends_, IsEmpty());
    Pass(absl::Minutes(3));
  }
  Answer(Unix(known + absl::Hours(1)));
  EXPECT_THAT(ends_, ElementsAre(known + absl::Hours(1)));
}

TEST_F(JobEndTest, AnUnknownEndIsAskedForAgainSooner) {
  Start();
  Fail("");
  Fail("");
  EXPECT_EQ(commands(), 2u);
  Pass(absl::Seconds(30));
  EXPECT_EQ(commands(), 3u);
  Answer(Unix(In(absl::Hours(1))));
  EXPECT_THAT(ends_, SizeIs(1));
}

TEST_F(JobEndTest, AProgramThatHangsIsKilledAndTheNextOneAsked) {
  Start();
  Pass(absl::Seconds(31));
  EXPECT_THAT(launcher_.last().signals, ElementsAre(SIGKILL));
  launcher_.last().Die(SIGKILL);
  sequence_.RunAll();
  EXPECT_EQ(commands(), 2u);
  EXPECT_THAT(ends_, IsEmpty());
}

TEST_F(JobEndTest, GarbageIsNoEnd) {
  Start();
  for (const char* garbage :
       {"", "N/A", "Unknown", "tomorrow", "0", "-5", "1", "99999999999999", "1e9",
        "2026-13-45T99:00:00", "1970-01-01T00:00:00", "\x1b[2J", "123 456"}) {
    Answer(garbage);
    Answer(absl::StrCat("EndTime=", garbage, " TimeLimit=1"));
    EXPECT_THAT(ends_, IsEmpty()) << garbage;
    Pass(absl::Seconds(30));
  }
  launcher_.last().callbacks.on_stdout(std::string(1 << 20, '7'));
  Answer("");
  EXPECT_THAT(ends_, IsEmpty());
}

TEST_F(JobEndTest, AClusterWithoutTheProgramsLeavesTheEndUnknown) {
  std::filesystem::remove(dir_.Join("squeue"));
  std::filesystem::remove(dir_.Join("scontrol"));
  Start();
  Pass(absl::Minutes(10));
  EXPECT_EQ(commands(), 0u);
  EXPECT_THAT(ends_, IsEmpty());
}

TEST_F(JobEndTest, ATextOfSlurmInItsLocalTimeIsReadToo) {
  const absl::Time end = In(absl::Hours(2));
  const std::string local = absl::FormatTime("%Y-%m-%dT%H:%M:%S", end, absl::LocalTimeZone());
  EXPECT_EQ(EndInQueue(local + "\n", clock_.Now()).value(), end);
  EXPECT_EQ(EndInJob("JobId=1\n   EndTime=" + local + " Deadline=N/A", clock_.Now()).value(), end);
  // Slurm keeps a job without a limit as one that ends in a year.
  EXPECT_EQ(EndInJob("TimeLimit=UNLIMITED EndTime=" + local, clock_.Now()).value(),
            absl::InfiniteFuture());
}

TEST(GraceCheckTest, SlurmsTimesAreFoundInItsTexts) {
  EXPECT_EQ(KillWaitIn("JobRequeue = 1\nKillOnBadExit           = 0\nKillWait                = 30 "
                       "sec\n"),
            absl::Seconds(30));
  EXPECT_EQ(GraceTimeIn("PartitionName=low GraceTime=10 Hidden=NO"), absl::Seconds(10));
  for (const char* garbage : {"", "KillWait", "KillWait = soon", "KillWait = -1 sec"}) {
    EXPECT_EQ(KillWaitIn(garbage), std::nullopt) << garbage;
  }
  EXPECT_EQ(GraceTimeIn("GraceTime=NONE"), std::nullopt);
}

TEST(GraceCheckTest, AGraceThatSlurmDoesNotLeaveIsNamedWithTheRemedy) {
  const SlurmGrace batch = {absl::Seconds(30), absl::Seconds(60), false};
  EXPECT_THAT(GraceAdvice(absl::Seconds(25), batch, "low"), IsEmpty());
  EXPECT_THAT(GraceAdvice(absl::Seconds(90), batch, "low"),
              AllOf(HasSubstr("--grace 1m30s"), HasSubstr("KillWait 30s"),
                    HasSubstr("give --grace 29s"), HasSubstr("srun")));
  const SlurmGrace step = {absl::Seconds(30), absl::Seconds(60), true};
  EXPECT_THAT(GraceAdvice(absl::Seconds(80), step, "low"), IsEmpty());
  EXPECT_THAT(GraceAdvice(absl::Seconds(91), step, "low"),
              AllOf(HasSubstr("GraceTime 1m of partition low"), HasSubstr("give --grace 1m29s")));
}

}  // namespace
}  // namespace coppice::worker
