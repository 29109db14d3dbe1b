#ifndef COPPICE_CLI_CLEAN_H_
#define COPPICE_CLI_CLEAN_H_

#include <google/protobuf/message.h>

namespace coppice::cli {

// Makes every text of a message Printable, also in the messages inside of it: hosts, reasons, paths
// and whatever else others wrote may then be printed as it is. `bytes` fields stay.
void CleanText(google::protobuf::Message* message);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_CLEAN_H_
