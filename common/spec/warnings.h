#ifndef COPPICE_COMMON_SPEC_WARNINGS_H_
#define COPPICE_COMMON_SPEC_WARNINGS_H_

#include <vector>

#include "common/spec/spec.h"

namespace coppice::spec {

// The warnings (common/settings/run_warnings.h) about every group of a valid spec. Each occurs
// once, with the groups that it concerns unless these are all. `path` is the place that sets the
// setting, or else the conflicting one; if both are defaults, the setting's own path.
std::vector<Problem> Warnings(const v1::SweepSpec& spec);

}  // namespace coppice::spec

#endif  // COPPICE_COMMON_SPEC_WARNINGS_H_
