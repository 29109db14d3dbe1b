// Text from workers, jobs and files must not drive the terminal of its reader.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/printable.h"
#include "tests/cli/cli_fixture.h"

namespace coppice::cli {
namespace {

// Sets the title, the screen and the clipboard, also by 8-bit controls, and has text that reads
// backwards.
constexpr char kTaint[] =
    "\x1b]0;owned\x07\x1b[2J\x1b]52;c;aGk=\x07\xC2\x9B"
    "2J\xC2\x9D"
    "0;t\xC2\x9C\u202Edetrevni\u2066\x7f\r\x08";

const std::vector<std::vector<std::string>> kQueries = {
    {"list"},
    {"status", "demo"},
    {"jobs", "demo"},
    {"show", "1"},
    {"show", "1", "--all"},
    {"why", "1"},
    {"workers"},
    {"server"},
    {"checkpoint", "list", "demo"},
    {"metrics", "demo"},
    {"metrics", "demo", "--archived"},
    {"status", "demo", "--watch"},
    {"wait", "demo"},
    {"pause", "demo"},
    {"resume", "demo"},
    {"drain", "node"},
};

class HostileTextTest : public CliFixture {
 protected:
  HostileTextTest() {
    absl::MutexLock lock(&service().mutex);
    service().taint = kTaint;
    service().certificates.emplace_back().set_warning("it ends");
    service().workers[0].set_version("1");
    service().workers[0].set_suspect_until_ms(9'000'000'000'000);
    service().workers[0].set_suspect_reason("3 packs failed");
    v1::WatchSweepResponse update;
    *update.mutable_summary() = service().sweeps[0];
    service().updates.push_back(update);
    update.Clear();
    *update.mutable_job() = service().jobs[2];
    update.mutable_job()->set_state(v1::FAILED);
    update.mutable_job()->set_reason("why");
    service().updates.push_back(update);
  }
};

TEST_F(HostileTextTest, NoCommandPassesOnWhatDrivesATerminal) {
  for (const auto& args : kQueries) {
    const CliResult result = Run(args);
    EXPECT_EQ(result.err, "") << args[0];
    EXPECT_THAT(result.out, ::testing::Not(::testing::IsEmpty())) << args[0];
    EXPECT_EQ(Printable(result.out), result.out) << absl::StrJoin(args, " ");
  }
}

TEST_F(HostileTextTest, AnErrorThatQuotesItIsCleanToo) {
  {
    absl::MutexLock lock(&service().mutex);
    service().watch_status = {grpc::StatusCode::INTERNAL, std::string("disk ") + kTaint};
  }
  const CliResult result = Run({"status", "demo", "--watch"});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, ::testing::HasSubstr("disk "));
  EXPECT_EQ(Printable(result.err), result.err);
}

TEST_F(HostileTextTest, JsonCarriesItEscapedAndWhole) {
  for (std::vector<std::string> args : kQueries) {
    if (args.back() == "--archived") continue;
    args.push_back("--json");
    const CliResult result = Run(args);
    EXPECT_EQ(Printable(result.out), result.out) << absl::StrJoin(args, " ");
    EXPECT_EQ(result.out.find('\x7f'), std::string::npos);
    for (const absl::string_view line :
         args[1] == "demo" && args[0] == "status" && args[2] == "--watch"
             ? std::vector<absl::string_view>(absl::StrSplit(result.out, '\n', absl::SkipEmpty()))
             : std::vector<absl::string_view>{result.out}) {
      EXPECT_FALSE(nlohmann::json::parse(line, nullptr, false).is_discarded()) << line;
    }
  }
  const auto workers = nlohmann::json::parse(Run({"workers", "--json"}).out);
  EXPECT_EQ(workers["workers"][0]["host"], std::string("host") + kTaint);
}

TEST_F(HostileTextTest, ANameWithALineEndAddsNoRow) {
  const auto lines = [](const std::string& text) {
    return std::count(text.begin(), text.end(), '\n');
  };
  {
    absl::MutexLock lock(&service().mutex);
    service().taint = "";
    service().workers[0].set_suspect_until_ms(0);
  }
  const auto before = lines(Run({"workers"}).out);
  {
    absl::MutexLock lock(&service().mutex);
    service().workers[0].set_host("a\nnode9  connected");
  }
  EXPECT_EQ(lines(Run({"workers"}).out), before);
}

}  // namespace
}  // namespace coppice::cli
