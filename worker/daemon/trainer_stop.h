#ifndef COPPICE_WORKER_DAEMON_TRAINER_STOP_H_
#define COPPICE_WORKER_DAEMON_TRAINER_STOP_H_

#include <string>

#include "absl/time/time.h"
#include "worker/daemon/sequence.h"
#include "worker/program/process_launcher.h"

namespace coppice::worker {

// Purpose: the only place that signals a trainer.
// Owner: a PackRun. It lives on the agent's sequence. Destruction kills a trainer that still runs.
//
//   request       SIGTERM                      SIGKILL
//   AskToEnd(t)   now, at the first request    t from now, unless an earlier time is set
//   Kill          never                        now
//
// Nothing is sent before Watch, or after OnExit.
class TrainerStop {
 public:
  TrainerStop(const Environment* environment, std::string name)
      : clock_(environment->clock), name_(std::move(name)), timer_(environment) {}
  ~TrainerStop() { Kill(); }
  TrainerStop(const TrainerStop&) = delete;
  TrainerStop& operator=(const TrainerStop&) = delete;

  // A worker that ends in `grace` kills its trainers earlier: the release of their members takes a
  // moment, too.
  static absl::Duration TimeWithin(absl::Duration grace);

  // `process` stays valid until OnExit or the end of this object.
  void Watch(Process* process) { process_ = process; }
  void AskToEnd(absl::Duration within);
  void Kill();
  void OnExit();

 private:
  Clock* const clock_;
  const std::string name_;
  Process* process_ = nullptr;
  bool asked_ = false;
  absl::Duration deadline_ = absl::InfiniteDuration();  // monotonic
  Timer timer_;
};

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_TRAINER_STOP_H_
