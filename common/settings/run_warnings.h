// Settings of a run that are valid and cannot do what they say. One rule for whoever plans a run
// (the spec's reader) and whoever starts it (the trainer).
#ifndef COPPICE_COMMON_SETTINGS_RUN_WARNINGS_H_
#define COPPICE_COMMON_SETTINGS_RUN_WARNINGS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "common/settings/table.h"

namespace coppice::settings {

// What the warnings look at, by the names of docs/sweep-spec.md.
struct RunFacts {
  std::string task;
  int64_t d_model = 0;
  int64_t steps = 0;
  int64_t batch_size = 0;
  int64_t warmup_steps = 0;
  int64_t lr_decay_steps = 0;
  int64_t train_sentences = 0;
  int64_t val_sentences = 0;
  int64_t gen_sentences = 0;
  int64_t report_every = 0;
  int64_t probe_sentences = 0;
  int64_t probe_every = 0;
  int64_t checkpoint_every = 0;
  int64_t checkpoint_keep_every = 0;
};

struct RunWarning {
  std::string setting;  // "train.warmup_steps"
  std::string other;    // the setting it does not go with; may be empty
  std::string message;  // goes after `setting`: "is 10000 and train.steps 200: ..."
};

// Of a whole run.
RunFacts FactsOf(const Values& run);

std::vector<RunWarning> RunWarnings(const RunFacts& run);

// The probes' share of a run's time as docs/performance.md measured it, right within a factor of
// two or so: 0.08 at the paper's settings. 0 without probes.
double ProbeShare(const RunFacts& run);

}  // namespace coppice::settings

#endif  // COPPICE_COMMON_SETTINGS_RUN_WARNINGS_H_
