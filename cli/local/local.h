#ifndef COPPICE_CLI_LOCAL_LOCAL_H_
#define COPPICE_CLI_LOCAL_LOCAL_H_

#include <string>

#include "absl/status/statusor.h"
#include "cli/context.h"
#include "cli/spec_reader.h"

namespace coppice::cli {

struct LocalOptions {
  std::string spec;
  SpecChanges changes;
  std::string dir;  // empty: ./coppice-<sweep>
  uint32_t workers = 1;
  uint32_t slots = 0;  // of each worker; 0: the machine's cores over workers and threads
  uint32_t pack = 0;   // 0: each worker measures
  uint32_t threads = 1;
  bool keep_running = false;
  bool retry = false;
  bool no_report = false;
  std::string binaries;  // empty: the folder of this program
};

// `coppice local`: runs a coordinator and workers as children of this process, in one run folder,
// until the sweep has ended. Call it from the main thread, before any other thread exists.
// The run folder: coordinator/ (its data), checkpoints/, worker-<i>/, logs/*.log, coordinator.port,
// access.json (access for its owner's programs alone), and at the end metrics.csv, jobs.csv and,
// unless disabled, report/ (see report.h). A report that cannot be written gives a message on the
// error stream and does not change the exit code.
// A call on a folder that already holds the sweep continues it. If the spec has more than the sweep
// there, the call first says so and extends it. On Ctrl-C, SIGTERM or SIGHUP the
// workers checkpoint, then the coordinator ends. A second one kills.
// Exit codes: 0 all jobs succeeded, 1 some did not, 75 stopped by a signal with everything
// checkpointed.
// INVALID_ARGUMENT: a bad spec, or a sweep of this name in the folder that cannot become that of
// the spec; the message has the differences. FAILED_PRECONDITION: the folder is in use. INTERNAL: a
// daemon died; the message has its log's tail.
absl::StatusOr<int> RunLocal(const LocalOptions& options, Context* context);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_LOCAL_LOCAL_H_
