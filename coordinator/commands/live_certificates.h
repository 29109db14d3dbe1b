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
// server, and outlives it. Reload from one thread; states from any.
//   1. Start: warns of what ends soon, and looks again every hour.
//   2. Reload (SIGHUP): signs new certificates where they are the coordinator's own and due, reads
//   the files as a start does, and gives them to the server. What a start would refuse is logged,
//   and the identity that is served stays.
class LiveCertificates {
 public:
  // `files` with every name filled in; `own` where the coordinator made them itself.
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
  security::CertificateWatch watch_;  // last: its thread uses what is above
};

}  // namespace coppice::commands

#endif  // COPPICE_COORDINATOR_COMMANDS_LIVE_CERTIFICATES_H_
