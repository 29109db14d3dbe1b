#include "coordinator/service/sweep_streams.h"

#include <utility>

#include "coordinator/service/convert.h"

namespace coppice::service {

void WatchStream::Start() {
  // Weak: the subscription must not keep alive the stream that owns it.
  std::weak_ptr<WatchStream> weak = Self<WatchStream>();
  auto subscription = core_->WatchSweep(name_, [weak](const core::SweepChange& change) {
    if (const std::shared_ptr<WatchStream> self = weak.lock()) {
      self->queue_.Push(change);
      self->Wake();
    }
  });
  if (!subscription.ok()) return Stop(subscription.status());
  subscription_ = *std::move(subscription);
  PullStream::Start();
}

void WatchStream::Fetch() {
  absl::StatusOr<WatchQueue::Next> next = queue_.Pop();
  if (!next.ok()) return End(next.status());
  if (next->end) return End(absl::OkStatus());
  response_.Clear();
  if (next->job.has_value()) {
    ToProto(*next->job, response_.mutable_job());
  } else if (next->summary.has_value()) {
    ToProto(*next->summary, response_.mutable_summary());
  } else {
    return Wait();
  }
  Write();
}

void MetricsQueryStream::Fetch() {
  if (sent_ < page_.rows.size()) {
    response_.Clear();
    for (size_t bytes = 0; sent_ < page_.rows.size() && bytes < kAnswerBytes; ++sent_) {
      v1::JobMetrics* row = response_.add_rows();
      ToProto(page_.rows[sent_], row);
      bytes += row->ByteSizeLong();
    }
    return Write();
  }
  if (page_.end) return End(absl::OkStatus());
  core_->GetMetrics(CallerAt(peer_), query_, page_.next, kMetricsPageRows,
                    [self = Self<MetricsQueryStream>()](absl::StatusOr<core::MetricsPage> page) {
                      self->OnPage(std::move(page));
                    });
}

void MetricsQueryStream::OnPage(absl::StatusOr<core::MetricsPage> page) {
  if (!page.ok()) return End(page.status());
  page_ = *std::move(page);
  sent_ = 0;
  Again();
}

void LogStream::Start() {
  if (follow_) {
    std::weak_ptr<LogStream> weak = Self<LogStream>();
    subscription_ = core_->WatchLog(job_, [weak] {
      if (const std::shared_ptr<LogStream> self = weak.lock()) self->Wake();
    });
  }
  PullStream::Start();
}

void LogStream::Fetch() {
  core_->GetLog(CallerAt(peer_), job_, attempt_, after_,
                [self = Self<LogStream>()](absl::StatusOr<core::LogPage> page) {
                  self->OnPage(std::move(page));
                });
}

void LogStream::OnPage(absl::StatusOr<core::LogPage> page) {
  if (!page.ok()) return End(page.status());
  if (!page->text.empty()) return Send(*std::move(page));
  if (!follow_ || asked_attempt_ != 0 || attempt_ == 0) return Rest(page->job_ended);
  // This attempt's log has ended, but a later attempt may have begun one.
  core_->GetLog(CallerAt(peer_), job_, 0, 0,
                [self = Self<LogStream>()](absl::StatusOr<core::LogPage> newest) {
                  self->OnNewestAttempt(std::move(newest));
                });
}

void LogStream::OnNewestAttempt(absl::StatusOr<core::LogPage> page) {
  if (!page.ok()) return End(page.status());
  if (page->attempt > attempt_ && !page->text.empty()) return Send(*std::move(page));
  Rest(page->job_ended);
}

void LogStream::Send(core::LogPage page) {
  attempt_ = page.attempt;
  after_ = page.next;
  response_.set_attempt(page.attempt);
  response_.set_text(std::move(page.text));
  Write();
}

void LogStream::Rest(bool job_ended) {
  if (!follow_ || job_ended) return End(absl::OkStatus());
  Wait();
}

}  // namespace coppice::service
