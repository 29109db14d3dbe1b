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

// The words of a difference for the places of its two sweeps.
struct Sides {
  std::string there = "there";
  std::string here = "here";
};

// "train.steps is 300 there and 301 here (dyck/2)", one for each setting that differs for a job, a
// group or the whole sweep. An explicit default or another order of a list is no difference. Both
// specs must be valid. Names and tags are not compared.
std::vector<std::string> Differences(const v1::SweepSpec& there, const v1::SweepSpec& here,
                                     const Sides& sides = {});

// The jobs that two sweeps have in common, by point and seed, and those that one alone has. Points
// are as of PointText, in their order as texts.
struct Overlap {
  std::vector<std::string> points_there;
  std::vector<std::string> points_here;
  uint64_t jobs_there = 0;
  uint64_t jobs_here = 0;
  uint64_t jobs_both = 0;
};
Overlap OverlapOf(const v1::SweepSpec& there, const v1::SweepSpec& here);

}  // namespace coppice::spec

#endif  // COPPICE_COMMON_SPEC_DIFFERENCE_H_
