#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>

#include "absl/strings/str_cat.h"
#include "cli/commands/commands.h"
#include "cli/extension.h"
#include "cli/format.h"
#include "cli/json.h"
#include "cli/plan_view.h"
#include "cli/stored_spec.h"
#include "common/base/status_macros.h"

namespace coppice::cli {
namespace {

struct ExtendOptions {
  std::string sweep;
  std::string spec;  // empty: the stored one
  std::vector<std::string> seeds;
  SpecChanges changes;
  bool dry_run = false;
};

constexpr char kOtherName[] = "submit the spec under another name, or take these changes out";

// The spec of the sweep as it shall be.
absl::StatusOr<SpecFile> WantedSpec(const std::string& sweep, const ExtendOptions& options,
                                    Client* client) {
  SpecChanges changes = options.changes;
  changes.add_values = true;
  changes.default_name = sweep;
  for (const std::string& seeds : options.seeds) changes.axis.push_back("seed=" + seeds);
  if (!options.spec.empty()) return ReadSpecFile(options.spec, changes);
  if (changes.axis.empty() && changes.set.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("nothing extends ", sweep,
                     "; name a spec file, or use --seeds, --axis or --set, for example --seeds "
                     "10-19 or --set train.steps=4000"));
  }
  COPPICE_ASSIGN_OR_RETURN(const v1::GetSweepResponse stored, client->GetSweep(sweep));
  COPPICE_ASSIGN_OR_RETURN(const std::string text, SpecText(CurrentSpec(stored)));
  return ParseSpec(text, absl::StrCat("the spec of ", sweep), changes);
}

absl::Status CheckSameName(const std::string& sweep, const SpecFile& file) {
  const std::string& name = file.spec.name();
  if (name == sweep) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      file.Locate("name"), ": name is '", name, "', and the sweep to extend is ", sweep,
      "; write `name: ", sweep, "`, leave the name out, or use --set name=", sweep));
}

void PrintIndented(const std::vector<std::string>& lines, std::ostream& out) {
  for (const std::string& line : lines) out << "  " << line << "\n";
}

absl::StatusOr<int> PlanExtend(const SpecFile& file, Client* client, Context* context) {
  const std::string& name = file.spec.name();
  COPPICE_ASSIGN_OR_RETURN(const PlannedExtension planned, PlanExtension(client, file.spec, 0));
  if (context->json) context->out << ToJson(planned.answer);
  const std::string place = absl::StrCat("the coordinator at ", client->address());
  COPPICE_RETURN_IF_ERROR(WhyRefused(file, place, kOtherName, planned.answer.extension()));
  if (context->json) return kExitDone;
  const std::vector<std::string> lines = ExtensionLines(planned, file.spec);
  if (lines.empty()) {
    context->out << name << " is already so; an extension would change nothing\n";
    return kExitDone;
  }
  context->out << "an extension would do this to " << name << " at " << place
               << " (a dry run: nothing is changed)\n";
  PrintIndented(lines, context->out);
  context->out << name << " would have " << PlanSentence(planned.answer.plan()) << "\n";
  return kExitDone;
}

absl::StatusOr<int> Extend(const ExtendOptions& options, Context* context) {
  COPPICE_ASSIGN_OR_RETURN(Client * client, context->ConnectToChange());
  if (options.sweep.empty())
    return absl::InvalidArgumentError("'' names no sweep; name the sweep to extend");
  COPPICE_ASSIGN_OR_RETURN(const std::string sweep, ResolveSweep(client, options.sweep));
  COPPICE_ASSIGN_OR_RETURN(const SpecFile file, WantedSpec(sweep, options, client));
  COPPICE_RETURN_IF_ERROR(CheckSameName(sweep, file));
  Warn(SpecWarnings(file), context->err);
  if (options.dry_run) return PlanExtend(file, client, context);
  PlannedExtension planned;
  COPPICE_ASSIGN_OR_RETURN(planned.before, client->GetSweep(sweep));
  v1::ExtendSweepRequest request;
  *request.mutable_spec() = file.spec;
  absl::StatusOr<v1::ExtendSweepResponse> answer = client->Extend(request);
  if (absl::IsFailedPrecondition(answer.status())) {
    // The dry run has the differences one by one.
    COPPICE_ASSIGN_OR_RETURN(planned, PlanExtension(client, file.spec, 0));
    COPPICE_RETURN_IF_ERROR(WhyRefused(file, absl::StrCat("the coordinator at ", client->address()),
                                       kOtherName, planned.answer.extension()));
  }
  COPPICE_RETURN_IF_ERROR(answer.status());
  planned.answer = *std::move(answer);
  if (context->json) {
    context->out << ToJson(planned.answer);
    return kExitDone;
  }
  if (!planned.answer.changed()) {
    context->out << sweep << " is already so; nothing changed\n";
    return kExitDone;
  }
  context->out << "extended " << sweep << ":\n";
  PrintIndented(ExtensionLines(planned, file.spec), context->out);
  context->out << "follow it with `coppice status " << sweep << " --watch`\n";
  return kExitDone;
}

}  // namespace

void AddExtend(CLI::App* app, Context* context, Action* action) {
  CLI::App* command = app->add_subcommand(
      "extend", "Give a sweep more points, seeds or steps, or another priority");
  const auto options = std::make_shared<ExtendOptions>();
  command->add_option("SWEEP", options->sweep, "Its name")->required();
  command->add_option("SPEC", options->spec,
                      "Spec (YAML) of the whole sweep as it shall be, - for standard input; "
                      "without one, the sweep's own spec with the changes below");
  command->add_option("--seeds", options->seeds, "More seeds, e.g. 10-19; short for --axis seed=")
      ->allow_extra_args(false);
  command
      ->add_option("--set", options->changes.set,
                   "Change a setting of the spec, e.g. train.steps=4000; overrides still win")
      ->allow_extra_args(false);
  command
      ->add_option("--axis", options->changes.axis,
                   "More values of an axis, e.g. train.learning_rate=1e-3; those that it has stay")
      ->allow_extra_args(false);
  command->add_flag("--dry-run", options->dry_run,
                    "Show what comes, what goes on, what is computed again, what is refused and "
                    "the cost; change nothing");
  AddJsonFlag(command, context);
  command->callback([=] { *action = [=] { return Extend(*options, context); }; });
}

}  // namespace coppice::cli
