// The stream of an attempt's records: order, numbers, answers and ends.
#include <gmock/gmock.h>

#include "coordinator/core/commands.h"
#include "tests/coordinator/core/harness.h"

namespace coppice::core {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

class RecordsTest : public Harness {
 protected:
  void SetUp() override {
    Harness::SetUp();
    SubmitSmall(2);
    worker_ = Register("w");
    lease_ = TakeOne(worker_);
  }
  // Everything that an attempt reports on its way to SUCCEEDED.
  std::vector<Record> WholeRun(const LeaseRef& lease) {
    std::vector<Record> records = {{lease, 1, TrainerStart{"{\"threads\":1}", 0}},
                                   {lease, 2, LogText{"begins\n"}}};
    for (uint32_t step = 10; step <= 100; step += 10) {
      records.push_back(Row(lease, records.size() + 1, step));
    }
    records.push_back({lease, 13, RecordOf(CommitOf(worker_, lease, 100))});
    records.push_back({lease, 14, Completion{100}});
    return records;
  }
  AttemptAnswer Send(std::vector<Record> records) {
    const auto answers = Append(worker_, std::move(records));
    EXPECT_TRUE(answers.ok()) << answers.status();
    EXPECT_THAT(*answers, SizeIs(1));
    return answers->at(0);
  }
  std::string LogOf(JobId id) {
    return Ask<LogPage>([&](auto done) { c_->GetLog({}, id, 0, 0, done); })->text;
  }
  std::string worker_;
  LeaseRef lease_;
};

TEST_F(RecordsTest, AWholeAttemptFitsIntoOneCallAndOneTransaction) {
  Workers();  // earlier commands are done
  const int before = faulty_->transactions;
  const AttemptAnswer answer = Send(WholeRun(lease_));
  EXPECT_EQ(faulty_->transactions, before + 1);
  EXPECT_EQ(answer.number, 14u);
  EXPECT_TRUE(answer.over);
  EXPECT_EQ(answer.refusal, absl::OkStatus());
  EXPECT_THAT(answer.omissions, IsEmpty());
  const JobDetails details = Details(1);
  EXPECT_EQ(details.job.state, JobState::kSucceeded);
  EXPECT_EQ(details.job.step, 100u);
  EXPECT_EQ(details.job.checkpoint_step, 100u);
  EXPECT_EQ(details.attempts[0].outcome, AttemptOutcome::kSucceeded);
  EXPECT_EQ(details.attempts[0].provenance, "{\"threads\":1}");
  EXPECT_EQ(details.attempts[0].end_step, 100u);
  EXPECT_THAT(details.checkpoints, SizeIs(1));
  EXPECT_EQ(LogOf(1), "begins\n");
  EXPECT_THAT(Steps(1), ElementsAre(10, 20, 30, 40, 50, 60, 70, 80, 90, 100));
  EXPECT_EQ(Summary("small").steps_done, 100u);
}

TEST_F(RecordsTest, WhatIsSentAgainAfterALostAnswerIsTakenOnce) {
  std::vector<Record> records = WholeRun(lease_);
  Send({records.begin(), records.begin() + 8});
  EXPECT_EQ(Send({records.begin() + 4, records.begin() + 9}).number, 9u);
  EXPECT_EQ(Send(records).number, 14u);
  const size_t events = Details(1).events.size();
  const AttemptAnswer again = Send(records);
  EXPECT_EQ(again.number, 14u);
  EXPECT_TRUE(again.over);
  EXPECT_EQ(Details(1).events.size(), events);
  EXPECT_EQ(LogOf(1), "begins\n");
  Restart();
  EXPECT_EQ(Send(records).number, 14u) << "the number is durable";
}

TEST_F(RecordsTest, EachCheckpointThatOneCallDropsIsRememberedUntilItsFileIsRemoved) {
  GroupSpec group = Group("question", 2, 1000);
  group.keep = 1;
  ASSERT_TRUE(Submit(Spec("keeps-one", {group}, 1)).ok());
  const LeaseRef lease = TakeOne(worker_);
  std::vector<Record> records;
  for (uint32_t step = 10; step <= 60; step += 10) {
    records.push_back(Row(lease, records.size() + 1, step));
    if (step % 20 != 0) continue;
    records.push_back(
        {lease, records.size() + 1, RecordOf(CommitOf(worker_, lease, step, "keeps-one"))});
  }
  EXPECT_EQ(Send(std::move(records)).number, 9u);
  std::vector<uint32_t> dropped;
  ASSERT_EQ(store_->Read([&](ReadTransaction& read) -> absl::Status {
    const auto listed = read.ListDroppedCheckpoints(10);
    for (const Checkpoint& one : *listed) dropped.push_back(one.step);
    return absl::OkStatus();
  }),
            absl::OkStatus());
  EXPECT_THAT(dropped, UnorderedElementsAre(20, 40));
}

TEST_F(RecordsTest, AReleaseCannotNameAStepPastTheEnd) {
  EXPECT_EQ(Release(EndOf(worker_, lease_, 4'000'000'000)), absl::OkStatus());
  EXPECT_EQ(Details(lease_.job_id).attempts[0].end_step, 100u);
}

TEST_F(RecordsTest, NothingFollowsTheEnd) {
  const AttemptAnswer answer =
      Send({Row(lease_, 1, 10), {lease_, 2, core::Release{0, "drained", {}}}, Row(lease_, 3, 20)});
  EXPECT_EQ(answer.number, 2u);
  EXPECT_TRUE(answer.over);
  EXPECT_THAT(Steps(1), ElementsAre(10));
  const AttemptAnswer late = Send({Row(lease_, 3, 20)});
  EXPECT_EQ(late.number, 2u);
  EXPECT_TRUE(late.over);
  EXPECT_THAT(Details(1).attempts[0].message, HasSubstr("drained"));
}

TEST_F(RecordsTest, ARefusedCompletionGivesItsNumberToTheEndThatFollows) {
  const AttemptAnswer answer =
      Send({Row(lease_, 1, 10), {lease_, 2, Completion{100}}, Row(lease_, 3, 20)});
  EXPECT_EQ(answer.number, 1u);
  EXPECT_FALSE(answer.over);
  EXPECT_TRUE(absl::IsFailedPrecondition(answer.refusal)) << answer.refusal;
  EXPECT_THAT(Steps(1), ElementsAre(10)) << "later records are not looked at";
  const AttemptAnswer end = Send({{lease_, 2, Failure{10, FailureKind::kInternal, "refused", ""}}});
  EXPECT_EQ(end.number, 2u);
  EXPECT_TRUE(end.over);
  EXPECT_EQ(GetJob(1).failures, 1u);
}

TEST_F(RecordsTest, ACompletionAtAnotherStepIsRefused) {
  Report(worker_, lease_, 0, 100);
  ASSERT_EQ(Commit(CommitOf(worker_, lease_, 100)), absl::OkStatus());
  EXPECT_TRUE(absl::IsFailedPrecondition(Complete(EndOf(worker_, lease_, 90))));
  EXPECT_EQ(Complete(EndOf(worker_, lease_, 100)), absl::OkStatus());
}

TEST_F(RecordsTest, TheFaultOfOneAttemptLeavesTheOthersOfTheCallAlone) {
  const LeaseRef other = TakeOne(worker_);
  std::vector<Record> records = WholeRun(other);
  records.insert(records.begin() + 3, {lease_, 1, Malformed{"content is missing"}});
  records.insert(records.begin() + 5, Row(lease_, 2, 10));
  const auto answers = Append(worker_, records);
  ASSERT_TRUE(answers.ok()) << answers.status();
  ASSERT_THAT(*answers, SizeIs(2));
  EXPECT_EQ((*answers)[0].number, 14u);
  EXPECT_EQ((*answers)[1].lease, lease_);
  EXPECT_EQ((*answers)[1].number, 0u);
  EXPECT_EQ((*answers)[1].refusal, absl::InvalidArgumentError("content is missing"));
  EXPECT_EQ(GetJob(other.job_id).state, JobState::kSucceeded);
  EXPECT_THAT(Steps(1), IsEmpty());
}

TEST_F(RecordsTest, CheckpointsThatAreLeftOutAreEachNamedAndTheRestGoesOn) {
  const auto checkpoint = [&](uint64_t number, uint32_t step) {
    return Record{lease_, number, RecordOf(CommitOf(worker_, lease_, step))};
  };
  const AttemptAnswer answer = Send({Row(lease_, 1, 10), checkpoint(2, 30), Row(lease_, 3, 20),
                                     checkpoint(4, 50), checkpoint(5, 20), Row(lease_, 6, 30)});
  EXPECT_EQ(answer.number, 6u);
  EXPECT_EQ(answer.refusal, absl::OkStatus());
  ASSERT_THAT(answer.omissions, SizeIs(2));
  EXPECT_EQ(answer.omissions[0].number, 2u);
  EXPECT_THAT(answer.omissions[0].reason, HasSubstr("1 of 3 report rows"));
  EXPECT_EQ(answer.omissions[1].number, 4u);
  EXPECT_EQ(GetJob(1).checkpoint_step, 20u);
  EXPECT_EQ(GetJob(1).step, 30u);
}

// The rows come in the same call as the end, and count before it.
TEST_F(RecordsTest, AnEndSeesTheRowsOfItsOwnCall) {
  Register("other");
  for (uint32_t round = 1; round <= 4; ++round) {
    std::vector<Record> records;
    for (uint32_t step = 10; step <= 10 * round; step += 10) {
      records.push_back(Row(lease_, records.size() + 1, step));
    }
    const uint64_t end = records.size() + 1;
    records.push_back({lease_, end, Failure{10 * round + 5, FailureKind::kCrashed, "", ""}});
    EXPECT_EQ(Send(std::move(records)).number, end);
    EXPECT_EQ(GetJob(1).failures, 1u) << "progress forgives the failures before";
    Advance(absl::Seconds(3));
    lease_ = TakeOne(worker_);
    ASSERT_EQ(lease_.job_id, 1u);
  }
  for (const Worker& worker : Workers()) {
    EXPECT_EQ(worker.suspect_until_ms, 0) << "the attempts made progress here";
  }
}

TEST_F(RecordsTest, OneCallEndsManyAttempts) {
  const LeaseRef other = TakeOne(worker_);
  std::vector<Record> records = WholeRun(lease_);
  for (const Record& record : WholeRun(other)) {
    records.insert(records.begin() + static_cast<long>(2 * record.number - 1), record);
  }
  const auto answers = Append(worker_, records);
  ASSERT_TRUE(answers.ok()) << answers.status();
  for (const AttemptAnswer& answer : *answers) EXPECT_EQ(answer.number, 14u);
  EXPECT_EQ(Summary("small").counts.succeeded, 2u);
  EXPECT_GT(Summary("small").finished_ms, 0);
}

TEST_F(RecordsTest, AFailedCommitTakesNothingAndTheSameRecordsAreTakenLater) {
  faulty_->fail_commits = true;
  EXPECT_TRUE(absl::IsResourceExhausted(Append(worker_, WholeRun(lease_)).status()));
  faulty_->fail_commits = false;
  EXPECT_EQ(GetJob(1).state, JobState::kRunning);
  EXPECT_EQ(Send(WholeRun(lease_)).number, 14u);
}

}  // namespace
}  // namespace coppice::core
