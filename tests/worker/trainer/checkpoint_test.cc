#include "worker/trainer/checkpoint/checkpoint.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "common/base/digest.h"
#include "common/base/files.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/worker/trainer/test_directory.h"

namespace coppice::trainer {
namespace {

using testing::HasSubstr;

std::string Contents(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

void Overwrite(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

class CheckpointTest : public testing::Test {
 protected:
  CheckpointTest()
      : layout_({/*vocabulary=*/5, /*d_model=*/6, /*heads=*/2, /*d_ff=*/4, /*depth=*/1}) {
    run_.depth = 1;
    run_.model = {6, 2, 4, 0.1};
    for (std::vector<float>* row : {&parameters_, &m_, &v_}) row->assign(layout_.row_size(), 0.0f);
    float value = 1;
    for (const Parameter& parameter : layout_.parameters()) {
      for (int64_t i = 0; i < parameter.count(); ++i) {
        parameters_[parameter.offset + i] = value;
        m_[parameter.offset + i] = -value;
        v_[parameter.offset + i] = value / 3;
        value += 0.37f;
      }
    }
  }

  MemberRows Rows() { return {parameters_.data(), m_.data(), v_.data()}; }

  std::string Save(int64_t step) {
    progress_.step = step;
    const absl::StatusOr<SavedCheckpoint> saved =
        SaveCheckpoint(directory_.path(), run_, kSeed, layout_, progress_, Rows());
    EXPECT_TRUE(saved.ok()) << saved.status();
    EXPECT_EQ(saved->file.digest, *DigestOfFile(saved->path));
    EXPECT_EQ(saved->file.bytes, std::filesystem::file_size(saved->path));
    return saved->path;
  }

  absl::Status Load(const std::string& path) {
    return LoadCheckpoint(path, run_, kSeed, layout_, Rows()).status();
  }

  static constexpr uint64_t kSeed = 18446744073709551615u;
  TestDirectory directory_;
  ParameterLayout layout_;
  RunConfig run_;
  std::vector<float> parameters_, m_, v_;
  MemberProgress progress_{0, 40, 1.0 / 3, 17, 2.0 / 7};
};

TEST_F(CheckpointTest, EverythingComesBackBitForBit) {
  const std::string path = Save(57);
  EXPECT_EQ(path, directory_ / "step-000000057.safetensors");
  const std::vector<float> parameters = parameters_, m = m_, v = v_;
  for (std::vector<float>* row : {&parameters_, &m_, &v_})
    std::fill(row->begin(), row->end(), 99.0f);
  const absl::StatusOr<MemberProgress> progress =
      LoadCheckpoint(path, run_, kSeed, layout_, Rows());
  ASSERT_TRUE(progress.ok()) << progress.status();
  EXPECT_EQ(parameters_, parameters);
  EXPECT_EQ(m_, m);
  EXPECT_EQ(v_, v);
  EXPECT_EQ(progress->step, 57);
  EXPECT_EQ(progress->reported_step, 40);
  EXPECT_EQ(progress->loss_sum, 1.0 / 3);
  EXPECT_EQ(progress->loss_steps, 17);
  EXPECT_EQ(progress->grad_norm, 2.0 / 7);
}

TEST_F(CheckpointTest, ItHoldsTheVocabularyByWhichItsIdsAreRead) {
  const SafetensorsFile file = *SafetensorsFile::Read(Save(57));
  const nlohmann::json words = nlohmann::json::parse(file.metadata().at("vocabulary"));
  const Vocabulary& vocabulary = VocabularyOf(Task::kQuestion);
  ASSERT_EQ(words.size(), static_cast<size_t>(vocabulary.size()));
  EXPECT_EQ(words[0], "<pad>");
  EXPECT_EQ(words[vocabulary.Id("doesn't")], "doesn't");
  EXPECT_EQ(words[vocabulary.eos()], "<eos>");
  EXPECT_EQ(words[vocabulary.sos()], "<sos>");
}

TEST_F(CheckpointTest, EveryFlippedByteIsCaught) {
  const std::string path = Save(57);
  const std::string good = Contents(path);
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ (1 << (i % 8)));
    Overwrite(path, bad);
    const absl::Status status = Load(path);
    ASSERT_EQ(status.code(), absl::StatusCode::kDataLoss)
        << "byte " << i << " of " << good.size() << ": " << status;
    ASSERT_THAT(std::string(status.message()), HasSubstr(path));
  }
  Overwrite(path, good);
  EXPECT_TRUE(Load(path).ok());
}

TEST_F(CheckpointTest, EveryTruncationAndAnyAppendedByteIsCaught) {
  const std::string path = Save(57);
  const std::string good = Contents(path);
  for (size_t size = 0; size < good.size(); size += size < 4000 ? 1 : 97) {
    Overwrite(path, good.substr(0, size));
    ASSERT_EQ(Load(path).code(), absl::StatusCode::kDataLoss) << "cut to " << size;
  }
  Overwrite(path, good + '\0');
  EXPECT_EQ(Load(path).code(), absl::StatusCode::kDataLoss);
}

// Rewrites the header of a file and corrects its digest, as a faulty writer would.
std::string WithHeader(const std::string& content, const std::string& from, const std::string& to) {
  uint64_t length = 0;
  for (int i = 7; i >= 0; --i) length = length << 8 | static_cast<unsigned char>(content[i]);
  std::string header = content.substr(8, length);
  const std::string data = content.substr(8 + length);
  const size_t at = header.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  header.replace(at, from.size(), to);
  const std::string key = "\"digest\":\"";
  const size_t digits = header.find(key) + key.size();
  header.replace(digits, 32, std::string(32, '0'));
  std::string prefix(8, '\0');
  for (int i = 0; i < 8; ++i) prefix[i] = static_cast<char>(header.size() >> (8 * i));
  const std::string whole = prefix + header + data;
  header.replace(digits, 32, DigestOf(whole.data(), whole.size()));
  return prefix + header + data;
}

// A checkpoint from before the training set of tense had its frequencies has no data_version.
TEST_F(CheckpointTest, ARunDoesNotGoOnWithDataOfAnotherVersion) {
  const std::string path = Save(57);
  Overwrite(path, WithHeader(Contents(path), "\"data_version\":\"1\",", ""));
  EXPECT_TRUE(Load(path).ok()) << "question's data are what they were";
  run_.task = Task::kTense;
  const std::string tense = Save(60);
  EXPECT_TRUE(Load(tense).ok());
  const std::string good = Contents(tense);
  Overwrite(tense, WithHeader(good, "\"data_version\":\"2\",", ""));
  const absl::Status refused = Load(tense);
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("version 1 of the generated tense data"));
  run_.data.directory = "/data";
  const std::string files = Save(61);
  Overwrite(files, WithHeader(Contents(files), "\"data_version\":\"2\",", ""));
  EXPECT_TRUE(Load(files).ok()) << "data that are read do not depend on the generator";
}

TEST_F(CheckpointTest, AHeaderThatContradictsItselfIsRefusedEvenWithAFittingDigest) {
  const std::string path = Save(57);
  const std::string good = Contents(path);
  Overwrite(path, WithHeader(good, "\"seed\"", "\"seed\""));
  EXPECT_TRUE(Load(path).ok()) << "the rewriting itself must not break the file";
  const std::pair<const char*, const char*> changes[] = {
      {"\"data_offsets\":[0,8]", "\"data_offsets\":[0,16]"},
      {"\"data_offsets\":[8,16]", "\"data_offsets\":[0,8]"},
      {"\"data_offsets\":[8,16]", "\"data_offsets\":[16,8]"},
      {"\"data_offsets\":[8,16]", "\"data_offsets\":[8]"},
      {"\"data_offsets\":[8,16]", "\"data_offsets\":[8,99999999]"},
      {"\"data_offsets\":[8,16]", "\"data_offsets\":[-8,16]"},
      {"\"shape\":[5,6]", "\"shape\":[6,5]"},
      {"\"shape\":[5,6]", "\"shape\":[5,-6]"},
      {"\"shape\":[5,6]", "\"shape\":[30]"},
      {"\"shape\":[5,6]", "\"shape\":[4294967296,4294967296]"},
      {"\"dtype\":\"F32\"", "\"dtype\":\"F64\""},
      {"\"dtype\":\"F32\"", "\"dtype\":\"Q8\""},
      {"\"dtype\":\"F64\"", "\"dtype\":\"I64\""},
      {"model.output_map.bias", "model.output_map.bios"},
      {"\"step\":\"57\"", "\"step\":\"5x\""},
      {"\"step\":\"57\"", "\"step\":\"-3\""},
      {"\"step\":\"57\"", "\"step\":\"39\""},
      {"\"version\":\"1\"", "\"version\":\"2\""},
      {"coppice-checkpoint", "another-checkpoint"},
      {"\"step\":\"57\"", "\"stop\":\"57\""},
      {"\\\"task\\\"", "\\\"tusk\\\""},
      {"{\"__metadata__\"", "[\"__metadata__\""},
  };
  for (const auto& [from, to] : changes) {
    Overwrite(path, WithHeader(good, from, to));
    const absl::Status status = Load(path);
    EXPECT_FALSE(status.ok()) << from << " became " << to;
    EXPECT_THAT(std::string(status.message()), HasSubstr(path));
  }
}

TEST_F(CheckpointTest, AnotherRunsCheckpointIsRefusedWithTheDifference) {
  const std::string path = Save(57);
  EXPECT_THAT(std::string(LoadCheckpoint(path, run_, 7, layout_, Rows()).status().message()),
              HasSubstr("seed"));
  RunConfig other = run_;
  other.train.learning_rate = 0.5;
  const absl::Status status = LoadCheckpoint(path, other, kSeed, layout_, Rows()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("run.train.learning_rate is 0.5 here and 0.0001"));
  other = run_;
  other.train.steps = 50;
  EXPECT_THAT(std::string(LoadCheckpoint(path, other, kSeed, layout_, Rows()).status().message()),
              HasSubstr("past the run's last step"));
  other.train.steps = 1000000;
  EXPECT_TRUE(LoadCheckpoint(path, other, kSeed, layout_, Rows()).ok());
}

TEST_F(CheckpointTest, AMissingFileIsNotFoundAndALeftoverTemporaryIsNoCheckpoint) {
  EXPECT_EQ(Load(directory_ / "none").code(), absl::StatusCode::kNotFound);
  Overwrite(directory_ / "step-000000099.safetensors.tmp-1-0", "half");
  EXPECT_TRUE(ListCheckpoints(directory_.path())->empty());
  EXPECT_TRUE(ListCheckpoints(directory_ / "absent")->empty());
}

TEST_F(CheckpointTest, PruningKeepsTheNewestAndTheMultiples) {
  for (const int64_t step : {40, 50, 60, 70, 80, 90}) Save(step);
  RunConfig run = run_;
  run.checkpoint.keep = 2;
  run.checkpoint.keep_every = 30;
  ASSERT_TRUE(PruneCheckpoints(directory_.path(), run, kSeed).ok());
  std::vector<int64_t> steps;
  const std::vector<CheckpointFile> files = *ListCheckpoints(directory_.path());
  for (const CheckpointFile& file : files) steps.push_back(file.step);
  EXPECT_EQ(steps, (std::vector<int64_t>{90, 80, 60}));
}

TEST_F(CheckpointTest, PruningTakesNoFileThatIsNotThisMembers) {
  Overwrite(directory_ / "step-000000010.safetensors", "of another program");
  ASSERT_TRUE(SaveCheckpoint(directory_.path(), run_, kSeed + 1, layout_, progress_, Rows()).ok());
  const std::string others = (*ListCheckpoints(directory_.path())).front().path;
  for (const int64_t step : {700, 800, 900}) Save(step);
  RunConfig run = run_;
  run.checkpoint.keep = 1;
  ASSERT_TRUE(PruneCheckpoints(directory_.path(), run, kSeed).ok());
  EXPECT_TRUE(FileExists(directory_ / "step-000000010.safetensors"));
  EXPECT_TRUE(FileExists(others));
  EXPECT_FALSE(FileExists(directory_ / "step-000000800.safetensors"));
}

TEST_F(CheckpointTest, AFolderThatCannotBeWrittenIsAnErrorThatNamesIt) {
  Overwrite(directory_ / "file", "");
  const absl::Status status =
      SaveCheckpoint(directory_ / "file", run_, kSeed, layout_, progress_, Rows()).status();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr(directory_ / "file"));
}

}  // namespace
}  // namespace coppice::trainer
