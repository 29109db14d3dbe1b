#ifndef COPPICE_TESTS_TESTING_HUNG_FOLDER_H_
#define COPPICE_TESTS_TESTING_HUNG_FOLDER_H_

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"

namespace coppice::testing {

// A folder on a file server that does not answer: whoever touches it waits in the kernel until
// Release. It is a FUSE filesystem whose daemon reads no request. Where the machine does not let
// one be mounted, `mounted` is false.
class HungFolder {
 public:
  explicit HungFolder(const std::string& path) : path_(path) {
    ::mkdir(path.c_str(), 0755);
    fd_ = ::open("/dev/fuse", O_RDWR | O_CLOEXEC);
    const std::string options = absl::StrCat("fd=", fd_, ",rootmode=40000,user_id=0,group_id=0");
    mounted_ = fd_ >= 0 && ::mount("hung", path.c_str(), "fuse", 0, options.c_str()) == 0;
  }
  ~HungFolder() { Release(); }
  HungFolder(const HungFolder&) = delete;
  HungFolder& operator=(const HungFolder&) = delete;

  bool mounted() const { return mounted_; }
  // Everybody who waits gets an error.
  void Release() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
    if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
    mounted_ = false;
  }

 private:
  const std::string path_;
  int fd_ = -1;
  bool mounted_ = false;
};

}  // namespace coppice::testing

#endif  // COPPICE_TESTS_TESTING_HUNG_FOLDER_H_
