// A rule for capturing a step that does not depend on CUDA.
#ifndef COPPICE_WORKER_TRAINER_CUDA_CAPTURE_H_
#define COPPICE_WORKER_TRAINER_CUDA_CAPTURE_H_

#include <exception>
#include <functional>

namespace coppice::trainer {

// Captures the work that `step` enqueues, between `begin` and `end`. If `step` throws, the capture
// is ended too. A stream that still captures would refuse all later work, with errors that hide the
// first one.
inline void Capture(const std::function<void()>& begin, const std::function<void()>& step,
                    const std::function<void()>& end) {
  begin();
  try {
    step();
  } catch (...) {
    try {
      end();
    } catch (const std::exception&) {  // of a capture that is broken already
    }
    throw;
  }
  end();
}

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_CUDA_CAPTURE_H_
