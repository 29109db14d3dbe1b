#include "worker/daemon/report_pump.h"

#include <utility>

#include "common/base/logging.h"

namespace coppice::worker {

ReportPump::ReportPump(const Environment* environment, Session* session)
    : environment_(environment),
      session_(session),
      callbacks_(environment->main),
      backoff_(absl::Milliseconds(200), absl::Seconds(5), environment->entropy()),
      retry_(environment),
      stuck_(environment) {}

void ReportPump::Add(std::shared_ptr<LeaseReporter> reporter) {
  const LeaseKey key = reporter->key();
  reporters_[key] = std::move(reporter);
}

void ReportPump::Remove(const LeaseKey& key) {
  reporters_.erase(key);
  // Its unacknowledged messages are gone, which made room in the window.
  Pump();
}

uint64_t ReportPump::Unacknowledged() const {
  uint64_t sum = 0;
  for (const auto& [key, reporter] : reporters_) sum += reporter->unacknowledged();
  return sum;
}

LeaseReporter* ReportPump::NextReporter() {
  auto it = reporters_.upper_bound(last_served_);
  for (size_t i = 0; i < reporters_.size(); ++i, ++it) {
    if (it == reporters_.end()) it = reporters_.begin();
    if (it->second->NextToSend() == nullptr) continue;
    last_served_ = it->first;
    return it->second.get();
  }
  return nullptr;
}

void ReportPump::Pump() {
  if (retry_.running()) return;
  if (stream_ != nullptr && stream_registration_ != session_->registration()) DropStream();
  if (stream_ == nullptr) {
    if (NextReporter() != nullptr) Open();
    if (stream_ == nullptr) return;
  }
  uint64_t unacknowledged = Unacknowledged();
  while (unacknowledged < (one_at_a_time_ ? 1 : kWindow)) {
    LeaseReporter* reporter = NextReporter();
    if (reporter == nullptr) break;
    v1::StreamMetricsRequest message = *reporter->NextToSend();
    message.set_worker_id(session_->worker_id());
    reporter->MarkSent();
    ++unacknowledged;
    stream_->Send(message);
  }
  if (unacknowledged == 0) {
    stuck_.Stop();
  } else if (!stuck_.running()) {
    stuck_.Start(kStuck, [this] {
      OnEnd(stream_number_, stream_registration_,
            absl::DeadlineExceededError("reports were not acknowledged in time"));
    });
  }
}

void ReportPump::Open() {
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
  stream_ = environment_->coordinator->OpenReports(
      callbacks_.Bind(
          [this, number](v1::StreamMetricsResponse answer) { OnAnswer(number, answer); }),
      callbacks_.Bind([this, number, registration = stream_registration_](absl::Status status) {
        OnEnd(number, registration, status);
      }));
}

void ReportPump::OnAnswer(uint64_t stream, const v1::StreamMetricsResponse& answer) {
  if (stream != stream_number_ || stream_ == nullptr) return;
  backoff_.Reset();
  stuck_.Stop();
  one_at_a_time_ = false;
  const auto it = reporters_.find(KeyOf(answer.lease()));
  if (it != reporters_.end()) {
    // The answer may end the lease and with it the entry here.
    const std::shared_ptr<LeaseReporter> reporter = it->second;
    reporter->OnAnswer(answer);
  }
  Pump();
}

void ReportPump::OnEnd(uint64_t stream, uint64_t registration, const absl::Status& status) {
  if (stream != stream_number_ || stream_ == nullptr) return;
  if (absl::IsInvalidArgument(status) && registration == session_->registration()) {
    if (one_at_a_time_ && Unacknowledged() == 1) BlameTheOnlyMessage(status);
    one_at_a_time_ = true;
  }
  DropStream();
  if (absl::IsNotFound(status)) session_->WorkerUnknown(registration);
  spdlog::debug("the stream of reports ended: {}", status.ToString());
  retry_.Start(backoff_.Next(), [this] { Pump(); });
}

void ReportPump::BlameTheOnlyMessage(const absl::Status& status) {
  for (const auto& [key, entry] : reporters_) {
    if (entry->unacknowledged() == 0) continue;
    v1::StreamMetricsResponse refusal;
    *refusal.mutable_lease() = entry->lease().lease();
    refusal.set_error(std::string(status.message()));
    // The answer may end the lease and with it the entry here.
    const std::shared_ptr<LeaseReporter> reporter = entry;
    return reporter->OnAnswer(refusal);
  }
}

void ReportPump::DropStream() {
  stream_.reset();
  stuck_.Stop();
  for (const auto& [key, reporter] : reporters_) reporter->OnStreamLost();
}

}  // namespace coppice::worker
