#include "coordinator/service/checkpoint_files.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "common/base/own_folder.h"
#include "common/base/status_macros.h"

namespace coppice::service {
namespace {

// The coordinator removes files in its root, so it takes a folder without a mark only if that is
// unused.
absl::Status CheckUnused(const std::string& root, const std::string& store_id) {
  COPPICE_ASSIGN_OR_RETURN(std::vector<std::string> names, ListDirectory(root));
  names.erase(std::remove_if(names.begin(), names.end(),
                             [](const std::string& name) {
                               return IsOfTheFilesystem(name) ||
                                      absl::StartsWith(name, ".coppice-store.tmp-");
                             }),
              names.end());
  if (names.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "the checkpoint folder ", root, " holds other files (", SomeNames(names),
      ") and no mark of a coordinator; choose a new or empty one with --checkpoint-dir DIR (where "
      "only the mark was lost, `echo ",
      store_id, " > ", root, "/.coppice-store` puts it back)"));
}

}  // namespace

absl::Status ClaimCheckpointRoot(const std::string& root, const std::string& store_id) {
  COPPICE_RETURN_IF_ERROR(MakeDirectories(root));
  const std::string marker = JoinPath(root, ".coppice-store");
  const absl::StatusOr<std::string> owner = ReadFile(marker);
  if (absl::IsNotFound(owner.status())) {
    COPPICE_RETURN_IF_ERROR(CheckUnused(root, store_id));
    return WriteFileAtomically(marker, store_id);
  }
  if (!owner.ok()) return owner.status();
  if (absl::StripAsciiWhitespace(*owner) == store_id) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("the checkpoint folder ", root, " belongs to another coordinator's data (store ",
                   absl::StripAsciiWhitespace(*owner).substr(0, 40), ", this one is ", store_id,
                   "); choose another with --checkpoint-dir DIR"));
}

absl::Status CheckpointFiles::Claim(const std::string& relative) {
  absl::MutexLock lock(&mutex_);
  if (claimed_.size() >= max_transfers_) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the coordinator is receiving ", claimed_.size(), " checkpoints already; try again later"));
  }
  if (claimed_.insert(relative).second) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("checkpoint ", relative, " is being uploaded already; try again later"));
}

void CheckpointFiles::Unclaim(const std::string& relative) {
  absl::MutexLock lock(&mutex_);
  claimed_.erase(relative);
}

absl::Status CheckpointFiles::BeginRead() {
  absl::MutexLock lock(&mutex_);
  if (reading_ < max_transfers_) {
    ++reading_;
    return absl::OkStatus();
  }
  return absl::ResourceExhaustedError(absl::StrCat("the coordinator is sending ", reading_,
                                                   " checkpoints already; try again later"));
}

void CheckpointFiles::EndRead() {
  absl::MutexLock lock(&mutex_);
  --reading_;
}

absl::Status CheckpointFiles::CheckNoLink(const std::string& relative) const {
  for (size_t slash = relative.find('/');; slash = relative.find('/', slash + 1)) {
    const std::string part = relative.substr(0, slash);
    struct stat info;
    if (::lstat(PathOf(part).c_str(), &info) == 0 && S_ISLNK(info.st_mode)) {
      return absl::PermissionDeniedError(
          absl::StrCat(part,
                       " in the checkpoint root is a symbolic link; replace it by a folder "
                       "or file of its own"));
    }
    if (slash == std::string::npos) return absl::OkStatus();
  }
}

absl::StatusOr<std::unique_ptr<CheckpointUpload>> CheckpointUpload::Begin(
    std::shared_ptr<CheckpointFiles> files, const core::NamedCheckpoint& announced) {
  if (announced.bytes > kMaxCheckpointBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("a checkpoint of ", announced.bytes, " bytes; at most ", kMaxCheckpointBytes));
  }
  if (const absl::Status link = files->CheckNoLink(announced.path); !link.ok()) {
    // PERMISSION_DENIED would say that the worker's token is wrong, and the worker would wait.
    return absl::FailedPreconditionError(link.message());
  }
  COPPICE_RETURN_IF_ERROR(files->Claim(announced.path));
  const std::string path = files->PathOf(announced.path);
  std::unique_ptr<CheckpointUpload> upload(new CheckpointUpload(std::move(files), announced, path));
  // Between the two calls, another upload that ends may remove an empty folder.
  for (int tries = 3;; --tries) {
    COPPICE_RETURN_IF_ERROR(upload->MakeFolders());
    absl::StatusOr<AtomicFile> file = AtomicFile::Open(path);
    if (absl::IsNotFound(file.status()) && tries > 1) continue;
    if (!file.ok()) return file.status();
    upload->file_.emplace(*std::move(file));
    return upload;
  }
}

CheckpointUpload::~CheckpointUpload() {
  file_.reset();
  RemoveFolders();
  files_->Unclaim(announced_.path);
}

absl::Status CheckpointUpload::MakeFolders() {
  const std::string& relative = announced_.path;
  size_t slash = relative.find('/');
  for (; slash != std::string::npos; slash = relative.find('/', slash + 1)) {
    const std::string folder = files_->PathOf(relative.substr(0, slash));
    if (!FileExists(folder)) folders_.push_back(folder);
  }
  const size_t last = path_.rfind('/');
  return last == std::string::npos ? absl::OkStatus() : MakeDirectories(path_.substr(0, last));
}

// Starts with the innermost folder. A non-empty folder stays, and so do all that contain it.
void CheckpointUpload::RemoveFolders() {
  for (auto folder = folders_.rbegin(); folder != folders_.rend(); ++folder) {
    if (::rmdir(folder->c_str()) != 0 && errno != ENOENT) return;
  }
}

absl::Status CheckpointUpload::Append(absl::string_view data) {
  bytes_ += data.size();
  if (bytes_ > announced_.bytes) {
    return absl::DataLossError(
        absl::StrCat("the upload holds more than the ", announced_.bytes, " bytes it announced"));
  }
  digest_.Update(data.data(), data.size());
  return file_->Append(data.data(), data.size());
}

absl::Status CheckpointUpload::Store() {
  if (bytes_ != announced_.bytes) {
    return absl::DataLossError(absl::StrCat("the upload ended after ", bytes_, " of the ",
                                            announced_.bytes, " bytes it announced"));
  }
  const std::string digest = digest_.Hex();
  if (digest != announced_.digest) {
    return absl::DataLossError(absl::StrCat("the uploaded bytes have digest ", digest,
                                            ", announced was ", announced_.digest));
  }
  if (FileExists(path_)) {
    // The upload may be repeated because its response was lost. The file may be committed, so it
    // stays as it is.
    const absl::StatusOr<std::string> existing = DigestOfFile(path_);
    const bool regular = !absl::IsInvalidArgument(existing.status());
    if (regular && !existing.ok()) return existing.status();
    if (regular && *existing == digest) {
      file_.reset();
      return absl::OkStatus();
    }
    return absl::AlreadyExistsError(
        absl::StrCat("another file has the name ", announced_.path, " in the checkpoint root"));
  }
  COPPICE_RETURN_IF_ERROR(file_->Commit());
  created_ = true;
  return absl::OkStatus();
}

// Withdraw does not remove this file, because the core has a checkpoint of this name.
absl::Status CheckpointUpload::Replace() { return file_->Commit(); }

void CheckpointUpload::Withdraw() {
  // A file that remains costs only space, since no job refers to it.
  if (created_) RemoveFile(path_).IgnoreError();
}

absl::StatusOr<std::shared_ptr<CheckpointReader>> CheckpointFiles::Open(
    const std::string& relative) {
  COPPICE_RETURN_IF_ERROR(CheckNoLink(relative));
  absl::StatusOr<RegularFile> file = RegularFile::Open(PathOf(relative), O_NOFOLLOW);
  if (absl::IsInvalidArgument(file.status())) return absl::DataLossError(file.status().message());
  if (!file.ok()) return file.status();
  COPPICE_RETURN_IF_ERROR(BeginRead());
  return std::shared_ptr<CheckpointReader>(
      new CheckpointReader(shared_from_this(), *std::move(file)));
}

absl::StatusOr<std::string> CheckpointReader::Read(size_t size) {
  std::string data(size, '\0');
  COPPICE_ASSIGN_OR_RETURN(const size_t count, file_.Read(data.data(), size));
  data.resize(count);
  return data;
}

}  // namespace coppice::service
