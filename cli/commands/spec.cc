#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "cli/commands/commands.h"
#include "cli/format.h"
#include "cli/json.h"
#include "cli/stored_spec.h"
#include "common/base/status_macros.h"
#include "common/spec/difference.h"

namespace coppice::cli {
namespace {

constexpr size_t kMaxPointsNamed = 8;

absl::StatusOr<int> PrintSpec(const std::string& name, Context* context) {
  COPPICE_ASSIGN_OR_RETURN(Client * client, context->Connect());
  COPPICE_ASSIGN_OR_RETURN(const std::string sweep, ResolveSweep(client, name));
  COPPICE_ASSIGN_OR_RETURN(const v1::GetSweepResponse stored, client->GetSweep(sweep));
  if (context->json) {
    context->out << ToJson(CurrentSpec(stored));
    return kExitDone;
  }
  COPPICE_ASSIGN_OR_RETURN(const std::string text, SpecText(CurrentSpec(stored)));
  context->out << text;
  return kExitDone;
}

// A word with a slash or the ending of a YAML file names a file, also where a sweep has that name.
bool NamesFile(const std::string& word) {
  return word == "-" || absl::StrContains(word, '/') || absl::EndsWith(word, ".yaml") ||
         absl::EndsWith(word, ".yml");
}

absl::StatusOr<v1::SweepSpec> ReadSide(const std::string& word, Context* context) {
  if (!absl::StartsWith(word, "sweep:") && NamesFile(word)) {
    COPPICE_ASSIGN_OR_RETURN(SpecFile file, ReadSpecFile(word));
    return std::move(file.spec);
  }
  COPPICE_ASSIGN_OR_RETURN(Client * client, context->Connect());
  absl::StatusOr<std::string> sweep = ResolveSweep(client, word);
  if (absl::IsNotFound(sweep.status())) {
    return absl::NotFoundError(
        absl::StrCat(std::string(sweep.status().message()),
                     " (a file has a slash in its name, or ends in .yaml: ./", word, ")"));
  }
  COPPICE_RETURN_IF_ERROR(sweep.status());
  COPPICE_ASSIGN_OR_RETURN(v1::GetSweepResponse stored, client->GetSweep(*sweep));
  return std::move(*stored.mutable_spec());
}

std::string PointsLine(const std::vector<std::string>& points, const std::string& side) {
  std::vector<std::string> shown = points;
  const bool cut = shown.size() > kMaxPointsNamed;
  if (cut) shown.resize(kMaxPointsNamed);
  return absl::StrCat(FormatCount(points.size()), points.size() == 1 ? " point" : " points",
                      " only ", side, ": ", absl::StrJoin(shown, ", "), cut ? ", ..." : "");
}

std::string JobsLine(const spec::Overlap& overlap, const spec::Sides& sides) {
  return absl::StrCat("jobs: ", FormatCount(overlap.jobs_both), " in both, ",
                      FormatCount(overlap.jobs_there), " only ", sides.there, ", ",
                      FormatCount(overlap.jobs_here), " only ", sides.here);
}

std::string DiffJson(const std::vector<std::string>& differences, const spec::Overlap& overlap) {
  const nlohmann::ordered_json json = {{"differences", differences},
                                       {"points_only_in_first", overlap.points_there},
                                       {"points_only_in_second", overlap.points_here},
                                       {"jobs_in_both", absl::StrCat(overlap.jobs_both)},
                                       {"jobs_only_in_first", absl::StrCat(overlap.jobs_there)},
                                       {"jobs_only_in_second", absl::StrCat(overlap.jobs_here)}};
  return EscapeControls(absl::StrCat(
      json.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace), "\n"));
}

absl::StatusOr<int> Diff(const std::string& first, const std::string& second, Context* context) {
  COPPICE_ASSIGN_OR_RETURN(const v1::SweepSpec there, ReadSide(first, context));
  COPPICE_ASSIGN_OR_RETURN(const v1::SweepSpec here, ReadSide(second, context));
  const spec::Sides sides = {absl::StrCat("in ", Printable(first)),
                             absl::StrCat("in ", Printable(second))};
  const std::vector<std::string> differences = spec::Differences(there, here, sides);
  const spec::Overlap overlap = spec::OverlapOf(there, here);
  const int code = differences.empty() ? kExitDone : kExitFailed;
  if (context->json) {
    context->out << DiffJson(differences, overlap);
    return code;
  }
  if (differences.empty()) return code;
  for (const std::string& difference : differences)
    context->out << Printable(absl::string_view(difference)) << "\n";
  if (!overlap.points_there.empty())
    context->out << PointsLine(overlap.points_there, sides.there) << "\n";
  if (!overlap.points_here.empty())
    context->out << PointsLine(overlap.points_here, sides.here) << "\n";
  context->out << JobsLine(overlap, sides) << "\n";
  return code;
}

// 1 means a difference, so trouble has another code, as with diff(1).
absl::StatusOr<int> DiffOrTrouble(const std::string& first, const std::string& second,
                                  Context* context) {
  absl::StatusOr<int> code = Diff(first, second, context);
  if (code.ok()) return code;
  Report(code.status(), context->err);
  return kExitUsage;
}

}  // namespace

void AddSpec(CLI::App* app, Context* context, Action* action) {
  CLI::App* command =
      app->add_subcommand("spec", "Print a sweep's spec as YAML, which a submit takes again");
  const auto name = std::make_shared<std::string>();
  command->add_option("SWEEP", *name, "Its name; without one, the only sweep");
  AddJsonFlag(command, context);
  command->callback([=] { *action = [=] { return PrintSpec(*name, context); }; });
}

void AddDiff(CLI::App* app, Context* context, Action* action) {
  CLI::App* command = app->add_subcommand(
      "diff",
      "Compare two sweeps or spec files: settings, points, seeds; ends with 1 if they differ");
  const auto names = std::make_shared<std::vector<std::string>>();
  constexpr char kSide[] = "A sweep's name, or a spec file (with a slash, or ending in .yaml)";
  command->add_option("SWEEP|FILE", *names, kSide)->required()->expected(2);
  AddJsonFlag(command, context);
  command->callback(
      [=] { *action = [=] { return DiffOrTrouble((*names)[0], (*names)[1], context); }; });
}

}  // namespace coppice::cli
