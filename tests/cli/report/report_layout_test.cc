// Whole reports of sweeps with unusual shapes: their figures, and the sentences in place of others.
#include <filesystem>

#include "tests/cli/report/report_fixture.h"

namespace coppice::cli {
namespace {

using ::coppice::testing::ReadAll;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(ReportTest, TwelveDepthsFitOneFigureEach) {
  Synthetic synthetic;
  synthetic.name = "twelve";
  synthetic.tasks = {"question"};
  synthetic.depths = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  synthetic.seeds = 4;
  const std::string dir = Dir("twelve");
  const std::string page = Report(synthetic, dir);
  EXPECT_THAT(Figures(dir),
              AllOf(Contains("accuracy-question"), Not(Contains("accuracy-question-2"))));
  EXPECT_THAT(ReadAll(dir + "/figures/accuracy-question.svg"), HasSubstr(">depth 12<"));
  EXPECT_THAT(ReadAll(dir + "/figures/loss-question.svg"), HasSubstr(">depth 12<"));
}

TEST_F(ReportTest, FewerDepthsLeaveNoSecondFigureBehind) {
  Synthetic synthetic = Small();
  synthetic.tasks = {"question"};
  synthetic.depths.clear();
  for (uint32_t depth = 1; depth <= 14; ++depth) synthetic.depths.push_back(depth);
  synthetic.seeds = 1;
  const std::string dir = dir_.Join("fewer");
  Report(synthetic, dir);
  EXPECT_THAT(Figures(dir), AllOf(Contains("accuracy-question-2"), Contains("loss-question-2")));
  synthetic.depths.resize(3);
  Report(synthetic, dir);
  EXPECT_THAT(Figures(dir),
              AllOf(Contains("accuracy-question"), Not(Contains("accuracy-question-2")),
                    Not(Contains("loss-question-2"))));
}

// All of depth 4 of question has failed, depth 6 has lost seeds, and tense waits.
TEST_F(ReportTest, MissingGroupsAreToldAndTheRestIsDrawn) {
  Synthetic synthetic;
  synthetic.name = "gaps";
  synthetic.tasks = {"question", "tense"};
  synthetic.depths = {2, 4, 6};
  synthetic.seeds = 10;
  synthetic.step_0 = true;
  synthetic.state = [](uint64_t id) {
    if (id > 30) return v1::PENDING;
    if ((id > 10 && id <= 20) || id > 23) return v1::FAILED;
    return v1::SUCCEEDED;
  };
  const std::string dir = Dir("gaps");
  const std::string page = Report(synthetic, dir);
  EXPECT_THAT(page, AllOf(HasSubstr("question: no job that counts has reported at depth 4"),
                          HasSubstr("tense: no job has reported yet, 30 wait to run"),
                          HasSubstr("Seeds: n = 3 to 10; fewer than 10: question depth 6 (n = 3)"),
                          HasSubstr("reports at step 0 are the points left of the dotted line")));
  EXPECT_THAT(Figures(dir), ElementsAre("accuracy-question", "dynamics-question", "early-stopping",
                                        "grokking", "loss-question", "onset", "share-above-80"));
}

TEST_F(ReportTest, WithoutLossesASentenceStandsInForTheFigure) {
  Synthetic synthetic = Small();
  synthetic.losses = false;
  const std::string dir = Dir("no-losses");
  const std::string page = Report(synthetic, dir);
  EXPECT_THAT(page, AllOf(HasSubstr("<p>Not drawn. question: no job that counts has reported "
                                    "train_loss, val_loss; "),
                          HasSubstr("2 figures are not drawn")));
  EXPECT_THAT(Figures(dir), AllOf(Not(Contains("loss-question")), Contains("accuracy-question")));
}

TEST_F(ReportTest, TheSameSweepGivesTheSameFiles) {
  Report(Small(), dir_.Join("one"));
  Report(Small(), dir_.Join("two"));
  for (const std::string& figure : Figures(dir_.Join("one"))) {
    for (const char* type : {".csv", ".gp", ".svg"}) {
      const std::string name = "/figures/" + figure + type;
      EXPECT_EQ(ReadAll(dir_.Join("one") + name), ReadAll(dir_.Join("two") + name)) << name;
    }
  }
}

}  // namespace
}  // namespace coppice::cli
