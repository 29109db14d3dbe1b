#include "tests/simulation/invariants.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/digest.h"
#include "common/base/files.h"
#include "coordinator/core/commands.h"
#include "coordinator/core/lifecycle.h"

namespace coppice::simulation {

using core::JobRow;
using core::JobState;

void Invariants::Read(const std::function<void(core::ReadTransaction&)>& body) {
  const absl::Status status = store_.Read([&](core::ReadTransaction& read) {
    body(read);
    return absl::OkStatus();
  });
  if (!status.ok()) world_.Violation("the store cannot be read: " + status.ToString());
}

void Invariants::Broken(core::JobId job, const std::string& what) {
  world_.Violation(absl::StrCat("job ", job, ": ", what));
}

void Invariants::OnCommitted(const Changes& changes) {
  for (const auto& [before, after] : changes.jobs) CheckMove(before, after, changes);
  for (const core::WorkerRow& worker : changes.workers) CheckWorker(worker);
  for (const core::AttemptRow& attempt : changes.attempts) {
    if (attempt.failure == FailureKind::kStalled) {
      world_.Did(Fault::kTrainerStalled);
    }
  }
  Read([&](core::ReadTransaction& read) {
    std::set<core::JobId> moved;
    for (const auto& [before, after] : changes.jobs) {
      if (before.state != after.state) moved.insert(after.id);
    }
    for (const core::JobId id : moved) {
      const auto job = read.GetJob(id);
      if (job.ok()) CheckOpenAttempts(read, *job);
    }
    for (const core::Checkpoint& checkpoint : changes.committed) {
      uint32_t& last = committed_[{checkpoint.job_id, checkpoint.attempt}];
      last = std::max(last, checkpoint.step);
      CheckCommit(read, checkpoint);
    }
    for (const core::JobId id : changes.checkpoints) CheckCurrentFile(read, id);
  });
}

void Invariants::CheckMove(const JobRow& before, const JobRow& after, const Changes& changes) {
  if (before.state != after.state) {
    world_.Trace("job ", after.id, " attempt ", after.attempt, " ", core::StateName(before.state),
                 " -> ", core::StateName(after.state), " at step ", after.step, " failures ",
                 after.failures, " ",
                 after.state == JobState::kRunning ? after.worker : WithoutPath(after.reason));
  }
  if (before.state != JobState::kRunning && after.state == JobState::kRunning) {
    if (after.attempt <= before.attempt || !granted_.insert({after.id, after.attempt}).second) {
      Broken(after.id,
             absl::StrCat("attempt ", after.attempt, " is granted after ", before.attempt));
    }
  } else if (after.attempt != before.attempt) {
    Broken(after.id, "its attempt changes without a grant");
  }
  // A gap in an attempt's records is a bug, because no disk here loses synced data.
  if (before.state != after.state && absl::StartsWith(after.reason, core::kReportsMissing)) {
    Broken(after.id, after.reason);
  }
  if (after.failures <= before.failures) return;
  const bool failed = std::any_of(
      changes.attempts.begin(), changes.attempts.end(), [&](const core::AttemptRow& attempt) {
        return attempt.job_id == after.id && attempt.number == before.attempt &&
               attempt.outcome == core::AttemptOutcome::kFailed;
      });
  if (!failed || after.failures > before.failures + 1) {
    Broken(after.id, absl::StrCat("is charged ", after.failures - before.failures,
                                  " failures where no attempt failed: ", after.reason));
  }
}

void Invariants::CheckWorker(const core::WorkerRow& worker) {
  NameHolder& holder = holders_[worker.info.name];
  if (holder.instance == worker.info.instance) {
    if (holder.incarnation == worker.info.incarnation) return;
    world_.Violation(worker.info.name + ": the number of its process changes");
  }
  world_.Trace(worker.info.name, " is the process on ", worker.info.host, ", number ",
               worker.info.incarnation);
  if (holder.before.contains(worker.info.instance)) {
    world_.Violation(worker.info.name + ": a superseded process has the name again");
  }
  if (worker.info.incarnation <= holder.incarnation) {
    world_.Violation(worker.info.name + ": an older process takes the name of a newer one");
  }
  if (!holder.instance.empty()) holder.before.insert(holder.instance);
  ++holder.times_taken;
  holder.instance = worker.info.instance;
  holder.incarnation = worker.info.incarnation;
}

void Invariants::CheckOpenAttempts(core::ReadTransaction& read, const JobRow& job) {
  const auto attempts = read.ListAttempts(job.id);
  if (!attempts.ok()) return Broken(job.id, attempts.status().ToString());
  for (const core::AttemptRow& attempt : *attempts) {
    const bool current = job.state == JobState::kRunning && attempt.number == job.attempt;
    if ((attempt.outcome == core::AttemptOutcome::kRunning) != current) {
      Broken(job.id, absl::StrCat("attempt ", attempt.number, " is ",
                                  current ? "current and has ended" : "open and not current"));
    }
  }
}

Invariants::Rows Invariants::RowsOf(core::ReadTransaction& read, core::JobId job, bool archived) {
  Rows rows;
  core::MetricsScan scan;
  scan.job_id = job;
  scan.include_archived = archived;
  const absl::Status status = read.ScanMetrics(scan, [&](const core::StoredRow& row) {
    rows.push_back(row);
    return true;
  });
  if (!status.ok()) Broken(job, status.ToString());
  return rows;
}

void Invariants::CheckCommit(core::ReadTransaction& read, const core::Checkpoint& checkpoint) {
  // The end of its attempt may have followed in the same transaction. If a longer run has no such
  // end, its rows are archived by now.
  const auto listed = read.ListCheckpoints(checkpoint.job_id, core::CheckpointState::kListed);
  if (!listed.ok()) return Broken(checkpoint.job_id, listed.status().ToString());
  if (std::none_of(listed->begin(), listed->end(), [&](const core::Checkpoint& c) {
        return c.attempt == checkpoint.attempt && c.step == checkpoint.step;
      })) {
    return;
  }
  std::set<uint32_t> steps;
  for (const core::StoredRow& row : RowsOf(read, checkpoint.job_id, false)) {
    steps.insert(row.row.step);
  }
  const auto attempt = read.GetAttempt(checkpoint.job_id, checkpoint.attempt);
  if (!attempt.ok()) return Broken(checkpoint.job_id, attempt.status().ToString());
  for (uint32_t step = 1; step < checkpoint.step; ++step) {
    if (IsReportStep(step, schedule_.spec.report().every(), attempt->steps) &&
        !steps.contains(step)) {
      Broken(checkpoint.job_id, absl::StrCat("a checkpoint of step ", checkpoint.step,
                                             " is committed without the row of step ", step));
    }
  }
}

void Invariants::CheckCurrentFile(core::ReadTransaction& read, core::JobId job) {
  const auto listed = read.ListCheckpoints(job, core::CheckpointState::kListed);
  if (!listed.ok()) return Broken(job, listed.status().ToString());
  if (listed->empty() || ledger_.IsDamaged(listed->front().path)) return;
  const core::Checkpoint& current = listed->front();
  const auto digest = DigestOfFile(JoinPath(root_, current.path));
  if (!digest.ok() || *digest != current.digest) {
    Broken(job, absl::StrCat("the current checkpoint, of step ", current.step,
                             ", is not there or not whole: ", digest.status().ToString()));
  }
}

uint32_t Invariants::StepsOf(core::ReadTransaction& read, const JobRow& job) {
  if (job.state == JobState::kRunning) {
    const auto attempt = read.GetAttempt(job.id, job.attempt);
    if (attempt.ok()) return attempt->steps;
  }
  const auto groups = read.ListGroups(job.sweep_id);
  for (const core::GroupRow& group : *groups) {
    if (group.id == job.group_id) return group.spec.steps;
  }
  return 0;
}

void Invariants::CheckSeries(core::ReadTransaction& read, const JobRow& job) {
  const uint32_t every = schedule_.spec.report().every();
  const uint32_t steps = StepsOf(read, job);
  const Rows rows = RowsOf(read, job.id, false);
  const auto attempts = read.ListAttempts(job.id);
  if (!attempts.ok()) return Broken(job.id, attempts.status().ToString());
  uint64_t state = StartState(PointOf(job));
  size_t next = 0;
  for (uint32_t step = 1; step <= steps && next < rows.size(); ++step) {
    state = NextState(state, step);
    if (!IsReportStep(step, every, steps)) continue;
    const core::StoredRow& row = rows[next++];
    if (row.row.step != step) {
      return Broken(job.id, absl::StrCat("its series has step ", row.row.step, " where ", step,
                                         " comes next"));
    }
    if (row.row.values.size() != 1 || row.row.values[0].value != LossOf(state)) {
      return Broken(job.id, absl::StrCat("its row of step ", step, " is not the undisturbed one"));
    }
    for (const core::AttemptRow& later : *attempts) {
      if (later.number > row.attempt && step > later.start_step) {
        Broken(job.id, absl::StrCat("the row of step ", step, " was written by attempt ",
                                    row.attempt, " behind the start of attempt ", later.number));
      }
    }
  }
  if (next < rows.size()) Broken(job.id, "its series goes on behind its last report step");
  if (job.state == JobState::kSucceeded && next < steps / every + (steps % every != 0 ? 1 : 0)) {
    Broken(job.id, absl::StrCat("it has succeeded with ", next, " rows"));
  }
}

void Invariants::CheckJobs() {
  for (const JobRow& job : Jobs()) {
    Read([&](core::ReadTransaction& read) {
      CheckSeries(read, job);
      CheckOpenAttempts(read, job);
      CheckCurrentFile(read, job.id);
    });
  }
}

std::vector<JobRow> Invariants::Jobs() {
  std::vector<JobRow> jobs;
  Read([&](core::ReadTransaction& read) {
    read.ScanJobs(1, 1'000'000, core::StateSet::All(),
                  [&](const JobRow& job) {
                    jobs.push_back(job);
                    return true;
                  })
        .IgnoreError();
    const bool known = std::all_of(jobs.begin(), jobs.end(), [this](const JobRow& job) {
      return groups_.contains(job.group_id);
    });
    if (known) return;
    const auto groups = read.ListGroups(jobs.front().sweep_id);
    for (const core::GroupRow& group : *groups) {
      groups_[group.id] = {group.spec.task, group.spec.depth};
    }
  });
  return jobs;
}

void Invariants::Extended(size_t extension) {
  const v1::SweepSpec& spec = schedule_.extensions[extension].second;
  Read([&](core::ReadTransaction& read) {
    const auto sweep = read.FindSweep(spec.name());
    const auto groups = read.ListGroups(sweep.ok() && sweep->has_value() ? (*sweep)->id : 0);
    uint64_t jobs = 0;
    bool all_long = true;
    for (const core::GroupRow& group : *groups) {
      jobs += group.jobs;
      all_long = all_long && group.spec.steps >= spec.train().steps();
    }
    const auto wanted = static_cast<uint64_t>(spec.tasks_size()) *
                        static_cast<uint64_t>(spec.depths_size()) *
                        static_cast<uint64_t>(spec.seeds_size());
    if (jobs >= wanted && all_long) return;
    world_.Violation("an extension was answered with OK and is not stored");
  });
}

GridPoint Invariants::PointOf(const JobRow& job) const {
  const auto& [task, depth] = groups_.at(job.group_id);
  return {task, depth, job.seed};
}

bool Invariants::IsCurrent(const LeaseKey& key) {
  bool current = false;
  Read([&](core::ReadTransaction& read) {
    const auto job = read.GetJob(key.first);
    current = job.ok() && job->state == JobState::kRunning && job->attempt == key.second;
  });
  return current;
}

uint64_t Invariants::TimesTaken(const std::string& worker) const {
  const auto holder = holders_.find(worker);
  return holder == holders_.end() ? 0 : holder->second.times_taken;
}

bool Invariants::IsPaused() {
  bool paused = false;
  Read([&](core::ReadTransaction& read) {
    const auto sweep = read.FindSweep(schedule_.spec.name());
    paused = sweep.ok() && sweep->has_value() && (*sweep)->paused;
  });
  return paused;
}

bool Invariants::IsDraining(const std::string& worker) {
  bool draining = false;
  Read([&](core::ReadTransaction& read) {
    const auto workers = read.ListWorkers();
    if (!workers.ok()) return;
    for (const core::WorkerRow& row : *workers) {
      if (row.info.name == worker) draining = row.draining;
    }
  });
  return draining;
}

std::vector<core::Checkpoint> Invariants::Checkpoints(core::JobId job) {
  std::vector<core::Checkpoint> listed;
  Read([&](core::ReadTransaction& read) {
    listed = read.ListCheckpoints(job, core::CheckpointState::kListed).value_or(listed);
  });
  return listed;
}

}  // namespace coppice::simulation
