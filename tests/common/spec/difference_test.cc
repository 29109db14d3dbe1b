// Tests of the differences between two sweeps, in words, and of plans.
#include "common/spec/difference.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "common/base/limits.h"
#include "common/spec/plan.h"
#include "common/spec/spec.h"

namespace coppice::spec {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

v1::SweepSpec Parse(const std::string& text) {
  v1::SweepSpec spec;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &spec)) << text;
  return spec;
}

constexpr char kGrid[] =
    "name: 'demo' tasks: ['question', 'dyck'] depths: [2, 4] seeds: [0, 1, 2] ";

TEST(RangesText, IsShortForLongLists) {
  EXPECT_EQ(RangesText({}), "");
  EXPECT_EQ(RangesText({4, 2}), "2, 4");
  EXPECT_EQ(RangesText({3, 1, 2, 9, 2}), "1-3, 9");
  EXPECT_EQ(RangesText({0, 1}), "0, 1");
  EXPECT_EQ(RangesText({1, 3, 5, 7}, 2), "1, 3, ...");
}

TEST(Differences, AreNoneWhereOnlyTheWritingDiffers) {
  EXPECT_THAT(Differences(Parse(kGrid), Parse("name: 'demo' tasks: ['dyck', 'question'] depths: "
                                              "[4, 2] seeds: [2, 1, 0] model { heads: 8 }")),
              IsEmpty());
}

TEST(Differences, NameTheSettingBothValuesAndTheGroups) {
  const v1::SweepSpec there = Parse(std::string(kGrid) + "train { steps: 300 }");
  EXPECT_THAT(Differences(there, Parse(std::string(kGrid) + "train { steps: 301 }")),
              ElementsAre("train.steps is 300 there and 301 here"));
  EXPECT_THAT(
      Differences(there,
                  Parse(std::string(kGrid) +
                        "train { steps: 300 } overrides { where { task: 'dyck' depth: 4 } data { "
                        "directory: '/d' } }")),
      ElementsAre("data.directory is \"\" there and \"/d\" here (dyck/4)"));
  EXPECT_THAT(Differences(there, Parse("name: 'x' tasks: ['dyck'] depths: [2, 4, 6] seeds: [0, 1, "
                                       "2, 3] train { steps: 300 } priority: 1")),
              ElementsAre("tasks are dyck, question there and dyck here",
                          "depths are 2, 4 there and 2, 4, 6 here",
                          "seeds are 0-2 there and 0-3 here", "priority is 0 there and 1 here"));
}

TEST(MakePlan, CountsJobsPacksStepsAndWork) {
  const v1::SweepSpec spec = Parse(std::string(kGrid) +
                                   "train { steps: 300 } overrides { where { task: 'dyck' } train "
                                   "{ steps: 100 } }");
  const v1::Plan plan = MakePlan(spec, 2);
  ASSERT_EQ(plan.groups_size(), 4);
  EXPECT_EQ(plan.jobs(), 12);
  EXPECT_EQ(plan.packs(), 8) << "two of each group";
  EXPECT_EQ(plan.pack_width(), 2);
  EXPECT_EQ(plan.steps_total(), 6 * 300 + 6 * 100);
  double work = 0;
  for (const v1::GroupSummary& group : plan.groups()) {
    EXPECT_EQ(group.counts().pending(), 3);
    work += 3 * group.steps() * WorkPerStep(group.run());
  }
  EXPECT_DOUBLE_EQ(plan.expected_work(), work);
  EXPECT_EQ(MakePlan(spec, 0).pack_width(), kDefaultPackWidth);
}

}  // namespace
}  // namespace coppice::spec
