// Conversion between the messages of pools.proto and the pools' values. Requests are checked here
// for types and lengths; pools::CheckPoolSpec checks the settings.
#ifndef COPPICE_COORDINATOR_SERVICE_CONVERT_POOLS_H_
#define COPPICE_COORDINATOR_SERVICE_CONVERT_POOLS_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "coordinator/pools/autoscaler.h"
#include "coppice/v1/pools.pb.h"

namespace coppice::service {

// INVALID_ARGUMENT: a setting that is not allowed.
absl::StatusOr<pools::PoolSpec> PoolSpecFromProto(const v1::PoolSpec& spec);
// INVALID_ARGUMENT: not a name that a pool can have.
absl::StatusOr<std::string> PoolNameFromProto(const std::string& name);
// INVALID_ARGUMENT: a mode that is not for callers.
absl::StatusOr<pools::PoolMode> PoolModeFromProto(v1::PoolMode mode);

// Nothing: no probe is asked for. INVALID_ARGUMENT: its wait is too long.
absl::StatusOr<std::optional<absl::Duration>> ProbeWaitFromProto(
    const v1::CheckPoolRequest& request);
// INVALID_ARGUMENT: it holds what no report of a probe's job holds.
absl::StatusOr<pools::NodeReport> NodeReportFromProto(const v1::ReportNodeRequest& request);
void ToProto(const pools::NodeReportAnswer& answer, v1::ReportNodeResponse* out);
// INVALID_ARGUMENT: it holds what no client sends.
absl::StatusOr<pools::CommandsRequest> CommandsRequestFromProto(
    const v1::RunCommandsRequest& request);
void ToProto(const pools::CommandsReply& reply, v1::RunCommandsResponse* out);

void ToProto(const pools::PoolSpec& spec, v1::PoolSpec* out);
// With at most `ended` of the allocations that have ended.
void ToProto(const pools::PoolStatus& pool, size_t ended, v1::Pool* out);
void ToProto(const pools::AutoscalerStatus& status, v1::BatchSystem* out);
void ToProto(const pools::AutoscalerStatus& status, v1::ListPoolsResponse* out);
void ToProto(const pools::PoolCheck& check, v1::CheckPoolResponse* out);

// Says for people what the pools do for a job that waits: one sentence a pool.
std::vector<std::string> ExplainPools(const pools::AutoscalerStatus& status);

}  // namespace coppice::service

#endif  // COPPICE_COORDINATOR_SERVICE_CONVERT_POOLS_H_
