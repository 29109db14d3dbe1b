#include "coordinator/pools/slurm_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "coordinator/pools/slurm_reasons.h"

namespace coppice::pools {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

const absl::TimeZone kUtc = absl::UTCTimeZone();

TEST(SlurmText, AQueueIsReadWithEveryStateAndAnyName) {
  const std::vector<Job> jobs = ParseQueue(
      "CLUSTER: main\n"
      "17|17|PENDING|Priority|2026-11-30T14:30:00|N/A||01234567-low-1\n"
      "18|18|RUNNING|None|1796020000|1796023600|n1|01234567-low-2\n"
      "19|19|SOMETHING_NEW|None|N/A|N/A||a|b|c\n"
      "garbage\n"
      "x|20|RUNNING|None|N/A|N/A||no number\n",
      kUtc);
  ASSERT_EQ(jobs.size(), 3u);
  EXPECT_EQ(jobs[0].job_id, "17");
  EXPECT_EQ(jobs[0].phase, JobPhase::kPending);
  EXPECT_EQ(jobs[0].reason, "Priority");
  EXPECT_EQ(jobs[0].start_ms, 1796049000000);
  EXPECT_EQ(jobs[0].end_ms, 0);
  EXPECT_EQ(jobs[0].key, "01234567-low-1");
  EXPECT_EQ(jobs[1].node, "n1");
  EXPECT_EQ(jobs[1].reason, "");
  EXPECT_EQ(jobs[1].end_ms, 1796023600000);
  // Alive, whatever it means.
  EXPECT_EQ(jobs[2].phase, JobPhase::kUnknown);
  EXPECT_EQ(jobs[2].state, "SOMETHING_NEW");
  EXPECT_EQ(jobs[2].key, "a|b|c");
}

TEST(SlurmText, AnArrayLineStandsForItsTasks) {
  EXPECT_THAT(ExpandArrayId("120_[1-3,7%2]"), ElementsAre("120_1", "120_2", "120_3", "120_7"));
  EXPECT_THAT(ExpandArrayId("120_4"), ElementsAre("120_4"));
  EXPECT_LE(ExpandArrayId("120_[0-4000000000]").size(), 10'000u);
  EXPECT_EQ(ParseQueue("120|120_[1-4%2]|PD|Resources|N/A|N/A||x\n", kUtc).size(), 4u);
}

TEST(SlurmText, StatesAreKnownByNameCodeAndSuffix) {
  EXPECT_EQ(PhaseOfState("CANCELLED by 1000"), JobPhase::kEnded);
  EXPECT_EQ(PhaseOfState("CANCELLED+"), JobPhase::kEnded);
  EXPECT_EQ(PhaseOfState("OOM"), JobPhase::kEnded);
  EXPECT_EQ(PhaseOfState("REQUEUED"), JobPhase::kPending);
  EXPECT_EQ(PhaseOfState("CG"), JobPhase::kRunning);
  EXPECT_EQ(PhaseOfState("SUSPENDED"), JobPhase::kRunning);
  EXPECT_EQ(PhaseOfState(""), JobPhase::kUnknown);
}

TEST(SlurmText, AShownJobHasRestartsAndExitCode) {
  const auto job = ParseShownJob(
      "JobId=42 JobName=01234567-low-9 UserId=u(1) JobState=FAILED Reason=JobLaunchFailure "
      "Requeue=1 Restarts=2 ExitCode=127:0 StartTime=2026-11-30T06:00:00 "
      "EndTime=2026-11-30T06:00:01 ReqNodeList=n7 NodeList=n2 Comment=01234567-low-9",
      kUtc);
  ASSERT_TRUE(job.ok());
  EXPECT_EQ(job->key, "01234567-low-9");
  EXPECT_EQ(job->phase, JobPhase::kEnded);
  EXPECT_EQ(job->restarts, 2u);
  EXPECT_EQ(job->exit_code, 127);
  EXPECT_EQ(job->node, "n2");
  EXPECT_FALSE(ParseShownJob("No jobs in the system", kUtc).ok());
}

TEST(SlurmText, AnIdIsFoundBehindASitesOwnLines) {
  EXPECT_EQ(ParseSubmittedId("123\n"), "123");
  EXPECT_EQ(ParseSubmittedId("welcome\n123;cluster\n"), "123");
  EXPECT_EQ(ParseSubmittedId("Submitted batch job 123\n"), "");
}

TEST(SlurmText, DurationsGoBothWays) {
  EXPECT_EQ(ParseSlurmDuration("1-02:03:04"), 93'784);
  EXPECT_EQ(ParseSlurmDuration("01:00:00"), 3600);
  EXPECT_EQ(ParseSlurmDuration("30:00"), 1800);
  EXPECT_EQ(ParseSlurmDuration("90"), 5400);
  EXPECT_EQ(ParseSlurmDuration("UNLIMITED"), 0);
  EXPECT_EQ(ParseSlurmDuration("1:2:3:4"), 0);
  EXPECT_EQ(FormatSlurmDuration(93'784), "1-02:03:04");
  EXPECT_EQ(FormatSlurmDuration(3600), "01:00:00");
  EXPECT_EQ(ParseSlurmTime("Unknown", kUtc), 0);
}

TEST(SlurmText, PartitionAndConfigGiveTheLimits) {
  const std::string partitions =
      "PartitionName=a Default=NO GraceTime=0 MaxTime=UNLIMITED State=UP TotalCPUs=4 TotalNodes=2\n"
      "PartitionName=low Default=YES DefaultTime=NONE GraceTime=10 MaxTime=01:00:00 "
      "PreemptMode=REQUEUE State=DRAIN TotalCPUs=6 TotalNodes=3\n";
  Capabilities capabilities;
  ParsePartition(DefaultPartition(partitions), &capabilities);
  ParseConfig(
      "KillWait                = 30 sec\nRequeueExit             = (null)\n"
      "SLURM_VERSION           = 22.05.8\n",
      &capabilities);
  EXPECT_EQ(capabilities.max_time_s, 3600);
  EXPECT_EQ(capabilities.grace_time_s, 10);
  EXPECT_FALSE(capabilities.partition_up);
  EXPECT_EQ(capabilities.preempt_mode, "REQUEUE");
  EXPECT_EQ(capabilities.nodes, 3u);
  EXPECT_EQ(capabilities.kill_wait_s, 30);
  EXPECT_EQ(capabilities.requeue_exit, "");
  EXPECT_EQ(capabilities.version, "22.05.8");
}

TEST(SlurmReasons, RefusalsAreSorted) {
  using Kind = SubmitResult::Kind;
  const std::vector<std::pair<std::string, Kind>> cases = {
      {"sbatch: error: invalid partition specified: lo\nsbatch: error: Batch job submission "
       "failed: Invalid partition name specified",
       Kind::kPermanent},
      {"Batch job submission failed: Invalid generic resource (gres) specification",
       Kind::kPermanent},
      {"Batch job submission failed: Invalid account or account/partition combination specified",
       Kind::kPermanent},
      {"sbatch: error: QOSMaxSubmitJobPerUserLimit\nsbatch: error: Batch job submission failed: "
       "Job "
       "violates accounting/QOS policy (job submit limit, user's size and/or time limits)",
       Kind::kLimit},
      {"AssocMaxSubmitJobLimit", Kind::kLimit},
      {"Unable to contact slurm controller (connect failure)", Kind::kTransient},
      {"Batch job submission failed: Resource temporarily unavailable", Kind::kTransient},
      {"Batch job submission failed: Something that is new", Kind::kTransient},
      {"Batch job submission failed: Socket timed out on send/recv operation", Kind::kUnclear},
      {"what a wrapper says", Kind::kUnclear},
  };
  for (const auto& [text, kind] : cases) {
    EXPECT_EQ(ClassifyRefusal(text, "slurm-wlm 22.05.8").kind, kind) << text;
  }
}

TEST(SlurmReasons, TheVersionsThatRefuseGpusAreNamed) {
  const std::string text = "Requested node configuration is not available";
  EXPECT_THAT(ClassifyRefusal(text, "slurm-wlm 22.05.8").remedy, HasSubstr("22.05.9"));
  EXPECT_THAT(ClassifyRefusal(text, "slurm 22.05.9").remedy, Not(HasSubstr("22.05.9")));
}

TEST(SlurmReasons, WaitingIsSorted) {
  using Kind = PendingReason::Kind;
  for (const char* word : {"Priority", "Resources", "BeginTime", "None", "", "SomethingNew"}) {
    EXPECT_EQ(ClassifyPending(word).kind, Kind::kWaits) << word;
  }
  for (const char* word : {"PartitionTimeLimit", "PartitionConfig", "PartitionNodeLimit",
                           "BadConstraints", "QOSMaxWallDurationPerJobLimit"}) {
    EXPECT_EQ(ClassifyPending(word).kind, Kind::kNeverStarts) << word;
    EXPECT_THAT(ClassifyPending(word).remedy, Not(IsEmpty()));
  }
  for (const char* word :
       {"AssocGrpCpuLimit", "QOSMaxJobsPerUserLimit", "ReqNodeNotAvail, UnavailableNodes:n1"}) {
    EXPECT_EQ(ClassifyPending(word).kind, Kind::kLimit) << word;
  }
  EXPECT_EQ(ClassifyPending("JobHeldAdmin").kind, Kind::kHeld);
  EXPECT_EQ(ClassifyPending("launch failed requeued held").kind, Kind::kHeld);
}

TEST(SlurmReasons, EndingsAreJudged) {
  using Verdict = Ending::Verdict;
  const auto judge = [](const std::string& state, bool registered, int64_t ran_s) {
    Job job;
    job.state = state;
    return ClassifyEnding(job, registered, ran_s).verdict;
  };
  for (const char* state : {"PREEMPTED", "NODE_FAIL", "BOOT_FAIL", "REVOKED", "CANCELLED"}) {
    EXPECT_EQ(judge(state, false, 1), Verdict::kNeutral) << state;
  }
  EXPECT_EQ(judge("COMPLETED", true, 40), Verdict::kGood);
  EXPECT_EQ(judge("TIMEOUT", true, 3600), Verdict::kGood);
  EXPECT_EQ(judge("FAILED", true, 3600), Verdict::kNeutral);
  EXPECT_EQ(judge("FAILED", false, 1), Verdict::kFailure);
  EXPECT_EQ(judge("FAILED", true, 1), Verdict::kFailure);
  EXPECT_EQ(judge("COMPLETED", false, 1), Verdict::kFailure);
  EXPECT_EQ(judge("OUT_OF_MEMORY", true, 3600), Verdict::kFailure);
}

TEST(SlurmText, TheStartInATestOnlyAnswerIsATime) {
  EXPECT_EQ(ReadableStart("sbatch: Job 7 to start at 1764495000 using 1 processors on nodes n1"),
            "sbatch: Job 7 to start at 2025-11-30 09:30:00 UTC using 1 processors on nodes n1");
  EXPECT_EQ(ReadableStart("sbatch: Job 7 to start at some time"),
            "sbatch: Job 7 to start at some time");
  EXPECT_EQ(ReadableStart("allocation failure"), "allocation failure");
}

}  // namespace
}  // namespace coppice::pools
