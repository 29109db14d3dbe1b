#include "tests/simulation/sim_worker.h"

#include <filesystem>
#include <utility>

#include "tests/simulation/full_disk.h"

namespace coppice::simulation {

namespace fs = std::filesystem;

namespace {

constexpr const char* kFolders[] = {"spool", "runs", "logs", "scratch"};

std::map<std::string, uint64_t> SizesIn(const std::string& folder) {
  std::map<std::string, uint64_t> sizes;
  for (const auto& entry : fs::directory_iterator(folder)) {
    sizes[entry.path().string()] = entry.file_size();
  }
  return sizes;
}

TrainerHost HostOn(TrainerHost host, const bool* disk_full) {
  host.disk_full = disk_full;
  return host;
}

}  // namespace

Machine::Machine(std::string name, const WorkerShape& shape, std::string root,
                 const TrainerHost& host)
    : name(std::move(name)),
      shape(shape),
      root(std::move(root)),
      launcher(HostOn(host, &disk_full)) {
  Wipe();
}

void Machine::Wipe() {
  fs::remove_all(root);
  for (const char* folder : kFolders) fs::create_directories(root + "/" + folder);
}

WorkerProcess::WorkerProcess(const Setup& setup)
    : setup_(setup),
      clock_(setup.world->NewClock()),
      client_(setup.network, setup.ledger, life_,
              {setup.machine->name, setup.process,
               [this](const std::function<absl::Status()>& work) { return OnDisk(work); }},
              setup.bug) {
  agent_ = std::make_unique<worker::Agent>(
      MakeEnvironment(), MakeConfig(),
      [this](int code, const std::string& message) { Exited(code, message); });
  agent_->Start();
}

WorkerProcess::~WorkerProcess() { life_.reset(); }

worker::Environment WorkerProcess::MakeEnvironment() {
  worker::Environment environment;
  environment.clock = clock_.get();
  environment.coordinator = &client_;
  environment.launcher = &setup_.machine->launcher;
  environment.main = [world = setup_.world, life = LifeRef(life_)](std::function<void()> work) {
    if (life.expired()) return false;
    world->For(life, absl::ZeroDuration(), std::move(work));
    return true;
  };
  environment.background = [this, life = LifeRef(life_)](std::function<void()> work) {
    if (life.expired()) return false;
    const uint64_t id = ++last_background_;
    background_[id] = std::move(work);
    const absl::Duration slow = absl::Milliseconds(setup_.world->random().Chance(0.05) ? 3000 : 30);
    setup_.world->For(life, setup_.world->random().Time(absl::ZeroDuration(), slow),
                      [this, id] { RunBackground(id); });
    return true;
  };
  environment.entropy = [world = setup_.world] { return world->random().Next(); };
  return environment;
}

worker::AgentConfig WorkerProcess::MakeConfig() const {
  const Machine& machine = *setup_.machine;
  worker::AgentConfig config;
  config.name = setup_.worker;
  config.host = machine.name;
  config.slots = machine.shape.slots;
  config.pack_width = machine.shape.pack_width;
  config.spool_dir = machine.spool();
  config.store_id = setup_.store_id;
  config.pack.trainer = "trainer";
  config.pack.runs_dir = machine.root + "/runs";
  config.pack.logs_dir = machine.root + "/logs";
  config.pack.checkpoints = {
      machine.shape.shared ? setup_.checkpoint_root : machine.root + "/scratch",
      machine.shape.shared};
  return config;
}

void WorkerProcess::RunBackground(uint64_t id) {
  const auto it = background_.find(id);
  const std::function<void()> work = std::move(it->second);
  background_.erase(it);
  OnDisk([&] {
    work();
    return absl::OkStatus();
  }).IgnoreError();
}

absl::Status WorkerProcess::OnDisk(const std::function<absl::Status()>& work) {
  if (setup_.machine->disk_full) setup_.world->Did(Fault::kWorkerDiskFull);
  const FullDisk full(setup_.machine->disk_full);
  return work();
}

void WorkerProcess::Kill() {
  if (!alive()) return;
  setup_.machine->launcher.OrphanAll();
  life_.reset();
  agent_.reset();
  for (const auto& [id, work] : background_) {
    if (setup_.world->random().Chance(0.5)) Tear(work);
  }
  background_.clear();
}

void WorkerProcess::Tear(const std::function<void()>& work) {
  const auto before = SizesIn(setup_.machine->spool());
  work();
  for (const auto& [file, size] : SizesIn(setup_.machine->spool())) {
    const auto it = before.find(file);
    const uint64_t synced = it == before.end() ? 0 : it->second;
    if (size <= synced) continue;
    setup_.world->Did(Fault::kSpoolTorn);
    fs::resize_file(file, setup_.world->random().Uniform(synced, size));
  }
}

// Ends the process, after its background threads have finished their writes.
void WorkerProcess::Exited(int code, const std::string& message) {
  setup_.world->For(life_, absl::ZeroDuration(), [this, code, message] {
    life_.reset();
    for (const auto& left : std::exchange(background_, {})) {
      OnDisk([&left] {
        left.second();
        return absl::OkStatus();
      }).IgnoreError();
    }
    setup_.machine->launcher.OrphanAll();
    agent_.reset();
    setup_.on_exit(code, message);
  });
}

}  // namespace coppice::simulation
