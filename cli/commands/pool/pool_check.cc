#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "cli/commands/pool/pool.h"
#include "cli/format.h"
#include "cli/json.h"
#include "common/base/status_macros.h"

namespace coppice::cli {
namespace {

struct CheckOptions {
  std::string name;
  bool probe = false;
  std::string probe_wait = "2m";
};

absl::StatusOr<int> Check(const CheckOptions& options, Context* context) {
  v1::CheckPoolRequest request;
  request.set_name(options.name);
  if (options.probe) {
    absl::Duration wait;
    if (!absl::ParseDuration(options.probe_wait, &wait) || wait < absl::Seconds(1) ||
        wait > absl::Minutes(10)) {
      return absl::InvalidArgumentError(
          absl::StrCat("--probe-wait '", options.probe_wait, "' is not a time from 1s to 10m"));
    }
    request.set_probe(true);
    request.set_probe_wait_s(static_cast<uint32_t>(absl::ToInt64Seconds(wait)));
  }
  COPPICE_ASSIGN_OR_RETURN(Client * client, context->ConnectToChange());
  COPPICE_ASSIGN_OR_RETURN(const v1::CheckPoolResponse check, client->CheckPool(request));
  return PrintPoolCheck(check, context);
}

const char* LevelWord(v1::ProbeFinding::Level level) {
  switch (level) {
    case v1::ProbeFinding::OK:
      return "ok";
    case v1::ProbeFinding::WARNING:
      return "warning";
    default:
      return "failed";
  }
}

bool CanWork(const v1::CheckPoolResponse& check) {
  for (const v1::ProbeFinding& finding : check.findings()) {
    if (finding.level() != v1::ProbeFinding::OK && finding.level() != v1::ProbeFinding::WARNING) {
      return false;
    }
  }
  return check.errors().empty();
}

}  // namespace

int PrintPoolCheck(const v1::CheckPoolResponse& check, Context* context) {
  const bool works = CanWork(check);
  const int code = works ? kExitDone : kExitFailed;
  if (context->json) {
    context->out << ToJson(check);
    return code;
  }
  context->out << "The script of a submission:\n\n" << Printable(check.script()) << "\n";
  for (const std::string& fact : check.facts()) context->out << "- " << fact << "\n";
  for (const std::string& warning : check.warnings()) {
    context->out << "- warning: " << warning << "\n";
  }
  for (const std::string& error : check.errors()) context->out << "- error: " << error << "\n";
  for (const v1::ProbeFinding& finding : check.findings()) {
    context->out << "- " << LevelWord(finding.level()) << ": " << finding.topic() << ": "
                 << Printable(finding.text()) << "\n";
  }
  if (works) context->out << "- the pool can work\n";
  return code;
}

void AddPoolCheck(CLI::App* app, Context* context, Action* action) {
  CLI::App* command = app->add_subcommand(
      "check", "Print a pool's script and ask the batch system whether it could work");
  const auto options = std::make_shared<CheckOptions>();
  command->add_option("POOL", options->name, "Its name; `pool add --dry-run` checks new settings")
      ->required();
  CLI::Option* const probe =
      command->add_flag("--probe", options->probe,
                        "Also run a job of a minute that looks at a node: coordinator, clock, "
                        "trainer, GPUs, checkpoint folder");
  command
      ->add_option("--probe-wait", options->probe_wait,
                   "Cancel that job if it does not start within this")
      ->capture_default_str()
      ->needs(probe);
  AddJsonFlag(command, context);
  command->callback([=] { *action = [=] { return Check(*options, context); }; });
}

}  // namespace coppice::cli
