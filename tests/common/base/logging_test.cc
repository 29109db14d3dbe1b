#include "common/base/logging.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/files.h"
#include "common/base/status_macros.h"
#include "tests/testing/temp_dir.h"

namespace coppice {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

TEST(InitLogging, WritesLinesWithTimeLevelAndProgram) {
  testing::TempDir dir;
  const std::string path = dir.Join("log");
  ASSERT_TRUE(InitLogging("tester", "info", path).ok());
  spdlog::info("hello {}", 7);
  spdlog::debug("not shown");
  const std::string log = ReadFile(path).value();
  EXPECT_THAT(log, MatchesRegex("[0-9-]{10}T[0-9:]{8}\\.[0-9]{3}Z info  \\[tester\\] hello 7\n"));
  EXPECT_THAT(log, Not(HasSubstr("not shown")));
}

TEST(InitLogging, RefusesAnUnknownLevelAndNamesTheKnownOnes) {
  const absl::Status status = InitLogging("tester", "chatty");
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("debug"));
}

TEST(InitLogging, SaysWhenTheFileCannotBeOpened) {
  testing::TempDir dir;
  ASSERT_TRUE(WriteFileAtomically(dir.Join("file"), "").ok());
  const absl::Status status = InitLogging("tester", "info", dir.Join("file/log"));
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr("file/log"));
}

absl::StatusOr<int> Half(int value) {
  if (value % 2 != 0) return absl::InvalidArgumentError("odd");
  return value / 2;
}
absl::StatusOr<int> Quarter(int value) {
  COPPICE_ASSIGN_OR_RETURN(const int half, Half(value));
  COPPICE_RETURN_IF_ERROR(Half(half).status());
  return half / 2;
}

TEST(StatusMacros, ReturnTheFirstError) {
  EXPECT_EQ(Quarter(8).value(), 2);
  EXPECT_TRUE(absl::IsInvalidArgument(Quarter(6).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Quarter(5).status()));
}

}  // namespace
}  // namespace coppice
