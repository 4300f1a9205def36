#!/bin/sh
# windows.sh - the library on 64-bit Windows, built by mingw-w64 and run by Wine: headers, tests and
# examples build without a warning; the tests pass and the digests are the golden ones; the example
# saves over its checkpoints and goes on from them. The last line counts the checks.
set -u
cd "$(dirname "$0")/.." || exit 1
cc=x86_64-w64-mingw32-gcc
scripts/need.sh $cc x86_64-w64-mingw32-g++ wine stb/stb_image.h || exit 1
build=${BUILD:-build}/windows
rm -rf "$build"
mkdir -p "$build/include" || exit 1
build=$(cd "$build" && pwd)
# stb is beside the system's own headers, which must not be seen
stb=$(echo '#include <stb/stb_image.h>' | ${CC:-cc} -E -x c - | sed -n 's/^# [0-9]* "\(.*\)\/stb_image.h".*/\1/p' | head -n 1)
ln -s "$stb" "$build/include/stb"
warnings='-Wall -Wextra -Wconversion -Wshadow -pedantic -Werror -Wredundant-decls'
# the compilers of Debian are among those that may use AVX
flags="-std=c11 $warnings -DMLS_WIN64_AVX -fopenmp -static -I. -Itests -isystem $build/include"
WINEPREFIX=$build/wine WINEDEBUG=-all OMP_WAIT_POLICY=passive TEST_SHARE=${TEST_SHARE:-40}
export WINEPREFIX WINEDEBUG OMP_WAIT_POLICY TEST_SHARE
passed=0 failed=0
epochs=60

# check NAME COMMAND...: passes or fails as a whole
check() {
    name=$1
    shift
    if "$@" >"$build/log" 2>&1 </dev/null; then
        passed=$((passed + 1))
        echo "ok $name"
    else
        failed=$((failed + 1))
        echo "FAILED $name"
        tail -n 20 "$build/log" | sed 's/^/    /'
    fi
}

# suite NAME PROGRAM OPTIONS...: a program that counts its own tests
suite() {
    name=$1
    shift
    wine "$@" >"$build/log" 2>&1 </dev/null
    code=$?
    # its server ended while the program began: nothing has run yet
    if grep -q '^wine client error' "$build/log"; then
        wine "$@" >"$build/log" 2>&1 </dev/null
        code=$?
    fi
    line=$(tr -d '\r' <"$build/log" | grep -E '^[0-9]+ passed, [0-9]+ failed' | tail -n 1)
    p=$(echo "$line" | sed -n 's/^\([0-9]*\) passed.*/\1/p')
    f=$(echo "$line" | sed -n 's/.*passed, \([0-9]*\) failed.*/\1/p')
    if [ -z "$line" ] || { [ $code != 0 ] && [ "$f" = 0 ]; }; then f=$((${f:-0} + 1)); fi
    echo "$name: ${line:-no result}, exit status $code"
    [ "$f" = 0 ] || tail -n 40 "$build/log" | sed 's/^/    /'
    passed=$((passed + ${p:-0}))
    failed=$((failed + f))
}

# header NAME LINES...: a file of these lines compiles as C and as C++
header() {
    name=$1
    shift
    printf '%s\n' "$@" >"$build/header.c"
    # shellcheck disable=SC2086 # lists of options
    {
        check "C, $name" $cc -std=c11 $warnings -O1 -I. -c "$build/header.c" -o "$build/o"
        check "C++, $name" x86_64-w64-mingw32-g++ -x c++ -std=c++17 $warnings -I. -fsyntax-only \
            "$build/header.c"
    }
}

implement='#define MLS_IMPLEMENTATION'
header 'declarations' '#include "mls_train.h"' 'int mine(void);' 'int mine(void) { return 0; }'
header 'alone' "$implement" '#include "mls_train.h"'
header 'after windows.h' '#include <windows.h>' "$implement" '#include "mls_train.h"'
header 'before windows.h' "$implement" '#include "mls_train.h"' '#include <windows.h>'

# program NAME SOURCE [OPTIONS...]
program() {
    name=$1 source=$2
    shift 2
    # shellcheck disable=SC2086
    check "$name builds" $cc -O2 $flags "$@" "$source" -o "$build/$name.exe" -lm
}
for test in test_mls test_conv test_train golden; do program $test tests/$test.c; done
for example in cifar10 own_data custom_layer mls/mls; do program "${example#*/}" "examples/$example.c"; done
# what a compiler gives that is not known to have patched AVX
program golden_sse tests/golden.c -UMLS_WIN64_AVX

cd "$build" || exit 1
for test in test_mls test_train test_conv; do suite $test $test.exe; done
for kernel in $(wine golden.exe --kernels | tr -d '\r'); do
    suite "golden, $kernel" golden.exe --kernel "$kernel" --threads 2
done
suite 'golden, any compiler' golden_sse.exe
sse_at_most() { ! wine golden_sse.exe --kernels | grep avx; }
check 'any compiler: no AVX' sse_at_most

# The example, in paths as they are there: the same digest as here, saves over saves; a folder belongs
# to one run; what is killed goes on and ends in the same digest
options="--model resnet8 --width 8 --limit 48 --test-limit 24 --batch 16 --epochs $epochs"
digest() { tail -n 1 "$build/log" | tr -d '\r' | sed 's/.*digest=\([0-9a-f]*\).*/\1/'; }
lines() { grep -c '"epoch"' runs/part/log.jsonl 2>/dev/null; }
# shellcheck disable=SC2086
second() { ! wine mls.exe train $options --out 'runs\part' && grep -q 'another run is at work' "$build/log"; }
whole() { [ -s runs/part/last.mlsck ] && ! ls runs/part/*.tmp; }
# shellcheck disable=SC2086
{
    ${CC:-cc} -std=c11 -O2 -DNO_PICTURES -I../.. ../../examples/mls/mls.c -o native -lm
    check 'mls here' ./native train $options
    here=$(digest)
    wine mls.exe train $options --out 'runs\part' >part.out 2>&1 </dev/null &
    pid=$!
    waited=0
    until [ "$(lines)" -gt 1 ] || [ $waited -ge 600 ]; do
        sleep 0.1
        waited=$((waited + 1))
    done
    check 'a folder belongs to one run' second
    kill -KILL $pid
    wait $pid 2>/dev/null
    wineserver -k
    killed=$(lines)
    check 'killed in the middle' [ "$killed" -gt 1 -a "$killed" -lt "$epochs" ]
    check 'its checkpoint' [ -s runs/part/last.mlsck ]
    check 'resumed' wine mls.exe train --resume 'runs\part'
    check 'the same digest' [ "$(digest)" = "$here" ]
    check 'a whole log' [ "$(lines)" = "$epochs" ]
    check 'no temporary file' whole
    check 'tested' wine mls.exe test 'runs\part\best.mlsck'
}
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
