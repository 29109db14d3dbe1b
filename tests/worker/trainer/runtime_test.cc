#include "worker/trainer/train/runtime.h"

#include <new>
#include <stdexcept>

#include "gtest/gtest.h"

namespace coppice::trainer {
namespace {

// LibTorch's own messages.
TEST(OutOfMemoryTest, EveryWayInWhichMemoryIsRefusedIsKnown) {
  for (const char* message :
       {"[enforce fail at alloc_cpu.cpp:66] . DefaultCPUAllocator: can't allocate memory: you "
        "tried "
        "to allocate 80 bytes.",
        "CUDA out of memory. Tried to allocate 20.00 MiB (GPU 0; 15.78 GiB total capacity)",
        "CUDA error: out of memory",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED"}) {
    EXPECT_TRUE(IsOutOfMemory(std::runtime_error(message))) << message;
  }
  EXPECT_TRUE(IsOutOfMemory(std::bad_alloc()));
}

TEST(OutOfMemoryTest, OtherErrorsAreNone) {
  for (const char* message :
       {"CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`",
        "CUDA error: an illegal memory access was encountered", "matrices have no product"}) {
    EXPECT_FALSE(IsOutOfMemory(std::runtime_error(message))) << message;
  }
}

}  // namespace
}  // namespace coppice::trainer
