#include "coordinator/service/channelz_view.h"

#include <grpc/grpc.h>
#include <grpc/support/alloc.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_replace.h"

namespace coppice::service {
namespace {

// gRPC numbers a connection before it lists it, so a smaller number may appear after a greater one.
constexpr int64_t kOverlap = 256;

// Takes ownership of the JSON that grpc_channelz_* returns.
std::string Take(char* json) {
  if (json == nullptr) return "";
  std::string text = json;
  gpr_free(json);
  return text;
}

// The text of the next string member `name` at or after `at`. Moves `at` past it.
std::optional<std::string> NextMember(const std::string& json, absl::string_view name, size_t& at) {
  const std::string key = '"' + std::string(name) + "\":\"";
  const size_t found = json.find(key, at);
  if (found == std::string::npos) return std::nullopt;
  const size_t begin = found + key.size();
  const size_t end = json.find('"', begin);
  if (end == std::string::npos) return std::nullopt;
  at = end;
  return json.substr(begin, end - begin);
}

uint64_t NumberOf(const std::string& json, absl::string_view name) {
  size_t at = 0;
  uint64_t number = 0;
  const auto text = NextMember(json, name, at);
  return text.has_value() && absl::SimpleAtoi(*text, &number) ? number : 0;
}

}  // namespace

std::string PeerOfSocketName(absl::string_view name) {
  const size_t begin = std::min(name.find("ipv4:"), name.find("ipv6:"));
  if (begin == absl::string_view::npos) return "";
  return absl::StrReplaceAll(name.substr(begin, name.find(' ', begin) - begin),
                             {{"%5B", "["}, {"%5D", "]"}, {"%5b", "["}, {"%5d", "]"}});
}

ChannelzView::ChannelzView() {
  for (;;) {
    const std::string json = Take(grpc_channelz_get_servers(server_ + 1));
    const int64_t before = server_;
    for (size_t at = 0;;) {
      const auto id = NextMember(json, "serverId", at);
      int64_t number = 0;
      if (!id.has_value()) break;
      if (absl::SimpleAtoi(*id, &number)) server_ = std::max(server_, number);
    }
    if (server_ == before) return;
  }
}

std::vector<TransportView::Opened> ChannelzView::NewlyOpened() {
  std::vector<Opened> opened;
  if (server_ == 0) return opened;
  for (int64_t from = std::max<int64_t>(0, newest_ - kOverlap);;) {
    const std::string json = Take(grpc_channelz_get_server_sockets(server_, from, 0));
    const size_t before = opened.size();
    for (size_t at = 0;;) {
      const auto name = NextMember(json, "name", at);
      const auto id = NextMember(json, "socketId", at);
      int64_t number = 0;
      if (!name.has_value() || !id.has_value() || !absl::SimpleAtoi(*id, &number)) break;
      opened.push_back({number, PeerOfSocketName(*name)});
      newest_ = std::max(newest_, number);
    }
    if (opened.size() == before || absl::StrContains(json, "\"end\":true")) return opened;
    from = newest_ + 1;
  }
}

std::optional<TransportView::Counters> ChannelzView::CountersOf(int64_t id) {
  const std::string json = Take(grpc_channelz_get_socket(id));
  if (json.empty()) return std::nullopt;
  Counters counters{NumberOf(json, "streamsStarted"), NumberOf(json, "messagesReceived"),
                    NumberOf(json, "messagesSent"), absl::InfinitePast()};
  size_t at = 0;
  const auto begun = NextMember(json, "lastRemoteStreamCreatedTimestamp", at);
  std::string error;
  if (begun.has_value() &&
      !absl::ParseTime(absl::RFC3339_full, *begun, &counters.last_call, &error)) {
    counters.last_call = absl::InfinitePast();
  }
  return counters;
}

}  // namespace coppice::service
