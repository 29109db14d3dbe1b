// Shows a running sweep: redrawn in place on a terminal, one line a change in a pipe.
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

// An update for the follower. If several fields are set, they apply in this order.
struct SweepNews {
  std::optional<SweepModel> model;  // everything anew: at the start and after each reconnection
  std::vector<v1::Job> refreshed;   // jobs listed again, for their steps and metrics
  std::optional<v1::WatchSweepResponse> update;
};

// WatchSweep, plus what its stream leaves out: the initial model, and the metrics of running and
// just ended jobs as the sweep goes on. Calls `tell` on the caller's thread until it returns false.
// Ends and fails like Client::WatchSweep.
absl::Status FollowSweep(Client* client, const std::string& sweep, absl::Duration patience,
                         const std::function<bool(SweepNews)>& tell);

// Draws at most ten times a second. Skipped changes show with the coordinator's next summary, which
// comes once a second. Not thread-safe.
class SweepFollower {
 public:
  SweepFollower(std::ostream& out, Terminal terminal, Clock* clock)
      : out_(out), terminal_(terminal), clock_(clock), block_(out, terminal) {}

  void Take(SweepNews news);
  // Call this about once a second, and when the window's size may have changed. Turns the page of a
  // sweep that does not fit, and redraws if the display would change.
  void Tick();
  // Prints a line above the display, such as a warning.
  void Note(const std::string& line);
  // Removes the display.
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
  int printed_tenths_ = -1;
};

}  // namespace coppice::cli

#endif  // COPPICE_CLI_FOLLOW_H_
