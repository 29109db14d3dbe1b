#include "coordinator/service/server_facts.h"

#include <utility>

#include "common/base/build_info.h"

namespace coppice::service {
namespace {

std::vector<security::CertificateState> CertificatesOf(const ServerFacts& facts) {
  return facts.certificates ? facts.certificates() : std::vector<security::CertificateState>();
}

}  // namespace

void ToProto(const ServerFacts& facts, v1::GetServerInfoResponse* out) {
  out->set_version(VersionText());
  out->set_commit(std::string(Commit()));
  out->set_address(facts.address);
  for (security::CertificateState& state : CertificatesOf(facts)) {
    v1::ServerCertificate* const certificate = out->add_certificates();
    certificate->set_kind(std::move(state.kind));
    certificate->set_ends_ms(absl::ToUnixMillis(state.until));
    certificate->set_seconds_left(absl::ToInt64Seconds(state.left));
    certificate->set_warning(std::move(state.warning));
  }
}

void WarningsToProto(const ServerFacts& facts, v1::ListWorkersResponse* out) {
  for (security::CertificateState& state : CertificatesOf(facts)) {
    if (!state.warning.empty()) out->add_warnings(std::move(state.warning));
  }
}

}  // namespace coppice::service
