#include "coordinator/store/wal_checkpointer.h"

#include <utility>

#include "common/base/logging.h"
#include "common/base/status_macros.h"

namespace coppice::store {

absl::StatusOr<std::unique_ptr<WalCheckpointer>> WalCheckpointer::Open(const std::string& path,
                                                                       Connection* writer) {
  COPPICE_ASSIGN_OR_RETURN(auto own,
                           Connection::Open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW));
  COPPICE_RETURN_IF_ERROR(own->Execute("PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF"));
  return std::unique_ptr<WalCheckpointer>(new WalCheckpointer(std::move(own), writer));
}

WalCheckpointer::WalCheckpointer(std::unique_ptr<Connection> own, Connection* writer)
    : own_(std::move(own)), writer_(*writer) {
  writer_.OnWalCommit(&frames_);
}

WalCheckpointer::~WalCheckpointer() {
  executor_.Shutdown();
  writer_.OnWalCommit(nullptr);
}

void WalCheckpointer::Committed() {
  if (busy_.load(std::memory_order_acquire)) return;
  if (frames_ < round_began_) round_began_ = 0;  // the WAL restarted
  const bool help = std::exchange(round_done_, false) && frames_ >= kLongFrames;
  if (help || frames_ >= kMaxFrames) {
    const absl::Status status = writer_.Checkpoint();
    if (!status.ok()) spdlog::warn("cannot empty the database's log: {}", status.ToString());
    round_began_ = frames_;
    return;
  }
  if (frames_ - round_began_ < kRoundFrames) return;
  round_began_ = frames_;
  round_done_ = true;
  busy_.store(true, std::memory_order_release);
  if (!executor_.Add([this] { Round(); })) busy_.store(false, std::memory_order_release);
}

void WalCheckpointer::Round() {
  const absl::Status status = own_->Checkpoint();
  if (!status.ok()) spdlog::warn("cannot copy the database's log into it: {}", status.ToString());
  busy_.store(false, std::memory_order_release);
}

}  // namespace coppice::store
