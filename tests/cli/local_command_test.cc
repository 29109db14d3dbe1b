// The whole `coppice local`, with scripts in place of the daemons.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "tests/cli/fake_sweep_service.h"
#include "tests/cli/local_fixture.h"
#include "tests/testing/subprocess.h"

namespace coppice::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// Sets PATH while it lives.
class WithPath {
 public:
  explicit WithPath(const std::string& path) { ::setenv("PATH", path.c_str(), 1); }
  ~WithPath() { ::setenv("PATH", before_.c_str(), 1); }

 private:
  const std::string before_ = std::getenv("PATH");
};

// The whole command, with the fake service behind a script that acts as the coordinator.
class LocalCommandTest : public LocalTest {
 protected:
  CliResult Run(std::vector<std::string> more = {}) {
    std::ofstream(dir_.Join("demo.yaml"))
        << "name: demo\ntasks: [question, dyck]\ndepths: [1, 2]\nseeds: 0-1\n"
           "train: {steps: "
        << steps_ << "}\n";
    WriteCoordinator(coordinator_.tls_address(), coordinator_.access());
    std::vector<std::string> args = {"local",      dir_.Join("demo.yaml"),
                                     "--dir",      dir_.Join("local"),
                                     "--binaries", dir_.Join("bin")};
    args.insert(args.end(), more.begin(), more.end());
    return RunCommand("ignored:1", args);
  }
  void FinishJobs(v1::JobState state) {
    FakeSweepService& service = coordinator_.service();
    for (v1::Job& job : service.jobs) job.set_state(state);
    v1::JobCounts* counts = service.sweeps[0].mutable_counts();
    counts->Clear();
    state == v1::SUCCEEDED ? counts->set_succeeded(8) : counts->set_failed(8);
    v1::WatchSweepResponse update;
    *update.mutable_summary() = service.sweeps[0];
    service.updates.push_back(update);
  }

  // Blocked before the server's threads start: a signal to the process must find no thread that
  // takes it.
  const std::unique_ptr<StopSignals> blocked_ = Signals();
  std::string steps_ = "300";
  FakeCoordinator coordinator_;
};

TEST_F(LocalCommandTest, EndsWithATableAndFilesWhenEveryJobSucceeded) {
  FinishJobs(v1::SUCCEEDED);
  const CliResult result = Run();
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("found demo in"), HasSubstr("8 succeeded"),
                                HasSubstr("metrics.csv")));
  EXPECT_THAT(coppice::testing::ReadAll(dir_.Join("local/metrics.csv")),
              HasSubstr("job_id,task,depth,seed,step,gen_accuracy"));
  EXPECT_THAT(coppice::testing::ReadAll(dir_.Join("local/jobs.csv")),
              AllOf(HasSubstr("job_id,task,depth,seed,state"),
                    HasSubstr("2,question,1,1,SUCCEEDED,10,300,")));
  EXPECT_EQ(coppice::testing::ReadAll(dir_.Join("order")), "stopped\n")
      << "the coordinator was stopped in good order";
}

TEST_F(LocalCommandTest, APackIsANumberOrMeasured) {
  for (const char* value : {"0", "1025", "wide"}) {
    const CliResult refused = Run({"--pack", value});
    EXPECT_EQ(refused.code, 2) << value;
    EXPECT_THAT(refused.err, HasSubstr("must be auto or from 1 to 1024"));
  }
  FinishJobs(v1::SUCCEEDED);
  EXPECT_EQ(Run({"--pack", "auto"}).code, 0);
}

TEST_F(LocalCommandTest, TheRemedyForAMissingReportFitsItsCause) {
  FinishJobs(v1::SUCCEEDED);
  const std::string later = "afterwards the same `coppice local` command writes it";
  ASSERT_EQ(Run({"--no-report"}).code, 0);
  std::filesystem::create_directories(dir_.Join("local/report"));
  std::ofstream(dir_.Join("local/report/thesis")) << "mine";
  const CliResult refused = Run();
  EXPECT_EQ(refused.code, 0);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("no report was written: "), HasSubstr("other files"),
                                 Not(HasSubstr(later))));
  // The programs that the scripts need, without gnuplot.
  for (const char* name : {"sleep", "mv"})
    std::filesystem::create_symlink(absl::StrCat("/bin/", name), dir_.Join("bin/") + name);
  const WithPath path(dir_.Join("bin"));
  const CliResult missing = Run();
  EXPECT_EQ(missing.code, 0);
  EXPECT_THAT(missing.err, AllOf(HasSubstr("apt install gnuplot-nox"), HasSubstr(later)));
}

TEST_F(LocalCommandTest, CtrlCInTheReportStopsItAndNothingElse) {
  FinishJobs(v1::SUCCEEDED);
  WriteScript("gnuplot", absl::StrCat("#!/bin/sh\n[ \"$1\" = --version ] && exit 0\nkill -INT ",
                                      ::getpid(), "\nexec sleep 600\n"));
  const WithPath path(dir_.Join("bin") + ":" + std::getenv("PATH"));
  const CliResult result = Run();
  EXPECT_EQ(result.code, 0);
  EXPECT_THAT(result.err, HasSubstr("no report was written: stopped\n"));
  EXPECT_FALSE(std::filesystem::exists(dir_.Join("local/report")));
  EXPECT_EQ(coppice::testing::ReadAll(dir_.Join("order")), "stopped\n")
      << "the signal was for the report, not for the coordinator";
}

TEST_F(LocalCommandTest, FailedJobsAreItsFailure) {
  FinishJobs(v1::FAILED);
  const CliResult result = Run();
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.out, AllOf(HasSubstr("8 failed"), HasSubstr("nan: the loss is not finite"),
                                HasSubstr("--retry")));
}

TEST_F(LocalCommandTest, AnotherSpecOfTheNameNamesTheFolderAndTheDifferences) {
  steps_ = "301";
  coordinator_.service().extension.add_refused("train.batch_size: 8 -> 16");
  const CliResult result = Run();
  EXPECT_EQ(result.code, 2);
  EXPECT_THAT(result.err, AllOf(HasSubstr("demo.yaml:1:7: "), HasSubstr(dir_.Join("local")),
                                HasSubstr("--dir"), HasSubstr("\n  train.batch_size: 8 -> 16")));
  EXPECT_FALSE(coordinator_.service().extended);
}

TEST_F(LocalCommandTest, AChangedSpecExtendsTheSweepAndSaysSoBefore) {
  FinishJobs(v1::SUCCEEDED);
  steps_ = "301";
  coordinator_.service().extension.set_continued_jobs(8);
  coordinator_.service().extension.set_added_steps(8);
  const CliResult result = Run();
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_TRUE(coordinator_.service().extended);
  const size_t said =
      result.out.find("gets what its spec has now:\n  8 jobs that have succeeded go");
  EXPECT_NE(said, std::string::npos) << result.out;
  EXPECT_LT(said, result.out.find("found demo in")) << result.out;
}

TEST_F(LocalCommandTest, ADeadWorkerEndsTheRunWithItsLog) {
  WriteScript("coppice-worker", "#!/bin/sh\necho no memory left\nexit 4\n");
  coordinator_.service().watch_status = {grpc::StatusCode::UNAVAILABLE, "busy"};
  v1::WatchSweepResponse update;
  *update.mutable_summary() = coordinator_.service().sweeps[0];
  coordinator_.service().updates.push_back(update);
  const CliResult result = Run();
  EXPECT_EQ(result.code, 1) << result.out;
  EXPECT_THAT(result.err, AllOf(HasSubstr("worker-1"), HasSubstr("exited with code 4"),
                                HasSubstr("no memory left"), HasSubstr("` continues")));
}

TEST_F(LocalCommandTest, ASignalStopsCleanlyAndSaysHowToContinue) {
  // The worker sends the signal, so that the run is surely in progress.
  WriteScript("coppice-worker",
              absl::StrCat("#!/bin/sh\nkill -INT ", ::getpid(), "\nexec sleep 600\n"));
  coordinator_.service().watch_status = {grpc::StatusCode::UNAVAILABLE, "busy"};
  v1::WatchSweepResponse update;
  *update.mutable_summary() = coordinator_.service().sweeps[0];
  coordinator_.service().updates.push_back(update);
  const CliResult result = Run();
  EXPECT_EQ(result.code, 75) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("continuing demo"), HasSubstr("stopped; `coppice local "),
                                HasSubstr("continues")));
}

// `timeout` does this: it signals its child and then the group.
TEST_F(LocalCommandTest, OneRequestDeliveredTwiceKillsNoWorker) {
  WriteScript("coppice-worker",
              absl::StrCat("#!/bin/sh\ntrap 'sleep 1; echo saved >> ", dir_.Join("order"),
                           "; exit 0' TERM\nkill -TERM ", ::getpid(), "; kill -INT ", ::getpid(),
                           "\nwhile :; do sleep 600 & wait $!; done\n"));
  coordinator_.service().watch_status = {grpc::StatusCode::UNAVAILABLE, "busy"};
  v1::WatchSweepResponse update;
  *update.mutable_summary() = coordinator_.service().sweeps[0];
  coordinator_.service().updates.push_back(update);
  const CliResult result = Run();
  EXPECT_EQ(result.code, 75) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("stopped; `coppice local "), Not(HasSubstr("killed"))));
  EXPECT_EQ(coppice::testing::ReadAll(dir_.Join("order")), "saved\nstopped\n");
}

TEST_F(LocalCommandTest, AFolderOfTheUsersIsNotWrittenInto) {
  FinishJobs(v1::SUCCEEDED);
  std::filesystem::create_directory(dir_.Join("local"));
  std::ofstream(dir_.Join("local/jobs.csv")) << "mine";
  const CliResult refused = Run();
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("jobs.csv"), HasSubstr("--dir")));
  EXPECT_EQ(coppice::testing::ReadAll(dir_.Join("local/jobs.csv")), "mine");
  // Files of other names do no harm.
  std::filesystem::rename(dir_.Join("local/jobs.csv"), dir_.Join("local/notes.csv"));
  EXPECT_EQ(Run().code, 0);
  EXPECT_EQ(Run().code, 0) << "a folder that a run made is taken up again";
  EXPECT_EQ(coppice::testing::ReadAll(dir_.Join("local/notes.csv")), "mine");
}

TEST_F(LocalCommandTest, ResultsAreWrittenWhereTemporaryFilesCannotBe) {
  FinishJobs(v1::SUCCEEDED);
  const char* const before = std::getenv("TMPDIR");
  const std::string kept = before == nullptr ? "" : before;
  ::setenv("TMPDIR", dir_.Join("absent").c_str(), 1);
  const CliResult result = Run({"--no-report"});
  kept.empty() ? ::unsetenv("TMPDIR") : ::setenv("TMPDIR", kept.c_str(), 1);
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(coppice::testing::ReadAll(dir_.Join("local/metrics.csv")),
              HasSubstr("job_id,task,depth,seed,step,gen_accuracy"));
}

TEST_F(LocalCommandTest, BadBeginningsAreRefused) {
  EXPECT_EQ(Run({"--coordinator", "127.0.0.1:1"}).code, 2);
  EXPECT_EQ(Run({"--workers", "0"}).code, 2);
  std::filesystem::remove(dir_.Join("bin/coppice-worker"));
  const CliResult result = Run();
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, HasSubstr("there is no coppice-worker in"));
}

TEST_F(LocalCommandTest, TwoRunsInOneFolderAreRefused) {
  for (const char* name : {"local", "local/logs", "local/checkpoints"})
    std::filesystem::create_directory(dir_.Join(name));
  const auto held = FileLock::Acquire(dir_.Join("local/local.lock"));
  ASSERT_TRUE(held.ok());
  const CliResult result = Run();
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, AllOf(HasSubstr("another `coppice local` runs in"), HasSubstr("--dir")));
}

}  // namespace
}  // namespace coppice::cli
