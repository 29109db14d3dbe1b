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
  // Validates and writes, inside a savepoint of its own; an error undoes this command alone.
  std::function<absl::Status(CommandContext&)> run;
  // After COMMIT, or with the error; on the reply thread. May be empty.
  std::function<void(const absl::Status&)> finish;
  // What it holds in memory beyond itself, as far as its caller decides.
  size_t bytes = 0;
  // It writes nothing but may lead to a grant: it runs ahead of its batch, so that the grant shares
  // the batch's commit.
  bool ahead = false;
  // A part of a change to many jobs. A turn takes one, so that neither many such changes nor a
  // large one hold up what else waits.
  bool bulk = false;
  // It continues a call that was taken, so the bounds do not refuse it.
  bool goes_on = false;
  bool counted = false;  // against the bounds; set by Submit
};

// Purpose: the one door to durable state. A thread takes whatever commands wait, runs them in one
// transaction (group commit), and after COMMIT applies their effects to memory, in order, and
// answers. When the commit fails, every command of the batch gets its error and memory stays as it
// was; the log says, at most once a minute, that the store takes nothing and what a person can do.
// A turn of the thread: (1) what is due by the clock; (2) of the waiting commands those that go
// ahead; (3) grants and the other commands; (4) grants, until there are none; (5) `end_turn`.
// Bounded: Submit counts every command until it is answered. Owner: the coordinator. Submit, Wake:
// any thread. Failure
// codes of Submit: RESOURCE_EXHAUSTED (queue full), UNAVAILABLE (closed).
class Writer {
 public:
  // All on the writer thread.
  struct Hooks {
    // `behind`: commands have waited for longer than a turn, and some may say that what seems due
    // is not.
    std::function<std::vector<Command>(bool behind)> due;
    // Grants of together about `jobs_left` jobs (the last pack may go past it), which it lowers.
    std::function<std::vector<Command>(size_t& jobs_left)> grants;
    std::function<void(const Effects&)> committed;
    std::function<void()> end_turn;
    std::function<void()> closing;  // once, when the thread has ended; on the one that shuts down
  };
  static constexpr size_t kMaxBatch = 512;
  static constexpr int kLongestWithoutGrants = 16;
  static constexpr size_t kMostJobsATurn = 512;
  static constexpr size_t kFewestJobsATurn = 128;

  Writer(Store* store, Clock* clock, Memory* memory, Hooks hooks);
  ~Writer();

  // Once, before anything else.
  void Start();
  absl::Status Submit(Command command);
  // Makes the thread take a turn, for timers.
  void Wake();
  // Refuses new commands, runs those that wait, joins.
  void Shutdown();
  // Runs on the reply thread, behind what was answered before; at once when that has ended.
  void Reply(std::function<void()> reply);

 private:
  void AskForTurn() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void TakeTurns();
  std::deque<Command> TakeBatch();               // empty: woken
  bool IsDone();                                 // nothing waits; the next to come asks for a turn
  bool RunBatch(std::vector<Command> commands);  // true: all of it worked
  void NoteStore(const absl::Status& committed, const Effects& effects, absl::Duration now);

  Store& store_;
  Clock& clock_;
  Memory& memory_;
  // What a batch took from the bounds.
  struct Taken {
    size_t commands = 0;
    size_t bytes = 0;
  };
  void GiveBack(const Taken& taken);
  void RunCommands(std::deque<Command> batch);
  // Of how many jobs this turn may grant leases, beside `others` commands that are no requests for
  // work. Work that was begun is to end before more is begun, or under overload much would be begun
  // and little ended: half as many as the others (a job's end takes three commands and more), and
  // none while more than a batch of commands waits, but every so often.
  size_t RoomForGrants(size_t others);
  std::vector<Command> PlanGrants();

  const Hooks hooks_;
  // Of the writer thread.
  std::optional<absl::Duration> said_trouble_at_;
  size_t jobs_left_ = 0;   // that this turn may still grant
  bool was_full_ = false;  // the batch of the turn before

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
