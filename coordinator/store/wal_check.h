#ifndef COPPICE_COORDINATOR_STORE_WAL_CHECK_H_
#define COPPICE_COORDINATOR_STORE_WAL_CHECK_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace coppice::store {

// The part of a write-ahead log that SQLite will read when it opens the database: all before the
// first damaged frame.
struct WalState {
  uint64_t commits = 0;       // transactions that SQLite will read
  uint64_t lost_commits = 0;  // of the same log, behind a damaged frame
};

// Counts the commits before and after the first damaged frame. SQLite silently stops reading there.
// After a crash that is right: each transaction is on disk before the next one begins, so at most
// one unacknowledged commit can follow the last whole one. If more follow, the disk has changed
// stored bytes, and acknowledged changes would be lost in silence. (A single one cannot be told
// from a torn end.)
//
// Reads the file once. Call it while no connection has the database open. A log that is missing,
// empty or not SQLite's has no commits. Failure codes: those of opening and reading a file.
// File format: https://www.sqlite.org/fileformat2.html#the_write_ahead_log.
absl::StatusOr<WalState> CheckWal(const std::string& wal_path);

}  // namespace coppice::store

#endif  // COPPICE_COORDINATOR_STORE_WAL_CHECK_H_
