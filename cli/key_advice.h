// What to do about a key of a spec that is not known where it stands. Internal to the spec reader.
#ifndef COPPICE_CLI_KEY_ADVICE_H_
#define COPPICE_CLI_KEY_ADVICE_H_

#include <google/protobuf/descriptor.h>

#include <string>

namespace coppice::cli {

// `path` is where the key stands ("" or "overrides[1].where"), `here` the message there, `root` the
// spec's. Another place is advised only where the key would mean there what it was meant to mean
// here.
std::string AdviceFor(const std::string& key, const std::string& path,
                      const google::protobuf::Descriptor& here,
                      const google::protobuf::Descriptor& root);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_KEY_ADVICE_H_
