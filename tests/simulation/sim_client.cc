#include "tests/simulation/sim_client.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"
#include "tests/simulation/sim_stream.h"

namespace coppice::simulation {
namespace {

constexpr absl::Duration kCallTimeout = absl::Seconds(15);
constexpr absl::Duration kPollSlack = absl::Seconds(10);
constexpr absl::Duration kLateRegistration = absl::Minutes(2);
constexpr absl::Duration kTransferTimeout = absl::Minutes(2);

absl::Status WriteDownloaded(const std::string& file, const std::string& content) {
  COPPICE_RETURN_IF_ERROR(MakeDirectories(file.substr(0, file.rfind('/'))));
  return WriteFileAtomically(file, content);
}

}  // namespace

template <typename Request, typename Response>
void SimClient::Call(void (SimService::*method)(const Request&, Reply<Response>),
                     const Request& request, Callback<Response> callback) {
  network_.Call<Response>(
      place_.machine, kCallTimeout,
      [method, request](SimService& service, Reply<Response> reply) {
        (service.*method)(request, std::move(reply));
      },
      [callback = std::move(callback), life = life_](absl::StatusOr<Response> result) {
        if (!life.expired()) callback(std::move(result));
      });
}

void SimClient::Register(const v1::RegisterRequest& request,
                         Callback<v1::RegisterResponse> callback) {
  v1::RegisterRequest sent = request;
  if (bug_ == PlantedBug::kSupersededReturns) {
    if (registered_as_ != 0 && request.incarnation() == registered_as_) {
      sent.clear_incarnation();
      ++returns_;
    }
    sent.set_instance(absl::StrCat(request.instance(), "-", returns_));
  }
  network_.Call<v1::RegisterResponse>(
      place_.machine, kCallTimeout,
      [sent](SimService& service, Reply<v1::RegisterResponse> reply) {
        service.Register(sent, std::move(reply));
      },
      [this, callback = std::move(callback),
       life = life_](absl::StatusOr<v1::RegisterResponse> result) {
        if (life.expired()) return;
        if (result.ok() && !result->worker_id().empty()) registered_as_ = result->incarnation();
        if (result.ok()) worker_id_ = result->worker_id();
        callback(std::move(result));
      },
      kLateRegistration);
}

void SimClient::AcquireLeases(const v1::AcquireLeasesRequest& request,
                              Callback<v1::AcquireLeasesResponse> callback) {
  using Response = v1::AcquireLeasesResponse;
  auto acquire = std::make_shared<Acquire>();
  auto answer = std::make_shared<Callback<Response>>(
      [this, callback = std::move(callback), life = life_](absl::StatusOr<Response> result) {
        if (life.expired()) return;
        if (result.ok()) ledger_.Granted(place_.process, *result);
        callback(std::move(result));
      });
  const auto once = [answer](absl::StatusOr<Response> result) {
    const Callback<Response> call = std::exchange(*answer, nullptr);
    if (call) call(std::move(result));
  };
  acquire->give_up = [once] { once(absl::CancelledError("given up")); };
  acquires_.push_back(acquire);
  network_.Call<Response>(
      place_.machine, absl::Milliseconds(request.wait_ms()) + kPollSlack,
      [request, acquire](SimService& service, Reply<Response> reply) {
        service.AcquireLeases(
            request, [acquire] { return acquire->cancelled; }, std::move(reply));
      },
      [once, acquire](absl::StatusOr<Response> result) { once(std::move(result)); });
}

void SimClient::CancelAcquires() {
  World& world = network_.world();
  if (bug_ == PlantedBug::kGoodbyeOfTheLiving && !worker_id_.empty()) {
    v1::LeaveRequest goodbye;
    goodbye.set_worker_id(worker_id_);
    goodbye.set_reason(v1::EXIT_DRAINED);
    Leave(goodbye, [](const absl::StatusOr<v1::LeaveResponse>&) {});
  }
  for (const auto& weak : std::exchange(acquires_, {})) {
    const auto acquire = weak.lock();
    if (acquire == nullptr) continue;
    // The server learns of the cancellation later, if at all.
    if (!network_.IsCut(place_.machine)) {
      world.At(network_.Delay(), [acquire] { acquire->cancelled = true; });
    }
    world.For(life_, absl::ZeroDuration(), acquire->give_up);
  }
}

void SimClient::Heartbeat(const v1::HeartbeatRequest& request,
                          Callback<v1::HeartbeatResponse> callback) {
  Call(&SimService::Heartbeat, request, std::move(callback));
}

void SimClient::Leave(const v1::LeaveRequest& request, Callback<v1::LeaveResponse> callback) {
  Call(&SimService::Leave, request, std::move(callback));
}

void SimClient::RejectCheckpoint(const v1::RejectCheckpointRequest& request,
                                 Callback<v1::RejectCheckpointResponse> callback) {
  Call(&SimService::RejectCheckpoint, request, std::move(callback));
}

void SimClient::UploadCheckpoint(const v1::CheckpointUpload& header, const std::string& file,
                                 Callback<v1::UploadCheckpointResponse> callback) {
  using Response = v1::UploadCheckpointResponse;
  const auto content = ReadFile(file);
  const bool whole = content.ok() && content->size() == header.checkpoint().bytes();
  network_.Call<Response>(
      place_.machine, kTransferTimeout,
      [header, whole, content = content.value_or("")](SimService& service, Reply<Response> reply) {
        if (!whole) return reply(absl::DataLossError("the local file cannot be read"));
        service.UploadCheckpoint(header, content, std::move(reply));
      },
      [callback = std::move(callback), life = life_](absl::StatusOr<Response> result) {
        if (!life.expired()) callback(std::move(result));
      });
}

void SimClient::DownloadCheckpoint(const v1::DownloadCheckpointRequest& request, uint64_t,
                                   const std::string& file,
                                   std::function<void(absl::Status)> callback) {
  network_.Call<std::string>(
      place_.machine, kTransferTimeout,
      [request](SimService& service, Reply<std::string> reply) {
        service.DownloadCheckpoint(request, std::move(reply));
      },
      [on_disk = place_.on_disk, file, callback = std::move(callback),
       life = life_](const absl::StatusOr<std::string>& content) {
        if (life.expired()) return;
        if (!content.ok()) return callback(content.status());
        const absl::Status written = on_disk([&] { return WriteDownloaded(file, *content); });
        callback(written.ok() ? written : absl::FailedPreconditionError(written.message()));
      });
}

std::unique_ptr<worker::RecordStream> SimClient::OpenRecords(
    std::function<void(v1::StreamRecordsResponse)> on_answer,
    std::function<void(absl::Status)> on_end) {
  return std::make_unique<SimStream>(&network_, &ledger_, place_.machine, life_, bug_,
                                     std::move(on_answer), std::move(on_end));
}

}  // namespace coppice::simulation
