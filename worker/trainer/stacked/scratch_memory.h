// Access to tensors for the operations of this folder, and their scratch memory.
#ifndef COPPICE_WORKER_TRAINER_STACKED_SCRATCH_MEMORY_H_
#define COPPICE_WORKER_TRAINER_STACKED_SCRATCH_MEMORY_H_

#include <map>
#include <vector>

#include "ATen/core/Tensor.h"
#include "ATen/ops/empty.h"
#include "ATen/ops/from_blob.h"
#include "c10/core/TensorOptions.h"

namespace coppice::trainer {

template <typename T>
T* DataOf(const at::Tensor& tensor) {
  return tensor.defined() ? static_cast<T*>(tensor.data_ptr()) : nullptr;
}

// Elements from one member of a weight or an activation to the next. Unused for a single member.
inline int64_t MemberStride(const at::Tensor& tensor) { return tensor.stride(0); }

// Copies host bytes to the device's memory, which the result owns. On the host nothing is
// copied: the result refers to `data`.
inline at::Tensor Uploaded(const void* data, int64_t bytes, at::Device device) {
  const at::Tensor host = at::from_blob(const_cast<void*>(data), {bytes}, at::kByte);
  // If the memory is not pinned, the call returns after the bytes have been read.
  return host.to(at::TensorOptions(at::kByte).device(device), /*non_blocking=*/true);
}

template <typename E>
at::Tensor Uploaded(const std::vector<E>& values, at::Device device) {
  return Uploaded(values.data(), static_cast<int64_t>(values.size() * sizeof(E)), device);
}

// Buffers in a device's memory, one per purpose. Each grows to the largest size requested.
class ScratchMemory {
 public:
  explicit ScratchMemory(at::Device device) : device_(device) {}

  at::Device device() const { return device_; }

  template <typename E>
  E* Take(int purpose, int64_t count) {
    at::Tensor& buffer = buffers_[purpose];
    const int64_t bytes = count * static_cast<int64_t>(sizeof(E));
    if (!buffer.defined() || buffer.numel() < bytes) {
      buffer = at::empty({bytes}, at::TensorOptions(at::kByte).device(device_));
    }
    return static_cast<E*>(buffer.data_ptr());
  }
  // The tensor's memory, or that of this purpose if the tensor is undefined.
  template <typename E>
  E* TakeUnless(const at::Tensor& tensor, int purpose, int64_t count) {
    return tensor.defined() ? DataOf<E>(tensor) : Take<E>(purpose, count);
  }

 private:
  const at::Device device_;
  std::map<int, at::Tensor> buffers_;
};

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_STACKED_SCRATCH_MEMORY_H_
