#ifndef COPPICE_CLI_APP_H_
#define COPPICE_CLI_APP_H_

#include <iosfwd>
#include <string>
#include <vector>

#include "cli/terminal.h"

namespace coppice::cli {

// Runs the whole program: parses `args` (without the program's name), runs the command, and returns
// the exit code (0 done, 1 failed, 2 usage, 75 preempted and checkpointed).
int RunCli(const std::vector<std::string>& args, std::ostream& out, std::ostream& err,
           const Terminal& terminal);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_APP_H_
