// The spool's file: synced records are read back; those that a crash tore or a disk damaged are
// not.
#include "worker/daemon/spool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "common/base/files.h"

namespace coppice::worker {
namespace {

using ::testing::SizeIs;

class SpoolTest : public ::testing::Test {
 protected:
  SpoolTest() {
    std::string pattern = ::testing::TempDir() + "coppice-spool-XXXXXX";
    root_ = ::mkdtemp(pattern.data());
    path_ = root_ + "/" + SpoolFileName(Lease().lease());
  }
  ~SpoolTest() override { std::filesystem::remove_all(root_); }

  static v1::Lease Lease() {
    v1::Lease lease;
    lease.mutable_lease()->set_job_id(7);
    lease.mutable_lease()->set_attempt(3);
    lease.set_checkpoint_dir("a/b");
    return lease;
  }
  static v1::StreamMetricsRequest Row(uint64_t sequence) {
    v1::StreamMetricsRequest message;
    message.set_sequence(sequence);
    message.mutable_row()->set_step(static_cast<uint32_t>(sequence * 10));
    return message;
  }
  // Writes rows 1 to `rows` and syncs them.
  void WriteRows(uint64_t rows) {
    auto spool = Spool::Create(path_, Lease());
    ASSERT_TRUE(spool.ok()) << spool.status();
    for (uint64_t i = 1; i <= rows; ++i) ASSERT_TRUE((*spool)->Append(Row(i)).ok());
    ASSERT_TRUE((*spool)->Sync().ok());
  }
  std::string Bytes() { return *ReadFile(path_); }
  void SetBytes(const std::string& bytes) {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes;
  }

  std::string root_;
  std::string path_;
};

TEST_F(SpoolTest, EveryKindOfRecordComesBackInOrder) {
  {
    auto spool = Spool::Create(path_, Lease());
    ASSERT_TRUE(spool.ok()) << spool.status();
    v1::CommitCheckpointRequest commit;
    commit.set_step(10);
    v1::CompleteJobRequest complete;
    complete.set_last_sequence(1);
    v1::FailJobRequest fail;
    fail.set_kind("nan");
    v1::ReleaseLeaseRequest release;
    release.set_reason("r");
    for (const SpoolRecord& record :
         {SpoolRecord(Row(1)), SpoolRecord(commit), SpoolRecord(complete), SpoolRecord(fail),
          SpoolRecord(release)}) {
      ASSERT_TRUE((*spool)->Append(record).ok());
    }
    ASSERT_TRUE((*spool)->Sync().ok());
  }
  const auto contents = Spool::Read(path_);
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_EQ(contents->lease.lease().job_id(), 7u);
  EXPECT_EQ(contents->lease.checkpoint_dir(), "a/b");
  EXPECT_FALSE(contents->torn || contents->corrupt);
  ASSERT_THAT(contents->records, SizeIs(5));
  EXPECT_EQ(SequenceOf(contents->records[0]), 1u);
  EXPECT_FALSE(IsEnd(contents->records[0]));
  EXPECT_EQ(std::get<v1::CommitCheckpointRequest>(contents->records[1]).step(), 10u);
  EXPECT_EQ(SequenceOf(contents->records[1]), 0u);
  EXPECT_FALSE(IsEnd(contents->records[1]));
  EXPECT_EQ(std::get<v1::CompleteJobRequest>(contents->records[2]).last_sequence(), 1u);
  EXPECT_EQ(std::get<v1::FailJobRequest>(contents->records[3]).kind(), "nan");
  EXPECT_EQ(std::get<v1::ReleaseLeaseRequest>(contents->records[4]).reason(), "r");
  for (size_t i = 2; i < 5; ++i) EXPECT_TRUE(IsEnd(contents->records[i]));
}

TEST_F(SpoolTest, WhatWasNotSyncedIsNotThere) {
  auto spool = Spool::Create(path_, Lease());
  ASSERT_TRUE(spool.ok());
  ASSERT_TRUE((*spool)->Append(Row(1)).ok());
  EXPECT_THAT(Spool::Read(path_)->records, SizeIs(0));
}

TEST_F(SpoolTest, ATornEndIsCutOffWhereverItIsTornAndTheSpoolGoesOn) {
  WriteRows(2);
  const std::string two = Bytes();
  std::filesystem::remove(path_);
  WriteRows(3);
  const std::string three = Bytes();
  for (size_t size = two.size() + 1; size < three.size(); ++size) {
    SetBytes(three.substr(0, size));
    const auto contents = Spool::Read(path_);
    ASSERT_TRUE(contents.ok()) << contents.status();
    EXPECT_TRUE(contents->torn);
    ASSERT_THAT(contents->records, SizeIs(2));
    EXPECT_EQ(contents->valid_bytes, two.size());
  }
  auto spool = Spool::Continue(path_, two.size());
  ASSERT_TRUE(spool.ok()) << spool.status();
  ASSERT_TRUE((*spool)->Append(Row(3)).ok());
  ASSERT_TRUE((*spool)->Sync().ok());
  EXPECT_EQ(Bytes(), three);
}

TEST_F(SpoolTest, AFlippedBitEndsTheSpoolThere) {
  WriteRows(1);
  const size_t one = Bytes().size();
  std::filesystem::remove(path_);
  WriteRows(3);
  const std::string three = Bytes();
  const size_t record = (three.size() - one) / 2;
  for (size_t at = one; at < one + record; ++at) {
    std::string damaged = three;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x40);
    SetBytes(damaged);
    const auto contents = Spool::Read(path_);
    ASSERT_TRUE(contents.ok());
    // A damaged length may also point past the end of the file.
    EXPECT_TRUE(contents->corrupt || contents->torn) << at;
    EXPECT_THAT(contents->records, SizeIs(1)) << at;
  }
}

TEST_F(SpoolTest, AFileOfAnotherKindIsNotASpool) {
  SetBytes("");
  EXPECT_EQ(Spool::Read(path_).status().code(), absl::StatusCode::kDataLoss);
  SetBytes("CPSPOOL1");
  EXPECT_EQ(Spool::Read(path_).status().code(), absl::StatusCode::kDataLoss);
  SetBytes(std::string(100, 'x'));
  EXPECT_EQ(Spool::Read(path_).status().code(), absl::StatusCode::kDataLoss);
  std::filesystem::remove(path_);
  EXPECT_EQ(Spool::Read(path_).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(SpoolTest, ASecondSpoolOfALeaseIsRefused) {
  WriteRows(1);
  EXPECT_EQ(Spool::Create(path_, Lease()).status().code(), absl::StatusCode::kAlreadyExists);
}

TEST_F(SpoolTest, ARecordOverTheLimitIsRefusedAndTheRestGoesOn) {
  auto spool = Spool::Create(path_, Lease());
  ASSERT_TRUE(spool.ok());
  v1::StreamMetricsRequest large;
  large.set_log(std::string(Spool::kMaxRecordBytes, 'x'));
  EXPECT_EQ((*spool)->Append(large).code(), absl::StatusCode::kResourceExhausted);
  ASSERT_TRUE((*spool)->Append(Row(1)).ok());
  ASSERT_TRUE((*spool)->Sync().ok());
  EXPECT_THAT(Spool::Read(path_)->records, SizeIs(1));
}

// A process's file size limit stands for a disk that fills up in mid-write.
TEST_F(SpoolTest, AFullDiskLeavesAValidBeginningAndASpoolThatTakesNothingMore) {
  WriteRows(2);
  const size_t size = Bytes().size();
  auto spool = Spool::Continue(path_, size);
  ASSERT_TRUE(spool.ok());
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit before;
  ::getrlimit(RLIMIT_FSIZE, &before);
  rlimit limited = before;
  limited.rlim_cur = size + 20;
  ::setrlimit(RLIMIT_FSIZE, &limited);
  for (uint64_t i = 3; i < 10; ++i) ASSERT_TRUE((*spool)->Append(Row(i)).ok());
  const absl::Status status = (*spool)->Sync();
  ::setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_FALSE(status.ok());
  EXPECT_FALSE((*spool)->Append(Row(10)).ok());
  EXPECT_FALSE((*spool)->Sync().ok());
  const auto contents = Spool::Read(path_);
  ASSERT_TRUE(contents.ok());
  EXPECT_FALSE(contents->torn || contents->corrupt);
  EXPECT_THAT(contents->records, SizeIs(2));
}

TEST_F(SpoolTest, RemoveLeavesNothing) {
  auto spool = Spool::Create(path_, Lease());
  ASSERT_TRUE(spool.ok());
  ASSERT_TRUE((*spool)->Remove().ok());
  EXPECT_FALSE(FileExists(path_));
}

}  // namespace
}  // namespace coppice::worker
