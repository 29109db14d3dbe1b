// The use of a pool's allocations: queue waits, the share that trained, preemptions.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "coordinator/pools/pool_usage.h"
#include "tests/coordinator/pools/pool_world.h"
#include "tests/coordinator/pools/specs.h"

namespace coppice::pools {
namespace {

constexpr int64_t kNow = 1'800'000'000'000;

AllocationRow Row(uint64_t sequence, AllocationState state, int64_t waited_s) {
  AllocationRow row;
  row.pool = "low";
  row.sequence = sequence;
  row.key = absl::StrCat("k-", sequence);
  row.state = state;
  row.submitted_ms = kNow - 3'600'000;
  row.started_ms = row.submitted_ms + waited_s * 1000;
  return row;
}

TEST(QueueWaits, RequeuedAllocationsAndOldOnesDoNotCount) {
  std::vector<AllocationRow> rows = {Row(1, AllocationState::kEnded, 10),
                                     Row(2, AllocationState::kRunning, 40),
                                     Row(3, AllocationState::kEnded, 900)};
  rows.push_back(Row(4, AllocationState::kRunning, 3000));
  rows.back().restarts = 1;
  rows.push_back(Row(5, AllocationState::kEnded, 2000));
  rows.back().submitted_ms = rows.back().started_ms = kNow - 90'000'000;
  rows.push_back(Row(6, AllocationState::kQueued, 0));
  rows.back().started_ms = 0;
  const QueueWaits waits = QueueWaitsOf(rows, kNow);
  EXPECT_EQ(waits.starts, 3u);
  EXPECT_DOUBLE_EQ(waits.median_s, 40);
  EXPECT_DOUBLE_EQ(waits.longest_s, 900);
  EXPECT_EQ(QueueWaitsOf({}, kNow).starts, 0u);
}

TEST(Usage, OnlySlotsThatTrainAreUseful) {
  const std::vector<AllocationRow> rows = {Row(1, AllocationState::kRunning, 1),
                                           Row(2, AllocationState::kRunning, 1),
                                           Row(3, AllocationState::kEnded, 1)};
  Demand demand;
  demand.workers.emplace_back();
  demand.workers[0].pool_key = "k-1";
  demand.workers[0].slots = 4;
  demand.workers[0].idle_slots = 1;
  const WorkersByKey workers = ByKey(demand);
  // The second allocation has no worker yet: its four slots wait.
  const UsageSums sums = UsageOf("low", rows, workers, 4, 10);
  EXPECT_DOUBLE_EQ(sums.allocation_seconds, 20);
  EXPECT_DOUBLE_EQ(sums.slot_seconds, 80);
  EXPECT_DOUBLE_EQ(sums.busy_slot_seconds, 30);
  EXPECT_DOUBLE_EQ(UsageOf("other", rows, workers, 4, 10).slot_seconds, 0);
}

TEST(UsageLogTest, ADayIsKeptByTheHour) {
  UsageLog log;
  UsageSums one;
  one.preemptions = 1;
  one.slot_seconds = 5;
  for (int hour = 0; hour < 30; ++hour) log.Add(one, kNow + hour * int64_t{3'600'000});
  EXPECT_EQ(log.Sum(kNow + 29 * int64_t{3'600'000}).preemptions, 24u);
  EXPECT_DOUBLE_EQ(log.Sum(kNow + 40 * int64_t{3'600'000}).slot_seconds, 5 * 13);
  log.Add(one, kNow);
  EXPECT_EQ(log.Sum(kNow + 29 * int64_t{3'600'000}).preemptions, 25u) << "the clock was set back";
}

TEST(Usage, AWorldsWorkAndItsRequeuesAreSeen) {
  PoolSpec spec = GoodSpec();
  spec.max_workers = 1;
  PoolWorld world(1, Faults{}, spec, 100);
  world.RunSeconds(400);
  AutoscalerStatus status = world.Status();
  ASSERT_EQ(status.pools.size(), 1u);
  const UsageSums before = status.pools[0].usage;
  EXPECT_GT(before.busy_slot_seconds, 250);
  EXPECT_GT(before.busy_slot_seconds / before.slot_seconds, 0.85);
  EXPECT_EQ(before.preemptions, 0u);
  EXPECT_EQ(status.pools[0].waits.starts, 1u);
  world.RestartJobs();
  world.RunSeconds(70);
  status = world.Status();
  EXPECT_EQ(status.pools[0].usage.preemptions, 1u);
}

}  // namespace
}  // namespace coppice::pools
