// The trainer that a worker starts, and the devices that it learns of. The trainers are shell
// scripts.
#include "worker/daemon/trainer_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/build_info.h"
#include "common/base/files.h"
#include "worker/daemon/trainer_devices.h"
#include "worker/program/posix_launcher.h"

namespace coppice::worker {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kH200[] =
    R"({"index":0,"name":"NVIDIA H200","compute_capability":"9.0","memory_bytes":150000000000,"problem":""})";
constexpr char kV100[] =
    R"({"index":1,"name":"Tesla V100","compute_capability":"7.0","memory_bytes":1,"problem":"no kernel image; build it with --arch 70"})";

std::string Line(const std::string& devices, const std::string& problem = "") {
  return absl::StrCat(R"({"event":"devices","protocol":1,"version":")", COPPICE_VERSION,
                      R"(","cuda":true,"devices":[)", devices, R"(],"problem":")", problem,
                      "\"}\n");
}

TEST(TrainerDevicesTest, AnAnswerIsRead) {
  const auto answer = ParseTrainerDevices(Line(absl::StrCat(kH200, ",", kV100)));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_TRUE(answer->cuda);
  ASSERT_EQ(answer->devices.size(), 2u);
  EXPECT_EQ(answer->devices[0].name, "NVIDIA H200");
  EXPECT_EQ(answer->devices[0].memory_bytes, 150000000000u);
  EXPECT_THAT(answer->devices[1].problem, HasSubstr("--arch 70"));
}

TEST(TrainerDevicesTest, WhatIsNoAnswerIsRefused) {
  for (const std::string line :
       {"", "hello", "[]", R"({"event":"start"})", R"({"event":"devices"})",
        R"({"event":"devices","devices":[]})", R"({"event":"devices","devices":[{"index":0}]})",
        R"({"event":"devices","devices":7,"problem":"x"})"}) {
    EXPECT_TRUE(absl::IsDataLoss(ParseTrainerDevices(line).status())) << line;
  }
}

// The text goes to a log, to a terminal and into a protobuf string.
TEST(TrainerDevicesTest, ADeviceCannotWriteToATerminal) {
  const auto answer =
      ParseTrainerDevices(Line(R"({"name":"evil\u001b[2J\nGPU","compute_capability":")" +
                               std::string(5000, '9') + R"(","memory_bytes":-1})"));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->devices[0].name, "evil [2J GPU");
  EXPECT_LT(answer->devices[0].compute_capability.size(), 600u);
  EXPECT_EQ(answer->devices[0].memory_bytes, 0u);
}

TEST(TrainerDevicesTest, ADeviceByItsNumberIsThatOneAlone) {
  const auto answer = ParseTrainerDevices(Line(absl::StrCat(kH200, ",", kV100)));
  EXPECT_TRUE(CheckTrainerDevices(*answer, {DeviceKind::kCuda}).ok());
  EXPECT_TRUE(CheckTrainerDevices(*answer, {DeviceKind::kCuda, 0}).ok());
  EXPECT_THAT(std::string(CheckTrainerDevices(*answer, {DeviceKind::kCuda, 1}).message()),
              HasSubstr("no kernel image"));
  EXPECT_THAT(std::string(CheckTrainerDevices(*answer, {DeviceKind::kCuda, 2}).message()),
              HasSubstr("the last one is cuda:1"));
  EXPECT_EQ(UsableDevicesText(*answer, {}), "NVIDIA H200");
  EXPECT_EQ(UsableDevicesText(*ParseTrainerDevices(Line(absl::StrCat(kH200, ",", kH200))), {}),
            "2 x NVIDIA H200");
  EXPECT_EQ(UsableDeviceNames(*ParseTrainerDevices(Line(absl::StrCat(kH200, ",", kH200))), {}),
            "NVIDIA H200");
}

class AskTrainerTest : public ::testing::Test {
 protected:
  AskTrainerTest() : launcher_(*PosixLauncher::Create()) {
    std::string pattern = ::testing::TempDir() + "coppice-trainers-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
  }
  ~AskTrainerTest() override { std::filesystem::remove_all(folder_); }

  absl::StatusOr<TrainerDevices> Ask(const std::string& script,
                                     absl::Duration limit = absl::Seconds(60),
                                     const EndRequest& end = {}) {
    const std::string path = folder_ + "/trainer";
    std::ofstream(path) << "#!/bin/sh\n[ \"$*\" = devices ] || exit 9\n" << script;
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    return AskTrainer(launcher_.get(), path, limit, end);
  }

  std::string folder_;
  std::unique_ptr<PosixLauncher> launcher_;
};

TEST_F(AskTrainerTest, TheTrainersAnswerIsRead) {
  const auto answer = Ask(absl::StrCat("echo noise >&2\ncat <<'END'\n", Line(kH200), "END\n"));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->devices[0].name, "NVIDIA H200");
}

TEST_F(AskTrainerTest, ATrainerThatDoesNotStartIsNamedWithItsLastWords) {
  const auto answer = Ask("echo 'libtorch_cuda.so: cannot open shared object file' >&2; exit 127");
  EXPECT_TRUE(absl::IsFailedPrecondition(answer.status()));
  EXPECT_THAT(std::string(answer.status().message()),
              AllOf(HasSubstr(folder_ + "/trainer"), HasSubstr("libtorch_cuda.so")));
  EXPECT_TRUE(absl::IsFailedPrecondition(
      AskTrainer(launcher_.get(), folder_ + "/none", absl::Seconds(60)).status()));
}

TEST_F(AskTrainerTest, ATrainerWithoutTheCommandIsToldApart) {
  EXPECT_TRUE(absl::IsUnimplemented(Ask("exit 2").status()));
  EXPECT_TRUE(absl::IsDataLoss(Ask("exit 0").status()));
}

// A driver may hang for ever.
TEST_F(AskTrainerTest, ATrainerThatHangsIsEnded) {
  const auto answer = Ask("echo $$ > \"$0.pid\"; sleep 1000 & wait", absl::Milliseconds(300));
  EXPECT_TRUE(absl::IsDeadlineExceeded(answer.status())) << answer.status();
}

TEST_F(AskTrainerTest, ARequestToEndEndsTheWaitAtOnce) {
  const int fd = ::eventfd(0, EFD_CLOEXEC);
  const std::string running = folder_ + "/trainer.pid";
  std::thread asker([&] {
    while (!FileExists(running)) absl::SleepFor(absl::Milliseconds(5));
    ::eventfd_write(fd, 1);
  });
  const absl::Time start = absl::Now();
  const auto answer = Ask("trap '' TERM; echo $$ > \"$0.pid\"; sleep 1000 & wait", absl::Minutes(5),
                          EndRequest(fd));
  asker.join();
  EXPECT_TRUE(absl::IsCancelled(answer.status())) << answer.status();
  EXPECT_LT(absl::Now() - start, absl::Minutes(1));
  ::close(fd);
}

TEST_F(AskTrainerTest, AFloodIsCutAndRefused) {
  EXPECT_TRUE(absl::IsDataLoss(Ask("head -c 3000000 /dev/zero | tr '\\0' x").status()));
}

class ChooseTrainerTest : public ::testing::Test {
 protected:
  ChooseTrainerTest() {
    std::string pattern = ::testing::TempDir() + "coppice-choice-XXXXXX";
    request_.folder = ::mkdtemp(pattern.data());
    plain_ = request_.folder + "/coppice-trainer";
    cuda_ = request_.folder + "/coppice-trainer-cuda";
  }
  ~ChooseTrainerTest() override { std::filesystem::remove_all(request_.folder); }

  void Program(const std::string& path, absl::StatusOr<TrainerDevices> answer) {
    std::ofstream(path) << "#!/bin/sh\n";
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    answers_.insert_or_assign(path, std::move(answer));
  }
  void Gpu(DeviceKind kind = DeviceKind::kAuto) {
    request_.gpu = true;
    request_.device.kind = kind;
  }
  absl::StatusOr<TrainerChoice> Choose() {
    asked_.clear();
    return ChooseTrainer(request_, [this](const std::string& path) {
      asked_.push_back(path);
      return answers_.at(path);
    });
  }
  static TrainerDevices Usable() { return *ParseTrainerDevices(Line(kH200)); }
  static TrainerDevices None(const std::string& problem) {
    return *ParseTrainerDevices(Line("", problem));
  }

  TrainerRequest request_;
  std::string plain_, cuda_;
  std::map<std::string, absl::StatusOr<TrainerDevices>> answers_;
  std::vector<std::string> asked_;
};

TEST_F(ChooseTrainerTest, WithoutAGpuNothingIsAskedAndThePlainTrainerIsTaken) {
  Program(plain_, absl::InternalError("not asked"));
  Program(cuda_, absl::InternalError("not asked"));
  EXPECT_EQ(Choose()->path, plain_);
  EXPECT_FALSE(Choose()->gpu);
  EXPECT_EQ(Choose()->device, "auto");
  Gpu(DeviceKind::kCpu);
  EXPECT_EQ(Choose()->path, plain_);
  EXPECT_EQ(Choose()->device, "cpu");
  EXPECT_THAT(asked_, IsEmpty());
}

TEST_F(ChooseTrainerTest, WithAGpuTheOneWithCudaIsTakenAndItsDeviceNamed) {
  Program(plain_, None("built without CUDA"));
  Program(cuda_, Usable());
  for (const DeviceKind kind : {DeviceKind::kAuto, DeviceKind::kCuda}) {
    Gpu(kind);
    const auto choice = Choose();
    ASSERT_TRUE(choice.ok()) << choice.status();
    EXPECT_EQ(choice->path, cuda_);
    EXPECT_EQ(choice->device, "NVIDIA H200");
    EXPECT_EQ(choice->gpu_names, "NVIDIA H200");
    EXPECT_TRUE(choice->gpu);
    EXPECT_THAT(asked_, ElementsAre(cuda_));
  }
}

TEST_F(ChooseTrainerTest, WhereTheGpuCannotBeUsedAutoTakesThePlainTrainerAndCudaIsRefused) {
  Program(plain_, None("built without CUDA"));
  Program(cuda_, None("the driver is too old"));
  Gpu();
  const auto choice = Choose();
  ASSERT_TRUE(choice.ok()) << choice.status();
  EXPECT_EQ(choice->path, plain_);
  EXPECT_EQ(choice->device, "cpu");
  EXPECT_FALSE(choice->gpu);
  Gpu(DeviceKind::kCuda);
  const absl::Status refused = Choose().status();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()),
              AllOf(HasSubstr("--device cuda"), HasSubstr("the driver is too old"),
                    HasSubstr("build_gpu_trainer.sh"), Not(HasSubstr("without CUDA"))));
}

TEST_F(ChooseTrainerTest, APlainTrainerThatWasBuiltWithCudaIsFoundAsWell) {
  Program(plain_, Usable());
  Gpu(DeviceKind::kCuda);
  EXPECT_EQ(Choose()->path, plain_);
  Program(cuda_, absl::FailedPreconditionError("libtorch is gone"));
  EXPECT_EQ(Choose()->path, plain_);
  EXPECT_THAT(asked_, ElementsAre(cuda_, plain_));
}

TEST_F(ChooseTrainerTest, AGivenTrainerIsTheOnlyOne) {
  Program(plain_, Usable());
  const std::string given = request_.folder + "/mine";
  request_.given = given;
  EXPECT_TRUE(absl::IsInvalidArgument(Choose().status()));
  Program(given, absl::UnimplementedError("no such command"));
  Gpu(DeviceKind::kCuda);
  EXPECT_EQ(Choose()->path, given);
  EXPECT_EQ(Choose()->device, "cuda");
  Program(given, None("built without CUDA"));
  EXPECT_TRUE(absl::IsFailedPrecondition(Choose().status()));
  EXPECT_THAT(asked_, ElementsAre(given));
}

TEST_F(ChooseTrainerTest, AfterARequestToEndNoOtherTrainerIsAsked) {
  Program(plain_, Usable());
  Program(cuda_, absl::CancelledError("asked to end"));
  Gpu();
  EXPECT_TRUE(absl::IsCancelled(Choose().status()));
  EXPECT_THAT(asked_, ElementsAre(cuda_));
}

// All its jobs would fail.
TEST_F(ChooseTrainerTest, ATrainerThatDoesNotStartIsRefusedAndASlowOneIsNot) {
  Program(plain_, absl::FailedPreconditionError("exited with code 127"));
  Gpu();
  EXPECT_THAT(std::string(Choose().status().message()), HasSubstr("code 127"));
  Program(plain_, absl::DeadlineExceededError("did not answer"));
  EXPECT_EQ(Choose()->path, plain_);
}

TEST_F(ChooseTrainerTest, WhereThereIsNoTrainerTheRemedyIsNamed) {
  EXPECT_THAT(std::string(Choose().status().message()),
              AllOf(HasSubstr("no trainer at " + plain_), HasSubstr("--trainer PATH")));
  Program(cuda_, absl::InternalError("not asked"));
  EXPECT_EQ(Choose()->path, cuda_);  // it computes on a CPU, too
}

}  // namespace
}  // namespace coppice::worker
