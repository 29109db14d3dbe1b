// The differences between two sweeps of one name, from a user's point of view.
#ifndef COPPICE_COMMON_SPEC_DIFFERENCE_H_
#define COPPICE_COMMON_SPEC_DIFFERENCE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "coppice/v1/sweep.pb.h"

namespace coppice::spec {

// "0-4, 7", from numbers in any order. "..." replaces the ranges after the first `most`.
std::string RangesText(std::vector<uint32_t> numbers, size_t most = 8);

// "train.steps is 300 there and 301 here (dyck/2)", one for each setting that differs for a job, a
// group or the whole sweep. An explicit default or another order of a list is no difference. Both
// specs must be valid. Names are not compared.
std::vector<std::string> Differences(const v1::SweepSpec& there, const v1::SweepSpec& here);

}  // namespace coppice::spec

#endif  // COPPICE_COMMON_SPEC_DIFFERENCE_H_
