// Reports of synthetic sweeps against a real gRPC server, with the real gnuplot.
#ifndef COPPICE_TESTS_CLI_REPORT_REPORT_FIXTURE_H_
#define COPPICE_TESTS_CLI_REPORT_REPORT_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/cli/fake_sweep_service.h"
#include "tests/cli/report/synthetic_sweep.h"
#include "tests/testing/subprocess.h"
#include "tests/testing/temp_dir.h"

namespace coppice::cli {

inline constexpr char kCheckXml[] =
    "import sys, xml.etree.ElementTree as e\nfor p in sys.argv[1:]: assert "
    "e.parse(p).getroot().tag.endswith('svg'), p\n";

class ReportTest : public ::testing::Test {
 protected:
  // If COPPICE_REPORT_DIR is set, the reports stay there for people to view.
  std::string Dir(const std::string& name) {
    const char* keep = std::getenv("COPPICE_REPORT_DIR");
    return keep == nullptr ? dir_.Join(name) : absl::StrCat(keep, "/", name);
  }
  CliResult Run(const std::string& dir, std::vector<std::string> more = {}) {
    std::vector<std::string> args = {"report", "-o", dir};
    args.insert(args.end(), more.begin(), more.end());
    return RunCommand(coordinator_.address(), args);
  }
  // Writes a report, which must succeed, and returns its page.
  std::string Report(const Synthetic& synthetic, const std::string& dir) {
    Fill(synthetic, &service());
    const CliResult result = Run(dir);
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_THAT(result.err, ::testing::IsEmpty());
    CheckFiles(dir);
    return coppice::testing::ReadAll(dir + "/index.html");
  }
  static std::set<std::string> Figures(const std::string& dir) {
    std::set<std::string> stems;
    for (const auto& entry : std::filesystem::directory_iterator(dir + "/figures"))
      stems.insert(entry.path().stem().string());
    return stems;
  }
  // Checks that hold for every report: each figure has all of its files, SVGs are XML, PDFs are
  // PDFs, and the page loads nothing and is not too large.
  void CheckFiles(const std::string& dir) {
    std::vector<std::string> check = {"python3", "-c", kCheckXml};
    for (const std::string& figure : Figures(dir)) {
      const std::string base = dir + "/figures/" + figure;
      EXPECT_THAT(coppice::testing::ReadAll(base + ".pdf").substr(0, 5), "%PDF-") << figure;
      EXPECT_THAT(coppice::testing::ReadAll(base + ".csv"), ::testing::HasSubstr("\n")) << figure;
      EXPECT_TRUE(std::filesystem::exists(base + ".gp")) << figure;
      check.push_back(base + ".svg");
    }
    const coppice::testing::RunResult xml = coppice::testing::RunProcess(check);
    EXPECT_EQ(xml.code, 0) << xml.err;
    const std::string page = coppice::testing::ReadAll(dir + "/index.html");
    EXPECT_LT(page.size(), 3u << 20);
    for (const char* outside : {"http://", "https://", "<script", "<link", "@import", "url("})
      EXPECT_THAT(page, ::testing::Not(::testing::HasSubstr(outside)));
    for (const auto& entry :
         std::filesystem::directory_iterator(std::filesystem::path(dir).parent_path()))
      EXPECT_NE(entry.path().filename().string()[0], '.') << "left behind: " << entry.path();
  }
  FakeSweepService& service() { return coordinator_.service(); }

  coppice::testing::TempDir dir_;
  FakeCoordinator coordinator_;
};

// Two tasks, depths and seeds, five reports, settings other than the paper's.
inline Synthetic Small() {
  Synthetic synthetic;
  synthetic.name = "small";
  synthetic.tasks = {"question", "dyck"};
  synthetic.depths = {1, 2};
  synthetic.seeds = 2;
  synthetic.steps = 1'500;
  synthetic.every = 300;
  synthetic.small_model = true;
  return synthetic;
}

}  // namespace coppice::cli

#endif  // COPPICE_TESTS_CLI_REPORT_REPORT_FIXTURE_H_
