#ifndef COPPICE_WORKER_DAEMON_LOG_FORWARDER_H_
#define COPPICE_WORKER_DAEMON_LOG_FORWARDER_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/strings/string_view.h"
#include "worker/daemon/sequence.h"

namespace coppice::worker {

// Forwards a bounded amount of a trainer's stderr. The first kLiveBytes go out live, gathered for
// kDelay or up to kPieceBytes. Of the text after them, only the last kTailBytes are forwarded, at
// the end, behind a line that says how much was left out. The log file has the whole text. Owner: a
// PackRun. It lives on the agent's sequence.
class LogForwarder {
 public:
  static constexpr size_t kLiveBytes = 192 << 10;
  static constexpr size_t kTailBytes = 64 << 10;
  static constexpr size_t kPieceBytes = 16 << 10;
  static constexpr absl::Duration kDelay = absl::Seconds(1);

  LogForwarder(const Environment* environment, std::function<void(const std::string&)> forward);

  void Add(absl::string_view text);
  // Forwards the gathered text now, so that it precedes the next report.
  void Flush();
  // Ends the text and forwards the tail.
  void Finish();
  // The last kTailBytes at most, forwarded or not.
  const std::string& tail() const { return tail_; }

 private:
  const std::function<void(const std::string&)> forward_;
  Timer timer_;
  std::string gathered_;
  std::string tail_;
  uint64_t forwarded_ = 0;
  uint64_t held_back_ = 0;
};

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_LOG_FORWARDER_H_
