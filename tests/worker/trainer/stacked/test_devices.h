// The stacked devices that a test runs on: the host, and a CUDA device if there is one.
#ifndef COPPICE_TESTS_WORKER_TRAINER_STACKED_TEST_DEVICES_H_
#define COPPICE_TESTS_WORKER_TRAINER_STACKED_TEST_DEVICES_H_

#include <cstdlib>
#include <memory>

#include "gtest/gtest.h"
#include "worker/trainer/cuda/cuda_device.h"

namespace coppice::trainer {

// Uses full float32 for products, like the CPU that results are compared with.
inline absl::StatusOr<std::shared_ptr<StackedDevice>> TestCuda() {
  return MakeCudaDevice(0, /*tf32=*/false);
}

// A test on one of them. Without a CUDA device the device's tests are skipped, or fail if
// COPPICE_REQUIRE_CUDA is set (tests/gpu_check.sh).
class DeviceTest : public ::testing::TestWithParam<bool> {
 protected:
  static constexpr bool kHost = false, kCuda = true;

  void SetUp() override { Take(GetParam()); }
  void Take(bool cuda) {
    device_ = MakeStackedHost();
    if (cuda) {
      const auto device = TestCuda();
      if (!device.ok() && std::getenv("COPPICE_REQUIRE_CUDA") != nullptr)
        FAIL() << device.status().message();
      if (!device.ok()) GTEST_SKIP() << device.status().message();
      device_ = *device;
    }
    device_->Enter();
  }
  bool on_host() const { return !device_->torch_device().is_cuda(); }

  std::shared_ptr<StackedDevice> device_;
};

inline auto BothDevices() { return ::testing::Bool(); }
inline std::string DeviceName(const ::testing::TestParamInfo<bool>& info) {
  return info.param ? "Cuda" : "Host";
}

}  // namespace coppice::trainer

#endif  // COPPICE_TESTS_WORKER_TRAINER_STACKED_TEST_DEVICES_H_
