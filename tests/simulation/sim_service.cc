#include "tests/simulation/sim_service.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"
#include "coordinator/service/commit_check.h"
#include "coordinator/service/convert.h"
#include "tests/simulation/full_disk.h"

namespace coppice::simulation {
namespace {

// The checks at a file that is not there before its checkpoint is left out.
constexpr int kFileChecks = 3;

}  // namespace

void ServerStream::Receive(v1::StreamRecordsRequest message) {
  if (ended_) return;
  if (worker_id_.empty() || !message.worker_id().empty()) {
    const auto worker_id = service::WorkerIdFromProto(message.worker_id());
    if (!worker_id.ok()) return End(worker_id.status());
    if (!worker_id_.empty() && worker_id_ != *worker_id) {
      return End(absl::InvalidArgumentError("worker_id changed within a stream"));
    }
    worker_id_ = *worker_id;
  }
  auto records = service::RecordsFromProto(&message);
  if (!records.ok()) return End(records.status());
  queue_.Add(*std::move(records));
  Advance();
}

void ServerStream::Advance() {
  if (ended_) return;
  for (const Check& check : queue_.TakeChecks()) {
    hooks_.check(worker_id_, check,
                 [weak = weak_from_this(), lease = check.lease, id = check.id](std::string left) {
                   const auto self = weak.lock();
                   if (self == nullptr) return;
                   self->queue_.Checked(lease, id, std::move(left));
                   self->Advance();
                 });
  }
  if (appending_ || !queue_.has_batch()) return;
  appending_ = true;
  std::vector<core::Record> batch = queue_.TakeBatch();
  core_.Append(worker_id_, batch, [self = shared_from_this(), batch](const auto& answers) {
    self->OnAppended(batch, answers);
  });
}

void ServerStream::OnAppended(const std::vector<core::Record>& batch,
                              absl::StatusOr<std::vector<core::AttemptAnswer>> answers) {
  appending_ = false;
  if (ended_) return;
  if (!answers.ok()) return End(answers.status());
  v1::StreamRecordsResponse response;
  for (core::AttemptAnswer& answer : *answers) {
    AcceptStaleRecords(batch, &answer);
    queue_.Answered(answer);
    service::ToProto(std::move(answer), response.add_answers());
  }
  on_answer_(response);
  Advance();
}

void ServerStream::AcceptStaleRecords(const std::vector<core::Record>& batch,
                                      core::AttemptAnswer* answer) {
  if (!hooks_.accept_stale || !answer->over) return;
  for (const core::Record& record : batch) {
    if (record.lease != answer->lease || record.number <= answer->number) continue;
    if (hooks_.accept_stale(record)) *answer = {record.lease, record.number};
  }
}

void ServerStream::End(const absl::Status& status) {
  ended_ = true;
  on_end_(status);
}

void SimService::Register(const v1::RegisterRequest& request, Reply<v1::RegisterResponse> reply) {
  auto arguments = service::RegisterFromProto(request);
  if (!arguments.ok()) return reply(arguments.status());
  core_.Register(std::move(arguments->info), std::move(arguments->held),
                 [reply = std::move(reply)](const absl::StatusOr<core::Registration>& result) {
                   if (!result.ok()) return reply(result.status());
                   v1::RegisterResponse response;
                   service::ToProto(*result, &response);
                   reply(std::move(response));
                 });
}

void SimService::AcquireLeases(const v1::AcquireLeasesRequest& request,
                               std::function<bool()> cancelled,
                               Reply<v1::AcquireLeasesResponse> reply) {
  auto acquire = service::AcquireFromProto(request);
  if (!acquire.ok()) return reply(acquire.status());
  core_.AcquireLeases(*std::move(acquire), std::move(cancelled),
                      [reply = std::move(reply)](const absl::StatusOr<core::LeaseGrant>& grant) {
                        if (!grant.ok()) return reply(grant.status());
                        v1::AcquireLeasesResponse response;
                        service::ToProto(*grant, &response);
                        reply(std::move(response));
                      });
}

void SimService::Heartbeat(const v1::HeartbeatRequest& request,
                           Reply<v1::HeartbeatResponse> reply) {
  auto worker_id = service::WorkerIdFromProto(request.worker_id());
  if (!worker_id.ok()) return reply(worker_id.status());
  auto held = service::HeldFromProto(request.held());
  if (!held.ok()) return reply(held.status());
  const auto state = service::BeatFromProto(request);
  if (!state.ok()) return reply(state.status());
  core_.Heartbeat(*std::move(worker_id), *std::move(held), *state,
                  [reply = std::move(reply)](const absl::StatusOr<core::HeartbeatResult>& result) {
                    if (!result.ok()) return reply(result.status());
                    v1::HeartbeatResponse response;
                    service::ToProto(*result, &response);
                    reply(std::move(response));
                  });
}

void SimService::Leave(const v1::LeaveRequest& request, Reply<v1::LeaveResponse> reply) {
  auto departure = service::DepartureFromProto(request);
  if (!departure.ok()) return reply(departure.status());
  core_.Leave(*std::move(departure), [this, reply = std::move(reply)](const absl::Status& status) {
    if (!status.ok()) return reply(status);
    world_.Did(Fault::kGoodbye);
    reply(v1::LeaveResponse());
  });
}

void SimService::RejectCheckpoint(const v1::RejectCheckpointRequest& request,
                                  Reply<v1::RejectCheckpointResponse> reply) {
  auto checkpoint = service::CheckpointFromProto(request);
  if (!checkpoint.ok()) return reply(checkpoint.status());
  core_.RejectCheckpoint(
      *std::move(checkpoint), request.reason(),
      [reply = std::move(reply)](const absl::StatusOr<std::optional<core::Checkpoint>>& resume) {
        if (!resume.ok()) return reply(resume.status());
        v1::RejectCheckpointResponse response;
        if (resume->has_value()) service::ToProto(**resume, response.mutable_resume());
        reply(std::move(response));
      });
}

void SimService::UploadCheckpoint(const v1::CheckpointUpload& header, std::string content,
                                  Reply<v1::UploadCheckpointResponse> reply) {
  auto announced = service::UploadFromProto(header);
  if (!announced.ok()) return reply(announced.status());
  core_.CheckUpload(*announced, [this, announced = *announced, content = std::move(content),
                                 reply = std::move(reply)](const absl::Status& status) {
    if (!status.ok()) return reply(status);
    // Other events happen while the file travels and reaches the disk.
    world_.For(life_, world_.random().Time(absl::ZeroDuration(), absl::Milliseconds(300)),
               [this, announced, content, reply] { Store(announced, content, reply); });
  });
}

void SimService::Store(const core::NamedCheckpoint& announced, const std::string& content,
                       const Reply<v1::UploadCheckpointResponse>& reply) {
  const auto store = [&]() -> absl::Status {
    const FullDisk full(disk_full_);
    COPPICE_ASSIGN_OR_RETURN(const auto upload,
                             service::CheckpointUpload::Begin(files_, announced));
    COPPICE_RETURN_IF_ERROR(upload->Append(content));
    return upload->Store();
  };
  const absl::Status stored = store();
  if (!stored.ok()) return reply(stored);
  reply(v1::UploadCheckpointResponse());
}

void SimService::CheckFile(const std::string& worker_id, const ServerStream::Check& check,
                           int checks, std::function<void(std::string)> done) {
  const absl::Duration most = absl::Milliseconds(checks == 0 ? 100 : 2000);
  world_.For(life_, world_.random().Time(absl::ZeroDuration(), most),
             [this, worker_id, check, checks, done = std::move(done)] {
               const absl::Status seen = service::CheckCheckpointFile(
                   files_->PathOf(check.checkpoint.path), check.checkpoint.bytes);
               if (seen.ok()) return done("");
               OnMissing(worker_id, check, checks, done);
             });
}

void SimService::OnMissing(const std::string& worker_id, const ServerStream::Check& check,
                           int checks, const std::function<void(std::string)>& done) {
  core_.CheckLease(
      worker_id, check.lease, [this, worker_id, check, checks, done](const absl::Status& current) {
        if (absl::IsAborted(current)) return done("");
        core_.GetJob(
            {}, check.lease.job_id,
            [this, worker_id, check, checks, done](const absl::StatusOr<core::JobDetails>& job) {
              const auto overtakes = [&](const core::Checkpoint& known) {
                return known.attempt == check.lease.attempt && known.step > check.checkpoint.step;
              };
              if (job.ok() &&
                  std::any_of(job->checkpoints.begin(), job->checkpoints.end(), overtakes)) {
                return done("");
              }
              if (checks == kFileChecks) return done("the coordinator does not see the file");
              CheckFile(worker_id, check, checks + 1, done);
            });
      });
}

void SimService::DownloadCheckpoint(const v1::DownloadCheckpointRequest& request,
                                    Reply<std::string> reply) {
  auto wanted = service::CheckpointFromProto(request);
  if (!wanted.ok()) return reply(wanted.status());
  core_.CheckLease(wanted->worker_id, wanted->lease,
                   [this, wanted = *wanted, reply = std::move(reply)](const absl::Status& status) {
                     if (!status.ok()) return reply(status);
                     core_.GetJob(
                         {}, wanted.lease.job_id,
                         [this, wanted, reply](const absl::StatusOr<core::JobDetails>& job) {
                           if (!job.ok()) return reply(job.status());
                           const bool known =
                               std::any_of(job->checkpoints.begin(), job->checkpoints.end(),
                                           [&](const auto& c) { return c.path == wanted.path; });
                           if (!known)
                             return reply(absl::NotFoundError("no such checkpoint of this job"));
                           reply(ReadFile(files_->PathOf(wanted.path)));
                         });
                   });
}

}  // namespace coppice::simulation
