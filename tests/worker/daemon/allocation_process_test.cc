// The real program in allocations of Slurm, and before it is ready.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "tests/worker/daemon/daemon_process_fixture.h"

namespace coppice::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class AllocationProcessTest : public DaemonProcessFixture {
 protected:
  void WriteProgramAt(const std::string& path, const std::string& body) {
    std::ofstream(path) << "#!/bin/sh\n" << body;
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  }
  // Waits for a file of one line that a script writes and then renames to its place.
  std::string AwaitLine(const std::string& path) {
    for (const absl::Time end = absl::Now() + absl::Seconds(20); absl::Now() < end;) {
      if (FileExists(path)) return std::string(absl::StripAsciiWhitespace(*ReadFile(path)));
      absl::SleepFor(absl::Milliseconds(10));
    }
    return "";
  }
};

// A driver may hang for ever, and each trainer has a minute to answer.
TEST_F(AllocationProcessTest, ASignalEndsAWorkerAtOnceThatProbesATrainerThatHangs) {
  const std::string trainer = root_ + "/hanging-trainer";
  WriteProgramAt(trainer, "trap '' TERM; echo $$ > $0.new; mv $0.new $0.pid; sleep 1000\n");
  for (const auto& [job, code] : {std::pair("", 0), std::pair("7", 75)}) {
    SCOPED_TRACE(job);
    if (*job != '\0') UseSlurmJob(job);
    variables_["CUDA_VISIBLE_DEVICES"] = "0";
    StartDaemon({"--device=cuda", "--trainer=" + trainer});
    int pid = 0;
    ASSERT_TRUE(absl::SimpleAtoi(AwaitLine(trainer + ".pid"), &pid)) << DaemonLog();
    const absl::Time asked = absl::Now();
    EXPECT_EQ(Kill(SIGTERM), code) << DaemonLog();
    EXPECT_LT(absl::Now() - asked, absl::Seconds(10));
    EXPECT_TRUE(BecomesGone(pid));
    EXPECT_THAT(DaemonLog(), HasSubstr("asked to end before the worker was ready"));
    EXPECT_THAT(server_.Seen("register"), IsEmpty());
    std::filesystem::remove(trainer + ".pid");
  }
}

// A measurement takes up to ten seconds for each kind of job, on each of a hundred workers.
TEST_F(AllocationProcessTest, WhatOneAllocationMeasuredTheNextDoesNotMeasureAgain) {
  const std::string trainer = root_ + "/measuring-trainer";
  WriteProgramAt(trainer, R"sh([ "$1" = measure ] || exit 2
echo "measured" >> $0.log
echo '{"event":"width","width":1,"seed_steps_per_second":10,"steps_per_second":10,"peak_bytes":7}'
echo '{"event":"width","width":2,"seed_steps_per_second":20,"steps_per_second":10,"peak_bytes":7}'
)sh");
  name_.clear();
  uint64_t attempt = 1;
  for (const char* job : {"7", "8", "9"}) {
    SCOPED_TRACE(job);
    UseSlurmJob(job);
    v1::AcquireLeasesResponse grant = Grant(attempt++);
    grant.set_unmeasured(true);
    server_.Grant(grant);
    StartDaemon({"--device=cpu", "--threads=2", "--trainer=" + trainer});
    ASSERT_TRUE(server_.Await(absl::StrCat("release 1:", attempt - 1))) << DaemonLog();
    EXPECT_EQ(Kill(SIGTERM), 75) << DaemonLog();
    EXPECT_EQ(*ReadFile(trainer + ".log"), "measured\n") << DaemonLog();
    const std::vector<std::string> files = *ListDirectory(root_ + "/state/widths");
    EXPECT_EQ(std::count_if(files.begin(), files.end(),
                            [](const std::string& file) { return absl::EndsWith(file, ".json"); }),
              1);
    // A worker that was killed while it wrote, and one that writes now on another node.
    std::ofstream(root_ + "/state/widths/0a.json.tmp-7-0") << "{";
  }
  EXPECT_TRUE(FileExists(root_ + "/state/widths/0a.json.tmp-7-0"));
  EXPECT_THAT(DaemonLog(), HasSubstr("as was measured before"));
}

TEST_F(AllocationProcessTest, OneNameForAllTasksOfAnArrayIsWarnedAbout) {
  WriteTrainer("exit 0");
  const auto log_of = [&](const std::string& name, std::map<std::string, std::string> more) {
    name_ = name;
    UseSlurmJob("9", std::move(more));
    std::filesystem::remove(root_ + "/daemon.log");
    EXPECT_EQ(Wait(Spawn({"--idle-exit=100ms"})), 77) << DaemonLog();
    return DaemonLog();
  };
  const std::map<std::string, std::string> array = {{"SLURM_ARRAY_JOB_ID", "5"},
                                                    {"SLURM_ARRAY_TASK_ID", "3"}};
  const std::string log = log_of("gpu", array);
  EXPECT_THAT(log, HasSubstr("--name gpu is the same for every task of this job array"));
  EXPECT_THAT(log, HasSubstr("here hpc-5_3-0"));
  EXPECT_THAT(log, HasSubstr("--name gpu-$SLURM_ARRAY_TASK_ID"));
  EXPECT_THAT(log_of("gpu13", array), HasSubstr("job array"));
  EXPECT_THAT(log_of("gpu-3", array), Not(HasSubstr("the same for every task")));
  EXPECT_THAT(log_of("", array), Not(HasSubstr("the same for every task")));
  std::map<std::string, std::string> step = {{"SLURM_STEP_ID", "0"}, {"SLURM_STEP_NUM_TASKS", "4"}};
  EXPECT_THAT(log_of("gpu", step), HasSubstr("--name gpu-$SLURM_PROCID"));
  step["SLURM_STEP_NUM_TASKS"] = "1";
  EXPECT_THAT(log_of("gpu", step), Not(HasSubstr("the same for every task")));
}

// The folder of an allocation that ended long ago goes, and one with unsent records is named.
TEST_F(AllocationProcessTest, AStartRemovesTheStateOfAllocationsThatEnded) {
  WriteTrainer("exit 0");
  name_.clear();
  for (const char* job : {"3", "4"}) {
    UseSlurmJob(job);
    EXPECT_EQ(Wait(Spawn({"--idle-exit=100ms"})), 77) << DaemonLog();
  }
  const auto age = [](const std::string& folder) {
    const auto old = std::filesystem::file_time_type::clock::now() - std::chrono::hours(24 * 8);
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
      std::filesystem::last_write_time(entry.path(), old);
    }
    std::filesystem::last_write_time(folder, old);
  };
  std::ofstream(root_ + "/state/hpc-4-0/spool/00000000000000000001-0000000001.spool") << "x";
  age(root_ + "/state/hpc-3-0");
  age(root_ + "/state/hpc-4-0");
  UseSlurmJob("5");
  EXPECT_EQ(Wait(Spawn({"--idle-exit=100ms"})), 77) << DaemonLog();
  EXPECT_THAT(*ListDirectory(root_ + "/state"), ElementsAre("hpc-4-0", "hpc-5-0", "widths"));
  EXPECT_THAT(DaemonLog(), HasSubstr("removed the state of 1 ended allocations"));
  EXPECT_THAT(DaemonLog(),
              HasSubstr("records that were never sent, so their state stays: hpc-4-0"));
}

}  // namespace
}  // namespace coppice::worker
