#ifndef COPPICE_COORDINATOR_COMMANDS_LIVE_CERTIFICATES_H_
#define COPPICE_COORDINATOR_COMMANDS_LIVE_CERTIFICATES_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "common/base/clock.h"
#include "coordinator/commands/own_access.h"
#include "coordinator/commands/security_flags.h"
#include "coordinator/security/certificate_watch.h"
#include "coordinator/service/server.h"

namespace coppice::commands {

// Purpose: the certificates of a coordinator that serves TLS. Owner: Serving; made before the
// server, and outlives it. Threads: Reload from one thread, states from any.
//   1. Start warns of certificates that end soon, and checks again every hour.
//   2. Reload (SIGHUP) renews the coordinator's own certificates if they are due, reads the files
//      as at a start, and gives them to the server. Files that a start would refuse are logged, and
//      the served identity stays.
class LiveCertificates {
 public:
  // `files` has every name filled in. `own` is set if the coordinator made the files itself.
  LiveCertificates(SecurityFlags files, std::optional<OwnAccess> own, service::TlsIdentity served,
                   Clock* clock);

  void Start(service::Server* server);
  void Reload();
  std::vector<security::CertificateState> states() const { return watch_.states(); }

 private:
  absl::Status Renew();
  std::vector<security::WatchedCertificate> Read();
  std::string RemedyFor(const std::string& kind, const service::TlsIdentity& served) const;

  const SecurityFlags files_;
  const std::optional<OwnAccess> own_;
  Clock* const clock_;
  service::Server* server_ = nullptr;
  absl::Mutex mutex_;
  service::TlsIdentity served_ ABSL_GUARDED_BY(mutex_);
  security::CertificateWatch watch_;  // last: its thread uses the members above
};

}  // namespace coppice::commands

#endif  // COPPICE_COORDINATOR_COMMANDS_LIVE_CERTIFICATES_H_
