#include "common/settings/setting.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <utility>

namespace coppice::settings {
namespace {

using ::testing::HasSubstr;
using ::testing::Optional;

std::optional<std::string> Wrong(Range range, Value value, Origin origin = Origin::kSweep) {
  return WhatIsWrong({.path = "a.b", .range = std::move(range)}, value, origin);
}

TEST(ValueText, HasTheFewestDigitsThatReadBackEqual) {
  EXPECT_EQ(ValueText(int64_t{300'000}), "300000");
  EXPECT_EQ(ValueText(0.1), "0.1");
  EXPECT_EQ(ValueText(1e-4), "1e-4");
  EXPECT_EQ(ValueText(1e-10), "1e-10");
  EXPECT_EQ(ValueText(1e30), "1e30");
  EXPECT_EQ(ValueText(1e5), "1e5");
  EXPECT_EQ(ValueText("tf32"), "tf32");
}

TEST(WhatIsWrong, BoundsOfAWholeNumberArePartOfItsRange) {
  const IntegerRange range{1, 4096};
  EXPECT_EQ(Wrong(range, int64_t{1}), std::nullopt);
  EXPECT_EQ(Wrong(range, int64_t{4096}), std::nullopt);
  EXPECT_THAT(Wrong(range, int64_t{0}),
              Optional(std::string("is 0; use a whole number from 1 to 4096")));
  EXPECT_NE(Wrong(range, int64_t{4097}), std::nullopt);
  EXPECT_NE(Wrong(range, 1.0), std::nullopt) << "another type";
  EXPECT_THAT(Wrong(IntegerRange{2, 8, true, "of pairs"}, int64_t{3}),
              Optional(std::string("is 3; use an even number, since of pairs")));
}

TEST(WhatIsWrong, BoundsOfANumberAreAsTheRangeSays) {
  const NumberRange closed{0, 0.99};
  EXPECT_EQ(Wrong(closed, 0.0), std::nullopt);
  EXPECT_EQ(Wrong(closed, 0.99), std::nullopt);
  EXPECT_THAT(Wrong(closed, 1.0), Optional(std::string("is 1; use a number from 0 to 0.99")));
  const NumberRange open{0, 10, true, true};
  EXPECT_EQ(Wrong(open, std::nextafter(10.0, 0.0)), std::nullopt);
  EXPECT_THAT(Wrong(open, 0.0), Optional(std::string("is 0; use a number above 0 and below 10")));
  EXPECT_NE(Wrong(open, 10.0), std::nullopt);
  EXPECT_NE(Wrong(open, std::nan("")), std::nullopt);
  EXPECT_NE(Wrong(open, std::numeric_limits<double>::infinity()), std::nullopt);
  EXPECT_EQ(Wrong(open, int64_t{9}), std::nullopt) << "a whole number is a number";
}

TEST(WhatIsWrong, AWordHasASuggestionOrItsOwnReason) {
  const WordRange range{{"float32", "tf32"}, {{"bfloat16", "is not there; use tf32"}}};
  EXPECT_EQ(Wrong(range, "tf32"), std::nullopt);
  EXPECT_THAT(Wrong(range, "float23"),
              Optional(std::string("is 'float23'; use float32 or tf32; did you mean 'float32'?")));
  EXPECT_THAT(Wrong(range, "bfloat16"), Optional(std::string("is not there; use tf32")));
}

TEST(WhatIsWrong, APathOfASweepMeansTheSameOnEveryWorker) {
  const PathRange folder{PathRange::Kind::kFolder};
  EXPECT_EQ(Wrong(folder, "/d"), std::nullopt);
  EXPECT_EQ(Wrong(folder, ""), std::nullopt);
  EXPECT_THAT(Wrong(folder, "d"), Optional(HasSubstr("use an absolute path")));
  EXPECT_EQ(Wrong(folder, "d", Origin::kStandalone), std::nullopt);
  const PathRange file{PathRange::Kind::kFile};
  EXPECT_THAT(Wrong(file, ""), Optional(HasSubstr("is empty")));
  EXPECT_EQ(Wrong(file, "", Origin::kStandalone), std::nullopt);
  EXPECT_THAT(Wrong(file, std::string(4'097, 'a')), Optional(HasSubstr("is not a path")));
  EXPECT_THAT(Wrong(file, "/d\033[31m", Origin::kStandalone),
              Optional(HasSubstr("without control characters")));
}

}  // namespace
}  // namespace coppice::settings
