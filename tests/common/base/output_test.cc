#include "common/base/output.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <sstream>
#include <string>

#include "tests/testing/subprocess.h"
#include "tests/testing/temp_dir.h"

namespace coppice {
namespace {

using ::testing::HasSubstr;

TEST(Output, WritesEverythingInOrder) {
  testing::TempDir dir;
  const std::string path = dir.Join("out");
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT, 0644);
  std::string expected;
  {
    Output out(fd);
    for (int i = 0; i < 50'000; ++i) {  // several buffers full
      out << i << '\n';
      expected += std::to_string(i) + "\n";
    }
    EXPECT_EQ(FlushOutput(out), absl::OkStatus());
  }
  ::close(fd);
  EXPECT_EQ(testing::ReadAll(path), expected);
}

TEST(Output, AFullDiskIsToldWithItsReason) {
  const int fd = ::open("/dev/full", O_WRONLY);
  Output out(fd);
  out << "x";
  EXPECT_TRUE(out.good()) << "it waits in the buffer";
  const absl::Status status = FlushOutput(out);
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("No space left on device"));
  EXPECT_FALSE(ReaderIsGone(out));
  // The first reason stays, even if more is printed.
  out << "y";
  EXPECT_EQ(FlushOutput(out), status);
  ::close(fd);
}

TEST(Output, AReaderThatHasGoneIsNoFullDisk) {
  ::signal(SIGPIPE, SIG_IGN);
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  ::close(ends[0]);
  Output out(ends[1]);
  out << "x";
  EXPECT_FALSE(FlushOutput(out).ok());
  EXPECT_TRUE(ReaderIsGone(out));
  ::close(ends[1]);
}

TEST(Output, AnotherStreamThatFailedIsToldToo) {
  std::ostringstream out;
  EXPECT_EQ(FlushOutput(out), absl::OkStatus());
  out.setstate(std::ios::badbit);
  EXPECT_FALSE(FlushOutput(out).ok());
  EXPECT_FALSE(ReaderIsGone(out));
}

}  // namespace
}  // namespace coppice
