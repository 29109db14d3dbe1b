#include "coordinator/service/pool_service.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/service/answer.h"
#include "coordinator/service/convert_pools.h"

namespace coppice::service {
namespace {

// Ended allocations of one pool that are shown.
constexpr size_t kEndedShown = 100;

std::shared_ptr<OpenCall> Begin(grpc::ServerUnaryReactor* reactor) {
  return std::make_shared<OpenCall>(reactor);
}

pools::Autoscaler::Done Finishing(const std::shared_ptr<OpenCall>& call) {
  return [call](const absl::Status& status) { call->Finish(status); };
}

absl::Status NoPools() { return absl::FailedPreconditionError("this coordinator keeps no pools"); }

absl::Status NoPool(const std::string& name) {
  return absl::NotFoundError(
      absl::StrCat("there is no pool '", name, "'; `coppice pool list` shows those there are"));
}

const pools::PoolStatus* Find(const pools::AutoscalerStatus& status, const std::string& name) {
  for (const pools::PoolStatus& pool : status.pools) {
    if (pool.row.spec.name == name) return &pool;
  }
  return nullptr;
}

// Passes the answer of a check on.
std::function<void(absl::StatusOr<pools::PoolCheck>)> Checked(const std::shared_ptr<OpenCall>& call,
                                                              v1::CheckPoolResponse* response) {
  return [call, response](const absl::StatusOr<pools::PoolCheck>& check) {
    if (check.ok()) ToProto(*check, response);
    call->Finish(check.status());
  };
}

}  // namespace

grpc::ServerUnaryReactor* PoolServiceImpl::AddPool(Context* context,
                                                   const v1::AddPoolRequest* request,
                                                   v1::AddPoolResponse*) {
  Unary* reactor = context->DefaultReactor();
  if (pools_ == nullptr) return Refuse(reactor, NoPools());
  absl::StatusOr<pools::PoolSpec> spec = PoolSpecFromProto(request->spec());
  if (!spec.ok()) return Refuse(reactor, spec.status());
  if (request->replace()) {
    pools_->UpdatePool(*std::move(spec), Finishing(Begin(reactor)));
  } else {
    pools_->AddPool(*std::move(spec), Finishing(Begin(reactor)));
  }
  return reactor;
}

grpc::ServerUnaryReactor* PoolServiceImpl::ListPools(Context* context, const v1::ListPoolsRequest*,
                                                     v1::ListPoolsResponse* response) {
  Unary* reactor = context->DefaultReactor();
  if (pools_ == nullptr) return Refuse(reactor, NoPools());
  pools_->Status(
      [call = Begin(reactor), response](const absl::StatusOr<pools::AutoscalerStatus>& status) {
        if (status.ok()) ToProto(*status, response);
        call->Finish(status.status());
      });
  return reactor;
}

grpc::ServerUnaryReactor* PoolServiceImpl::GetPool(Context* context,
                                                   const v1::GetPoolRequest* request,
                                                   v1::GetPoolResponse* response) {
  Unary* reactor = context->DefaultReactor();
  if (pools_ == nullptr) return Refuse(reactor, NoPools());
  absl::StatusOr<std::string> name = PoolNameFromProto(request->name());
  if (!name.ok()) return Refuse(reactor, name.status());
  pools_->Status([call = Begin(reactor), response,
                  name = *std::move(name)](const absl::StatusOr<pools::AutoscalerStatus>& status) {
    if (!status.ok()) return call->Finish(status.status());
    const pools::PoolStatus* const pool = Find(*status, name);
    if (pool == nullptr) return call->Finish(NoPool(name));
    ToProto(*pool, kEndedShown, response->mutable_pool());
    ToProto(*status, response->mutable_batch());
    call->Finish(absl::OkStatus());
  });
  return reactor;
}

grpc::ServerUnaryReactor* PoolServiceImpl::CheckPool(Context* context,
                                                     const v1::CheckPoolRequest* request,
                                                     v1::CheckPoolResponse* response) {
  Unary* reactor = context->DefaultReactor();
  if (pools_ == nullptr) return Refuse(reactor, NoPools());
  const absl::StatusOr<std::optional<absl::Duration>> wait = ProbeWaitFromProto(*request);
  if (!wait.ok()) return Refuse(reactor, wait.status());
  if (request->has_spec()) {
    absl::StatusOr<pools::PoolSpec> spec = PoolSpecFromProto(request->spec());
    if (!spec.ok()) return Refuse(reactor, spec.status());
    pools_->Check(*std::move(spec), *wait, Checked(Begin(reactor), response));
    return reactor;
  }
  absl::StatusOr<std::string> name = PoolNameFromProto(request->name());
  if (!name.ok()) return Refuse(reactor, name.status());
  pools_->Status([this, call = Begin(reactor), response, wait = *wait,
                  name = *std::move(name)](const absl::StatusOr<pools::AutoscalerStatus>& status) {
    if (!status.ok()) return call->Finish(status.status());
    const pools::PoolStatus* const pool = Find(*status, name);
    if (pool == nullptr) return call->Finish(NoPool(name));
    pools_->Check(pool->row.spec, wait, Checked(call, response));
  });
  return reactor;
}

grpc::ServerUnaryReactor* PoolServiceImpl::ScalePool(Context* context,
                                                     const v1::ScalePoolRequest* request,
                                                     v1::ScalePoolResponse*) {
  Unary* reactor = context->DefaultReactor();
  if (pools_ == nullptr) return Refuse(reactor, NoPools());
  absl::StatusOr<std::string> name = PoolNameFromProto(request->name());
  if (!name.ok()) return Refuse(reactor, name.status());
  std::optional<uint32_t> target;
  if (request->has_target()) target = request->target();
  pools_->Scale(*std::move(name), target, Finishing(Begin(reactor)));
  return reactor;
}

grpc::ServerUnaryReactor* PoolServiceImpl::SetPoolMode(Context* context,
                                                       const v1::SetPoolModeRequest* request,
                                                       v1::SetPoolModeResponse*) {
  Unary* reactor = context->DefaultReactor();
  if (pools_ == nullptr) return Refuse(reactor, NoPools());
  absl::StatusOr<std::string> name = PoolNameFromProto(request->name());
  if (!name.ok()) return Refuse(reactor, name.status());
  const absl::StatusOr<pools::PoolMode> mode = PoolModeFromProto(request->mode());
  if (!mode.ok()) return Refuse(reactor, mode.status());
  pools_->SetMode(*std::move(name), *mode, Finishing(Begin(reactor)));
  return reactor;
}

grpc::ServerUnaryReactor* PoolServiceImpl::RemovePool(Context* context,
                                                      const v1::RemovePoolRequest* request,
                                                      v1::RemovePoolResponse*) {
  Unary* reactor = context->DefaultReactor();
  if (pools_ == nullptr) return Refuse(reactor, NoPools());
  absl::StatusOr<std::string> name = PoolNameFromProto(request->name());
  if (!name.ok()) return Refuse(reactor, name.status());
  pools_->RemovePool(*std::move(name), request->cancel(), Finishing(Begin(reactor)));
  return reactor;
}

grpc::ServerUnaryReactor* PoolServiceImpl::ReportNode(Context* context,
                                                      const v1::ReportNodeRequest* request,
                                                      v1::ReportNodeResponse* response) {
  Unary* reactor = context->DefaultReactor();
  if (pools_ == nullptr) return Refuse(reactor, NoPools());
  absl::StatusOr<pools::NodeReport> report = NodeReportFromProto(*request);
  if (!report.ok()) return Refuse(reactor, report.status());
  pools_->TakeNodeReport(
      *std::move(report),
      [call = Begin(reactor), response](const absl::StatusOr<pools::NodeReportAnswer>& answer) {
        if (answer.ok()) ToProto(*answer, response);
        call->Finish(answer.status());
      });
  return reactor;
}

grpc::ServerUnaryReactor* PoolServiceImpl::RunCommands(Context* context,
                                                       const v1::RunCommandsRequest* request,
                                                       v1::RunCommandsResponse* response) {
  Unary* reactor = context->DefaultReactor();
  if (pools_ == nullptr) return Refuse(reactor, NoPools());
  absl::StatusOr<pools::CommandsRequest> commands = CommandsRequestFromProto(*request);
  if (!commands.ok()) return Refuse(reactor, commands.status());
  pools_->RunCommands(*std::move(commands), [call = Begin(reactor), response](
                                                const absl::StatusOr<pools::CommandsReply>& reply) {
    if (reply.ok()) ToProto(*reply, response);
    call->Finish(reply.status());
  });
  return reactor;
}

}  // namespace coppice::service
