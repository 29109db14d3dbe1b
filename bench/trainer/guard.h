// The regression guard: ratios of ours to the eager baseline, kept in a file and compared with.
#ifndef COPPICE_BENCH_TRAINER_GUARD_H_
#define COPPICE_BENCH_TRAINER_GUARD_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace coppice::bench {

// What one kind of machine reached.
struct Recorded {
  std::string machine;  // its name, and what computes products there
  std::string version;
  std::map<std::string, double> over_eager;  // by a configuration's name
};

// A file of the form {"machines": [{"machine": "2 cores, AMD EPYC, AVX2, oneDNN 2.6.3", "version":
// "0.1.0", "ours_over_eager": {"d=64, depth 2": 6.5}}]}.
// INVALID_ARGUMENT: not of that form. Otherwise codes of common/base/files.h.
absl::StatusOr<std::vector<Recorded>> ReadRecords(const std::string& path);
// Puts the record into the file, in place of the one of the same machine. Others stay.
absl::Status WriteRecord(const std::string& path, const Recorded& recorded);

// Null: none of such a machine. How fast another one should be nobody knows.
const Recorded* FindRecord(const std::vector<Recorded>& records, const std::string& machine);

// The lowest ratio that is let pass: a quarter below the recorded one. 0: none was recorded.
double LowestRatio(const Recorded& recorded, const std::string& configuration);

// FAILED_PRECONDITION: too slow; the message says how much and what to do.
absl::Status Judge(const Recorded& recorded, const std::string& configuration, double ratio);

}  // namespace coppice::bench

#endif  // COPPICE_BENCH_TRAINER_GUARD_H_
