// `coppice export`: an independent program reads the files back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <tuple>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cli/tensorboard.h"
#include "cli/tfrecord.h"
#include "tests/cli/cli_fixture.h"
#include "tests/testing/subprocess.h"
#include "tests/testing/temp_dir.h"

namespace coppice::cli {
namespace {

using ::coppice::testing::ReadAll;
using ::coppice::testing::TempDir;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(Crc32c, HasThePublishedValues) {
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(Crc32c(""), 0u);
  // RFC 3720, B.4.
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62a8ab43u);
}

TEST(TfRecord, IsFramedAsTensorFlowDoes) {
  // Every event file that TensorFlow 2 writes begins with these twelve bytes, if its first record
  // has 24 bytes.
  EXPECT_EQ(absl::BytesToHexString(TfRecord(std::string(24, 'x')).substr(0, 12)),
            "1800000000000000a37f4b22");
}

TEST(TensorBoardTag, GroupsWhatIsCompared) {
  EXPECT_EQ(TensorBoardTag("id_accuracy"), "accuracy/id");
  EXPECT_EQ(TensorBoardTag("val_loss"), "loss/val");
  EXPECT_EQ(TensorBoardTag("grad_norm"), "grad_norm");
  EXPECT_EQ(TensorBoardTag("_loss"), "_loss");
}

class ExportTest : public CliFixture {
 protected:
  ExportTest() {
    absl::MutexLock lock(&service().mutex);
    for (v1::Job& job : service().jobs) {
      job.set_created_ms(1'600'000'000'000);
      job.set_started_ms(job.state() == v1::PENDING ? 0 : 1'700'000'000'123 + 1000 * job.id());
    }
    // Numbers that float32 rounds, and one of which it keeps no digit.
    for (v1::JobMetrics& row : service().metrics) {
      for (const double value : {0.1, -1e-50, 123456789.123, 3e38}) {
        v1::MetricValue* added = row.mutable_row()->add_values();
        added->set_name(absl::StrCat("metric ", value));
        added->set_value(value);
      }
    }
  }
  // Decodes the files with an independent reader, into a JSON object for each.
  static std::vector<nlohmann::json> Decode(const std::vector<std::string>& files) {
    std::vector<std::string> command = {COPPICE_PYTHON, COPPICE_READ_TFEVENTS};
    command.insert(command.end(), files.begin(), files.end());
    const testing::RunResult result = testing::RunProcess(command);
    EXPECT_EQ(result.code, 0) << result.err;
    std::vector<nlohmann::json> rows;
    for (const absl::string_view line : absl::StrSplit(result.out, '\n', absl::SkipEmpty()))
      rows.push_back(nlohmann::json::parse(std::string(line)));
    return rows;
  }
  std::vector<std::string> Files() {
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(dir_.path()))
      if (entry.is_regular_file()) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    return files;
  }

  TempDir dir_;
};

TEST_F(ExportTest, CsvAndJsonLinesAreThoseOfMetrics) {
  EXPECT_EQ(Ok({"export", "demo", "--format", "csv"}), Ok({"metrics", "demo", "--csv"}));
  EXPECT_EQ(Ok({"export", "--format", "jsonl"}), Ok({"metrics", "--jsonl"}));
  EXPECT_THAT(Ok({"export", "--format", "csv", "-o", dir_.Join("m.csv")}), IsEmpty());
  EXPECT_EQ(ReadAll(dir_.Join("m.csv")), Ok({"metrics", "--csv"}));
  Ok({"export", "demo", "--format", "csv", "--task", "dyck", "--depth", "1-2", "--seed", "1",
      "--state", "running", "--name", "val_loss", "--from-step", "7"});
  absl::MutexLock lock(&service().mutex);
  const v1::GetMetricsRequest& asked = service().get_metrics;
  EXPECT_EQ(asked.filter().tasks(0), "dyck");
  EXPECT_EQ(asked.filter().depths_size(), 2);
  EXPECT_EQ(asked.filter().seeds(0), 1u);
  EXPECT_EQ(asked.filter().states(0), v1::RUNNING);
  EXPECT_EQ(asked.names(0), "val_loss");
  EXPECT_EQ(asked.from_step(), 7u);
  EXPECT_FALSE(asked.include_archived());
}

TEST_F(ExportTest, TemporaryFilesGoWhereTmpdirSaysAndTheRefusalNamesIt) {
  const char* const chosen = std::getenv("TMPDIR");
  const std::string before = chosen == nullptr ? "" : chosen;
  ::setenv("TMPDIR", dir_.path().c_str(), 1);
  EXPECT_THAT(Ok({"export", "--format", "csv"}), HasSubstr("job_id,task"));
  EXPECT_TRUE(std::filesystem::is_empty(dir_.path())) << "it has no name";
  ::setenv("TMPDIR", dir_.Join("absent").c_str(), 1);
  const CliResult refused = Run({"export", "--format", "csv"});
  before.empty() ? ::unsetenv("TMPDIR") : ::setenv("TMPDIR", before.c_str(), 1);
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err, HasSubstr(dir_.Join("absent")));
  EXPECT_THAT(refused.err, HasSubstr("by TMPDIR"));
}

TEST_F(ExportTest, EveryNumberComesOutOfTheEventFiles) {
  EXPECT_THAT(Ok({"export", "--format", "tensorboard", "-o", dir_.path()}), HasSubstr("2 runs"));
  const std::string first =
      dir_.Join("question/depth-1/seed-0/events.out.tfevents.1700000001.demo");
  const std::string sixth = dir_.Join("dyck/depth-1/seed-1/events.out.tfevents.1700000006.demo");
  EXPECT_THAT(Files(), ::testing::ElementsAre(sixth, first));

  // (file, step, tag) -> value, from the rows.
  std::map<std::tuple<std::string, uint32_t, std::string>, double> expected;
  {
    absl::MutexLock lock(&service().mutex);
    for (const v1::JobMetrics& row : service().metrics) {
      for (const v1::MetricValue& value : row.row().values()) {
        expected[{row.job_id() == 1 ? first : sixth, row.row().step(),
                  TensorBoardTag(value.name())}] = value.value();
      }
    }
  }
  EXPECT_EQ(expected.size(), 22u);
  size_t versions = 0;
  for (const nlohmann::json& row : Decode(Files())) {
    ASSERT_FALSE(row.contains("bad")) << row;
    if (row.contains("version")) {
      EXPECT_EQ(row["version"], "brain.Event:2");
      ++versions;
      continue;
    }
    EXPECT_EQ(row["wall_time"].get<double>(),
              row["file"] == first ? 1700000001.123 : 1700000006.123);
    const auto at = expected.find({row["file"], row["step"], row["tag"]});
    ASSERT_NE(at, expected.end()) << row;
    EXPECT_EQ(row["value"].get<double>(), double{static_cast<float>(at->second)}) << row;
    expected.erase(at);
  }
  EXPECT_EQ(versions, 2u);
  EXPECT_TRUE(expected.empty()) << expected.size() << " numbers are missing";
}

TEST_F(ExportTest, TheReaderFindsEveryFlippedByte) {
  Ok({"export", "--format", "tensorboard", "-o", dir_.path()});
  const std::string good = ReadAll(Files()[0]);
  TempDir flipped;
  std::vector<std::string> files;
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ (1 << (i % 8)));
    files.push_back(flipped.Join(absl::StrCat(i)));
    std::ofstream(files.back(), std::ios::binary) << bad;
  }
  const std::vector<nlohmann::json> rows = Decode(files);
  EXPECT_EQ(rows.size(), files.size());
  for (const nlohmann::json& row : rows) EXPECT_TRUE(row.contains("bad")) << row;
}

TEST_F(ExportTest, TheSameRowsGiveTheSameFilesAndReplaceThem) {
  Ok({"export", "--format", "tensorboard", "-o", dir_.path()});
  std::map<std::string, std::string> before;
  for (const std::string& file : Files()) before[file] = ReadAll(file);
  std::ofstream(absl::StrCat(Files()[0], ".tmp-1-0")) << "left behind";
  Ok({"export", "--format", "tensorboard", "-o", dir_.path()});
  std::map<std::string, std::string> after;
  for (const std::string& file : Files()) after[file] = ReadAll(file);
  EXPECT_EQ(before, after);
}

TEST_F(ExportTest, EventsOfAnotherRunAreNotMixedIn) {
  std::filesystem::create_directories(dir_.Join("question/depth-1/seed-0"));
  std::ofstream(dir_.Join("question/depth-1/seed-0/events.out.tfevents.1.elsewhere")) << "x";
  const CliResult result = Run({"export", "--format", "tensorboard", "-o", dir_.path()});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, HasSubstr("choose another folder with -o"));
}

TEST_F(ExportTest, NothingToShowAndAFormatThatIsNoneAreErrors) {
  {
    absl::MutexLock lock(&service().mutex);
    service().metrics.clear();
  }
  const CliResult nothing = Run({"export", "--format", "tensorboard", "-o", dir_.Join("none")});
  EXPECT_EQ(nothing.code, 1);
  EXPECT_THAT(nothing.err, HasSubstr("has reported a metric yet"));
  EXPECT_FALSE(std::filesystem::exists(dir_.Join("none")));
  for (const std::vector<std::string>& args :
       {std::vector<std::string>{"export"}, {"export", "--format", "xml"}}) {
    const CliResult result = Run(args);
    EXPECT_EQ(result.code, 2);
    EXPECT_THAT(result.err, HasSubstr("--format"));
  }
}

}  // namespace
}  // namespace coppice::cli
