#include "common/base/device_spec.h"

#include "gtest/gtest.h"

namespace coppice {
namespace {

TEST(DeviceSpecTest, EveryTextReadsBackAsTheSameDevice) {
  for (const DeviceSpec& spec :
       {DeviceSpec{DeviceKind::kAuto}, DeviceSpec{DeviceKind::kCpu}, DeviceSpec{DeviceKind::kCuda},
        DeviceSpec{DeviceKind::kCuda, 0}, DeviceSpec{DeviceKind::kCuda, 12}}) {
    EXPECT_EQ(DeviceSpecFromText(DeviceSpecText(spec)), spec) << DeviceSpecText(spec);
  }
  EXPECT_EQ(DeviceSpecText({}), "auto");
  EXPECT_EQ(DeviceSpecText({DeviceKind::kCuda, 1}), "cuda:1");
}

TEST(DeviceSpecTest, EveryKindIsAChoice) {
  const std::vector<std::string> texts = DeviceKindTexts();
  EXPECT_EQ(texts, (std::vector<std::string>{"auto", "cpu", "cuda"}));
  for (const std::string& text : texts) EXPECT_TRUE(DeviceSpecFromText(text).has_value()) << text;
}

TEST(DeviceSpecTest, OtherTextsNameNoDevice) {
  for (const char* text :
       {"", "cuda:", "cuda:one", "cuda:-1", "CUDA", "cuda1", "cpu:0", "auto:1"}) {
    EXPECT_EQ(DeviceSpecFromText(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace coppice
