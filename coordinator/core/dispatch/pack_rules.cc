#include "coordinator/core/dispatch/pack_rules.h"

#include <algorithm>

namespace coppice::core {

bool IsUnmeasured(const WorkerHealth& health, const AcquireRequest& request,
                  const std::string& worker, GroupId group) {
  return request.measures && !health.KnowsWidth(worker, group);
}

size_t PackWidth(const WorkerHealth& health, const AcquireRequest& request,
                 const std::string& worker, GroupId group, const Supply& supply) {
  if (IsUnmeasured(health, request, worker, group)) return 2;
  const size_t width = health.WidthFor(worker, group, request.pack_width);
  if (!request.measures) return width;
  const size_t share = (supply.jobs + supply.waiters - 1) / supply.waiters;
  return std::clamp<size_t>(share, 1, width);
}

}  // namespace coppice::core
