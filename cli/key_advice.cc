#include "cli/key_advice.h"

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "common/base/nearest_word.h"

namespace coppice::cli {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

std::vector<std::string> FieldNames(const Descriptor& descriptor) {
  std::vector<std::string> names;
  names.reserve(descriptor.field_count());
  for (int i = 0; i < descriptor.field_count(); ++i) {
    names.emplace_back(descriptor.field(i)->name());
  }
  return names;
}

// The path of a field below `path`, as a user writes it.
std::string PathInFile(const std::string& path, const FieldDescriptor& field) {
  const absl::string_view name = field.name();
  if (path.empty()) return std::string(name);
  if (path != "program") return absl::StrCat(path, ".", name);
  if (name == "primary") return "program.metrics.primary";
  if (name == "gpus" || name == "threads") return absl::StrCat("program.resources.", name);
  return absl::StrCat("program.", name);
}

// Finds the paths of all fields of that name below `descriptor`, through single messages.
void FindPlaces(const Descriptor& descriptor, const std::string& key, const std::string& path,
                std::vector<std::string>* places) {
  for (int i = 0; i < descriptor.field_count(); ++i) {
    const FieldDescriptor& field = *descriptor.field(i);
    const std::string below = PathInFile(path, field);
    if (field.name() == key) places->push_back(below);
    if (field.message_type() != nullptr && !field.is_repeated())
      FindPlaces(*field.message_type(), key, below, places);
  }
}

bool IsSeed(const std::string& key) { return key == "seed" || key == "seeds"; }

// Returns "overrides[1]" for "overrides[1].train".
std::string OverrideOf(const std::string& path) {
  if (!absl::StartsWith(path, "overrides[")) return "";
  return path.substr(0, path.find(']') + 1);
}

std::string DidYouMeanKey(const std::string& name) {
  return absl::StrCat("did you mean '", name, "'?");
}

// Finds the singular of a plural, or the plural of a singular, among the fields here.
std::string OtherNumber(const std::string& key, const Descriptor& here) {
  for (const std::string& other :
       {absl::StrCat(key, "s"), absl::EndsWith(key, "s") ? key.substr(0, key.size() - 1) : key}) {
    if (other != key && here.FindFieldByName(other) != nullptr) return other;
  }
  return "";
}

std::string Placed(const std::vector<std::string>& places) {
  if (places.size() == 1) return absl::StrCat("it belongs at ", places[0]);
  std::vector<std::string> first(places.begin(), places.end() - 1);
  return absl::StrCat("did you mean ", absl::StrJoin(first, ", "), " or ", places.back(), "?");
}

}  // namespace

std::string AdviceFor(const std::string& key, const std::string& path, const Descriptor& here,
                      const Descriptor& root) {
  if (key == "<<") return "merge keys are not read here, write the settings out";
  const std::string within = OverrideOf(path);
  if (IsSeed(key) && !path.empty()) {
    return absl::StrCat("the runs' seeds are `seeds` of the sweep, that of the data sets is ",
                        within.empty() ? "" : absl::StrCat(within, "."), "data.seed");
  }
  // The user meant an interval in steps. train.steps is a run's length.
  if (key == "steps" && here.FindFieldByName("every") != nullptr) return DidYouMeanKey("every");
  const std::string other = OtherNumber(key, here);
  if (!other.empty()) return DidYouMeanKey(other);
  std::vector<std::string> places;
  if (within.empty()) {
    FindPlaces(root, key, "", &places);
  } else if (const FieldDescriptor* list = root.FindFieldByName("overrides"); list != nullptr) {
    FindPlaces(*list->message_type(), key, within, &places);
  }
  if (!places.empty()) return Placed(places);
  if (!within.empty() && root.FindFieldByName(key) != nullptr) {
    return absl::StrCat("`", key, "` holds for the whole sweep; an override cannot change it");
  }
  const std::vector<std::string> known = FieldNames(here);
  const std::string nearest = NearestWord(key, known);
  if (!nearest.empty()) return DidYouMeanKey(nearest);
  return absl::StrCat("use one of: ", absl::StrJoin(known, ", "));
}

std::string AdviceForWhere(const std::string& key, const std::vector<std::string>& axes) {
  if (IsSeed(key)) {
    return absl::StrCat(
        "`where` chooses by ", axes.empty() ? "task and depth" : "the other axes",
        ", since jobs that differ only in seed have the same settings; for a seed with settings of "
        "its own submit a sweep of its own");
  }
  if (!axes.empty()) return AdviceForAxis(key, axes);
  const std::string nearest = NearestWord(key, {"task", "depth"});
  return absl::StrCat(nearest.empty() ? "" : absl::StrCat(DidYouMeanKey(nearest), " "),
                      "`where` chooses by task and depth, for example {task: dyck, depth: 4}");
}

std::string AdviceForAxis(const std::string& key, const std::vector<std::string>& axes) {
  if (IsSeed(key)) {
    return "jobs that differ only in seed have the same settings and train as packs; name other "
           "axes";
  }
  const std::string nearest = NearestWord(key, axes);
  if (!nearest.empty()) return DidYouMeanKey(nearest);
  return axes.empty() ? "the sweep has no axes"
                      : absl::StrCat("the axes are ", absl::StrJoin(axes, ", "));
}

std::string AdviceForSetting(const std::string& name, const std::vector<std::string>& settings) {
  if (IsSeed(name)) {
    return "the runs' seeds are `seeds` of the sweep, that of the data sets is data.seed";
  }
  std::vector<std::string> places;
  for (const std::string& setting : settings) {
    if (absl::EndsWith(setting, absl::StrCat(".", name))) places.push_back(setting);
  }
  if (places.size() == 1) return DidYouMeanKey(places[0]);
  if (!places.empty()) return Placed(places);
  const std::string nearest = NearestWord(name, settings);
  if (!nearest.empty()) return DidYouMeanKey(nearest);
  return "docs/sweep-spec.md lists the settings";
}

}  // namespace coppice::cli
