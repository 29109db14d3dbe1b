#include "coordinator/core/coordinator.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/ids.h"
#include "common/base/retry_after.h"
#include "common/base/status_macros.h"
#include "coordinator/core/commands.h"
#include "coordinator/core/deletions.h"
#include "coordinator/core/demand.h"
#include "coordinator/core/engine.h"
#include "coordinator/core/extensions.h"
#include "coordinator/core/queries.h"
#include "coordinator/core/refusal_pacer.h"
#include "coordinator/core/sizes.h"
#include "coordinator/core/submissions.h"
#include "coordinator/core/turns.h"

namespace coppice::core {
namespace {

// Purpose: maps every call to its command or query.
class CoordinatorImpl : public Coordinator {
 public:
  CoordinatorImpl(Store* store, Clock* clock, CoordinatorOptions options)
      : engine_(store, clock, std::move(options)),
        submissions_(&engine_, &turns_),
        extensions_(&engine_, &turns_),
        deletions_(&engine_, clock) {}
  // The engine's threads must end before the objects that they call are destroyed.
  ~CoordinatorImpl() override { Shutdown(); }

  absl::Status Start() {
    COPPICE_RETURN_IF_ERROR(engine_.Start());
    submissions_.TakeBackLeftovers();
    extensions_.ContinueLeftovers();
    deletions_.ContinueLeftovers();
    return absl::OkStatus();
  }
  void Shutdown() final {
    deletions_.Shutdown();
    engine_.Shutdown();
  }
  ServerInfo server_info() const override {
    return {engine_.memory().store_id, engine_.started_ms(),
            engine_.memory().options.checkpoint_root};
  }

  // -- clients

  void SubmitSweep(Caller caller, SweepSpec spec, uint32_t pack_width,
                   Done<SubmitResult> done) override {
    submissions_.Submit(std::move(caller), std::move(spec), pack_width, std::move(done));
  }
  void ExtendSweep(Caller caller, ExtendRequest request, Done<ExtendResult> done) override {
    extensions_.Extend(std::move(caller), std::move(request), std::move(done));
  }
  void GetSweep(Caller caller, std::string name, Done<SweepDetails> done) override {
    engine_.Read<SweepDetails>(
        caller,
        [this, name = std::move(name)](ReadTransaction& read) {
          return QuerySweep(read, engine_.memory(), name);
        },
        std::move(done));
  }
  void ListSweeps(Caller caller, Done<std::vector<SweepSummary>> done) override {
    engine_.Read<std::vector<SweepSummary>>(
        caller, [this](ReadTransaction& read) { return QuerySweeps(read, engine_.memory()); },
        std::move(done));
  }
  void ListJobs(Caller caller, JobFilter filter, JobId after, uint32_t limit, bool with_latest,
                Done<JobPage> done) override {
    auto lister = std::make_shared<JobLister>(std::move(filter), after, limit, with_latest);
    engine_.ReadInSlices<JobPage>(
        caller,
        [this, lister](ReadTransaction& read, JobPage& page) {
          return lister->Next(read, engine_.memory(), page);
        },
        std::move(done));
  }
  void GetJob(Caller caller, JobId id, Done<JobDetails> done) override {
    engine_.Read<JobDetails>(
        caller, [this, id](ReadTransaction& read) { return QueryJob(read, engine_.memory(), id); },
        std::move(done));
  }
  void ExplainJob(Caller, JobId id, Done<Explanation> done) override {
    engine_.Write<Explanation>([id](CommandContext& tx) { return core::ExplainJob(tx, id); },
                               std::move(done));
  }
  void GetMetrics(Caller caller, MetricsQuery query, MetricsCursor after, uint32_t limit,
                  Done<MetricsPage> done) override {
    engine_.Read<MetricsPage>(
        caller,
        [this, query = std::move(query), after, limit](ReadTransaction& read) {
          return QueryMetrics(read, engine_.memory(), query, after, limit);
        },
        std::move(done));
  }
  void GetLog(Caller caller, JobId id, AttemptNumber attempt, uint64_t after,
              Done<LogPage> done) override {
    engine_.Read<LogPage>(
        caller,
        [id, attempt, after](ReadTransaction& read) { return QueryLog(read, id, attempt, after); },
        std::move(done));
  }
  void CancelJobs(Caller caller, JobFilter filter, Done<uint64_t> done) override {
    WriteInParts(&CancelPart, caller, std::make_shared<const JobFilter>(std::move(filter)), 0, 0,
                 std::move(done));
  }
  void RetryJobs(Caller caller, JobFilter filter, Done<uint64_t> done) override {
    WriteInParts(&RetryPart, caller, std::make_shared<const JobFilter>(std::move(filter)), 0, 0,
                 std::move(done));
  }
  void SetPaused(Caller caller, std::string name, bool paused, Done<SweepSummary> done) override {
    engine_.Write<SweepSummary>(
        [caller, name = std::move(name), paused](CommandContext& tx) {
          return SetSweepPaused(tx, caller, name, paused);
        },
        std::move(done));
  }
  void DeleteSweep(Caller caller, Deletion deletion, Done<DeletedSweep> done) override {
    deletions_.Delete(std::move(caller), std::move(deletion), std::move(done));
  }
  void AnnotateSweep(Caller caller, Annotation annotation, Done<SweepSummary> done) override {
    engine_.Write<SweepSummary>(
        [caller, annotation = std::move(annotation)](CommandContext& tx) {
          return core::AnnotateSweep(tx, caller, annotation);
        },
        std::move(done));
  }
  void ListWorkers(Caller, Done<std::vector<Worker>> done) override {
    engine_.Write<std::vector<Worker>>(
        [](CommandContext& tx) -> absl::StatusOr<std::vector<Worker>> {
          return core::ListWorkers(tx);
        },
        std::move(done));
  }
  void DrainWorker(Caller caller, std::string name_or_id, bool preempt, bool undo,
                   Done<Worker> done) override {
    engine_.Write<Worker>(
        [caller, name_or_id = std::move(name_or_id), preempt, undo](CommandContext& tx) {
          return core::DrainWorker(tx, caller, name_or_id, preempt, undo);
        },
        std::move(done));
  }
  void ForgetWorker(Caller caller, std::string name_or_id, Done<std::string> done) override {
    engine_.Write<std::string>(
        [caller, name_or_id = std::move(name_or_id)](CommandContext& tx) {
          return core::ForgetWorker(tx, caller, name_or_id);
        },
        std::move(done));
  }

  absl::StatusOr<std::unique_ptr<Subscription>> WatchSweep(
      std::string name, std::function<void(const SweepChange&)> on_change) override {
    const auto sweep = engine_.memory().catalog.FindSweep(name);
    if (sweep == nullptr) return absl::NotFoundError(absl::StrCat("no sweep named '", name, "'"));
    return engine_.hub().WatchSweep(sweep->id, std::move(on_change));
  }
  std::unique_ptr<Subscription> WatchLog(JobId id, std::function<void()> on_change) override {
    return engine_.hub().WatchLog(id, std::move(on_change));
  }

  // -- workers

  void Register(WorkerInfo info, std::vector<HeldLease> held, Done<Registration> done) override {
    const size_t bytes = BytesOf(held);
    std::string key = info.allocation.pool_key;
    engine_.Write<Registration>(
        [info = std::move(info), held = std::move(held), id = RandomId()](CommandContext& tx) {
          return RegisterWorker(tx, info, held, id);
        },
        [this, key = std::move(key), done = std::move(done)](absl::StatusOr<Registration> result) {
          const auto& came = engine_.memory().options.pool_worker_came;
          const bool registered = result.ok() && !result->worker_id.empty();
          if (registered && !key.empty() && came) came(key);
          done(std::move(result));
        },
        bytes);
  }
  void AcquireLeases(AcquireRequest request, std::function<bool()> cancelled,
                     Done<LeaseGrant> done) override {
    engine_.WriteOrWait<LeaseGrant>(
        [request = std::move(request), cancelled = std::move(cancelled), done](CommandContext& tx) {
          return core::AcquireLeases(tx, request, cancelled, done);
        },
        [this, done](absl::StatusOr<LeaseGrant> result) {
          if (!absl::IsResourceExhausted(result.status())) return done(std::move(result));
          done(WithRetryAfter(result.status(), refused_.Next(engine_.Now())));
        });
  }
  void Heartbeat(std::string worker_id, std::vector<HeldLease> held, BeatState state,
                 Done<HeartbeatResult> done) override {
    const size_t bytes = BytesOf(held);
    engine_.Write<HeartbeatResult>(
        [worker_id = std::move(worker_id), held = std::move(held), state](CommandContext& tx) {
          return TakeHeartbeat(tx, worker_id, held, state);
        },
        std::move(done), bytes);
  }
  void Leave(Departure departure, DoneStatus done) override {
    engine_.WriteStatus([departure = std::move(departure)](
                            CommandContext& tx) { return LeaveWorker(tx, departure); },
                        std::move(done));
  }
  void Append(std::string worker_id, std::vector<Record> records,
              Done<std::vector<AttemptAnswer>> done) override {
    const size_t bytes = BytesOf(records);
    engine_.Write<std::vector<AttemptAnswer>>(
        [worker_id = std::move(worker_id), records = std::move(records)](CommandContext& tx) {
          return AppendRecords(tx, worker_id, records);
        },
        std::move(done), bytes);
  }
  void RejectCheckpoint(NamedCheckpoint checkpoint, std::string reason,
                        Done<std::optional<Checkpoint>> done) override {
    engine_.Write<std::optional<Checkpoint>>(
        [checkpoint = std::move(checkpoint), reason = std::move(reason)](CommandContext& tx) {
          return core::RejectCheckpoint(tx, checkpoint, reason);
        },
        std::move(done));
  }
  void CheckLease(std::string worker_id, LeaseRef lease, DoneStatus done) override {
    engine_.WriteStatus(
        [worker_id = std::move(worker_id), lease](CommandContext& tx) {
          return CurrentLease(tx, worker_id, lease).status();
        },
        std::move(done));
  }
  void CheckUpload(NamedCheckpoint announced, DoneStatus done) override {
    engine_.WriteStatus([announced = std::move(announced)](
                            CommandContext& tx) { return core::CheckUpload(tx, announced); },
                        std::move(done));
  }

  // -- pools

  void LoadPools(int64_t ended_since_ms, Done<pools::PoolsLoaded> done) override {
    engine_.Write<pools::PoolsLoaded>(
        [ended_since_ms](CommandContext& tx) { return core::LoadPools(tx, ended_since_ms); },
        std::move(done));
  }
  void SavePools(std::vector<pools::PoolRow> pools, std::vector<pools::AllocationRow> allocations,
                 DoneStatus done) override {
    engine_.WriteStatus([pools = std::move(pools), allocations = std::move(allocations)](
                            CommandContext& tx) { return core::SavePools(tx, pools, allocations); },
                        std::move(done));
  }
  void SetSpentSweeps(pools::SpentSweeps spent, DoneStatus done) override {
    engine_.WriteStatus(
        [spent = std::move(spent)](CommandContext& tx) {
          tx.AfterCommit(SpentSweepsCounted{spent});
          return absl::OkStatus();
        },
        std::move(done));
  }
  void GetDemand(Done<pools::Demand> done) override {
    engine_.Write<Waiting>([](CommandContext& tx) { return MeasureWaiting(tx); },
                           [this, done = std::move(done)](absl::StatusOr<Waiting> waiting) {
                             if (!waiting.ok()) return done(waiting.status());
                             AddWorkTime(*std::move(waiting), done);
                           });
  }

 private:
  using Part = absl::StatusOr<BulkPart> (*)(CommandContext&, const Caller&, const JobFilter&,
                                            JobId);
  void AddWorkTime(Waiting waiting, Done<pools::Demand> done);
  void WriteInParts(Part part, Caller caller, std::shared_ptr<const JobFilter> filter, JobId after,
                    uint64_t changed, Done<uint64_t> done);

  RefusalPacer refused_;  // requests for work
  WorkTimeMemory work_time_;
  Engine engine_;
  Turns turns_;
  Submissions submissions_;
  Extensions extensions_;
  Deletions deletions_;
};

void CoordinatorImpl::AddWorkTime(Waiting waiting, Done<pools::Demand> done) {
  const uint64_t jobs = waiting.demand.grantable_jobs + waiting.demand.running_jobs;
  if (const auto known = work_time_.Recall(jobs, engine_.Now())) {
    return done(DemandOf(waiting, *known));
  }
  engine_.Read<pools::Demand>(
      {},
      [this, waiting = std::move(waiting),
       jobs](ReadTransaction& read) -> absl::StatusOr<pools::Demand> {
        const absl::Duration begun = engine_.Now();
        COPPICE_ASSIGN_OR_RETURN(
            const WorkTime time,
            MeasureAllWork(read, engine_.memory(), waiting.demand.grantable_jobs));
        work_time_.Keep(time, jobs, engine_.Now(), engine_.Now() - begun);
        return DemandOf(waiting, time);
      },
      std::move(done));
}

// Each part is its own command, so that other commands run in between.
void CoordinatorImpl::WriteInParts(Part part, Caller caller,
                                   std::shared_ptr<const JobFilter> filter, JobId after,
                                   uint64_t changed, Done<uint64_t> done) {
  const size_t bytes = BytesOf(*filter);
  engine_.WritePart<BulkPart>(
      [part, caller, filter, after](CommandContext& tx) {
        return part(tx, caller, *filter, after);
      },
      [this, part, caller, filter, changed,
       done = std::move(done)](absl::StatusOr<BulkPart> result) {
        if (!result.ok()) return done(result.status());
        const uint64_t so_far = changed + result->changed;
        if (result->next_after == 0) return done(so_far);
        WriteInParts(part, caller, filter, result->next_after, so_far, done);
      },
      bytes, /*goes_on=*/after != 0);
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
