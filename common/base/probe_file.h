// Small files by which two machines find out that they see the same folder.
#ifndef COPPICE_COMMON_BASE_PROBE_FILE_H_
#define COPPICE_COMMON_BASE_PROBE_FILE_H_

#include <string>

#include "absl/status/status.h"

namespace coppice {

enum class ProbeSide { kCoordinator, kNode };

// The file of one side in `folder`. `key` is a plain name that no other probe has, so the file is
// nobody else's.
std::string ProbeFilePath(const std::string& folder, const std::string& key, ProbeSide side);

// Writes the file. ALREADY_EXISTS: something has its name. Otherwise the codes of files.h.
absl::Status WriteProbeFile(const std::string& folder, const std::string& key, ProbeSide side);
// OK: the file is there, as WriteProbeFile wrote it. No link is followed. DATA_LOSS: other content.
// Otherwise the codes of RegularFile.
absl::Status CheckProbeFile(const std::string& folder, const std::string& key, ProbeSide side);
// Removes the file if it is as WriteProbeFile wrote it.
void RemoveProbeFile(const std::string& folder, const std::string& key, ProbeSide side);

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_PROBE_FILE_H_
