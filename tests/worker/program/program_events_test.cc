// A program's output is held to its report steps as well.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "worker/program/trainer_events.h"

namespace coppice::worker {
namespace {

using ::testing::HasSubstr;

constexpr uint32_t kSteps = 250;
constexpr uint32_t kEvery = 100;

std::string Start(int step) {
  return absl::StrCat(R"({"event":"start","protocol":1,"members":[{"seed":3,"step":)", step,
                      R"(}],"steps":250})");
}
std::string Metrics(int step) {
  return absl::StrCat(R"({"event":"metrics","seed":3,"step":)", step, R"(,"values":{"loss":1}})");
}
std::string Checkpoint(int step, const std::string& path = "model") {
  return absl::StrCat(R"({"event":"checkpoint","seed":3,"step":)", step, R"(,"path":")", path,
                      R"("})");
}
constexpr char kDone[] = R"({"event":"done","seed":3,"step":250})";

class ProgramEventsTest : public ::testing::Test {
 protected:
  absl::Status Feed(uint32_t start, const std::vector<std::string>& lines) {
    TrainerEventReader reader({{3, start, "/c/work"}}, kSteps, kEvery);
    events_.clear();
    absl::Status status = reader.Feed(Start(static_cast<int>(start)) + "\n", &events_);
    for (const std::string& line : lines) status = reader.Feed(line + "\n", &events_);
    return status;
  }
  void ExpectGarbage(uint32_t start, const std::vector<std::string>& lines,
                     const std::string& what) {
    const absl::Status status = Feed(start, lines);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << lines.back();
    EXPECT_THAT(std::string(status.message()), HasSubstr(what));
  }
  std::vector<TrainerEvent> events_;
};

TEST_F(ProgramEventsTest, AWholeRunIsReadWithoutProvenanceRateAndDigest) {
  ASSERT_EQ(Feed(0, {R"({"event":"progress","members":[{"seed":3,"step":9}],"activity":4})",
                     Metrics(100), Checkpoint(150, "/c/work/sub/model.pt"), Metrics(200),
                     Metrics(250), Checkpoint(250), kDone}),
            absl::OkStatus());
  ASSERT_EQ(events_.size(), 8u);
  EXPECT_EQ(std::get<TrainerStart>(events_[0]).provenance, "{}");
  EXPECT_EQ(std::get<TrainerProgress>(events_[1]).activity, 4u);
  EXPECT_EQ(std::get<TrainerCheckpoint>(events_[3]).file, "sub/model.pt");
  EXPECT_EQ(std::get<TrainerCheckpoint>(events_[3]).digest, "");
}

TEST_F(ProgramEventsTest, AResumedRunGoesOnBehindItsCheckpoint) {
  EXPECT_EQ(Feed(100, {Metrics(200), Metrics(250), Checkpoint(250), kDone}), absl::OkStatus());
  EXPECT_EQ(Feed(150, {Checkpoint(150)}), absl::OkStatus()) << "stopped before its first step";
  EXPECT_EQ(Feed(250, {kDone}), absl::OkStatus()) << "nothing was left to do";
  ExpectGarbage(100, {Metrics(100)}, "only steps after 100");
}

// The second might be taken for the first: the bytes of a later step under an earlier one's number.
TEST_F(ProgramEventsTest, EachCheckpointHasANameOfItsOwn) {
  EXPECT_EQ(Feed(0, {Metrics(100), Checkpoint(120, "a"), Checkpoint(150, "b")}), absl::OkStatus());
  ExpectGarbage(0, {Metrics(100), Checkpoint(120, "a"), Checkpoint(150, "/c/work/a")},
                "a name of its own");
}

TEST_F(ProgramEventsTest, MetricsComeAtEveryReportStepAndNowhereElse) {
  ExpectGarbage(0, {Metrics(50)}, "metrics of step 50, which is no report step");
  ExpectGarbage(0, {Metrics(200)}, "metrics of step 200 where those of step 100 are missing");
  ExpectGarbage(0, {Metrics(100), Metrics(100)}, "only steps after 100");
  ExpectGarbage(0, {Metrics(100), Metrics(200), Checkpoint(250)},
                "a checkpoint of step 250 before the metrics of step 250");
  ExpectGarbage(0, {Checkpoint(100)}, "before the metrics of step 100");
  ExpectGarbage(150, {Checkpoint(220)}, "before the metrics of step 200");
  ExpectGarbage(0, {Metrics(100), Metrics(200), Metrics(250), kDone},
                "with a last checkpoint at step -1");
}

TEST_F(ProgramEventsTest, TheMessageNamesTheProgramAndTheRemedy) {
  ExpectGarbage(0, {"round 1: loss 0.5"}, "free text belongs on stderr");
  ExpectGarbage(0, {Checkpoint(50, "/elsewhere/model")}, "not inside /c/work");
  TrainerEventReader resumed({{3, 100, "/c/work"}}, kSteps, kEvery);
  const absl::Status status = resumed.Feed(Start(0) + "\n", &events_);
  EXPECT_THAT(std::string(status.message()), HasSubstr("`resume` was not read"));
}

}  // namespace
}  // namespace coppice::worker
