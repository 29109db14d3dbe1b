#ifndef COPPICE_BENCH_CONTROL_PLANE_FLEET_H_
#define COPPICE_BENCH_CONTROL_PLANE_FLEET_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "bench/control_plane/calls.h"
#include "bench/control_plane/machine.h"
#include "bench/control_plane/options.h"
#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "worker/daemon/coordinator_client.h"

namespace coppice::bench {

// Purpose: one simulated worker. It has a connection, a registration, the jobs it holds, and one
// stream of records. As with a real worker, records that are ready together travel in one message,
// a broken stream is opened again, and everything unacknowledged is sent again. Owner: Fleet.
// Thread-safe.
class SimulatedWorker {
 public:
  using Answered = std::function<void(const v1::AttemptAnswer&)>;

  SimulatedWorker(std::string name, v1::WorkerService::Stub* stub, worker::CallRegistry* calls);
  // Its calls must have ended.
  ~SimulatedWorker();

  const std::string& name() const { return name_; }
  v1::WorkerService::Stub* stub() const { return stub_; }
  std::string id() const;
  void SetId(const std::string& id);
  v1::RegisterRequest Registration() const;

  // Adds records of one attempt, in order, for the next Flush. `answered` (may be null) is called
  // once, when the last of them is durable, one was refused, or the attempt is over.
  void Add(std::vector<v1::AttemptRecord> records, Answered answered);
  // Sends what was added. The callbacks of an answer are followed by a flush.
  void Flush();
  // Drops the stream. Records that wait for an answer get an error.
  void CloseStream();
  // Streams that the coordinator ended because it was overloaded.
  uint64_t streams_refused() const { return streams_refused_; }

  std::vector<v1::HeldLease> held() const;
  // All leases that a heartbeat lists.
  std::vector<v1::HeldLease> listed() const;
  void Hold(const v1::AcquireLeasesResponse& grant);
  void SetStep(uint64_t job, uint32_t step);
  // Begins a job that it will finish. Heartbeats list it meanwhile.
  void Begin(const v1::LeaseRef& lease);
  void End(const v1::LeaseRef& lease);

 private:
  struct Unacked {
    std::vector<v1::AttemptRecord> records;
    Answered answered;
  };
  void OpenLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SendLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Takes out the callbacks for one attempt's answer.
  std::vector<Answered> TakeAnsweredLocked(const v1::AttemptAnswer& answer)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnAnswer(uint64_t stream, const v1::StreamRecordsResponse& answer);
  void OnEnd(uint64_t stream, const absl::Status& status);

  const std::string name_;
  const std::string instance_;
  v1::WorkerService::Stub* const stub_;
  worker::CallRegistry* const calls_;
  mutable absl::Mutex mutex_;
  std::string id_ ABSL_GUARDED_BY(mutex_);
  std::vector<v1::HeldLease> held_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<uint64_t, v1::LeaseRef> running_ ABSL_GUARDED_BY(mutex_);  // by job
  std::shared_ptr<worker::RecordStream> stream_ ABSL_GUARDED_BY(mutex_);
  bool introduced_ ABSL_GUARDED_BY(mutex_) = false;  // the stream knows the worker's id
  uint64_t stream_number_ ABSL_GUARDED_BY(mutex_) = 0;
  Clock::TimerId reopen_ ABSL_GUARDED_BY(mutex_) = 0;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  Backoff backoff_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<uint64_t, std::vector<Unacked>> unacked_ ABSL_GUARDED_BY(mutex_);  // by job
  std::vector<v1::AttemptRecord> unsent_ ABSL_GUARDED_BY(mutex_);
  std::atomic<uint64_t> streams_refused_{0};
};

// Purpose: all simulated workers, their connections and their heartbeats. Heartbeats are spread
// evenly over the interval and do not wait for answers. Owner: main. Call it from one thread.
class Fleet {
 public:
  // The workers are named `name`-0, `name`-1, ..
  Fleet(const Options& options, const std::string& address, const std::string& name = "worker");
  ~Fleet();

  absl::Status RegisterAll();
  // Every worker leases one pack and keeps it.
  absl::Status HoldJobs();
  void StartHeartbeats();
  void StopHeartbeats();
  void CloseStreams();

  size_t size() const { return workers_.size(); }
  SimulatedWorker& at(size_t index) { return *workers_[index % workers_.size()]; }

  uint64_t streams_refused() const;
  uint64_t heartbeats_answered() const { return beats_answered_; }
  uint64_t heartbeats_failed() const { return beats_failed_; }
  // Counts directives other than CONTINUE, for leases that the coordinator no longer knows.
  uint64_t leases_lost() const { return leases_lost_; }
  Latencies TakeHeartbeatLatencies();

 private:
  void Beat(size_t index);
  absl::Status ForAll(
      const std::function<void(SimulatedWorker&, std::function<void(absl::Status)>)>& start);

  const Options& options_;
  Clock* const clock_;
  worker::CallRegistry calls_;
  std::vector<std::unique_ptr<v1::WorkerService::Stub>> stubs_;
  std::vector<std::unique_ptr<SimulatedWorker>> workers_;
  std::vector<std::unique_ptr<Backoff>> backoffs_;  // one a worker, for its heartbeat in flight
  std::atomic<bool> beating_{false};
  std::atomic<uint64_t> beats_answered_{0};
  std::atomic<uint64_t> beats_failed_{0};
  std::atomic<uint64_t> leases_lost_{0};
  std::atomic<int64_t> beats_pending_{0};  // scheduled or in flight
  absl::Mutex mutex_;
  Latencies beat_latencies_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace coppice::bench

#endif  // COPPICE_BENCH_CONTROL_PLANE_FLEET_H_
