#include "worker/daemon/checkpoint_transfer.h"

#include <memory>

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "common/base/paths.h"
#include "common/base/regular_file.h"
#include "common/rpc/status.h"

namespace coppice::worker {
namespace {

constexpr size_t kPieceBytes = 1 << 20;

absl::Status Unreadable(const absl::Status& status) {
  return absl::DataLossError(status.message());
}

}  // namespace

absl::StatusOr<v1::UploadCheckpointResponse> SendCheckpointFile(
    v1::WorkerService::StubInterface* stub, grpc::ClientContext* context,
    const v1::CheckpointUpload& header, const std::string& file) {
  absl::StatusOr<RegularFile> in = RegularFile::Open(file);
  if (!in.ok()) return Unreadable(in.status());
  v1::UploadCheckpointResponse response;
  const auto writer = stub->UploadCheckpoint(context, &response);
  v1::UploadCheckpointRequest message;
  *message.mutable_header() = header;
  absl::Status local;
  std::string piece;
  // A write fails if the coordinator has answered already, or is gone. Finish tells them apart.
  for (bool open = writer->Write(message); open;) {
    piece.resize(kPieceBytes);
    const absl::StatusOr<size_t> got = in->Read(piece.data(), piece.size());
    if (!got.ok()) {
      local = Unreadable(got.status());
      context->TryCancel();
    }
    if (!got.ok() || *got == 0) break;
    piece.resize(*got);
    message.set_data(piece);
    open = writer->Write(message);
  }
  writer->WritesDone();
  const absl::Status status = rpc::FromGrpc(writer->Finish());
  if (!local.ok()) return local;
  if (!status.ok()) return status;
  return response;
}

absl::Status ReceiveCheckpointFile(v1::WorkerService::StubInterface* stub,
                                   grpc::ClientContext* context,
                                   const v1::DownloadCheckpointRequest& request,
                                   const std::string& file) {
  absl::Status local = MakeDirectories(FolderOf(file));
  auto target = local.ok() ? AtomicFile::Open(file) : absl::StatusOr<AtomicFile>(local);
  if (!target.ok()) return absl::FailedPreconditionError(target.status().message());
  const auto reader = stub->DownloadCheckpoint(context, request);
  v1::DownloadCheckpointResponse piece;
  while (local.ok() && reader->Read(&piece)) {
    local = target->Append(piece.data().data(), piece.data().size());
  }
  if (!local.ok()) {
    context->TryCancel();
    while (reader->Read(&piece)) {
    }
  }
  const absl::Status status = rpc::FromGrpc(reader->Finish());
  if (local.ok() && !status.ok()) return status;
  if (local.ok()) local = target->Commit();
  return local.ok() ? local : absl::FailedPreconditionError(local.message());
}

}  // namespace coppice::worker
