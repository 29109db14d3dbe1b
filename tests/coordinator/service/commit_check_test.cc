#include "coordinator/service/commit_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <memory>

#include "absl/synchronization/notification.h"
#include "tests/coordinator/service/mock_coordinator.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/temp_dir.h"

namespace coppice::service {
namespace {

using ::testing::_;
using ::testing::HasSubstr;
using ::testing::StrictMock;

TEST(CheckCheckpointFile, TakesARegularFileOfTheSizeAndNothingElse) {
  testing::TempDir dir;
  const auto check = [&](const std::string& name) {
    return CheckCheckpointFile(dir.Join(name), 7);
  };
  std::ofstream(dir.Join("good")) << "weights";
  EXPECT_EQ(check("good"), absl::OkStatus());
  EXPECT_TRUE(absl::IsNotFound(check("absent")));
  std::ofstream(dir.Join("short")) << "weight";
  EXPECT_TRUE(absl::IsFailedPrecondition(check("short")));
  std::ofstream(dir.Join("long")) << "weights!";
  EXPECT_TRUE(absl::IsFailedPrecondition(check("long")));
  std::filesystem::create_directory(dir.Join("folder"));
  EXPECT_TRUE(absl::IsFailedPrecondition(check("folder")));
  ASSERT_EQ(::mkfifo(dir.Join("pipe").c_str(), 0600), 0);
  EXPECT_TRUE(absl::IsFailedPrecondition(check("pipe"))) << "and it does not wait for a writer";
  std::filesystem::create_symlink("good", dir.Join("link"));
  EXPECT_FALSE(check("link").ok());
}

class CommitCheck : public ::testing::Test {
 protected:
  CommitCheck() {
    checkpoint_.worker_id = "w";
    checkpoint_.lease = {8, 3};
    checkpoint_.step = 20;
    checkpoint_.path = "step";
    checkpoint_.bytes = 7;
  }
  struct Answer {
    absl::Notification given;
    std::string left_out;
  };
  std::shared_ptr<Answer> Start() {
    auto answer = std::make_shared<Answer>();
    CheckCommittedFile(TransferContext{&core_, files_, disk_, &clock_}, checkpoint_, caller_,
                       [answer](std::string left_out) {
                         answer->left_out = std::move(left_out);
                         answer->given.Notify();
                       });
    return answer;
  }
  static std::string Wait(const std::shared_ptr<Answer>& answer) {
    EXPECT_TRUE(answer->given.WaitForNotificationWithTimeout(absl::Seconds(30)));
    return answer->left_out;
  }
  void LeaseIs(absl::Status status) {
    EXPECT_CALL(core_, CheckLease("w", core::LeaseRef{8, 3}, _))
        .WillOnce([status](auto, auto, auto done) { done(status); });
  }
  void CheckpointsAre(std::vector<core::Checkpoint> checkpoints) {
    EXPECT_CALL(core_, GetJob(8, _)).WillOnce([checkpoints](auto, auto done) {
      core::JobDetails details;
      details.checkpoints = checkpoints;
      done(details);
    });
  }
  // The failed check has set the timer of the next one.
  void NextCheckAfter(absl::Duration pause) {
    ASSERT_TRUE(clock_.AwaitTimers(1, absl::Seconds(30)));
    clock_.Advance(pause);
  }
  static core::Checkpoint At(core::AttemptNumber attempt, uint32_t step) {
    return {8, attempt, step, "p", "", 7, 0};
  }

  testing::TempDir dir_;
  testing::FakeClock clock_;
  StrictMock<core::MockCoordinator> core_;
  const std::shared_ptr<CheckpointFiles> files_ = std::make_shared<CheckpointFiles>(dir_.path());
  core::NamedCheckpoint checkpoint_;
  const std::shared_ptr<DiskCalls> disk_ = std::make_shared<DiskCalls>();
  std::shared_ptr<int> caller_ = std::make_shared<int>(0);
};

TEST_F(CommitCheck, AFileThatIsThereNeedsNothingElse) {
  std::ofstream(dir_.Join("step")) << "weights";
  EXPECT_EQ(Wait(Start()), "");
}

TEST_F(CommitCheck, AFileThatANetworkFilesystemShowsLateIsSeen) {
  LeaseIs(absl::OkStatus());
  CheckpointsAre({At(3, 10), At(2, 40)});
  const auto answer = Start();
  NextCheckAfter(absl::Milliseconds(250));
  NextCheckAfter(absl::Seconds(1));
  ASSERT_TRUE(clock_.AwaitTimers(1, absl::Seconds(30)));  // that check is over
  std::ofstream(dir_.Join("step")) << "weights";
  NextCheckAfter(absl::Seconds(2));
  EXPECT_EQ(Wait(answer), "");
}

TEST_F(CommitCheck, AFileThatNeverComesLeavesTheCheckpointOut) {
  LeaseIs(absl::OkStatus());
  CheckpointsAre({});
  const auto answer = Start();
  NextCheckAfter(absl::Milliseconds(250));
  NextCheckAfter(absl::Seconds(1));
  EXPECT_FALSE(answer->given.HasBeenNotified());
  NextCheckAfter(absl::Seconds(2));
  EXPECT_THAT(Wait(answer), HasSubstr("--checkpoint-dir"));
}

TEST_F(CommitCheck, ACoreThatCannotTellDoesNotMakeUpForAFile) {
  LeaseIs(absl::UnavailableError("busy"));
  EXPECT_CALL(core_, GetJob(8, _)).WillOnce([](auto, auto done) {
    done(absl::ResourceExhaustedError("busy"));
  });
  const auto answer = Start();
  for (const int64_t ms : {250, 1000, 2000}) NextCheckAfter(absl::Milliseconds(ms));
  EXPECT_THAT(Wait(answer), HasSubstr("--checkpoint-dir"));
}

TEST_F(CommitCheck, AStaleLeaseGoesToTheCoreAtOnce) {
  LeaseIs(absl::AbortedError("over"));
  EXPECT_EQ(Wait(Start()), "");
  EXPECT_EQ(clock_.pending_timers(), 0u);
}

TEST_F(CommitCheck, ARecordSentAgainWhoseFileRetentionDroppedIsFine) {
  LeaseIs(absl::OkStatus());
  CheckpointsAre({At(3, 60), At(3, 40)});
  EXPECT_EQ(Wait(Start()), "");
}

// A disk that hangs says nothing about the file.
TEST_F(CommitCheck, ADiskThatDoesNotAnswerIsAskedAgainUntilItDoes) {
  std::ofstream(dir_.Join("step")) << "weights";
  DiskCalls::Options options;
  options.max_threads = 1;
  options.limit = absl::Milliseconds(500);  // a call that began later would hold no thread
  const auto disk = std::make_shared<DiskCalls>(options);
  absl::Notification began, hangs, mended;
  disk->Run(
      "step",
      [start = &began, end = &mended] {
        start->Notify();
        end->WaitForNotification();
        return absl::OkStatus();
      },
      [&](const absl::Status&) { hangs.Notify(); });
  ASSERT_TRUE(began.WaitForNotificationWithTimeout(absl::Seconds(30)));
  ASSERT_TRUE(hangs.WaitForNotificationWithTimeout(absl::Seconds(30)));
  absl::Notification given;
  CheckCommittedFile(TransferContext{&core_, files_, disk, &clock_}, checkpoint_, caller_,
                     [&](const std::string& left_out) {
                       EXPECT_EQ(left_out, "");
                       given.Notify();
                     });
  NextCheckAfter(kDiskPause);
  NextCheckAfter(kDiskPause);
  EXPECT_FALSE(given.HasBeenNotified());
  mended.Notify();
  while (!given.WaitForNotificationWithTimeout(absl::Milliseconds(10))) clock_.Advance(kDiskPause);
}

TEST_F(CommitCheck, ACheckWhoseCallerHasGoneEnds) {
  LeaseIs(absl::OkStatus());
  CheckpointsAre({});
  const auto answer = Start();
  ASSERT_TRUE(clock_.AwaitTimers(1, absl::Seconds(30)));
  caller_.reset();
  clock_.Advance(absl::Minutes(1));
  EXPECT_EQ(clock_.pending_timers(), 0u);
  EXPECT_FALSE(answer->given.HasBeenNotified());
}

}  // namespace
}  // namespace coppice::service
