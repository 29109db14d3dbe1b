// Tests of checkpoint files from elsewhere: truncated, with flipped bytes, forged.
#include "common/base/checkpoint_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/digest.h"
#include "common/base/files.h"
#include "common/base/safetensors.h"
#include "tests/testing/temp_dir.h"

namespace coppice {
namespace {

using ::testing::HasSubstr;

class CheckpointFileTest : public ::testing::Test {
 protected:
  CheckpointFileTest() { good_ = Write(Tensors(), metadata_); }

  std::vector<TensorToWrite> Tensors() {
    std::vector<TensorToWrite> tensors;
    for (const char* name : {"report.loss_sum", "report.grad_norm"})
      tensors.push_back({name, DType::kF64, {1}, numbers_});
    for (const char* name : {"report.loss_steps", "report.reported_step"})
      tensors.push_back({name, DType::kI64, {1}, numbers_});
    for (const char* prefix : {"model.", "adam_m.", "adam_v."}) {
      tensors.push_back({absl::StrCat(prefix, "embedding"), DType::kF32, {5, 3}, numbers_});
      tensors.push_back({absl::StrCat(prefix, "bias"), DType::kF32, {3}, numbers_});
    }
    return tensors;
  }
  std::string Write(const std::vector<TensorToWrite>& tensors,
                    const std::map<std::string, std::string>& metadata) {
    const auto written = WriteSafetensors(path_, tensors, metadata);
    EXPECT_TRUE(written.ok()) << written.status();
    return ReadFile(path_).value();
  }
  absl::Status Inspect(const std::string& content) {
    std::ofstream(path_, std::ios::binary) << content;  // saves an fsync for each of many files
    const absl::Status status = InspectCheckpoint(path_).status();
    // Both readers must agree on everything that both check.
    const absl::Status whole = SafetensorsFile::Read(path_).status();
    if (absl::IsDataLoss(whole)) {
      EXPECT_EQ(whole, status);
    }
    return status;
  }
  // A file with this header and data and a correct inner digest.
  static std::string Sealed(std::string header, const std::string& data) {
    const std::string key = "\"digest\":\"";
    const size_t digits = header.find(key) + key.size();
    header.replace(digits, 32, std::string(32, '0'));
    const std::string whole = Length(header.size()) + header + data;
    header.replace(digits, 32, DigestOf(whole.data(), whole.size()));
    return Length(header.size()) + header + data;
  }
  static std::string Length(uint64_t value) {
    std::string text(8, '\0');
    for (int i = 0; i < 8; ++i) text[i] = static_cast<char>(value >> (8 * i));
    return text;
  }
  std::string Header() const { return good_.substr(8, HeaderSize()); }
  std::string Data() const { return good_.substr(8 + HeaderSize()); }
  size_t HeaderSize() const {
    return static_cast<unsigned char>(good_[0]) + 256 * static_cast<unsigned char>(good_[1]);
  }
  std::string With(const std::string& from, const std::string& to) const {
    std::string header = Header();
    EXPECT_NE(header.find(from), std::string::npos) << from;
    header.replace(header.find(from), from.size(), to);
    return Sealed(header, Data());
  }

  testing::TempDir dir_;
  const std::string path_ = dir_.Join("step-000000057.safetensors");
  const double numbers_[16] = {1, 2, 3};
  const std::map<std::string, std::string> metadata_ = {
      {"format", "coppice-checkpoint"},
      {"version", "1"},
      {"seed", "18446744073709551615"},
      {"step", "57"},
      {"run", R"({"task":"dyck","depth":4,"later":{"added":true}})"}};
  std::string good_;
};

TEST_F(CheckpointFileTest, AGoodFileIsDescribed) {
  const absl::StatusOr<CheckpointSummary> summary = InspectCheckpoint(path_);
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->seed, 18446744073709551615u);
  EXPECT_EQ(summary->step, 57);
  EXPECT_EQ(summary->task, "dyck");
  EXPECT_EQ(summary->depth, 4u);
  EXPECT_EQ(summary->tensors, 10u);
  EXPECT_EQ(summary->parameters, 18u);
  EXPECT_EQ(summary->bytes, good_.size());
  EXPECT_EQ(summary->digest, DigestOf(good_.data(), good_.size()));
  EXPECT_EQ(Inspect(With("57", "57")), absl::OkStatus()) << "sealing again must not break it";
}

TEST_F(CheckpointFileTest, EveryFlippedByteIsCaught) {
  for (size_t i = 0; i < good_.size(); ++i) {
    std::string bad = good_;
    bad[i] = static_cast<char>(bad[i] ^ (1 << (i % 8)));
    const absl::Status status = Inspect(bad);
    ASSERT_TRUE(absl::IsDataLoss(status)) << "byte " << i << ": " << status;
    ASSERT_THAT(std::string(status.message()), HasSubstr(path_));
  }
}

TEST_F(CheckpointFileTest, EveryTruncationAndAnAppendedByteAreCaught) {
  for (size_t size = 0; size < good_.size(); ++size)
    ASSERT_TRUE(absl::IsDataLoss(Inspect(good_.substr(0, size)))) << "cut to " << size;
  EXPECT_TRUE(absl::IsDataLoss(Inspect(good_ + '\0')));
}

TEST_F(CheckpointFileTest, AHeaderLengthBeyondTheFileOrTheLimitTakesNoMemory) {
  for (const uint64_t length :
       {uint64_t{0}, uint64_t{good_.size()}, uint64_t{1} << 32, ~uint64_t{0}, ~uint64_t{0} - 7}) {
    const absl::Status status = Inspect(Length(length) + good_.substr(8));
    EXPECT_TRUE(absl::IsDataLoss(status)) << length << ": " << status;
  }
}

TEST_F(CheckpointFileTest, WhatContradictsItselfIsRefusedThoughItsDigestFits) {
  const std::pair<const char*, const char*> changes[] = {
      {"\"data_offsets\":[8,16]", "\"data_offsets\":[0,8]"},
      {"\"data_offsets\":[8,16]", "\"data_offsets\":[16,8]"},
      {"\"data_offsets\":[8,16]", "\"data_offsets\":[8,99999999]"},
      {"\"data_offsets\":[8,16]", "\"data_offsets\":[-8,16]"},
      {"\"data_offsets\":[8,16]", "\"data_offsets\":8"},
      {"\"shape\":[5,3]", "\"shape\":[4294967296,4294967296]"},
      {"\"shape\":[5,3]", "\"shape\":[5,-3]"},
      {"\"shape\":[5,3]", "\"shape\":[3,5]"},
      {"\"dtype\":\"F32\"", "\"dtype\":\"Q8\""},
      {"\"dtype\":\"F64\"", "\"dtype\":\"I64\""},
      {"model.bias", "model.boas"},
      {"adam_m.bias", "adam_n.bias"},
      {"report.loss_sum", "report.loss_son"},
      {"\"step\":\"57\"", "\"step\":\"-3\""},
      {"\"step\":\"57\"", "\"step\":57"},
      {"\"seed\":\"18446744073709551615\"", "\"seed\":\"18446744073709551616\""},
      {"\"version\":\"1\"", "\"version\":\"2\""},
      {"coppice-checkpoint", "another-checkpoint"},
      {"\\\"task\\\"", "\\\"tusk\\\""},
      {"\\\"depth\\\":4", "\\\"depth\\\":-4"},
      {"{\"__metadata__\"", "[\"__metadata__\""},
  };
  for (const auto& [from, to] : changes) {
    const absl::Status status = Inspect(With(from, to));
    EXPECT_FALSE(status.ok()) << from << " became " << to;
    EXPECT_THAT(std::string(status.message()), HasSubstr(path_));
  }
}

TEST_F(CheckpointFileTest, AnotherProgramsSafetensorsAndALaterVersionAreNamedAsSuch) {
  EXPECT_THAT(std::string(Inspect(With("\"version\":\"1\"", "\"version\":\"2\"")).message()),
              HasSubstr("has checkpoint version 2"));
  const std::string foreign = R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  EXPECT_THAT(std::string(Inspect(Length(foreign.size()) + foreign + "1234").message()),
              HasSubstr("the header holds no digest"));
}

TEST_F(CheckpointFileTest, APipeADeviceAndASparseGiantEndAtOnceWithTheirName) {
  const std::string pipe = dir_.Join("pipe");
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const std::string sparse = dir_.Join("sparse");
  ASSERT_TRUE(WriteFileAtomically(sparse, "x").ok());
  ASSERT_EQ(::truncate(sparse.c_str(), off_t{200} << 30), 0);
  for (const std::string& path : {pipe, std::string("/dev/zero"), sparse}) {
    const absl::Status inspected = InspectCheckpoint(path).status();
    EXPECT_FALSE(inspected.ok());
    EXPECT_THAT(std::string(inspected.message()), ::testing::HasSubstr(path));
    EXPECT_FALSE(SafetensorsFile::Read(path).ok());
  }
}

TEST_F(CheckpointFileTest, WhatIsNoFileIsAnErrorOfTheMachineNotOfTheCheckpoint) {
  EXPECT_TRUE(absl::IsNotFound(InspectCheckpoint(dir_.Join("absent")).status()));
  const absl::Status folder = InspectCheckpoint(dir_.path()).status();
  EXPECT_FALSE(folder.ok());
  EXPECT_FALSE(absl::IsDataLoss(folder));
}

}  // namespace
}  // namespace coppice
