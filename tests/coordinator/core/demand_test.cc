// The work that pools serve: what is grantable, how long it takes, and who is there.
#include "coordinator/core/demand.h"

#include <gmock/gmock.h>

#include "tests/coordinator/core/harness.h"
#include "tests/coordinator/pools/specs.h"

namespace coppice::core {
namespace {

GroupRow OpenGroup(GroupId id, uint64_t pending, uint64_t running, double work_per_step = 1) {
  GroupRow group;
  group.id = id;
  group.jobs = pending + running;
  group.spec.steps = 100;
  group.spec.checkpoint_every = 20;
  group.spec.work_per_step = work_per_step;
  group.counts.pending = pending;
  group.counts.running = running;
  return group;
}

TEST(MeasureWork, WithoutAPaceTheTimeIsUnknown) {
  EXPECT_LT(MeasureWork({OpenGroup(1, 3, 0)}, LiveStats(), 3).job_seconds, 0);
}

TEST(MeasureWork, RunningWorkCountsWholeAndWaitingWorkByItsGrantableShare) {
  LiveStats live;
  live.pace[1] = {10, 20};  // 2 s a step
  const WorkTime all = MeasureWork({OpenGroup(1, 3, 1)}, live, 3);
  EXPECT_DOUBLE_EQ(all.job_seconds, 4 * 100 * 2);
  EXPECT_DOUBLE_EQ(all.checkpoint_seconds, 40);
  EXPECT_DOUBLE_EQ(MeasureWork({OpenGroup(1, 3, 1)}, live, 0).job_seconds, 200);
}

TEST(MeasureWork, AGroupWithoutAPaceIsJudgedByItsWork) {
  LiveStats live;
  live.pace[1] = {10, 10};
  const WorkTime time = MeasureWork({OpenGroup(1, 1, 0, 5), OpenGroup(2, 1, 0, 10)}, live, 2);
  EXPECT_DOUBLE_EQ(time.job_seconds, 100 + 200);
}

TEST(WorkTimeMemory, AMeasurementHoldsForTwentyTimesAsLongAsItTook) {
  WorkTimeMemory memory;
  EXPECT_FALSE(memory.Recall(10, absl::Seconds(1)).has_value());
  memory.Keep({100, 7}, 10, absl::Seconds(2), absl::Seconds(1));
  const auto half = memory.Recall(5, absl::Seconds(21));
  ASSERT_TRUE(half.has_value());
  EXPECT_DOUBLE_EQ(half->job_seconds, 50) << "half of the jobs are left";
  EXPECT_DOUBLE_EQ(half->checkpoint_seconds, 7);
  EXPECT_FALSE(memory.Recall(5, absl::Seconds(22)).has_value());
  memory.Keep({-1, 0}, 10, absl::Seconds(30), absl::Seconds(1));
  EXPECT_LT(memory.Recall(20, absl::Seconds(31))->job_seconds, 0) << "not known stays not known";
  memory.Keep({0, 0}, 0, absl::Seconds(30), absl::Seconds(1));
  EXPECT_FALSE(memory.Recall(20, absl::Seconds(31)).has_value()) << "it tells nothing of new jobs";
}

class DemandTest : public Harness {
 protected:
  pools::Demand Demand() {
    const auto demand = Ask<pools::Demand>([&](auto done) { c_->GetDemand(done); });
    EXPECT_TRUE(demand.ok()) << demand.status();
    return demand.value_or(pools::Demand());
  }
};

TEST_F(DemandTest, PausedJobsAskForNothing) {
  EXPECT_EQ(Demand().grantable_jobs, 0u);
  EXPECT_EQ(Demand().oldest_waiting_ms, 0);
  SubmitSmall(5);
  EXPECT_EQ(Demand().grantable_jobs, 5u);
  EXPECT_GT(Demand().oldest_waiting_ms, 0);
  ASSERT_TRUE(Ask<SweepSummary>([&](auto done) { c_->SetPaused({}, "small", true, done); }).ok());
  Advance(absl::Milliseconds(1));
  EXPECT_EQ(Demand().grantable_jobs, 0u);
  EXPECT_EQ(Demand().oldest_waiting_ms, 0);
}

TEST_F(DemandTest, TheWaitBeginsWhenTheWorkComesAndSurvivesMoreWork) {
  SubmitSmall(2);
  const int64_t since = Demand().oldest_waiting_ms;
  Advance(absl::Minutes(5));
  ASSERT_TRUE(Submit(Spec("other", {Group("dyck", 2)}, 3)).ok());
  EXPECT_EQ(Demand().oldest_waiting_ms, since);
  EXPECT_EQ(Demand().grantable_jobs, 5u);
}

TEST_F(DemandTest, TheWaitSurvivesARestart) {
  SubmitSmall(2);
  const int64_t since = Demand().oldest_waiting_ms;
  Advance(absl::Minutes(5));
  Restart();
  EXPECT_EQ(Demand().oldest_waiting_ms, since);
  for (const bool paused : {true, false}) {
    Advance(absl::Minutes(1));
    ASSERT_TRUE(
        Ask<SweepSummary>([&](auto done) { c_->SetPaused({}, "small", paused, done); }).ok());
  }
  Advance(absl::Minutes(1));
  Restart();
  EXPECT_EQ(Demand().oldest_waiting_ms, since + absl::ToInt64Milliseconds(absl::Minutes(7)))
      << "since it was resumed";
}

TEST_F(DemandTest, RunningJobsAreCounted) {
  SubmitSmall(5);
  ASSERT_TRUE(Acquire(Register("w"), 2, "r").ok());
  EXPECT_EQ(Demand().running_jobs, 2u);
  EXPECT_EQ(Demand().grantable_jobs, 3u);
}

TEST_F(DemandTest, AWorkerIsListedWithTheKeyOfItsPool) {
  std::string came;
  options_.pool_worker_came = [&came](const std::string& key) { came = key; };
  Restart();
  WorkerInfo info;
  info.name = "w";
  info.instance = "i";
  info.slots = 4;
  info.pack_width = 8;
  info.ends_ms = 123;
  info.allocation.raw_job_id = "77";
  info.allocation.pool_key = "0123-low-1";
  auto registered = Ask<Registration>([&](auto done) { c_->Register(info, {}, done); });
  ASSERT_TRUE(registered.ok()) << registered.status();
  ASSERT_TRUE(registered->confirm);
  EXPECT_EQ(came, "") << "it is not registered before it has confirmed";
  info.incarnation = registered->incarnation;
  registered = Ask<Registration>([&](auto done) { c_->Register(info, {}, done); });
  ASSERT_TRUE(registered.ok()) << registered.status();
  EXPECT_EQ(came, "0123-low-1");
  const pools::Demand demand = Demand();
  ASSERT_EQ(demand.workers.size(), 1u);
  const pools::WorkerCapacity& worker = demand.workers[0];
  EXPECT_EQ(worker.worker, "w");
  EXPECT_EQ(worker.pool_key, "0123-low-1");
  EXPECT_EQ(worker.raw_job_id, "77");
  EXPECT_EQ(worker.slots, 4u);
  EXPECT_EQ(worker.pack_width, 8u);
  EXPECT_EQ(worker.ends_ms, 123);
  EXPECT_TRUE(worker.connected);
  ASSERT_EQ(Do([&](auto done) {
              c_->Leave({registered->worker_id, ExitReason::kPreempted, ""}, done);
            }),
            absl::OkStatus());
  EXPECT_TRUE(Demand().workers.empty()) << "a departed worker is no capacity";
}

TEST_F(DemandTest, AWorkerOfAPoolGetsNoJobOfASpentSweep) {
  WorkerInfo info;
  info.name = "w";
  info.instance = "i";
  info.slots = 1;
  info.allocation.pool_key = "0123-low-1";
  auto registered = Ask<Registration>([&](auto done) { c_->Register(info, {}, done); });
  ASSERT_TRUE(registered.ok()) << registered.status();
  info.incarnation = registered->incarnation;
  registered = Ask<Registration>([&](auto done) { c_->Register(info, {}, done); });
  ASSERT_TRUE(registered.ok()) << registered.status();
  SubmitSmall(2);
  ASSERT_EQ(Acquire(registered->worker_id, 1, "r1")->leases.size(), 1u);
  const pools::Demand demand = Demand();
  ASSERT_EQ(demand.sweeps.size(), 1u);
  const pools::SweepDemand& sweep = demand.sweeps[0];
  EXPECT_EQ(sweep.name, "small");
  EXPECT_GT(sweep.created_ms, 0);
  EXPECT_EQ(sweep.grantable_jobs, 1u);
  EXPECT_EQ(sweep.running_jobs, 1u);
  ASSERT_EQ(demand.workers.size(), 1u);
  ASSERT_EQ(demand.workers[0].held.size(), 1u);
  EXPECT_EQ(demand.workers[0].held[0], std::make_pair(sweep.id, uint64_t{1}));
  ASSERT_EQ(Do([&](auto done) {
              c_->SetSpentSweeps({{"low", {sweep.id}}}, done);
            }),
            absl::OkStatus());
  EXPECT_TRUE(Acquire(registered->worker_id, 1, "r2")->leases.empty());
  ASSERT_EQ(Do([&](auto done) { c_->SetSpentSweeps({}, done); }), absl::OkStatus());
  EXPECT_EQ(Acquire(registered->worker_id, 1, "r3")->leases.size(), 1u);
}

TEST_F(DemandTest, WorkThatComesIsToldAtOnce) {
  std::atomic<int> came{0};
  options_.work_came = [&came] { ++came; };
  Restart();
  Workers();
  EXPECT_EQ(came, 0);
  SubmitSmall(2);
  Workers();
  EXPECT_EQ(came, 1);
  Workers();
  EXPECT_EQ(came, 1) << "the same work does not come twice";
}

TEST_F(DemandTest, RowsOfPoolsSurviveARestart) {
  pools::PoolRow pool;
  pool.spec = pools::GoodSpec("low");
  pool.next_sequence = 2;
  pools::AllocationRow row;
  row.key = "0123-low-1";
  row.pool = "low";
  row.sequence = 1;
  ASSERT_EQ(Do([&](auto done) { c_->SavePools({pool}, {row}, done); }), absl::OkStatus());
  Restart();
  const auto loaded = Ask<pools::PoolsLoaded>([&](auto done) { c_->LoadPools(0, done); });
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  ASSERT_EQ(loaded->pools.size(), 1u);
  EXPECT_EQ(loaded->pools[0].spec.log_dir, pool.spec.log_dir);
  ASSERT_EQ(loaded->allocations.size(), 1u);
  EXPECT_EQ(loaded->allocations[0].state, pools::AllocationState::kIntended);
}

TEST_F(DemandTest, RowsThatCouldNotBeStoredLeaveNothing) {
  pools::PoolRow pool;
  pool.spec = pools::GoodSpec("low");
  faulty_->fail_commits = true;
  EXPECT_FALSE(Do([&](auto done) { c_->SavePools({pool}, {}, done); }).ok());
  faulty_->fail_commits = false;
  const auto loaded = Ask<pools::PoolsLoaded>([&](auto done) { c_->LoadPools(0, done); });
  ASSERT_TRUE(loaded.ok());
  EXPECT_TRUE(loaded->pools.empty());
}

}  // namespace
}  // namespace coppice::core
