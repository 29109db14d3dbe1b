#ifndef COPPICE_COMMON_BASE_ARGV_H_
#define COPPICE_COMMON_BASE_ARGV_H_

#include <string>
#include <vector>

namespace coppice {

// The pointers that exec takes, with a null at the end. They point into `strings`.
inline std::vector<char*> ExecPointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_ARGV_H_
