// Commands that a client runs: each is handed out once, and none is waited for without an end.
#include "coordinator/pools/remote_commands.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/testing/fake_clock.h"

namespace coppice::pools {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class RemoteCommandsTest : public ::testing::Test {
 protected:
  using Reply = std::optional<absl::StatusOr<CommandsReply>>;

  void Exchange(const std::string& session, Reply* reply, std::vector<CommandAnswer> answers = {},
                bool leaving = false) {
    reply->reset();
    remote_.Exchange({session, "login1", std::move(answers), leaving},
                     [reply](absl::StatusOr<CommandsReply> got) { *reply = std::move(got); });
  }
  void Begin(const std::string& session) {
    Reply reply;
    Exchange(session, &reply);
    ASSERT_TRUE(reply.has_value() && reply->ok());
    EXPECT_TRUE((*reply)->fresh);
    EXPECT_THAT((*reply)->commands, IsEmpty());
  }
  void Run(const std::string& program, std::optional<CommandResult>* result) {
    Command command;
    command.argv = {program};
    command.time_limit = absl::Seconds(60);
    remote_.Run(std::move(command), [result](CommandResult got) { *result = std::move(got); });
  }
  static CommandAnswer Answer(uint64_t id, const std::string& out) {
    CommandAnswer answer;
    answer.id = id;
    answer.result.out = out;
    return answer;
  }

  testing::FakeClock clock_;
  Reply reply_;
  std::optional<CommandResult> result_;
  RemoteCommands remote_{&clock_};  // its end calls whoever still waits
};

TEST_F(RemoteCommandsTest, WithoutAClientNothingIsRun) {
  EXPECT_THAT(remote_.Absent(), HasSubstr("coppice pool run"));
  Run("squeue", &result_);
  ASSERT_TRUE(result_.has_value());
  EXPECT_EQ(result_->status.code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(RemoteCommandsTest, ACommandGoesOutAndItsAnswerComesBack) {
  Begin("s1");
  EXPECT_EQ(remote_.Absent(), "");
  Exchange("s1", &reply_);
  EXPECT_FALSE(reply_.has_value()) << "nothing is to be run yet";
  Run("squeue", &result_);
  ASSERT_TRUE(reply_.has_value());
  ASSERT_THAT((*reply_)->commands, SizeIs(1));
  const HandedCommand handed = (*reply_)->commands[0];
  EXPECT_THAT(handed.command.argv, ::testing::ElementsAre("squeue"));
  EXPECT_FALSE(result_.has_value());
  Exchange("s1", &reply_, {Answer(handed.id, "7|RUNNING")});
  ASSERT_TRUE(result_.has_value());
  EXPECT_EQ(result_->out, "7|RUNNING");
}

TEST_F(RemoteCommandsTest, ALostReplyIsNeverHandedOutAgain) {
  Begin("s1");
  Run("sbatch", &result_);
  Exchange("s1", &reply_);
  ASSERT_THAT((*reply_)->commands, SizeIs(1));
  // The client has not got the reply and asks again.
  Exchange("s1", &reply_);
  EXPECT_FALSE(reply_.has_value());
  clock_.Advance(RemoteCommands::kLongPoll);
  ASSERT_TRUE(reply_.has_value());
  EXPECT_THAT((*reply_)->commands, IsEmpty());
  Exchange("s1", &reply_, {}, /*leaving=*/true);
  ASSERT_TRUE(result_.has_value());
  EXPECT_EQ(result_->status.code(), absl::StatusCode::kDeadlineExceeded)
      << "nobody knows whether it ran";
}

TEST_F(RemoteCommandsTest, ASilentClientIsGivenUpOnceItsCommandsMustHaveEnded) {
  Begin("s1");
  std::optional<CommandResult> waits;
  Run("sbatch", &result_);
  Exchange("s1", &reply_);
  ASSERT_THAT((*reply_)->commands, SizeIs(1));
  Run("squeue", &waits);
  clock_.Advance(RemoteCommands::kSilence + absl::Seconds(59));
  EXPECT_FALSE(result_.has_value());
  clock_.Advance(absl::Seconds(2));
  ASSERT_TRUE(result_.has_value() && waits.has_value());
  EXPECT_EQ(result_->status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(waits->status.code(), absl::StatusCode::kFailedPrecondition) << "it never ran";
  EXPECT_NE(remote_.Absent(), "");
  // It comes late: its session does not begin again, and another one may.
  Exchange("s1", &reply_, {Answer((*reply_)->commands[0].id, "9")});
  EXPECT_EQ(reply_->status().code(), absl::StatusCode::kAborted);
  Begin("s2");
}

TEST_F(RemoteCommandsTest, OneClientIsEnough) {
  Begin("s1");
  Exchange("s2", &reply_);
  ASSERT_TRUE(reply_.has_value());
  EXPECT_EQ(reply_->status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(reply_->status().message()), HasSubstr("login1"));
}

TEST_F(RemoteCommandsTest, ASessionIsSettledOnceAndAfterItsCommands) {
  Begin("s1");
  Exchange("s1", &reply_);
  remote_.Settle("another");
  EXPECT_FALSE(reply_.has_value());
  remote_.Settle("s1");
  ASSERT_TRUE(reply_.has_value());
  EXPECT_TRUE((*reply_)->settled);
  Exchange("s1", &reply_);
  EXPECT_FALSE(reply_.has_value()) << "a client that stays waits for commands";
  Run("squeue", &result_);
  EXPECT_FALSE((*reply_)->settled);
}

TEST_F(RemoteCommandsTest, TheEndEndsEverything) {
  Begin("s1");
  Run("sbatch", &result_);
  remote_.Shutdown();
  ASSERT_TRUE(result_.has_value());
  EXPECT_EQ(result_->status.code(), absl::StatusCode::kCancelled);
  Exchange("s1", &reply_);
  EXPECT_EQ(reply_->status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace coppice::pools
