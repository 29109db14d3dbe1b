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
    commit_.worker_id = "w";
    commit_.lease = {8, 3};
    commit_.step = 20;
    commit_.path = "step";
    commit_.bytes = 7;
  }
  struct Answer {
    absl::Notification told;
    absl::Status status;
  };
  std::shared_ptr<Answer> Start() {
    auto answer = std::make_shared<Answer>();
    CommitFromSharedFolder(TransferContext{&core_, files_, &disk_, &clock_}, commit_,
                           [answer](absl::Status status) {
                             answer->status = std::move(status);
                             answer->told.Notify();
                           });
    return answer;
  }
  static absl::Status Wait(const std::shared_ptr<Answer>& answer) {
    EXPECT_TRUE(answer->told.WaitForNotificationWithTimeout(absl::Seconds(30)));
    return answer->status;
  }
  void ExpectCommit() {
    EXPECT_CALL(core_, CommitCheckpoint).WillOnce([this](const auto& commit, auto done) {
      EXPECT_EQ(commit.path, commit_.path);
      done(absl::OkStatus());
    });
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
  void NextLookAfter(absl::Duration pause) {
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
  core::CheckpointCommit commit_;
  DiskCalls disk_;
};

TEST_F(CommitCheck, AFileThatIsThereIsCommittedWithoutMoreAdo) {
  std::ofstream(dir_.Join("step")) << "weights";
  ExpectCommit();
  EXPECT_EQ(Wait(Start()), absl::OkStatus());
}

TEST_F(CommitCheck, AFileThatANetworkFilesystemShowsLateIsCommitted) {
  LeaseIs(absl::OkStatus());
  CheckpointsAre({At(3, 10), At(2, 40)});
  const auto answer = Start();
  NextLookAfter(absl::Milliseconds(250));
  NextLookAfter(absl::Seconds(1));
  ASSERT_TRUE(clock_.AwaitTimers(1, absl::Seconds(30)));  // that check is over
  std::ofstream(dir_.Join("step")) << "weights";
  ExpectCommit();
  NextLookAfter(absl::Seconds(2));
  EXPECT_EQ(Wait(answer), absl::OkStatus());
}

TEST_F(CommitCheck, AFileThatNeverComesIsRefusedAndTheCoreDoesNotHearOfIt) {
  LeaseIs(absl::OkStatus());
  CheckpointsAre({});
  const auto answer = Start();
  NextLookAfter(absl::Milliseconds(250));
  NextLookAfter(absl::Seconds(1));
  EXPECT_FALSE(answer->told.HasBeenNotified());
  NextLookAfter(absl::Seconds(2));
  const absl::Status status = Wait(answer);
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("--checkpoint-dir"));
}

TEST_F(CommitCheck, AStaleLeaseIsToldSoAtOnce) {
  LeaseIs(absl::AbortedError("over"));
  EXPECT_TRUE(absl::IsAborted(Wait(Start())));
  EXPECT_EQ(clock_.pending_timers(), 0u);
}

TEST_F(CommitCheck, ACommitSentAgainWhoseFileRetentionDroppedIsFine) {
  LeaseIs(absl::OkStatus());
  CheckpointsAre({At(3, 60), At(3, 40)});
  EXPECT_EQ(Wait(Start()), absl::OkStatus());
}

}  // namespace
}  // namespace coppice::service
