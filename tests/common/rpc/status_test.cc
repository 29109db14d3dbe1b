#include "common/rpc/status.h"

#include <gtest/gtest.h>

#include <string>

namespace coppice::rpc {
namespace {

TEST(StatusConversion, EveryCodeAndItsMessageSurvivesTheRoundTrip) {
  for (int code = 0; code <= 16; ++code) {
    const absl::Status before(static_cast<absl::StatusCode>(code),
                              code == 0 ? "" : "what happened");
    const grpc::Status wire = ToGrpc(before);
    EXPECT_EQ(static_cast<int>(wire.error_code()), code);
    EXPECT_EQ(FromGrpc(wire), before) << before;
  }
}

TEST(StatusConversion, TheCodesMeanTheSame) {
  EXPECT_EQ(ToGrpc(absl::AbortedError("x")).error_code(), grpc::StatusCode::ABORTED);
  EXPECT_EQ(ToGrpc(absl::UnauthenticatedError("x")).error_code(),
            grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(ToGrpc(absl::FailedPreconditionError("x")).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_TRUE(ToGrpc(absl::OkStatus()).ok());
}

TEST(IsRetryable, OnlyForWhatMayPass) {
  EXPECT_TRUE(IsRetryable(absl::UnavailableError("")));
  EXPECT_TRUE(IsRetryable(absl::ResourceExhaustedError("")));
  EXPECT_TRUE(IsRetryable(absl::DeadlineExceededError("")));
  EXPECT_FALSE(IsRetryable(absl::OkStatus()));
  EXPECT_FALSE(IsRetryable(absl::AbortedError(""))) << "a stale attempt stays stale";
  EXPECT_FALSE(IsRetryable(absl::InvalidArgumentError("")));
  EXPECT_FALSE(IsRetryable(absl::InternalError("")));
}

}  // namespace
}  // namespace coppice::rpc
