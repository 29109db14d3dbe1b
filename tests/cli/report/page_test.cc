// The page's parts.
#include "cli/report/page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "cli/report/html.h"

namespace coppice::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(HtmlTest, NothingOfAHostileTextIsMarkup) {
  EXPECT_EQ(EscapeHtml("<a href=\"x\" title='y'>&\x1b\x7f\n"),
            "&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;&amp;  \n");
}

SweepSeries OneJob() {
  SweepSeries series;
  series.sweep.mutable_sweep()->set_jobs(1);
  JobSeries& job = series.jobs.emplace_back();
  job.job.set_id(7);
  job.job.set_task("dyck");
  job.job.set_depth(2);
  job.job.set_steps(2'000);
  job.job.set_step(1'500);
  job.job.set_state(v1::FAILED);
  job.job.set_reason("a, \"b\"");
  job.curves[kGenAccuracy] = {{1'500, 0.8400000000000001}};
  return series;
}

TEST(PageTest, TablesShowMeasuredDigitsAndFilesEveryDigit) {
  const SweepSeries series = OneJob();
  EXPECT_THAT(JobTable(series), AllOf(HasSubstr("dyck/2/0"), HasSubstr("1,500 / 2,000"),
                                      HasSubstr("title=\"0.8400000000000001\">0.84<")));
  EXPECT_THAT(
      JobsCsv(series),
      HasSubstr("\n7,dyck,2,0,failed,1500,2000,,0.8400000000000001,1500,0,0,\"a, \"\"b\"\"\",\n"));
}

TEST(PageTest, WhatJobsRanOnIsNamedOnce) {
  SweepSeries series = OneJob();
  series.jobs.push_back(series.jobs[0]);
  series.jobs[0].provenance = series.jobs[1].provenance = R"({"device":"cuda","threads":2})";
  const std::string table = JobTable(series);
  EXPECT_EQ(table.find("cuda"), table.rfind("cuda"));
  EXPECT_THAT(table, HasSubstr("<span class=\"soft\">threads</span> 2"));
  series.jobs[1].provenance = "[not an object]";
  EXPECT_THAT(JobTable(series), HasSubstr("<td>[not an object]</td>"));
}

TEST(PageTest, AtMostTwentyReasonsAreListed) {
  SweepSeries series = OneJob();
  for (int i = 1; i < 25; ++i) series.jobs.push_back(series.jobs[0]);
  series.sweep.mutable_sweep()->mutable_counts()->set_failed(25);
  const std::vector<TaskResult> tasks = Analyze(series);
  const std::string box = MissingBox({series, tasks, {}, {}, 0});
  EXPECT_THAT(box, AllOf(HasSubstr("25 jobs failed"), HasSubstr("and 5 more, in the job table")));
}

TEST(PageTest, ACompleteSweepMissesNothing) {
  SweepSeries series = OneJob();
  series.jobs[0].job.set_state(v1::SUCCEEDED);
  series.jobs[0].curves[kIdAccuracy] = {{1'500, 1}};
  series.sweep.mutable_sweep()->mutable_counts()->set_succeeded(1);
  const std::vector<TaskResult> tasks = Analyze(series);
  EXPECT_EQ(MissingBox({series, tasks, {}, {}, 0}), "");
  series.not_finite = 3;
  EXPECT_THAT(MissingBox({series, tasks, {}, {}, 0}), HasSubstr("3 reported values"));
  series.jobs.push_back(series.jobs[0]);
  series.jobs[1].curves[kTScore] = {{1'500, 0.1}};
  const std::vector<TaskResult> partly = Analyze(series);
  EXPECT_THAT(MissingBox({series, partly, {}, {}, 0}),
              HasSubstr("dyck: 1 of 2 jobs has not reported t_score"));
  series.jobs.pop_back();
  series.jobs[0].curves[kIdAccuracy].clear();
  const std::vector<TaskResult> without = Analyze(series);
  EXPECT_THAT(MissingBox({series, without, {}, {}, 0}),
              HasSubstr("dyck: 1 of 1 job has not reported id_accuracy"));
}

// The targets of a page's internal links, and the page's ids.
std::vector<std::string> Marked(const std::string& page, const std::string& before) {
  std::vector<std::string> found;
  for (size_t at = page.find(before); at != std::string::npos; at = page.find(before, at + 1)) {
    const size_t from = at + before.size();
    found.push_back(page.substr(from, page.find('"', from) - from));
  }
  return found;
}

TEST(PageTest, TheContentsLeadToEverySectionAndFigure) {
  SweepSeries series = OneJob();
  series.jobs[0].job.set_state(v1::SUCCEEDED);
  series.jobs[0].curves[kTrainLoss] = {{100, 2}, {1'500, 1}};
  const std::vector<TaskResult> tasks = Analyze(series);
  const FigureSet figures = MakeFigures(series, tasks);
  const std::vector<std::string> svgs(figures.figures.size(), "<svg/>");
  const std::string page = MakePage({series, tasks, figures, svgs, 0});
  const std::vector<std::string> links = Marked(page, "href=\"#");
  std::vector<std::string> wanted = {"missing", "summary", "figures"};
  for (const Figure& figure : figures.figures) wanted.push_back(figure.name);
  wanted.insert(wanted.end(), {"jobs", "settings"});
  EXPECT_EQ(links, wanted);
  const std::vector<std::string> ids = Marked(page, " id=\"");
  for (const std::string& link : links)
    EXPECT_EQ(std::count(ids.begin(), ids.end(), link), 1) << link;
  EXPECT_THAT(page, AllOf(HasSubstr("<nav class=\"contents\">"),
                          HasSubstr(". Training and validation loss at every depth: dyck</a>")));
}

TEST(PageTest, AnAbsentFigureIsASentenceWithoutANumberOrAnImage) {
  SweepSeries series = OneJob();
  series.jobs[0].job.set_state(v1::SUCCEEDED);
  const std::vector<TaskResult> tasks = Analyze(series);
  const FigureSet figures = MakeFigures(series, tasks);
  const std::vector<std::string> svgs(figures.figures.size(), "");
  const std::string page = MakePage({series, tasks, figures, svgs, 0});
  const size_t at = page.find("id=\"loss-dyck\"");
  ASSERT_NE(at, std::string::npos);
  EXPECT_THAT(page.substr(at, 400),
              AllOf(HasSubstr("<p>Not drawn. dyck: no job that counts has reported train_loss, "
                              "val_loss"),
                    HasSubstr("<h3>Training and validation loss at every depth: dyck</h3>"),
                    Not(HasSubstr("<img"))));
  EXPECT_THAT(page, AllOf(HasSubstr("(not drawn)"), HasSubstr(" figures are not drawn")));
}

}  // namespace
}  // namespace coppice::cli
