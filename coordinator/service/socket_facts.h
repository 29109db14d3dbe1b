// What the kernel says of a socket that another part of the process owns.
#ifndef COPPICE_COORDINATOR_SERVICE_SOCKET_FACTS_H_
#define COPPICE_COORDINATOR_SERVICE_SOCKET_FACTS_H_

#include <sys/socket.h>

#include <cstdint>
#include <string>

namespace coppice::service {

struct PeerName {
  std::string address;     // of IPv6 its network of 64 bits; "local" for what has none
  std::string connection;  // "ipv4:1.2.3.4:567", "ipv6:[::1]:567"
};
PeerName NameOf(const sockaddr_storage& from);

// A number that no other socket has, ever; 0: `fd` is none.
uint64_t CookieOf(int fd);
// Bytes of TCP that have come in order, read or not.
uint64_t ReceivedBy(int fd);
bool HasMoreToRead(int fd);
// Ends the connection. What has come is thrown away, and what still comes is answered by a reset:
// whoever reads it would read it to the end first.
void Discard(int fd);

}  // namespace coppice::service

#endif  // COPPICE_COORDINATOR_SERVICE_SOCKET_FACTS_H_
