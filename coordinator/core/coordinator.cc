#include "coordinator/core/coordinator.h"

#include <atomic>
#include <type_traits>
#include <utility>

#include "absl/base/call_once.h"
#include "absl/strings/str_cat.h"
#include "common/base/executor.h"
#include "common/base/ids.h"
#include "common/base/status_macros.h"
#include "coordinator/core/commands.h"
#include "coordinator/core/file_remover.h"
#include "coordinator/core/hub.h"
#include "coordinator/core/queries.h"
#include "coordinator/core/recovery.h"
#include "coordinator/core/views.h"
#include "coordinator/core/writer.h"
#include "spdlog/spdlog.h"

namespace coppice::core {
namespace {

constexpr size_t kMaxExpiriesPerBatch = 256;
// After a turn that could not do what was due (a full disk), the next try waits as long.
constexpr absl::Duration kRetryPause = absl::Seconds(1);
constexpr absl::Duration kTimerSlack = absl::Milliseconds(100);
constexpr absl::Duration kMaxWait = absl::Minutes(10);

// Purpose: wires the parts together: the writer runs commands, readers answer queries, the hub
// tells watchers, one timer wakes the writer.
class CoordinatorImpl : public Coordinator {
 public:
  CoordinatorImpl(Store* store, Clock* clock, CoordinatorOptions options)
      : store_(*store),
        clock_(*clock),
        memory_(std::move(options)),
        remover_(memory_.options.checkpoint_root),
        readers_(std::max(1, memory_.options.reader_threads)),
        hub_(std::make_shared<Hub>(store, clock, &memory_)) {}

  absl::Status Start() {
    std::vector<Checkpoint> dropped;
    COPPICE_RETURN_IF_ERROR(Recover(store_, clock_, memory_, dropped));
    remover_.Remove(std::move(dropped));
    started_ms_ = clock_.NowMillis();
    writer_ = std::make_shared<Writer>(
        &store_, &clock_, &memory_, memory_.options.max_queued_commands,
        Writer::Hooks{[this] { return PlanDue(); },
                      [this] {
                        return PlanGrants(memory_,
                                          [this](auto reply) { writer_->Reply(std::move(reply)); });
                      },
                      [this](const Effects& effects) {
                        hub_->Publish(effects);
                        remover_.Remove(effects.dropped);
                      },
                      [this] { EndTurn(); }, [this] { AnswerWaiters(memory_.waiters.TakeAll()); }});
    writer_->Start();
    return absl::OkStatus();
  }

  ~CoordinatorImpl() override { Shutdown(); }

  void Shutdown() override {
    absl::call_once(shutdown_once_, [this] {
      if (writer_ != nullptr) writer_->Shutdown();
      if (timer_ != 0) clock_.Cancel(timer_);
      readers_.Shutdown();
      hub_->Shutdown();
      remover_.Shutdown();
    });
  }

  ServerInfo server_info() const override {
    return {memory_.store_id, started_ms_, memory_.options.checkpoint_root};
  }

  // -- clients

  void SubmitSweep(SweepSpec spec, uint32_t pack_width, Done<SubmitResult> done) override {
    Write<SubmitResult>([spec = std::move(spec), pack_width](
                            Transaction& tx) { return core::SubmitSweep(tx, spec, pack_width); },
                        std::move(done));
  }
  void PlanSweep(SweepSpec spec, uint32_t pack_width, Done<Plan> done) override {
    Read<Plan>([spec = std::move(spec),
                pack_width](ReadTransaction& read) { return QueryPlan(read, spec, pack_width); },
               std::move(done));
  }
  void GetSweep(std::string name, Done<SweepDetails> done) override {
    Read<SweepDetails>([this, name = std::move(name)](
                           ReadTransaction& read) { return QuerySweep(read, memory_, name); },
                       std::move(done));
  }
  void ListSweeps(Done<std::vector<SweepSummary>> done) override {
    Read<std::vector<SweepSummary>>(
        [this](ReadTransaction& read) { return QuerySweeps(read, memory_); }, std::move(done));
  }
  void ListJobs(JobFilter filter, JobId after, uint32_t limit, bool with_latest,
                Done<JobPage> done) override {
    Read<JobPage>(
        [this, filter = std::move(filter), after, limit, with_latest](ReadTransaction& read) {
          return QueryJobs(read, memory_, filter, after, limit, with_latest);
        },
        std::move(done));
  }
  void GetJob(JobId id, Done<JobDetails> done) override {
    Read<JobDetails>([this, id](ReadTransaction& read) { return QueryJob(read, memory_, id); },
                     std::move(done));
  }
  void ExplainJob(JobId id, Done<Explanation> done) override {
    Write<Explanation>([id](Transaction& tx) { return core::ExplainJob(tx, id); }, std::move(done));
  }
  void GetMetrics(MetricsQuery query, MetricsCursor after, uint32_t limit,
                  Done<MetricsPage> done) override {
    Read<MetricsPage>(
        [this, query = std::move(query), after, limit](ReadTransaction& read) {
          return QueryMetrics(read, memory_, query, after, limit);
        },
        std::move(done));
  }
  void GetLog(JobId id, Epoch epoch, uint64_t after, Done<LogPage> done) override {
    Read<LogPage>(
        [id, epoch, after](ReadTransaction& read) { return QueryLog(read, id, epoch, after); },
        std::move(done));
  }
  void CancelJobs(JobFilter filter, Done<uint64_t> done) override {
    WriteInParts(&CancelPart, std::make_shared<const JobFilter>(std::move(filter)), 0, 0,
                 std::move(done));
  }
  void RetryJobs(JobFilter filter, Done<uint64_t> done) override {
    WriteInParts(&RetryPart, std::make_shared<const JobFilter>(std::move(filter)), 0, 0,
                 std::move(done));
  }
  void SetPaused(std::string name, bool paused, Done<SweepSummary> done) override {
    Write<SweepSummary>([name = std::move(name),
                         paused](Transaction& tx) { return SetSweepPaused(tx, name, paused); },
                        std::move(done));
  }
  void ListWorkers(Done<std::vector<Worker>> done) override {
    Write<std::vector<Worker>>(
        [](Transaction& tx) -> absl::StatusOr<std::vector<Worker>> {
          return core::ListWorkers(tx);
        },
        std::move(done));
  }
  void DrainWorker(std::string name_or_id, bool preempt, bool undo, Done<Worker> done) override {
    Write<Worker>([name_or_id = std::move(name_or_id), preempt, undo](
                      Transaction& tx) { return core::DrainWorker(tx, name_or_id, preempt, undo); },
                  std::move(done));
  }

  absl::StatusOr<std::unique_ptr<Subscription>> WatchSweep(
      std::string name, std::function<void(const SweepChange&)> on_change) override {
    const auto sweep = memory_.catalog.FindSweep(name);
    if (sweep == nullptr) return absl::NotFoundError(absl::StrCat("no sweep named '", name, "'"));
    return hub_->WatchSweep(sweep->id, std::move(on_change));
  }
  std::unique_ptr<Subscription> WatchLog(JobId id, std::function<void()> on_change) override {
    return hub_->WatchLog(id, std::move(on_change));
  }

  // -- workers

  void Register(WorkerInfo info, std::vector<HeldLease> held, Done<Registration> done) override {
    Write<Registration>([info = std::move(info), held = std::move(held), id = RandomId()](
                            Transaction& tx) { return RegisterWorker(tx, info, held, id); },
                        std::move(done));
  }
  void AcquireLeases(AcquireRequest request, std::function<bool()> cancelled,
                     Done<LeaseGrant> done) override;
  void Heartbeat(std::string worker_id, std::vector<HeldLease> held, bool draining,
                 Done<HeartbeatResult> done) override {
    Write<HeartbeatResult>(
        [worker_id = std::move(worker_id), held = std::move(held), draining](Transaction& tx) {
          return TakeHeartbeat(tx, worker_id, held, draining);
        },
        std::move(done));
  }
  void Append(std::string worker_id, std::vector<Record> records,
              Done<std::vector<RecordAck>> done) override {
    Write<std::vector<RecordAck>>(
        [worker_id = std::move(worker_id), records = std::move(records)](Transaction& tx) {
          return AppendRecords(tx, worker_id, records);
        },
        std::move(done));
  }
  void CommitCheckpoint(CheckpointCommit commit, DoneStatus done) override {
    WriteStatus([commit = std::move(commit)](
                    Transaction& tx) { return core::CommitCheckpoint(tx, commit); },
                std::move(done));
  }
  void RejectCheckpoint(CheckpointCommit checkpoint, std::string reason,
                        Done<std::optional<Checkpoint>> done) override {
    Write<std::optional<Checkpoint>>(
        [checkpoint = std::move(checkpoint), reason = std::move(reason)](Transaction& tx) {
          return core::RejectCheckpoint(tx, checkpoint, reason);
        },
        std::move(done));
  }
  void CompleteJob(AttemptEnd end, DoneStatus done) override {
    WriteStatus([end = std::move(end)](Transaction& tx) { return core::CompleteJob(tx, end); },
                std::move(done));
  }
  void FailJob(AttemptEnd end, DoneStatus done) override {
    WriteStatus([end = std::move(end)](Transaction& tx) { return core::FailJob(tx, end); },
                std::move(done));
  }
  void ReleaseLease(AttemptEnd end, DoneStatus done) override {
    WriteStatus([end = std::move(end)](Transaction& tx) { return core::ReleaseLease(tx, end); },
                std::move(done));
  }
  void CheckLease(std::string worker_id, LeaseRef lease, DoneStatus done) override {
    WriteStatus([worker_id = std::move(worker_id),
                 lease](Transaction& tx) { return CurrentLease(tx, worker_id, lease).status(); },
                std::move(done));
  }

 private:
  void Submit(Command command);
  template <typename T>
  void Write(std::function<absl::StatusOr<T>(Transaction&)> body, Done<T> done);
  void WriteStatus(std::function<absl::Status(Transaction&)> body, DoneStatus done);
  using Part = absl::StatusOr<BulkPart> (*)(Transaction&, const JobFilter&, JobId);
  void WriteInParts(Part part, std::shared_ptr<const JobFilter> filter, JobId after,
                    uint64_t changed, Done<uint64_t> done);
  template <typename T>
  void Read(std::function<absl::StatusOr<T>(ReadTransaction&)> body, Done<T> done);

  std::vector<Command> PlanDue();
  void EndTurn();
  void SetTimer(absl::Duration now);
  void AnswerWaiters(std::vector<Waiter> waiters);

  Store& store_;
  Clock& clock_;
  Memory memory_;
  FileRemover remover_;
  Executor readers_;
  std::atomic<size_t> queued_reads_{0};
  const std::shared_ptr<Hub> hub_;
  std::shared_ptr<Writer> writer_;  // shared: a timer that fires late finds it gone
  int64_t started_ms_ = 0;
  absl::once_flag shutdown_once_;
  // Writer thread only (and Shutdown, after it has ended).
  Clock::TimerId timer_ = 0;
  absl::Duration timer_due_ = absl::InfiniteDuration();
  bool due_failed_ = false;  // the last turn could not do what was due
};

void CoordinatorImpl::Submit(Command command) {
  auto finish = command.finish;
  const absl::Status status = writer_->Submit(std::move(command));
  if (!status.ok()) writer_->Reply([finish = std::move(finish), status] { finish(status); });
}

template <typename T>
void CoordinatorImpl::Write(std::function<absl::StatusOr<T>(Transaction&)> body, Done<T> done) {
  auto result = std::make_shared<std::optional<T>>();
  Command command;
  command.run = [body = std::move(body), result](Transaction& tx) -> absl::Status {
    COPPICE_ASSIGN_OR_RETURN(*result, body(tx));
    return absl::OkStatus();
  };
  command.finish = [done = std::move(done), result](const absl::Status& status) {
    if (status.ok()) {
      done(**std::move(result));
    } else {
      done(status);
    }
  };
  Submit(std::move(command));
}

void CoordinatorImpl::WriteStatus(std::function<absl::Status(Transaction&)> body, DoneStatus done) {
  Submit({std::move(body), [done = std::move(done)](const absl::Status& status) { done(status); }});
}

void CoordinatorImpl::WriteInParts(Part part, std::shared_ptr<const JobFilter> filter, JobId after,
                                   uint64_t changed, Done<uint64_t> done) {
  Write<BulkPart>(
      [part, filter, after](Transaction& tx) { return part(tx, *filter, after); },
      [this, part, filter, changed, done = std::move(done)](absl::StatusOr<BulkPart> result) {
        if (!result.ok()) return done(result.status());
        const uint64_t so_far = changed + result->changed;
        if (result->next_after == 0) return done(so_far);
        WriteInParts(part, filter, result->next_after, so_far, done);
      });
}

template <typename T>
void CoordinatorImpl::Read(std::function<absl::StatusOr<T>(ReadTransaction&)> body, Done<T> done) {
  absl::Status refused;
  if (queued_reads_.fetch_add(1) >= memory_.options.max_queued_commands) {
    refused = absl::ResourceExhaustedError("too many queries are waiting: try again later");
  } else if (!readers_.Add([this, body = std::move(body), done] {
               std::optional<T> result;
               const absl::Status status = store_.Read([&](ReadTransaction& read) -> absl::Status {
                 COPPICE_ASSIGN_OR_RETURN(result, body(read));
                 return absl::OkStatus();
               });
               queued_reads_.fetch_sub(1);
               if (status.ok()) {
                 done(*std::move(result));
               } else {
                 done(status);
               }
             })) {
    refused = absl::UnavailableError("the coordinator is shutting down");
  }
  if (refused.ok()) return;
  queued_reads_.fetch_sub(1);
  writer_->Reply([done = std::move(done), refused] { done(refused); });
}

void CoordinatorImpl::AcquireLeases(AcquireRequest request, std::function<bool()> cancelled,
                                    Done<LeaseGrant> done) {
  struct Call {
    AcquireRequest request;
    std::function<bool()> cancelled;
    Done<LeaseGrant> done;
    std::optional<LeaseGrant> grant;  // what an earlier try of this request got
    bool waits = false;
  };
  auto call = std::make_shared<Call>(
      Call{std::move(request), std::move(cancelled), std::move(done), {}, false});
  Command command;
  command.run = [this, call](Transaction& tx) -> absl::Status {
    COPPICE_ASSIGN_OR_RETURN(call->grant, BeginAcquire(tx, call->request));
    if (call->grant.has_value()) return absl::OkStatus();
    call->waits = true;
    const absl::Duration wait = std::min(absl::Milliseconds(call->request.wait_ms), kMaxWait);
    tx.AfterCommit([this, call, deadline = tx.now() + wait](Memory& memory) {
      const WorkerEntry* worker = memory.workers.FindById(call->request.worker_id);
      Waiter waiter{call->request, worker == nullptr ? "" : worker->row.info.name, deadline,
                    call->cancelled, call->done};
      auto replaced = memory.waiters.Add(std::move(waiter));
      if (replaced.has_value()) AnswerWaiters({*std::move(replaced)});
    });
    return absl::OkStatus();
  };
  command.finish = [call](const absl::Status& status) {
    if (!status.ok()) return call->done(status);
    if (!call->waits) call->done(*std::move(call->grant));
  };
  Submit(std::move(command));
}

std::vector<Command> CoordinatorImpl::PlanDue() {
  const absl::Duration now = clock_.Monotonic();
  memory_.scheduler.Ripen(now);
  const std::vector<LeaseRef> due = memory_.leases.Due(now, kMaxExpiriesPerBatch);
  due_failed_ = !due.empty();  // until a later call in this turn finds it done
  std::vector<Command> commands;
  for (const LeaseRef& lease : due) {
    commands.push_back({[lease](Transaction& tx) { return ExpireLease(tx, lease); },
                        [lease](const absl::Status& status) {
                          if (status.ok()) return;
                          spdlog::error("cannot end the lease of job {}: {}", lease.job_id,
                                        status.ToString());
                        }});
  }
  return commands;
}

// Answers who has waited long enough and sets the one timer to what comes next.
void CoordinatorImpl::EndTurn() {
  absl::Duration now = clock_.Monotonic();
  AnswerWaiters(memory_.waiters.TakeOverdue(now));
  SetTimer(now);
  // A timer counts from when it is set: if time leapt on meanwhile (a suspended machine, a test's
  // clock), it is late.
  while (clock_.Monotonic() - now > kTimerSlack) {
    now = clock_.Monotonic();
    timer_due_ = now;
    SetTimer(now);
  }
}

void CoordinatorImpl::SetTimer(absl::Duration now) {
  absl::Duration next = absl::InfiniteDuration();
  for (const auto& due : {memory_.leases.NextDeadline(), memory_.scheduler.NextRipe(),
                          memory_.waiters.NextDeadline()}) {
    if (due.has_value()) next = std::min(next, *due);
  }
  if (next <= now) next = now + (due_failed_ ? kRetryPause : absl::ZeroDuration());
  if (timer_ != 0 && timer_due_ > now && timer_due_ <= next)
    return;  // it wakes early enough; then it is set anew
  if (timer_ != 0) clock_.Cancel(timer_);
  timer_ = 0;
  if (next == absl::InfiniteDuration()) return;
  timer_due_ = next;
  timer_ = clock_.Schedule(next - now, [weak = std::weak_ptr<Writer>(writer_)] {
    const auto writer = weak.lock();
    if (writer != nullptr) writer->Wake();
  });
}

void CoordinatorImpl::AnswerWaiters(std::vector<Waiter> waiters) {
  for (Waiter& waiter : waiters) {
    writer_->Reply([done = std::move(waiter.done)] { done(LeaseGrant()); });
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Coordinator>> Coordinator::Open(Store* store, Clock* clock,
                                                               CoordinatorOptions options) {
  if (options.lease <= absl::ZeroDuration() || options.heartbeat_interval <= absl::ZeroDuration() ||
      options.heartbeat_interval >= options.lease) {
    return absl::InvalidArgumentError(
        "the heartbeat interval must be positive and shorter than the lease");
  }
  auto coordinator = std::make_unique<CoordinatorImpl>(store, clock, std::move(options));
  COPPICE_RETURN_IF_ERROR(coordinator->Start());
  return std::unique_ptr<Coordinator>(std::move(coordinator));
}

}  // namespace coppice::core
