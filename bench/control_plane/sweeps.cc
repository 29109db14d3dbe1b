#include "bench/control_plane/sweeps.h"

#include <array>
#include <string>

namespace coppice::bench {
namespace {

// Names as long as real ones.
constexpr std::array kNames = {"train/loss",          "val/accuracy",
                               "test/accuracy",       "gen/accuracy",
                               "gen/first_word",      "weights/norm",
                               "attention/sparsity",  "probe/tree_projection",
                               "probe/tree_parseval", "train/learning_rate",
                               "train/tokens",        "val/loss",
                               "test/loss",           "gen/loss",
                               "train/clip_norm",     "probe/random_parseval"};

}  // namespace

v1::SweepSpec LargeSweep(const Options& options) {
  v1::SweepSpec spec;
  spec.set_name(kLarge);
  for (const char* task : {"question", "tense"}) spec.add_tasks(task);
  for (const uint32_t depth : {2, 4, 6, 8, 10}) spec.add_depths(depth);
  for (uint64_t seed = 0; seed < options.jobs / 10; ++seed)
    spec.add_seeds(static_cast<uint32_t>(seed));
  spec.mutable_train()->set_steps(kShortSteps);
  spec.mutable_report()->set_every(kShortSteps);
  spec.mutable_checkpoint()->set_every(kShortSteps);
  return spec;
}

v1::SweepSpec HeldSweep(const Options& options) {
  v1::SweepSpec spec;
  spec.set_name(kHeld);
  spec.add_tasks("dyck");
  spec.add_depths(2);
  for (uint32_t seed = 0; seed < options.workers * options.held; ++seed) spec.add_seeds(seed);
  spec.mutable_train()->set_steps(900'000'000);
  spec.mutable_report()->set_every(1);
  spec.mutable_checkpoint()->set_every(1'000'000);
  spec.set_priority(10);
  return spec;
}

void FillRow(uint32_t step, uint32_t values, v1::MetricRow* row) {
  row->set_step(step);
  for (uint32_t i = 0; i < values; ++i) {
    v1::MetricValue* value = row->add_values();
    value->set_name(i < kNames.size() ? std::string(kNames[i]) : "extra/" + std::to_string(i));
    value->set_value(1.0 / (step + i + 1));
  }
}

}  // namespace coppice::bench
