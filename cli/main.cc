#include <unistd.h>

#include <iostream>
#include <string>
#include <vector>

#include "cli/app.h"
#include "common/base/build_info.h"
#include "common/base/output.h"
#include "common/base/process_start.h"
#include "common/rpc/tls_at_exit.h"

int main(int argc, char** argv) {
  coppice::StartProcess(coppice::BrokenPipe::kIsAnError);
  coppice::PrepareStandardStreams();
  coppice::SetCommit(coppice::kBuildCommit);
  coppice::rpc::KeepTlsUntilTheEnd();
  coppice::Output out(STDOUT_FILENO);
  const std::vector<std::string> args(argv + 1, argv + argc);
  return coppice::cli::RunCli(args, out, std::cerr, coppice::cli::DetectTerminal(STDOUT_FILENO));
}
