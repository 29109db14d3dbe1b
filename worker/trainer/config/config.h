// The run spec of docs/trainer-protocol.md as checked structures: the settings of a training. Free
// of LibTorch.
#ifndef COPPICE_WORKER_TRAINER_CONFIG_CONFIG_H_
#define COPPICE_WORKER_TRAINER_CONFIG_CONFIG_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/device_spec.h"
#include "common/settings/precision.h"
#include "nlohmann/json.hpp"
#include "worker/trainer/tasks/dataset.h"

namespace coppice::trainer {

// In the dropout counter (model/dropout.h) batch index, head and position share 32 bits. This is
// the longest sentence for which they suffice with the largest batch and the most heads that the
// table of settings allows.
inline constexpr int64_t kMaxSequenceLength = 4096;

// The settings of common/settings/run_settings.cc, with their defaults for the question task.
// run_fields.h maps settings to fields. A test compares the defaults.
struct ModelConfig {
  int64_t d_model = 512;
  int64_t heads = 8;
  int64_t d_ff = 2048;
  double dropout = 0.1;
  bool operator==(const ModelConfig&) const = default;
};

struct TrainConfig {
  int64_t steps = 300000;
  int64_t batch_size = 8;
  double learning_rate = 1e-4;
  int64_t warmup_steps = 10000;
  int64_t lr_decay_steps = 2000000;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-7;
  double weight_decay = 0;
  double clip_norm = 1.0;
  settings::Precision precision = settings::Precision::kTf32;
};

struct DataConfig {
  uint64_t seed = 0;
  int64_t train = 100000;
  int64_t val = 1000;
  int64_t test = 10000;
  int64_t gen = 10000;
  std::string directory;
  SplitFiles files;
};

struct ReportConfig {
  int64_t every = 3000;
  int64_t decode_sentences = 2000;
  int64_t dyck_prefixes = 5000;
  int64_t probe_sentences = 10000;  // 0: no probes
  int64_t probe_every = 1;          // in reports
};

struct CheckpointConfig {
  int64_t every = 15000;
  int64_t keep = 2;
  int64_t keep_every = 0;  // in steps; 0: keeps only the newest `keep`
};

struct RunConfig {
  Task task = Task::kQuestion;
  int64_t depth = 0;
  ModelConfig model;
  TrainConfig train;
  DataConfig data;
  ReportConfig report;
  CheckpointConfig checkpoint;
};

struct MemberSpec {
  uint64_t seed = 0;
  std::string checkpoint_dir;
  std::string resume;  // empty: start at step 0
};

struct PackSpec {
  RunConfig run;
  std::vector<MemberSpec> members;
  int64_t threads = 1;
  DeviceSpec device;
  bool prune = true;
};

// INVALID_ARGUMENT names the key ("run.model.heads must ...") and, for an unknown key, the nearest
// known one.
absl::StatusOr<PackSpec> ParsePackSpec(const nlohmann::json& document);
absl::StatusOr<PackSpec> ParsePackSpecText(absl::string_view text);
absl::StatusOr<RunConfig> ParseRunConfigText(absl::string_view text);

// The dataset on which the run is trained and measured.
DatasetOptions DatasetOptionsOf(const RunConfig& run);

// Writes every key; ParseRunConfigText reads it back.
nlohmann::json ToJson(const RunConfig& run);

// Names the difference that makes `wanted` another experiment than the checkpoint's run `saved`
// ("run.model.d_model is 64 here and 512 in the checkpoint"). Returns "" when there is none.
// train.steps and checkpoint.* may differ.
std::string DescribeDifference(const RunConfig& wanted, const RunConfig& saved);

// Parses "0-9", "0,2,5" or a mix of both. INVALID_ARGUMENT: anything else, a repeated seed, or more
// than a million seeds.
absl::StatusOr<std::vector<uint64_t>> ParseSeeds(absl::string_view text);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_CONFIG_CONFIG_H_
