#ifndef COPPICE_COORDINATOR_CORE_WRITER_H_
#define COPPICE_COORDINATOR_CORE_WRITER_H_

#include <deque>
#include <functional>
#include <optional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "common/base/clock.h"
#include "common/base/executor.h"
#include "coordinator/core/command_context.h"

namespace coppice::core {

struct Command {
  // Validates and writes, inside its own savepoint. An error undoes only this command.
  std::function<absl::Status(CommandContext&)> run;
  // Called on the reply thread, after COMMIT or with the error. May be empty.
  std::function<void(const absl::Status&)> finish;
  // The memory that it holds beyond itself, as far as its caller determines it.
  size_t bytes = 0;
  // The command writes nothing but may lead to a grant. It runs ahead of its batch, so that the
  // grant shares the batch's commit.
  bool ahead = false;
  // A part of a bulk change. A turn takes one of these, so that many or large changes do not delay
  // other commands.
  bool bulk = false;
  // The command continues an accepted call, so the bounds do not refuse it.
  bool goes_on = false;
  bool counted = false;  // against the bounds; set by Submit
};

// Purpose: the only path to durable state. A thread takes the waiting commands, runs them in one
// transaction (group commit), applies their effects to memory in order after COMMIT, and answers.
// If the commit fails, every command of the batch gets its error and memory stays unchanged. The
// log then says, at most once a minute, that the store accepts nothing, and gives a remedy. A turn
// of the thread runs:
//   1. the owner's commands that are due by the clock;
//   2. those waiting commands that go ahead;
//   3. the other commands, preceded by the owner's if some commands went ahead (grants);
//   4. the owner's last commands, in a batch of their own. If there were any, another turn follows.
// Submit counts every command until it is answered, and refuses those beyond the bounds. Owner: the
// coordinator. Submit, Wake: any thread. Failure codes of Submit: RESOURCE_EXHAUSTED (queue full),
// UNAVAILABLE (closed).
class Writer {
 public:
  // The facts about a turn from which the owner chooses its own commands.
  struct Turn {
    enum Point {
      kBegin,  // what is due by the clock; asked first in each turn
      kDue,    // what is due after that; asked until there is nothing, or a command failed
      kAhead,  // what the commands that went ahead lead to; it shares the commit of the others
      kLast,   // anything else; asked last in each turn
    };
    Point point = kBegin;
    size_t others = 0;     // commands of the turn that do not go ahead
    bool backlog = false;  // more than a batch of commands still waits
    // Commands have waited for longer than a turn. A waiting heartbeat may renew a lease that looks
    // expired.
    bool behind = false;
  };
  // Both run on the writer thread.
  struct Hooks {
    std::function<std::vector<Command>(const Turn&)> own_commands;
    std::function<void(const Effects&)> committed;
  };
  static constexpr size_t kMaxBatch = 512;

  Writer(Store* store, Clock* clock, Memory* memory, Hooks hooks);
  ~Writer();

  // Called once, before anything else.
  void Start();
  absl::Status Submit(Command command);
  // Makes the thread take a turn. For timers.
  void Wake();
  // Refuses new commands, runs the waiting ones, joins the thread.
  void EndTurns();
  // EndTurns, then gives the remaining answers and joins their thread.
  void Shutdown();
  // Runs on the reply thread after earlier replies, or at once if that thread has ended.
  void Reply(std::function<void()> reply);

 private:
  void AskForTurn() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void TakeTurns();
  std::deque<Command> TakeBatch();  // empty: woken without commands
  bool IsDone();                    // true: nothing waits, and the next command asks for a turn
  bool RunBatch(std::vector<Command> commands);  // true: every command succeeded
  void NoteStore(const absl::Status& committed, const Effects& effects, absl::Duration now);

  Store& store_;
  Clock& clock_;
  Memory& memory_;
  // A batch's share of the bounds.
  struct Taken {
    size_t commands = 0;
    size_t bytes = 0;
  };
  void GiveBack(const Taken& taken);
  Turn BeginTurn(const std::deque<Command>& batch);
  // Returns true if the owner added commands.
  bool RunCommands(std::deque<Command> batch, Turn turn);

  const Hooks hooks_;
  // For the writer thread only.
  std::optional<absl::Duration> said_trouble_at_;
  bool was_full_ = false;  // the batch of the last turn was full

  absl::Mutex mutex_;
  std::deque<Command> queue_ ABSL_GUARDED_BY(mutex_);
  std::deque<Command> bulk_ ABSL_GUARDED_BY(mutex_);
  Taken open_ ABSL_GUARDED_BY(mutex_);  // submitted and not yet answered
  bool woken_ ABSL_GUARDED_BY(mutex_) = false;
  bool turn_asked_ ABSL_GUARDED_BY(mutex_) = false;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  Executor replies_;
  Executor turns_;
};

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_WRITER_H_
