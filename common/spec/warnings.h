#ifndef COPPICE_COMMON_SPEC_WARNINGS_H_
#define COPPICE_COMMON_SPEC_WARNINGS_H_

#include <vector>

#include "common/spec/spec.h"

namespace coppice::spec {

// What is valid and cannot do what it says (common/settings/run_warnings.h), of every group of a
// valid spec: each warning once, with the groups it is true of where it is not all. `path` is where
// the setting or the one it does not go with is set; where both are defaults, the setting's own.
std::vector<Problem> Warnings(const v1::SweepSpec& spec);

}  // namespace coppice::spec

#endif  // COPPICE_COMMON_SPEC_WARNINGS_H_
