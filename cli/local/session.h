#ifndef COPPICE_CLI_LOCAL_SESSION_H_
#define COPPICE_CLI_LOCAL_SESSION_H_

#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "cli/client.h"
#include "cli/extension.h"
#include "cli/follow.h"
#include "coppice/v1/coordinator.pb.h"

namespace coppice::cli {

// Submits a sweep and follows it on a thread of its own. The owner polls fd() and takes the events.
// Thread-safe.
//   1. Constructed: it submits.
//   2. If the coordinator has the sweep with another spec, one event with `extending`, the plan
//   that
//      makes it this one. If nothing forbids it, that is done next.
//   3. One event with `submitted`.
//   4. Events with `news` of the sweep.
//   5. One event with `ended`, the last.
class Session {
 public:
  struct Event {
    std::optional<PlannedExtension> extending;
    std::optional<absl::StatusOr<v1::SubmitSweepResponse>> submitted;
    std::optional<SweepNews> news;
    std::optional<absl::Status> ended;
  };

  // `client` must outlive it. `pack_width` is for the plan in the answer. With `retry`, failed and
  // cancelled jobs of an earlier run are queued again.
  Session(Client* client, v1::SweepSpec spec, uint32_t pack_width, bool retry);
  // Cancels the client's calls and waits for the thread.
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Readable when there are events.
  int fd() const { return fd_; }
  std::vector<Event> Take();

 private:
  void Run();
  absl::StatusOr<v1::SubmitSweepResponse> Submit();
  // ALREADY_EXISTS: the plan has what forbids it.
  absl::StatusOr<v1::SubmitSweepResponse> Extend();
  void Push(Event event);

  Client* const client_;
  const v1::SweepSpec spec_;
  const uint32_t pack_width_;
  const bool retry_;
  const int fd_;
  absl::Mutex mutex_;
  std::vector<Event> events_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace coppice::cli

#endif  // COPPICE_CLI_LOCAL_SESSION_H_
