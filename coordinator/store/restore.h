#ifndef COPPICE_COORDINATOR_STORE_RESTORE_H_
#define COPPICE_COORDINATOR_STORE_RESTORE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/files.h"
#include "coordinator/store/backup.h"

namespace coppice::store {

struct RestoreOptions {
  std::string backup;
  std::string database;  // the database to replace
  bool force = false;    // put an existing database aside
};

// Purpose: replaces a database with a backup, all or nothing.
//   1. Begin locks the database's folder, copies the backup beside the database, and inspects the
//      copy.
//   2. The caller opens the copy at path() as a store, prepares it (core::PrepareRestored), and
//      closes it.
//   3. Install puts the old database aside, removes the remains of its log, and gives the copy its
//      name.
// Owner: the restore command. Not thread-safe. Its destructor, before Install, leaves everything as
// it was. Failure codes: NOT_FOUND (no backup), FAILED_PRECONDITION (a coordinator runs; the file
// is not Coppice's, or newer), ALREADY_EXISTS (a database exists, not forced), DATA_LOSS or
// INTERNAL (damaged, I/O error), PERMISSION_DENIED, RESOURCE_EXHAUSTED.
// Durability: after Install the database survives a power failure. A crash within Install at worst
// leaves the folder without a database; run the same restore again.
class StagedRestore {
 public:
  static absl::StatusOr<std::unique_ptr<StagedRestore>> Begin(const RestoreOptions& options);
  ~StagedRestore();
  StagedRestore(const StagedRestore&) = delete;
  StagedRestore& operator=(const StagedRestore&) = delete;

  const std::string& path() const { return path_; }
  const DatabaseFacts& facts() const { return facts_; }
  // Installs the copy, whose store must be closed. Returns the new path of the old database; empty:
  // there was none. `now_ms` is part of that name.
  absl::StatusOr<std::string> Install(int64_t now_ms);

 private:
  StagedRestore(RestoreOptions options, FileLock lock)
      : options_(std::move(options)),
        path_(options_.database + ".restoring"),
        lock_(std::move(lock)) {}
  absl::StatusOr<std::string> PutAside(int64_t now_ms);

  const RestoreOptions options_;
  const std::string path_;
  const FileLock lock_;
  DatabaseFacts facts_;
};

}  // namespace coppice::store

#endif  // COPPICE_COORDINATOR_STORE_RESTORE_H_
