#ifndef COPPICE_WORKER_DAEMON_STALL_WATCH_H_
#define COPPICE_WORKER_DAEMON_STALL_WATCH_H_

#include <functional>

#include "absl/time/time.h"
#include "worker/daemon/sequence.h"

namespace coppice::worker {

// Purpose: detects a stalled trainer. Owner: a PackRun. It lives on the agent's sequence. Call
// Start, then GotOn for each sign of progress, until Stop or `on_stalled`.
//
// A limit that was set holds. Otherwise the limit follows the trainer's own pace: twenty times the
// longest pause so far, but at least ten minutes. Before the first sign it is an hour, because data
// are prepared then. Time counts only while this process runs: a suspended machine, or a job whose
// processes are all frozen, does not make a trainer stalled.
class StallWatch {
 public:
  static constexpr absl::Duration kShortest = absl::Minutes(10);
  static constexpr absl::Duration kFirst = absl::Hours(1);
  static constexpr int kPauses = 20;

  // `limit`: zero if none is set.
  StallWatch(const Environment* environment, absl::Duration limit);

  void Start(std::function<void()> on_stalled);
  void GotOn();
  void Stop();

  bool running() const { return running_; }
  // Time since the last sign of progress, without the time in which this process did not run.
  absl::Duration silence() const;
  absl::Duration limit() const;
  // Time between the last two signs; zero before the second.
  absl::Duration last_pause() const { return last_pause_; }

 private:
  absl::Duration Period() const;
  void Tick();
  absl::Duration Passed() const;  // since the last tick

  Clock* const clock_;
  const absl::Duration set_limit_;
  std::function<void()> on_stalled_;
  bool running_ = false;
  bool got_on_ = false;
  absl::Duration counted_;  // the silence up to the last tick
  absl::Duration ticked_at_;
  absl::Duration period_;  // from ticked_at_ to the next tick
  absl::Duration longest_pause_;
  absl::Duration last_pause_;
  Timer timer_;
};

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_STALL_WATCH_H_
