// Tests of every unary call through real stubs, with a mock core: the values that reach the core,
// and the response.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include "absl/synchronization/notification.h"
#include "common/base/build_info.h"
#include "common/base/retry_after.h"
#include "common/rpc/status.h"
#include "coordinator/service/convert.h"
#include "tests/coordinator/service/mock_coordinator.h"
#include "tests/coordinator/service/served.h"

namespace coppice::service {
namespace {

using ::testing::_;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Return;
using ::testing::StrictMock;

constexpr char kDigest[] = "0123456789abcdef0123456789abcdef";

class Handlers : public ::testing::Test {
 protected:
  ~Handlers() override { served_.server.reset(); }

  // Fails on any call that a test does not expect.
  StrictMock<core::MockCoordinator> core_;
  testing::TempDir dir_;
  Served served_{&core_, Clock::Real(), dir_.path()};
};

v1::SweepSpec Spec() {
  v1::SweepSpec spec;
  spec.set_name("small");
  spec.add_tasks("question");
  spec.add_depths(2);
  spec.add_seeds(0);
  return spec;
}

core::SweepSummary Summary() {
  core::SweepSummary summary;
  summary.id = 4;
  summary.name = "small";
  summary.paused = true;
  summary.priority = -2;
  summary.created_ms = 11;
  summary.finished_ms = 12;
  summary.counts = {1, 2, 3, 4, 5};
  summary.steps_done = 70;
  summary.steps_total = 100;
  summary.seed_steps_per_second = 1.5;
  summary.eta_seconds = 20;
  summary.workers = 2;
  return summary;
}

void ExpectSummary(const v1::SweepSummary& summary) {
  EXPECT_EQ(summary.id(), 4u);
  EXPECT_EQ(summary.name(), "small");
  EXPECT_TRUE(summary.paused());
  EXPECT_EQ(summary.priority(), -2);
  EXPECT_EQ(summary.created_ms(), 11);
  EXPECT_EQ(summary.finished_ms(), 12);
  EXPECT_EQ(summary.counts().pending(), 1u);
  EXPECT_EQ(summary.counts().running(), 2u);
  EXPECT_EQ(summary.counts().succeeded(), 3u);
  EXPECT_EQ(summary.counts().failed(), 4u);
  EXPECT_EQ(summary.counts().cancelled(), 5u);
  EXPECT_EQ(summary.jobs(), 15u);
  EXPECT_EQ(summary.steps_done(), 70u);
  EXPECT_EQ(summary.steps_total(), 100u);
  EXPECT_EQ(summary.seed_steps_per_second(), 1.5);
  EXPECT_EQ(summary.eta_seconds(), 20);
  EXPECT_EQ(summary.workers(), 2u);
}

core::GroupSummary Group() {
  core::GroupSummary group;
  group.spec = SweepSpecFromProto(Spec()).value().groups[0];
  group.counts = {6, 0, 0, 0, 0};
  group.steps_done = 33;
  return group;
}

core::Job AJob() {
  core::Job job;
  job.id = 8;
  job.sweep = "small";
  job.task = "dyck";
  job.depth = 4;
  job.seed = 0;
  job.state = core::JobState::kFailed;
  job.step = 30;
  job.steps = 40;
  job.attempt = 3;
  job.attempts = 2;
  job.failures = 1;
  job.worker = "node1";
  job.reason = "nan";
  job.created_ms = 1;
  job.started_ms = 2;
  job.finished_ms = 3;
  job.checkpoint_step = 20;
  job.sweep_paused = true;
  job.latest = {{"train_loss", 0.5}};
  return job;
}

void ExpectJob(const v1::Job& job) {
  EXPECT_EQ(job.id(), 8u);
  EXPECT_EQ(job.sweep(), "small");
  EXPECT_EQ(job.task(), "dyck");
  EXPECT_EQ(job.depth(), 4u);
  EXPECT_EQ(job.state(), v1::FAILED);
  EXPECT_EQ(job.step(), 30u);
  EXPECT_EQ(job.steps(), 40u);
  EXPECT_EQ(job.attempt(), 3u);
  EXPECT_EQ(job.attempts(), 2u);
  EXPECT_EQ(job.failures(), 1u);
  EXPECT_EQ(job.worker(), "node1");
  EXPECT_EQ(job.reason(), "nan");
  EXPECT_EQ(job.created_ms(), 1);
  EXPECT_EQ(job.started_ms(), 2);
  EXPECT_EQ(job.finished_ms(), 3);
  EXPECT_EQ(job.checkpoint_step(), 20u);
  EXPECT_TRUE(job.paused());
  ASSERT_EQ(job.latest_size(), 1);
  EXPECT_EQ(job.latest(0).name(), "train_loss");
  EXPECT_EQ(job.latest(0).value(), 0.5);
}

core::Checkpoint ACheckpoint() { return {8, 3, 20, "small/8/step", kDigest, 99, 5}; }

void ExpectCheckpoint(const v1::Checkpoint& checkpoint) {
  EXPECT_EQ(checkpoint.job_id(), 8u);
  EXPECT_EQ(checkpoint.attempt(), 3u);
  EXPECT_EQ(checkpoint.step(), 20u);
  EXPECT_EQ(checkpoint.path(), "small/8/step");
  EXPECT_EQ(checkpoint.digest(), kDigest);
  EXPECT_EQ(checkpoint.bytes(), 99u);
  EXPECT_EQ(checkpoint.committed_ms(), 5);
}

core::Worker AWorker() {
  core::Worker worker;
  worker.id = "w-1";
  worker.info = {"node1", "i", "host1", "0.1", 2, 5, "cpu", true};
  worker.draining = true;
  worker.connected = true;
  worker.registered_ms = 6;
  worker.last_seen_ms = 7;
  worker.running_jobs = 9;
  return worker;
}

void ExpectWorker(const v1::Worker& worker) {
  EXPECT_EQ(worker.id(), "w-1");
  EXPECT_EQ(worker.name(), "node1");
  EXPECT_EQ(worker.host(), "host1");
  EXPECT_EQ(worker.version(), "0.1");
  EXPECT_EQ(worker.slots(), 2u);
  EXPECT_EQ(worker.pack_width(), 5u);
  EXPECT_TRUE(worker.draining());
  EXPECT_TRUE(worker.connected());
  EXPECT_EQ(worker.registered_ms(), 6);
  EXPECT_EQ(worker.last_seen_ms(), 7);
  EXPECT_EQ(worker.running_jobs(), 9u);
  EXPECT_EQ(worker.device(), "cpu");
  EXPECT_TRUE(worker.shared_checkpoints());
}

template <typename Request>
Request OfLease() {
  Request request;
  request.set_worker_id("w");
  request.mutable_lease()->set_job_id(8);
  request.mutable_lease()->set_attempt(3);
  return request;
}

TEST_F(Handlers, SubmitSweepReturnsTheSweepAndItsPlan) {
  EXPECT_CALL(core_, SubmitSweep)
      .WillOnce([](const core::SweepSpec& spec, uint32_t width, auto done) {
        EXPECT_EQ(spec.name, "small");
        EXPECT_EQ(width, 4u);
        core::Plan plan;
        plan.groups = {Group()};
        plan.jobs = 6;
        plan.packs = 2;
        plan.pack_width = 4;
        plan.expected_work = 1e9;
        plan.steps_total = 600;
        done(core::SubmitResult{Summary(), plan, true});
      });
  v1::SubmitSweepRequest request;
  *request.mutable_spec() = Spec();
  request.set_pack_width(4);
  v1::SubmitSweepResponse response;
  CallContext context;
  ASSERT_TRUE(served_.sweeps->SubmitSweep(&context, request, &response).ok());
  EXPECT_TRUE(response.created());
  ExpectSummary(response.sweep());
  EXPECT_EQ(response.plan().jobs(), 6u);
  EXPECT_EQ(response.plan().packs(), 2u);
  EXPECT_EQ(response.plan().pack_width(), 4u);
  EXPECT_EQ(response.plan().expected_work(), 1e9);
  EXPECT_EQ(response.plan().steps_total(), 600u);
  ASSERT_EQ(response.plan().groups_size(), 1);
  const v1::GroupSummary& group = response.plan().groups(0);
  EXPECT_EQ(group.task(), "question");
  EXPECT_EQ(group.depth(), 2u);
  EXPECT_EQ(group.steps(), 300'000u);
  EXPECT_EQ(group.counts().pending(), 6u);
  EXPECT_EQ(group.steps_done(), 33u);
  EXPECT_GT(group.work_per_step(), 0);
  EXPECT_EQ(group.run().model().d_model(), 512u);
}

TEST_F(Handlers, ADryRunOnlyPlans) {
  EXPECT_CALL(core_, GetSweep(Spec().name(), _)).WillOnce([](auto, auto done) {
    done(absl::NotFoundError("no such sweep"));
  });
  v1::SubmitSweepRequest request;
  *request.mutable_spec() = Spec();
  request.set_dry_run(true);
  v1::SubmitSweepResponse response;
  CallContext context;
  ASSERT_TRUE(served_.sweeps->SubmitSweep(&context, request, &response).ok());
  EXPECT_GT(response.plan().jobs(), 0u);
  EXPECT_EQ(response.plan().pack_width(), kDefaultPackWidth);
  EXPECT_TRUE(response.compared());
  EXPECT_FALSE(response.exists());
  EXPECT_FALSE(response.has_sweep());
}

TEST_F(Handlers, EveryErrorCodeOfTheCoreReachesTheClientWithItsMessage) {
  const auto error_of = [](int code) {
    return absl::Status(static_cast<absl::StatusCode>(code), "the reason");
  };
  std::atomic<int> code = 1;
  EXPECT_CALL(core_, GetSweep("s", _)).Times(16).WillRepeatedly([&](auto, auto done) {
    done(error_of(code));
  });
  for (; code <= 16; ++code) {
    v1::GetSweepRequest request;
    request.set_name("s");
    v1::GetSweepResponse response;
    CallContext context;
    EXPECT_EQ(rpc::FromGrpc(served_.sweeps->GetSweep(&context, request, &response)),
              error_of(code));
  }
}

TEST_F(Handlers, GetSweepReturnsSummarySpecAndGroups) {
  EXPECT_CALL(core_, GetSweep("small", _)).WillOnce([](auto, auto done) {
    done(core::SweepDetails{Summary(),
                            Spec().SerializeAsString(),
                            {Group()},
                            {{7, "paused", "ana at ipv4:10.0.0.7:1", ""}}});
  });
  v1::GetSweepRequest request;
  request.set_name("small");
  v1::GetSweepResponse response;
  CallContext context;
  ASSERT_TRUE(served_.sweeps->GetSweep(&context, request, &response).ok());
  ExpectSummary(response.sweep());
  EXPECT_EQ(response.spec().name(), "small");
  EXPECT_EQ(response.groups_size(), 1);
  ASSERT_EQ(response.operations_size(), 1);
  EXPECT_EQ(response.operations(0).action(), "paused");
  EXPECT_EQ(response.operations(0).who(), "ana at ipv4:10.0.0.7:1");
}

TEST_F(Handlers, ListSweepsReturnsThemAll) {
  EXPECT_CALL(core_, ListSweeps).WillOnce([](auto done) {
    core::SweepSummary last;
    last.id = Summary().id + 1;
    done(std::vector<core::SweepSummary>{Summary(), last});
  });
  v1::ListSweepsResponse list;
  CallContext context;
  ASSERT_TRUE(served_.sweeps->ListSweeps(&context, {}, &list).ok());
  ASSERT_EQ(list.sweeps_size(), 2);
  ExpectSummary(list.sweeps(0));
}

TEST_F(Handlers, ListJobsPagesByToken) {
  EXPECT_CALL(core_, ListJobs(_, 17, 50, true, _))
      .WillOnce([](const core::JobFilter& filter, auto, auto, auto, auto done) {
        EXPECT_EQ(filter.sweep, "small");
        EXPECT_THAT(filter.states, ElementsAre(core::JobState::kFailed));
        done(core::JobPage{{AJob()}, 8});
      });
  v1::ListJobsRequest request;
  request.mutable_filter()->set_sweep("small");
  request.mutable_filter()->add_states(v1::FAILED);
  request.set_page_size(50);
  request.set_page_token("17");
  request.set_with_latest(true);
  v1::ListJobsResponse response;
  CallContext context;
  ASSERT_TRUE(served_.sweeps->ListJobs(&context, request, &response).ok());
  ASSERT_EQ(response.jobs_size(), 1);
  ExpectJob(response.jobs(0));
  EXPECT_EQ(response.next_page_token(), "8");
}

TEST_F(Handlers, GetJobShowsAttemptsEventsAndCheckpoints) {
  EXPECT_CALL(core_, GetJob(8, _)).WillOnce([](auto, auto done) {
    core::JobDetails details;
    details.job = AJob();
    details.run_json = Group().spec.run_json;
    details.attempts = {{3, "node1", 10, 20, "failed", "nan at 30", 20, 30, "{}"}};
    details.events = {{10, 3, "granted", "to node1"}};
    details.checkpoints = {ACheckpoint()};
    done(details);
  });
  v1::GetJobRequest request;
  request.set_job_id(8);
  v1::GetJobResponse response;
  CallContext context;
  ASSERT_TRUE(served_.sweeps->GetJob(&context, request, &response).ok());
  ExpectJob(response.job());
  EXPECT_EQ(response.run().task(), "question");
  ASSERT_EQ(response.attempts_size(), 1);
  const v1::Attempt& attempt = response.attempts(0);
  EXPECT_EQ(attempt.number(), 3u);
  EXPECT_EQ(attempt.worker(), "node1");
  EXPECT_EQ(attempt.granted_ms(), 10);
  EXPECT_EQ(attempt.ended_ms(), 20);
  EXPECT_EQ(attempt.outcome(), "failed");
  EXPECT_EQ(attempt.message(), "nan at 30");
  EXPECT_EQ(attempt.start_step(), 20u);
  EXPECT_EQ(attempt.end_step(), 30u);
  EXPECT_EQ(attempt.provenance(), "{}");
  ASSERT_EQ(response.events_size(), 1);
  EXPECT_EQ(response.events(0).time_ms(), 10);
  EXPECT_EQ(response.events(0).attempt(), 3u);
  EXPECT_EQ(response.events(0).type(), "granted");
  EXPECT_EQ(response.events(0).message(), "to node1");
  ASSERT_EQ(response.checkpoints_size(), 1);
  ExpectCheckpoint(response.checkpoints(0));
}

TEST_F(Handlers, ExplainJobKeepsTheOrderOfReasons) {
  EXPECT_CALL(core_, ExplainJob(8, _)).WillOnce([](auto, auto done) {
    done(core::Explanation{AJob(), {"first", "second"}});
  });
  v1::ExplainJobRequest request;
  request.set_job_id(8);
  v1::ExplainJobResponse response;
  CallContext context;
  ASSERT_TRUE(served_.sweeps->ExplainJob(&context, request, &response).ok());
  ExpectJob(response.job());
  EXPECT_THAT(response.reasons(), ElementsAre("first", "second"));
}

TEST_F(Handlers, CancelRetryPauseAndResumeCountOrSummarize) {
  EXPECT_CALL(core_, CancelJobs).WillOnce([](const core::JobFilter& filter, auto done) {
    EXPECT_THAT(filter.job_ids, ElementsAre(8));
    done(3);
  });
  EXPECT_CALL(core_, RetryJobs).WillOnce([](const core::JobFilter& filter, auto done) {
    EXPECT_EQ(filter.sweep, "small");
    done(4);
  });
  EXPECT_CALL(core_, SetPaused("small", true, _)).WillOnce([](auto, auto, auto done) {
    done(Summary());
  });
  EXPECT_CALL(core_, SetPaused("small", false, _)).WillOnce([](auto, auto, auto done) {
    done(Summary());
  });
  CallContext one, two, three, four;
  v1::CancelJobsRequest cancel;
  cancel.mutable_filter()->add_job_ids(8);
  v1::CancelJobsResponse cancelled;
  ASSERT_TRUE(served_.sweeps->CancelJobs(&one, cancel, &cancelled).ok());
  EXPECT_EQ(cancelled.cancelled(), 3u);
  v1::RetryJobsRequest retry;
  retry.mutable_filter()->set_sweep("small");
  v1::RetryJobsResponse retried;
  ASSERT_TRUE(served_.sweeps->RetryJobs(&two, retry, &retried).ok());
  EXPECT_EQ(retried.retried(), 4u);
  v1::PauseSweepRequest pause;
  pause.set_name("small");
  v1::PauseSweepResponse paused;
  ASSERT_TRUE(served_.sweeps->PauseSweep(&three, pause, &paused).ok());
  ExpectSummary(paused.sweep());
  v1::ResumeSweepRequest resume;
  resume.set_name("small");
  v1::ResumeSweepResponse resumed;
  ASSERT_TRUE(served_.sweeps->ResumeSweep(&four, resume, &resumed).ok());
  ExpectSummary(resumed.sweep());
}

TEST_F(Handlers, WorkersAreListedAndDrained) {
  EXPECT_CALL(core_, ListWorkers).WillOnce([](auto done) {
    done(std::vector<core::Worker>{AWorker()});
  });
  EXPECT_CALL(core_, DrainWorker("node1", true, false, _))
      .WillOnce([](auto, auto, auto, auto done) { done(AWorker()); });
  CallContext one, two;
  v1::ListWorkersResponse list;
  ASSERT_TRUE(served_.sweeps->ListWorkers(&one, {}, &list).ok());
  ASSERT_EQ(list.workers_size(), 1);
  ExpectWorker(list.workers(0));
  v1::DrainWorkerRequest request;
  request.set_worker("node1");
  request.set_preempt(true);
  v1::DrainWorkerResponse response;
  ASSERT_TRUE(served_.sweeps->DrainWorker(&two, request, &response).ok());
  ExpectWorker(response.worker());
}

TEST_F(Handlers, ServerInfoNamesVersionProtocolAndStore) {
  EXPECT_CALL(core_, server_info).WillOnce(Return(core::ServerInfo{"store", 5, "/root"}));
  v1::GetServerInfoResponse response;
  CallContext context;
  ASSERT_TRUE(served_.sweeps->GetServerInfo(&context, {}, &response).ok());
  EXPECT_EQ(response.version(), VersionText());
  EXPECT_EQ(response.protocol(), rpc::kProtocolVersion);
  EXPECT_EQ(response.store_id(), "store");
  EXPECT_EQ(response.started_ms(), 5);
  EXPECT_EQ(response.checkpoint_root(), "/root");
}

TEST_F(Handlers, RegisterCarriesTheWorkerAndWhatItHolds) {
  EXPECT_CALL(core_, Register)
      .WillOnce(
          [](const core::WorkerInfo& info, const std::vector<core::HeldLease>& held, auto done) {
            EXPECT_EQ(info.name, "node1");
            EXPECT_EQ(info.instance, "i");
            EXPECT_EQ(info.host, "h");
            EXPECT_EQ(info.version, "v");
            EXPECT_EQ(info.slots, 2u);
            EXPECT_EQ(info.pack_width, 5u);
            EXPECT_EQ(info.device, "cpu");
            EXPECT_TRUE(info.shared_checkpoints);
            ASSERT_EQ(held.size(), 1u);
            EXPECT_EQ(held[0].lease, (core::LeaseRef{8, 3}));
            EXPECT_EQ(held[0].step, 20u);
            EXPECT_EQ(held[0].slot, 1u);
            done(core::Registration{"w-1", 1000, 6000, "store", 7, false, std::nullopt});
          });
  v1::RegisterRequest request;
  request.set_name("node1");
  request.set_instance("i");
  request.set_host("h");
  request.set_version("v");
  request.set_protocol(rpc::kProtocolVersion);
  request.set_slots(2);
  request.set_pack_width(5);
  request.set_device("cpu");
  request.set_shared_checkpoints(true);
  v1::HeldLease* held = request.add_held();
  held->mutable_lease()->set_job_id(8);
  held->mutable_lease()->set_attempt(3);
  held->set_step(20);
  held->set_slot(1);
  v1::RegisterResponse response;
  CallContext context;
  ASSERT_TRUE(served_.workers->Register(&context, request, &response).ok());
  EXPECT_EQ(response.worker_id(), "w-1");
  EXPECT_EQ(response.heartbeat_interval_ms(), 1000u);
  EXPECT_EQ(response.lease_ms(), 6000u);
  EXPECT_EQ(response.store_id(), "store");
  EXPECT_EQ(response.version(), VersionText());
  EXPECT_EQ(response.incarnation(), 7u);
  EXPECT_FALSE(response.confirm());
  EXPECT_FALSE(response.has_superseded_by());
}

v1::AcquireLeasesRequest Acquire() {
  v1::AcquireLeasesRequest request;
  request.set_worker_id("w");
  request.set_request_id("r");
  request.set_slot(1);
  request.set_pack_width(4);
  request.set_wait_ms(50);
  return request;
}

TEST_F(Handlers, AcquireLeasesReturnsTheGrantWithOneRun) {
  EXPECT_CALL(core_, AcquireLeases)
      .WillOnce([](const core::AcquireRequest& request, auto cancelled, auto done) {
        EXPECT_EQ(request.worker_id, "w");
        EXPECT_EQ(request.request_id, "r");
        EXPECT_EQ(request.slot, 1u);
        EXPECT_EQ(request.pack_width, 4u);
        EXPECT_EQ(request.wait_ms, 50u);
        EXPECT_FALSE(cancelled());
        core::LeaseGrant grant;
        grant.leases = {{{8, 3}, 0, ACheckpoint(), "small/8/3", "small"},
                        {{9, 1}, 1, std::nullopt, "d", "small"}};
        grant.run_json = Group().spec.run_json;
        done(grant);
      });
  v1::AcquireLeasesResponse response;
  CallContext context;
  ASSERT_TRUE(served_.workers->AcquireLeases(&context, Acquire(), &response).ok());
  ASSERT_EQ(response.leases_size(), 2);
  EXPECT_EQ(response.leases(0).lease().job_id(), 8u);
  EXPECT_EQ(response.leases(0).lease().attempt(), 3u);
  ExpectCheckpoint(response.leases(0).resume());
  EXPECT_EQ(response.leases(0).checkpoint_dir(), "small/8/3");
  EXPECT_EQ(response.leases(0).sweep(), "small");
  EXPECT_FALSE(response.leases(1).has_resume());
  EXPECT_EQ(response.leases(1).seed(), 1u);
  EXPECT_EQ(response.run_json(), Group().spec.run_json) << "not a byte is another";
}

TEST_F(Handlers, NoWorkIsAnEmptyAnswer) {
  EXPECT_CALL(core_, AcquireLeases).WillOnce([](auto, auto, auto done) {
    done(core::LeaseGrant{});
  });
  v1::AcquireLeasesResponse response;
  CallContext context;
  ASSERT_TRUE(served_.workers->AcquireLeases(&context, Acquire(), &response).ok());
  EXPECT_EQ(response.leases_size(), 0);
  EXPECT_EQ(response.run_json(), "");
}

TEST_F(Handlers, ARefusedRequestForWorkSaysWhenToComeAgain) {
  const absl::Status full = absl::ResourceExhaustedError("too many");
  EXPECT_CALL(core_, AcquireLeases)
      .WillOnce(
          [&](auto, auto, auto done) { done(WithRetryAfter(full, absl::Milliseconds(12'345))); })
      .WillOnce([&](auto, auto, auto done) { done(full); });
  for (const absl::Duration expected : {absl::Milliseconds(12'345), absl::ZeroDuration()}) {
    v1::AcquireLeasesResponse response;
    CallContext context;
    const grpc::Status answer = served_.workers->AcquireLeases(&context, Acquire(), &response);
    const absl::Status status = rpc::FromGrpc(answer, context);
    EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
    EXPECT_EQ(RetryAfter(status), expected);
  }
}

TEST_F(Handlers, TheCoreLearnsThatACallerWhoWaitsForWorkHasGone) {
  absl::Notification waiting;
  std::function<bool()> cancelled;
  core::Coordinator::Done<core::LeaseGrant> done;
  EXPECT_CALL(core_, AcquireLeases).WillOnce([&](auto, auto asked, auto answer) {
    cancelled = asked;
    done = answer;
    waiting.Notify();
  });
  CallContext context;
  std::thread caller([&] {
    v1::AcquireLeasesResponse response;
    EXPECT_EQ(served_.workers->AcquireLeases(&context, Acquire(), &response).error_code(),
              grpc::StatusCode::CANCELLED);
  });
  ASSERT_TRUE(waiting.WaitForNotificationWithTimeout(absl::Seconds(30)));
  EXPECT_FALSE(cancelled());
  context.TryCancel();
  caller.join();
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  while (!cancelled() && absl::Now() < deadline) std::this_thread::yield();
  EXPECT_TRUE(cancelled());
  done(core::LeaseGrant{});
  EXPECT_TRUE(cancelled()) << "the core may ask after the call has ended";
}

TEST_F(Handlers, HeartbeatAnswersEachLease) {
  EXPECT_CALL(core_, Heartbeat("w", _, true, _))
      .WillOnce([](auto, const std::vector<core::HeldLease>& held, auto, auto done) {
        EXPECT_EQ(held.size(), 3u);
        core::HeartbeatResult result;
        result.directives = {{{1, 1}, core::DirectiveAction::kContinue, ""},
                             {{2, 1}, core::DirectiveAction::kPreempt, "drain"},
                             {{3, 1}, core::DirectiveAction::kStop, "stale"}};
        result.drain = true;
        done(result);
      });
  v1::HeartbeatRequest request;
  request.set_worker_id("w");
  request.set_draining(true);
  for (int job = 1; job <= 3; ++job) {
    v1::LeaseRef* lease = request.add_held()->mutable_lease();
    lease->set_job_id(job);
    lease->set_attempt(1);
  }
  v1::HeartbeatResponse response;
  CallContext context;
  ASSERT_TRUE(served_.workers->Heartbeat(&context, request, &response).ok());
  ASSERT_EQ(response.directives_size(), 3);
  EXPECT_EQ(response.directives(0).action(), v1::Directive::CONTINUE);
  EXPECT_EQ(response.directives(1).action(), v1::Directive::PREEMPT);
  EXPECT_EQ(response.directives(1).reason(), "drain");
  EXPECT_EQ(response.directives(2).action(), v1::Directive::STOP);
  EXPECT_EQ(response.directives(2).lease().job_id(), 3u);
  EXPECT_TRUE(response.drain());
}

TEST_F(Handlers, ACommitCarriesTheCheckpointAndItsRefusal) {
  EXPECT_CALL(core_, CommitCheckpoint)
      .WillOnce([](const core::CheckpointCommit& commit, auto done) {
        EXPECT_EQ(commit.worker_id, "w");
        EXPECT_EQ(commit.lease, (core::LeaseRef{8, 3}));
        EXPECT_EQ(commit.step, 20u);
        EXPECT_EQ(commit.path, "small/8/step");
        EXPECT_EQ(commit.digest, kDigest);
        EXPECT_EQ(commit.bytes, 99u);
        done(absl::AbortedError("stale"));
      });
  auto commit = OfLease<v1::CommitCheckpointRequest>();
  commit.set_step(20);
  commit.set_path("small/8/step");
  commit.set_digest(kDigest);
  commit.set_bytes(99);
  std::filesystem::create_directories(dir_.Join("small/8"));
  std::ofstream(dir_.Join("small/8/step")) << std::string(99, 'x');
  v1::CommitCheckpointResponse committed;
  CallContext context;
  EXPECT_EQ(served_.workers->CommitCheckpoint(&context, commit, &committed).error_code(),
            grpc::StatusCode::ABORTED);
}

TEST_F(Handlers, ARejectionAnswersWithTheCheckpointBefore) {
  EXPECT_CALL(core_, RejectCheckpoint(_, "flipped byte", _))
      .WillOnce([](const core::CheckpointCommit& bad, auto, auto done) {
        EXPECT_EQ(bad.path, "small/8/step");
        EXPECT_EQ(bad.step, 20u);
        done(std::optional<core::Checkpoint>(ACheckpoint()));
      });
  auto reject = OfLease<v1::RejectCheckpointRequest>();
  reject.set_step(20);
  reject.set_path("small/8/step");
  reject.set_reason("flipped byte");
  v1::RejectCheckpointResponse resume;
  CallContext context;
  ASSERT_TRUE(served_.workers->RejectCheckpoint(&context, reject, &resume).ok());
  ExpectCheckpoint(resume.resume());
}

TEST_F(Handlers, TheThreeEndsOfAnAttempt) {
  EXPECT_CALL(core_, CompleteJob).WillOnce([](const core::AttemptEnd& end, auto done) {
    EXPECT_EQ(end.lease, (core::LeaseRef{8, 3}));
    EXPECT_EQ(end.step, 40u);
    EXPECT_EQ(end.last_sequence, 12u);
    done(absl::FailedPreconditionError("a row is missing"));
  });
  EXPECT_CALL(core_, FailJob).WillOnce([](const core::AttemptEnd& end, auto done) {
    EXPECT_EQ(end.kind, "nan");
    EXPECT_EQ(end.message, "loss");
    EXPECT_EQ(end.log_tail, "tail");
    done(absl::OkStatus());
  });
  EXPECT_CALL(core_, ReleaseLease).WillOnce([](const core::AttemptEnd& end, auto done) {
    EXPECT_EQ(end.step, 20u);
    EXPECT_EQ(end.message, "SIGTERM");
    done(absl::OkStatus());
  });

  auto complete = OfLease<v1::CompleteJobRequest>();
  complete.set_step(40);
  complete.set_last_sequence(12);
  CallContext one, two, three;
  v1::CompleteJobResponse completed;
  EXPECT_EQ(served_.workers->CompleteJob(&one, complete, &completed).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);

  auto fail = OfLease<v1::FailJobRequest>();
  fail.set_kind("nan");
  fail.set_message("loss");
  fail.set_log_tail("tail");
  v1::FailJobResponse failed;
  EXPECT_TRUE(served_.workers->FailJob(&two, fail, &failed).ok());

  auto release = OfLease<v1::ReleaseLeaseRequest>();
  release.set_step(20);
  release.set_reason("SIGTERM");
  v1::ReleaseLeaseResponse released;
  EXPECT_TRUE(served_.workers->ReleaseLease(&three, release, &released).ok());
}

// The requests are empty. The strict mock proves that none of them reaches the core.
TEST_F(Handlers, BadRequestsAreRefusedBeforeTheCore) {
  const auto refused = [](const grpc::Status& status) {
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << status.error_message();
    EXPECT_NE(status.error_message(), "");
  };
  const auto call = [&](auto* stub, auto method, auto request, auto response) {
    CallContext context;
    refused((stub->*method)(&context, request, &response));
  };
  using S = v1::SweepService::Stub;
  using W = v1::WorkerService::Stub;
  S* const s = served_.sweeps.get();
  W* const w = served_.workers.get();
  call(s, &S::SubmitSweep, v1::SubmitSweepRequest(), v1::SubmitSweepResponse());
  v1::SubmitSweepRequest wide;
  *wide.mutable_spec() = Spec();
  wide.set_pack_width(kMaxPackWidth + 1);
  call(s, &S::SubmitSweep, wide, v1::SubmitSweepResponse());
  call(s, &S::GetSweep, v1::GetSweepRequest(), v1::GetSweepResponse());
  call(s, &S::ListJobs, v1::ListJobsRequest(), v1::ListJobsResponse());
  call(s, &S::GetJob, v1::GetJobRequest(), v1::GetJobResponse());
  call(s, &S::ExplainJob, v1::ExplainJobRequest(), v1::ExplainJobResponse());
  call(s, &S::CancelJobs, v1::CancelJobsRequest(), v1::CancelJobsResponse());
  call(s, &S::RetryJobs, v1::RetryJobsRequest(), v1::RetryJobsResponse());
  call(s, &S::PauseSweep, v1::PauseSweepRequest(), v1::PauseSweepResponse());
  call(s, &S::ResumeSweep, v1::ResumeSweepRequest(), v1::ResumeSweepResponse());
  call(s, &S::DrainWorker, v1::DrainWorkerRequest(), v1::DrainWorkerResponse());
  call(w, &W::AcquireLeases, v1::AcquireLeasesRequest(), v1::AcquireLeasesResponse());
  call(w, &W::Heartbeat, v1::HeartbeatRequest(), v1::HeartbeatResponse());
  call(w, &W::CommitCheckpoint, v1::CommitCheckpointRequest(), v1::CommitCheckpointResponse());
  call(w, &W::RejectCheckpoint, v1::RejectCheckpointRequest(), v1::RejectCheckpointResponse());
  call(w, &W::CompleteJob, v1::CompleteJobRequest(), v1::CompleteJobResponse());
  call(w, &W::FailJob, v1::FailJobRequest(), v1::FailJobResponse());
  call(w, &W::ReleaseLease, v1::ReleaseLeaseRequest(), v1::ReleaseLeaseResponse());

  CallContext one, two, three, four;
  refused(s->WatchSweep(&one, v1::WatchSweepRequest())->Finish());
  refused(s->GetMetrics(&two, v1::GetMetricsRequest())->Finish());
  refused(s->GetLogs(&three, v1::GetLogsRequest())->Finish());
  refused(w->DownloadCheckpoint(&four, v1::DownloadCheckpointRequest())->Finish());

  v1::RegisterRequest old;
  v1::RegisterResponse response;
  CallContext five;
  EXPECT_EQ(w->Register(&five, old, &response).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
}

}  // namespace
}  // namespace coppice::service
