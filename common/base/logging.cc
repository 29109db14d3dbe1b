#include "common/base/logging.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <array>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "common/base/printable.h"

#if defined(FMT_VERSION) && FMT_VERSION < 100000
namespace fmt::detail {
template void vformat_to<char>(buffer<char>&, basic_string_view<char>,
                               basic_format_args<buffer_context<char>>, locale_ref);
}  // namespace fmt::detail
#endif

namespace coppice {
namespace {

// Formats the message, which may quote a peer, a file or another program. Characters that drive a
// terminal are removed, and further lines are indented so that none looks like a line of this log.
class CleanMessage : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    const absl::string_view text(message.payload.data(), message.payload.size());
    const std::string clean = IsPrintable(text)
                                  ? std::string(text)
                                  : absl::StrReplaceAll(Printable(text), {{"\n", "\n    "}});
    out.append(clean.data(), clean.data() + clean.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<CleanMessage>();
  }
};

}  // namespace

absl::Status InitLogging(const std::string& program, const std::string& level,
                         const std::string& file) {
  static constexpr std::array<const char*, 6> kLevels = {"trace", "debug", "info",
                                                         "warn",  "error", "off"};
  bool known = false;
  for (const char* name : kLevels) known = known || level == name;
  if (!known) {
    return absl::InvalidArgumentError(
        absl::StrCat("log level '", level, "' is not one of trace, debug, info, warn, error, off"));
  }
  std::vector<spdlog::sink_ptr> sinks = {std::make_shared<spdlog::sinks::stderr_sink_mt>()};
  if (!file.empty()) {
    try {
      sinks.push_back(std::make_shared<spdlog::sinks::basic_file_sink_mt>(file));
    } catch (const spdlog::spdlog_ex& error) {
      return absl::PermissionDeniedError(
          absl::StrCat("cannot open log file ", file, ": ", error.what()));
    }
  }
  auto logger = std::make_shared<spdlog::logger>(program, sinks.begin(), sinks.end());
  auto formatter = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc);
  formatter->add_flag<CleanMessage>('*').set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %-5l [%n] %*");
  logger->set_formatter(std::move(formatter));
  logger->set_level(spdlog::level::from_str(level));
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
  return absl::OkStatus();
}

}  // namespace coppice
