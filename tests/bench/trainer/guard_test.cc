#include "bench/trainer/guard.h"

#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/temp_dir.h"

namespace coppice::bench {
namespace {

using ::testing::HasSubstr;

const Recorded kRecorded = {"2 cores, AMD EPYC", "1.2.3", {{"d=64", 8}, {"d=128", 4}}};

TEST(GuardTest, AQuarterBelowTheRecordedRatioFailsAndSaysWhatToDo) {
  EXPECT_TRUE(Judge(kRecorded, kRecorded.machine, "d=64", 6.01).ok());
  const absl::Status slow = Judge(kRecorded, kRecorded.machine, "d=64", 5.99);
  EXPECT_EQ(slow.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(slow.message()), HasSubstr("d=64: ours is 5.99 times as fast"));
  EXPECT_THAT(std::string(slow.message()), HasSubstr("1.2.3"));
  EXPECT_THAT(std::string(slow.message()), HasSubstr("--record"));
  EXPECT_FALSE(Judge(kRecorded, kRecorded.machine, "d=64", 0.0 / 0.0).ok());
}

TEST(GuardTest, OnAnotherMachineHalfIsAskedFor) {
  EXPECT_TRUE(Judge(kRecorded, "64 cores, other", "d=64", 4.01).ok());
  EXPECT_FALSE(Judge(kRecorded, "64 cores, other", "d=64", 3.99).ok());
}

TEST(GuardTest, WhatWasNeverRecordedPasses) {
  EXPECT_TRUE(Judge(kRecorded, kRecorded.machine, "d=256", 0.1).ok());
}

TEST(GuardTest, AFileReadsBackAsItWasWritten) {
  testing::TempDir dir;
  const std::string path = dir.Join("recorded.json");
  ASSERT_TRUE(WriteRecorded(path, kRecorded).ok());
  const absl::StatusOr<Recorded> read = ReadRecorded(path);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->machine, kRecorded.machine);
  EXPECT_EQ(read->version, kRecorded.version);
  EXPECT_EQ(read->over_eager, kRecorded.over_eager);
}

TEST(GuardTest, ADamagedFileIsNamed) {
  testing::TempDir dir;
  const std::string path = dir.Join("recorded.json");
  std::ofstream(path) << "{\"machine\": 1}";
  EXPECT_THAT(std::string(ReadRecorded(path).status().message()), HasSubstr(path));
  EXPECT_EQ(ReadRecorded(dir.Join("none")).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace coppice::bench
