#include "coordinator/service/checkpoint_streams.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/service/answer.h"
#include "coordinator/service/convert.h"

namespace coppice::service {
namespace {

absl::Status Closing() { return absl::UnavailableError("the coordinator is shutting down"); }

}  // namespace

void UploadStream::Start() {
  limit_ = std::make_unique<StreamLimit>(context_.clock, kTransferLimit, weak_from_this());
  StartRead(&request_);
}

void UploadStream::Stop(absl::Status status) {
  {
    absl::MutexLock lock(&mutex_);
    if (finished_) return;
    if (!stop_.has_value()) stop_ = status;
    if (busy_) return;
    busy_ = true;  // the read that is out will find the stream finished
  }
  End(std::move(status));
}

void UploadStream::OnReadDone(bool ok) {
  {
    absl::MutexLock lock(&mutex_);
    if (finished_ || busy_) return;
    busy_ = true;
  }
  if (!ok) return Complete();
  if (upload_ == nullptr) {
    if (!request_.has_header()) {
      return End(absl::InvalidArgumentError("the first message of an upload must be its header"));
    }
    absl::StatusOr<core::CheckpointCommit> announced = CommitFromProto(request_.header());
    if (!announced.ok()) return End(announced.status());
    return Begin(*std::move(announced));
  }
  if (!request_.has_data() || request_.data().size() > kCheckpointChunkBytes) {
    return End(
        absl::InvalidArgumentError(absl::StrCat("after its header an upload holds data of at most ",
                                                kCheckpointChunkBytes, " bytes each")));
  }
  OnDisk([this] { return upload_->Append(request_.data()); }, &UploadStream::ReadNext);
}

void UploadStream::Begin(core::CheckpointCommit announced) {
  announced_ = std::move(announced);
  context_.core->CheckLease(
      announced_.worker_id, announced_.lease, [self = Self<UploadStream>()](absl::Status status) {
        if (!status.ok()) return self->End(std::move(status));
        UploadStream* const stream = self.get();
        self->OnDisk(
            [stream]() -> absl::Status {
              auto upload = CheckpointUpload::Begin(stream->context_.files, stream->announced_);
              if (upload.ok()) stream->upload_ = *std::move(upload);
              return upload.status();
            },
            &UploadStream::ReadNext);
      });
}

void UploadStream::Complete() {
  if (upload_ == nullptr) {
    return End(absl::InvalidArgumentError("the upload ended before its header"));
  }
  OnDisk([this] { return upload_->Store(); }, &UploadStream::Commit);
}

void UploadStream::OnDisk(std::function<absl::Status()> work,
                          void (UploadStream::*then)(absl::Status)) {
  const bool queued = context_.io->Add(
      [self = Self<UploadStream>(), work = std::move(work), then] { (self.get()->*then)(work()); });
  if (!queued) End(Closing());
}

void UploadStream::ReadNext(absl::Status status) {
  if (!status.ok()) return End(std::move(status));
  {
    absl::MutexLock lock(&mutex_);
    if (!stop_.has_value()) {
      busy_ = false;
      StartRead(&request_);
      return;
    }
    status = *stop_;
  }
  End(std::move(status));
}

void UploadStream::Commit(absl::Status status) {
  if (!status.ok()) return End(std::move(status));
  context_.core->CommitCheckpoint(announced_,
                                  [self = Self<UploadStream>()](absl::Status committed) {
                                    if (committed.ok()) return self->End(std::move(committed));
                                    UploadStream* const stream = self.get();
                                    self->OnDisk(
                                        [stream, committed = std::move(committed)] {
                                          stream->upload_->Withdraw();
                                          return committed;
                                        },
                                        &UploadStream::End);
                                  });
}

void UploadStream::End(absl::Status status) {
  // The path is free again, and the temporary file gone, before the worker hears of the end: it may
  // come again at once.
  const auto finish = [self = Self<UploadStream>(), status = std::move(status)] {
    self->upload_.reset();
    absl::MutexLock lock(&self->mutex_);
    self->finished_ = true;
    self->Finish(Outcome(status));
  };
  if (!context_.io->Add(finish)) finish();
}

void DownloadStream::Start() {
  limit_ = std::make_unique<StreamLimit>(context_.clock, kTransferLimit, weak_from_this());
  PullStream::Start();
}

void DownloadStream::Release() {
  limit_.reset();
  // Closing a file can take a while on a network filesystem; reactions must not wait for it.
  context_.io->Add([reader = std::shared_ptr<CheckpointReader>(std::move(reader_))] {});
}

void DownloadStream::Fetch() {
  if (reader_ == nullptr) return Authorize();
  if (!context_.io->Add([self = Self<DownloadStream>()] { self->ReadChunk(); })) End(Closing());
}

void DownloadStream::Authorize() {
  context_.core->CheckLease(
      wanted_.worker_id, wanted_.lease, [self = Self<DownloadStream>()](absl::Status status) {
        if (!status.ok()) return self->End(std::move(status));
        self->context_.core->GetJob(
            self->wanted_.lease.job_id,
            [self](absl::StatusOr<core::JobDetails> details) { self->Find(details); });
      });
}

void DownloadStream::Find(const absl::StatusOr<core::JobDetails>& details) {
  if (!details.ok()) return End(details.status());
  const bool known =
      std::any_of(details->checkpoints.begin(), details->checkpoints.end(),
                  [this](const core::Checkpoint& c) { return c.path == wanted_.path; });
  if (!known) {
    return End(absl::NotFoundError(
        absl::StrCat("job ", wanted_.lease.job_id, " has no checkpoint at ", wanted_.path)));
  }
  const bool queued = context_.io->Add([self = Self<DownloadStream>()] {
    auto reader = CheckpointReader::Open(self->context_.files->PathOf(self->wanted_.path));
    if (!reader.ok()) return self->End(reader.status());
    self->reader_ = *std::move(reader);
    self->ReadChunk();
  });
  if (!queued) End(Closing());
}

void DownloadStream::ReadChunk() {
  absl::StatusOr<std::string> data = reader_->Read(kCheckpointChunkBytes);
  if (!data.ok()) return End(data.status());
  if (data->empty()) return End(absl::OkStatus());
  response_.set_data(*std::move(data));
  Write();
}

}  // namespace coppice::service
