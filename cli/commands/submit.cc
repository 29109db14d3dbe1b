#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/commands/commands.h"
#include "cli/extension.h"
#include "cli/format.h"
#include "cli/json.h"
#include "cli/plan_view.h"
#include "cli/spec_reader.h"
#include "common/base/status_macros.h"
#include "common/spec/difference.h"
#include "common/spec/plan.h"

namespace coppice::cli {
namespace {

struct SubmitOptions {
  std::string spec;
  SpecChanges changes;
  bool dry_run = false;
  uint32_t pack = 10;
};

// The remedy beside another name, if the stored sweep can become this one.
std::string ExtendAdvice(const SpecFile& file, const SubmitOptions& options, Client* client) {
  const absl::StatusOr<PlannedExtension> planned = PlanExtension(client, file.spec, options.pack);
  // A viewer may not ask.
  if (!planned.ok() || !planned->answer.extension().refused().empty()) return "";
  return absl::StrCat(", or make the sweep so: `coppice extend ", file.spec.name(), " ",
                      options.spec, FlagsText(options.changes), " --dry-run` shows what that does");
}

absl::Status Taken(const SpecFile& file, const SubmitOptions& options, Client* client,
                   const std::vector<std::string>& differences) {
  return absl::InvalidArgumentError(absl::StrCat(
      file.Locate("name"), ": the coordinator at ", client->address(), " already has a sweep '",
      file.spec.name(), "' with other settings; choose another name",
      ExtendAdvice(file, options, client), "\n  ", absl::StrJoin(differences, "\n  ")));
}

// Compares the spec with the stored sweep, if there is one. It only reads from the coordinator, so
// that a viewer may plan. An error means that no comparison was possible.
absl::Status Compare(const SpecFile& file, Client* client, v1::SubmitSweepResponse* answer) {
  COPPICE_RETURN_IF_ERROR(client->CheckVersion());
  const absl::StatusOr<v1::GetSweepResponse> stored = client->GetSweep(file.spec.name());
  if (!stored.ok() && !absl::IsNotFound(stored.status())) return stored.status();
  answer->set_compared(true);
  if (!stored.ok()) return absl::OkStatus();
  answer->set_exists(true);
  *answer->mutable_sweep() = stored->sweep();
  for (const std::string& difference : spec::Differences(stored->spec(), file.spec))
    answer->add_differences(difference);
  return absl::OkStatus();
}

std::string Verdict(const v1::SubmitSweepResponse& answer, const SpecFile& file,
                    const Client& client) {
  const std::string& name = file.spec.name();
  if (!answer.exists()) {
    return absl::StrCat("a submit would store it as a new sweep, ", name,
                        ", at the coordinator at ", client.address());
  }
  return absl::StrCat("a submit would change nothing: the coordinator at ", client.address(),
                      " has had ", name, " with the same settings since ",
                      FormatTime(answer.sweep().created_ms()));
}

absl::StatusOr<int> DryRun(const SpecFile& file, const SubmitOptions& options, Context* context) {
  v1::SubmitSweepResponse answer;
  *answer.mutable_plan() = spec::MakePlan(file.spec, options.pack);
  absl::StatusOr<Client*> client = context->Connect();
  if (absl::IsInvalidArgument(client.status())) return client.status();
  const absl::Status compared =
      client.ok() ? Compare(file, *client, &answer) : absl::Status(client.status());
  if (context->json) {
    context->out << ToJson(answer);
  } else {
    for (const std::string& line : PlanLines(file.spec, answer.plan(), context->terminal))
      context->out << line << "\n";
    context->out << "\n";
  }
  if (!compared.ok()) {
    context->err << "coppice: note: planned without a coordinator, so whether the name is taken is "
                    "not known: "
                 << Printable(absl::string_view(compared.message())) << "\n"
                 << std::flush;
    return kExitDone;
  }
  if (answer.differences_size() > 0) {
    return Taken(file, options, *client,
                 {answer.differences().begin(), answer.differences().end()});
  }
  if (!context->json) context->out << Verdict(answer, file, **client) << "\n";
  return kExitDone;
}

// Lists the differences that made the coordinator refuse the submission. If they cannot be read any
// more, the coordinator's message is used.
absl::Status Refused(const SpecFile& file, const SubmitOptions& options, Client* client,
                     const absl::Status& refused) {
  v1::SubmitSweepResponse answer;
  const absl::Status compared = Compare(file, client, &answer);
  if (!compared.ok() || answer.differences().empty())
    return Taken(file, options, client, {std::string(refused.message())});
  return Taken(file, options, client, {answer.differences().begin(), answer.differences().end()});
}

absl::StatusOr<int> Submit(const SubmitOptions& options, Context* context) {
  COPPICE_ASSIGN_OR_RETURN(const SpecFile file, ReadSpecFile(options.spec, options.changes));
  Warn(SpecWarnings(file), context->err);
  if (options.dry_run) return DryRun(file, options, context);
  COPPICE_ASSIGN_OR_RETURN(Client * client, context->ConnectToChange());
  v1::SubmitSweepRequest request;
  *request.mutable_spec() = file.spec;
  request.set_pack_width(options.pack);
  const absl::StatusOr<v1::SubmitSweepResponse> response = client->Submit(request);
  if (absl::IsAlreadyExists(response.status()))
    return Refused(file, options, client, response.status());
  COPPICE_RETURN_IF_ERROR(response.status());
  std::ostream& out = context->out;
  const std::string& name = file.spec.name();
  if (context->json) {
    out << ToJson(*response);
  } else if (response->created()) {
    out << "submitted " << name << ": " << PlanSentence(response->plan()) << "\n"
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
  const auto options = std::make_shared<SubmitOptions>();
  command->add_option("SPEC", options->spec, "Sweep spec (YAML), - for standard input")->required();
  AddSpecFlags(command, &options->changes);
  command->add_flag(
      "--dry-run", options->dry_run,
      "Show jobs, packs, expected work, what every setting resolves to and, where a coordinator "
      "answers, what a submit would do; store nothing");
  command->add_option("--pack", options->pack, "Pack width the plan counts packs for")
      ->check(CLI::Range(1u, 4096u))
      ->capture_default_str();
  AddJsonFlag(command, context);
  command->callback([=] { *action = [=] { return Submit(*options, context); }; });
}

}  // namespace coppice::cli
