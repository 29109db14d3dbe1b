#ifndef COPPICE_COORDINATOR_SERVICE_RECORD_QUEUE_H_
#define COPPICE_COORDINATOR_SERVICE_RECORD_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "coordinator/core/types.h"
#include "coordinator/service/byte_budget.h"

namespace coppice::service {

// Purpose: keeps the records of one stream until the core takes them, in order for each attempt.
// Owner: a RecordStream. Not thread-safe. Nothing is durable.
//   1. Add takes the records of a message.
//   2. A checkpoint record waits until its file was checked (TakeChecks, Checked). Later records of
//      its attempt wait behind it; other attempts go on.
//   3. TakeBatch hands out everything that does not wait.
//   4. After the refusal of a record, later records of its attempt are dropped until the worker
//      sends another record under its number. So each fault is answered once, although the worker
//      may have sent more records meanwhile.
class RecordQueue {
 public:
  // A checkpoint whose file must be checked.
  struct Check {
    uint64_t id = 0;
    core::LeaseRef lease;
    core::CheckpointRecord checkpoint;
  };

  // `budget` counts the bytes of all streams.
  explicit RecordQueue(std::shared_ptr<ByteBudget> budget) : budget_(std::move(budget)) {}
  ~RecordQueue() { budget_->GiveBack(bytes_); }
  RecordQueue(const RecordQueue&) = delete;
  RecordQueue& operator=(const RecordQueue&) = delete;

  void Add(std::vector<core::Record> records);
  // Returns the checks to start, each once.
  std::vector<Check> TakeChecks() { return std::exchange(checks_, {}); }
  // Ends a check. `left_out`: see core::CheckpointRecord.
  void Checked(const core::LeaseRef& lease, uint64_t id, std::string left_out);
  std::vector<core::Record> TakeBatch();
  // The core's answer to a batch.
  void Answered(const core::AttemptAnswer& answer);

  size_t size() const { return size_; }  // includes those that wait
  size_t bytes() const { return bytes_; }
  bool empty() const { return size_ == 0; }
  bool has_batch() const { return !ready_.empty(); }

 private:
  using Key = std::pair<core::JobId, core::AttemptNumber>;
  struct Waiting {
    uint64_t check = 0;  // of the first record
    std::deque<core::Record> records;
  };
  static Key KeyOf(const core::LeaseRef& lease) { return {lease.job_id, lease.attempt}; }

  void Place(core::Record record);
  void Count(const core::Record& record);
  void Discount(const core::Record& record);
  void DropAttempt(const core::LeaseRef& lease);

  const std::shared_ptr<ByteBudget> budget_;
  std::vector<core::Record> ready_;
  absl::flat_hash_map<Key, Waiting> waiting_;
  absl::flat_hash_map<Key, uint64_t> refused_;  // the number of the refused record
  std::vector<Check> checks_;
  uint64_t last_check_ = 0;
  size_t size_ = 0;
  size_t bytes_ = 0;
};

}  // namespace coppice::service

#endif  // COPPICE_COORDINATOR_SERVICE_RECORD_QUEUE_H_
