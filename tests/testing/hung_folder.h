#ifndef COPPICE_TESTS_TESTING_HUNG_FOLDER_H_
#define COPPICE_TESTS_TESTING_HUNG_FOLDER_H_

#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace coppice::testing {

// A folder on a file server that does not answer: every access waits in the kernel until Release.
// It is a FUSE filesystem whose daemon completes the initial handshake and then reads nothing more.
// `mounted` is false if the machine does not allow the mount.
class HungFolder {
 public:
  explicit HungFolder(const std::string& path) : path_(path) {
    ::mkdir(path.c_str(), 0755);
    fd_ = ::open("/dev/fuse", O_RDWR | O_CLOEXEC);
    const std::string options = absl::StrCat("fd=", fd_, ",rootmode=40000,user_id=0,group_id=0");
    mounted_ = fd_ >= 0 && ::mount("hung", path.c_str(), "fuse", 0, options.c_str()) == 0;
    if (mounted_) Greet();
  }
  ~HungFolder() { Release(); }
  HungFolder(const HungFolder&) = delete;
  HungFolder& operator=(const HungFolder&) = delete;

  bool mounted() const { return mounted_; }
  // Waits until an access blocks here. False: there was none in time.
  bool AwaitVisitor(absl::Duration patience) {
    pollfd request = {fd_, POLLIN, 0};
    return ::poll(&request, 1, static_cast<int>(absl::ToInt64Milliseconds(patience))) == 1;
  }
  // Every blocked access gets an error.
  void Release() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
    if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
    mounted_ = false;
  }

 private:
  // The kernel sends requests only after this handshake.
  void Greet() {
    char request[FUSE_MIN_READ_BUFFER];
    if (::read(fd_, request, sizeof(request)) < static_cast<ssize_t>(sizeof(fuse_in_header)))
      return;
    struct {
      fuse_out_header header;
      fuse_init_out init;
    } answer = {};
    answer.header.len = sizeof(answer);
    answer.header.unique = reinterpret_cast<const fuse_in_header*>(request)->unique;
    answer.init.major = FUSE_KERNEL_VERSION;
    answer.init.minor = FUSE_KERNEL_MINOR_VERSION;
    answer.init.max_write = 4096;
    if (::write(fd_, &answer, sizeof(answer)) < 0) Release();
  }

  const std::string path_;
  int fd_ = -1;
  bool mounted_ = false;
};

}  // namespace coppice::testing

#endif  // COPPICE_TESTS_TESTING_HUNG_FOLDER_H_
