// A sweep's spec as the text of a file.
#ifndef COPPICE_COMMON_SPEC_YAML_H_
#define COPPICE_COMMON_SPEC_YAML_H_

#include <string>

#include "coppice/v1/sweep.pb.h"

namespace coppice::spec {

// YAML that the spec reader (cli/spec_reader.h) reads as the same sweep, in the form that a person
// would write: seeds as ranges, the settings of a group in one line. The spec must be valid. Values
// that no file can give (a whole number of a program above 2^53) come out as the nearest.
std::string ToYaml(const v1::SweepSpec& spec);

}  // namespace coppice::spec

#endif  // COPPICE_COMMON_SPEC_YAML_H_
