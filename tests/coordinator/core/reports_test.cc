#include <gmock/gmock.h>

#include <limits>

#include "common/base/status_macros.h"
#include "coordinator/core/commands.h"
#include "tests/coordinator/core/harness.h"

namespace coppice::core {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;

class ReportsTest : public Harness {
 protected:
  void SetUp() override {
    Harness::SetUp();
    SubmitSmall(1);
    worker_ = Register("w");
    lease_ = TakeOne(worker_);
  }
  RecordAck AppendOne(Record record) { return Harness::AppendOne(worker_, std::move(record)); }
  Record Log(uint64_t sequence, std::string text) {
    return {lease_, sequence, {}, std::move(text), {}};
  }
  absl::StatusOr<LogPage> GetLog(AttemptNumber attempt, uint64_t after) {
    return Ask<LogPage>([&](auto done) { c_->GetLog({}, 1, attempt, after, done); });
  }
  std::string worker_;
  LeaseRef lease_;
};

TEST_F(ReportsTest, RowsAreStoredAndAcknowledged) {
  const auto acks = Append(worker_, {Row(lease_, 1, 10, 0.25), Row(lease_, 2, 20, 0.125)});
  ASSERT_TRUE(acks.ok());
  ASSERT_THAT(*acks, SizeIs(1));
  EXPECT_EQ((*acks)[0].sequence, 2u);
  EXPECT_EQ((*acks)[0].error, "");
  EXPECT_THAT(Steps(1), ElementsAre(10, 20));
  const Job job = GetJob(1);
  EXPECT_EQ(job.step, 20u);
  ASSERT_THAT(job.latest, SizeIs(1));
  EXPECT_EQ(job.latest[0].name, "train_loss");
  EXPECT_EQ(job.latest[0].value, 0.125);
}

TEST_F(ReportsTest, RecordsSentAgainAreAcknowledgedAndStoredOnce) {
  AppendOne(Row(lease_, 1, 10, 1));
  const auto acks = Append(worker_, {Row(lease_, 1, 10, 99), Row(lease_, 2, 20)});
  EXPECT_EQ((*acks)[0].sequence, 2u);
  EXPECT_EQ((*acks)[0].error, "");
  EXPECT_EQ(Metrics(Whole("small"))[0].row.values[0].value, 1);
}

// Found by removing acknowledged commits from the database: the job was charged for them.
TEST_F(ReportsTest, AGapAfterARestartEndsTheAttemptAsLostAndChargesNobody) {
  Restart();
  const auto acks = Append(worker_, {Row(lease_, 1, 10), Row(lease_, 3, 30), Row(lease_, 4, 40)});
  EXPECT_EQ((*acks)[0].sequence, 1u);
  EXPECT_EQ((*acks)[0].error, "");
  EXPECT_TRUE((*acks)[0].stale);
  EXPECT_THAT(Steps(1), ElementsAre(10));
  const Job job = GetJob(1);
  EXPECT_EQ(job.state, JobState::kPending);
  EXPECT_EQ(job.failures, 0u);
  EXPECT_THAT(job.reason, AllOf(StartsWith(kReportsMissing), HasSubstr("record 3 came before 2")));
  EXPECT_TRUE(AppendOne(Row(lease_, 2, 20)).stale);
}

// This process has every record that it acknowledged, so the worker is wrong and the disk is not
// blamed.
TEST_F(ReportsTest, AGapThatNoRestartExplainsIsTheWorkersFault) {
  const auto acks = Append(worker_, {Row(lease_, 1, 10), Row(lease_, 3, 30)});
  EXPECT_EQ((*acks)[0].sequence, 1u);
  EXPECT_FALSE((*acks)[0].stale);
  EXPECT_THAT((*acks)[0].error, HasSubstr("record 3 came where 2 was due"));
  EXPECT_NE(AppendOne(Row(lease_, 1'000'000'000, 30)).error, "");
  EXPECT_EQ(GetJob(1).state, JobState::kRunning) << "its worker is the one to end it";
  EXPECT_EQ(AppendOne(Row(lease_, 2, 20)).error, "");

  AttemptEnd end = End(worker_, lease_, 100, 1'000'000'000);
  EXPECT_TRUE(absl::IsInvalidArgument(Complete(end))) << Complete(end);
  CheckpointCommit commit = CommitOf(worker_, lease_, 20);
  commit.last_sequence = 1'000'000'000;
  EXPECT_TRUE(absl::IsInvalidArgument(Commit(commit))) << Commit(commit);
  commit.last_sequence = 2;
  EXPECT_EQ(Commit(commit), absl::OkStatus());
}

// Found by sending 300,000 names in 7 s: no answer about the sweep fitted into a message any more.
class MetricNamesTest : public ReportsTest {
 protected:
  // Sends `count` names from `first` on, in rows of `width`.
  RecordAck Names(const std::string& worker, const LeaseRef& lease, size_t first, size_t count,
                  uint64_t sequence = 1, size_t width = 1000) {
    std::vector<Record> records;
    for (size_t done = 0; done < count; ++sequence) {
      MetricRow row{static_cast<uint32_t>(sequence * 10), {}};
      for (size_t i = 0; i < width && done < count; ++i, ++done) {
        row.values.push_back({absl::StrCat("name/", first + done), 1});
      }
      records.push_back({lease, sequence, std::move(row), {}, {}});
    }
    const auto acks = Append(worker, std::move(records));
    EXPECT_TRUE(acks.ok()) << acks.status();
    return acks.ok() ? acks->front() : RecordAck();
  }
};

TEST_F(MetricNamesTest, AJobGetsNoFurtherThanItsLimitAndItsAnswersHoldThemAll) {
  EXPECT_EQ(Names(worker_, lease_, 0, kMaxMetricNamesPerJob).error, "");
  EXPECT_EQ(GetJob(1).latest.size(), kMaxMetricNamesPerJob);
  EXPECT_THAT(Names(worker_, lease_, 100'000, 1, 3).error,
              AllOf(HasSubstr("the job would have more than 2000"), HasSubstr("name/100000")));
  Restart();
  EXPECT_NE(Names(worker_, lease_, 100'000, 1, 3).error, "") << "memory is not where it is kept";
  EXPECT_EQ(Names(worker_, lease_, 5, 1000, 3).error, "") << "known names go on";
  EXPECT_EQ(GetJob(1).latest.size(), kMaxMetricNamesPerJob);
}

TEST_F(MetricNamesTest, TheJobsOfASweepTogetherGetNoFurtherThanTheSweepsLimit) {
  constexpr size_t kJobs = kMaxMetricNamesPerSweep / kMaxMetricNamesPerJob;
  ASSERT_TRUE(Submit(Spec("wide", {Group("dyck", 2)}, kJobs + 1)).ok());
  for (size_t i = 0; i < kJobs; ++i) {
    const std::string worker = Register(absl::StrCat("v", i));
    EXPECT_EQ(
        Names(worker, TakeOne(worker), i * kMaxMetricNamesPerJob, kMaxMetricNamesPerJob).error, "");
  }
  const std::string worker = Register("late");
  const LeaseRef lease = TakeOne(worker);
  EXPECT_THAT(Names(worker, lease, 100'000, 1).error, HasSubstr("the sweep would have more"));
  EXPECT_EQ(Names(worker, lease, 0, 1000).error, "") << "names of others are free";
  EXPECT_EQ(AppendOne(Row(lease_, 1, 10)).error, "") << "another sweep does not notice";
}

// Earlier versions left such data behind.
TEST_F(MetricNamesTest, AJobWithFarTooManyNamesCanBeReadAgain) {
  ASSERT_TRUE(store_
                  ->RunInTransaction([&](WriteTransaction& tx) -> absl::Status {
                    MetricRow row{10, {}};
                    for (int i = 0; i < 300'000; ++i)
                      row.values.push_back({absl::StrCat("a/long/enough/name/", i), 1});
                    return tx.InsertMetricRow(1, lease_.attempt, row);
                  })
                  .ok());
  EXPECT_EQ(GetJob(1).latest.size(), kMaxMetricNamesPerJob);
  const auto page = Ask<JobPage>(
      [&](auto done) { c_->ListJobs({}, Whole("small"), 0, 100, /*with_latest=*/true, done); });
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(page->jobs[0].latest.size(), kMaxMetricNamesPerJob);
}

TEST_F(MetricNamesTest, APageOfMetricsEndsWithItsValuesAndGoesOn) {
  EXPECT_EQ(AppendOne(Row(lease_, 1, 10)).error, "");
  ASSERT_TRUE(store_
                  ->RunInTransaction([&](WriteTransaction& tx) -> absl::Status {
                    for (uint32_t step = 20; step <= 620; step += 10) {
                      MetricRow row{step, {}};
                      for (size_t i = 0; i < kMaxValuesPerRow; ++i)
                        row.values.push_back({absl::StrCat("name/", i), 1});
                      COPPICE_RETURN_IF_ERROR(tx.InsertMetricRow(1, lease_.attempt, row));
                    }
                    return absl::OkStatus();
                  })
                  .ok());
  MetricsQuery query;
  query.filter = Whole("small");
  std::vector<size_t> pages;
  MetricsPage page;
  do {
    const auto next =
        Ask<MetricsPage>([&](auto done) { c_->GetMetrics({}, query, page.next, 1000, done); });
    ASSERT_TRUE(next.ok()) << next.status();
    page = *next;
    pages.push_back(page.rows.size());
  } while (!page.end);
  EXPECT_THAT(pages, ElementsAre(51, 11));
}

TEST_F(MetricNamesTest, APageOfJobsWithManyNamesEndsEarlyAndGoesOn) {
  ASSERT_TRUE(Submit(Spec("many", {Group("dyck", 2)}, 12)).ok());
  ASSERT_TRUE(store_
                  ->RunInTransaction([&](WriteTransaction& tx) -> absl::Status {
                    for (JobId job = 2; job <= 13; ++job) {
                      MetricRow row{10, {}};
                      for (size_t i = 0; i < kMaxMetricNamesPerJob; ++i)
                        row.values.push_back({absl::StrCat(std::string(1000, 'n'), i), 1});
                      COPPICE_RETURN_IF_ERROR(tx.InsertMetricRow(job, 1, row));
                    }
                    return absl::OkStatus();
                  })
                  .ok());
  std::vector<JobId> seen;
  int pages = 0;
  for (JobId after = 0; pages == 0 || after != 0; ++pages) {
    const auto page = Ask<JobPage>([&](auto done) {
      c_->ListJobs({}, Whole("many"), after, 100, /*with_latest=*/true, done);
    });
    ASSERT_TRUE(page.ok()) << page.status();
    for (const Job& job : page->jobs) seen.push_back(job.id);
    after = page->next_after;
  }
  EXPECT_GT(pages, 1);
  EXPECT_THAT(seen, ElementsAre(2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13));
}

TEST_F(ReportsTest, InvalidRecordsAreRefusedAndNotStored) {
  const auto with = [&](uint32_t step, std::vector<MetricValue> values) {
    return Record{lease_, 1, MetricRow{step, std::move(values)}, {}, {}};
  };
  std::vector<MetricValue> many;
  for (int i = 0; i < 1001; ++i) many.push_back({absl::StrCat("m", i), 0});
  const std::vector<std::pair<const char*, Record>> broken = {
      {"step 0", with(0, {{"a", 1}})},
      {"past the end", with(110, {{"a", 1}})},
      {"between report steps", with(15, {{"a", 1}})},
      {"no values", with(10, {})},
      {"too many values", with(10, many)},
      {"no name", with(10, {{"", 1}})},
      {"name with a space", with(10, {{"a b", 1}})},
      {"long name", with(10, {{std::string(200, 'a'), 1}})},
      {"name twice", with(10, {{"a", 1}, {"a", 2}})},
      {"NaN", with(10, {{"a", std::numeric_limits<double>::quiet_NaN()}})},
      {"infinite", with(10, {{"a", std::numeric_limits<double>::infinity()}})},
      {"empty record", Record{lease_, 1, {}, {}, {}}},
      {"two payloads", Record{lease_, 1, MetricRow{10, {{"a", 1}}}, "log", {}}},
      {"long log", Record{lease_, 1, {}, std::string((64 << 10) + 1, 'x'), {}}},
  };
  for (const auto& [what, record] : broken) {
    const RecordAck ack = AppendOne(record);
    EXPECT_NE(ack.error, "") << what;
    EXPECT_EQ(ack.sequence, 0u) << what;
    EXPECT_FALSE(ack.stale) << what;
  }
  EXPECT_THAT(Metrics(Whole("small")), IsEmpty());
  EXPECT_EQ(AppendOne(Row(lease_, 1, 10)).error, "");
  EXPECT_THAT(AppendOne(Row(lease_, 2, 10)).error, HasSubstr("outside"));  // each step once
}

TEST_F(ReportsTest, OneStaleLeaseDoesNotSpoilTheOthersOfAStream) {
  const LeaseRef stale{1, lease_.attempt + 5};
  const auto acks = Append(worker_, {Row(stale, 1, 10), Row(lease_, 1, 10)});
  ASSERT_THAT(*acks, SizeIs(2));
  EXPECT_TRUE((*acks)[0].stale);
  EXPECT_FALSE((*acks)[1].stale);
  EXPECT_EQ((*acks)[1].sequence, 1u);
}

TEST_F(ReportsTest, TheLastStepIsAReportStepToo) {
  GroupSpec odd = Group("tense", 2);
  odd.steps = 25;
  ASSERT_TRUE(Submit(Spec("odd", {odd}, 1)).ok());
  const LeaseRef lease = TakeOne(worker_);
  const auto acks = Append(worker_, {Row(lease, 1, 10), Row(lease, 2, 20), Row(lease, 3, 25)});
  EXPECT_EQ((*acks)[0].sequence, 3u) << (*acks)[0].error;
}

TEST_F(ReportsTest, ProvenanceBelongsToItsAttempt) {
  EXPECT_EQ(AppendOne({lease_, 1, {}, {}, "{\"threads\":1}"}).sequence, 1u);
  EXPECT_EQ(Details(1).attempts[0].provenance, "{\"threads\":1}");
}

TEST_F(ReportsTest, LogTextComesBackInOrderAndInPages) {
  Append(worker_, {Log(1, "one\n"), Log(2, ""), Log(3, "two\n")}).IgnoreError();
  const auto page = GetLog(0, 0);
  ASSERT_TRUE(page.ok());
  EXPECT_EQ(page->text, "one\ntwo\n");
  EXPECT_EQ(page->attempt, lease_.attempt);
  EXPECT_FALSE(page->job_ended);
  AppendOne(Log(4, "three\n"));
  EXPECT_EQ(GetLog(page->attempt, page->next)->text, "three\n");
  EXPECT_TRUE(absl::IsNotFound(GetLog(42, 0).status()));
}

TEST_F(ReportsTest, OfALongLogTheNewestMebibyteIsKept) {
  const std::string block(64 << 10, 'x');
  for (uint64_t i = 1; i <= 20; ++i) ASSERT_EQ(AppendOne(Log(i, block)).sequence, i);
  AppendOne(Log(21, "the end"));
  uint64_t bytes = 0;
  std::string last;
  for (uint64_t after = 0;;) {
    const auto page = GetLog(0, after);
    ASSERT_TRUE(page.ok());
    if (page->text.empty()) break;
    bytes += page->text.size();
    last = page->text;
    after = page->next;
  }
  EXPECT_LE(bytes, 1u << 20);
  EXPECT_GE(bytes, (1u << 20) - 2 * block.size());
  EXPECT_TRUE(last.size() >= 7 && last.substr(last.size() - 7) == "the end");
}

TEST_F(ReportsTest, CompletionNeedsEveryRecordRowAndTheLastCheckpoint) {
  EXPECT_TRUE(absl::IsFailedPrecondition(Complete(End(worker_, lease_, 100, 0))));  // no row stored
  const uint64_t last = Report(worker_, lease_, 0, 100);
  EXPECT_TRUE(
      absl::IsFailedPrecondition(Complete(End(worker_, lease_, 100, last))));  // no checkpoint
  ASSERT_EQ(Commit(CommitOf(worker_, lease_, 100)), absl::OkStatus());
  EXPECT_EQ(Complete(End(worker_, lease_, 100, last)), absl::OkStatus());
  EXPECT_EQ(Complete(End(worker_, lease_, 100, last)), absl::OkStatus());  // sent again
  const JobDetails details = Details(1);
  EXPECT_EQ(details.job.state, JobState::kSucceeded);
  EXPECT_EQ(details.job.step, 100u);
  EXPECT_EQ(details.attempts[0].outcome, AttemptOutcome::kSucceeded);
  EXPECT_GT(details.job.finished_ms, 0);
  EXPECT_TRUE(absl::IsAborted(Complete(End(worker_, {1, lease_.attempt + 1}, 100, last))));
}

// The worker completes after everything is acknowledged. Found like the test above: the job was
// charged.
TEST_F(ReportsTest, ACompletionTellsWhatWasLostFromWhatNeverCame) {
  const uint64_t last = Report(worker_, lease_, 0, 100);
  Restart();
  AttemptEnd end = End(worker_, lease_, 100, last + 1);
  const absl::Status no_record = Complete(end);
  EXPECT_TRUE(absl::IsDataLoss(no_record)) << no_record;
  EXPECT_THAT(std::string(no_record.message()), StartsWith(kReportsMissing));
  end.last_sequence = last;
  EXPECT_TRUE(absl::IsFailedPrecondition(Complete(end)));
  end.checkpoint_step = 50;
  EXPECT_TRUE(absl::IsFailedPrecondition(Complete(end)));
  end.checkpoint_step = 100;
  const absl::Status no_checkpoint = Complete(end);
  EXPECT_TRUE(absl::IsDataLoss(no_checkpoint)) << no_checkpoint;
  EXPECT_THAT(std::string(no_checkpoint.message()), StartsWith(kReportsMissing));
  EXPECT_EQ(GetJob(1).state, JobState::kRunning);
}

// The attempt may have nothing left to do but to report its success.
TEST_F(ReportsTest, SuccessForgivesWhatWasChargedBefore) {
  Report(worker_, lease_, 0, 100);
  ASSERT_EQ(Commit(CommitOf(worker_, lease_, 100)), absl::OkStatus());
  ASSERT_EQ(Fail(End(worker_, lease_, 100), "crashed"), absl::OkStatus());
  EXPECT_EQ(GetJob(1).failures, 1u);
  clock_.Advance(FailureBackoff(1));
  EXPECT_EQ(Complete(End(worker_, TakeOne(worker_), 100)), absl::OkStatus());
  EXPECT_EQ(GetJob(1).state, JobState::kSucceeded);
  EXPECT_EQ(GetJob(1).failures, 0u);
}

TEST_F(ReportsTest, ASkippedRowIsFoundAtTheCheckpoint) {
  Append(worker_, {Row(lease_, 1, 10), Row(lease_, 2, 30)}).IgnoreError();
  EXPECT_TRUE(absl::IsFailedPrecondition(Commit(CommitOf(worker_, lease_, 40))));
  EXPECT_EQ(Commit(CommitOf(worker_, lease_, 15)),
            absl::OkStatus());  // no row up to there is missing
}

TEST_F(ReportsTest, FailuresAreChargedUntilTheJobIsGivenUp) {
  for (uint32_t failure = 1; failure <= 3; ++failure) {
    ASSERT_EQ(Fail(End(worker_, lease_, failure), "crashed"), absl::OkStatus());
    ASSERT_EQ(Fail(End(worker_, lease_, failure), "crashed"), absl::OkStatus());  // sent again
    EXPECT_EQ(GetJob(1).failures, failure);
    if (failure == 3) break;
    EXPECT_EQ(GetJob(1).state, JobState::kPending);
    Advance(absl::Seconds(60));
    Beat(worker_, {}).IgnoreError();
    lease_ = TakeOne(worker_);
  }
  const JobDetails details = Details(1);
  EXPECT_EQ(details.job.state, JobState::kFailed);
  EXPECT_THAT(details.job.reason, HasSubstr("3 times without progress"));
  EXPECT_THAT(details.job.reason, HasSubstr("crashed: it broke"));
  EXPECT_THAT(details.attempts[2].message, HasSubstr("last words"));
  EXPECT_GT(Summary("small").finished_ms, 0);
}

TEST_F(ReportsTest, BackoffsGrow) {
  const absl::Duration waits[] = {absl::Seconds(2), absl::Seconds(10)};
  for (const absl::Duration wait : waits) {
    ASSERT_EQ(Fail(End(worker_, lease_, 1), "crashed"), absl::OkStatus());
    Advance(wait - absl::Milliseconds(100));
    EXPECT_THAT(Acquire(worker_, 1, RandomId())->leases, IsEmpty());
    Advance(absl::Milliseconds(200));
    lease_ = TakeOne(worker_);
  }
}

TEST_F(ReportsTest, ProgressForgivesFailures) {
  for (uint32_t round = 1; round <= 5; ++round) {
    Report(worker_, lease_, 0, round * 10);  // one report step further than the last attempt
    ASSERT_EQ(Fail(End(worker_, lease_, round * 10 + round), "crashed"), absl::OkStatus());
    EXPECT_EQ(GetJob(1).failures, 1u);
    Advance(absl::Seconds(3));
    lease_ = TakeOne(worker_);
  }
}

TEST_F(ReportsTest, ReportingTheSameStepsAgainIsNoProgress) {
  for (uint32_t round = 1; round <= 3; ++round) {
    Report(worker_, lease_, 0, 30);
    ASSERT_EQ(Fail(End(worker_, lease_, 30 + round), "crashed"), absl::OkStatus());
    EXPECT_EQ(GetJob(1).failures, round);
    if (round == 3) break;
    Advance(absl::Seconds(11));
    lease_ = TakeOne(worker_);
  }
  EXPECT_EQ(GetJob(1).state, JobState::kFailed);
}

TEST_F(ReportsTest, ALossThatIsNotFiniteEndsTheJobAtOnce) {
  ASSERT_EQ(Fail(End(worker_, lease_, 7), "nan"), absl::OkStatus());
  const Job job = GetJob(1);
  EXPECT_EQ(job.state, JobState::kFailed);
  EXPECT_EQ(job.failures, 1u);
  EXPECT_THAT(job.reason, HasSubstr("nan"));
}

TEST_F(ReportsTest, ARunThatItsTrainerRefusesEndsTheJobAtOnceWithTheTrainersSentence) {
  ASSERT_EQ(Fail(End(worker_, lease_, 0), "refused"), absl::OkStatus());
  const Job job = GetJob(1);
  EXPECT_EQ(job.state, JobState::kFailed);
  EXPECT_EQ(job.attempts, 1u);
  EXPECT_EQ(job.reason, "its trainer refuses the run, and would again; refused: it broke");
}

TEST_F(ReportsTest, DyingAtOneStepOnTwoWorkersQuarantinesTheJob) {
  ASSERT_EQ(Fail(End(worker_, lease_, 42), "crashed"), absl::OkStatus());
  Advance(absl::Seconds(3));
  const std::string other = Register("other");
  const LeaseRef second = TakeOne(other);
  ASSERT_EQ(Fail(End(other, second, 42), "crashed"), absl::OkStatus());
  const Job job = GetJob(1);
  EXPECT_EQ(job.state, JobState::kFailed);
  EXPECT_THAT(job.reason, HasSubstr("quarantined"));
  EXPECT_THAT(job.reason, HasSubstr("42"));
  // A retry clears the earlier failures.
  Ask<uint64_t>([&](auto done) { c_->RetryJobs({}, Whole("small"), done); }).IgnoreError();
  const LeaseRef third = TakeOne(worker_);
  ASSERT_EQ(Fail(End(worker_, third, 42), "crashed"), absl::OkStatus());
  EXPECT_EQ(GetJob(1).state, JobState::kPending);
}

TEST_F(ReportsTest, DyingAtOneStepOnTheSameWorkerOrAtAnotherStepIsNoQuarantine) {
  ASSERT_EQ(Fail(End(worker_, lease_, 42), "crashed"), absl::OkStatus());
  Advance(absl::Seconds(3));
  const LeaseRef again = TakeOne(worker_);
  ASSERT_EQ(Fail(End(worker_, again, 42), "crashed"), absl::OkStatus());
  EXPECT_EQ(GetJob(1).state, JobState::kPending);
}

TEST_F(ReportsTest, AFullDiskIsItsWorkersFault) {
  ASSERT_EQ(Fail(End(worker_, lease_, 42), "disk"), absl::OkStatus());
  Advance(absl::Seconds(3));
  const std::string other = Register("other");
  ASSERT_EQ(Fail(End(other, TakeOne(other), 42), "disk"), absl::OkStatus());
  EXPECT_EQ(GetJob(1).state, JobState::kPending);
}

TEST_F(ReportsTest, AReleaseSentAgainIsFine) {
  ASSERT_EQ(Release(End(worker_, lease_, 0)), absl::OkStatus());
  EXPECT_EQ(Release(End(worker_, lease_, 0)), absl::OkStatus());
  EXPECT_TRUE(absl::IsAborted(Fail(End(worker_, lease_, 0), "crashed")));
  EXPECT_EQ(GetJob(1).attempts, 1u);
}

TEST_F(ReportsTest, AFailureMustNameItsKindAndAPossibleStep) {
  EXPECT_TRUE(absl::IsInvalidArgument(Fail(End(worker_, lease_, 5), "")));
  EXPECT_TRUE(absl::IsInvalidArgument(Fail(End(worker_, lease_, 101), "crashed")));
  EXPECT_EQ(GetJob(1).state, JobState::kRunning);
}

TEST_F(ReportsTest, ALogTailIsCutBetweenCharacters) {
  AttemptEnd end = End(worker_, lease_, 5);
  end.kind = "crashed";
  for (int i = 0; i < 10'000; ++i) end.log_tail += "\xc3\xa9";  // é
  end.log_tail += "!";                                          // moves the cut into a character
  ASSERT_EQ(Do([&](auto done) { c_->FailJob(end, done); }), absl::OkStatus());
  const std::string message = Details(1).attempts[0].message;
  const size_t tail = message.find('\n');
  ASSERT_NE(tail, std::string::npos);
  EXPECT_LE(message.size() - tail - 1, 16u << 10);
  EXPECT_EQ(message[tail + 1], '\xc3');
}

}  // namespace
}  // namespace coppice::core
