#ifndef COPPICE_COMMON_BASE_SLURM_ENVIRONMENT_H_
#define COPPICE_COMMON_BASE_SLURM_ENVIRONMENT_H_

#include <string>
#include <vector>

namespace coppice {

// The environment for Slurm's commands, made of `environ`: without the settings that would change
// their meaning (SBATCH_*, SQUEUE_* and the like, and SLURM_* of a surrounding job), and without
// the variables of this project. Times are then seconds since 1970.
std::vector<std::string> SlurmEnvironment(const char* const* environment);

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_SLURM_ENVIRONMENT_H_
