#ifndef COPPICE_WORKER_DAEMON_RECORD_PUMP_H_
#define COPPICE_WORKER_DAEMON_RECORD_PUMP_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>

#include "common/base/backoff.h"
#include "common/base/limits.h"
#include "worker/daemon/coordinator_client.h"
#include "worker/daemon/outbox.h"
#include "worker/daemon/sequence.h"
#include "worker/daemon/session.h"

namespace coppice::worker {

// Purpose: one stream for the records of every attempt. It opens when there is something to send.
// Everything that may be sent travels together, up to kMaxRecordsInMessage and kMaxBatchBytes a
// message. The attempts take turns, a record each. At most kWindow records are unacknowledged. When
// the stream ends, everything that is not durable is sent again, in order, on the next one. A
// stream that acknowledges nothing for kStuck is given up, and so is one on which a record was
// refused: the records behind that one are on their way, and their answers would be taken for
// answers to the records that replace them.
// Owner: the Agent. It lives on the agent's sequence. The outboxes keep the records, so nothing is
// lost with the stream.
class RecordPump {
 public:
  static constexpr uint64_t kWindow = 512;  // records
  // The rest of a message is for what surrounds the records.
  static constexpr size_t kMaxBatchBytes = kMaxRecordMessageBytes - 4096;
  static constexpr absl::Duration kStuck = absl::Seconds(60);

  RecordPump(const Environment* environment, Session* session);

  void Add(std::shared_ptr<Outbox> outbox);
  void Remove(const LeaseKey& key);
  // Sends every record that may be sent, after the work that waits on the sequence: what that work
  // adds travels along.
  void Pump();

 private:
  void Send();
  bool AnySendable() const;
  v1::StreamRecordsRequest NextBatch(uint64_t room);
  void Open();
  void OnAnswer(uint64_t stream, const v1::StreamRecordsResponse& answer);
  void OnEnd(uint64_t stream, uint64_t registration, const absl::Status& status);
  void DropStream();
  void WatchProgress();
  uint64_t Unacknowledged() const;
  void BlameTheOnlyRecord(const absl::Status& status);

  const Environment* const environment_;
  Session* const session_;
  CallbackOwner callbacks_;
  std::map<LeaseKey, std::shared_ptr<Outbox>> outboxes_;
  LeaseKey last_served_;
  bool pumping_ = false;  // Send waits on the sequence
  std::unique_ptr<RecordStream> stream_;
  bool introduced_ = false;     // the stream knows the worker's id
  uint64_t stream_number_ = 0;  // answers of earlier streams are void
  uint64_t stream_registration_ = 0;
  bool one_at_a_time_ = false;
  bool waiting_for_registration_ = false;
  Backoff backoff_;
  Timer retry_;
  Timer stuck_;
};

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_RECORD_PUMP_H_
