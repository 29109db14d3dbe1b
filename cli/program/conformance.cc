#include "cli/program/conformance.h"

#include <algorithm>
#include <csignal>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/program/trial.h"
#include "cli/program/value_comparison.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"
#include "worker/program/exit_text.h"
#include "worker/program/program.h"

namespace coppice::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr uint32_t kFewestSteps = 4;
constexpr uint32_t kMostSteps = 999'999'999;
// A program that ends by itself so soon after SIGTERM may not have seen it yet.
constexpr absl::Duration kNotice = absl::Seconds(1);
constexpr uint32_t kMoreSteps = 10;
constexpr int kStopTrials = 5;

constexpr char kStart[] = "start";
constexpr char kOutput[] = "output";
constexpr char kReports[] = "reports";
constexpr char kCheckpoints[] = "checkpoints";
constexpr char kEnd[] = "end";
constexpr char kChildren[] = "children";
constexpr char kStop[] = "stop";
constexpr char kResume[] = "resume";
constexpr char kValues[] = "values";

uint32_t Count(const Json& run, const char* group, const char* key, uint32_t otherwise) {
  const Json::json_pointer pointer(absl::StrCat("/", group, "/", key));
  if (!run.contains(pointer) || !run.at(pointer).is_number_unsigned()) return otherwise;
  return static_cast<uint32_t>(std::min<uint64_t>(run.at(pointer).get<uint64_t>(), kMostSteps));
}

bool AllDone(const TrialRecord& record) {
  return std::all_of(record.members.begin(), record.members.end(),
                     [](const auto& member) { return member.second.done; });
}

std::string FailureOf(const TrialRecord& record) {
  for (const auto& [seed, member] : record.members) {
    if (!member.failed.empty()) return absl::StrCat("seed ", seed, " failed: ", member.failed);
  }
  return "";
}

class Checker {
 public:
  Checker(worker::ProcessLauncher* launcher, Json run, const ConformancePlan& plan)
      : launcher_(launcher), run_(std::move(run)), plan_(plan) {}

  absl::StatusOr<ConformanceResult> Run() {
    COPPICE_RETURN_IF_ERROR(PlanSteps());
    COPPICE_ASSIGN_OR_RETURN(whole_, Try("whole", result_.steps, StopAt::kNever, {}));
    JudgeWhole();
    if (AllDone(whole_) && whole_.fault.empty()) {
      COPPICE_RETURN_IF_ERROR(TryStop());
      COPPICE_RETURN_IF_ERROR(TryResume());
    } else {
      for (const char* rule : {kStop, kResume, kValues}) {
        Add(rule, RuleOutcome::kUnknown, "not tried: the undisturbed run did not come to its end");
      }
    }
    JudgeChildren();
    Sort();
    return std::move(result_);
  }

 private:
  struct Resumed {
    bool from_stop = false;
    std::vector<TrialPlan::Member> members;
  };

  absl::Status PlanSteps() {
    const uint32_t all = Count(run_, "train", "steps", 0);
    const uint32_t checkpoint = std::max(1u, Count(run_, "checkpoint", "every", all));
    const uint32_t report = std::max(1u, Count(run_, "report", "every", all));
    result_.steps = plan_.steps > 0
                        ? plan_.steps
                        : static_cast<uint32_t>(std::min<uint64_t>(all, 2 * uint64_t{checkpoint}));
    if (result_.steps < kFewestSteps) {
      return absl::InvalidArgumentError(absl::StrCat("a check takes at least ", kFewestSteps,
                                                     " steps, not ", result_.steps,
                                                     "; give --steps"));
    }
    result_.checkpoint_every = std::min(checkpoint, result_.steps / 2);
    result_.report_every = std::min(report, result_.steps / 4);
    run_["checkpoint"]["every"] = result_.checkpoint_every;
    run_["report"]["every"] = result_.report_every;
    return absl::OkStatus();
  }

  absl::StatusOr<TrialRecord> Try(const std::string& name, uint32_t steps, StopAt stop_at,
                                  std::vector<TrialPlan::Member> members) {
    run_["train"]["steps"] = steps;
    COPPICE_ASSIGN_OR_RETURN(const worker::Program program, worker::ReadProgram(run_));
    TrialPlan trial;
    trial.members = std::move(members);
    if (trial.members.empty()) {
      for (const uint32_t seed : plan_.seeds) trial.members.push_back({seed, "", 0});
    }
    trial.steps = steps;
    trial.folder = JoinPath(plan_.folder, name);
    trial.stop_at = stop_at;
    trial.grace = plan_.grace;
    trial.silence = plan_.silence;
    COPPICE_ASSIGN_OR_RETURN(TrialRecord record, RunTrial(launcher_, program, trial));
    left_behind_ += record.exit.left_behind;
    return record;
  }

  void Add(const char* rule, RuleOutcome verdict, std::string text) {
    result_.findings.push_back({rule, verdict, std::move(text)});
  }
  void Break(const char* rule, const TrialRecord& record, std::string text) {
    if (result_.last_words.empty()) result_.last_words = record.last_words;
    Add(rule, RuleOutcome::kBroken, std::move(text));
  }

  std::string Ended(const TrialRecord& record) const {
    if (record.silent) {
      return absl::StrCat("was silent for ", absl::FormatDuration(plan_.silence),
                          " and was killed; show progress with a `progress` event, or give "
                          "--silence");
    }
    return worker::DescribeExit(record.exit);
  }

  void JudgeWhole() {
    const std::string& event = whole_.faulty_event;
    const bool fault = !whole_.fault.empty();
    if (!whole_.started) {
      std::string why = whole_.fault;
      if (!whole_.refused.empty())
        why = absl::StrCat("the program refuses the run: ", whole_.refused);
      if (why.empty()) why = FailureOf(whole_);
      if (why.empty())
        why = absl::StrCat("the program ", Ended(whole_), " without a `start` event");
      const bool garbage = fault && event.empty();
      Break(garbage ? kOutput : kStart, whole_, std::move(why));
      for (const char* rule : {kStart, kOutput, kReports, kCheckpoints, kEnd}) {
        if (rule != (garbage ? kOutput : kStart)) {
          Add(rule, RuleOutcome::kUnknown, "not seen: the program did not start");
        }
      }
      return;
    }
    Add(kStart, RuleOutcome::kKept,
        "its `start` event names the seeds, their steps and the last step");
    const bool reports = event == "metrics" || event == "progress";
    const bool saves = event == "checkpoint" || event == "done";
    JudgePart(kOutput, fault && !reports && !saves, "each line on stdout is an event");
    JudgePart(kReports, fault && reports,
              absl::StrCat("metrics at each of its report steps (every ", result_.report_every,
                           ", and the last)"));
    JudgeCheckpoints(fault && saves);
    JudgeEnd();
  }

  void JudgePart(const char* rule, bool broken, std::string kept) {
    if (broken) return Break(rule, whole_, whole_.fault);
    Add(rule, whole_.fault.empty() && AllDone(whole_) ? RuleOutcome::kKept : RuleOutcome::kUnknown,
        whole_.fault.empty() && AllDone(whole_) ? std::move(kept)
                                                : "not seen to the end of the run");
  }

  void JudgeCheckpoints(bool broken) {
    for (const auto& [seed, member] : whole_.members) {
      for (uint32_t step = result_.checkpoint_every; member.done && step < result_.steps;
           step += result_.checkpoint_every) {
        if (member.checkpoints.contains(step)) continue;
        return Break(kCheckpoints, whole_,
                     absl::StrCat("seed ", seed, " saved no checkpoint at step ", step,
                                  "; save one at each multiple of checkpoint.every, which is ",
                                  result_.checkpoint_every, " here"));
      }
    }
    JudgePart(kCheckpoints, broken,
              absl::StrCat("a file or folder at each multiple of ", result_.checkpoint_every,
                           " and at the last step"));
  }

  void JudgeEnd() {
    if (!whole_.fault.empty()) {
      return Add(kEnd, RuleOutcome::kUnknown, "not seen: its output broke another rule");
    }
    const std::string failure = FailureOf(whole_);
    if (!failure.empty()) return Break(kEnd, whole_, failure);
    if (!AllDone(whole_)) {
      return Break(kEnd, whole_, absl::StrCat("the program ", Ended(whole_), " without `done`"));
    }
    if (whole_.exit.signal != 0 || whole_.exit.code != 0) {
      return Break(kEnd, whole_,
                   absl::StrCat("all seeds are done, and the program ",
                                worker::DescribeExit(whole_.exit), "; end with code 0"));
    }
    Add(kEnd, RuleOutcome::kKept, "`done` for each seed, and exit code 0");
  }

  // Fast programs may end before the signal comes, so they get more steps until they do not.
  absl::Status TryStop() {
    uint32_t steps = result_.steps;
    for (int trial = 0; trial < kStopTrials && steps <= kMostSteps / kMoreSteps;
         ++trial, steps *= kMoreSteps) {
      COPPICE_ASSIGN_OR_RETURN(stop_,
                               Try(absl::StrCat("stop-", trial), steps, StopAt::kFirstReport, {}));
      stop_is_whole_ = steps == result_.steps;
      const bool too_fast =
          AllDone(stop_) && stop_.fault.empty() && !stop_.killed && stop_.after_request < kNotice;
      if (!too_fast) {
        stopped_ = JudgeStop();
        return absl::OkStatus();
      }
    }
    Add(kStop, RuleOutcome::kUnknown,
        "it ends by itself before SIGTERM reaches it; give more --steps, or a larger model");
    return absl::OkStatus();
  }

  bool JudgeStop() {
    const auto broken = [this](std::string text) {
      Break(kStop, stop_, std::move(text));
      return false;
    };
    if (stop_.killed) {
      return broken(absl::StrCat("it did not end within ", absl::FormatDuration(plan_.grace),
                                 " of SIGTERM and was killed; save a checkpoint at the next step, "
                                 "say `preempted` and end with code 75"));
    }
    if (!stop_.fault.empty()) return broken(stop_.fault);
    if (!stop_.asked) {
      return broken(
          absl::StrCat("in a second run the program ", Ended(stop_), " before its first report"));
    }
    if (AllDone(stop_)) {
      return broken(
          "it went on to its last step after SIGTERM; handle the signal: save a "
          "checkpoint, say `preempted` and end with code 75");
    }
    if (stop_.exit.signal != 0 || stop_.exit.code != worker::kTrainerExitPreempted) {
      return broken(absl::StrCat("after SIGTERM the program ", worker::DescribeExit(stop_.exit),
                                 "; save a checkpoint, say `preempted` and end with code 75"));
    }
    for (const auto& [seed, member] : stop_.members) {
      if (member.done) continue;
      if (!member.preempted) {
        return broken(absl::StrCat("seed ", seed, " has no `preempted` event"));
      }
      if (!member.checkpoints.contains(*member.preempted)) {
        return broken(absl::StrCat("seed ", seed, " was preempted at step ", *member.preempted,
                                   " without a checkpoint of that step"));
      }
    }
    Add(kStop, RuleOutcome::kKept,
        absl::StrCat("after SIGTERM a checkpoint, `preempted` and exit code 75 within ",
                     absl::FormatDuration(absl::Ceil(stop_.after_request, absl::Milliseconds(1)))));
    return true;
  }

  // Goes on from where the second run was stopped, or from the first checkpoint of the whole run.
  Resumed PlanResume() const {
    Resumed resumed;
    resumed.from_stop = stopped_ && stop_is_whole_;
    for (const auto& [seed, member] : resumed.from_stop ? stop_.members : whole_.members) {
      if (member.checkpoints.empty()) return {};
      const auto& [step, file] =
          resumed.from_stop ? *member.checkpoints.rbegin() : *member.checkpoints.begin();
      if (step >= result_.steps && !resumed.from_stop) return {};
      resumed.members.push_back({seed, file, step});
    }
    return resumed;
  }

  absl::Status TryResume() {
    const Resumed resumed = PlanResume();
    if (resumed.members.empty()) {
      for (const char* rule : {kResume, kValues}) {
        Add(rule, RuleOutcome::kUnknown, "not tried: there is no checkpoint before the last step");
      }
      return absl::OkStatus();
    }
    COPPICE_ASSIGN_OR_RETURN(const TrialRecord record,
                             Try("resume", result_.steps, StopAt::kNever, resumed.members));
    const uint32_t from = resumed.members.front().resume_step;
    std::string fault = record.fault;
    if (fault.empty() && !record.refused.empty()) {
      fault = absl::StrCat("the program refuses to resume: ", record.refused);
    }
    if (fault.empty()) fault = FailureOf(record);
    if (fault.empty() && !AllDone(record)) {
      fault = absl::StrCat("the resumed program ", Ended(record), " without `done`");
    }
    if (!fault.empty()) {
      Break(kResume, record,
            absl::StrCat(fault,
                         "; read `resume` and `resume_step` of each member, and go on "
                         "behind that step"));
      Add(kValues, RuleOutcome::kUnknown, "not compared: the resumed run did not come to its end");
      return absl::OkStatus();
    }
    Add(kResume, RuleOutcome::kKept, absl::StrCat("from step ", from, " to the end"));
    Compare(resumed, record);
    return absl::OkStatus();
  }

  void Compare(const Resumed& resumed, const TrialRecord& record) {
    const ValueComparison compared =
        CompareValues(whole_.members, resumed.from_stop ? &stop_.members : nullptr, record.members);
    if (compared.largest > plan_.tolerance) {
      return Break(kValues, record,
                   absl::StrCat("the interrupted run differs: ", compared.where,
                                " (relative difference ", compared.largest,
                                "); save the optimizer and every random generator with the model, "
                                "or give --tolerance where a device does not repeat its bits"));
    }
    Add(kValues, RuleOutcome::kKept,
        compared.largest == 0
            ? absl::StrCat(compared.values,
                           " values of the interrupted run equal those of the undisturbed one, bit "
                           "for bit")
            : absl::StrCat("the largest relative difference is ", compared.largest, " (",
                           compared.where, ")"));
  }

  void JudgeChildren() {
    if (left_behind_ == 0) {
      return Add(kChildren, RuleOutcome::kKept, "no process outlives the program");
    }
    Add(kChildren, RuleOutcome::kBroken,
        absl::StrCat(left_behind_,
                     " processes outlived the program and were killed; end and await "
                     "each before the program ends"));
  }

  void Sort() {
    const std::vector<std::string> order = {kStart,    kOutput, kReports, kCheckpoints, kEnd,
                                            kChildren, kStop,   kResume,  kValues};
    const auto place = [&order](const Finding& finding) {
      return std::find(order.begin(), order.end(), finding.rule);
    };
    std::stable_sort(result_.findings.begin(), result_.findings.end(),
                     [&](const Finding& a, const Finding& b) { return place(a) < place(b); });
  }

  worker::ProcessLauncher* const launcher_;
  Json run_;
  const ConformancePlan& plan_;
  ConformanceResult result_;
  TrialRecord whole_;
  TrialRecord stop_;
  bool stopped_ = false;        // the second run was stopped as it should be
  bool stop_is_whole_ = false;  // it had the steps of the first one
  size_t left_behind_ = 0;
};

}  // namespace

bool ConformanceResult::kept() const {
  return std::none_of(findings.begin(), findings.end(), [](const Finding& finding) {
    return finding.verdict == RuleOutcome::kBroken;
  });
}

absl::StatusOr<ConformanceResult> CheckConformance(worker::ProcessLauncher* launcher, Json run,
                                                   const ConformancePlan& plan) {
  return Checker(launcher, std::move(run), plan).Run();
}

}  // namespace coppice::cli
