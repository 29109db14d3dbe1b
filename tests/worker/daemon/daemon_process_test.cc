// The real program on a real port, with shell scripts as trainers: a user starts, stops and kills
// it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/digest.h"
#include "common/base/files.h"
#include "common/base/stop_requests.h"
#include "tests/worker/daemon/daemon_process_fixture.h"

namespace coppice::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using DaemonProcessTest = DaemonProcessFixture;

TEST_F(DaemonProcessTest, AJobRunsToItsEndAndIsReportedInOrder) {
  WriteTrainer(
      "start; echo hello >&2; metrics 50; checkpoint 50; metrics 100; checkpoint 100;\n"
      "say '{\"event\":\"done\",\"seed\":0,\"step\":100}'\n");
  server_.Grant(Grant());
  StartDaemon();
  ASSERT_TRUE(server_.Await("complete 1:1"));
  std::vector<std::string> order = server_.Seen();
  std::erase_if(order, [](const std::string& entry) {
    return entry.rfind("heartbeat", 0) == 0 || entry.rfind("log", 0) == 0 ||
           entry.rfind("register", 0) == 0 || entry.rfind("start", 0) == 0;
  });
  ASSERT_EQ(order.size(), 5u);
  EXPECT_THAT(order[0], HasSubstr("row 1:1#"));
  EXPECT_THAT(server_.Seen("checkpoint"),
              ElementsAre("checkpoint 1:1 step 50 job-1/attempt-1/step-50.safetensors",
                          "checkpoint 1:1 step 100 job-1/attempt-1/step-100.safetensors"));
  EXPECT_THAT(order.back(), HasSubstr("complete"));
  EXPECT_THAT(server_.Seen("log"), ::testing::SizeIs(1));
  EXPECT_EQ(Kill(SIGTERM), 0) << DaemonLog();
  EXPECT_THAT(*ListDirectory(root_ + "/state/spool"), IsEmpty());
}

TEST_F(DaemonProcessTest, SigtermCheckpointsReleasesAndExitsWithZero) {
  WriteTrainer(kPatient);
  server_.Grant(Grant());
  StartDaemon();
  ASSERT_TRUE(server_.Await("row 1:1"));
  EXPECT_EQ(Kill(SIGTERM), 0) << DaemonLog();
  EXPECT_THAT(server_.Seen("checkpoint"),
              ElementsAre("checkpoint 1:1 step 42 job-1/attempt-1/step-42.safetensors"));
  EXPECT_THAT(server_.Seen("release"), ElementsAre("release 1:1 step 42"));
  EXPECT_THAT(server_.Seen("fail"), IsEmpty());
}

TEST_F(DaemonProcessTest, SlurmsEarlySignalsTakeTheSamePath) {
  for (const int signal : {SIGUSR1, SIGUSR2, SIGHUP, SIGINT}) {
    SCOPED_TRACE(signal);
    WriteTrainer(kPatient);
    const uint64_t attempt = 100 + static_cast<uint64_t>(signal);
    server_.Grant(Grant(attempt));
    StartDaemon();
    const std::string lease = absl::StrCat("1:", attempt);
    ASSERT_TRUE(server_.Await("row " + lease));
    EXPECT_EQ(Kill(signal), 0) << DaemonLog();
    EXPECT_THAT(server_.Seen("release " + lease), ElementsAre("release " + lease + " step 42"));
    EXPECT_THAT(server_.Seen("fail"), IsEmpty());
  }
}

// A cluster signals every process of a job, and its shell may forward the signal.
TEST_F(DaemonProcessTest, ARequestDeliveredTwiceStillCheckpoints) {
  WriteTrainer(R"sh(
stop() { sleep 0.5; checkpoint 42; say '{"event":"preempted","seed":0,"step":42}'; exit 75; }
trap 'trap "" TERM; stop' TERM
start; echo $$ > "$dir/pid"; metrics 10
while :; do sleep 1000 & wait $!; done)sh");
  server_.Grant(Grant());
  StartDaemon();
  ASSERT_TRUE(server_.Await("row 1:1"));
  ::kill(TrainerPid(), SIGTERM);
  ::kill(daemon_, SIGTERM);
  EXPECT_EQ(Kill(SIGUSR1), 0) << DaemonLog();  // another signal: two of one kind may merge
  EXPECT_THAT(DaemonLog(), HasSubstr("the same request"));
  EXPECT_THAT(server_.Seen("release"), ElementsAre("release 1:1 step 42"));
  EXPECT_THAT(server_.Seen("fail"), IsEmpty());
}

TEST_F(DaemonProcessTest, ASecondSignalEndsEverythingAtOnce) {
  WriteTrainer("trap '' TERM; start; echo $$ > $dir/pid; metrics 10; while :; do sleep 1; done");
  server_.Grant(Grant());
  StartDaemon();
  ASSERT_TRUE(server_.Await("row 1:1"));
  ASSERT_TRUE(server_.Await("heartbeat held 1"));
  const pid_t trainer = TrainerPid();
  ::kill(daemon_, SIGINT);
  absl::SleepFor(StopRequests::kSameRequest + absl::Milliseconds(200));
  const absl::Time start = absl::Now();
  EXPECT_EQ(Kill(SIGINT), 1) << DaemonLog();
  EXPECT_LT(absl::Now() - start, absl::Seconds(10));  // the grace period is 25
  EXPECT_TRUE(BecomesGone(trainer));
  EXPECT_THAT(DaemonLog(), HasSubstr("left at once"));
  EXPECT_THAT(server_.Seen("release"), ElementsAre("release 1:1 step 0"));
}

// As Slurm does at the start and at the end of a preemption's grace. The trainer's checkpoint is
// written after the second signal.
TEST_F(DaemonProcessTest, InASlurmJobALaterSignalShortensNoGrace) {
  WriteTrainer(R"sh(
trap 'until [ -e "$dir/go" ]; do sleep 0.05; done; checkpoint 42; say "{\"event\":\"preempted\",\"seed\":0,\"step\":42}"; exit 75' TERM
start; metrics 10
while :; do sleep 0.05; done
)sh");
  WriteProgram("squeue", "date -d '+1 hour' +%s");
  WriteProgram("scontrol", "echo 'KillWait = 5 sec'");
  variables_ = {{"SLURM_JOB_ID", "7"},
                {"SLURM_CLUSTER_NAME", "hpc"},
                {"SLURM_PROCID", "0"},
                {"PATH", root_ + "/programs:/usr/bin:/bin"}};
  server_.Grant(Grant());
  StartDaemon();
  ASSERT_TRUE(server_.Await("row 1:1")) << DaemonLog();
  EXPECT_TRUE(Says("comes from squeue")) << DaemonLog();
  EXPECT_TRUE(Says("--grace 25s is longer than Slurm waits")) << DaemonLog();
  EXPECT_TRUE(FileExists(root_ + "/state/hpc-7-0/spool"));
  ::kill(daemon_, SIGTERM);
  absl::SleepFor(StopRequests::kSameRequest + absl::Milliseconds(200));
  ::kill(daemon_, SIGTERM);
  EXPECT_TRUE(Says("SIGTERM again")) << DaemonLog();
  std::ofstream(root_ + "/checkpoints/job-1/attempt-1/go").close();
  EXPECT_EQ(Wait(std::exchange(daemon_, 0)), 75) << DaemonLog();
  EXPECT_THAT(server_.Seen("release"), ElementsAre("release 1:1 step 42"));
}

TEST_F(DaemonProcessTest, AWalltimeThatEndsHandsEverythingBackAndExitsWithZero) {
  WriteTrainer(kPatient);
  server_.Grant(Grant());
  StartDaemon({"--grace=1s", "--walltime=64s", "--walltime-margin=62s"});
  ASSERT_TRUE(server_.Await("row 1:1"));
  ASSERT_TRUE(server_.Await("heartbeat held 1 draining")) << DaemonLog();
  EXPECT_THAT(server_.Seen("release"), IsEmpty());  // the running pack goes on
  EXPECT_EQ(Kill(SIGTERM), 0);
}

TEST_F(DaemonProcessTest, TheGracePeriodBoundsTheExit) {
  WriteTrainer("trap '' TERM; start; metrics 10; while :; do sleep 1; done");
  server_.Grant(Grant());
  StartDaemon({"--grace=2s"});
  ASSERT_TRUE(server_.Await("row 1:1"));
  const absl::Time start = absl::Now();
  EXPECT_EQ(Kill(SIGTERM), 0);
  EXPECT_LT(absl::Now() - start, absl::Seconds(5));
  EXPECT_THAT(server_.Seen("release"), ElementsAre("release 1:1 step 0"));
}

// The cases are `ln -s /bigdisk/me STATE/scratch`, and a home as the state folder.
TEST_F(DaemonProcessTest, AStartTouchesNoFileOfTheUsers) {
  WriteTrainer("exit 1\n");
  const std::string disk = root_ + "/bigdisk";
  std::filesystem::create_directories(disk + "/7/attempt-1");
  std::ofstream(disk + "/thesis.tex") << "mine";
  std::ofstream(disk + "/7/attempt-1/step-5.safetensors") << "mine";
  std::filesystem::create_directory(root_ + "/state");
  std::filesystem::create_directory_symlink(disk, root_ + "/state/scratch");
  StartDaemon({}, /*shared=*/false);
  EXPECT_EQ(Wait(std::exchange(daemon_, 0)), 1);
  EXPECT_THAT(DaemonLog(), HasSubstr("scratch"));

  std::filesystem::remove(root_ + "/state/scratch");
  std::filesystem::rename(disk, root_ + "/state/scratch");
  std::ofstream(root_ + "/state/.bashrc") << "mine";
  StartDaemon({}, /*shared=*/false);
  EXPECT_EQ(Wait(std::exchange(daemon_, 0)), 1);
  EXPECT_THAT(DaemonLog(), HasSubstr("--state-dir"));
  EXPECT_EQ(*ReadFile(root_ + "/state/scratch/thesis.tex"), "mine");
  EXPECT_EQ(*ReadFile(root_ + "/state/scratch/7/attempt-1/step-5.safetensors"), "mine");
  EXPECT_EQ(*ReadFile(root_ + "/state/.bashrc"), "mine");
}

TEST_F(DaemonProcessTest, AForeignFileInTheSpoolStays) {
  WriteTrainer(
      "start; metrics 100; checkpoint 100; say '{\"event\":\"done\",\"seed\":0,\"step\":100}'\n");
  server_.Grant(Grant());
  StartDaemon();
  ASSERT_TRUE(server_.Await("complete 1:1"));
  EXPECT_EQ(Kill(SIGTERM), 0);
  std::ofstream(root_ + "/state/spool/letters.txt") << "mine";
  server_.Grant(Grant(2));
  StartDaemon();
  ASSERT_TRUE(server_.Await("complete 1:2"));
  EXPECT_EQ(Kill(SIGTERM), 0);
  EXPECT_THAT(DaemonLog(), HasSubstr("letters.txt is no spool"));
  EXPECT_EQ(*ReadFile(root_ + "/state/spool/letters.txt"), "mine");
}

TEST_F(DaemonProcessTest, AKilledDaemonTakesItsTrainerAlongAndTheNextHandsTheLeaseBack) {
  WriteTrainer(kPatient);
  server_.Grant(Grant());
  StartDaemon();
  ASSERT_TRUE(server_.Await("row 1:1"));
  ASSERT_TRUE(server_.Await("heartbeat held 1"));
  const pid_t trainer = TrainerPid();
  EXPECT_EQ(Kill(SIGKILL), -SIGKILL);
  EXPECT_TRUE(BecomesGone(trainer));
  StartDaemon();
  EXPECT_TRUE(server_.Await("register w held 1"));
  EXPECT_TRUE(server_.Await("release 1:1 step 0"));
  EXPECT_EQ(Kill(SIGTERM), 0);
}

TEST_F(DaemonProcessTest, ACoordinatorThatComesBackGetsWhatHappenedMeanwhile) {
  WriteTrainer(absl::StrCat("go=", root_, R"sh(/go; start; metrics 10
until [ -e $go ]; do sleep 0.05; done
metrics 100; checkpoint 100; say '{"event":"done","seed":0,"step":100}'
touch $go.done)sh"));
  server_.Grant(Grant());
  StartDaemon();
  ASSERT_TRUE(server_.Await("row 1:1#2"));
  server_.Stop();
  std::ofstream(root_ + "/go") << "";
  while (!FileExists(root_ + "/go.done")) absl::SleepFor(absl::Milliseconds(10));
  absl::SleepFor(absl::Seconds(1));
  server_.Start();
  EXPECT_TRUE(server_.Await("complete 1:1 step")) << DaemonLog();
  EXPECT_EQ(Kill(SIGTERM), 0);
}

TEST_F(DaemonProcessTest, ACrashIsReportedWithTheSignalAndTheLog) {
  WriteTrainer("start; echo 'bad address' >&2; ulimit -c 0; kill -SEGV $$");
  server_.Grant(Grant());
  StartDaemon();
  ASSERT_TRUE(server_.Await("fail 1:1 crashed"));
  EXPECT_THAT(server_.Seen("fail")[0], HasSubstr("SIGSEGV"));
  EXPECT_THAT(server_.Seen("fail")[0], HasSubstr("| bad address"));
  EXPECT_EQ(Kill(SIGTERM), 0);
}

TEST_F(DaemonProcessTest, AFloodOfGarbageEndsTheAttemptAndNotTheDaemon) {
  WriteTrainer("start; yes garbage");
  server_.Grant(Grant());
  StartDaemon();
  ASSERT_TRUE(server_.Await("fail 1:1 garbage"));
  server_.Grant(Grant(2));
  EXPECT_TRUE(server_.Await("fail 1:2 garbage"));
  EXPECT_EQ(Kill(SIGTERM), 0);
}

TEST_F(DaemonProcessTest, WithoutASharedFolderTheFilesGoOverTheWire) {
  WriteTrainer(R"sh(
grep -q '"resume":"' "$2" || exit 9
start 40; checkpoint 100; say '{"event":"done","seed":0,"step":100}')sh");
  const std::string content(2'500'000, 'c');
  server_.SetFile("job-1/attempt-0/step-40", content);
  v1::AcquireLeasesResponse grant = Grant();
  v1::Checkpoint* resume = grant.mutable_leases(0)->mutable_resume();
  resume->set_step(40);
  resume->set_path("job-1/attempt-0/step-40");
  resume->set_digest(DigestOf(content.data(), content.size()));
  resume->set_bytes(content.size());
  server_.Grant(grant);
  StartDaemon({}, /*shared=*/false);
  ASSERT_TRUE(server_.Await("complete 1:1")) << DaemonLog();
  EXPECT_THAT(server_.Seen("upload"), ElementsAre("upload 1:1 step 100"));
  EXPECT_EQ(server_.File("job-1/attempt-1/step-100.safetensors"), "content");
  EXPECT_EQ(Kill(SIGTERM), 0);
}

TEST_F(DaemonProcessTest, IdleExitEndsAWorkerWithoutWork) {
  WriteTrainer("exit 0");
  StartDaemon({"--idle-exit=500ms"});
  EXPECT_EQ(Wait(std::exchange(daemon_, 0)), 77);
  EXPECT_TRUE(server_.Await("goodbye 4"));
}

TEST_F(DaemonProcessTest, WrongUseIsRefusedWithAReason) {
  WriteTrainer("exit 0");
  EXPECT_EQ(Wait(Spawn({"--coordinator=nowhere"})), 2);
  EXPECT_THAT(DaemonLog(), HasSubstr("host:port"));
  EXPECT_EQ(Wait(Spawn({"--trainer=/nonexistent"})), 2);
  EXPECT_THAT(DaemonLog(), HasSubstr("no trainer at /nonexistent"));
  EXPECT_EQ(Wait(Spawn({"--slots=0"})), 2);
  EXPECT_EQ(Wait(Spawn({"--grace=soon"})), 2);
  EXPECT_EQ(Wait(Spawn({"--walltime=1m"})), 2);
  EXPECT_THAT(DaemonLog(), HasSubstr("leaves no time for work"));
  EXPECT_EQ(Wait(Spawn({"--checkpoint-dir=" + root_})), 1);
  EXPECT_THAT(DaemonLog(), HasSubstr(".coppice-store"));
  std::ofstream(root_ + "/checkpoints/.coppice-store") << "another";
  EXPECT_EQ(Wait(Spawn({"--checkpoint-dir=" + root_ + "/checkpoints"})), 80);
  EXPECT_THAT(DaemonLog(), HasSubstr("belongs to store another"));
}

// A user who asks for a GPU must not get the CPU, and is told what to do.
TEST_F(DaemonProcessTest, ADeviceThatTheTrainerCannotUseIsRefused) {
  WriteTrainer("exit 0");
  std::ofstream(root_ + "/cpu-trainer") << R"sh(#!/bin/sh
echo '{"event":"devices","cuda":false,"devices":[],"problem":"this trainer was built without CUDA"}'
)sh";
  std::filesystem::permissions(root_ + "/cpu-trainer", std::filesystem::perms::owner_all);
  EXPECT_EQ(Wait(Spawn({"--device=cuda", "--trainer=" + root_ + "/cpu-trainer"})), 1);
  EXPECT_THAT(DaemonLog(), HasSubstr("--device cuda: "));
  EXPECT_THAT(DaemonLog(), HasSubstr("was built without CUDA"));
  EXPECT_THAT(DaemonLog(), HasSubstr("build_gpu_trainer.sh"));
}

TEST_F(DaemonProcessTest, ADeviceOfTheTrainerIsLogged) {
  std::ofstream(root_ + "/gpu-trainer") << R"sh(#!/bin/sh
echo '{"event":"devices","cuda":true,"problem":"","devices":[{"name":"NVIDIA H200","compute_capability":"9.0","memory_bytes":150323855360,"problem":""}]}'
)sh";
  std::filesystem::permissions(root_ + "/gpu-trainer", std::filesystem::perms::owner_all);
  StartDaemon({"--device=cuda", "--trainer=" + root_ + "/gpu-trainer"});
  ASSERT_TRUE(server_.Await("register")) << DaemonLog();
  EXPECT_EQ(Kill(SIGTERM), 0);
  EXPECT_THAT(DaemonLog(),
              HasSubstr("cuda:0 (NVIDIA H200, 140.0 GiB, compute capability 9.0): the trainer can "
                        "use it"));
}

TEST_F(DaemonProcessTest, AStateFolderIsForOneWorkerAlone) {
  WriteTrainer("exit 0");
  StartDaemon();
  ASSERT_TRUE(server_.Await("register"));
  EXPECT_EQ(Wait(Spawn({})), 1);
  EXPECT_THAT(DaemonLog(), HasSubstr("another worker uses"));
  EXPECT_EQ(Kill(SIGTERM), 0);
}

TEST_F(DaemonProcessTest, ACoordinatorThatIsNotThereIsNamedAndWaitedFor) {
  WriteTrainer("exit 0");
  server_.Stop();
  StartDaemon();
  while (!absl::StrContains(DaemonLog(), "cannot reach the coordinator")) {
    absl::SleepFor(absl::Milliseconds(20));
  }
  EXPECT_THAT(DaemonLog(), HasSubstr(server_.address()));
  server_.Start();
  EXPECT_TRUE(server_.Await("register"));
  EXPECT_EQ(Kill(SIGTERM), 0);
}

}  // namespace
}  // namespace coppice::worker
