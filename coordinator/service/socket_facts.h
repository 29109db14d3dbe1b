// The kernel's information about a socket that another part of the process owns.
#ifndef COPPICE_COORDINATOR_SERVICE_SOCKET_FACTS_H_
#define COPPICE_COORDINATOR_SERVICE_SOCKET_FACTS_H_

#include <sys/socket.h>

#include <cstdint>
#include <string>

namespace coppice::service {

struct PeerName {
  std::string address;     // the /64 network for IPv6; "local" if there is none
  std::string connection;  // "ipv4:1.2.3.4:567", "ipv6:[::1]:567"
};
PeerName NameOf(const sockaddr_storage& from);

// A number that no other socket ever has; 0: `fd` is not a socket.
uint64_t CookieOf(int fd);
// Bytes that TCP has received in order, read or not.
uint64_t ReceivedBy(int fd);
bool HasMoreToRead(int fd);
// Ends the connection, discards received data, and answers further data with a reset. Otherwise its
// reader would first read all of the data.
void Discard(int fd);

}  // namespace coppice::service

#endif  // COPPICE_COORDINATOR_SERVICE_SOCKET_FACTS_H_
