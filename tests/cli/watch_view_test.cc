// A sweep in windows of any size.
#include "cli/watch_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/format.h"
#include "tests/cli/big_sweep.h"

namespace coppice::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class WatchViewTest : public ::testing::Test {
 protected:
  void Fill(uint32_t depths, uint32_t seeds) {
    FillBigSweep(&coordinator_.service(), depths, seeds);
    Load();
  }
  void Load() {
    const auto client = Client::Create(coordinator_.address());
    ASSERT_TRUE(client.ok() && model_.Load(client->get(), "structural-grokking").ok());
  }
  std::vector<std::string> Lines(size_t width, size_t height, size_t page = 0) {
    return WatchLines(
        model_, {.interactive = true, .unicode = true, .width = width, .height = height}, page);
  }

  FakeCoordinator coordinator_;
  SweepModel model_;
};

TEST_F(WatchViewTest, FitsEveryWindowWithTheTotalsTheEtaAndTheFailures) {
  for (const auto& [depths, seeds] :
       std::vector<std::pair<uint32_t, uint32_t>>{{1, 1}, {2, 3}, {5, 10}, {5, 40}, {12, 100}}) {
    Fill(depths, seeds);
    for (const size_t width : {40u, 60u, 80u, 132u, 300u}) {
      for (const size_t height : {12u, 24u, 40u, 100u}) {
        const std::vector<std::string> lines = Lines(width, height);
        const std::string text = absl::StrJoin(lines, "\n");
        const std::string size =
            absl::StrCat(depths, " x ", seeds, " in ", width, "x", height, ":\n", text);
        EXPECT_LT(lines.size(), height) << size;
        for (const std::string& line : lines) EXPECT_LE(DisplayWidth(line), width) << size;
        EXPECT_THAT(text, AllOf(HasSubstr("structural-grokking:"), HasSubstr("ETA 2m 05s")))
            << size;
        if (model_.summary().counts().failed() == 0) continue;
        EXPECT_THAT(text, HasSubstr(absl::StrCat(model_.summary().counts().failed(), " failed")))
            << size;
        EXPECT_THAT(lines.back(), AnyOf(HasSubstr("failed"), HasSubstr("--state fail"),
                                        HasSubstr("more; `coppice jobs")))
            << size;
      }
    }
  }
}

TEST_F(WatchViewTest, TheStudyOf150RunsShowsEveryJobOn80x24) {
  Fill(5, 10);
  const std::string text = absl::StrJoin(Lines(80, 24), "\n");
  for (const char* task : {"question", "tense", "dyck"}) {
    for (const int depth : {2, 4, 6, 8, 10})
      EXPECT_THAT(text, HasSubstr(absl::StrCat(task, "/", depth, " ")));
  }
  EXPECT_THAT(text, HasSubstr("▶▶✓✓··✗▶▶✓  41% 0.98/0.31")) << text;
}

TEST_F(WatchViewTest, WhatDoesNotFitComesPageByPage) {
  Fill(12, 10);
  std::set<std::string> groups;
  size_t page = 0;
  for (; page < 10 && groups.size() < 36; ++page) {
    for (const std::string& line : Lines(40, 24, page)) {
      for (const char* task : {"question/", "tense/", "dyck/"}) {
        if (absl::StartsWith(line, task)) groups.insert(line.substr(0, line.find(' ')));
      }
    }
  }
  EXPECT_EQ(groups.size(), 36) << "every group has its turn";
  EXPECT_GT(page, 1);
  EXPECT_EQ(Lines(40, 24, page), Lines(40, 24, 0)) << "then the first page again";
}

TEST_F(WatchViewTest, JobsThatDoNotReportAreToldInANarrowWindowToo) {
  Fill(5, 10);
  EXPECT_THAT(absl::StrJoin(Lines(40, 24), "\n"), Not(HasSubstr("no report")));
  {
    absl::MutexLock lock(&coordinator_.service().mutex);
    coordinator_.service().sweeps[0].set_silent_jobs(3);
    coordinator_.service().sweeps[0].set_silent_seconds(95);
  }
  Load();
  const std::vector<std::string> lines = Lines(40, 24);
  const std::string text = absl::StrJoin(lines, "\n");
  EXPECT_LT(lines.size(), 24);
  EXPECT_THAT(text, AllOf(HasSubstr("\nno report for 95 s from 3 running jobs;\n"),
                          HasSubstr("\n`coppice why JOB` says more\n"), HasSubstr("ETA 2m 05s")));
}

TEST_F(WatchViewTest, ASmallSweepKeepsItsCells) {
  Fill(2, 2);
  EXPECT_THAT(absl::StrJoin(Lines(80, 40), "\n"),
              AllOf(HasSubstr("seed 0"), HasSubstr("▶ 123k 0.98/0.31")));
}

TEST_F(WatchViewTest, APipeHasNoLimits) {
  Fill(5, 40);
  EXPECT_EQ(WatchLines(model_, {}, 3), WatchLines(model_, {}, 0));
  EXPECT_THAT(absl::StrJoin(WatchLines(model_, {}, 0), "\n"), Not(HasSubstr("page")));
}

}  // namespace
}  // namespace coppice::cli
