// The commands that only read, against a real gRPC server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/build_info.h"
#include "common/base/clock.h"
#include "tests/cli/cli_fixture.h"
#include "tests/testing/temp_dir.h"

namespace coppice::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class CommandsTest : public CliFixture {
 protected:
  nlohmann::json Json(std::vector<std::string> args) {
    args.push_back("--json");
    const std::string text = Ok(std::move(args));
    nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
    EXPECT_FALSE(json.is_discarded()) << text;
    return json;
  }
  void AddSweep(const std::string& name) {
    absl::MutexLock lock(&service().mutex);
    service().sweeps.emplace_back().set_name(name);
  }
};

TEST_F(CommandsTest, StatusIsATablePerTaskWithTotals) {
  EXPECT_EQ(Ok({"status", "demo"}),
            "demo: 8 jobs: 2 succeeded, 1 failed, 1 cancelled, 2 running, 2 pending\n"
            "[############........] 62%  1.5k of 2.4k steps  12 steps/s  1 worker  ETA 2m 05s\n"
            "\n"
            "question\n"
            "depth  seed 0           seed 1\n"
            "    1  + 300 0.98/0.31  x 10\n"
            "    2  > 120            .\n"
            "\n"
            "dyck\n"
            "depth  seed 0  seed 1\n"
            "    1  - 0     + 300 0.98/0.31\n"
            "    2  > 120   .\n"
            "\n"
            ". pending  > running  + succeeded  x failed  - cancelled   step, "
            "in-domain/generalization accuracy\n"
            "failed question/1/1 at step 10: nan: the loss is not finite at step 10\n");
}

TEST_F(CommandsTest, AnOverloadedCoordinatorIsAskedAgain) {
  const std::string calm = Ok({"status", "demo"});
  {
    absl::MutexLock lock(&service().mutex);
    service().busy = 2;
  }
  EXPECT_EQ(Ok({"status", "demo"}), calm);
  absl::MutexLock lock(&service().mutex);
  EXPECT_EQ(service().busy, 0);
}

TEST_F(CommandsTest, TheOnlySweepNeedNotBeNamed) {
  EXPECT_EQ(Ok({"status"}), Ok({"status", "demo"}));
  AddSweep("second");
  const CliResult result = Run({"status"});
  EXPECT_EQ(result.code, 2);
  EXPECT_THAT(result.err, HasSubstr("there are 2 sweeps; name one: demo, second"));
  absl::MutexLock lock(&service().mutex);
  service().sweeps.clear();
}

TEST_F(CommandsTest, AnEmptyCoordinatorSaysHowToSubmit) {
  {
    absl::MutexLock lock(&service().mutex);
    service().sweeps.clear();
  }
  const CliResult result = Run({"status"});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, HasSubstr("coppice submit"));
  EXPECT_THAT(Ok({"list"}), HasSubstr("coppice submit"));
}

TEST_F(CommandsTest, ManySeedsBecomeARowOfCounts) {
  {
    absl::MutexLock lock(&service().mutex);
    for (uint32_t seed = 2; seed < 30; ++seed) {
      v1::Job job = service().jobs[0];
      job.set_id(100 + seed);
      job.set_seed(seed);
      service().jobs.push_back(job);
    }
  }
  const std::string text = Ok({"status"});
  EXPECT_THAT(
      text,
      HasSubstr(
          "depth  jobs  pending  running  succeeded  failed  cancelled  steps    id   gen\n"
          "    1    30        -        -         29       1          -    96%  0.98  0.31\n"));
}

TEST_F(CommandsTest, EveryQueryPrintsJsonWithTheProtosNames) {
  EXPECT_EQ(Json({"status", "demo"})["sweep"]["counts"]["succeeded"], "2");
  EXPECT_EQ(Json({"list"})["sweeps"][0]["steps_total"], "2400");
  const auto jobs = Json({"jobs", "demo"})["jobs"];
  EXPECT_EQ(jobs.size(), 8);
  EXPECT_EQ(jobs[1]["state"], "FAILED");
  EXPECT_EQ(jobs[3]["checkpoint_step"], 0) << "zeros are printed too";
  EXPECT_EQ(Json({"show", "1"})["checkpoints"][0]["step"], 150);
  EXPECT_EQ(Json({"why", "4"})["reasons"][0], "every slot is taken");
  EXPECT_EQ(Json({"workers"})["workers"][0]["pack_width"], 1);
  const auto rows = Json({"metrics"})["rows"];
  EXPECT_EQ(rows.size(), 4);
  EXPECT_EQ(rows[0]["row"]["values"][0]["name"], "val_loss");
}

TEST_F(CommandsTest, ShowNamesTheAllocationOfAnAttemptsWorker) {
  EXPECT_THAT(Ok({"show", "1"}), Not(HasSubstr("Slurm job")));
  v1::Worker worker;
  worker.set_name("node");  // of the attempt
  worker.set_host("n3.example");
  worker.set_departed_ms(5);
  worker.mutable_allocation()->set_system("slurm");
  worker.mutable_allocation()->set_job_id("120_4");
  worker.mutable_allocation()->set_partition("low");
  {
    absl::MutexLock lock(&service().mutex);
    service().workers = {worker};
  }
  EXPECT_THAT(Ok({"show", "1"}),
              HasSubstr("node (Slurm job 120_4, node n3.example, partition low)"));
  {
    // A process that came later had another allocation.
    absl::MutexLock lock(&service().mutex);
    service().workers[0].set_registered_ms(1'900'000'000'000);
  }
  EXPECT_THAT(Ok({"show", "1"}), Not(HasSubstr("Slurm job")));
}

TEST_F(CommandsTest, JobsFollowPagesAndFilters) {
  const auto rows = [&](std::vector<std::string> args) {
    const std::vector<std::string> lines =
        absl::StrSplit(Ok(std::move(args)), '\n', absl::SkipEmpty());
    return static_cast<int>(std::count_if(lines.begin(), lines.end(), [](const std::string& line) {
      return line.find(" job ") == std::string::npos && line.find("task") == std::string::npos;
    }));
  };
  EXPECT_EQ(rows({"jobs"}), 8);
  EXPECT_EQ(rows({"jobs", "demo/dyck"}), 4);
  EXPECT_EQ(rows({"jobs", "demo", "--task", "question", "--depth", "1-2", "--seed", "1"}), 2);
  EXPECT_EQ(rows({"jobs", "demo", "--state", "running,pending"}), 4);
  EXPECT_EQ(rows({"jobs", "--state", "FAILED", "--state", "cancelled"}), 2);
  EXPECT_EQ(rows({"jobs", "3"}), 1);
}

TEST_F(CommandsTest, BadFiltersAreUsageErrors) {
  for (const auto& [args, message] : std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{"jobs", "demo", "--task", "walk"}, "use question, tense or dyck"},
           {{"jobs", "demo", "--seed", "a"}, "--seed 'a' is no number"},
           {{"jobs", "demo", "--seed", "9-1"}, "--seed '9-1'"},
           {{"jobs", "demo", "--seed", "0-4294967295"}, "more than 100000"},
           {{"jobs", "demo", "--state", "lost"}, "use pending, running"},
           {{"jobs", "demo/dyck", "--task", "question"}, "both choose"},
           {{"jobs", "demo/walk"}, "names no jobs"},
           {{"jobs", "demo/dyck/x"}, "names no jobs"},
           {{"jobs", "demo/dyck/1/2/3"}, "names no jobs"},
           {{"show", "demo/dyck"}, "SWEEP/TASK/DEPTH/SEED"},
           {{"show", "word"}, "SWEEP/TASK/DEPTH/SEED"},
           {{"show", "99999999999999999999999"}, "SWEEP/TASK/DEPTH/SEED"},
           {{"metrics", "--csv", "--jsonl"}, "exclude each other"},
           {{"metrics", "--from-step", "x"}, "coppice metrics --help"},
           {{"drain", "node", "--preempt", "--undo"}, "exclude each other"},
           {{"show"}, "coppice show --help"},
           {{"status", "demo", "more"}, "coppice status --help"},
           {{"statsu"}, "did you mean 'status'?"},
           {{"checkpoint", "lsit"}, "did you mean 'list'?"},
           {{"cancel", "demo", "--depht", "2"}, "did you mean --depth?"},
           {{"--cordinator", "x", "list"}, "did you mean --coordinator?"},
           {{"jobs", "demo", "--task", "qestion"}, "did you mean 'question'?"},
           {{"jobs", "demo/tens"}, "did you mean 'tense'?"},
           {{"jobs", "demo", "--state", "succeded"}, "did you mean 'succeeded'?"},
           {{"completion", "csh"}, "coppice completion --help"},
           {{"--json"}, "coppice --help"}}) {
    const CliResult result = Run(args);
    EXPECT_EQ(result.code, 2) << absl::StrJoin(args, " ") << result.err;
    EXPECT_THAT(result.err, AllOf(HasSubstr("coppice: error: "), HasSubstr(message)));
    EXPECT_THAT(result.out, IsEmpty());
  }
}

TEST_F(CommandsTest, AJobHasANumberOrAName) {
  const std::string by_number = Ok({"show", "2"});
  EXPECT_EQ(Ok({"show", "demo/question/1/1"}), by_number);
  EXPECT_EQ(Ok({"show", "question/1/1"}), by_number) << "the only sweep need not be named";
  EXPECT_THAT(by_number,
              AllOf(HasSubstr("job 2  demo/question/1/1  FAILED"), HasSubstr("step 10 of 300"),
                    HasSubstr("first line"), Not(HasSubstr("second line")), HasSubstr("4.0 KiB"),
                    HasSubstr("step-000000150.safetensors"), HasSubstr("\"d_model\":512")));
  EXPECT_THAT(by_number, AllOf(HasSubstr("event-29"), Not(HasSubstr("event-9 "))));
  EXPECT_THAT(Ok({"show", "2", "--all"}), HasSubstr("event-9 "));
  for (const char* absent : {"77", "demo/question/1/9"}) {
    const CliResult result = Run({"show", absent});
    EXPECT_EQ(result.code, 1);
    EXPECT_THAT(result.err, HasSubstr(absent));
  }
}

TEST_F(CommandsTest, MetricsAsCsvHaveEveryDigitAndSortedColumns) {
  EXPECT_EQ(Ok({"metrics", "demo", "--csv"}),
            "job_id,task,depth,seed,step,gen_accuracy,val_loss\n"
            "1,question,1,0,150,,0.006666666666666667\n"
            "1,question,1,0,300,0.31,0.0033333333333333335\n"
            "6,dyck,1,1,150,,0.006666666666666667\n"
            "6,dyck,1,1,300,0.31,0.0033333333333333335\n");
  EXPECT_THAT(Ok({"metrics", "demo", "--csv", "--archived"}),
              HasSubstr("job_id,task,depth,seed,step,attempt,archived,gen_accuracy,val_loss\n"
                        "1,question,1,0,150,1,false,,0.006666666666666667\n"));
}

TEST_F(CommandsTest, MetricsPassEveryFilterOn) {
  Ok({"metrics", "demo/dyck", "--depth", "1", "--name", "val_loss,gen_accuracy", "--name",
      "t_score", "--from-step", "100", "--archived"});
  absl::MutexLock lock(&service().mutex);
  EXPECT_THAT(service().get_metrics.names(),
              ::testing::ElementsAre("val_loss", "gen_accuracy", "t_score"));
  EXPECT_EQ(service().get_metrics.from_step(), 100);
  EXPECT_TRUE(service().get_metrics.include_archived());
  EXPECT_EQ(service().get_metrics.filter().sweep(), "demo");
  EXPECT_EQ(service().get_metrics.filter().tasks(0), "dyck");
  EXPECT_EQ(service().get_metrics.filter().depths(0), 1);
}

TEST_F(CommandsTest, MetricsAsJsonLinesAndAsAFile) {
  int lines = 0;
  for (const absl::string_view line :
       absl::StrSplit(Ok({"metrics", "--jsonl"}), '\n', absl::SkipEmpty())) {
    EXPECT_EQ(nlohmann::json::parse(std::string(line))["task"].is_string(), true);
    ++lines;
  }
  EXPECT_EQ(lines, 4);
  coppice::testing::TempDir dir;
  EXPECT_THAT(Ok({"metrics", "--csv", "-o", dir.Join("m.csv")}), IsEmpty());
  std::ifstream in(dir.Join("m.csv"));
  const std::string text(std::istreambuf_iterator<char>(in), {});
  EXPECT_EQ(text, Ok({"metrics", "--csv"}));
  const CliResult result = Run({"metrics", "--csv", "-o", dir.Join("absent/m.csv")});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, HasSubstr("absent"));
}

TEST_F(CommandsTest, MetricsTableHasFourDigits) {
  EXPECT_THAT(Ok({"metrics"}), HasSubstr("0.006667"));
}

TEST_F(CommandsTest, LogsAreTheBytesOfTheAttempt) {
  EXPECT_EQ(Ok({"logs", "demo/question/1/0", "--follow", "--attempt", "3"}), "first second\n");
  absl::MutexLock lock(&service().mutex);
  EXPECT_EQ(service().get_logs.job_id(), 1);
  EXPECT_EQ(service().get_logs.attempt(), 3);
  EXPECT_TRUE(service().get_logs.follow());
}

TEST_F(CommandsTest, WorkersShowThatTheyDrain) {
  EXPECT_THAT(Ok({"workers"}),
              AllOf(HasSubstr("node"), HasSubstr("connected, draining"), HasSubstr("cpu")));
}

TEST_F(CommandsTest, WorkersShowWhenTheyEndAndWhyOneIsPassedOver) {
  EXPECT_THAT(Ok({"workers"}), Not(HasSubstr("gets no work")));
  const int64_t now = Clock::Real()->NowMillis();
  {
    absl::MutexLock lock(&service().mutex);
    service().workers[0].set_ends_ms(now + 2 * 3600'000 + 30'000);
    service().workers[0].set_suspect_until_ms(now + 60'000);
    service().workers[0].set_suspect_reason("3 packs of different jobs failed");
  }
  EXPECT_THAT(Ok({"workers"}), AllOf(HasSubstr("in 2h"), HasSubstr("connected, draining, suspect"),
                                     HasSubstr("node: 3 packs of different jobs failed"),
                                     HasSubstr("gets no work")));
  {
    absl::MutexLock lock(&service().mutex);
    service().workers[0].set_ends_ms(now - 1);
  }
  EXPECT_THAT(Ok({"workers"}), HasSubstr(" over"));
}

TEST_F(CommandsTest, ServerWaitsForACoordinatorThatStarts) {
  const absl::Duration begin = Clock::Real()->Monotonic();
  EXPECT_EQ(RunCommand("127.0.0.1:1", {"server", "--wait", "300ms"}).code, 1);
  EXPECT_GE(Clock::Real()->Monotonic() - begin, absl::Milliseconds(300));
  EXPECT_THAT(Run({"server", "--wait", "soon"}).err, HasSubstr("'soon' is no time"));
  EXPECT_THAT(Ok({"server", "--wait", "1m"}), HasSubstr("9.9.9"));
}

TEST_F(CommandsTest, ACertificateThatEndsIsShownWhereTheMachinesAreLookedAfter) {
  EXPECT_THAT(Ok({"server"}), AllOf(HasSubstr("9.9.9"), HasSubstr("0123456789ab"),
                                    HasSubstr("0.0.0.0:7070"), HasSubstr("nothing is encrypted")));
  EXPECT_THAT(Ok({"workers"}), Not(HasSubstr("coordinator:")));
  {
    absl::MutexLock lock(&service().mutex);
    v1::ServerCertificate certificate;
    certificate.set_kind("server");
    certificate.set_ends_ms(1'800'000'000'000);
    certificate.set_seconds_left(3 * 24 * 3600);
    certificate.set_warning("the server's certificate ends");
    service().certificates.push_back(certificate);
    certificate.set_kind("clients");
    certificate.set_seconds_left(-3600);
    service().certificates.push_back(certificate);
  }
  EXPECT_THAT(Ok({"server"}), AllOf(HasSubstr("certificate  until 2027-01-15 08:00 UTC, in 3d"),
                                    HasSubstr("clients'     until 2027-01-15 08:00 UTC, ended 1h"),
                                    HasSubstr("warning: the server's certificate ends")));
  EXPECT_EQ(Json({"server"})["certificates"][0]["seconds_left"], "259200");
  EXPECT_THAT(Ok({"workers"}), HasSubstr("coordinator: the server's certificate ends"));
  EXPECT_EQ(Json({"workers"})["warnings"].size(), 2u);
}

TEST_F(CommandsTest, WorkersNameTheHostOfAnOlderProcessOfTheName) {
  EXPECT_THAT(Ok({"workers"}), Not(HasSubstr("superseded")));
  {
    absl::MutexLock lock(&service().mutex);
    service().workers[0].set_superseded_host("alpha");
    service().workers[0].set_superseded_ms(1'700'000'000'000);
  }
  EXPECT_THAT(Ok({"workers"}),
              AllOf(HasSubstr("node: an older process of this name, on alpha, was superseded"),
                    HasSubstr("2023-11-14"), HasSubstr("--name")));
}

TEST_F(CommandsTest, TheNameAloneIsAnsweredWithHelp) { EXPECT_EQ(Ok({}), Ok({"--help"})); }

TEST_F(CommandsTest, TimesSayTheirZone) {
  EXPECT_THAT(Ok({"list"}),
              ::testing::ContainsRegex("2023-11-1[45] [0-9:]+ [+-][0-9][0-9]:[0-9][0-9]"));
}

TEST_F(CommandsTest, HelpAndVersionAreNoErrors) {
  EXPECT_THAT(Ok({"--help"}), HasSubstr("SWEEP/TASK/DEPTH/SEED"));
  EXPECT_THAT(Ok({"status", "--help"}), HasSubstr("--watch"));
  EXPECT_EQ(Ok({"--version"}), absl::StrCat("coppice ", VersionText(), "\n"));
}

TEST(WithoutCoordinator, EveryCommandSaysWhichAddressAndWhatToDo) {
  coppice::testing::TempDir dir;
  const std::string spec = dir.Join("s.yaml");
  std::ofstream(spec) << "{name: a, tasks: dyck, depths: 1, seeds: 0}";
  for (const std::vector<std::string>& args :
       std::vector<std::vector<std::string>>{{"list"},
                                             {"status"},
                                             {"status", "a", "--watch"},
                                             {"jobs", "a"},
                                             {"show", "1"},
                                             {"why", "1"},
                                             {"metrics", "a"},
                                             {"export", "a", "--format", "csv"},
                                             {"checkpoint", "list", "a"},
                                             {"checkpoint", "fetch", "1"},
                                             {"report", "a"},
                                             {"logs", "1"},
                                             {"cancel", "a"},
                                             {"retry", "a"},
                                             {"pause", "a"},
                                             {"resume", "a"},
                                             {"workers"},
                                             {"server"},
                                             {"drain", "w"},
                                             {"submit", spec}}) {
    const CliResult result = RunCommand("127.0.0.1:1", args);
    EXPECT_EQ(result.code, 1) << args[0];
    EXPECT_THAT(result.err, AllOf(HasSubstr("127.0.0.1:1"), HasSubstr("coppice-coordinator")))
        << args[0];
  }
  const CliResult result = RunCommand("127.0.0.1:1", {"--coordinator", "nonsense", "list"});
  EXPECT_EQ(result.code, 2);
  EXPECT_THAT(result.err, HasSubstr("'nonsense' is not of the form host:port"));
}

}  // namespace
}  // namespace coppice::cli
