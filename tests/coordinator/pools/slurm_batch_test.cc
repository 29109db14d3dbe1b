#include "coordinator/pools/slurm_batch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "coordinator/pools/output_tail.h"
#include "coordinator/pools/script.h"
#include "tests/coordinator/pools/specs.h"
#include "tests/testing/subprocess.h"
#include "tests/testing/temp_dir.h"

namespace coppice::pools {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// Programs of Slurm that do what a test says.
class SlurmBatchTest : public ::testing::Test {
 protected:
  void Program(const std::string& name, const std::string& body) {
    const std::string path = dir_.Join(name);
    std::ofstream(path) << "#!/bin/sh\n" << body << "\n";
    ::chmod(path.c_str(), 0755);
  }
  SlurmOptions Options() {
    SlurmOptions options;
    options.bin_dir = dir_.path();
    options.submit_limit = absl::Seconds(20);
    return options;
  }
  Submission Job() {
    return {"01234567-low-1", "#!/bin/bash\necho hi\n", dir_.Join("logs/low"), ""};
  }
  // The answer of a call.
  template <typename T>
  T Get(const std::function<void(std::function<void(T)>)>& call) {
    absl::Notification done;
    std::optional<T> result;
    call([&](T got) {
      result.emplace(std::move(got));
      done.Notify();
    });
    EXPECT_TRUE(done.WaitForNotificationWithTimeout(absl::Seconds(30)));
    return *std::move(result);
  }
  SubmitResult Submit(SlurmBatch* batch) {
    return Get<SubmitResult>([&](auto done) { batch->Submit(Job(), done); });
  }

  // True if the process ends within seconds; a child that its parent left is a zombie until then.
  static bool Ended(const std::string& pid) {
    const std::string path = absl::StrCat("/proc/", std::stoi(pid), "/stat");
    for (int i = 0; i < 500; ++i) {
      const std::string facts = testing::ReadAll(path);
      if (facts.empty() || facts.find(") Z") != std::string::npos) return true;
      absl::SleepFor(absl::Milliseconds(10));
    }
    return false;
  }

  testing::TempDir dir_;
};

TEST_F(SlurmBatchTest, AJobIsSubmittedByStdinUnderItsKeyWithoutTheEnvironment) {
  ::setenv("COPPICE_TOKEN_FOR_TEST", "secret", 1);
  ::setenv("SBATCH_PARTITION", "elsewhere", 1);
  Program("sbatch", absl::StrCat("cd ", dir_.path(),
                                 "; printf '%s\\n' \"$@\" >args; cat >script; "
                                 "env >env; [ -d logs/low ] && echo '42;c'"));
  SlurmBatch batch(Options());
  const SubmitResult result = Submit(&batch);
  ::unsetenv("COPPICE_TOKEN_FOR_TEST");
  ::unsetenv("SBATCH_PARTITION");
  EXPECT_EQ(result.kind, SubmitResult::Kind::kAccepted);
  EXPECT_EQ(result.job_id, "42");
  EXPECT_EQ(testing::ReadAll(dir_.Join("args")),
            "--parsable\n--export=NONE\n--job-name=01234567-low-1\n--comment=01234567-low-1\n");
  EXPECT_EQ(testing::ReadAll(dir_.Join("script")), Job().script);
  EXPECT_THAT(testing::ReadAll(dir_.Join("env")),
              AllOf(Not(HasSubstr("secret")), Not(HasSubstr("elsewhere")),
                    HasSubstr("SLURM_TIME_FORMAT=%s")));
}

TEST_F(SlurmBatchTest, WhatSbatchAnswersBadlyIsUnclear) {
  SlurmOptions options = Options();
  options.submit_limit = absl::Seconds(2);
  SlurmBatch batch(options);
  Program("sbatch", "echo nonsense");
  EXPECT_EQ(Submit(&batch).kind, SubmitResult::Kind::kUnclear);
  // It hangs, with a child that holds the pipes: both are killed.
  Program("sbatch", absl::StrCat("sleep 600 & echo $! >", dir_.Join("pid"), "; wait"));
  const SubmitResult hung = Submit(&batch);
  EXPECT_EQ(hung.kind, SubmitResult::Kind::kUnclear);
  EXPECT_THAT(hung.text, HasSubstr("did not end within 2s"));
  EXPECT_TRUE(Ended(testing::ReadAll(dir_.Join("pid"))));
}

TEST_F(SlurmBatchTest, ARefusalHasItsKindAndRemedy) {
  Program("sbatch",
          "[ \"$1\" = --version ] && echo 'slurm-wlm 22.05.8' && exit; cat >/dev/null; "
          "echo 'sbatch: error: Batch job submission failed: Requested node configuration is not "
          "available' >&2; exit 1");
  SlurmBatch batch(Options());
  const SubmitResult result = Submit(&batch);
  EXPECT_EQ(result.kind, SubmitResult::Kind::kPermanent);
  EXPECT_THAT(result.remedy, HasSubstr("22.05.9"));
}

TEST_F(SlurmBatchTest, MissingProgramsAndFoldersAreNoLostJobs) {
  SlurmBatch batch(Options());
  SubmitResult result = Submit(&batch);
  EXPECT_EQ(result.kind, SubmitResult::Kind::kTransient);
  EXPECT_THAT(result.remedy, HasSubstr("PATH"));
  Program("sbatch", "echo 42");
  std::ofstream(dir_.Join("logs")) << "a file in the folder's place";
  std::filesystem::remove_all(dir_.Join("logs/low"));
  std::filesystem::remove_all(dir_.Join("logs"));
  std::ofstream(dir_.Join("logs")) << "a file in the folder's place";
  result = Submit(&batch);
  EXPECT_EQ(result.kind, SubmitResult::Kind::kTransient);
  EXPECT_THAT(result.text, HasSubstr("logs"));
}

TEST_F(SlurmBatchTest, AQueueThatDoesNotAnswerIsUnavailable) {
  SlurmBatch batch(Options());
  const auto queue = [&] {
    return Get<absl::StatusOr<std::vector<pools::Job>>>([&](auto done) {
      batch.Queue({"", ""}, done);
    });
  };
  Program("squeue", "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1");
  EXPECT_TRUE(absl::IsUnavailable(queue().status()));
  Program("squeue", "yes x");  // without an end
  EXPECT_TRUE(absl::IsUnavailable(queue().status()));
  Program("squeue", absl::StrCat("printf '%s\\n' \"$@\" >", dir_.Join("args"),
                                 "; echo '17|17|PENDING|Priority|N/A|N/A||k'"));
  const auto jobs = queue();
  ASSERT_TRUE(jobs.ok());
  EXPECT_EQ(jobs->size(), 1u);
  EXPECT_THAT(testing::ReadAll(dir_.Join("args")), StartsWith("--me\n--noheader\n--states=all\n"));
}

TEST_F(SlurmBatchTest, AnUnknownJobIsToldFromASilentController) {
  SlurmBatch batch(Options());
  const auto show = [&] {
    return Get<absl::StatusOr<std::optional<pools::Job>>>(
        [&](auto done) { batch.Show("17", "", done); });
  };
  Program("scontrol", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1");
  const auto unknown = show();
  ASSERT_TRUE(unknown.ok());
  EXPECT_FALSE(unknown->has_value());
  Program("scontrol", "echo 'Unable to contact slurm controller (connect failure)' >&2; exit 1");
  EXPECT_TRUE(absl::IsUnavailable(show().status()));
}

TEST_F(SlurmBatchTest, OnlyQueuedJobsAreCancelledAndOnlyByNumber) {
  Program("scancel", absl::StrCat("printf '%s\\n' \"$@\" >", dir_.Join("args")));
  SlurmBatch batch(Options());
  const auto cancel = [&](const std::vector<std::string>& ids) {
    return Get<absl::Status>([&](auto done) { batch.CancelQueued(ids, "c", done); });
  };
  EXPECT_TRUE(cancel({"17", "18_4"}).ok());
  EXPECT_EQ(testing::ReadAll(dir_.Join("args")), "--state=PENDING\n--clusters=c\n17\n18_4\n");
  EXPECT_FALSE(cancel({"--user=root"}).ok());
}

TEST_F(SlurmBatchTest, ShutdownKillsWhatRunsAndAnswers) {
  Program("squeue", absl::StrCat("touch ", dir_.Join("runs"), "; sleep 600"));
  SlurmBatch batch(Options());
  absl::Notification done;
  batch.Queue({}, [&done](absl::StatusOr<std::vector<pools::Job>> jobs) {
    EXPECT_TRUE(absl::IsUnavailable(jobs.status()));
    done.Notify();
  });
  batch.Shutdown();
  EXPECT_TRUE(done.HasBeenNotified());
}

TEST_F(SlurmBatchTest, ABashReadsTheScriptAndFindsTheWorkersFlags) {
  PoolSpec spec = GoodSpec();
  spec.access_file = "/home/o'neil/access.json";
  spec.worker_flags = {"--checkpoint-dir=/a b/$(c)"};
  spec.time_min_s = 600;
  const std::string script =
      WriteScript(spec, "01234567-low-1", 3600, {{"n1", 0, ""}, {"n2", 0, ""}});
  EXPECT_THAT(script,
              AllOf(StartsWith("#!/bin/bash\n#SBATCH --partition=low\n"),
                    HasSubstr("#SBATCH --gres=gpu:1\n"), HasSubstr("--time=01:00:00\n"),
                    HasSubstr("--time-min=00:10:00\n"), HasSubstr("--exclude=n1,n2\n"),
                    HasSubstr("--output=\"/home/u/coppice pools/low/01234567-low-1.out\"")));
  // The part before the worker's own.
  const std::string head = script.substr(0, script.size() - std::string(kWorkerScript).size());
  const testing::RunResult result =
      testing::RunProcess({"bash", "-c",
                           head + "printf '%s\\n' \"$COPPICE_ACCESS\" \"$COPPICE_POOL_KEY\" "
                                  "\"${COPPICE_WORKER_FLAGS[@]}\""});
  EXPECT_EQ(result.out,
            "/home/o'neil/access.json\n01234567-low-1\n--idle-exit=300s\n--grace=25s\n"
            "--checkpoint-dir=/a b/$(c)\n");
  EXPECT_EQ(testing::RunProcess({"bash", "-n", "-c", script}).code, 0);
}

TEST_F(SlurmBatchTest, TheTailOfAnOutputIsBoundedAndFollowsNoLink) {
  std::ofstream out(dir_.Join("out"));
  for (int i = 0; i < 5000; ++i) out << "line " << i << "\n";
  out << "\x1b[31mred\n";
  out.close();
  const auto tail = OutputTail(dir_.Join("out"), 2);
  ASSERT_TRUE(tail.ok());
  EXPECT_EQ(*tail, "line 4999\n [31mred");
  std::filesystem::create_symlink(dir_.Join("out"), dir_.Join("link"));
  EXPECT_FALSE(OutputTail(dir_.Join("link"), 2).ok());
  ::mkfifo(dir_.Join("pipe").c_str(), 0600);
  EXPECT_FALSE(OutputTail(dir_.Join("pipe"), 2).ok());
}

}  // namespace
}  // namespace coppice::pools
