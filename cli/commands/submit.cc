#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>

#include "absl/strings/str_cat.h"
#include "cli/commands/commands.h"
#include "cli/json.h"
#include "cli/plan_view.h"
#include "cli/spec_reader.h"
#include "common/base/status_macros.h"

namespace coppice::cli {
namespace {

struct Options {
  std::string spec;
  bool dry_run = false;
  uint32_t pack = 10;
};

absl::StatusOr<v1::SubmitSweepResponse> Send(Client* client, const SpecFile& file,
                                             const Options& options) {
  v1::SubmitSweepRequest request;
  *request.mutable_spec() = file.spec;
  request.set_dry_run(options.dry_run);
  request.set_pack_width(options.pack);
  absl::StatusOr<v1::SubmitSweepResponse> response = client->Submit(request);
  if (absl::IsAlreadyExists(response.status())) {
    return absl::InvalidArgumentError(absl::StrCat(
        file.Locate("name"), ": the coordinator at ", client->address(), " already has a sweep '",
        file.spec.name(), "' with other settings; choose another name"));
  }
  return response;
}

absl::StatusOr<int> Submit(const Options& options, Context* context) {
  COPPICE_ASSIGN_OR_RETURN(const SpecFile file, ReadSpecFile(options.spec));
  COPPICE_ASSIGN_OR_RETURN(Client * client, context->ConnectToChange());
  COPPICE_ASSIGN_OR_RETURN(const v1::SubmitSweepResponse response, Send(client, file, options));
  std::ostream& out = context->out;
  const std::string& name = file.spec.name();
  if (context->json) {
    out << ToJson(response);
  } else if (options.dry_run) {
    for (const std::string& line : PlanLines(file.spec, response.plan(), context->terminal))
      out << line << "\n";
  } else if (response.created()) {
    out << "submitted " << name << ": " << PlanSentence(response.plan()) << "\n"
        << "follow it with `coppice status " << name << " --watch`\n";
  } else {
    out << name << " is already there with the same settings; nothing changed\n";
  }
  return kExitDone;
}

}  // namespace

void AddSubmit(CLI::App* app, Context* context, Action* action) {
  CLI::App* command =
      app->add_subcommand("submit", "Hand a sweep to the coordinator, or plan it with --dry-run");
  const auto options = std::make_shared<Options>();
  command->add_option("SPEC", options->spec, "Sweep spec (YAML), - for standard input")->required();
  command->add_flag(
      "--dry-run", options->dry_run,
      "Show jobs, packs, expected work and what every setting resolves to; store nothing");
  command->add_option("--pack", options->pack, "Pack width the plan counts packs for")
      ->check(CLI::Range(1u, 4096u))
      ->capture_default_str();
  AddJsonFlag(command, context);
  command->callback([=] { *action = [=] { return Submit(*options, context); }; });
}

}  // namespace coppice::cli
