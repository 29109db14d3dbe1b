#include "common/rpc/channel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace coppice::rpc {
namespace {

using ::testing::HasSubstr;

TEST(MakeChannel, RefusesWhatIsNoAddressWithAnExample) {
  for (const char* bad : {"", "localhost", ":7070", "host:", "host:port", "host:0", "host:65536",
                          "host:-1", "::1:7070"}) {
    const absl::Status status = MakeChannel(bad).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << bad;
    EXPECT_THAT(std::string(status.message()), HasSubstr("127.0.0.1:7070")) << bad;
  }
  for (const char* good : {"127.0.0.1:7070", "node-1.cluster:1", "[::1]:65535", "unix:/tmp/x"}) {
    EXPECT_TRUE(MakeChannel(good).ok()) << good;
  }
}

TEST(IsLoopback, TrueOnlyForAddressesNobodyElseReaches) {
  for (const char* inside :
       {"127.0.0.1:1", "127.1.2.3:1", "localhost:1", "[::1]:1", "unix:/tmp/x"}) {
    EXPECT_TRUE(IsLoopback(inside)) << inside;
  }
  for (const char* outside :
       {"0.0.0.0:1", "[::]:1", "10.0.0.1:1", "node:1", "127.0.0.1", "127.evil.example:1", ""}) {
    EXPECT_FALSE(IsLoopback(outside)) << outside;
  }
}

TEST(ExplainCallError, NamesTheCoordinatorAndARemedy) {
  const absl::Status down = ExplainCallError(absl::UnavailableError("refused"), "node:7070");
  EXPECT_TRUE(absl::IsUnavailable(down));
  EXPECT_THAT(std::string(down.message()), HasSubstr("node:7070"));
  EXPECT_THAT(std::string(down.message()), HasSubstr("coppice-coordinator"));
  EXPECT_THAT(std::string(ExplainCallError(absl::DeadlineExceededError(""), "node:7070").message()),
              HasSubstr("did not answer"));
  EXPECT_THAT(std::string(ExplainCallError(absl::UnimplementedError(""), "node:7070").message()),
              HasSubstr("version"));
  EXPECT_EQ(ExplainCallError(absl::NotFoundError("no sweep"), "node:7070"),
            absl::NotFoundError("no sweep"));
}

}  // namespace
}  // namespace coppice::rpc
