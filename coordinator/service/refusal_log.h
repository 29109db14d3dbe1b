#ifndef COPPICE_COORDINATOR_SERVICE_REFUSAL_LOG_H_
#define COPPICE_COORDINATOR_SERVICE_REFUSAL_LOG_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "common/base/clock.h"
#include "coordinator/service/connection_guard.h"

namespace coppice::service {

// Purpose: logs refused calls and their peers, in one line at most every few seconds, so that
// guesses at tokens cannot fill the disk. gRPC does not give the authenticator a call's peer. The
// address is therefore that of the connection on which, by the transport's counters, a call began
// last. If calls begin on two connections in the same instant, it may be that of the other. It is
// looked up a few times a second, among the connections that were opened last. Owner: Server.
// Thread-safe; a lookup takes about a millisecond. No failure codes.
class RefusalLog {
 public:
  explicit RefusalLog(Clock* clock) : clock_(clock) {}
  // Before this call no address is known.
  void Watch(std::unique_ptr<TransportView> view);
  // `token`: the token's name; empty: an unknown token.
  void Refused(const absl::Status& why, absl::string_view method, absl::string_view token);

 private:
  std::string FindPeer() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::string TakePeers(const std::string& but) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Clock* const clock_;
  absl::Mutex mutex_;
  std::unique_ptr<TransportView> view_ ABSL_GUARDED_BY(mutex_);
  std::map<int64_t, std::string> newest_ ABSL_GUARDED_BY(mutex_);  // peers by connection id
  std::optional<absl::Duration> looked_up_at_ ABSL_GUARDED_BY(mutex_);
  std::optional<absl::Duration> logged_ ABSL_GUARDED_BY(mutex_);
  uint64_t unlogged_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, uint64_t> peers_ ABSL_GUARDED_BY(mutex_);  // since the last line; sampled
};

}  // namespace coppice::service

#endif  // COPPICE_COORDINATOR_SERVICE_REFUSAL_LOG_H_
