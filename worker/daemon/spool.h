// The records of an attempt, kept on disk until the coordinator has acknowledged them.
#ifndef COPPICE_WORKER_DAEMON_SPOOL_H_
#define COPPICE_WORKER_DAEMON_SPOOL_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "coppice/v1/coordinator.pb.h"

namespace coppice::worker {

struct SpoolContents {
  v1::Lease lease;
  std::vector<v1::AttemptRecord> records;  // numbered from 1, without gaps
  uint64_t valid_bytes = 0;
  bool torn = false;     // a crash in mid-write cut off the last record
  bool corrupt = false;  // a record's checksum or form is wrong; it and all after it are left out
  // An earlier version of this program wrote the file. Only the lease is read.
  bool earlier_version = false;
};

// An append-only file of one lease. It begins with "CPSPOOL2"; then come frames of
//   length (u32, little endian; of type byte and payload) | XXH3-64 of type and payload (u64) |
//   type (u8) | payload (a protobuf message)
// The first frame holds the lease, the others a v1::AttemptRecord each. The numbers of the records
// follow each other. An ending may have an earlier number: it replaces the record of that number
// and all after it, which the coordinator has refused.
// Files of the version before begin with "CPSPOOL1". Their first frame is the same.
// Owner: an Outbox. Not thread-safe, but it may move between threads. Every call may block on
// the disk.
// Codes as in common/base/files.h, and RESOURCE_EXHAUSTED for a record over the limit.
// Durability: appended records survive a crash once Sync is OK. After an error, the file holds a
// valid beginning and takes nothing more.
class Spool {
 public:
  static constexpr uint32_t kMaxRecordBytes = 4 << 20;

  // ALREADY_EXISTS if the file exists.
  static absl::StatusOr<std::unique_ptr<Spool>> Create(const std::string& path,
                                                       const v1::Lease& lease);
  // Continues a file that Read has understood, after its last valid record.
  static absl::StatusOr<std::unique_ptr<Spool>> Continue(const std::string& path,
                                                         uint64_t valid_bytes);
  // DATA_LOSS if not even the lease can be read.
  static absl::StatusOr<SpoolContents> Read(const std::string& path);

  ~Spool();
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  absl::Status Append(const v1::AttemptRecord& record);
  absl::Status Sync();

 private:
  Spool(std::string path, int fd, uint64_t size) : path_(std::move(path)), fd_(fd), size_(size) {}
  absl::Status AppendFrame(uint8_t type, absl::string_view payload);

  const std::string path_;
  int fd_;
  uint64_t size_;  // the part that Sync has made durable
  std::string buffer_;
  absl::Status error_;
};

// The file's name for a lease: sorts by job, then attempt.
std::string SpoolFileName(const v1::LeaseRef& lease);

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_SPOOL_H_
