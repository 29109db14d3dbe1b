#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "cli/commands/commands.h"
#include "cli/format.h"
#include "cli/json.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"

namespace coppice::cli {
namespace {

std::string NameOf(const v1::ServerCertificate& certificate) {
  if (certificate.kind() == "server") return "certificate";
  return certificate.kind() == "clients" ? "clients'" : certificate.kind();
}

// "until 2027-11-29 20:46 UTC, in 364d 23h".
std::string EndOf(const v1::ServerCertificate& certificate) {
  const int64_t left = certificate.seconds_left();
  return absl::StrCat(
      "until ",
      absl::FormatTime("%Y-%m-%d %H:%M UTC", absl::FromUnixMillis(certificate.ends_ms()),
                       absl::UTCTimeZone()),
      left < 0 ? ", ended " : ", in ", FormatDuration(static_cast<double>(left < 0 ? -left : left)),
      left < 0 ? " ago" : "");
}

absl::StatusOr<v1::GetServerInfoResponse> GetInfo(Context* context) {
  COPPICE_ASSIGN_OR_RETURN(Client * client, context->Connect());
  return client->GetServerInfo();
}

// The same, for so long as the access file is missing or nobody answers.
absl::StatusOr<v1::GetServerInfoResponse> AwaitInfo(absl::Duration wait, Context* context) {
  constexpr absl::Duration kPause = absl::Milliseconds(100);
  const absl::Duration until = Clock::Real()->Monotonic() + wait;
  while (true) {
    absl::StatusOr<v1::GetServerInfoResponse> info = GetInfo(context);
    if (info.ok() || absl::IsInvalidArgument(info.status()) ||
        Clock::Real()->Monotonic() >= until) {
      return info;
    }
    absl::Notification().WaitForNotificationWithTimeout(kPause);
  }
}

absl::StatusOr<int> Server(absl::Duration wait, Context* context) {
  COPPICE_ASSIGN_OR_RETURN(const v1::GetServerInfoResponse info, AwaitInfo(wait, context));
  COPPICE_ASSIGN_OR_RETURN(Client * client, context->Connect());
  if (context->json) {
    context->out << ToJson(info);
    return kExitDone;
  }
  const int64_t up = std::max<int64_t>(0, Clock::Real()->NowMillis() - info.started_ms());
  std::vector<std::pair<std::string, std::string>> rows = {
      {"version", info.version()},
      {"commit", info.commit()},
      {"protocol", absl::StrCat(info.protocol())},
      {"listens on", info.address()},
      {"reached at", client->address()},
      {"started", absl::StrCat(FormatTime(info.started_ms()), ", ",
                               FormatDuration(static_cast<double>(up) / 1e3), " ago")},
      {"store", info.store_id()},
      {"checkpoints", info.checkpoint_root()}};
  for (const v1::ServerCertificate& certificate : info.certificates()) {
    rows.emplace_back(NameOf(certificate), EndOf(certificate));
  }
  if (info.certificates().empty()) rows.emplace_back("certificate", "none: nothing is encrypted");
  for (const auto& [name, value] : rows) {
    context->out << name << std::string(13 - name.size(), ' ') << (value.empty() ? "-" : value)
                 << "\n";
  }
  for (const v1::ServerCertificate& certificate : info.certificates()) {
    if (!certificate.warning().empty())
      context->out << "warning: " << certificate.warning() << "\n";
  }
  return kExitDone;
}

absl::Duration ParseWait(const std::string& text) {
  absl::Duration wait;
  if (absl::ParseDuration(text, &wait) && wait > absl::ZeroDuration()) return wait;
  throw CLI::ValidationError("--wait",
                             absl::StrCat("'", text, "' is no time; write for example 30s or 5m"));
}

}  // namespace

void AddServer(CLI::App* app, Context* context, Action* action) {
  CLI::App* const command = app->add_subcommand(
      "server", "The coordinator: version, address, since when, until when its certificates");
  const auto wait = std::make_shared<absl::Duration>();
  command
      ->add_option_function<std::string>(
          "--wait", [wait](const std::string& text) { *wait = ParseWait(text); },
          "Wait for so long until the coordinator answers, for example 30s")
      ->type_name("TIME");
  AddJsonFlag(command, context);
  command->callback([=] { *action = [=] { return Server(*wait, context); }; });
}

}  // namespace coppice::cli
