// The node's half of a probe, over real files and trainers that are shell scripts.
#include "worker/daemon/check_node.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/build_info.h"
#include "common/base/files.h"
#include "common/base/probe_file.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/temp_dir.h"
#include "worker/daemon/checkpoint_place.h"

namespace coppice::worker {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kStoreId[] = "0123456789abcdef";

class CheckNodeTest : public ::testing::Test {
 protected:
  CheckNodeTest() {
    check_.key = "01234567-low-probe-x1";
    check_.worker.device.kind = DeviceKind::kCpu;
    answer_.set_store_id(kStoreId);
    answer_.set_version(COPPICE_VERSION);
    answer_.set_now_ms(clock_.NowMillis());
    SetTrainer("exit 0");
  }

  void SetTrainer(const std::string& body) {
    const std::string path = dir_.Join("trainer");
    std::ofstream(path) << "#!/bin/sh\n" << body << "\n";
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    check_.worker.trainer = path;
  }
  void ShareFolder() {
    std::ofstream(JoinPath(shared_.path(), kStoreIdFile)) << kStoreId << "\n";
    check_.worker.checkpoint_dir = shared_.path();
  }
  int Run(absl::Status send_status = absl::OkStatus()) {
    const SendReport send =
        [&](const v1::ReportNodeRequest& request) -> absl::StatusOr<v1::ReportNodeResponse> {
      reports_.push_back(request);
      if (on_report) on_report(request);
      if (!send_status.ok()) return send_status;
      return answer_;
    };
    const EnvironmentLookup env = [](const char*) -> const char* { return nullptr; };
    return RunNodeCheck(check_, send, env, &clock_, &out_);
  }

  testing::TempDir dir_, shared_;
  testing::FakeClock clock_;
  NodeCheck check_;
  v1::ReportNodeResponse answer_;
  std::function<void(const v1::ReportNodeRequest&)> on_report;
  std::vector<v1::ReportNodeRequest> reports_;
  std::ostringstream out_;
};

TEST_F(CheckNodeTest, AGoodNodeReportsTwice) {
  EXPECT_EQ(Run(), 0);
  ASSERT_EQ(reports_.size(), 2u);
  EXPECT_EQ(reports_[0].findings_size(), 0) << "at first only that it is there";
  EXPECT_TRUE(reports_[1].last());
  EXPECT_FALSE(reports_[1].wrote_file());
  EXPECT_THAT(
      out_.str(),
      AllOf(HasSubstr("ok: clock: "), HasSubstr("ok: version: "), HasSubstr("ok: trainer: "),
            HasSubstr("ok: checkpoints: they go over the network"), Not(HasSubstr("failed"))));
}

TEST_F(CheckNodeTest, ACoordinatorThatRefusesStillGetsTheTrainerChecked) {
  EXPECT_EQ(Run(absl::UnauthenticatedError("the token is not known")), 1);
  EXPECT_EQ(reports_.size(), 1u);
  EXPECT_THAT(out_.str(), AllOf(HasSubstr("failed: coordinator: the token is not known"),
                                HasSubstr("ok: trainer: ")));
}

TEST_F(CheckNodeTest, AnAccessFileThatCannotBeReadIsNamed) {
  const EnvironmentLookup env = [](const char*) -> const char* { return nullptr; };
  EXPECT_EQ(RunNodeCheck(check_, absl::NotFoundError("/x/access.json: no such file"), env, &clock_,
                         &out_),
            1);
  EXPECT_THAT(out_.str(), HasSubstr("failed: access: /x/access.json"));
}

TEST_F(CheckNodeTest, AClockThatIsOffIsAWarning) {
  answer_.set_now_ms(clock_.NowMillis() + 42'300);
  EXPECT_EQ(Run(), 0);
  EXPECT_THAT(out_.str(), HasSubstr("warning: clock: the node's clock is 42.3 s behind"));
}

TEST_F(CheckNodeTest, AnotherVersionIsAWarning) {
  answer_.set_version("0.0.1");
  EXPECT_EQ(Run(), 0);
  EXPECT_THAT(out_.str(), HasSubstr("warning: version: "));
}

TEST_F(CheckNodeTest, ATrainerThatDoesNotStartFailsWithItsWords) {
  SetTrainer("echo 'libtorch.so: cannot open shared object file' >&2; exit 127");
  EXPECT_EQ(Run(), 1);
  EXPECT_THAT(out_.str(), AllOf(HasSubstr("failed: trainer: "), HasSubstr("libtorch.so")));
}

TEST_F(CheckNodeTest, AMissingGpuFails) {
  check_.gpus = 2;
  EXPECT_EQ(Run(), 1);
  EXPECT_THAT(out_.str(), HasSubstr("failed: gpu: the allocation asks for 2 GPUs"));
}

TEST_F(CheckNodeTest, ASharedFolderIsSeenFromBothSides) {
  ShareFolder();
  ASSERT_TRUE(WriteProbeFile(shared_.path(), check_.key, ProbeSide::kCoordinator).ok());
  bool seen = false;
  on_report = [&](const v1::ReportNodeRequest& request) {
    if (!request.last()) return;
    EXPECT_TRUE(request.wrote_file());
    seen = CheckProbeFile(shared_.path(), check_.key, ProbeSide::kNode).ok();
  };
  EXPECT_EQ(Run(), 0);
  EXPECT_TRUE(seen);
  EXPECT_FALSE(FileExists(ProbeFilePath(shared_.path(), check_.key, ProbeSide::kNode)))
      << "the node removes its file";
  EXPECT_TRUE(CheckProbeFile(shared_.path(), check_.key, ProbeSide::kCoordinator).ok())
      << "and no other one";
}

TEST_F(CheckNodeTest, AFolderThatIsNotTheCoordinatorsFails) {
  check_.worker.checkpoint_dir = shared_.path();
  EXPECT_EQ(Run(), 1);
  EXPECT_THAT(out_.str(), HasSubstr("failed: checkpoints: "));
  out_.str("");
  ShareFolder();
  EXPECT_EQ(Run(), 1);
  EXPECT_THAT(out_.str(), HasSubstr("the node does not see what the coordinator has written"));
  out_.str("");
  answer_.set_store_id("another");
  EXPECT_EQ(Run(), 1);
  EXPECT_THAT(out_.str(), HasSubstr("belongs to another coordinator"));
}

TEST(ParseNodeCheckTest, TheWorkersFlagsFollowItsOwn) {
  const char* argv[] = {"coppice-worker", "check-node", "--probe",     "01234567-low-probe-x1",
                        "--gpus",         "2",          "--grace=30s", "--slots=3"};
  int exit_code = 0;
  ASSERT_TRUE(AsksForNodeCheck(8, argv));
  const auto check = ParseNodeCheck(8, argv, &exit_code);
  ASSERT_TRUE(check.has_value());
  EXPECT_EQ(check->gpus, 2u);
  EXPECT_EQ(check->worker.slots, 3u);
  EXPECT_EQ(check->worker.grace, absl::Seconds(30));
}

TEST(ParseNodeCheckTest, BadFlagsAreUsageErrors) {
  int exit_code = 0;
  const char* none[] = {"coppice-worker", "check-node"};
  EXPECT_FALSE(ParseNodeCheck(2, none, &exit_code).has_value());
  EXPECT_EQ(exit_code, 2);
  const char* path[] = {"coppice-worker", "check-node", "--probe", "../x"};
  exit_code = 0;
  EXPECT_FALSE(ParseNodeCheck(4, path, &exit_code).has_value());
  EXPECT_EQ(exit_code, 2);
  const char* flag[] = {"coppice-worker", "check-node", "--probe", "k", "--nope"};
  exit_code = 0;
  EXPECT_FALSE(ParseNodeCheck(5, flag, &exit_code).has_value());
  EXPECT_NE(exit_code, 0);
}

}  // namespace
}  // namespace coppice::worker
