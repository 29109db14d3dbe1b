// How two sweeps of one name differ, as a user means it.
#ifndef COPPICE_COMMON_SPEC_DIFFERENCE_H_
#define COPPICE_COMMON_SPEC_DIFFERENCE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "coppice/v1/sweep.pb.h"

namespace coppice::spec {

// "0-4, 7" of numbers in any order; after `most` ranges "...".
std::string RangesText(std::vector<uint32_t> numbers, size_t most = 8);

// "train.steps is 300 there and 301 here (dyck/2)", one for each setting that another job, another
// group or the whole sweep would have; a default written out or a list in another order is no
// difference. Both specs must be valid. Names are not compared.
std::vector<std::string> Differences(const v1::SweepSpec& there, const v1::SweepSpec& here);

}  // namespace coppice::spec

#endif  // COPPICE_COMMON_SPEC_DIFFERENCE_H_
