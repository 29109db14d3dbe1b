#ifndef COPPICE_COORDINATOR_CORE_ENGINE_H_
#define COPPICE_COORDINATOR_CORE_ENGINE_H_

#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/base/call_once.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/executor.h"
#include "common/base/status_macros.h"
#include "coordinator/core/caller.h"
#include "coordinator/core/file_remover.h"
#include "coordinator/core/hub.h"
#include "coordinator/core/memory.h"
#include "coordinator/core/read_queue.h"
#include "coordinator/core/writer.h"

namespace coppice::core {

// Purpose: the machinery behind Coordinator. The writer runs commands, reader threads answer
// queries, the hub notifies watchers, and one timer wakes the writer for scheduled work. Owner: the
// coordinator. Thread-safe, unless said otherwise. Every Done is called exactly once, on the reply
// thread or a reader thread, or on the caller's thread if the call is refused.
//   1. Start recovers memory from the store and begins to work.
//   2. Shutdown refuses new calls and finishes queued ones.
class Engine {
 public:
  template <typename T>
  using Done = Coordinator::Done<T>;

  Engine(Store* store, Clock* clock, CoordinatorOptions options);
  ~Engine();

  absl::Status Start();
  void Shutdown();

  // Runs `body` on the writer thread in its own savepoint, and calls `done` after COMMIT. `bytes`
  // is the part of the call's size that its caller determines.
  template <typename T>
  void Write(std::function<absl::StatusOr<T>(CommandContext&)> body, Done<T> done,
             size_t bytes = 0);
  void WriteStatus(std::function<absl::Status(CommandContext&)> body, Coordinator::DoneStatus done,
                   size_t bytes = 0);
  void Submit(Command command);
  // Does the same for one part of a bulk change. The writer takes one part a turn, over all
  // callers. `goes_on`: an earlier part of the call was accepted, so this one is not refused.
  template <typename T>
  void WritePart(std::function<absl::StatusOr<T>(CommandContext&)> body, Done<T> done, size_t bytes,
                 bool goes_on);
  // Runs `body` ahead of its batch, so that a grant that it leads to shares the batch's commit. It
  // writes nothing. If it returns no value, a waiter has taken over the answer, and `done` is not
  // called.
  template <typename T>
  void WriteOrWait(std::function<absl::StatusOr<std::optional<T>>(CommandContext&)> body,
                   Done<T> done);
  // Runs `body` on a reader thread, on one snapshot. CANCELLED if the caller has gone.
  template <typename T>
  void Read(const Caller& caller, std::function<absl::StatusOr<T>(ReadTransaction&)> body,
            Done<T> done);
  // Runs a long query. Calls `slice` until it returns true, each time on a new snapshot and with
  // the queries of others in between. The answer accumulates in its second argument.
  template <typename T>
  void ReadInSlices(const Caller& caller,
                    std::function<absl::StatusOr<bool>(ReadTransaction&, T&)> slice, Done<T> done);
  // Other threads than the writer's may use only the catalog, the leases and the options.
  const Memory& memory() const { return memory_; }
  Hub& hub() { return *hub_; }
  absl::Duration Now() const { return clock_.Monotonic(); }
  int64_t started_ms() const { return started_ms_; }
  // Files of dropped checkpoints that wait to be removed.
  size_t files_waiting() const { return remover_.waiting(); }

 private:
  void QueueRead(const Caller& caller, std::function<absl::StatusOr<bool>(ReadTransaction&)> slice,
                 std::function<void(const absl::Status&)> done);
  template <typename T>
  static Command CommandOf(std::function<absl::StatusOr<T>(CommandContext&)> body, Done<T> done,
                           size_t bytes);
  // Returns the engine's own commands for a point of a turn: what is due, and grants.
  std::vector<Command> OwnCommands(const Writer::Turn& turn);
  std::vector<Command> PlanDue(bool behind);
  void SayIfBehind(absl::Duration now);
  // Returns how long a lease may be overdue before it ends.
  absl::Duration GraceOfLeases() const;
  // Makes commands of the grants that the dispatcher plans.
  std::vector<Command> TakeGrants();
  // Answers waiting requests with empty grants.
  void AnswerWaiters(std::vector<Waiter> waiters);
  void EndTurn();
  void SetTimer(absl::Duration now);

  Store& store_;
  Clock& clock_;
  Memory memory_;
  FileRemover remover_;
  ReadQueue readers_;
  const std::shared_ptr<Hub> hub_;
  std::shared_ptr<Writer> writer_;  // shared: a timer that fires late finds it gone
  int64_t started_ms_ = 0;
  absl::once_flag shutdown_once_;
  // For the writer thread only (and for Shutdown, after that thread has ended).
  Clock::TimerId timer_ = 0;
  absl::Duration timer_due_ = absl::InfiniteDuration();
  absl::Duration say_behind_at_ = -absl::InfiniteDuration();
  bool due_failed_ = false;  // the last turn could not do its due work
};

template <typename T>
Command Engine::CommandOf(std::function<absl::StatusOr<T>(CommandContext&)> body, Done<T> done,
                          size_t bytes) {
  auto result = std::make_shared<std::optional<T>>();
  Command command;
  command.bytes = bytes;
  command.run = [body = std::move(body), result](CommandContext& tx) -> absl::Status {
    COPPICE_ASSIGN_OR_RETURN(*result, body(tx));
    return absl::OkStatus();
  };
  command.finish = [done = std::move(done), result](const absl::Status& status) {
    if (!status.ok()) return done(status);
    done(**std::move(result));
  };
  return command;
}

template <typename T>
void Engine::Write(std::function<absl::StatusOr<T>(CommandContext&)> body, Done<T> done,
                   size_t bytes) {
  Submit(CommandOf<T>(std::move(body), std::move(done), bytes));
}

template <typename T>
void Engine::WritePart(std::function<absl::StatusOr<T>(CommandContext&)> body, Done<T> done,
                       size_t bytes, bool goes_on) {
  Command command = CommandOf<T>(std::move(body), std::move(done), bytes);
  command.bulk = true;
  command.goes_on = goes_on;
  Submit(std::move(command));
}

template <typename T>
void Engine::WriteOrWait(std::function<absl::StatusOr<std::optional<T>>(CommandContext&)> body,
                         Done<T> done) {
  Command command = CommandOf<std::optional<T>>(
      std::move(body),
      [done = std::move(done)](absl::StatusOr<std::optional<T>> result) {
        if (!result.ok()) return done(result.status());
        if (result->has_value()) done(**std::move(result));
      },
      /*bytes=*/0);
  command.ahead = true;
  Submit(std::move(command));
}

template <typename T>
void Engine::ReadInSlices(const Caller& caller,
                          std::function<absl::StatusOr<bool>(ReadTransaction&, T&)> slice,
                          Done<T> done) {
  auto result = std::make_shared<T>();
  QueueRead(
      caller,
      [slice = std::move(slice), result](ReadTransaction& read) { return slice(read, *result); },
      [done = std::move(done), result](const absl::Status& status) {
        if (!status.ok()) return done(status);
        done(std::move(*result));
      });
}

template <typename T>
void Engine::Read(const Caller& caller, std::function<absl::StatusOr<T>(ReadTransaction&)> body,
                  Done<T> done) {
  ReadInSlices<T>(
      caller,
      [body = std::move(body)](ReadTransaction& read, T& result) -> absl::StatusOr<bool> {
        COPPICE_ASSIGN_OR_RETURN(result, body(read));
        return true;
      },
      std::move(done));
}

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_ENGINE_H_
