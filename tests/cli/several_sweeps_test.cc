// Rows of several sweeps in one file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/cli/cli_fixture.h"

namespace coppice::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// The fake coordinator answers with the same rows for every sweep that it has.
class SeveralSweeps : public CliFixture {
 protected:
  SeveralSweeps() {
    absl::MutexLock lock(&service().mutex);
    v1::SweepSummary twin = service().sweeps[0];
    twin.set_name("twin");
    service().sweeps.push_back(twin);
  }
};

TEST_F(SeveralSweeps, CsvHasTheSweepInFrontAndOneSweepIsAsBefore) {
  const std::string one = Run({"metrics", "demo", "--csv"}).out;
  ASSERT_THAT(one, StartsWith("job_id,task,depth,seed,step,"));
  std::string expected, second;
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(one, '\n'))) {
    if (line.empty()) continue;
    const bool header = expected.empty();
    absl::StrAppend(&expected, header ? "sweep," : "demo,", line, "\n");
    if (!header) absl::StrAppend(&second, "twin,", line, "\n");
  }
  EXPECT_EQ(Run({"metrics", "demo", "twin", "--csv"}).out, expected + second);
  EXPECT_EQ(Run({"export", "demo", "twin", "--format", "csv"}).out, expected + second);
  EXPECT_EQ(Run({"export", "demo", "--format", "csv"}).out, one);
}

TEST_F(SeveralSweeps, JsonNamesTheSweepOfEachRow) {
  const auto one = nlohmann::json::parse(Run({"metrics", "demo", "--json"}).out)["rows"];
  const auto both = nlohmann::json::parse(Run({"metrics", "demo", "twin", "--json"}).out)["rows"];
  ASSERT_EQ(both.size(), 2 * one.size());
  for (size_t i = 0; i < both.size(); ++i) {
    nlohmann::json expected = one[i % one.size()];
    EXPECT_FALSE(expected.contains("sweep"));
    expected["sweep"] = i < one.size() ? "demo" : "twin";
    EXPECT_EQ(both[i], expected);
  }
  const std::string lines = Run({"export", "demo", "twin", "--format", "jsonl"}).out;
  EXPECT_EQ(nlohmann::json::parse(lines.substr(0, lines.find('\n')))["sweep"], "demo");
}

TEST_F(SeveralSweeps, AxesOfAllAreColumnsAndACellIsEmptyWithoutTheAxis) {
  {
    absl::MutexLock lock(&service().mutex);
    v1::JobMetrics& row = service().metrics[0];
    v1::Coordinate* size = row.add_point();
    size->set_axis("size");
    size->set_value("small");
  }
  const std::vector<std::string> lines =
      absl::StrSplit(Run({"metrics", "demo", "twin", "--csv"}).out, '\n');
  EXPECT_THAT(lines[0], StartsWith("sweep,job_id,size,seed,step,"));
  EXPECT_THAT(lines[1], HasSubstr(",small,"));
}

TEST_F(SeveralSweeps, MistakesAreNamed) {
  EXPECT_THAT(Run({"metrics", "demo", "demo"}).err, HasSubstr("named twice"));
  EXPECT_EQ(Run({"metrics", "demo", "unknown"}).code, 1);
  const CliResult folder = Run({"export", "demo", "twin", "--format", "tensorboard"});
  EXPECT_EQ(folder.code, 2);
  EXPECT_THAT(folder.err, HasSubstr("--logdir"));
}

}  // namespace
}  // namespace coppice::cli
