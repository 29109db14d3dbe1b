#ifndef COPPICE_COORDINATOR_STORE_WAL_CHECK_H_
#define COPPICE_COORDINATOR_STORE_WAL_CHECK_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace coppice::store {

// A write-ahead log as SQLite will read it when it opens the database: up to the first frame that
// is not whole.
struct WalState {
  uint64_t commits = 0;       // transactions that will be there
  uint64_t lost_commits = 0;  // of the same log, behind a damaged frame: they will not
};

// SQLite ends its reading at the first bad frame without a word. For the torn end that a crash
// leaves that is right: each transaction is on disk before the next one begins, so that behind the
// last whole commit lies at most one that nobody was told of. Where more than one lies there, a
// disk has changed bytes that it had already stored, and changes that were acknowledged would be
// lost in silence. (One alone cannot be told from a torn end.)
//
// Reads the file once. Call it while no connection has the database open. A log that is missing,
// empty or not SQLite's has no commits. Codes of opening and reading a file.
// Form of the file: https://www.sqlite.org/fileformat2.html#the_write_ahead_log.
absl::StatusOr<WalState> CheckWal(const std::string& wal_path);

}  // namespace coppice::store

#endif  // COPPICE_COORDINATOR_STORE_WAL_CHECK_H_
