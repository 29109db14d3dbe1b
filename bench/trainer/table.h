// What bench_trainer prints.
#ifndef COPPICE_BENCH_TRAINER_TABLE_H_
#define COPPICE_BENCH_TRAINER_TABLE_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "bench/trainer/race.h"

namespace coppice::bench {

// "# 2 cores, AMD EPYC, ..." and, on lines of their own, compiler, LibTorch and BLAS.
std::string Header();

// One row a configuration that has figures, by its index into Configurations(); then what is not
// measured.
std::string SpeedTable(const std::map<int, Figures>& figures);

// Configurations whose ratio to eager is below their target.
int MissedTargets(const std::map<int, Figures>& figures);

// Computed, not measured: arithmetic and bytes of a step for each configuration and, at the paper's
// width, for depth 2 to 10, and how long an H200 needs to move those bytes.
absl::StatusOr<std::string> LimitsTable();

}  // namespace coppice::bench

#endif  // COPPICE_BENCH_TRAINER_TABLE_H_
