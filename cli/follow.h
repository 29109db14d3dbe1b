// Shows a sweep while it runs: redrawn in place on a terminal, one line a change in a pipe.
#ifndef COPPICE_CLI_FOLLOW_H_
#define COPPICE_CLI_FOLLOW_H_

#include <functional>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cli/sweep_model.h"
#include "cli/terminal.h"
#include "common/base/clock.h"

namespace coppice::cli {

// What a follower learns, in this order where several are set.
struct SweepNews {
  std::optional<SweepModel> model;  // everything anew: at the start and after each reconnection
  std::vector<v1::Job> refreshed;   // jobs listed again, for their steps and metrics
  std::optional<v1::WatchSweepResponse> update;
};

// WatchSweep with what its stream leaves out: the model to start from and, as the sweep goes on,
// the metrics of running and just ended jobs. Calls `tell` on the caller's thread, until
// it returns false. Ends and fails like Client::WatchSweep.
absl::Status FollowSweep(Client* client, const std::string& sweep, absl::Duration patience,
                         const std::function<bool(SweepNews)>& tell);

// Draws at most ten times a second; the coordinator's summary,
// once a second, shows what was left out. Not thread-safe.
class SweepFollower {
 public:
  SweepFollower(std::ostream& out, Terminal terminal, Clock* clock)
      : out_(out), terminal_(terminal), clock_(clock), block_(out, terminal) {}

  void Take(SweepNews news);
  // To be called once a second or so, and when the window may have another size: turns the page of
  // a sweep that does not fit, and draws anew where something would look different.
  void Tick();
  // A line of its own above the display, e.g. a warning.
  void Note(const std::string& line);
  // Takes the display away.
  void Stop();

  const SweepModel& model() const { return model_; }

 private:
  void Update(const v1::WatchSweepResponse& update);
  void Draw(bool now);
  bool Resized();
  size_t Page() const;
  void TellProgress();

  std::ostream& out_;
  Terminal terminal_;
  Clock* const clock_;
  LiveBlock block_;
  SweepModel model_;
  bool started_ = false;
  absl::Duration drawn_at_ = -absl::InfiniteDuration();
  size_t drawn_page_ = 0;
  int told_tenths_ = -1;
};

}  // namespace coppice::cli

#endif  // COPPICE_CLI_FOLLOW_H_
