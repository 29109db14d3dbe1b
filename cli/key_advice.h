// Advice about a key of a spec that is unknown at its place. Internal to the spec reader.
#ifndef COPPICE_CLI_KEY_ADVICE_H_
#define COPPICE_CLI_KEY_ADVICE_H_

#include <google/protobuf/descriptor.h>

#include <string>

namespace coppice::cli {

// `path` is the key's place ("" or "overrides[1].where"), `here` the message at that place, `root`
// the spec's. Another place is advised only if the key would mean there what the user meant here.
std::string AdviceFor(const std::string& key, const std::string& path,
                      const google::protobuf::Descriptor& here,
                      const google::protobuf::Descriptor& root);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_KEY_ADVICE_H_
