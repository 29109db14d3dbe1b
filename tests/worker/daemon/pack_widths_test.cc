// Measured pack widths: the choice, the cache on disk, and the agent's way from a grant of an
// unknown kind to a pack of the best width.
#include "worker/daemon/pack_widths.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/worker/daemon/agent_fixture.h"
#include "worker/daemon/machine.h"

namespace coppice::worker {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

std::vector<MeasuredWidth> Rates(const std::vector<std::pair<uint32_t, double>>& rates) {
  std::vector<MeasuredWidth> measured;
  for (const auto& [width, rate] : rates) measured.push_back({width, rate, 1 << 20});
  return measured;
}

TEST(BestWidthTest, TheNarrowestOfThoseThatAreNearlyTheFastest) {
  EXPECT_EQ(BestWidth(Rates({{1, 10}, {2, 19.5}, {4, 38}, {8, 39}})), 4u);
  EXPECT_EQ(BestWidth(Rates({{1, 10}, {2, 10.4}})), 1u);
  EXPECT_EQ(BestWidth(Rates({{1, 10}, {2, 11}})), 2u);
  EXPECT_EQ(BestWidth(Rates({{1, 10}, {2, 30}, {4, 5}})), 2u);
  EXPECT_EQ(BestWidth(Rates({{4, 10}, {2, 10}})), 2u);
  EXPECT_EQ(BestWidth(Rates({{2, 0}})), 2u);
  EXPECT_EQ(BestWidth({}), 1u);
}

std::string Line(uint32_t width, double rate) {
  return absl::StrCat(R"({"event":"width","width":)", width, R"(,"seed_steps_per_second":)", rate,
                      R"(,"steps_per_second":1,"peak_bytes":7})", "\n");
}

TEST(WidthReaderTest, LinesMayComeInAnyPiecesAmongOtherEvents) {
  WidthReader reader(8);
  const std::string text = absl::StrCat(
      R"({"event":"measure","widths":[1,2]})", "\n", Line(1, 2.5), Line(2, 4), Line(1, 2),
      Line(2, 4.5), R"({"event":"width","width":4,"failed":"out_of_memory","message":"no"})", "\n");
  for (const char c : text) ASSERT_TRUE(reader.Feed(std::string(1, c)).ok());
  EXPECT_EQ(DescribeWidths(reader.measured()), "1: 2.5, 2: 4.5");
}

TEST(WidthReaderTest, WhatNoTrainerPrintsIsRefusedAndWhatCameBeforeStays) {
  for (const std::string& bad :
       {std::string("Segmentation fault\n"), std::string("[]\n"), Line(0, 1), Line(9, 1),
        Line(2, -1), std::string(R"({"event":"width","width":2,"peak_bytes":1})") + "\n",
        std::string(R"({"event":"width","width":2,"peak_bytes":-1,"seed_steps_per_second":1})") +
            "\n",
        std::string(R"({"event":"width","width":2,"peak_bytes":1,"seed_steps_per_second":1e999})") +
            "\n",
        std::string(70'000, '[')}) {
    WidthReader reader(8);
    ASSERT_TRUE(reader.Feed(Line(1, 3)).ok());
    EXPECT_TRUE(absl::IsInvalidArgument(reader.Feed(bad))) << bad.substr(0, 80);
    EXPECT_THAT(reader.measured(), SizeIs(1));
  }
}

class WidthCacheTest : public AgentFixture {
 protected:
  WidthCacheTest() { std::filesystem::create_directory(root_ + "/widths"); }

  const WidthCache cache_{root_ + "/widths"};
  const WidthKey key_{"trainer 1", "a GPU", 2, 8, "question"};
};

TEST_F(WidthCacheTest, KeepsWhatWasMeasuredForItsKeyAlone) {
  EXPECT_TRUE(absl::IsNotFound(cache_.Read(key_).status()));
  ASSERT_TRUE(cache_.Write(key_, Rates({{1, 1.5}, {2, 3}})).ok());
  EXPECT_EQ(DescribeWidths(*cache_.Read(key_)), "1: 1.5, 2: 3");
  for (const WidthKey& other : {WidthKey{"trainer 2", "a GPU", 2, 8, "question"},
                                WidthKey{"trainer 1", "another", 2, 8, "question"},
                                WidthKey{"trainer 1", "a GPU", 1, 8, "question"},
                                WidthKey{"trainer 1", "a GPU", 2, 16, "question"},
                                WidthKey{"trainer 1", "a GPU", 2, 8, "dyck"}}) {
    EXPECT_TRUE(absl::IsNotFound(cache_.Read(other).status())) << other.Text();
  }
}

TEST_F(WidthCacheTest, ADamagedFileIsNoMeasurement) {
  ASSERT_TRUE(cache_.Write(key_, Rates({{1, 1.5}})).ok());
  const std::string good = *ReadFile(cache_.PathOf(key_));
  const WidthKey other{"trainer 2", "a GPU", 2, 8, "question"};
  ASSERT_TRUE(cache_.Write(other, Rates({{8, 9}})).ok());
  nlohmann::json none = nlohmann::json::parse(good);
  none["measured"] = nlohmann::json::array();
  nlohmann::json wide = nlohmann::json::parse(good);
  wide["measured"][0]["width"] = 9;
  for (const std::string& bad : {std::string(), std::string("[]"), good.substr(0, good.size() / 2),
                                 *ReadFile(cache_.PathOf(other)), none.dump(), wide.dump()}) {
    std::ofstream(cache_.PathOf(key_)) << bad;
    EXPECT_TRUE(absl::IsDataLoss(cache_.Read(key_).status())) << bad;
  }
  ASSERT_TRUE(cache_.Write(key_, Rates({{1, 1.5}})).ok());
  EXPECT_TRUE(cache_.Read(key_).ok());
}

TEST_F(WidthCacheTest, TwoWhoWriteAtOnceLeaveOneWholeFile) {
  std::vector<std::thread> writers;
  for (int i = 0; i < 2; ++i) {
    writers.emplace_back([&] {
      for (int n = 0; n < 20; ++n) EXPECT_TRUE(cache_.Write(key_, Rates({{1, 2}})).ok());
    });
  }
  for (int n = 0; n < 200; ++n) {
    const auto read = cache_.Read(key_);
    EXPECT_TRUE(read.ok() || absl::IsNotFound(read.status())) << read.status();
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_TRUE(cache_.Read(key_).ok());
}

TEST_F(WidthCacheTest, AnotherBuildOfTheTrainerIsAnotherTrainer) {
  WriteFile("trainer", "one");
  const std::string one = TrainerIdentity(root_ + "/trainer");
  WriteFile("trainer", "another");
  EXPECT_NE(TrainerIdentity(root_ + "/trainer"), one);
  EXPECT_EQ(TrainerIdentity(root_ + "/none"), "");
}

TEST_F(WidthCacheTest, OnlyWhatSpeedAndMemoryDependOnMakesAKind) {
  const auto kind_of = [](const nlohmann::json& run) { return ReadGrantedRun(run.dump())->kind; };
  nlohmann::json run = nlohmann::json::parse(MakeGrant(1).run_json());
  const std::string kind = kind_of(run);
  run["report"]["every"] = 7;
  run["train"]["learning_rate"] = 0.5;
  run["train"]["batch_size"] = 8;  // the default
  EXPECT_EQ(kind_of(run), kind);
  for (const auto& [pointer, value] :
       std::map<std::string, nlohmann::json>{{"/train/batch_size", 77},
                                             {"/model/d_model", 64},
                                             {"/data/files", {{"train", "/t"}}},
                                             {"/checkpoint/every", 500},
                                             {"/depth", 3}}) {
    nlohmann::json other = run;
    other[nlohmann::json::json_pointer(pointer)] = value;
    EXPECT_NE(kind_of(other), kind_of(run)) << pointer;
  }
}

TEST_F(WidthCacheTest, AMachineIsKnownByItsProcessorAndItsGpus) {
  WriteFile("proc/cpuinfo", "processor\t: 0\nmodel name\t: Some CPU\n");
  const Machine plain = DescribeMachine(root_);
  EXPECT_FALSE(plain.gpu);
  EXPECT_THAT(plain.name, HasSubstr("Some CPU, "));
  WriteFile("dev/nvidiactl", "");
  WriteFile("proc/driver/nvidia/gpus/0000:01:00.0/information", "Model: \t\t Fast GPU\nIRQ: 1\n");
  const Machine fast = DescribeMachine(root_);
  EXPECT_TRUE(fast.gpu);
  EXPECT_THAT(fast.name, HasSubstr(", Fast GPU"));
}

class MeasuringAgentTest : public AgentFixture {
 protected:
  MeasuringAgentTest() {
    std::filesystem::create_directory(root_ + "/widths");
    config_.pack_width = 4;
    PackWidthsConfig measure;
    measure.trainer = config_.pack.trainer;
    measure.threads = 4;
    measure.widest = 4;
    measure.machine = "machine";
    measure.runs_dir = config_.pack.runs_dir;
    measure.cache_dir = root_ + "/widths";
    config_.measure = measure;
  }

  v1::AcquireLeasesResponse Unmeasured(uint64_t job = 1, uint32_t depth = 2) {
    v1::AcquireLeasesResponse grant = MakeGrant(1);
    grant.mutable_leases(0)->mutable_lease()->set_job_id(job);
    SetRun(&grant, [depth](nlohmann::json& run) { run["depth"] = depth; });
    grant.set_unmeasured(true);
    return grant;
  }
  // Starts a measurement and nothing else.
  FakeTrainer& StartMeasuring(const v1::AcquireLeasesResponse& grant) {
    StartAgent();
    coordinator_.Grant(grant);
    Settle();
    EXPECT_THAT(launcher_.trainers, SizeIs(1));
    EXPECT_TRUE(Measures(launcher_.last()));
    return launcher_.last();
  }
  static bool Measures(const FakeTrainer& trainer) {
    return trainer.command.argv.at(1) == "measure";
  }
  void Finish(FakeTrainer& trainer, const std::vector<std::pair<uint32_t, double>>& rates) {
    for (const auto& [width, rate] : rates) trainer.callbacks.on_stdout(Line(width, rate));
    trainer.Exit(0);
    Settle();
  }
};

TEST_F(MeasuringAgentTest, AnUnknownKindIsMeasuredToldAndThenGrantedAsAPack) {
  FakeTrainer& measuring = StartMeasuring(Unmeasured());
  EXPECT_TRUE(coordinator_.acquires[0].measures());
  EXPECT_EQ(coordinator_.acquires[0].pack_width(), 4u);
  EXPECT_THAT(measuring.command.argv,
              ElementsAre("/bin/trainer", "measure", "--spec", root_ + "/runs/measure-1.json",
                          "--max-width", "4", "--seconds", "10"));
  EXPECT_EQ(nlohmann::json::parse(*ReadFile(measuring.command.argv[3]))["run"]["depth"], 2);
  Pass(absl::Seconds(2));
  EXPECT_THAT(coordinator_.heartbeats.back().held(), SizeIs(1));
  Finish(measuring, {{1, 10}, {2, 19.5}, {4, 20}});
  ASSERT_THAT(coordinator_.releases, SizeIs(1));
  EXPECT_EQ(coordinator_.releases[0].measured().width(), 2u);
  EXPECT_THAT(coordinator_.releases[0].reason(), HasSubstr("another width"));
  ASSERT_EQ(coordinator_.waiting_polls(), 1u);
  coordinator_.Grant(MakeGrant(2));
  Settle();
  EXPECT_THAT(launcher_.trainers, SizeIs(2));
  EXPECT_FALSE(Measures(launcher_.last()));
  EXPECT_THAT(Spec()["members"], SizeIs(2));
}

TEST_F(MeasuringAgentTest, TheNextWorkIsAskedForOnlyWhenTheCoordinatorKnowsTheWidth) {
  FakeTrainer& measuring = StartMeasuring(Unmeasured());
  coordinator_.errors["release"] = {absl::UnavailableError("away")};
  Finish(measuring, {{1, 10}, {2, 19.5}});
  EXPECT_EQ(coordinator_.waiting_polls(), 0u);
  Pass(absl::Seconds(1));
  EXPECT_THAT(coordinator_.releases, Not(IsEmpty()));
  EXPECT_EQ(coordinator_.waiting_polls(), 1u);
}

TEST_F(MeasuringAgentTest, WhereOneAtATimeIsBestTheJobThatWasGrantedIsTrained) {
  Finish(StartMeasuring(Unmeasured()), {{1, 10}, {2, 10.2}});
  EXPECT_THAT(coordinator_.releases, IsEmpty());
  ASSERT_THAT(launcher_.trainers, SizeIs(2));
  EXPECT_FALSE(Measures(launcher_.last()));
  EXPECT_THAT(Spec()["members"], SizeIs(1));
}

TEST_F(MeasuringAgentTest, AJobThatIsTheOnlyOneNeedsNoMeasurement) {
  StartAgent();
  coordinator_.Grant(MakeGrant(1));
  Settle();
  ASSERT_THAT(launcher_.trainers, SizeIs(1));
  EXPECT_FALSE(Measures(launcher_.last()));
}

TEST_F(MeasuringAgentTest, OfAGrantThatIsTooWideTheRestIsGivenBackUnchargedWithTheWidth) {
  Finish(StartMeasuring(MakeGrant(4)), {{1, 10}, {2, 19}, {4, 12}});
  EXPECT_THAT(coordinator_.Seen("release"),
              ElementsAre("release 3:1 step 0", "release 4:1 step 0"));
  for (const auto& release : coordinator_.releases) EXPECT_EQ(release.measured().width(), 2u);
  EXPECT_THAT(coordinator_.failures, IsEmpty());
  EXPECT_THAT(Spec()["members"], SizeIs(2));
  EXPECT_THAT(launcher_.last().signals, IsEmpty());
}

TEST_F(MeasuringAgentTest, AStopEndsTheMeasurementAtOnceAndReleases) {
  FakeTrainer& measuring = StartMeasuring(Unmeasured());
  agent_->Stop("SIGTERM");
  Settle();
  EXPECT_THAT(measuring.signals, ElementsAre(SIGKILL));
  EXPECT_THAT(coordinator_.Seen("release"), ElementsAre("release 1:1 step 0"));
  EXPECT_EQ(coordinator_.releases[0].measured().width(), 0u);
  EXPECT_EQ(exit_code_, 0);
  measuring.Die(SIGKILL);
  Settle();
  EXPECT_THAT(launcher_.trainers, SizeIs(1));
}

TEST_F(MeasuringAgentTest, ALeaseThatIsLostMeanwhileEndsItToo) {
  FakeTrainer& measuring = StartMeasuring(Unmeasured());
  coordinator_.directives[1] = v1::Directive::STOP;
  Pass(absl::Seconds(2));
  EXPECT_THAT(measuring.signals, ElementsAre(SIGKILL));
  measuring.Die(SIGKILL);
  // A measurement that was cut off is no result: the kind is measured when it comes again.
  coordinator_.directives.clear();
  ASSERT_EQ(coordinator_.waiting_polls(), 1u);
  coordinator_.Grant(Unmeasured(2));
  Settle();
  ASSERT_THAT(launcher_.trainers, SizeIs(2));
  EXPECT_TRUE(Measures(launcher_.last()));
}

TEST_F(MeasuringAgentTest, AMeasurementThatFailsLeavesPacksOfOneAndIsNotTriedAgain) {
  FakeTrainer& measuring = StartMeasuring(MakeGrant(2));
  measuring.callbacks.on_stderr("no such device\n");
  measuring.Exit(1);
  Settle();
  ASSERT_THAT(launcher_.trainers, SizeIs(2));
  EXPECT_THAT(Spec()["members"], SizeIs(1));
  EXPECT_THAT(coordinator_.Seen("release"), ElementsAre("release 2:1 step 0"));
  EXPECT_THAT(coordinator_.failures, IsEmpty());
  EXPECT_THAT(*ListDirectory(root_ + "/widths"), IsEmpty());
  launcher_.last().Start({{0, 0}}, 1000);
  launcher_.last().Checkpoint(0, 1000);
  launcher_.last().End("done", 0, 1000);
  launcher_.last().Exit(0);
  Settle();
  coordinator_.Grant(Unmeasured(3));
  Settle();
  ASSERT_THAT(launcher_.trainers, SizeIs(3));
  EXPECT_FALSE(Measures(launcher_.last()));
}

TEST_F(MeasuringAgentTest, AMeasurementThatCannotStartOrSpeaksNonsenseLeavesPacksOfOne) {
  for (const bool starts : {false, true}) {
    FakeTrainer& measuring = StartMeasuring(Unmeasured());
    if (starts) {
      measuring.Say("Segmentation fault");
      Settle();
      EXPECT_THAT(measuring.signals, ElementsAre(SIGKILL));
      measuring.Die(SIGKILL);
    } else {
      measuring.DoNotStart(absl::NotFoundError("no such file"));
    }
    Settle();
    ASSERT_THAT(launcher_.trainers, SizeIs(2));
    EXPECT_FALSE(Measures(launcher_.last()));
    KillAgent();
    launcher_.trainers.clear();
    for (const std::string& spool : Spools()) std::filesystem::remove(root_ + "/spool/" + spool);
  }
}

TEST_F(MeasuringAgentTest, WhatWasMeasuredBeforeItWasKilledCounts) {
  FakeTrainer& measuring = StartMeasuring(MakeGrant(4));
  measuring.callbacks.on_stdout(Line(1, 10) + Line(2, 20));
  ProcessExit exit;
  exit.signal = SIGKILL;
  exit.out_of_memory = true;
  measuring.callbacks.on_exit(exit);
  Settle();
  EXPECT_THAT(Spec()["members"], SizeIs(2));
  EXPECT_THAT(*ListDirectory(root_ + "/widths"), IsEmpty());
}

TEST_F(MeasuringAgentTest, OneThatHangsIsKilledAndTheJobIsTrained) {
  FakeTrainer& measuring = StartMeasuring(Unmeasured());
  Pass(config_.measure->patience - absl::Seconds(1));
  EXPECT_THAT(measuring.signals, IsEmpty());
  Pass(absl::Seconds(2));
  EXPECT_THAT(measuring.signals, ElementsAre(SIGKILL));
  measuring.Die(SIGKILL);
  Settle();
  ASSERT_THAT(launcher_.trainers, SizeIs(2));
  EXPECT_FALSE(Measures(launcher_.last()));
}

TEST_F(MeasuringAgentTest, AWorkerThatStartsAgainFindsWhatWasMeasured) {
  Finish(StartMeasuring(Unmeasured()), {{1, 10}, {2, 10}});
  KillAgent();
  for (const std::string& spool : Spools()) std::filesystem::remove(root_ + "/spool/" + spool);
  launcher_.trainers.clear();
  StartAgent();
  coordinator_.Grant(Unmeasured());
  Settle();
  ASSERT_THAT(launcher_.trainers, SizeIs(1));
  EXPECT_FALSE(Measures(launcher_.last()));
  // The file is damaged, so the width is measured anew.
  KillAgent();
  for (const std::string& spool : Spools()) std::filesystem::remove(root_ + "/spool/" + spool);
  const std::vector<std::string> files = *ListDirectory(root_ + "/widths");
  ASSERT_THAT(files, SizeIs(1));
  WriteFile("widths/" + files[0], "{");
  launcher_.trainers.clear();
  StartMeasuring(Unmeasured());
}

TEST_F(MeasuringAgentTest, NoTwoMeasureAtOnce) {
  config_.slots = 3;
  FakeTrainer& first = StartMeasuring(Unmeasured(1, 2));
  coordinator_.Grant(Unmeasured(2, 4));
  coordinator_.Grant(Unmeasured(3, 2));
  Settle();
  EXPECT_THAT(launcher_.trainers, SizeIs(1));
  Finish(first, {{1, 10}, {2, 10}});
  // Both jobs of the first kind train, and the second kind is measured.
  ASSERT_THAT(launcher_.trainers, SizeIs(4));
  int measuring = 0;
  for (const auto& trainer : launcher_.trainers) measuring += Measures(*trainer) ? 1 : 0;
  EXPECT_EQ(measuring, 2);
}

}  // namespace
}  // namespace coppice::worker
