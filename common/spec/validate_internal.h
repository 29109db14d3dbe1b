// Private to the files that check specs.
#ifndef COPPICE_COMMON_SPEC_VALIDATE_INTERNAL_H_
#define COPPICE_COMMON_SPEC_VALIDATE_INTERNAL_H_

#include <google/protobuf/message.h>
#include <google/protobuf/repeated_ptr_field.h>

#include <cstdint>
#include <string>
#include <vector>

#include "common/spec/grid.h"
#include "common/spec/spec.h"
#include "coppice/v1/sweep.pb.h"

namespace coppice::spec {

// Of a list with a million equal mistakes, only the first are reported.
inline constexpr int kMaxProblemsPerList = 10;

// The axes of a sweep that is not classic. False: there are so many or so large ones that a Grid
// must not be made of them, or one cannot be read.
bool CheckAxes(const v1::SweepSpec& spec, std::vector<Problem>* problems);

// The program of a sweep that has one. False: as in CheckAxes.
bool CheckProgram(const v1::SweepSpec& spec, std::vector<Problem>* problems);

// Refuses settings of a run that only Coppice's own trainer has. `message` and `prefix` are as in
// ValidateSettings.
void CheckOnlyProgramSettings(const google::protobuf::Message& message, const std::string& prefix,
                              std::vector<Problem>* problems);

// Values for settings of the sweep's program, in an override or on an axis. `path` is that of the
// list.
void CheckProgramSettings(const v1::SweepSpec& spec,
                          const google::protobuf::RepeatedPtrField<v1::ProgramSetting>& changed,
                          const std::string& path, std::vector<Problem>* problems);
// The mistake in one of them; empty: none.
std::string ProgramSettingMistake(const v1::SweepSpec& spec, const v1::ProgramSetting& setting);

// The conditions of the excludes. The axes must have passed. False: as in CheckAxes.
bool CheckExcludes(const v1::SweepSpec& spec, const std::vector<v1::Axis>& axes,
                   std::vector<Problem>* problems);

// The conditions of one override of a sweep that is not classic. `path` is that of the override.
void CheckWhere(const v1::Where& where, const std::vector<v1::Axis>& axes, const std::string& path,
                std::vector<Problem>* problems);

// The number of points and jobs, and whether every exclude takes effect, and every override if
// their conditions are sound. False: there are too many points to check each.
bool CheckSize(const Grid& grid, bool overrides_are_sound, std::vector<Problem>* problems);

// Every resolved run: the axes that set it, the overrides that change it, the constraints between
// its settings.
void CheckPoints(const Grid& grid, std::vector<Problem>* problems);

}  // namespace coppice::spec

#endif  // COPPICE_COMMON_SPEC_VALIDATE_INTERNAL_H_
