#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "cli/commands/commands.h"

namespace coppice::cli {
namespace {

// @NAME@ is filled in from the application's own commands and flags.
constexpr char kScript[] =
    R"bash(# Completion of coppice for bash: source <(coppice completion bash)
_coppice() {
  local cur=${COMP_WORDS[COMP_CWORD]} command= i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      --coordinator | --access | --tls-ca | --tls-cert | --tls-key | --token-file) ((i++)) ;;
      -*) ;;
      *) command=${COMP_WORDS[i]}; break ;;
    esac
  done
  local flags= kind=
  case $command in
    '') COMPREPLY=($(compgen -W "@COMMANDS@ @GLOBAL@" -- "$cur")); return ;;
@CASES@  esac
  if [[ $cur == -* ]]; then
    COMPREPLY=($(compgen -W "$flags @GLOBAL@" -- "$cur"))
    return
  fi
  if [[ $command == checkpoint && COMP_CWORD -gt i+1 ]]; then
    kind=sweeps
    [[ ${COMP_WORDS[i+1]} == verify ]] && kind=file
  fi
  case $kind in
    file) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")) ;;
    words*) COMPREPLY=($(compgen -W "${kind#words }" -- "$cur")) ;;
    sweeps | workers) COMPREPLY=($(compgen -W "$(coppice __complete "$kind" 2>/dev/null)" -- "$cur")) ;;
  esac
}
complete -F _coppice coppice
)bash";

// What the first argument of a command names.
std::string KindOf(const std::string& command) {
  if (command == "submit" || command == "local") return "file";
  if (command == "drain") return "workers";
  if (command == "completion") return "words bash";
  if (command == "checkpoint") return "words list fetch verify";
  if (command == "access") return "words show export";
  if (command == "list" || command == "workers") return "";
  return "sweeps";
}

// Also those of the commands below it.
std::string FlagsOf(const CLI::App& app, bool below) {
  std::set<std::string> flags;
  std::vector<const CLI::App*> apps = {&app};
  if (below) {
    for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
      apps.push_back(command);
  }
  for (const CLI::App* each : apps) {
    for (const CLI::Option* option : each->get_options()) {
      for (const std::string& name : option->get_lnames()) flags.insert("--" + name);
    }
  }
  return absl::StrJoin(flags, " ");
}

std::string BashScript(const CLI::App& root) {
  std::vector<std::string> commands;
  std::string cases;
  for (const CLI::App* command : root.get_subcommands([](const CLI::App*) { return true; })) {
    if (command->get_group().empty()) continue;
    const std::string& name = command->get_name();
    commands.push_back(name);
    absl::StrAppend(&cases, "    ", name, ") flags='", FlagsOf(*command, true), "' kind='",
                    KindOf(name), "' ;;\n");
  }
  return absl::StrReplaceAll(kScript, {{"@COMMANDS@", absl::StrJoin(commands, " ")},
                                       {"@GLOBAL@", FlagsOf(root, false)},
                                       {"@CASES@", cases}});
}

// One name a line; nothing at all where the coordinator does not answer, since the shell waits in
// the middle of a word.
void PrintNames(const std::string& kind, Context* context) {
  const absl::StatusOr<Client*> client = context->Connect();
  if (!client.ok()) return;
  if (kind == "workers") {
    const absl::StatusOr<v1::ListWorkersResponse> list = (*client)->ListWorkers();
    if (!list.ok()) return;
    for (const v1::Worker& worker : list->workers()) context->out << worker.name() << "\n";
    return;
  }
  const absl::StatusOr<v1::ListSweepsResponse> list = (*client)->ListSweeps();
  if (!list.ok()) return;
  for (const v1::SweepSummary& sweep : list->sweeps()) context->out << sweep.name() << "\n";
}

}  // namespace

void AddCompletion(CLI::App* root, Context* context, Action* action) {
  CLI::App* command = root->add_subcommand(
      "completion", "Print a completion script: source <(coppice completion bash)");
  command->add_option("SHELL")->description("bash")->required()->check(CLI::IsMember({"bash"}));
  command->callback([=] {
    *action = [=]() -> absl::StatusOr<int> {
      context->out << BashScript(*root);
      return kExitDone;
    };
  });

  CLI::App* names = root->add_subcommand("__complete", "What the completion script asks");
  names->group("");
  const auto kind = std::make_shared<std::string>();
  names->add_option("KIND", *kind)->required()->check(CLI::IsMember({"sweeps", "workers"}));
  names->callback([=] {
    *action = [=]() -> absl::StatusOr<int> {
      PrintNames(*kind, context);
      return kExitDone;
    };
  });
}

}  // namespace coppice::cli
