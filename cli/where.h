// Conditions on the axes of a sweep, from the command line: "depth=2,4" as a part of a target or
// after --where.
#ifndef COPPICE_CLI_WHERE_H_
#define COPPICE_CLI_WHERE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coppice/v1/coordinator.pb.h"

namespace coppice::cli {

struct AxisText {
  std::string axis;
  std::string values;  // "2", "2,4", "0-3"
};

// Splits "depth=2,4". INVALID_ARGUMENT: another form; `source` is the flag or the target.
absl::StatusOr<AxisText> ParseAxisText(const std::string& source, const std::string& text);

// The tasks and depths that jobs of the sweep have, whichever axes set them.
std::vector<std::string> TasksOf(const v1::SweepSpec& spec);
std::vector<uint32_t> DepthsOf(const v1::SweepSpec& spec);
// The names of all axes, seed included, outermost first.
std::vector<std::string> AxisNamesOf(const v1::SweepSpec& spec);

// Replaces the values in `filter->where`, as they were typed, by the names that the axes give them:
// 0.0003 becomes 3e-4, 0-2 becomes 0, 1 and 2. NOT_FOUND: the sweep has no such axis or value; the
// message lists those that it has.
absl::Status ResolveWhere(const v1::SweepSpec& spec, v1::JobFilter* filter);

// Whether a point meets `filter.where`.
bool MeetsWhere(const google::protobuf::RepeatedPtrField<v1::Coordinate>& point,
                const v1::JobFilter& filter);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_WHERE_H_
