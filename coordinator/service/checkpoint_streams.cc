#include "coordinator/service/checkpoint_streams.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
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

// Another file has the name. Nothing is overwritten but a damaged checkpoint, by the bytes that were
// committed: it is mended by the upload that comes again.
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
        UploadStream* const stream = self.get();
        self->OnDisk([stream] { return stream->upload_->Replace(); }, &UploadStream::CommitStored);
      });
}

void UploadStream::Commit(absl::Status status) {
  absl::IsAlreadyExists(status) ? ReplaceIfDamaged(status) : CommitStored(std::move(status));
}

void UploadStream::CommitStored(absl::Status status) {
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

template <typename Response>
void FileStream<Response>::Release() {
  limit_.reset();
  if (counted_) context_.files->EndRead();
  // Closing a file can take a while on a network filesystem; reactions must not wait for it.
  context_.io->Add([reader = std::shared_ptr<CheckpointReader>(std::move(reader_))] {});
}

template <typename Response>
void FileStream<Response>::Fetch() {
  if (reader_ == nullptr) return Locate();
  OnDisk(&FileStream::ReadPiece);
}

template <typename Response>
void FileStream<Response>::OnDisk(void (FileStream::*work)()) {
  const bool queued =
      context_.io->Add([self = this->template Self<FileStream>(), work] { (self.get()->*work)(); });
  if (!queued) this->End(Closing());
}

template <typename Response>
void FileStream<Response>::Send(const std::string& path) {
  path_ = path;
  OnDisk(&FileStream::Open);
}

template <typename Response>
void FileStream<Response>::Open() {
  const absl::Status inside = context_.files->CheckNoLink(path_);
  if (!inside.ok()) return this->End(inside);
  absl::Status room = context_.files->BeginRead();
  if (!room.ok()) return this->End(std::move(room));
  counted_ = true;
  auto reader = CheckpointReader::Open(context_.files->PathOf(path_));
  if (reader.ok()) reader_ = *std::move(reader);
  const absl::StatusOr<bool> message = Opened(reader.status(), reader_.get());
  if (!message.ok()) return this->End(message.status());
  if (*message) return this->Write();
  ReadPiece();
}

template <typename Response>
void FileStream<Response>::ReadPiece() {
  absl::StatusOr<std::string> piece = reader_->Read(kCheckpointChunkBytes);
  if (!piece.ok()) return this->End(piece.status());
  if (piece->empty()) return this->End(Ended());
  Fill(*std::move(piece));
  this->Write();
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
  if (!opened.ok()) return opened;
  COPPICE_ASSIGN_OR_RETURN(const uint64_t bytes, reader->Size());
  if (bytes != checkpoint_.bytes)
    return Lost(absl::StrCat("holds ", bytes, " bytes instead of ", checkpoint_.bytes));
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
