#ifndef COPPICE_CLI_REPAINTER_H_
#define COPPICE_CLI_REPAINTER_H_

#include <functional>
#include <thread>

namespace coppice::cli {

// While it lives, calls `paint` once a second, and at once when the terminal's window is resized
// (SIGWINCH), from a thread of its own. A process may have one at a time. The destructor waits for
// the last call and restores the signal's old handler.
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
