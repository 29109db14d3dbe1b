#include "cli/stop_watch.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>

namespace coppice::cli {

StopWatch::StopWatch(StopSignals* signals, Client* client)
    : wake_(::eventfd(0, EFD_CLOEXEC)), thread_([this, signals, client] {
        pollfd waiting[] = {{signals->fd(), POLLIN, 0}, {wake_, POLLIN, 0}};
        while (::poll(waiting, 2, -1) < 0 && errno == EINTR) {
        }
        if (waiting[0].revents != 0) client->CancelAll();
      }) {}

StopWatch::~StopWatch() {
  ::eventfd_write(wake_, 1);
  thread_.join();
  ::close(wake_);
}

}  // namespace coppice::cli
