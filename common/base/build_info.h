// Which Coppice this is: its version and the commit that it was built from.
#ifndef COPPICE_COMMON_BASE_BUILD_INFO_H_
#define COPPICE_COMMON_BASE_BUILD_INFO_H_

#include <string>

#include "absl/strings/string_view.h"

namespace coppice {

// Of the CMake target coppice_commit, which programs alone link: a new commit links them anew and
// not every test.
extern const char kBuildCommit[];

// In every main, before anything else, with kBuildCommit. `commit` must live as long as the
// process.
void SetCommit(const char* commit);

// "0123456789ab", "0123456789ab-dirty" when files differed from it, "unknown" where the source is
// not in a repository, or in a program that called no SetCommit.
absl::string_view Commit();

// "0.1.0 (0123456789ab)".
std::string VersionText();

// What --version prints: "coppice-worker 0.1.0 (0123456789ab)".
std::string ProgramVersion(absl::string_view program);

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_BUILD_INFO_H_
