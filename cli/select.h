// Names of sweeps and jobs on the command line, the same in every command:
//
//   demo                    a sweep
//   demo/question           its jobs of a task; demo/question/2: of a depth too
//   demo/question/2/0       one job; question/2/0 if there is only one sweep
//   demo/depth=2/seed=0-3   its jobs that meet each condition, in any order; for every sweep
//   17                      a job's number
//   sweep:17, job:17        if 17 could be either
//
// A name is never guessed: a number that is both a sweep's name and a job's is refused.
#ifndef COPPICE_CLI_SELECT_H_
#define COPPICE_CLI_SELECT_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/client.h"
#include "coppice/v1/coordinator.pb.h"

namespace coppice::cli {

// The flags --task, --depth, --seed, --state and --where, unparsed.
struct FilterFlags {
  std::vector<std::string> tasks;
  std::vector<std::string> depths;  // "2", "2-6", "2,4"
  std::vector<std::string> seeds;
  std::vector<std::string> states;
  std::vector<std::string> where;  // "train.learning_rate=1e-4,3e-4"
};

// Expands numbers and ranges in the given order: {"0-3", "7"} is 0 1 2 3 7. INVALID_ARGUMENT names
// the flag.
absl::StatusOr<std::vector<uint32_t>> ParseNumbers(const std::string& flag,
                                                   const std::vector<std::string>& texts);

// Returns the filter for the jobs of `target` that match the flags. The target is a sweep, a part
// of it, a job, or empty for the only sweep. INVALID_ARGUMENT: a value has another form, or a flag
// contradicts the target. NOT_FOUND: the sweep or job does not exist, or the sweep has no job of
// these tasks, depths and seeds; the message lists those that it has. A state that no job is in now
// is no error.
absl::StatusOr<v1::JobFilter> Select(Client* client, const std::string& target,
                                     const FilterFlags& flags);

// The same for commands that change something. The target must be named, with its sweep, and
// NOT_FOUND also means that no job is in a requested state.
absl::StatusOr<v1::JobFilter> SelectToChange(Client* client, const std::string& target,
                                             const FilterFlags& flags);

// Returns the named sweep, which must exist, or the only one if `name` is empty. NOT_FOUND: there
// is none. INVALID_ARGUMENT: there are several; the message names them.
absl::StatusOr<std::string> ResolveSweep(Client* client, const std::string& name);

// Accepts a job number, SWEEP/TASK/DEPTH/SEED, SWEEP/AXIS=VALUE/..., or the last two without the
// only sweep. INVALID_ARGUMENT: another form, or conditions that several jobs meet. NOT_FOUND:
// there is no such job.
absl::StatusOr<uint64_t> ResolveJob(Client* client, const std::string& text);

// The message for a selection by state that is empty: "no job of demo that matches is failed; demo
// has 2 succeeded, 1 running".
absl::StatusOr<std::string> NoneInState(Client* client, const v1::JobFilter& filter);

// "question/2/0", or "task=question/size=small/seed=0" where the sweep has other axes.
std::string JobName(const v1::Job& job);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_SELECT_H_
