// The runs of one allocation: their starts, their ends and the GPU time that they used.
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "coordinator/pools/allocation_tracker.h"
#include "tests/coordinator/pools/specs.h"

namespace coppice::pools {
namespace {

constexpr char kStore[] = "0123456789abcdef";
constexpr int64_t kStart = 1'800'000'000'000;

TrackerTime At(int64_t seconds) { return {kStart + seconds * 1000, absl::Seconds(seconds)}; }

Job Shown(JobPhase phase, int64_t start_s, const std::string& state) {
  Job job;
  job.key = AllocationKey(kStore, "low", 1);
  job.job_id = "7";
  job.phase = phase;
  job.state = state;
  job.node = "n1";
  if (start_s > 0) job.start_ms = kStart + start_s * 1000;
  return job;
}

class AllocationRuns : public ::testing::Test {
 protected:
  AllocationRuns() : tracker_(kStore) {
    PoolsLoaded loaded;
    PoolRow pool;
    pool.spec = GoodSpec();
    loaded.pools.push_back(pool);
    tracker_.Load(std::move(loaded), At(0));
    tracker_.Begin(tracker_.Intend(tracker_.FindPool("low"), 3600, At(0)));
  }

  void See(const Job& job, int64_t at_s) {
    tracker_.ApplyQueue({job}, At(at_s).monotonic, At(at_s));
  }
  void SeeRunning(int64_t start_s, int64_t at_s) {
    See(Shown(JobPhase::kRunning, start_s, "RUNNING"), at_s);
  }
  void SeeWorker(uint32_t restarts, int64_t at_s) {
    WorkerCapacity worker;
    worker.pool_key = row().key;
    worker.restarts = restarts;
    tracker_.ApplyWorkers({worker}, At(at_s));
  }
  const AllocationRow& row() const { return tracker_.allocations().begin()->second; }

  AllocationTracker tracker_;
};

TEST_F(AllocationRuns, ALaterStartIsANewRunAndTheGapIsNotCharged) {
  SeeRunning(10, 12);
  SeeRunning(10, 60);
  SeeRunning(100, 120);
  EXPECT_EQ(row().restarts, 1u);
  EXPECT_EQ(row().started_ms, kStart + 100'000);
  EXPECT_DOUBLE_EQ(row().gpu_seconds, 50) << "the last sign of the first run was at 60 s";
  SeeRunning(100, 180);
  EXPECT_EQ(row().restarts, 1u);
}

// Slurm 22.05 shows a job that goes back into the queue as COMPLETING for a second, with the start
// that it hopes for.
TEST_F(AllocationRuns, AJobOnItsWayBackIntoTheQueueIsRequeuedOnce) {
  SeeRunning(10, 12);
  SeeRunning(10, 30);
  See(Shown(JobPhase::kRunning, 31, "COMPLETING"), 31);
  See(Shown(JobPhase::kRunning, 0, "COMPLETING"), 32);
  See(Shown(JobPhase::kPending, 40, "PENDING"), 33);
  EXPECT_EQ(tracker_.TakePreempted().size(), 1u);
  EXPECT_EQ(row().restarts, 1u);
  EXPECT_DOUBLE_EQ(row().gpu_seconds, 20);
  SeeRunning(40, 42);
  SeeWorker(1, 45);
  EXPECT_EQ(row().restarts, 1u);
  EXPECT_TRUE(tracker_.TakePreempted().empty());
}

TEST_F(AllocationRuns, TheRunOfAWorkerThatLeftEndedWithIt) {
  SeeRunning(10, 12);
  SeeWorker(0, 15);
  SeeWorker(0, 50);
  tracker_.ApplyWorkers({}, At(55));
  See(Shown(JobPhase::kPending, 0, "PENDING"), 90);
  EXPECT_DOUBLE_EQ(row().gpu_seconds, 45);
  EXPECT_EQ(row().restarts, 1u);
}

TEST_F(AllocationRuns, AWorkerOfALaterRunTellsOfTheRequeue) {
  SeeRunning(10, 12);
  SeeWorker(0, 15);
  EXPECT_FALSE(tracker_.ExpectsNews(At(15)));
  tracker_.ApplyWorkers({}, At(20));
  SeeWorker(1, 40);
  EXPECT_EQ(row().restarts, 1u);
  EXPECT_TRUE(tracker_.ExpectsNews(At(41)));
  SeeRunning(35, 42);
  EXPECT_EQ(row().restarts, 1u) << "the worker has counted it";
  EXPECT_EQ(row().started_ms, kStart + 35'000);
  EXPECT_FALSE(tracker_.ExpectsNews(At(42)));
}

TEST_F(AllocationRuns, AnEndShowsARunThatNobodySaw) {
  SeeRunning(10, 12);
  Job ended = Shown(JobPhase::kEnded, 100, "COMPLETED");
  ended.end_ms = kStart + 130'000;
  See(ended, 140);
  EXPECT_EQ(row().restarts, 1u);
  EXPECT_DOUBLE_EQ(row().gpu_seconds, 2 + 30);
}

TEST_F(AllocationRuns, AControllersClockThatGoesAheadIsNoRequeue) {
  SeeRunning(30, 12);
  EXPECT_EQ(row().started_ms, kStart + 12'000) << "not later than now";
  SeeRunning(30, 60);
  EXPECT_EQ(row().restarts, 0u);
}

TEST_F(AllocationRuns, ANodeThatBootsIsNoRequeue) {
  See(Shown(JobPhase::kRunning, 10, "CONFIGURING"), 12);
  SeeRunning(200, 210);
  EXPECT_EQ(row().restarts, 0u);
  EXPECT_EQ(row().started_ms, kStart + 10'000) << "the node is held while it boots";
}

TEST_F(AllocationRuns, NewsAreExpectedForAMinuteAfterAWorkerWent) {
  SeeRunning(10, 12);
  SeeWorker(0, 15);
  tracker_.ApplyWorkers({}, At(20));
  EXPECT_TRUE(tracker_.ExpectsNews(At(21)));
  EXPECT_TRUE(tracker_.ExpectsNews(At(79)));
  EXPECT_FALSE(tracker_.ExpectsNews(At(80)));
}

TEST_F(AllocationRuns, AWorkerThatRegistersBeforeTheQueueWasAskedIsNews) {
  tracker_.ApplyRegistered(row().key, At(5));
  EXPECT_TRUE(tracker_.ExpectsNews(At(5)));
  SeeRunning(4, 6);
  EXPECT_FALSE(tracker_.ExpectsNews(At(6)));
}

}  // namespace
}  // namespace coppice::pools
