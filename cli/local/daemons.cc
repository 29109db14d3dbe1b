#include "cli/local/daemons.h"

#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"

namespace coppice::cli {
namespace {

constexpr absl::Duration kStartTimeout = absl::Minutes(2);
// A preempted trainer has 30 seconds to checkpoint; its worker needs some more to report it.
constexpr absl::Duration kWorkerGrace = absl::Seconds(45);
constexpr absl::Duration kCoordinatorGrace = absl::Seconds(20);
constexpr size_t kTailLines = 12;
// A person watches a few workers, so speed and steps should arrive once a second.
constexpr char kHeartbeat[] = "1s";
constexpr char kPortFile[] = "coordinator.port";
constexpr char kAccessFile[] = "access.json";

}  // namespace

absl::Status DeathOf(const Child& child, const ChildExit& exit) {
  const std::string tail = Tail(child.log(), kTailLines);
  return absl::InternalError(
      absl::StrCat(child.name(), " ", exit.Describe(), "; ",
                   tail.empty() ? absl::StrCat("its log ", child.log(), " is empty")
                                : absl::StrCat("the end of its log ", child.log(), ":\n  ",
                                               absl::StrReplaceAll(tail, {{"\n", "\n  "}}))));
}

std::string Daemons::LogPath(const std::string& name) const {
  return absl::StrCat(paths_.run, "/logs/", name, ".log");
}

absl::StatusOr<std::string> Daemons::StartCoordinator() {
  COPPICE_ASSIGN_OR_RETURN(const auto port_file, FileArrival::Of(paths_.run, kPortFile));
  COPPICE_ASSIGN_OR_RETURN(
      coordinator_, Child::Start("coppice-coordinator",
                                 {JoinPath(paths_.binaries, "coppice-coordinator"), "--data-dir",
                                  JoinPath(paths_.run, "coordinator"), "--checkpoint-dir",
                                  JoinPath(paths_.run, "checkpoints"), "--access", AccessPath(),
                                  "--listen", "127.0.0.1:0", "--port-file",
                                  JoinPath(paths_.run, kPortFile), "--heartbeat", kHeartbeat},
                                 LogPath("coordinator")));
  const absl::Duration deadline = clock_->Monotonic() + kStartTimeout;
  for (;;) {
    const std::optional<std::string> address = port_file->Take();
    if (address.has_value()) return std::string(absl::StripAsciiWhitespace(*address));
    COPPICE_RETURN_IF_ERROR(TakeDeath());
    if (requests().stopping()) return absl::CancelledError("stopped by a signal");
    const absl::Duration left = deadline - clock_->Monotonic();
    if (left <= absl::ZeroDuration()) {
      return absl::DeadlineExceededError(
          absl::StrCat("coppice-coordinator did not begin to serve within ",
                       absl::FormatDuration(kStartTimeout), "; see ", coordinator_->log()));
    }
    Wait(port_file->fd(), left);
  }
}

std::string Daemons::AccessPath() const { return JoinPath(paths_.run, kAccessFile); }

absl::Status Daemons::StartWorker(uint32_t index, uint32_t slots, uint32_t pack, uint32_t threads) {
  const std::string name = absl::StrCat("worker-", index);
  COPPICE_ASSIGN_OR_RETURN(
      std::unique_ptr<Child> worker,
      Child::Start(
          absl::StrCat("coppice-worker (", name, ")"),
          {JoinPath(paths_.binaries, "coppice-worker"), "--access", AccessPath(), "--name",
           absl::StrCat("local-", index), "--state-dir", JoinPath(paths_.run, name),
           "--checkpoint-dir", JoinPath(paths_.run, "checkpoints"), "--slots", absl::StrCat(slots),
           "--pack", pack > 0 ? absl::StrCat(pack) : "auto", "--threads", absl::StrCat(threads),
           // The end of this program also ends its workers.
           "--walltime", "inf", "--idle-exit", "inf", "--coordinator-timeout", "inf", "--programs"},
          LogPath(name)));
  workers_.push_back(std::move(worker));
  return absl::OkStatus();
}

void Daemons::Wait(int other_fd, absl::Duration timeout) {
  std::vector<pollfd> fds = {{signals_->fd(), POLLIN, 0}};
  if (other_fd >= 0) fds.push_back({other_fd, POLLIN, 0});
  const auto watch = [&](Child* child) {
    if (child != nullptr && !child->Poll().has_value()) fds.push_back({child->fd(), POLLIN, 0});
  };
  watch(coordinator_.get());
  for (const auto& worker : workers_) watch(worker.get());
  const int64_t ms = absl::ToInt64Milliseconds(std::min(timeout, absl::Hours(1)));
  // An interrupted or early poll is harmless: the caller checks the state, not the cause.
  ::poll(fds.data(), fds.size(), static_cast<int>(std::max<int64_t>(0, ms) + 1));
  signals_->Take(clock_->Monotonic());
}

absl::Status Daemons::TakeDeath() {
  std::vector<Child*> all = {coordinator_.get()};
  for (const auto& worker : workers_) all.push_back(worker.get());
  for (Child* child : all) {
    if (child == nullptr || stopping_ || !child->Poll().has_value()) continue;
    if (std::find(reported_.begin(), reported_.end(), child) != reported_.end()) continue;
    reported_.push_back(child);
    return DeathOf(*child, *child->Poll());
  }
  return absl::OkStatus();
}

bool Daemons::coordinator_runs() {
  return coordinator_ != nullptr && !coordinator_->Poll().has_value();
}

size_t Daemons::running_workers() {
  size_t count = 0;
  for (const auto& worker : workers_) count += worker->Poll().has_value() ? 0 : 1;
  return count;
}

bool Daemons::AwaitEnd(const std::vector<Child*>& children, absl::Duration grace) {
  const absl::Duration deadline = clock_->Monotonic() + grace;
  const auto runs = [&] {
    return std::any_of(children.begin(), children.end(),
                       [](Child* child) { return !child->Poll().has_value(); });
  };
  for (Child* child : children) child->Signal(SIGTERM);
  while (runs()) {
    const absl::Duration left = deadline - clock_->Monotonic();
    if (left <= absl::ZeroDuration() || requests().leaving()) break;
    Wait(-1, left);
  }
  const bool clean = !runs();
  for (Child* child : children) {
    if (!clean) child->Kill();
  }
  // SIGKILL cannot be refused, but takes a moment.
  while (runs()) Wait(-1, absl::Seconds(1));
  return clean;
}

bool Daemons::Stop() {
  stopping_ = true;
  std::vector<Child*> workers;
  for (const auto& worker : workers_) workers.push_back(worker.get());
  bool clean = AwaitEnd(workers, kWorkerGrace);
  if (coordinator_ != nullptr) clean &= AwaitEnd({coordinator_.get()}, kCoordinatorGrace);
  return clean;
}

}  // namespace coppice::cli
