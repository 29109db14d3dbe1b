// Shows a sweep while it runs: redrawn in place on a terminal, one line a change in a pipe.
#ifndef COPPICE_CLI_FOLLOW_H_
#define COPPICE_CLI_FOLLOW_H_

#include <ostream>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "cli/sweep_model.h"
#include "cli/terminal.h"
#include "common/base/clock.h"

namespace coppice::cli {

// Feed it every update of WatchSweep. Draws at most ten times a second; the coordinator's summary,
// once a second, shows what was left out. Not thread-safe.
class SweepFollower {
 public:
  SweepFollower(std::ostream& out, Terminal terminal, Clock* clock)
      : out_(out), terminal_(terminal), clock_(clock), block_(out, terminal) {}

  // Starts, or starts over after a reconnection, from a model loaded anew.
  void Start(SweepModel model);
  void Update(const v1::WatchSweepResponse& update);
  // A line of its own above the display, e.g. a warning.
  void Note(const std::string& line);
  // Takes the display away.
  void Stop();

  const SweepModel& model() const { return model_; }

 private:
  void Draw(bool now);
  void TellProgress();

  std::ostream& out_;
  Terminal terminal_;
  Clock* const clock_;
  LiveBlock block_;
  SweepModel model_;
  bool started_ = false;
  absl::Duration drawn_at_ = -absl::InfiniteDuration();
  int told_tenths_ = -1;
};

}  // namespace coppice::cli

#endif  // COPPICE_CLI_FOLLOW_H_
