// `coppice-trainer measure` as its callers use it, and its decisions before it measures.
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>
#include <string>
#include <type_traits>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/worker/trainer/test_directory.h"
#include "tests/worker/trainer/trainer_process.h"
#include "worker/trainer/stacked/stacked_device.h"
#include "worker/trainer/stacked/stacked_ops.h"
#include "worker/trainer/train/host_memory.h"
#include "worker/trainer/train/measure.h"

namespace coppice::trainer {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(CandidateWidthsTest, DoublesUpToTheWidestAndOnACpuHalvesFromItsThreads) {
  EXPECT_THAT(CandidateWidths(32, 1, /*cpu=*/false), ElementsAre(1, 2, 4, 8, 16, 32));
  EXPECT_THAT(CandidateWidths(10, 1, /*cpu=*/false), ElementsAre(1, 2, 4, 8, 10));
  EXPECT_THAT(CandidateWidths(32, 6, /*cpu=*/true), ElementsAre(1, 6, 3));
  EXPECT_THAT(CandidateWidths(4, 16, /*cpu=*/true), ElementsAre(1, 4, 2));
  EXPECT_THAT(CandidateWidths(32, 1, /*cpu=*/true), ElementsAre(1));
  EXPECT_THAT(CandidateWidths(1, 8, /*cpu=*/true), ElementsAre(1));
  EXPECT_THAT(CandidateWidths(1, 8, /*cpu=*/false), ElementsAre(1));
}

TEST(MeasuredRunTest, TrainsTheSameModelAndNeverEndsReportsOrSaves) {
  RunConfig run;
  run.depth = 3;
  run.train.batch_size = 30000;
  const RunConfig measured = MeasuredRun(run);
  EXPECT_EQ(measured.depth, 3);
  EXPECT_EQ(measured.model, run.model);
  EXPECT_EQ(measured.data.train, 30000);  // at least one batch
  EXPECT_GT(measured.train.steps, int64_t{1} << 32);
  EXPECT_GT(measured.report.every, int64_t{1} << 32);
  EXPECT_GT(measured.checkpoint.every, int64_t{1} << 32);
  // Memory for snapshots of checkpoints during training, as in the run.
  EXPECT_LT(measured.checkpoint.every, measured.train.steps);
  run.checkpoint.every = run.train.steps;
  EXPECT_EQ(MeasuredRun(run).checkpoint.every, MeasuredRun(run).train.steps);
  run.data.directory = "/data";
  EXPECT_EQ(MeasuredRun(run).data.train, run.data.train);
}

TEST(MeasureWidthsTest, PacksThatAreTrainedAsOneAreMeasuredTheSameWay) {
  TestDirectory directory;
  const std::string path = directory / "events";
  RunConfig run;
  run.depth = 1;
  run.model = {8, 2, 16, 0.1};
  run.train.batch_size = 2;
  run.data.train = 50;
  const MeasureOptions options{MeasuredRun(run), {1, 3}, 1, absl::Seconds(20), MakeStackedHost()};
  const absl::StatusOr<Dataset> dataset = MakeDataset(DatasetOptionsOf(options.run));
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  const int fd = ::open(path.c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600);
  EventWriter events(fd, nullptr);
  const std::atomic<bool> stop{false};
  const absl::Status status = MeasureWidths(options, *dataset, &events, Clock::Real(), &stop);
  ::close(fd);
  ASSERT_TRUE(status.ok()) << status;
  std::ifstream in(path);
  std::set<int64_t> widths;
  for (std::string line; std::getline(in, line);) {
    const json event = json::parse(line);
    widths.insert(event["width"].get<int64_t>());
    EXPECT_GT(event["seed_steps_per_second"].get<double>(), 0) << event;
    EXPECT_GT(event["peak_bytes"].get<int64_t>(), 0) << event;
  }
  EXPECT_THAT(widths, ElementsAre(1, 3));
}

// The host, with a count of an operation that only evaluation uses (decoding).
class CountingDevice : public StackedDevice {
 public:
  at::Device torch_device() const override { return host_->torch_device(); }
  std::string description() const override { return host_->description(); }
  void Enter() const override { host_->Enter(); }
  std::unique_ptr<ModelOps> MakeOps(at::ScalarType) const override {
    return std::make_unique<StackedOps<float, Runner>>(at::kCPU, Runner{&decoded_});
  }
  std::unique_ptr<StepGraphs> MakeGraphs() const override { return host_->MakeGraphs(); }
  std::unique_ptr<PackOptimizer> MakeOptimizer(at::ScalarType dtype) const override {
    return host_->MakeOptimizer(dtype);
  }
  std::unique_ptr<WorkEvent> MakeEvent() const override { return host_->MakeEvent(); }
  MemoryMeter& memory() override { return host_->memory(); }

  int64_t decoded() const { return decoded_.load(); }

 private:
  struct Runner {
    template <typename Operation>
    void operator()(const Operation& operation) const {
      if constexpr (std::is_same_v<Operation, PathAttentionRow<float>>) ++*decoded;
      HostRunner()(operation);
    }
    std::atomic<int64_t>* decoded;
  };

  const std::shared_ptr<StackedDevice> host_ = MakeStackedHost();
  mutable std::atomic<int64_t> decoded_{0};
};

// Otherwise a device without room for evaluation would fail at a run's first report, after
// thousands of steps and before the first checkpoint.
TEST(MeasureWidthsTest, TheMemoryOfADevicesEvaluationIsMeasuredToo) {
  TestDirectory directory;
  RunConfig run;
  run.task = Task::kTense;
  run.depth = 1;
  run.model = {8, 2, 16, 0.1};
  run.train.batch_size = 2;
  run.data.train = 50;
  const auto device = std::make_shared<CountingDevice>();
  const MeasureOptions options{MeasuredRun(run), {1}, 1, absl::Seconds(20), device};
  const absl::StatusOr<Dataset> dataset = MakeDataset(DatasetOptionsOf(options.run));
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  const int fd = ::open((directory / "events").c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600);
  EventWriter events(fd, nullptr);
  const std::atomic<bool> stop{false};
  const absl::Status status = MeasureWidths(options, *dataset, &events, Clock::Real(), &stop);
  ::close(fd);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_GT(device->decoded(), 0);
}

TEST(HostMemoryTest, TheKernelsLinesAreRead) {
  EXPECT_EQ(BytesOfLine("MemTotal:  10 kB\nMemAvailable:    7 kB\n", "MemAvailable"), 7 * 1024);
  EXPECT_EQ(BytesOfLine("MemTotal:  10 kB\n", "MemAvailable"), std::nullopt);
  EXPECT_EQ(BytesOfLine("MemAvailable: many kB\n", "MemAvailable"), std::nullopt);
  EXPECT_GT(ResidentBytes(), 0);
  EXPECT_GE(PeakResidentBytes(), ResidentBytes() / 2);
  EXPECT_GT(AvailableBytes().value_or(0), 0);
}

TEST(HostMemoryTest, TheTightestOfTheControlGroupsCounts) {
  TestDirectory root;
  const auto limit = [&](const std::string& group, const std::string& most,
                         const std::string& used) {
    std::filesystem::create_directories(root / group);
    std::ofstream(root / (group + "/memory.max")) << most << "\n";
    std::ofstream(root / (group + "/memory.current")) << used << "\n";
  };
  limit("job", "1000", "400");
  limit("job/step", "max", "300");
  EXPECT_EQ(LeftOfGroups(root.path(), "0::/job/step\n"), 600);
  std::ofstream(root / "job/memory.stat") << "file 90\ninactive_file 50\n";
  EXPECT_EQ(LeftOfGroups(root.path(), "0::/job/step\n"), 650);
  limit("job/step", "500", "600");
  EXPECT_EQ(LeftOfGroups(root.path(), "1:cpu:/x\n0::/job/step\n"), 0);
  EXPECT_EQ(LeftOfGroups(root.path(), "0::/elsewhere\n"), std::nullopt);
  EXPECT_EQ(LeftOfGroups(root.path(), "4:memory:/job\n"), std::nullopt);
}

class MeasureCommandTest : public testing::Test {
 protected:
  std::vector<std::string> Tiny(std::vector<std::string> more) const {
    std::vector<std::string> arguments = {
        "measure", "--task",       "question", "--depth",    "1",  "--d-model",
        "16",      "--heads",      "2",        "--d-ff",     "32", "--batch-size",
        "4",       "--train-size", "300",      "--val-size", "40", "--test-size",
        "10",      "--gen-size",   "40"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  std::string Log() const {
    std::ifstream in(directory_ / "log");
    return {std::istreambuf_iterator<char>(in), {}};
  }
  int Refused(const std::vector<std::string>& arguments) {
    return TrainerProcess(arguments, directory_ / "log").Wait();
  }

  TestDirectory directory_;
};

TEST_F(MeasureCommandTest, EachWidthIsTrainedAndItsSpeedAndMemoryAreTold) {
  TrainerProcess process(Tiny({"--threads", "2"}), directory_ / "log");
  ASSERT_EQ(process.Wait(), 0) << Log();
  ASSERT_EQ(process.Of("measure").size(), 1u);
  const json begin = process.Of("measure")[0];
  EXPECT_EQ(begin["widths"], json({1, 2}));
  EXPECT_EQ(begin["provenance"]["threads"], 2);
  const std::vector<json> widths = process.Of("width");
  ASSERT_EQ(widths.size(), 4u) << Log();  // each width twice
  for (size_t i = 0; i < widths.size(); ++i) {
    const json& told = widths[i];
    const double width = i % 2 == 0 ? 1 : 2;
    EXPECT_EQ(told["width"], width);
    EXPECT_GT(told["steps_per_second"].get<double>(), 1);
    EXPECT_NEAR(told["seed_steps_per_second"].get<double>(),
                width * told["steps_per_second"].get<double>(),
                1e-3 * told["seed_steps_per_second"].get<double>());
    EXPECT_GT(told["peak_bytes"].get<int64_t>(), 1 << 20);
  }
  EXPECT_FALSE(std::filesystem::exists("unused"));
}

TEST_F(MeasureCommandTest, TheDaemonsSpecIsReadAndAWidthWithoutTimeIsLeftOut) {
  const std::string spec = directory_ / "run.json";
  std::ofstream(spec) << R"({"run": {"task": "dyck", "depth": 6, "data": {"train": 100, "val": 20,
    "test": 5, "gen": 20}}, "members": [{"seed": 0, "checkpoint_dir": "unused"}], "threads": 2})";
  TrainerProcess process({"measure", "--spec", spec, "--max-width", "32", "--seconds", "0.1"},
                         directory_ / "log");
  EXPECT_EQ(process.Wait(), 0) << Log();
  EXPECT_EQ(process.Of("measure").size(), 1u);
  EXPECT_TRUE(process.Of("width").empty());
}

TEST_F(MeasureCommandTest, ASignalEndsItAtTheNextStep) {
  TrainerProcess process(Tiny({"--threads", "64", "--seconds", "600"}), directory_ / "log");
  ASSERT_TRUE(process.ReadUntil("measure")) << Log();
  process.Signal(SIGTERM);
  EXPECT_EQ(process.Wait(), 75) << Log();
}

TEST_F(MeasureCommandTest, WhatIsWrongIsNamed) {
  EXPECT_EQ(Refused(Tiny({"--max-width", "0"})), 2);
  EXPECT_THAT(Log(), HasSubstr("--max-width"));
  EXPECT_EQ(Refused(Tiny({"--seconds", "none"})), 2);
  EXPECT_THAT(Log(), HasSubstr("--seconds"));
  EXPECT_EQ(Refused(Tiny({"--seeds", "0-3"})), 2);
  EXPECT_THAT(Log(), HasSubstr("coppice-trainer measure --help"));
  EXPECT_EQ(Refused({"measure", "--depth", "2"}), 2);
  EXPECT_THAT(Log(), HasSubstr("--task is missing"));
  EXPECT_EQ(Refused(Tiny({"--device", "cuda"})), 2);
  EXPECT_EQ(Refused(Tiny({"--data-dir", "/no/such/folder"})), 1);
  EXPECT_THAT(Log(), HasSubstr("/no/such/folder"));
}

}  // namespace
}  // namespace coppice::trainer
