// Returns the memory that waiting calls hold, as far as their callers determine it.
#ifndef COPPICE_COORDINATOR_CORE_SIZES_H_
#define COPPICE_COORDINATOR_CORE_SIZES_H_

#include <cstddef>
#include <vector>

#include "coordinator/core/types.h"

namespace coppice::core {

inline size_t BytesOf(const SweepSpec& spec) {
  size_t bytes = spec.spec_blob.size() + spec.seeds.size() * sizeof(uint32_t);
  for (const GroupSpec& group : spec.groups) bytes += sizeof(GroupSpec) + group.run_json.size();
  return bytes;
}

inline size_t BytesOf(const JobFilter& filter) {
  return filter.job_ids.size() * sizeof(JobId) +
         (filter.depths.size() + filter.seeds.size()) * sizeof(uint32_t) +
         filter.tasks.size() * sizeof(std::string);
}

inline size_t BytesOf(const std::vector<HeldLease>& held) {
  return held.size() * sizeof(HeldLease);
}

inline size_t BytesOf(const std::vector<Record>& records) {
  size_t bytes = records.size() * sizeof(Record);
  for (const Record& record : records) {
    if (record.row.has_value()) {
      for (const MetricValue& value : record.row->values)
        bytes += sizeof(MetricValue) + value.name.size();
    }
    bytes += record.log.has_value() ? record.log->size() : 0;
    bytes += record.provenance.has_value() ? record.provenance->size() : 0;
  }
  return bytes;
}

inline size_t BytesOf(const AttemptEnd& end) { return end.message.size() + end.log_tail.size(); }

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_SIZES_H_
