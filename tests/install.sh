#!/bin/sh
# install.sh - what `make install`, `cmake --install` and `make dist` promise: a program finds the
# headers, and the library of them, through pkg-config and through find_package, with the right version,
# also when the prefix is moved; the archive builds; the port for vcpkg does with it what it says. From
# the repository's root.
set -u
cd "$(dirname "$0")/.." || exit 1
CC=${CC:-cc}
passed=0 failed=0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
version=$(sed -n 's/.*MLS_VERSION_STRING "\(.*\)"/\1/p' mls.h)
minor=${version%.*}

# check NAME COMMAND...: succeeds; refused NAME COMMAND...: does not
check() {
    name=$1
    shift
    if "$@" >"$work/log" 2>&1; then
        passed=$((passed + 1))
        echo "ok $name"
    else
        failed=$((failed + 1))
        echo "FAILED $name"
        tail -n 12 "$work/log" | sed 's/^/    /'
    fi
}
not() { ! "$@"; }

mkdir "$work/use"
cat >"$work/use/use.c" <<'END'
#ifndef COMPILED
#define MLS_IMPLEMENTATION
#endif
#include <mls_train.h>
int main(void)
{
    return mls_kernel_count() < 1;
}
END
cat >"$work/use/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.16)
project(use C)
separate_arguments(WANT UNIX_COMMAND "${WANT}")
find_package(mls ${WANT} REQUIRED)
if(NOT mls_VERSION VERSION_EQUAL VERSION)
    message(FATAL_ERROR "version ${mls_VERSION}, not ${VERSION}")
endif()
add_executable(use use.c)
if(TARGET mls::compiled)
    target_compile_definitions(use PRIVATE COMPILED)
    target_link_libraries(use mls::compiled)
else()
    target_link_libraries(use mls::mls)
endif()
END

# found PREFIX WANT: find_package(mls WANT) finds what is in PREFIX
found() {
    rm -rf "$work/found"
    cmake -S "$work/use" -B "$work/found" -DCMAKE_PREFIX_PATH="$1" -DWANT="$2" -DVERSION="$version"
}

by_pkg_config() {
    PKG_CONFIG_PATH=$1/share/pkgconfig
    export PKG_CONFIG_PATH
    # shellcheck disable=SC2046 # words
    [ "$(pkg-config --modversion mls)" = "$version" ] && pkg-config --exact-version="$version" mls &&
        $CC -std=c11 -O0 -DMLS_NO_SIMD $(pkg-config --cflags mls) "$work/use/use.c" \
            $(pkg-config --libs mls) -o "$work/use/use" && "$work/use/use"
}

if ! command -v pkg-config >/dev/null 2>&1 || ! command -v cmake >/dev/null 2>&1; then
    echo 'skipped: there is no pkg-config or no cmake'
    echo "0 passed, 0 failed"
    exit 0
fi
# same A B: what make and CMake install, but for the library, which only CMake has
same() {
    diff -r "$1/include" "$2/include" && diff -r --exclude='mlsCompiled*' "$1/share" "$2/share"
}
# runs PREFIX PLACE: the installed program does, and looks for its plot script in PLACE
runs() { "$1/bin/mls" --version | grep -F "$version" && grep -aqF "$2/share/mls/plot.gp" "$1/bin/mls"; }

check 'make install' make -s install CFLAGS=-O0 OPENMP= PREFIX="$work/made"
check 'make install, below another root' \
    make -s install CFLAGS=-O0 OPENMP= DESTDIR="$work/root" PREFIX=/usr
mv "$work/root/usr" "$work/moved"
check 'cmake' cmake -S . -B "$work/cmake" -DCMAKE_INSTALL_PREFIX="$work/cmade" \
    -DCMAKE_BUILD_TYPE=Debug -DMLS_COMPILED=ON
for target in mls_program mls_compiled; do # the others are built by CI's check of cmake
    check "cmake --build, $target" cmake --build "$work/cmake" --target "$target"
done
check 'cmake --install' cmake -DCMAKE_INSTALL_LOCAL_ONLY=1 -P "$work/cmake/cmake_install.cmake"
check 'both install the same' same "$work/made" "$work/cmade"
for prefix in made moved cmade; do
    case $prefix in moved) place=/usr ;; *) place=$work/$prefix ;; esac
    check "the program, $prefix" runs "$work/$prefix" "$place"
    check "pkg-config, $prefix" by_pkg_config "$work/$prefix"
    check "find_package(mls), $prefix" found "$work/$prefix" ''
    check "a program uses mls::mls, $prefix" cmake --build "$work/found"
    check "... and runs, $prefix" "$work/found/use"
done
for want in "$minor" "$version" "$version EXACT" "$minor...9" "0...$version" "0.0.1...<9"; do
    check "find_package(mls $want)" found "$work/made" "$want"
done
for want in 0.0 "${minor%.*}.9" 9 "$minor.9" "$minor.9 EXACT" "0...<$version" "9...10"; do
    check "find_package(mls $want) is refused" not found "$work/made" "$want"
done
for file in package.json scripts/package/vcpkg/vcpkg.json; do
    check "version of $file" grep -qF "\"version\": \"$version\"" "$file"
done

# The archive, and the port, which is run with what it asks of vcpkg in a few lines.
cat >"$work/vcpkg.cmake" <<'END'
function(run)
    execute_process(COMMAND ${ARGV} COMMAND_ERROR_IS_FATAL ANY)
endfunction()
function(vcpkg_extract_source_archive to name archive)
    file(ARCHIVE_EXTRACT INPUT ${archive} DESTINATION ${WORK}/source)
    set(${to} ${WORK}/source/mls-${VERSION} PARENT_SCOPE)
endfunction()
function(vcpkg_check_features)
    set(OPTIONS -DMLS_COMPILED=OFF PARENT_SCOPE)
endfunction()
function(vcpkg_cmake_configure)
    list(SUBLIST ARGV 3 -1 options)
    run(cmake -S ${ARGV1} -B ${WORK}/port -DCMAKE_INSTALL_PREFIX=${WORK}/ported ${options})
endfunction()
function(vcpkg_cmake_install)
    run(cmake --build ${WORK}/port --target install)
endfunction()
function(vcpkg_install_copyright name file)
    file(COPY ${file} DESTINATION ${WORK}/ported/share/mls)
endfunction()
include(${PORT}/portfile.cmake)
END
if git rev-parse --git-dir >/dev/null 2>&1; then
    check 'make dist' make -s dist BUILD="$work/dist"
    port=$work/dist/vcpkg/mls
    check 'the port for vcpkg' \
        cmake -DVERSION="$version" -DPORT="$port" -DWORK="$work" -P "$work/vcpkg.cmake"
    check 'find_package(mls), the port' found "$work/ported" ''
    check 'a program uses the port' cmake --build "$work/found"
    check 'the licence of the port' cmp LICENSE "$work/ported/share/mls/LICENSE"
    check 'the archive builds' make -s -C "$work/source/mls-$version" CFLAGS=-O0 build/custom_layer
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
