#include "coordinator/service/refusal_log.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/logging.h"

namespace coppice::service {
namespace {

constexpr absl::Duration kLogEvery = absl::Seconds(10);
constexpr absl::Duration kLookUpInterval = absl::Milliseconds(100);
constexpr size_t kMostConnections = 64;
// A connection with an older last call cannot be the caller's.
constexpr absl::Duration kJustNow = absl::Seconds(1);
constexpr size_t kMostPeers = 64;  // the most peers that are counted
constexpr size_t kMostListed = 3;
constexpr size_t kMostOfAMethod = 100;

}  // namespace

void RefusalLog::Watch(std::unique_ptr<TransportView> view) {
  absl::MutexLock lock(&mutex_);
  view_ = std::move(view);
}

std::string RefusalLog::FindPeer() {
  if (view_ == nullptr) return "";
  for (TransportView::Opened& opened : view_->NewlyOpened()) {
    newest_[opened.id] = std::move(opened.peer);
    if (newest_.size() > kMostConnections) newest_.erase(newest_.begin());
  }
  // The transport's counters use the machine's time.
  absl::Time latest = Clock::Real()->Now() - kJustNow;
  std::string peer;
  for (auto it = newest_.begin(); it != newest_.end();) {
    const auto counted = view_->CountersOf(it->first);
    if (!counted.has_value()) {
      it = newest_.erase(it);
      continue;
    }
    if (counted->last_call > latest) {
      latest = counted->last_call;
      peer = it->second;
    }
    ++it;
  }
  return peer;
}

// ", from A, B and others": the most frequent peers, without the one that the line already names.
std::string RefusalLog::TakePeers(const std::string& but) {
  std::vector<std::pair<uint64_t, std::string>> found;
  for (const auto& [peer, times] : std::exchange(peers_, {})) {
    if (peer != but) found.emplace_back(times, peer);
  }
  std::sort(found.rbegin(), found.rend());
  std::string text;
  for (size_t i = 0; i < std::min(found.size(), kMostListed); ++i) {
    absl::StrAppend(&text, i == 0 ? ", also from " : ", ", found[i].second);
  }
  return found.size() > kMostListed ? text + " and others" : text;
}

void RefusalLog::Refused(const absl::Status& why, absl::string_view method,
                         absl::string_view token) {
  absl::MutexLock lock(&mutex_);
  const absl::Duration now = clock_->Monotonic();
  std::string peer;
  if (!looked_up_at_.has_value() || now - *looked_up_at_ >= kLookUpInterval) {
    looked_up_at_ = now;
    peer = FindPeer();
    if (!peer.empty() && (peers_.size() < kMostPeers || peers_.contains(peer))) ++peers_[peer];
  }
  if (logged_.has_value() && now - *logged_ < kLogEvery) {
    ++unlogged_;
    return;
  }
  logged_ = now;
  const uint64_t unlogged = std::exchange(unlogged_, 0);
  const std::string others = TakePeers(peer);
  spdlog::warn("refused a call{} of {}{}: {}{}", peer.empty() ? "" : absl::StrCat(" from ", peer),
               std::string(method.substr(0, kMostOfAMethod)),
               token.empty() ? "" : absl::StrCat(" by the token ", token), why.ToString(),
               unlogged == 0
                   ? ""
                   : absl::StrCat(" (and ", unlogged, " more since the last line", others, ")"));
}

}  // namespace coppice::service
