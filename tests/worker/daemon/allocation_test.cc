// A worker's allocation: what the environment says about it, the name, and the state folder.
#include "worker/daemon/allocation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>

#include "common/base/ids.h"
#include "tests/testing/temp_dir.h"
#include "worker/daemon/allocation_state.h"

namespace coppice::worker {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;

using Variables = std::map<std::string, std::string>;

Allocation Read(const Variables& variables) {
  return ReadAllocation([&](const char* name) -> const char* {
    const auto it = variables.find(name);
    return it == variables.end() ? nullptr : it->second.c_str();
  });
}

Variables SlurmJob() {
  return {{"SLURM_JOB_ID", "123"},
          {"SLURM_CLUSTER_NAME", "hpc-2"},
          {"SLURM_JOB_PARTITION", "low"},
          {"SLURMD_NODENAME", "node7"},
          {"SLURM_PROCID", "3"},
          {"SLURM_RESTART_COUNT", "2"},
          {"COPPICE_POOL_KEY", "ab-low-7"},
          {"KUBERNETES_SERVICE_HOST", "10.0.0.1"}};
}

TEST(AllocationTest, ASlurmJobIsReadAsItsUsersKnowIt) {
  Variables variables = SlurmJob();
  const Allocation plain = Read(variables);
  EXPECT_EQ(plain.system, "slurm");
  EXPECT_EQ(plain.job_id, "123");
  EXPECT_EQ(plain.partition, "low");
  EXPECT_EQ(plain.node, "node7");
  EXPECT_EQ(plain.restarts, 2u);
  EXPECT_EQ(plain.pool_key, "ab-low-7");
  EXPECT_EQ(AllocationName(plain), "hpc-2-123-3");
  variables["SLURM_ARRAY_JOB_ID"] = "120";
  variables["SLURM_ARRAY_TASK_ID"] = "4";
  const Allocation array = Read(variables);
  EXPECT_EQ(array.job_id, "120_4");
  EXPECT_EQ(array.raw_job_id, "123");
  EXPECT_EQ(AllocationName(array), "hpc-2-120_4-3");
}

TEST(AllocationTest, OutsideOfABatchSystemAllIsEmpty) {
  // A login shell may have some of the variables.
  const Allocation none = Read({{"SLURM_CLUSTER_NAME", "hpc"}, {"COPPICE_POOL_KEY", "key"}});
  EXPECT_EQ(none.system, "");
  EXPECT_EQ(none.pool_key, "");
  EXPECT_EQ(AllocationName(none), "");
  const Allocation pod = Read({{"KUBERNETES_SERVICE_HOST", "10.0.0.1"}});
  EXPECT_EQ(pod.system, "kubernetes");
  EXPECT_EQ(AllocationName(pod), "");
}

TEST(AllocationTest, ValuesThatCouldLeadOutOfTheStateFolderAreIgnored) {
  for (const char* bad : {"../../etc", "a/b", "x\ny", "\x1b[2J", "-rf", "\xff"}) {
    Variables variables = SlurmJob();
    for (const char* name : {"SLURM_CLUSTER_NAME", "SLURM_JOB_PARTITION", "SLURMD_NODENAME",
                             "COPPICE_POOL_KEY", "SLURM_PROCID", "SLURM_ARRAY_JOB_ID"}) {
      variables[name] = bad;
    }
    variables["SLURM_ARRAY_TASK_ID"] = "1";
    const Allocation allocation = Read(variables);
    EXPECT_EQ(AllocationName(allocation), "slurm-123-0") << bad;
    EXPECT_EQ(allocation.partition + allocation.node + allocation.pool_key, "") << bad;
    variables["SLURM_JOB_ID"] = bad;
    EXPECT_NE(Read(variables).system, "slurm") << bad;
  }
  Variables longer = SlurmJob();
  longer["SLURM_CLUSTER_NAME"] = std::string(300, 'c');
  EXPECT_EQ(AllocationName(Read(longer)), "slurm-123-3");
  longer["SLURM_RESTART_COUNT"] = "99999999999";
  EXPECT_EQ(Read(longer).restarts, 0u);
}

class AllocationStateTest : public ::testing::Test {
 protected:
  absl::StatusOr<StateFolder> Open(uint32_t restarts) {
    allocation_.restarts = restarts;
    return OpenAllocationState(dir_.Join("root"), allocation_, [this](absl::Duration time) {
      waited_ += time;
      if (on_pause_) on_pause_();
      return !asked_to_end_;
    });
  }

  testing::TempDir dir_;
  Allocation allocation_ = Read(SlurmJob());
  absl::Duration waited_;
  bool asked_to_end_ = false;
  std::function<void()> on_pause_;
};

TEST_F(AllocationStateTest, ARequeuedJobFindsItsFolderAgain) {
  {
    const auto first = Open(0);
    ASSERT_TRUE(first.ok()) << first.status();
    EXPECT_EQ(first->path, dir_.Join("root/hpc-2-123-3"));
    std::ofstream(first->path + "/spool/waiting") << "x";
  }
  const auto again = Open(1);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(FileExists(again->path + "/spool/waiting"));
  EXPECT_EQ(waited_, absl::ZeroDuration());
}

TEST_F(AllocationStateTest, WorkersOfOneJobThatShareATaskGetFoldersAndNamesOfTheirOwn) {
  const auto first = Open(0);
  const auto second = Open(0);
  const auto third = Open(0);
  ASSERT_TRUE(third.ok()) << third.status();
  EXPECT_EQ(NameInAllocation(allocation_, *first), "hpc-2-123-3");
  EXPECT_EQ(NameInAllocation(allocation_, *second), "hpc-2-123-3.2");
  EXPECT_EQ(NameInAllocation(allocation_, *third), "hpc-2-123-3.3");
  EXPECT_EQ(waited_, absl::ZeroDuration());
}

TEST_F(AllocationStateTest, AnOrphansLockIsWaitedForAndEndsNoAllocation) {
  auto orphan = std::make_unique<StateFolder>(*Open(0));
  const auto fresh = Open(1);
  ASSERT_TRUE(fresh.ok()) << fresh.status();
  EXPECT_THAT(fresh->path, EndsWith("hpc-2-123-3.2"));
  EXPECT_EQ(waited_, absl::Seconds(60));
  // The name stays, so that the coordinator knows the orphan as superseded.
  EXPECT_EQ(NameInAllocation(allocation_, *fresh), "hpc-2-123-3");
  // The orphan's end frees the folder.
  on_pause_ = [&] { orphan.reset(); };
  waited_ = absl::ZeroDuration();
  const auto freed = Open(2);
  ASSERT_TRUE(freed.ok()) << freed.status();
  EXPECT_THAT(freed->path, EndsWith("hpc-2-123-3"));
  EXPECT_EQ(waited_, absl::Seconds(1));
}

TEST_F(AllocationStateTest, ASignalEndsTheWait) {
  const auto orphan = Open(0);
  asked_to_end_ = true;
  const auto cancelled = Open(1);
  EXPECT_TRUE(absl::IsCancelled(cancelled.status())) << cancelled.status();
  EXPECT_EQ(waited_, absl::Seconds(1));
}

TEST_F(AllocationStateTest, TheLockFileNamesItsHolder) {
  const auto first = Open(0);
  std::ostringstream text;
  text << std::ifstream(first->path + "/lock").rdbuf();
  EXPECT_THAT(text.str(), AllOf(HasSubstr("process "), HasSubstr(HostName()), HasSubstr("boot ")));
  const auto refused = OpenStateFolder(first->path);
  EXPECT_TRUE(absl::IsUnavailable(refused.status())) << refused.status();
  EXPECT_THAT(std::string(refused.status().message()),
              AllOf(HasSubstr(HostName()), HasSubstr("--state-dir")));
}

TEST_F(AllocationStateTest, AFolderOfSomebodyElseIsAnErrorAndNotPassedBy) {
  std::filesystem::create_directories(dir_.Join("root/hpc-2-123-3"));
  std::ofstream(dir_.Join("root/hpc-2-123-3/notes")) << "mine";
  EXPECT_TRUE(absl::IsFailedPrecondition(Open(1).status()));
  EXPECT_FALSE(FileExists(dir_.Join("root/hpc-2-123-3.2")));
}

}  // namespace
}  // namespace coppice::worker
