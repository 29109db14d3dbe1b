#include "coordinator/service/connection_guard.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/logging.h"
#include "coordinator/service/socket_facts.h"

namespace coppice::service {
namespace {

// Interval between full checks. With ten thousand connections a check takes 20 ms.
constexpr absl::Duration kCheckInterval = absl::Milliseconds(250);
constexpr absl::Duration kCheckIntervalPerConnection = absl::Microseconds(50);
// Interval of checks of conspicuous connections, and of handshakes while connections wait.
constexpr absl::Duration kCheckSoon = absl::Milliseconds(50);
constexpr absl::Duration kCheckWhileWaiting = absl::Milliseconds(10);
// Below this number of unread bytes, the transport is not queried.
constexpr uint64_t kUnsuspicious = 128 << 10;
// Pings and the acknowledgements of a response of any size are not a flood.
constexpr double kQuietBytesPerSecond = 64;
constexpr uint64_t kConfirmsOneMessage = 4 << 10;
// After this time gRPC would have ended a handshake. One that remains has another name in gRPC.
constexpr absl::Duration kLongestHandshake = absl::Seconds(30);
constexpr absl::Duration kFirstRefusal = absl::Seconds(1);
constexpr uint32_t kMostDoublings = 5;
constexpr absl::Duration kForgiveAfter = absl::Minutes(10);
constexpr absl::Duration kComplainAgain = absl::Seconds(10);
constexpr absl::Duration kMeasureLoadEvery = absl::Seconds(2);
constexpr double kBusyShare = 0.6;  // of one CPU

absl::Duration CpuTime() {
  rusage usage = {};
  ::getrusage(RUSAGE_SELF, &usage);
  return absl::DurationFromTimeval(usage.ru_utime) + absl::DurationFromTimeval(usage.ru_stime);
}

std::string Megabytes(uint64_t bytes) {
  return absl::StrCat(bytes >> 20, ".", (bytes >> 10) % 1024 * 10 / 1024, " MiB");
}

}  // namespace

ConnectionGuard::ConnectionGuard(Clock* clock, TransportView* view, ConnectionLimits limits,
                                 std::function<void(int)> hand_over)
    : clock_(clock), view_(view), limits_(limits), hand_over_(std::move(hand_over)) {
  cpu_ = CpuTime();
  cpu_at_ = clock_->Monotonic();
}

ConnectionGuard::~ConnectionGuard() {
  for (const auto& [address, peer] : peers_) {
    for (const auto& [fd, name] : peer->waiting) ::close(fd);
  }
}

void ConnectionGuard::Take(int fd, const sockaddr_storage& from) {
  PeerName named = NameOf(from);
  std::unique_ptr<Peer>& slot = peers_[named.address];
  if (slot == nullptr) {
    slot = std::make_unique<Peer>();
    slot->address = named.address;
  }
  Peer& peer = *slot;
  const char* refusal = nullptr;
  if (clock_->Monotonic() < peer.refused_until) {
    refusal = "one of its connections was ended just now";
  } else if (peer.open + peer.handshakes + peer.waiting.size() >= limits_.open_per_peer) {
    refusal = "too many of its connections are open";
  } else if (peer.waiting.size() >= limits_.waiting_per_peer || waiting_ >= limits_.waiting) {
    refusal = "too many connections wait for their handshake";
  }
  if (refusal != nullptr) {
    Complain(absl::StrCat("a connection from ", peer.address, " was turned away: ", refusal));
    ::close(fd);
    return;
  }
  // Waiting connections have precedence.
  if (peer.waiting.empty() && HasRoom(peer)) return Begin(fd, std::move(named.connection), peer);
  if (peer.waiting.empty()) turns_.push_back(&peer);
  peer.waiting.emplace_back(fd, std::move(named.connection));
  ++waiting_;
}

bool ConnectionGuard::HasRoom(const Peer& peer) const {
  return handshakes_.size() < limits_.handshakes && peer.handshakes < limits_.handshakes_per_peer;
}

void ConnectionGuard::Begin(int fd, std::string name, Peer& peer) {
  const auto stale = connections_.find(fd);  // reused, so that connection is gone
  if (stale != connections_.end()) Forget(stale);
  Connection& connection = connections_[fd];
  connection.cookie = CookieOf(fd);
  connection.peer = &peer;
  connection.begun = clock_->Monotonic();
  connection.counted_at = connection.checked_at = connection.unread_since = connection.begun;
  connection.name = std::move(name);
  if (!connection.name.empty()) by_name_[connection.name] = fd;
  ++peer.handshakes;
  handshakes_.insert(fd);
  hand_over_(fd);
}

void ConnectionGuard::Forget(Connections::iterator it) {
  Connection& gone = it->second;
  if (gone.open) {
    --gone.peer->open;
  } else {
    --gone.peer->handshakes;
    handshakes_.erase(it->first);
  }
  const auto named = by_name_.find(gone.name);
  if (named != by_name_.end() && named->second == it->first) by_name_.erase(named);
  connections_.erase(it);
}

void ConnectionGuard::ForgetPeers() {
  const absl::Duration now = clock_->Monotonic();
  absl::erase_if(peers_, [now](const auto& entry) {
    const Peer& peer = *entry.second;
    return peer.open == 0 && peer.handshakes == 0 && peer.waiting.empty() &&
           (peer.strikes == 0 || now > peer.refused_until + kForgiveAfter);
  });
}

absl::Duration ConnectionGuard::NextFullCheck() const {
  return all_checked_at_ +
         std::max(kCheckInterval, kCheckIntervalPerConnection * connections_.size());
}

absl::Duration ConnectionGuard::NextCheck() const {
  if (connections_.empty() && waiting_ == 0) {
    return peers_.empty() ? absl::InfiniteDuration() : kForgiveAfter;
  }
  absl::Duration at = NextFullCheck();
  if (!conspicuous_.empty()) at = std::min(at, checked_at_ + kCheckSoon);
  if (waiting_ > 0) at = std::min(at, checked_at_ + kCheckWhileWaiting);
  return std::max(absl::ZeroDuration(), at - clock_->Monotonic());
}

void ConnectionGuard::Check() {
  checked_at_ = clock_->Monotonic();
  unread_ = 0;
  if (checked_at_ >= NextFullCheck()) {
    CheckAll();
  } else {
    ForgetGone({handshakes_.begin(), handshakes_.end()});
    ForgetGone(conspicuous_);
    NoteOpened();
    for (const int fd : std::exchange(conspicuous_, {})) {
      const auto it = connections_.find(fd);
      if (it != connections_.end()) CheckOne(fd, it->second);
    }
  }
  if (unread_ > limits_.unread_of_all) EndLargest();
  BeginWaiting();
}

void ConnectionGuard::CheckAll() {
  all_checked_at_ = checked_at_;
  MeasureLoad();
  std::vector<int> all;
  all.reserve(connections_.size());
  for (const auto& [fd, connection] : connections_) all.push_back(fd);
  ForgetGone(all);
  NoteOpened();
  conspicuous_.clear();
  for (auto& [fd, connection] : connections_) CheckOne(fd, connection);
  ForgetPeers();
}

void ConnectionGuard::ForgetGone(const std::vector<int>& fds) {
  for (const int fd : fds) {
    const auto it = connections_.find(fd);
    if (it != connections_.end() && CookieOf(fd) != it->second.cookie) Forget(it);
  }
}

void ConnectionGuard::NoteOpened() {
  for (const TransportView::Opened& opened : view_->NewlyOpened()) {
    const auto named = by_name_.find(opened.peer);
    if (named == by_name_.end()) continue;
    Connection& connection = connections_.at(named->second);
    // The newest connection of a name counts, because a peer may reuse a port.
    if (opened.id <= connection.id) continue;
    connection.id = opened.id;
    connection.counters = {};
    SetOpen(named->second, connection);
  }
}

void ConnectionGuard::SetOpen(int fd, Connection& connection) {
  if (std::exchange(connection.open, true)) return;
  --connection.peer->handshakes;
  handshakes_.erase(fd);
  ++connection.peer->open;
}

void ConnectionGuard::BeginWaiting() {
  // Peers take turns. Those that cannot continue now stay for the next check.
  for (size_t left = turns_.size(); left > 0 && waiting_ > 0; --left) {
    Peer& peer = *turns_.front();
    turns_.pop_front();
    while (!peer.waiting.empty()) {
      if (!HasRoom(peer)) {
        MakeRoom(peer.handshakes >= limits_.handshakes_per_peer ? &peer : nullptr);
        if (!HasRoom(peer)) break;
      }
      auto [fd, name] = std::move(peer.waiting.front());
      peer.waiting.pop_front();
      --waiting_;
      Begin(fd, std::move(name), peer);
      if (handshakes_.size() >= limits_.handshakes) break;
    }
    if (!peer.waiting.empty()) turns_.push_back(&peer);
  }
}

bool ConnectionGuard::MakeRoom(const Peer* peer) {
  auto oldest = connections_.end();
  for (const int fd : handshakes_) {
    const auto it = connections_.find(fd);
    if (peer != nullptr && it->second.peer != peer) continue;
    if (oldest == connections_.end() || it->second.begun < oldest->second.begun) oldest = it;
  }
  if (oldest == connections_.end()) return false;
  if (clock_->Monotonic() - oldest->second.begun < limits_.patience) return false;
  End(oldest->first, oldest->second, "its handshake took too long while others waited", false);
  Forget(oldest);
  return true;
}

void ConnectionGuard::CheckOne(int fd, Connection& connection) {
  const absl::Duration now = checked_at_;
  if (!connection.open) {
    if (now - connection.begun < kLongestHandshake) return;
    SetOpen(fd, connection);
  }
  if (connection.id == 0) return;
  const uint64_t received = ReceivedBy(fd);
  const std::string wrong = WhatIsWrong(fd, connection, received);
  connection.received = received;
  if (!wrong.empty()) End(fd, connection, wrong, /*punish=*/true);
}

std::string ConnectionGuard::WhatIsWrong(int fd, Connection& connection, uint64_t received) {
  const absl::Duration now = checked_at_;
  const uint64_t quiet =
      std::min(received - connection.received_at_message,
               static_cast<uint64_t>(kQuietBytesPerSecond *
                                     absl::ToDoubleSeconds(now - connection.checked_at)));
  connection.checked_at = now;
  if (received < connection.received_at_message + kUnsuspicious) {
    connection.received_at_message += quiet;
    connection.unread_since = now;
    return "";
  }
  conspicuous_.push_back(fd);
  const auto counted = view_->CountersOf(connection.id);
  if (!counted.has_value()) return "";
  const TransportView::Counters before = std::exchange(connection.counters, *counted);
  const absl::Duration since = now - std::exchange(connection.counted_at, now);
  const uint64_t calls = counted->calls - before.calls;
  const uint64_t messages = counted->messages - before.messages;
  if (calls >= limits_.empty_calls && messages < calls / 4 &&
      static_cast<double>(calls) >= limits_.empty_calls_per_second * absl::ToDoubleSeconds(since)) {
    return absl::StrCat("it began ", calls, " calls and sent ", messages, " messages");
  }
  if (messages > 0) {
    connection.received_at_message = received;
    connection.unread_since = now;
    connection.slow_since.reset();
    return "";
  }
  // A peer that only reads a response still sends acknowledgements.
  connection.received_at_message +=
      std::min(received - connection.received_at_message,
               kConfirmsOneMessage * (counted->messages_sent - before.messages_sent));
  const uint64_t unread = received - connection.received_at_message;
  unread_ += unread;
  if (unread > limits_.unread)
    return absl::StrCat("it sent ", Megabytes(unread), " and no message");
  if (IsSlow(fd, connection, received) ||
      (busy_ && now - connection.unread_since > limits_.longest_while_busy)) {
    return absl::StrCat(
        "it sent ", Megabytes(unread), " that took ",
        absl::FormatDuration(absl::Trunc(now - connection.unread_since, absl::Milliseconds(100))),
        " to read, and no message");
  }
  return "";
}

bool ConnectionGuard::IsSlow(int fd, Connection& connection, uint64_t received) {
  const absl::Duration now = checked_at_;
  if (!HasMoreToRead(fd)) {
    connection.slow_since.reset();
    return false;
  }
  if (!connection.slow_since.has_value()) {
    connection.slow_since = now;
    return false;
  }
  const absl::Duration age = now - connection.unread_since;
  const double rate = static_cast<double>(received - connection.received_at_message) /
                      std::max(0.001, absl::ToDoubleSeconds(age));
  return now - *connection.slow_since >= limits_.slow &&
         rate < static_cast<double>(limits_.slow_bytes_per_second);
}

void ConnectionGuard::EndLargest() {
  auto largest = connections_.end();
  uint64_t most = 0;
  for (auto it = connections_.begin(); it != connections_.end(); ++it) {
    const Connection& one = it->second;
    if (one.id == 0 || one.received < one.received_at_message + most) continue;
    most = one.received - one.received_at_message;
    largest = it;
  }
  if (largest == connections_.end()) return;
  End(largest->first, largest->second,
      absl::StrCat("all connections sent ", Megabytes(unread_), " and no message, this one ",
                   Megabytes(most)),
      /*punish=*/true);
}

void ConnectionGuard::End(int fd, Connection& connection, const std::string& why, bool punish) {
  if (CookieOf(fd) != connection.cookie) return;
  Discard(fd);
  Peer& peer = *connection.peer;
  connection.id = 0;  // not checked again
  if (punish) {
    const absl::Duration now = clock_->Monotonic();
    if (now > peer.refused_until + kForgiveAfter) peer.strikes = 0;
    peer.refused_until = now + kFirstRefusal * (1 << std::min(peer.strikes, kMostDoublings));
    ++peer.strikes;
  }
  Complain(absl::StrCat("a connection from ", peer.address, " was ended: ", why));
}

void ConnectionGuard::MeasureLoad() {
  const absl::Duration now = checked_at_;
  if (now - cpu_at_ < kMeasureLoadEvery) return;
  const absl::Duration cpu = CpuTime();
  busy_ = absl::FDivDuration(cpu - cpu_, now - cpu_at_) > kBusyShare;
  cpu_ = cpu;
  cpu_at_ = now;
}

void ConnectionGuard::Complain(const std::string& what) {
  const absl::Duration now = clock_->Monotonic();
  if (now - complained_ < kComplainAgain) {
    ++unsaid_;
    return;
  }
  complained_ = now;
  const uint64_t unsaid = std::exchange(unsaid_, 0);
  spdlog::warn(
      "{}{}", what,
      unsaid == 0 ? "" : absl::StrCat(" (and ", unsaid, " others since the last such line)"));
}

}  // namespace coppice::service
