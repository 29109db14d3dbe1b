#include "coordinator/commands/port_file.h"

#include <sys/stat.h>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/file_names.h"
#include "common/base/files.h"

namespace coppice::commands {
namespace {

// Accepts HOST:PORT. A host has no blanks.
bool IsAddress(absl::string_view text) {
  const size_t colon = text.rfind(':');
  return colon != absl::string_view::npos && colon > 0 && NameFits(text.substr(colon + 1), "#") &&
         text.find_first_of(" \t\r\n") == absl::string_view::npos;
}

}  // namespace

void PortFile::Remove() {
  if (written_.empty()) return;
  const absl::StatusOr<std::string> content = ReadFile(path_);
  if (content.ok() && *content == written_) RemoveFile(path_).IgnoreError();
}

absl::Status PortFile::Clear() {
  struct stat info;
  if (path_.empty() || ::lstat(path_.c_str(), &info) != 0) return absl::OkStatus();
  bool ours = false;
  if (S_ISREG(info.st_mode)) {
    const absl::StatusOr<std::string> content = ReadFile(path_);
    if (!content.ok()) return content.status();
    const absl::string_view text = absl::StripAsciiWhitespace(*content);
    ours = text.empty() || IsAddress(text);
  }
  if (ours) return RemoveFile(path_);
  return absl::FailedPreconditionError(
      absl::StrCat(path_,
                   " is there and is not a file with an address, so it stays; name another "
                   "with --port-file FILE"));
}

absl::Status PortFile::Write(const std::string& address) {
  if (path_.empty()) return absl::OkStatus();
  written_ = address;
  return WriteFileAtomically(path_, address);
}

}  // namespace coppice::commands
