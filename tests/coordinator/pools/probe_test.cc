// A probe's job: its ways through Slurm, and what the report says about each.
#include "coordinator/pools/probe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "common/base/probe_file.h"
#include "coordinator/pools/script.h"
#include "tests/coordinator/pools/specs.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/temp_dir.h"

namespace coppice::pools {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// One job, which is as the test says.
class OneJob : public BatchSystem {
 public:
  SubmitResult result;
  absl::Status queue_status;
  std::optional<Job> job;
  std::string script;
  std::vector<std::string> cancelled;

  void Submit(Submission submission, std::function<void(SubmitResult)> done) override {
    script = submission.script;
    if (job.has_value()) job->key = submission.key;
    done(result);
  }
  void Queue(std::vector<std::string>,
             std::function<void(absl::StatusOr<std::vector<Job>>)> done) override {
    if (!queue_status.ok()) return done(queue_status);
    done(job.has_value() ? std::vector<Job>{*job} : std::vector<Job>());
  }
  void Show(std::string, std::string,
            std::function<void(absl::StatusOr<std::optional<Job>>)> done) override {
    done(std::optional<Job>());
  }
  void CancelQueued(std::vector<std::string> ids, std::string,
                    std::function<void(absl::Status)> done) override {
    cancelled = std::move(ids);
    done(absl::OkStatus());
  }
  void GetCapabilities(std::string, std::string,
                       std::function<void(absl::StatusOr<Capabilities>)> done) override {
    done(Capabilities());
  }
  void TestSubmit(Submission, std::function<void(SubmitResult)> done) override { done({}); }
};

class ProbeTest : public ::testing::Test {
 protected:
  ProbeTest() {
    spec_.log_dir = logs_.path();
    batch_.result.kind = SubmitResult::Kind::kAccepted;
    batch_.result.job_id = "7";
    batch_.job.emplace();
    batch_.job->job_id = "7";
    SetJob(JobPhase::kPending, "PENDING", "Priority");
  }

  void SetJob(JobPhase phase, const std::string& state, const std::string& reason = "") {
    batch_.job->phase = phase;
    batch_.job->state = state;
    batch_.job->reason = reason;
    batch_.job->node = phase == JobPhase::kPending ? "" : "n3";
  }
  void Start() {
    ProbeContext context;
    context.clock = &clock_;
    context.batch = &batch_;
    context.store_id = "0123456789abcdef";
    context.checkpoint_root = root_.path();
    context.post = [](const std::function<void()>& work) { work(); };
    context.disk = [](const std::function<void()>& work) { work(); };
    key_ = ProbeKey(context.store_id, "low");
    probe_ = std::make_shared<Probe>(
        context, spec_, key_, absl::Minutes(1),
        [this](std::vector<Finding> findings) { findings_ = std::move(findings); });
    probe_->Start();
  }
  void Seconds(int seconds) {
    for (int i = 0; i < seconds; ++i) clock_.Advance(absl::Seconds(1));
  }
  // The findings of one topic, each as "ok: text".
  std::string Of(const std::string& topic) const {
    std::string text;
    for (const Finding& finding : findings_.value_or(std::vector<Finding>())) {
      if (finding.topic != topic) continue;
      absl::StrAppend(&text,
                      finding.level == Finding::Level::kOk        ? "ok: "
                      : finding.level == Finding::Level::kWarning ? "warning: "
                                                                  : "failed: ",
                      finding.text, "\n");
    }
    return text;
  }
  NodeReport Report(bool last) {
    NodeReport report;
    report.key = key_;
    report.node = "n3";
    report.last = last;
    return report;
  }

  testing::TempDir root_, logs_;
  testing::FakeClock clock_;
  OneJob batch_;
  PoolSpec spec_ = GoodSpec();
  std::string key_;
  std::shared_ptr<Probe> probe_;
  std::optional<std::vector<Finding>> findings_;
};

TEST_F(ProbeTest, TheScriptRunsTheNodesHalfAndIsNeverRequeued) {
  spec_.worker_flags = {"--checkpoint-dir=/shared/ck"};
  Start();
  EXPECT_THAT(batch_.script,
              AllOf(HasSubstr("#SBATCH --time=00:02:00\n"), HasSubstr("#SBATCH --no-requeue\n"),
                    HasSubstr("#SBATCH --gres=gpu:1\n"),
                    HasSubstr(absl::StrCat("check-node --probe '", key_, "' --gpus 1 ")),
                    HasSubstr("'--checkpoint-dir=/shared/ck'")));
}

TEST_F(ProbeTest, TheNodesFindingsAreReportedAndBothFilesAreChecked) {
  Start();
  EXPECT_TRUE(CheckProbeFile(root_.path(), key_, ProbeSide::kCoordinator).ok());
  SetJob(JobPhase::kRunning, "RUNNING");
  Seconds(2);
  std::optional<NodeReportAnswer> answer;
  const auto take = [&answer](NodeReportAnswer got) { answer = std::move(got); };
  probe_->TakeReport(Report(false), take);
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->store_id, "0123456789abcdef");
  EXPECT_FALSE(findings_.has_value());
  ASSERT_TRUE(WriteProbeFile(root_.path(), key_, ProbeSide::kNode).ok());
  NodeReport last = Report(true);
  last.findings.push_back({Finding::Level::kWarning, "clock", "12 s behind"});
  last.wrote_file = true;
  probe_->TakeReport(last, take);
  ASSERT_TRUE(findings_.has_value());
  EXPECT_THAT(Of("start"), HasSubstr("ok: job 7 started on n3 after 2s"));
  EXPECT_THAT(Of("coordinator"), HasSubstr("ok: n3 reaches the coordinator"));
  EXPECT_EQ(Of("clock"), "warning: 12 s behind\n");
  EXPECT_THAT(Of("checkpoints"), HasSubstr("ok: the coordinator and the node see"));
  EXPECT_FALSE(FileExists(ProbeFilePath(root_.path(), key_, ProbeSide::kCoordinator)));
  EXPECT_THAT(batch_.cancelled, IsEmpty());
}

TEST_F(ProbeTest, AFileThatTheCoordinatorDoesNotSeeFailsAfterAFewTries) {
  Start();
  NodeReport last = Report(true);
  last.wrote_file = true;
  probe_->TakeReport(last, [](const NodeReportAnswer&) {});
  EXPECT_FALSE(findings_.has_value()) << "the folder may be slow";
  Seconds(5);
  ASSERT_TRUE(findings_.has_value());
  EXPECT_THAT(Of("checkpoints"),
              AllOf(HasSubstr("failed: "), HasSubstr("leave --checkpoint-dir out")));
}

TEST_F(ProbeTest, AJobThatDoesNotStartInTimeIsCancelledWithSlurmsReason) {
  Start();
  Seconds(59);
  EXPECT_FALSE(findings_.has_value());
  Seconds(3);
  ASSERT_TRUE(findings_.has_value());
  EXPECT_THAT(batch_.cancelled, SizeIs(1));
  EXPECT_THAT(Of("start"), AllOf(HasSubstr("warning: "), HasSubstr("(Priority) and is cancelled"),
                                 HasSubstr("--probe-wait")));
}

TEST_F(ProbeTest, AReasonThatNeverEndsFailsWithItsRemedy) {
  SetJob(JobPhase::kPending, "PENDING", "PartitionTimeLimit");
  Start();
  Seconds(62);
  EXPECT_THAT(Of("start"), AllOf(HasSubstr("failed: "), HasSubstr("PartitionTimeLimit"),
                                 HasSubstr("Lower --walltime")));
}

TEST_F(ProbeTest, AJobThatEndsWithoutAReportIsQuoted) {
  Start();
  std::ofstream(OutputPath(spec_, key_)) << "failed: coordinator: connection refused\n";
  SetJob(JobPhase::kEnded, "FAILED");
  Seconds(2);
  ASSERT_TRUE(findings_.has_value());
  EXPECT_THAT(Of("node"),
              AllOf(HasSubstr("failed: job 7 on n3 ended as FAILED"),
                    HasSubstr("never reached the coordinator"), HasSubstr("connection refused")));
}

TEST_F(ProbeTest, OutputThatIsNotVisibleHereIsSaidToBe) {
  Start();
  SetJob(JobPhase::kEnded, "COMPLETED");
  Seconds(2);
  EXPECT_THAT(Of("node"), HasSubstr("let --log-dir be a shared folder"));
}

TEST_F(ProbeTest, AHungCheckEndsTheProbe) {
  SetJob(JobPhase::kRunning, "RUNNING");
  Start();
  Seconds(125);
  ASSERT_TRUE(findings_.has_value());
  EXPECT_THAT(Of("node"), HasSubstr("failed: the check on n3 hangs"));
}

TEST_F(ProbeTest, ARefusalIsTheReport) {
  batch_.result = {SubmitResult::Kind::kLimit, "", "QOSMaxSubmitJob", "Wait."};
  Start();
  EXPECT_EQ(Of("submit"), "failed: QOSMaxSubmitJob. Wait.\n");
  EXPECT_FALSE(FileExists(ProbeFilePath(root_.path(), key_, ProbeSide::kCoordinator)));
}

TEST_F(ProbeTest, AnUnclearSubmitIsFoundByItsKeyOrGivenUp) {
  batch_.result = {SubmitResult::Kind::kUnclear, "", "sbatch hung", ""};
  batch_.job.reset();
  Start();
  Seconds(62);
  EXPECT_THAT(Of("submit"), HasSubstr("failed: Slurm has shown no job"));
  EXPECT_THAT(batch_.cancelled, IsEmpty());
  findings_.reset();
  batch_.job.emplace();
  batch_.job->job_id = "9";
  SetJob(JobPhase::kPending, "PENDING", "Resources");
  Start();
  Seconds(62);
  EXPECT_THAT(batch_.cancelled, ::testing::ElementsAre("9"));
}

TEST(ProbeKeys, NoPoolAdoptsAProbe) {
  const std::string key = ProbeKey("0123456789abcdef", "low");
  EXPECT_THAT(key, ::testing::StartsWith("01234567-low-probe-x"));
  EXPECT_NE(key, ProbeKey("0123456789abcdef", "low"));
}

TEST(ProbeFiles, OnlyOnesOwnFileIsReadAndRemoved) {
  const testing::TempDir dir;
  const std::string path = ProbeFilePath(dir.path(), "k", ProbeSide::kNode);
  std::ofstream(path) << "somebody's";
  EXPECT_EQ(WriteProbeFile(dir.path(), "k", ProbeSide::kNode).code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(CheckProbeFile(dir.path(), "k", ProbeSide::kNode).code(), absl::StatusCode::kDataLoss);
  RemoveProbeFile(dir.path(), "k", ProbeSide::kNode);
  EXPECT_TRUE(FileExists(path));
  ASSERT_TRUE(WriteProbeFile(dir.path(), "own", ProbeSide::kNode).ok());
  EXPECT_TRUE(CheckProbeFile(dir.path(), "own", ProbeSide::kNode).ok());
  RemoveProbeFile(dir.path(), "own", ProbeSide::kNode);
  EXPECT_FALSE(FileExists(ProbeFilePath(dir.path(), "own", ProbeSide::kNode)));
}

}  // namespace
}  // namespace coppice::pools
