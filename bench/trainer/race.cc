#include "bench/trainer/race.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "bench/trainer/contestant.h"
#include "bench/trainer/workload.h"
#include "common/base/status_macros.h"

namespace coppice::bench {
namespace {

// One process of a contestant. It ends with this object.
class Child {
 public:
  static absl::StatusOr<std::unique_ptr<Child>> Start(const Process& process) {
    int to[2], from[2];
    if (::pipe2(to, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "pipe");
    if (::pipe2(from, O_CLOEXEC) != 0) {
      ::close(to[0]);
      ::close(to[1]);
      return absl::ErrnoToStatus(errno, "pipe");
    }
    posix_spawn_file_actions_t files;
    ::posix_spawn_file_actions_init(&files);
    ::posix_spawn_file_actions_adddup2(&files, to[0], STDIN_FILENO);
    ::posix_spawn_file_actions_adddup2(&files, from[1], STDOUT_FILENO);
    std::vector<std::string> words = {"bench_trainer",
                                      "contestant",
                                      absl::StrCat(static_cast<int>(process.contestant)),
                                      absl::StrCat(process.configuration),
                                      absl::StrCat(process.seed),
                                      absl::StrCat(process.threads),
                                      absl::StrCat(process.seconds),
                                      process.cpu_time ? "cpu" : "wall"};
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    pid_t pid = -1;
    const int error = ::posix_spawn(&pid, "/proc/self/exe", &files, nullptr, argv.data(), environ);
    ::posix_spawn_file_actions_destroy(&files);
    ::close(to[0]);
    ::close(from[1]);
    std::unique_ptr<Child> child(new Child(error == 0 ? pid : -1, to[1], from[0]));
    if (error != 0) return absl::ErrnoToStatus(error, "cannot start a process");
    return child;
  }

  ~Child() {
    ::close(to_);
    std::fclose(from_);
    if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
  }

  absl::StatusOr<std::string> ReadLine() {
    char line[100];
    if (std::fgets(line, sizeof line, from_) == nullptr)
      return absl::InternalError("a process of the bench failed");
    return std::string(line);
  }
  void Go() { (void)!::write(to_, "\n", 1); }

 private:
  Child(pid_t pid, int to, int from) : pid_(pid), to_(to), from_(::fdopen(from, "r")) {}

  const pid_t pid_;
  const int to_;
  FILE* const from_;
};

// Returns the sum of the rates of `processes` processes that run at once.
absl::StatusOr<double> Measure(Process process, int processes) {
  std::vector<std::unique_ptr<Child>> children;
  for (int i = 0; i < processes; ++i) {
    process.seed = static_cast<uint64_t>(i);
    COPPICE_ASSIGN_OR_RETURN(std::unique_ptr<Child> child, Child::Start(process));
    children.push_back(std::move(child));
  }
  for (const auto& child : children) COPPICE_RETURN_IF_ERROR(child->ReadLine().status());
  for (const auto& child : children) child->Go();
  double sum = 0;
  for (const auto& child : children) {
    COPPICE_ASSIGN_OR_RETURN(const std::string line, child->ReadLine());
    double rate = 0;
    if (!absl::SimpleAtod(line, &rate)) return absl::InternalError("a process of the bench failed");
    sum += rate;
  }
  return sum;
}

// Returns the faster of two ways: one seed on all cores, or as many seeds as cores.
absl::StatusOr<double> MeasureBaseline(Process process, const RaceOptions& options,
                                       Spread* faster) {
  process.threads = 1;
  COPPICE_ASSIGN_OR_RETURN(const double together, Measure(process, options.cores));
  *faster = {options.cores, 1};
  if (options.brief || options.cores == 1) return together;
  process.threads = options.cores;
  COPPICE_ASSIGN_OR_RETURN(const double alone, Measure(process, 1));
  if (alone <= together) return together;
  *faster = {1, options.cores};
  return alone;
}

}  // namespace

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

absl::StatusOr<Figures> Race(int configuration, double flops, const RaceOptions& options) {
  Figures figures;
  std::vector<double> eager, tuned, ours, products, gemm, over_eager, over_tuned, share;
  for (int round = 1; round <= options.rounds; ++round) {
    Process process;
    process.configuration = configuration;
    process.seconds = options.seconds;
    process.cpu_time = options.cpu_time;
    process.contestant = Contestant::kEager;
    COPPICE_ASSIGN_OR_RETURN(eager.emplace_back(),
                             MeasureBaseline(process, options, &figures.eager_spread));
    process.contestant = Contestant::kOurs;
    process.threads = options.cores;
    COPPICE_ASSIGN_OR_RETURN(ours.emplace_back(), Measure(process, 1));
    over_eager.push_back(ours.back() / eager.back());
    std::fprintf(stderr, "%s, round %d of %d: eager %.4g, ours %.4g",
                 Configurations()[configuration].name.c_str(), round, options.rounds, eager.back(),
                 ours.back());
    if (!options.brief) {
      process.contestant = Contestant::kTuned;
      COPPICE_ASSIGN_OR_RETURN(tuned.emplace_back(),
                               MeasureBaseline(process, options, &figures.tuned_spread));
      process.threads = 1;
      process.contestant = Contestant::kProducts;
      COPPICE_ASSIGN_OR_RETURN(products.emplace_back(), Measure(process, options.cores));
      process.contestant = Contestant::kGemm;
      COPPICE_ASSIGN_OR_RETURN(gemm.emplace_back(), Measure(process, options.cores));
      over_tuned.push_back(ours.back() / tuned.back());
      share.push_back(ours.back() * flops / gemm.back());
      std::fprintf(stderr, ", tuned %.4g, products alone %.4g steps/s, sgemm %.4g GFLOP/s",
                   tuned.back(), products.back(), gemm.back() / 1e9);
    }
    std::fprintf(stderr, "\n");
  }
  figures.eager = Median(eager);
  figures.tuned = Median(tuned);
  figures.ours = Median(ours);
  figures.over_eager = Median(over_eager);
  figures.over_tuned = Median(over_tuned);
  figures.products = Median(products);
  figures.gemm = Median(gemm);
  figures.gemm_share = Median(share);
  return figures;
}

}  // namespace coppice::bench
