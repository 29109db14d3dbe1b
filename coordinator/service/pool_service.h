#ifndef COPPICE_COORDINATOR_SERVICE_POOL_SERVICE_H_
#define COPPICE_COORDINATOR_SERVICE_POOL_SERVICE_H_

#include "coordinator/pools/autoscaler.h"
#include "coppice/v1/pools.grpc.pb.h"

namespace coppice::service {

// Purpose: PoolService. Each handler decodes, calls the autoscaler and encodes. Owner: Server.
// Thread-safe; nothing blocks. Failure codes: those of pools::Autoscaler, INVALID_ARGUMENT from the
// decoding, UNAVAILABLE if the autoscaler ends before it answers, FAILED_PRECONDITION without an
// autoscaler.
class PoolServiceImpl final : public v1::PoolService::CallbackService {
 public:
  // `pools` may be null; it outlives this object.
  explicit PoolServiceImpl(pools::Autoscaler* pools) : pools_(pools) {}

  using Context = grpc::CallbackServerContext;
  using Unary = grpc::ServerUnaryReactor;
  Unary* AddPool(Context*, const v1::AddPoolRequest*, v1::AddPoolResponse*) override;
  Unary* ListPools(Context*, const v1::ListPoolsRequest*, v1::ListPoolsResponse*) override;
  Unary* GetPool(Context*, const v1::GetPoolRequest*, v1::GetPoolResponse*) override;
  Unary* CheckPool(Context*, const v1::CheckPoolRequest*, v1::CheckPoolResponse*) override;
  Unary* ScalePool(Context*, const v1::ScalePoolRequest*, v1::ScalePoolResponse*) override;
  Unary* SetPoolMode(Context*, const v1::SetPoolModeRequest*, v1::SetPoolModeResponse*) override;
  Unary* RemovePool(Context*, const v1::RemovePoolRequest*, v1::RemovePoolResponse*) override;
  Unary* ReportNode(Context*, const v1::ReportNodeRequest*, v1::ReportNodeResponse*) override;
  Unary* RunCommands(Context*, const v1::RunCommandsRequest*, v1::RunCommandsResponse*) override;

 private:
  pools::Autoscaler* const pools_;
};

}  // namespace coppice::service

#endif  // COPPICE_COORDINATOR_SERVICE_POOL_SERVICE_H_
