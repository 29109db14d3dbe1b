// The last use of each token, recorded by the coordinator and shown by `token list`.
#ifndef COPPICE_COORDINATOR_SECURITY_TOKEN_USES_H_
#define COPPICE_COORDINATOR_SECURITY_TOKEN_USES_H_

#include <atomic>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace coppice::security {

// Of the times in the files of tokens and of their uses, in UTC.
inline constexpr char kTokenTimeFormat[] = "%Y-%m-%dT%H:%M:%SZ";

// The last use of one token, to the second. Thread-safe; calls from many threads do not block each
// other.
class LastUse {
 public:
  void Note(absl::Time when) {
    const int64_t second = absl::ToUnixSeconds(when);
    // At most one write a second. Otherwise every call would take the cache line from the other
    // CPUs.
    if (second_.load(std::memory_order_relaxed) != second) {
      second_.store(second, std::memory_order_relaxed);
    }
  }
  // InfinitePast: not used since recording began.
  absl::Time when() const {
    const int64_t second = second_.load(std::memory_order_relaxed);
    return second == 0 ? absl::InfinitePast() : absl::FromUnixSeconds(second);
  }

 private:
  std::atomic<int64_t> second_ = 0;
};

struct TokenUses {
  absl::Time since;                        // earlier uses were not recorded
  std::map<std::string, absl::Time> last;  // by the token's name
};

// The path, beside the token file. The file has mode 0600 and holds no secrets.
std::string TokenUsesFile(const std::string& tokens);
std::string SerializeTokenUses(const TokenUses& uses);
// INVALID_ARGUMENT: not such a file.
absl::StatusOr<TokenUses> ParseTokenUses(absl::string_view text);
// Loads the uses that belong to a token file. The codes of ReadSecretFile and ParseTokenUses.
// Losing this file does no harm.
absl::StatusOr<TokenUses> LoadTokenUses(const std::string& tokens);

}  // namespace coppice::security

#endif  // COPPICE_COORDINATOR_SECURITY_TOKEN_USES_H_
