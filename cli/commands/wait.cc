#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "cli/commands/commands.h"
#include "cli/json.h"
#include "cli/sweep_view.h"
#include "common/base/status_macros.h"

namespace coppice::cli {
namespace {

// A coordinator that went away is waited for this long: a machine may be down overnight.
constexpr absl::Duration kWaitPatience = absl::Hours(24);

struct WaitOptions {
  std::vector<std::string> sweeps;
  absl::Duration timeout = absl::InfiniteDuration();
};

// Ends the client's calls when the time is over. The client must outlive this object.
class Deadline {
 public:
  Deadline(Client* client, absl::Duration timeout)
      : thread_([this, client, timeout] {
          over_ = !done_.WaitForNotificationWithTimeout(timeout);
          if (over_) client->CancelAll();
        }) {}
  ~Deadline() { Stop(); }
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  // Returns whether the time is over.
  bool Stop() {
    if (thread_.joinable()) {
      done_.Notify();
      thread_.join();
    }
    return over_;
  }

 private:
  absl::Notification done_;
  bool over_ = false;  // read after the thread has ended
  std::thread thread_;
};

// Returns the summaries in the requested order. That of a sweep that has not ended is the last
// known.
absl::Status WaitForAll(Client* client, const std::vector<std::string>& sweeps,
                        v1::ListSweepsResponse* summaries) {
  for (const std::string& sweep : sweeps) {
    v1::SweepSummary* summary = summaries->add_sweeps();
    summary->set_name(sweep);
    COPPICE_RETURN_IF_ERROR(client->WatchSweep(
        sweep, kWaitPatience, [] {},
        [summary](const v1::WatchSweepResponse& update) {
          if (update.has_summary()) *summary = update.summary();
          return true;
        }));
    COPPICE_ASSIGN_OR_RETURN(const v1::GetSweepResponse ended, client->GetSweep(sweep));
    *summary = ended.sweep();
  }
  return absl::OkStatus();
}

absl::Status TooLong(const WaitOptions& options, const v1::SweepSummary& summary) {
  const v1::JobCounts& counts = summary.counts();
  return absl::DeadlineExceededError(absl::StrCat(
      summary.name(), " has not ended after ", absl::FormatDuration(options.timeout), ": ",
      counts.running(), " of ", summary.jobs(), " jobs run, ", counts.pending(), " wait"));
}

absl::StatusOr<int> Wait(const WaitOptions& options, Context* context) {
  COPPICE_ASSIGN_OR_RETURN(Client * client, context->Connect());
  std::vector<std::string> sweeps = options.sweeps;
  if (sweeps.empty()) sweeps.emplace_back();
  for (std::string& sweep : sweeps) {
    COPPICE_ASSIGN_OR_RETURN(sweep, ResolveSweep(client, sweep));
  }
  v1::ListSweepsResponse summaries;
  Deadline deadline(client, options.timeout);
  const absl::Status waited = WaitForAll(client, sweeps, &summaries);
  if (deadline.Stop() && !waited.ok())
    return TooLong(options, summaries.sweeps(summaries.sweeps_size() - 1));
  COPPICE_RETURN_IF_ERROR(waited);
  int code = kExitDone;
  for (const v1::SweepSummary& summary : summaries.sweeps()) {
    if (!AllSucceeded(summary)) code = kExitFailed;
  }
  if (context->json) {
    context->out << ToJson(summaries);
    return code;
  }
  for (const v1::SweepSummary& summary : summaries.sweeps()) {
    for (const std::string& line : SummaryLines(summary, context->terminal))
      context->out << line << "\n";
  }
  return code;
}

absl::Duration ParseTimeout(const std::string& text) {
  absl::Duration timeout;
  if (absl::ParseDuration(text, &timeout) && timeout > absl::ZeroDuration()) return timeout;
  throw CLI::ValidationError(
      "--timeout", absl::StrCat("'", text, "' is no time; write for example 90s, 30m or 12h"));
}

}  // namespace

void AddWait(CLI::App* app, Context* context, Action* action) {
  CLI::App* command = app->add_subcommand(
      "wait", "Wait until sweeps have ended; exit code 1 when a job failed or was cancelled");
  const auto options = std::make_shared<WaitOptions>();
  command->add_option("SWEEP", options->sweeps,
                      "Their names; may be left out where there is only one");
  command
      ->add_option_function<std::string>(
          "--timeout",
          [options](const std::string& text) { options->timeout = ParseTimeout(text); },
          "Give up after this time, for example 30m, with exit code 1")
      ->type_name("TIME");
  AddJsonFlag(command, context);
  command->callback([=] { *action = [=] { return Wait(*options, context); }; });
}

}  // namespace coppice::cli
