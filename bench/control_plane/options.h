#ifndef COPPICE_BENCH_CONTROL_PLANE_OPTIONS_H_
#define COPPICE_BENCH_CONTROL_PLANE_OPTIONS_H_

#include <cstdint>
#include <string>

namespace coppice::bench {

// The options of the bench. They live in main for the whole run and are read everywhere.
struct Options {
  std::string coordinator;  // the binaries
  std::string coppice;
  std::string data_dir;  // empty: a new folder that is removed at the end
  uint64_t jobs = 1'000'000;
  uint32_t workers = 10'000;
  uint32_t connections = 0;  // 0: one for each worker, as in reality
  uint32_t held = 10;        // jobs that every worker runs throughout, as one pack
  uint32_t active = 512;     // workers that also lease and finish jobs of the large sweep
  uint32_t values = 8;       // of a metric row
  double seconds = 20;       // of each phase under load
  double heartbeat = 10;     // seconds
  double rate = 5'000;       // target for leases and completions a second
  double overload = 4;       // offered load, as a multiple of the closed loop's rate
  // For the process that the bench starts to overload the coordinator: the coordinator's address,
  // and the folder of the checkpoints. `overload` is the rate then.
  std::string overload_of;
  std::string overload_checkpoints;
  bool quick = false;  // small, and judged by correctness alone
};

}  // namespace coppice::bench

#endif  // COPPICE_BENCH_CONTROL_PLANE_OPTIONS_H_
