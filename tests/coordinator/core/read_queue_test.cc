#include "coordinator/core/read_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"

namespace coppice::core {
namespace {

using ::testing::ElementsAre;

// A queue of one thread, which the test holds until it has added everything.
class ReadQueueTest : public ::testing::Test {
 protected:
  void Hold() {
    ASSERT_TRUE(queue_
                    .Add("holder",
                         [this] {
                           held_.Notify();
                           release_.WaitForNotification();
                           return true;
                         })
                    .ok());
    held_.WaitForNotification();
  }
  void TearDown() override {
    if (!release_.HasBeenNotified()) release_.Notify();
  }
  absl::Status Add(const std::string& caller, int slices = 1) {
    slices_ += slices;
    return queue_.Add(caller, [this, caller, left = slices]() mutable {
      absl::MutexLock lock(&mutex_);
      order_.push_back(caller);
      return --left == 0;
    });
  }
  // Returns the callers in the order of their slices, after all slices have run.
  std::vector<std::string> Order() {
    release_.Notify();
    absl::MutexLock lock(&mutex_);
    const auto all = [this]()
                         ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return order_.size() == slices_; };
    mutex_.Await(absl::Condition(&all));
    return order_;
  }

  absl::Notification held_, release_;
  size_t slices_ = 0;
  absl::Mutex mutex_;
  std::vector<std::string> order_ ABSL_GUARDED_BY(mutex_);
  ReadQueue queue_{1, 40, nullptr};
};

TEST_F(ReadQueueTest, ACallerWithManyQueriesDelaysAnothersByOne) {
  Hold();
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(Add("busy").ok());
  ASSERT_TRUE(Add("other").ok());
  ASSERT_TRUE(Add("third").ok());
  EXPECT_THAT(Order(), ElementsAre("busy", "other", "third", "busy", "busy", "busy"));
}

TEST_F(ReadQueueTest, ALongQueryLetsOthersInBetweenItsSlices) {
  Hold();
  ASSERT_TRUE(Add("long", 4).ok());
  ASSERT_TRUE(Add("short").ok());
  ASSERT_TRUE(Add("short").ok());
  EXPECT_THAT(Order(), ElementsAre("long", "short", "long", "short", "long", "long"));
}

TEST_F(ReadQueueTest, OneCallerCannotTakeAllPlaces) {
  Hold();
  int taken = 0;
  while (Add("busy").ok()) ++taken;
  EXPECT_EQ(taken, 10) << "a quarter";
  EXPECT_TRUE(absl::IsResourceExhausted(Add("busy")));
  EXPECT_TRUE(Add("other").ok());
}

TEST_F(ReadQueueTest, TheCallersTogetherHaveABoundAndPlacesComeBack) {
  Hold();
  int taken = 1;  // the holder
  for (int caller = 0; caller < 10; ++caller) {
    while (Add(absl::StrCat("c", caller)).ok()) ++taken;
  }
  EXPECT_EQ(taken, 40);
  release_.Notify();
  absl::Notification done;
  // Refused until a place is free again.
  while (!queue_
              .Add("late",
                   [&] {
                     done.Notify();
                     return true;
                   })
              .ok()) {
  }
  done.WaitForNotification();
}

TEST_F(ReadQueueTest, WhatWasTakenIsEndedAtTheShutdownAndNothingMoreIsTaken) {
  Hold();
  ASSERT_TRUE(Add("long", 5).ok());
  ASSERT_TRUE(Add("long", 3).ok());
  release_.Notify();
  queue_.Shutdown();
  absl::MutexLock lock(&mutex_);
  EXPECT_EQ(order_.size(), 8u);
  EXPECT_TRUE(absl::IsUnavailable(Add("late")));
}

}  // namespace
}  // namespace coppice::core
