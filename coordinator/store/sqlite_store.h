#ifndef COPPICE_COORDINATOR_STORE_SQLITE_STORE_H_
#define COPPICE_COORDINATOR_STORE_SQLITE_STORE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "coordinator/core/store.h"

namespace coppice::store {

struct SqliteOptions {
  // The database file. Its folder is created. ":memory:" keeps everything in memory, on one
  // connection, for tests.
  std::string path;
  int readers = 2;  // connections
  // Maximum size of the file. Reaching it counts as a full disk. 0: none.
  uint64_t max_bytes = 0;
  // Opens a database with a damaged write-ahead log, using the part that is still readable.
  bool accept_data_loss = false;
};

// Opens, creates or migrates the database (WAL, synchronous=FULL) and locks it (`<path>.lock`)
// against other processes. FAILED_PRECONDITION: locked by another process; written by a newer
// version; not a database; a database of another program; acknowledged changes are no longer
// readable (wal_check.h), and their loss is not accepted. DATA_LOSS: their loss is accepted, but
// the remaining data is inconsistent. PERMISSION_DENIED: the folder or file cannot be written.
// RESOURCE_EXHAUSTED, INTERNAL: disk full, I/O error.
absl::StatusOr<std::unique_ptr<core::Store>> OpenSqliteStore(SqliteOptions options);

}  // namespace coppice::store

#endif  // COPPICE_COORDINATOR_STORE_SQLITE_STORE_H_
