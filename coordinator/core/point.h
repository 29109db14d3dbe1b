// Points of a grid, and conditions on their axes.
#ifndef COPPICE_COORDINATOR_CORE_POINT_H_
#define COPPICE_COORDINATOR_CORE_POINT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/core/catalog.h"
#include "coordinator/core/types.h"

namespace coppice::core {

// "question/2", or "task=question/size=small" of a point with coordinates.
std::string PointText(const GroupSpec& group);

// "task, depth, seed".
std::string AxesText(const GroupSpec& group);

bool HaveSameAxes(const GroupSpec& a, const GroupSpec& b);

// Whether the group meets all conditions on axes other than seed. Without such coordinates, task
// and depth are its own.
bool MeetsAll(const GroupSpec& group, const std::vector<AxisCondition>& conditions);

// The seeds that a filter selects, by its list and its conditions, ascending. nullopt: all.
// INVALID_ARGUMENT: a condition on seed holds another word than a number.
absl::StatusOr<std::optional<std::vector<uint32_t>>> WantedSeeds(const JobFilter& filter);

// INVALID_ARGUMENT: the sweep has no such axis. NOT_FOUND: no group has such a value. Both name
// what there is.
absl::Status CheckConditions(const Catalog& catalog, const SweepInfo& sweep,
                             const std::vector<AxisCondition>& conditions);

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_POINT_H_
