// Options of the command line for the worker's end.
#include "worker/daemon/worker_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "worker/daemon/prepare_worker.h"
#include "worker/program/oom_kills.h"
#include "worker/program/posix_launcher.h"

namespace coppice::worker {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// Returns the exit code and the printed text; 0 and no text if the flags are valid.
std::pair<int, std::string> Refusal(std::vector<const char*> flags) {
  flags.insert(flags.begin(), "coppice-worker");
  int exit_code = 0;
  ::testing::internal::CaptureStderr();
  const auto options = ParseWorkerOptions(static_cast<int>(flags.size()), flags.data(), &exit_code);
  return {options ? 0 : exit_code, ::testing::internal::GetCapturedStderr()};
}

TEST(WorkerOptionsTest, AMisspeltFlagIsSuggestedItsName) {
  const auto [code, text] = Refusal({"--cordinator", "127.0.0.1:1"});
  EXPECT_EQ(code, 2);
  EXPECT_THAT(text, HasSubstr("did you mean --coordinator?"));
}

TEST(WorkerOptionsTest, DurationsThatMakeNoSenseAreRefusedWithTheReason) {
  EXPECT_EQ(Refusal({"--grace", "60s", "--walltime", "4h", "--walltime-margin", "10m"}).first, 0);
  EXPECT_EQ(Refusal({"--walltime", "inf"}).first, 0);
  for (const char* flag :
       {"--grace", "--walltime", "--walltime-margin", "--idle-exit", "--coordinator-timeout"}) {
    for (const char* value : {"soon", "0s", "-5s", "4"}) {
      const auto [code, text] = Refusal({flag, value});
      EXPECT_EQ(code, 2) << flag << " " << value;
      EXPECT_THAT(text, AllOf(HasSubstr(flag), HasSubstr("for example"))) << value;
    }
  }
  EXPECT_THAT(Refusal({"--grace", "inf"}).second, HasSubstr("from 1s to 24h"));
  EXPECT_THAT(Refusal({"--grace", "10ms"}).second, HasSubstr("from 1s to 24h"));
}

TEST(WorkerOptionsTest, OnlyInASlurmJobAWorkerWithoutWorkOrCoordinatorLeavesUnasked) {
  WorkerOptions options;
  EXPECT_EQ(IdleLimitsOf(options).idle_exit, absl::InfiniteDuration());
  EXPECT_EQ(IdleLimitsOf(options).coordinator_timeout, absl::InfiniteDuration());
  options.allocation.pool_key = "pool-1";
  EXPECT_EQ(IdleLimitsOf(options).first_idle_exit, absl::InfiniteDuration());
  options.allocation.system = "slurm";
  EXPECT_EQ(IdleLimitsOf(options).idle_exit, absl::Minutes(5));
  EXPECT_EQ(IdleLimitsOf(options).coordinator_timeout, absl::Minutes(30));
  EXPECT_EQ(IdleLimitsOf(options).first_idle_exit, absl::Seconds(30));
  options.allocation.pool_key.clear();
  EXPECT_EQ(IdleLimitsOf(options).first_idle_exit, absl::InfiniteDuration());
  options.idle_exit = absl::InfiniteDuration();
  options.coordinator_timeout = absl::Minutes(1);
  EXPECT_EQ(IdleLimitsOf(options).idle_exit, absl::InfiniteDuration());
  EXPECT_EQ(IdleLimitsOf(options).coordinator_timeout, absl::Minutes(1));
}

TEST(WorkerOptionsTest, ThePackIsMeasuredUnlessANumberIsGiven) {
  const auto pack = [](std::vector<const char*> flags) {
    flags.insert(flags.begin(), "coppice-worker");
    int exit_code = 0;
    return ParseWorkerOptions(static_cast<int>(flags.size()), flags.data(), &exit_code)->pack;
  };
  EXPECT_EQ(pack({}), 0u);
  EXPECT_EQ(pack({"--pack", "auto"}), 0u);
  EXPECT_EQ(pack({"--pack", "7"}), 7u);
  for (const char* value : {"0", "-1", "1025", "wide", ""}) {
    const auto [code, text] = Refusal({"--pack", value});
    EXPECT_EQ(code, 2) << value;
    EXPECT_THAT(text, AllOf(HasSubstr("--pack"), HasSubstr("must be auto or from 1 to 1024")));
  }
}

TEST(WorkerOptionsTest, WhereOneJobAtATimeIsTheOnlyChoiceNothingIsMeasured) {
  std::string state = ::testing::TempDir() + "coppice-options-XXXXXX";
  WorkerOptions options;
  options.state_dir = ::mkdtemp(state.data());
  options.trainer = "/bin/true";
  options.device = {DeviceKind::kCpu};
  options.threads = 1;
  const std::unique_ptr<PosixLauncher> launcher = *PosixLauncher::Create();
  const auto prepare = [&] {
    return PrepareWorker(
               options, [](const char*) -> const char* { return nullptr; }, launcher.get(),
               EndRequest())
        ->config;
  };
  EXPECT_EQ(prepare().pack_width, 1u);
  EXPECT_FALSE(prepare().measure.has_value());
  options.threads = 4;
  const AgentConfig several = prepare();
  EXPECT_EQ(several.pack_width, 4u);
  ASSERT_TRUE(several.measure.has_value());
  EXPECT_EQ(several.measure->widest, 4u);
  EXPECT_EQ(several.measure->threads, 4u);
  EXPECT_THAT(several.measure->machine, HasSubstr("cpu on "));
  EXPECT_THAT(several.measure->cache_dir, HasSubstr(state + "/widths"));
  options.pack = 9;
  EXPECT_EQ(prepare().pack_width, 9u);
  EXPECT_FALSE(prepare().measure.has_value());
  std::filesystem::remove_all(state);
}

class WalltimeTest : public ::testing::Test {
 protected:
  absl::StatusOr<Walltime> Get() { return WalltimeOf(options_, now_); }
  std::string Error() { return std::string(Get().status().message()); }
  void SlurmEndsIn(absl::Duration left) {
    options_.slurm_job_end_time = absl::StrCat(absl::ToUnixSeconds(now_ + left));
  }

  const absl::Time now_ = absl::FromUnixSeconds(1'750'000'000);
  WorkerOptions options_;
};

TEST_F(WalltimeTest, TheMarginIsAtLeastTheGracePeriodAndAMinute) {
  options_.walltime = absl::Hours(4);
  EXPECT_EQ(Get()->total, absl::Hours(4));
  EXPECT_EQ(Get()->margin, absl::Seconds(85));
  options_.walltime_margin = absl::Seconds(10);
  EXPECT_EQ(Get()->margin, absl::Seconds(85));
  options_.walltime_margin = absl::Minutes(20);
  EXPECT_EQ(Get()->margin, absl::Minutes(20));
}

TEST_F(WalltimeTest, SlurmsEndCountsUnlessTheFlagSaysOtherwise) {
  EXPECT_EQ(Get()->total, absl::InfiniteDuration());
  SlurmEndsIn(absl::Hours(2));
  EXPECT_EQ(Get()->total, absl::Hours(2));
  options_.walltime = absl::Hours(1);
  EXPECT_EQ(Get()->total, absl::Hours(1));
  options_.walltime = absl::InfiniteDuration();
  EXPECT_EQ(Get()->total, absl::InfiniteDuration());
}

TEST_F(WalltimeTest, AnEndTooSoonForAnyWorkIsRefusedWithTheRemedy) {
  options_.walltime = absl::Seconds(85);
  EXPECT_TRUE(absl::IsInvalidArgument(Get().status()));
  EXPECT_THAT(Error(), AllOf(HasSubstr("--walltime 1m25s"), HasSubstr("shorten --grace")));
  options_.walltime = absl::ZeroDuration();
  SlurmEndsIn(absl::Seconds(30));
  EXPECT_TRUE(absl::IsFailedPrecondition(Get().status()));
  EXPECT_THAT(Error(), AllOf(HasSubstr("ends in 30s"), HasSubstr("give --walltime")));
  SlurmEndsIn(-absl::Hours(1));  // left over in a shell of an earlier job
  EXPECT_TRUE(absl::IsFailedPrecondition(Get().status()));
}

TEST_F(WalltimeTest, AVariableThatIsNoTimeIsRefused) {
  for (const char* text : {"tomorrow", "-1", "0", "1e9", "99999999999999999999"}) {
    options_.slurm_job_end_time = text;
    EXPECT_TRUE(absl::IsInvalidArgument(Get().status())) << text;
    EXPECT_THAT(Error(), HasSubstr("SLURM_JOB_END_TIME"));
  }
}

TEST(OomKillsTest, TheKernelsCountIsFoundWhateverStandsAroundIt) {
  EXPECT_EQ(OomKillsOf("nr_free_pages 12\noom_kill 3\ndrop_pagecache 0\n"), 3u);
  EXPECT_EQ(OomKillsOf("oom_kill 0"), 0u);
  EXPECT_EQ(OomKillsOf("oom_kill_disable 1\n"), std::nullopt);
  EXPECT_EQ(OomKillsOf("oom_kill many\n"), std::nullopt);
  EXPECT_EQ(OomKillsOf(""), std::nullopt);
}

}  // namespace
}  // namespace coppice::worker
