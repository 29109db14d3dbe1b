#ifndef COPPICE_TESTS_TESTING_GOLDEN_FILES_H_
#define COPPICE_TESTS_TESTING_GOLDEN_FILES_H_

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

namespace coppice::trainer {

// Where golden numbers lie: COPPICE_GOLDEN_DIR, or the project's own folder.
inline std::string GoldenDirectory() {
  const char* from_environment = std::getenv("COPPICE_GOLDEN_DIR");
  return from_environment != nullptr && *from_environment != '\0' ? from_environment
                                                                  : COPPICE_DEFAULT_GOLDEN_DIR;
}

// Its files whose names end so, sorted; none when there is no such folder.
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
