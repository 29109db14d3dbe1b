# Precompiled headers. Half of the time that a file takes to compile goes into headers of other projects. So each target reads
# them from a set that was compiled once: base (the standard library, Abseil, spdlog), wire (also gRPC and the generated
# messages), and so on. A set is defined beside the libraries that it needs.
#
# A set replaces no #include: every file includes all that it uses (tests/lint/check_includes.py), and the tree also compiles
# with -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON.
include_guard()

# coppice_header_set(NAME [EXTENDS set] HEADERS <a.h> ... [LIBS x ...] [FAST | ONCE_RUN]): defines a set, and all of `set` in it.
# Headers stand in angle brackets: CMake would write other names with the path of this checkout, and ccache would compile
# all of it again in the next one. FAST and ONCE_RUN: for targets with coppice_compile_fast or coppice_compile_once_run; the
# compiler refuses others (g++ from 13 on).
function(coppice_header_set name)
  cmake_parse_arguments(A "FAST;ONCE_RUN" "EXTENDS" "HEADERS;LIBS" ${ARGN})
  set(target coppice_headers_${name})
  set(source ${CMAKE_CURRENT_BINARY_DIR}/${target}.cc)
  file(CONFIGURE OUTPUT ${source} CONTENT "// The home of precompiled headers.\n")
  add_library(${target} OBJECT ${source})
  if(A_EXTENDS)
    get_target_property(headers coppice_headers_${A_EXTENDS} COPPICE_HEADERS)
    get_target_property(libs coppice_headers_${A_EXTENDS} COPPICE_LIBS)
    list(PREPEND A_HEADERS ${headers})
    list(PREPEND A_LIBS ${libs})
  endif()
  set_target_properties(${target} PROPERTIES COPPICE_HEADERS "${A_HEADERS}" COPPICE_LIBS "${A_LIBS}")
  target_link_libraries(${target} PRIVATE coppice_settings ${A_LIBS})
  target_precompile_headers(${target} PRIVATE ${A_HEADERS})
  if(A_FAST)
    coppice_compile_fast(${target})
  elseif(A_ONCE_RUN)
    coppice_compile_once_run(${target})
  endif()
endfunction()

# Lets a target read the headers of a set; "none" leaves it without.
function(coppice_use_header_set target name)
  if(name STREQUAL "none")
    return()
  endif()
  target_precompile_headers(${target} REUSE_FROM coppice_headers_${name})
  # g++ 12 warns of inlined library code there as if it were ours (GCC bug 105651).
  target_compile_options(${target} PRIVATE
    $<$<CXX_COMPILER_ID:GNU>:-Wno-array-bounds;-Wno-stringop-overflow;-Wno-restrict>)
endfunction()

# What most files include.
coppice_header_set(base
  HEADERS
    <algorithm> <functional> <map> <memory> <optional> <set> <string> <utility> <vector>
    <absl/container/flat_hash_map.h> <absl/container/flat_hash_set.h> <absl/status/statusor.h>
    <absl/strings/match.h> <absl/strings/str_cat.h> <absl/strings/str_format.h> <absl/strings/str_join.h>
    <absl/synchronization/mutex.h> <absl/time/time.h> <spdlog/spdlog.h>
  LIBS
    absl::flat_hash_map absl::flat_hash_set absl::statusor absl::strings absl::str_format absl::synchronization
    absl::time spdlog::spdlog)
