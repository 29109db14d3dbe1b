#include "coordinator/service/acceptor.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace coppice::service {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(30);
const ListenAddress kAnyPort = {"127.0.0.1", 0};

Socket NewClient() { return Socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)); }

void Connect(const Socket& client, int port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(client.fd(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
}

// True: the other end closes within the test's patience.
bool EndsSoon(const Socket& socket) {
  pollfd waiting = {socket.fd(), POLLIN, 0};
  char byte;
  return ::poll(&waiting, 1, static_cast<int>(absl::ToInt64Milliseconds(kPatience))) == 1 &&
         ::recv(socket.fd(), &byte, 1, 0) <= 0;
}

class AcceptorTest : public testing::Test {
 protected:
  void Start(int most = 0) {
    auto sockets = Listen(kAnyPort, absl::Seconds(10));
    ASSERT_TRUE(sockets.ok()) << sockets.status();
    port_ = sockets->port;
    ASSERT_GT(port_, 0);
    acceptor_.emplace(
        *std::move(sockets), Clock::Real(),
        [this](int fd) {
          absl::MutexLock lock(&mutex_);
          taken_.emplace_back(fd);
        },
        most);
  }
  size_t WaitForTaken(size_t count) {
    absl::MutexLock lock(&mutex_);
    const auto enough = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return taken_.size() >= count;
    };
    mutex_.AwaitWithTimeout(absl::Condition(&enough), kPatience);
    return taken_.size();
  }
  void CloseTaken() {
    absl::MutexLock lock(&mutex_);
    taken_.clear();
  }

  int port_ = 0;
  absl::Mutex mutex_;
  std::vector<Socket> taken_ ABSL_GUARDED_BY(mutex_);
  std::optional<Acceptor> acceptor_;
};

TEST_F(AcceptorTest, HandsOverEveryConnection) {
  Start();
  std::vector<Socket> clients;
  for (int i = 0; i < 200; ++i) {
    clients.push_back(NewClient());
    Connect(clients.back(), port_);
  }
  EXPECT_EQ(WaitForTaken(clients.size()), clients.size());
}

TEST_F(AcceptorTest, StopClosesThePort) {
  Start();
  acceptor_->Stop();
  auto again = Listen({"127.0.0.1", port_}, absl::Seconds(10));
  EXPECT_TRUE(again.ok()) << again.status();
  acceptor_->Stop();
}

TEST_F(AcceptorTest, APortThatIsTakenIsRefusedByName) {
  Start();
  const auto second = Listen({"127.0.0.1", port_}, absl::Seconds(10));
  EXPECT_TRUE(absl::IsAlreadyExists(second.status())) << second.status();
  EXPECT_FALSE(Listen({"no.such.host.invalid", 0}, absl::Seconds(10)).ok());
}

// A regression test: after more connections than a process may have files, the library's own
// acceptor never accepted another one.
TEST_F(AcceptorTest, ConnectionsPastTheLimitAreClosedAndLaterOnesTakenAgain) {
  constexpr size_t kClients = 40, kRoom = 10;
  std::vector<Socket> clients;
  for (size_t i = 0; i < kClients; ++i) clients.push_back(NewClient());
  // The acceptor itself opens two descriptors. Connections get the lowest free numbers, in order.
  Start(clients.back().fd() + 1 + 2 + static_cast<int>(kRoom));
  for (const Socket& client : clients) Connect(client, port_);
  EXPECT_EQ(WaitForTaken(kRoom), kRoom);
  for (size_t i = kRoom; i < kClients; ++i) ASSERT_TRUE(EndsSoon(clients[i])) << i;
  EXPECT_EQ(WaitForTaken(kRoom), kRoom);
  CloseTaken();
  Connect(clients.emplace_back(NewClient()), port_);
  EXPECT_EQ(WaitForTaken(1), 1u);
}

TEST_F(AcceptorTest, WithoutDescriptorsTheOthersWaitUntilThereAreSome) {
  Start(INT32_MAX);
  std::vector<Socket> clients;
  for (int i = 0; i < 5; ++i) {
    clients.push_back(NewClient());
    Connect(clients.back(), port_);
  }
  ASSERT_EQ(WaitForTaken(5), 5u);
  const Socket late = NewClient();
  rlimit before = {};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const int next = ::dup(0);
  ::close(next);
  rlimit none = before;
  none.rlim_cur = static_cast<rlim_t>(next);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  Connect(late, port_);
  {
    absl::MutexLock lock(&mutex_);
    EXPECT_EQ(taken_.size(), 5u);
  }
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(WaitForTaken(6), 6u);
}

}  // namespace
}  // namespace coppice::service
