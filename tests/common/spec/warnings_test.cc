// Tests of the warnings about valid settings without effect, as a plan and a trainer's start report
// them.
#include "common/spec/warnings.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "common/settings/run_warnings.h"

namespace coppice::spec {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kGrid[] = "name: 'demo' tasks: ['question', 'dyck'] depths: [2, 4] seeds: 0 ";

std::vector<Problem> Of(const std::string& more) {
  v1::SweepSpec spec;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(kGrid + more, &spec)) << more;
  EXPECT_THAT(ValidateSweepSpec(spec), IsEmpty()) << more;
  return Warnings(spec);
}

auto Warns(const std::string& path, const std::string& message) {
  return AllOf(Field(&Problem::path, path), Field(&Problem::message, HasSubstr(message)));
}

// The settings of a short run without warnings, so that each case below has a single mistake.
std::string Short(const std::string& train, const std::string& more = "") {
  return "train { steps: 200 " + train + " } " + more;
}
constexpr char kIntervals[] =
    "report { every: 100 probes { sentences: 20 } } checkpoint { every: 100 } ";

TEST(Warnings, AreNoneForThePaper) { EXPECT_THAT(Of(""), IsEmpty()); }

TEST(Warnings, AWarmUpThatNeverEndsIsTold) {
  EXPECT_THAT(Of(Short("warmup_steps: 100", kIntervals)), IsEmpty());
  EXPECT_THAT(Of(Short("", kIntervals)),
              ElementsAre(Warns("train.steps",
                                "train.warmup_steps is 10000 and train.steps 200: "
                                "the learning rate only rises, to 2% of")));
  EXPECT_THAT(Of(Short("warmup_steps: 200", kIntervals)),
              ElementsAre(Warns("train.warmup_steps", "to 100% of train.learning_rate")));
}

TEST(Warnings, ADecayThatEndsBeforeTheRunIsTold) {
  EXPECT_THAT(Of(Short("warmup_steps: 10 lr_decay_steps: 150", kIntervals)),
              ElementsAre(Warns("train.lr_decay_steps", "the learning rate is 0 from there on")));
}

TEST(Warnings, IntervalsLongerThanTheRunAreTold) {
  EXPECT_THAT(Of(Short("warmup_steps: 10", "report { probes { sentences: 20 } }")),
              ElementsAre(Warns("train.steps", "report.every is 3000"),
                          Warns("train.steps", "checkpoint.every is 15000")));
  EXPECT_THAT(Of(Short("warmup_steps: 10",
                       "report { every: 200 probes { sentences: 20 } } "
                       "checkpoint { every: 200 }")),
              IsEmpty());
}

TEST(Warnings, CheckpointsThatAreNeverKeptAreTold) {
  EXPECT_THAT(Of("checkpoint { every: 1000 keep_every: 5000 }"), IsEmpty());
  EXPECT_THAT(Of("checkpoint { every: 1000 keep_every: 1500 }"),
              ElementsAre(Warns("checkpoint.keep_every", "those at multiples of 3000 are kept")));
  EXPECT_THAT(Of("checkpoint { every: 1000 keep_every: 400000 } train { steps: 300000 }"),
              ElementsAre(Warns("checkpoint.keep_every", "none before the last step")));
}

TEST(Warnings, ProbesOfOverAThirdOfTheRunAreTold) {
  EXPECT_THAT(Of("report { every: 100 }"),
              ElementsAre(Warns("report.every",
                                "report.probes.sentences is 10000 with a report every 100 steps: "
                                "the probes take about 50% of the run's time")));
  EXPECT_THAT(Of("report { every: 100 probes { every: 30 } }"), IsEmpty())
      << "rarer probes are cheaper";
  EXPECT_THAT(Of("report { every: 100 probes { sentences: 0 } }"), IsEmpty());
}

TEST(Warnings, NameTheGroupsAndTheOverrideThatTheyAreTrueOf) {
  EXPECT_THAT(Of("overrides { where { task: 'dyck' depth: 4 } train { warmup_steps: 500000 } }"),
              ElementsAre(AllOf(Warns("overrides[0].train.warmup_steps", "is 500000"),
                                Field(&Problem::message, HasSubstr("(dyck/4)")))));
}

// docs/performance.md, "What the probes cost".
TEST(ProbeShare, IsThatOfTheMeasuredRunsWithinAFactorOfTwo) {
  settings::RunFacts paper{.task = "question", .d_model = 512, .steps = 300'000, .batch_size = 8};
  paper.train_sentences = 100'000;
  paper.val_sentences = 1'000;
  paper.gen_sentences = 10'000;
  paper.report_every = 3'000;
  paper.probe_sentences = 10'000;
  paper.probe_every = 1;
  const auto near = [](double share, double measured) {
    EXPECT_GT(share, measured / 2);
    EXPECT_LT(share, measured * 2);
  };
  near(ProbeShare(paper), 0.083);
  settings::RunFacts tense = paper;
  tense.task = "tense";
  near(ProbeShare(tense), 0.087);
  settings::RunFacts dyck = paper;
  dyck.task = "dyck";
  dyck.probe_sentences = 500;
  dyck.val_sentences = dyck.gen_sentences = 20'000;
  near(ProbeShare(dyck), 0.02);
  settings::RunFacts demo = paper;
  demo.d_model = 64;
  demo.train_sentences = 5'000;
  demo.val_sentences = demo.gen_sentences = 200;
  demo.report_every = 300;
  demo.probe_sentences = 200;
  near(ProbeShare(demo), 0.037);
  demo.probe_sentences = 0;
  EXPECT_EQ(ProbeShare(demo), 0);
}

}  // namespace
}  // namespace coppice::spec
