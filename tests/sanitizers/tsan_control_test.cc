#include <gtest/gtest.h>

#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "tests/testing/subprocess.h"

namespace coppice {
namespace {

constexpr int kFound = 66;  // exitcode of tsan_options.cc

std::vector<std::string> CasesThatAre(const std::string& kind) {
  std::istringstream names(testing::RunProcess({COPPICE_TSAN_CASES}).out);
  std::vector<std::string> cases;
  for (std::string name; std::getline(names, name);) {
    if (name.rfind(kind, 0) == 0) cases.push_back(name);
  }
  return cases;
}

// The reports are asked for here: they must not be among those of the whole test run.
testing::RunResult RunCase(const std::string& name) {
  return testing::RunProcess({COPPICE_TSAN_CASES, name}, {{"TSAN_OPTIONS", "log_path=stderr"}});
}

TEST(TsanControl, EveryRaceIsFoundWithAbseilsLocksVisible) {
  const std::vector<std::string> cases = CasesThatAre("racy_");
  ASSERT_GE(cases.size(), 10u);
  for (const std::string& name : cases) {
    const testing::RunResult result = RunCase(name);
    EXPECT_EQ(result.code, kFound) << name << ": " << result.err;
    EXPECT_NE(result.err.find("WARNING: ThreadSanitizer: data race"), std::string::npos)
        << name << ": " << result.err;
  }
}

TEST(TsanControl, CodeThatLocksAsItShouldIsNotAccused) {
  const std::vector<std::string> cases = CasesThatAre("right_");
  ASSERT_GE(cases.size(), 11u);
  for (const std::string& name : cases) {
    const testing::RunResult result = RunCase(name);
    EXPECT_EQ(result.code, 0) << name << ": " << result.err;
    EXPECT_EQ(result.err, "") << name;
  }
}

}  // namespace
}  // namespace coppice
