#ifndef COPPICE_WORKER_DAEMON_RESUME_CHECK_H_
#define COPPICE_WORKER_DAEMON_RESUME_CHECK_H_

#include <functional>
#include <optional>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "coppice/v1/coordinator.pb.h"
#include "worker/daemon/checkpoint_place.h"
#include "worker/daemon/sequence.h"
#include "worker/daemon/session.h"

namespace coppice::worker {

// Purpose: finds the checkpoint that a member resumes from. If the folder is not shared, the file
// is fetched. Its digest is checked. A bad checkpoint is rejected, and the one that the coordinator
// names instead is tried.
// In a scratch folder, the lease gives the file a name of its own: the attempt that left it there
// may end at any time, and its folder is removed with it.
// Owner: a PackRun. It lives on the agent's sequence. Destruction ends it without `done`.
// Codes given to `done`: OK: `resume` is on disk and whole, or unset (from step 0). ABORTED: the
// lease is over. Any other code is a fault of this machine (an unreadable disk, a missing folder),
// for which no checkpoint is rejected.
class ResumeCheck {
 public:
  using Done = std::function<void(absl::Status, std::optional<v1::Checkpoint> resume)>;

  ResumeCheck(const Environment* environment, Session* session, const CheckpointPlace& place,
              const v1::Lease& lease, Done done);
  ~ResumeCheck();
  ResumeCheck(const ResumeCheck&) = delete;
  ResumeCheck& operator=(const ResumeCheck&) = delete;

  void Start() { Check(); }
  // The path of the checkpoint that `done` was given.
  std::string file() const;

 private:
  void Check();
  void OnChecked(const absl::Status& status);
  void Download();
  void Reject(const std::string& reason);
  void Finish(absl::Status status);

  const Environment* const environment_;
  Session* const session_;
  const CheckpointPlace place_;
  const v1::LeaseRef lease_;
  const std::string checkpoint_dir_;  // of the lease, relative
  const Done done_;
  CallbackOwner callbacks_;
  std::optional<v1::Checkpoint> resume_;
  std::set<std::string> rejected_;  // paths
  bool downloaded_ = false;         // the present checkpoint
  Session::CallId call_ = 0;
};

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_RESUME_CHECK_H_
