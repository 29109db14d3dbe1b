// The public interface of the coordinator's core. The gRPC service only decodes, calls a method
// here, and encodes.
#ifndef COPPICE_COORDINATOR_CORE_COORDINATOR_H_
#define COPPICE_COORDINATOR_CORE_COORDINATOR_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/executor.h"
#include "coordinator/core/caller.h"
#include "coordinator/core/extension.h"
#include "coordinator/core/types.h"
#include "coordinator/pools/demand.h"
#include "coordinator/pools/records.h"

namespace coppice::core {

class Store;  // coordinator/core/store.h: the interface that coordinator/store implements

struct CoordinatorOptions {
  absl::Duration lease = absl::Seconds(60);
  absl::Duration heartbeat_interval = absl::Seconds(10);
  std::string checkpoint_root;
  int reader_threads = 2;
  // Bounds on waiting work. Beyond them a call is refused with RESOURCE_EXHAUSTED. A command counts
  // from its acceptance until it is answered. Its bytes count only where the caller determines
  // their size. The defaults suffice for two seconds of work, or for all workers of a large
  // cluster that register at once.
  size_t max_queued_commands = 20'000;
  size_t max_queued_bytes = 64 << 20;
  size_t max_queued_reads = 2'000;
  // Lease requests that may wait for work. A worker may have at most twice as many as it has slots.
  size_t max_waiting_requests = 50'000;
  // Jobs that a submission stores in one transaction. Other commands run between two of these.
  uint64_t jobs_a_part = 10'000;
  // For the pools; both may be empty. They must return at once. Work has come that no waiting
  // worker took; a worker with a pool's key has registered.
  std::function<void()> work_came;
  std::function<void(const std::string& pool_key)> pool_worker_came;
  // Runs the core's tasks in place of its threads, for a simulation. Empty in production.
  Executor::Runner runner;
};

// A change that a watcher receives, in commit order. `job` is set for a change of one job,
// otherwise `summary` is set.
struct SweepChange {
  std::optional<Job> job;
  std::optional<SweepSummary> summary;
  bool finished = false;  // every job has ended; the last call
  bool deleted = false;   // the sweep was deleted; the last call, with neither job nor summary
};

// Keeps a subscription alive. Its destructor ends the subscription and waits for a running
// callback.
class Subscription {
 public:
  virtual ~Subscription() = default;
};

// Purpose: makes every decision about sweeps, jobs, leases, metrics and checkpoints.
// Owner: main; it outlives the gRPC server. Thread-safe: any thread may call any method. A method
// returns at once and calls `done` exactly once, on a thread of the core. If the call is refused
// because too much waits, `done` runs before the method returns, so do not hold a lock that `done`
// takes. `done` must not block. One writer thread runs the writes, many to a transaction.
// `done(OK)` follows COMMIT (synchronous=FULL), so the acknowledged change is durable. Reads use
// their own connections and see only committed state. Failure codes: INVALID_ARGUMENT, NOT_FOUND
// (sweep, job, worker), ALREADY_EXISTS (another sweep with this name), ABORTED (stale attempt),
// FAILED_PRECONDITION (state forbids it), RESOURCE_EXHAUSTED (too many commands queued, disk full),
// UNAVAILABLE (shutting down), INTERNAL (the store failed; nothing was changed).
class Coordinator {
 public:
  template <typename T>
  using Done = std::function<void(absl::StatusOr<T>)>;
  using DoneStatus = std::function<void(absl::Status)>;

  // Recovers from the store. Every running lease gets a full term from now. `store` and `clock`
  // must outlive the coordinator.
  static absl::StatusOr<std::unique_ptr<Coordinator>> Open(Store* store, Clock* clock,
                                                           CoordinatorOptions options);

  virtual ~Coordinator() = default;  // Shutdown()

  // Answers waiting AcquireLeases calls with empty grants, refuses new calls with UNAVAILABLE, and
  // finishes queued ones.
  virtual void Shutdown() = 0;
  virtual ServerInfo server_info() const = 0;

  // -- clients. A query ends with CANCELLED once its caller has gone. A change that has begun
  // continues.
  virtual void SubmitSweep(Caller caller, SweepSpec spec, uint32_t pack_width,
                           Done<SubmitResult> done) = 0;
  // Makes the stored sweep of the spec's name what the spec says. All or nothing.
  // FAILED_PRECONDITION: jobs that have begun would change, or are left out; the message names the
  // differences. NOT_FOUND: there is no such sweep.
  virtual void ExtendSweep(Caller caller, ExtendRequest request, Done<ExtendResult> done) = 0;
  virtual void GetSweep(Caller caller, std::string name, Done<SweepDetails> done) = 0;
  virtual void ListSweeps(Caller caller, Done<std::vector<SweepSummary>> done) = 0;
  virtual void ListJobs(Caller caller, JobFilter filter, JobId after, uint32_t limit,
                        bool with_latest, Done<JobPage> done) = 0;
  virtual void GetJob(Caller caller, JobId id, Done<JobDetails> done) = 0;
  virtual void ExplainJob(Caller caller, JobId id, Done<Explanation> done) = 0;
  virtual void GetMetrics(Caller caller, MetricsQuery query, MetricsCursor after, uint32_t limit,
                          Done<MetricsPage> done) = 0;
  // Returns text after position `after` (0: the start). Attempt 0: the newest attempt that has a
  // log.
  virtual void GetLog(Caller caller, JobId id, AttemptNumber attempt, uint64_t after,
                      Done<LogPage> done) = 0;
  virtual void CancelJobs(Caller caller, JobFilter filter, Done<uint64_t> done) = 0;
  virtual void RetryJobs(Caller caller, JobFilter filter, Done<uint64_t> done) = 0;
  virtual void SetPaused(Caller caller, std::string name, bool paused, Done<SweepSummary> done) = 0;
  // Deletes a sweep whose jobs have all ended. From now on nobody sees it, and its name is free.
  // Its rows and files go after that, in parts (deletions.h). FAILED_PRECONDITION: jobs are left to
  // run, or the sweep has another id.
  virtual void DeleteSweep(Caller caller, Deletion deletion, Done<DeletedSweep> done) = 0;
  // INVALID_ARGUMENT: the sweep would have more than kMaxTags.
  virtual void AnnotateSweep(Caller caller, Annotation annotation, Done<SweepSummary> done) = 0;
  virtual void ListWorkers(Caller caller, Done<std::vector<Worker>> done) = 0;
  virtual void DrainWorker(Caller caller, std::string name_or_id, bool preempt, bool undo,
                           Done<Worker> done) = 0;
  // Passes the forgotten worker's name to `done`.
  virtual void ForgetWorker(Caller caller, std::string name_or_id, Done<std::string> done) = 0;

  // Calls back with the current summary, then with every later change. Summaries come at most once
  // a second. NOT_FOUND for an unknown sweep.
  virtual absl::StatusOr<std::unique_ptr<Subscription>> WatchSweep(
      std::string name, std::function<void(const SweepChange&)> on_change) = 0;
  // Calls back, without content, after log text of the job was stored or the job ended. For clients
  // that follow a log.
  virtual std::unique_ptr<Subscription> WatchLog(JobId id, std::function<void()> on_change) = 0;

  // -- workers
  virtual void Register(WorkerInfo info, std::vector<HeldLease> held, Done<Registration> done) = 0;
  // Waits for work up to wait_ms, then passes an empty grant to `done`. A repeated request_id gets
  // the same grant while its leases are current. `cancelled` may be polled before a grant, so that
  // a caller that has gone gets no leases.
  virtual void AcquireLeases(AcquireRequest request, std::function<bool()> cancelled,
                             Done<LeaseGrant> done) = 0;
  virtual void Heartbeat(std::string worker_id, std::vector<HeldLease> held, BeatState state,
                         Done<HeartbeatResult> done) = 0;
  // The goodbye of a worker process. NOT_FOUND: it is not registered.
  virtual void Leave(Departure departure, DoneStatus done) = 0;
  // Takes records of one worker, in order, in one transaction. Returns one answer for each attempt
  // after COMMIT. A record whose number was taken before is skipped. A fault of one record is in
  // the answer of its attempt (AttemptAnswer): later records of that attempt are then not looked
  // at, and other attempts are unaffected.
  virtual void Append(std::string worker_id, std::vector<Record> records,
                      Done<std::vector<AttemptAnswer>> done) = 0;
  virtual void RejectCheckpoint(NamedCheckpoint checkpoint, std::string reason,
                                Done<std::optional<Checkpoint>> done) = 0;
  // OK if the lease is current, else ABORTED. Called before the first byte of a checkpoint stream.
  virtual void CheckLease(std::string worker_id, LeaseRef lease, DoneStatus done) = 0;
  // Checks that a record could make an announced upload a checkpoint: the lease is current, and
  // path, digest and step fit this attempt. Called before anything is created on disk.
  virtual void CheckUpload(NamedCheckpoint announced, DoneStatus done) = 0;

  // -- pools. Calls are answered in their order.
  virtual void LoadPools(int64_t ended_since_ms, Done<pools::PoolsLoaded> done) = 0;
  // Stores all rows in one transaction.
  virtual void SavePools(std::vector<pools::PoolRow> pools,
                         std::vector<pools::AllocationRow> allocations, DoneStatus done) = 0;
  // The work that waits and the workers that are there. Its cost depends on the number of groups
  // and workers, not of jobs.
  // Workers of these pools get no jobs of these sweeps, until the next call. Not durable.
  virtual void SetSpentSweeps(pools::SpentSweeps spent, DoneStatus done) = 0;
  virtual void GetDemand(Done<pools::Demand> done) = 0;
};

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_COORDINATOR_H_
