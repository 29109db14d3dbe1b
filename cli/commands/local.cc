#include "cli/local/local.h"

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "cli/commands/commands.h"
#include "common/base/limits.h"

namespace coppice::cli {
void AddLocal(CLI::App* app, Context* context, Action* action) {
  CLI::App* command = app->add_subcommand(
      "local",
      "Run a sweep on this machine to its end; nothing else need run. Called again, it continues");
  const auto options = std::make_shared<LocalOptions>();
  command->add_option("SPEC", options->spec, "Sweep spec (YAML)")->required();
  AddSpecFlags(command, &options->changes);
  command->add_option("--dir", options->dir, "Run folder [./coppice-<sweep>]");
  command->add_option("--workers", options->workers, "Workers to start")
      ->check(CLI::Range(1u, 256u))
      ->capture_default_str();
  command
      ->add_option("--slots", options->slots,
                   "Packs each worker trains at a time [cores / workers / threads]")
      ->check(CLI::Range(1u, 1024u));
  command
      ->add_option_function<std::string>(
          "--pack",
          [options](const std::string& text) {
            options->pack = 0;
            if (text == "auto") return;
            if (!absl::SimpleAtoi(text, &options->pack) || options->pack < 1 ||
                options->pack > kMaxPackWidth) {
              throw CLI::ValidationError("--pack", absl::StrCat("must be auto or from 1 to ",
                                                                kMaxPackWidth, ", not ", text));
            }
          },
          "Seeds trained as one model; auto: as many as train fastest here, measured")
      ->type_name("auto|N")
      ->default_str("auto");
  command->add_option("--threads", options->threads, "CPU threads of each trainer")
      ->check(CLI::Range(1u, 1024u))
      ->capture_default_str();
  command->add_flag("--keep-running", options->keep_running,
                    "Let the coordinator serve on after the end, until Ctrl-C");
  command->add_flag("--retry", options->retry,
                    "Give jobs that failed or were cancelled before another chance");
  command->add_flag("--no-report", options->no_report,
                    "Leave out the figures and tables that go to report/ in the run folder");
  command->add_option("--binaries", options->binaries, "Folder of the daemons [where coppice is]");
  command->callback([=] { *action = [=] { return RunLocal(*options, context); }; });
}

}  // namespace coppice::cli
