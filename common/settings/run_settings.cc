// The settings of a run. A new one needs an entry here, a field in proto/coppice/v1/sweep.proto and
// a line in worker/trainer/config/run_fields.cc; tests name the missing ones. The defaults come
// from the paper (Murty et al. 2023) and its released code.
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/settings/table.h"

namespace coppice::settings {
namespace {

// Checkpoint names carry the step in nine digits.
constexpr int64_t kMaxSteps = 999'999'999;
// The dropout counter has 32 bits for a step. A schedule may end after the last step.
constexpr int64_t kMaxScheduleStep = std::numeric_limits<int32_t>::max();
// In the dropout counter batch index, head and position share 32 bits
// (worker/trainer/config/config.h).
constexpr int64_t kMaxBatchSize = 4'096;
constexpr int64_t kMaxHeads = 256;
// The limit of one split, which must fit into memory (worker/trainer/tasks/dataset.h).
constexpr int64_t kMaxExamples = 20'000'000;
// The largest value of the message's field. Larger seeds would add nothing.
constexpr int64_t kMaxSeed = std::numeric_limits<uint32_t>::max();
// No device can hold wider models, and the number of parameters stays far below 64 bits.
constexpr int64_t kMaxWidth = 16'384;
constexpr int64_t kMaxFeedForward = 65'536;
// Dropout divides by the remaining share.
constexpr double kMaxDropout = 0.99;
// The product of two such values is still finite.
constexpr double kHuge = 1e30;

using Many = std::vector<Setting>;

IntegerRange Steps(int64_t low) { return {low, kMaxSteps}; }
IntegerRange Examples(int64_t low) { return {low, kMaxExamples}; }

void AddGrid(Many* table) {
  table->push_back({.path = "task",
                    .flag = "--task",
                    .in_sweep = "tasks",
                    .required = true,
                    .range = WordRange{{"question", "tense", "dyck"}, {}},
                    .help = "question formation, tense reinflection, Dyck-20,10"});
  table->push_back({.path = "depth",
                    .flag = "--depth",
                    .in_sweep = "depths",
                    .required = true,
                    .range = IntegerRange{1, 256},
                    .unit = "layers",
                    .help = "layers of the transformer"});
}

void AddModel(Many* table) {
  table->push_back({.path = "model.d_model",
                    .flag = "--d-model",
                    .range = IntegerRange{2, kMaxWidth, true,
                                          "positions are encoded as pairs of sine and cosine"},
                    .default_value = int64_t{512},
                    .help = "width of the model"});
  table->push_back({.path = "model.heads",
                    .flag = "--heads",
                    .range = IntegerRange{1, kMaxHeads},
                    .default_value = int64_t{8},
                    .help = "attention heads"});
  table->push_back({.path = "model.d_ff",
                    .flag = "--d-ff",
                    .range = IntegerRange{1, kMaxFeedForward},
                    .default_value = int64_t{2048},
                    .help = "hidden width of the feed-forward layers"});
  table->push_back({.path = "model.dropout",
                    .flag = "--dropout",
                    .range = NumberRange{0, kMaxDropout},
                    .default_value = 0.1,
                    .help = "dropout of embeddings, attention, feed-forward and residuals"});
}

void AddOptimizer(Many* table) {
  table->push_back({.path = "train.beta1",
                    .flag = "--beta1",
                    .range = NumberRange{0, 1, false, true},
                    .default_value = 0.9,
                    .help = "Adam's decay of the first moment"});
  table->push_back({.path = "train.beta2",
                    .flag = "--beta2",
                    .range = NumberRange{0, 1, false, true},
                    .default_value = 0.999,
                    .help = "Adam's decay of the second moment"});
  table->push_back({.path = "train.epsilon",
                    .flag = "--epsilon",
                    .range = NumberRange{0, 1, true, true},
                    .default_value = 1e-7,
                    .help = "Adam's epsilon"});
  table->push_back({.path = "train.weight_decay",
                    .flag = "--weight-decay",
                    .range = NumberRange{0, kHuge},
                    .default_value = 0.0,
                    .help = "decoupled weight decay"});
  table->push_back({.path = "train.clip_norm",
                    .flag = "--clip-norm",
                    .range = NumberRange{0, kHuge, true, false},
                    .default_value = 1.0,
                    .help = "largest global gradient norm"});
  table->push_back(
      {.path = "train.precision",
       .flag = "--precision",
       .range = WordRange{{"float32", "tf32"},
                          {{"bfloat16",
                            "is bfloat16, in which no device trains yet; use tf32 or float32"}}},
       .default_value = "tf32",
       .help = "matrix products on a GPU; a CPU computes float32"});
}

void AddTraining(Many* table) {
  table->push_back({.path = "train.steps",
                    .flag = "--steps",
                    .range = Steps(1),
                    .default_value = int64_t{300'000},
                    .default_of_task = {{"dyck", int64_t{400'000}}},
                    .unit = "steps",
                    .help = "training steps"});
  table->push_back({.path = "train.batch_size",
                    .flag = "--batch-size",
                    .range = IntegerRange{1, kMaxBatchSize},
                    .default_value = int64_t{8},
                    .unit = "sentences",
                    .help = "sentences of a batch"});
  // At 0 nothing would be learned; above 10 there is only noise.
  table->push_back({.path = "train.learning_rate",
                    .flag = "--learning-rate",
                    .range = NumberRange{0, 10, true, true},
                    .default_value = 1e-4,
                    .help = "peak learning rate, after the warm-up"});
  table->push_back({.path = "train.warmup_steps",
                    .flag = "--warmup-steps",
                    .range = Steps(0),
                    .default_value = int64_t{10'000},
                    .unit = "steps",
                    .help = "linear warm-up from 0"});
  table->push_back({.path = "train.lr_decay_steps",
                    .flag = "--lr-decay-steps",
                    .range = IntegerRange{1, kMaxScheduleStep},
                    .default_value = int64_t{2'000'000},
                    .unit = "steps",
                    .help = "step at which the linear decay reaches 0"});
  AddOptimizer(table);
}

Setting Split(const char* name, const char* flag, int64_t size, int64_t size_of_dyck,
              const char* help) {
  Setting setting = {.path = absl::StrCat("data.", name),
                     .flag = flag,
                     .range = Examples(1),
                     .default_value = size,
                     .unit = "sentences",
                     .help = help};
  if (size_of_dyck != size) setting.default_of_task = {{"dyck", size_of_dyck}};
  return setting;
}

Setting File(const char* name, const char* flag, const char* help) {
  return {.path = absl::StrCat("data.files.", name),
          .flag = flag,
          .range = PathRange{PathRange::Kind::kFile},
          .help = help};
}

void AddData(Many* table) {
  table->push_back({.path = "data.seed",
                    .flag = "--data-seed",
                    .range = IntegerRange{0, kMaxSeed},
                    .default_value = int64_t{0},
                    .help = "seed of the data, a function of task, seed and sizes"});
  table->push_back(Split("train", "--train-size", 100'000, 200'000, "training split"));
  table->push_back(Split("val", "--val-size", 1'000, 20'000, "in-domain validation split"));
  table->push_back(Split("test", "--test-size", 10'000, 10'000, "in-domain test split"));
  table->push_back(Split("gen", "--gen-size", 10'000, 20'000, "generalization split"));
  table->push_back({.path = "data.directory",
                    .flag = "--data-dir",
                    .range = PathRange{PathRange::Kind::kFolder},
                    .default_value = "",
                    .help = "folder to read the splits from; every worker must see it"});
  table->push_back(File("train", "--train-file", "file of the training split"));
  table->push_back(File("val", "--val-file", "file of the in-domain validation split"));
  table->push_back(File("test", "--test-file", "file of the in-domain test split"));
  table->push_back(File("gen", "--gen-file", "file of the generalization split"));
}

void AddReport(Many* table) {
  table->push_back({.path = "report.every",
                    .flag = "--report-every",
                    .range = Steps(1),
                    .default_value = int64_t{3'000},
                    .unit = "steps",
                    .help = "steps between reports; the last step is reported too"});
  table->push_back({.path = "report.decode_sentences",
                    .flag = "--decode-sentences",
                    .range = Examples(1),
                    .default_value = int64_t{2'000},
                    .unit = "sentences",
                    .help = "tense: decoded of a split, a sample fixed by data.seed"});
  table->push_back({.path = "report.dyck_prefixes",
                    .flag = "--dyck-prefixes",
                    .range = Examples(1),
                    .default_value = int64_t{5'000},
                    .unit = "positions",
                    .help = "dyck: closing brackets scored of a split"});
  table->push_back({.path = "report.probes.sentences",
                    .flag = "--probe-sentences",
                    .range = Examples(0),
                    .default_value = int64_t{10'000},
                    .default_of_task = {{"dyck", int64_t{500}}},
                    .unit = "sentences",
                    .help = "training inputs probed, a sample fixed by data.seed; 0: no probes"});
  table->push_back({.path = "report.probes.every",
                    .flag = "--probe-every",
                    .range = Steps(1),
                    .default_value = int64_t{1},
                    .unit = "reports",
                    .help = "reports between probes; the last report has them too"});
  table->push_back({.path = "report.stall_seconds",
                    .for_worker = true,
                    .range = IntegerRange{1, 2'592'000},
                    .without = "its own pace",
                    .unit = "seconds",
                    .help = "a trainer that does not get on for so long is ended"});
}

void AddCheckpoint(Many* table) {
  table->push_back({.path = "checkpoint.every",
                    .flag = "--checkpoint-every",
                    .range = Steps(1),
                    .default_value = int64_t{15'000},
                    .unit = "steps",
                    .help = "steps between checkpoints; the last step has one too"});
  table->push_back({.path = "checkpoint.keep",
                    .flag = "--keep",
                    .range = IntegerRange{1, 10'000},
                    .default_value = int64_t{2},
                    .unit = "checkpoints",
                    .help = "how many of the newest are kept"});
  table->push_back({.path = "checkpoint.keep_every",
                    .flag = "--keep-every",
                    .range = Steps(0),
                    .default_value = int64_t{0},
                    .unit = "steps",
                    .help = "those at multiples of it are kept too; 0: none"});
}

// A relative file path starts at the folder. Without a folder it would depend on the worker's own.
CrossCheck FileHasAFolder(const char* path) {
  return {
      .settings = {path, "data.directory"},
      .strictest = Origin::kSweep,
      .holds =
          [path](const Values& run) {
            const std::string file = run.Text(path);
            return file.empty() || absl::StartsWith(file, "/") ||
                   !run.Text("data.directory").empty();
          },
      .mistake = [path](const Values& run) { return absl::StrCat("is ", Quoted(run.Text(path))); },
      .remedy = "use an absolute path, or name its folder with data.directory",
      .range = ""};
}

std::vector<CrossCheck> Checks() {
  std::vector<CrossCheck> checks;
  checks.push_back({.settings = {"model.heads", "model.d_model"},
                    .holds =
                        [](const Values& r) {
                          return r.Integer("model.d_model") % r.Integer("model.heads") == 0;
                        },
                    .mistake =
                        [](const Values& r) {
                          return absl::StrCat("does not fit: ", r.Integer("model.heads"),
                                              " heads do not divide a d_model of ",
                                              r.Integer("model.d_model"));
                        },
                    .remedy = "use heads that divide it, or another d_model",
                    .range = "divides `model.d_model`"});
  checks.push_back(
      {.settings = {"train.lr_decay_steps", "train.warmup_steps"},
       .holds =
           [](const Values& r) {
             return r.Integer("train.lr_decay_steps") > r.Integer("train.warmup_steps");
           },
       .mistake =
           [](const Values& r) {
             return absl::StrCat("makes the learning rate reach 0 at step ",
                                 r.Integer("train.lr_decay_steps"), ", before the warm-up of ",
                                 r.Integer("train.warmup_steps"), " steps ends");
           },
       .remedy = "use a train.lr_decay_steps above train.warmup_steps",
       .range = "above `train.warmup_steps`"});
  checks.push_back(
      {.settings = {"train.batch_size", "data.train"},
       .holds =
           [](const Values& r) { return r.Integer("train.batch_size") <= r.Integer("data.train"); },
       .mistake =
           [](const Values& r) {
             return absl::StrCat("makes a batch of ", r.Integer("train.batch_size"), " out of ",
                                 r.Integer("data.train"), " training sentences");
           },
       .remedy = "use a train.batch_size of at most data.train",
       .range = "at most `data.train`"});
  for (const char* file :
       {"data.files.train", "data.files.val", "data.files.test", "data.files.gen"})
    checks.push_back(FileHasAFolder(file));
  return checks;
}

}  // namespace

const Table& RunSettings() {
  static const Table* const table = [] {
    Many settings;
    AddGrid(&settings);
    AddModel(&settings);
    AddTraining(&settings);
    AddData(&settings);
    AddReport(&settings);
    AddCheckpoint(&settings);
    return new Table(std::move(settings), Checks());
  }();
  return *table;
}

}  // namespace coppice::settings
