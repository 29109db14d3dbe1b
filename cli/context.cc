#include "cli/context.h"

#include <ostream>

#include "absl/strings/str_cat.h"
#include "cli/format.h"
#include "common/base/status_macros.h"

namespace coppice::cli {

absl::StatusOr<Client*> Context::Connect() {
  if (client_ == nullptr) {
    COPPICE_ASSIGN_OR_RETURN(const rpc::Access in,
                             rpc::ResolveAccess(access, rpc::Caller::kClient));
    COPPICE_ASSIGN_OR_RETURN(client_, Client::Create(in.address, in.credentials));
    if (json) client_->KeepTextAsItIs();
    if (!in.warning.empty()) err << "coppice: warning: " << Printable(in.warning) << "\n";
  }
  return client_.get();
}

absl::StatusOr<Client*> Context::ConnectToChange() {
  COPPICE_ASSIGN_OR_RETURN(Client * client, Connect());
  COPPICE_RETURN_IF_ERROR(client->CheckVersion());
  return client;
}

void Warn(const std::vector<std::string>& warnings, std::ostream& err) {
  for (const std::string& warning : warnings)
    err << "coppice: warning: " << Printable(warning) << "\n";
  err << std::flush;
}

int Report(const absl::Status& status, std::ostream& err) {
  err << "coppice: error: "
      << Printable(absl::string_view(status.message().data(), status.message().size())) << "\n"
      << std::flush;
  return absl::IsInvalidArgument(status) ? kExitUsage : kExitFailed;
}

}  // namespace coppice::cli
