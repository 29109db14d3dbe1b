// Programs of the user's own in a spec. Private to this library.
#ifndef COPPICE_COMMON_SPEC_PROGRAM_H_
#define COPPICE_COMMON_SPEC_PROGRAM_H_

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "coppice/v1/sweep.pb.h"

namespace coppice::spec {

// The scheduler compares the work of groups. Nothing is known of a program's step, so it counts as
// a step of a small model; estimates of time come from the measured pace.
inline constexpr double kProgramWorkPerStep = 1e9;

// Whether a sweep of a program may set this setting of a run.
bool IsSettingOfPrograms(absl::string_view path);

// A number, true, false or a word, from the JSON text of a program's setting. nullopt: it is none,
// a number is too large, or a word cannot be shown.
std::optional<nlohmann::json> ProgramScalar(const std::string& text);

// The value's name on an axis: "3e-4", "true", "relu".
std::string ProgramValueName(const nlohmann::json& scalar);

// Whether one can replace the other: both numbers, both words, or both true or false.
bool SameKind(const nlohmann::json& a, const nlohmann::json& b);

// The run of a program before its spec's settings: the defaults, and the program as the spec gives
// it, without what only viewers read. Values are canonical.
v1::RunConfig DefaultProgramRun(const v1::Program& program);

std::string ProgramRunToJson(const v1::RunConfig& run);
// INVALID_ARGUMENT: not such text.
absl::StatusOr<v1::RunConfig> ProgramRunFromJson(const nlohmann::json& run);

}  // namespace coppice::spec

#endif  // COPPICE_COMMON_SPEC_PROGRAM_H_
