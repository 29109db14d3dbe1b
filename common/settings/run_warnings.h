// Warnings about settings of a run that are valid but cannot take effect. The spec's reader and the
// trainer share these rules.
#ifndef COPPICE_COMMON_SETTINGS_RUN_WARNINGS_H_
#define COPPICE_COMMON_SETTINGS_RUN_WARNINGS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "common/settings/table.h"

namespace coppice::settings {

// The values that the warnings depend on, by their names in docs/sweep-spec.md.
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
  std::string other;    // the conflicting setting; may be empty
  std::string message;  // follows `setting`: "is 10000 and train.steps 200: ..."
};

// `run` must hold all settings of a run.
RunFacts FactsOf(const Values& run);

std::vector<RunWarning> RunWarnings(const RunFacts& run);

// The probes' estimated share of a run's time, from the measurements in docs/performance.md and
// correct within a factor of about two. 0.08 at the paper's settings; 0 without probes.
double ProbeShare(const RunFacts& run);

}  // namespace coppice::settings

#endif  // COPPICE_COMMON_SETTINGS_RUN_WARNINGS_H_
