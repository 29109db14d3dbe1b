#ifndef COPPICE_COORDINATOR_STORE_BACKUP_H_
#define COPPICE_COORDINATOR_STORE_BACKUP_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/store/connection.h"

namespace coppice::store {

// The description of a database, read from itself.
struct DatabaseFacts {
  std::string store_id;
  int64_t version = 0;  // of the schema
  uint64_t sweeps = 0;
  uint64_t jobs = 0;
  uint64_t bytes = 0;
  int64_t backup_ms = 0;  // wall time of the backup; 0: not made by BackupDatabase
};

// Checks a file's structure from end to end (SQLite's quick_check), and that it belongs to Coppice
// and to no newer version. FAILED_PRECONDITION: another program's, or newer. DATA_LOSS, INTERNAL:
// damaged.
absl::StatusOr<DatabaseFacts> InspectDatabase(Connection& db);

// Copies the database at `from`, as of one instant, to the new file `to`. Only its owner can read
// `to`, which is a single file without a write-ahead log. `to` is written but not synced, and is
// removed after an error. NOT_FOUND: `from` does not exist. ALREADY_EXISTS: `to` exists. Otherwise
// the codes of SqliteStatus.
absl::Status CopyDatabase(const std::string& from, const std::string& to);

absl::Status SyncFile(const std::string& path);

struct BackupOptions {
  std::string database;
  std::string target;
  bool force = false;  // replace an existing target
  int64_t now_ms = 0;
};

// Purpose: makes a backup, whether or not a coordinator is running. Another process may call it: it
// reads through its own connection and delays no commit.
//   1. It copies one snapshot to a file beside the target.
//   2. It inspects and syncs the copy.
//   3. It gives the copy the target's name and syncs the folder.
// Failure codes: NOT_FOUND (no database), ALREADY_EXISTS (the target exists, not forced),
// INVALID_ARGUMENT (the target is the database), PERMISSION_DENIED, RESOURCE_EXHAUSTED (target's
// disk full), FAILED_PRECONDITION (not Coppice's, or newer), DATA_LOSS or INTERNAL (the database is
// damaged, an I/O error). Durability: after OK the target survives a power failure; after an error
// it is unchanged.
absl::StatusOr<DatabaseFacts> BackupDatabase(const BackupOptions& options);

}  // namespace coppice::store

#endif  // COPPICE_COORDINATOR_STORE_BACKUP_H_
