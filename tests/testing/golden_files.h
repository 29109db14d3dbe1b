#ifndef COPPICE_TESTS_TESTING_GOLDEN_FILES_H_
#define COPPICE_TESTS_TESTING_GOLDEN_FILES_H_

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

namespace coppice::trainer {

// The folder of golden numbers: COPPICE_GOLDEN_DIR, or the project's own folder. A relative path
// starts at the user's working directory (PWD), not at the folder in which ctest runs a test.
inline std::string GoldenDirectory() {
  const char* from_environment = std::getenv("COPPICE_GOLDEN_DIR");
  if (from_environment == nullptr || *from_environment == '\0') return COPPICE_DEFAULT_GOLDEN_DIR;
  const char* shell_folder = std::getenv("PWD");
  const std::filesystem::path directory = from_environment;
  if (directory.is_absolute() || shell_folder == nullptr) return from_environment;
  return (std::filesystem::path(shell_folder) / directory).string();
}

// The files of that folder whose names have this ending, sorted; none if there is no such folder.
inline std::vector<std::string> GoldenFiles(const std::string& ending) {
  std::vector<std::string> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(GoldenDirectory(), error)) {
    const std::string name = entry.path().filename().string();
    if (name.size() > ending.size() &&
        name.compare(name.size() - ending.size(), ending.size(), ending) == 0) {
      files.push_back(entry.path().string());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace coppice::trainer

#endif  // COPPICE_TESTS_TESTING_GOLDEN_FILES_H_
