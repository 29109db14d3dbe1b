// `coppice program check` finds each planted fault of a real program, and nothing in a good one.
#include "cli/program/conformance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "tests/testing/temp_dir.h"
#include "worker/program/posix_launcher.h"

namespace coppice::cli {
namespace {

using ::testing::HasSubstr;

using Json = nlohmann::ordered_json;

class ConformanceTest : public ::testing::Test {
 protected:
  ConformanceTest() : launcher_(*worker::PosixLauncher::Create()) {
    plan_.seeds = {3};
    plan_.grace = absl::Seconds(20);
    plan_.silence = absl::Seconds(20);
    plan_.folder = dir_.path();
  }

  static Json RunOf(const std::string& fault) {
    const std::string script = absl::StrCat(COPPICE_SOURCE_DIR, "/tests/cli/switched_program.py");
    Json run = {{"train", {{"steps", 1000u}}},
                {"report", {{"every", 10u}}},
                {"checkpoint", {{"every", 20u}}}};
    run["program"] = {{"command", {"python3", script}},
                      {"directory", "/"},
                      {"settings", {{"learning_rate", 0.01}, {"pause", 0.002}}}};
    if (!fault.empty()) run["program"]["command"].push_back(fault);
    return run;
  }
  ConformanceResult Check(const std::string& fault) {
    const auto result = CheckConformance(launcher_.get(), RunOf(fault), plan_);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *result : ConformanceResult();
  }
  // The fault breaks this rule, and the text says how.
  void ExpectFound(const std::string& fault, const std::string& rule, const std::string& text) {
    const ConformanceResult result = Check(fault);
    EXPECT_FALSE(result.kept()) << fault;
    std::string seen;
    for (const Finding& finding : result.findings) {
      if (finding.verdict != RuleOutcome::kBroken) continue;
      absl::StrAppend(&seen, finding.rule, ": ", finding.text, "\n");
      if (finding.rule == rule) {
        EXPECT_THAT(finding.text, HasSubstr(text)) << fault;
      }
    }
    EXPECT_THAT(seen, HasSubstr(absl::StrCat(rule, ": "))) << fault;
  }

  testing::TempDir dir_;
  std::unique_ptr<worker::PosixLauncher> launcher_;
  ConformancePlan plan_;
};

TEST_F(ConformanceTest, AGoodProgramKeepsEveryRule) {
  const ConformanceResult result = Check("");
  EXPECT_EQ(result.findings.size(), 9u);
  for (const Finding& finding : result.findings) {
    EXPECT_EQ(finding.verdict, RuleOutcome::kKept) << finding.rule << ": " << finding.text;
  }
  EXPECT_EQ(result.steps, 40u);
}

TEST_F(ConformanceTest, TheExampleOfTheDocsKeepsEveryRule) {
  const std::string docs = *ReadFile(absl::StrCat(COPPICE_SOURCE_DIR, "/docs/programs.md"));
  const std::string fence = "```python\n";
  const size_t begin = docs.find(fence) + fence.size();
  std::ofstream(dir_.Join("train.py")) << docs.substr(begin, docs.find("```", begin) - begin);
  Json run = RunOf("");
  run["program"]["command"] = {"python3", "train.py"};
  run["program"]["directory"] = dir_.path();
  plan_.folder = dir_.Join("trials");
  const auto result = CheckConformance(launcher_.get(), run, plan_);
  ASSERT_TRUE(result.ok()) << result.status();
  for (const Finding& finding : result->findings) {
    EXPECT_EQ(finding.verdict, RuleOutcome::kKept) << finding.rule << ": " << finding.text;
  }
}

TEST_F(ConformanceTest, FaultsOfItsOutputAreFound) {
  ExpectFound("no_start", "start", "before `start`");
  ExpectFound("prints", "output", "free text belongs on stderr");
  ExpectFound("nan", "output", "NaN and infinity are no JSON numbers");
  ExpectFound("steps_backwards", "reports", "metrics of step 10 where only steps after 20");
  ExpectFound("metrics_missing", "reports", "before the metrics of step 20");
}

TEST_F(ConformanceTest, FaultsOfItsCheckpointsAreFound) {
  ExpectFound("no_last_checkpoint", "checkpoints", "with a last checkpoint at step 20 of 40");
  ExpectFound("checkpoint_outside", "checkpoints", "is not inside");
  ExpectFound("one_name", "checkpoints", "a name of its own");
}

TEST_F(ConformanceTest, FaultsOfItsEndAreFound) {
  ExpectFound("wrong_exit_code", "end", "exited with code 3");
  ExpectFound("leaves_children", "children", "processes outlived the program");
  plan_.grace = absl::Seconds(1);
  ExpectFound("ignores_sigterm", "stop", "SIGTERM");
}

TEST_F(ConformanceTest, FaultsOfItsResumeAreFound) {
  ExpectFound("resume_ignored", "resume", "`resume` was not read");
  ExpectFound("values_differ", "values", "save the optimizer");
}

TEST_F(ConformanceTest, AToleranceLetsSmallDifferencesPass) {
  plan_.tolerance = 1e6;
  EXPECT_TRUE(Check("values_differ").kept());
}

TEST_F(ConformanceTest, WhatIsNoProgramIsAMistakeOfTheUsers) {
  Json run = RunOf("");
  run["program"]["command"] = {"no-such-program"};
  const auto result = CheckConformance(launcher_.get(), run, plan_);
  ASSERT_TRUE(result.ok());
  EXPECT_FALSE(result->kept());
  EXPECT_THAT(result->findings[0].text, HasSubstr("no folder of PATH"));
  plan_.steps = 3;
  EXPECT_TRUE(absl::IsInvalidArgument(CheckConformance(launcher_.get(), run, plan_).status()));
}

}  // namespace
}  // namespace coppice::cli
