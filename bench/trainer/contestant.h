// One process of a race. Each contestant runs in processes of its own, so that none meets another's
// memory, threads or settings.
#ifndef COPPICE_BENCH_TRAINER_CONTESTANT_H_
#define COPPICE_BENCH_TRAINER_CONTESTANT_H_

#include <cstdint>

#include "absl/status/status.h"

namespace coppice::bench {

enum class Contestant {
  kEager,
  kTuned,
  kOurs,
  kProducts,  // ours, matrix products alone: the cost if all else were free
  kGemm       // large matrix products alone: the capacity of the machine's cores
};

struct Process {
  Contestant contestant = Contestant::kEager;
  int configuration = 0;  // index into Configurations()
  uint64_t seed = 0;
  // eager, tuned, gemm, products: threads of one operator. ours: threads of the engine, with one
  // seed each.
  int threads = 1;
  double seconds = 1;
  // Computes rates from the process's CPU time, divided by its threads, instead of wall time. On an
  // otherwise idle machine the two nearly agree; on a busy one CPU time is much steadier. Idle time
  // is then free.
  bool cpu_time = false;
};

// Prepares and warms up, writes "ready", awaits a line, works for `seconds`, and writes its rate:
// steps a second of all its seeds, or for kGemm floating-point operations a second. With kOurs the
// process ends here: the engine trains on, and would write checkpoints if it were stopped.
absl::Status RunContestant(const Process& process, int in, int out);

}  // namespace coppice::bench

#endif  // COPPICE_BENCH_TRAINER_CONTESTANT_H_
