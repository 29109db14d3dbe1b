#ifndef COPPICE_COORDINATOR_STORE_BACKUP_H_
#define COPPICE_COORDINATOR_STORE_BACKUP_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/store/connection.h"

namespace coppice::store {

// What a database says of itself.
struct DatabaseFacts {
  std::string store_id;
  int64_t version = 0;  // of the schema
  uint64_t sweeps = 0;
  uint64_t jobs = 0;
  uint64_t bytes = 0;
  int64_t backup_ms = 0;  // wall time; 0: no backup, or one that was made with other means
};

// Checks a file's structure from end to end (SQLite's quick_check), that it is Coppice's and not
// of a newer version. FAILED_PRECONDITION: another program's, or newer. DATA_LOSS, INTERNAL:
// damaged.
absl::StatusOr<DatabaseFacts> InspectDatabase(Connection& db);

// Copies the database at `from` as of one instant to the new file `to`, readable by its owner
// alone, and puts it into one file (no write-ahead log beside it). `to` is written, not synced; it
// is removed again after an error. NOT_FOUND: there is no `from`. ALREADY_EXISTS: there is a `to`.
// Otherwise the codes of SqliteStatus.
absl::Status CopyDatabase(const std::string& from, const std::string& to);

absl::Status SyncFile(const std::string& path);

struct BackupOptions {
  std::string database;
  std::string target;
  bool force = false;  // replace what is there
  int64_t now_ms = 0;
};

// Purpose: a backup while a coordinator writes, or while none runs. Another process may call it: it
// reads through a connection of its own, and holds up no commit.
//   1. one snapshot is copied to a file beside the target;
//   2. the copy is inspected and synced;
//   3. it takes the target's name, the folder is synced.
// Failure codes: NOT_FOUND (no database), ALREADY_EXISTS (the target is there, not forced),
// INVALID_ARGUMENT (the target is the database), PERMISSION_DENIED, RESOURCE_EXHAUSTED (target's
// disk full), FAILED_PRECONDITION (not Coppice's, or newer), DATA_LOSS or INTERNAL (the database is
// damaged, an I/O error). Durability: after OK the target survives a power failure; after an error
// it is as it was.
absl::StatusOr<DatabaseFacts> BackupDatabase(const BackupOptions& options);

}  // namespace coppice::store

#endif  // COPPICE_COORDINATOR_STORE_BACKUP_H_
