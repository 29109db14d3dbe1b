#include "coordinator/service/disk_calls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"

namespace coppice::service {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(30);

// The result of a call.
struct Answer {
  absl::Notification told;
  absl::Status status;
};

// A file server. Calls to it block until it is released.
struct FileServer {
  absl::Notification up;
};

class DiskCallsTest : public ::testing::Test {
 protected:
  static DiskCalls::Options Quick() {
    DiskCalls::Options options;
    options.threads = 2;
    options.max_threads = 6;
    options.slow = absl::Milliseconds(20);
    options.limit = absl::Milliseconds(100);
    return options;
  }
  std::shared_ptr<Answer> Start(const std::string& path, DiskCalls::Work work,
                                std::function<void()> late = nullptr) {
    auto answer = std::make_shared<Answer>();
    disk_->Run(
        path, std::move(work),
        [answer](absl::Status status) {
          answer->status = std::move(status);
          answer->told.Notify();
        },
        std::move(late));
    return answer;
  }
  std::shared_ptr<Answer> StartDead(const std::string& path, std::function<void()> late = nullptr) {
    return Start(
        path,
        [server = server_] {
          server->up.WaitForNotification();
          return absl::OkStatus();
        },
        std::move(late));
  }
  static absl::Status Wait(const std::shared_ptr<Answer>& answer) {
    EXPECT_TRUE(answer->told.WaitForNotificationWithTimeout(kPatience));
    return answer->status;
  }
  static absl::Status Fine() { return absl::OkStatus(); }

  ~DiskCallsTest() override {
    if (!server_->up.HasBeenNotified()) server_->up.Notify();
  }
  const std::shared_ptr<FileServer> server_ = std::make_shared<FileServer>();
  std::unique_ptr<DiskCalls> disk_ = std::make_unique<DiskCalls>(Quick());
};

TEST_F(DiskCallsTest, WhatComesBackIsAnsweredWithItsStatus) {
  EXPECT_EQ(Wait(Start("a", Fine)), absl::OkStatus());
  EXPECT_TRUE(absl::IsNotFound(Wait(Start("a", [] { return absl::NotFoundError("gone"); }))));
  EXPECT_EQ(disk_->left_behind(), 0);
}

TEST_F(DiskCallsTest, AFileThatDoesNotAnswerEndsItsCallsAndNoOthers) {
  const auto first = StartDead("dead");
  const auto second = StartDead("dead");
  EXPECT_EQ(Wait(Start("fine", Fine)), absl::OkStatus()) << "both threads were taken";
  EXPECT_TRUE(absl::IsDeadlineExceeded(Wait(first)));
  EXPECT_TRUE(absl::IsDeadlineExceeded(Wait(second)));
  const absl::Status refused = Wait(Start("dead", Fine));
  EXPECT_TRUE(absl::IsUnavailable(refused));
  EXPECT_THAT(std::string(refused.message()), ::testing::HasSubstr("dead"));
  EXPECT_EQ(disk_->left_behind(), 2);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(Wait(Start("fine", Fine)), absl::OkStatus());
}

TEST_F(DiskCallsTest, WhenAFileServerIsGoneCallsAreAnsweredAndThreadsStayFew) {
  std::vector<std::shared_ptr<Answer>> answers;
  for (int i = 0; i < 50; ++i) answers.push_back(StartDead(absl::StrCat("dead", i)));
  for (const auto& answer : answers) EXPECT_FALSE(Wait(answer).ok());
  EXPECT_EQ(disk_->left_behind(), 6);
  EXPECT_TRUE(absl::IsUnavailable(Wait(Start("fine", Fine)))) << "at once, and not after a limit";
}

TEST_F(DiskCallsTest, AThreadThatComesBackWorksOnAndUndoesWhatNobodyWaitsFor) {
  absl::Notification undone;
  const auto answer = StartDead("dead", [&] { undone.Notify(); });
  EXPECT_TRUE(absl::IsDeadlineExceeded(Wait(answer)));
  EXPECT_FALSE(undone.HasBeenNotified());
  server_->up.Notify();
  ASSERT_TRUE(undone.WaitForNotificationWithTimeout(kPatience));
  EXPECT_EQ(disk_->left_behind(), 0);
  EXPECT_EQ(Wait(Start("dead", Fine)), absl::OkStatus());
}

TEST_F(DiskCallsTest, NoMoreCallsWorkAtATimeThanMay) {
  DiskCalls::Options options;
  options.threads = 2;
  disk_ = std::make_unique<DiskCalls>(options);
  std::atomic<int> at_work{0}, most{0};
  absl::BlockingCounter all(200);
  for (int i = 0; i < 200; ++i) {
    disk_->Run(
        "a",
        [&] {
          const int now = ++at_work;
          for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
          }
          --at_work;
          return absl::OkStatus();
        },
        [&](const absl::Status&) { all.DecrementCount(); });
  }
  all.Wait();
  EXPECT_LE(most, 2);
}

TEST_F(DiskCallsTest, AnEndDoesNotWaitForWhatDoesNotComeBack) {
  DiskCalls::Options options = Quick();
  options.limit = absl::Hours(1);
  disk_ = std::make_unique<DiskCalls>(options);
  std::vector<std::shared_ptr<Answer>> answers;
  for (int i = 0; i < 20; ++i) answers.push_back(StartDead(absl::StrCat("dead", i)));
  disk_->Shutdown(absl::Milliseconds(50));
  for (const auto& answer : answers) {
    ASSERT_TRUE(answer->told.HasBeenNotified()) << "every call is answered before it returns";
    EXPECT_TRUE(absl::IsUnavailable(answer->status));
  }
  EXPECT_TRUE(absl::IsUnavailable(Wait(Start("fine", Fine))));
  disk_.reset();
}

// The process may be ending then, and the logger with it.
TEST_F(DiskCallsTest, AThreadThatComesBackAfterAnEndLogsNothing) {
  std::ostringstream log;
  const auto before = spdlog::default_logger();
  spdlog::set_default_logger(std::make_shared<spdlog::logger>(
      "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(log)));
  absl::Notification undone;
  const auto answer = StartDead("dead", [&] { undone.Notify(); });
  EXPECT_TRUE(absl::IsDeadlineExceeded(Wait(answer)));
  disk_->Shutdown(absl::ZeroDuration());
  const std::string logged = log.str();
  server_->up.Notify();
  EXPECT_TRUE(undone.WaitForNotificationWithTimeout(kPatience));
  EXPECT_EQ(log.str(), logged);
  spdlog::set_default_logger(before);
}

TEST_F(DiskCallsTest, WhatIsLetGoOfIsFreedThoughNothingElseIsTakenAnyMore) {
  disk_->Shutdown(absl::ZeroDuration());
  auto freed = std::make_shared<absl::Notification>();
  disk_->Dispose(std::shared_ptr<int>(new int(1), [freed](const int* object) {
    delete object;
    freed->Notify();
  }));
  ASSERT_TRUE(freed->WaitForNotificationWithTimeout(kPatience));
}

}  // namespace
}  // namespace coppice::service
