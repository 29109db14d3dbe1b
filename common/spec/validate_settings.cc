// The ranges of the single settings.
#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/printable.h"
#include "common/spec/internal.h"

namespace coppice::spec {
namespace {

// Checkpoint names carry the step in nine digits.
constexpr uint32_t kMaxSteps = 999'999'999;
// What the trainer's generators accept for one split.
constexpr uint32_t kMaxExamples = 20'000'000;
// The rest is what the trainer takes (worker/trainer/config.cc), so that nothing is refused there
// that was accepted here.
constexpr uint32_t kMaxDecayStep = std::numeric_limits<int32_t>::max();
constexpr uint32_t kMaxBatchSize = 4'096;
constexpr double kMaxDropout = 0.99;
constexpr double kHuge = 1e30;

// Collects problems under one prefix, so that a range reads as one line.
class Checker {
 public:
  Checker(std::string prefix, std::vector<Problem>* problems)
      : prefix_(std::move(prefix)), problems_(problems) {}

  void Integer(bool present, const char* path, uint32_t value, uint32_t low, uint32_t high) {
    if (!present || (value >= low && value <= high)) return;
    Add(path, absl::StrCat("is ", value, "; use a whole number from ", low, " to ", high));
  }

  // In [low, high), or (low, high) with `open`.
  void Number(bool present, const char* path, double value, double low, double high,
              bool open = false) {
    if (!present) return;
    if (std::isfinite(value) && (open ? value > low : value >= low) && value < high) return;
    const std::string bound =
        high == std::numeric_limits<double>::infinity() ? "" : absl::StrCat(" and below ", high);
    Add(path, absl::StrCat("is ", value, "; use a number ", open ? "above " : "of at least ", low,
                           bound));
  }

  void Add(const char* path, std::string message) {
    problems_->push_back({prefix_ + path, std::move(message)});
  }

 private:
  const std::string prefix_;
  std::vector<Problem>* const problems_;
};

void CheckModel(const v1::ModelSpec& m, Checker* check) {
  check->Integer(m.has_d_model(), "model.d_model", m.d_model(), 2, 16'384);
  if (m.has_d_model() && m.d_model() % 2 != 0) {
    check->Add("model.d_model", absl::StrCat("is ", m.d_model(),
                                             "; use an even number, since positions are encoded "
                                             "as pairs of sine and cosine"));
  }
  check->Integer(m.has_heads(), "model.heads", m.heads(), 1, 256);
  check->Integer(m.has_d_ff(), "model.d_ff", m.d_ff(), 1, 65'536);
  check->Number(m.has_dropout(), "model.dropout", m.dropout(), 0, 1);
  if (m.dropout() > kMaxDropout && m.dropout() < 1) {
    check->Add("model.dropout",
               absl::StrCat("is ", m.dropout(), "; use a number of at most ", kMaxDropout));
  }
}

void CheckTrain(const v1::TrainSpec& t, Checker* check) {
  check->Integer(t.has_steps(), "train.steps", t.steps(), 1, kMaxSteps);
  check->Integer(t.has_batch_size(), "train.batch_size", t.batch_size(), 1, kMaxBatchSize);
  check->Number(t.has_learning_rate(), "train.learning_rate", t.learning_rate(), 0, 10, true);
  check->Integer(t.has_warmup_steps(), "train.warmup_steps", t.warmup_steps(), 0, kMaxSteps);
  check->Integer(t.has_lr_decay_steps(), "train.lr_decay_steps", t.lr_decay_steps(), 1,
                 kMaxDecayStep);
  check->Number(t.has_beta1(), "train.beta1", t.beta1(), 0, 1);
  check->Number(t.has_beta2(), "train.beta2", t.beta2(), 0, 1);
  check->Number(t.has_epsilon(), "train.epsilon", t.epsilon(), 0, 1, true);
  check->Number(t.has_weight_decay(), "train.weight_decay", t.weight_decay(), 0, kHuge);
  check->Number(t.has_clip_norm(), "train.clip_norm", t.clip_norm(), 0, kHuge, true);
  if (t.precision() == "bfloat16") {
    check->Add("train.precision",
               "is bfloat16, in which no device trains yet: a GPU refuses it and a CPU computes "
               "float32; use tf32 or float32");
  } else if (t.has_precision() && t.precision() != "float32" && t.precision() != "tf32") {
    check->Add("train.precision",
               absl::StrCat("is ", Quoted(t.precision()), "; use float32 or tf32"));
  }
}

void CheckPath(const char* key, const std::string& path, Checker* check) {
  // It is shown on the terminals of whoever looks at the sweep.
  if (!IsPrintable(path) || path.size() > 4'096) {
    check->Add(key,
               "is not a path; use one of at most 4096 bytes of UTF-8 without control characters");
  }
}

void CheckFile(const char* key, bool given, const std::string& path, Checker* check) {
  if (given && path.empty()) check->Add(key, "is empty; name a file, or leave the key out");
  CheckPath(key, path, check);
}

void CheckData(const v1::DataSpec& d, Checker* check) {
  check->Integer(d.has_train(), "data.train", d.train(), 1, kMaxExamples);
  check->Integer(d.has_val(), "data.val", d.val(), 1, kMaxExamples);
  check->Integer(d.has_test(), "data.test", d.test(), 1, kMaxExamples);
  check->Integer(d.has_gen(), "data.gen", d.gen(), 1, kMaxExamples);
  const std::string& directory = d.directory();
  if (!directory.empty() && directory.front() != '/') {
    check->Add("data.directory",
               absl::StrCat("is ", Quoted(directory),
                            "; use an absolute path, since workers run in folders of their own"));
  }
  CheckPath("data.directory", directory, check);
  const v1::DataFiles& files = d.files();
  CheckFile("data.files.train", files.has_train(), files.train(), check);
  CheckFile("data.files.val", files.has_val(), files.val(), check);
  CheckFile("data.files.test", files.has_test(), files.test(), check);
  CheckFile("data.files.gen", files.has_gen(), files.gen(), check);
}

void CheckReport(const v1::ReportSpec& r, Checker* check) {
  check->Integer(r.has_every(), "report.every", r.every(), 1, kMaxSteps);
  check->Integer(r.has_decode_sentences(), "report.decode_sentences", r.decode_sentences(), 1,
                 kMaxExamples);
  check->Integer(r.has_dyck_prefixes(), "report.dyck_prefixes", r.dyck_prefixes(), 1, kMaxExamples);
  check->Integer(r.has_stall_seconds(), "report.stall_seconds", r.stall_seconds(), 1, 2'592'000);
  check->Integer(r.probes().has_sentences(), "report.probes.sentences", r.probes().sentences(), 0,
                 kMaxExamples);
  check->Integer(r.probes().has_every(), "report.probes.every", r.probes().every(), 1, kMaxSteps);
}

void CheckCheckpoint(const v1::CheckpointSpec& c, Checker* check) {
  check->Integer(c.has_every(), "checkpoint.every", c.every(), 1, kMaxSteps);
  check->Integer(c.has_keep(), "checkpoint.keep", c.keep(), 1, 10'000);
  check->Integer(c.has_keep_every(), "checkpoint.keep_every", c.keep_every(), 0, kMaxSteps);
}

template <typename Settings>
void CheckAll(const Settings& settings, Checker check) {
  CheckModel(settings.model(), &check);
  CheckTrain(settings.train(), &check);
  CheckData(settings.data(), &check);
  CheckReport(settings.report(), &check);
  CheckCheckpoint(settings.checkpoint(), &check);
}

}  // namespace

std::string Quoted(absl::string_view value) {
  constexpr size_t kLongest = 60;
  size_t end = std::min(value.size(), kLongest);
  // Never inside a character of UTF-8.
  while (end > 0 && end < value.size() && (static_cast<uint8_t>(value[end]) & 0xc0) == 0x80) --end;
  return absl::StrCat("'", absl::Utf8SafeCEscape(value.substr(0, end)),
                      end < value.size() ? "...'" : "'");
}

void ValidateSettings(const v1::SweepSpec& spec, std::vector<Problem>* problems) {
  Checker check("", problems);
  CheckAll(spec, check);
  // An override may still name the folder.
  if (spec.data().has_directory() || spec.overrides_size() > 0) return;
  const v1::DataFiles& files = spec.data().files();
  for (const auto& [key, path] :
       {std::pair("data.files.train", &files.train()), std::pair("data.files.val", &files.val()),
        std::pair("data.files.test", &files.test()), std::pair("data.files.gen", &files.gen())}) {
    if (path->empty() || path->front() == '/') continue;
    check.Add(key, absl::StrCat("is ", Quoted(*path),
                                "; use an absolute path, or name its folder with data.directory"));
  }
}

void ValidateSettings(const v1::Override& change, const std::string& prefix,
                      std::vector<Problem>* problems) {
  CheckAll(change, Checker(prefix, problems));
}

}  // namespace coppice::spec
