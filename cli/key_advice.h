// Advice about a key of a spec that is unknown at its place. Internal to the spec reader.
#ifndef COPPICE_CLI_KEY_ADVICE_H_
#define COPPICE_CLI_KEY_ADVICE_H_

#include <google/protobuf/descriptor.h>

#include <string>
#include <vector>

namespace coppice::cli {

// `path` is the key's place ("" or "overrides[1].train"), `here` the message at that place, `root`
// the spec's. Another place is advised only if the key would mean there what the user meant here.
std::string AdviceFor(const std::string& key, const std::string& path,
                      const google::protobuf::Descriptor& here,
                      const google::protobuf::Descriptor& root);

// Advice about a key of a `where` that is no axis. `axes`: empty for task and depth alone.
std::string AdviceForWhere(const std::string& key, const std::vector<std::string>& axes);
// Advice about a key of an `exclude` that is no axis.
std::string AdviceForAxis(const std::string& key, const std::vector<std::string>& axes);
// Advice about a name that is none of the settings.
std::string AdviceForSetting(const std::string& name, const std::vector<std::string>& settings);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_KEY_ADVICE_H_
