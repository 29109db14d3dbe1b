#include "bench/control_plane/first_lease.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "bench/control_plane/calls.h"
#include "common/base/clock.h"
#include "common/rpc/channel.h"

namespace coppice::bench {
namespace {

constexpr size_t kAsking = 16;
constexpr absl::Duration kLimit = absl::Minutes(2);

class FirstLease {
 public:
  FirstLease(const std::string& address, Fleet& fleet) {
    for (size_t i = 0; i < kAsking; ++i) {
      stubs_.push_back(v1::WorkerService::NewStub(*rpc::MakeChannel(address)));
      v1::AcquireLeasesRequest request;
      request.set_worker_id(fleet.at(i).id());
      request.set_request_id("after-restart");
      request.set_pack_width(1);
      request.set_wait_ms(60'000);
      Ask(stubs_.back().get(), request);
    }
  }
  absl::StatusOr<absl::Time> Wait() {
    const auto all = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return ended_ == kAsking; };
    absl::MutexLock lock(&mutex_, absl::Condition(&all));
    if (granted_at_ == absl::InfiniteFuture()) return error_;
    return granted_at_;
  }

 private:
  void Ask(v1::WorkerService::Stub* stub, const v1::AcquireLeasesRequest& request) {
    Call<v1::AcquireLeasesRequest, v1::AcquireLeasesResponse>(
        stub, &Async::AcquireLeases, request, kLimit,
        [this, stub, request](const absl::Status& status, const v1::AcquireLeasesResponse& grant) {
          const bool granted = status.ok() && !grant.leases().empty();
          if (!granted && rpc::IsRetryable(status) && absl::Now() < deadline_) {
            Clock::Real()->Schedule(absl::Milliseconds(2),
                                    [this, stub, request] { Ask(stub, request); });
            return;
          }
          absl::MutexLock lock(&mutex_);
          ++ended_;
          if (granted) {
            granted_at_ = std::min(granted_at_, absl::Now());
          } else {
            error_ = status.ok() ? absl::InternalError("no job for a worker") : status;
          }
        });
  }

  const absl::Time deadline_ = absl::Now() + kLimit;
  std::vector<std::unique_ptr<v1::WorkerService::Stub>> stubs_;
  absl::Mutex mutex_;
  size_t ended_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Time granted_at_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteFuture();
  absl::Status error_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

absl::StatusOr<absl::Time> AwaitFirstLease(const std::string& address, Fleet& fleet) {
  return FirstLease(address, fleet).Wait();
}

}  // namespace coppice::bench
