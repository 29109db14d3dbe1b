#include "common/base/clock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "tests/testing/fake_clock.h"

namespace coppice {
namespace {

using ::testing::ElementsAre;
using testing::FakeClock;

constexpr absl::Duration kSoon = absl::Milliseconds(1);
constexpr absl::Duration kNever = absl::Hours(1);
constexpr absl::Duration kPatience = absl::Seconds(30);

TEST(RealClock, NeverRunsATimerEarly) {
  Clock* const clock = Clock::Real();
  const absl::Duration start = clock->Monotonic();
  absl::Duration ran;
  absl::Notification done;
  clock->Schedule(absl::Milliseconds(30), [&] {
    ran = clock->Monotonic();
    done.Notify();
  });
  ASSERT_TRUE(done.WaitForNotificationWithTimeout(kPatience));
  EXPECT_GE(ran - start, absl::Milliseconds(30));
}

TEST(RealClock, RunsTimersInTheOrderTheyAreDue) {
  Clock* const clock = Clock::Real();
  std::vector<int> order;  // used on the clock's thread only, until `done`
  absl::Notification done;
  clock->Schedule(absl::Milliseconds(40), [&] {
    order.push_back(2);
    done.Notify();
  });
  clock->Schedule(absl::Milliseconds(20), [&] { order.push_back(1); });
  clock->Schedule(-absl::Seconds(1), [&] { order.push_back(0); });
  ASSERT_TRUE(done.WaitForNotificationWithTimeout(kPatience));
  EXPECT_THAT(order, ElementsAre(0, 1, 2));
}

TEST(RealClock, CancelPreventsATimerAndSaysSo) {
  Clock* const clock = Clock::Real();
  std::atomic<bool> ran = false;
  const Clock::TimerId id = clock->Schedule(kNever, [&] { ran = true; });
  EXPECT_TRUE(clock->Cancel(id));
  EXPECT_FALSE(clock->Cancel(id));
  EXPECT_FALSE(ran);
}

TEST(RealClock, CancelOfNoTimerReturns) { EXPECT_FALSE(Clock::Real()->Cancel(0)); }

TEST(RealClock, CancelWaitsForACallbackThatRuns) {
  Clock* const clock = Clock::Real();
  absl::Notification started, proceed;
  std::atomic<bool> finished = false;
  const Clock::TimerId id = clock->Schedule(kSoon, [&] {
    started.Notify();
    proceed.WaitForNotification();
    finished = true;
  });
  ASSERT_TRUE(started.WaitForNotificationWithTimeout(kPatience));
  std::atomic<bool> cancelled = false;
  std::thread canceller([&] {
    EXPECT_FALSE(clock->Cancel(id));
    EXPECT_TRUE(finished) << "Cancel returned while the callback still ran";
    cancelled = true;
  });
  EXPECT_FALSE(cancelled);
  proceed.Notify();
  canceller.join();
  EXPECT_TRUE(cancelled);
}

TEST(RealClock, ACallbackMayCancelItselfAndScheduleAnother) {
  Clock* const clock = Clock::Real();
  absl::Notification id_known, done;
  Clock::TimerId id = 0;
  id = clock->Schedule(kSoon, [&] {
    id_known.WaitForNotification();
    EXPECT_FALSE(clock->Cancel(id));
    clock->Schedule(kSoon, [&] { done.Notify(); });
  });
  id_known.Notify();
  EXPECT_TRUE(done.WaitForNotificationWithTimeout(kPatience));
}

TEST(RealClock, TellsTheTimeOfDayInMilliseconds) {
  Clock* const clock = Clock::Real();
  EXPECT_NEAR(static_cast<double>(clock->NowMillis()),
              static_cast<double>(absl::ToUnixMillis(clock->Now())), 60'000);
  EXPECT_GT(clock->NowMillis(), 1'700'000'000'000);
}

TEST(FakeClock, StandsStillUntilAdvanced) {
  FakeClock clock;
  const absl::Time before = clock.Now();
  EXPECT_EQ(clock.Now(), before);
  clock.Advance(absl::Seconds(5));
  EXPECT_EQ(clock.Now() - before, absl::Seconds(5));
  EXPECT_EQ(clock.Monotonic(), absl::Seconds(5));
}

TEST(FakeClock, RunsDueTimersInOrderEachAtItsOwnTime) {
  FakeClock clock;
  std::vector<absl::Duration> times;
  clock.Schedule(absl::Seconds(2), [&] { times.push_back(clock.Monotonic()); });
  clock.Schedule(absl::Seconds(1), [&] {
    times.push_back(clock.Monotonic());
    clock.Schedule(absl::Seconds(2), [&] { times.push_back(clock.Monotonic()); });
  });
  clock.Schedule(absl::Seconds(10), [&] { times.push_back(clock.Monotonic()); });
  clock.Advance(absl::Seconds(3));
  EXPECT_THAT(times, ElementsAre(absl::Seconds(1), absl::Seconds(2), absl::Seconds(3)));
  EXPECT_EQ(clock.pending_timers(), 1u);
}

TEST(FakeClock, AJumpOfWallTimeMovesNoTimer) {
  FakeClock clock;
  bool ran = false;
  const Clock::TimerId id = clock.Schedule(absl::Minutes(1), [&] { ran = true; });
  const absl::Time before = clock.Now();
  clock.JumpWallTime(absl::Hours(1));
  EXPECT_EQ(clock.Now() - before, absl::Hours(1));
  EXPECT_EQ(clock.Monotonic(), absl::ZeroDuration());
  EXPECT_FALSE(ran);
  EXPECT_TRUE(clock.Cancel(id));
  EXPECT_FALSE(clock.Cancel(id));
  clock.Advance(absl::Hours(1));
  EXPECT_FALSE(ran);
}

}  // namespace
}  // namespace coppice
