#ifndef COPPICE_COMMON_SPEC_PLAN_H_
#define COPPICE_COMMON_SPEC_PLAN_H_

#include <cstdint>

#include "coppice/v1/coordinator.pb.h"

namespace coppice::spec {

// Plans a sweep without a coordinator: its groups, jobs, packs of up to `pack_width` (0:
// kDefaultPackWidth) and expected work. The spec must be valid.
v1::Plan MakePlan(const v1::SweepSpec& spec, uint32_t pack_width);

}  // namespace coppice::spec

#endif  // COPPICE_COMMON_SPEC_PLAN_H_
