#include "bench/trainer/guard.h"

#include <fstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/temp_dir.h"

namespace coppice::bench {
namespace {

using ::testing::HasSubstr;

const Recorded kRecorded = {"2 cores, AMD EPYC", "1.2.3", {{"d=64", 8}, {"d=128", 4}}};

TEST(GuardTest, AQuarterBelowTheRecordedRatioFailsAndSaysWhatToDo) {
  EXPECT_TRUE(Judge(kRecorded, "d=64", 6.01).ok());
  const absl::Status slow = Judge(kRecorded, "d=64", 5.99);
  EXPECT_EQ(slow.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(slow.message()), HasSubstr("d=64: ours is 5.99 times as fast"));
  EXPECT_THAT(std::string(slow.message()), HasSubstr("1.2.3"));
  EXPECT_THAT(std::string(slow.message()), HasSubstr("--record"));
  EXPECT_FALSE(Judge(kRecorded, "d=64", 0.0 / 0.0).ok());
}

// Of a CPU that nobody has measured nobody knows how fast it should be.
TEST(GuardTest, OfAnotherMachineThereIsNoRecordToFailBy) {
  const std::vector<Recorded> records = {{"64 cores, other", "1", {}}, kRecorded};
  EXPECT_EQ(FindRecord(records, kRecorded.machine), &records[1]);
  EXPECT_EQ(FindRecord(records, "2 cores, AMD EPYC, AVX2"), nullptr);
}

TEST(GuardTest, WhatWasNeverRecordedPasses) { EXPECT_TRUE(Judge(kRecorded, "d=256", 0.1).ok()); }

TEST(GuardTest, ANewRecordReplacesItsMachinesAndKeepsTheOthers) {
  testing::TempDir dir;
  const std::string path = dir.Join("recorded.json");
  const Recorded other = {"64 cores, other", "1", {{"d=64", 3}}};
  ASSERT_TRUE(WriteRecord(path, {kRecorded.machine, "1", {{"d=64", 2}}}).ok());
  ASSERT_TRUE(WriteRecord(path, other).ok());
  ASSERT_TRUE(WriteRecord(path, kRecorded).ok());
  const absl::StatusOr<std::vector<Recorded>> read = ReadRecords(path);
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ(read->size(), 2u);
  EXPECT_EQ((*read)[0].machine, kRecorded.machine);
  EXPECT_EQ((*read)[0].version, kRecorded.version);
  EXPECT_EQ((*read)[0].over_eager, kRecorded.over_eager);
  EXPECT_EQ((*read)[1].machine, other.machine);
  EXPECT_EQ((*read)[1].over_eager, other.over_eager);
}

TEST(GuardTest, ADamagedFileIsNamed) {
  testing::TempDir dir;
  const std::string path = dir.Join("recorded.json");
  std::ofstream(path) << "{\"machine\": 1}";
  EXPECT_THAT(std::string(ReadRecords(path).status().message()), HasSubstr(path));
  EXPECT_FALSE(WriteRecord(path, kRecorded).ok()) << "what it held would be lost";
  EXPECT_EQ(ReadRecords(dir.Join("none")).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace coppice::bench
