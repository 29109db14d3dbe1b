#include "coordinator/service/record_queue.h"

#include <algorithm>
#include <variant>

#include "coordinator/core/sizes.h"

namespace coppice::service {
namespace {

bool NeedsCheck(const core::Record& record) {
  const auto* checkpoint = std::get_if<core::CheckpointRecord>(&record.content);
  return checkpoint != nullptr && checkpoint->left_out.empty();
}

}  // namespace

void RecordQueue::Count(const core::Record& record) {
  const size_t bytes = core::BytesOf(record);
  ++size_;
  bytes_ += bytes;
  budget_->Take(bytes);
}

void RecordQueue::Discount(const core::Record& record) {
  const size_t bytes = core::BytesOf(record);
  --size_;
  bytes_ -= bytes;
  budget_->GiveBack(bytes);
}

void RecordQueue::Add(std::vector<core::Record> records) {
  for (core::Record& record : records) {
    const auto refused = refused_.find(KeyOf(record.lease));
    if (refused != refused_.end()) {
      if (record.number > refused->second) continue;
      refused_.erase(refused);
    }
    Count(record);
    Place(std::move(record));
  }
}

void RecordQueue::Place(core::Record record) {
  const Key key = KeyOf(record.lease);
  const auto waiting = waiting_.find(key);
  if (waiting != waiting_.end()) {
    waiting->second.records.push_back(std::move(record));
  } else if (NeedsCheck(record)) {
    checks_.push_back(
        {++last_check_, record.lease, std::get<core::CheckpointRecord>(record.content)});
    Waiting& added = waiting_[key];
    added.check = last_check_;
    added.records.push_back(std::move(record));
  } else {
    ready_.push_back(std::move(record));
  }
}

void RecordQueue::Checked(const core::LeaseRef& lease, uint64_t id, std::string left_out) {
  const auto found = waiting_.find(KeyOf(lease));
  if (found == waiting_.end() || found->second.check != id) return;  // dropped meanwhile
  std::deque<core::Record> records = std::move(found->second.records);
  waiting_.erase(found);
  core::Record checked = std::move(records.front());
  records.pop_front();
  Discount(checked);
  std::get<core::CheckpointRecord>(checked.content).left_out = std::move(left_out);
  Count(checked);
  ready_.push_back(std::move(checked));
  for (core::Record& record : records) Place(std::move(record));
}

std::vector<core::Record> RecordQueue::TakeBatch() {
  for (const core::Record& record : ready_) Discount(record);
  return std::exchange(ready_, {});
}

void RecordQueue::Answered(const core::AttemptAnswer& answer) {
  if (answer.refusal.ok()) return;
  DropAttempt(answer.lease);
  refused_[KeyOf(answer.lease)] = answer.number + 1;
}

void RecordQueue::DropAttempt(const core::LeaseRef& lease) {
  const auto drop = [&](const core::Record& record) {
    if (record.lease != lease) return false;
    Discount(record);
    return true;
  };
  ready_.erase(std::remove_if(ready_.begin(), ready_.end(), drop), ready_.end());
  const auto waiting = waiting_.find(KeyOf(lease));
  if (waiting == waiting_.end()) return;
  for (const core::Record& record : waiting->second.records) Discount(record);
  waiting_.erase(waiting);
  checks_.erase(std::remove_if(checks_.begin(), checks_.end(),
                               [&](const Check& check) { return check.lease == lease; }),
                checks_.end());
}

}  // namespace coppice::service
