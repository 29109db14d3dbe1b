#include "coordinator/core/engine.h"

#include <algorithm>
#include <optional>

#include "common/base/logging.h"
#include "coordinator/core/commands.h"
#include "coordinator/core/recovery.h"

namespace coppice::core {
namespace {

constexpr size_t kMaxExpiriesPerBatch = 256;
// The wait before the next try, after a turn that could not do its due work (a full disk).
constexpr absl::Duration kRetryPause = absl::Seconds(1);
constexpr absl::Duration kSayBehindAgain = absl::Minutes(1);
constexpr absl::Duration kTimerSlack = absl::Milliseconds(100);

}  // namespace

Engine::Engine(Store* store, Clock* clock, CoordinatorOptions options)
    : store_(*store),
      clock_(*clock),
      memory_(std::move(options), clock),
      remover_(memory_.options.checkpoint_root, memory_.options.runner),
      readers_(std::max(1, memory_.options.reader_threads), memory_.options.max_queued_reads,
               memory_.options.runner),
      hub_(std::make_shared<Hub>(store, clock, &memory_)) {}

Engine::~Engine() { Shutdown(); }

absl::Status Engine::Start() {
  std::vector<Checkpoint> dropped;
  COPPICE_RETURN_IF_ERROR(Recover(store_, clock_, memory_, dropped));
  remover_.Remove(std::move(dropped));
  started_ms_ = clock_.NowMillis();
  Writer::Hooks hooks;
  hooks.own_commands = [this](const Writer::Turn& turn) { return OwnCommands(turn); };
  hooks.committed = [this](const Effects& effects) {
    AnswerWaiters(memory_.dispatcher.waiters.TakeReplaced());
    hub_->Publish(effects);
    remover_.Remove(effects.dropped);
    remover_.Remove(effects.deleted, FileRemover::Folders::kRemove);
  };
  writer_ = std::make_shared<Writer>(&store_, &clock_, &memory_, std::move(hooks));
  writer_->Start();
  return absl::OkStatus();
}

void Engine::Shutdown() {
  absl::call_once(shutdown_once_, [this] {
    if (writer_ != nullptr) {
      writer_->EndTurns();
      AnswerWaiters(memory_.dispatcher.waiters.TakeAll());
      writer_->Shutdown();
    }
    if (timer_ != 0) clock_.Cancel(timer_);
    readers_.Shutdown();
    hub_->Shutdown();
    remover_.Shutdown();
  });
}

void Engine::Submit(Command command) {
  auto finish = command.finish;
  const absl::Status status = writer_->Submit(std::move(command));
  // Answers at once: a queue of refusals would have no bound.
  if (!status.ok()) finish(status);
}

void Engine::WriteStatus(std::function<absl::Status(CommandContext&)> body,
                         Coordinator::DoneStatus done, size_t bytes) {
  Command command;
  command.run = std::move(body);
  command.finish = [done = std::move(done)](const absl::Status& status) { done(status); };
  command.bytes = bytes;
  Submit(std::move(command));
}

void Engine::QueueRead(const Caller& caller,
                       std::function<absl::StatusOr<bool>(ReadTransaction&)> slice,
                       std::function<void(const absl::Status&)> done) {
  auto run = [this, gone = caller.gone, slice = std::move(slice), done] {
    bool ended = false;
    absl::Status status = absl::CancelledError("the call was cancelled");
    if (!gone || !gone()) {
      status = store_.Read([&](ReadTransaction& read) -> absl::Status {
        if (gone) read.StopWhen(gone);
        COPPICE_ASSIGN_OR_RETURN(ended, slice(read));
        return absl::OkStatus();
      });
    }
    ended = ended || !status.ok();
    if (ended) done(status);
    return ended;
  };
  const absl::Status taken = readers_.Add(caller.peer, std::move(run));
  if (!taken.ok()) done(taken);
}

std::vector<Command> Engine::PlanDue(bool behind) {
  const absl::Duration now = clock_.Monotonic();
  memory_.dispatcher.PromoteDelayed(now);
  SayIfBehind(now);
  // The heartbeat that renews a lease may be in a queue, here or elsewhere. A worker that is really
  // gone is detected one term later.
  const absl::Duration grace = behind ? memory_.options.lease : GraceOfLeases();
  const std::vector<LeaseRef> due = memory_.leases.Due(now - grace, kMaxExpiriesPerBatch);
  due_failed_ = !due.empty();  // until a later call in this turn finds it done
  std::vector<Command> commands;
  for (const LeaseRef& lease : due) {
    Command command;
    command.run = [lease](CommandContext& tx) { return ExpireLease(tx, lease); };
    command.finish = [lease](const absl::Status& status) {
      if (status.ok()) return;
      spdlog::error("cannot end the lease of job {}: {}", lease.job_id, status.ToString());
    };
    commands.push_back(std::move(command));
  }
  return commands;
}

void Engine::SayIfBehind(absl::Duration now) {
  if (!memory_.dispatcher.admission.behind() || now < say_behind_at_) return;
  say_behind_at_ = now + kSayBehindAgain;
  spdlog::warn(
      "heartbeats of most workers come late: this machine, theirs or the network cannot keep up. "
      "Until they come in time again work is given out more slowly, and a worker that is not heard "
      "of keeps its leases for twice as long");
}

absl::Duration Engine::GraceOfLeases() const {
  return memory_.dispatcher.admission.behind() ? memory_.options.lease : absl::ZeroDuration();
}

std::vector<Command> Engine::OwnCommands(const Writer::Turn& turn) {
  switch (turn.point) {
    case Writer::Turn::kBegin:
      memory_.dispatcher.BeginTurn(turn.others, turn.backlog);
      return PlanDue(turn.behind);
    case Writer::Turn::kDue:
      return PlanDue(turn.behind);
    case Writer::Turn::kAhead:
      return TakeGrants();
    case Writer::Turn::kLast:
      break;
  }
  std::vector<Command> grants = TakeGrants();
  if (grants.empty()) EndTurn();
  return grants;
}

std::vector<Command> Engine::TakeGrants() {
  Dispatcher::Plan plan = memory_.dispatcher.PlanGrants(clock_.Monotonic());
  for (Dispatcher::Answer& answer : plan.answers) {
    writer_->Reply([answer = std::move(answer)] { answer.waiter.done(answer.result); });
  }
  std::vector<Command> commands;
  for (Dispatcher::Grant& grant : plan.grants) commands.push_back(GrantCommand(std::move(grant)));
  return commands;
}

// Answers waiters whose time is over, and sets the only timer to the next due time.
void Engine::EndTurn() {
  absl::Duration now = clock_.Monotonic();
  AnswerWaiters(memory_.dispatcher.waiters.TakeOverdue(now));
  if (memory_.dispatcher.NoteWaiting(clock_.NowMillis()) && memory_.options.work_came) {
    memory_.options.work_came();
  }
  SetTimer(now);
  // A timer counts from the moment it is set. If time jumped meanwhile (a suspended machine, a
  // test's clock), the timer would be late.
  while (clock_.Monotonic() - now > kTimerSlack) {
    now = clock_.Monotonic();
    timer_due_ = now;
    SetTimer(now);
  }
}

void Engine::SetTimer(absl::Duration now) {
  absl::Duration next = absl::InfiniteDuration();
  // The heartbeat that ends the grace causes a turn of its own.
  std::optional<absl::Duration> lease_end = memory_.leases.NextDeadline();
  if (lease_end.has_value()) *lease_end += GraceOfLeases();
  for (const auto& due : {lease_end, memory_.dispatcher.NextDue(now)}) {
    if (due.has_value()) next = std::min(next, *due);
  }
  if (next <= now) next = now + (due_failed_ ? kRetryPause : absl::ZeroDuration());
  if (timer_ != 0 && timer_due_ > now && timer_due_ <= next)
    return;  // it fires early enough and is then set again
  if (timer_ != 0) clock_.Cancel(timer_);
  timer_ = 0;
  if (next == absl::InfiniteDuration()) return;
  timer_due_ = next;
  timer_ = clock_.Schedule(next - now, [weak = std::weak_ptr<Writer>(writer_)] {
    const auto writer = weak.lock();
    if (writer != nullptr) writer->Wake();
  });
}

void Engine::AnswerWaiters(std::vector<Waiter> waiters) {
  for (Waiter& waiter : waiters) {
    writer_->Reply([done = std::move(waiter.done)] { done(LeaseGrant()); });
  }
}

}  // namespace coppice::core
