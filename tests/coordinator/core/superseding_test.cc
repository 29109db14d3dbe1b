// Tests which of two processes owns a name, for messages in any order.
#include <gmock/gmock.h>

#include "tests/coordinator/core/harness.h"

namespace coppice::core {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

class SupersedingTest : public Harness {
 protected:
  // Sends a process's message as it was composed, however late it arrives.
  absl::StatusOr<Registration> Send(const std::string& instance, uint64_t incarnation,
                                    const std::string& host) {
    WorkerInfo info;
    info.name = "w";
    info.instance = instance;
    info.host = host;
    info.slots = 1;
    info.incarnation = incarnation;
    return RegisterOnce(info);
  }
  uint64_t NumberOf(const std::string& instance) { return incarnations_.at({"w", instance}); }
};

TEST_F(SupersedingTest, TheOlderProcessIsToldByWhomAndSinceWhenAndNeverRegistersAgain) {
  const std::string older = Register("w", "i1", {}, "alpha");
  Advance(absl::Seconds(7));
  const int64_t since = clock_.NowMillis();
  const std::string newer = Register("w", "i2", {}, "beta");
  EXPECT_NE(newer, older);
  EXPECT_TRUE(absl::IsNotFound(Beat(older, {}).status()));
  Advance(absl::Seconds(7));
  for (int i = 0; i < 3; ++i) {
    const auto told = Send("i1", NumberOf("i1"), "alpha");
    ASSERT_TRUE(told.ok());
    EXPECT_EQ(told->worker_id, "");
    ASSERT_TRUE(told->superseded_by.has_value());
    EXPECT_EQ(told->superseded_by->host, "beta");
    EXPECT_EQ(told->superseded_by->since_ms, since);
    EXPECT_TRUE(Beat(newer, {}).ok());
  }
  const std::vector<Worker> workers = Workers();
  ASSERT_THAT(workers, SizeIs(1));
  EXPECT_EQ(workers[0].info.host, "beta");
  EXPECT_EQ(workers[0].superseded_host, "alpha");
  EXPECT_EQ(workers[0].superseded_ms, clock_.NowMillis());
}

TEST_F(SupersedingTest, TheOlderOneIsRefusedByACoordinatorThatStartedAnewToo) {
  Register("w", "i1", {}, "alpha");
  const std::string newer = Register("w", "i2", {}, "beta");
  Restart();
  EXPECT_EQ(Register("w", "i1", {}, "alpha"), "superseded by beta");
  EXPECT_TRUE(Beat(newer, {}).ok());
  Restart();
  EXPECT_EQ(Workers()[0].superseded_host, "alpha");
}

TEST_F(SupersedingTest, AFirstRegistrationThatComesLateTakesTheNameFromNobody) {
  // The process sent it and was killed. Its replacement is registered.
  const std::string present = Register("w", "i2", {}, "beta");
  for (int i = 0; i < 3; ++i) {
    const auto ghost = Send("i1", 0, "alpha");
    ASSERT_TRUE(ghost.ok());
    EXPECT_TRUE(ghost->confirm);
    EXPECT_EQ(ghost->worker_id, "");
  }
  EXPECT_TRUE(Beat(present, {}).ok());
  EXPECT_EQ(Workers()[0].info.host, "beta");
}

TEST_F(SupersedingTest, AConfirmationThatComesLateTakesTheNameFromNobody) {
  Register("w", "i1", {}, "alpha");
  const auto asked = Send("i2", 0, "beta");
  ASSERT_TRUE(asked->confirm);
  const std::string newest = Register("w", "i3", {}, "gamma");
  const auto late = Send("i2", asked->incarnation, "beta");
  ASSERT_TRUE(late->superseded_by.has_value());
  EXPECT_EQ(late->superseded_by->host, "gamma");
  EXPECT_TRUE(Beat(newest, {}).ok());
}

TEST_F(SupersedingTest, NumbersAreNotGivenTwiceWhateverIsRestartedInBetween) {
  Register("w", "i1", {}, "alpha");
  const auto first = Send("i2", 0, "beta");
  Restart();
  const auto second = Send("i3", 0, "gamma");
  EXPECT_GT(second->incarnation, first->incarnation);
  EXPECT_NE(Send("i3", second->incarnation, "gamma")->worker_id, "");
  EXPECT_TRUE(Send("i2", first->incarnation, "beta")->superseded_by.has_value());
}

TEST_F(SupersedingTest, NoProcessHasANameWithoutKnowingItsNumber) {
  // Otherwise a process whose answer was lost could be superseded and return as if it were new.
  const auto first = Send("i1", 0, "alpha");
  EXPECT_TRUE(first->confirm);
  EXPECT_EQ(first->worker_id, "");
  EXPECT_THAT(Workers(), SizeIs(0));
  ASSERT_NE(Send("i1", first->incarnation, "alpha")->worker_id, "");  // the answer is lost
  Register("w", "i2", {}, "beta");
  EXPECT_TRUE(Send("i1", first->incarnation, "alpha")->superseded_by.has_value());
}

TEST_F(SupersedingTest, ANumberThatWasNeverGivenOutIsNoWayToTheName) {
  const std::string present = Register("w", "i1", {}, "alpha");
  EXPECT_TRUE(Send("i2", 1'000'000, "beta")->confirm);
  EXPECT_TRUE(Beat(present, {}).ok());
}

TEST_F(SupersedingTest, ARegistrationThatIsRepeatedChangesNothing) {
  const std::string id = Register("w", "i1", {}, "alpha");
  const int64_t since = clock_.NowMillis();
  Advance(absl::Seconds(3));
  EXPECT_EQ(Register("w", "i1", {}, "alpha"), id);
  EXPECT_TRUE(Send("i1", 0, "alpha")->confirm);  // the first one, delayed
  EXPECT_TRUE(Beat(id, {}).ok());
  EXPECT_EQ(Workers()[0].registered_ms, since);
}

TEST_F(SupersedingTest, TheJobsOfTheOlderOneGoOnAtOnceUnchargedAndWithoutAWait) {
  SubmitSmall(1);
  std::string worker = Register("w", "i0", {}, "alpha");
  for (int i = 1; i <= 4; ++i) {
    TakeOne(worker);
    const std::string host = i % 2 == 0 ? "alpha" : "beta";
    worker = Register("w", absl::StrCat("i", i), {}, host);
    const JobDetails details = Details(1);
    EXPECT_EQ(details.job.state, JobState::kPending);
    EXPECT_EQ(details.job.failures, 0u);
    EXPECT_EQ(details.attempts.back().outcome, AttemptOutcome::kExpired);
    EXPECT_THAT(details.attempts.back().message,
                AllOf(HasSubstr("superseded by a newer process"), HasSubstr("on " + host)));
  }
  TakeOne(worker);  // a job whose machines crash would be in its backoff by now
  const auto why = Ask<Explanation>([&](auto done) { c_->ExplainJob({}, 1, done); });
  for (const std::string& reason : why->reasons) EXPECT_THAT(reason, Not(HasSubstr("memory")));
}

TEST_F(SupersedingTest, TwoProcessesOfOneHostAreNamedWhereAJobIsLostAgainAndAgain) {
  SubmitSmall(1);
  std::string worker = Register("w", "i0", {}, "alpha");
  for (int i = 1; i <= 2; ++i) {
    TakeOne(worker);
    worker = Register("w", absl::StrCat("i", i), {}, "alpha");
    EXPECT_EQ(Register("w", absl::StrCat("i", i - 1), {}, "alpha"), "superseded by alpha");
  }
  std::string text;
  const auto why = Ask<Explanation>([&](auto done) { c_->ExplainJob({}, 1, done); });
  for (const std::string& reason : why->reasons) text += reason + "\n";
  EXPECT_THAT(text, AllOf(HasSubstr("Two processes say that they are w"), HasSubstr("--name"),
                          Not(HasSubstr("kernel logs"))));
}

TEST_F(SupersedingTest, AHeartbeatThatIsHandledWithARegistrationDoesNotBringTheOlderOneBack) {
  // Both calls share a transaction. The older process's last_seen is due to be stored.
  const std::string older = Register("w", "i1", {}, "alpha");
  const auto asked = Send("i2", 0, "beta");
  clock_.Advance(absl::Minutes(5));
  Close();
  auto store = store::OpenSqliteStore({dir_ / "coppice.db", 2, 0});
  store_ = *std::move(store);
  faulty_ = std::make_unique<FaultyStore>(store_.get());
  absl::Notification gate;
  faulty_->gate = &gate;
  c_ = *Coordinator::Open(faulty_.get(), &clock_, options_);
  Answer<std::vector<Worker>> first;  // waits at the gate while the others queue up
  c_->ListWorkers({}, first.done());
  faulty_->at_gate.WaitForNotification();
  WorkerInfo newer;
  newer.name = "w";
  newer.instance = "i2";
  newer.host = "beta";
  newer.slots = 1;
  newer.incarnation = asked->incarnation;
  Answer<Registration> registered;
  Answer<HeartbeatResult> beat;
  Answer<Worker> drained;
  c_->Register(newer, {}, registered.done());
  c_->Heartbeat(older, {}, {}, beat.done());
  c_->DrainWorker({}, "w", false, false, drained.done());
  gate.Notify();
  ASSERT_TRUE(registered.Wait().ok());
  beat.Wait().status().IgnoreError();
  ASSERT_TRUE(drained.Wait().ok());
  EXPECT_TRUE(Beat(registered.Wait()->worker_id, {}).ok());
  EXPECT_TRUE(Beat(registered.Wait()->worker_id, {})->drain);
  Restart();
  EXPECT_EQ(Workers()[0].info.host, "beta");
  EXPECT_TRUE(Workers()[0].draining);
}

}  // namespace
}  // namespace coppice::core
