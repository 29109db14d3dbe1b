#include "worker/program/trainer_events.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/digest.h"
#include "common/base/files.h"
#include "common/base/limits.h"
#include "common/base/names.h"
#include "common/base/status_macros.h"

namespace coppice::worker {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kProtocol = 1;
constexpr size_t kQuotedBytes = 200;
constexpr size_t kMaxWordBytes = 100;
constexpr size_t kMaxProvenanceBytes = 16 << 10;
constexpr int kMaxDepth = 32;  // of nesting; the deepest event has 3

absl::Status Wrong(absl::string_view what) { return absl::InvalidArgumentError(what); }

absl::StatusOr<uint64_t> Unsigned(const Json& json, const char* key, uint64_t maximum) {
  const auto it = json.find(key);
  if (it == json.end()) return Wrong(absl::StrCat("`", key, "` is missing"));
  if (!it->is_number_unsigned() || it->get<uint64_t>() > maximum) {
    return Wrong(absl::StrCat("`", key, "` is not an integer from 0 to ", maximum));
  }
  return it->get<uint64_t>();
}

absl::StatusOr<std::string> Text(const Json& json, const char* key, size_t maximum) {
  const auto it = json.find(key);
  if (it == json.end()) return Wrong(absl::StrCat("`", key, "` is missing"));
  if (!it->is_string()) return Wrong(absl::StrCat("`", key, "` is not a text"));
  const std::string& text = it->get_ref<const std::string&>();
  if (text.size() > maximum) {
    return Wrong(absl::StrCat("`", key, "` has ", text.size(), " bytes, over ", maximum));
  }
  return text;
}

// JSON has no infinity, but a number such as 1e999 would become one.
bool IsFiniteNumber(const Json& json) {
  return json.is_number() && std::isfinite(json.get<double>());
}

// 0 if it is missing: older trainers do not report it.
absl::StatusOr<double> OptionalMilliseconds(const Json& json, const char* key) {
  const auto it = json.find(key);
  if (it == json.end()) return 0;
  if (!IsFiniteNumber(*it) || it->get<double>() < 0) {
    return Wrong(absl::StrCat("`", key, "` is not a finite number from 0"));
  }
  return it->get<double>();
}

// The output of a broken program may hold anything, but a message about it goes to terminals and
// over the network.
std::string Quote(absl::string_view line) {
  std::string quoted;
  for (const char c : line.substr(0, kQuotedBytes)) {
    if (c >= ' ' && c <= '~') {
      quoted += c;
    } else {
      absl::StrAppend(&quoted, "\\x", absl::Hex(static_cast<uint8_t>(c), absl::kZeroPad2));
    }
  }
  if (line.size() > kQuotedBytes) quoted += "...";
  return quoted;
}

// The JSON library parses any depth, but writes by recursion: a line of brackets would overflow the
// stack.
bool IsNestedTooDeep(absl::string_view json) {
  int depth = 0;
  bool in_text = false;
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_text) {
      if (c == '\\') ++i;
      if (c == '"') in_text = false;
    } else if (c == '"') {
      in_text = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kMaxDepth) return true;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
}

}  // namespace

TrainerEventReader::TrainerEventReader(std::vector<Member> members, uint32_t steps,
                                       uint32_t program_report_every)
    : steps_(steps), program_report_every_(program_report_every) {
  for (Member& member : members) {
    MemberState& state = members_[member.seed];
    state.checkpoint_dir = std::move(member.checkpoint_dir);
    state.start_step = member.start_step;
    state.progress_step = member.start_step;
    // The trainer repeats an evaluation that a preemption cut off, so a row may have the very step
    // of the resume. A program reports before it saves.
    state.metrics_step = static_cast<int64_t>(member.start_step) - (is_program() ? 0 : 1);
    state.checkpoint_step = static_cast<int64_t>(member.start_step) - 1;
  }
}

absl::Status TrainerEventReader::Feed(absl::string_view bytes, std::vector<TrainerEvent>* events) {
  while (error_.ok() && !bytes.empty()) {
    const size_t newline = bytes.find('\n');
    const absl::string_view piece = bytes.substr(0, newline);
    if (line_.size() + piece.size() > kMaxLineBytes) {
      line_.append(piece.data(), std::min<size_t>(piece.size(), kQuotedBytes + 1));
      error_ = Wrong(absl::StrCat("a line of more than ", kMaxLineBytes, " bytes: ", Quote(line_)));
      break;
    }
    line_.append(piece.data(), piece.size());
    if (newline == absl::string_view::npos) return absl::OkStatus();
    bytes.remove_prefix(newline + 1);
    const absl::Status status = ReadLine(line_, events);
    if (!status.ok()) {
      error_ = Wrong(absl::StrCat(status.message(), ", in the line: ", Quote(line_)));
    }
    line_.clear();
  }
  return error_;
}

absl::Status TrainerEventReader::ReadLine(absl::string_view line,
                                          std::vector<TrainerEvent>* events) {
  if (IsNestedTooDeep(line)) return Wrong(absl::StrCat("nested deeper than ", kMaxDepth));
  const Json json = Json::parse(line.begin(), line.end(), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) {
    if (!is_program()) return Wrong("not a JSON object");
    const bool nan = absl::StrContains(line, "NaN") || absl::StrContains(line, "Infinity");
    return Wrong(nan ? "not a JSON object (NaN and infinity are no JSON numbers)"
                     : "not a JSON object (free text belongs on stderr)");
  }
  COPPICE_ASSIGN_OR_RETURN(const std::string name, Text(json, "event", kMaxWordBytes));
  const absl::Status status = ReadEvent(name, json, events);
  if (!status.ok() && faulty_event_.empty()) faulty_event_ = name;
  return status;
}

absl::Status TrainerEventReader::ReadEvent(const std::string& name, const Json& json,
                                           std::vector<TrainerEvent>* events) {
  const auto read = [&](auto event, auto method) {
    const absl::Status status = (this->*method)(json, &event);
    if (status.ok()) events->emplace_back(std::move(event));
    return status;
  };
  if (name == "start") return read(TrainerStart(), &TrainerEventReader::ReadStart);
  if (name == "failed") return read(TrainerFailed(), &TrainerEventReader::ReadFailed);
  if (name == "preempted") return read(TrainerPreempted(), &TrainerEventReader::ReadPreempted);
  if (name == "refused") return read(TrainerRefused(), &TrainerEventReader::ReadRefused);
  const bool needs_start =
      name == "progress" || name == "metrics" || name == "checkpoint" || name == "done";
  if (!needs_start) return absl::OkStatus();
  if (!started_) return Wrong(absl::StrCat("`", name, "` before `start`"));
  if (name == "progress") return read(TrainerProgress(), &TrainerEventReader::ReadProgress);
  if (name == "metrics") return read(TrainerMetrics(), &TrainerEventReader::ReadMetrics);
  if (name == "checkpoint") return read(TrainerCheckpoint(), &TrainerEventReader::ReadCheckpoint);
  return read(TrainerDone(), &TrainerEventReader::ReadDone);
}

absl::Status TrainerEventReader::ReadStart(const Json& json, TrainerStart* event) {
  if (started_) return Wrong("a second `start`");
  COPPICE_ASSIGN_OR_RETURN(const uint64_t protocol, Unsigned(json, "protocol", UINT32_MAX));
  if (protocol != kProtocol) {
    return Wrong(absl::StrCat("the ", Name(), " speaks protocol ", protocol, ", this worker ",
                              kProtocol, is_program() ? "" : "; install both from one build"));
  }
  COPPICE_ASSIGN_OR_RETURN(const uint64_t steps, Unsigned(json, "steps", UINT32_MAX));
  if (steps != steps_) {
    return Wrong(absl::StrCat("the ", Name(), " is to take ", steps_, " steps, it says ", steps));
  }
  std::vector<std::pair<uint32_t, uint32_t>> members;
  COPPICE_RETURN_IF_ERROR(ReadMemberSteps(json, &members));
  std::set<uint32_t> named;
  for (const auto& [seed, step] : members) {
    const MemberState& member = members_.at(seed);
    // A start at another step would be another trajectory than the one that the coordinator
    // resumes.
    if (step != member.start_step) {
      return Wrong(
          absl::StrCat("seed ", seed, " starts at step ", step, " instead of ", member.start_step,
                       is_program() && step < member.start_step ? ": `resume` was not read" : ""));
    }
    named.insert(seed);
  }
  for (const auto& [seed, member] : members_) {
    if (!member.ended && named.count(seed) == 0) {
      return Wrong(absl::StrCat("`start` leaves out seed ", seed));
    }
  }
  const auto provenance = json.find("provenance");
  const bool none = is_program() && provenance == json.end();
  if (!none && (provenance == json.end() || !provenance->is_object())) {
    return Wrong("`provenance` is not an object");
  }
  event->provenance = none ? "{}" : provenance->dump();
  if (event->provenance.size() > kMaxProvenanceBytes) return Wrong("`provenance` is too large");
  event->members = std::move(members);
  started_ = true;
  return absl::OkStatus();
}

absl::Status TrainerEventReader::ReadProgress(const Json& json, TrainerProgress* event) {
  COPPICE_RETURN_IF_ERROR(ReadMemberSteps(json, &event->members));
  for (const auto& [seed, step] : event->members) {
    MemberState& member = members_.at(seed);
    if (step < member.progress_step) {
      return Wrong(absl::StrCat("the step of seed ", seed, " goes back from ", member.progress_step,
                                " to ", step));
    }
    member.progress_step = step;
  }
  if (json.contains("activity")) {
    COPPICE_ASSIGN_OR_RETURN(event->activity, Unsigned(json, "activity", UINT64_MAX));
  }
  const auto rate = json.find("steps_per_second");
  if (is_program() && rate == json.end()) return absl::OkStatus();
  if (rate == json.end() || !IsFiniteNumber(*rate) || rate->get<double>() < 0) {
    return Wrong("`steps_per_second` is not a finite number from 0");
  }
  event->steps_per_second = rate->get<double>();
  return absl::OkStatus();
}

uint32_t TrainerEventReader::NextReport(int64_t step) const {
  const int64_t every = program_report_every_;
  return static_cast<uint32_t>(std::min<int64_t>(steps_, (step / every + 1) * every));
}

absl::Status TrainerEventReader::CheckReportStep(uint32_t step, const MemberState& member) const {
  if (step % program_report_every_ != 0 && step != steps_) {
    return Wrong(absl::StrCat("metrics of step ", step, ", which is no report step: those are the ",
                              "multiples of report.every (", program_report_every_,
                              ") and the last step (", steps_, ")"));
  }
  const uint32_t next = NextReport(member.metrics_step);
  if (step <= next) return absl::OkStatus();
  return Wrong(
      absl::StrCat("metrics of step ", step, " where those of step ", next, " are missing"));
}

absl::Status TrainerEventReader::ReadMetrics(const Json& json, TrainerMetrics* event) {
  MemberState* member = nullptr;
  COPPICE_RETURN_IF_ERROR(ReadSeedAndStep(json, &event->seed, &event->step, &member));
  if (event->step <= member->metrics_step) {
    return Wrong(absl::StrCat("metrics of step ", event->step, " where only steps after ",
                              member->metrics_step, " are left to report"));
  }
  if (is_program()) COPPICE_RETURN_IF_ERROR(CheckReportStep(event->step, *member));
  const auto values = json.find("values");
  if (values == json.end() || !values->is_object() || values->empty() ||
      values->size() > kMaxValues) {
    return Wrong(absl::StrCat("`values` is not an object of 1 to ", kMaxValues, " named numbers"));
  }
  for (const auto& [name, value] : values->items()) {
    if (!IsMetricName(name)) {
      return Wrong("the name of a metric is not 1 to 100 printable characters without a space");
    }
    if (!IsFiniteNumber(value)) {
      return Wrong(absl::StrCat("metric `", name, "` is not a finite number"));
    }
    event->values.emplace_back(name, value.get<double>());
  }
  member->metrics_step = event->step;
  return absl::OkStatus();
}

absl::Status TrainerEventReader::ReadCheckpoint(const Json& json, TrainerCheckpoint* event) {
  MemberState* member = nullptr;
  COPPICE_RETURN_IF_ERROR(ReadSeedAndStep(json, &event->seed, &event->step, &member));
  if (event->step <= member->checkpoint_step) {
    return Wrong(absl::StrCat("a checkpoint of step ", event->step, " behind one of step ",
                              member->checkpoint_step));
  }
  COPPICE_ASSIGN_OR_RETURN(const std::string path, Text(json, "path", kMaxMessageTextBytes));
  const std::string prefix = member->checkpoint_dir + "/";
  event->file = absl::StartsWith(path, prefix) ? path.substr(prefix.size()) : path;
  if (!IsSafeRelativePath(event->file)) {
    return Wrong(absl::StrCat("`path` is not inside ", member->checkpoint_dir));
  }
  if (is_program()) {
    const bool all = event->step <= member->start_step || member->metrics_step == steps_ ||
                     event->step < NextReport(member->metrics_step);
    if (!all) {
      faulty_event_ = "metrics";
      return Wrong(absl::StrCat("a checkpoint of step ", event->step,
                                " before the metrics of step ", NextReport(member->metrics_step)));
    }
    // The worker may not have taken the first one yet, and would take the other one for it.
    if (!member->checkpoint_files.insert(event->file).second) {
      return Wrong(absl::StrCat("a second checkpoint named ", Quote(event->file),
                                "; give each checkpoint a name of its own"));
    }
    member->checkpoint_step = event->step;
    return absl::OkStatus();
  }
  COPPICE_ASSIGN_OR_RETURN(event->digest, Text(json, "digest", 32));
  if (!IsDigest(event->digest)) return Wrong("`digest` is not 32 hex digits");
  COPPICE_ASSIGN_OR_RETURN(event->bytes, Unsigned(json, "bytes", uint64_t{1} << 50));
  if (event->bytes == 0) return Wrong("`bytes` is 0");
  COPPICE_ASSIGN_OR_RETURN(event->stall_ms, OptionalMilliseconds(json, "stall_ms"));
  COPPICE_ASSIGN_OR_RETURN(event->write_ms, OptionalMilliseconds(json, "write_ms"));
  member->checkpoint_step = event->step;
  return absl::OkStatus();
}

absl::Status TrainerEventReader::ReadDone(const Json& json, TrainerDone* event) {
  MemberState* member = nullptr;
  COPPICE_RETURN_IF_ERROR(ReadSeedAndStep(json, &event->seed, &event->step, &member));
  // A member that resumed from its last step writes no checkpoint.
  if (event->step != steps_ ||
      (member->checkpoint_step != steps_ && member->start_step != steps_)) {
    return Wrong(absl::StrCat("`done` of seed ", event->seed, " at step ", event->step,
                              " with a last checkpoint at step ", member->checkpoint_step, " of ",
                              steps_));
  }
  if (is_program() && member->metrics_step != steps_) {
    faulty_event_ = "metrics";
    return Wrong(absl::StrCat("`done` of seed ", event->seed, " without the metrics of step ",
                              NextReport(member->metrics_step)));
  }
  member->ended = true;
  return absl::OkStatus();
}

absl::Status TrainerEventReader::ReadFailed(const Json& json, TrainerFailed* event) {
  MemberState* member = nullptr;
  COPPICE_RETURN_IF_ERROR(ReadSeedAndStep(json, &event->seed, &event->step, &member));
  COPPICE_ASSIGN_OR_RETURN(const std::string word, Text(json, "kind", kMaxWordBytes));
  const std::optional<FailureKind> kind = FailureKindFromText(word);
  if (!kind.has_value() || !IsOfTrainer(*kind)) {
    return Wrong(absl::StrCat("unknown `kind` of failure ", Quote(word)));
  }
  event->kind = *kind;
  COPPICE_ASSIGN_OR_RETURN(event->message, Text(json, "message", kMaxLineBytes));
  member->ended = true;
  return absl::OkStatus();
}

absl::Status TrainerEventReader::ReadPreempted(const Json& json, TrainerPreempted* event) {
  MemberState* member = nullptr;
  COPPICE_RETURN_IF_ERROR(ReadSeedAndStep(json, &event->seed, &event->step, &member));
  member->ended = true;
  return absl::OkStatus();
}

absl::Status TrainerEventReader::ReadRefused(const Json& json, TrainerRefused* event) {
  if (started_) return Wrong("`refused` after `start`");
  COPPICE_ASSIGN_OR_RETURN(event->message, Text(json, "message", kMaxMessageTextBytes));
  return absl::OkStatus();
}

absl::Status TrainerEventReader::ReadSeedAndStep(const Json& json, uint32_t* seed, uint32_t* step,
                                                 MemberState** member) {
  COPPICE_ASSIGN_OR_RETURN(const uint64_t seed_value, Unsigned(json, "seed", UINT32_MAX));
  COPPICE_ASSIGN_OR_RETURN(const uint64_t step_value, Unsigned(json, "step", steps_));
  *seed = static_cast<uint32_t>(seed_value);
  *step = static_cast<uint32_t>(step_value);
  const auto it = members_.find(*seed);
  if (it == members_.end()) return Wrong(absl::StrCat("seed ", *seed, " is not in this pack"));
  if (it->second.ended) return Wrong(absl::StrCat("seed ", *seed, " has ended"));
  // A member that has not started is at its checkpoint, whether or not it has been read.
  if (!started_) *step = std::max(*step, it->second.start_step);
  if (*step < it->second.start_step) {
    return Wrong(absl::StrCat("step ", *step, " of seed ", *seed, " lies before its start at ",
                              it->second.start_step));
  }
  *member = &it->second;
  return absl::OkStatus();
}

absl::Status TrainerEventReader::ReadMemberSteps(
    const Json& json, std::vector<std::pair<uint32_t, uint32_t>>* members) const {
  const auto list = json.find("members");
  if (list == json.end() || !list->is_array() || list->size() > members_.size()) {
    return Wrong("`members` is not a list of this pack's seeds");
  }
  for (const Json& entry : *list) {
    if (!entry.is_object()) return Wrong("an entry of `members` is not an object");
    COPPICE_ASSIGN_OR_RETURN(const uint64_t seed, Unsigned(entry, "seed", UINT32_MAX));
    COPPICE_ASSIGN_OR_RETURN(const uint64_t step, Unsigned(entry, "step", steps_));
    if (members_.count(static_cast<uint32_t>(seed)) == 0) {
      return Wrong(absl::StrCat("seed ", seed, " is not in this pack"));
    }
    members->emplace_back(static_cast<uint32_t>(seed), static_cast<uint32_t>(step));
  }
  return absl::OkStatus();
}

}  // namespace coppice::worker
