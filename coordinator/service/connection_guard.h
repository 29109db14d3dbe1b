#ifndef COPPICE_COORDINATOR_SERVICE_CONNECTION_GUARD_H_
#define COPPICE_COORDINATOR_SERVICE_CONNECTION_GUARD_H_

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "common/base/clock.h"

namespace coppice::service {

// The transport's information about its connections. In production it comes from gRPC
// (channelz_view.h).
class TransportView {
 public:
  struct Opened {
    int64_t id = 0;
    std::string peer;  // "ipv4:1.2.3.4:567", "ipv6:[::1]:567"
  };
  struct Counters {
    uint64_t calls = 0;     // begun by the peer so far
    uint64_t messages = 0;  // received whole so far
    uint64_t messages_sent = 0;
    absl::Time last_call = absl::InfinitePast();  // when the peer began its last one
  };
  virtual ~TransportView() = default;
  // Connections whose handshake has ended since the last call. Some may be returned twice.
  virtual std::vector<Opened> NewlyOpened() = 0;
  // Empty: the connection is gone.
  virtual std::optional<Counters> CountersOf(int64_t id) = 0;
};

struct ConnectionLimits {
  size_t handshakes = 512;  // in progress, in total
  size_t handshakes_per_peer = 128;
  size_t waiting = 4096;  // connections that wait for their handshake to begin
  size_t waiting_per_peer = 2048;
  size_t open_per_peer = SIZE_MAX;
  // A handshake that takes longer may be ended in favor of one that waits.
  absl::Duration patience = absl::Seconds(1);
  // Limits on bytes that do not yet form a message, for one connection and for all. A message has
  // at most 16 MiB.
  uint64_t unread = uint64_t{24} << 20;
  uint64_t unread_of_all = uint64_t{96} << 20;
  // Limit on calls begun, at this rate or a greater one, of which fewer than one in four sent its
  // message.
  uint64_t empty_calls = 500;
  double empty_calls_per_second = 200;
  // A connection is costly to read if, for this long, it always has more to read, is read more
  // slowly than this, and yields no message.
  absl::Duration slow = absl::Milliseconds(1500);
  uint64_t slow_bytes_per_second = uint64_t{4} << 20;
  // A message may take longer than this only while the process is not busy.
  absl::Duration longest_while_busy = absl::Seconds(20);
};

// Purpose: guards connections before and while gRPC handles them. It limits the handshakes in
// progress, per peer address and in total, to what the process can finish; further connections
// wait, and the peers take turns. It also ends connections that use up resources to no purpose.
// HTTP/2 lets a peer send endless headers, headers of unbounded size, and calls that it cancels at
// once, and gRPC 1.51 accepts all three. In each case bytes arrive but no message does. A peer
// whose connection was ended for this is refused for a second, and each further time for twice as
// long, up to half a minute. The guard never closes a descriptor that it has handed over. It shuts
// the connection down instead, and only while the number still stands for the same socket. Owner:
// Acceptor, on whose thread everything happens (no other thread makes sockets). No failure codes:
// refused connections are closed, and logged every 10 s.
class ConnectionGuard {
 public:
  // `hand_over` takes the descriptor. `view` outlives the guard.
  ConnectionGuard(Clock* clock, TransportView* view, ConnectionLimits limits,
                  std::function<void(int)> hand_over);
  ~ConnectionGuard();  // closes waiting connections
  ConnectionGuard(const ConnectionGuard&) = delete;
  ConnectionGuard& operator=(const ConnectionGuard&) = delete;

  // Takes an accepted connection, which begins its handshake, waits or is closed.
  void Take(int fd, const sockaddr_storage& from);
  // Checks all connections, or, between two full checks, only those in a handshake and the
  // conspicuous ones. Call it when the time of NextCheck has come.
  void Check();
  // The time until the next check. Infinite: there are no connections to check.
  absl::Duration NextCheck() const;

 private:
  struct Peer;
  struct Connection {
    uint64_t cookie = 0;  // of its socket
    std::string name;     // its name in TransportView
    Peer* peer = nullptr;
    absl::Duration begun;
    bool open = false;  // its handshake has ended
    int64_t id = 0;     // for `view`; 0: unknown
    TransportView::Counters counters;
    absl::Duration counted_at;
    absl::Duration checked_at;
    uint64_t received = 0;  // as of the last check
    // Bytes received when the last message arrived; later bytes are unread. unread_since is the
    // last time at which these were few.
    uint64_t received_at_message = 0;
    absl::Duration unread_since;
    std::optional<absl::Duration> slow_since;
  };
  // All connections from one address, or from one /64 network of IPv6.
  struct Peer {
    std::string address;
    size_t handshakes = 0;
    size_t open = 0;
    std::deque<std::pair<int, std::string>> waiting;  // descriptor and name
    absl::Duration refused_until = -absl::InfiniteDuration();
    uint32_t strikes = 0;
  };
  using Connections = std::map<int, Connection>;  // by descriptor

  absl::Duration NextFullCheck() const;  // time until then
  void CheckAll();
  void ForgetGone(const std::vector<int>& fds);
  void Begin(int fd, std::string name, Peer& peer);
  bool HasRoom(const Peer& peer) const;
  void BeginWaiting();
  // Ends the oldest handshake that has exceeded `patience`, only of `peer` if that is given.
  bool MakeRoom(const Peer* peer);
  void NoteOpened();
  void Forget(Connections::iterator it);
  void ForgetPeers();
  void SetOpen(int fd, Connection& connection);
  void CheckOne(int fd, Connection& connection);
  // Empty: the connection may continue.
  std::string WhatIsWrong(int fd, Connection& connection, uint64_t received);
  bool IsSlow(int fd, Connection& connection, uint64_t received);
  void EndLargest();
  void End(int fd, Connection& connection, const std::string& why, bool punish);
  void Complain(const std::string& what);
  void MeasureLoad();

  Clock* const clock_;
  TransportView* const view_;
  const ConnectionLimits limits_;
  const std::function<void(int)> hand_over_;
  absl::flat_hash_map<std::string, std::unique_ptr<Peer>> peers_;
  std::deque<Peer*> turns_;  // peers with waiting connections, in the order of service
  Connections connections_;
  absl::flat_hash_map<std::string, int> by_name_;
  std::set<int> handshakes_;      // descriptors of handshakes in progress
  std::vector<int> conspicuous_;  // descriptors with many unread bytes
  size_t waiting_ = 0;
  uint64_t unread_ = 0;  // of all connections, in the present check
  absl::Duration checked_at_ = -absl::InfiniteDuration();
  absl::Duration all_checked_at_ = -absl::InfiniteDuration();
  // The process's CPU time, and when it was read.
  absl::Duration cpu_, cpu_at_;
  bool busy_ = false;
  absl::Duration complained_ = -absl::InfiniteDuration();
  uint64_t unsaid_ = 0;
};

}  // namespace coppice::service

#endif  // COPPICE_COORDINATOR_SERVICE_CONNECTION_GUARD_H_
