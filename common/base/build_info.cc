#include "common/base/build_info.h"

#include <atomic>

#include "absl/strings/str_cat.h"

namespace coppice {
namespace {

std::atomic<const char*> commit_text{"unknown"};

}  // namespace

void SetCommit(const char* commit) { commit_text = commit; }

absl::string_view Commit() { return commit_text.load(); }

std::string VersionText() { return absl::StrCat(COPPICE_VERSION, " (", Commit(), ")"); }

std::string ProgramVersion(absl::string_view program) {
  return absl::StrCat(program, " ", VersionText());
}

}  // namespace coppice
