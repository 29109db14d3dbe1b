#ifndef COPPICE_COORDINATOR_SERVICE_ACCEPTOR_H_
#define COPPICE_COORDINATOR_SERVICE_ACCEPTOR_H_

#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "common/base/clock.h"
#include "coordinator/service/connection_guard.h"
#include "coordinator/service/listen_address.h"

namespace coppice::service {

// Purpose: accepts connections from listening sockets, one at a time, on a thread of its own, and
// hands each over. gRPC could do that itself, but once the process has run out of file descriptors,
// version 1.51 stops listening for good, and it reads the clock once for all connections that
// happen to wait. Here a connection that would leave too few descriptors for files is closed at
// once (logged at most once a minute). If there are no descriptors left, connections wait in the
// kernel's queue. Given a view of the transport, it also guards connections (connection_guard.h).
// Owner: Server. After Stop has returned, nothing is handed over.
class Acceptor {
 public:
  // Takes ownership of the descriptor: non-blocking, connected.
  using Handler = std::function<void(int fd)>;

  // `most`: the highest descriptor number for a connection; 0: derived from the process's limit.
  // `view` outlives the acceptor. Without a view, connections are not guarded.
  Acceptor(ListeningSockets sockets, Clock* clock, Handler handler, int most = 0,
           TransportView* view = nullptr, ConnectionLimits limits = {});
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  // Closes the listening sockets. Idempotent.
  void Stop();

 private:
  void Run();
  // Accepts waiting connections, but only so many that the other sockets get their turn. False:
  // there are no descriptors left.
  bool AcceptFrom(int listening);
  // The timeout for poll: the time until the guard's next check.
  int WaitMs() const;
  void Complain(const char* why);

  ListeningSockets sockets_;
  Clock* const clock_;
  const Handler handler_;
  const int most_;
  Socket stop_;                                            // an eventfd
  std::optional<ConnectionGuard> guard_;                   // of the thread
  absl::Duration complained_ = -absl::InfiniteDuration();  // of the thread
  std::thread thread_;                                     // last: it uses everything above
};

}  // namespace coppice::service

#endif  // COPPICE_COORDINATOR_SERVICE_ACCEPTOR_H_
