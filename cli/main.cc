#include <unistd.h>

#include <iostream>
#include <string>
#include <vector>

#include "cli/app.h"
#include "common/base/process_start.h"
#include "common/rpc/tls_at_exit.h"

int main(int argc, char** argv) {
  coppice::StartProcess(coppice::BrokenPipe::kEndsProgram);
  coppice::rpc::KeepTlsUntilTheEnd();
  std::ios::sync_with_stdio(false);
  const std::vector<std::string> args(argv + 1, argv + argc);
  return coppice::cli::RunCli(args, std::cout, std::cerr,
                              coppice::cli::DetectTerminal(STDOUT_FILENO));
}
