#ifndef COPPICE_WORKER_DAEMON_REPORT_PUMP_H_
#define COPPICE_WORKER_DAEMON_REPORT_PUMP_H_

#include <cstdint>
#include <map>
#include <memory>

#include "common/base/backoff.h"
#include "worker/daemon/coordinator_client.h"
#include "worker/daemon/lease_reporter.h"
#include "worker/daemon/sequence.h"
#include "worker/daemon/session.h"

namespace coppice::worker {

// Purpose: one stream for the reports of every lease. It opens when there is something to send,
// keeps at most kWindow messages unacknowledged, and serves the leases in turn. When the stream
// ends, everything unacknowledged is sent again, in order, on the next one. A stream that
// acknowledges nothing for kStuck is given up.
// Owner: the Agent. It lives on the agent's sequence. The reporters keep the records, so nothing is
// lost with the stream.
class ReportPump {
 public:
  static constexpr uint64_t kWindow = 256;
  static constexpr absl::Duration kStuck = absl::Seconds(60);

  ReportPump(const Environment* environment, Session* session);

  void Add(std::shared_ptr<LeaseReporter> reporter);
  void Remove(const LeaseKey& key);
  // Sends every message that may be sent now.
  void Pump();

 private:
  void Open();
  void OnAnswer(uint64_t stream, const v1::StreamMetricsResponse& answer);
  void OnEnd(uint64_t stream, uint64_t registration, const absl::Status& status);
  void DropStream();
  uint64_t Unacknowledged() const;
  void BlameTheOnlyMessage(const absl::Status& status);
  LeaseReporter* NextReporter();

  const Environment* const environment_;
  Session* const session_;
  CallbackOwner callbacks_;
  std::map<LeaseKey, std::shared_ptr<LeaseReporter>> reporters_;
  LeaseKey last_served_ = {0, 0};
  std::unique_ptr<ReportStream> stream_;
  uint64_t stream_number_ = 0;  // answers of earlier streams are void
  uint64_t stream_registration_ = 0;
  bool one_at_a_time_ = false;
  bool waiting_for_registration_ = false;
  Backoff backoff_;
  Timer retry_;
  Timer stuck_;
};

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_REPORT_PUMP_H_
