#include "coordinator/pools/remote_commands.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "common/base/logging.h"

namespace coppice::pools {
namespace {

constexpr char kAbsent[] =
    "no `coppice pool run` runs Slurm's commands: start it where they are, or with --once by cron";
// Sessions that have ended; a late request of one must not begin it again.
constexpr size_t kEndedKept = 1000;

CommandResult Failed(absl::Status status) {
  CommandResult result;
  result.status = std::move(status);
  return result;
}

}  // namespace

// Shared with timers. Every method returns the calls to make once the mutex is free.
class RemoteCommands::State : public std::enable_shared_from_this<State> {
 public:
  explicit State(Clock* clock) : clock_(*clock) {}

  void Exchange(CommandsRequest request, Done done) {
    Calls calls;
    {
      absl::MutexLock lock(&mutex_);
      TakeRequest(std::move(request), std::move(done), &calls);
    }
    for (const auto& call : calls) call();
  }

  void Settle(const std::string& session) {
    Calls calls;
    {
      absl::MutexLock lock(&mutex_);
      if (session != session_) return;
      settled_ = true;
      if (poll_ != nullptr) AnswerPoll(&calls);
    }
    for (const auto& call : calls) call();
  }

  void Run(Command command, std::function<void(CommandResult)> done) {
    Calls calls;
    {
      absl::MutexLock lock(&mutex_);
      if (closed_ || session_.empty()) {
        calls.emplace_back([done, closed = closed_] {
          done(Failed(closed ? absl::CancelledError("shutting down")
                             : absl::FailedPreconditionError(kAbsent)));
        });
      } else {
        waiting_.push_back({std::move(command), std::move(done)});
        if (poll_ != nullptr) AnswerPoll(&calls);
      }
    }
    for (const auto& call : calls) call();
  }

  void Shutdown() {
    Calls calls;
    {
      absl::MutexLock lock(&mutex_);
      closed_ = true;
      EndSession(absl::CancelledError("shutting down"), absl::CancelledError("shutting down"),
                 &calls);
      ++turn_;
    }
    for (const auto& call : calls) call();
  }

  bool present() {
    absl::MutexLock lock(&mutex_);
    return !session_.empty();
  }

 private:
  void TakeRequest(CommandsRequest request, Done done, Calls* calls)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const auto refuse = [&](absl::Status status) {
      calls->emplace_back([done, status = std::move(status)] { done(status); });
    };
    if (closed_) return refuse(absl::UnavailableError("the pools are shut down"));
    if (ended_.count(request.session) > 0) {
      return refuse(
          absl::AbortedError("the coordinator has given this `coppice pool run` up, as it was "
                             "silent; start it again"));
    }
    if (!session_.empty() && request.session != session_) {
      return refuse(absl::FailedPreconditionError(
          absl::StrCat("another `coppice pool run` runs on ", host_, "; one is enough")));
    }
    const bool fresh = session_.empty();
    if (fresh) {
      session_ = request.session;
      host_ = request.host;
      settled_ = false;
      spdlog::info("pools: {} runs Slurm's commands", host_);
    }
    for (CommandAnswer& answer : request.answers) {
      const auto found = handed_.find(answer.id);
      if (found == handed_.end()) continue;  // it was given up
      calls->emplace_back([done = found->second, result = std::move(answer.result)]() mutable {
        done(std::move(result));
      });
      handed_.erase(found);
    }
    // A request that is repeated takes the place of the one before.
    if (poll_ != nullptr) {
      calls->emplace_back([old = std::exchange(poll_, nullptr)] { old(CommandsReply()); });
    }
    if (request.leaving) {
      calls->emplace_back([done] { done(CommandsReply()); });
      return EndSession(absl::DeadlineExceededError("`coppice pool run` left without an answer"),
                        absl::FailedPreconditionError(kAbsent), calls);
    }
    poll_ = std::move(done);
    fresh_ = fresh;
    if (fresh || !waiting_.empty() || settled_) return AnswerPoll(calls);
    SetTimer(kLongPoll);
  }

  // Answers the request that waits, with all commands that wait.
  void AnswerPoll(Calls* calls) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    CommandsReply reply;
    reply.fresh = std::exchange(fresh_, false);
    absl::Duration limit = kSilence;
    while (!reply.fresh && !waiting_.empty()) {
      Waiting& next = waiting_.front();
      limit += next.command.time_limit;
      handed_[++last_id_] = std::move(next.done);
      reply.commands.push_back({last_id_, std::move(next.command)});
      waiting_.pop_front();
    }
    if (!reply.fresh && reply.commands.empty()) reply.settled = std::exchange(settled_, false);
    calls->emplace_back([done = std::exchange(poll_, nullptr), reply] { done(reply); });
    SetTimer(limit);
  }

  void SetTimer(absl::Duration delay) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    clock_.Schedule(delay, [weak = weak_from_this(), turn = ++turn_] {
      if (const auto state = weak.lock()) state->OnTimer(turn);
    });
  }

  void OnTimer(uint64_t turn) {
    Calls calls;
    {
      absl::MutexLock lock(&mutex_);
      if (turn != turn_ || closed_) return;
      if (poll_ != nullptr) {
        AnswerPoll(&calls);
      } else if (!session_.empty()) {
        spdlog::warn("pools: {} is silent and runs no more of Slurm's commands", host_);
        EndSession(absl::DeadlineExceededError(absl::StrCat("`coppice pool run` on ", host_,
                                                            " is silent, without an answer")),
                   absl::FailedPreconditionError(kAbsent), &calls);
      }
    }
    for (const auto& call : calls) call();
  }

  void EndSession(const absl::Status& handed, const absl::Status& waiting, Calls* calls)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (poll_ != nullptr) {
      calls->emplace_back([done = std::exchange(poll_, nullptr), handed] { done(handed); });
    }
    for (auto& entry : handed_) {
      calls->emplace_back([done = entry.second, handed] { done(Failed(handed)); });
    }
    handed_.clear();
    for (Waiting& next : waiting_) {
      calls->emplace_back([done = std::move(next.done), waiting] { done(Failed(waiting)); });
    }
    waiting_.clear();
    if (ended_.size() >= kEndedKept) ended_.clear();
    if (!session_.empty()) ended_.insert(session_);
    session_.clear();
  }

  Clock& clock_;
  absl::Mutex mutex_;
  std::string session_ ABSL_GUARDED_BY(mutex_);  // empty: none
  std::string host_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> ended_ ABSL_GUARDED_BY(mutex_);
  std::deque<Waiting> waiting_ ABSL_GUARDED_BY(mutex_);  // not handed out yet
  std::map<uint64_t, std::function<void(CommandResult)>> handed_ ABSL_GUARDED_BY(mutex_);
  Done poll_ ABSL_GUARDED_BY(mutex_);  // the request that waits; null: none
  uint64_t last_id_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t turn_ ABSL_GUARDED_BY(mutex_) = 0;  // of the timer that counts
  bool fresh_ ABSL_GUARDED_BY(mutex_) = false;
  bool settled_ ABSL_GUARDED_BY(mutex_) = false;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

RemoteCommands::RemoteCommands(Clock* clock) : state_(std::make_shared<State>(clock)) {}

RemoteCommands::~RemoteCommands() { Shutdown(); }

void RemoteCommands::Exchange(CommandsRequest request, Done done) {
  state_->Exchange(std::move(request), std::move(done));
}

void RemoteCommands::Settle(const std::string& session) { state_->Settle(session); }

void RemoteCommands::Run(Command command, std::function<void(CommandResult)> done) {
  state_->Run(std::move(command), std::move(done));
}

void RemoteCommands::Shutdown() { state_->Shutdown(); }

std::string RemoteCommands::Absent() { return state_->present() ? "" : kAbsent; }

}  // namespace coppice::pools
