// Sweeps with made-up but realistic metrics for a FakeSweepService.
#ifndef COPPICE_TESTS_CLI_REPORT_SYNTHETIC_SWEEP_H_
#define COPPICE_TESTS_CLI_REPORT_SYNTHETIC_SWEEP_H_

#include <functional>
#include <string>
#include <vector>

#include "tests/cli/fake_sweep_service.h"

namespace coppice::cli {

struct Synthetic {
  std::string name = "study";
  std::vector<std::string> tasks = {"question", "tense", "dyck"};
  std::vector<uint32_t> depths = {2, 4, 6, 8, 10};
  uint32_t seeds = 10;
  uint32_t steps = 300'000;
  uint32_t every = 3'000;
  bool probes = true;
  bool accuracies = true;
  bool losses = true;
  bool step_0 = false;       // also a report before the first step
  bool small_model = false;  // settings other than the paper's
  // The state of each job, and the finished part of its steps if it has not succeeded.
  std::function<v1::JobState(uint64_t id)> state = [](uint64_t) { return v1::SUCCEEDED; };
  std::function<double(uint64_t id)> done = [](uint64_t) { return 0.5; };
};

// Replaces the service's data. A pure function of `synthetic`: accuracies rise as a sigmoid whose
// onset depends on task, depth and seed, and are best at middle depths.
void Fill(const Synthetic& synthetic, FakeSweepService* service);

}  // namespace coppice::cli

#endif  // COPPICE_TESTS_CLI_REPORT_SYNTHETIC_SWEEP_H_
