#include "worker/daemon/agent_config.h"

#include "common/base/build_info.h"
#include "common/base/ids.h"
#include "common/rpc/channel.h"

namespace coppice::worker {
namespace {

void SetAllocation(const AgentConfig& config, v1::Allocation* message) {
  const Allocation& allocation = config.allocation;
  message->set_system(allocation.system);
  message->set_cluster(allocation.cluster);
  message->set_job_id(allocation.job_id);
  message->set_raw_job_id(allocation.raw_job_id);
  message->set_partition(allocation.partition);
  message->set_node(allocation.node);
  message->set_proc_id(allocation.proc_id);
  message->set_restarts(allocation.restarts);
  message->set_pool_key(allocation.pool_key);
  for (const std::string& gpu : config.slot_devices) message->add_gpus(gpu);
}

}  // namespace

v1::RegisterRequest RegistrationOf(const AgentConfig& config, Clock* clock) {
  v1::RegisterRequest self;
  self.set_name(config.name);
  self.set_instance(RandomId());
  self.set_host(config.host);
  self.set_version(VersionText());
  self.set_protocol(rpc::kProtocolVersion);
  self.set_slots(config.slots);
  self.set_pack_width(config.pack_width);
  self.set_device(config.device);
  self.set_shared_checkpoints(config.pack.checkpoints.shared);
  self.set_programs(config.programs);
  SetAllocation(config, self.mutable_allocation());
  if (config.walltime < absl::InfiniteDuration()) {
    self.set_ends_ms(clock->NowMillis() + absl::ToInt64Milliseconds(config.walltime));
  }
  return self;
}

}  // namespace coppice::worker
