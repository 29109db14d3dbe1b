#include "cli/stored_spec.h"

#include "absl/strings/str_cat.h"
#include "cli/spec_reader.h"
#include "common/spec/spec.h"
#include "common/spec/yaml.h"

namespace coppice::cli {

v1::SweepSpec CurrentSpec(const v1::GetSweepResponse& stored) {
  v1::SweepSpec spec = stored.spec();
  *spec.mutable_tags() = stored.sweep().tags();
  return spec;
}

absl::StatusOr<std::string> SpecText(const v1::SweepSpec& spec) {
  std::string text = spec::ToYaml(spec);
  const absl::StatusOr<SpecFile> again = ParseSpec(text, absl::StrCat(spec.name(), ".yaml"));
  if (again.ok() && spec::SameSweep(again->spec, spec)) return text;
  return absl::FailedPreconditionError(absl::StrCat(
      "the spec of ", spec.name(), " cannot be written as a file",
      again.ok() ? "; --json prints it"
                 : absl::StrCat("; --json prints it: ", std::string(again.status().message()))));
}

}  // namespace coppice::cli
