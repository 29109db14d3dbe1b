// Reads the texts of Slurm's commands. All is validated: a line that cannot be read is left out,
// and a state that is not known counts as alive.
#ifndef COPPICE_COORDINATOR_POOLS_SLURM_TEXT_H_
#define COPPICE_COORDINATOR_POOLS_SLURM_TEXT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "coordinator/pools/batch_system.h"

namespace coppice::pools {

// For `squeue --noheader --format`. The name comes last, for it may contain the separator.
inline constexpr absl::string_view kQueueFormat = "%A|%i|%T|%r|%S|%e|%N|%j";

// By the full name or the short one ("RUNNING", "R"), also "CANCELLED by 1000" and "CANCELLED+".
JobPhase PhaseOfState(absl::string_view state);

// The jobs of squeue's answer. "120_[1-4%2]" stands for four jobs. Lines that head a cluster's part
// ("CLUSTER: a") are no jobs.
std::vector<Job> ParseQueue(absl::string_view text, absl::TimeZone zone);

// `scontrol show job ID --oneliner`. INTERNAL: no job in it.
absl::StatusOr<Job> ParseShownJob(absl::string_view text, absl::TimeZone zone);

// The id in sbatch's --parsable answer ("123" or "123;cluster"); empty: none.
std::string ParseSubmittedId(absl::string_view text);

// The words of `sbatch --test-only` with the start as a time: "Job 7 to start at 2026-11-30
// 14:30:00 UTC using ...".
std::string ReadableStart(absl::string_view text);

// `scontrol show partition NAME --oneliner` and `scontrol show config`, into `capabilities`.
void ParsePartition(absl::string_view text, Capabilities* capabilities);
void ParseConfig(absl::string_view text, Capabilities* capabilities);

// The line of `scontrol show partition --oneliner` with Default=YES; empty: none.
absl::string_view DefaultPartition(absl::string_view text);

// Unix milliseconds of "2026-11-30T06:37:13" in `zone` or of seconds since 1970; 0: "N/A",
// "Unknown" or anything else.
int64_t ParseSlurmTime(absl::string_view text, absl::TimeZone zone);
// Seconds of "1-00:00:00", "02:00:00", "30:00" or "90" (minutes); 0: "UNLIMITED", "INFINITE" or
// anything else.
int64_t ParseSlurmDuration(absl::string_view text);
// "1-02:03:00", for --time.
std::string FormatSlurmDuration(int64_t seconds);

// "120_[1-4,7%2]" -> 120_1, 120_2, 120_3, 120_4, 120_7; another id stands for itself. At most
// 10,000.
std::vector<std::string> ExpandArrayId(absl::string_view id);

}  // namespace coppice::pools

#endif  // COPPICE_COORDINATOR_POOLS_SLURM_TEXT_H_
