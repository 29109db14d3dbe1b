#include "common/base/executor.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "absl/synchronization/barrier.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"

namespace coppice {
namespace {

TEST(Executor, OneThreadKeepsTheOrder) {
  std::vector<int> seen;
  {
    Executor executor;
    for (int i = 0; i < 1000; ++i) ASSERT_TRUE(executor.Add([&seen, i] { seen.push_back(i); }));
  }
  std::vector<int> expected(1000);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(seen, expected);
}

TEST(Executor, ThreadsRunSideBySide) {
  // Each closure waits for the other, so a single thread would wait forever.
  absl::Notification first, second;
  Executor executor(2);
  executor.Add([&] {
    first.Notify();
    second.WaitForNotification();
  });
  executor.Add([&] {
    second.Notify();
    first.WaitForNotification();
  });
  executor.Shutdown();
  EXPECT_TRUE(first.HasBeenNotified() && second.HasBeenNotified());
}

TEST(Executor, ShutdownRunsWhatIsQueuedAndRefusesWhatComesAfter) {
  std::atomic<int> ran = 0;
  absl::Notification go;
  Executor executor;
  executor.Add([&] { go.WaitForNotification(); });
  for (int i = 0; i < 10; ++i) executor.Add([&] { ++ran; });
  go.Notify();
  executor.Shutdown();
  EXPECT_EQ(ran, 10);
  EXPECT_FALSE(executor.Add([&] { ++ran; }));
  executor.Shutdown();
  EXPECT_EQ(ran, 10);
}

TEST(Executor, WorkMayAddWork) {
  absl::Notification done;
  Executor executor;
  executor.Add([&] { executor.Add([&] { done.Notify(); }); });
  EXPECT_TRUE(done.WaitForNotificationWithTimeout(absl::Seconds(30)));
}

TEST(Executor, WithARunnerNothingRunsBeforeTheRunnerSaysSo) {
  std::vector<std::function<void()>> queue;
  std::vector<int> ran;
  auto executor = std::make_unique<Executor>(
      4, [&](std::function<void()> work) { queue.push_back(std::move(work)); });
  for (int i = 0; i < 4; ++i) executor->Add([&ran, i] { ran.push_back(i); });
  EXPECT_TRUE(ran.empty());
  queue[0]();
  queue[1]();
  EXPECT_EQ(ran, (std::vector<int>{0, 1}));
  executor->Shutdown();
  EXPECT_EQ(ran, (std::vector<int>{0, 1, 2, 3})) << "Shutdown runs what is queued";
  EXPECT_FALSE(executor->Add([] {}));
  executor.reset();
  queue[2]();  // a closure that the runner still holds does nothing
  EXPECT_EQ(ran.size(), 4u);
}

}  // namespace
}  // namespace coppice
