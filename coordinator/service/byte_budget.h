#ifndef COPPICE_COORDINATOR_SERVICE_BYTE_BUDGET_H_
#define COPPICE_COORDINATOR_SERVICE_BYTE_BUDGET_H_

#include <atomic>
#include <cstddef>

namespace coppice::service {

// Purpose: bounds the total that many streams hold. The bound is soft: a stream that checks HasRoom
// and then takes may exceed it by one message. Owner: LiveStreams and each of the streams.
// Thread-safe.
class ByteBudget {
 public:
  explicit ByteBudget(size_t limit) : limit_(limit) {}

  bool HasRoom() const { return used_.load(std::memory_order_relaxed) < limit_; }
  void Take(size_t bytes) { used_.fetch_add(bytes, std::memory_order_relaxed); }
  void GiveBack(size_t bytes) { used_.fetch_sub(bytes, std::memory_order_relaxed); }
  size_t used() const { return used_.load(std::memory_order_relaxed); }

 private:
  const size_t limit_;
  std::atomic<size_t> used_{0};
};

}  // namespace coppice::service

#endif  // COPPICE_COORDINATOR_SERVICE_BYTE_BUDGET_H_
