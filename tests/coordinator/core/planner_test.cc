#include "coordinator/core/planner.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "common/base/limits.h"

namespace coppice::core {
namespace {

SweepSpec Valid() {
  SweepSpec spec;
  spec.name = "sweep-1";
  for (const uint32_t depth : {2u, 4u}) {
    GroupSpec group;
    group.task = "tense";
    group.depth = depth;
    group.run_json = "{}";
    group.steps = 100 * depth;
    group.report_every = 10;
    group.checkpoint_every = 50;
    group.work_per_step = depth;
    spec.groups.push_back(group);
  }
  spec.seeds = {0, 1, 2, 7, 9};
  return spec;
}

TEST(Planner, PacksAreCountedGroupByGroup) {
  const Plan plan = MakePlan(Valid(), 2);
  EXPECT_EQ(plan.jobs, 10u);
  EXPECT_EQ(plan.packs, 6u);  // 5 seeds in packs of 2: 3 packs, twice
  EXPECT_EQ(plan.pack_width, 2u);
  EXPECT_EQ(plan.steps_total, 5u * 200 + 5u * 400);
  EXPECT_DOUBLE_EQ(plan.expected_work, 5.0 * 200 * 2 + 5.0 * 400 * 4);
  ASSERT_EQ(plan.groups.size(), 2u);
  EXPECT_EQ(plan.groups[1].counts.pending, 5u);
}

TEST(Planner, WidthZeroMeansTheDefault) {
  EXPECT_EQ(MakePlan(Valid(), 0).pack_width, kDefaultPackWidth);
}

TEST(Planner, AValidSpecPasses) { EXPECT_EQ(CheckSpec(Valid()), absl::OkStatus()); }

TEST(Planner, PointsMayShareATaskAndADepthOrHaveNone) {
  SweepSpec spec = Valid();
  spec.groups[0].depth = spec.groups[1].depth = 2;
  spec.groups[0].point = {{"size", "small"}, {"depth", "2"}};
  spec.groups[1].point = {{"size", "paper"}, {"depth", "2"}};
  EXPECT_EQ(CheckSpec(spec), absl::OkStatus());
  for (GroupSpec& group : spec.groups) {
    group.task = "";
    group.depth = 0;
  }
  EXPECT_EQ(CheckSpec(spec), absl::OkStatus()) << "a program's groups";
}

TEST(Planner, EveryBrokenSpecIsRefused) {
  const std::vector<std::pair<const char*, std::function<void(SweepSpec&)>>> breaks = {
      {"empty name", [](SweepSpec& s) { s.name = ""; }},
      {"name that leaves its folder", [](SweepSpec& s) { s.name = "../x"; }},
      {"name that begins with a dot", [](SweepSpec& s) { s.name = ".hidden"; }},
      {"name with a slash", [](SweepSpec& s) { s.name = "a/b"; }},
      {"long name", [](SweepSpec& s) { s.name = std::string(101, 'a'); }},
      {"no groups", [](SweepSpec& s) { s.groups.clear(); }},
      {"no seeds", [](SweepSpec& s) { s.seeds.clear(); }},
      {"seed twice", [](SweepSpec& s) { s.seeds.push_back(7); }},
      {"group twice", [](SweepSpec& s) { s.groups.push_back(s.groups[0]); }},
      {"no task", [](SweepSpec& s) { s.groups[0].task = ""; }},
      {"depth of no task",
       [](SweepSpec& s) {
         for (GroupSpec& group : s.groups) group.task = "";
       }},
      {"point twice",
       [](SweepSpec& s) {
         for (GroupSpec& group : s.groups) group.point = {{"size", "small"}};
       }},
      {"points on other axes",
       [](SweepSpec& s) {
         s.groups[0].point = {{"size", "small"}};
         s.groups[1].point = {{"rate", "small"}};
       }},
      {"no run settings", [](SweepSpec& s) { s.groups[0].run_json = ""; }},
      {"no steps", [](SweepSpec& s) { s.groups[0].steps = 0; }},
      {"no report step", [](SweepSpec& s) { s.groups[0].report_every = 0; }},
      {"no checkpoint step", [](SweepSpec& s) { s.groups[0].checkpoint_every = 0; }},
      {"nothing kept", [](SweepSpec& s) { s.groups[0].keep = 0; }},
      {"work not finite",
       [](SweepSpec& s) { s.groups[0].work_per_step = std::numeric_limits<double>::quiet_NaN(); }},
      {"negative work", [](SweepSpec& s) { s.groups[0].work_per_step = -1; }},
      {"no failures allowed", [](SweepSpec& s) { s.max_failures = 0; }},
      {"too many jobs",
       [](SweepSpec& s) {
         s.seeds.clear();
         for (uint32_t seed = 0; seed <= kMaxJobsPerSweep / 2; ++seed) s.seeds.push_back(seed);
       }},
  };
  for (const auto& [what, break_it] : breaks) {
    SweepSpec spec = Valid();
    break_it(spec);
    EXPECT_TRUE(absl::IsInvalidArgument(CheckSpec(spec))) << what;
  }
}

}  // namespace
}  // namespace coppice::core
