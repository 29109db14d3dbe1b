// Sets variables of this process's environment during the life of an object.
#ifndef COPPICE_TESTS_WORKER_TRAINER_SCOPED_ENVIRONMENT_H_
#define COPPICE_TESTS_WORKER_TRAINER_SCOPED_ENVIRONMENT_H_

#include <cstdlib>
#include <map>
#include <optional>
#include <string>

namespace coppice::trainer {

// Processes that are started meanwhile inherit them. No other thread may read the environment.
class ScopedEnvironment {
 public:
  explicit ScopedEnvironment(const std::map<std::string, std::string>& variables) {
    for (const auto& [name, value] : variables) {
      const char* before = std::getenv(name.c_str());
      before_[name] = before != nullptr ? std::optional<std::string>(before) : std::nullopt;
      ::setenv(name.c_str(), value.c_str(), 1);
    }
  }
  ScopedEnvironment(const std::string& name, const std::string& value)
      : ScopedEnvironment(std::map<std::string, std::string>{{name, value}}) {}
  ~ScopedEnvironment() {
    for (const auto& [name, value] : before_) {
      if (value.has_value()) {
        ::setenv(name.c_str(), value->c_str(), 1);
      } else {
        ::unsetenv(name.c_str());
      }
    }
  }
  ScopedEnvironment(const ScopedEnvironment&) = delete;
  ScopedEnvironment& operator=(const ScopedEnvironment&) = delete;

 private:
  std::map<std::string, std::optional<std::string>> before_;
};

}  // namespace coppice::trainer

#endif  // COPPICE_TESTS_WORKER_TRAINER_SCOPED_ENVIRONMENT_H_
