#ifndef COPPICE_WORKER_DAEMON_THREAD_SETTINGS_H_
#define COPPICE_WORKER_DAEMON_THREAD_SETTINGS_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace coppice::worker {

// Environment variables that give a trainer this number of threads. One place sets it: a library
// that takes one thread per core by default would take the cores of the other slots.
inline std::vector<std::pair<std::string, std::string>> ThreadSettings(uint32_t threads) {
  const std::string number = absl::StrCat(threads);
  return {
      {"OMP_NUM_THREADS", number}, {"OPENBLAS_NUM_THREADS", number}, {"MKL_NUM_THREADS", number}};
}

// The same, and the GPU of the trainer's slot: an entry of CUDA_VISIBLE_DEVICES, or empty where the
// trainer sees what this process sees.
inline std::vector<std::pair<std::string, std::string>> TrainerEnvironment(uint32_t threads,
                                                                           const std::string& gpu) {
  auto environment = ThreadSettings(threads);
  if (!gpu.empty()) environment.emplace_back("CUDA_VISIBLE_DEVICES", gpu);
  return environment;
}

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_THREAD_SETTINGS_H_
