#ifndef COPPICE_WORKER_DAEMON_LOG_FORWARDER_H_
#define COPPICE_WORKER_DAEMON_LOG_FORWARDER_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/strings/string_view.h"
#include "worker/daemon/sequence.h"

namespace coppice::worker {

// Passes a trainer's stderr on in a bounded amount: the first kLiveBytes as they come (gathered for
// kDelay or up to kPieceBytes), after that only the last kTailBytes at the end, with a line that
// says how much lies between. The whole text is in the log file. Owned by a PackRun; lives on the
// agent's sequence.
class LogForwarder {
 public:
  static constexpr size_t kLiveBytes = 192 << 10;
  static constexpr size_t kTailBytes = 64 << 10;
  static constexpr size_t kPieceBytes = 16 << 10;
  static constexpr absl::Duration kDelay = absl::Seconds(1);

  LogForwarder(const Environment* environment, std::function<void(const std::string&)> forward);

  void Add(absl::string_view text);
  // Forwards what is gathered now, so that it stands before what is reported next.
  void Flush();
  // The end of the text: also the tail.
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
