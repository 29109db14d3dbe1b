#include "worker/daemon/left_spools.h"

#include <optional>
#include <utility>

#include "common/base/directory.h"
#include "common/base/files.h"
#include "common/base/logging.h"
#include "common/base/status_macros.h"
#include "worker/daemon/lease_key.h"
#include "worker/daemon/state_folder.h"

namespace coppice::worker {
namespace {

std::optional<SpoolContents> ReadOrRemove(const Directory& folder, const std::string& name) {
  const std::string file = JoinPath(folder.path(), name);
  auto contents = Spool::Read(file);
  if (!contents.ok()) {
    // A crash before the first sync leaves an empty file. In either case nothing can be saved.
    spdlog::warn("{}; removing it", contents.status().ToString());
    const absl::Status removed = folder.RemoveFile(name);
    if (!removed.ok()) spdlog::warn("{}", removed.ToString());
    return std::nullopt;
  }
  const std::string lease = ToString(KeyOf(contents->lease.lease()));
  if (contents->corrupt) {
    spdlog::warn(
        "{} is damaged: records of {} behind the first {} are lost, and will be computed again",
        file, lease, contents->records.size());
  }
  if (contents->earlier_version) {
    spdlog::warn(
        "{} is of an earlier version: the records of {} are lost, and will be computed again", file,
        lease);
  }
  spdlog::info("{}: {} records are left from an earlier run of this worker", lease,
               contents->records.size());
  return *std::move(contents);
}

}  // namespace

absl::StatusOr<std::vector<SpoolContents>> ReadLeftSpools(const std::string& path) {
  COPPICE_ASSIGN_OR_RETURN(const Directory folder, Directory::Open(path));
  COPPICE_ASSIGN_OR_RETURN(const std::vector<Directory::Entry> files, folder.List());
  std::vector<SpoolContents> spools;
  spools.reserve(files.size());
  for (const Directory::Entry& file : files) {
    if (file.is_file() && IsSpoolFileName(file.name)) {
      auto contents = ReadOrRemove(folder, file.name);
      if (contents.has_value()) spools.push_back(*std::move(contents));
    } else {
      spdlog::warn("{} is no spool of a worker; it stays where it is", JoinPath(path, file.name));
    }
  }
  return spools;
}

}  // namespace coppice::worker
