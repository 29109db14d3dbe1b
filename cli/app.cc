#include "cli/app.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <ostream>

#include "absl/strings/str_cat.h"
#include "cli/commands/commands.h"
#include "cli/completion.h"
#include "cli/context.h"
#include "common/base/build_info.h"
#include "common/base/nearest_word.h"
#include "common/base/output.h"
#include "common/base/usage.h"

namespace coppice::cli {
namespace {

constexpr char kFooter[] = R"(
JOB is a job's number or SWEEP/TASK/DEPTH/SEED, for example demo/question/2/0. Where a number is also a sweep's name, write job:17 or sweep:17.
Every query takes --json: protobuf's JSON of the messages in proto/coppice/v1, under their own field names, with 64-bit integers as strings.
Exit codes: 0 done, 1 failed, 2 wrong usage or a bad spec, 75 preempted and checkpointed,
141 nobody reads the output any more.
Environment: COPPICE_COORDINATOR (as --coordinator), COPPICE_ACCESS, COPPICE_TLS_CA, COPPICE_TLS_CERT, COPPICE_TLS_KEY, COPPICE_TOKEN_FILE,
COPPICE_TOKEN, COPPICE_INSECURE (docs/security.md), NO_COLOR.
)";

constexpr char kComplete[] = "__complete";

// Returns whether a flag before the command takes its value from the next word.
bool TakesValue(const std::string& flag) {
  return flag == "--coordinator" || flag == "--access" || flag == "--tls-ca" ||
         flag == "--tls-cert" || flag == "--tls-key" || flag == "--token-file";
}

void AddCommands(CLI::App* app, Context* context, Action* action) {
  AddLocal(app, context, action);
  AddSubmit(app, context, action);
  AddExtend(app, context, action);
  AddSpec(app, context, action);
  AddDiff(app, context, action);
  AddStatus(app, context, action);
  AddWait(app, context, action);
  AddList(app, context, action);
  AddJobs(app, context, action);
  AddShow(app, context, action);
  AddWhy(app, context, action);
  AddMetrics(app, context, action);
  AddExport(app, context, action);
  AddCheckpoint(app, context, action);
  AddReport(app, context, action);
  AddLogs(app, context, action);
  AddCancel(app, context, action);
  AddRetry(app, context, action);
  AddPause(app, context, action);
  AddResume(app, context, action);
  AddDelete(app, context, action);
  AddNote(app, context, action);
  AddTag(app, context, action);
  AddWorkers(app, context, action);
  AddDrain(app, context, action);
  AddForget(app, context, action);
  AddProgram(app, context, action);
  AddPool(app, context, action);
  AddServer(app, context, action);
  AddAccess(app, context, action);
  AddCompletion(app, context, action);
}

// The index of the command's name; none: at least args.size().
size_t CommandIn(const std::vector<std::string>& args) {
  size_t at = 0;
  while (at < args.size() && !args[at].empty() && args[at][0] == '-')
    at += TakesValue(args[at]) ? 2 : 1;
  return at;
}

// Explains the error in the command line, and suggests the nearest command for a misspelled one.
std::string Explain(const CLI::App& app, const CLI::ParseError& error,
                    const std::vector<std::string>& args) {
  std::vector<std::string> commands;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (!command->get_group().empty()) commands.push_back(command->get_name());
  }
  const size_t at = CommandIn(args);
  if (at >= args.size()) {
    return absl::StrCat(error.what(), UsageAdvice(app, args),
                        "; `coppice --help` lists the commands");
  }
  // After a misspelled flag, a word may be its value or the command.
  const std::string flag_advice =
      UsageAdvice(app, {args.begin(), args.begin() + static_cast<ptrdiff_t>(at)});
  if (!flag_advice.empty()) {
    return absl::StrCat(error.what(), flag_advice, "; `coppice --help` lists the flags");
  }
  const std::string& word = args[at];
  if (std::find(commands.begin(), commands.end(), word) == commands.end()) {
    const std::string advice = DidYouMean(word, commands);
    return absl::StrCat("there is no command '", word, "';", advice,
                        " `coppice --help` lists them");
  }
  return absl::StrCat(error.what(), UsageAdvice(app, args), "; see `coppice ", word, " --help`");
}

// The flags among `words` that name the coordinator and give access to it. The last word is still
// being typed.
std::vector<std::string> AccessFlagsIn(const std::vector<std::string>& words) {
  std::vector<std::string> flags;
  for (size_t i = 0; i + 1 < words.size(); ++i) {
    const std::string& word = words[i];
    if (TakesValue(word)) {
      if (++i + 1 < words.size()) flags.insert(flags.end(), {word, words[i]});
    } else if (word == "--insecure" || TakesValue(word.substr(0, word.find('=')))) {
      flags.push_back(word);
    }
  }
  return flags;
}

// Answers a completion script: `__complete -- WORD...`.
void AnswerShell(CLI::App* app, const std::vector<std::string>& args, Context* context) {
  std::vector<std::string> words(args.begin() + 1, args.end());
  if (!words.empty() && words[0] == "--") words.erase(words.begin());
  std::vector<std::string> asked = AccessFlagsIn(words);
  asked.push_back("list");  // any command will do
  std::vector<std::string> reversed(asked.rbegin(), asked.rend());
  try {
    app->parse(reversed);
  } catch (const CLI::ParseError&) {
    // The shell gets names or nothing, never an error.
  }
  PrintCompletion(Complete(*app, words, context), context->out);
}

// Returns the exit code once all output is written.
int Finish(const absl::StatusOr<int>& result, std::ostream& out, std::ostream& err) {
  const absl::Status written = FlushOutput(out);
  // A command that stopped because it could not print has reported that already.
  const bool other_failure = !result.ok() && result.status() != written;
  int code = result.ok() ? *result : kExitFailed;
  if (other_failure) code = Report(result.status(), err);
  if (written.ok()) return code;
  if (ReaderIsGone(out)) {
    const bool own_code = other_failure || (result.ok() && code != kExitDone);
    return own_code ? code : kExitNoReader;
  }
  Report(written, err);
  return kExitFailed;
}

}  // namespace

int RunCli(const std::vector<std::string>& args, std::ostream& out, std::ostream& err,
           const Terminal& terminal) {
  Context context(out, err, terminal);
  Action action;
  CLI::App app("Sweeps of small transformer trainings on machines that may vanish", "coppice");
  app.set_version_flag("--version", ProgramVersion("coppice"), "Print version and commit");
  rpc::AddAccessFlags(&app, &context.access);
  app.require_subcommand(1);
  app.fallthrough();
  AddCommands(&app, &context, &action);
  // Set last, or every command would repeat it.
  app.footer(kFooter);

  if (!args.empty() && args[0] == kComplete) {
    AnswerShell(&app, args, &context);
    return Finish(kExitDone, out, err);
  }
  if (args.empty()) {
    out << app.help();
    return Finish(kExitDone, out, err);
  }
  std::vector<std::string> reversed(args.rbegin(), args.rend());
  if (const size_t at = CommandIn(args); at < args.size() && args[at] == "tag") {
    const std::vector<std::string> sorted = WithTagsLast(args);
    reversed.assign(sorted.rbegin(), sorted.rend());
  }
  try {
    app.parse(reversed);
  } catch (const CLI::Success& success) {  // --help, --version
    return Finish(app.exit(success, out, err), out, err);
  } catch (const CLI::ParseError& error) {
    return Report(absl::InvalidArgumentError(Explain(app, error, args)), err);
  }
  const auto named = [](const std::string& arg) { return arg.rfind("--coordinator", 0) == 0; };
  context.coordinator_given = std::any_of(args.begin(), args.end(), named);
  return Finish(action(), out, err);
}

}  // namespace coppice::cli
