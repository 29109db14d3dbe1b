#ifndef COPPICE_COORDINATOR_SECURITY_CERTIFICATE_WATCH_H_
#define COPPICE_COORDINATOR_SECURITY_CERTIFICATE_WATCH_H_

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/executor.h"

namespace coppice::security {

struct WatchedCertificate {
  std::string kind;  // "server", "authority", "clients"
  std::string file;
  absl::Time until;
  std::string remedy;  // the end of a sentence
};

struct CertificateState {
  std::string kind;
  absl::Time until;
  absl::Duration left;  // negative: it has ended
  std::string warning;  // empty: a month or more is left
};

// Remaining times at which warnings start, and at which they become urgent.
inline constexpr absl::Duration kCertificateEndsSoon = absl::Hours(24 * 30);
inline constexpr absl::Duration kCertificateEndsNow = absl::Hours(24 * 7);

// "the server's certificate FILE ends on 2026-12-20, in 21 days; REMEDY". Empty while enough time
// is left.
std::string CertificateWarning(const WatchedCertificate& certificate, absl::Time now);

// Purpose: warns in time that a certificate ends, in the log and on request. The log has one line
// per day and file, and an immediate one when the end becomes urgent and when it has passed. Owner:
// commands::LiveCertificates. Thread-safe. No failure codes. Nothing is durable.
//   1. Check reads the present certificates and warns.
//   2. Start repeats Check every hour, on a thread of its own.
class CertificateWatch {
 public:
  // Called by one thread at a time; may access the disk.
  using Reader = std::function<std::vector<WatchedCertificate>()>;

  CertificateWatch(Clock* clock, Reader reader);
  ~CertificateWatch();
  CertificateWatch(const CertificateWatch&) = delete;
  CertificateWatch& operator=(const CertificateWatch&) = delete;

  void Check() ABSL_LOCKS_EXCLUDED(reading_, mutex_);
  void Start();
  // States as of the last Check, with the time that is left now.
  std::vector<CertificateState> states() const;
  // Waits for every Check that has begun. For tests.
  void Settle();

 private:
  enum class Stage { kFine, kSoon, kUrgent, kEnded };
  struct Said {
    Stage stage = Stage::kFine;
    absl::Time at;
  };
  static Stage StageOf(const WatchedCertificate& certificate, absl::Time now);
  void Schedule();
  void Say(const WatchedCertificate& certificate) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Clock* const clock_;
  const Reader reader_;
  absl::Mutex reading_;  // taken before mutex_
  mutable absl::Mutex mutex_;
  std::vector<WatchedCertificate> certificates_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Said> said_ ABSL_GUARDED_BY(mutex_);  // by file
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<Clock::TimerId> timer_ ABSL_GUARDED_BY(mutex_);
  Executor thread_;  // accesses the disk
};

}  // namespace coppice::security

#endif  // COPPICE_COORDINATOR_SECURITY_CERTIFICATE_WATCH_H_
