#ifndef COPPICE_CLI_STOP_WATCH_H_
#define COPPICE_CLI_STOP_WATCH_H_

#include <thread>

#include "cli/client.h"
#include "cli/local/waits.h"

namespace coppice::cli {

// Ends the client's calls when the user asks to stop, so that the command can remove its unfinished
// output before the process ends. Both arguments must outlive it. It does not consume the signals.
// Thread-safe.
class StopWatch {
 public:
  StopWatch(StopSignals* signals, Client* client);
  ~StopWatch();
  StopWatch(const StopWatch&) = delete;
  StopWatch& operator=(const StopWatch&) = delete;

 private:
  const int wake_;
  std::thread thread_;
};

}  // namespace coppice::cli

#endif  // COPPICE_CLI_STOP_WATCH_H_
