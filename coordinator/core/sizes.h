// The memory that waiting calls hold, as far as their callers determine it.
#ifndef COPPICE_COORDINATOR_CORE_SIZES_H_
#define COPPICE_COORDINATOR_CORE_SIZES_H_

#include <cstddef>
#include <variant>
#include <vector>

#include "coordinator/core/types.h"

namespace coppice::core {

inline size_t BytesOf(const SweepSpec& spec) {
  size_t bytes = spec.spec_blob.size() + spec.seeds.size() * sizeof(uint32_t);
  for (const GroupSpec& group : spec.groups) {
    bytes += sizeof(GroupSpec) + group.run_json.size() + group.point.size() * sizeof(Coordinate);
  }
  return bytes;
}

inline size_t BytesOf(const JobFilter& filter) {
  size_t bytes = 0;
  for (const AxisCondition& condition : filter.where)
    bytes += sizeof(condition) + condition.values.size() * sizeof(std::string);
  return bytes + filter.job_ids.size() * sizeof(JobId) +
         (filter.depths.size() + filter.seeds.size()) * sizeof(uint32_t) +
         filter.tasks.size() * sizeof(std::string);
}

inline size_t BytesOf(const std::vector<HeldLease>& held) {
  return held.size() * sizeof(HeldLease);
}

inline size_t BytesOf(const MetricRow& row) {
  size_t bytes = 0;
  for (const MetricValue& value : row.values) bytes += sizeof(MetricValue) + value.name.size();
  return bytes;
}
inline size_t BytesOf(const LogText& log) { return log.text.size(); }
inline size_t BytesOf(const TrainerStart& start) { return start.provenance.size(); }
inline size_t BytesOf(const CheckpointRecord& checkpoint) {
  return checkpoint.path.size() + checkpoint.digest.size() + checkpoint.left_out.size();
}
inline size_t BytesOf(const Completion&) { return 0; }
inline size_t BytesOf(const Failure& end) { return end.message.size() + end.log_tail.size(); }
inline size_t BytesOf(const Release& end) { return end.reason.size(); }
inline size_t BytesOf(const Malformed& malformed) { return malformed.fault.size(); }

inline size_t BytesOf(const Record& record) {
  return sizeof(Record) +
         std::visit([](const auto& content) { return BytesOf(content); }, record.content);
}

inline size_t BytesOf(const std::vector<Record>& records) {
  size_t bytes = 0;
  for (const Record& record : records) bytes += BytesOf(record);
  return bytes;
}

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_SIZES_H_
