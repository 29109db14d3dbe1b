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
#include "common/settings/table.h"
#include "worker/trainer/config/run_flags.h"

namespace coppice::trainer {
namespace {

using nlohmann::json;

// Larger than a spec of a million members.
constexpr uint64_t kMaxSpecBytes = uint64_t{256} << 20;

// One flag for each setting, and for each value that all runs of a machine share.
const std::vector<RunFlag>& Flags() {
  static const auto* const flags = [] {
    auto* all = new std::vector<RunFlag>(FlagsOf(settings::RunSettings()));
    all->push_back({"--threads", "/threads", true,
                    "compute threads, at most one for each member (1; 1 to 1024)"});
    all->push_back({"--device", "/device", false, "auto, cpu, cuda or cuda:N (auto)"});
    return all;
  }();
  return *flags;
}

// The description of a run: a spec file, or one flag for each setting.
class RunFlags {
 public:
  explicit RunFlags(CLI::App* app) {
    spec_ = app->add_option("--spec", spec_file_, "read the run from this JSON file");
    for (const RunFlag& flag : Flags()) {
      standalone_.push_back(app->add_option_function<std::string>(
          flag.name, [this, &flag](const std::string& text) { values_[&flag] = text; }, flag.help));
    }
  }
  RunFlags(const RunFlags&) = delete;
  RunFlags& operator=(const RunFlags&) = delete;

  // Adds another flag that a spec file excludes.
  void AddStandalone(CLI::Option* option) { standalone_.push_back(option); }
  bool has_file() const { return spec_->count() > 0; }
  // `seeds` and `out` are those of a run by hand. Codes of ParseCommandLine.
  absl::StatusOr<PackSpec> Spec(const std::string& seeds, const std::string& out,
                                std::string* refused = nullptr) const {
    return has_file() ? FromFile(refused) : FromFlags(seeds, out);
  }

 private:
  absl::StatusOr<PackSpec> FromFile(std::string* refused) const;
  absl::StatusOr<PackSpec> FromFlags(const std::string& seeds, const std::string& out) const;

  std::string spec_file_;
  std::map<const RunFlag*, std::string> values_;
  CLI::Option* spec_ = nullptr;
  std::vector<CLI::Option*> standalone_;
};

absl::StatusOr<PackSpec> RunFlags::FromFile(std::string* refused) const {
  for (const CLI::Option* option : standalone_) {
    if (option->count() == 0) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(option->get_name(), " cannot be given beside --spec"));
  }
  COPPICE_ASSIGN_OR_RETURN(const std::string text, ReadRegularFile(spec_file_, kMaxSpecBytes));
  absl::StatusOr<PackSpec> parsed = ParsePackSpecText(text);
  if (parsed.ok()) return parsed;
  if (refused != nullptr) *refused = std::string(parsed.status().message());
  return absl::InvalidArgumentError(absl::StrCat(spec_file_, ": ", parsed.status().message()));
}

absl::StatusOr<PackSpec> RunFlags::FromFlags(const std::string& seeds,
                                             const std::string& out) const {
  json document = {{"run", json::object()}, {"members", json::array()}};
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

// False: the command line asked for text, which was printed.
absl::StatusOr<bool> Parse(CLI::App* app, int argc, const char* const* argv) {
  try {
    app->parse(argc, argv);
  } catch (const CLI::Success& success) {
    app->exit(success);
    return false;
  } catch (const CLI::ParseError& error) {
    UsageNames names = NamesOf(*app, {});
    names.commands = {"data", "devices", "measure"};
    return absl::InvalidArgumentError(absl::StrCat(error.what(),
                                                   UsageAdvice(names, {argv + 1, argv + argc}),
                                                   " (see ", app->get_name(), " --help)"));
  }
  return true;
}

}  // namespace

absl::StatusOr<std::optional<Options>> ParseCommandLine(int argc, const char* const* argv,
                                                        std::string* refused) {
  Options options;
  std::string seeds = "0";
  std::string out = "coppice-run";
  CLI::App app(
      "Trains a pack of transformer language models that differ only in seed.\n"
      "Events go to stdout, one JSON object a line; see docs/trainer-protocol.md.\n"
      "`coppice-trainer data --help`: write a dataset's split as a text file instead.\n"
      "`coppice-trainer devices`: see which CUDA devices there are, and whether they can be used.\n"
      "`coppice-trainer measure --help`: see how fast packs of several widths train here.",
      "coppice-trainer");
  app.set_version_flag("--version", ProgramVersion("coppice-trainer"));
  RunFlags run(&app);
  run.AddStandalone(
      app.add_option("--seeds", seeds, "a range or a list, such as 0-9 or 0,2,5 (0)"));
  run.AddStandalone(app.add_option(
      "--out", out, "folder for checkpoints; resumed from when it holds some (coppice-run)"));
  AddLogLevel(&app, &options.log_level);
  COPPICE_ASSIGN_OR_RETURN(const bool parsed, Parse(&app, argc, argv));
  if (!parsed) return std::optional<Options>();
  if (!run.has_file()) {
    options.standalone = true;
    options.out = out;
  }
  COPPICE_ASSIGN_OR_RETURN(options.spec, run.Spec(seeds, out, refused));
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

absl::StatusOr<bool> ParseDevicesCommand(int argc, const char* const* argv) {
  CLI::App app(
      "Says as one line of JSON which CUDA devices this trainer sees, whether it can use each, and "
      "if not,\nwhat to do. Exit code 0, also where there is none.",
      "coppice-trainer devices");
  return Parse(&app, argc, argv);
}

}  // namespace coppice::trainer
