#include "worker/trainer/options.h"

#include <iostream>
#include <map>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"

namespace coppice::trainer {
namespace {

using nlohmann::json;

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
    {"--precision", "/run/train/precision", FlagType::kText, "float32, tf32 or bfloat16 (float32)"},
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
    {"--device", "/device", FlagType::kText, "auto, cpu or cuda (auto)"},
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

absl::StatusOr<PackSpec> SpecFromFlags(const std::map<const Flag*, std::string>& values,
                                       const std::string& seeds, const std::string& out) {
  json document = {{"run", json::object()}, {"members", json::array()}};
  for (const auto& [flag, text] : values) {
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

}  // namespace

absl::StatusOr<std::optional<Options>> ParseCommandLine(int argc, const char* const* argv) {
  Options options;
  std::string spec_file;
  std::string seeds = "0";
  std::string out = "coppice-run";
  std::map<const Flag*, std::string> values;

  CLI::App app(
      "Trains a pack of transformer language models that differ only in seed.\n"
      "Events go to stdout, one JSON object a line; see docs/trainer-protocol.md.\n"
      "`coppice-trainer data --help`: write a dataset's split as a text file instead.",
      "coppice-trainer");
  app.set_version_flag("--version", std::string("coppice-trainer " COPPICE_VERSION));
  auto* spec = app.add_option("--spec", spec_file, "read the run from this JSON file");
  std::vector<CLI::Option*> by_hand;
  by_hand.push_back(
      app.add_option("--seeds", seeds, "a range or a list, such as 0-9 or 0,2,5 (0)"));
  by_hand.push_back(app.add_option(
      "--out", out, "folder for checkpoints; resumed from when it holds some (coppice-run)"));
  for (const Flag& flag : kFlags) {
    by_hand.push_back(app.add_option_function<std::string>(
        flag.name, [&values, &flag](const std::string& text) { values[&flag] = text; }, flag.help));
  }
  app.add_option("--log-level", options.log_level,
                 "trace, debug, info, warn, error or off, for stderr (info)")
      ->default_str("info");
  options.log_level = "info";
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    app.exit(success);
    return std::optional<Options>();
  } catch (const CLI::ParseError& error) {
    return absl::InvalidArgumentError(absl::StrCat(error.what(), " (see --help)"));
  }

  if (spec->count() > 0) {
    for (const CLI::Option* option : by_hand) {
      if (option->count() > 0) {
        return absl::InvalidArgumentError(
            absl::StrCat(option->get_name(), " cannot be given beside --spec"));
      }
    }
    COPPICE_ASSIGN_OR_RETURN(const std::string text, ReadFile(spec_file));
    absl::StatusOr<PackSpec> parsed = ParsePackSpecText(text);
    if (!parsed.ok())
      return absl::InvalidArgumentError(absl::StrCat(spec_file, ": ", parsed.status().message()));
    options.spec = *std::move(parsed);
    return std::optional<Options>(std::move(options));
  }
  options.by_hand = true;
  options.out = out;
  COPPICE_ASSIGN_OR_RETURN(options.spec, SpecFromFlags(values, seeds, out));
  return std::optional<Options>(std::move(options));
}

}  // namespace coppice::trainer
