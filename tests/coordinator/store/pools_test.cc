// The rows of pools and allocations, on a file and in memory.
#include <gmock/gmock.h>

#include "tests/coordinator/store/contract_fixture.h"

namespace coppice::store {
namespace {

using pools::AllocationRow;
using pools::PoolRow;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Every setting differs from its default.
PoolRow APool() {
  PoolRow pool;
  pool.spec = {.name = "low",
               .partition = "p",
               .account = "a",
               .qos = "q",
               .gres = "g",
               .constraint = "c",
               .cluster = "k",
               .gpus = 1,
               .cpus = 2,
               .memory_mib = 3,
               .max_workers = 4,
               .backlog = 5,
               .submits_a_minute = 6,
               .min_walltime_s = 7,
               .max_walltime_s = 8,
               .time_min_s = 9,
               .gpu_hours_a_day = 10.5,
               .gpu_hours_a_sweep = 2.5,
               .nice = -11,
               .rank = 12,
               .wait_before_s = 13,
               .idle_exit_s = 14,
               .grace_s = 15,
               .slots = 16,
               .pack = 17,
               .worker = "/w",
               .access_file = "/f",
               .log_dir = "/l",
               .worker_flags = {"--a", "--b c"},
               .sbatch_flags = {"--d"},
               .target = 3,
               .has_target = true,
               .watch_only = true};
  pool.mode = pools::PoolMode::kDraining;
  pool.why = "why";
  pool.next_sequence = 18;
  pool.changed_ms = 19;
  pool.decision = "waits";
  pool.decided_ms = 20;
  pool.failures = 21;
  pool.backoff_until_ms = 22;
  pool.last_error = "not UTF-8: \xff";
  pool.sweep_use = {{3, 40, "words", 7.25}, {4, 50, "a \"b\"", 1e9}};
  pool.use_counted_ms = 60;
  pool.excluded = {{"n1", 23, "broken"}, {"n2", 24, "\"too\""}};
  return pool;
}

AllocationRow AnAllocation(uint64_t sequence) {
  AllocationRow row;
  row.key = pools::AllocationKey("0123456789", "low", sequence);
  row.pool = "low";
  row.sequence = sequence;
  row.state = pools::AllocationState::kQueued;
  row.job_id = "77";
  row.node = "n1";
  row.slurm_state = "PENDING";
  row.reason = "Priority";
  row.intended_ms = 1;
  row.submitted_ms = 2;
  row.started_ms = 3;
  row.ends_ms = 5;
  row.estimated_start_ms = 6;
  row.restarts = 7;
  row.walltime_s = 8;
  row.gpus = 9;
  row.gpu_seconds = 10.5;
  row.registered = true;
  row.outcome = "preempted";
  row.error = "an error";
  row.output_tail = "a\nb";
  return row;
}

class PoolRows : public StoreContract {
 protected:
  std::vector<PoolRow> Pools() {
    return Read<std::vector<PoolRow>>([](core::ReadTransaction& read) { return read.ListPools(); });
  }
  std::vector<AllocationRow> Allocations(int64_t since) {
    return Read<std::vector<AllocationRow>>(
        [since](core::ReadTransaction& read) { return read.ListAllocations(since); });
  }
  void Put(const std::vector<PoolRow>& rows, const std::vector<AllocationRow>& allocations) {
    ASSERT_EQ(Write([&](core::WriteTransaction& tx) {
                for (const PoolRow& row : rows) COPPICE_RETURN_IF_ERROR(tx.PutPool(row));
                for (const AllocationRow& row : allocations) {
                  COPPICE_RETURN_IF_ERROR(tx.PutAllocation(row));
                }
                return absl::OkStatus();
              }),
              absl::OkStatus());
  }
};

TEST_P(PoolRows, EverySettingComesBack) {
  const PoolRow sent = APool();
  Put({sent}, {});
  ASSERT_EQ(Pools().size(), 1u);
  const PoolRow pool = Pools()[0];
  const pools::PoolSpec& a = sent.spec;
  const pools::PoolSpec& b = pool.spec;
  const auto texts = [](const pools::PoolSpec& s) {
    return std::vector<std::string>{s.name,       s.partition, s.account, s.qos,         s.gres,
                                    s.constraint, s.cluster,   s.worker,  s.access_file, s.log_dir};
  };
  const auto numbers = [](const pools::PoolSpec& s) {
    return std::vector<int64_t>{
        s.gpus,           s.cpus,           static_cast<int64_t>(s.memory_mib),
        s.max_workers,    s.backlog,        s.submits_a_minute,
        s.min_walltime_s, s.max_walltime_s, s.time_min_s,
        s.nice,           s.rank,           s.wait_before_s,
        s.idle_exit_s,    s.grace_s,        s.slots,
        s.pack,           s.target,         s.has_target,
        s.watch_only};
  };
  EXPECT_EQ(texts(b), texts(a));
  EXPECT_EQ(numbers(b), numbers(a));
  EXPECT_EQ(b.gpu_hours_a_day, a.gpu_hours_a_day);
  EXPECT_EQ(b.gpu_hours_a_sweep, a.gpu_hours_a_sweep);
  EXPECT_EQ(b.worker_flags, a.worker_flags);
  EXPECT_EQ(b.sbatch_flags, a.sbatch_flags);
  EXPECT_EQ(pool.mode, sent.mode);
  EXPECT_EQ(pool.why, sent.why);
  EXPECT_EQ(pool.next_sequence, sent.next_sequence);
  EXPECT_EQ(pool.changed_ms, sent.changed_ms);
  EXPECT_FALSE(pool.removed);
  EXPECT_EQ(pool.decision, sent.decision);
  EXPECT_EQ(pool.decided_ms, sent.decided_ms);
  EXPECT_EQ(pool.failures, sent.failures);
  EXPECT_EQ(pool.backoff_until_ms, sent.backoff_until_ms);
  EXPECT_THAT(pool.excluded, ElementsAre(Field(&pools::ExcludedNode::node, "n1"),
                                         Field(&pools::ExcludedNode::why, "\"too\"")));
  EXPECT_EQ(pool.excluded[0].until_ms, 23);
}

TEST_P(PoolRows, TheGpuTimeOfSweepsComesBack) {
  Put({APool()}, {});
  const PoolRow pool = Pools().at(0);
  ASSERT_EQ(pool.sweep_use.size(), 2u);
  EXPECT_EQ(pool.sweep_use[0].sweep_id, 3u);
  EXPECT_EQ(pool.sweep_use[0].created_ms, 40);
  EXPECT_EQ(pool.sweep_use[1].name, "a \"b\"");
  EXPECT_EQ(pool.sweep_use[0].gpu_seconds, 7.25);
  EXPECT_EQ(pool.sweep_use[1].gpu_seconds, 1e9);
  EXPECT_EQ(pool.use_counted_ms, 60);
}

TEST_P(PoolRows, APoolIsReplacedInPlaceWhileAllocationsReferToIt) {
  PoolRow pool = APool();
  Put({pool}, {AnAllocation(1)});
  pool.removed = true;
  pool.next_sequence = 99;
  pool.excluded.clear();
  Put({pool}, {});
  ASSERT_EQ(Pools().size(), 1u);
  EXPECT_TRUE(Pools()[0].removed);
  EXPECT_EQ(Pools()[0].next_sequence, 99u);
  EXPECT_THAT(Pools()[0].excluded, IsEmpty());
  EXPECT_EQ(Allocations(0).size(), 1u);
}

TEST_P(PoolRows, EveryColumnOfAnAllocationComesBack) {
  const AllocationRow sent = AnAllocation(3);
  Put({APool()}, {sent});
  ASSERT_EQ(Allocations(0).size(), 1u);
  const AllocationRow row = Allocations(0)[0];
  const auto texts = [](const AllocationRow& r) {
    return std::vector<std::string>{r.key,    r.pool,    r.job_id, r.node,       r.slurm_state,
                                    r.reason, r.outcome, r.error,  r.output_tail};
  };
  const auto numbers = [](const AllocationRow& r) {
    return std::vector<int64_t>{static_cast<int64_t>(r.sequence),
                                static_cast<int64_t>(r.state),
                                r.intended_ms,
                                r.submitted_ms,
                                r.started_ms,
                                r.ended_ms,
                                r.ends_ms,
                                r.estimated_start_ms,
                                r.restarts,
                                r.walltime_s,
                                r.gpus,
                                r.registered};
  };
  EXPECT_EQ(texts(row), texts(sent));
  EXPECT_EQ(numbers(row), numbers(sent));
  EXPECT_EQ(row.gpu_seconds, 10.5);
}

TEST_P(PoolRows, EndedAllocationsAreListedFromATimeOnAndForgottenBeforeOne) {
  std::vector<AllocationRow> rows = {AnAllocation(10), AnAllocation(9), AnAllocation(2)};
  rows[0].state = pools::AllocationState::kEnded;
  rows[0].ended_ms = 100;
  rows[1].state = pools::AllocationState::kEnded;
  rows[1].ended_ms = 200;
  Put({APool()}, rows);
  const auto sequences = [&](int64_t since) {
    std::vector<uint64_t> all;
    for (const AllocationRow& row : Allocations(since)) all.push_back(row.sequence);
    return all;
  };
  EXPECT_THAT(sequences(0), ElementsAre(2, 9, 10)) << "by number, not by text";
  EXPECT_THAT(sequences(150), ElementsAre(2, 9));
  EXPECT_THAT(sequences(1000), ElementsAre(2)) << "one that lives is always there";
  ASSERT_EQ(Write([](core::WriteTransaction& tx) { return tx.DeleteAllocations(200); }),
            absl::OkStatus());
  EXPECT_THAT(sequences(0), ElementsAre(2, 9));
}

TEST_P(PoolRows, AnAllocationOfNoPoolIsRefusedAndNothingOfTheTransactionStays) {
  const absl::Status status = Write([](core::WriteTransaction& tx) {
    COPPICE_RETURN_IF_ERROR(tx.PutPool(APool()));
    AllocationRow row = AnAllocation(1);
    row.pool = "other";
    return tx.PutAllocation(row);
  });
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(Pools(), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Stores, PoolRows, ::testing::Values("file", "memory"));

}  // namespace
}  // namespace coppice::store
