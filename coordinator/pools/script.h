#ifndef COPPICE_COORDINATOR_POOLS_SCRIPT_H_
#define COPPICE_COORDINATOR_POOLS_SCRIPT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "coordinator/pools/pool.h"

namespace coppice::pools {

// The batch script of one allocation: #SBATCH lines, what steers the worker, and the text of
// deploy/slurm/worker.sbatch. `spec` has passed CheckPoolSpec. It holds no secret.
std::string WriteScript(const PoolSpec& spec, const std::string& key, int64_t walltime_s,
                        const std::vector<ExcludedNode>& excluded);

// The batch script of a probe: `coppice-worker check-node` with the worker's flags. It is never put
// back into the queue.
std::string WriteProbeScript(const PoolSpec& spec, const std::string& key);

// The file that gets the allocation's output.
std::string OutputPath(const PoolSpec& spec, const std::string& key);

// In single quotes for a shell.
std::string ShellQuote(absl::string_view text);

// deploy/slurm/worker.sbatch as of the build (made by CMake).
extern const char kWorkerScript[];

}  // namespace coppice::pools

#endif  // COPPICE_COORDINATOR_POOLS_SCRIPT_H_
