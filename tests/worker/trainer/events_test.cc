#include "worker/trainer/base/events.h"

#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/worker/trainer/test_directory.h"

namespace coppice::trainer {
namespace {

using nlohmann::json;

TEST(EventsTest, EveryEventIsOneLineOfJsonWithTheFieldsOfTheProtocol) {
  TestDirectory directory;
  const std::string path = directory / "events";
  const int fd = ::open(path.c_str(), O_CREAT | O_WRONLY, 0600);
  EventWriter events(fd, nullptr);
  events.Start({"b", "l", "o", "cpu", "float32", 1, 2}, {{4, 10}, {5, 0}}, 99, 1234);
  events.Progress({{4, 11}}, 1.5, 24, 17);
  events.Metrics(4, 20, {{"train_loss", 0.1}, {"val_loss", 2}});
  events.Checkpoint(
      4, 20, {"/a \"b\"\n\xff", "0123", 77, absl::Microseconds(1250), absl::Milliseconds(40)});
  events.Done(4, 20);
  events.Failed(5, 3, FailureKind::kNan, "loss\nis nan");
  events.Preempted(5, 3);
  ::close(fd);
  std::vector<json> lines;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) lines.push_back(json::parse(line));
  ASSERT_EQ(lines.size(), 7u);
  EXPECT_EQ(lines[0]["event"], "start");
  EXPECT_EQ(lines[0]["protocol"], 1);
  EXPECT_EQ(lines[0]["provenance"]["pack_width"], 2);
  EXPECT_EQ(lines[0]["members"],
            json::parse(R"([{"seed": 4, "step": 10}, {"seed": 5, "step": 0}])"));
  EXPECT_EQ(lines[0]["steps"], 99);
  EXPECT_EQ(lines[0]["parameters"], 1234);
  EXPECT_EQ(lines[1]["steps_per_second"], 1.5);
  EXPECT_EQ(lines[2]["values"], json::parse(R"({"train_loss": 0.1, "val_loss": 2.0})"));
  EXPECT_EQ(lines[3]["bytes"], 77);
  EXPECT_EQ(lines[3]["stall_ms"], 1.25);
  EXPECT_EQ(lines[3]["write_ms"], 40.0);
  EXPECT_EQ(lines[4], json::parse(R"({"event": "done", "seed": 4, "step": 20})"));
  EXPECT_EQ(lines[5]["kind"], "nan");
  EXPECT_EQ(lines[5]["message"], "loss\nis nan");
  EXPECT_EQ(lines[6]["event"], "preempted");
}

TEST(EventsTest, DoublesKeepTheirBits) {
  TestDirectory directory;
  const std::string path = directory / "events";
  const int fd = ::open(path.c_str(), O_CREAT | O_WRONLY, 0600);
  const double value = 1.0 / 3 + 1e-16;
  EventWriter(fd, nullptr).Metrics(0, 1, {{"x", value}});
  ::close(fd);
  EXPECT_EQ(json::parse(std::ifstream(path))["values"]["x"].get<double>(), value);
}

TEST(EventsTest, AGoneReaderIsReportedOnceAndLaterLinesAreDropped) {
  std::signal(SIGPIPE, SIG_IGN);
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  ::close(ends[0]);
  int closed = 0;
  EventWriter events(ends[1], [&closed] { ++closed; });
  events.Done(0, 1);
  events.Done(0, 2);
  EXPECT_EQ(closed, 1);
  ::close(ends[1]);
}

TEST(EventsTest, LinesOfSeveralThreadsDoNotMix) {
  TestDirectory directory;
  const std::string path = directory / "events";
  const int fd = ::open(path.c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600);
  EventWriter events(fd, nullptr);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&events, i] {
      for (int step = 0; step < 200; ++step)
        events.Failed(i, step, FailureKind::kDisk, std::string(500, 'x'));
    });
  }
  for (std::thread& thread : threads) thread.join();
  ::close(fd);
  std::ifstream in(path);
  int lines = 0;
  for (std::string line; std::getline(in, line); ++lines) ASSERT_TRUE(json::accept(line)) << line;
  EXPECT_EQ(lines, 800);
}

}  // namespace
}  // namespace coppice::trainer
