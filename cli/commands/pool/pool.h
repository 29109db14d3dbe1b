// The parts of `coppice pool`, a file a verb or two.
#ifndef COPPICE_CLI_COMMANDS_POOL_POOL_H_
#define COPPICE_CLI_COMMANDS_POOL_POOL_H_

#include <string>

#include "absl/status/status.h"
#include "cli/commands/commands.h"
#include "cli/context.h"
#include "coppice/v1/pools.pb.h"

namespace CLI {
class App;
}

namespace coppice::cli {

// Below `pool`.
void AddPoolAdd(CLI::App* app, Context* context, Action* action);
void AddPoolList(CLI::App* app, Context* context, Action* action);
void AddPoolShow(CLI::App* app, Context* context, Action* action);
void AddPoolCheck(CLI::App* app, Context* context, Action* action);
void AddPoolRun(CLI::App* app, Context* context, Action* action);
void AddPoolControl(CLI::App* app, Context* context, Action* action);

// Prints what the check found. The exit code says whether the pool could work.
int PrintPoolCheck(const v1::CheckPoolResponse& check, Context* context);
// "running", "paused", ...
std::string PoolModeWord(v1::PoolMode mode);
// Says if the batch system does not answer, or if the pools only show what they would do.
void PrintBatchSystem(const v1::BatchSystem& batch, Context* context);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_COMMANDS_POOL_POOL_H_
