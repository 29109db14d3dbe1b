// Random grids: every point must have the run of a sweep of its own, written out without axes.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/spec/axes.h"
#include "common/spec/spec.h"

namespace coppice::spec {
namespace {

class RandomSpecs {
 public:
  explicit RandomSpecs(uint32_t seed) : random_(seed) {}

  v1::SweepSpec Next() {
    v1::SweepSpec spec;
    spec.set_name("random");
    spec.add_seeds(0);
    AddTaskAndDepth(&spec);
    if (Below(2) == 0) AddRates(&spec);
    if (Below(2) == 0) AddSizes(&spec);
    if (Below(2) == 0) spec.mutable_train()->set_steps(1'000 + Below(5));
    for (uint32_t i = 0; i < Below(4); ++i) AddOverride(&spec);
    for (uint32_t i = 0; i < Below(3); ++i) *spec.add_exclude()->add_where() = Condition(spec);
    for (int i = spec.axes_size() - 1; i > 0; --i)
      spec.mutable_axes()->SwapElements(i, static_cast<int>(Below(static_cast<uint32_t>(i) + 1)));
    if (spec.axes_size() == 2) spec.mutable_axes()->SwapElements(0, 1);  // never task, depth
    return spec;
  }

 private:
  uint32_t Below(uint32_t n) { return static_cast<uint32_t>(random_() % n); }

  // As two axes, or as one of linked settings.
  void AddTaskAndDepth(v1::SweepSpec* spec) {
    const std::vector<std::string> tasks = {"question", "tense", "dyck"};
    if (Below(3) == 0) {
      v1::Axis* pair = spec->add_axes();
      pair->set_name("pair");
      for (uint32_t i = 0, n = 1 + Below(4); i < n; ++i) {
        v1::AxisValue* value = pair->add_values();
        value->set_name(absl::StrCat("p", i));
        value->mutable_settings()->set_task(tasks[Below(3)]);
        value->mutable_settings()->set_depth(1 + Below(6));
      }
      return;
    }
    v1::Axis* task = spec->add_axes();
    task->set_name("task");
    for (uint32_t i = 0, n = 1 + Below(3); i < n; ++i) {
      v1::AxisValue* value = task->add_values();
      value->set_name(tasks[i]);
      value->mutable_settings()->set_task(tasks[i]);
    }
    v1::Axis* depth = spec->add_axes();
    depth->set_name("depth");
    for (uint32_t i = 1, n = 1 + Below(3); i <= n; ++i) {
      v1::AxisValue* value = depth->add_values();
      value->set_name(absl::StrCat(2 * i));
      value->mutable_settings()->set_depth(2 * i);
    }
  }
  void AddRates(v1::SweepSpec* spec) {
    v1::Axis* axis = spec->add_axes();
    axis->set_name("data.seed");
    for (uint32_t i = 0, n = 1 + Below(4); i < n; ++i) {
      v1::AxisValue* value = axis->add_values();
      value->set_name(absl::StrCat(i));
      value->mutable_settings()->mutable_data()->set_seed(i);
    }
  }
  void AddSizes(v1::SweepSpec* spec) {
    v1::Axis* axis = spec->add_axes();
    axis->set_name("size");
    for (uint32_t i = 0, n = 1 + Below(3); i < n; ++i) {
      v1::AxisValue* value = axis->add_values();
      value->set_name(absl::StrCat("s", i));
      value->mutable_settings()->mutable_model()->set_d_ff(10 + i);
      if (i > 0) value->mutable_settings()->mutable_report()->mutable_probes()->set_every(i);
    }
  }
  v1::AxisCondition Condition(const v1::SweepSpec& spec) {
    const v1::Axis& axis =
        spec.axes(static_cast<int>(Below(static_cast<uint32_t>(spec.axes_size()))));
    v1::AxisCondition condition;
    condition.set_axis(axis.name());
    for (const v1::AxisValue& value : axis.values()) {
      if (Below(2) == 0) condition.add_values(value.name());
    }
    if (condition.values().empty()) condition.add_values(axis.values(0).name());
    return condition;
  }
  void AddOverride(v1::SweepSpec* spec) {
    v1::Override* change = spec->add_overrides();
    std::set<std::string> named;
    for (uint32_t i = 0; i < Below(3); ++i) {
      v1::AxisCondition condition = Condition(*spec);
      if (named.insert(condition.axis()).second) *change->mutable_where()->add_axes() = condition;
    }
    change->mutable_train()->set_batch_size(1 + Below(8));
    if (Below(2) == 0) change->mutable_train()->set_steps(2'000 + Below(5));
    if (Below(2) == 0) change->mutable_data()->set_directory(absl::StrCat("/d", Below(3)));
  }

  std::mt19937 random_;
};

bool Meets(const GridPoint& point, const v1::AxisCondition& condition) {
  for (const v1::Coordinate& coordinate : point.coordinates) {
    if (coordinate.axis() == condition.axis()) {
      return std::find(condition.values().begin(), condition.values().end(), coordinate.value()) !=
             condition.values().end();
    }
  }
  return false;
}

template <typename Settings>
void Merge(const Settings& from, v1::SweepSpec* into) {
  into->mutable_model()->MergeFrom(from.model());
  into->mutable_train()->MergeFrom(from.train());
  into->mutable_data()->MergeFrom(from.data());
  into->mutable_report()->MergeFrom(from.report());
  into->mutable_checkpoint()->MergeFrom(from.checkpoint());
}

// A sweep of this point alone, by the words of the documentation: the spec, the axes' values, the
// overrides from first to last.
v1::SweepSpec Alone(const v1::SweepSpec& spec, const GridPoint& point) {
  v1::SweepSpec alone;
  alone.set_name(spec.name());
  alone.add_seeds(0);
  Merge(spec, &alone);
  const std::vector<v1::Axis> axes = AxesOf(spec);
  for (const v1::Coordinate& coordinate : point.coordinates) {
    for (const v1::AxisValue& value : FindAxis(axes, coordinate.axis())->values()) {
      if (value.name() != coordinate.value()) continue;
      Merge(value.settings(), &alone);
      if (value.settings().has_task()) alone.add_tasks(value.settings().task());
      if (value.settings().has_depth()) alone.add_depths(value.settings().depth());
    }
  }
  for (const v1::Override& change : spec.overrides()) {
    const auto& where = change.where().axes();
    if (std::all_of(where.begin(), where.end(),
                    [&](const v1::AxisCondition& condition) { return Meets(point, condition); }))
      Merge(change, &alone);
  }
  return alone;
}

TEST(RandomGrids, HaveTheRunsOfSweepsOfSinglePoints) {
  const uint32_t start = 20261130;
  SCOPED_TRACE(absl::StrCat("seed ", start));
  RandomSpecs specs(start);
  int valid = 0, points = 0;
  for (int round = 0; round < 400; ++round) {
    const v1::SweepSpec spec = specs.Next();
    // An exclude may take out every point, or repeat another.
    if (!ValidateSweepSpec(spec).empty()) continue;
    ++valid;
    uint64_t cells = 1;
    for (const v1::Axis& axis : spec.axes()) cells *= static_cast<uint64_t>(axis.values_size());
    std::set<std::string> texts;
    ASSERT_TRUE(ForEachPoint(spec, [&](const GridPoint& point) {
                  EXPECT_TRUE(texts.insert(PointText(point.coordinates, "", 0)).second);
                  for (const v1::Exclude& exclude : spec.exclude())
                    EXPECT_FALSE(Meets(point, exclude.where(0)));
                  const v1::SweepSpec alone = Alone(spec, point);
                  EXPECT_TRUE(ValidateSweepSpec(alone).empty())
                      << ProblemsToStatus(ValidateSweepSpec(alone)) << spec.DebugString();
                  EXPECT_EQ(RunConfigToJson(point.run),
                            RunConfigToJson(ResolveRun(alone, point.task, point.depth)))
                      << spec.DebugString();
                  return absl::OkStatus();
                }).ok());
    EXPECT_EQ(texts.size(), CountPoints(spec));
    EXPECT_LE(texts.size(), cells);
    points += static_cast<int>(texts.size());
  }
  EXPECT_GT(valid, 100);
  EXPECT_GT(points, 1'000);
}

}  // namespace
}  // namespace coppice::spec
