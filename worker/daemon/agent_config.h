#ifndef COPPICE_WORKER_DAEMON_AGENT_CONFIG_H_
#define COPPICE_WORKER_DAEMON_AGENT_CONFIG_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/base/clock.h"
#include "coppice/v1/coordinator.pb.h"
#include "worker/daemon/allocation.h"
#include "worker/daemon/pack_run.h"
#include "worker/daemon/pack_widths.h"

namespace coppice::worker {

struct AgentConfig {
  std::string name;
  std::string host;
  std::string device;     // for people; the trainer's device is in `pack`
  Allocation allocation;  // under Slurm a signal that asks for the end is a preemption
  uint32_t slots = 1;
  // The CUDA_VISIBLE_DEVICES of each slot's trainer, one entry a slot as the batch system gave it:
  // an index, "GPU-...", "MIG-...". Empty: trainers see what this process sees.
  std::vector<std::string> slot_devices;
  uint32_t pack_width = 1;
  // If set, packs have the width that is measured to be best, up to pack_width.
  std::optional<PackWidthsConfig> measure;
  PackConfig pack;
  bool programs = false;  // programs of the users' own may run here
  std::string spool_dir;  // absolute
  // The store that a shared checkpoint folder belongs to.
  std::string store_id;
  // The worker exits this long after Stop, even if work is left.
  absl::Duration grace = absl::Seconds(25);
  // The worker exits after this long without work. Infinite: it stays.
  absl::Duration idle_exit = absl::InfiniteDuration();
  // The same for a worker that never got work. Infinite: idle_exit alone counts.
  absl::Duration first_idle_exit = absl::InfiniteDuration();
  // The worker stops when it could not reach the coordinator for so long. A worker without work
  // stops after idle_exit, if that is shorter. Infinite: it waits without limit.
  absl::Duration coordinator_timeout = absl::InfiniteDuration();
  bool exit_when_drained = false;
  // The machine is taken away this long after Start (a cluster's walltime). No lease is taken in
  // the last `walltime_margin` of it.
  absl::Duration walltime = absl::InfiniteDuration();
  absl::Duration walltime_margin = absl::Seconds(85);
};

// The message with which a new process of this worker registers, without the leases that it holds.
v1::RegisterRequest RegistrationOf(const AgentConfig& config, Clock* clock);

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_AGENT_CONFIG_H_
