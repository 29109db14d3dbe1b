// The handlers of SweepService, each against a core that expects its call.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/build_info.h"
#include "common/base/limits.h"
#include "common/rpc/status.h"
#include "tests/coordinator/service/handlers_fixture.h"

namespace coppice::service {
namespace {

using ::testing::_;
using ::testing::ElementsAre;
using ::testing::Return;

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

TEST_F(Handlers, ExtendSweepReturnsWhatChanges) {
  EXPECT_CALL(core_, ExtendSweep).WillOnce([](const core::ExtendRequest& request, auto done) {
    EXPECT_EQ(request.spec.name, "small");
    EXPECT_TRUE(request.dry_run);
    EXPECT_NE(request.reader, nullptr);
    const core::Extension extension{1, 2, 3, 4, 5, 6, 7, 8, {"priority: 0 -> 5"}, {"seeds"}};
    done(core::ExtendResult{Summary(), extension, true});
  });
  v1::ExtendSweepRequest request;
  *request.mutable_spec() = Spec();
  request.set_dry_run(true);
  request.set_pack_width(4);
  v1::ExtendSweepResponse response;
  CallContext context;
  ASSERT_TRUE(served_.sweeps->ExtendSweep(&context, request, &response).ok());
  EXPECT_TRUE(response.changed());
  ExpectSummary(response.sweep());
  EXPECT_EQ(response.plan().pack_width(), 4u);
  const v1::SweepExtension& extension = response.extension();
  EXPECT_EQ(extension.new_points(), 1u);
  EXPECT_EQ(extension.new_jobs(), 2u);
  EXPECT_EQ(extension.continued_jobs(), 3u);
  EXPECT_EQ(extension.longer_jobs(), 4u);
  EXPECT_EQ(extension.repeating_jobs(), 5u);
  EXPECT_EQ(extension.repeated_steps(), 6u);
  EXPECT_EQ(extension.changed_jobs(), 7u);
  EXPECT_EQ(extension.added_steps(), 8u);
  EXPECT_THAT(extension.settings(), ElementsAre("priority: 0 -> 5"));
  EXPECT_THAT(extension.refused(), ElementsAre("seeds"));
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
  EXPECT_CALL(core_, GetSweep("small", _)).Times(2).WillRepeatedly([](auto, auto done) {
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
  EXPECT_TRUE(response.groups(0).has_run());

  request.set_without_runs(true);
  v1::GetSweepResponse short_response;
  CallContext again;
  ASSERT_TRUE(served_.sweeps->GetSweep(&again, request, &short_response).ok());
  response.mutable_groups(0)->clear_run();
  EXPECT_EQ(short_response.SerializeAsString(), response.SerializeAsString());
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
    details.attempts = {
        {3, "node1", 10, 20, core::AttemptOutcome::kFailed, "nan at 30", 20, 30, "{}"}};
    details.events = {{10, 3, core::EventType::kGranted, "to node1"}};
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

TEST_F(Handlers, DeleteSweepNamesTheSweepAndWhatGoes) {
  EXPECT_CALL(core_, DeleteSweep).WillOnce([](const core::Deletion& deletion, auto done) {
    EXPECT_EQ(deletion.name, "small");
    EXPECT_EQ(deletion.id, 4u);
    EXPECT_TRUE(deletion.dry_run);
    done(core::DeletedSweep{Summary(), 7, 700});
  });
  v1::DeleteSweepRequest request;
  request.set_name("small");
  request.set_id(4);
  request.set_dry_run(true);
  v1::DeleteSweepResponse response;
  CallContext context;
  ASSERT_TRUE(served_.sweeps->DeleteSweep(&context, request, &response).ok());
  ExpectSummary(response.sweep());
  EXPECT_EQ(response.checkpoints(), 7u);
  EXPECT_EQ(response.checkpoint_bytes(), 700u);
}

TEST_F(Handlers, AnnotateSweepPassesNoteAndTags) {
  EXPECT_CALL(core_, AnnotateSweep).WillOnce([](const core::Annotation& annotation, auto done) {
    EXPECT_EQ(annotation.name, "small");
    EXPECT_EQ(annotation.note, "");
    EXPECT_THAT(annotation.add_tags, ElementsAre("a"));
    core::SweepSummary summary = Summary();
    summary.tags = {"a", "b"};
    summary.note = "n";
    done(summary);
  });
  v1::AnnotateSweepRequest request;
  request.set_name("small");
  request.set_note("");
  request.add_add_tags("a");
  v1::AnnotateSweepResponse response;
  CallContext context;
  ASSERT_TRUE(served_.sweeps->AnnotateSweep(&context, request, &response).ok());
  EXPECT_THAT(response.sweep().tags(), ElementsAre("a", "b"));
  EXPECT_EQ(response.sweep().note(), "n");
}

TEST_F(Handlers, ListSweepsByTagsReturnsThoseWithAllOfThem) {
  EXPECT_CALL(core_, ListSweeps).WillOnce([](auto done) {
    std::vector<core::SweepSummary> sweeps(3);
    for (size_t i = 0; i < sweeps.size(); ++i) sweeps[i].id = i + 1;
    sweeps[0].tags = {"a"};
    sweeps[1].tags = {"a", "b", "c"};
    done(sweeps);
  });
  v1::ListSweepsRequest request;
  request.add_tags("c");
  request.add_tags("a");
  v1::ListSweepsResponse list;
  CallContext context;
  ASSERT_TRUE(served_.sweeps->ListSweeps(&context, request, &list).ok());
  ASSERT_EQ(list.sweeps_size(), 1);
  EXPECT_EQ(list.sweeps(0).id(), 2u);
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

}  // namespace
}  // namespace coppice::service
