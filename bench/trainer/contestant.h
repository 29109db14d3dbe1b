// What one process of a race does. Each contestant runs in processes of its own, so that none finds
// another's memory, threads or settings.
#ifndef COPPICE_BENCH_TRAINER_CONTESTANT_H_
#define COPPICE_BENCH_TRAINER_CONTESTANT_H_

#include <cstdint>

#include "absl/status/status.h"

namespace coppice::bench {

enum class Contestant {
  kEager,
  kTuned,
  kOurs,
  kProducts,  // the matrix products of ours alone: what is left if all else were free
  kGemm       // products of large matrices alone: what the machine's cores can do
};

struct Process {
  Contestant contestant = Contestant::kEager;
  int configuration = 0;  // index into Configurations()
  uint64_t seed = 0;
  // eager, tuned, gemm, products: threads of one operator. ours: threads of the engine, one seed
  // each.
  int threads = 1;
  double seconds = 1;
  // Rates by the CPU time that the process uses, divided by its threads, instead of by the clock on
  // the wall: nearly the same on a machine that does nothing else, and much steadier on one that
  // does. What is idle is then free.
  bool cpu_time = false;
};

// Prepares and warms up, writes "ready", awaits a line, works for `seconds` and writes its rate:
// steps a second of all its seeds, or for kGemm floating-point operations a second. With kOurs the
// process ends here: the engine goes on training, and would write checkpoints if it were stopped.
absl::Status RunContestant(const Process& process, int in, int out);

}  // namespace coppice::bench

#endif  // COPPICE_BENCH_TRAINER_CONTESTANT_H_
