#include "worker/trainer/cuda/device_status.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace coppice::trainer {
namespace {

using testing::HasSubstr;

CudaDeviceList Answer(int code, const std::string& error, int driver_version = 13000) {
  CudaDeviceList devices;
  devices.code = code;
  devices.error = error;
  devices.driver_version = driver_version;
  devices.runtime_version = 13000;
  return devices;
}

TEST(CudaDeviceStatusTest, ADeviceThatIsThereCanBeUsed) {
  CudaDeviceList devices = Answer(0, "");
  devices.count = 2;
  EXPECT_TRUE(CheckCudaDevices(devices, 1).ok());
  EXPECT_EQ(CheckCudaDevices(devices, 2).code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(IsWorthAWarning(absl::OkStatus()));
}

TEST(CudaDeviceStatusTest, WhereThereIsNoGpuAutoTakesTheCpuWithoutAWord) {
  for (const CudaDeviceList& devices :
       {Answer(kCudaNoDevice, "no CUDA-capable device is detected"), Answer(0, "there is none"),
        // CUDA's answer if no driver is installed.
        Answer(kCudaOldDriver, "CUDA driver version is insufficient", 0)}) {
    const absl::Status status = CheckCudaDevices(devices, 0);
    EXPECT_EQ(status.code(), absl::StatusCode::kNotFound) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("--device cpu"));
    EXPECT_FALSE(IsWorthAWarning(status));
  }
  EXPECT_FALSE(IsWorthAWarning(absl::UnimplementedError("no CUDA in this build")));
}

// A user does not expect a GPU to stand idle while the job runs a hundred times slower.
TEST(CudaDeviceStatusTest, AGpuThatIsThereAndNotUsedIsWorthAWarning) {
  const absl::Status old = CheckCudaDevices(
      Answer(kCudaOldDriver, "CUDA driver version is insufficient for CUDA runtime version", 12040),
      0);
  EXPECT_TRUE(IsWorthAWarning(old)) << old;
  EXPECT_THAT(std::string(old.message()), HasSubstr("CUDA 12.4"));
  EXPECT_THAT(std::string(old.message()), HasSubstr("13.0"));
  EXPECT_THAT(std::string(old.message()), HasSubstr("update the driver"));
  const absl::Status broken = CheckCudaDevices(Answer(999, "unknown error"), 0);
  EXPECT_TRUE(IsWorthAWarning(broken)) << broken;
  EXPECT_THAT(std::string(broken.message()), HasSubstr("unknown error"));
}

TEST(CudaDeviceStatusTest, ADeviceOfAnotherArchitectureIsWorthAWarning) {
  EXPECT_TRUE(CheckCudaDevice({"NVIDIA H200", 9, 0, ""}, 0).ok());
  const absl::Status status = CheckCudaDevice({"Tesla V100", 7, 0, "no kernel image"}, 1);
  EXPECT_TRUE(IsWorthAWarning(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("cuda:1 (Tesla V100"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("-DCMAKE_CUDA_ARCHITECTURES=70"));
}

TEST(CudaReportTest, ADeviceThatIsThereIsDescribed) {
  CudaReport report;
  report.built = true;
  report.list = Answer(0, "", 12080);
  report.list.count = 2;
  report.devices = {{"NVIDIA H200", 9, 0, "", int64_t{140} << 30},
                    {"Tesla V100\xff", 7, 0, "no kernel image", int64_t{16} << 30}};
  const auto json = nlohmann::json::parse(CudaReportJson(report, "2.7.0"));
  EXPECT_EQ(json["event"], "devices");
  EXPECT_EQ(json["libtorch"], "2.7.0");
  EXPECT_EQ(json["cuda_driver"], "12.8");
  EXPECT_EQ(json["cuda_runtime"], "13.0");
  EXPECT_EQ(json["problem"], "");
  ASSERT_EQ(json["devices"].size(), 2u);
  EXPECT_EQ(json["devices"][0]["name"], "NVIDIA H200");
  EXPECT_EQ(json["devices"][0]["compute_capability"], "9.0");
  EXPECT_EQ(json["devices"][0]["memory_bytes"], int64_t{140} << 30);
  EXPECT_EQ(json["devices"][0]["problem"], "");
  EXPECT_THAT(json["devices"][1]["problem"].get<std::string>(), HasSubstr("--arch 70"));
}

TEST(CudaReportTest, WhereThereIsNoDeviceTheReasonNamesTheRemedy) {
  const auto problem = [](const CudaReport& report) {
    return nlohmann::json::parse(CudaReportJson(report, ""))["problem"].get<std::string>();
  };
  EXPECT_THAT(problem({}), HasSubstr("scripts/build_gpu_trainer.sh"));
  CudaReport report;
  report.built = true;
  report.list = Answer(kCudaNoDevice, "no CUDA-capable device is detected");
  EXPECT_THAT(problem(report), HasSubstr("CUDA_VISIBLE_DEVICES"));
  report.list = Answer(kCudaOldDriver, "too old", 12040);
  EXPECT_THAT(problem(report), HasSubstr("update the driver"));
}

}  // namespace
}  // namespace coppice::trainer
