#ifndef COPPICE_COORDINATOR_SECURITY_TOKEN_REGISTRY_H_
#define COPPICE_COORDINATOR_SECURITY_TOKEN_REGISTRY_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/base/clock.h"
#include "common/base/executor.h"
#include "coordinator/security/tokens.h"

namespace coppice::security {

// INVALID_ARGUMENT and FAILED_PRECONDITION name the file and what to do, also when another account
// owns the file or its folder, or may write there; else the codes of files.h.
absl::StatusOr<TokenTable> LoadTokens(const std::string& path);

// Purpose: the tokens a running coordinator accepts. Looks at the file every few seconds, and at
// once when told to (SIGHUP). A file that cannot be read or understood changes nothing and is
// logged: a slip in an editor must not lock everybody out. Neither does one that holds no token.
// Notes in a file beside it (TokenUsesFile), once a minute at most and at the end, when each token
// was last used; it may be lost. Owner: main; outlives the server. Thread-safe.
class TokenRegistry {
 public:
  // The codes of LoadTokens; FAILED_PRECONDITION when the file accepts nobody.
  static absl::StatusOr<std::unique_ptr<TokenRegistry>> Open(std::string path, Clock* clock);
  ~TokenRegistry();
  TokenRegistry(const TokenRegistry&) = delete;
  TokenRegistry& operator=(const TokenRegistry&) = delete;

  std::shared_ptr<const TokenTable> table() const;
  // Reads the file again, also when it looks the same.
  void Reload();
  // Waits until every look at the file that was begun is over. For tests.
  void Settle();
  // Called after a token was revoked or got another role; must not come back here. Null ends that,
  // and waits for a call that is under way.
  void OnRevoked(std::function<void()> callback);

 private:
  TokenRegistry(std::string path, Clock* clock) : path_(std::move(path)), clock_(clock) {}
  void ScheduleLook();
  void ReloadIfChanged();
  void ReadUses();
  // On the reader's thread, and before and after there is one.
  void WriteUses(bool at_once);

  const std::string path_;
  Clock* const clock_;

  mutable absl::Mutex mutex_;
  std::shared_ptr<const TokenTable> table_ ABSL_GUARDED_BY(mutex_);
  std::string stamp_ ABSL_GUARDED_BY(mutex_);  // of the file when it was last read
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<Clock::TimerId> timer_ ABSL_GUARDED_BY(mutex_);
  absl::Mutex callback_mutex_;  // never taken with mutex_ held
  std::function<void()> on_revoked_ ABSL_GUARDED_BY(callback_mutex_);
  absl::Time uses_since_ = absl::InfinitePast();  // of the reader, as the next three
  std::string uses_written_;
  absl::Duration uses_written_at_;
  bool uses_refused_ = false;  // and that was said
  Executor reader_;            // where the disk is touched: it may hang, the clock must not
};

}  // namespace coppice::security

#endif  // COPPICE_COORDINATOR_SECURITY_TOKEN_REGISTRY_H_
