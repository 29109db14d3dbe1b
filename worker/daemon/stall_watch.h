#ifndef COPPICE_WORKER_DAEMON_STALL_WATCH_H_
#define COPPICE_WORKER_DAEMON_STALL_WATCH_H_

#include <functional>

#include "absl/time/time.h"
#include "worker/daemon/sequence.h"

namespace coppice::worker {

// Purpose: notices that a trainer does not get on any more. Owned by a PackRun; lives on the
// agent's sequence. Start, then GotOn for each sign of progress, until Stop or `on_stalled`.
//
// The limit is the one that was set. Where none was, it comes from the trainer's own pace: twenty
// times the longest pause so far, at least ten minutes, and an hour before the first sign, because
// data are made then. Time counts only while this process gets it: a machine that is suspended, or
// a job whose processes are all frozen, is not taken for a trainer that hangs.
class StallWatch {
 public:
  static constexpr absl::Duration kShortest = absl::Minutes(10);
  static constexpr absl::Duration kFirst = absl::Hours(1);
  static constexpr int kPauses = 20;

  // `limit`: zero for none.
  StallWatch(const Environment* environment, absl::Duration limit);

  void Start(std::function<void()> on_stalled);
  void GotOn();
  void Stop();

  bool running() const { return running_; }
  // Since the last sign of progress, as far as this process was there to see it.
  absl::Duration silence() const;
  absl::Duration limit() const;
  // Between the last two signs; zero before there were two.
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
  absl::Duration counted_;  // of the silence, up to the last tick
  absl::Duration ticked_at_;
  absl::Duration period_;  // of the tick that is awaited
  absl::Duration longest_pause_;
  absl::Duration last_pause_;
  Timer timer_;
};

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_STALL_WATCH_H_
