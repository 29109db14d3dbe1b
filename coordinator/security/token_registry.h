#ifndef COPPICE_COORDINATOR_SECURITY_TOKEN_REGISTRY_H_
#define COPPICE_COORDINATOR_SECURITY_TOKEN_REGISTRY_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/base/clock.h"
#include "common/base/executor.h"
#include "coordinator/security/tokens.h"

namespace coppice::security {

// INVALID_ARGUMENT: not a valid token file. FAILED_PRECONDITION: others can read the file, or
// another account owns the file or its folder or may write there. Both name the file and the
// remedy. Otherwise the codes of files.h.
absl::StatusOr<TokenTable> LoadTokens(const std::string& path);

// Purpose: the tokens that a running coordinator accepts. It checks the file every few seconds, and
// at once on request (SIGHUP). A file that is unreadable, malformed or without tokens is logged and
// changes nothing: a slip in an editor must not lock everybody out. The registry records when each
// token was last used in a file beside it (TokenUsesFile), at most once a minute and at the end.
// That file may be lost. Owner: main; outlives the server. Thread-safe.
class TokenRegistry {
 public:
  // The codes of LoadTokens; FAILED_PRECONDITION: the file holds no token.
  static absl::StatusOr<std::unique_ptr<TokenRegistry>> Open(std::string path, Clock* clock);
  ~TokenRegistry();
  TokenRegistry(const TokenRegistry&) = delete;
  TokenRegistry& operator=(const TokenRegistry&) = delete;

  std::shared_ptr<const TokenTable> table() const;
  // Reads the file again, even if it seems unchanged.
  void Reload();
  // Waits for every check of the file that has begun. For tests.
  void Settle();
  // Sets a callback for when a token was revoked or got another role. It must not call this
  // function. Null removes it and waits for a running call.
  void OnRevoked(std::function<void()> callback);

 private:
  TokenRegistry(std::string path, Clock* clock) : path_(std::move(path)), clock_(clock) {}
  void ScheduleCheck();
  void ReloadIfChanged();
  void ReadUses();
  // Called on the reader's thread, and when that thread does not exist.
  void WriteUses(bool at_once);

  const std::string path_;
  Clock* const clock_;

  mutable absl::Mutex mutex_;
  std::shared_ptr<const TokenTable> table_ ABSL_GUARDED_BY(mutex_);
  std::string stamp_ ABSL_GUARDED_BY(mutex_);  // of the file at the last reading
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<Clock::TimerId> timer_ ABSL_GUARDED_BY(mutex_);
  absl::Mutex callback_mutex_;  // never taken with mutex_ held
  std::function<void()> on_revoked_ ABSL_GUARDED_BY(callback_mutex_);
  absl::Time uses_since_ = absl::InfinitePast();  // only the reader uses this and the next three
  std::string uses_written_;
  absl::Duration uses_written_at_;
  bool uses_refused_ = false;  // and this was logged
  Executor reader_;            // accesses the disk, which may hang; the clock must not
};

}  // namespace coppice::security

#endif  // COPPICE_COORDINATOR_SECURITY_TOKEN_REGISTRY_H_
