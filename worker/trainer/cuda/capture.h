// One rule of capturing a step that does not depend on CUDA.
#ifndef COPPICE_WORKER_TRAINER_CUDA_CAPTURE_H_
#define COPPICE_WORKER_TRAINER_CUDA_CAPTURE_H_

#include <exception>
#include <functional>

namespace coppice::trainer {

// Captures what `step` enqueues, between `begin` and `end`. When it throws, the capture is ended
// too: a stream that goes on capturing refuses all that comes after, with errors that hide this
// one.
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
