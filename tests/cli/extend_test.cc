// `coppice extend`, against a real gRPC server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/files.h"
#include "tests/cli/cli_fixture.h"
#include "tests/testing/temp_dir.h"

namespace coppice::cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kDemo[] = R"(name: demo
tags: [a, night]
tasks: [question, dyck]
depths: [1, 2]
seeds: [0, 1]
train: {steps: 300}
)";

class ExtendTest : public CliFixture {
 protected:
  ExtendTest() {
    absl::MutexLock lock(&service().mutex);
    for (const char* tag : {"a", "night"}) service().sweeps[0].add_tags(tag);
    // As of the spec, without the jobs' states.
    for (v1::GroupSummary& group : service().groups) group.mutable_counts()->set_pending(2);
  }
  std::string Write(const std::string& text, const std::string& name = "spec.yaml") {
    std::ofstream(dir_.Join(name)) << text;
    return dir_.Join(name);
  }
  // Specs as short as these bring warnings.
  std::string Out(std::vector<std::string> args) {
    const CliResult result = Run(std::move(args));
    EXPECT_EQ(result.code, 0) << result.err;
    return result.out;
  }
  void Answer(const v1::SweepExtension& extension) {
    absl::MutexLock lock(&service().mutex);
    service().extension = extension;
  }
  v1::SweepSpec Sent() {
    absl::MutexLock lock(&service().mutex);
    return service().extend.spec();
  }
  bool Extended() {
    absl::MutexLock lock(&service().mutex);
    return service().extended;
  }

  coppice::testing::TempDir dir_;
};

v1::SweepExtension MoreSeedsAndSteps() {
  v1::SweepExtension extension;
  extension.set_new_points(2);
  extension.set_new_jobs(1'010);
  extension.set_continued_jobs(12);
  extension.set_repeating_jobs(1);
  extension.set_repeated_steps(150);
  extension.set_longer_jobs(8);
  extension.set_changed_jobs(1);
  extension.set_added_steps(2'000);
  extension.add_settings("priority: 0 -> 5");
  return extension;
}

TEST_F(ExtendTest, MoreSeedsAndStepsNeedNoFile) {
  Answer(MoreSeedsAndSteps());
  const std::string out =
      Out({"extend", "demo", "--seeds", "1-4,9", "--set", "train.steps=400", "--axis", "depth=3"});
  EXPECT_THAT(Sent().seeds(), ElementsAre(0, 1, 2, 3, 4, 9));
  EXPECT_THAT(Sent().depths(), ElementsAre(1, 2, 3));
  EXPECT_EQ(Sent().train().steps(), 400);
  EXPECT_THAT(Sent().tags(), ElementsAre("a", "night"));
  EXPECT_TRUE(Extended());
  EXPECT_THAT(out, AllOf(HasSubstr("extended demo:\n  2 new points: dyck/3, question/3\n"),
                         HasSubstr("  new seeds: 2-4, 9\n  1,010 new jobs in all\n"),
                         HasSubstr("coppice status demo --watch")));
}

TEST_F(ExtendTest, TheDryRunShowsEverythingAndChangesNothing) {
  Answer(MoreSeedsAndSteps());
  const std::string out = Out({"extend", "demo", "--seeds", "2-4", "--dry-run"});
  EXPECT_FALSE(Extended());
  EXPECT_THAT(
      out, AllOf(HasSubstr("an extension would do this to demo at the coordinator at "),
                 HasSubstr("12 jobs that have succeeded go on to more steps\n"),
                 HasSubstr("1 of them computes 150 steps again in all: no report of a longer run"),
                 HasSubstr("8 jobs that have not ended get more steps\n"),
                 HasSubstr("1 job that has not begun gets other settings\n"),
                 HasSubstr("priority: 0 -> 5\n"), HasSubstr("2k more steps; work: "),
                 HasSubstr("demo would have 20 jobs")));
  const auto json =
      nlohmann::json::parse(Out({"extend", "demo", "--seeds", "2-4", "--dry-run", "--json"}));
  EXPECT_EQ(json["extension"]["new_jobs"], "1010");
  EXPECT_FALSE(json["changed"]);
}

TEST_F(ExtendTest, ASecondExtensionChangesNothing) {
  EXPECT_EQ(Out({"extend", "demo", Write(kDemo)}), "demo is already so; nothing changed\n");
  EXPECT_EQ(Out({"extend", "demo", Write(kDemo), "--dry-run"}),
            "demo is already so; an extension would change nothing\n");
}

TEST_F(ExtendTest, WhatIsRefusedIsShownSettingBySetting) {
  v1::SweepExtension extension;
  extension.add_refused("train.batch_size is 8 there and 16 here");
  extension.add_refused("seeds are 0, 1 there and 0 here");
  Answer(extension);
  const std::string file = Write(absl::StrCat(kDemo, "data: {seed: 1}\n"));
  for (const std::vector<std::string>& args : std::vector<std::vector<std::string>>{
           {"extend", "demo", file}, {"extend", "demo", file, "--dry-run"}}) {
    const CliResult result = Run(args);
    EXPECT_EQ(result.code, 2);
    EXPECT_THAT(result.err, AllOf(HasSubstr(file + ":1:7: the coordinator at "),
                                  HasSubstr("submit the spec under another name"),
                                  HasSubstr("\n  train.batch_size is 8 there and 16 here\n"),
                                  HasSubstr("\n  seeds are 0, 1 there and 0 here\n")));
  }
  EXPECT_FALSE(Extended());
}

TEST_F(ExtendTest, TheSpecMustBeTheSweeps) {
  const std::string other = Write("name: other\ntasks: dyck\ndepths: 1\nseeds: 0\n");
  const CliResult result = Run({"extend", "demo", other});
  EXPECT_EQ(result.code, 2);
  EXPECT_THAT(result.err,
              HasSubstr(other + ":1:7: name is 'other', and the sweep to extend is demo; write "
                                "`name: demo`, leave the name out, or use --set name=demo"));
  EXPECT_EQ(Run({"extend", "demo", other, "--set", "name=demo"}).code, 0);
  EXPECT_EQ(Run({"extend", "demo", Write("tasks: dyck\ndepths: 1\nseeds: 0\n")}).code, 0);
  EXPECT_EQ(Sent().name(), "demo");
  EXPECT_EQ(Run({"extend", "demo", "--set", "name=other"}).code, 2);
  EXPECT_EQ(Run({"extend", "nothing", other}).code, 1);
}

TEST_F(ExtendTest, MistakesAreFoundBeforeTheCoordinatorSeesThem) {
  EXPECT_THAT(Run({"extend", "demo"}).err, HasSubstr("nothing extends demo; name a spec file"));
  EXPECT_THAT(Run({"extend", "demo", "--seeds", "x"}).err, HasSubstr("--axis seed: seeds"));
  EXPECT_THAT(Run({"extend", "demo", "--set", "seeds=3"}).err, HasSubstr("use --axis seed="));
  EXPECT_THAT(Run({"extend", "demo", "--set", "train.stpes=3"}).err,
              HasSubstr("did you mean 'train.steps'?"));
  EXPECT_EQ(Run({"extend", "demo", "--set", "train.steps=0"}).code, 2);
  EXPECT_EQ(Sent().ByteSizeLong(), 0u);
}

TEST_F(ExtendTest, ASubmitThatCouldExtendSaysSo) {
  const std::string file = Write(absl::StrCat(kDemo, "priority: 5\n"));
  v1::SweepExtension extension;
  extension.add_settings("priority: 0 -> 5");
  Answer(extension);
  for (const std::vector<std::string>& args :
       std::vector<std::vector<std::string>>{{"submit", file}, {"submit", file, "--dry-run"}}) {
    const CliResult result = Run(args);
    EXPECT_EQ(result.code, 2);
    EXPECT_THAT(result.err, AllOf(HasSubstr("choose another name, or make the sweep so: `coppice "
                                            "extend demo "),
                                  HasSubstr("priority is 0 there and 5 here")));
  }
  extension.add_refused("train.batch_size is 8 there and 16 here");
  Answer(extension);
  EXPECT_THAT(Run({"submit", file}).err, Not(HasSubstr("coppice extend")));
  EXPECT_FALSE(Extended());
}

TEST_F(ExtendTest, EachCommandOfTheDocumentIsTaken) {
  const auto document = ReadFile(COPPICE_SWEEP_SPEC_DOC);
  ASSERT_TRUE(document.ok()) << document.status();
  const std::string file = Write(kDemo);
  int commands = 0;
  for (const absl::string_view line : absl::StrSplit(*document, '\n')) {
    if (!absl::StartsWith(line, "coppice extend ")) continue;
    const std::string command(absl::StripAsciiWhitespace(line.substr(0, line.find('#'))));
    std::vector<std::string> words = absl::StrSplit(command, ' ', absl::SkipEmpty());
    words.erase(words.begin());
    for (std::string& word : words) {
      if (word == "demo.yaml") word = file;
    }
    const CliResult result = Run(words);
    EXPECT_EQ(result.code, 0) << line << "\n" << result.err;
    ++commands;
  }
  EXPECT_GE(commands, 5);
}

}  // namespace
}  // namespace coppice::cli
