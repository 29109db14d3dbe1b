// Several sweeps in one report.
#include "cli/report/join.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/cli/report/report_fixture.h"

namespace coppice::cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A group for each task and depth 2, and its jobs.
SweepSeries Study(const std::string& name, const std::vector<std::string>& tasks,
                  const std::vector<uint32_t>& seeds, uint32_t steps = 300) {
  SweepSeries series;
  v1::SweepSummary* sweep = series.sweep.mutable_sweep();
  sweep->set_name(name);
  sweep->set_jobs(tasks.size() * seeds.size());
  sweep->mutable_counts()->set_succeeded(sweep->jobs());
  sweep->set_created_ms(seeds[0] + 1);
  sweep->set_finished_ms(seeds[0] + 100);
  v1::SweepSpec* spec = series.sweep.mutable_spec();
  spec->add_depths(2);
  spec->mutable_seeds()->Assign(seeds.begin(), seeds.end());
  for (const std::string& task : tasks) {
    spec->add_tasks(task);
    v1::GroupSummary* group = series.sweep.add_groups();
    group->set_task(task);
    group->set_depth(2);
    group->mutable_run()->mutable_train()->set_steps(steps);
    group->mutable_counts()->set_succeeded(seeds.size());
    for (const uint32_t seed : seeds) {
      v1::Job& job = series.jobs.emplace_back().job;
      job.set_sweep(name);
      job.set_task(task);
      job.set_depth(2);
      job.set_seed(seed);
      job.set_state(v1::SUCCEEDED);
    }
  }
  return series;
}

std::vector<std::string> JobsOf(const SweepSeries& series) {
  std::vector<std::string> jobs;
  for (const JobSeries& job : series.jobs)
    jobs.push_back(absl::StrCat(job.job.task(), "/", job.job.seed(), " of ", job.job.sweep()));
  return jobs;
}

TEST(JoinStudies, SeedsOfOnePointComeTogetherAndTasksAreAdded) {
  const auto joined =
      JoinStudies({Study("a", {"question"}, {0, 2}), Study("b", {"question", "dyck"}, {1})});
  ASSERT_TRUE(joined.ok()) << joined.status();
  EXPECT_THAT(JobsOf(*joined),
              ElementsAre("question/0 of a", "question/1 of b", "question/2 of a", "dyck/1 of b"));
  ASSERT_EQ(joined->sweep.groups_size(), 2);
  EXPECT_EQ(joined->sweep.groups(0).counts().succeeded(), 3u);
  EXPECT_EQ(joined->sweep.groups(1).counts().succeeded(), 1u);
  EXPECT_THAT(joined->sweep.spec().tasks(), ElementsAre("question", "dyck"));
  EXPECT_THAT(joined->sweep.spec().seeds(), ElementsAre(0, 1, 2));
  const v1::SweepSummary& sweep = joined->sweep.sweep();
  EXPECT_EQ(sweep.name(), "a + b");
  EXPECT_EQ(sweep.jobs(), 4u);
  EXPECT_EQ(sweep.created_ms(), 1);
  EXPECT_EQ(sweep.finished_ms(), 101);
  EXPECT_THAT(sweep.note(), AllOf(HasSubstr("a (2 jobs), b (2 jobs)"), HasSubstr("1 of the 2")));
}

TEST(JoinStudies, AJobOfTwoSweepsIsRefusedByName) {
  const auto joined =
      JoinStudies({Study("a", {"question"}, {0, 1}), Study("b", {"question"}, {1, 2})});
  EXPECT_TRUE(absl::IsInvalidArgument(joined.status()));
  EXPECT_THAT(std::string(joined.status().message()),
              AllOf(HasSubstr("question/2/1 is in a and in b"), HasSubstr("--line sweep")));
}

TEST(JoinStudies, OtherSettingsOfAPointAreRefusedByName) {
  const auto joined =
      JoinStudies({Study("a", {"question"}, {0}), Study("b", {"question"}, {1}, 400)});
  EXPECT_TRUE(absl::IsInvalidArgument(joined.status()));
  EXPECT_THAT(std::string(joined.status().message()),
              AllOf(HasSubstr("question/2"), HasSubstr("train.steps is 300 in a and 400 in b"),
                    HasSubstr("--line sweep")));
}

TEST(JoinStudies, OneThatHasNotEndedLeavesTheWholeOpen) {
  SweepSeries open = Study("b", {"question"}, {1});
  open.sweep.mutable_sweep()->set_finished_ms(0);
  EXPECT_EQ(JoinStudies({Study("a", {"question"}, {0}), open})->sweep.sweep().finished_ms(), 0);
}

AxesSeries ByAxes(const std::string& name, const std::vector<std::string>& axes,
                  const std::vector<std::vector<std::string>>& points) {
  AxesSeries series;
  series.sweep.mutable_sweep()->set_name(name);
  series.metrics = {"loss", absl::StrCat("of_", name)};
  for (size_t a = 0; a < axes.size(); ++a) {
    v1::Axis* axis = series.sweep.mutable_spec()->add_axes();
    axis->set_name(axes[a]);
    for (const auto& point : points) axis->add_values()->set_name(point[a]);
  }
  for (const auto& point : points) {
    v1::GroupSummary* group = series.sweep.add_groups();
    for (size_t a = 0; a < axes.size(); ++a) {
      v1::Coordinate* coordinate = group->add_point();
      coordinate->set_axis(axes[a]);
      coordinate->set_value(point[a]);
    }
    AxesJob job;
    job.group = series.jobs.size();
    series.jobs.push_back(std::move(job));
  }
  series.points = PointRowsOf(series.sweep.groups());
  return series;
}

TEST(JoinByAxes, TheSweepIsTheOutermostAxisAndMissingAxesSaySo) {
  const auto joined =
      JoinByAxes({ByAxes("a", {"size"}, {{"small"}, {"big"}}), ByAxes("b", {"rate"}, {{"1e-3"}})});
  ASSERT_TRUE(joined.ok()) << joined.status();
  EXPECT_THAT(joined->points.axes, ElementsAre("sweep", "size", "rate"));
  EXPECT_THAT(joined->points.values,
              ElementsAre(ElementsAre("a", "small", "-"), ElementsAre("a", "big", "-"),
                          ElementsAre("b", "-", "1e-3")));
  EXPECT_THAT(joined->ValuesOf(0), ElementsAre("a", "b"));
  EXPECT_THAT(joined->ValuesOf(1), ElementsAre("small", "big", "-"));
  EXPECT_THAT(joined->metrics, ElementsAre("loss", "of_a", "of_b"));
  ASSERT_EQ(joined->jobs.size(), 3u);
  EXPECT_EQ(joined->jobs[2].group, 2u);
  EXPECT_EQ(joined->jobs[2].job.point(0).value(), "b");
  EXPECT_TRUE(absl::IsInvalidArgument(
      JoinByAxes({ByAxes("a", {"sweep"}, {{"x"}}), ByAxes("b", {"size"}, {{"x"}})}).status()));
}

// Two sweeps with the same jobs and rows.
class JoinedReport : public ReportTest {
 protected:
  JoinedReport() {
    Fill(Small(), &service());
    absl::MutexLock lock(&service().mutex);
    v1::SweepSummary twin = service().sweeps[0];
    twin.set_name("twin");
    service().sweeps.push_back(twin);
    constexpr uint64_t kApart = 1'000;
    const std::vector<v1::Job> jobs = service().jobs;
    for (v1::Job job : jobs) {
      job.set_sweep("twin");
      job.set_id(job.id() + kApart);
      service().jobs.push_back(job);
    }
    const std::vector<v1::JobMetrics> rows = service().metrics;
    for (v1::JobMetrics row : rows) {
      row.set_job_id(row.job_id() + kApart);
      service().metrics.push_back(row);
    }
  }
};

TEST_F(JoinedReport, OfTheSameJobsIsRefusedAndByAxesDrawsTheSweepsApart) {
  const CliResult refused = Run(Dir("refused"), {"small", "twin"});
  EXPECT_EQ(refused.code, 2);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("is in small and in twin"), HasSubstr("and more")));
  EXPECT_EQ(Run(Dir("refused"), {"small", "small"}).code, 2);

  const std::string dir = Dir("joined");
  const CliResult drawn = Run(dir, {"small", "twin", "--line", "sweep"});
  ASSERT_EQ(drawn.code, 0) << drawn.err;
  EXPECT_THAT(drawn.out, HasSubstr("Joined from small ("));
  CheckFiles(dir);
  const std::string page = coppice::testing::ReadAll(dir + "/index.html");
  EXPECT_THAT(page, AllOf(HasSubstr("small + twin"), HasSubstr("Joined from small (")));
  EXPECT_THAT(coppice::testing::ReadAll(dir + "/summary.csv"),
              AllOf(HasSubstr("sweep,task,depth"), HasSubstr("\ntwin,question,")));
}

}  // namespace
}  // namespace coppice::cli
