#include "coordinator/service/checkpoint_streams.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "coordinator/service/answer.h"
#include "coordinator/service/convert.h"

namespace coppice::service {
// A result that the work fills and `done` reads. It is shared because the work may be left behind.
template <typename T>
struct TransferResult {
  T value{};
};

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
    busy_ = true;  // the pending read will find the stream finished
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
    absl::StatusOr<core::NamedCheckpoint> announced = UploadFromProto(request_.header());
    if (!announced.ok()) return End(announced.status());
    return Begin(*std::move(announced));
  }
  if (!request_.has_data() || request_.data().size() > kCheckpointChunkBytes) {
    return End(
        absl::InvalidArgumentError(absl::StrCat("after its header an upload holds data of at most ",
                                                kCheckpointChunkBytes, " bytes each")));
  }
  OnDisk([data = std::move(*request_.mutable_data())](
             CheckpointUpload* upload) { return upload->Append(data); },
         &UploadStream::ReadNext);
}

void UploadStream::Begin(core::NamedCheckpoint announced) {
  announced_ = std::move(announced);
  context_.core->CheckUpload(announced_, [self = Self<UploadStream>()](absl::Status status) {
    if (!status.ok()) return self->End(std::move(status));
    const auto begun = std::make_shared<TransferResult<std::shared_ptr<CheckpointUpload>>>();
    self->context_.disk->Run(
        self->announced_.path,
        [files = self->context_.files, announced = self->announced_, begun]() -> absl::Status {
          auto upload = CheckpointUpload::Begin(files, announced);
          if (upload.ok()) begun->value = *std::move(upload);
          return upload.status();
        },
        [self, begun](absl::Status status) {
          if (status.ok()) self->upload_ = std::move(begun->value);
          self->ReadNext(std::move(status));
        });
  });
}

void UploadStream::Complete() {
  if (upload_ == nullptr) {
    return End(absl::InvalidArgumentError("the upload ended before its header"));
  }
  OnDisk([](CheckpointUpload* upload) { return upload->Store(); }, &UploadStream::Stored);
}

void UploadStream::OnDisk(std::function<absl::Status(CheckpointUpload*)> work,
                          void (UploadStream::*then)(absl::Status)) {
  context_.disk->Run(
      announced_.path, [upload = upload_, work = std::move(work)] { return work(upload.get()); },
      [self = Self<UploadStream>(), then](absl::Status status) {
        (self.get()->*then)(std::move(status));
      },
      // The worker does not know of a file that was stored after the call had ended.
      [upload = upload_] { upload->Withdraw(); });
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

// Another file has this name. Only a damaged checkpoint may be overwritten, by the committed bytes:
// the repeated upload repairs it.
void UploadStream::ReplaceIfDamaged(const absl::Status& exists) {
  context_.core->GetJob(
      {}, announced_.lease.job_id,
      [self = Self<UploadStream>(), exists](const absl::StatusOr<core::JobDetails>& details) {
        if (!details.ok()) return self->End(details.status());
        const auto is_this = [&](const core::Checkpoint& known) {
          return known.path == self->announced_.path && known.digest == self->announced_.digest;
        };
        if (std::none_of(details->checkpoints.begin(), details->checkpoints.end(), is_this)) {
          return self->End(exists);
        }
        self->OnDisk([](CheckpointUpload* upload) { return upload->Replace(); },
                     &UploadStream::End);
      });
}

void UploadStream::Stored(absl::Status status) {
  absl::IsAlreadyExists(status) ? ReplaceIfDamaged(status) : End(std::move(status));
}

void UploadStream::End(absl::Status status) {
  // The worker may repeat the upload at once. Therefore the path is released and the temporary file
  // removed before the call ends, unless the disk does not answer.
  const auto upload = std::make_shared<TransferResult<std::shared_ptr<CheckpointUpload>>>();
  upload->value = std::move(upload_);
  context_.disk->Run(
      announced_.path,
      [upload] {
        upload->value.reset();
        return absl::OkStatus();
      },
      [self = Self<UploadStream>(), upload, status = std::move(status)](absl::Status) {
        self->context_.disk->Dispose(std::move(upload->value));
        absl::MutexLock lock(&self->mutex_);
        self->finished_ = true;
        self->Finish(Outcome(status));
      });
}

template <typename Response>
void FileStream<Response>::Release() {
  limit_.reset();
  // Closing a file may take a while on a network filesystem, and reactions must not block.
  context_.disk->Dispose(std::move(reader_));
}

template <typename Response>
void FileStream<Response>::Fetch() {
  reader_ == nullptr ? Locate() : ReadPiece();
}

template <typename Response>
void FileStream<Response>::Send(const std::string& path) {
  path_ = path;
  Open();
}

template <typename Response>
void FileStream<Response>::Open() {
  const auto opened = std::make_shared<TransferResult<std::shared_ptr<CheckpointReader>>>();
  context_.disk->Run(
      path_,
      [files = context_.files, path = path_, opened]() -> absl::Status {
        COPPICE_ASSIGN_OR_RETURN(opened->value, files->Open(path));
        return absl::OkStatus();
      },
      [self = this->template Self<FileStream>(), opened](const absl::Status& status) {
        if (status.ok()) self->reader_ = std::move(opened->value);
        self->OnOpened(status);
      });
}

template <typename Response>
void FileStream<Response>::OnOpened(const absl::Status& opened) {
  const absl::StatusOr<bool> message = Opened(opened, reader_.get());
  if (!message.ok()) return this->End(message.status());
  if (*message) return this->Write();
  ReadPiece();
}

template <typename Response>
void FileStream<Response>::ReadPiece() {
  const auto piece = std::make_shared<TransferResult<std::string>>();
  context_.disk->Run(
      path_,
      [reader = reader_, piece]() -> absl::Status {
        COPPICE_ASSIGN_OR_RETURN(piece->value, reader->Read(kCheckpointChunkBytes));
        return absl::OkStatus();
      },
      [self = this->template Self<FileStream>(), piece](absl::Status status) {
        if (!status.ok()) return self->End(std::move(status));
        if (piece->value.empty()) return self->End(self->Ended());
        self->Fill(std::move(piece->value));
        self->Write();
      });
}

template class FileStream<v1::DownloadCheckpointResponse>;
template class FileStream<v1::FetchCheckpointResponse>;

void DownloadStream::Locate() {
  context_.core->CheckLease(
      wanted_.worker_id, wanted_.lease, [self = Self<DownloadStream>()](absl::Status status) {
        if (!status.ok()) return self->End(std::move(status));
        self->context_.core->GetJob(
            {}, self->wanted_.lease.job_id,
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
  Send(wanted_.path);
}

void FetchStream::Locate() {
  context_.core->GetJob({}, job_,
                        [self = Self<FetchStream>()](absl::StatusOr<core::JobDetails> details) {
                          self->Find(details);
                        });
}

void FetchStream::Find(const absl::StatusOr<core::JobDetails>& details) {
  if (!details.ok()) return End(details.status());
  const std::vector<core::Checkpoint>& all = details->checkpoints;
  const auto found =
      std::find_if(all.begin(), all.end(), [this](const core::Checkpoint& checkpoint) {
        return !step_.has_value() || checkpoint.step == *step_;
      });
  if (found != all.end()) {
    checkpoint_ = *found;
    return Send(checkpoint_.path);
  }
  if (all.empty()) {
    return End(absl::NotFoundError(absl::StrCat("job ", job_, " has no committed checkpoint yet")));
  }
  const std::string steps =
      absl::StrJoin(all, ", ", [](std::string* out, const core::Checkpoint& checkpoint) {
        absl::StrAppend(out, checkpoint.step);
      });
  End(absl::NotFoundError(absl::StrCat("job ", job_, " has no committed checkpoint of step ",
                                       *step_, "; it has those of ", steps)));
}

absl::StatusOr<bool> FetchStream::Opened(const absl::Status& opened,
                                         const CheckpointReader* reader) {
  if (absl::IsNotFound(opened)) return Lost("is gone");
  if (absl::IsDataLoss(opened)) return Lost("is no regular file any more");
  if (!opened.ok()) return opened;
  if (reader->size() != checkpoint_.bytes)
    return Lost(absl::StrCat("holds ", reader->size(), " bytes instead of ", checkpoint_.bytes));
  ToProto(checkpoint_, response_.mutable_header());
  return true;
}

void FetchStream::Fill(std::string piece) {
  digest_.Update(piece.data(), piece.size());
  bytes_ += piece.size();
  response_.set_data(std::move(piece));
}

absl::Status FetchStream::Ended() {
  if (bytes_ == checkpoint_.bytes && digest_.Hex() == checkpoint_.digest) return absl::OkStatus();
  return Lost("is not what was committed: its digest does not fit");
}

absl::Status FetchStream::Lost(absl::string_view what) const {
  return absl::DataLossError(
      absl::StrCat("the checkpoint of step ", checkpoint_.step, " of job ", job_, " ", what, " (",
                   checkpoint_.path,
                   " in the coordinator's checkpoint root); ask for another step, or again if "
                   "a newer one may have taken its place meanwhile"));
}

}  // namespace coppice::service
