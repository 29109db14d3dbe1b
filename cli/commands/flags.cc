#include <CLI/CLI.hpp>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cli/commands/commands.h"
#include "common/base/status_macros.h"

namespace coppice::cli {

void AddJsonFlag(CLI::App* command, Context* context) {
  command->add_flag("--json", context->json,
                    "Print JSON: the messages of proto/coppice/v1 under their own field names");
}

void AddOutputFlags(CLI::App* command, OutputName* output, const std::string& help) {
  command->add_option("-o,--output", output->path, help + "; - is the standard output");
  command->add_flag("--force", output->force, "Replace a file that is there");
}

void AddPointFlags(CLI::App* command, FilterFlags* flags) {
  // Each flag takes one argument, so that a positional may follow.
  command->add_option("--task", flags->tasks, "Only these tasks: question, tense, dyck")
      ->allow_extra_args(false);
  command->add_option("--depth", flags->depths, "Only these depths, e.g. 2 or 2-6 or 2,4")
      ->allow_extra_args(false);
  command
      ->add_option("--where", flags->where,
                   "Only these values of an axis, e.g. train.learning_rate=1e-4,3e-4")
      ->allow_extra_args(false);
}

void AddFilterFlags(CLI::App* command, FilterFlags* flags) {
  AddPointFlags(command, flags);
  command->add_option("--seed", flags->seeds, "Only these seeds, e.g. 0-9")
      ->allow_extra_args(false);
  command
      ->add_option("--state", flags->states,
                   "Only these states: pending, running, succeeded, failed, cancelled")
      ->allow_extra_args(false);
}

void AddSpecFlags(CLI::App* command, SpecChanges* changes) {
  command
      ->add_option("--set", changes->set,
                   "Change a setting of the spec, e.g. train.steps=2000; overrides still win")
      ->allow_extra_args(false);
  command
      ->add_option("--axis", changes->axis,
                   "Replace an axis of the spec, or add one, e.g. train.learning_rate=1e-4,3e-4 or "
                   "seed=0-9; of a named axis, choose values")
      ->allow_extra_args(false);
}

void AddMetricsFlags(CLI::App* command, MetricsFlags* flags) {
  command->add_option("SWEEP", flags->targets,
                      "SWEEP, SWEEP/TASK[/DEPTH[/SEED]], SWEEP/AXIS=VALUE/... or a job number; "
                      "rows of several name their sweep");
  AddFilterFlags(command, &flags->filter);
  command->add_option("--name", flags->names, "Only these metrics, e.g. id_accuracy,gen_accuracy")
      ->allow_extra_args(false);
  command->add_option("--from-step", flags->from_step, "Only rows of this step and later ones");
}

absl::StatusOr<std::vector<v1::GetMetricsRequest>> MetricsRequests(const MetricsFlags& flags,
                                                                   Client* client) {
  v1::GetMetricsRequest request;
  for (const std::string& text : flags.names) {
    for (const absl::string_view name : absl::StrSplit(text, ',', absl::SkipEmpty())) {
      request.add_names(std::string(name));
    }
  }
  request.set_from_step(flags.from_step);
  std::vector<std::string> targets = flags.targets;
  if (targets.empty()) targets.emplace_back();
  std::vector<v1::GetMetricsRequest> requests;
  requests.reserve(targets.size());
  std::set<std::string> known;
  for (const std::string& target : targets) {
    if (!known.insert(target).second)
      return absl::InvalidArgumentError(absl::StrCat("'", target, "' is named twice"));
    v1::GetMetricsRequest& next = requests.emplace_back(request);
    COPPICE_ASSIGN_OR_RETURN(*next.mutable_filter(), Select(client, target, flags.filter));
  }
  return requests;
}

}  // namespace coppice::cli
