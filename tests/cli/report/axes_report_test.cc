// `coppice report` of a sweep that has axes of its own, with the real gnuplot.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/spec_reader.h"
#include "common/spec/plan.h"
#include "tests/cli/report/report_fixture.h"

namespace coppice::cli {
namespace {

using ::coppice::testing::ReadAll;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kSpec[] = R"(name: grid
axes:
  task: [question, tense]
  size:
    small: {model: {d_model: 64, heads: 4}}
    paper: {}
  depth: 2
  train.learning_rate: [1e-4, 3e-4, 1e-3]
exclude:
  - {task: tense, size: paper}
seeds: 0-1
train: {steps: 300}
report: {every: 100}
)";

class AxesReport : public ReportTest {
 protected:
  // The last gen_accuracy of a job is 0.9 with the small model and 0.5 with the other, plus a tenth
  // of its seed.
  void Fill(const std::string& text) {
    const absl::StatusOr<SpecFile> file = ParseSpec(text, "f.yaml");
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
    v1::SweepSummary& sweep = service().sweeps[0];
    sweep.set_name("grid");
    sweep.set_jobs(service().jobs.size());
    sweep.mutable_counts()->Clear();
    sweep.mutable_counts()->set_succeeded(sweep.jobs());
  }

  void AddJob(const v1::GroupSummary& group, uint32_t seed) {
    v1::Job job;
    job.set_id(service().jobs.size() + 1);
    job.set_sweep("grid");
    job.set_task(group.task());
    job.set_depth(group.depth());
    *job.mutable_point() = group.point();
    job.set_seed(seed);
    job.set_steps(300);
    job.set_step(300);
    job.set_state(v1::SUCCEEDED);
    for (const uint32_t step : {100u, 200u, 300u}) {
      v1::JobMetrics row;
      row.set_job_id(job.id());
      row.set_task(job.task());
      row.set_depth(job.depth());
      *row.mutable_point() = job.point();
      row.set_seed(seed);
      row.mutable_row()->set_step(step);
      v1::MetricValue* value = row.mutable_row()->add_values();
      value->set_name("gen_accuracy");
      const bool small = group.run().model().d_model() == 64;
      value->set_value((small ? 0.8 : 0.4) + 0.1 * seed * step / 300);
      service().metrics.push_back(row);
    }
    service().jobs.push_back(job);
  }
};

TEST_F(AxesReport, HasAPanelAndALineByAxisAndAFigureForEachOfTheOthers) {
  Fill(kSpec);
  const std::string dir = Dir("axes");
  const CliResult result = Run(dir, {"--line", "train.learning_rate"});
  ASSERT_EQ(result.code, 0) << result.err;
  CheckFiles(dir);
  // Panels by task; a figure for each size, and metrics that nobody reported have none.
  EXPECT_THAT(Figures(dir), ElementsAre("axes-1", "axes-2"));
  EXPECT_THAT(
      ReadAll(dir + "/figures/axes-1.csv"),
      AllOf(StartsWith("task,size,depth,train.learning_rate,metric,step,n,mean,std,min,"
                       "max\n"
                       "question,small,2,1e-4,gen_accuracy,100,2,"),
            HasSubstr("\ntense,small,2,0.001,gen_accuracy,300,2,0.85"), Not(HasSubstr("paper"))));
  EXPECT_THAT(ReadAll(dir + "/figures/axes-2.csv"),
              AllOf(HasSubstr("\nquestion,paper,2,3e-4,gen_accuracy,300,2,0.45,"),
                    Not(HasSubstr("tense"))));
  EXPECT_THAT(ReadAll(dir + "/index.html"),
              AllOf(HasSubstr("a panel for each value of task, a line for each value of "
                              "train.learning_rate, at size=small"),
                    HasSubstr("Seeds: n = 2 at every point."),
                    HasSubstr("No job that counts has reported val_loss at size=paper."),
                    HasSubstr("0.85")));
}

TEST_F(AxesReport, CollapsesSeedsInItsTablesWithAllDigits) {
  Fill(kSpec);
  const std::string dir = Dir("tables");
  ASSERT_EQ(Run(dir).code, 0);
  EXPECT_THAT(ReadAll(dir + "/summary.csv"),
              AllOf(StartsWith("task,size,depth,train.learning_rate,jobs,seeds,not_ended,"
                               "final_gen_accuracy_n,final_gen_accuracy_mean,"),
                    HasSubstr("\nquestion,paper,2,1e-4,2,2,0,2,0.45,")));
  EXPECT_THAT(ReadAll(dir + "/jobs.csv"),
              HasSubstr("\n1,question,small,2,1e-4,0,succeeded,300,300,0.8,"));
}

TEST_F(AxesReport, ABadChoiceOfAxesNamesTheFlags) {
  Fill(kSpec);
  const std::string dir = Dir("bad");
  const auto error = [&](std::vector<std::string> flags) {
    const CliResult result = Run(dir, std::move(flags));
    EXPECT_EQ(result.code, 2);
    return result.err;
  };
  EXPECT_THAT(error({"--panel", "sise"}),
              HasSubstr("--panel 'sise' is no axis of the sweep; use one of task, size, depth, "
                        "train.learning_rate; did you mean 'size'?"));
  EXPECT_THAT(error({"--panel", "size", "--line", "size"}),
              HasSubstr("--panel and --line both name size; give two axes"));
  std::string many = kSpec;
  many.replace(many.find("[1e-4, 3e-4, 1e-3]"), 18, "1e-4..1e-2 log 30");
  Fill(many);
  EXPECT_THAT(error({"--line", "train.learning_rate"}),
              HasSubstr("has 30 values, and a panel holds at most 12 lines; choose another axis "
                        "with --line"));
  EXPECT_THAT(error({"--line", "size"}), HasSubstr("a report holds at most 48; give --panel and "
                                                   "--line the axes with most values"));
}

TEST_F(AxesReport, ASweepOfTheStudyMayBeDrawnByAxesToo) {
  Fill("name: grid\ntasks: [question, tense]\ndepths: [2, 4]\nseeds: 0-1\ntrain: {steps: 300}\n");
  const std::string dir = Dir("classic");
  ASSERT_EQ(Run(dir, {"--panel", "depth", "--line", "task"}).code, 0);
  EXPECT_THAT(Figures(dir), ElementsAre("axes-1"));
  // Written anew without flags, the figures by axes make way for those of the study.
  ASSERT_EQ(Run(dir).code, 0);
  EXPECT_THAT(Figures(dir), Not(::testing::Contains("axes-1")));
}

}  // namespace
}  // namespace coppice::cli
