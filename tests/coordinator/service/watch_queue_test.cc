#include "coordinator/service/watch_queue.h"

#include <gtest/gtest.h>

namespace coppice::service {
namespace {

core::SweepChange JobAt(core::JobId id, uint32_t step) {
  core::SweepChange change;
  change.job.emplace();
  change.job->id = id;
  change.job->step = step;
  return change;
}

core::SweepChange Summary(uint64_t steps_done, bool finished = false) {
  core::SweepChange change;
  change.summary.emplace();
  change.summary->steps_done = steps_done;
  change.finished = finished;
  return change;
}

std::shared_ptr<ByteBudget> Room(size_t jobs = 1'000'000) {
  return std::make_shared<ByteBudget>(jobs);
}

TEST(WatchQueue, ManySlowWatchersTogetherHoldNoMoreThanThereMayBe) {
  const auto room = Room(100);
  const auto few = std::make_unique<WatchQueue>(1000, room);
  const auto slow = std::make_unique<WatchQueue>(1000, room);
  for (core::JobId id = 1; id <= 99; ++id) slow->Push(JobAt(id, 1));
  for (core::JobId id = 1; id <= 10; ++id) few->Push(JobAt(id, 1));
  EXPECT_EQ(room->used(), 109u) << "a few may always wait";
  slow->Push(JobAt(100, 1));
  EXPECT_TRUE(absl::IsResourceExhausted(slow->Pop().status()));
  EXPECT_EQ(room->used(), 10u);
  EXPECT_EQ(few->Pop()->job->id, 1u);
  EXPECT_EQ(room->used(), 9u);
}

TEST(WatchQueue, ASlowWatcherGetsTheNewestStateOfEachJobOnce) {
  WatchQueue queue(10, Room());
  for (uint32_t step = 1; step <= 1000; ++step) {
    queue.Push(JobAt(1, step));
    queue.Push(JobAt(2, 2 * step));
  }
  const WatchQueue::Next first = queue.Pop().value(), second = queue.Pop().value(),
                         third = queue.Pop().value();
  EXPECT_EQ(first.job->id, 1u);
  EXPECT_EQ(first.job->step, 1000u);
  EXPECT_EQ(second.job->id, 2u);
  EXPECT_EQ(second.job->step, 2000u);
  EXPECT_FALSE(third.job.has_value() || third.summary.has_value() || third.end);
}

TEST(WatchQueue, AJobThatChangesAgainAfterItWasToldIsToldAgain) {
  WatchQueue queue(10, Room());
  queue.Push(JobAt(1, 1));
  EXPECT_EQ(queue.Pop().value().job->step, 1u);
  queue.Push(JobAt(1, 2));
  EXPECT_EQ(queue.Pop().value().job->step, 2u);
}

TEST(WatchQueue, OneSummaryWaitsAtMost) {
  WatchQueue queue(10, Room());
  queue.Push(Summary(1));
  queue.Push(JobAt(1, 1));
  queue.Push(Summary(2));
  EXPECT_EQ(queue.Pop().value().summary->steps_done, 2u);
  EXPECT_TRUE(queue.Pop().value().job.has_value());
  EXPECT_FALSE(queue.Pop().value().summary.has_value());
}

TEST(WatchQueue, TheEndComesBehindEveryJobAndTheLastSummary) {
  WatchQueue queue(10, Room());
  queue.Push(Summary(1));
  queue.Push(JobAt(1, 1));
  queue.Push(Summary(2, true));
  EXPECT_TRUE(queue.Pop().value().job.has_value());
  EXPECT_EQ(queue.Pop().value().summary->steps_done, 2u);
  EXPECT_TRUE(queue.Pop().value().end);
  EXPECT_TRUE(queue.Pop().value().end);
}

TEST(WatchQueue, ADeletedSweepEndsAsNotFoundBehindEveryChange) {
  WatchQueue queue(10, Room());
  queue.Push(JobAt(1, 10));
  core::SweepChange deleted;
  deleted.deleted = true;
  queue.Push(deleted);
  EXPECT_EQ(queue.Pop()->job->id, 1u);
  EXPECT_TRUE(absl::IsNotFound(queue.Pop().status()));
}

TEST(WatchQueue, AWatcherTooFarBehindIsToldSoInsteadOfGrowing) {
  WatchQueue queue(3, Room());
  for (core::JobId id = 1; id <= 3; ++id) queue.Push(JobAt(id, 1));
  EXPECT_TRUE(queue.Pop().ok());
  queue.Push(JobAt(4, 1));
  EXPECT_TRUE(queue.Pop().ok()) << "three wait, as many as may";
  queue.Push(JobAt(5, 1));
  queue.Push(JobAt(6, 1));
  EXPECT_TRUE(absl::IsResourceExhausted(queue.Pop().status()));
  queue.Push(JobAt(7, 1));
  EXPECT_TRUE(absl::IsResourceExhausted(queue.Pop().status()));
}

}  // namespace
}  // namespace coppice::service
