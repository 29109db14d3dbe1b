# Compiler settings and the few functions every CMakeLists.txt here uses.
include_guard()

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(absl REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(spdlog REQUIRED)

find_program(COPPICE_CCACHE ccache)
if(COPPICE_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Relative paths and no working folder in the hash: another checkout of the same tree hits the cache.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime CCACHE_MAXSIZE=5G ${COPPICE_CCACHE})
endif()

# With -O3 a file takes a twelfth longer to compile. That pays only for code that computes (the trainer's folders).
string(REPLACE -O3 -O2 CMAKE_CXX_FLAGS_RELEASE "${CMAKE_CXX_FLAGS_RELEASE}")

# One interface target carries the include root and the warnings, so that generated code and
# system headers are spared.
add_library(coppice_settings INTERFACE)
target_include_directories(coppice_settings INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/gen)
target_compile_options(coppice_settings INTERFACE -Wall -Wextra -Wno-unused-parameter
  $<$<BOOL:${COPPICE_WERROR}>:-Werror>
  $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>)
if(absl_VERSION VERSION_GREATER_EQUAL 20250814)
  # Its locks take references since then. Pointers, which older ones need, are deprecated.
  target_compile_options(coppice_settings INTERFACE -Wno-deprecated-declarations)
endif()
# For every file, since precompiled headers serve only files of the same settings.
target_link_libraries(coppice_settings INTERFACE Threads::Threads)
target_compile_definitions(coppice_settings INTERFACE COPPICE_VERSION="${PROJECT_VERSION}")

# The commit for --version: looked up at every build, written only when it has changed, linked into programs and not into tests.
set(COPPICE_COMMIT "" CACHE STRING "Commit that --version names where the source is not in a git repository")
add_custom_target(coppice_commit_text
  COMMAND ${CMAKE_COMMAND} -DSOURCE=${CMAKE_SOURCE_DIR} -DOUTPUT=${CMAKE_BINARY_DIR}/gen/commit.cc -DCOMMIT=${COPPICE_COMMIT}
          -P ${CMAKE_SOURCE_DIR}/cmake/commit.cmake
  BYPRODUCTS ${CMAKE_BINARY_DIR}/gen/commit.cc
  COMMENT "Looking up the commit")
add_library(coppice_commit STATIC ${CMAKE_BINARY_DIR}/gen/commit.cc)
target_include_directories(coppice_commit PRIVATE ${CMAKE_SOURCE_DIR})
target_link_libraries(coppice_commit PRIVATE absl::strings)
add_dependencies(coppice_commit coppice_commit_text)

if(COPPICE_SANITIZE)
  # Asserts stay on, lines in reports; with optimization a file takes twice as long to compile.
  add_compile_options(-O0 -g1 -pthread -fsanitize=${COPPICE_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${COPPICE_SANITIZE})
  if(COPPICE_SANITIZE MATCHES undefined)
    add_compile_options(-fno-sanitize-recover=undefined)
  endif()
endif()
if(COPPICE_SANITIZE MATCHES thread)
  # In every program of the build, whether it calls them or not: what makes Abseil's locks visible to the tool. (gRPC's part: proto/.)
  set(dir ${CMAKE_SOURCE_DIR}/tests/sanitizers)
  add_library(coppice_tsan STATIC ${dir}/tsan_absl.cc ${dir}/tsan_options.cc)
  target_compile_options(coppice_tsan PRIVATE -Wall -Wextra -fno-sanitize=thread)
  target_compile_definitions(coppice_tsan PRIVATE COPPICE_TSAN_SUPPRESSIONS="${dir}/tsan.supp")
  target_link_libraries(coppice_tsan PUBLIC absl::synchronization ${CMAKE_DL_LIBS})
  target_link_libraries(coppice_settings INTERFACE $<LINK_LIBRARY:WHOLE_ARCHIVE,coppice_tsan>)
endif()

if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
  # Precompiled headers without a time stamp: ccache may keep what was compiled with them.
  add_compile_options("SHELL:-Xclang -fno-pch-timestamp")
endif()

if(COPPICE_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES Clang)
    message(FATAL_ERROR "COPPICE_FUZZ needs Clang: cmake --preset asan")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# coppice_library(NAME SRCS a.cc ... LIBS x ... [PRECOMPILED set]): a static library with the project's settings. `set` is one
# of the header sets (PrecompiledHeaders.cmake), base unless it is named. With COPPICE_UNITY, eight files are compiled as one.
function(coppice_library name)
  cmake_parse_arguments(A "" "PRECOMPILED" "SRCS;LIBS" ${ARGN})
  if(NOT A_PRECOMPILED)
    set(A_PRECOMPILED base)
  endif()
  add_library(${name} STATIC ${A_SRCS})
  target_link_libraries(${name} PUBLIC coppice_settings ${A_LIBS})
  coppice_use_header_set(${name} ${A_PRECOMPILED})
  set_target_properties(${name} PROPERTIES UNITY_BUILD ${COPPICE_UNITY} UNITY_BUILD_BATCH_SIZE 8)
endfunction()

# For a folder whose code computes. Its files are compiled one by one: what stands beside a loop could change its rounding.
macro(coppice_optimize_folder)
  set(COPPICE_UNITY OFF)
  add_compile_options($<$<AND:$<CONFIG:Release>,$<COMPILE_LANGUAGE:CXX>>:-O3>)
endmacro()

# Code that runs once in a program's life, such as its command line. Its header set is a ONCE_RUN.
function(coppice_compile_once_run target)
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1>)
endfunction()

# A test's own code is run little and compiled often: optimizing it costs two thirds of its compile time. What it tests stays optimized.
function(coppice_compile_fast target)
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O0>)
endfunction()

include(PrecompiledHeaders)

# coppice_test_library(NAME SRCS a.cc ... LIBS x ... [PRECOMPILED set]): what several test binaries share.
function(coppice_test_library name)
  cmake_parse_arguments(A "" "PRECOMPILED" "SRCS;LIBS" ${ARGN})
  if(NOT A_PRECOMPILED)
    set(A_PRECOMPILED test)
  endif()
  set(COPPICE_UNITY OFF)
  coppice_library(${name} SRCS ${A_SRCS} LIBS ${A_LIBS} GTest::gmock PRECOMPILED ${A_PRECOMPILED})
  coppice_compile_fast(${name})
endfunction()

# coppice_test(NAME SRCS a_test.cc ... LIBS x ... [LABELS l ...] [TIMEOUT s] [PRECOMPILED set] [OPTIMIZED]): one GoogleTest
# binary. OPTIMIZED: it computes much itself. `set` is test or test_optimized unless it is named.
function(coppice_test name)
  cmake_parse_arguments(A "OPTIMIZED" "TIMEOUT;PRECOMPILED" "SRCS;LIBS;LABELS" ${ARGN})
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 120)
  endif()
  if(COPPICE_SANITIZE)
    math(EXPR A_TIMEOUT "5 * ${A_TIMEOUT}")
  endif()
  if(NOT A_PRECOMPILED)
    set(A_PRECOMPILED test)
    if(A_OPTIMIZED)
      set(A_PRECOMPILED test_optimized)
    endif()
  endif()
  add_executable(${name} ${A_SRCS})
  target_link_libraries(${name} PRIVATE coppice_settings ${A_LIBS} GTest::gmock GTest::gtest_main)
  # g++ 12 sees overlapping or uninitialized memory where a literal is assigned to a std::string (GCC bug 105651).
  target_compile_options(${name} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict;-Wno-maybe-uninitialized>)
  if(NOT A_OPTIMIZED)
    coppice_compile_fast(${name})
  endif()
  coppice_use_header_set(${name} ${A_PRECOMPILED})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS "${A_LABELS}" TIMEOUT ${A_TIMEOUT})
endfunction()
