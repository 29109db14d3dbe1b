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
  AttemptAnswer AppendOne(Record record) { return Harness::AppendOne(worker_, std::move(record)); }
  Record Log(uint64_t number, std::string text) {
    return {lease_, number, LogText{std::move(text)}};
  }
  absl::StatusOr<LogPage> GetLog(AttemptNumber attempt, uint64_t after) {
    return Ask<LogPage>([&](auto done) { c_->GetLog({}, 1, attempt, after, done); });
  }
  std::string worker_;
  LeaseRef lease_;
};

TEST_F(ReportsTest, RowsAreStoredAndAcknowledged) {
  const auto answers = Append(worker_, {Row(lease_, 1, 10, 0.25), Row(lease_, 2, 20, 0.125)});
  ASSERT_TRUE(answers.ok());
  ASSERT_THAT(*answers, SizeIs(1));
  EXPECT_EQ((*answers)[0].number, 2u);
  EXPECT_EQ((*answers)[0].refusal, absl::OkStatus());
  EXPECT_THAT(Steps(1), ElementsAre(10, 20));
  const Job job = GetJob(1);
  EXPECT_EQ(job.step, 20u);
  ASSERT_THAT(job.latest, SizeIs(1));
  EXPECT_EQ(job.latest[0].name, "train_loss");
  EXPECT_EQ(job.latest[0].value, 0.125);
}

TEST_F(ReportsTest, RecordsSentAgainAreAcknowledgedAndStoredOnce) {
  AppendOne(Row(lease_, 1, 10, 1));
  const auto answers = Append(worker_, {Row(lease_, 1, 10, 99), Row(lease_, 2, 20)});
  EXPECT_EQ((*answers)[0].number, 2u);
  EXPECT_EQ((*answers)[0].refusal, absl::OkStatus());
  EXPECT_EQ(Metrics(Whole("small"))[0].row.values[0].value, 1);
}

// Found by removing acknowledged commits from the database: the job was charged for them.
TEST_F(ReportsTest, AGapAfterARestartEndsTheAttemptAsLostAndChargesNobody) {
  Restart();
  const auto answers =
      Append(worker_, {Row(lease_, 1, 10), Row(lease_, 3, 30), Row(lease_, 4, 40)});
  EXPECT_EQ((*answers)[0].number, 1u);
  EXPECT_EQ((*answers)[0].refusal, absl::OkStatus());
  EXPECT_TRUE((*answers)[0].over);
  EXPECT_THAT(Steps(1), ElementsAre(10));
  const Job job = GetJob(1);
  EXPECT_EQ(job.state, JobState::kPending);
  EXPECT_EQ(job.failures, 0u);
  EXPECT_THAT(job.reason, AllOf(StartsWith(kReportsMissing), HasSubstr("record 3 came before 2")));
  EXPECT_TRUE(AppendOne(Row(lease_, 2, 20)).over);
}

// This process has every record that it acknowledged, so the worker is wrong and the disk is not
// blamed.
TEST_F(ReportsTest, AGapThatNoRestartExplainsIsTheWorkersFault) {
  const auto answers = Append(worker_, {Row(lease_, 1, 10), Row(lease_, 3, 30)});
  EXPECT_EQ((*answers)[0].number, 1u);
  EXPECT_FALSE((*answers)[0].over);
  EXPECT_THAT(std::string((*answers)[0].refusal.message()),
              HasSubstr("record 3 came where 2 was due"));
  EXPECT_NE(AppendOne(Row(lease_, 1'000'000'000, 30)).refusal, absl::OkStatus());
  EXPECT_EQ(GetJob(1).state, JobState::kRunning) << "its worker is the one to end it";
  EXPECT_EQ(AppendOne(Row(lease_, 2, 20)).refusal, absl::OkStatus());

  const absl::Status end = Complete({worker_, lease_, 100, 1'000'000'000});
  EXPECT_TRUE(absl::IsInvalidArgument(end)) << end;
  const CheckpointRecord checkpoint = RecordOf(CommitOf(worker_, lease_, 20));
  const absl::Status ahead = Take(worker_, {lease_, 1'000'000'000, checkpoint});
  EXPECT_TRUE(absl::IsInvalidArgument(ahead)) << ahead;
  EXPECT_EQ(Take(worker_, {lease_, 3, checkpoint}), absl::OkStatus());
}

// Found by sending 300,000 names in 7 s: no answer about the sweep fitted into a message any more.
class MetricNamesTest : public ReportsTest {
 protected:
  // Sends `count` names from `first` on, in rows of `width`.
  AttemptAnswer Names(const std::string& worker, const LeaseRef& lease, size_t first, size_t count,
                      uint64_t number = 1, size_t width = 1000) {
    std::vector<Record> records;
    for (size_t done = 0; done < count; ++number) {
      MetricRow row{static_cast<uint32_t>(number * 10), {}};
      for (size_t i = 0; i < width && done < count; ++i, ++done) {
        row.values.push_back({absl::StrCat("name/", first + done), 1});
      }
      records.push_back({lease, number, std::move(row)});
    }
    const auto answers = Append(worker, std::move(records));
    EXPECT_TRUE(answers.ok()) << answers.status();
    return answers.ok() ? answers->front() : AttemptAnswer();
  }
};

TEST_F(MetricNamesTest, AJobGetsNoFurtherThanItsLimitAndItsAnswersHoldThemAll) {
  EXPECT_EQ(Names(worker_, lease_, 0, kMaxMetricNamesPerJob).refusal, absl::OkStatus());
  EXPECT_EQ(GetJob(1).latest.size(), kMaxMetricNamesPerJob);
  EXPECT_THAT(std::string(Names(worker_, lease_, 100'000, 1, 3).refusal.message()),
              AllOf(HasSubstr("the job would have more than 2000"), HasSubstr("name/100000")));
  Restart();
  EXPECT_NE(Names(worker_, lease_, 100'000, 1, 3).refusal, absl::OkStatus())
      << "memory is not where it is kept";
  EXPECT_EQ(Names(worker_, lease_, 5, 1000, 3).refusal, absl::OkStatus()) << "known names go on";
  EXPECT_EQ(GetJob(1).latest.size(), kMaxMetricNamesPerJob);
}

TEST_F(MetricNamesTest, TheJobsOfASweepTogetherGetNoFurtherThanTheSweepsLimit) {
  constexpr size_t kJobs = kMaxMetricNamesPerSweep / kMaxMetricNamesPerJob;
  ASSERT_TRUE(Submit(Spec("wide", {Group("dyck", 2)}, kJobs + 1)).ok());
  for (size_t i = 0; i < kJobs; ++i) {
    const std::string worker = Register(absl::StrCat("v", i));
    EXPECT_EQ(
        Names(worker, TakeOne(worker), i * kMaxMetricNamesPerJob, kMaxMetricNamesPerJob).refusal,
        absl::OkStatus());
  }
  const std::string worker = Register("late");
  const LeaseRef lease = TakeOne(worker);
  EXPECT_THAT(std::string(Names(worker, lease, 100'000, 1).refusal.message()),
              HasSubstr("the sweep would have more"));
  EXPECT_EQ(Names(worker, lease, 0, 1000).refusal, absl::OkStatus()) << "names of others are free";
  EXPECT_EQ(AppendOne(Row(lease_, 1, 10)).refusal, absl::OkStatus())
      << "another sweep does not notice";
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
  EXPECT_EQ(AppendOne(Row(lease_, 1, 10)).refusal, absl::OkStatus());
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
    return Record{lease_, 1, MetricRow{step, std::move(values)}};
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
      {"malformed", Record{lease_, 1, Malformed{"it holds nothing"}}},
      {"long log", Record{lease_, 1, LogText{std::string((64 << 10) + 1, 'x')}}},
      {"long provenance", Record{lease_, 1, TrainerStart{std::string((64 << 10) + 1, 'x'), 0}}},
  };
  for (const auto& [what, record] : broken) {
    const AttemptAnswer ack = AppendOne(record);
    EXPECT_NE(ack.refusal, absl::OkStatus()) << what;
    EXPECT_EQ(ack.number, 0u) << what;
    EXPECT_FALSE(ack.over) << what;
  }
  EXPECT_THAT(Metrics(Whole("small")), IsEmpty());
  EXPECT_EQ(AppendOne(Row(lease_, 1, 10)).refusal, absl::OkStatus());
  EXPECT_THAT(std::string(AppendOne(Row(lease_, 2, 10)).refusal.message()),
              HasSubstr("outside"));  // each step once
}

TEST_F(ReportsTest, OneStaleLeaseDoesNotSpoilTheOthersOfAStream) {
  const LeaseRef stale{1, lease_.attempt + 5};
  const auto answers = Append(worker_, {Row(stale, 1, 10), Row(lease_, 1, 10)});
  ASSERT_THAT(*answers, SizeIs(2));
  EXPECT_TRUE((*answers)[0].over);
  EXPECT_FALSE((*answers)[1].over);
  EXPECT_EQ((*answers)[1].number, 1u);
}

TEST_F(ReportsTest, TheLastStepIsAReportStepToo) {
  GroupSpec odd = Group("tense", 2);
  odd.steps = 25;
  ASSERT_TRUE(Submit(Spec("odd", {odd}, 1)).ok());
  const LeaseRef lease = TakeOne(worker_);
  const auto answers = Append(worker_, {Row(lease, 1, 10), Row(lease, 2, 20), Row(lease, 3, 25)});
  EXPECT_EQ((*answers)[0].number, 3u) << (*answers)[0].refusal;
}

TEST_F(ReportsTest, ProvenanceBelongsToItsAttempt) {
  EXPECT_EQ(AppendOne({lease_, 1, TrainerStart{"{\"threads\":1}", 0}}).number, 1u);
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
  for (uint64_t i = 1; i <= 20; ++i) ASSERT_EQ(AppendOne(Log(i, block)).number, i);
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
  EXPECT_TRUE(absl::IsFailedPrecondition(Complete(EndOf(worker_, lease_, 100))));  // no row stored
  Report(worker_, lease_, 0, 100);
  EXPECT_TRUE(absl::IsFailedPrecondition(Complete(EndOf(worker_, lease_, 100))));  // no checkpoint
  ASSERT_EQ(Commit(CommitOf(worker_, lease_, 100)), absl::OkStatus());
  const End end = EndOf(worker_, lease_, 100);
  EXPECT_EQ(Complete(end), absl::OkStatus());
  EXPECT_EQ(Complete(end), absl::OkStatus());  // sent again
  const JobDetails details = Details(1);
  EXPECT_EQ(details.job.state, JobState::kSucceeded);
  EXPECT_EQ(details.job.step, 100u);
  EXPECT_EQ(details.attempts[0].outcome, AttemptOutcome::kSucceeded);
  EXPECT_GT(details.job.finished_ms, 0);
  EXPECT_TRUE(absl::IsAborted(Complete(EndOf(worker_, {1, lease_.attempt + 1}, 100))));
}

// The store may have lost what was acknowledged; the job was once charged for that.
TEST_F(ReportsTest, ACompletionTellsWhatWasLostFromWhatNeverCame) {
  const uint64_t last = Report(worker_, lease_, 0, 100);
  Restart();
  EXPECT_TRUE(absl::IsFailedPrecondition(Complete({worker_, lease_, 100, last + 1})));
  EXPECT_EQ(GetJob(1).state, JobState::kRunning);
  // The worker has sent a checkpoint before its completion.
  EXPECT_TRUE(absl::IsAborted(Complete({worker_, lease_, 100, last + 2})));
  EXPECT_EQ(GetJob(1).state, JobState::kPending);
  EXPECT_EQ(GetJob(1).failures, 0u);
  EXPECT_THAT(GetJob(1).reason, StartsWith(kReportsMissing));
}

// The attempt may have nothing left to do but to report its success.
TEST_F(ReportsTest, SuccessForgivesWhatWasChargedBefore) {
  Report(worker_, lease_, 0, 100);
  ASSERT_EQ(Commit(CommitOf(worker_, lease_, 100)), absl::OkStatus());
  ASSERT_EQ(Fail(EndOf(worker_, lease_, 100), FailureKind::kCrashed), absl::OkStatus());
  EXPECT_EQ(GetJob(1).failures, 1u);
  clock_.Advance(FailureBackoff(1));
  EXPECT_EQ(Complete(EndOf(worker_, TakeOne(worker_), 100)), absl::OkStatus());
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
    const End end = EndOf(worker_, lease_, failure);
    ASSERT_EQ(Fail(end, FailureKind::kCrashed), absl::OkStatus());
    ASSERT_EQ(Fail(end, FailureKind::kCrashed), absl::OkStatus());  // sent again
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
    ASSERT_EQ(Fail(EndOf(worker_, lease_, 1), FailureKind::kCrashed), absl::OkStatus());
    Advance(wait - absl::Milliseconds(100));
    EXPECT_THAT(Acquire(worker_, 1, RandomId())->leases, IsEmpty());
    Advance(absl::Milliseconds(200));
    lease_ = TakeOne(worker_);
  }
}

TEST_F(ReportsTest, ProgressForgivesFailures) {
  for (uint32_t round = 1; round <= 5; ++round) {
    Report(worker_, lease_, 0, round * 10);  // one report step further than the last attempt
    ASSERT_EQ(Fail(EndOf(worker_, lease_, round * 10 + round), FailureKind::kCrashed),
              absl::OkStatus());
    EXPECT_EQ(GetJob(1).failures, 1u);
    Advance(absl::Seconds(3));
    lease_ = TakeOne(worker_);
  }
}

TEST_F(ReportsTest, ReportingTheSameStepsAgainIsNoProgress) {
  for (uint32_t round = 1; round <= 3; ++round) {
    Report(worker_, lease_, 0, 30);
    ASSERT_EQ(Fail(EndOf(worker_, lease_, 30 + round), FailureKind::kCrashed), absl::OkStatus());
    EXPECT_EQ(GetJob(1).failures, round);
    if (round == 3) break;
    Advance(absl::Seconds(11));
    lease_ = TakeOne(worker_);
  }
  EXPECT_EQ(GetJob(1).state, JobState::kFailed);
}

TEST_F(ReportsTest, ALossThatIsNotFiniteEndsTheJobAtOnce) {
  ASSERT_EQ(Fail(EndOf(worker_, lease_, 7), FailureKind::kNan), absl::OkStatus());
  const Job job = GetJob(1);
  EXPECT_EQ(job.state, JobState::kFailed);
  EXPECT_EQ(job.failures, 1u);
  EXPECT_THAT(job.reason, HasSubstr("nan"));
}

TEST_F(ReportsTest, ARunThatItsTrainerRefusesEndsTheJobAtOnceWithTheTrainersSentence) {
  ASSERT_EQ(Fail(EndOf(worker_, lease_, 0), FailureKind::kRefused), absl::OkStatus());
  const Job job = GetJob(1);
  EXPECT_EQ(job.state, JobState::kFailed);
  EXPECT_EQ(job.attempts, 1u);
  EXPECT_EQ(job.reason, "its trainer refuses the run, and would again; refused: it broke");
}

TEST_F(ReportsTest, DyingAtOneStepOnTwoWorkersQuarantinesTheJob) {
  ASSERT_EQ(Fail(EndOf(worker_, lease_, 42), FailureKind::kCrashed), absl::OkStatus());
  Advance(absl::Seconds(3));
  const std::string other = Register("other");
  const LeaseRef second = TakeOne(other);
  ASSERT_EQ(Fail(EndOf(other, second, 42), FailureKind::kCrashed), absl::OkStatus());
  const Job job = GetJob(1);
  EXPECT_EQ(job.state, JobState::kFailed);
  EXPECT_THAT(job.reason, HasSubstr("quarantined"));
  EXPECT_THAT(job.reason, HasSubstr("42"));
  // A retry clears the earlier failures.
  Ask<uint64_t>([&](auto done) { c_->RetryJobs({}, Whole("small"), done); }).IgnoreError();
  const LeaseRef third = TakeOne(worker_);
  ASSERT_EQ(Fail(EndOf(worker_, third, 42), FailureKind::kCrashed), absl::OkStatus());
  EXPECT_EQ(GetJob(1).state, JobState::kPending);
}

TEST_F(ReportsTest, DyingAtOneStepOnTheSameWorkerOrAtAnotherStepIsNoQuarantine) {
  ASSERT_EQ(Fail(EndOf(worker_, lease_, 42), FailureKind::kCrashed), absl::OkStatus());
  Advance(absl::Seconds(3));
  const LeaseRef again = TakeOne(worker_);
  ASSERT_EQ(Fail(EndOf(worker_, again, 42), FailureKind::kCrashed), absl::OkStatus());
  EXPECT_EQ(GetJob(1).state, JobState::kPending);
}

TEST_F(ReportsTest, AFullDiskIsItsWorkersFault) {
  ASSERT_EQ(Fail(EndOf(worker_, lease_, 42), FailureKind::kDisk), absl::OkStatus());
  Advance(absl::Seconds(3));
  const std::string other = Register("other");
  ASSERT_EQ(Fail(EndOf(other, TakeOne(other), 42), FailureKind::kDisk), absl::OkStatus());
  EXPECT_EQ(GetJob(1).state, JobState::kPending);
}

TEST_F(ReportsTest, AReleaseSentAgainIsFine) {
  const End end = EndOf(worker_, lease_, 0);
  ASSERT_EQ(Release(end), absl::OkStatus());
  EXPECT_EQ(Release(end), absl::OkStatus());
  EXPECT_TRUE(absl::IsAborted(Fail(EndOf(worker_, lease_, 0), FailureKind::kCrashed)));
  EXPECT_EQ(GetJob(1).attempts, 1u);
}

TEST_F(ReportsTest, AFailureMustNameAPossibleStep) {
  EXPECT_TRUE(absl::IsInvalidArgument(Fail(EndOf(worker_, lease_, 101), FailureKind::kCrashed)));
  EXPECT_EQ(GetJob(1).state, JobState::kRunning);
}

TEST_F(ReportsTest, ALogTailIsCutBetweenCharacters) {
  Failure end{5, FailureKind::kCrashed, "", ""};
  for (int i = 0; i < 10'000; ++i) end.log_tail += "\xc3\xa9";  // é
  end.log_tail += "!";                                          // moves the cut into a character
  ASSERT_EQ(Take(worker_, {lease_, 1, end}), absl::OkStatus());
  const std::string message = Details(1).attempts[0].message;
  const size_t tail = message.find('\n');
  ASSERT_NE(tail, std::string::npos);
  EXPECT_LE(message.size() - tail - 1, 16u << 10);
  EXPECT_EQ(message[tail + 1], '\xc3');
}

}  // namespace
}  // namespace coppice::core
