#include "worker/daemon/report_calls.h"

#include <functional>
#include <type_traits>
#include <utility>
#include <variant>

#include "common/base/files.h"

namespace coppice::worker {

std::string NameOf(const SpoolRecord& record) {
  static constexpr const char* kNames[] = {"a report", "a checkpoint's commit", "the completion",
                                           "the failure's report", "the release"};
  return kNames[record.index()];
}

Session::Attempt CallFor(const SpoolRecord& record, CoordinatorClient* client,
                         const std::string& upload_root) {
  return [record, client, upload_root](const std::string& worker_id,
                                       const std::function<void(absl::Status)>& answer) {
    const auto just_status = [answer](const auto& response) { answer(response.status()); };
    std::visit(
        [&](auto message) {
          using Message = decltype(message);
          message.set_worker_id(worker_id);
          if constexpr (std::is_same_v<Message, v1::CommitCheckpointRequest>) {
            if (upload_root.empty()) {
              client->CommitCheckpoint(message, just_status);
            } else {
              client->UploadCheckpoint(message, JoinPath(upload_root, message.path()), just_status);
            }
          } else if constexpr (std::is_same_v<Message, v1::CompleteJobRequest>) {
            client->CompleteJob(message, just_status);
          } else if constexpr (std::is_same_v<Message, v1::FailJobRequest>) {
            client->FailJob(message, just_status);
          } else if constexpr (std::is_same_v<Message, v1::ReleaseLeaseRequest>) {
            client->ReleaseLease(message, just_status);
          }
        },
        record);
  };
}

}  // namespace coppice::worker
