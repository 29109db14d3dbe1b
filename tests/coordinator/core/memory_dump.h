#ifndef COPPICE_TESTS_COORDINATOR_CORE_MEMORY_DUMP_H_
#define COPPICE_TESTS_COORDINATOR_CORE_MEMORY_DUMP_H_

#include <algorithm>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "coordinator/core/memory.h"
#include "coordinator/core/point.h"

namespace coppice::core {

// One line for each fact that recovery restores from the database, in a fixed order.
class MemoryDump {
 public:
  // `hidden`: sweeps whose submission has not ended. Recovery leaves them out.
  static std::vector<std::string> Of(const Memory& memory, absl::Duration now,
                                     const std::set<SweepId>& hidden) {
    MemoryDump dump(memory, now, hidden);
    dump.Line("store ", memory.store_id, ", attempt floor ", memory.attempt_floor);
    dump.Catalog();
    dump.Scheduler();
    dump.Leases();
    dump.Workers();
    return std::move(dump.lines_);
  }

  // Returns the lines that only one of the two has. Empty: they are equal.
  static std::string Difference(const std::vector<std::string>& live,
                                const std::vector<std::string>& rebuilt) {
    std::string text;
    if (live == rebuilt) return text;
    for (const std::string& line : Without(live, rebuilt)) {
      absl::StrAppend(&text, "  only in memory:       ", line, "\n");
    }
    for (const std::string& line : Without(rebuilt, live)) {
      absl::StrAppend(&text, "  only in the database: ", line, "\n");
    }
    return text.empty() ? "  the same lines in another order\n" : text;
  }

 private:
  MemoryDump(const Memory& memory, absl::Duration now, const std::set<SweepId>& hidden)
      : memory_(memory), now_(now), hidden_(hidden) {}

  template <typename... Parts>
  void Line(const Parts&... parts) {
    lines_.push_back(absl::StrCat(parts...));
  }

  void Catalog() {
    for (const auto& sweep : memory_.catalog.Sweeps()) {
      Line("sweep ", sweep->id, " '", sweep->name, "': priority ", sweep->priority,
           ", max_failures ", sweep->max_failures, ", created ", sweep->created_ms,
           memory_.catalog.paused(sweep->id) ? ", paused" : "");
      for (const auto& group : memory_.catalog.GroupsOf(sweep->id)) {
        const GroupSpec& spec = group->spec;
        Line("sweep ", sweep->id, " group ", group->id, ": ", group->jobs, " jobs from ",
             group->first_job, ", task ", spec.task, ", depth ", spec.depth, ", run ",
             spec.run_json, ", point ", PointText(spec), ", steps ", spec.steps, ", report ",
             spec.report_every, ", checkpoint ", spec.checkpoint_every, ", keep ", spec.keep, "/",
             spec.keep_every, ", work ", spec.work_per_step, ", program ", spec.program_pack,
             ", common rows every ", spec.common_row_every);
      }
    }
  }

  void Scheduler() {
    const Scheduler::Contents contents = memory_.dispatcher.scheduler.contents();
    std::set<GroupId> hidden;
    for (const auto& [group, jobs] : contents.groups) {
      if (hidden_.contains(group.sweep_id)) {
        hidden.insert(group.id);
        continue;
      }
      Line("queue of group ", group.id, ": sweep ", group.sweep_id, ", priority ", group.priority,
           ", work ", group.work_per_step, ", steps ", group.steps, ", program ",
           group.program_pack);
      for (const auto& job : jobs) {
        Line("queue of group ", group.id, ": job ", job.id, " from step ", job.resume_step,
             job.eligible_at.has_value()
                 ? absl::StrCat(" in ", absl::FormatDuration(*job.eligible_at - now_))
                 : "");
      }
    }
    for (const SweepId sweep : contents.paused) {
      if (!hidden_.contains(sweep)) Line("queue: sweep ", sweep, " is paused");
    }
    std::vector<GroupId> served;
    for (const GroupId group : contents.served) {
      if (!hidden.contains(group)) served.push_back(group);
    }
    Line("queue: groups in the order ", absl::StrJoin(served, " "));
  }

  void Leases() {
    for (const LeaseEntry& lease : memory_.leases.All()) {
      Line("lease of job ", lease.ref.job_id, ": attempt ", lease.ref.attempt, " on ", lease.worker,
           ", sweep ", lease.sweep_id, ", group ", lease.group_id, ", step ", lease.stored_step,
           ", work ", lease.work_per_step);
    }
  }

  void Workers() {
    for (const WorkerEntry* worker : memory_.workers.All()) {
      const WorkerRow& row = worker->row;
      const WorkerInfo& info = row.info;
      Line("worker ", info.name, ": id ", row.id, ", instance ", info.instance, ", incarnation ",
           info.incarnation, ", host ", info.host, ", version ", info.version, ", slots ",
           info.slots, ", width ", info.pack_width, ", device ", info.device, ", shared ",
           info.shared_checkpoints, info.programs ? ", programs" : "", ", ends ", info.ends_ms,
           row.draining ? ", draining" : "", row.preempt ? ", preempt" : "", ", registered ",
           row.registered_ms, ", last seen ", row.last_seen_ms, ", superseded ",
           row.superseded_host, " ", row.superseded_ms, ", job ", info.allocation.job_id,
           ", departed ", row.departed_reason, " ", row.departed_ms);
    }
  }

  static std::vector<std::string> Without(std::vector<std::string> lines,
                                          std::vector<std::string> others) {
    std::sort(lines.begin(), lines.end());
    std::sort(others.begin(), others.end());
    std::vector<std::string> rest;
    std::set_difference(lines.begin(), lines.end(), others.begin(), others.end(),
                        std::back_inserter(rest));
    return rest;
  }

  const Memory& memory_;
  const absl::Duration now_;
  const std::set<SweepId>& hidden_;
  std::vector<std::string> lines_;
};

}  // namespace coppice::core

#endif  // COPPICE_TESTS_COORDINATOR_CORE_MEMORY_DUMP_H_
