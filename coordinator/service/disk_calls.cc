#include "coordinator/service/disk_calls.h"

#include <algorithm>
#include <deque>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/base/logging.h"

namespace coppice::service {

struct DiskCalls::Call {
  std::string path;
  DiskCalls::Work work;
  DiskCalls::Done done;
  std::function<void()> late;
  bool disposal = false;
  // Guarded by the mutex of State.
  Clock::TimerId limit = 0;
  bool running = false;
  bool slow = false;
  bool finished = false;  // the work returned
  bool given_up = false;
};

// Shared by the threads, because one that was left behind may return after everything else is gone.
struct DiskCalls::State : std::enable_shared_from_this<State> {
  explicit State(const Options& options) : options(options) {}

  void Add(std::shared_ptr<Call> call);
  Clock::TimerId ScheduleLimit(const std::shared_ptr<Call>& call);
  void RunThread();
  void RunCall(const std::shared_ptr<Call>& call);
  void MarkSlow(const std::shared_ptr<Call>& call);
  void GiveUp(const std::shared_ptr<Call>& call, const absl::Status& why);
  absl::Status RefusalLocked(const Call& call) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  void MarkSlowLocked(Call* call) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  void SpawnLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);

  const Options options;
  absl::Mutex mutex;
  bool closed ABSL_GUARDED_BY(mutex) = false;
  std::deque<std::shared_ptr<Call>> queue ABSL_GUARDED_BY(mutex);
  // Calls that are not yet answered, whose `done` is running, or whose return is being logged.
  absl::flat_hash_set<std::shared_ptr<Call>> open ABSL_GUARDED_BY(mutex);
  absl::flat_hash_set<std::string> dead_paths ABSL_GUARDED_BY(mutex);
  int threads ABSL_GUARDED_BY(mutex) = 0;
  int idle ABSL_GUARDED_BY(mutex) = 0;
  int working ABSL_GUARDED_BY(mutex) = 0;  // threads neither idle nor in a slow call
  int left_behind ABSL_GUARDED_BY(mutex) = 0;
};

absl::Status DiskCalls::State::RefusalLocked(const Call& call) const {
  if (call.disposal) return absl::OkStatus();
  if (closed) return absl::UnavailableError("the coordinator is shutting down");
  if (dead_paths.contains(call.path)) {
    return absl::UnavailableError(
        absl::StrCat(call.path, " in the checkpoint root does not answer; is its file server up?"));
  }
  if (left_behind < options.max_threads) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(left_behind,
                                             " accesses to the checkpoint root have not come back; "
                                             "is its file server up?"));
}

void DiskCalls::State::Add(std::shared_ptr<Call> call) {
  absl::Status refusal;
  {
    absl::MutexLock lock(&mutex);
    refusal = RefusalLocked(*call);
    if (refusal.ok()) {
      open.insert(call);
      queue.push_back(call);
      if (!call->disposal) call->limit = ScheduleLimit(call);
      SpawnLocked();
    }
  }
  if (!refusal.ok()) call->done(std::move(refusal));
}

Clock::TimerId DiskCalls::State::ScheduleLimit(const std::shared_ptr<Call>& call) {
  return options.clock->Schedule(
      options.limit, [weak = weak_from_this(), waiting = std::weak_ptr<Call>(call)] {
        const auto state = weak.lock();
        const auto call = waiting.lock();
        if (state == nullptr || call == nullptr) return;
        state->GiveUp(call,
                      absl::DeadlineExceededError(absl::StrCat(
                          call->path, " in the checkpoint root has not answered for ",
                          absl::FormatDuration(state->options.limit), "; is its file server up?")));
      });
}

void DiskCalls::State::SpawnLocked() {
  if (queue.empty() || idle > 0 || working >= options.threads || threads >= options.max_threads) {
    return;
  }
  ++threads;
  ++working;
  std::thread([self = shared_from_this()] { self->RunThread(); }).detach();
}

void DiskCalls::State::RunThread() {
  for (;;) {
    std::shared_ptr<Call> call;
    {
      absl::MutexLock lock(&mutex);
      const auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
        return closed || !queue.empty();
      };
      // A thread that returned from a slow call exceeds the allowed number.
      const bool surplus = working > options.threads;
      --working;
      ++idle;
      if (!surplus) mutex.Await(absl::Condition(&ready));
      --idle;
      if (surplus || queue.empty()) {
        --threads;
        return;
      }
      ++working;
      call = std::move(queue.front());
      queue.pop_front();
      call->running = true;
      SpawnLocked();
    }
    RunCall(call);
  }
}

void DiskCalls::State::RunCall(const std::shared_ptr<Call>& call) {
  Clock* const clock = options.clock;
  const Clock::TimerId slow =
      clock->Schedule(options.slow, [self = shared_from_this(), call] { self->MarkSlow(call); });
  absl::Status status = call->work();
  call->work = nullptr;  // destroying its captures may block too
  clock->Cancel(slow);
  bool late = false, tell = false;
  Clock::TimerId limit = 0;
  {
    absl::MutexLock lock(&mutex);
    call->finished = true;
    limit = call->limit;
    if (call->slow) ++working;
    late = call->given_up;
    if (late) {
      --left_behind;
      dead_paths.erase(call->path);
      // After Shutdown the process may be ending, and the logger with it. Shutdown waits for a line
      // that is being written.
      tell = !closed;
      if (tell) open.insert(call);
    }
  }
  clock->Cancel(limit);
  if (late) {
    if (tell) {
      spdlog::info("{} in the checkpoint root answers again", call->path);
      absl::MutexLock lock(&mutex);
      open.erase(call);
    }
    if (call->late) call->late();
    return;
  }
  call->late = nullptr;  // `done` may then hold the last reference
  if (call->done) call->done(std::move(status));
  call->done = nullptr;
  absl::MutexLock lock(&mutex);
  open.erase(call);
}

void DiskCalls::State::MarkSlowLocked(Call* call) {
  if (call->slow || call->finished || !call->running) return;
  call->slow = true;
  --working;
  SpawnLocked();
}

void DiskCalls::State::MarkSlow(const std::shared_ptr<Call>& call) {
  absl::MutexLock lock(&mutex);
  MarkSlowLocked(call.get());
}

void DiskCalls::State::GiveUp(const std::shared_ptr<Call>& call, const absl::Status& why) {
  int behind = 0;
  Clock::TimerId limit = 0;
  {
    absl::MutexLock lock(&mutex);
    limit = call->limit;
    if (call->finished || call->given_up) return;
    if (call->running) {
      call->given_up = true;
      behind = ++left_behind;
      if (!call->disposal) dead_paths.insert(call->path);
      MarkSlowLocked(call.get());
    } else if (!call->disposal) {
      call->given_up = true;
      queue.erase(std::remove(queue.begin(), queue.end(), call), queue.end());
    } else {
      return;  // it waits for a thread, but nobody waits for it
    }
  }
  if (behind > 0) {
    spdlog::warn("{} in the checkpoint root has not answered ({}); {} of at most {} threads wait",
                 call->path, std::string(why.message()), behind, options.max_threads);
  }
  options.clock->Cancel(limit);
  const Done done = std::exchange(call->done, nullptr);
  if (done) done(why);
  absl::MutexLock lock(&mutex);
  open.erase(call);
}

DiskCalls::DiskCalls() : DiskCalls(Options()) {}
DiskCalls::DiskCalls(const Options& options) : state_(std::make_shared<State>(options)) {}
DiskCalls::~DiskCalls() { Shutdown(absl::ZeroDuration()); }

void DiskCalls::Run(const std::string& path, Work work, Done done, std::function<void()> late) {
  auto call = std::make_shared<Call>();
  call->path = path;
  call->work = std::move(work);
  call->late = std::move(late);
  call->done = std::move(done);
  state_->Add(std::move(call));
}

void DiskCalls::Dispose(std::shared_ptr<void> object) {
  if (object == nullptr) return;
  auto call = std::make_shared<Call>();
  call->path = "a file";
  call->disposal = true;
  call->work = [object = std::move(object)]() mutable {
    object.reset();
    return absl::OkStatus();
  };
  state_->Add(std::move(call));
}

void DiskCalls::Shutdown(absl::Duration grace) {
  std::vector<std::shared_ptr<Call>> rest;
  {
    absl::MutexLock lock(&state_->mutex);
    state_->closed = true;
    const auto answered = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_->mutex) {
      return state_->open.empty();
    };
    state_->mutex.AwaitWithTimeout(absl::Condition(&answered), grace);
    rest.assign(state_->open.begin(), state_->open.end());
  }
  for (const auto& call : rest) {
    state_->GiveUp(call, absl::UnavailableError("the coordinator is shutting down"));
  }
  // Calls whose work has returned are just being answered.
  absl::MutexLock lock(&state_->mutex);
  const auto answered = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_->mutex) {
    return std::all_of(state_->open.begin(), state_->open.end(),
                       [](const auto& call) { return call->disposal && !call->running; });
  };
  state_->mutex.Await(absl::Condition(&answered));
}

int DiskCalls::left_behind() const {
  absl::MutexLock lock(&state_->mutex);
  return state_->left_behind;
}

}  // namespace coppice::service
