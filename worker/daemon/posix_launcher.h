#ifndef COPPICE_WORKER_DAEMON_POSIX_LAUNCHER_H_
#define COPPICE_WORKER_DAEMON_POSIX_LAUNCHER_H_

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "worker/daemon/oom_kills.h"
#include "worker/daemon/process_launcher.h"

namespace coppice::worker {

// Real processes. Owned by main. Thread-safe.
// One thread forks, polls the pipes and reaps. It lives as long as the launcher, because the
// kernel's parent-death signal (SIGKILL, so that no trainer outlives a daemon that was killed)
// follows the thread that forked, not its process.
//   1. fork, own process group, stdin from /dev/null, pipes for stdout and stderr, default signals,
//   exec;
//   2. pieces of output to the callbacks, stderr also to the log file (its first kMaxLogBytes);
//   3. when the process has exited: what is left in the pipes, SIGKILL to what is left of its
//   group, reap, on_exit. A process that was killed while the kernel's count of kills for want of
//   memory grew is taken for one of them: what killed it leaves no other trace.
// Destruction kills every process with SIGKILL and gives no more callbacks. Needs Linux 5.3
// (pidfd_open).
class PosixLauncher : public ProcessLauncher {
 public:
  static constexpr size_t kMaxLogBytes = 64 << 20;

  using OomCounter = std::function<std::optional<uint64_t>()>;
  static absl::StatusOr<std::unique_ptr<PosixLauncher>> Create(OomCounter oom_kills = &OomKills);
  ~PosixLauncher() override;

  std::unique_ptr<Process> Start(ProcessCommand command, ProcessCallbacks callbacks) override;
  // SIGKILL to every group, at once, on the calling thread: for an exit that waits for nothing.
  void KillAll();

 private:
  class Handle;
  struct Child;
  // What the handles share with the thread; outlives the launcher when a handle does.
  class Inbox;

  explicit PosixLauncher(OomCounter oom_kills);
  void Run();
  void Spawn(const std::shared_ptr<Child>& child);
  void Poll();
  void OnReadable(Child* child, Process::Pipe pipe);
  void OnExited(const std::shared_ptr<Child>& child);
  void FinishIfDrained(const std::shared_ptr<Child>& child);

  const OomCounter oom_kills_;
  std::shared_ptr<Inbox> inbox_;
  std::vector<std::shared_ptr<Child>> children_;  // of the thread
  std::thread thread_;
};

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_POSIX_LAUNCHER_H_
