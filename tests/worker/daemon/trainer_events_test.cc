// A trainer's output is trusted only as far as the protocol and the pack allow.
#include "worker/program/trainer_events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "absl/strings/str_cat.h"

namespace coppice::worker {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr char kStart[] =
    R"({"event":"start","protocol":1,"version":"0","provenance":{"build":"b"},"members":[{"seed":0,"step":0},{"seed":5,"step":100}],"steps":1000,"parameters":3})"
    "\n";
constexpr char kDigest[] = "0123456789abcdef0123456789abcdef";

class TrainerEventsTest : public ::testing::Test {
 protected:
  // Feeds lines to a new reader and returns the last status.
  absl::Status Feed(const std::vector<std::string>& lines) {
    reader_ = std::make_unique<TrainerEventReader>(
        std::vector<TrainerEventReader::Member>{{0, 0, "/c/zero"}, {5, 100, "/c/five"}}, 1000);
    events_.clear();
    absl::Status status;
    for (const std::string& line : lines) status = reader_->Feed(line + "\n", &events_);
    return status;
  }
  absl::Status FeedStarted(std::vector<std::string> lines) {
    std::string start = kStart;
    start.pop_back();
    lines.insert(lines.begin(), start);
    return Feed(lines);
  }
  static std::string Checkpoint(int seed, int step, const std::string& path,
                                const std::string& digest = kDigest) {
    return absl::StrCat(R"({"event":"checkpoint","seed":)", seed, R"(,"step":)", step,
                        R"(,"path":")", path, R"(","digest":")", digest, R"(","bytes":9})");
  }
  static std::string Metrics(int seed, int step, const std::string& values) {
    return absl::StrCat(R"({"event":"metrics","seed":)", seed, R"(,"step":)", step, R"(,"values":)",
                        values, "}");
  }
  void ExpectGarbage(const std::vector<std::string>& lines, const std::string& what) {
    const absl::Status status = FeedStarted(lines);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << lines.back();
    EXPECT_THAT(std::string(status.message()), HasSubstr(what));
  }

  std::unique_ptr<TrainerEventReader> reader_;
  std::vector<TrainerEvent> events_;
};

TEST_F(TrainerEventsTest, ReadsEveryEventOfTheProtocol) {
  ASSERT_TRUE(
      FeedStarted(
          {R"({"event":"progress","members":[{"seed":0,"step":9}],"steps_per_second":1.5,"sequences_per_second":2})",
           Metrics(0, 10, R"({"val_loss":0.25,"id_accuracy":1})"),
           Checkpoint(0, 10, "/c/zero/step-000000010.safetensors"),
           Checkpoint(0, 1000, "step-000001000.safetensors"),
           R"({"event":"done","seed":0,"step":1000})",
           R"({"event":"preempted","seed":5,"step":100})"})
          .ok());
  ASSERT_THAT(events_, SizeIs(7));
  EXPECT_EQ(std::get<TrainerStart>(events_[0]).provenance, R"({"build":"b"})");
  EXPECT_EQ(std::get<TrainerProgress>(events_[1]).steps_per_second, 1.5);
  const auto& metrics = std::get<TrainerMetrics>(events_[2]);
  EXPECT_EQ(metrics.step, 10u);
  ASSERT_THAT(metrics.values, SizeIs(2));
  EXPECT_EQ(metrics.values[1], std::make_pair(std::string("val_loss"), 0.25));
  const auto& checkpoint = std::get<TrainerCheckpoint>(events_[3]);
  EXPECT_EQ(checkpoint.file, "step-000000010.safetensors");
  EXPECT_EQ(checkpoint.digest, kDigest);
  EXPECT_EQ(checkpoint.bytes, 9u);
  EXPECT_EQ(std::get<TrainerCheckpoint>(events_[4]).file, "step-000001000.safetensors");
  EXPECT_EQ(std::get<TrainerDone>(events_[5]).seed, 0u);
  EXPECT_EQ(std::get<TrainerPreempted>(events_[6]).seed, 5u);
}

TEST_F(TrainerEventsTest, ActivityIsReadWhereTheTrainerTellsIt) {
  ASSERT_TRUE(
      FeedStarted(
          {R"({"event":"progress","members":[{"seed":0,"step":9}],"steps_per_second":1})",
           R"({"event":"progress","members":[{"seed":0,"step":9}],"steps_per_second":1,"activity":7})"})
          .ok());
  EXPECT_EQ(std::get<TrainerProgress>(events_[1]).activity, std::nullopt);
  EXPECT_EQ(std::get<TrainerProgress>(events_[2]).activity, 7u);
  ExpectGarbage({R"({"event":"progress","members":[],"steps_per_second":1,"activity":"much"})"},
                "activity");
}

TEST_F(TrainerEventsTest, PiecesOfAnySizeGiveTheSameEvents) {
  const std::string text = kStart + Metrics(0, 1, R"({"a":1})") + "\n";
  for (size_t size = 1; size < text.size(); size += 7) {
    ASSERT_TRUE(Feed({}).ok());
    for (size_t at = 0; at < text.size(); at += size) {
      ASSERT_TRUE(reader_->Feed(text.substr(at, size), &events_).ok());
    }
    EXPECT_THAT(events_, SizeIs(2));
    EXPECT_EQ(reader_->pending_bytes(), 0u);
  }
}

TEST_F(TrainerEventsTest, ALineOfBracketsIsGarbageAndNotWrittenOutByRecursion) {
  const std::string deep = std::string(500'000, '[') + std::string(500'000, ']');
  const absl::Status status = Feed(
      {absl::StrCat(R"({"event":"start","protocol":1,"provenance":{"a":)", deep,
                    R"(},"members":[{"seed":0,"step":0},{"seed":5,"step":100}],"steps":1000})")});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("nested deeper"));
  // Brackets inside a string do not count.
  EXPECT_TRUE(
      FeedStarted({absl::StrCat(R"({"event":"news","text":")", std::string(100, '['), R"(\"{{"})")})
          .ok());
}

TEST_F(TrainerEventsTest, UnknownEventsAndKeysAreSkipped) {
  EXPECT_TRUE(FeedStarted({R"({"event":"news","x":[1]})",
                           R"({"event":"preempted","seed":0,"step":1,"mood":"good"})"})
                  .ok());
  EXPECT_THAT(events_, SizeIs(2));
}

TEST_F(TrainerEventsTest, AFailureMayComeBeforeTheStart) {
  EXPECT_TRUE(
      Feed(
          {R"({"event":"failed","seed":5,"step":100,"kind":"checkpoint","message":"m"})",
           R"({"event":"start","protocol":1,"provenance":{},"members":[{"seed":0,"step":0}],"steps":1000})"})
          .ok());
}

TEST_F(TrainerEventsTest, ARunIsRefusedBeforeTheStartOrNotAtAll) {
  ASSERT_TRUE(Feed({R"({"event":"refused","message":"run.depth is 0"})"}).ok());
  ASSERT_THAT(events_, SizeIs(1));
  EXPECT_EQ(std::get<TrainerRefused>(events_[0]).message, "run.depth is 0");
  ExpectGarbage({R"({"event":"refused","message":"m"})"}, "`refused` after `start`");
  EXPECT_FALSE(Feed({R"({"event":"refused"})"}).ok());
  EXPECT_FALSE(
      Feed({absl::StrCat(R"({"event":"refused","message":")", std::string(5'000, 'x'), R"("})")})
          .ok());
}

// A trainer that fails before it has read its checkpoint knows no step.
TEST_F(TrainerEventsTest, AFailureBeforeTheStartIsAtTheStepOfTheCheckpoint) {
  EXPECT_TRUE(Feed({R"({"event":"failed","seed":5,"step":0,"kind":"data","message":"m"})"}).ok());
  ASSERT_THAT(events_, SizeIs(1));
  EXPECT_EQ(std::get<TrainerFailed>(events_[0]).step, 100u);
  ExpectGarbage({R"({"event":"failed","seed":5,"step":0,"kind":"data","message":"m"})"},
                "before its start");
}

TEST_F(TrainerEventsTest, AMemberThatWasAtItsLastStepIsDoneWithoutAnotherCheckpoint) {
  TrainerEventReader reader({{0, 1000, "/c"}}, 1000);
  std::vector<TrainerEvent> events;
  EXPECT_TRUE(
      reader
          .Feed(
              R"({"event":"start","protocol":1,"provenance":{},"members":[{"seed":0,"step":1000}],"steps":1000})"
              "\n"
              R"({"event":"done","seed":0,"step":1000})"
              "\n",
              &events)
          .ok());
}

TEST_F(TrainerEventsTest, WhatIsNoEventIsGarbage) {
  ExpectGarbage({"Segmentation fault"}, "not a JSON object");
  ExpectGarbage({""}, "not a JSON object");
  ExpectGarbage({"[1]"}, "not a JSON object");
  ExpectGarbage({R"({"event":"done","seed":0,)"}, "not a JSON object");
  ExpectGarbage({R"({"seed":0})"}, "`event` is missing");
  ExpectGarbage({R"({"event":7})"}, "`event` is not a text");
  ExpectGarbage({"{\"event\":\"\xff\"}"}, "not a JSON object");
}

TEST_F(TrainerEventsTest, SeedsAndStepsOutsideOfThePackAreGarbage) {
  ExpectGarbage({Metrics(1, 5, R"({"a":1})")}, "seed 1 is not in this pack");
  ExpectGarbage({Metrics(0, 1001, R"({"a":1})")}, "`step`");
  ExpectGarbage({Metrics(5, 99, R"({"a":1})")}, "before its start at 100");
  ExpectGarbage({Metrics(0, 9, R"({"a":1})"), Metrics(0, 9, R"({"a":1})")}, "after 9");
  ExpectGarbage({Checkpoint(0, 9, "a"), Checkpoint(0, 8, "b")}, "behind one of step 9");
  ExpectGarbage({R"({"event":"progress","members":[{"seed":0,"step":9}],"steps_per_second":1})",
                 R"({"event":"progress","members":[{"seed":0,"step":8}],"steps_per_second":1})"},
                "goes back");
  ExpectGarbage({R"({"event":"preempted","seed":-1,"step":1})"}, "`seed`");
  ExpectGarbage({R"({"event":"preempted","seed":0,"step":1.5})"}, "`step`");
  ExpectGarbage({R"({"event":"preempted","seed":0,"step":"1"})"}, "`step`");
  ExpectGarbage({R"({"event":"preempted","seed":0})"}, "`step` is missing");
  ExpectGarbage(
      {R"({"event":"preempted","seed":0,"step":1})", R"({"event":"preempted","seed":0,"step":1})"},
      "has ended");
}

TEST_F(TrainerEventsTest, NumbersThatAreNotFiniteAreGarbage) {
  ExpectGarbage({Metrics(0, 5, R"({"val_loss":NaN})")}, "not a JSON object");
  ExpectGarbage({Metrics(0, 5, R"({"val_loss":1e999})")}, "not a JSON object");
  ExpectGarbage({Metrics(0, 5, R"({"val_loss":null})")}, "val_loss");
  ExpectGarbage({Metrics(0, 5, "{}")}, "`values`");
  ExpectGarbage({Metrics(0, 5, R"({"val loss":1})")}, "name of a metric");
  ExpectGarbage({Metrics(0, 5, R"({"":1})")}, "name of a metric");
  ExpectGarbage({R"({"event":"progress","members":[],"steps_per_second":-1})"}, "steps_per_second");
}

TEST_F(TrainerEventsTest, CheckpointsOutsideOfTheFolderOrWithoutDigestAreGarbage) {
  ExpectGarbage({Checkpoint(0, 5, "/c/five/a")}, "not inside /c/zero");
  ExpectGarbage({Checkpoint(0, 5, "/c/zero/../five/a")}, "not inside");
  ExpectGarbage({Checkpoint(0, 5, "a", "0123")}, "32 hex digits");
  ExpectGarbage({Checkpoint(0, 5, "a", "0123456789ABCDEF0123456789ABCDEF")}, "32 hex digits");
}

// The protocol got these fields later, so a trainer may omit them.
TEST_F(TrainerEventsTest, ACheckpointsTimesMayBeMissingButNotBeNonsense) {
  const auto with = [](const std::string& more) {
    std::string line = Checkpoint(0, 5, "a");
    line.insert(line.size() - 1, more);
    return line;
  };
  ASSERT_TRUE(FeedStarted({with(R"(,"stall_ms":12.5,"write_ms":800)")}).ok());
  EXPECT_EQ(std::get<TrainerCheckpoint>(events_[1]).stall_ms, 12.5);
  EXPECT_EQ(std::get<TrainerCheckpoint>(events_[1]).write_ms, 800.0);
  ASSERT_TRUE(FeedStarted({with("")}).ok());
  EXPECT_EQ(std::get<TrainerCheckpoint>(events_[1]).stall_ms, 0.0);
  ExpectGarbage({with(R"(,"stall_ms":-1)")}, "`stall_ms`");
  ExpectGarbage({with(R"(,"stall_ms":"1")")}, "`stall_ms`");
  ExpectGarbage({with(R"(,"write_ms":null)")}, "`write_ms`");
}

// A checkpoint is written while later steps run, and their rows do not wait for it.
TEST_F(TrainerEventsTest, ACheckpointMayComeBehindTheRowsOfLaterSteps) {
  ASSERT_TRUE(
      FeedStarted({Metrics(0, 10, R"({"a":1})"), Metrics(0, 20, R"({"a":1})"),
                   Checkpoint(0, 10, "a"), Metrics(0, 30, R"({"a":1})"), Checkpoint(0, 20, "b")})
          .ok());
  EXPECT_THAT(events_, SizeIs(6));
}

TEST_F(TrainerEventsTest, ACheckpointOfAMemberThatHasEndedIsGarbage) {
  ExpectGarbage({R"({"event":"preempted","seed":0,"step":20})", Checkpoint(0, 10, "a")},
                "has ended");
}

TEST_F(TrainerEventsTest, AnEndThatTheStepsDoNotBearOutIsGarbage) {
  ExpectGarbage({R"({"event":"done","seed":0,"step":1000})"}, "`done`");
  ExpectGarbage({Checkpoint(0, 1000, "a"), R"({"event":"done","seed":0,"step":999})"}, "`done`");
  ExpectGarbage({R"({"event":"failed","seed":0,"step":1,"kind":"mood","message":""})"},
                "unknown `kind`");
}

TEST_F(TrainerEventsTest, AStartThatDoesNotFitIsGarbage) {
  const std::string tail = R"("provenance":{},"steps":1000})";
  const auto start = [&](const std::string& members, int protocol = 1) {
    return Feed({absl::StrCat(R"({"event":"start","protocol":)", protocol, R"(,"members":)",
                              members, ",", tail)});
  };
  EXPECT_TRUE(start(R"([{"seed":5,"step":100},{"seed":0,"step":0}])").ok());
  EXPECT_FALSE(start(R"([{"seed":5,"step":100},{"seed":0,"step":0}])", 2).ok());
  EXPECT_FALSE(start(R"([{"seed":5,"step":0},{"seed":0,"step":0}])").ok());
  EXPECT_FALSE(start(R"([{"seed":0,"step":0}])").ok());
  EXPECT_FALSE(start(R"([{"seed":0,"step":0},{"seed":6,"step":0}])").ok());
  std::string again = kStart;
  again.pop_back();
  ExpectGarbage({again}, "second `start`");
  EXPECT_FALSE(Feed({Metrics(0, 5, R"({"a":1})")}).ok());
}

TEST_F(TrainerEventsTest, ALineWithoutEndIsGarbageAtItsLimit) {
  ASSERT_TRUE(Feed({}).ok());
  const std::string piece(100'000, 'x');
  absl::Status status;
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(reader_->Feed(piece, &events_).ok());
  EXPECT_FALSE(reader_->Feed(piece, &events_).ok());
  // After the error nothing is accepted.
  EXPECT_FALSE(reader_->Feed(std::string("\n") + kStart, &events_).ok());
  EXPECT_TRUE(events_.empty());
}

TEST_F(TrainerEventsTest, AMessageQuotesTheLineShortenedAndPrintable) {
  const absl::Status status = FeedStarted({std::string("\x1b[31mred") + std::string(500, 'y')});
  EXPECT_THAT(std::string(status.message()), HasSubstr("\\x1b[31mredyyy"));
  EXPECT_LT(status.message().size(), 300u);
}

}  // namespace
}  // namespace coppice::worker
