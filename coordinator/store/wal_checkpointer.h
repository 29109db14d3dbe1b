#ifndef COPPICE_COORDINATOR_STORE_WAL_CHECKPOINTER_H_
#define COPPICE_COORDINATOR_STORE_WAL_CHECKPOINTER_H_

#include <atomic>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/base/executor.h"
#include "coordinator/store/connection.h"

namespace coppice::store {

// Purpose: copies committed changes from the WAL into the database file, beside the writer. SQLite
// alone would do it inside a COMMIT, which then takes tens of milliseconds. The WAL restarts only
// after all of it was copied, which a busy writer never allows. So once it is long, the writer
// itself copies the few changes since the last round. Owner: SqliteStore; destroyed before the
// writer's connection. Committed: writer thread only. Failure: a failed round is logged and tried
// again later; until then the WAL grows. Durability: none of its own; commits are durable in the
// WAL.
class WalCheckpointer {
 public:
  // New frames in the WAL (pages of 4 KiB) after which a round begins.
  static constexpr int kRoundFrames = 2'000;
  // Above this length the writer helps after a round.
  static constexpr int kLongFrames = 8'000;
  // From this length on the writer copies everything, however long it takes. This bounds the WAL's
  // growth.
  static constexpr int kMaxFrames = 64'000;

  // Replaces SQLite's automatic checkpoints on `writer`.
  static absl::StatusOr<std::unique_ptr<WalCheckpointer>> Open(const std::string& path,
                                                               Connection* writer);
  ~WalCheckpointer();
  WalCheckpointer(const WalCheckpointer&) = delete;
  WalCheckpointer& operator=(const WalCheckpointer&) = delete;

  // Called after each COMMIT.
  void Committed();

 private:
  WalCheckpointer(std::unique_ptr<Connection> own, Connection* writer);
  void Round();

  const std::unique_ptr<Connection> own_;
  Connection& writer_;
  int frames_ = 0;       // of the WAL, after the last commit
  int round_began_ = 0;  // frames_ when the last round began
  std::atomic<bool> busy_{false};
  bool round_done_ = false;  // since the writer's last check
  Executor executor_{1};
};

}  // namespace coppice::store

#endif  // COPPICE_COORDINATOR_STORE_WAL_CHECKPOINTER_H_
