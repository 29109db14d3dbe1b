#include "coordinator/commands/live_certificates.h"

#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "common/base/logging.h"
#include "common/base/regular_file.h"
#include "common/base/status_macros.h"
#include "common/rpc/access_file.h"
#include "coordinator/commands/tls_files.h"
#include "coordinator/security/certificates.h"

namespace coppice::commands {
namespace {

using security::WatchedCertificate;

std::string Date(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d", time, absl::UTCTimeZone());
}

std::string HangUp() { return absl::StrCat("`kill -HUP ", ::getpid(), "`"); }

// The end of validity of a PEM's first certificate; nullopt if it has none.
std::optional<absl::Time> EndOf(const std::string& pem) {
  const auto info = security::ReadCertificate(pem);
  return info.ok() ? std::make_optional(info->until) : std::nullopt;
}

}  // namespace

LiveCertificates::LiveCertificates(SecurityFlags files, std::optional<OwnAccess> own,
                                   service::TlsIdentity served, Clock* clock)
    : files_(std::move(files)),
      own_(std::move(own)),
      clock_(clock),
      served_(std::move(served)),
      watch_(clock, [this] { return Read(); }) {}

void LiveCertificates::Start(service::Server* server) {
  server_ = server;
  watch_.Start();
}

std::string LiveCertificates::RemedyFor(const std::string& kind,
                                        const service::TlsIdentity& served) const {
  const std::string& dir = files_.tls_dir;
  if (kind == "authority") {
    if (own_.has_value()) {
      return absl::StrCat("stop the coordinator, remove ", dir,
                          " and start it again: it makes a new authority, and access has to be "
                          "handed on anew");
    }
    return "make a new authority (`coppice-coordinator init-tls --dir DIR`), and hand its files "
           "out";
  }
  if (kind == "server") {
    const auto file = ReadRegularFile(files_.tls_cert, kMaxPemBytes);
    const auto until = file.ok() && *file != served.certificate ? EndOf(*file) : std::nullopt;
    const auto now = EndOf(served.certificate);
    if (until.has_value() && until > now) {
      return absl::StrCat("the file holds one by now that is valid until ", Date(*until), ": ",
                          HangUp(), " makes the coordinator take it");
    }
  }
  if (own_.has_value()) {
    return absl::StrCat(HangUp(),
                        " makes the coordinator sign new ones; workers take theirs from the access "
                        "file when they start");
  }
  if (!dir.empty() && files_.tls_cert == JoinPath(dir, kServerCertificate)) {
    return absl::StrCat("`coppice-coordinator init-tls --dir ", dir, " --renew` makes a new one, ",
                        HangUp(), " makes the coordinator take it");
  }
  return absl::StrCat("put a renewed one in its place, then ", HangUp(),
                      " makes the coordinator take it");
}

std::vector<WatchedCertificate> LiveCertificates::Read() {
  service::TlsIdentity served;
  {
    absl::MutexLock lock(&mutex_);
    served = served_;
  }
  std::vector<WatchedCertificate> found;
  const auto add = [&](const std::string& kind, const std::string& file, const std::string& pem) {
    const auto until = EndOf(pem);
    if (until.has_value()) found.push_back({kind, file, *until, RemedyFor(kind, served)});
  };
  add("server", files_.tls_cert, served.certificate);
  if (!served.client_authority.empty()) {
    add("authority", files_.tls_client_ca, served.client_authority);
  } else if (!files_.tls_dir.empty()) {
    const std::string file = JoinPath(files_.tls_dir, kAuthorityCertificate);
    add("authority", file, ReadRegularFile(file, kMaxPemBytes).value_or(""));
  }
  if (own_.has_value()) {
    const auto access = rpc::ReadAccessFile(own_->file);
    if (access.ok()) add("clients", own_->file, access->certificate);
  }
  return found;
}

absl::Status LiveCertificates::Renew() {
  if (own_.has_value()) COPPICE_RETURN_IF_ERROR(MakeOwnAccess(*own_, clock_).status());
  service::ServerSecurity read;
  COPPICE_RETURN_IF_ERROR(LoadTls(files_, clock_, &read));
  const std::string until = Date(*EndOf(read.certificate));
  {
    absl::MutexLock lock(&mutex_);
    if (served_.certificate == read.certificate && served_.key == read.key &&
        served_.client_authority == read.client_authority) {
      spdlog::info("read the certificate {} again: it is the one that is served, valid until {}",
                   files_.tls_cert, until);
      return absl::OkStatus();
    }
    served_ = {read.certificate, read.key, read.client_authority};
    server_->ReplaceIdentity(served_);
  }
  spdlog::info(
      "took the certificate {} anew, valid until {}: new connections get it, those that are open "
      "go on",
      files_.tls_cert, until);
  return absl::OkStatus();
}

void LiveCertificates::Reload() {
  const absl::Status renewed = Renew();
  if (!renewed.ok()) {
    spdlog::error("the certificate that is served stays: {}; mend that, then {} again",
                  std::string(renewed.message()), HangUp());
  }
  if (own_.has_value()) {
    const absl::Status published = PublishAccess(*own_, server_->address());
    if (!published.ok()) {
      spdlog::error("the access file stays as it was: {}", std::string(published.message()));
    }
  }
  watch_.Check();
}

}  // namespace coppice::commands
