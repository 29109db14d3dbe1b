#ifndef COPPICE_WORKER_DAEMON_GRPC_RECORD_STREAM_H_
#define COPPICE_WORKER_DAEMON_GRPC_RECORD_STREAM_H_

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "coppice/v1/coordinator.grpc.pb.h"
#include "worker/daemon/call_registry.h"
#include "worker/daemon/coordinator_client.h"

namespace coppice::worker {

// StreamRecords as a RecordStream. Like every call it has a deadline (an hour), after which the
// caller opens another stream. `calls` outlives it.
std::unique_ptr<RecordStream> OpenGrpcRecordStream(
    v1::WorkerService::StubInterface* stub, CallRegistry* calls,
    std::function<void(v1::StreamRecordsResponse)> on_answer,
    std::function<void(absl::Status)> on_end);

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_GRPC_RECORD_STREAM_H_
