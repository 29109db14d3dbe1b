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
  MOCK_METHOD(void, Shutdown, (), (override));
  MOCK_METHOD(ServerInfo, server_info, (), (const, override));
  MOCK_METHOD(void, SubmitSweep, (SweepSpec, uint32_t, Done<SubmitResult>), (override));
  MOCK_METHOD(void, PlanSweep, (SweepSpec, uint32_t, Done<Plan>), (override));
  MOCK_METHOD(void, GetSweep, (std::string, Done<SweepDetails>), (override));
  MOCK_METHOD(void, ListSweeps, (Done<std::vector<SweepSummary>>), (override));
  MOCK_METHOD(void, ListJobs, (JobFilter, JobId, uint32_t, bool, Done<JobPage>), (override));
  MOCK_METHOD(void, GetJob, (JobId, Done<JobDetails>), (override));
  MOCK_METHOD(void, ExplainJob, (JobId, Done<Explanation>), (override));
  MOCK_METHOD(void, GetMetrics, (MetricsQuery, MetricsCursor, uint32_t, Done<MetricsPage>),
              (override));
  MOCK_METHOD(void, GetLog, (JobId, Epoch, uint64_t, Done<LogPage>), (override));
  MOCK_METHOD(void, CancelJobs, (JobFilter, Done<uint64_t>), (override));
  MOCK_METHOD(void, RetryJobs, (JobFilter, Done<uint64_t>), (override));
  MOCK_METHOD(void, SetPaused, (std::string, bool, Done<SweepSummary>), (override));
  MOCK_METHOD(void, ListWorkers, (Done<std::vector<Worker>>), (override));
  MOCK_METHOD(void, DrainWorker, (std::string, bool, bool, Done<Worker>), (override));
  MOCK_METHOD(absl::StatusOr<std::unique_ptr<Subscription>>, WatchSweep, (std::string, OnChange),
              (override));
  MOCK_METHOD(std::unique_ptr<Subscription>, WatchLog, (JobId, std::function<void()>), (override));
  MOCK_METHOD(void, Register, (WorkerInfo, std::vector<HeldLease>, Done<Registration>), (override));
  MOCK_METHOD(void, AcquireLeases, (AcquireRequest, std::function<bool()>, Done<LeaseGrant>),
              (override));
  MOCK_METHOD(void, Heartbeat, (std::string, std::vector<HeldLease>, bool, Done<HeartbeatResult>),
              (override));
  MOCK_METHOD(void, Append, (std::string, std::vector<Record>, Done<std::vector<RecordAck>>),
              (override));
  MOCK_METHOD(void, CommitCheckpoint, (CheckpointCommit, DoneStatus), (override));
  MOCK_METHOD(void, RejectCheckpoint,
              (CheckpointCommit, std::string, Done<std::optional<Checkpoint>>), (override));
  MOCK_METHOD(void, CompleteJob, (AttemptEnd, DoneStatus), (override));
  MOCK_METHOD(void, FailJob, (AttemptEnd, DoneStatus), (override));
  MOCK_METHOD(void, ReleaseLease, (AttemptEnd, DoneStatus), (override));
  MOCK_METHOD(void, CheckLease, (std::string, LeaseRef, DoneStatus), (override));
};

}  // namespace coppice::core

#endif  // COPPICE_TESTS_COORDINATOR_SERVICE_MOCK_COORDINATOR_H_
