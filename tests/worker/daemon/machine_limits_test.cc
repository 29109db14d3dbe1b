// GPUs and cores that a worker may use, and what its slots make of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "tests/testing/temp_dir.h"
#include "worker/daemon/cpus.h"
#include "worker/daemon/devices.h"

namespace coppice::worker {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class MachineLimitsTest : public ::testing::Test {
 protected:
  MachineLimitsTest() { std::filesystem::create_directories(dir_.Join("dev")); }

  void Write(const std::string& file, const std::string& text) {
    const std::filesystem::path path = dir_.Join(file);
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  EnvironmentLookup Env() {
    return [this](const char* name) -> const char* {
      const auto it = variables_.find(name);
      return it == variables_.end() ? nullptr : it->second.c_str();
    };
  }
  VisibleGpus Gpus() { return *FindGpus(Env(), ReadAllocation(Env()), dir_.path()); }
  SlotPlan Plan(const std::string& device = "auto", uint32_t slots = 0) {
    return *PlanSlots(Gpus(), *DeviceSpecFromText(device), slots);
  }
  absl::Status Refusal(const std::string& device) {
    return PlanSlots(Gpus(), *DeviceSpecFromText(device), 0).status();
  }
  UsableCpus Cpus() { return CountCpus(Env(), ReadAllocation(Env()), dir_.path()); }

  testing::TempDir dir_;
  std::map<std::string, std::string> variables_;
};

TEST_F(MachineLimitsTest, EachVisibleGpuIsASlotUnderItsOwnName) {
  variables_["CUDA_VISIBLE_DEVICES"] = "3,1";
  EXPECT_THAT(Plan().devices, ElementsAre("3", "1"));
  EXPECT_EQ(Plan().slots, 2u);
  EXPECT_THAT(Plan().summary, AllOf(HasSubstr("3, 1"), HasSubstr("CUDA_VISIBLE_DEVICES")));
  EXPECT_THAT(Plan().warning, IsEmpty());
  variables_["CUDA_VISIBLE_DEVICES"] =
      "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6, MIG-GPU-8932f937-d72c-4106-c12f-20bd9faed9f6/1/0";
  EXPECT_THAT(Plan().devices, ElementsAre("GPU-8932f937-d72c-4106-c12f-20bd9faed9f6",
                                          "MIG-GPU-8932f937-d72c-4106-c12f-20bd9faed9f6/1/0"));
}

TEST_F(MachineLimitsTest, TheListEndsWhereCudaEndsIt) {
  Write("dev/nvidia0", "");
  variables_["CUDA_VISIBLE_DEVICES"] = "0,-1,1";
  EXPECT_THAT(Plan().devices, ElementsAre("0"));
  for (const char* none : {"", "-1", "NoDevFiles", "\x1b[2J", "00000"}) {
    variables_["CUDA_VISIBLE_DEVICES"] = none;
    EXPECT_THAT(Plan().devices, IsEmpty()) << none;
    EXPECT_EQ(Plan().slots, 1u) << none;
    EXPECT_TRUE(absl::IsInvalidArgument(Refusal("cuda"))) << none;
  }
  variables_["CUDA_VISIBLE_DEVICES"] = "1,1";
  const auto twice = FindGpus(Env(), {}, dir_.path());
  EXPECT_TRUE(absl::IsInvalidArgument(twice.status()));
  EXPECT_THAT(std::string(twice.status().message()), HasSubstr("twice"));
}

TEST_F(MachineLimitsTest, WithoutTheVariableTheDeviceFilesCount) {
  for (const char* file : {"nvidia0", "nvidia3", "nvidiactl", "nvidia-uvm", "nvidia", "null"}) {
    Write(std::string("dev/") + file, "");
  }
  EXPECT_THAT(Plan().devices, ElementsAre("0", "1"));
  EXPECT_EQ(Plan("cpu").slots, 1u);
  EXPECT_THAT(Plan("cpu").devices, IsEmpty());
}

TEST_F(MachineLimitsTest, ASlurmJobUsesTheGpusThatItWasGranted) {
  for (const char* file : {"nvidia0", "nvidia1", "nvidia2"}) Write(std::string("dev/") + file, "");
  variables_["SLURM_JOB_ID"] = "7";
  variables_["SLURM_GPUS_ON_NODE"] = "2";
  EXPECT_THAT(Plan().devices, ElementsAre("0", "1"));
  variables_.erase("SLURM_GPUS_ON_NODE");
  const SlotPlan none = Plan();
  EXPECT_EQ(none.device.kind, DeviceKind::kCpu);
  EXPECT_THAT(none.warning, AllOf(HasSubstr("--gres"), HasSubstr("--device cuda")));
  EXPECT_THAT(Plan("cuda").devices, ElementsAre("0", "1", "2"));
  for (const char* garbage : {"0", "many", "-1", ""}) {
    variables_["SLURM_GPUS_ON_NODE"] = garbage;
    EXPECT_THAT(Plan().devices, IsEmpty()) << garbage;
  }
}

TEST_F(MachineLimitsTest, ANumberedDeviceIsOneOfTheVisible) {
  variables_["CUDA_VISIBLE_DEVICES"] = "5,GPU-77";
  const SlotPlan second = Plan("cuda:1", 2);
  EXPECT_THAT(second.devices, ElementsAre("GPU-77", "GPU-77"));
  EXPECT_EQ(DeviceSpecText(second.device), "cuda");  // the trainer sees it as the first
  EXPECT_THAT(second.warning, IsEmpty());
  EXPECT_EQ(Plan("cuda:0").slots, 1u);
  EXPECT_TRUE(absl::IsInvalidArgument(Refusal("cuda:2")));
  EXPECT_THAT(std::string(Refusal("cuda:2").message()),
              AllOf(HasSubstr("--device cuda:2"), HasSubstr("are 2 GPUs")));
}

TEST_F(MachineLimitsTest, SlotsThatDoNotFitTheGpusAreSaid) {
  variables_["CUDA_VISIBLE_DEVICES"] = "0,1,2";
  EXPECT_THAT(Plan("auto", 2).devices, ElementsAre("0", "1"));
  EXPECT_THAT(Plan("auto", 2).warning, AllOf(HasSubstr("GPU 2"), HasSubstr("idle")));
  EXPECT_THAT(Plan("auto", 5).devices, ElementsAre("0", "1", "2", "0", "1"));
  EXPECT_THAT(Plan("auto", 5).warning, HasSubstr("share a GPU"));
  EXPECT_THAT(Plan("auto", 3).warning, IsEmpty());
}

TEST_F(MachineLimitsTest, ThreadsAreThoseOfTheJobAndNotOfTheNode) {
  const uint32_t all = Cpus().count;
  EXPECT_GE(all, 1u);
  EXPECT_EQ(Cpus().source, "affinity");
  if (all == 1) GTEST_SKIP() << "one core: nothing can be less";
  variables_["SLURM_JOB_ID"] = "7";
  variables_["SLURM_CPUS_ON_NODE"] = "1";
  EXPECT_EQ(Cpus().count, 1u);
  EXPECT_EQ(Cpus().source, "SLURM_CPUS_ON_NODE");
  // The node's count is not one task's.
  variables_["SLURM_NTASKS"] = "2";
  EXPECT_EQ(Cpus().count, all);
  variables_["SLURM_CPUS_PER_TASK"] = "1";
  EXPECT_EQ(Cpus().source, "SLURM_CPUS_PER_TASK");
  for (const char* garbage : {"0", "-3", "x", "999999"}) {
    variables_["SLURM_CPUS_PER_TASK"] = garbage;
    EXPECT_EQ(Cpus().count, all) << garbage;
  }
  // Variables that are left over count nowhere.
  variables_ = {{"SLURM_CPUS_PER_TASK", "1"}};
  EXPECT_EQ(Cpus().count, all);
}

TEST_F(MachineLimitsTest, TheQuotaOfAnyGroupAroundCounts) {
  const uint32_t all = Cpus().count;
  if (all == 1) GTEST_SKIP() << "one core: nothing can be less";
  Write("proc/self/cgroup", "0::/job_7/step_0\n");
  Write("sys/fs/cgroup/job_7/step_0/cpu.max", "max 100000\n");
  EXPECT_EQ(Cpus().count, all);
  Write("sys/fs/cgroup/job_7/cpu.max", "190000 100000\n");
  EXPECT_EQ(Cpus().count, 1u);
  EXPECT_THAT(Cpus().source, HasSubstr("quota"));
  Write("sys/fs/cgroup/job_7/cpu.max", "10000 100000\n");
  EXPECT_EQ(Cpus().count, 1u);  // never none
  for (const char* garbage : {"", "max", "0 0", "-1 100000", "x y"}) {
    Write("sys/fs/cgroup/job_7/cpu.max", garbage);
    EXPECT_EQ(Cpus().count, all) << garbage;
  }
}

TEST_F(MachineLimitsTest, AQuotaOfVersionOneCountsToo) {
  const uint32_t all = Cpus().count;
  if (all == 1) GTEST_SKIP() << "one core: nothing can be less";
  Write("proc/self/cgroup", "5:memory:/x\n4:cpu,cpuacct:/../..\n4:cpu,cpuacct:/docker/ab\n");
  Write("sys/fs/cgroup/cpu,cpuacct/docker/ab/cpu.cfs_quota_us", "-1");
  Write("sys/fs/cgroup/cpu,cpuacct/docker/ab/cpu.cfs_period_us", "100000");
  EXPECT_EQ(Cpus().count, all);
  // A container sees its own group as the root.
  Write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "150000");
  Write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000");
  EXPECT_EQ(Cpus().count, 1u);
}

}  // namespace
}  // namespace coppice::worker
