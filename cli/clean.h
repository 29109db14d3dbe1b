#ifndef COPPICE_CLI_CLEAN_H_
#define COPPICE_CLI_CLEAN_H_

#include <google/protobuf/message.h>

namespace coppice::cli {

// Makes every text of a message Printable, also in nested messages. Hosts, reasons, paths and other
// text from elsewhere can then be printed directly. `bytes` fields stay unchanged.
void CleanText(google::protobuf::Message* message);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_CLEAN_H_
