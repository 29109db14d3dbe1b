#include "coordinator/pools/script.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "common/base/files.h"
#include "coordinator/pools/slurm_text.h"

namespace coppice::pools {
namespace {

constexpr int64_t kProbeSeconds = 120;

void TextLine(std::string* script, absl::string_view flag, absl::string_view value) {
  if (!value.empty()) absl::StrAppend(script, "#SBATCH --", flag, "=", value, "\n");
}

void NumberLine(std::string* script, absl::string_view flag, int64_t value) {
  if (value != 0) TextLine(script, flag, absl::StrCat(value));
}

// GPUs are asked for as a gres, which every version of Slurm takes.
std::string Gres(const PoolSpec& spec) {
  if (spec.gpus == 0 || absl::StrContains(spec.gres, "gpu")) return spec.gres;
  return absl::StrCat(spec.gres, spec.gres.empty() ? "" : ",", "gpu:", spec.gpus);
}

std::string WorkerFlags(const PoolSpec& spec) {
  std::vector<std::string> flags = {absl::StrCat("--idle-exit=", spec.idle_exit_s, "s"),
                                    absl::StrCat("--grace=", spec.grace_s, "s")};
  if (spec.slots > 0) flags.push_back(absl::StrCat("--slots=", spec.slots));
  if (spec.pack > 0) flags.push_back(absl::StrCat("--pack=", spec.pack));
  flags.insert(flags.end(), spec.worker_flags.begin(), spec.worker_flags.end());
  return absl::StrJoin(flags, " ", [](std::string* out, const std::string& flag) {
    absl::StrAppend(out, ShellQuote(flag));
  });
}

// The requests to Slurm of any job of the pool.
std::string Directives(const PoolSpec& spec, const std::string& key, int64_t walltime_s) {
  std::string script = "#!/bin/bash\n";
  TextLine(&script, "partition", spec.partition);
  TextLine(&script, "account", spec.account);
  TextLine(&script, "qos", spec.qos);
  TextLine(&script, "constraint", spec.constraint);
  TextLine(&script, "nodes", "1");
  TextLine(&script, "ntasks", "1");
  NumberLine(&script, "cpus-per-task", spec.cpus);
  if (spec.memory_mib > 0) TextLine(&script, "mem", absl::StrCat(spec.memory_mib, "M"));
  TextLine(&script, "gres", Gres(spec));
  TextLine(&script, "time", FormatSlurmDuration(walltime_s));
  NumberLine(&script, "nice", spec.nice);
  TextLine(&script, "output", absl::StrCat("\"", OutputPath(spec, key), "\""));
  TextLine(&script, "chdir", absl::StrCat("\"", spec.log_dir, "\""));
  return script;
}

void AddSbatchFlags(const PoolSpec& spec, std::string* script) {
  for (const std::string& flag : spec.sbatch_flags) absl::StrAppend(script, "#SBATCH ", flag, "\n");
}

}  // namespace

std::string ShellQuote(absl::string_view text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "'\\''"}}), "'");
}

std::string OutputPath(const PoolSpec& spec, const std::string& key) {
  return JoinPath(spec.log_dir, key + ".out");
}

std::string WriteScript(const PoolSpec& spec, const std::string& key, int64_t walltime_s,
                        const std::vector<ExcludedNode>& excluded) {
  std::string script = Directives(spec, key, walltime_s);
  if (spec.time_min_s > 0 && spec.time_min_s < walltime_s) {
    TextLine(&script, "time-min", FormatSlurmDuration(spec.time_min_s));
  }
  TextLine(&script, "exclude",
           absl::StrJoin(excluded, ",", [](std::string* out, const ExcludedNode& node) {
             absl::StrAppend(out, node.node);
           }));
  // The worker is asked to end in time even where it cannot learn the end of its allocation.
  TextLine(&script, "signal", absl::StrCat("B:USR1@", spec.grace_s + 35));
  script += "#SBATCH --requeue\n#SBATCH --open-mode=append\n";
  AddSbatchFlags(spec, &script);
  absl::StrAppend(&script, "export COPPICE_POOL_KEY=", ShellQuote(key), "\n");
  absl::StrAppend(&script, "export COPPICE_WORKER=", ShellQuote(spec.worker), "\n");
  if (!spec.access_file.empty()) {
    absl::StrAppend(&script, "export COPPICE_ACCESS=", ShellQuote(spec.access_file), "\n");
  }
  absl::StrAppend(&script, "COPPICE_WORKER_FLAGS=(", WorkerFlags(spec), ")\n\n");
  return absl::StrCat(script, kWorkerScript);
}

std::string WriteProbeScript(const PoolSpec& spec, const std::string& key) {
  std::string script = Directives(spec, key, kProbeSeconds);
  script += "#SBATCH --no-requeue\n";
  AddSbatchFlags(spec, &script);
  // sbatch --export=NONE leaves it out.
  script += "export HOME=\"${HOME:-$(getent passwd \"$(id -u)\" | cut -d: -f6)}\"\n";
  if (!spec.access_file.empty()) {
    absl::StrAppend(&script, "export COPPICE_ACCESS=", ShellQuote(spec.access_file), "\n");
  }
  absl::StrAppend(&script, "exec ", ShellQuote(spec.worker), " check-node --probe ",
                  ShellQuote(key), " --gpus ", spec.gpus, " ", WorkerFlags(spec), "\n");
  return script;
}

}  // namespace coppice::pools
