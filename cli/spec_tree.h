// Reads the YAML tree of a spec, and applies the changes of the command line to it. Internal to the
// spec reader.
#ifndef COPPICE_CLI_SPEC_TREE_H_
#define COPPICE_CLI_SPEC_TREE_H_

#include <yaml-cpp/yaml.h>

#include "cli/spec_reader.h"
#include "cli/yaml_notes.h"

namespace coppice::cli {

// Throws only what yaml-cpp throws.
void ReadSpecTree(const YAML::Node& root, const SpecChanges& changes, YamlNotes* notes,
                  v1::SweepSpec* spec);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_SPEC_TREE_H_
