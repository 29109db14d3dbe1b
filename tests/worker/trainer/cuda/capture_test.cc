#include "worker/trainer/cuda/capture.h"

#include <functional>
#include <stdexcept>
#include <string>

#include "gtest/gtest.h"

namespace coppice::trainer {
namespace {

// Like a stream: while it captures, no other capture may begin.
struct FakeStream {
  void Begin() {
    if (capturing) throw std::runtime_error("operation not permitted when stream is capturing");
    capturing = true;
  }
  void End() {
    capturing = false;
    if (broken) throw std::runtime_error("the capture is invalidated");
  }
  void CaptureStep(const std::function<void()>& step) {
    Capture([this] { Begin(); }, step, [this] { End(); });
  }

  bool capturing = false;
  bool broken = false;
};

TEST(CudaCaptureTest, AStepThatThrowsLeavesTheStreamToTheNext) {
  for (const bool broken : {false, true}) {
    FakeStream stream{false, broken};
    std::string message;
    try {
      stream.CaptureStep([] { throw std::runtime_error("out of memory"); });
    } catch (const std::exception& error) {
      message = error.what();
    }
    EXPECT_EQ(message, "out of memory") << "what went wrong first is told";
    EXPECT_FALSE(stream.capturing);
    stream.broken = false;
    EXPECT_NO_THROW(stream.CaptureStep([] {}));
  }
}

TEST(CudaCaptureTest, AStepIsEnqueuedWhileItIsCaptured) {
  FakeStream stream;
  bool captured = false;
  stream.CaptureStep([&] { captured = stream.capturing; });
  EXPECT_TRUE(captured);
  EXPECT_FALSE(stream.capturing);
}

}  // namespace
}  // namespace coppice::trainer
