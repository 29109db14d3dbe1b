// Commands that delete, note and tag a sweep, against a real gRPC server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "tests/cli/fake_sweep_service.h"

namespace coppice::cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class SweepChangesTest : public ::testing::Test {
 protected:
  CliResult Run(std::vector<std::string> args) {
    return RunCommand(coordinator_.address(), std::move(args));
  }
  std::vector<v1::DeleteSweepRequest> Deletes() {
    absl::MutexLock lock(&service_.mutex);
    return service_.deletes;
  }
  v1::AnnotateSweepRequest Annotated() {
    absl::MutexLock lock(&service_.mutex);
    return service_.annotate;
  }

  FakeCoordinator coordinator_;
  FakeSweepService& service_ = coordinator_.service();
};

TEST_F(SweepChangesTest, DeleteWithoutATerminalNeedsYes) {
  const CliResult refused = Run({"delete", "demo"});
  EXPECT_EQ(refused.code, 2);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("--yes"), HasSubstr("nothing was changed")));
  ASSERT_EQ(Deletes().size(), 1u);
  EXPECT_TRUE(Deletes()[0].dry_run());

  const CliResult deleted = Run({"delete", "demo", "--yes"});
  EXPECT_EQ(deleted.code, 0) << deleted.err;
  EXPECT_THAT(deleted.out,
              AllOf(HasSubstr("deleted demo with 8 jobs"), HasSubstr("24 checkpoints (3.0 MiB)")));
  ASSERT_EQ(Deletes().size(), 3u);
  EXPECT_FALSE(Deletes()[2].dry_run());
  absl::MutexLock lock(&service_.mutex);
  EXPECT_EQ(service_.deletes[2].id(), service_.sweeps[0].id()) << "the sweep that was counted";
}

TEST_F(SweepChangesTest, ADryRunOfDeleteOnlySaysWhatWouldGo) {
  const CliResult result = Run({"delete", "demo", "--dry-run"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("would delete demo"), HasSubstr("nothing was changed")));
  EXPECT_EQ(Deletes().size(), 1u);
  const auto json = nlohmann::json::parse(Run({"delete", "demo", "--dry-run", "--json"}).out);
  EXPECT_EQ(json["checkpoints"], "24");
  EXPECT_TRUE(Deletes()[1].dry_run());
}

TEST_F(SweepChangesTest, DeleteOfASweepWithJobsLeftShowsTheRemedyAndAsksNothing) {
  {
    absl::MutexLock lock(&service_.mutex);
    service_.delete_status = {grpc::StatusCode::FAILED_PRECONDITION,
                              "run 'coppice cancel demo' first"};
  }
  const CliResult result = Run({"delete", "demo", "--yes"});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, HasSubstr("coppice cancel demo"));
  EXPECT_EQ(Deletes().size(), 1u);
  EXPECT_EQ(Run({"delete"}).code, 2) << "never the only sweep";
  EXPECT_EQ(Run({"delete", ""}).code, 2);
  EXPECT_EQ(Run({"delete", "unknown", "--yes"}).code, 1);
  EXPECT_EQ(Deletes().size(), 1u);
}

TEST_F(SweepChangesTest, NoteWritesShowsAndClears) {
  EXPECT_THAT(Run({"note", "demo"}).out, HasSubstr("demo has no note"));
  const CliResult written = Run({"note", "demo", "baseline", "of the paper"});
  EXPECT_EQ(written.code, 0) << written.err;
  EXPECT_EQ(Annotated().note(), "baseline of the paper");
  EXPECT_EQ(Run({"note", "demo"}).out, "baseline of the paper\n");
  EXPECT_EQ(Run({"note", "demo", "text", "--clear"}).code, 2);
  EXPECT_EQ(Run({"note", "demo", ""}).code, 2);
  EXPECT_EQ(Annotated().note(), "baseline of the paper") << "mistakes change nothing";
  EXPECT_EQ(Run({"note", "demo", "--clear"}).code, 0);
  EXPECT_TRUE(Annotated().has_note());
  EXPECT_EQ(Annotated().note(), "");
}

TEST_F(SweepChangesTest, TagTakesPlusAndMinusInAnyOrder) {
  EXPECT_THAT(Run({"tag", "demo"}).out, HasSubstr("demo has no tags"));
  const CliResult result = Run({"tag", "-old", "demo", "+paper", "+v2.1", "-json-like"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(Annotated().add_tags(), ElementsAre("paper", "v2.1"));
  EXPECT_THAT(Annotated().remove_tags(), ElementsAre("old", "json-like"));
  EXPECT_FALSE(Annotated().has_note());
  EXPECT_EQ(result.out, "demo has the tags paper, v2.1\n");
  const CliResult json = Run({"tag", "demo", "--json", "+x"});
  EXPECT_EQ(nlohmann::json::parse(json.out)["tags"][2], "x");
  const CliResult bare = Run({"tag", "demo", "paper"});
  EXPECT_EQ(bare.code, 2);
  EXPECT_THAT(bare.err, HasSubstr("+TAG"));
  EXPECT_EQ(Run({"tag", "-h"}).code, 0) << "help";
}

TEST_F(SweepChangesTest, ListAndStatusShowTagsAndNotes) {
  EXPECT_THAT(Run({"list"}).out, AllOf(Not(HasSubstr("tags")), Not(HasSubstr("note"))));
  {
    absl::MutexLock lock(&service_.mutex);
    service_.sweeps[0].add_tags("paper");
    service_.sweeps[0].add_tags("v2");
    service_.sweeps[0].set_note("first line of a note that is rather long\nsecond line");
  }
  const CliResult list = Run({"list"});
  EXPECT_THAT(list.out, AllOf(HasSubstr("paper, v2"), HasSubstr("first line of a note"),
                              Not(HasSubstr("second line"))));
  const CliResult status = Run({"status", "demo"});
  EXPECT_THAT(status.out, AllOf(HasSubstr("tags: paper, v2"), HasSubstr("note: first line"),
                                HasSubstr("second line")));
}

TEST_F(SweepChangesTest, ListByTagAsksForAllOfThem) {
  Run({"list", "--tag", "a", "--tag", "b,c"});
  absl::MutexLock lock(&service_.mutex);
  EXPECT_THAT(service_.list_sweeps.tags(), ElementsAre("a", "b", "c"));
}

}  // namespace
}  // namespace coppice::cli
