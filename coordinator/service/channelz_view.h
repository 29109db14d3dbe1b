#ifndef COPPICE_COORDINATOR_SERVICE_CHANNELZ_VIEW_H_
#define COPPICE_COORDINATOR_SERVICE_CHANNELZ_VIEW_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "coordinator/service/connection_guard.h"

namespace coppice::service {

// Purpose: gRPC's counters of each connection (from its channelz, which is always on). A connection
// is listed once it speaks HTTP/2. Owner: Server. One thread at a time. No failure codes: a
// connection that gRPC does not report counts as gone.
class ChannelzView : public TransportView {
 public:
  // A view of the server that this process started last.
  ChannelzView();
  std::vector<Opened> NewlyOpened() override;
  std::optional<Counters> CountersOf(int64_t id) override;

 private:
  int64_t server_ = 0;
  int64_t newest_ = 0;  // the highest connection id so far
};

// "ipv6:[::1]:567", from gRPC's name "chttp2 ipv6:%5B::1%5D:567".
std::string PeerOfSocketName(absl::string_view name);

}  // namespace coppice::service

#endif  // COPPICE_COORDINATOR_SERVICE_CHANNELZ_VIEW_H_
