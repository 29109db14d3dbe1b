#include "worker/daemon/grpc_coordinator_client.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <utility>

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "tests/worker/daemon/test_server.h"

namespace coppice::worker {
namespace {

std::unique_ptr<CoordinatorClient> ClientOf(const TestServer& server) {
  auto client = MakeGrpcCoordinatorClient(server.address(), {});
  EXPECT_TRUE(client.ok()) << client.status();
  return std::move(*client);
}

// Runs `work` when the last copy is released.
std::shared_ptr<void> AtLast(std::function<void()> work) {
  return std::shared_ptr<void>(nullptr, [work = std::move(work)](void*) { work(); });
}

class GrpcCoordinatorClientTest : public ::testing::Test {
 protected:
  GrpcCoordinatorClientTest() { server_.Start(); }
  // Destroys a client while gRPC's thread is still releasing the object that `call` gave it to
  // keep.
  void DestroyDuring(const std::function<void(CoordinatorClient*, std::shared_ptr<void>)>& call) {
    auto client = ClientOf(server_);
    absl::Notification letting_go;
    absl::Notification destroyed;
    bool let_go = false;
    call(client.get(), AtLast([&] {
           letting_go.Notify();
           // Times out, if the client waits for this.
           destroyed.WaitForNotificationWithTimeout(absl::Milliseconds(200));
           let_go = true;
         }));
    letting_go.WaitForNotification();
    client.reset();
    EXPECT_TRUE(let_go);
    destroyed.Notify();
  }

  TestServer server_;
};

// Otherwise one of gRPC's threads would destroy the channel, which joins them all.
TEST_F(GrpcCoordinatorClientTest, OutlivesWhatAnAnsweredCallStillHolds) {
  DestroyDuring([](CoordinatorClient* client, std::shared_ptr<void> kept) {
    client->Heartbeat({}, [kept](absl::StatusOr<v1::HeartbeatResponse> answer) {
      EXPECT_TRUE(answer.ok()) << answer.status();
    });
  });
}

TEST_F(GrpcCoordinatorClientTest, OutlivesWhatACancelledPollStillHolds) {
  DestroyDuring([](CoordinatorClient* client, std::shared_ptr<void> kept) {
    v1::AcquireLeasesRequest request;
    request.set_wait_ms(60'000);
    client->AcquireLeases(request, [kept](absl::StatusOr<v1::AcquireLeasesResponse> answer) {
      EXPECT_TRUE(absl::IsCancelled(answer.status())) << answer.status();
    });
    kept.reset();
    client->CancelAcquires();
  });
}

TEST_F(GrpcCoordinatorClientTest, ItsEndCancelsWhatIsInFlight) {
  auto client = ClientOf(server_);
  absl::Status polled;
  v1::AcquireLeasesRequest request;
  request.set_wait_ms(60'000);
  client->AcquireLeases(
      request, [&](absl::StatusOr<v1::AcquireLeasesResponse> answer) { polled = answer.status(); });
  absl::Status ended;
  const auto stream = client->OpenRecords([](const v1::StreamRecordsResponse&) {},
                                          [&](absl::Status status) { ended = status; });
  client.reset();  // the stream's owner may still hold it
  EXPECT_TRUE(absl::IsCancelled(polled)) << polled;
  EXPECT_TRUE(absl::IsCancelled(ended)) << ended;
}

TEST_F(GrpcCoordinatorClientTest, CancelledAcquiresLeaveOtherCallsAlone) {
  auto client = ClientOf(server_);
  absl::Notification done;
  client->Heartbeat({}, [&](absl::StatusOr<v1::HeartbeatResponse> answer) {
    EXPECT_TRUE(answer.ok()) << answer.status();
    done.Notify();
  });
  client->CancelAcquires();
  done.WaitForNotification();
}

}  // namespace
}  // namespace coppice::worker
