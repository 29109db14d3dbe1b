#include "coordinator/pools/policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/coordinator/pools/specs.h"

namespace coppice::pools {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr int64_t kNow = 1'800'000'000'000;

PoolInput Pool(PoolSpec spec) {
  PoolInput input;
  input.row.spec = std::move(spec);
  return input;
}

Demand Waiting(uint64_t jobs, double seconds_each = 600) {
  Demand demand;
  demand.grantable_jobs = jobs;
  demand.seconds_left = static_cast<double>(jobs) * seconds_each;
  demand.oldest_waiting_ms = kNow - 60'000;
  return demand;
}

AllocationRow Row(const std::string& pool, uint64_t sequence, AllocationState state) {
  AllocationRow row;
  row.pool = pool;
  row.sequence = sequence;
  row.key = absl::StrCat("k-", pool, "-", sequence);
  row.job_id = absl::StrCat(sequence);
  row.state = state;
  row.intended_ms = row.submitted_ms = kNow - 600'000;
  if (state == AllocationState::kRunning) row.started_ms = kNow - 500'000;
  row.walltime_s = 3600;
  row.gpus = 1;
  return row;
}

WorkerCapacity WorkerOf(const AllocationRow& row, uint32_t idle) {
  WorkerCapacity worker;
  worker.pool_key = row.key;
  worker.slots = 1;
  worker.idle_slots = idle;
  return worker;
}

TEST(Policy, AsksForTheWorkersThatTheJobsFillUpToTheBacklog) {
  const auto decisions = Decide({Pool(GoodSpec())}, {}, Waiting(3), kNow);
  ASSERT_THAT(decisions, SizeIs(1));
  EXPECT_EQ(decisions[0].wanted, 3u);
  EXPECT_THAT(decisions[0].submits, SizeIs(2));
  EXPECT_EQ(decisions[0].text, "wants 3 more, asks for 2 now; backlog 2");
}

// The batch system is asked twice a minute; until then the row says that it is queued.
TEST(Policy, AnAllocationWhoseWorkerIsConnectedHoldsNoPlaceInTheBacklog) {
  PoolSpec spec = GoodSpec();
  spec.backlog = 2;
  spec.max_workers = 8;
  const AllocationRow first = Row("low", 1, AllocationState::kQueued);
  const AllocationRow second = Row("low", 2, AllocationState::kQueued);
  Demand demand = Waiting(40);
  const auto waiting = Decide({Pool(spec)}, {first, second}, demand, kNow);
  EXPECT_THAT(waiting.at(0).submits, IsEmpty()) << waiting.at(0).text;
  demand.workers = {WorkerOf(first, 0), WorkerOf(second, 0)};
  for (WorkerCapacity& worker : demand.workers) worker.connected = true;
  const auto connected = Decide({Pool(spec)}, {first, second}, demand, kNow);
  EXPECT_THAT(connected.at(0).submits, SizeIs(2)) << connected.at(0).text;
}

TEST(Policy, NoWorkAsksForNothing) {
  const auto decisions = Decide({Pool(GoodSpec())}, {}, Waiting(0), kNow);
  EXPECT_THAT(decisions[0].submits, IsEmpty());
  EXPECT_THAT(decisions[0].text, HasSubstr("no work waits"));
}

TEST(Policy, TheReasonForNoMoreAllocationsIsTheOneThatHolds) {
  const AllocationRow running = Row("low", 1, AllocationState::kRunning);
  Demand demand = Waiting(2, 20);
  demand.workers = {WorkerOf(running, 0)};
  EXPECT_EQ(Decide({Pool(GoodSpec())}, {running}, demand, kNow)[0].text,
            "1 connected; the work left is too short for another allocation");
  demand = Waiting(1);
  demand.workers = {WorkerOf(running, 1)};
  EXPECT_EQ(Decide({Pool(GoodSpec())}, {running}, demand, kNow)[0].text,
            "1 connected; idle slots take the work that waits");
  PoolSpec later = GoodSpec();
  later.wait_before_s = 600;
  EXPECT_EQ(Decide({Pool(later)}, {}, Waiting(9), kNow)[0].text,
            "asks for nothing: it asks once work has waited for 600 s");
}

TEST(Policy, APoolThatOnlyWatchesSaysWhatItWouldDoAndTakesNothingFromTheNext) {
  PoolSpec watching = GoodSpec("a");
  watching.watch_only = true;
  const auto decisions = Decide({Pool(watching), Pool(GoodSpec("b"))}, {}, Waiting(3), kNow);
  ASSERT_THAT(decisions, SizeIs(2));
  EXPECT_EQ(decisions[0].text, "only watches: wants 3 more, asks for 2 now; backlog 2");
  EXPECT_THAT(decisions[0].submits, IsEmpty());
  EXPECT_THAT(decisions[1].submits, SizeIs(2));
}

TEST(Policy, PacksAndSlotsDivideTheJobs) {
  PoolSpec spec = GoodSpec();
  spec.gpus = 4;
  Demand demand = Waiting(100);
  demand.width = 10;
  EXPECT_EQ(Decide({Pool(spec)}, {}, demand, kNow)[0].wanted, 3u);
}

TEST(Policy, LittleWorkDoesNotFillManyAllocations) {
  // Four jobs of 10 s are no reason for four workers.
  EXPECT_EQ(Decide({Pool(GoodSpec())}, {}, Waiting(4, 10), kNow)[0].wanted, 1u);
}

TEST(Policy, TheLastLongJobKeepsNothingQueued) {
  const AllocationRow running = Row("low", 1, AllocationState::kRunning);
  const AllocationRow queued = Row("low", 2, AllocationState::kQueued);
  Demand demand;
  demand.seconds_left = 36'000;
  demand.workers = {WorkerOf(running, 0)};
  PoolInput pool = Pool(GoodSpec());
  PoolDecision decision = Decide({pool}, {running, queued}, demand, kNow)[0];
  EXPECT_THAT(decision.cancels, IsEmpty());
  pool.excess_since_ms = decision.excess_since_ms;
  EXPECT_EQ(pool.excess_since_ms, kNow);
  decision = Decide({pool}, {running, queued}, demand, kNow + kCancelIdleAfterMs)[0];
  EXPECT_THAT(decision.cancels, ElementsAre(queued.key));
}

TEST(Policy, TheNewestQueuedAllocationsAreCancelledFirstAndOnlyAfterAWhile) {
  std::vector<AllocationRow> rows = {Row("low", 1, AllocationState::kQueued),
                                     Row("low", 2, AllocationState::kQueued),
                                     Row("low", 3, AllocationState::kQueued)};
  PoolInput pool = Pool(GoodSpec());
  pool.excess_since_ms = kNow - kCancelAfterMs + 1;
  EXPECT_THAT(Decide({pool}, rows, Waiting(1), kNow)[0].cancels, IsEmpty());
  EXPECT_THAT(Decide({pool}, rows, Waiting(1), kNow + 1)[0].cancels,
              ElementsAre(rows[2].key, rows[1].key));
}

TEST(Policy, EachAllocationCountsOnce) {
  const AllocationRow working = Row("low", 1, AllocationState::kRunning);
  AllocationRow starting = Row("low", 2, AllocationState::kRunning);
  starting.started_ms = kNow - 10'000;
  // Requeued, while its old worker lives on.
  const AllocationRow requeued = Row("low", 3, AllocationState::kQueued);
  Demand demand = Waiting(5);
  demand.workers = {WorkerOf(working, 0), WorkerOf(requeued, 1)};
  const PoolDecision decision =
      Decide({Pool(GoodSpec())}, {working, starting, requeued}, demand, kNow)[0];
  EXPECT_EQ(decision.connected, 2u);
  EXPECT_EQ(decision.wanted, 4u);
  EXPECT_THAT(decision.submits, SizeIs(1));
}

TEST(Policy, AWorkerThatDrainsEndsOrIsSuspectIsNoCapacityButHoldsItsPlace) {
  const AllocationRow row = Row("low", 1, AllocationState::kRunning);
  PoolSpec spec = GoodSpec();
  spec.max_workers = 2;
  Demand demand = Waiting(5);
  WorkerCapacity worker = WorkerOf(row, 1);
  for (int i = 0; i < 4; ++i) {
    WorkerCapacity bad = worker;
    bad.draining = i == 0;
    bad.suspect = i == 1;
    if (i == 2) bad.ends_ms = kNow + 30'000;
    if (i == 3) bad.connected = false;
    demand.workers = {bad};
    const PoolDecision decision = Decide({Pool(spec)}, {row}, demand, kNow)[0];
    EXPECT_EQ(decision.connected, 0u) << i;
    EXPECT_THAT(decision.submits, SizeIs(1)) << i;
  }
}

TEST(Policy, LimitsHold) {
  PoolSpec spec = GoodSpec();
  spec.backlog = 100;
  EXPECT_THAT(Decide({Pool(spec)}, {}, Waiting(50), kNow)[0].submits, SizeIs(4));
  spec.max_workers = 100;
  spec.submits_a_minute = 7;
  EXPECT_THAT(Decide({Pool(spec)}, {}, Waiting(50), kNow)[0].submits, SizeIs(7));
  PoolInput limited = Pool(spec);
  limited.site_backlog = 1;
  EXPECT_THAT(Decide({limited}, {}, Waiting(50), kNow)[0].submits, SizeIs(1));
}

TEST(Policy, TheBudgetHoldsWithWhatIsAskedFor) {
  PoolSpec spec = GoodSpec();
  spec.backlog = 10;
  spec.gpu_hours_a_day = 2.5;
  spec.max_walltime_s = 3600;
  AllocationRow ended = Row("low", 1, AllocationState::kEnded);
  ended.intended_ms = kNow - 7'200'000;
  ended.ended_ms = kNow - 1000;
  ended.gpu_seconds = 3600;
  PoolDecision decision = Decide({Pool(spec)}, {ended}, Waiting(50, 36'000), kNow)[0];
  ASSERT_THAT(decision.submits, SizeIs(2));
  EXPECT_LE(decision.submits[0] + decision.submits[1], 5400);
  EXPECT_THAT(decision.text, HasSubstr("budget"));
  // Yesterday's use is over.
  ended.ended_ms = kNow - 86'400'001;
  decision = Decide({Pool(spec)}, {ended}, Waiting(50, 36'000), kNow)[0];
  EXPECT_THAT(decision.submits, SizeIs(3));
}

TEST(Policy, TheWalltimeFitsTheWorkAndNeverLessThanACheckpointNeeds) {
  Demand demand = Waiting(1, 300);
  EXPECT_THAT(Decide({Pool(GoodSpec())}, {}, demand, kNow)[0].submits, ElementsAre(540));
  demand.checkpoint_seconds = 900;
  EXPECT_THAT(Decide({Pool(GoodSpec())}, {}, demand, kNow)[0].submits, ElementsAre(1020));
  demand.checkpoint_seconds = 7200;
  const PoolDecision decision = Decide({Pool(GoodSpec())}, {}, demand, kNow)[0];
  EXPECT_THAT(decision.submits, IsEmpty());
  EXPECT_THAT(decision.text, HasSubstr("--walltime 3600s is too short"));
}

TEST(Policy, EndsAreStaggered) {
  PoolSpec spec = GoodSpec();
  spec.backlog = 4;
  const std::vector<int64_t> walltimes =
      Decide({Pool(spec)}, {}, Waiting(50, 36'000), kNow)[0].submits;
  ASSERT_THAT(walltimes, SizeIs(4));
  EXPECT_NE(walltimes[0], walltimes[1]);
  for (const int64_t walltime : walltimes) EXPECT_LE(walltime, 3600);
}

TEST(Policy, TheCheapPoolIsFilledFirstAndTheOtherOnlyOnceWorkHasWaited) {
  PoolSpec cheap = GoodSpec("cheap");
  PoolSpec dear = GoodSpec("dear");
  dear.rank = 1;
  dear.wait_before_s = 300;
  Demand demand = Waiting(4);
  auto decisions = Decide({Pool(dear), Pool(cheap)}, {}, demand, kNow);
  EXPECT_EQ(decisions[0].pool, "cheap");
  EXPECT_THAT(decisions[0].submits, SizeIs(2));
  EXPECT_THAT(decisions[1].submits, IsEmpty());
  demand.oldest_waiting_ms = kNow - 300'000;
  decisions = Decide({Pool(dear), Pool(cheap)}, {}, demand, kNow);
  EXPECT_THAT(decisions[1].submits, SizeIs(2));
}

TEST(Policy, WhatOnePoolCannotTakeGoesToTheNext) {
  PoolSpec first = GoodSpec("a");
  first.max_workers = 1;
  PoolSpec second = GoodSpec("b");
  second.rank = 1;
  PoolInput stopped = Pool(first);
  stopped.row.mode = PoolMode::kStopped;
  EXPECT_EQ(Decide({Pool(first), Pool(second)}, {}, Waiting(3), kNow)[1].wanted, 2u);
  EXPECT_EQ(Decide({stopped, Pool(second)}, {}, Waiting(3), kNow)[1].wanted, 3u);
}

TEST(Policy, ModesAndBackoffSubmitNothingAndSayWhy) {
  PoolInput pool = Pool(GoodSpec());
  pool.row.mode = PoolMode::kPaused;
  EXPECT_THAT(Decide({pool}, {}, Waiting(3), kNow)[0].submits, IsEmpty());
  pool.row.mode = PoolMode::kRunning;
  pool.row.backoff_until_ms = kNow + 5000;
  pool.row.failures = 2;
  pool.row.last_error = "no such node";
  const PoolDecision decision = Decide({pool}, {}, Waiting(3), kNow)[0];
  EXPECT_THAT(decision.submits, IsEmpty());
  EXPECT_THAT(decision.text, HasSubstr("waits 5 s after 2 failures: no such node"));
}

TEST(Policy, ADrainingPoolCancelsItsQueueAtOnce) {
  const AllocationRow queued = Row("low", 1, AllocationState::kQueued);
  PoolInput pool = Pool(GoodSpec());
  pool.row.mode = PoolMode::kDraining;
  EXPECT_THAT(Decide({pool}, {queued}, Waiting(0), kNow)[0].cancels, ElementsAre(queued.key));
  EXPECT_THAT(Decide({pool}, {queued}, Waiting(9), kNow)[0].cancels, ElementsAre(queued.key));
}

TEST(Policy, ATargetHoldsWhileThereIsWork) {
  PoolSpec spec = GoodSpec();
  spec.has_target = true;
  spec.target = 2;
  EXPECT_THAT(Decide({Pool(spec)}, {}, Waiting(1), kNow)[0].submits, SizeIs(2));
  EXPECT_THAT(Decide({Pool(spec)}, {}, Waiting(0), kNow)[0].submits, IsEmpty());
}

// An allocation whose worker runs no programs would find no work, end, and be asked for again.
TEST(Policy, ProgramsCountOnlyForPoolsWhoseWorkersRunThem) {
  Demand demand = Waiting(3);
  demand.program_jobs = 2;
  EXPECT_EQ(Decide({Pool(GoodSpec())}, {}, demand, kNow)[0].wanted, 1u);
  PoolSpec programs = GoodSpec();
  programs.worker_flags.push_back("--programs");
  EXPECT_EQ(Decide({Pool(programs)}, {}, demand, kNow)[0].wanted, 3u);
  PoolSpec other = GoodSpec();
  other.name = "other";
  programs.rank = other.rank + 1;
  const auto both = Decide({Pool(other), Pool(programs)}, {}, demand, kNow);
  EXPECT_EQ(both[0].wanted, 1u) << "the first pool has no use for them";
  EXPECT_EQ(both[1].wanted, 2u);
}

}  // namespace
}  // namespace coppice::pools
