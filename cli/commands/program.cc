#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "cli/commands/commands.h"
#include "cli/format.h"
#include "cli/json.h"
#include "cli/program/conformance.h"
#include "cli/spec_reader.h"
#include "common/base/directory.h"
#include "common/base/files.h"
#include "common/base/printable.h"
#include "common/base/status_macros.h"
#include "common/spec/axes.h"
#include "common/spec/spec.h"
#include "worker/program/posix_launcher.h"

namespace coppice::cli {
namespace {

struct ProgramCheckOptions {
  std::string spec;
  std::vector<std::string> where;
  uint32_t steps = 0;
  double tolerance = 0;
  uint32_t grace_s = 25;
  uint32_t silence_s = 300;
};

// A fresh folder, removed at the end of scope.
class ScratchFolder {
 public:
  static absl::StatusOr<std::unique_ptr<ScratchFolder>> Make() {
    const char* base = std::getenv("TMPDIR");
    std::string path =
        absl::StrCat(base != nullptr && *base != '\0' ? base : "/tmp", "/coppice-check-XXXXXX");
    if (::mkdtemp(path.data()) == nullptr) {
      return ErrnoToStatus(errno, absl::StrCat("cannot make the folder ", path));
    }
    return std::unique_ptr<ScratchFolder>(new ScratchFolder(path));
  }
  ~ScratchFolder() {
    const size_t slash = path_.rfind('/');
    const auto parent = Directory::Open(path_.substr(0, slash));
    if (parent.ok()) parent->RemoveTree(path_.substr(slash + 1)).IgnoreError();
  }
  const std::string& path() const { return path_; }

 private:
  explicit ScratchFolder(std::string path) : path_(std::move(path)) {}
  const std::string path_;
};

struct Condition {
  std::string axis;
  std::vector<std::string> values;
  bool Holds(const spec::Coordinates& point) const {
    for (const v1::Coordinate& coordinate : point) {
      if (coordinate.axis() != axis) continue;
      return std::find(values.begin(), values.end(), coordinate.value()) != values.end();
    }
    return false;
  }
};

absl::StatusOr<std::vector<Condition>> Conditions(const v1::SweepSpec& sweep,
                                                  const std::vector<std::string>& where) {
  const std::vector<v1::Axis> axes = spec::AxesOf(sweep);
  std::vector<Condition> conditions;
  for (const std::string& text : where) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--where ", PrintableLine(text), " is not AXIS=VALUE"));
    }
    Condition condition{text.substr(0, equals), absl::StrSplit(text.substr(equals + 1), ',')};
    if (spec::FindAxis(axes, condition.axis) == nullptr) {
      const auto names = absl::StrJoin(axes, ", ", [](std::string* out, const v1::Axis& axis) {
        absl::StrAppend(out, axis.name());
      });
      return absl::InvalidArgumentError(absl::StrCat("the sweep has no axis ",
                                                     PrintableLine(condition.axis), "; it has ",
                                                     names.empty() ? "none but seed" : names));
    }
    conditions.push_back(std::move(condition));
  }
  return conditions;
}

struct FirstPoint {
  std::string name;
  v1::RunConfig run;
};
absl::StatusOr<FirstPoint> FindPoint(const v1::SweepSpec& sweep,
                                     const std::vector<std::string>& where) {
  COPPICE_ASSIGN_OR_RETURN(const std::vector<Condition> conditions, Conditions(sweep, where));
  std::optional<FirstPoint> first;
  COPPICE_RETURN_IF_ERROR(spec::ForEachPoint(sweep, [&](const spec::GridPoint& point) {
    const bool meant = std::all_of(
        conditions.begin(), conditions.end(),
        [&point](const Condition& condition) { return condition.Holds(point.coordinates); });
    if (meant && !first) {
      first = FirstPoint{spec::PointText(point.coordinates, point.task, point.depth), point.run};
    }
    return absl::OkStatus();
  }));
  if (first) return *std::move(first);
  return absl::InvalidArgumentError("no point of the grid meets all of --where");
}

absl::string_view Word(RuleOutcome verdict) {
  switch (verdict) {
    case RuleOutcome::kKept:
      return "ok";
    case RuleOutcome::kBroken:
      return "failed";
    case RuleOutcome::kUnknown:
      return "unknown";
  }
  return "";
}

std::string JsonOf(const ConformanceResult& result, const std::string& point) {
  nlohmann::ordered_json rules = nlohmann::ordered_json::array();
  for (const Finding& finding : result.findings) {
    rules.push_back({{"rule", finding.rule},
                     {"verdict", std::string(Word(finding.verdict))},
                     {"text", finding.text}});
  }
  const nlohmann::ordered_json json = {{"ok", result.kept()},
                                       {"point", point},
                                       {"steps", result.steps},
                                       {"report_every", result.report_every},
                                       {"checkpoint_every", result.checkpoint_every},
                                       {"rules", rules},
                                       {"last_words", result.last_words}};
  return EscapeControls(json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

void Print(const ConformanceResult& result, const std::string& point, Context* context) {
  context->out << (point.empty() ? "" : absl::StrCat(Printable(point), ", ")) << result.steps
               << " steps, reports every " << result.report_every << ", checkpoints every "
               << result.checkpoint_every << "\n";
  for (const Finding& finding : result.findings) {
    const Colour colour = finding.verdict == RuleOutcome::kKept     ? Colour::kGreen
                          : finding.verdict == RuleOutcome::kBroken ? Colour::kRed
                                                                    : Colour::kYellow;
    std::string word(Word(finding.verdict));
    word.resize(8, ' ');
    std::string rule = finding.rule;
    rule.resize(12, ' ');
    context->out << Paint(context->terminal, colour, word) << rule << Printable(finding.text)
                 << "\n";
  }
  if (!result.kept() && !result.last_words.empty()) {
    context->out << "its standard error ended with:\n" << Printable(result.last_words) << "\n";
  }
}

absl::StatusOr<int> CheckProgram(const ProgramCheckOptions& options, Context* context) {
  COPPICE_ASSIGN_OR_RETURN(const SpecFile file, ReadSpecFile(options.spec));
  if (!file.spec.has_program()) {
    return absl::InvalidArgumentError(
        absl::StrCat(file.name,
                     " has no `program`: its jobs are trained by coppice-trainer, which needs no "
                     "check"));
  }
  COPPICE_ASSIGN_OR_RETURN(const FirstPoint point, FindPoint(file.spec, options.where));
  COPPICE_ASSIGN_OR_RETURN(const auto scratch, ScratchFolder::Make());
  COPPICE_ASSIGN_OR_RETURN(const auto launcher, worker::PosixLauncher::Create());
  ConformancePlan plan;
  plan.steps = options.steps;
  plan.tolerance = options.tolerance;
  plan.grace = absl::Seconds(options.grace_s);
  plan.silence = absl::Seconds(options.silence_s);
  plan.folder = scratch->path();
  const auto seeds = std::min<int>(file.spec.seeds_size(),
                                   static_cast<int>(std::min(2u, point.run.program().pack())));
  for (int i = 0; i < std::max(1, seeds); ++i) plan.seeds.push_back(file.spec.seeds(i));
  COPPICE_ASSIGN_OR_RETURN(
      const ConformanceResult result,
      CheckConformance(launcher.get(),
                       nlohmann::ordered_json::parse(spec::RunConfigToJson(point.run), nullptr,
                                                     /*allow_exceptions=*/false),
                       plan));
  if (context->json) {
    context->out << JsonOf(result, point.name) << "\n";
  } else {
    Print(result, point.name, context);
  }
  return result.kept() ? kExitDone : kExitFailed;
}

}  // namespace

void AddProgram(CLI::App* app, Context* context, Action* action) {
  CLI::App* program = app->add_subcommand("program", "Check a training program of your own");
  program->require_subcommand(1);
  CLI::App* command = program->add_subcommand(
      "check",
      "Run the program of a spec through start, reports, checkpoints, SIGTERM and resume, and "
      "compare an interrupted run with an undisturbed one; exit code 1 when it breaks the contract "
      "(docs/programs.md). Needs no coordinator");
  const auto options = std::make_shared<ProgramCheckOptions>();
  command->add_option("SPEC", options->spec, "Sweep spec (YAML) with a `program`; - reads stdin")
      ->required();
  command
      ->add_option("--where", options->where,
                   "Check the first point of the grid with this value of an axis; may be repeated")
      ->type_name("AXIS=VALUE[,VALUE]");
  command->add_option("--steps", options->steps, "Steps of a run [two checkpoints]")
      ->check(CLI::Range(4u, 100'000'000u));
  command
      ->add_option("--tolerance", options->tolerance,
                   "Largest relative difference of a resumed run's values [0: the same bits]")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--grace", options->grace_s, "Seconds from SIGTERM to the end [25]")
      ->check(CLI::Range(1u, 86'400u));
  command
      ->add_option("--silence", options->silence_s,
                   "Seconds without an event after which it is killed [300]")
      ->check(CLI::Range(1u, 86'400u));
  command->add_flag("--json", context->json, "Print JSON");
  command->callback([=] { *action = [=] { return CheckProgram(*options, context); }; });
}

}  // namespace coppice::cli
