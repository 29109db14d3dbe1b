#include "tests/simulation/sim_service.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"
#include "coordinator/service/convert.h"
#include "tests/simulation/full_disk.h"

namespace coppice::simulation {
namespace {

template <typename Response>
core::Coordinator::DoneStatus AnswerWith(Reply<Response> reply) {
  return [reply = std::move(reply)](const absl::Status& status) {
    if (!status.ok()) return reply(status);
    reply(Response());
  };
}

}  // namespace

void ServerStream::Receive(v1::StreamMetricsRequest message) {
  if (ended_) return;
  const auto worker_id = service::WorkerIdFromProto(message.worker_id());
  if (!worker_id.ok()) return End(worker_id.status());
  if (!worker_id_.empty() && worker_id_ != *worker_id) {
    return End(absl::InvalidArgumentError("worker_id changed within a stream"));
  }
  worker_id_ = *worker_id;
  auto record = service::RecordFromProto(&message);
  if (!record.ok()) return End(record.status());
  pending_.push_back(*std::move(record));
  if (!appending_) Append();
}

void ServerStream::Append() {
  appending_ = true;
  std::vector<core::Record> batch = std::exchange(pending_, {});
  core_.Append(worker_id_, batch, [self = shared_from_this(), batch](const auto& acks) {
    self->OnAppended(batch, acks);
  });
}

void ServerStream::OnAppended(const std::vector<core::Record>& batch,
                              absl::StatusOr<std::vector<core::RecordAck>> acks) {
  appending_ = false;
  if (ended_) return;
  if (!acks.ok()) return End(acks.status());
  for (core::RecordAck& ack : *acks) {
    for (const core::Record& record : batch) {
      if (!accept_stale_ || !ack.stale || record.lease != ack.lease) continue;
      if (accept_stale_(record)) ack = {ack.lease, record.sequence, false, ""};
    }
    v1::StreamMetricsResponse answer;
    service::ToProto(ack, &answer);
    on_answer_(answer);
  }
  if (!pending_.empty()) Append();
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
  core_.Heartbeat(*std::move(worker_id), *std::move(held), request.draining(),
                  [reply = std::move(reply)](const absl::StatusOr<core::HeartbeatResult>& result) {
                    if (!result.ok()) return reply(result.status());
                    v1::HeartbeatResponse response;
                    service::ToProto(*result, &response);
                    reply(std::move(response));
                  });
}

void SimService::CommitCheckpoint(const v1::CommitCheckpointRequest& request,
                                  Reply<v1::CommitCheckpointResponse> reply) {
  auto commit = service::CommitFromProto(request);
  if (!commit.ok()) return reply(commit.status());
  core_.CommitCheckpoint(*std::move(commit), AnswerWith(std::move(reply)));
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

void SimService::CompleteJob(const v1::CompleteJobRequest& request,
                             Reply<v1::CompleteJobResponse> reply) {
  auto end = service::EndFromProto(request);
  if (!end.ok()) return reply(end.status());
  core_.CompleteJob(*std::move(end), AnswerWith(std::move(reply)));
}

void SimService::FailJob(const v1::FailJobRequest& request, Reply<v1::FailJobResponse> reply) {
  auto end = service::EndFromProto(request);
  if (!end.ok()) return reply(end.status());
  core_.FailJob(*std::move(end), AnswerWith(std::move(reply)));
}

void SimService::ReleaseLease(const v1::ReleaseLeaseRequest& request,
                              Reply<v1::ReleaseLeaseResponse> reply) {
  auto end = service::EndFromProto(request);
  if (!end.ok()) return reply(end.status());
  core_.ReleaseLease(*std::move(end), AnswerWith(std::move(reply)));
}

void SimService::UploadCheckpoint(const v1::CommitCheckpointRequest& header, std::string content,
                                  Reply<v1::UploadCheckpointResponse> reply) {
  auto commit = service::CommitFromProto(header);
  if (!commit.ok()) return reply(commit.status());
  core_.CheckUpload(*commit, [this, commit = *commit, content = std::move(content),
                              reply = std::move(reply)](const absl::Status& status) {
    if (!status.ok()) return reply(status);
    // Other events happen while the file travels and reaches the disk.
    world_.For(life_, world_.random().Time(absl::ZeroDuration(), absl::Milliseconds(300)),
               [this, commit, content, reply] { Store(commit, content, reply); });
  });
}

void SimService::Store(const core::CheckpointCommit& commit, const std::string& content,
                       const Reply<v1::UploadCheckpointResponse>& reply) {
  std::shared_ptr<service::CheckpointUpload> upload;
  const auto store = [&]() -> absl::Status {
    const FullDisk full(disk_full_);
    COPPICE_ASSIGN_OR_RETURN(upload, service::CheckpointUpload::Begin(files_, commit));
    COPPICE_RETURN_IF_ERROR(upload->Append(content));
    return upload->Store();
  };
  const absl::Status stored = store();
  if (!stored.ok()) return reply(stored);
  core_.CommitCheckpoint(commit, [upload, reply](const absl::Status& committed) {
    if (!committed.ok()) {
      upload->Withdraw();
      return reply(committed);
    }
    reply(v1::UploadCheckpointResponse());
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
