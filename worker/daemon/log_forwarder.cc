#include "worker/daemon/log_forwarder.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/utf8.h"

namespace coppice::worker {

LogForwarder::LogForwarder(const Environment* environment,
                           std::function<void(const std::string&)> forward)
    : forward_(std::move(forward)), timer_(environment) {}

void LogForwarder::Add(absl::string_view text) {
  tail_.append(text.data(), text.size());
  if (tail_.size() > kTailBytes) tail_.erase(0, tail_.size() - kTailBytes);
  const size_t room = kLiveBytes - std::min<uint64_t>(kLiveBytes, forwarded_ + gathered_.size());
  const size_t live = std::min(room, text.size());
  gathered_.append(text.data(), live);
  held_back_ += text.size() - live;
  if (gathered_.size() >= kPieceBytes) {
    Flush();
  } else if (!gathered_.empty() && !timer_.running()) {
    timer_.Start(kDelay, [this] { Flush(); });
  }
}

void LogForwarder::Flush() {
  timer_.Stop();
  const size_t incomplete = IncompleteUtf8Tail(gathered_);
  const std::string rest = gathered_.substr(gathered_.size() - incomplete);
  gathered_.resize(gathered_.size() - incomplete);
  const std::string piece = std::exchange(gathered_, rest);
  if (piece.empty()) return;
  forwarded_ += piece.size();
  forward_(piece);
}

void LogForwarder::Finish() {
  Flush();
  if (!gathered_.empty()) forward_(std::exchange(gathered_, ""));
  if (held_back_ == 0) return;
  const size_t shown = static_cast<size_t>(std::min<uint64_t>(held_back_, tail_.size()));
  const uint64_t omitted = held_back_ - shown;
  held_back_ = 0;
  std::string text;
  if (omitted > 0) {
    text = absl::StrCat("\n[", omitted, " bytes left out; the worker's log file has them]\n");
  }
  absl::StrAppend(&text, absl::string_view(tail_).substr(tail_.size() - shown));
  forward_(text);
}

}  // namespace coppice::worker
