#ifndef COPPICE_TESTS_SIMULATION_FULL_DISK_H_
#define COPPICE_TESTS_SIMULATION_FULL_DISK_H_

#include <signal.h>
#include <sys/resource.h>

namespace coppice::simulation {

// While this object lives, no file of this process can grow. So writers of real files fail as on a
// full disk, in the middle of their work and with the earlier output still there.
class FullDisk {
 public:
  explicit FullDisk(bool full) : full_(full) {
    if (!full_) return;
    ::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    rlimit none = before_;
    none.rlim_cur = 0;
    ::setrlimit(RLIMIT_FSIZE, &none);
  }
  ~FullDisk() {
    if (full_) ::setrlimit(RLIMIT_FSIZE, &before_);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;

 private:
  const bool full_;
  rlimit before_{};
};

}  // namespace coppice::simulation

#endif  // COPPICE_TESTS_SIMULATION_FULL_DISK_H_
