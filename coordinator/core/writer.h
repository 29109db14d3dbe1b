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
//   1. the commands that are due by the clock;
//   2. those waiting commands that go ahead;
//   3. the other commands, preceded by grants if some commands went ahead;
//   4. grants, in a batch of their own;
//   5. `end_turn`.
// Submit counts every command until it is answered, and refuses those beyond the bounds. Owner: the
// coordinator. Submit, Wake: any thread. Failure codes of Submit: RESOURCE_EXHAUSTED (queue full),
// UNAVAILABLE (closed).
class Writer {
 public:
  // Every hook but `closing` runs on the writer thread.
  struct Hooks {
    // `behind`: commands have waited for longer than a turn. A waiting heartbeat may renew a lease
    // that looks expired.
    std::function<std::vector<Command>(bool behind)> due;
    // Returns grants of about `jobs_left` jobs in total (the last pack may exceed it), and lowers
    // it.
    std::function<std::vector<Command>(size_t& jobs_left)> grants;
    std::function<void(const Effects&)> committed;
    std::function<void()> end_turn;
    std::function<void()> closing;  // once, after the thread has ended, on the thread of Shutdown
  };
  static constexpr size_t kMaxBatch = 512;
  static constexpr int kLongestWithoutGrants = 16;
  static constexpr size_t kMostJobsATurn = 512;
  static constexpr size_t kFewestJobsATurn = 128;

  Writer(Store* store, Clock* clock, Memory* memory, Hooks hooks);
  ~Writer();

  // Called once, before anything else.
  void Start();
  absl::Status Submit(Command command);
  // Makes the thread take a turn. For timers.
  void Wake();
  // Refuses new commands, runs the waiting ones, joins the thread.
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
  void RunCommands(std::deque<Command> batch);
  // Returns the number of jobs to which this turn may grant leases, beside `others` commands that
  // do not ask for work. Running work must end before more begins; otherwise an overloaded
  // coordinator begins much and ends little. So grants get half as many as the other commands (a
  // job's end takes at least three commands). While more than a batch of commands waits, grants get
  // a turn only now and then.
  size_t RoomForGrants(size_t others);
  std::vector<Command> PlanGrants();

  const Hooks hooks_;
  // For the writer thread only.
  std::optional<absl::Duration> said_trouble_at_;
  size_t jobs_left_ = 0;   // jobs that this turn may still grant
  bool was_full_ = false;  // the batch of the last turn was full

  absl::Mutex mutex_;
  std::deque<Command> queue_ ABSL_GUARDED_BY(mutex_);
  std::deque<Command> bulk_ ABSL_GUARDED_BY(mutex_);
  Taken open_ ABSL_GUARDED_BY(mutex_);  // submitted and not yet answered
  int turns_without_grants_ ABSL_GUARDED_BY(mutex_) = 0;
  bool woken_ ABSL_GUARDED_BY(mutex_) = false;
  bool turn_asked_ ABSL_GUARDED_BY(mutex_) = false;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  Executor replies_;
  Executor turns_;
};

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_WRITER_H_
