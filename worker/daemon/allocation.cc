#include "worker/daemon/allocation.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/logging.h"
#include "common/base/names.h"
#include "common/base/printable.h"
#include "common/base/utf8.h"

namespace coppice::worker {
namespace {

constexpr size_t kMaxPartBytes = 63;        // of a part of the worker's name
constexpr size_t kMaxKeyBytes = 200;        // of a pool's key
constexpr size_t kMaxShownValueBytes = 60;  // of a value in a warning

// The variables of one environment, each with a check.
class Variables {
 public:
  explicit Variables(const EnvironmentLookup& env) : env_(env) {}

  absl::string_view Get(const char* name) const {
    const char* value = env_(name);
    return value == nullptr ? absl::string_view() : absl::string_view(value);
  }
  // Letters, digits, '.', '_' and '-'.
  std::string Name(const char* name, size_t max_bytes) const {
    const absl::string_view value = Get(name);
    if (value.empty() || IsPlainName(value, max_bytes)) return std::string(value);
    Refuse(name, value);
    return "";
  }
  // Digits.
  std::string Id(const char* name) const {
    const absl::string_view value = Get(name);
    uint64_t number = 0;
    if (value.empty()) return "";
    if (std::all_of(value.begin(), value.end(), absl::ascii_isdigit) &&
        absl::SimpleAtoi(value, &number)) {
      return absl::StrCat(number);
    }
    Refuse(name, value);
    return "";
  }
  uint32_t Number(const char* name) const {
    uint32_t number = 0;
    const std::string id = Id(name);
    if (id.empty() || absl::SimpleAtoi(id, &number)) return number;
    Refuse(name, id);
    return 0;
  }

 private:
  static void Refuse(const char* name, absl::string_view value) {
    spdlog::warn("{} is '{}', which no batch system would give; it is ignored", name,
                 PrintableLine(Utf8Head(value, kMaxShownValueBytes)));
  }

  const EnvironmentLookup& env_;
};

void ReadSlurm(const Variables& variables, Allocation* allocation) {
  allocation->system = "slurm";
  allocation->cluster = variables.Name("SLURM_CLUSTER_NAME", kMaxPartBytes);
  const std::string array = variables.Id("SLURM_ARRAY_JOB_ID");
  const std::string task = variables.Id("SLURM_ARRAY_TASK_ID");
  allocation->job_id =
      array.empty() || task.empty() ? allocation->raw_job_id : absl::StrCat(array, "_", task);
  allocation->partition = variables.Name("SLURM_JOB_PARTITION", kMaxPartBytes);
  allocation->node = variables.Name("SLURMD_NODENAME", kMaxPartBytes);
  allocation->proc_id = variables.Number("SLURM_PROCID");
  allocation->restarts = variables.Number("SLURM_RESTART_COUNT");
}

}  // namespace

Allocation ReadAllocation(const EnvironmentLookup& env) {
  const Variables variables(env);
  Allocation allocation;
  allocation.raw_job_id = variables.Id("SLURM_JOB_ID");
  if (!allocation.raw_job_id.empty()) {
    ReadSlurm(variables, &allocation);
  } else if (!variables.Get("KUBERNETES_SERVICE_HOST").empty()) {
    allocation.system = "kubernetes";
  }
  if (!allocation.system.empty()) {
    allocation.pool_key = variables.Name("COPPICE_POOL_KEY", kMaxKeyBytes);
  }
  return allocation;
}

bool InSlurmStep(const EnvironmentLookup& env) {
  // In a batch script the variable is missing or has a number above those of steps.
  constexpr uint32_t kFirstSpecialStep = 0xffffff00;
  const char* text = env("SLURM_STEP_ID");
  uint32_t step = 0;
  return text != nullptr && absl::SimpleAtoi(text, &step) && step < kFirstSpecialStep;
}

std::string AllocationName(const Allocation& allocation) {
  if (allocation.system != "slurm") return "";
  return absl::StrCat(allocation.cluster.empty() ? "slurm" : allocation.cluster, "-",
                      allocation.job_id, "-", allocation.proc_id);
}

}  // namespace coppice::worker
