// Commands run against a fake coordinator.
#ifndef COPPICE_TESTS_CLI_CLI_FIXTURE_H_
#define COPPICE_TESTS_CLI_CLI_FIXTURE_H_

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/cli/fake_sweep_service.h"

namespace coppice::cli {

class CliFixture : public ::testing::Test {
 protected:
  CliResult Run(std::vector<std::string> args) {
    return RunCommand(coordinator_.address(), std::move(args));
  }
  // Returns the stdout of a command that succeeds without complaint.
  std::string Ok(std::vector<std::string> args) {
    const CliResult result = Run(std::move(args));
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(result.err, "");
    return result.out;
  }
  FakeSweepService& service() { return coordinator_.service(); }
  FakePoolService& pools() { return coordinator_.pools(); }

  FakeCoordinator coordinator_;
};

}  // namespace coppice::cli

#endif  // COPPICE_TESTS_CLI_CLI_FIXTURE_H_
