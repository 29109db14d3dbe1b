// The vocabulary of an extension: a stored sweep grows into another one.
#ifndef COPPICE_COORDINATOR_CORE_EXTENSION_H_
#define COPPICE_COORDINATOR_CORE_EXTENSION_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/core/types.h"

namespace coppice::core {

// A setting that differs between the stored sweep and the wanted one.
struct SettingChange {
  std::string path;  // "train.learning_rate"
  std::string was;
  std::string is;
};

// The differences between two runs, other than train.steps.
struct RunChange {
  std::vector<SettingChange> in_place;  // may change although jobs have begun
  std::vector<SettingChange> others;
};

// Purpose: reads what is opaque to the core. Thread-safe. Failure codes: INTERNAL (the stored text
// cannot be read).
class SpecReader {
 public:
  virtual ~SpecReader() = default;
  virtual absl::StatusOr<std::vector<uint32_t>> SeedsOf(const std::string& spec_blob) const = 0;
  // Settings of the sweep as a whole, which may always change: what status shows.
  virtual absl::StatusOr<std::vector<SettingChange>> CompareSweeps(
      const std::string& stored_blob, const std::string& wanted_blob) const = 0;
  virtual absl::StatusOr<RunChange> CompareRuns(const std::string& stored_json,
                                                const std::string& wanted_json) const = 0;
};

struct ExtendRequest {
  SweepSpec spec;  // of the whole sweep as it shall be
  bool dry_run = false;
  std::shared_ptr<const SpecReader> reader;
};

// The difference that an extension makes.
struct Extension {
  uint64_t new_points = 0;
  uint64_t new_jobs = 0;        // of new points and of new seeds
  uint64_t continued_jobs = 0;  // have succeeded, and go on to more steps
  uint64_t longer_jobs = 0;     // have not ended, and get more steps
  // Continued jobs whose last row and checkpoint a longer run would not have.
  uint64_t repeating_jobs = 0;
  uint64_t repeated_steps = 0;        // sum over those jobs
  uint64_t changed_jobs = 0;          // have not begun, and get other settings
  uint64_t added_steps = 0;           // sum over all jobs
  std::vector<std::string> settings;  // "train.steps: 100 -> 200 (dyck/2)"
  std::vector<std::string> refused;   // in the same form, or other reasons
};

struct ExtendResult {
  SweepSummary sweep;
  Extension extension;
  bool changed = false;
};

// New jobs of one extension. They are stored in one transaction, and heartbeats wait meanwhile.
inline constexpr uint64_t kMaxNewJobs = 100'000;

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_EXTENSION_H_
