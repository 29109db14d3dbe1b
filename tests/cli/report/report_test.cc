// `coppice report` against a real gRPC server, with the real gnuplot.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/cli/report/report_fixture.h"

namespace coppice::cli {
namespace {

namespace fs = std::filesystem;
using ::coppice::testing::ReadAll;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TEST_F(ReportTest, ThePapersWholeGridFitsOnePage) {
  const std::string dir = Dir("full");
  const std::string page = Report(Synthetic(), dir);
  EXPECT_THAT(Figures(dir),
              ElementsAre("accuracy-dyck", "accuracy-question", "accuracy-tense", "dynamics-dyck",
                          "dynamics-question", "dynamics-tense", "early-stopping", "grokking",
                          "loss-dyck", "loss-question", "loss-tense", "onset", "share-above-80"));
  EXPECT_THAT(page,
              AllOf(Not(HasSubstr("What is missing")), HasSubstr("Complete: every job succeeded."),
                    HasSubstr("published means (Murty et al., ACL 2023; question depth 6, n = 20; "
                              "tense depth 4, n = 20; dyck depth 6, n = 4 to 10 seeds)"),
                    Not(HasSubstr("settings differ"))));
}

// The reported values, by task, depth, seed and step.
TEST_F(ReportTest, TheCsvHoldsTheVeryNumbersThatWereReported) {
  const std::string dir = Dir("small");
  Report(Small(), dir);
  std::map<std::string, std::string> cells;
  for (const absl::string_view line :
       absl::StrSplit(ReadAll(dir + "/figures/grokking.csv"), '\n', absl::SkipEmpty())) {
    const std::vector<std::string> row = absl::StrSplit(line, ',');
    ASSERT_EQ(row.size(), 10) << line;
    cells[absl::StrCat(row[0], "/", row[1], "/", row[3], "/", row[4], "/", row[2])] = row[8];
  }
  absl::MutexLock lock(&service().mutex);
  int compared = 0;
  for (const v1::JobMetrics& row : service().metrics) {
    for (const v1::MetricValue& value : row.row().values()) {
      if (value.name() != "gen_accuracy") continue;
      const auto cell = cells.find(absl::StrCat(row.task(), "/", row.depth(), "/", row.seed(), "/",
                                                row.row().step(), "/seed"));
      if (cell == cells.end()) continue;  // of a depth other than the best
      double read = -1;
      ASSERT_TRUE(absl::SimpleAtod(cell->second, &read)) << cell->second;
      EXPECT_EQ(read, value.value());
      ++compared;
    }
  }
  EXPECT_EQ(compared, 2 * 2 * 5);
}

TEST_F(ReportTest, ARunningSweepIsReportedAsItIsNow) {
  Synthetic synthetic;
  synthetic.name = "running";
  synthetic.tasks = {"question", "tense"};
  synthetic.depths = {2, 4, 6};
  synthetic.seeds = 5;
  synthetic.small_model = true;
  synthetic.state = [](uint64_t id) {
    if (id == 3 || id == 17) return v1::FAILED;
    if (id == 5) return v1::CANCELLED;
    return id % 4 == 0 ? v1::RUNNING : id > 27 ? v1::PENDING : v1::SUCCEEDED;
  };
  synthetic.done = [](uint64_t id) { return 0.3 + 0.02 * static_cast<double>(id); };
  const std::string dir = Dir("running");
  const std::string page = Report(synthetic, dir);
  EXPECT_THAT(
      page,
      AllOf(HasSubstr("What is missing"), HasSubstr("2 jobs failed"),
            HasSubstr("question/2/2 at step"), HasSubstr("nan: the loss is not finite"),
            HasSubstr("1 job was cancelled"), HasSubstr("7 jobs are running; their latest reports"),
            HasSubstr("Not finished"), HasSubstr("d_model 128 (published 512)"),
            HasSubstr("learning_rate 5e-04 (published 1e-04)")));
  EXPECT_THAT(ReadAll(dir + "/figures/onset.csv"),
              AllOf(HasSubstr("question,2,3,running,"), Not(HasSubstr("failed"))));
}

TEST_F(ReportTest, WithoutProbesItSaysSo) {
  Synthetic synthetic = Small();
  synthetic.probes = false;
  const std::string page = Report(synthetic, Dir("no-probes"));
  EXPECT_THAT(
      page,
      AllOf(HasSubstr("question: no job that counts has reported attention_sparsity, t_score, "
                      "t_parseval; the probes are off"),
            HasSubstr(
                "dyck: no job that counts has reported attention_sparsity, t_score; the probes")));
}

TEST_F(ReportTest, WithoutAccuraciesItHasTheRestAndSaysSo) {
  Synthetic synthetic = Small();
  synthetic.accuracies = false;
  const std::string dir = Dir("no-accuracies");
  const std::string page = Report(synthetic, dir);
  EXPECT_THAT(page, HasSubstr("question: no job that counts has reported gen_accuracy; the trainer "
                              "measures it on the generalization set (data.gen, data.files.gen)."));
  EXPECT_THAT(Figures(dir),
              ElementsAre("dynamics-dyck", "dynamics-question", "loss-dyck", "loss-question"));
}

TEST_F(ReportTest, ASweepThatHasNotBegunHasNoFigures) {
  Synthetic synthetic = Small();
  synthetic.state = [](uint64_t) { return v1::PENDING; };
  const std::string dir = Dir("pending");
  EXPECT_THAT(Report(synthetic, dir), AllOf(HasSubstr("8 jobs wait to run."),
                                            HasSubstr("no job has reported yet, 4 wait")));
  EXPECT_THAT(Figures(dir), IsEmpty());
}

TEST_F(ReportTest, OneSeedOneDepthOneReportIsDrawn) {
  Synthetic synthetic = Small();
  synthetic.tasks = {"question"};
  synthetic.depths = {2};
  synthetic.seeds = 1;
  synthetic.every = synthetic.steps;
  const std::string dir = Dir("single");
  EXPECT_THAT(Report(synthetic, dir),
              AllOf(HasSubstr("1 figure is not drawn"),
                    HasSubstr("no seed&#39;s generalization accuracy (of 1 seed) stays above 0.80"),
                    Not(HasSubstr("has not reported"))));
  EXPECT_THAT(ReadAll(dir + "/figures/dynamics-question.csv"),
              HasSubstr("only,2,weight_norm,1500,1,"));
}

TEST_F(ReportTest, AnEarlierReportIsReplacedAndOtherFilesStay) {
  const std::string dir = dir_.Join("again");
  Report(Small(), dir);
  std::ofstream(dir + "/notes.txt") << "mine";
  std::ofstream(dir + "/figures/mine.svg") << "<svg/>";
  Synthetic one_task = Small();
  one_task.tasks = {"question"};
  Fill(one_task, &service());
  EXPECT_EQ(Run(dir).code, 0);
  EXPECT_EQ(ReadAll(dir + "/notes.txt"), "mine");
  EXPECT_THAT(Figures(dir),
              AllOf(::testing::Contains("mine"), Not(::testing::Contains("dynamics-dyck"))));
  EXPECT_THAT(ReadAll(dir + "/index.html"), Not(HasSubstr("dyck/1/0")));
}

TEST_F(ReportTest, AForeignFolderIsRefusedUntouched) {
  Fill(Small(), &service());
  fs::create_directory(dir_.Join("thesis"));
  std::ofstream(dir_.Join("thesis/index.html")) << "<html>my thesis</html>";
  const CliResult result = Run(dir_.Join("thesis"));
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, AllOf(HasSubstr("thesis"), HasSubstr("-o")));
  EXPECT_EQ(ReadAll(dir_.Join("thesis/index.html")), "<html>my thesis</html>");
  std::ofstream(dir_.Join("file")) << "x";
  EXPECT_THAT(Run(dir_.Join("file")).err, HasSubstr("is no folder"));
}

TEST_F(ReportTest, WithoutGnuplotTheRemedyIsNamedAndNothingIsWritten) {
  Fill(Small(), &service());
  const CliResult result = Run(dir_.Join("report"), {"--gnuplot", "no-such-gnuplot"});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err,
              AllOf(HasSubstr("no-such-gnuplot"), HasSubstr("apt install gnuplot-nox")));
  EXPECT_FALSE(fs::exists(dir_.Join("report")));
}

TEST_F(ReportTest, AGnuplotThatFailsLeavesTheEarlierReport) {
  const std::string dir = dir_.Join("report");
  const std::string before = Report(Small(), dir);
  std::ofstream(dir_.Join("bad"))
      << "#!/bin/sh\n[ \"$1\" = --version ] && exit 0\necho out of ink >&2\nexit 3\n";
  fs::permissions(dir_.Join("bad"), fs::perms::owner_all);
  const CliResult result = Run(dir, {"--gnuplot", dir_.Join("bad")});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, AllOf(HasSubstr("exited with code 3"), HasSubstr("out of ink")));
  EXPECT_EQ(ReadAll(dir + "/index.html"), before);
  CheckFiles(dir);
}

TEST_F(ReportTest, HostileNamesAndReasonsStayText) {
  Synthetic synthetic = Small();
  synthetic.name = "<script>alert(1)</script>";
  synthetic.tasks = {"ques'tion\" `touch x`; set output $(id)"};
  synthetic.state = [](uint64_t id) { return id == 1 ? v1::FAILED : v1::SUCCEEDED; };
  Fill(synthetic, &service());
  {
    absl::MutexLock lock(&service().mutex);
    service().jobs[0].set_reason("<img src=x onerror=alert(1)>");
    service().provenance = "<b>no json</b>";
  }
  const std::string dir = Dir("hostile");
  const CliResult result = Run(dir);
  ASSERT_EQ(result.code, 0) << result.err;
  CheckFiles(dir);
  const std::string page = ReadAll(dir + "/index.html");
  EXPECT_THAT(
      page, AllOf(Not(HasSubstr("<script>")), Not(HasSubstr("<img src=x")), Not(HasSubstr("<b>no")),
                  HasSubstr("&lt;script&gt;alert(1)"), HasSubstr("&lt;img src=x")));
  EXPECT_FALSE(fs::exists(dir + "/figures/x"));
}

TEST_F(ReportTest, TwoThousandJobsStillFit) {
  Synthetic synthetic;
  synthetic.name = "large";
  synthetic.tasks = {"question", "tense"};
  synthetic.depths = {2, 4, 6, 8};
  synthetic.seeds = 250;
  synthetic.every = 30'000;
  EXPECT_THAT(Report(synthetic, Dir("large")), HasSubstr("tense/8/249"));
}

}  // namespace
}  // namespace coppice::cli
