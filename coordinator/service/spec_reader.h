#ifndef COPPICE_COORDINATOR_SERVICE_SPEC_READER_H_
#define COPPICE_COORDINATOR_SERVICE_SPEC_READER_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/core/extension.h"

namespace coppice::service {

// Reads the specs and runs that the core stores as text (core/extension.h).
class SpecReader : public core::SpecReader {
 public:
  absl::StatusOr<std::vector<uint32_t>> SeedsOf(const std::string& spec_blob) const override;
  absl::StatusOr<std::vector<core::SettingChange>> CompareSweeps(
      const std::string& stored_blob, const std::string& wanted_blob) const override;
  absl::StatusOr<core::RunChange> CompareRuns(const std::string& stored_json,
                                              const std::string& wanted_json) const override;
};

}  // namespace coppice::service

#endif  // COPPICE_COORDINATOR_SERVICE_SPEC_READER_H_
