#include "worker/trainer/options.h"

#include <iostream>
#include <map>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "common/base/build_info.h"
#include "common/base/files.h"
#include "common/base/regular_file.h"
#include "common/base/status_macros.h"
#include "common/base/usage.h"

namespace coppice::trainer {
namespace {

using nlohmann::json;

// A spec of a million members is smaller.
constexpr uint64_t kMaxSpecBytes = uint64_t{256} << 20;

enum class FlagType { kNumber, kText };

// A flag and the place in the run spec it fills. Values are checked by the spec's own reader.
struct Flag {
  const char* name;
  const char* pointer;
  FlagType type;
  const char* help;
};

constexpr Flag kFlags[] = {
    {"--task", "/run/task", FlagType::kText, "question, tense or dyck (required)"},
    {"--depth", "/run/depth", FlagType::kNumber, "layers (required)"},
    {"--d-model", "/run/model/d_model", FlagType::kNumber, "width of the model (512)"},
    {"--heads", "/run/model/heads", FlagType::kNumber, "attention heads (8)"},
    {"--d-ff", "/run/model/d_ff", FlagType::kNumber, "width of the feed-forward layers (2048)"},
    {"--dropout", "/run/model/dropout", FlagType::kNumber, "dropout probability (0.1)"},
    {"--steps", "/run/train/steps", FlagType::kNumber, "training steps (300000; dyck 400000)"},
    {"--batch-size", "/run/train/batch_size", FlagType::kNumber, "sentences in a batch (8)"},
    {"--learning-rate", "/run/train/learning_rate", FlagType::kNumber, "peak learning rate (1e-4)"},
    {"--warmup-steps", "/run/train/warmup_steps", FlagType::kNumber,
     "steps of linear warm-up (10000)"},
    {"--lr-decay-steps", "/run/train/lr_decay_steps", FlagType::kNumber,
     "step at which the rate reaches 0 (2000000)"},
    {"--beta1", "/run/train/beta1", FlagType::kNumber, "Adam (0.9)"},
    {"--beta2", "/run/train/beta2", FlagType::kNumber, "Adam (0.999)"},
    {"--epsilon", "/run/train/epsilon", FlagType::kNumber, "Adam (1e-7)"},
    {"--weight-decay", "/run/train/weight_decay", FlagType::kNumber, "decoupled weight decay (0)"},
    {"--clip-norm", "/run/train/clip_norm", FlagType::kNumber, "largest gradient norm (1.0)"},
    {"--precision", "/run/train/precision", FlagType::kText,
     "of products on a GPU: tf32 or float32 (tf32)"},
    {"--data-seed", "/run/data/seed", FlagType::kNumber, "seed of the generated dataset (0)"},
    {"--train-size", "/run/data/train", FlagType::kNumber,
     "training sentences (100000; dyck 200000)"},
    {"--val-size", "/run/data/val", FlagType::kNumber,
     "in-domain validation sentences (1000; dyck 20000)"},
    {"--test-size", "/run/data/test", FlagType::kNumber, "in-domain test sentences (10000)"},
    {"--gen-size", "/run/data/gen", FlagType::kNumber,
     "generalization sentences (10000; dyck 20000)"},
    {"--data-dir", "/run/data/directory", FlagType::kText,
     "read the splits from this folder instead"},
    {"--train-file", "/run/data/files/train", FlagType::kText,
     "read the training split from this file"},
    {"--val-file", "/run/data/files/val", FlagType::kText,
     "read the in-domain validation split from this file"},
    {"--test-file", "/run/data/files/test", FlagType::kText,
     "read the in-domain test split from this file"},
    {"--gen-file", "/run/data/files/gen", FlagType::kText,
     "read the generalization split from this file"},
    {"--report-every", "/run/report/every", FlagType::kNumber, "steps between reports (3000)"},
    {"--decode-sentences", "/run/report/decode_sentences", FlagType::kNumber,
     "tense: sentences decoded (2000)"},
    {"--dyck-prefixes", "/run/report/dyck_prefixes", FlagType::kNumber,
     "dyck: closing brackets scored (5000)"},
    {"--probe-sentences", "/run/report/probes/sentences", FlagType::kNumber,
     "training inputs probed; 0: none (10000; dyck 500)"},
    {"--probe-every", "/run/report/probes/every", FlagType::kNumber, "reports between probes (1)"},
    {"--checkpoint-every", "/run/checkpoint/every", FlagType::kNumber,
     "steps between checkpoints (15000)"},
    {"--keep", "/run/checkpoint/keep", FlagType::kNumber, "checkpoints kept (2)"},
    {"--keep-every", "/run/checkpoint/keep_every", FlagType::kNumber,
     "also keep those at multiples of it (0: none)"},
    {"--threads", "/threads", FlagType::kNumber,
     "compute threads, at most one for each member (1)"},
    {"--device", "/device", FlagType::kText, "auto, cpu, cuda or cuda:N (auto)"},
};

absl::StatusOr<json> FlagValue(const Flag& flag, const std::string& text) {
  if (flag.type == FlagType::kText) return json(text);
  const json value = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!value.is_number()) {
    return absl::InvalidArgumentError(
        absl::StrCat(flag.name, " must be a number, not \"", text, "\""));
  }
  return value;
}

// The flags that describe a run: a spec file, or one flag for each setting.
class RunFlags {
 public:
  explicit RunFlags(CLI::App* app) {
    spec_ = app->add_option("--spec", spec_file_, "read the run from this JSON file");
    for (const Flag& flag : kFlags) {
      by_hand_.push_back(app->add_option_function<std::string>(
          flag.name, [this, &flag](const std::string& text) { values_[&flag] = text; }, flag.help));
    }
  }
  RunFlags(const RunFlags&) = delete;
  RunFlags& operator=(const RunFlags&) = delete;

  // Another one that says what a spec file would.
  void AddByHand(CLI::Option* option) { by_hand_.push_back(option); }
  bool has_file() const { return spec_->count() > 0; }
  // `seeds` and `out` are for a run by hand. Codes of ParseCommandLine.
  absl::StatusOr<PackSpec> Spec(const std::string& seeds, const std::string& out) const {
    return has_file() ? FromFile() : FromFlags(seeds, out);
  }

 private:
  absl::StatusOr<PackSpec> FromFile() const;
  absl::StatusOr<PackSpec> FromFlags(const std::string& seeds, const std::string& out) const;

  std::string spec_file_;
  std::map<const Flag*, std::string> values_;
  CLI::Option* spec_ = nullptr;
  std::vector<CLI::Option*> by_hand_;
};

absl::StatusOr<PackSpec> RunFlags::FromFile() const {
  for (const CLI::Option* option : by_hand_) {
    if (option->count() == 0) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(option->get_name(), " cannot be given beside --spec"));
  }
  COPPICE_ASSIGN_OR_RETURN(const std::string text, ReadRegularFile(spec_file_, kMaxSpecBytes));
  absl::StatusOr<PackSpec> parsed = ParsePackSpecText(text);
  if (parsed.ok()) return parsed;
  return absl::InvalidArgumentError(absl::StrCat(spec_file_, ": ", parsed.status().message()));
}

absl::StatusOr<PackSpec> RunFlags::FromFlags(const std::string& seeds,
                                             const std::string& out) const {
  // As in a sweep, products on a GPU go through TF32 unless it is said otherwise.
  json document = {{"run", {{"train", {{"precision", "tf32"}}}}}, {"members", json::array()}};
  for (const auto& [flag, text] : values_) {
    COPPICE_ASSIGN_OR_RETURN(document[json::json_pointer(flag->pointer)], FlagValue(*flag, text));
  }
  for (const char* required : {"task", "depth"}) {
    if (!document["run"].contains(required))
      return absl::InvalidArgumentError(absl::StrCat("--", required, " is missing"));
  }
  COPPICE_ASSIGN_OR_RETURN(const std::vector<uint64_t> parsed, ParseSeeds(seeds));
  for (const uint64_t seed : parsed) {
    document["members"].push_back(
        {{"seed", seed}, {"checkpoint_dir", JoinPath(out, absl::StrCat("seed-", seed))}});
  }
  return ParsePackSpec(document);
}

void AddLogLevel(CLI::App* app, std::string* level) {
  *level = "info";
  app->add_option("--log-level", *level,
                  "trace, debug, info, warn, error or off, for stderr (info)")
      ->default_str("info");
}

// False when the command line asked for text, which was printed.
absl::StatusOr<bool> Parse(CLI::App* app, int argc, const char* const* argv) {
  try {
    app->parse(argc, argv);
  } catch (const CLI::Success& success) {
    app->exit(success);
    return false;
  } catch (const CLI::ParseError& error) {
    UsageNames names = NamesOf(*app, {});
    names.commands = {"data", "measure"};
    return absl::InvalidArgumentError(absl::StrCat(error.what(),
                                                   UsageAdvice(names, {argv + 1, argv + argc}),
                                                   " (see ", app->get_name(), " --help)"));
  }
  return true;
}

}  // namespace

absl::StatusOr<std::optional<Options>> ParseCommandLine(int argc, const char* const* argv) {
  Options options;
  std::string seeds = "0";
  std::string out = "coppice-run";
  CLI::App app(
      "Trains a pack of transformer language models that differ only in seed.\n"
      "Events go to stdout, one JSON object a line; see docs/trainer-protocol.md.\n"
      "`coppice-trainer data --help`: write a dataset's split as a text file instead.\n"
      "`coppice-trainer measure --help`: see how fast packs of several widths train here.",
      "coppice-trainer");
  app.set_version_flag("--version", ProgramVersion("coppice-trainer"));
  RunFlags run(&app);
  run.AddByHand(app.add_option("--seeds", seeds, "a range or a list, such as 0-9 or 0,2,5 (0)"));
  run.AddByHand(app.add_option(
      "--out", out, "folder for checkpoints; resumed from when it holds some (coppice-run)"));
  AddLogLevel(&app, &options.log_level);
  COPPICE_ASSIGN_OR_RETURN(const bool parsed, Parse(&app, argc, argv));
  if (!parsed) return std::optional<Options>();
  if (!run.has_file()) {
    options.by_hand = true;
    options.out = out;
  }
  COPPICE_ASSIGN_OR_RETURN(options.spec, run.Spec(seeds, out));
  return std::optional<Options>(std::move(options));
}

absl::StatusOr<std::optional<MeasureCommand>> ParseMeasureCommand(int argc,
                                                                  const char* const* argv) {
  MeasureCommand command;
  double seconds = absl::ToDoubleSeconds(command.limit);
  CLI::App app(
      "Trains packs of 1, 2, 4 and so on seeds of a run for a moment each and says how fast they "
      "were\nand what memory they took, one JSON object a line. Writes no file. On a CPU no pack "
      "has "
      "more\nseeds than --threads.",
      "coppice-trainer measure");
  RunFlags run(&app);
  app.add_option("--max-width", command.max_width, "the widest pack (32)")
      ->check(CLI::Range(1, 4096));
  app.add_option("--seconds", seconds, "for all of them together, once there are data (10)")
      ->check(CLI::Range(0.1, 3600.0));
  AddLogLevel(&app, &command.log_level);
  COPPICE_ASSIGN_OR_RETURN(const bool parsed, Parse(&app, argc, argv));
  if (!parsed) return std::optional<MeasureCommand>();
  command.limit = absl::Seconds(seconds);
  COPPICE_ASSIGN_OR_RETURN(command.spec, run.Spec("0", "unused"));
  return std::optional<MeasureCommand>(std::move(command));
}

}  // namespace coppice::trainer
