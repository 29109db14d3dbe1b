// When each token was last used: noted by the coordinator, shown by `token list`.
#ifndef COPPICE_COORDINATOR_SECURITY_TOKEN_USES_H_
#define COPPICE_COORDINATOR_SECURITY_TOKEN_USES_H_

#include <atomic>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace coppice::security {

// Of one token, to the second. Thread-safe; calls of many threads do not hold each other up.
class LastUse {
 public:
  void Note(absl::Time when) {
    const int64_t second = absl::ToUnixSeconds(when);
    // One write a second, or every call would take the cache line from the other CPUs.
    if (second_.load(std::memory_order_relaxed) != second) {
      second_.store(second, std::memory_order_relaxed);
    }
  }
  // InfinitePast: not since it has been noted.
  absl::Time when() const {
    const int64_t second = second_.load(std::memory_order_relaxed);
    return second == 0 ? absl::InfinitePast() : absl::FromUnixSeconds(second);
  }

 private:
  std::atomic<int64_t> second_ = 0;
};

struct TokenUses {
  absl::Time since;                        // uses before this were not noted
  std::map<std::string, absl::Time> last;  // by the token's name
};

// Beside the token file; mode 0600, without secrets.
std::string TokenUsesFile(const std::string& tokens);
std::string SerializeTokenUses(const TokenUses& uses);
// INVALID_ARGUMENT: it is no such file.
absl::StatusOr<TokenUses> ParseTokenUses(absl::string_view text);
// Of a token file. The codes of ReadSecretFile and ParseTokenUses; nothing of importance is lost
// with it.
absl::StatusOr<TokenUses> LoadTokenUses(const std::string& tokens);

}  // namespace coppice::security

#endif  // COPPICE_COORDINATOR_SECURITY_TOKEN_USES_H_
