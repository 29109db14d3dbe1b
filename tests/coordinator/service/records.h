// Records of attempts, for tests of the stream that carries them.
#ifndef COPPICE_TESTS_COORDINATOR_SERVICE_RECORDS_H_
#define COPPICE_TESTS_COORDINATOR_SERVICE_RECORDS_H_

#include <string>
#include <utility>
#include <vector>

#include "coppice/v1/coordinator.pb.h"

namespace coppice::service {

inline v1::AttemptRecord RowRecord(uint32_t step, double loss) {
  v1::AttemptRecord record;
  record.mutable_row()->set_step(step);
  v1::MetricValue* value = record.mutable_row()->add_values();
  value->set_name("train_loss");
  value->set_value(loss);
  return record;
}
inline v1::AttemptRecord LogRecord(const std::string& text) {
  v1::AttemptRecord record;
  record.set_log(text);
  return record;
}
inline v1::AttemptRecord CompletionRecord(uint32_t step) {
  v1::AttemptRecord record;
  record.mutable_completed()->set_step(step);
  return record;
}
inline v1::AttemptRecord FailureRecord(uint32_t step, const std::string& kind,
                                       const std::string& message) {
  v1::AttemptRecord record;
  record.mutable_failed()->set_step(step);
  record.mutable_failed()->set_kind(kind);
  record.mutable_failed()->set_message(message);
  return record;
}
inline v1::AttemptRecord PreemptedRecord(uint32_t step, const std::string& reason) {
  v1::AttemptRecord record;
  record.mutable_released()->set_step(step);
  record.mutable_released()->set_reason(reason);
  record.mutable_released()->mutable_preempted();
  return record;
}

// Adds records of one attempt to a message and numbers them from `first` on.
inline void AddRecords(const v1::LeaseRef& lease, uint64_t first,
                       std::vector<v1::AttemptRecord> records, v1::StreamRecordsRequest* message) {
  for (v1::AttemptRecord& record : records) {
    *record.mutable_lease() = lease;
    record.set_number(first++);
    *message->add_records() = std::move(record);
  }
}
inline v1::StreamRecordsRequest MessageOf(const std::string& worker_id, const v1::LeaseRef& lease,
                                          uint64_t first, std::vector<v1::AttemptRecord> records) {
  v1::StreamRecordsRequest message;
  message.set_worker_id(worker_id);
  AddRecords(lease, first, std::move(records), &message);
  return message;
}
inline v1::LeaseRef LeaseOf(uint64_t job_id, uint64_t attempt = 1) {
  v1::LeaseRef lease;
  lease.set_job_id(job_id);
  lease.set_attempt(attempt);
  return lease;
}

}  // namespace coppice::service

#endif  // COPPICE_TESTS_COORDINATOR_SERVICE_RECORDS_H_
