#include "common/base/regular_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "tests/testing/temp_dir.h"

namespace coppice {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::TempDir;

void Put(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

TEST(RegularFileTest, APipeWithoutAWriterIsRefusedAtOnce) {
  TempDir dir;
  const std::string pipe = dir.Join("pipe");
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  for (const absl::Status& status :
       {ReadRegularFile(pipe, 100).status(), RegularFile::Open(pipe, O_NOFOLLOW).status(),
        RegularFileLines::Open(pipe, {.max_bytes = 100}).status(), ReadFile(pipe).status()}) {
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(pipe), HasSubstr("a named pipe")));
  }
}

TEST(RegularFileTest, ADeviceBehindALinkASocketAndAFolderAreRefused) {
  TempDir dir;
  ASSERT_EQ(::symlink("/dev/zero", dir.Join("endless").c_str()), 0);
  EXPECT_THAT(std::string(ReadRegularFile(dir.Join("endless"), 1 << 20).status().message()),
              HasSubstr("a device"));
  EXPECT_THAT(std::string(ReadFile(dir.Join("endless")).status().message()), HasSubstr("a device"));
  EXPECT_THAT(std::string(ReadRegularFile(dir.path(), 100).status().message()),
              HasSubstr("a folder"));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, dir.Join("socket").c_str(), sizeof(address.sun_path) - 1);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_THAT(std::string(ReadRegularFile(dir.Join("socket"), 100).status().message()),
              HasSubstr("a socket"));
  ::close(fd);
}

TEST(RegularFileTest, AFileLargerThanTheLimitIsRefusedBeforeMemoryIsTaken) {
  TempDir dir;
  const std::string sparse = dir.Join("sparse");
  Put(sparse, "x");
  ASSERT_EQ(::truncate(sparse.c_str(), off_t{200} << 30), 0);
  EXPECT_TRUE(absl::IsInvalidArgument(ReadRegularFile(sparse, 1 << 20).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(ReadFile(sparse).status()));
  EXPECT_TRUE(
      absl::IsInvalidArgument(RegularFileLines::Open(sparse, {.max_bytes = 1 << 20}).status()));
  Put(dir.Join("fits"), "12345");
  EXPECT_EQ(ReadRegularFile(dir.Join("fits"), 5).value(), "12345");
  EXPECT_TRUE(absl::IsInvalidArgument(ReadRegularFile(dir.Join("fits"), 4).status()));
}

TEST(RegularFileTest, AFileWhoseSizeIsUntrueIsStillHeldToTheLimit) {
  // /proc reports 0 bytes for files that hold more.
  EXPECT_THAT(ReadRegularFile("/proc/self/status", 1 << 20).value(), HasSubstr("Name:"));
  EXPECT_TRUE(absl::IsInvalidArgument(ReadRegularFile("/proc/self/status", 10).status()));
}

TEST(RegularFileTest, ALinkIsFollowedUnlessTheCallerRefusesLinks) {
  TempDir dir;
  Put(dir.Join("file"), "content");
  ASSERT_EQ(::symlink(dir.Join("file").c_str(), dir.Join("link").c_str()), 0);
  EXPECT_EQ(ReadRegularFile(dir.Join("link"), 100).value(), "content");
  EXPECT_FALSE(RegularFile::Open(dir.Join("link"), O_NOFOLLOW).ok());
  EXPECT_TRUE(absl::IsNotFound(ReadRegularFile(dir.Join("none"), 100).status()));
}

std::vector<std::string> Lines(const std::string& path) {
  auto lines = RegularFileLines::Open(path, {.max_bytes = 1 << 30});
  std::vector<std::string> all;
  absl::string_view line;
  while (lines->Next(&line).value()) all.emplace_back(line);
  EXPECT_EQ(static_cast<size_t>(lines->number()), all.size());
  return all;
}

TEST(RegularFileTest, LinesAreTheFilesWithOrWithoutALastLineFeed) {
  TempDir dir;
  Put(dir.Join("a"), "");
  EXPECT_THAT(Lines(dir.Join("a")), ElementsAre());
  Put(dir.Join("a"), "one\n\ntwo");
  EXPECT_THAT(Lines(dir.Join("a")), ElementsAre("one", "", "two"));
  Put(dir.Join("a"), "one\n\n");
  EXPECT_THAT(Lines(dir.Join("a")), ElementsAre("one", ""));
  std::string text;
  std::vector<std::string> expected;
  for (int i = 0; i < 3000; ++i) {
    expected.push_back(std::string(static_cast<size_t>(i % 211), static_cast<char>('a' + i % 26)));
    absl::StrAppend(&text, expected.back(), "\n");
  }
  Put(dir.Join("a"), text);
  EXPECT_EQ(Lines(dir.Join("a")), expected);
}

TEST(RegularFileTest, ALineWithoutAnEndIsRefusedByItsNumber) {
  TempDir dir;
  Put(dir.Join("long"), absl::StrCat("short\n", std::string(5 << 20, '\0')));
  auto lines = RegularFileLines::Open(dir.Join("long"), {.max_bytes = 1 << 30});
  absl::string_view line;
  ASSERT_TRUE(lines->Next(&line).value());
  EXPECT_THAT(std::string(lines->Next(&line).status().message()),
              HasSubstr("long:2: the line is longer than"));
}

TEST(RegularFileTest, AStopEndsReading) {
  TempDir dir;
  Put(dir.Join("file"), "one\ntwo\n");
  std::atomic<bool> stop{true};
  EXPECT_TRUE(absl::IsCancelled(ReadRegularFile(dir.Join("file"), 100, &stop).status()));
  auto lines = RegularFileLines::Open(dir.Join("file"), {.max_bytes = 100}, &stop);
  absl::string_view line;
  EXPECT_TRUE(absl::IsCancelled(lines->Next(&line).status()));
}

}  // namespace
}  // namespace coppice
