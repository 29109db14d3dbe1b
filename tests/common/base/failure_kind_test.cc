#include "common/base/failure_kind.h"

#include <set>
#include <string>

#include "gtest/gtest.h"

namespace coppice {
namespace {

TEST(FailureKindTest, EveryKindHasOneWordThatNamesItAgain) {
  std::set<std::string> words;
  for (int i = 0; i <= static_cast<int>(FailureKind::kTimeLimit); ++i) {
    const auto kind = static_cast<FailureKind>(i);
    EXPECT_TRUE(words.insert(std::string(FailureKindText(kind))).second) << i;
    EXPECT_EQ(FailureKindFromText(FailureKindText(kind)), kind);
  }
}

TEST(FailureKindTest, AnUnknownWordNamesNoKind) {
  EXPECT_EQ(FailureKindFromText(""), std::nullopt);
  EXPECT_EQ(FailureKindFromText("NaN"), std::nullopt);
  EXPECT_EQ(FailureKindFromText("nan "), std::nullopt);
}

TEST(FailureKindTest, ATrainerCannotReportItsOwnDeath) {
  EXPECT_TRUE(IsOfTrainer(FailureKind::kNan));
  EXPECT_TRUE(IsOfTrainer(FailureKind::kInternal));
  EXPECT_FALSE(IsOfTrainer(FailureKind::kCrashed));
  EXPECT_FALSE(IsOfTrainer(FailureKind::kStalled));
  EXPECT_FALSE(IsOfTrainer(FailureKind::kTimeLimit));
}

}  // namespace
}  // namespace coppice
