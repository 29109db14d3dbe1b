#include "worker/trainer/cuda/device_status.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

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

}  // namespace
}  // namespace coppice::trainer
