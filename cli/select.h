// How a user names sweeps and jobs.
#ifndef COPPICE_CLI_SELECT_H_
#define COPPICE_CLI_SELECT_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/client.h"
#include "coppice/v1/coordinator.pb.h"

namespace coppice::cli {

// The flags --task, --depth, --seed and --state as given.
struct FilterFlags {
  std::vector<std::string> tasks;
  std::vector<std::string> depths;  // "2", "2-6", "2,4"
  std::vector<std::string> seeds;
  std::vector<std::string> states;
};

// Numbers and ranges in the order given: {"0-3", "7"} is 0 1 2 3 7. INVALID_ARGUMENT names the
// flag.
absl::StatusOr<std::vector<uint32_t>> ParseNumbers(const std::string& flag,
                                                   const std::vector<std::string>& texts);

// Narrows `filter` by the flags. INVALID_ARGUMENT for a value of another form, and for a flag that
// asks for something else than the target already says.
absl::Status ApplyFlags(const FilterFlags& flags, v1::JobFilter* filter);

// The named sweep, or the only one there is when `name` is empty. NOT_FOUND when there is none,
// INVALID_ARGUMENT, with their names, when there are several.
absl::StatusOr<std::string> ResolveSweep(Client* client, const std::string& name);

// SWEEP, SWEEP/TASK, SWEEP/TASK/DEPTH, SWEEP/TASK/DEPTH/SEED, a job number, or empty for the only
// sweep.
absl::StatusOr<v1::JobFilter> ResolveTarget(Client* client, const std::string& target);

// A job number, SWEEP/TASK/DEPTH/SEED, or TASK/DEPTH/SEED of the only sweep. INVALID_ARGUMENT for
// another form, NOT_FOUND when there is no such job.
absl::StatusOr<uint64_t> ResolveJob(Client* client, const std::string& text);

// "question/2/0".
std::string JobName(const v1::Job& job);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_SELECT_H_
