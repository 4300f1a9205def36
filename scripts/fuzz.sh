#!/bin/sh
# fuzz.sh [SECONDS [TARGET...]] - builds the targets of tests/fuzz with libFuzzer and the sanitizers
# and runs each for SECONDS (60), JOBS=2 at a time, from its committed corpus and what earlier runs
# have found. Everything is in ${BUILD:-build}/fuzz: corpus/TARGET grows, TARGET.log has a line for
# each run with its processor seconds, TARGET.out is the last run. The last line counts the targets.
set -u
cd "$(dirname "$0")/.." || exit 1
seconds=${1:-60}
[ $# = 0 ] || shift
[ $# != 0 ] || set -- checkpoint cifar conv format network pictures quantize settings tensors
scripts/need.sh clang clang-sanitizers stb/stb_image.h jsmn.h || exit 1
out=${BUILD:-build}/fuzz
mkdir -p "$out" || exit 1
warnings='-Wall -Wextra -Wconversion -Wshadow -pedantic -Werror'

# Loops that the headers unroll stay rolled: the sanitizers' checks in them take clang many minutes.
build() {
    # a program that is not there is an error, which is text too
    [ -n "$(find mls*.h examples tests/fuzz/*.[ch] -newer "$out/$1" 2>&1)" ] || return 0
    # shellcheck disable=SC2086 # a list of options
    clang -std=c11 -O1 -g $warnings -I. -fsanitize=fuzzer,address,undefined \
        -fno-sanitize-recover=all -fsanitize-ignorelist=tests/fuzz/ignore.txt \
        -mllvm -pragma-unroll-threshold=1 -Wno-pass-failed "tests/fuzz/$1.c" -o "$out/$1" -lm
}

fuzz() {
    mkdir -p "$out/corpus/$1" "tests/fuzz/corpus/$1" # a new target has none
    "$out/$1" -max_total_time="$seconds" -timeout=20 -print_final_stats=1 \
        -artifact_prefix="$out/$1-" "$out/corpus/$1" "tests/fuzz/corpus/$1"
}

# logged TARGET: the same to a file, with a line for the log; in a shell of its own, as `times` tells
# the processor time of all its children
logged() (
    fuzz "$1" >>"$out/$1.out" 2>&1
    code=$?
    times >"$out/$1.times"
    cpu=$(tail -n 1 "$out/$1.times" | sed 's/[ms]/ /g' |
        awk '{ printf "%d", 60 * ($1 + $3) + $2 + $4 }')
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$out/$1.out")
    crash=$(sed -n '/slow-unit/d; s/.*Test unit written to //p' "$out/$1.out")
    echo "${runs:-?} runs, $cpu processor seconds, exit status $code${crash:+ }$crash" |
        tee "$out/$1.last" >>"$out/$1.log"
)

one() {
    if build "$1" >"$out/$1.out" 2>&1; then
        logged "$1"
    else
        echo 'does not build' >"$out/$1.last"
    fi
}

# every JOBS-th target, from the given one on
worker() {
    number=$1
    shift
    for target in "$@"; do
        [ $((number % jobs)) != 0 ] || one "$target"
        number=$((number + 1))
    done
}

jobs=${JOBS:-2}
i=0
while [ "$i" -lt "$jobs" ]; do
    worker "$i" "$@" &
    i=$((i + 1))
done
wait

passed=0 failed=0
for target in "$@"; do
    echo "$target: $(cat "$out/$target.last")"
    if grep -q 'exit status 0$' "$out/$target.last"; then
        passed=$((passed + 1))
    else
        tail -n 40 "$out/$target.out"
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
