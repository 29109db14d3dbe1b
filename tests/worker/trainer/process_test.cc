// The program as its users run it: flags and spec files, signals, exit codes, and resuming after
// any death.
#include <sys/stat.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/hung_folder.h"
#include "tests/worker/trainer/scoped_environment.h"
#include "tests/worker/trainer/test_directory.h"
#include "tests/worker/trainer/trainer_process.h"

namespace coppice::trainer {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class ProcessTest : public ::testing::Test {
 protected:
  std::vector<std::string> Flags(const std::string& out,
                                 std::map<std::string, std::string> changes = {}) const {
    std::map<std::string, std::string> flags = {{"--task", "question"},
                                                {"--depth", "2"},
                                                {"--seeds", "0-1"},
                                                {"--steps", "360"},
                                                {"--d-model", "32"},
                                                {"--heads", "2"},
                                                {"--d-ff", "64"},
                                                {"--train-size", "300"},
                                                {"--val-size", "40"},
                                                {"--test-size", "10"},
                                                {"--gen-size", "40"},
                                                {"--report-every", "60"},
                                                {"--warmup-steps", "20"},
                                                {"--learning-rate", "1e-3"},
                                                {"--checkpoint-every", "90"}};
    flags["--out"] = directory_ / out;
    for (const auto& [flag, value] : changes) flags[flag] = value;
    std::vector<std::string> arguments;
    for (const auto& [flag, value] : flags) arguments.insert(arguments.end(), {flag, value});
    return arguments;
  }

  std::string Log() const {
    std::ifstream in(directory_ / "log");
    return std::string(std::istreambuf_iterator<char>(in), {});
  }

  // (seed, step) -> values that do not depend on speed, and each seed's last checkpoint digest.
  struct Result {
    std::map<std::pair<uint64_t, int64_t>, json> metrics;
    std::map<uint64_t, std::string> digests;
  };
  static void Collect(const TrainerProcess& process, Result* result) {
    for (json event : process.Of("metrics")) {
      for (const char* timing : {"sequences_per_second", "probe_seconds"})
        event["values"].erase(timing);
      const std::pair<uint64_t, int64_t> key(event["seed"], event["step"]);
      const auto [it, inserted] = result->metrics.emplace(key, event["values"]);
      EXPECT_EQ(it->second, event["values"]) << "seed " << key.first << " step " << key.second;
    }
    for (const json& event : process.Of("checkpoint"))
      result->digests[event["seed"]] = event["digest"];
  }

  // Restarts until the run is done.
  Result Uninterrupted() {
    TrainerProcess process(Flags("whole"), directory_ / "log");
    EXPECT_EQ(process.Wait(), 0) << Log();
    EXPECT_EQ(process.Of("done").size(), 2u);
    Result result;
    Collect(process, &result);
    EXPECT_EQ(result.metrics.size(), 12u);
    return result;
  }

  TestDirectory directory_;
};

TEST_F(ProcessTest, WhatWasMisspeltIsSuggested) {
  for (const auto& [arguments, message] :
       std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{"--tsak", "question", "--depth", "2"}, "did you mean --task?"},
           {{"mesure"}, "did you mean 'measure'?"},
           {{"--task", "qestion", "--depth", "2"}, "did you mean 'question'?"},
           {{"data", "--splti", "gen"}, "did you mean --split?"}}) {
    TrainerProcess process(arguments, directory_ / "log");
    EXPECT_EQ(process.Wait(), 2) << message;
    EXPECT_THAT(Log(), HasSubstr(message));
  }
}

// The first command that a new user copies.
TEST_F(ProcessTest, TheReadmesRunLearns) {
  std::ifstream in(COPPICE_README);
  const std::string readme(std::istreambuf_iterator<char>(in), {});
  const size_t begin = readme.find("coppice-trainer --task");
  ASSERT_NE(begin, std::string::npos);
  std::istringstream words(readme.substr(begin, readme.find("```", begin) - begin));
  std::vector<std::string> arguments;
  std::string word;
  words >> word;
  while (words >> word) {
    if (word != "\\")
      arguments.push_back(arguments.empty() || arguments.back() != "--out"
                              ? word
                              : std::string(directory_ / "readme"));
  }
  TrainerProcess process(arguments, directory_ / "log");
  EXPECT_EQ(process.Wait(), 0) << Log();
  EXPECT_THAT(Log(), ::testing::Not(HasSubstr(" warn")));
  const std::vector<json> rows = process.Of("metrics");
  ASSERT_FALSE(rows.empty());
  EXPECT_GT(rows.back()["values"]["id_accuracy"].get<double>(), 0.95);
}

TEST_F(ProcessTest, TheLogSaysAtTheStartWhatCannotDoWhatItSays) {
  TrainerProcess fine(Flags("fine"), directory_ / "log");
  EXPECT_EQ(fine.Wait(), 0) << Log();
  EXPECT_THAT(Log(), ::testing::Not(HasSubstr("warmup_steps")));
  TrainerProcess vain(Flags("vain", {{"--warmup-steps", "10000"}, {"--checkpoint-every", "1000"}}),
                      directory_ / "log");
  EXPECT_EQ(vain.Wait(), 0) << Log();
  EXPECT_THAT(Log(), ::testing::AllOf(HasSubstr("train.warmup_steps is 10000 and train.steps 360"),
                                      HasSubstr("checkpoint.every is 1000 and train.steps 360")));
}

TEST_F(ProcessTest, TerminatedAndResumedItEndsBitForBitTheSame) {
  const Result expected = Uninterrupted();
  Result actual;
  int code = -1;
  for (int attempt = 0; attempt < 20 && code != 0; ++attempt) {
    TrainerProcess process(Flags("parts", {{"--threads", "2"}}), directory_ / "log");
    if (process.ReadUntil("metrics") && attempt < 3) process.Signal(SIGTERM);
    code = process.Wait();
    Collect(process, &actual);
    if (code == 0) continue;
    ASSERT_EQ(code, 75) << Log();
    EXPECT_EQ(process.Of("preempted").size() + process.Of("done").size(), 2u);
  }
  EXPECT_EQ(code, 0);
  EXPECT_EQ(actual.metrics, expected.metrics);
  EXPECT_EQ(actual.digests, expected.digests);
}

// A cluster may have several kinds of CPUs. For models with small matrices (products.h) every CPU
// with AVX2 gives the same bits.
TEST_F(ProcessTest, OnACpuWithoutAvx512ItEndsBitForBitTheSame) {
  std::string blas;
  const auto run = [&](const std::string& out, const std::map<std::string, std::string>& kind) {
    const ScopedEnvironment environment(kind);
    TrainerProcess process(Flags(out), directory_ / "log");
    EXPECT_EQ(process.Wait(), 0) << Log();
    Result result;
    Collect(process, &result);
    blas = process.Of("start").at(0)["provenance"]["blas"];
    return result;
  };
  const Result wide = run("wide", {{"COPPICE_AMX", "off"}});
  if (!blas.starts_with("AVX-512")) GTEST_SKIP() << "this CPU has no AVX-512, or it is off";
  const Result narrow = run("narrow", {{"COPPICE_AVX512", "off"},
                                       {"ONEDNN_MAX_CPU_ISA", "AVX2"},
                                       {"ATEN_CPU_CAPABILITY", "avx2"},
                                       {"OPENBLAS_CORETYPE", "Haswell"}});
  EXPECT_THAT(blas, ::testing::StartsWith("AVX2"));
  EXPECT_FALSE(narrow.digests.empty());
  EXPECT_EQ(narrow.metrics, wide.metrics);
  EXPECT_EQ(narrow.digests, wide.digests);
}

// A cluster signals every process of a job, and the daemon forwards its own signal.
TEST_F(ProcessTest, ManyRequestsToStopAreOneAndTheCheckpointIsWritten) {
  TrainerProcess process(Flags("out", {{"--steps", "1000000"}}), directory_ / "log");
  ASSERT_TRUE(process.ReadUntil("start"));
  for (const int signal : {SIGTERM, SIGTERM, SIGUSR1, SIGUSR2, SIGHUP, SIGINT, SIGTERM}) {
    process.Signal(signal);
  }
  EXPECT_EQ(process.Wait(), 75) << Log();
  EXPECT_EQ(process.Of("preempted").size(), 2u);
  EXPECT_EQ(process.Of("checkpoint").back()["step"], process.Of("preempted").back()["step"]);
}

TEST_F(ProcessTest, EverySignalThatAsksForTheEndCheckpoints) {
  ::signal(SIGHUP, SIG_DFL);  // under nohup the trainer would ignore it
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2}) {
    TrainerProcess process(Flags("out", {{"--steps", "1000000"}}), directory_ / "log");
    ASSERT_TRUE(process.ReadUntil("start"));
    process.Signal(signal);
    EXPECT_EQ(process.Wait(), 75) << signal << Log();
  }
}

TEST_F(ProcessTest, APackThatDoesNotFitIntoMemorySaysSoForEveryMember) {
  // 500 TB: more than a process can address, so no memory is ever touched.
  TrainerProcess process(
      Flags("out",
            {{"--seeds", "0-9999"}, {"--depth", "64"}, {"--d-model", "4096"}, {"--d-ff", "16384"}}),
      directory_ / "log");
  EXPECT_EQ(process.Wait(), 1);
  ASSERT_EQ(process.Of("failed").size(), 10'000u);
  EXPECT_EQ(process.Of("failed").front()["kind"], "out_of_memory");
}

TEST_F(ProcessTest, KilledAndResumedItEndsBitForBitTheSame) {
  const Result expected = Uninterrupted();
  Result actual;
  {
    TrainerProcess process(Flags("parts"), directory_ / "log");
    ASSERT_TRUE(process.ReadUntil("checkpoint"));
    process.Signal(SIGKILL);
    EXPECT_EQ(process.Wait(), -SIGKILL);
    Collect(process, &actual);
  }
  TrainerProcess process(Flags("parts"), directory_ / "log");
  EXPECT_EQ(process.Wait(), 0) << Log();
  EXPECT_GE(process.events().at(0)["members"][0]["step"].get<int64_t>() +
                process.events().at(0)["members"][1]["step"].get<int64_t>(),
            90);
  Collect(process, &actual);
  EXPECT_EQ(actual.metrics, expected.metrics);
  EXPECT_EQ(actual.digests, expected.digests);
}

TEST_F(ProcessTest, AFinishedRunStartedAgainIsDoneAtOnceAndPrintsNoMetrics) {
  Uninterrupted();
  TrainerProcess process(Flags("whole"), directory_ / "log");
  EXPECT_EQ(process.Wait(), 0);
  EXPECT_TRUE(process.Of("metrics").empty());
  EXPECT_EQ(process.Of("done").size(), 2u);
}

TEST_F(ProcessTest, AGoneReaderStopsItAsSigtermDoes) {
  TrainerProcess process(Flags("out", {{"--steps", "1000000"}}), directory_ / "log");
  ASSERT_TRUE(process.ReadUntil("start"));
  process.CloseStdout();
  EXPECT_EQ(process.Wait(), 75) << Log();
  EXPECT_THAT(Log(), HasSubstr("cannot write events"));
}

TEST_F(ProcessTest, ASpecFileIsRunAndItsCheckpointResumed) {
  json spec = {{"run",
                {{"task", "dyck"},
                 {"depth", 1},
                 {"model", {{"d_model", 16}, {"heads", 2}, {"d_ff", 16}}},
                 {"train", {{"steps", 20}}},
                 {"data", {{"train", 50}, {"val", 20}, {"test", 5}, {"gen", 20}}}}},
               {"members", {{{"seed", 7}, {"checkpoint_dir", directory_ / "a"}}}},
               {"prune", false}};
  std::ofstream(directory_ / "spec.json") << spec.dump();
  TrainerProcess first({"--spec", directory_ / "spec.json"}, directory_ / "log");
  ASSERT_EQ(first.Wait(), 0) << Log();
  const json checkpoint = first.Of("checkpoint").at(0);
  EXPECT_EQ(checkpoint["path"], directory_ / "a/step-000000020.safetensors");

  spec["members"][0]["resume"] = checkpoint["path"];
  spec["run"]["train"]["steps"] = 25;
  std::ofstream(directory_ / "spec.json") << spec.dump();
  TrainerProcess second({"--spec", directory_ / "spec.json"}, directory_ / "log");
  ASSERT_EQ(second.Wait(), 0) << Log();
  EXPECT_EQ(second.events().at(0)["members"][0]["step"], 20);
  EXPECT_EQ(second.Of("done").at(0)["step"], 25);
}

TEST_F(ProcessTest, BadUsageExitsWithTwoNamesTheMistakeAndStartsNothing) {
  std::ofstream(directory_ / "spec.json")
      << R"({"run": {"task": "question", "depht": 2}, "members": []})";
  const std::pair<std::vector<std::string>, const char*> cases[] = {
      {{"--task", "question"}, "--depth is missing"},
      {{"--task", "question", "--depth", "0"}, "run.depth is 0; use a whole number from 1 to 256"},
      {{"--task", "question", "--depth", "two"}, "--depth must be a number"},
      {{"--task", "question", "--depth", "2", "--d-modle", "4"}, "--d-modle"},
      {{"--task", "question", "--depth", "2", "--batch-size", "5000"},
       "run.train.batch_size is 5000; use a whole number from 1 to 4096"},
      {{"--task", "question", "--depth", "2", "--seeds", "5-2"}, "seeds must be a range or a list"},
      {{"--task", "question", "--depth", "2", "--device", "cuda", "--out", directory_ / "o"},
       "device cuda was asked for"},
      {{"--spec", directory_ / "none.json"}, "none.json"},
      {{"--spec", directory_ / "spec.json"}, "run.depth is missing"},
      {{"--spec", directory_ / "spec.json", "--depth", "2"}, "cannot be given beside --spec"},
  };
  for (const auto& [arguments, message] : cases) {
    const std::string log = directory_ / "usage";
    std::ofstream(log, std::ios::trunc).close();
    TrainerProcess process(arguments, log);
    EXPECT_EQ(process.Wait(), 2) << message;
    EXPECT_TRUE(process.Of("start").empty() && process.Of("failed").empty());
    std::ifstream in(log);
    EXPECT_THAT(std::string(std::istreambuf_iterator<char>(in), {}), HasSubstr(message));
  }
}

TEST_F(ProcessTest, ARunSpecThatIsRefusedIsToldAsAnEventAndABadFlagIsNot) {
  std::ofstream(directory_ / "spec.json")
      << R"({"run": {"task": "question", "depth": 2, "train": {"batch_size": 5000}},)"
      << R"( "members": [{"seed": 0, "checkpoint_dir": "d"}]})";
  TrainerProcess refused({{"--spec", directory_ / "spec.json"}}, directory_ / "log");
  EXPECT_EQ(refused.Wait(), 2);
  ASSERT_EQ(refused.events().size(), 1u);
  EXPECT_EQ(refused.events()[0]["event"], "refused");
  EXPECT_EQ(refused.events()[0]["message"],
            "run.train.batch_size is 5000; use a whole number from 1 to 4096");
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"--spec", directory_ / "none.json"},
        std::vector<std::string>{"--task", "question", "--depth", "0"}}) {
    TrainerProcess usage(arguments, directory_ / "log");
    EXPECT_EQ(usage.Wait(), 2);
    EXPECT_TRUE(usage.events().empty());
  }
}

TEST_F(ProcessTest, DataThatCannotBeHadFailEveryMemberWithExitCodeOne) {
  TrainerProcess process(Flags("out", {{"--data-dir", directory_ / "nowhere"}}),
                         directory_ / "log");
  EXPECT_EQ(process.Wait(), 1);
  ASSERT_EQ(process.Of("failed").size(), 2u);
  EXPECT_EQ(process.Of("failed")[0]["kind"], "data");
}

// A data folder with foreign files. No file in it may block the trainer, exhaust its memory, or
// leak private contents to a reader of the job's failure message.
class ForeignData : public ProcessTest {
 protected:
  ForeignData() {
    std::filesystem::create_directory(directory_ / "data");
    for (const char* split : {"val", "gen"}) {
      std::ofstream(directory_ / ("data/question." + std::string(split)))
          << "my yak does eat . quest\tdoes my yak eat ?\n";
    }
  }
  std::string Train() const { return directory_ / "data/question.train"; }
  // The message of both members' failure.
  std::string Failure() {
    TrainerProcess process(Flags("out", {{"--data-dir", directory_ / "data"}}), directory_ / "log");
    EXPECT_EQ(process.Wait(), 1) << Log();
    EXPECT_EQ(process.Of("failed").size(), 2u);
    for (const json& event : process.Of("failed")) {
      EXPECT_EQ(event["kind"], "data");
      EXPECT_EQ(event["message"], process.Of("failed")[0]["message"]);
    }
    return process.Of("failed").empty() ? "" : process.Of("failed")[0]["message"];
  }
};

TEST_F(ForeignData, APipeADeviceAndASparseGiantFailEveryMemberAtOnce) {
  ASSERT_EQ(::mkfifo(Train().c_str(), 0600), 0);
  EXPECT_THAT(Failure(), HasSubstr("a named pipe"));
  std::filesystem::remove(Train());
  std::filesystem::create_symlink("/dev/zero", Train());
  EXPECT_THAT(Failure(), HasSubstr("a device"));
  std::filesystem::remove(Train());
  std::ofstream(Train()) << "x";
  std::filesystem::resize_file(Train(), uint64_t{200} << 30);
  EXPECT_THAT(Failure(), HasSubstr("larger than"));
}

TEST_F(ForeignData, APrivateFilesWordsAreNeitherInTheReasonNorInTheLog) {
  std::ofstream(Train()) << "hunter2 is the password\n";
  const std::string message = Failure();
  EXPECT_THAT(message, HasSubstr("question.train:1: "));
  EXPECT_THAT(message, ::testing::Not(HasSubstr("hunter2")));
  EXPECT_THAT(Log(), ::testing::Not(HasSubstr("hunter2")));
}

TEST_F(ForeignData, AFileServerThatDoesNotAnswerDoesNotMakeTheTrainerDeaf) {
  coppice::testing::HungFolder dead(directory_ / "dead");
  if (!dead.mounted()) GTEST_SKIP() << "this machine does not let a FUSE filesystem be mounted";
  TrainerProcess process(Flags("out", {{"--data-dir", directory_ / "dead"}}), directory_ / "log");
  // The trainer prints nothing before it has its data. Its second thread proves that it waits for
  // them.
  ASSERT_TRUE(process.AwaitThreads(2));
  process.Signal(SIGTERM);
  EXPECT_EQ(process.Wait(), 75) << Log();
}

TEST_F(ProcessTest, ATerminationWhileTheDataAreMadeIsAnswered) {
  TrainerProcess process(Flags("out", {{"--train-size", "5000000"}}), directory_ / "log");
  ASSERT_TRUE(process.AwaitThreads(2));
  process.Signal(SIGTERM);
  EXPECT_EQ(process.Wait(), 75) << Log();
  EXPECT_TRUE(process.events().empty());
}

TEST_F(ProcessTest, ASecondTrainerInTheSameFolderIsRefused) {
  TrainerProcess first(Flags("out", {{"--steps", "1000000"}}), directory_ / "log");
  ASSERT_TRUE(first.ReadUntil("start"));
  TrainerProcess second(Flags("out"), directory_ / "log");
  EXPECT_EQ(second.Wait(), 2);
  EXPECT_THAT(Log(), HasSubstr("locked by another running process"));
}

TEST_F(ProcessTest, DevicesSaysWhichDevicesThereAreOrWhyNone) {
  TrainerProcess process({"devices"}, directory_ / "log");
  EXPECT_EQ(process.Wait(), 0) << Log();
  ASSERT_EQ(process.events().size(), 1u);
  const json& answer = process.events()[0];
  EXPECT_EQ(answer["event"], "devices");
  EXPECT_NE(answer["libtorch"], "");
  EXPECT_EQ(answer["devices"].empty(), !answer["problem"].get<std::string>().empty()) << answer;
  TrainerProcess wrong({"devices", "--all"}, directory_ / "log");
  EXPECT_EQ(wrong.Wait(), 2);
  EXPECT_THAT(Log(), HasSubstr("coppice-trainer devices --help"));
}

}  // namespace
}  // namespace coppice::trainer
