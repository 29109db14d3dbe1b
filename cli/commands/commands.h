// One function for each command. It adds the subcommand, its flags and help to the application.
// Parsing sets `*action` to the command that was chosen. The action returns the exit code.
#ifndef COPPICE_CLI_COMMANDS_COMMANDS_H_
#define COPPICE_CLI_COMMANDS_COMMANDS_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/context.h"
#include "cli/export.h"
#include "cli/select.h"
#include "cli/spec_reader.h"

namespace CLI {
class App;
}

namespace coppice::cli {

using Action = std::function<absl::StatusOr<int>()>;

void AddLocal(CLI::App* app, Context* context, Action* action);
void AddSubmit(CLI::App* app, Context* context, Action* action);
void AddStatus(CLI::App* app, Context* context, Action* action);
void AddWait(CLI::App* app, Context* context, Action* action);
void AddList(CLI::App* app, Context* context, Action* action);
void AddJobs(CLI::App* app, Context* context, Action* action);
void AddShow(CLI::App* app, Context* context, Action* action);
void AddExtend(CLI::App* app, Context* context, Action* action);
// `spec` prints one, `diff` compares two.
void AddSpec(CLI::App* app, Context* context, Action* action);
void AddDiff(CLI::App* app, Context* context, Action* action);
void AddWhy(CLI::App* app, Context* context, Action* action);
void AddMetrics(CLI::App* app, Context* context, Action* action);
void AddExport(CLI::App* app, Context* context, Action* action);
void AddCheckpoint(CLI::App* app, Context* context, Action* action);
// Below `checkpoint`.
void AddCheckpointVerify(CLI::App* app, Context* context, Action* action);
void AddReport(CLI::App* app, Context* context, Action* action);
void AddLogs(CLI::App* app, Context* context, Action* action);
void AddCancel(CLI::App* app, Context* context, Action* action);
void AddRetry(CLI::App* app, Context* context, Action* action);
void AddPause(CLI::App* app, Context* context, Action* action);
void AddResume(CLI::App* app, Context* context, Action* action);
void AddDelete(CLI::App* app, Context* context, Action* action);
void AddNote(CLI::App* app, Context* context, Action* action);
void AddTag(CLI::App* app, Context* context, Action* action);
void AddWorkers(CLI::App* app, Context* context, Action* action);
void AddDrain(CLI::App* app, Context* context, Action* action);
void AddForget(CLI::App* app, Context* context, Action* action);
// `program` and its verb.
void AddProgram(CLI::App* app, Context* context, Action* action);
// `pool` and its verbs (commands/pool).
void AddPool(CLI::App* app, Context* context, Action* action);
void AddServer(CLI::App* app, Context* context, Action* action);
void AddAccess(CLI::App* app, Context* context, Action* action);
// `root` is the application with every other command added.
void AddCompletion(CLI::App* root, Context* context, Action* action);

// The arguments of `tag` with +TAG and -TAG behind "--", so that -TAG is no flag.
std::vector<std::string> WithTagsLast(const std::vector<std::string>& args);

// Requires a named sweep that exists: an unset variable must not stand for the only one.
absl::StatusOr<std::string> NamedSweep(const std::string& name, Client* client);

// Flags that several commands share.
void AddJsonFlag(CLI::App* command, Context* context);
// -o FILE and --force; `help` describes the file.
void AddOutputFlags(CLI::App* command, OutputName* output, const std::string& help);
// --task, --depth and --where.
void AddPointFlags(CLI::App* command, FilterFlags* flags);
void AddFilterFlags(CLI::App* command, FilterFlags* flags);

// --set and --axis, which change a spec.
void AddSpecFlags(CLI::App* command, SpecChanges* changes);

// The selection of rows that `metrics` and `export` share.
struct MetricsFlags {
  std::vector<std::string> targets;  // none: the only sweep
  FilterFlags filter;
  std::vector<std::string> names;
  uint32_t from_step = 0;
};
void AddMetricsFlags(CLI::App* command, MetricsFlags* flags);
// One for each target. Codes as of Select; INVALID_ARGUMENT also if a target is named twice.
absl::StatusOr<std::vector<v1::GetMetricsRequest>> MetricsRequests(const MetricsFlags& flags,
                                                                   Client* client);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_COMMANDS_COMMANDS_H_
