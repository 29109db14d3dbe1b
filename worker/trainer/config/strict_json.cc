#include "worker/trainer/config/strict_json.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/nearest_word.h"

namespace coppice::trainer {
namespace {

using nlohmann::json;

}  // namespace

absl::StatusOr<json> ParseStrictJson(absl::string_view text) {
  std::vector<std::set<std::string>> open;
  std::string duplicate;
  auto watch = [&](int, json::parse_event_t event, json& parsed) {
    if (event == json::parse_event_t::object_start) open.emplace_back();
    if (event == json::parse_event_t::object_end && !open.empty()) open.pop_back();
    if (event == json::parse_event_t::key && !open.empty() &&
        !open.back().insert(parsed.get<std::string>()).second && duplicate.empty()) {
      duplicate = parsed.get<std::string>();
    }
    return true;
  };
  try {
    json value = json::parse(text.begin(), text.end(), watch);
    if (!duplicate.empty()) {
      return absl::InvalidArgumentError(absl::StrCat("key \"", duplicate, "\" is given twice"));
    }
    return value;
  } catch (const json::exception& error) {
    return absl::InvalidArgumentError(absl::StrCat("not valid JSON: ", error.what()));
  }
}

StrictObject::StrictObject(const json* value, std::string path, absl::Status* status)
    : value_(value), path_(std::move(path)), status_(status) {
  if (value_ != nullptr && !value_->is_object()) {
    if (status_->ok()) {
      *status_ = absl::InvalidArgumentError(
          absl::StrCat(path_.empty() ? "the document" : path_, " must be an object"));
    }
    value_ = nullptr;
  }
}

std::string StrictObject::PathOf(absl::string_view key) const {
  return path_.empty() ? std::string(key) : absl::StrCat(path_, ".", key);
}

void StrictObject::Fail(absl::string_view key, absl::string_view message) {
  if (status_->ok()) *status_ = absl::InvalidArgumentError(absl::StrCat(PathOf(key), " ", message));
}

bool StrictObject::Has(absl::string_view key) const {
  return value_ != nullptr && value_->contains(std::string(key));
}

void StrictObject::Require(absl::string_view key) {
  if (!Has(key)) Fail(key, "is missing");
}

const json* StrictObject::Find(absl::string_view key) {
  known_.emplace_back(key);
  if (value_ == nullptr) return nullptr;
  const auto it = value_->find(known_.back());
  return it == value_->end() ? nullptr : &*it;
}

void StrictObject::Int(absl::string_view key, int64_t min, int64_t max, int64_t* out) {
  const json* value = Find(key);
  if (value == nullptr) return;
  int64_t parsed = 0;
  bool in_range = true;
  if (value->is_number_unsigned()) {
    const uint64_t raw = value->get<uint64_t>();
    in_range = raw <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
    parsed = in_range ? static_cast<int64_t>(raw) : 0;
  } else if (value->is_number_integer()) {
    parsed = value->get<int64_t>();
  } else if (value->is_number_float() && std::trunc(value->get<double>()) == value->get<double>() &&
             std::abs(value->get<double>()) <= kLargestExactInteger) {
    parsed = static_cast<int64_t>(value->get<double>());  // people write 3e5 for an integer
  } else {
    return Fail(key, absl::StrCat("must be an integer, not ", value->dump()));
  }
  if (!in_range || parsed < min || parsed > max) {
    return Fail(key, absl::StrCat("must be from ", min, " to ", max, ", not ", value->dump()));
  }
  *out = parsed;
}

void StrictObject::Unsigned(absl::string_view key, uint64_t* out) {
  const json* value = Find(key);
  if (value == nullptr) return;
  if (!value->is_number_unsigned()) {
    return Fail(key, absl::StrCat("must be an integer from 0 to 18446744073709551615, not ",
                                  value->dump()));
  }
  *out = value->get<uint64_t>();
}

void StrictObject::String(absl::string_view key, std::string* out) {
  const json* value = Find(key);
  if (value == nullptr) return;
  if (!value->is_string()) return Fail(key, absl::StrCat("must be a string, not ", value->dump()));
  *out = value->get<std::string>();
}

void StrictObject::Bool(absl::string_view key, bool* out) {
  const json* value = Find(key);
  if (value == nullptr) return;
  if (!value->is_boolean())
    return Fail(key, absl::StrCat("must be true or false, not ", value->dump()));
  *out = value->get<bool>();
}

StrictObject StrictObject::Object(absl::string_view key) {
  return StrictObject(Find(key), PathOf(key), status_);
}

std::vector<StrictObject> StrictObject::Objects(absl::string_view key) {
  std::vector<StrictObject> objects;
  const json* value = Find(key);
  if (value == nullptr) return objects;
  if (!value->is_array()) {
    Fail(key, "must be a list");
    return objects;
  }
  for (size_t i = 0; i < value->size(); ++i) {
    objects.emplace_back(&(*value)[i], absl::StrCat(PathOf(key), "[", i, "]"), status_);
  }
  return objects;
}

void StrictObject::Finish() {
  if (value_ == nullptr || !status_->ok()) return;
  for (const auto& item : value_->items()) {
    if (std::find(known_.begin(), known_.end(), item.key()) != known_.end()) continue;
    const std::string nearest = NearestWord(item.key(), known_);
    Fail(item.key(), nearest.empty()
                         ? "is not a known key"
                         : absl::StrCat("is not a known key; did you mean \"", nearest, "\"?"));
    return;
  }
}

}  // namespace coppice::trainer
