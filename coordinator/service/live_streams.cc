#include "coordinator/service/live_streams.h"

#include "absl/strings/str_cat.h"

namespace coppice::service {
namespace {

absl::Status ShuttingDown() {
  return absl::UnavailableError("the coordinator is shutting down; try again when it is back");
}

}  // namespace

absl::Status LiveStreams::Add(const std::shared_ptr<LiveStream>& stream) {
  absl::MutexLock lock(&mutex_);
  if (stopped_) return ShuttingDown();
  if (streams_.size() >= max_streams_) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the coordinator is overloaded: ", streams_.size(), " streams are open; try again later"));
  }
  streams_.emplace(stream.get(), stream);
  return absl::OkStatus();
}

void LiveStreams::Remove(LiveStream* stream) {
  absl::MutexLock lock(&mutex_);
  streams_.erase(stream);
}

void LiveStreams::StopAll() {
  std::vector<std::shared_ptr<LiveStream>> streams;
  {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
    streams = AllLocked();
  }
  for (const std::shared_ptr<LiveStream>& stream : streams) stream->Stop(ShuttingDown());
}

void LiveStreams::EndAll(const absl::Status& status) {
  std::vector<std::shared_ptr<LiveStream>> streams;
  {
    absl::MutexLock lock(&mutex_);
    streams = AllLocked();
  }
  for (const std::shared_ptr<LiveStream>& stream : streams) stream->Stop(status);
}

std::vector<std::shared_ptr<LiveStream>> LiveStreams::AllLocked() {
  std::vector<std::shared_ptr<LiveStream>> streams;
  for (const auto& [key, weak] : streams_) {
    if (std::shared_ptr<LiveStream> stream = weak.lock()) streams.push_back(std::move(stream));
  }
  return streams;
}

size_t LiveStreams::count() const {
  absl::MutexLock lock(&mutex_);
  return streams_.size();
}

StreamLimit::StreamLimit(Clock* clock, absl::Duration limit, std::weak_ptr<LiveStream> stream)
    : clock_(clock), timer_(clock->Schedule(limit, [limit, stream = std::move(stream)] {
        if (const std::shared_ptr<LiveStream> live = stream.lock()) {
          live->Stop(absl::DeadlineExceededError(
              absl::StrCat("the transfer took longer than ", absl::FormatDuration(limit))));
        }
      })) {}

StreamLimit::~StreamLimit() { clock_->Cancel(timer_); }

}  // namespace coppice::service
