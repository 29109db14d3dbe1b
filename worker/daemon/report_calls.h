#ifndef COPPICE_WORKER_DAEMON_REPORT_CALLS_H_
#define COPPICE_WORKER_DAEMON_REPORT_CALLS_H_

#include <string>

#include "worker/daemon/coordinator_client.h"
#include "worker/daemon/session.h"
#include "worker/daemon/spool.h"

namespace coppice::worker {

// "the completion", "a checkpoint's commit", ...: for messages.
std::string NameOf(const SpoolRecord& record);

// The call that reports a record which does not go over the stream. With an `upload_root` a commit
// takes its file along from there.
Session::Attempt CallFor(const SpoolRecord& record, CoordinatorClient* client,
                         const std::string& upload_root);

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_REPORT_CALLS_H_
