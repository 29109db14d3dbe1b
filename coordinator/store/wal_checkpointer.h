#ifndef COPPICE_COORDINATOR_STORE_WAL_CHECKPOINTER_H_
#define COPPICE_COORDINATOR_STORE_WAL_CHECKPOINTER_H_

#include <atomic>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/base/executor.h"
#include "coordinator/store/connection.h"

namespace coppice::store {

// Purpose: copies what was committed from the WAL into the database file, beside the writer:
// SQLite's own way would do it inside a COMMIT, which then takes tens of milliseconds. The WAL
// starts anew only when all of it was copied, which a busy writer never lets happen; so once it is
// long, the writer itself copies the little that came since the last round.
// Owner: SqliteStore; destroyed before the writer's connection. Committed: writer thread only.
// Failure: a round that fails is logged and tried again later; until then the WAL grows.
// Durability: none of its business, commits are durable in the WAL.
class WalCheckpointer {
 public:
  // A round begins when so many new frames (pages of 4 KiB) are in the WAL.
  static constexpr int kRoundFrames = 2'000;
  // From here on the writer helps after a round.
  static constexpr int kLongFrames = 8'000;
  // From here on it copies all of it, whatever that takes: the bound of the WAL's growth.
  static constexpr int kMaxFrames = 64'000;

  // Takes over from SQLite's automatic checkpoints on `writer`.
  static absl::StatusOr<std::unique_ptr<WalCheckpointer>> Open(const std::string& path,
                                                               Connection* writer);
  ~WalCheckpointer();
  WalCheckpointer(const WalCheckpointer&) = delete;
  WalCheckpointer& operator=(const WalCheckpointer&) = delete;

  // After each COMMIT.
  void Committed();
  int wal_frames() const { return frames_; }

 private:
  WalCheckpointer(std::unique_ptr<Connection> own, Connection* writer);
  void Round();

  const std::unique_ptr<Connection> own_;
  Connection& writer_;
  int frames_ = 0;       // of the WAL, after the last commit
  int round_began_ = 0;  // frames_ when the last round began
  std::atomic<bool> busy_{false};
  bool round_done_ = false;  // since the writer looked last
  Executor executor_{1};
};

}  // namespace coppice::store

#endif  // COPPICE_COORDINATOR_STORE_WAL_CHECKPOINTER_H_
