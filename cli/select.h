// How a user names sweeps and jobs, the same way in every command:
//
//   demo                    a sweep
//   demo/question           its jobs of a task; demo/question/2 of a depth too
//   demo/question/2/0       one job; question/2/0 where there is only one sweep
//   17                      a job's number
//   sweep:17, job:17        where 17 could be either
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

// The jobs of `target` (a sweep, a part of it, a job, or empty for the only sweep) that the flags
// leave. INVALID_ARGUMENT for a value of another form, and for a flag that asks for something else
// than the target already says. NOT_FOUND where there is no such sweep or job, and where the sweep
// has no job of the tasks, depths and seeds asked for; it says which there are. A state that no job
// is in now is no error here.
absl::StatusOr<v1::JobFilter> Select(Client* client, const std::string& target,
                                     const FilterFlags& flags);

// The same for commands that change something: the target must be named, with its sweep, and
// NOT_FOUND also where no job is in a state asked for.
absl::StatusOr<v1::JobFilter> SelectToChange(Client* client, const std::string& target,
                                             const FilterFlags& flags);

// The named sweep, which must exist, or the only one there is when `name` is empty. NOT_FOUND when
// there is none, INVALID_ARGUMENT, with their names, when there are several.
absl::StatusOr<std::string> ResolveSweep(Client* client, const std::string& name);

// A job number, SWEEP/TASK/DEPTH/SEED, or TASK/DEPTH/SEED of the only sweep. INVALID_ARGUMENT for
// another form, NOT_FOUND when there is no such job.
absl::StatusOr<uint64_t> ResolveJob(Client* client, const std::string& text);

// "no job of demo that matches is failed; demo has 2 succeeded, 1 running": what to say where a
// selection by state came out empty.
absl::StatusOr<std::string> NoneInState(Client* client, const v1::JobFilter& filter);

// "question/2/0".
std::string JobName(const v1::Job& job);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_SELECT_H_
