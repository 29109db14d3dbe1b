// The version of this Coppice and the commit from which it was built.
#ifndef COPPICE_COMMON_BASE_BUILD_INFO_H_
#define COPPICE_COMMON_BASE_BUILD_INFO_H_

#include <string>

#include "absl/strings/string_view.h"

namespace coppice {

// Defined by the CMake target coppice_commit. Only programs link it, so a new commit relinks the
// programs and not every test.
extern const char kBuildCommit[];

// Every main calls this first, with kBuildCommit. `commit` must live as long as the process.
void SetCommit(const char* commit);

// "0123456789ab", or "0123456789ab-dirty" if files differed from that commit. "unknown" if the
// source is not in a repository or the program did not call SetCommit.
absl::string_view Commit();

// "0.1.0 (0123456789ab)".
std::string VersionText();

// The output of --version: "coppice-worker 0.1.0 (0123456789ab)".
std::string ProgramVersion(absl::string_view program);

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_BUILD_INFO_H_
