// `coppice-worker check-node`: the node's half of a pool's probe. A pool's job runs it.
#ifndef COPPICE_WORKER_DAEMON_CHECK_NODE_H_
#define COPPICE_WORKER_DAEMON_CHECK_NODE_H_

#include <functional>
#include <ostream>
#include <string>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "coppice/v1/pools.pb.h"
#include "worker/daemon/allocation.h"
#include "worker/daemon/worker_options.h"

namespace coppice::worker {

struct NodeCheck {
  std::string key;    // of the probe
  uint32_t gpus = 0;  // that an allocation has
  WorkerOptions worker;
};

// True: the command line asks for a check of the node.
bool AsksForNodeCheck(int argc, const char* const* argv);
// Parses `check-node --probe KEY [--gpus N] [FLAGS OF THE WORKER]`. As ParseWorkerOptions.
std::optional<NodeCheck> ParseNodeCheck(int argc, const char* const* argv, int* exit_code);

// Sends a report to the coordinator, and waits for the answer.
using SendReport =
    std::function<absl::StatusOr<v1::ReportNodeResponse>(const v1::ReportNodeRequest& request)>;
// With the worker's access. Codes of ResolveAccess and of MakeChannel.
absl::StatusOr<SendReport> ReportOverNetwork(const WorkerOptions& options);

// Looks at the coordinator, the clock, the trainer, the GPUs and the checkpoint folder, reports
// each and prints it. Returns the exit code: 0 unless something failed. Each step has a time limit.
int RunNodeCheck(const NodeCheck& check, const absl::StatusOr<SendReport>& send,
                 const EnvironmentLookup& env, Clock* clock, std::ostream* out);

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_CHECK_NODE_H_
