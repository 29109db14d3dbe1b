#ifndef COPPICE_WORKER_PROGRAM_POSIX_LAUNCHER_H_
#define COPPICE_WORKER_PROGRAM_POSIX_LAUNCHER_H_

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "worker/program/oom_kills.h"
#include "worker/program/process_launcher.h"

namespace coppice::worker {

// Real processes. Owner: main. Thread-safe.
// One thread forks, polls the pipes and reaps. It lives as long as the launcher, because the
// kernel's parent-death signal follows the thread that forked, not its process. (The signal is
// SIGKILL, so that no trainer outlives a killed daemon.)
//   1. Start: fork, own process group, stdin from /dev/null, pipes for stdout and stderr, default
//      signals, exec.
//   2. Output goes to the callbacks in pieces. The first kMaxLogFileBytes of stderr also go to the
//      log file.
//   3. When the process has exited, the rest of its group gets SIGKILL (for a foreign program,
//   every
//      process that has its mark, after a moment), the pipes are read to their end, the process is
//      reaped, and on_exit is called. If a process was killed while the kernel's count of
//      out-of-memory kills grew, it counts as one of them: such a kill leaves no other trace.
// Destruction kills every process with SIGKILL and calls no more callbacks.
class PosixLauncher : public ProcessLauncher {
 public:
  static constexpr size_t kMaxLogFileBytes = 64 << 20;

  using OomCounter = std::function<std::optional<uint64_t>()>;
  static absl::StatusOr<std::unique_ptr<PosixLauncher>> Create(OomCounter oom_kills = &OomKills);
  ~PosixLauncher() override;

  std::unique_ptr<Process> Start(ProcessCommand command, ProcessCallbacks callbacks) override;
  // Sends SIGKILL to every group at once, on the calling thread, for an exit that waits for
  // nothing.
  void KillAll();

 private:
  class Handle;
  struct Child;
  // State that the handles share with the thread. It outlives the launcher if a handle does.
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
  std::vector<std::shared_ptr<Child>> children_;  // used by the thread alone
  std::thread thread_;
};

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_PROGRAM_POSIX_LAUNCHER_H_
