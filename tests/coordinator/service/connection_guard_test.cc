#include "coordinator/service/connection_guard.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "coordinator/service/listen_address.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/temp_dir.h"

namespace coppice::service {
namespace {

using ::testing::HasSubstr;

constexpr int kPatienceMs = 30'000;

class FakeView : public TransportView {
 public:
  std::vector<Opened> NewlyOpened() override { return std::exchange(opened, {}); }
  std::optional<Counters> CountersOf(int64_t id) override { return counters[id]; }
  std::vector<Opened> opened;
  std::map<int64_t, Counters> counters;
};

// Both ends of a real connection from an address of this machine.
struct Pair {
  Socket client{-1};
  int server = -1;
  sockaddr_storage from = {};
  std::string name;
};

class ConnectionGuardTest : public ::testing::Test {
 protected:
  ConnectionGuardTest() : listening_(Listen({"127.0.0.1", 0}, absl::Seconds(10)).value()) {}
  ~ConnectionGuardTest() override {
    guard_.reset();
    for (const int fd : handed_) ::close(fd);
  }
  void Start(const ConnectionLimits& limits) {
    guard_.emplace(&clock_, &view_, limits, [this](int fd) { handed_.push_back(fd); });
  }
  Pair Connect(const char* from = "127.0.0.1") {
    Pair pair;
    pair.client = Socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    ::inet_pton(AF_INET, from, &address.sin_addr);
    EXPECT_EQ(::bind(pair.client.fd(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    ::inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    address.sin_port = htons(static_cast<uint16_t>(listening_.port));
    EXPECT_EQ(::connect(pair.client.fd(), reinterpret_cast<sockaddr*>(&address), sizeof(address)),
              0);
    pollfd ready = {listening_.all[0].fd(), POLLIN, 0};
    EXPECT_EQ(::poll(&ready, 1, kPatienceMs), 1);
    socklen_t size = sizeof(pair.from);
    pair.server = ::accept4(listening_.all[0].fd(), reinterpret_cast<sockaddr*>(&pair.from), &size,
                            SOCK_CLOEXEC | SOCK_NONBLOCK);
    sockaddr_in v4;
    std::memcpy(&v4, &pair.from, sizeof(v4));
    pair.name = absl::StrCat("ipv4:", from, ":", ntohs(v4.sin_port));
    return pair;
  }
  Pair Take(const char* from = "127.0.0.1") {
    Pair pair = Connect(from);
    guard_->Take(pair.server, pair.from);
    return pair;
  }
  // Takes a connection whose handshake has ended. The transport calls it `id`.
  Pair TakeOpen(int64_t id, const char* from = "127.0.0.1") {
    Pair pair = Take(from);
    view_.opened.push_back({id, pair.name});
    Check();
    return pair;
  }
  void Check(absl::Duration after = absl::Milliseconds(250)) {
    clock_.Advance(after);
    guard_->Check();
  }
  // Sends, and reads at the other end as the transport would, unless `read` is false. Sends nothing
  // more once the connection was ended.
  void Send(const Pair& pair, size_t bytes, bool read = true) {
    const std::string data(64 << 10, 'x');
    std::string into(1 << 20, 0);
    while (bytes > 0 && !Ended(pair, 0)) {
      const ssize_t sent =
          ::send(pair.client.fd(), data.data(), std::min(bytes, data.size()), MSG_NOSIGNAL);
      ASSERT_GT(sent, 0);
      bytes -= static_cast<size_t>(sent);
      for (ssize_t left = sent; read && left > 0;) {
        pollfd ready = {pair.server, POLLIN, 0};
        ASSERT_EQ(::poll(&ready, 1, kPatienceMs), 1);
        const ssize_t got = ::recv(pair.server, into.data(), into.size(), 0);
        ASSERT_GT(got, 0);
        left -= got;
      }
    }
  }
  // The client sees the end.
  static bool Ended(const Pair& pair, int wait_ms = kPatienceMs) {
    pollfd waiting = {pair.client.fd(), POLLIN, 0};
    char byte;
    return ::poll(&waiting, 1, wait_ms) == 1 && ::recv(pair.client.fd(), &byte, 1, 0) <= 0;
  }

  ListeningSockets listening_;
  testing::FakeClock clock_;
  FakeView view_;
  std::vector<int> handed_;
  std::optional<ConnectionGuard> guard_;
};

ConnectionLimits Small() {
  ConnectionLimits limits;
  limits.handshakes = 6;
  limits.handshakes_per_peer = 4;
  limits.waiting_per_peer = 3;
  return limits;
}

TEST_F(ConnectionGuardTest, OnePeersHandshakesLeaveRoomForThoseOfOthers) {
  Start(Small());
  std::vector<Pair> flood;
  for (int i = 0; i < 8; ++i) flood.push_back(Take());
  EXPECT_EQ(handed_.size(), 4u);
  EXPECT_TRUE(Ended(flood[7])) << "more than may wait";
  EXPECT_FALSE(Ended(flood[6], 0));
  const Pair other = Take("127.0.0.2");
  ASSERT_EQ(handed_.size(), 5u);
  EXPECT_EQ(handed_.back(), other.server);
}

TEST_F(ConnectionGuardTest, WhoWaitsComesInWhenAHandshakeHasEnded) {
  Start(Small());
  std::vector<Pair> all;
  for (int i = 0; i < 6; ++i) all.push_back(Take());
  Check();
  EXPECT_EQ(handed_.size(), 4u);
  EXPECT_LE(guard_->NextCheck(), absl::Milliseconds(10)) << "it is waited for";
  view_.opened.push_back({1, all[0].name});
  Check();
  ASSERT_EQ(handed_.size(), 5u);
  EXPECT_EQ(handed_[4], all[4].server);
  // The transport abandoned one connection and closed it.
  ::close(std::exchange(handed_[1], -1));
  Check();
  ASSERT_EQ(handed_.size(), 6u);
  EXPECT_EQ(handed_[5], all[5].server);
}

TEST_F(ConnectionGuardTest, AHandshakeThatStallsMakesRoomForOneThatWaits) {
  Start(Small());
  std::vector<Pair> all;
  for (int i = 0; i < 5; ++i) all.push_back(Take());
  Check();
  EXPECT_EQ(handed_.size(), 4u) << "they have their time";
  Check(absl::Seconds(1));
  EXPECT_EQ(handed_.size(), 5u);
  EXPECT_TRUE(Ended(all[0]));
  EXPECT_FALSE(Ended(all[1], 0)) << "one is enough";
}

TEST_F(ConnectionGuardTest, OpenConnectionsOfOnePeerAreBounded) {
  ConnectionLimits limits;
  limits.open_per_peer = 3;
  Start(limits);
  std::vector<Pair> all;
  for (int i = 1; i <= 3; ++i) all.push_back(TakeOpen(i));
  EXPECT_TRUE(Ended(Take()));
  EXPECT_FALSE(Ended(Take("127.0.0.2"), 0));
  ::close(std::exchange(handed_[0], -1));
  Check();
  EXPECT_FALSE(Ended(Take(), 0));
}

TEST_F(ConnectionGuardTest, BytesWithoutAMessageEndTheConnection) {
  ConnectionLimits limits;
  limits.unread = 1 << 20;
  Start(limits);
  const Pair good = TakeOpen(1), bad = TakeOpen(2, "127.0.0.2");
  for (int i = 0; i < 4; ++i) {
    Send(good, 600 << 10);
    ++view_.counters[1].messages;
    Send(bad, 400 << 10);
    Check();
  }
  EXPECT_FALSE(Ended(good, 0));
  EXPECT_TRUE(Ended(bad));
  EXPECT_TRUE(Ended(Take("127.0.0.2"))) << "not at once again";
  clock_.Advance(absl::Seconds(1));
  EXPECT_FALSE(Ended(Take("127.0.0.2"), 0));
}

TEST_F(ConnectionGuardTest, AnswersThatAreReadExcuseNoFlood) {
  ConnectionLimits limits;
  limits.unread = 1 << 20;
  Start(limits);
  const Pair reader = TakeOpen(1), flood = TakeOpen(2, "127.0.0.2");
  for (int i = 0; i < 8; ++i) {
    Send(reader, 200 << 10);  // acknowledges a hundred responses
    view_.counters[1].messages_sent += 100;
    Send(flood, 200 << 10);
    ++view_.counters[2].messages_sent;
    Check();
  }
  EXPECT_FALSE(Ended(reader, 0));
  EXPECT_TRUE(Ended(flood));
}

TEST_F(ConnectionGuardTest, CallsThatAreGivenUpEndTheConnection) {
  Start({});
  const Pair good = TakeOpen(1), bad = TakeOpen(2, "127.0.0.2");
  for (int i = 0; i < 2; ++i) {
    Send(good, 200 << 10);
    Send(bad, 200 << 10);
    for (const int id : {1, 2}) view_.counters[id].calls += 2000;
    view_.counters[1].messages += 2000;
    Check();
  }
  EXPECT_FALSE(Ended(good, 0));
  EXPECT_TRUE(Ended(bad));
}

TEST_F(ConnectionGuardTest, WhatIsReadTooSlowlyAndIsNoMessageEnds) {
  Start({});
  const Pair slow = TakeOpen(1);
  Send(slow, 200 << 10);
  for (int i = 0; i < 10 && !Ended(slow, 0); ++i) {
    Send(slow, 1000, /*read=*/false);
    Check();
  }
  EXPECT_TRUE(Ended(slow));
}

TEST_F(ConnectionGuardTest, ManyConnectionsTogetherEndWithTheLargest) {
  ConnectionLimits limits;
  limits.unread_of_all = 1 << 20;
  Start(limits);
  const Pair a = TakeOpen(1), b = TakeOpen(2, "127.0.0.2"), c = TakeOpen(3, "127.0.0.3");
  Send(a, 300 << 10);
  Send(b, 600 << 10);
  Send(c, 300 << 10);
  Check();
  EXPECT_TRUE(Ended(b));
  EXPECT_FALSE(Ended(a, 0));
  EXPECT_FALSE(Ended(c, 0));
  Check();
  EXPECT_FALSE(Ended(a, 0));
}

// The transport may close a descriptor at any time, and its number is then reused.
TEST_F(ConnectionGuardTest, ANumberThatStandsForAnotherFileIsLeftAlone) {
  ConnectionLimits limits;
  limits.unread = 1 << 20;
  Start(limits);
  const Pair gone = TakeOpen(1);
  Send(gone, 2 << 20);
  const Pair next = Connect("127.0.0.2");
  ASSERT_EQ(::dup2(next.server, gone.server), gone.server);
  ::close(next.server);
  Check();
  EXPECT_FALSE(Ended(next, 0));
}

TEST_F(ConnectionGuardTest, NothingIsKeptOfPeersThatHaveGone) {
  Start({});
  { const Pair pair = TakeOpen(1); }
  ::close(handed_[0]);
  handed_.clear();
  Check();
  EXPECT_EQ(guard_->NextCheck(), absl::InfiniteDuration());
}

}  // namespace
}  // namespace coppice::service
