#ifndef COPPICE_TESTS_COORDINATOR_SERVICE_MOCK_COORDINATOR_H_
#define COPPICE_TESTS_COORDINATOR_SERVICE_MOCK_COORDINATOR_H_

#include <gmock/gmock.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/core/coordinator.h"

namespace coppice::core {

class MockCoordinator : public Coordinator {
 public:
  using OnChange = std::function<void(const SweepChange&)>;

  // The mocks of clients' calls omit the caller.
  void SubmitSweep(Caller caller, SweepSpec a, uint32_t b, Done<SubmitResult> c) override {
    last_caller = std::move(caller);
    SubmitSweep(std::move(a), std::move(b), std::move(c));
  }
  void ExtendSweep(Caller caller, ExtendRequest a, Done<ExtendResult> b) override {
    last_caller = std::move(caller);
    ExtendSweep(std::move(a), std::move(b));
  }
  void GetSweep(Caller caller, std::string a, Done<SweepDetails> b) override {
    last_caller = std::move(caller);
    GetSweep(std::move(a), std::move(b));
  }
  void ListSweeps(Caller caller, Done<std::vector<SweepSummary>> a) override {
    last_caller = std::move(caller);
    ListSweeps(std::move(a));
  }
  void ListJobs(Caller caller, JobFilter a, JobId b, uint32_t c, bool d, Done<JobPage> e) override {
    last_caller = std::move(caller);
    ListJobs(std::move(a), std::move(b), std::move(c), std::move(d), std::move(e));
  }
  void GetJob(Caller caller, JobId a, Done<JobDetails> b) override {
    last_caller = std::move(caller);
    GetJob(std::move(a), std::move(b));
  }
  void ExplainJob(Caller caller, JobId a, Done<Explanation> b) override {
    last_caller = std::move(caller);
    ExplainJob(std::move(a), std::move(b));
  }
  void GetMetrics(Caller caller, MetricsQuery a, MetricsCursor b, uint32_t c,
                  Done<MetricsPage> d) override {
    last_caller = std::move(caller);
    GetMetrics(std::move(a), std::move(b), std::move(c), std::move(d));
  }
  void GetLog(Caller caller, JobId a, AttemptNumber b, uint64_t c, Done<LogPage> d) override {
    last_caller = std::move(caller);
    GetLog(std::move(a), std::move(b), std::move(c), std::move(d));
  }
  void CancelJobs(Caller caller, JobFilter a, Done<uint64_t> b) override {
    last_caller = std::move(caller);
    CancelJobs(std::move(a), std::move(b));
  }
  void RetryJobs(Caller caller, JobFilter a, Done<uint64_t> b) override {
    last_caller = std::move(caller);
    RetryJobs(std::move(a), std::move(b));
  }
  void SetPaused(Caller caller, std::string a, bool b, Done<SweepSummary> c) override {
    last_caller = std::move(caller);
    SetPaused(std::move(a), std::move(b), std::move(c));
  }
  void DeleteSweep(Caller caller, Deletion a, Done<DeletedSweep> b) override {
    last_caller = std::move(caller);
    DeleteSweep(std::move(a), std::move(b));
  }
  void AnnotateSweep(Caller caller, Annotation a, Done<SweepSummary> b) override {
    last_caller = std::move(caller);
    AnnotateSweep(std::move(a), std::move(b));
  }
  void ListWorkers(Caller caller, Done<std::vector<Worker>> a) override {
    last_caller = std::move(caller);
    ListWorkers(std::move(a));
  }
  void DrainWorker(Caller caller, std::string a, bool b, bool c, Done<Worker> d) override {
    last_caller = std::move(caller);
    DrainWorker(std::move(a), std::move(b), std::move(c), std::move(d));
  }
  void ForgetWorker(Caller caller, std::string a, Done<std::string> b) override {
    last_caller = std::move(caller);
    ForgetWorker(std::move(a), std::move(b));
  }
  MOCK_METHOD(void, LoadPools, (int64_t, Done<pools::PoolsLoaded>), (override));
  MOCK_METHOD(void, SavePools,
              (std::vector<pools::PoolRow>, std::vector<pools::AllocationRow>, DoneStatus),
              (override));
  MOCK_METHOD(void, SetSpentSweeps, (pools::SpentSweeps, DoneStatus), (override));
  MOCK_METHOD(void, GetDemand, (Done<pools::Demand>), (override));
  Caller last_caller;

  MOCK_METHOD(void, Shutdown, (), (override));
  MOCK_METHOD(ServerInfo, server_info, (), (const, override));
  MOCK_METHOD(void, SubmitSweep, (SweepSpec, uint32_t, Done<SubmitResult>));
  MOCK_METHOD(void, ExtendSweep, (ExtendRequest, Done<ExtendResult>));
  MOCK_METHOD(void, GetSweep, (std::string, Done<SweepDetails>));
  MOCK_METHOD(void, ListSweeps, (Done<std::vector<SweepSummary>>));
  MOCK_METHOD(void, ListJobs, (JobFilter, JobId, uint32_t, bool, Done<JobPage>));
  MOCK_METHOD(void, GetJob, (JobId, Done<JobDetails>));
  MOCK_METHOD(void, ExplainJob, (JobId, Done<Explanation>));
  MOCK_METHOD(void, GetMetrics, (MetricsQuery, MetricsCursor, uint32_t, Done<MetricsPage>));
  MOCK_METHOD(void, GetLog, (JobId, AttemptNumber, uint64_t, Done<LogPage>));
  MOCK_METHOD(void, CancelJobs, (JobFilter, Done<uint64_t>));
  MOCK_METHOD(void, RetryJobs, (JobFilter, Done<uint64_t>));
  MOCK_METHOD(void, SetPaused, (std::string, bool, Done<SweepSummary>));
  MOCK_METHOD(void, DeleteSweep, (Deletion, Done<DeletedSweep>));
  MOCK_METHOD(void, AnnotateSweep, (Annotation, Done<SweepSummary>));
  MOCK_METHOD(void, ListWorkers, (Done<std::vector<Worker>>));
  MOCK_METHOD(void, DrainWorker, (std::string, bool, bool, Done<Worker>));
  MOCK_METHOD(void, ForgetWorker, (std::string, Done<std::string>));
  MOCK_METHOD(void, Leave, (Departure, DoneStatus), (override));
  MOCK_METHOD(absl::StatusOr<std::unique_ptr<Subscription>>, WatchSweep, (std::string, OnChange),
              (override));
  MOCK_METHOD(std::unique_ptr<Subscription>, WatchLog, (JobId, std::function<void()>), (override));
  MOCK_METHOD(void, Register, (WorkerInfo, std::vector<HeldLease>, Done<Registration>), (override));
  MOCK_METHOD(void, AcquireLeases, (AcquireRequest, std::function<bool()>, Done<LeaseGrant>),
              (override));
  MOCK_METHOD(void, Heartbeat,
              (std::string, std::vector<HeldLease>, BeatState, Done<HeartbeatResult>), (override));
  MOCK_METHOD(void, Append, (std::string, std::vector<Record>, Done<std::vector<AttemptAnswer>>),
              (override));
  MOCK_METHOD(void, RejectCheckpoint,
              (NamedCheckpoint, std::string, Done<std::optional<Checkpoint>>), (override));
  MOCK_METHOD(void, CheckLease, (std::string, LeaseRef, DoneStatus), (override));
  void CheckUpload(NamedCheckpoint announced, DoneStatus done) override {
    CheckLease(announced.worker_id, announced.lease, std::move(done));
  }
};

}  // namespace coppice::core

#endif  // COPPICE_TESTS_COORDINATOR_SERVICE_MOCK_COORDINATOR_H_
