#include "common/base/ids.h"

#include <sys/random.h>
#include <unistd.h>

#include <random>

#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"

namespace coppice {

std::string RandomId() {
  char bytes[16];
  if (::getrandom(bytes, sizeof(bytes), 0) != static_cast<ssize_t>(sizeof(bytes))) {
    std::random_device device;
    for (char& byte : bytes) byte = static_cast<char>(device());
  }
  return absl::BytesToHexString(absl::string_view(bytes, sizeof(bytes)));
}

std::string HostName() {
  char name[256] = {};
  if (::gethostname(name, sizeof(name) - 1) != 0 || name[0] == '\0') return "localhost";
  return name;
}

}  // namespace coppice
