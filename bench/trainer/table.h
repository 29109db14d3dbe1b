// The output of bench_trainer.
#ifndef COPPICE_BENCH_TRAINER_TABLE_H_
#define COPPICE_BENCH_TRAINER_TABLE_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "bench/trainer/race.h"

namespace coppice::bench {

// "# 2 cores, AMD EPYC, ..." and, on lines of their own, compiler, LibTorch and BLAS.
std::string Header();

// One row for each configuration that has figures, by its index into Configurations(), then the
// configurations that are not measured.
std::string SpeedTable(const std::map<int, Figures>& figures);

// Counts the configurations whose ratio to eager is below their target.
int MissedTargets(const std::map<int, Figures>& figures);

// Computed, not measured: arithmetic and bytes of a step, and the time that an H200 needs to move
// those bytes. For each configuration and, at the paper's width, for depths 2 to 10.
absl::StatusOr<std::string> LimitsTable();

}  // namespace coppice::bench

#endif  // COPPICE_BENCH_TRAINER_TABLE_H_
