#ifndef COPPICE_COORDINATOR_SERVICE_CHECKPOINT_FILES_H_
#define COPPICE_COORDINATOR_SERVICE_CHECKPOINT_FILES_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "common/base/digest.h"
#include "common/base/files.h"
#include "common/base/regular_file.h"
#include "coordinator/core/types.h"

namespace coppice::service {

// The largest checkpoint that may be uploaded.
inline constexpr uint64_t kMaxCheckpointBytes = uint64_t{64} << 30;

// Creates the checkpoint root if needed and marks it with the store's id (`.coppice-store`), from
// which a worker can tell that it sees the same folder. FAILED_PRECONDITION: the root belongs to
// another store. Otherwise the codes of files.h.
absl::Status ClaimCheckpointRoot(const std::string& root, const std::string& store_id);

class CheckpointReader;

// Purpose: stores and reads files under the checkpoint root by relative path, for workers that
// cannot access it. Owner: Server. Thread-safe. Every path has passed IsSafeRelativePath.
class CheckpointFiles : public std::enable_shared_from_this<CheckpointFiles> {
 public:
  // Each transfer holds an open file and about a megabyte of memory.
  static constexpr size_t kMaxTransfers = 64;

  explicit CheckpointFiles(std::string root, size_t max_transfers = kMaxTransfers)
      : root_(std::move(root)), max_transfers_(max_transfers) {}

  std::string PathOf(const std::string& relative) const { return JoinPath(root_, relative); }
  // PERMISSION_DENIED: a part of the path below the root is a symbolic link, whose target is not
  // ours to read or write. Missing parts are allowed. This guards against links made by mistake or
  // left behind; anybody who may write to the root can race it.
  absl::Status CheckNoLink(const std::string& relative) const;
  // Starts an upload of a path. RESOURCE_EXHAUSTED: an upload of this path is in progress, or as
  // many of other paths as are allowed.
  absl::Status Claim(const std::string& relative);
  void Unclaim(const std::string& relative);
  // Opens a file to read, with the same bound on the number of open files. The codes of CheckNoLink
  // and CheckpointReader. Blocks on the disk.
  absl::StatusOr<std::shared_ptr<CheckpointReader>> Open(const std::string& relative);
  // The counting that Open does. Each BeginRead that returned OK needs an EndRead.
  absl::Status BeginRead();
  void EndRead();

 private:
  const std::string root_;
  const size_t max_transfers_;
  absl::Mutex mutex_;
  size_t reading_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_set<std::string> claimed_ ABSL_GUARDED_BY(mutex_);
};

// Purpose: one upload. Usage: Begin, Append..., Store, and Withdraw if the call ended before Store.
// After an ALREADY_EXISTS of Store, Replace is allowed only if the core has the announced bytes
// under this name. If destroyed before Store, or after Withdraw, it leaves neither files nor
// folders of its own. Owner: the upload's stream. Not thread-safe; every method blocks on the disk.
// Failure codes: those of files.h; INVALID_ARGUMENT (too large), DATA_LOSS (more or fewer bytes
// than announced, another digest), ALREADY_EXISTS (another file has this name), RESOURCE_EXHAUSTED
// (disk full, or the path is being uploaded), FAILED_PRECONDITION (a symbolic link in the path).
// Durability: after Store or Replace the file and its name survive a power failure.
class CheckpointUpload {
 public:
  static absl::StatusOr<std::unique_ptr<CheckpointUpload>> Begin(
      std::shared_ptr<CheckpointFiles> files, const core::NamedCheckpoint& announced);
  ~CheckpointUpload();

  absl::Status Append(absl::string_view data);
  absl::Status Store();
  absl::Status Replace();
  // Removes the file if this upload created it.
  void Withdraw();

 private:
  CheckpointUpload(std::shared_ptr<CheckpointFiles> files, core::NamedCheckpoint announced,
                   std::string path)
      : files_(std::move(files)), announced_(std::move(announced)), path_(std::move(path)) {}

  absl::Status MakeFolders();
  void RemoveFolders();

  // Shared, because an upload on an unresponsive disk may outlive the server.
  const std::shared_ptr<CheckpointFiles> files_;
  const core::NamedCheckpoint announced_;
  const std::string path_;
  std::vector<std::string> folders_;  // those that this upload made, outermost first
  std::optional<AtomicFile> file_;
  Digest digest_;
  uint64_t bytes_ = 0;
  bool created_ = false;
};

// Purpose: one download. Owner: its stream. Not thread-safe; every method blocks on the disk.
// DATA_LOSS: the path is not a regular file. Otherwise the codes of files.h.
class CheckpointReader {
 public:
  ~CheckpointReader() { files_->EndRead(); }
  CheckpointReader(const CheckpointReader&) = delete;
  CheckpointReader& operator=(const CheckpointReader&) = delete;

  // The size when the file was opened.
  uint64_t size() const { return file_.size(); }
  // Up to `size` bytes; empty at the end of the file.
  absl::StatusOr<std::string> Read(size_t size);

 private:
  friend class CheckpointFiles;
  CheckpointReader(std::shared_ptr<CheckpointFiles> files, RegularFile file)
      : files_(std::move(files)), file_(std::move(file)) {}
  const std::shared_ptr<CheckpointFiles> files_;
  RegularFile file_;
};

}  // namespace coppice::service

#endif  // COPPICE_COORDINATOR_SERVICE_CHECKPOINT_FILES_H_
