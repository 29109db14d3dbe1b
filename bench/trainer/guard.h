// The regression guard: ratios of ours to the eager baseline, recorded in a file for comparison.
#ifndef COPPICE_BENCH_TRAINER_GUARD_H_
#define COPPICE_BENCH_TRAINER_GUARD_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace coppice::bench {

// The recorded ratios of one kind of machine.
struct Recorded {
  std::string machine;  // its name, and the library that computes products there
  std::string version;
  std::map<std::string, double> over_eager;  // by configuration name
};

// Reads a file of the form {"machines": [{"machine": "2 cores, AMD EPYC, AVX2, oneDNN 2.6.3",
// "version": "0.1.0", "ours_over_eager": {"d=64, depth 2": 6.5}}]}.
// INVALID_ARGUMENT: it has another form. Otherwise codes of common/base/files.h.
absl::StatusOr<std::vector<Recorded>> ReadRecords(const std::string& path);
// Writes the record to the file, in place of that of the same machine. Others stay.
absl::Status WriteRecord(const std::string& path, const Recorded& recorded);

// Null: no such machine was recorded, and its speed cannot be derived from others.
const Recorded* FindRecord(const std::vector<Recorded>& records, const std::string& machine);

// The lowest ratio that passes: a quarter below the recorded one. 0: none was recorded.
double LowestRatio(const Recorded& recorded, const std::string& configuration);

// FAILED_PRECONDITION: too slow. The message tells by how much, and the remedy.
absl::Status Judge(const Recorded& recorded, const std::string& configuration, double ratio);

}  // namespace coppice::bench

#endif  // COPPICE_BENCH_TRAINER_GUARD_H_
