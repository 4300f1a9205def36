#!/bin/sh
# install.sh - what `make install` and `cmake --install` promise: a program finds the headers through
# pkg-config and through find_package, with the right version, also when the prefix is moved. From the
# repository's root.
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
#define MLS_IMPLEMENTATION
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
target_link_libraries(use mls::mls)
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
check 'make install' make -s install PREFIX="$work/made"
check 'make install, below another root' make -s install DESTDIR="$work/root" PREFIX=/usr
mv "$work/root/usr" "$work/moved"
check 'cmake' cmake -S . -B "$work/cmake" -DCMAKE_INSTALL_PREFIX="$work/cmade"
# the programs are built by CI's check of cmake
check 'cmake --install' cmake -DCMAKE_INSTALL_LOCAL_ONLY=1 -P "$work/cmake/cmake_install.cmake"
check 'both install the same' diff -r "$work/made" "$work/cmade"
for prefix in made moved cmade; do
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
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
