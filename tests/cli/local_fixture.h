// Scripts in place of the daemons that `coppice local` runs.
#ifndef COPPICE_TESTS_CLI_LOCAL_FIXTURE_H_
#define COPPICE_TESTS_CLI_LOCAL_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "cli/local/daemons.h"
#include "tests/testing/temp_dir.h"

namespace coppice::cli {

// Sets $port and $access from the daemon's arguments, for the scripts below.
inline constexpr char kFindPort[] = R"(#!/bin/sh
while [ $# -gt 0 ]; do
  [ "$1" = --port-file ] && port=$2
  [ "$1" = --access ] && access=$2
  shift
done
)";

class LocalTest : public ::testing::Test {
 protected:
  LocalTest() {
    for (const char* name : {"bin", "run", "run/logs"})
      std::filesystem::create_directory(dir_.Join(name));
    WriteScript("coppice-worker", "#!/bin/sh\nexec sleep 600\n");
  }
  void WriteScript(const std::string& name, const std::string& text) {
    const std::string path = dir_.Join("bin/" + name);
    std::ofstream(path) << text;
    ::chmod(path.c_str(), 0755);
  }
  // Writes a coordinator that announces `address` and the access file `access`, and runs until it
  // is stopped.
  void WriteCoordinator(const std::string& address, const std::string& access = "") {
    std::ofstream(dir_.Join("access")) << access;
    WriteScript("coppice-coordinator",
                absl::StrCat(kFindPort, "umask 077; cp ", dir_.Join("access"), " $access\necho ",
                             address, " > $port.tmp; mv $port.tmp $port\n",
                             "trap 'echo stopped >> ", dir_.Join("order"), "; exit 0' TERM\n",
                             "while :; do sleep 600 & wait $!; done\n"));
  }
  Daemons::Paths Paths() { return {dir_.Join("run"), dir_.Join("bin")}; }
  // Counts every signal that the process gets.
  std::unique_ptr<StopSignals> Signals() { return *StopSignals::Block(); }

  coppice::testing::TempDir dir_;
};

}  // namespace coppice::cli

#endif  // COPPICE_TESTS_CLI_LOCAL_FIXTURE_H_
