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

// What the transport knows of its connections; gRPC in production (channelz_view.h).
class TransportView {
 public:
  struct Opened {
    int64_t id = 0;
    std::string peer;  // "ipv4:1.2.3.4:567", "ipv6:[::1]:567"
  };
  struct Counters {
    uint64_t calls = 0;     // ever begun by the peer
    uint64_t messages = 0;  // ever received, whole
    uint64_t messages_sent = 0;
    absl::Time last_call = absl::InfinitePast();  // when the peer began its last one
  };
  virtual ~TransportView() = default;
  // Connections whose handshake has ended since this was asked last; some may be told twice.
  virtual std::vector<Opened> NewlyOpened() = 0;
  // Empty: it has gone.
  virtual std::optional<Counters> CountersOf(int64_t id) = 0;
};

struct ConnectionLimits {
  size_t handshakes = 512;  // in progress, of all
  size_t handshakes_per_peer = 128;
  size_t waiting = 4096;  // for their handshake to begin
  size_t waiting_per_peer = 2048;
  size_t open_per_peer = SIZE_MAX;
  // After so long a handshake in progress makes room for one that waits.
  absl::Duration patience = absl::Seconds(1);
  // Bytes of one connection, and of all, that have not become a message. A message has 16 MiB.
  uint64_t unread = uint64_t{24} << 20;
  uint64_t unread_of_all = uint64_t{96} << 20;
  // Calls begun, at this rate or a greater one, of which not one in four sent its message.
  uint64_t empty_calls = 500;
  double empty_calls_per_second = 200;
  // A connection that has more to read all this time, and of which less is read than this a second,
  // though no message comes of it, is costly to read.
  absl::Duration slow = absl::Milliseconds(1500);
  uint64_t slow_bytes_per_second = uint64_t{4} << 20;
  // A message may take longer than this only while the process has time to spare.
  absl::Duration longest_while_busy = absl::Seconds(20);
};

// Purpose: connections before and beside gRPC. It begins no more handshakes at once, of one peer
// address and of all, than it can end; others wait in turn by peer. And it ends connections that
// cost without being of use: HTTP/2 lets a peer send headers without end, of a size without bound,
// and calls that it gives up at once, and gRPC 1.51 goes along with all three. They have in common
// that bytes come and no message does. A peer whose connection was ended this way is turned away
// for a second, then for twice as long each time, up to half a minute. It closes no descriptor that
// it has handed over: it shuts the connection down, and only while the number still stands for the
// same socket. Owner: Acceptor, on whose thread everything happens (no socket is made on another).
// No failure codes: what is refused is closed, and logged every 10 s.
class ConnectionGuard {
 public:
  // `hand_over` takes the descriptor. `view` outlives the guard.
  ConnectionGuard(Clock* clock, TransportView* view, ConnectionLimits limits,
                  std::function<void(int)> hand_over);
  ~ConnectionGuard();  // closes those that wait
  ConnectionGuard(const ConnectionGuard&) = delete;
  ConnectionGuard& operator=(const ConnectionGuard&) = delete;

  // A connection that was accepted: it begins, waits, or is closed.
  void Take(int fd, const sockaddr_storage& from);
  // Looks at them: at all, or between two such looks at those that begin and those that were
  // conspicuous. To be called when NextLook has passed.
  void Look();
  // Infinite: there is nothing to look at.
  absl::Duration NextLook() const;

 private:
  struct Peer;
  struct Connection {
    uint64_t cookie = 0;  // of its socket
    std::string name;     // as TransportView names it
    Peer* peer = nullptr;
    absl::Duration begun;
    bool open = false;  // its handshake has ended
    int64_t id = 0;     // for `view`; 0: not known
    TransportView::Counters counters;
    absl::Duration counted_at;
    absl::Duration looked_at;
    uint64_t received = 0;  // in the last look
    // When a message last came. What came since is unread; the last time that it was little:
    uint64_t received_at_message = 0;
    absl::Duration unread_since;
    std::optional<absl::Duration> slow_since;
  };
  // All connections from one address; of IPv6 from one network of 64 bits.
  struct Peer {
    std::string address;
    size_t handshakes = 0;
    size_t open = 0;
    std::deque<std::pair<int, std::string>> waiting;  // descriptor and name
    absl::Duration refused_until = -absl::InfiniteDuration();
    uint32_t strikes = 0;
  };
  using Connections = std::map<int, Connection>;  // by descriptor

  absl::Duration LookAtAllAgain() const;  // when
  void LookAtAll();
  void ForgetGone(const std::vector<int>& fds);
  void Begin(int fd, std::string name, Peer& peer);
  bool HasRoom(const Peer& peer) const;
  void BeginWaiting();
  // Ends the oldest handshake that has had its time; of this peer, if given.
  bool MakeRoom(const Peer* peer);
  void NoteOpened();
  void Forget(Connections::iterator it);
  void ForgetPeers();
  void SetOpen(int fd, Connection& connection);
  void LookAt(int fd, Connection& connection);
  // Empty: it may go on.
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
  std::deque<Peer*> turns_;  // peers with connections that wait, next first
  Connections connections_;
  absl::flat_hash_map<std::string, int> by_name_;
  std::set<int> handshakes_;      // the descriptors of those in progress
  std::vector<int> conspicuous_;  // with more than a little that is unread
  size_t waiting_ = 0;
  uint64_t unread_ = 0;  // of all, in this look
  absl::Duration looked_at_ = -absl::InfiniteDuration();
  absl::Duration looked_at_all_at_ = -absl::InfiniteDuration();
  // The process's time on CPUs, and when that was read.
  absl::Duration cpu_, cpu_at_;
  bool busy_ = false;
  absl::Duration complained_ = -absl::InfiniteDuration();
  uint64_t unsaid_ = 0;
};

}  // namespace coppice::service

#endif  // COPPICE_COORDINATOR_SERVICE_CONNECTION_GUARD_H_
