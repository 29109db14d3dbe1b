#ifndef COPPICE_CLI_REPAINTER_H_
#define COPPICE_CLI_REPAINTER_H_

#include <functional>
#include <thread>

namespace coppice::cli {

// Calls `paint` once a second and as soon as the terminal's window has another size (SIGWINCH),
// from a thread of its own, while it lives. One at a time in a process; its destructor waits for
// the last call. The signal's old handler is put back then.
class Repainter {
 public:
  explicit Repainter(std::function<void()> paint);
  ~Repainter();
  Repainter(const Repainter&) = delete;
  Repainter& operator=(const Repainter&) = delete;

 private:
  void Run();

  const std::function<void()> paint_;
  const int resized_;  // eventfds
  const int stop_;
  std::thread thread_;
};

}  // namespace coppice::cli

#endif  // COPPICE_CLI_REPAINTER_H_
