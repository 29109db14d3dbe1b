#include <gmock/gmock.h>

#include <thread>

#include "tests/coordinator/core/harness.h"

namespace coppice::core {
namespace {

using ScaleTest = Harness;

TEST_F(ScaleTest, ALargeSweepIsSubmittedRecoveredAndServed) {
  constexpr uint32_t kJobs = 100'000;
  SubmitSmall(kJobs);
  Restart();
  EXPECT_EQ(Summary("small").counts.pending, kJobs);
  const std::string worker = Register("w");
  const auto grant = Acquire(worker, 10, "r");
  ASSERT_TRUE(grant.ok());
  EXPECT_EQ(grant->leases.size(), 10u);
  EXPECT_EQ(Summary("small").counts.running, 10u);
}

// Many workers run at once on the real clock. Afterwards every counter must match the stored rows.
TEST_F(ScaleTest, ManyWorkersAtOnceLeaveTheCountsRight) {
  constexpr int kThreads = 8;
  constexpr uint32_t kJobs = 200;
  SubmitSmall(kJobs);
  std::vector<std::thread> threads;
  std::atomic<int> ran{0};
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      const std::string worker = Register(absl::StrCat("w", t));
      for (int round = 0;; ++round) {
        const auto grant = Acquire(worker, 4, absl::StrCat("r", round));
        ASSERT_TRUE(grant.ok()) << grant.status();
        if (grant->leases.empty()) return;
        for (const Lease& lease : grant->leases) {
          RunToEnd(worker, lease.ref);
          ++ran;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ran, static_cast<int>(kJobs)) << "a job was granted twice or never";
  const SweepSummary summary = Summary("small");
  EXPECT_EQ(summary.counts.succeeded, kJobs);
  EXPECT_EQ(summary.counts.unfinished(), 0u);
  EXPECT_EQ(summary.steps_done, 100u * kJobs);
  EXPECT_GT(summary.finished_ms, 0);
  EXPECT_EQ(Metrics(Whole("small")).size(), 10u * kJobs);
}

}  // namespace
}  // namespace coppice::core
