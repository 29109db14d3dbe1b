#include "absl/time/time.h"
#include "common/base/status_macros.h"
#include "coordinator/core/commands.h"

namespace coppice::core {
namespace {

// Nobody asks about an allocation that ended longer ago.
constexpr absl::Duration kKeepAllocations = absl::Hours(30 * 24);

}  // namespace

absl::StatusOr<pools::PoolsLoaded> LoadPools(CommandContext& tx, int64_t ended_since_ms) {
  COPPICE_RETURN_IF_ERROR(
      tx.write().DeleteAllocations(tx.now_ms() - absl::ToInt64Milliseconds(kKeepAllocations)));
  pools::PoolsLoaded loaded;
  COPPICE_ASSIGN_OR_RETURN(loaded.pools, tx.read().ListPools());
  COPPICE_ASSIGN_OR_RETURN(loaded.allocations, tx.read().ListAllocations(ended_since_ms));
  return loaded;
}

absl::Status SavePools(CommandContext& tx, const std::vector<pools::PoolRow>& pools,
                       const std::vector<pools::AllocationRow>& allocations) {
  for (const pools::PoolRow& pool : pools) COPPICE_RETURN_IF_ERROR(tx.write().PutPool(pool));
  for (const pools::AllocationRow& allocation : allocations) {
    COPPICE_RETURN_IF_ERROR(tx.write().PutAllocation(allocation));
  }
  return absl::OkStatus();
}

}  // namespace coppice::core
