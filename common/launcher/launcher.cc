// The program that a bundle has in place of each of its programs. It starts the real one with the
// bundle's own loader and libraries, so that a bundle needs nothing of the system but its kernel.
//
//   FOLDER/bin/NAME                             this launcher
//   FOLDER/lib/coppice/NAME                     the real program, its libraries beside it
//   FOLDER/lib/coppice/ld-linux-x86-64.so.2     the loader
//
// It maps the loader into its own process and jumps to it, as the kernel does for a program that
// names a loader. So it calls no exec, and the process keeps its name, its arguments as `ps` shows
// them, and FOLDER/bin/NAME as /proc/self/exe. By this link a program finds the others. A kernel
// cannot do the same: it takes a loader by absolute path alone, and a bundle may lie anywhere.
//
// Failure codes: 127 with a message on stderr when the loader cannot be read or mapped. The loader
// itself says so when it misses the program or a library, with the same code.
//
// Written without the C library, which would have to be linked statically and would set up this
// process's thread state first, which is the loader's to do.
#include <asm/unistd.h>
#include <elf.h>
#include <stddef.h>
#include <stdint.h>

#include <initializer_list>

namespace {

constexpr uintptr_t kPage = 4096;
constexpr size_t kMaxPath = 4096;
constexpr int kMaxSegments = 32;
constexpr int kExitCannotStart = 127;
constexpr long kMaxErrno = 4095;

// Of <fcntl.h> and <sys/mman.h>, which need the C library's settings.
constexpr long kReadOnly = 0, kCloseOnExec = 02000000;
constexpr long kProtRead = 1, kProtWrite = 2, kProtExec = 4;
constexpr long kMapPrivate = 2, kMapFixed = 0x10, kMapAnonymous = 0x20, kMapNoReserve = 0x4000;

long Call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0) {
  long result;
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  register long r9 asm("r9") = f;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
}

long Address(const void* pointer) {
  return static_cast<long>(reinterpret_cast<uintptr_t>(pointer));
}

bool Failed(long result) { return result < 0 && result >= -kMaxErrno; }

size_t Length(const char* text) {
  size_t length = 0;
  while (text[length] != '\0') ++length;
  return length;
}

void Say(const char* text) { Call(__NR_write, 2, Address(text), static_cast<long>(Length(text))); }

[[noreturn]] void Fail(const char* what, const char* path, const char* remedy) {
  for (const char* text : {"coppice: ", what, path, remedy, "\n"}) Say(text);
  for (;;) Call(__NR_exit_group, kExitCannotStart);
}

constexpr char kUnpackAgain[] = "; unpack the archive again, and leave its folders together";

// A path that grows at its end.
struct Path {
  char text[kMaxPath] = {};
  size_t length = 0;

  void Append(const char* more, size_t count) {
    if (length + count >= kMaxPath) Fail("the path is too long: ", text, "; move the folder");
    for (size_t i = 0; i < count; ++i) text[length + i] = more[i];
    length += count;
    text[length] = '\0';
  }
  void Append(const char* more) { Append(more, Length(more)); }
};

// The places of the real program and of its loader, beside this process's file.
struct Places {
  Path program, loader;
};

size_t LastSlash(const char* text, size_t end) {
  while (end > 0 && text[end - 1] != '/') --end;
  return end == 0 ? 0 : end - 1;
}

void FindPlaces(Places* places) {
  static char self[kMaxPath];
  const long length = Call(__NR_readlink, Address("/proc/self/exe"), Address(self), kMaxPath - 1);
  if (Failed(length) || length == 0) {
    Fail("cannot read ", "/proc/self/exe", "; is /proc mounted?");
  }
  const size_t end = static_cast<size_t>(length);
  const size_t name = LastSlash(self, end);
  const size_t folder = LastSlash(self, name);
  for (Path* path : {&places->program, &places->loader}) {
    path->Append(self, folder);
    path->Append("/lib/coppice");
  }
  places->program.Append(self + name, end - name);
  places->loader.Append("/ld-linux-x86-64.so.2");
}

uintptr_t PageStart(uintptr_t address) { return address & ~(kPage - 1); }
uintptr_t PageEnd(uintptr_t address) { return PageStart(address + kPage - 1); }

struct Loader {
  const char* path;
  long fd = -1;
  Elf64_Ehdr header = {};
  Elf64_Phdr segments[kMaxSegments] = {};
  uintptr_t base = 0;
};

[[noreturn]] void FailLoader(const Loader& loader, const char* what) {
  Fail(what, loader.path, kUnpackAgain);
}

void ReadAt(const Loader& loader, void* to, size_t count, uint64_t offset) {
  if (Call(__NR_pread64, loader.fd, Address(to), static_cast<long>(count),
           static_cast<long>(offset)) != static_cast<long>(count)) {
    FailLoader(loader, "cannot read ");
  }
}

void ReadLoader(Loader* loader) {
  loader->fd = Call(__NR_open, Address(loader->path), kReadOnly | kCloseOnExec);
  if (Failed(loader->fd)) FailLoader(*loader, "cannot open ");
  Elf64_Ehdr& header = loader->header;
  ReadAt(*loader, &header, sizeof(header), 0);
  if (header.e_ident[EI_MAG0] != ELFMAG0 || header.e_ident[EI_MAG1] != ELFMAG1 ||
      header.e_ident[EI_MAG2] != ELFMAG2 || header.e_ident[EI_MAG3] != ELFMAG3 ||
      header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != EM_X86_64 ||
      header.e_type != ET_DYN || header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum == 0 ||
      header.e_phnum > kMaxSegments) {
    FailLoader(*loader, "no loader for x86-64: ");
  }
  ReadAt(*loader, loader->segments, header.e_phnum * sizeof(Elf64_Phdr), header.e_phoff);
}

long Protection(const Elf64_Phdr& segment) {
  return ((segment.p_flags & PF_R) != 0 ? kProtRead : 0) |
         ((segment.p_flags & PF_W) != 0 ? kProtWrite : 0) |
         ((segment.p_flags & PF_X) != 0 ? kProtExec : 0);
}

void MapSegment(const Loader& loader, const Elf64_Phdr& segment) {
  const uintptr_t start = loader.base + segment.p_vaddr;
  const uintptr_t file_end = start + segment.p_filesz;
  const uintptr_t end = PageEnd(start + segment.p_memsz);
  const uintptr_t before = start - PageStart(start);
  if (Failed(Call(__NR_mmap, static_cast<long>(start - before),
                  static_cast<long>(segment.p_filesz + before), Protection(segment),
                  kMapPrivate | kMapFixed, loader.fd,
                  static_cast<long>(segment.p_offset - before)))) {
    FailLoader(loader, "cannot map (a filesystem that is mounted noexec?) ");
  }
  if (segment.p_memsz == segment.p_filesz) return;
  const uintptr_t zero_end = PageEnd(file_end) < end ? PageEnd(file_end) : end;
  // The kernel speaks of memory in numbers.
  char* const rest = reinterpret_cast<char*>(file_end);  // NOLINT(performance-no-int-to-ptr)
  for (size_t i = 0; i < zero_end - file_end; ++i) rest[i] = 0;
  if (zero_end < end &&
      Failed(Call(__NR_mmap, static_cast<long>(zero_end), static_cast<long>(end - zero_end),
                  Protection(segment), kMapPrivate | kMapFixed | kMapAnonymous, -1, 0))) {
    FailLoader(loader, "cannot map ");
  }
}

void MapLoader(Loader* loader) {
  uintptr_t end = 0;
  for (int i = 0; i < loader->header.e_phnum; ++i) {
    const Elf64_Phdr& segment = loader->segments[i];
    if (segment.p_type != PT_LOAD) continue;
    if (segment.p_vaddr % kPage != segment.p_offset % kPage || segment.p_filesz > segment.p_memsz) {
      FailLoader(*loader, "damaged: ");
    }
    if (segment.p_vaddr + segment.p_memsz > end) end = segment.p_vaddr + segment.p_memsz;
  }
  const long base = Call(__NR_mmap, 0, static_cast<long>(PageEnd(end)), 0,
                         kMapPrivate | kMapAnonymous | kMapNoReserve, -1, 0);
  if (end == 0 || Failed(base)) FailLoader(*loader, "cannot map ");
  loader->base = static_cast<uintptr_t>(base);
  for (int i = 0; i < loader->header.e_phnum; ++i) {
    if (loader->segments[i].p_type == PT_LOAD) MapSegment(*loader, loader->segments[i]);
  }
  Call(__NR_close, loader->fd);
}

// The stack as the kernel hands it to a program: argc, argv, null, environment, null, auxiliary
// vector.
struct Start {
  long argc;
  char** argv;
  char** environment;
  size_t variables;
  Elf64_auxv_t* facts;
  size_t fact_count;
};

Start ReadStack(uintptr_t* stack) {
  Start start = {};
  start.argc = static_cast<long>(stack[0]);
  start.argv = reinterpret_cast<char**>(stack + 1);
  start.environment = start.argv + start.argc + 1;
  while (start.environment[start.variables] != nullptr) ++start.variables;
  start.facts = reinterpret_cast<Elf64_auxv_t*>(start.environment + start.variables + 1);
  while (start.facts[start.fact_count].a_type != AT_NULL) ++start.fact_count;
  ++start.fact_count;
  return start;
}

// The error that the kernel would give if the loader had been started as a program itself.
Elf64_auxv_t AsOfLoader(Elf64_auxv_t fact, const Loader& loader) {
  switch (fact.a_type) {
    case AT_PHDR:
      fact.a_un.a_val = loader.base + loader.header.e_phoff;
      break;
    case AT_PHNUM:
      fact.a_un.a_val = loader.header.e_phnum;
      break;
    case AT_PHENT:
      fact.a_un.a_val = sizeof(Elf64_Phdr);
      break;
    case AT_ENTRY:
      fact.a_un.a_val = loader.base + loader.header.e_entry;
      break;
    case AT_BASE:
      fact.a_un.a_val = 0;
      break;
    default:
      break;
  }
  return fact;
}

}  // namespace

extern "C" [[noreturn]] void CoppiceLaunch(uintptr_t* stack) {
  static Places places;
  static Loader loader;
  FindPlaces(&places);
  loader.path = places.loader.text;
  ReadLoader(&loader);
  MapLoader(&loader);

  const Start start = ReadStack(stack);
  // No cache of the system's libraries. $ORIGIN is the real program's folder; unlike its path it
  // has no colon, at which the loader would split.
  const char* const words[] = {
      places.loader.text, "--inhibit-cache", "--library-path",
      "$ORIGIN",          "--argv0",         start.argc > 0 ? start.argv[0] : places.program.text,
      places.program.text};
  constexpr size_t kWords = sizeof(words) / sizeof(words[0]);
  const size_t arguments = start.argc > 0 ? static_cast<size_t>(start.argc - 1) : 0;
  const size_t slots = 1 + kWords + arguments + 1 + start.variables + 1 + 2 * start.fact_count;
  auto* const fresh =
      static_cast<uintptr_t*>(__builtin_alloca_with_align((slots + 1) * sizeof(uintptr_t), 8 * 16));
  uintptr_t* next = fresh;
  *next++ = kWords + arguments;
  for (const char* word : words) *next++ = reinterpret_cast<uintptr_t>(word);
  for (size_t i = 0; i < arguments; ++i) *next++ = reinterpret_cast<uintptr_t>(start.argv[i + 1]);
  *next++ = 0;
  for (size_t i = 0; i < start.variables; ++i) {
    *next++ = reinterpret_cast<uintptr_t>(start.environment[i]);
  }
  *next++ = 0;
  for (size_t i = 0; i < start.fact_count; ++i) {
    const Elf64_auxv_t fact = AsOfLoader(start.facts[i], loader);
    *next++ = fact.a_type;
    *next++ = fact.a_un.a_val;
  }
  asm volatile(
      "mov %0, %%rsp\n"
      "xor %%edx, %%edx\n"
      "xor %%ebp, %%ebp\n"
      "jmp *%1\n"
      :
      : "a"(fresh), "c"(loader.base + loader.header.e_entry)
      : "rdx", "memory");
  __builtin_unreachable();
}

asm(R"(
  .globl _start
  .type _start, @function
_start:
  xor %ebp, %ebp
  mov %rsp, %rdi
  and $-16, %rsp
  call CoppiceLaunch
  hlt
)");
