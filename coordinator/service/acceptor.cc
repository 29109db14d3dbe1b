#include "coordinator/service/acceptor.h"

#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

namespace coppice::service {
namespace {

constexpr int kMostInARow = 64;
// Nothing tells when a descriptor is free again.
constexpr int kRetryMs = 100;
constexpr absl::Duration kComplainAgain = absl::Minutes(1);
// For the database's files, checkpoints and what else is opened.
constexpr int kFewestForFiles = 32;
constexpr int kMostForFiles = 256;

int MostForConnections() {
  rlimit limit = {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > INT32_MAX) return INT32_MAX;
  const int all = static_cast<int>(limit.rlim_cur);
  return all - std::clamp(all / 16, kFewestForFiles, kMostForFiles);
}

}  // namespace

Acceptor::Acceptor(ListeningSockets sockets, Clock* clock, Handler handler, int most)
    : sockets_(std::move(sockets)),
      clock_(clock),
      handler_(std::move(handler)),
      most_(most > 0 ? most : MostForConnections()),
      stop_(::eventfd(0, EFD_CLOEXEC)),
      thread_([this] { Run(); }) {}

Acceptor::~Acceptor() { Stop(); }

void Acceptor::Stop() {
  if (!thread_.joinable()) return;
  const uint64_t one = 1;
  while (::write(stop_.fd(), &one, sizeof(one)) < 0 && errno == EINTR) {
  }
  thread_.join();
  sockets_.all.clear();
}

void Acceptor::Run() {
  std::vector<pollfd> polled;
  for (const Socket& socket : sockets_.all) polled.push_back({socket.fd(), POLLIN, 0});
  polled.push_back({stop_.fd(), POLLIN, 0});
  bool exhausted = false;
  for (;;) {
    // Without descriptors only the wish to stop is waited for, and the time of the next try.
    pollfd* const first = exhausted ? &polled.back() : polled.data();
    const nfds_t count = exhausted ? 1 : polled.size();
    if (::poll(first, count, exhausted ? kRetryMs : -1) < 0 && errno != EINTR) {
      spdlog::error("cannot wait for connections: {}", std::strerror(errno));
      return;
    }
    if (polled.back().revents != 0) return;
    const bool try_all = std::exchange(exhausted, false);
    for (size_t i = 0; i + 1 < polled.size(); ++i) {
      const bool ready = std::exchange(polled[i].revents, 0) != 0;
      if ((ready || try_all) && !AcceptFrom(polled[i].fd)) exhausted = true;
    }
  }
}

bool Acceptor::AcceptFrom(int listening) {
  for (int i = 0; i < kMostInARow; ++i) {
    const int fd = ::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= most_) {
      Complain("too many are open");
      ::close(fd);
    } else if (fd >= 0) {
      handler_(fd);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return true;
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      Complain(std::strerror(errno));
      return false;
    }
    // Anything else is about that one connection, which has gone already.
  }
  return true;
}

void Acceptor::Complain(const char* why) {
  const absl::Duration now = clock_->Monotonic();
  if (now - complained_ < kComplainAgain) return;
  complained_ = now;
  spdlog::error(
      "connections are turned away: {}. At most {} descriptors are for connections; raise the limit "
      "(`ulimit -Hn`) and start the coordinator again, or find out who opens so many (`ss -tn`)",
      why, most_);
}

}  // namespace coppice::service
