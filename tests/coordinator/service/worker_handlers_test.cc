// The handlers of WorkerService, each against a core that expects its call, and requests that no
// handler passes on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "absl/synchronization/notification.h"
#include "common/base/build_info.h"
#include "common/base/limits.h"
#include "common/base/retry_after.h"
#include "common/rpc/status.h"
#include "coordinator/service/convert.h"
#include "tests/coordinator/service/handlers_fixture.h"

namespace coppice::service {
namespace {

using ::testing::_;
using ::testing::Field;

template <typename Request>
Request OfLease() {
  Request request;
  request.set_worker_id("w");
  request.mutable_lease()->set_job_id(8);
  request.mutable_lease()->set_attempt(3);
  return request;
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
            EXPECT_TRUE(info.programs);
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
  request.set_programs(true);
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
  EXPECT_CALL(core_, Heartbeat("w", _, Field(&core::BeatState::draining, true), _))
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

TEST_F(Handlers, AGoodbyeArrivesWithItsReason) {
  EXPECT_CALL(core_, Leave(_, _)).WillOnce([](const core::Departure& departure, auto done) {
    EXPECT_EQ(departure.worker_id, "w");
    EXPECT_EQ(departure.reason, core::ExitReason::kWalltime);
    EXPECT_EQ(departure.message, "in time");
    done(absl::OkStatus());
  });
  v1::LeaveRequest request;
  request.set_worker_id("w");
  request.set_reason(v1::EXIT_WALLTIME);
  request.set_message("in time");
  v1::LeaveResponse response;
  CallContext context;
  EXPECT_TRUE(served_.workers->Leave(&context, request, &response).ok());
}

TEST_F(Handlers, ARejectionAnswersWithTheCheckpointBefore) {
  EXPECT_CALL(core_, RejectCheckpoint(_, "flipped byte", _))
      .WillOnce([](const core::NamedCheckpoint& bad, auto, auto done) {
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
  call(s, &S::ForgetWorker, v1::ForgetWorkerRequest(), v1::ForgetWorkerResponse());
  call(w, &W::AcquireLeases, v1::AcquireLeasesRequest(), v1::AcquireLeasesResponse());
  call(w, &W::Heartbeat, v1::HeartbeatRequest(), v1::HeartbeatResponse());
  call(w, &W::Leave, v1::LeaveRequest(), v1::LeaveResponse());
  call(w, &W::RejectCheckpoint, v1::RejectCheckpointRequest(), v1::RejectCheckpointResponse());

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
