#include "worker/daemon/record_pump.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "common/base/logging.h"
#include "common/base/retry_after.h"

namespace coppice::worker {

RecordPump::RecordPump(const Environment* environment, Session* session)
    : environment_(environment),
      session_(session),
      callbacks_(environment->main),
      backoff_(absl::Milliseconds(200), absl::Seconds(5), environment->entropy()),
      retry_(environment),
      stuck_(environment) {}

void RecordPump::Add(std::shared_ptr<Outbox> outbox) {
  const LeaseKey key = outbox->key();
  outboxes_[key] = std::move(outbox);
}

void RecordPump::Remove(const LeaseKey& key) {
  outboxes_.erase(key);
  // Its unacknowledged records are gone, which made room in the window.
  Pump();
}

uint64_t RecordPump::Unacknowledged() const {
  uint64_t sum = 0;
  for (const auto& [key, outbox] : outboxes_) sum += outbox->sent();
  return sum;
}

bool RecordPump::AnySendable() const {
  return std::any_of(outboxes_.begin(), outboxes_.end(),
                     [](const auto& entry) { return entry.second->NextToSend() != nullptr; });
}

void RecordPump::Pump() {
  if (std::exchange(pumping_, true)) return;
  environment_->main(callbacks_.Bind([this] {
    pumping_ = false;
    Send();
  }));
}

void RecordPump::Send() {
  if (retry_.running()) return;
  // A stream of an earlier registration names a worker that the coordinator no longer knows.
  const bool current = session_->registered() && stream_registration_ == session_->registration();
  if (stream_ != nullptr && !current) DropStream();
  if (stream_ == nullptr && AnySendable()) Open();
  if (stream_ == nullptr) return;
  const uint64_t window = one_at_a_time_ ? 1 : kWindow;
  for (uint64_t unacknowledged = Unacknowledged(); unacknowledged < window;) {
    v1::StreamRecordsRequest batch = NextBatch(window - unacknowledged);
    if (batch.records().empty()) break;
    unacknowledged += static_cast<uint64_t>(batch.records_size());
    if (!std::exchange(introduced_, true)) batch.set_worker_id(session_->worker_id());
    stream_->Send(std::move(batch));
  }
  WatchProgress();
}

v1::StreamRecordsRequest RecordPump::NextBatch(uint64_t room) {
  v1::StreamRecordsRequest batch;
  std::vector<Outbox*> turn;  // those after the last served come first
  const auto add = [&turn](const auto& entry) {
    if (entry.second->NextToSend() != nullptr) turn.push_back(entry.second.get());
  };
  const auto first = outboxes_.upper_bound(last_served_);
  std::for_each(first, outboxes_.end(), add);
  std::for_each(outboxes_.begin(), first, add);
  const int most = static_cast<int>(std::min<uint64_t>(room, kMaxRecordsInMessage));
  size_t bytes = 0;
  while (!turn.empty()) {
    std::vector<Outbox*> next_turn;
    for (Outbox* outbox : turn) {
      const v1::AttemptRecord* record = outbox->NextToSend();
      bytes += record->ByteSizeLong();
      // A record over the limit travels alone, and is refused.
      const bool full = batch.records_size() == most || bytes > kMaxBatchBytes;
      if (full && batch.records_size() > 0) return batch;
      *batch.add_records() = *record;
      outbox->MarkSent();
      last_served_ = outbox->key();
      if (outbox->NextToSend() != nullptr) next_turn.push_back(outbox);
    }
    turn = std::move(next_turn);
  }
  return batch;
}

void RecordPump::WatchProgress() {
  if (Unacknowledged() == 0) {
    stuck_.Stop();
  } else if (!stuck_.running()) {
    stuck_.Start(kStuck, [this] {
      OnEnd(stream_number_, stream_registration_,
            absl::DeadlineExceededError("records were not acknowledged in time"));
    });
  }
}

void RecordPump::Open() {
  if (!session_->registered()) {
    if (waiting_for_registration_) return;
    waiting_for_registration_ = true;
    session_->WhenRegistered(callbacks_.Bind([this] {
      waiting_for_registration_ = false;
      Pump();
    }));
    return;
  }
  const uint64_t number = ++stream_number_;
  stream_registration_ = session_->registration();
  introduced_ = false;
  stream_ = environment_->coordinator->OpenRecords(
      callbacks_.Bind(
          [this, number](const v1::StreamRecordsResponse& answer) { OnAnswer(number, answer); }),
      callbacks_.Bind([this, number, registration = stream_registration_](absl::Status status) {
        OnEnd(number, registration, status);
      }));
}

void RecordPump::OnAnswer(uint64_t stream, const v1::StreamRecordsResponse& answer) {
  if (stream != stream_number_ || stream_ == nullptr) return;
  backoff_.Reset();
  stuck_.Stop();
  one_at_a_time_ = false;
  bool refused = false;
  for (const v1::AttemptAnswer& entry : answer.answers()) {
    refused = refused || entry.has_refusal();
    const auto it = outboxes_.find(KeyOf(entry.lease()));
    if (it == outboxes_.end()) continue;
    // The answer may end the attempt and with it the entry here.
    const std::shared_ptr<Outbox> outbox = it->second;
    outbox->OnAnswer(entry);
  }
  if (refused) DropStream();
  Pump();
}

void RecordPump::OnEnd(uint64_t stream, uint64_t registration, const absl::Status& status) {
  if (stream != stream_number_ || stream_ == nullptr) return;
  if (absl::IsInvalidArgument(status) && registration == session_->registration()) {
    if (one_at_a_time_ && Unacknowledged() == 1) BlameTheOnlyRecord(status);
    one_at_a_time_ = true;
  }
  DropStream();
  if (absl::IsNotFound(status)) session_->WorkerUnknown(registration);
  spdlog::debug("the stream of records ended: {}", status.ToString());
  retry_.Start(std::max(backoff_.Next(), RetryAfter(status)), [this] { Send(); });
}

void RecordPump::BlameTheOnlyRecord(const absl::Status& status) {
  for (const auto& [key, entry] : outboxes_) {
    if (entry->sent() == 0) continue;
    // The answer may end the attempt and with it the entry here.
    const std::shared_ptr<Outbox> outbox = entry;
    v1::AttemptAnswer answer;
    answer.set_number(outbox->acknowledged());
    answer.mutable_refusal()->set_code(static_cast<uint32_t>(status.code()));
    answer.mutable_refusal()->set_message(std::string(status.message()));
    return outbox->OnAnswer(answer);
  }
}

void RecordPump::DropStream() {
  stream_.reset();
  stuck_.Stop();
  for (const auto& [key, outbox] : outboxes_) outbox->OnStreamLost();
}

}  // namespace coppice::worker
