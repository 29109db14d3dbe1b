// Commands on a sweep that has axes of its own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cli/spec_reader.h"
#include "common/base/files.h"
#include "common/spec/plan.h"
#include "tests/cli/cli_fixture.h"
#include "tests/testing/temp_dir.h"

namespace coppice::cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kSpec[] = R"(name: demo
tasks: question
axes:
  size:
    small: {model: {d_model: 64, heads: 4}}
    paper: {}
  depth: 2
  train.learning_rate: [1e-4, 3e-4]
exclude:
  - {size: paper, train.learning_rate: 3e-4}
seeds: 0-1
train: {steps: 300, warmup_steps: 10}
report: {every: 100, probes: {sentences: 0}}
checkpoint: {every: 100}
)";

// Three points with two seeds each: jobs 1 to 6. The first job has succeeded.
class AxesCommands : public CliFixture {
 protected:
  void SetUp() override {
    const absl::StatusOr<SpecFile> file = ParseSpec(kSpec, "f.yaml");
    ASSERT_TRUE(file.ok()) << file.status();
    absl::MutexLock lock(&service().mutex);
    service().spec = file->spec;
    service().groups.clear();
    service().jobs.clear();
    service().metrics.clear();
    const v1::Plan plan = spec::MakePlan(file->spec, 1);
    for (const v1::GroupSummary& group : plan.groups()) {
      service().groups.push_back(group);
      for (const uint32_t seed : file->spec.seeds()) AddJob(group, seed);
    }
    service().sweeps[0].set_jobs(6);
  }

  void AddJob(const v1::GroupSummary& group, uint32_t seed) {
    v1::Job job;
    job.set_id(service().jobs.size() + 1);
    job.set_sweep("demo");
    job.set_task(group.task());
    job.set_depth(group.depth());
    *job.mutable_point() = group.point();
    job.set_seed(seed);
    job.set_steps(300);
    job.set_state(job.id() == 1 ? v1::SUCCEEDED : v1::PENDING);
    if (job.id() == 1) {
      job.set_step(300);
      job.set_attempts(1);
      v1::MetricValue* latest = job.add_latest();
      latest->set_name("id_accuracy");
      latest->set_value(0.984);
      v1::JobMetrics row;
      row.set_job_id(1);
      row.set_task(job.task());
      row.set_depth(job.depth());
      *row.mutable_point() = job.point();
      row.mutable_row()->set_step(300);
      *row.mutable_row()->add_values() = *latest;
      service().metrics.push_back(row);
    }
    service().jobs.push_back(job);
  }

  // The numbers of the jobs that a command line selects.
  std::vector<std::string> Jobs(std::vector<std::string> args) {
    args.insert(args.begin(), "jobs");
    args.push_back("--json");
    const CliResult result = Run(args);
    EXPECT_EQ(result.code, 0) << result.err;
    std::vector<std::string> ids;
    const std::vector<std::string> lines = absl::StrSplit(result.out, '\n');
    for (const std::string& line : lines) {
      const size_t at = line.find("{\"id\":\"");
      if (at != std::string::npos)
        ids.push_back(line.substr(at + 7, line.find('"', at + 7) - at - 7));
    }
    return ids;
  }
  std::string Error(const std::vector<std::string>& args) {
    const CliResult result = Run(args);
    EXPECT_NE(result.code, 0);
    return result.err;
  }
  std::vector<std::string> Completed(const std::vector<std::string>& words) {
    std::vector<std::string> args = {"__complete", "--"};
    args.insert(args.end(), words.begin(), words.end());
    return absl::StrSplit(Ok(args), '\n', absl::SkipEmpty());
  }
};

TEST_F(AxesCommands, TargetsSelectByAnyAxesInAnyOrder) {
  EXPECT_THAT(Jobs({"demo"}), ElementsAre("1", "2", "3", "4", "5", "6"));
  EXPECT_THAT(Jobs({"demo/size=small"}), ElementsAre("1", "2", "3", "4"));
  EXPECT_THAT(Jobs({"demo/seed=1/size=small"}), ElementsAre("2", "4"));
  EXPECT_THAT(Jobs({"size=paper"}), ElementsAre("5", "6")) << "the only sweep";
  EXPECT_THAT(Jobs({"demo/seed=0-1/train.learning_rate=1e-4,3e-4/depth=2"}),
              ElementsAre("1", "2", "3", "4", "5", "6"));
}

TEST_F(AxesCommands, WhereSelectsHoweverAValueIsWritten) {
  EXPECT_THAT(Jobs({"demo", "--where", "train.learning_rate=0.0003"}), ElementsAre("3", "4"));
  EXPECT_THAT(
      Jobs({"demo", "--where", "size=small", "--where", "train.learning_rate=1e-4", "--seed", "0"}),
      ElementsAre("1"));
  EXPECT_THAT(Jobs({"3", "--where", "size=small"}), ElementsAre("3"));
  EXPECT_THAT(Error({"jobs", "3", "--where", "size=paper"}),
              HasSubstr("job 3 is demo/task=question/size=small/depth=2/train.learning_rate=3e-4/"
                        "seed=0, which the flags leave out"));
}

TEST_F(AxesCommands, ASelectionOfNothingSaysWhatThereIs) {
  EXPECT_THAT(Error({"jobs", "demo/sise=small"}),
              HasSubstr("demo has no axis 'sise'; did you mean 'size'?"));
  EXPECT_THAT(Error({"jobs", "demo/width=3"}),
              HasSubstr("its axes are task, size, depth, train.learning_rate, seed"));
  EXPECT_THAT(Error({"jobs", "demo/size=tiny"}),
              HasSubstr("no job of demo has size tiny; demo has small, paper"));
  EXPECT_THAT(Error({"jobs", "demo/task=dyck"}),
              HasSubstr("no job of demo has task dyck; demo has task question"));
  EXPECT_THAT(Error({"jobs", "demo/size=paper/train.learning_rate=3e-4"}),
              HasSubstr("the sweep excludes such points"));
  EXPECT_THAT(Error({"jobs", "demo/size=small", "--where", "size=paper"}),
              HasSubstr("--where size and another condition both choose"));
  EXPECT_THAT(Error({"jobs", "demo/size="}), HasSubstr("is no condition; use AXIS=VALUE"));
  EXPECT_THAT(Error({"jobs", "demo/size=small/size=paper"}),
              HasSubstr("the target names size twice; list the values, as in size=small,paper"));
  EXPECT_THAT(Error({"jobs", "demo", "--where", "seed=x"}),
              HasSubstr("--where seed 'x' is no number and no range"));
}

TEST_F(AxesCommands, AJobIsNamedByAllItsAxes) {
  const std::string name = "demo/task=question/size=small/depth=2/train.learning_rate=1e-4/seed=1";
  EXPECT_THAT(Ok({"show", name}), HasSubstr(absl::StrCat("job 2  ", name)));
  EXPECT_THAT(Ok({"show", "demo/seed=1/size=small/train.learning_rate=1e-4"}),
              HasSubstr("job 2  demo/"))
      << "parts that tell it from the others are enough";
  EXPECT_THAT(Error({"show", "demo/size=small"}),
              HasSubstr("names several jobs; give one value for each of task, size, depth, "
                        "train.learning_rate, seed"));
}

TEST_F(AxesCommands, StatusHasARowForEachPoint) {
  const std::string status = Ok({"status", "demo"});
  EXPECT_THAT(status,
              HasSubstr("    task   size  depth  train.learning_rate  seed 0        seed 1\n"
                        "question  small      2                 1e-4  "));
  EXPECT_THAT(status, HasSubstr("question  paper      2                 1e-4  "));
  EXPECT_THAT(status, HasSubstr("300 0.98/-"));
}

TEST_F(AxesCommands, StatusShowsSomePointsOfASweep) {
  const std::string all = Ok({"status", "demo"});
  const std::string some = Ok({"status", "demo", "--where", "size=paper"});
  EXPECT_THAT(all, Not(HasSubstr("shown below")));
  EXPECT_THAT(some, HasSubstr("shown below: "));
  EXPECT_THAT(some, HasSubstr("question  paper "));
  EXPECT_THAT(some, Not(HasSubstr("small")));
  EXPECT_EQ(Ok({"status", "demo/size=paper"}), some);
  const std::string json = Ok({"status", "demo", "--where", "size=paper", "--json"});
  EXPECT_THAT(json, HasSubstr("\"paper\""));
  EXPECT_LT(json.size(), Ok({"status", "demo", "--json"}).size());
  EXPECT_THAT(Error({"status", "demo/seed=0"}), HasSubstr("`coppice jobs` shows single jobs"));
  EXPECT_THAT(Error({"status", "demo/size=paper", "--watch"}), HasSubstr("leave it out"));
  EXPECT_THAT(Error({"status", "demo", "--where", "size=big"}), HasSubstr("size"));
}

TEST_F(AxesCommands, JobsAndMetricsHaveAColumnForEachAxis) {
  EXPECT_THAT(Ok({"jobs", "demo"}),
              HasSubstr("job  task       size  depth  train.learning_rate  seed  state"));
  EXPECT_EQ(Ok({"metrics", "demo", "--csv"}),
            "job_id,task,size,depth,train.learning_rate,seed,step,id_accuracy\n"
            "1,question,small,2,1e-4,0,300,0.984\n");
  EXPECT_THAT(Ok({"metrics", "demo", "--jsonl"}),
              HasSubstr(R"({"axis":"train.learning_rate","value":"1e-4"}])"));
  {
    absl::MutexLock lock(&service().mutex);
    service().metrics.clear();
  }
  EXPECT_EQ(Ok({"metrics", "demo", "--csv"}),
            "job_id,task,size,depth,train.learning_rate,seed,step\n");
}

TEST_F(AxesCommands, TensorBoardGetsTheAxesAsHyperparameters) {
  const testing::TempDir temp;
  Ok({"export", "demo", "--format", "tensorboard", "-o", temp.path()});
  const std::string run =
      temp.path() + "/task=question/size=small/depth=2/train.learning_rate=1e-4/seed=0";
  const auto names = ListDirectory(run);
  ASSERT_TRUE(names.ok()) << names.status();
  ASSERT_EQ(names->size(), 1u);
  const auto content = ReadFile(absl::StrCat(run, "/", names->front()));
  ASSERT_TRUE(content.ok());
  EXPECT_THAT(*content, AllOf(HasSubstr("_hparams_/session_start_info"), HasSubstr("hparams"),
                              HasSubstr("train.learning_rate"),
                              HasSubstr("task=question/size=small/depth=2")));
}

TEST_F(AxesCommands, CompletionOffersAxesAndThenValues) {
  EXPECT_THAT(Completed({"jobs", "demo/"}),
              ElementsAre("demo/task=", "demo/size=", "demo/depth=", "demo/train.learning_rate=",
                          "demo/seed=", ":goes-on"));
  EXPECT_THAT(
      Completed({"jobs", "demo/size=small/t"}),
      ElementsAre("demo/size=small/task=", "demo/size=small/train.learning_rate=", ":goes-on"));
  EXPECT_THAT(Completed({"jobs", "demo/size="}),
              ElementsAre("demo/size=small", "demo/size=paper", ":goes-on"));
  EXPECT_THAT(Completed({"show", "demo/size=p"}), ElementsAre("demo/size=paper/", ":goes-on"));
  EXPECT_THAT(Completed({"jobs", "demo", "--where", "size=small,"}),
              ElementsAre("size=small,small", "size=small,paper", ":goes-on"));
  EXPECT_THAT(Completed({"jobs", "demo", "--depth", ""}), ElementsAre("2", ":"));
}

TEST_F(AxesCommands, ADryRunShowsTheGridAndItsCost) {
  const testing::TempDir temp;
  const std::string path = temp.path() + "/f.yaml";
  std::ofstream(path) << kSpec;
  const std::string plan =
      Ok({"submit", path, "--dry-run", "--set", "name=other", "--axis", "seed=0-4"});
  EXPECT_THAT(plan,
              AllOf(HasSubstr("plan of other: 15 jobs in 3 packs"),
                    HasSubstr("train.learning_rate  1e-4, 3e-4"),
                    HasSubstr("size                 small, paper  model.d_model, model.heads"),
                    HasSubstr("seed                 0-4"), HasSubstr("3 points (1 excluded)"),
                    HasSubstr("size=small")));
  const std::string many =
      Ok({"submit", path, "--dry-run", "--set", "name=other", "--axis", "data.seed=0-199"});
  EXPECT_THAT(many,
              AllOf(HasSubstr("0, 1, 2, 3, 4, 5, 6, 7, ... (200)"),
                    HasSubstr("600 points (200 excluded)"), HasSubstr("points  jobs"),
                    Not(HasSubstr("question  small      2                 1e-4          17"))));
}

class ClassicCommands : public CliFixture {};

TEST_F(ClassicCommands, TakeAxesAsTargetsToo) {
  EXPECT_EQ(Ok({"jobs", "demo/depth=2/task=question"}), Ok({"jobs", "demo/question/2"}));
  EXPECT_EQ(Ok({"jobs", "demo", "--where", "task=dyck", "--where", "seed=0"}),
            Ok({"jobs", "demo/dyck", "--seed", "0"}));
  EXPECT_THAT(Ok({"show", "demo/seed=0/task=question/depth=1"}),
              HasSubstr("job 1  demo/question/1/0"));
}

TEST_F(ClassicCommands, HaveNoTraceOfAxesInTheirJson) {
  for (const std::vector<std::string>& args :
       std::vector<std::vector<std::string>>{{"status", "demo", "--json"},
                                             {"jobs", "demo", "--json"},
                                             {"metrics", "demo", "--json"},
                                             {"show", "1", "--json"},
                                             {"list", "--json"}}) {
    const std::string json = Ok(args);
    for (const char* name : {"\"point\"", "\"axes\"", "\"exclude\"", "\"program\""})
      EXPECT_THAT(json, Not(HasSubstr(name))) << args[0];
  }
}

}  // namespace
}  // namespace coppice::cli
