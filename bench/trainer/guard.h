// The regression guard: ratios of ours to the eager baseline, kept in a file and compared with.
#ifndef COPPICE_BENCH_TRAINER_GUARD_H_
#define COPPICE_BENCH_TRAINER_GUARD_H_

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace coppice::bench {

// A file of the form {"machine": "2 cores, AMD EPYC", "version": "0.1.0", "ours_over_eager":
// {"d=64, depth 2": 6.5}}.
struct Recorded {
  std::string machine;  // its name, and what computes products there
  std::string version;
  std::map<std::string, double> over_eager;  // by a configuration's name
};

// INVALID_ARGUMENT: not of that form. Otherwise codes of common/base/files.h.
absl::StatusOr<Recorded> ReadRecorded(const std::string& path);
absl::Status WriteRecorded(const std::string& path, const Recorded& recorded);

// The lowest ratio that is let pass: a quarter below the recorded one. A ratio differs less between
// machines than a rate, but it differs: on another machine than the recorded one it is half.
double LowestRatio(const Recorded& recorded, const std::string& machine,
                   const std::string& configuration);

// FAILED_PRECONDITION: too slow; the message says how much and what to do.
absl::Status Judge(const Recorded& recorded, const std::string& machine,
                   const std::string& configuration, double ratio);

}  // namespace coppice::bench

#endif  // COPPICE_BENCH_TRAINER_GUARD_H_
