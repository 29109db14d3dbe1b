// Sorts Slurm's words: why sbatch refused, why a job waits, how a job ended.
#ifndef COPPICE_COORDINATOR_POOLS_SLURM_REASONS_H_
#define COPPICE_COORDINATOR_POOLS_SLURM_REASONS_H_

#include <string>

#include "absl/strings/string_view.h"
#include "coordinator/pools/batch_system.h"

namespace coppice::pools {

// The result of an sbatch that did not accept: its stderr, and Slurm's version or empty. A text
// that says nothing certain is kUnclear.
SubmitResult ClassifyRefusal(absl::string_view text, absl::string_view version);

struct PendingReason {
  enum class Kind {
    kWaits,        // starts when its turn comes
    kLimit,        // starts when a limit of the account or the QOS has room, which may be never
    kHeld,         // waits until a person releases it
    kNeverStarts,  // nothing but a change of its settings or of the site's helps
  };
  Kind kind = Kind::kWaits;
  std::string remedy;  // a sentence; empty for kWaits
};
// A reason that is not known waits.
PendingReason ClassifyPending(absl::string_view reason);

struct Ending {
  enum class Verdict {
    kGood,     // its worker did what it should
    kNeutral,  // taken away, or ended by others
    kFailure,  // the next one would fail too
  };
  std::string outcome;  // "completed", "preempted", ...
  Verdict verdict = Verdict::kNeutral;
  std::string error;  // a sentence; empty unless kFailure
};
// Of a job in an ended state. `registered`: its worker has registered. `ran_s`: how long it ran.
Ending ClassifyEnding(const Job& job, bool registered, int64_t ran_s);

// True for a version ("slurm 22.05.8", "22.05.8") that refuses right requests for GPUs.
bool RefusesGpus(absl::string_view version);
inline constexpr absl::string_view kRefusesGpusText =
    "Slurm 22.05.5 to 22.05.8 refuse right GPU requests as \"Requested node configuration is not "
    "available\" (bug 15857); 22.05.9 mends it.";

// Slurm may requeue a job from this state under the same id, so the state need not be its end.
bool MayBeRequeued(absl::string_view state);

}  // namespace coppice::pools

#endif  // COPPICE_COORDINATOR_POOLS_SLURM_REASONS_H_
