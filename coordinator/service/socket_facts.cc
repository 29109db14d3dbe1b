#include "coordinator/service/socket_facts.h"

#include <arpa/inet.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace coppice::service {
namespace {

std::string AddressText(int family, const void* address) {
  std::array<char, INET6_ADDRSTRLEN> text = {};
  return ::inet_ntop(family, address, text.data(), text.size()) == nullptr ? "" : text.data();
}

}  // namespace

PeerName NameOf(const sockaddr_storage& from) {
  if (from.ss_family == AF_INET) {
    sockaddr_in v4;
    std::memcpy(&v4, &from, sizeof(v4));
    const std::string text = AddressText(AF_INET, &v4.sin_addr);
    return {text, absl::StrCat("ipv4:", text, ":", ntohs(v4.sin_port))};
  }
  if (from.ss_family != AF_INET6) return {"local", ""};
  sockaddr_in6 v6;
  std::memcpy(&v6, &from, sizeof(v6));
  if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
    const std::string text = AddressText(AF_INET, &v6.sin6_addr.s6_addr[12]);
    return {text, absl::StrCat("ipv4:", text, ":", ntohs(v6.sin6_port))};
  }
  const std::string text = AddressText(AF_INET6, &v6.sin6_addr);
  std::fill(v6.sin6_addr.s6_addr + 8, v6.sin6_addr.s6_addr + 16, uint8_t{0});
  return {absl::StrCat(AddressText(AF_INET6, &v6.sin6_addr), "/64"),
          absl::StrCat("ipv6:[", text, "]:", ntohs(v6.sin6_port))};
}

// Uses only getsockopt. ThreadSanitizer reports other calls as races if another thread may close
// the descriptor, although they are harmless here.

uint64_t CookieOf(int fd) {
  uint64_t cookie = 0;
  socklen_t size = sizeof(cookie);
  return ::getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0 ? cookie : 0;
}

uint64_t ReceivedBy(int fd) {
  tcp_info info = {};
  socklen_t size = sizeof(info);
  return ::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 ? info.tcpi_bytes_received : 0;
}

bool HasMoreToRead(int fd) {
  std::array<uint32_t, SK_MEMINFO_VARS> memory = {};
  socklen_t size = sizeof(memory);
  return ::getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory.data(), &size) == 0 &&
         memory[SK_MEMINFO_RMEM_ALLOC] > 0;
}

void Discard(int fd) {
  ::shutdown(fd, SHUT_RDWR);
  while (::syscall(SYS_recvfrom, fd, nullptr, 1 << 20, MSG_TRUNC | MSG_DONTWAIT, nullptr, nullptr) >
         0) {
  }
}

}  // namespace coppice::service
