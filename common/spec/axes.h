// The grid of a sweep: its axes, and the points on them.
#ifndef COPPICE_COMMON_SPEC_AXES_H_
#define COPPICE_COMMON_SPEC_AXES_H_

#include <google/protobuf/repeated_ptr_field.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "coppice/v1/sweep.pb.h"

namespace coppice::spec {

using Coordinates = google::protobuf::RepeatedPtrField<v1::Coordinate>;

// A place on all axes but seed. Its jobs differ only in seed.
struct GridPoint {
  Coordinates coordinates;  // outermost axis first; empty in a classic sweep
  std::string task;         // empty in a sweep of a program, whose depth is 0
  uint32_t depth = 0;
  v1::RunConfig run;  // every setting is set
};

// Whether the axes are task, depth and seed, in this order. Such a sweep has no `axes`, its points
// no coordinates, and its jobs are named by task, depth and seed alone.
bool IsClassic(const v1::SweepSpec& spec);

// All axes but seed, outermost first. A classic sweep has task and depth.
std::vector<v1::Axis> AxesOf(const v1::SweepSpec& spec);

// Null: there is no such axis.
const v1::Axis* FindAxis(const std::vector<v1::Axis>& axes, absl::string_view name);

// Whether the axis varies one setting, after which it is named. Otherwise each of its values is a
// set of settings.
bool IsSettingAxis(const v1::SweepSpec& spec, absl::string_view axis);

// Calls `use` with each point that no `exclude` takes out, the innermost axis varying fastest. The
// spec must be valid. Stops at the first status that is not OK and returns it.
absl::Status ForEachPoint(const v1::SweepSpec& spec,
                          const std::function<absl::Status(const GridPoint&)>& use);

// The number of such points.
uint64_t CountPoints(const v1::SweepSpec& spec);

// "question/2" without coordinates, else "task=question/size=small". Empty for a program without
// axes.
std::string PointText(const Coordinates& coordinates, absl::string_view task, uint32_t depth);

// "question/2/0" without coordinates, else "task=question/size=small/seed=0", or "seed=0" for a
// program without axes. The name of a job is
// that of its sweep, a slash and this text.
std::string JobText(const Coordinates& coordinates, absl::string_view task, uint32_t depth,
                    uint32_t seed);

// Whether a value of an axis may have this name, which stands in names of jobs and in filters:
// 1 to kMaxAxisValueBytes letters, digits, '_', '.', '+' and '-'.
inline constexpr size_t kMaxAxisValueBytes = 100;
bool IsAxisValueName(absl::string_view name);

// The mistake in an axis that is neither a setting nor one of named sets of settings, with the
// remedy: "is no setting; did you mean ...". Follows the axis' path.
std::string UnknownSettingAxis(const v1::SweepSpec& spec, absl::string_view name);

// The path of an axis' value in problems: "axes.size.small", or "axes.train.learning_rate[1]" for
// the second value of an axis that varies one setting.
std::string AxisValuePath(const v1::SweepSpec& spec, const v1::Axis& axis, int value);

}  // namespace coppice::spec

#endif  // COPPICE_COMMON_SPEC_AXES_H_
