// A sweep as large as a paper's, in the fake coordinator.
#ifndef COPPICE_TESTS_CLI_BIG_SWEEP_H_
#define COPPICE_TESTS_CLI_BIG_SWEEP_H_

#include <string>
#include <vector>

#include "tests/cli/fake_sweep_service.h"

namespace coppice::cli {

// Replaces the service's data: three tasks, depths 2, 4, ..., 2 * `depths`, and `seeds` seeds.
// Every seventh job has failed; the others run, wait or are done.
inline void FillBigSweep(FakeSweepService* service, uint32_t depths, uint32_t seeds) {
  absl::MutexLock lock(&service->mutex);
  const v1::Job pattern = service->jobs[0];
  service->jobs.clear();
  service->groups.clear();
  service->spec.clear_tasks();
  service->spec.clear_depths();
  service->spec.clear_seeds();
  service->spec.set_name("structural-grokking");
  for (uint32_t d = 1; d <= depths; ++d) service->spec.add_depths(2 * d);
  for (uint32_t s = 0; s < seeds; ++s) service->spec.add_seeds(s);
  v1::SweepSummary& summary = service->sweeps[0];
  summary.set_name("structural-grokking");
  summary.clear_counts();
  for (const char* task : {"question", "tense", "dyck"}) {
    service->spec.add_tasks(task);
    for (const uint32_t depth : service->spec.depths()) {
      v1::GroupSummary& group = service->groups.emplace_back();
      group.set_task(task);
      group.set_depth(depth);
      group.set_steps(300'000);
      for (uint32_t seed = 0; seed < seeds; ++seed) {
        v1::Job job = pattern;
        job.set_id(service->jobs.size() + 1);
        job.set_sweep(summary.name());
        job.set_task(task);
        job.set_depth(depth);
        job.set_seed(seed);
        job.set_steps(300'000);
        job.set_step(123'456);
        const uint64_t kind = job.id() % 7;
        job.set_state(kind == 0  ? v1::FAILED
                      : kind < 3 ? v1::RUNNING
                      : kind < 5 ? v1::SUCCEEDED
                                 : v1::PENDING);
        if (kind == 0) {
          job.set_reason(
              "nan: the loss is not finite; the gradient's norm was 1.2e+17 at the step before, "
              "try a lower learning rate\nsecond line");
        }
        for (v1::JobCounts* counts : {group.mutable_counts(), summary.mutable_counts()}) {
          if (kind == 0) {
            counts->set_failed(counts->failed() + 1);
          } else if (kind < 3) {
            counts->set_running(counts->running() + 1);
          } else if (kind < 5) {
            counts->set_succeeded(counts->succeeded() + 1);
          } else {
            counts->set_pending(counts->pending() + 1);
          }
        }
        service->jobs.push_back(job);
      }
    }
  }
  summary.set_jobs(service->jobs.size());
  summary.set_steps_total(300'000 * service->jobs.size());
  summary.set_steps_done(123'456 * service->jobs.size());
  service->updates.clear();
  v1::WatchSweepResponse update;
  *update.mutable_summary() = summary;
  service->updates.push_back(update);
}

}  // namespace coppice::cli

#endif  // COPPICE_TESTS_CLI_BIG_SWEEP_H_
