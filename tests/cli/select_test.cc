// The meaning of an argument in every command, and the messages for a selection that is empty.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "absl/strings/str_join.h"
#include "cli/target.h"
#include "tests/cli/cli_fixture.h"

namespace coppice::cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Args = std::vector<std::string>;

class SelectTest : public CliFixture {
 protected:
  // Adds a sweep whose name is a number, and a job of that number in another sweep.
  void AddSweep2024(uint64_t job_id) {
    absl::MutexLock lock(&service().mutex);
    service().sweeps.emplace_back(service().sweeps[0]).set_name("2024");
    v1::Job job = service().jobs[0];
    job.set_id(job_id);
    service().jobs.push_back(job);
  }
  size_t Changes() {
    absl::MutexLock lock(&service().mutex);
    return service().cancel.ByteSizeLong() + service().retry.ByteSizeLong() +
           service().paused.size() + service().resumed.size();
  }
};

TEST_F(SelectTest, ANumberThatIsASweepAndAJobIsRefusedWithBothReadings) {
  AddSweep2024(2024);
  for (const Args& args : std::vector<Args>{{"cancel", "2024"},
                                            {"retry", "2024"},
                                            {"jobs", "2024"},
                                            {"metrics", "2024"},
                                            {"export", "2024", "--format", "csv"},
                                            {"checkpoint", "list", "2024"}}) {
    const CliResult result = Run(args);
    EXPECT_EQ(result.code, 2) << absl::StrJoin(args, " ");
    EXPECT_THAT(result.err, AllOf(HasSubstr("'2024' is a sweep and also the number of the job "
                                            "demo/question/1/0"),
                                  HasSubstr("write sweep:2024 or job:2024")));
  }
  EXPECT_EQ(Changes(), 0);
}

TEST_F(SelectTest, APrefixSaysWhichOfTheTwoIsMeant) {
  AddSweep2024(2024);
  EXPECT_EQ(Run({"cancel", "sweep:2024"}).code, 0);
  {
    absl::MutexLock lock(&service().mutex);
    EXPECT_EQ(service().cancel.filter().sweep(), "2024");
    EXPECT_THAT(service().cancel.filter().job_ids(), IsEmpty());
  }
  EXPECT_EQ(Run({"cancel", "job:2024"}).code, 0);
  absl::MutexLock lock(&service().mutex);
  EXPECT_EQ(service().cancel.filter().sweep(), "demo");
  EXPECT_THAT(service().cancel.filter().job_ids(), ElementsAre(2024));
}

TEST_F(SelectTest, ANumberThatFitsOneOfTheTwoNamesThatOne) {
  AddSweep2024(99);
  EXPECT_EQ(Run({"cancel", "2024"}).code, 0);
  {
    absl::MutexLock lock(&service().mutex);
    EXPECT_EQ(service().cancel.filter().sweep(), "2024");
    EXPECT_THAT(service().cancel.filter().job_ids(), IsEmpty());
  }
  EXPECT_EQ(Run({"cancel", "99"}).code, 0);
  {
    absl::MutexLock lock(&service().mutex);
    EXPECT_THAT(service().cancel.filter().job_ids(), ElementsAre(99));
  }
  const CliResult neither = Run({"cancel", "77"});
  EXPECT_EQ(neither.code, 1);
  EXPECT_THAT(neither.err, HasSubstr("has no job 77 and no sweep '77'"));
}

TEST_F(SelectTest, ASweepWhoseNameIsANumberIsFoundByEveryCommandThatTakesSweeps) {
  AddSweep2024(2024);
  for (const Args& args : std::vector<Args>{
           {"status", "2024"}, {"status", "sweep:2024"}, {"pause", "2024"}, {"resume", "2024"}}) {
    EXPECT_EQ(Run(args).code, 0) << absl::StrJoin(args, " ");
  }
  const CliResult job = Run({"pause", "job:2024"});
  EXPECT_EQ(job.code, 2);
  EXPECT_THAT(job.err, HasSubstr("takes whole sweeps"));
}

TEST_F(SelectTest, ASelectionOfNothingSaysWhatThereIs) {
  for (const auto& [flag, value, message] :
       std::vector<std::tuple<std::string, std::string, std::string>>{
           {"--depth", "7", "no job of demo has depth 7; demo has depths 1, 2"},
           {"--seed", "2-9", "no job of demo has seed 2-9; demo has seeds 0, 1"},
           {"--task", "tense", "no job of demo has task tense; demo has tasks question, dyck"}}) {
    for (const Args& command : std::vector<Args>{{"cancel", "demo"},
                                                 {"retry", "demo"},
                                                 {"jobs", "demo"},
                                                 {"metrics", "demo"},
                                                 {"export", "demo", "--format", "csv"},
                                                 {"checkpoint", "list", "demo"}}) {
      Args args = command;
      args.insert(args.end(), {flag, value});
      const CliResult result = Run(args);
      EXPECT_EQ(result.code, 1) << absl::StrJoin(args, " ");
      EXPECT_THAT(result.err, HasSubstr(message)) << absl::StrJoin(args, " ");
      EXPECT_THAT(result.out, IsEmpty()) << absl::StrJoin(args, " ");
    }
  }
  EXPECT_THAT(Run({"cancel", "demo/question/7"}).err, HasSubstr("demo has depths 1, 2"));
  EXPECT_THAT(Run({"show", "demo/question/1/9"}).err, HasSubstr("demo has seeds 0, 1"));
  EXPECT_THAT(Run({"cancel", "5", "--depth", "2"}).err,
              HasSubstr("job 5 is demo/dyck/1/0, which the flags leave out"));
  EXPECT_EQ(Changes(), 0);
}

TEST_F(SelectTest, APartOfASelectionThatExistsIsEnough) {
  EXPECT_EQ(Run({"cancel", "demo", "--depth", "2-9", "--seed", "0-99"}).code, 0);
}

TEST_F(SelectTest, AStateThatNoJobIsInStopsAChangeAndIsAnAnswerToAQuery) {
  const Args filter = {"demo", "--task", "question", "--depth", "1", "--state", "running"};
  for (const char* command : {"cancel", "retry"}) {
    Args args = {command};
    args.insert(args.end(), filter.begin(), filter.end());
    const CliResult result = Run(args);
    EXPECT_EQ(result.code, 1) << command;
    EXPECT_THAT(result.err, HasSubstr("no job of demo that matches is running; demo has "
                                      "2 succeeded, 1 failed, 1 cancelled, 2 running, 2 pending"));
  }
  EXPECT_EQ(Changes(), 0);
  Args jobs = {"jobs"};
  jobs.insert(jobs.end(), filter.begin(), filter.end());
  EXPECT_THAT(Ok(jobs), HasSubstr("no job of demo that matches is running; demo has 2 succeeded"));
  jobs.push_back("--json");
  EXPECT_THAT(nlohmann::json::parse(Ok(jobs))["jobs"], IsEmpty());
}

TEST_F(SelectTest, WhatIsNotNamedIsNotChanged) {
  for (const Args& args : std::vector<Args>{{"cancel"},
                                            {"retry"},
                                            {"pause"},
                                            {"resume"},
                                            {"retry", "--state", "failed"},
                                            // Unset variables.
                                            {"cancel", ""},
                                            {"retry", ""},
                                            {"pause", ""},
                                            {"resume", ""},
                                            {"cancel", "demo/"},
                                            {"cancel", "demo//"},
                                            {"cancel", "demo/question/"},
                                            {"cancel", "demo/question//0"},
                                            {"cancel", "sweep:"},
                                            {"cancel", "job:"},
                                            {"cancel", "demo", "--depth", ""},
                                            {"cancel", "demo", "--task", ""},
                                            {"cancel", "demo", "--state", ""},
                                            // The only sweep is meant, but not named.
                                            {"cancel", "question/1/0"}}) {
    EXPECT_EQ(Run(args).code, 2) << absl::StrJoin(args, " ");
  }
  EXPECT_EQ(Changes(), 0);
}

TEST_F(SelectTest, AMisspeltSweepIsSuggestedItsNameInEveryCommand) {
  for (const Args& args : std::vector<Args>{{"status", "dmeo"},
                                            {"status", "dmeo", "--watch"},
                                            {"report", "dmeo"},
                                            {"jobs", "dmeo/question"},
                                            {"show", "dmeo/question/1/0"},
                                            {"logs", "dmeo/question/1/0"},
                                            {"metrics", "dmeo"},
                                            {"cancel", "dmeo"},
                                            {"pause", "dmeo"}}) {
    const CliResult result = Run(args);
    EXPECT_EQ(result.code, 1) << absl::StrJoin(args, " ");
    EXPECT_THAT(result.err, HasSubstr("has no sweep 'dmeo'; did you mean 'demo'?"))
        << absl::StrJoin(args, " ");
  }
  EXPECT_THAT(Run({"status", "elsewhere"}).err, HasSubstr("`coppice list` shows those there are"));
}

TEST_F(SelectTest, TheOnlySweepNeedNotBeNamedToLookAtAPartOfIt) {
  EXPECT_EQ(Ok({"jobs", "question/1"}), Ok({"jobs", "demo/question/1"}));
  EXPECT_EQ(Ok({"jobs", "question/1/0"}), Ok({"jobs", "demo/question/1/0"}));
}

TEST(ParseTarget, ASweepMayHaveATasksName) {
  const auto target = ParseTarget("question/dyck/2");
  ASSERT_TRUE(target.ok());
  EXPECT_EQ(target->sweep, "question");
  EXPECT_EQ(target->task, "dyck");
  EXPECT_EQ(target->depth, 2);
  EXPECT_EQ(ParseTarget("question")->sweep, "question");
  EXPECT_EQ(ParseTarget("question/2/0")->sweep, "");
  EXPECT_EQ(ParseTarget("sweep:question/dyck")->task, "dyck");
  EXPECT_FALSE(ParseTarget("sweep:question/2").ok());
}

}  // namespace
}  // namespace coppice::cli
