#include "coordinator/pools/pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "tests/coordinator/pools/specs.h"

namespace coppice::pools {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(PoolSpec, AUsualPoolIsTaken) {
  PoolSpec spec = GoodSpec();
  EXPECT_EQ(CheckPoolSpec(spec).message(), "");
  spec.constraint = "[a100|h100]&nvlink";
  spec.gres = "gpu:a100:2";
  spec.sbatch_flags = {"--exclude=n1,n[3-4]", "--exclusive"};
  spec.worker_flags = {"--checkpoint-dir=/shared/my checkpoints"};
  spec.has_target = true;
  spec.target = 0;
  EXPECT_EQ(CheckPoolSpec(spec).message(), "");
}

struct BadCase {
  std::string flag;
  std::function<void(PoolSpec&)> change;
};

TEST(PoolSpec, EachBadSettingIsRefusedByItsFlag) {
  const std::vector<BadCase> cases = {
      {"--name", [](PoolSpec& s) { s.name = "a b"; }},
      {"--name", [](PoolSpec& s) { s.name = std::string(61, 'a'); }},
      {"--partition", [](PoolSpec& s) { s.partition = "low\n#SBATCH --wrap=x"; }},
      {"--partition", [](PoolSpec& s) { s.partition = "-x"; }},
      {"--account", [](PoolSpec& s) { s.account = "a b"; }},
      {"--qos", [](PoolSpec& s) { s.qos = "a\"b"; }},
      {"--gres", [](PoolSpec& s) { s.gres = "gpu:$(id)"; }},
      {"--constraint", [](PoolSpec& s) { s.constraint = "a#b"; }},
      {"--max-workers", [](PoolSpec& s) { s.max_workers = 0; }},
      {"--backlog", [](PoolSpec& s) { s.backlog = 0; }},
      {"--submits-a-minute", [](PoolSpec& s) { s.submits_a_minute = 0; }},
      {"--walltime", [](PoolSpec& s) { s.max_walltime_s = 0; }},
      {"--walltime", [](PoolSpec& s) { s.grace_s = 3600; }},
      {"--min-walltime", [](PoolSpec& s) { s.min_walltime_s = 7200; }},
      {"--time-min", [](PoolSpec& s) { s.time_min_s = 30; }},
      {"--gpu-hours-a-day",
       [](PoolSpec& s) { s.gpu_hours_a_day = std::numeric_limits<double>::quiet_NaN(); }},
      {"--gpu-hours-a-day",
       [](PoolSpec& s) {
         s.gpu_hours_a_day = 1;
         s.gpus = 0;
       }},
      {"--gpu-hours-a-sweep", [](PoolSpec& s) { s.gpu_hours_a_sweep = -1; }},
      {"--gpu-hours-a-sweep",
       [](PoolSpec& s) {
         s.gpu_hours_a_sweep = 1;
         s.gpus = 0;
       }},
      {"--target",
       [](PoolSpec& s) {
         s.has_target = true;
         s.target = 5;
       }},
      {"--worker", [](PoolSpec& s) { s.worker = "bin/coppice-worker"; }},
      {"--worker", [](PoolSpec& s) { s.worker = ""; }},
      {"--access", [](PoolSpec& s) { s.access_file = "~/access.json"; }},
      {"--log-dir", [](PoolSpec& s) { s.log_dir = "/home/%u/logs"; }},
      {"--log-dir", [](PoolSpec& s) { s.log_dir = "/home/a\" --wrap=\"x"; }},
      {"--sbatch-flag", [](PoolSpec& s) { s.sbatch_flags = {"-pX"}; }},
      {"--sbatch-flag", [](PoolSpec& s) { s.sbatch_flags = {"--array=1-4"}; }},
      {"--sbatch-flag", [](PoolSpec& s) { s.sbatch_flags = {"--mail-user=a b"}; }},
      {"--worker-flag", [](PoolSpec& s) { s.worker_flags = {"--token=abc"}; }},
      {"--worker-flag", [](PoolSpec& s) { s.worker_flags = {"--name=x"}; }},
  };
  for (const BadCase& bad : cases) {
    PoolSpec spec = GoodSpec();
    bad.change(spec);
    const absl::Status status = CheckPoolSpec(spec);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad.flag;
    EXPECT_THAT(std::string(status.message()), StartsWith(bad.flag + ":"));
  }
}

TEST(PoolSpec, ARefusedSbatchFlagNamesWhatToUseInstead) {
  PoolSpec spec = GoodSpec();
  spec.sbatch_flags = {"--time=1:00:00"};
  EXPECT_THAT(std::string(CheckPoolSpec(spec).message()), HasSubstr("use --walltime"));
}

TEST(PoolWords, EveryModeAndStateIsFoundByItsWord) {
  for (const PoolMode mode :
       {PoolMode::kRunning, PoolMode::kPaused, PoolMode::kDraining, PoolMode::kStopped}) {
    PoolMode parsed = mode == PoolMode::kPaused ? PoolMode::kRunning : PoolMode::kPaused;
    ASSERT_TRUE(ParsePoolMode(PoolModeName(mode), &parsed));
    EXPECT_EQ(parsed, mode);
  }
  for (const AllocationState state :
       {AllocationState::kIntended, AllocationState::kQueued, AllocationState::kRunning,
        AllocationState::kEnded, AllocationState::kUnknown}) {
    AllocationState parsed =
        state == AllocationState::kQueued ? AllocationState::kRunning : AllocationState::kQueued;
    ASSERT_TRUE(ParseAllocationState(AllocationStateName(state), &parsed));
    EXPECT_EQ(parsed, state);
  }
  PoolMode mode;
  EXPECT_FALSE(ParsePoolMode("idle", &mode));
}

TEST(PoolWords, AKeyHasStorePoolAndSequence) {
  EXPECT_EQ(AllocationKey("0123456789abcdef", "low", 17), "01234567-low-17");
}

TEST(AllocationKey, NamesItsPool) {
  EXPECT_EQ(PoolOfKey(AllocationKey("0123456789", "low", 7)), "low");
  EXPECT_EQ(PoolOfKey(AllocationKey("0123456789", "a-b-2", 7)), "a-b-2");
  EXPECT_EQ(PoolOfKey(""), "");
  EXPECT_EQ(PoolOfKey("low-7"), "");
}

}  // namespace
}  // namespace coppice::pools
