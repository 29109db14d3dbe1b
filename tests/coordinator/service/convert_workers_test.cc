// Requests of workers: values that they may carry, and values that are refused by name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "common/base/build_info.h"
#include "common/base/limits.h"
#include "common/rpc/channel.h"
#include "coordinator/service/convert.h"

namespace coppice::service {
namespace {

using ::testing::HasSubstr;

void ExpectRefused(const absl::Status& status, const std::string& field) {
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << field << ": " << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(field));
}

TEST(Register, AnotherProtocolIsAFailedPreconditionThatNamesBoth) {
  v1::RegisterRequest in;
  in.set_protocol(rpc::kProtocolVersion + 1);
  in.set_version("9.9.9");
  const absl::Status status = RegisterFromProto(in).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  const std::string message(status.message());
  EXPECT_THAT(message, HasSubstr(std::to_string(rpc::kProtocolVersion + 1)));
  EXPECT_THAT(message, HasSubstr("9.9.9"));
  EXPECT_THAT(message, HasSubstr(VersionText()));
}

TEST(Register, TheLabelsOfAnAllocationAreCheckedAndKept) {
  v1::RegisterRequest in;
  in.set_protocol(rpc::kProtocolVersion);
  in.set_name("node1");
  in.set_instance("i");
  in.set_slots(1);
  in.set_pack_width(1);
  v1::Allocation* allocation = in.mutable_allocation();
  using Set = void (*)(v1::Allocation*, const std::string&);
  const std::pair<const char*, Set> labels[] = {
      {"allocation.system", [](auto* a, const std::string& v) { a->set_system(v); }},
      {"allocation.cluster", [](auto* a, const std::string& v) { a->set_cluster(v); }},
      {"allocation.job_id", [](auto* a, const std::string& v) { a->set_job_id(v); }},
      {"allocation.raw_job_id", [](auto* a, const std::string& v) { a->set_raw_job_id(v); }},
      {"allocation.partition", [](auto* a, const std::string& v) { a->set_partition(v); }},
      {"allocation.node", [](auto* a, const std::string& v) { a->set_node(v); }},
      {"allocation.pool_key", [](auto* a, const std::string& v) { a->set_pool_key(v); }}};
  for (const auto& [field, set] : labels) {
    set(allocation, "a\x1b[2J");
    ExpectRefused(RegisterFromProto(in).status(), field);
    set(allocation, std::string(kMaxHostBytes + 1, 'x'));
    ExpectRefused(RegisterFromProto(in).status(), field);
    set(allocation, field);
    ASSERT_TRUE(RegisterFromProto(in).ok());
  }
  allocation->set_proc_id(2);
  allocation->set_restarts(3);
  allocation->add_gpus("");
  ExpectRefused(RegisterFromProto(in).status(), "allocation.gpus");
  allocation->set_gpus(0, "MIG-1\n");
  ExpectRefused(RegisterFromProto(in).status(), "allocation.gpus");
  allocation->set_gpus(0, "MIG-1");
  const auto out = RegisterFromProto(in);
  ASSERT_TRUE(out.ok()) << out.status();
  const core::Allocation expected = {"allocation.system",
                                     "allocation.cluster",
                                     "allocation.job_id",
                                     "allocation.raw_job_id",
                                     "allocation.partition",
                                     "allocation.node",
                                     2,
                                     3,
                                     "allocation.pool_key",
                                     {"MIG-1"}};
  EXPECT_EQ(out->info.allocation, expected);
  for (uint32_t i = 0; i < kMaxSlots; ++i) allocation->add_gpus("0");
  ExpectRefused(RegisterFromProto(in).status(), "allocation.gpus");
}

TEST(Heartbeat, TheEndAndTheIdleSlotsAreChecked) {
  v1::HeartbeatRequest in;
  in.set_ends_ms(-1);
  ExpectRefused(BeatFromProto(in).status(), "ends_ms");
  in.set_ends_ms(7);
  in.set_idle_slots(kMaxSlots + 1);
  ExpectRefused(BeatFromProto(in).status(), "idle_slots");
  in.set_idle_slots(2);
  EXPECT_EQ(BeatFromProto(in)->ends_ms, 7);
  EXPECT_EQ(BeatFromProto(in)->idle_slots, 2u);
}

TEST(Leave, AReasonIsNeededAndTheMessageIsOneLine) {
  v1::LeaveRequest in;
  ExpectRefused(DepartureFromProto(in).status(), "worker_id");
  in.set_worker_id("w");
  ExpectRefused(DepartureFromProto(in).status(), "reason");
  in.set_reason(static_cast<v1::ExitReason>(77));
  ExpectRefused(DepartureFromProto(in).status(), "reason");
  in.set_reason(v1::EXIT_IDLE);
  in.set_message("two\nlines");
  ExpectRefused(DepartureFromProto(in).status(), "message");
  in.set_message("no work for 5m");
  EXPECT_EQ(DepartureFromProto(in)->reason, core::ExitReason::kIdle);
}

TEST(Register, BoundsAreChecked) {
  v1::RegisterRequest in;
  in.set_protocol(rpc::kProtocolVersion);
  ExpectRefused(RegisterFromProto(in).status(), "name");
  in.set_name("node\n1");
  ExpectRefused(RegisterFromProto(in).status(), "name");
  in.set_name("node1");
  ExpectRefused(RegisterFromProto(in).status(), "instance");
  in.set_instance("i");
  ExpectRefused(RegisterFromProto(in).status(), "slots");
  in.set_slots(1);
  ExpectRefused(RegisterFromProto(in).status(), "pack_width");
  in.set_pack_width(kMaxPackWidth + 1);
  ExpectRefused(RegisterFromProto(in).status(), "pack_width");
  in.set_pack_width(2);
  EXPECT_TRUE(RegisterFromProto(in).ok());
  v1::HeldLease* held = in.add_held();
  ExpectRefused(RegisterFromProto(in).status(), "lease.job_id");
  held->mutable_lease()->set_job_id(1);
  ExpectRefused(RegisterFromProto(in).status(), "lease.attempt");
  held->mutable_lease()->set_attempt(1);
  held->set_steps_per_second(std::nan(""));
  ExpectRefused(RegisterFromProto(in).status(), "steps_per_second");
  held->set_steps_per_second(-1);
  ExpectRefused(RegisterFromProto(in).status(), "steps_per_second");
  held->set_steps_per_second(1e308);
  EXPECT_EQ(RegisterFromProto(in).value().held[0].steps_per_second, kMaxStepsPerSecond)
      << "sums of rates stay numbers";
  held->set_steps_per_second(2.5);
  EXPECT_EQ(RegisterFromProto(in).value().held[0].steps_per_second, 2.5);
  in.set_ends_ms(-1);
  ExpectRefused(RegisterFromProto(in).status(), "ends_ms");
  in.set_ends_ms(1'750'000'000'000);
  EXPECT_EQ(RegisterFromProto(in).value().info.ends_ms, 1'750'000'000'000);
}

TEST(Register, ATextThatDrivesATerminalIsRefusedAndNamed) {
  v1::RegisterRequest good;
  good.set_protocol(rpc::kProtocolVersion);
  good.set_name("node1");
  good.set_instance("i");
  good.set_host("höst");
  good.set_version("0.1.0 (0123456789ab)");
  good.set_device("NVIDIA H200 (132 SMs)");
  good.set_slots(1);
  good.set_pack_width(1);
  ASSERT_TRUE(RegisterFromProto(good).ok());
  for (const char* bad : {"\x1b]0;title\x07", "a\nb", "a\tb",
                          "\xC2\x9B"
                          "2J",
                          "\u202E", "\x7f", "\xFF"}) {
    for (const char* field : {"name", "instance", "host", "version", "device"}) {
      v1::RegisterRequest in = good;
      in.GetReflection()->SetString(&in, in.GetDescriptor()->FindFieldByName(field), bad);
      ExpectRefused(RegisterFromProto(in).status(), field);
    }
  }
}

TEST(Checkpoint, APathThatDrivesATerminalIsRefused) {
  v1::RejectCheckpointRequest in;
  in.set_worker_id("w");
  in.mutable_lease()->set_job_id(1);
  in.mutable_lease()->set_attempt(1);
  in.set_path("1/1/step-000000150.safetensors");
  EXPECT_TRUE(CheckpointFromProto(in).ok());
  for (const char* bad : {"1/1/\x1b[2J",
                          "1/\xC2\x9D"
                          "0;t/x",
                          "1/1/\u202Exyz"}) {
    in.set_path(bad);
    ExpectRefused(CheckpointFromProto(in).status(), "path");
  }
}

TEST(Acquire, TheWaitIsCappedAndTheRestChecked) {
  v1::AcquireLeasesRequest in;
  ExpectRefused(AcquireFromProto(in).status(), "worker_id");
  in.set_worker_id("w");
  ExpectRefused(AcquireFromProto(in).status(), "request_id");
  in.set_request_id("r");
  ExpectRefused(AcquireFromProto(in).status(), "pack_width");
  in.set_pack_width(1);
  in.set_wait_ms(4'000'000'000u);
  EXPECT_EQ(AcquireFromProto(in).value().wait_ms, kMaxWaitMs);
  EXPECT_FALSE(AcquireFromProto(in).value().measures);
  in.set_measures(true);
  EXPECT_TRUE(AcquireFromProto(in).value().measures);
  in.set_slot(kMaxSlots);
  ExpectRefused(AcquireFromProto(in).status(), "slot");
}

}  // namespace
}  // namespace coppice::service
