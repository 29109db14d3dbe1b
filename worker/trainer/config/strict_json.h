// Reads JSON that a person or another program wrote. Every key must be known, of the right type and
// in its range; otherwise the error names it.
#ifndef COPPICE_WORKER_TRAINER_CONFIG_STRICT_JSON_H_
#define COPPICE_WORKER_TRAINER_CONFIG_STRICT_JSON_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"

namespace coppice::trainer {

// 2^53: up to here a double holds every integer exactly.
inline constexpr double kLargestExactInteger = 9007199254740992.0;

// Parses `text`. A repeated key is an error. INVALID_ARGUMENT names the byte or the key. Does not
// throw.
absl::StatusOr<nlohmann::json> ParseStrictJson(absl::string_view text);

// Reads one object. Each getter leaves `*out` alone when the key is absent. `*status` keeps the
// first error of a tree of objects, so a caller reads everything and checks once. Finish() refuses
// keys that no call asked for. Not thread-safe; `value` and `status` must outlive it.
class StrictObject {
 public:
  // `path` is the object's place in the document ("run.model"), empty at the top.
  StrictObject(const nlohmann::json* value, std::string path, absl::Status* status);

  bool Has(absl::string_view key) const;
  // The key's value, or null when it is absent. The key counts as known from now on.
  const nlohmann::json* Find(absl::string_view key);
  void Int(absl::string_view key, int64_t min, int64_t max, int64_t* out);
  void Unsigned(absl::string_view key, uint64_t* out);
  void String(absl::string_view key, std::string* out);
  void Bool(absl::string_view key, bool* out);
  // The child object; it is empty when the key is absent.
  StrictObject Object(absl::string_view key);
  // The elements of a list of objects; none when the key is absent.
  std::vector<StrictObject> Objects(absl::string_view key);
  void Require(absl::string_view key);
  // Reports an error of the caller's own about `key`.
  void Fail(absl::string_view key, absl::string_view message);
  void Finish();

 private:
  std::string PathOf(absl::string_view key) const;

  const nlohmann::json* value_;  // null when absent
  std::string path_;
  absl::Status* status_;
  std::vector<std::string> known_;
};

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_CONFIG_STRICT_JSON_H_
