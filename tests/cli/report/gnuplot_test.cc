// The input of gnuplot from `coppice report`, and the handling of its output.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "tests/cli/report/publish_fixture.h"

namespace coppice::cli {
namespace {

namespace fs = std::filesystem;
using ::coppice::testing::ReadAll;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

using GnuplotTest = PublishTest;

TEST_F(GnuplotTest, TheUsersGnuplotSettingsAndLocaleDoNotReachIt) {
  const std::map<std::string, std::string> user = {{"GNUTERM", "qt"},
                                                   {"GNUPLOT_LIB", "/nowhere"},
                                                   {"FIT_SCRIPT", "x"},
                                                   {"LC_CTYPE", "UTF-8"},
                                                   {"LC_ALL", "xx_XX.UTF-8"},
                                                   {"FONTCONFIG_PATH", "/etc/fonts"},
                                                   {"XDG_CACHE_HOME", dir_.path()}};
  std::vector<std::string> command = coordinator_.AccessFlags(dir_.path());
  command.insert(command.begin(), COPPICE_CLI);
  command.insert(command.end(),
                 {"report", "-o", dir_.Join("report"), "--gnuplot",
                  Script(absl::StrCat("env > ", dir_.Join("env"), "\nexec gnuplot \"$@\""))});
  const coppice::testing::RunResult result = coppice::testing::RunProcess(command, user);
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.err, "");
  EXPECT_THAT(ReadAll(dir_.Join("env")),
              AllOf(HasSubstr("LC_ALL=C.UTF-8\n"), HasSubstr("FONTCONFIG_PATH="),
                    HasSubstr("XDG_CACHE_HOME="), HasSubstr("PATH="), HasSubstr("HOME="),
                    Not(HasSubstr("LC_CTYPE")), Not(HasSubstr("GNU")), Not(HasSubstr("FIT_"))));
}

TEST_F(GnuplotTest, WhatGnuplotOnlyWarnsOfIsToldOnce) {
  const std::string warning = "Fontconfig error: No writable cache directories";
  const CliResult result = Run(
      dir_.Join("report"), Script(absl::StrCat("echo '", warning, "' >&2\nexec gnuplot \"$@\"")));
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("coppice: warning: "));
  const size_t at = result.err.find(warning);
  ASSERT_NE(at, std::string::npos) << result.err;
  EXPECT_EQ(result.err.find(warning, at + 1), std::string::npos) << result.err;
}

TEST_F(GnuplotTest, AGnuplotThatDrawsNothingIsAnError) {
  for (const char* text : {"echo out of paper >&2; exit 0\n",
                           "echo out of paper >&2; : > ${2%.gp}.pdf; echo x > ${2%.gp}.svg\n"}) {
    const CliResult result = Run(dir_.Join("report"), Script(text));
    EXPECT_EQ(result.code, 1);
    EXPECT_THAT(result.err, AllOf(HasSubstr("drew no grokking."), HasSubstr("out of paper")));
    EXPECT_FALSE(fs::exists(dir_.Join("report")));
  }
}

TEST_F(GnuplotTest, ARelativePathToGnuplotIsFromTheWorkingFolder) {
  Script("exec gnuplot \"$@\"\n");
  const fs::path working = fs::current_path();
  fs::current_path(dir_.path());
  const CliResult result = Run("report", "bin/gnuplot");
  fs::current_path(working);
  EXPECT_EQ(result.code, 0) << result.err;
}

TEST_F(GnuplotTest, OneThatDoesNotWorkIsNotCalledMissing) {
  std::ofstream(Script("")) << "#!/bin/sh\nexit 127\n";
  const CliResult result = Run(dir_.Join("report"), dir_.Join("bin/gnuplot"));
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, AllOf(HasSubstr("exited with code 127"), Not(HasSubstr("apt install"))));
}

}  // namespace
}  // namespace coppice::cli
