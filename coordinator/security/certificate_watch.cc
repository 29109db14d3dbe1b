#include "coordinator/security/certificate_watch.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "common/base/logging.h"

namespace coppice::security {
namespace {

constexpr absl::Duration kCertificateCheckInterval = absl::Hours(1);
constexpr absl::Duration kSayAgain = absl::Hours(24);

std::string NameOf(const WatchedCertificate& certificate) {
  const std::string& kind = certificate.kind;
  return absl::StrCat(kind == "clients"     ? "the clients' certificate "
                      : kind == "authority" ? "the authority's certificate "
                                            : "the server's certificate ",
                      certificate.file);
}

// "in 21 days", "in 5 hours".
std::string In(absl::Duration left) {
  const int64_t days = left / absl::Hours(24), hours = left / absl::Hours(1);
  if (days >= 2) return absl::StrCat("in ", days, " days");
  return hours == 1  ? "in 1 hour"
         : hours > 1 ? absl::StrCat("in ", hours, " hours")
                     : std::string("in less than an hour");
}

}  // namespace

std::string CertificateWarning(const WatchedCertificate& certificate, absl::Time now) {
  const absl::Duration left = certificate.until - now;
  if (left >= kCertificateEndsSoon) return "";
  const std::string date = absl::FormatTime("%Y-%m-%d", certificate.until, absl::UTCTimeZone());
  const std::string name = NameOf(certificate);
  if (left <= absl::ZeroDuration()) {
    return absl::StrCat(name, " ended on ", date,
                        ": no client and no worker can connect with it any more; ",
                        certificate.remedy);
  }
  return absl::StrCat(name, " ends on ", date, ", ", In(left),
                      left < kCertificateEndsNow
                          ? ": no client and no worker can connect with it after that; "
                          : "; ",
                      certificate.remedy);
}

CertificateWatch::CertificateWatch(Clock* clock, Reader reader)
    : clock_(clock), reader_(std::move(reader)) {}

CertificateWatch::~CertificateWatch() {
  {
    absl::MutexLock lock(&mutex_);
    closed_ = true;
  }
  thread_.Shutdown();
  std::optional<Clock::TimerId> timer;
  {
    absl::MutexLock lock(&mutex_);
    timer = timer_;
  }
  if (timer.has_value()) clock_->Cancel(*timer);
}

CertificateWatch::Stage CertificateWatch::StageOf(const WatchedCertificate& certificate,
                                                  absl::Time now) {
  const absl::Duration left = certificate.until - now;
  if (left <= absl::ZeroDuration()) return Stage::kEnded;
  if (left < kCertificateEndsNow) return Stage::kUrgent;
  return left < kCertificateEndsSoon ? Stage::kSoon : Stage::kFine;
}

void CertificateWatch::Check() {
  absl::MutexLock reading(&reading_);
  std::vector<WatchedCertificate> certificates = reader_();
  absl::MutexLock lock(&mutex_);
  certificates_ = std::move(certificates);
  for (const WatchedCertificate& certificate : certificates_) Say(certificate);
}

void CertificateWatch::Say(const WatchedCertificate& certificate) {
  const absl::Time now = clock_->Now();
  const Stage stage = StageOf(certificate, now);
  Said& said = said_[certificate.file];
  if (stage == Stage::kFine || stage < said.stage) said = {};
  if (stage == Stage::kFine || (stage == said.stage && now - said.at < kSayAgain)) return;
  said = {stage, now};
  const std::string warning = CertificateWarning(certificate, now);
  if (stage == Stage::kSoon) {
    spdlog::warn("{}", warning);
  } else {
    spdlog::error("{}", warning);
  }
}

void CertificateWatch::Start() {
  Check();
  Schedule();
}

void CertificateWatch::Schedule() {
  absl::MutexLock lock(&mutex_);
  if (closed_) return;
  timer_ = clock_->Schedule(kCertificateCheckInterval, [this] {
    thread_.Add([this] {
      Check();
      Schedule();
    });
  });
}

std::vector<CertificateState> CertificateWatch::states() const {
  const absl::Time now = clock_->Now();
  absl::MutexLock lock(&mutex_);
  std::vector<CertificateState> states;
  for (const WatchedCertificate& each : certificates_) {
    states.push_back({each.kind, each.until, each.until - now, CertificateWarning(each, now)});
  }
  return states;
}

void CertificateWatch::Settle() {
  absl::Notification settled;
  if (thread_.Add([&settled] { settled.Notify(); })) settled.WaitForNotification();
}

}  // namespace coppice::security
