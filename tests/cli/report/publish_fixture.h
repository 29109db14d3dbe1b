// Reports of a tiny sweep, and the files that they leave in a folder.
#ifndef COPPICE_TESTS_CLI_REPORT_PUBLISH_FIXTURE_H_
#define COPPICE_TESTS_CLI_REPORT_PUBLISH_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "cli/report/staging.h"
#include "tests/cli/fake_sweep_service.h"
#include "tests/cli/report/synthetic_sweep.h"
#include "tests/testing/subprocess.h"
#include "tests/testing/temp_dir.h"

namespace coppice::cli {

class PublishTest : public ::testing::Test {
 protected:
  PublishTest() {
    Synthetic synthetic;
    synthetic.tasks = {"question"};
    synthetic.depths = {1};
    synthetic.seeds = 1;
    synthetic.steps = 900;
    synthetic.every = 300;
    Fill(synthetic, &coordinator_.service());
    std::filesystem::create_directory(dir_.Join("bin"));
  }
  CliResult Run(const std::string& dir, const std::string& gnuplot = "gnuplot") {
    return RunCommand(coordinator_.address(), {"report", "-o", dir, "--gnuplot", gnuplot});
  }
  void Good(const std::string& dir) {
    const CliResult result = Run(dir);
    EXPECT_EQ(result.code, 0) << result.err;
  }
  // Writes a program to replace gnuplot, which does this before (or instead of) drawing.
  std::string Script(const std::string& text) {
    const std::string path = dir_.Join("bin/gnuplot");
    std::ofstream(path) << "#!/bin/sh\n[ \"$1\" = --version ] && exit 0\n" << text;
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    return path;
  }
  // Every path under a folder with its content; "/" for folders.
  static std::map<std::string, std::string> Tree(const std::string& dir) {
    std::map<std::string, std::string> tree;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(dir))
      tree[std::filesystem::relative(entry.path(), dir)] =
          entry.is_directory() ? "/" : coppice::testing::ReadAll(entry.path());
    return tree;
  }
  static std::vector<std::string> Stagings(const std::string& dir) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(dir)) {
      if (Staging::IsName(entry.path().filename())) names.push_back(entry.path());
    }
    return names;
  }

  coppice::testing::TempDir dir_;
  FakeCoordinator coordinator_;
};

}  // namespace coppice::cli

#endif  // COPPICE_TESTS_CLI_REPORT_PUBLISH_FIXTURE_H_
