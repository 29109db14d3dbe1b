#ifndef COPPICE_WORKER_DAEMON_REPORT_CALLS_H_
#define COPPICE_WORKER_DAEMON_REPORT_CALLS_H_

#include <string>

#include "worker/daemon/coordinator_client.h"
#include "worker/daemon/session.h"
#include "worker/daemon/spool.h"

namespace coppice::worker {

// Names the record in messages: "the completion", "a checkpoint's commit", ...
std::string NameOf(const SpoolRecord& record);

// Returns the call for a record that does not go over the stream. With an `upload_root`, a commit
// uploads its file from there.
Session::Attempt CallFor(const SpoolRecord& record, CoordinatorClient* client,
                         const std::string& upload_root);

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_REPORT_CALLS_H_
