#include "cli/repainter.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <utility>

namespace coppice::cli {
namespace {

constexpr int kTickMs = 1'000;

std::atomic<int> resize_fd = -1;
struct sigaction handler_before;

// This may run on any thread, between any two instructions.
void OnResize(int) {
  const int saved = errno;
  const uint64_t one = 1;
  const int fd = resize_fd.load();
  // The write fails only if the counter is full, which wakes the reader as well.
  if (fd >= 0) [[maybe_unused]]
    const ssize_t written = ::write(fd, &one, sizeof(one));
  errno = saved;
}

}  // namespace

Repainter::Repainter(std::function<void()> paint)
    : paint_(std::move(paint)),
      resized_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      stop_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  resize_fd = resized_;
  struct sigaction action {};
  action.sa_handler = OnResize;
  action.sa_flags = SA_RESTART;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(SIGWINCH, &action, &handler_before);
  thread_ = std::thread([this] { Run(); });
}

Repainter::~Repainter() {
  ::sigaction(SIGWINCH, &handler_before, nullptr);
  resize_fd = -1;
  const uint64_t one = 1;
  // The write cannot fail: the counter is 0.
  [[maybe_unused]] const ssize_t written = ::write(stop_, &one, sizeof(one));
  thread_.join();
  ::close(stop_);
  ::close(resized_);
}

void Repainter::Run() {
  for (;;) {
    pollfd fds[] = {{.fd = stop_, .events = POLLIN, .revents = 0},
                    {.fd = resized_, .events = POLLIN, .revents = 0}};
    if (::poll(fds, 2, kTickMs) < 0 && errno != EINTR) return;
    if (fds[0].revents != 0) return;
    uint64_t count = 0;
    // The counter is empty if only the second is over.
    if (::read(resized_, &count, sizeof(count)) < 0) count = 0;
    paint_();
  }
}

}  // namespace coppice::cli
