// The server streams of SweepService.
#ifndef COPPICE_COORDINATOR_SERVICE_SWEEP_STREAMS_H_
#define COPPICE_COORDINATOR_SERVICE_SWEEP_STREAMS_H_

#include <memory>
#include <string>

#include "coordinator/core/coordinator.h"
#include "coordinator/service/pull_stream.h"
#include "coordinator/service/watch_queue.h"
#include "coppice/v1/coordinator.pb.h"

namespace coppice::service {

inline constexpr size_t kMaxWatchedJobs = 20'000;  // changes not yet sent to one watcher
inline constexpr uint32_t kMetricsPageRows = 500;

class WatchStream final : public PullStream<v1::WatchSweepResponse> {
 public:
  WatchStream(LiveStreams* live, core::Coordinator* core, std::string name)
      : PullStream(live),
        core_(core),
        name_(std::move(name)),
        queue_(kMaxWatchedJobs, live->watched_jobs()) {}
  // Subscribes, then starts like every PullStream.
  void Start();

 private:
  void Fetch() override;
  void Release() override { subscription_.reset(); }

  core::Coordinator* const core_;
  const std::string name_;
  WatchQueue queue_;
  std::unique_ptr<core::Subscription>
      subscription_;  // set before gRPC knows the stream, reset after its last reaction
};

// Sends pages of rows. One page may need several messages.
class MetricsQueryStream final : public PullStream<v1::GetMetricsResponse> {
 public:
  MetricsQueryStream(LiveStreams* live, core::Coordinator* core, std::string peer,
                     core::MetricsQuery query)
      : PullStream(live), core_(core), peer_(std::move(peer)), query_(std::move(query)) {}

 private:
  void Fetch() override;
  void OnPage(absl::StatusOr<core::MetricsPage> page);

  core::Coordinator* const core_;
  const std::string peer_;
  const core::MetricsQuery query_;
  // Touched only between Fetch and its outcome.
  core::MetricsPage page_;
  size_t sent_ = 0;  // rows of page_
};

// Sends an attempt's log. With `follow` it continues until the job ends, through later attempts too
// unless the request named one.
class LogStream final : public PullStream<v1::GetLogsResponse> {
 public:
  LogStream(LiveStreams* live, core::Coordinator* core, std::string peer,
            const v1::GetLogsRequest& request)
      : PullStream(live),
        core_(core),
        peer_(std::move(peer)),
        job_(request.job_id()),
        asked_attempt_(request.attempt()),
        follow_(request.follow()),
        attempt_(request.attempt()) {}
  void Start();

 private:
  void Fetch() override;
  void Release() override { subscription_.reset(); }
  void OnPage(absl::StatusOr<core::LogPage> page);
  void OnNewestAttempt(absl::StatusOr<core::LogPage> page);
  void Send(core::LogPage page);
  void Rest(bool job_ended);

  core::Coordinator* const core_;
  const std::string peer_;
  const core::JobId job_;
  const core::AttemptNumber asked_attempt_;
  const bool follow_;
  std::unique_ptr<core::Subscription> subscription_;
  // Touched only between Fetch and its outcome.
  core::AttemptNumber attempt_;
  uint64_t after_ = 0;
};

}  // namespace coppice::service

#endif  // COPPICE_COORDINATOR_SERVICE_SWEEP_STREAMS_H_
