// Reads the `program` of a spec, and the settings that overrides give it. Internal to the spec
// reader.
#ifndef COPPICE_CLI_PROGRAM_READER_H_
#define COPPICE_CLI_PROGRAM_READER_H_

#include <yaml-cpp/yaml.h>

#include <string>

#include "cli/axis_values.h"
#include "cli/yaml_message.h"
#include "cli/yaml_notes.h"
#include "coppice/v1/sweep.pb.h"

namespace coppice::cli {

void ReadProgram(const YAML::Node& node, YamlMessageReader* fields, YamlNotes* notes,
                 v1::Program* program);

// Reads `settings` of an override.
void ReadProgramChanges(const YAML::Node& node, const std::string& path, const SettingForms& forms,
                        YamlNotes* notes, v1::Override* change);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_PROGRAM_READER_H_
