// The trainer must accept every run that a submit accepts, so that no queued job is refused later.
#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/spec/spec.h"
#include "worker/trainer/config/config.h"

namespace coppice::spec {
namespace {

class TheTrainerTakesIt : public ::testing::TestWithParam<const char*> {};

TEST_P(TheTrainerTakesIt, OrSubmitRefusesIt) {
  v1::SweepSpec spec;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(
      absl::StrCat("name: 'a' tasks: ['question', 'tense', 'dyck'] depths: [1, 256] seeds: 0 ",
                   GetParam()),
      &spec));
  const bool accepted = ValidateSweepSpec(spec).empty();
  for (const std::string& task : spec.tasks()) {
    for (const uint32_t depth : spec.depths()) {
      const absl::Status taken =
          trainer::ParseRunConfigText(RunConfigToJson(ResolveRun(spec, task, depth))).status();
      if (accepted) {
        EXPECT_TRUE(taken.ok()) << task << "/" << depth << ": " << taken;
      }
    }
  }
  const bool to_refuse = absl::StrContains(GetParam(), "#");
  EXPECT_EQ(accepted, !to_refuse);
}

// The bounds of every range. Submit itself must refuse the values after "#".
INSTANTIATE_TEST_SUITE_P(
    EdgesOfTheRanges, TheTrainerTakesIt,
    ::testing::Values(
        "", "model { d_model: 2 heads: 1 d_ff: 1 dropout: 0 }",
        "model { d_model: 16384 heads: 256 d_ff: 65536 dropout: 0.99 }",
        "model { dropout: 0.991 } #", "train { steps: 999999999 }", "train { batch_size: 4096 }",
        "train { batch_size: 4097 } #", "train { batch_size: 65536 } #",
        "train { learning_rate: 9.99 }", "train { learning_rate: 1e-300 }",
        "train { warmup_steps: 0 lr_decay_steps: 1 }", "train { lr_decay_steps: 2147483647 }",
        "train { lr_decay_steps: 2147483648 } #", "train { lr_decay_steps: 4294967295 } #",
        "train { lr_decay_steps: 10000 } #", "train { warmup_steps: 999999999 } #",
        "train { beta1: 0.9999999999999 beta2: 0.9999999999999999 }",
        "train { epsilon: 0.999 weight_decay: 9e29 clip_norm: 9e29 }",
        "train { weight_decay: 2e30 } #", "train { clip_norm: 2e30 } #",
        "train { precision: 'float32' }", "train { precision: 'bfloat16' } #",
        "data { train: 20000000 val: 20000000 test: 20000000 gen: 20000000 }",
        "data { seed: 4294967295 train: 8 val: 1 test: 1 gen: 1 }", "data { train: 7 } #",
        "report { every: 999999999 decode_sentences: 20000000 dyck_prefixes: 20000000 }",
        "report { probes { sentences: 20000000 every: 999999999 } }",
        "checkpoint { every: 999999999 keep: 10000 keep_every: 999999999 }"));

}  // namespace
}  // namespace coppice::spec
