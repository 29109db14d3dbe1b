#include "coordinator/service/access.h"

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"

namespace coppice::service {
namespace {

constexpr AccessRule kRules[] = {
    {"/coppice.v1.SweepService/SubmitSweep", Access::kChange},
    {"/coppice.v1.SweepService/ExtendSweep", Access::kChange},
    {"/coppice.v1.SweepService/GetSweep", Access::kRead},
    {"/coppice.v1.SweepService/ListSweeps", Access::kRead},
    {"/coppice.v1.SweepService/ListJobs", Access::kRead},
    {"/coppice.v1.SweepService/GetJob", Access::kRead},
    {"/coppice.v1.SweepService/ExplainJob", Access::kRead},
    {"/coppice.v1.SweepService/WatchSweep", Access::kRead},
    {"/coppice.v1.SweepService/GetMetrics", Access::kRead},
    {"/coppice.v1.SweepService/GetLogs", Access::kRead},
    {"/coppice.v1.SweepService/AnnotateSweep", Access::kChange},
    {"/coppice.v1.SweepService/CancelJobs", Access::kChange},
    {"/coppice.v1.SweepService/DeleteSweep", Access::kChange},
    {"/coppice.v1.SweepService/PauseSweep", Access::kChange},
    {"/coppice.v1.SweepService/ResumeSweep", Access::kChange},
    {"/coppice.v1.SweepService/RetryJobs", Access::kChange},
    {"/coppice.v1.SweepService/ListWorkers", Access::kRead},
    {"/coppice.v1.SweepService/DrainWorker", Access::kChange},
    {"/coppice.v1.SweepService/ForgetWorker", Access::kChange},
    {"/coppice.v1.SweepService/GetServerInfo", Access::kRead},
    {"/coppice.v1.SweepService/FetchCheckpoint", Access::kRead},

    {"/coppice.v1.PoolService/AddPool", Access::kChange},
    {"/coppice.v1.PoolService/ListPools", Access::kRead},
    {"/coppice.v1.PoolService/GetPool", Access::kRead},
    // It runs commands of the batch system, with settings of the caller's.
    {"/coppice.v1.PoolService/CheckPool", Access::kChange},
    {"/coppice.v1.PoolService/ScalePool", Access::kChange},
    {"/coppice.v1.PoolService/SetPoolMode", Access::kChange},
    {"/coppice.v1.PoolService/RemovePool", Access::kChange},
    {"/coppice.v1.PoolService/ReportNode", Access::kWork},
    {"/coppice.v1.PoolService/RunCommands", Access::kChange},

    {"/coppice.v1.WorkerService/Register", Access::kWork},
    {"/coppice.v1.WorkerService/AcquireLeases", Access::kWork},
    {"/coppice.v1.WorkerService/Heartbeat", Access::kWork},
    {"/coppice.v1.WorkerService/StreamRecords", Access::kWork},
    {"/coppice.v1.WorkerService/RejectCheckpoint", Access::kWork},
    {"/coppice.v1.WorkerService/UploadCheckpoint", Access::kWork},
    {"/coppice.v1.WorkerService/DownloadCheckpoint", Access::kWork},
    {"/coppice.v1.WorkerService/Leave", Access::kWork},

    // Load balancers and orchestrators call without credentials. The answer is a single bit.
    {"/grpc.health.v1.Health/Check", Access::kOpen},
    {"/grpc.health.v1.Health/Watch", Access::kOpen},
    // KEDA has no token. The answers are a count of jobs and what the manifest says.
    {"/externalscaler.ExternalScaler/IsActive", Access::kOpen},
    {"/externalscaler.ExternalScaler/GetMetricSpec", Access::kOpen},
    {"/externalscaler.ExternalScaler/GetMetrics", Access::kOpen},
    {"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", Access::kRead},
};

const AccessRule* Find(absl::string_view path) {
  static const auto* const rules = [] {
    auto* map = new absl::flat_hash_map<absl::string_view, const AccessRule*>;
    for (const AccessRule& rule : kRules) map->emplace(rule.path, &rule);
    return map;
  }();
  const auto found = rules->find(path);
  return found == rules->end() ? nullptr : found->second;
}

bool Allows(Access access, security::Role role) {
  switch (access) {
    case Access::kOpen:
      return true;
    case Access::kRead:
      return role == security::Role::kViewer || role == security::Role::kOperator;
    case Access::kChange:
      return role == security::Role::kOperator;
    case Access::kWork:
      return role == security::Role::kWorker;
  }
  return false;
}

absl::string_view Needed(Access access) {
  switch (access) {
    case Access::kOpen:
      return "any role";
    case Access::kRead:
      return "role viewer or operator";
    case Access::kChange:
      return "role operator";
    case Access::kWork:
      return "role worker";
  }
  return "another role";
}

}  // namespace

absl::Span<const AccessRule> AccessRules() { return kRules; }

absl::Status CheckAccess(security::Role role, absl::string_view path) {
  const AccessRule* const rule = Find(path);
  if (rule == nullptr) {
    return absl::PermissionDeniedError(
        "no role may call this method: the coordinator has none of "
        "this name, or is of another version");
  }
  if (Allows(rule->access, role)) return absl::OkStatus();
  const absl::string_view method = path.substr(path.rfind('/') + 1);
  return absl::PermissionDeniedError(
      absl::StrCat(method, " needs a token with ", Needed(rule->access), ", this one has role ",
                   security::RoleName(role),
                   "; name a file with the right token by --token-file FILE or "
                   "COPPICE_TOKEN_FILE"));
}

bool IsOpen(absl::string_view path) {
  const AccessRule* const rule = Find(path);
  return rule != nullptr && rule->access == Access::kOpen;
}

}  // namespace coppice::service
