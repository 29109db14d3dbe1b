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
  static v1::AttemptRecord Record(uint64_t number) {
    v1::AttemptRecord record;
    *record.mutable_lease() = Lease().lease();
    record.set_number(number);
    return record;
  }
  static v1::AttemptRecord Row(uint64_t number) {
    v1::AttemptRecord record = Record(number);
    record.mutable_row()->set_step(static_cast<uint32_t>(number * 10));
    return record;
  }
  static v1::AttemptRecord Failure(uint64_t number) {
    v1::AttemptRecord record = Record(number);
    record.mutable_failed()->set_kind("nan");
    return record;
  }
  void Write(const std::vector<v1::AttemptRecord>& records) {
    auto spool = Spool::Create(path_, Lease());
    ASSERT_TRUE(spool.ok()) << spool.status();
    for (const v1::AttemptRecord& record : records) ASSERT_TRUE((*spool)->Append(record).ok());
    ASSERT_TRUE((*spool)->Sync().ok());
  }
  // Writes rows 1 to `rows` and syncs them.
  void WriteRows(uint64_t rows) {
    std::vector<v1::AttemptRecord> records;
    for (uint64_t i = 1; i <= rows; ++i) records.push_back(Row(i));
    Write(records);
  }
  std::string Bytes() { return *ReadFile(path_); }
  void SetBytes(const std::string& bytes) {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes;
  }

  std::string root_;
  std::string path_;
};

TEST_F(SpoolTest, EveryKindOfRecordComesBackInOrder) {
  std::vector<v1::AttemptRecord> written;
  const auto add = [&]() -> v1::AttemptRecord& {
    return written.emplace_back(Record(written.size() + 1));
  };
  add().mutable_start()->set_provenance("{}");
  add().mutable_row()->set_step(10);
  add().set_log("text");
  add().mutable_checkpoint()->set_step(10);
  for (int ending = 0; ending < 3; ++ending) {
    std::vector<v1::AttemptRecord> records = written;
    v1::AttemptRecord& last = records.emplace_back(Record(5));
    if (ending == 0) last.mutable_completed()->set_step(10);
    if (ending == 1) last.mutable_failed()->set_kind("nan");
    if (ending == 2) last.mutable_released()->mutable_too_wide()->set_width(3);
    Write(records);
    const auto contents = Spool::Read(path_);
    ASSERT_TRUE(contents.ok()) << contents.status();
    EXPECT_EQ(contents->lease.lease().job_id(), 7u);
    EXPECT_EQ(contents->lease.checkpoint_dir(), "a/b");
    EXPECT_FALSE(contents->torn || contents->corrupt || contents->earlier_version);
    ASSERT_THAT(contents->records, SizeIs(5));
    for (size_t i = 0; i < 5; ++i) {
      EXPECT_EQ(contents->records[i].SerializeAsString(), records[i].SerializeAsString());
    }
    std::filesystem::remove(path_);
  }
}

// The coordinator had refused record 2, and the attempt ended under its number.
TEST_F(SpoolTest, AnEndingReplacesTheRefusedRecordAndAllAfterIt) {
  Write({Row(1), Row(2), Row(3), Failure(2)});
  auto contents = Spool::Read(path_);
  ASSERT_THAT(contents->records, SizeIs(2));
  EXPECT_FALSE(contents->corrupt);
  EXPECT_TRUE(contents->records[1].has_failed());
  // An ending may be replaced, too.
  std::filesystem::remove(path_);
  Write({Row(1), Failure(2), Failure(2)});
  contents = Spool::Read(path_);
  EXPECT_FALSE(contents->corrupt);
  EXPECT_THAT(contents->records, SizeIs(2));
}

TEST_F(SpoolTest, ARecordThatDoesNotFollowEndsTheSpoolThere) {
  v1::AttemptRecord of_another = Row(2);
  of_another.mutable_lease()->set_attempt(4);
  for (const v1::AttemptRecord& wrong :
       {Row(3), Row(1), Row(0), Record(2), Failure(0), Failure(3), of_another}) {
    Write({Row(1), wrong, Row(2)});
    const auto contents = Spool::Read(path_);
    ASSERT_TRUE(contents.ok());
    EXPECT_TRUE(contents->corrupt) << wrong.ShortDebugString();
    EXPECT_THAT(contents->records, SizeIs(1));
    std::filesystem::remove(path_);
  }
  Write({Row(1), Failure(2), Row(3)});
  EXPECT_TRUE(Spool::Read(path_)->corrupt) << "no record follows an ending";
}

TEST_F(SpoolTest, OfTheVersionBeforeOnlyTheLeaseIsRead) {
  Write({Row(1)});
  std::string bytes = Bytes();
  bytes.replace(0, 8, "CPSPOOL1");
  SetBytes(bytes);
  const auto contents = Spool::Read(path_);
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_TRUE(contents->earlier_version);
  EXPECT_EQ(contents->lease.lease().job_id(), 7u);
  EXPECT_THAT(contents->records, SizeIs(0));
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
  for (const char* magic : {"CPSPOOL1", "CPSPOOL2", "CPSPOOL3"}) {
    SetBytes(magic);
    EXPECT_EQ(Spool::Read(path_).status().code(), absl::StatusCode::kDataLoss);
  }
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
  v1::AttemptRecord large;
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

}  // namespace
}  // namespace coppice::worker
