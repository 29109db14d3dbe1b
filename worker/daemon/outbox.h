#ifndef COPPICE_WORKER_DAEMON_OUTBOX_H_
#define COPPICE_WORKER_DAEMON_OUTBOX_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "coppice/v1/coordinator.pb.h"
#include "worker/daemon/checkpoint_uploader.h"
#include "worker/daemon/lease_key.h"
#include "worker/daemon/sequence.h"
#include "worker/daemon/session.h"
#include "worker/daemon/spool.h"

namespace coppice::worker {

// Purpose: keeps the records of one attempt, in order, until the coordinator has made them durable.
// It knows nothing of why an attempt ends.
// Owner: an AttemptReporter. The RecordPump sends what NextToSend gives.
// Threads: it lives on the agent's sequence.
// A record goes through these stages:
//   1. Backlog: it has its number.
//   2. Spool: it is written and synced in the background, many records at a time.
//   3. Queue: it may be sent. A checkpoint is first uploaded if the coordinator does not share the
//      folder. The upload begins when everything before the checkpoint is durable, and the records
//      behind it wait.
//   4. Sent: it is sent again if its stream is lost.
//   5. Durable: the coordinator has acknowledged it, and it is dropped.
// Durability: a record is on disk before it is sent, so a restarted daemon sends it again. If the
// disk refuses the spool, records go on from memory. A crash then loses only records behind the
// last checkpoint, and the next attempt computes them again.
class Outbox {
 public:
  struct Hooks {
    // There may be something new to send.
    std::function<void()> on_sendable;
    // The coordinator has taken the ending.
    std::function<void()> on_ending_taken;
    // The attempt is over, and its ending was not taken. No other record will be taken either.
    std::function<void(const std::string& reason)> on_over;
    // The coordinator cannot take this record. It and all after it are dropped; the next record
    // gets its number.
    std::function<void(const v1::AttemptRecord& record, const absl::Status& status)> on_refused;
  };
  struct Place {
    std::string spool_dir;
    CheckpointPlace checkpoints;
  };

  Outbox(const Environment* environment, Session* session, const Place& place,
         const v1::Lease& lease, Hooks hooks);
  // Takes up the records that an earlier process left in a spool file.
  Outbox(const Environment* environment, Session* session, const Place& place,
         SpoolContents contents, Hooks hooks);
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;

  LeaseKey key() const { return KeyOf(lease_.lease()); }
  void Add(v1::AttemptRecord record);
  // Drops every record that is not durable, and takes no more. Removes the spool and the scratch
  // folder, then calls back. The callback never runs inline.
  void Close(std::function<void()> done);

  // The records that may be sent behind a checkpoint before it is acknowledged. The coordinator may
  // wait long for the checkpoint's file, and holds them meanwhile. More of them would fill the
  // stream, on which the other attempts report too.
  static constexpr uint64_t kBehindCheckpoint = 16;
  // For the stream: the next record that was not yet sent on the present stream; null if there is
  // none that may be sent now.
  const v1::AttemptRecord* NextToSend() const;
  void MarkSent();
  // The number of sent records that are not acknowledged.
  uint64_t sent() const { return sent_; }
  // Everything up to this number is durable.
  uint64_t acknowledged() const { return acknowledged_; }
  // A new stream opens, so everything that is not durable is sent again.
  void OnStreamLost() { SetSent(0); }
  void OnAnswer(const v1::AttemptAnswer& answer);

 private:
  enum class SpoolState { kInUse, kRefused };

  void Flush();
  void OnFlushed(uint64_t generation, std::vector<v1::AttemptRecord> records);
  void Advance();
  bool NeedsUpload(const v1::AttemptRecord& record) const;
  void UploadFront();
  void OnUploaded(const absl::Status& status);
  void DropDurable(const v1::AttemptAnswer& answer);
  void OnDurable(const v1::AttemptRecord& record, absl::string_view omission);
  void Renumber(uint64_t last_taken);
  void RefuseFront(const absl::Status& status);
  void DropAll();
  void SetSent(uint64_t sent);
  void RemoveFiles();

  const Environment* const environment_;
  const v1::Lease lease_;
  const std::string spool_path_;
  const Hooks hooks_;
  CallbackOwner callbacks_;
  CheckpointUploader uploader_;

  uint64_t last_number_ = 0;   // of the newest record
  uint64_t acknowledged_ = 0;  // of the newest durable record
  uint64_t uploaded_ = 0;      // of the newest checkpoint whose upload was answered
  bool taken_up_ = false;      // from an earlier process's spool
  std::vector<v1::AttemptRecord> backlog_;
  std::deque<v1::AttemptRecord> queue_;
  uint64_t sent_ = 0;             // records at the front of the queue
  uint64_t sent_checkpoint_ = 0;  // the number of the first checkpoint among them; 0: none

  SpoolState spool_state_ = SpoolState::kInUse;
  // Shared with the background while a flush is in flight. Null before the first.
  std::shared_ptr<Spool> spool_;
  bool flushing_ = false;
  uint64_t generation_ = 0;            // a flush of an earlier generation was dropped
  std::function<void()> when_closed_;  // set: closed
};

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_OUTBOX_H_
