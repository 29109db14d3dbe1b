#include "worker/daemon/grant_check.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "common/base/files.h"

namespace coppice::worker {

absl::StatusOr<GrantedRun> CheckGrant(const v1::AcquireLeasesResponse& grant, uint32_t pack_width) {
  const auto wrong = [](const auto&... parts) {
    return absl::InvalidArgumentError(
        absl::StrCat("the coordinator's grant is invalid: ", parts...));
  };
  if (static_cast<uint32_t>(grant.leases_size()) > pack_width) {
    return wrong(grant.leases_size(), " leases for a pack of ", pack_width);
  }
  absl::StatusOr<GrantedRun> run = ReadGrantedRun(grant.run_json());
  if (!run.ok()) return wrong(run.status().message());
  if (run->program && static_cast<uint32_t>(grant.leases_size()) > run->program->pack) {
    return wrong(grant.leases_size(), " leases for a program that takes ", run->program->pack);
  }
  std::set<uint64_t> jobs;
  std::set<uint32_t> seeds;
  for (const v1::Lease& lease : grant.leases()) {
    if (lease.lease().job_id() == 0 || lease.lease().attempt() == 0)
      return wrong("a lease without job");
    if (!jobs.insert(lease.lease().job_id()).second || !seeds.insert(lease.seed()).second) {
      return wrong("a job or seed comes twice");
    }
    if (!IsSafeRelativePath(lease.checkpoint_dir()))
      return wrong("a checkpoint folder outside of the root");
    if (lease.resume().step() > run->steps) return wrong("a checkpoint behind the last step");
  }
  return run;
}

}  // namespace coppice::worker
