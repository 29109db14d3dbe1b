// `coppice pool`: what each verb sends, and what it prints.
#include <gmock/gmock.h>

#include "absl/strings/str_cat.h"
#include "tests/cli/cli_fixture.h"

namespace coppice::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class PoolCommands : public CliFixture {
 protected:
  PoolCommands() {
    absl::MutexLock lock(&pools().mutex);
    v1::Pool* const pool = pools().list.add_pools();
    pool->mutable_spec()->set_name("low");
    pool->mutable_spec()->set_gpus(1);
    pool->mutable_spec()->set_max_workers(8);
    pool->mutable_spec()->set_gpu_hours_a_day(100);
    pool->set_mode(v1::POOL_RUNNING);
    pool->set_wanted(5);
    pool->set_connected(3);
    pool->set_queued(2);
    pool->set_gpu_seconds_today(5400);
    pool->set_decision("wants 2 more, which are queued.");
    v1::PoolAllocation* const queued = pool->add_allocations();
    queued->set_key("0123-low-7");
    queued->set_state("queued");
    queued->set_job_id("77");
    queued->set_reason("Priority");
    v1::PoolAllocation* const failed = pool->add_allocations();
    failed->set_key("0123-low-6");
    failed->set_state("ended");
    failed->set_outcome("failed");
    failed->set_node("n3");
    failed->set_error("it ended on n3 before its worker registered");
    failed->set_output_tail("no such file: libtorch.so");
  }
};

TEST_F(PoolCommands, ListShowsWhatIsWantedQueuedAndNext) {
  const std::string out = Ok({"pool", "list"});
  EXPECT_THAT(out, AllOf(HasSubstr("low"), HasSubstr("5 of 8"), HasSubstr("2 (Priority)"),
                         HasSubstr("1.5 of 100 GPU h"), HasSubstr("wants 2 more")));
}

TEST_F(PoolCommands, ListSaysSinceWhenTheBatchSystemIsSilent) {
  {
    absl::MutexLock lock(&pools().mutex);
    pools().list.mutable_batch()->set_trouble("Unable to contact slurm controller");
    pools().list.mutable_batch()->set_trouble_since_ms(1'700'000'000'000);
  }
  EXPECT_THAT(Ok({"pool", "list"}), HasSubstr("has not answered since 2023-11-1"));
}

TEST_F(PoolCommands, ListWithoutPoolsNamesTheNextStep) {
  {
    absl::MutexLock lock(&pools().mutex);
    pools().list.clear_pools();
  }
  EXPECT_THAT(Ok({"pool", "list"}), HasSubstr("coppice pool add"));
}

TEST_F(PoolCommands, ShowPrintsTheFailureWithItsOutput) {
  EXPECT_THAT(Ok({"pool", "show", "low"}),
              AllOf(HasSubstr("0123-low-7"), HasSubstr("queued (Priority)"),
                    HasSubstr("before its worker registered"), HasSubstr("libtorch.so")));
  const CliResult unknown = Run({"pool", "show", "nope"});
  EXPECT_EQ(unknown.code, 1);
  EXPECT_THAT(unknown.err, HasSubstr("there is no pool 'nope'"));
}

TEST_F(PoolCommands, RunRunsSlurmsCommandsAndNoOthers) {
  {
    absl::MutexLock lock(&pools().mutex);
    v1::RunCommandsResponse& first = pools().handed.emplace_back();
    v1::CommandToRun* const other = first.add_commands();
    other->set_id(1);
    other->add_argv("rm");
    other->set_limit_ms(1000);
    v1::CommandToRun* const missing = first.add_commands();
    missing->set_id(2);
    missing->add_argv("sbatch");
    missing->set_limit_ms(0);
  }
  EXPECT_THAT(Ok({"pool", "run", "--once"}), HasSubstr("2 of Slurm's commands"));
  absl::MutexLock lock(&pools().mutex);
  ASSERT_EQ(pools().answers.size(), 3u);
  EXPECT_TRUE(pools().answers[2].leaving());
  EXPECT_EQ(pools().answers[0].session(), pools().answers[2].session());
  ASSERT_EQ(pools().answers[1].answers_size(), 2);
  EXPECT_EQ(pools().answers[1].answers(0).end(), v1::CommandAnswer::NOT_BEGUN);
  EXPECT_THAT(pools().answers[1].answers(0).message(), HasSubstr("none of Slurm's commands"));
  EXPECT_EQ(pools().answers[1].answers(1).end(), v1::CommandAnswer::NOT_BEGUN);
}

TEST_F(PoolCommands, ShowTellsOfWaitsUseAndPreemptions) {
  EXPECT_THAT(Ok({"pool", "show", "low"}), Not(HasSubstr("last 24 hours")));
  {
    absl::MutexLock lock(&pools().mutex);
    v1::PoolUsage* const usage = pools().list.mutable_pools(0)->mutable_usage();
    usage->set_starts(12);
    usage->set_queue_wait_median_s(40);
    usage->set_queue_wait_longest_s(300);
    usage->set_allocation_hours(8);
    usage->set_useful_share(0.934);
    usage->set_preemptions(4);
    usage->set_preemptions_an_hour(0.5);
  }
  EXPECT_THAT(Ok({"pool", "show", "low"}),
              AllOf(HasSubstr("last 24 hours: 12 starts, queued for "),
                    HasSubstr("8.0 allocation hours: 93 % of the slot time trained, 4 preemptions "
                              "(0.50 an hour)")));
}

TEST_F(PoolCommands, ShowNamesSweepsThatHaveSpentTheirGpuHours) {
  {
    absl::MutexLock lock(&pools().mutex);
    v1::Pool* const pool = pools().list.mutable_pools(0);
    pool->mutable_spec()->set_gpu_hours_a_sweep(2);
    for (int i = 0; i < 9; ++i) {
      v1::PoolSweepUse* const use = pool->add_sweeps();
      use->set_name(absl::StrCat("s", i));
      use->set_gpu_seconds(i == 0 ? 7300 : 900);
      use->set_spent(i == 0);
    }
  }
  EXPECT_THAT(Ok({"pool", "show", "low"}),
              AllOf(HasSubstr("sweep s0: 2.03 of 2 GPU hours, spent: its jobs get no more here\n"),
                    HasSubstr("sweep s8: 0.25 of 2 GPU hours\n"), Not(HasSubstr("sweep s3:")),
                    HasSubstr("give spent sweeps more with --gpu-hours-a-sweep")));
  EXPECT_THAT(Ok({"pool", "show", "low", "--all"}), HasSubstr("sweep s3:"));
}

TEST_F(PoolCommands, AProbesFindingsArePrintedAndAFailedOneFailsTheCheck) {
  {
    absl::MutexLock lock(&pools().mutex);
    v1::ProbeFinding* const clock = pools().checked.add_findings();
    clock->set_level(v1::ProbeFinding::WARNING);
    clock->set_topic("clock");
    clock->set_text("12 s behind");
  }
  EXPECT_THAT(Ok({"pool", "check", "low", "--probe", "--probe-wait", "30s"}),
              AllOf(HasSubstr("- warning: clock: 12 s behind"), HasSubstr("the pool can work")));
  {
    absl::MutexLock lock(&pools().mutex);
    EXPECT_TRUE(pools().check.probe());
    EXPECT_EQ(pools().check.probe_wait_s(), 30u);
    v1::ProbeFinding* const trainer = pools().checked.add_findings();
    trainer->set_level(v1::ProbeFinding::FAILED);
    trainer->set_topic("trainer");
    trainer->set_text("it does not start");
  }
  const CliResult failed = Run({"pool", "check", "low", "--probe"});
  EXPECT_EQ(failed.code, 1);
  EXPECT_THAT(failed.out,
              AllOf(HasSubstr("- failed: trainer: it does not start"), Not(HasSubstr("can work"))));
  EXPECT_THAT(Run({"pool", "check", "low", "--probe", "--probe-wait", "1h"}).err,
              HasSubstr("--probe-wait '1h'"));
}

TEST_F(PoolCommands, AddSendsEverySettingAndItsDefaults) {
  Ok({"pool",
      "add",
      "low",
      "--partition",
      "preempt",
      "--walltime",
      "4h",
      "--gpus",
      "2",
      "--memory",
      "16G",
      "--backlog",
      "3",
      "--grace",
      "40s",
      "--worker",
      "/opt/w",
      "--log-dir",
      "/home/u/logs",
      "--gpu-hours-a-sweep",
      "12.5",
      "--rank",
      "1",
      "--wait-before",
      "10m",
      "--sbatch-flag=--exclusive",
      "--max-workers",
      "6",
      "--worker-flag=--threads=4"});
  absl::MutexLock lock(&pools().mutex);
  const v1::PoolSpec& spec = pools().add.spec();
  EXPECT_FALSE(pools().add.replace());
  EXPECT_EQ(spec.name(), "low");
  EXPECT_EQ(spec.partition(), "preempt");
  EXPECT_EQ(spec.max_walltime_s(), 4 * 3600);
  EXPECT_EQ(spec.gpus(), 2u);
  EXPECT_EQ(spec.gpu_hours_a_sweep(), 12.5);
  EXPECT_EQ(spec.memory_mib(), 16u * 1024);
  EXPECT_EQ(spec.backlog(), 3u);
  EXPECT_EQ(spec.grace_s(), 40);
  EXPECT_EQ(spec.idle_exit_s(), 300);
  EXPECT_EQ(spec.wait_before_s(), 600);
  EXPECT_EQ(spec.max_workers(), 6u);
  EXPECT_EQ(spec.submits_a_minute(), 10u);
  EXPECT_EQ(spec.log_dir(), "/home/u/logs");
  EXPECT_EQ(spec.sbatch_flags(0), "--exclusive");
  EXPECT_EQ(spec.worker_flags(0), "--threads=4");
  EXPECT_FALSE(spec.has_target());
}

TEST_F(PoolCommands, AddRefusesWhatIsNoTimeOrSizeAndSendsNothing) {
  for (const std::vector<std::string>& wrong : std::vector<std::vector<std::string>>{
           {"--walltime", "4 hours"}, {"--walltime", "1h", "--memory", "16 gigs"}}) {
    std::vector<std::string> args = {"pool", "add", "low", "--worker", "/w"};
    args.insert(args.end(), wrong.begin(), wrong.end());
    const CliResult result = Run(args);
    EXPECT_EQ(result.code, 2);
    EXPECT_THAT(result.err, HasSubstr("write for example"));
  }
  absl::MutexLock lock(&pools().mutex);
  EXPECT_FALSE(pools().add.has_spec());
}

TEST_F(PoolCommands, ADryRunChecksAndAddsNothing) {
  {
    absl::MutexLock lock(&pools().mutex);
    pools().checked.set_script("#!/bin/bash\n");
    pools().checked.add_errors("partition low allows 1 h; lower --walltime");
  }
  const CliResult result =
      Run({"pool", "add", "low", "--walltime", "2h", "--worker", "/w", "--dry-run"});
  EXPECT_EQ(result.code, 1) << "the pool could not work";
  EXPECT_THAT(result.out, AllOf(HasSubstr("#!/bin/bash"), HasSubstr("error: partition low")));
  absl::MutexLock lock(&pools().mutex);
  EXPECT_FALSE(pools().add.has_spec());
  EXPECT_EQ(pools().check.spec().max_walltime_s(), 7200);
}

TEST_F(PoolCommands, EachVerbSendsItsChange) {
  EXPECT_THAT(Ok({"pool", "scale", "low", "3"}), HasSubstr("keeps 3 workers"));
  EXPECT_EQ(pools().scale.target(), 3u);
  Ok({"pool", "scale", "low", "auto"});
  EXPECT_FALSE(pools().scale.has_target());
  Ok({"pool", "pause", "low"});
  EXPECT_EQ(pools().mode.mode(), v1::POOL_PAUSED);
  Ok({"pool", "resume", "low"});
  EXPECT_EQ(pools().mode.mode(), v1::POOL_RUNNING);
  Ok({"pool", "drain", "low"});
  EXPECT_EQ(pools().mode.mode(), v1::POOL_DRAINING);
  Ok({"pool", "remove", "low"});
  EXPECT_FALSE(pools().remove.cancel());
  Ok({"pool", "remove", "low", "--cancel"});
  EXPECT_TRUE(pools().remove.cancel());
}

TEST_F(PoolCommands, ARefusedChangeIsAnErrorWithTheCoordinatorsWords) {
  {
    absl::MutexLock lock(&pools().mutex);
    pools().change_status = {grpc::StatusCode::FAILED_PRECONDITION, "2 allocations run; drain it"};
  }
  const CliResult result = Run({"pool", "remove", "low"});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, HasSubstr("2 allocations run; drain it"));
  EXPECT_EQ(Run({"pool", "scale", "low", "many"}).code, 2);
}

TEST_F(PoolCommands, JsonHasTheMessages) {
  EXPECT_THAT(Ok({"pool", "list", "--json"}),
              AllOf(HasSubstr("\"decision\""), HasSubstr("\"POOL_RUNNING\"")));
  EXPECT_THAT(Ok({"pool", "pause", "low", "--json"}), HasSubstr("\"pool\""));
}

TEST_F(PoolCommands, NamesOfPoolsAreCompleted) {
  EXPECT_THAT(Run({"__complete", "--", "pool", "show", "l"}).out, HasSubstr("low"));
  EXPECT_THAT(Run({"__complete", "--", "pool", "d"}).out,
              AllOf(HasSubstr("drain"), Not(HasSubstr("add"))));
}

}  // namespace
}  // namespace coppice::cli
