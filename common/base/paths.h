#ifndef COPPICE_COMMON_BASE_PATHS_H_
#define COPPICE_COMMON_BASE_PATHS_H_

#include <string>

namespace coppice {

// The folder that contains `path`: "." for a bare name, "/" for an entry of the root.
std::string FolderOf(const std::string& path);

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_PATHS_H_
