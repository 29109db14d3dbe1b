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

// Purpose: takes connections from listening sockets, one at a time, on a thread of its own, and
// hands each over. gRPC could do that itself, but 1.51 stops listening for good when the process
// has once run out of file descriptors, and looks at the clock once for as many connections as
// happen to wait. Here a connection that would leave too few descriptors for files is closed at
// once (the log says so, at most once a minute), and where there are none at all the others wait in
// the kernel's queue. With a view of the transport it also guards connections (connection_guard.h).
// Owner: Server. Nothing is handed over any more once Stop has returned.
class Acceptor {
 public:
  // Takes ownership of the descriptor: non-blocking, connected.
  using Handler = std::function<void(int fd)>;

  // `most`: descriptors with higher numbers are not for connections; 0: by the process's limit.
  // `view` outlives the acceptor; without one nothing is known of connections, and none is guarded.
  Acceptor(ListeningSockets sockets, Clock* clock, Handler handler, int most = 0,
           TransportView* view = nullptr, ConnectionLimits limits = {});
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  // Closes the listening sockets. Idempotent.
  void Stop();

 private:
  void Run();
  // Accepts what waits, at most so many that the other sockets get their turn. False: there are no
  // descriptors left.
  bool AcceptFrom(int listening);
  // For poll: until the guard looks again.
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
