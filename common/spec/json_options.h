// Messages as JSON.
#ifndef COPPICE_COMMON_SPEC_JSON_OPTIONS_H_
#define COPPICE_COMMON_SPEC_JSON_OPTIONS_H_

#include <google/protobuf/util/json_util.h>

namespace coppice::spec {

// Fields have the names of the .proto. Those with default values are written too, except optional
// ones that are not set.
google::protobuf::util::JsonPrintOptions JsonOptions();

}  // namespace coppice::spec

#endif  // COPPICE_COMMON_SPEC_JSON_OPTIONS_H_
