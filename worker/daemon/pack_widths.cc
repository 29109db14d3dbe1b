#include "worker/daemon/pack_widths.h"

#include <algorithm>
#include <csignal>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "common/base/logging.h"
#include "common/base/utf8.h"
#include "worker/daemon/thread_settings.h"
#include "worker/program/exit_text.h"

namespace coppice::worker {
namespace {

constexpr size_t kLastWordsBytes = 500;

}  // namespace

PackWidths::PackWidths(const Environment* environment, PackWidthsConfig config)
    : environment_(environment), config_(std::move(config)), callbacks_(environment->main) {}

PackWidths::~PackWidths() {
  if (now_ && now_->process) now_->process->Signal(SIGKILL);
}

PackWidths::Id PackWidths::Find(const GrantedRun& run, std::function<void(uint32_t)> done,
                                std::string gpu) {
  waiting_.push_back({++last_id_, run, std::move(done), std::move(gpu)});
  environment_->main(callbacks_.Bind([this] { Serve(); }));
  return last_id_;
}

void PackWidths::Cancel(Id id) {
  waiting_.remove_if([id](const Request& request) { return request.id == id; });
  if (!now_ || now_->unwanted || Wanted(now_->kind)) return;
  now_->unwanted = true;
  if (now_->process) now_->process->Signal(SIGKILL);
}

void PackWidths::Serve() {
  for (;;) {
    const auto it = std::find_if(waiting_.begin(), waiting_.end(), [this](const Request& request) {
      return known_.count(request.run.kind) > 0;
    });
    if (it == waiting_.end()) break;
    const Request request = std::move(*it);
    waiting_.erase(it);
    request.done(known_.at(request.run.kind));
  }
  if (!now_ && !waiting_.empty()) Begin(waiting_.front());
}

void PackWidths::Begin(const Request& request) {
  now_ = std::make_unique<Measurement>(environment_, request.run.kind, config_.widest);
  now_->gpu = request.gpu;
  now_->name = absl::StrCat(request.run.task, " of depth ", request.run.depth);
  const std::string spec =
      JoinPath(config_.runs_dir, absl::StrCat("measure-", ++last_spec_, ".json"));
  const auto done = callbacks_.Bind(
      [this, spec](absl::Status status, std::optional<std::vector<MeasuredWidth>> cached) {
        OnCacheRead(spec, std::move(status), std::move(cached));
      });
  environment_->background([asked = KeyOf(request.run.kind), trainer = config_.trainer,
                            folder = config_.cache_dir, spec, json = SpecJson(request.run), done] {
    WidthKey key = asked;
    key.trainer = TrainerIdentity(trainer);
    auto cached = WidthCache(folder).Read(key);
    if (cached.ok()) return done(absl::OkStatus(), *std::move(cached));
    if (!absl::IsNotFound(cached.status())) {
      spdlog::warn("{}; measuring anew", std::string(cached.status().message()));
    }
    done(WriteFileAtomically(spec, json), std::nullopt);
  });
}

std::string PackWidths::SpecJson(const GrantedRun& run) const {
  // The spec reader requires a member. The measurement does not use it.
  return absl::StrCat("{\"run\": ", run.json,
                      ",\n \"members\": [{\"seed\": 0, \"checkpoint_dir\": \"unused\"}],",
                      "\n \"threads\": ", config_.threads,
                      ", \"device\": ", nlohmann::json(config_.device).dump(), "}\n");
}

WidthKey PackWidths::KeyOf(const std::string& kind) const {
  return {"", config_.machine, config_.threads, config_.widest, kind};
}

void PackWidths::OnCacheRead(const std::string& spec, absl::Status spec_written,
                             std::optional<std::vector<MeasuredWidth>> cached) {
  if (cached.has_value()) {
    Learn(BestWidth(*cached));
    spdlog::info("{}: packs of {} are best, as was measured before ({} seed-steps/s)", now_->name,
                 BestWidth(*cached), DescribeWidths(*cached));
    return End();
  }
  if (now_->unwanted) return End();
  if (!spec_written.ok()) {
    spdlog::warn("{}: how wide packs should be cannot be measured ({}); packs of one are trained",
                 now_->name, std::string(spec_written.message()));
    Learn(1);
    return End();
  }
  Launch(spec);
}

void PackWidths::Launch(const std::string& spec) {
  ProcessCommand command;
  command.argv = {config_.trainer, "measure",
                  "--spec",        spec,
                  "--max-width",   absl::StrCat(config_.widest),
                  "--seconds",     absl::StrCat(absl::ToDoubleSeconds(config_.limit))};
  command.environment = TrainerEnvironment(config_.threads, now_->gpu);
  ProcessCallbacks callbacks;
  callbacks.on_stdout = callbacks_.Bind([this](const std::string& bytes) { OnStdout(bytes); });
  callbacks.on_stderr = callbacks_.Bind([this](const std::string& bytes) {
    now_->last_words = std::string(Utf8Tail(now_->last_words + bytes, kLastWordsBytes));
    now_->process->ReadMore(Process::Pipe::kStderr);
  });
  callbacks.on_exit = callbacks_.Bind([this](const ProcessExit& exit) { OnExit(exit); });
  spdlog::info("{}: measuring how wide packs should be", now_->name);
  now_->process = environment_->launcher->Start(std::move(command), std::move(callbacks));
  now_->patience.Start(config_.patience, [this] {
    now_->trouble = "took longer than " + absl::FormatDuration(config_.patience);
    now_->process->Signal(SIGKILL);
  });
}

void PackWidths::OnStdout(const std::string& bytes) {
  if (now_->trouble.empty()) {
    const absl::Status fed = now_->reader.Feed(bytes);
    if (!fed.ok()) {
      now_->trouble = absl::StrCat("wrote what is no measurement: ", fed.message());
      now_->process->Signal(SIGKILL);
    }
  }
  now_->process->ReadMore(Process::Pipe::kStdout);
}

void PackWidths::OnExit(const ProcessExit& exit) {
  if (now_->unwanted) return End();  // newer requests get a measurement of their own
  const std::vector<MeasuredWidth>& measured = now_->reader.measured();
  const uint32_t best = BestWidth(measured);
  std::string trouble = now_->trouble;
  if (!exit.spawn.ok()) {
    trouble = absl::StrCat("did not start: ", exit.spawn.message());
  } else if (trouble.empty() && (exit.signal != 0 || exit.code != 0)) {
    trouble = DescribeExit(exit);
  } else if (trouble.empty() && measured.empty()) {
    trouble = "found no width that could be measured";
  }
  if (trouble.empty()) {
    spdlog::info("{}: packs of {} are best ({} seed-steps/s)", now_->name, best,
                 DescribeWidths(measured));
    Keep(measured);
  } else {
    spdlog::warn(
        "{}: measuring how wide packs should be: the trainer {}; packs of {} are trained "
        "until this worker starts again{}{}",
        now_->name, trouble, best, now_->last_words.empty() ? "" : "; it said: ", now_->last_words);
  }
  Learn(best);
  End();
}

void PackWidths::Keep(const std::vector<MeasuredWidth>& measured) {
  environment_->background(
      [asked = KeyOf(now_->kind), trainer = config_.trainer, folder = config_.cache_dir, measured] {
        WidthKey key = asked;
        key.trainer = TrainerIdentity(trainer);
        const absl::Status written = WidthCache(folder).Write(key, measured);
        if (written.ok()) return;
        spdlog::warn("what was measured is not kept for the next start: {}",
                     std::string(written.message()));
      });
}

void PackWidths::Learn(uint32_t width) { known_[now_->kind] = width; }

void PackWidths::End() {
  now_.reset();
  Serve();
}

bool PackWidths::Wanted(const std::string& kind) const {
  return std::any_of(waiting_.begin(), waiting_.end(),
                     [&kind](const Request& request) { return request.run.kind == kind; });
}

}  // namespace coppice::worker
