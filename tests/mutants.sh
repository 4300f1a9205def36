#!/bin/sh
# mutants.sh [-n] [-s SEED] [N] [WORD...] - do the tests bite? Breaks the code in every way that
# mutants.txt lists, one at a time, and runs the tests on it until one of them notices.
#     N     a sample of so many of them
#     SEED  of the sample, a number: 1
#     WORD  those whose header, function or tests contain one of the words
#     -n    only looks whether all of the table still fits the code
# JOBS (2) at a time; LIMIT (240) seconds of the CPU for a test: one that hangs has noticed. The last
# line counts; the exit status is 0 if 95 % were noticed and the others are explained.
set -u
cd "$(dirname "$0")/.." || exit 1
# Compiling takes longer than a test that stops where it fails, so nothing is optimized.
CC=${CC:-cc} CFLAGS=${CFLAGS:--O0} OPENMP=${OPENMP--fopenmp} limit=${LIMIT:-240} build=${BUILD:-build}
export LC_ALL=C OMP_WAIT_POLICY=passive

look='' seed=1 sample=0
while getopts ns: option; do
    case $option in
    n) look=yes ;;
    s) seed=$OPTARG ;;
    *) sed -n '2,9s/^# //p' tests/mutants.sh && exit 2 ;;
    esac
done
shift $((OPTIND - 1))
case ${1:-} in
[1-9]*) sample=$1 && shift ;;
esac

# table VARIABLE=VALUE...: see mutants.awk
table() {
    awk -f "$code/tests/mutants.awk" "$@" "$code"/mls*.h "$code/examples/fit.h" "$code/examples/pictures.h" \
        "$code"/tests/test_*.c "$code"/tests/mls/*.c "$code"/tests/conv/*.c \
        "$code"/tests/train/*.c "$code/tests/mutants.txt"
}

# place FROM DIR: what the tests are built from
place() {
    mkdir -p "$2/tests" && ln -sfn . "$2/examples" && cp "$1"/mls*.h "$1/examples/fit.h" "$1/examples/pictures.h" "$2" &&
        cp -r "$1"/tests/*.[ch] "$1"/tests/mutants.* "$1"/tests/mls "$1"/tests/conv \
            "$1"/tests/train "$1"/tests/vectors "$1"/tests/pictures "$2/tests"
}

# build DIR PROGRAM HOW [OUT]: makes DIR/PROGRAM.HOW
build() {
    flags=
    [ "$3" != plain ] || flags=-DMLS_NO_SIMD
    [ "$3" != tiles ] || flags=-DMLS_AMX_EMULATE
    # shellcheck disable=SC2086 # flags are words
    $CC -std=c11 $CFLAGS $OPENMP $flags -DT_STOP -w -I"$1" "$1/tests/$2.c" \
        -o "${4:-$1/$2.$3}" -lm >"$1/log" 2>&1
}

# fails PROGRAM TEST: whether the test does, with $by saying how. It is run in the mutant's directory.
fails() {
    by=$2
    # || keeps the shell there, whose word about a crash is for the log
    # shellcheck disable=SC3045 # of all shells there are
    (cd "$here" && ulimit -t "$limit" && TMPDIR=$here timeout 3600 "$1" "$2" || exit) \
        >"$here/log" 2>&1 && return 1
    case $? in
    124 | 137 | 152) by="$by, which does not end" ;; # SIGKILL, SIGXCPU
    esac
}

# result WORD TEXT: of the mutant
result() {
    echo "$1" >"$work/results/$line"
    echo "$1$2: $title (mutants.txt:$line)"
}

# passes PROGRAM HOW TEST: whether the test does with the code as it is; looked at once.
passes() {
    answer=$work/passes/$1.$2.$3
    if [ ! -e "$answer" ]; then
        # the other worker may be here, too
        if [ ! -x "$code/$1.$2" ]; then
            build "$code" "$1" "$2" "$here/as-it-is" && mv "$here/as-it-is" "$code/$1.$2" || return 1
        fi
        if fails "$code/$1.$2" "$3"; then echo no; else echo yes; fi >"$here/answer"
        mv "$here/answer" "$answer"
    fi
    grep -q yes "$answer"
}

# notices PROGRAM HOW TEST: whether the test fails with the mutant, and because of it
notices() {
    if fails "$here/$1.$2" "$3"; then
        noticed=$by
        passes "$1" "$2" "$3" && return
        echo "$1 ($2) fails $3 without any mutant"
        touch "$work/unfit"
    fi
    return 1
}

# named_notice PROGRAM TEST PROGRAM TEST...: whether one of the named tests notices the mutant
named_notice() {
    while [ $# -gt 0 ]; do
        notices "$1" "$how" "$2" && return
        shift 2
    done
    return 1
}

# Whether any test of these programs does, in the ordinary build.
others_notice() {
    for program in $programs; do
        for test in $("$here/$program.whole" -l); do
            notices "$program" whole "$test" && return
        done
    done
    return 1
}

# builds HOW: the programs of the mutant
builds() {
    for program in $programs; do
        [ -x "$here/$program.$1" ] || build "$here" "$program" "$1" || return 1
    done
}

# mutant LINE FILE HOW UNIT TITLE TESTS WHY: as mutants.awk lists them
mutant() {
    line=$1 file=$2 how=$3 unit=$4 title=$5 tests=$6 why=$7 here=$work/$1
    programs=$(echo "$tests" | tr ' ' '\n' | grep '^test_' | sort -u)
    place "$code" "$here"
    # shellcheck disable=SC2086 # tests are words
    if [ -n "$unit" ] && ! grep -qx "$unit" "$work/units"; then
        result skipped ", no $unit here"
    elif ! table mode=break "line=$line" >"$here/$file" || cmp -s "$code/$file" "$here/$file"; then
        result BROKEN ', it changes nothing'
    elif ! builds "$how"; then
        cat "$here/log"
        result BROKEN ', it does not compile'
    elif named_notice $tests || { builds whole && others_notice; }; then
        result noticed " by $noticed"
    elif [ -n "$why" ]; then
        result explained " ($why)"
    else
        result SURVIVED ''
    fi
    rm -rf "$here"
}

# Takes one mutant after the other that no other worker has.
worker() {
    while IFS='|' read -r line file how unit title tests why; do
        mkdir "$work/taken/$line" 2>/dev/null || continue
        mutant "$line" "$file" "$how" "$unit" "$title" "$tests" "$why" </dev/null
    done <"$work/chosen"
}

# The vector units of this machine, and the programs that are needed, of the code as it is.
base() {
    printf '%s\n' '#include <stdio.h>' '#define MLS_IMPLEMENTATION' '#include "mls_conv.h"' \
        'int main(void) { for (int i = 0; i < mls_kernel_count(); i++) puts(mls_kernel_name(i)); }' \
        >"$code/tests/units.c"
    build "$code" units whole && "$code/units.whole" >"$work/units" || return 1
    [ "$(wc -l <"$work/units")" = 1 ] || echo vectors >>"$work/units"
    while IFS='|' read -r line file how unit title tests why; do
        # shellcheck disable=SC2086 # pairs of words
        printf "%s $how %.0s\n" $tests
    done <"$work/chosen" | sort -u >"$work/needs"
    while read -r program how; do
        build "$code" "$program" "$how" || return 1
    done <"$work/needs"
}

if [ -n "$look" ]; then
    code=.
    table mode=list >/dev/null
    exit
fi
mkdir -p "$build/mutants" && work=$(cd "$build/mutants" && pwd)/$$ || exit 1
code=$work/code workers=
trap 'rm -rf "$work"' EXIT
trap 'kill $workers 2>/dev/null; exit 1' HUP INT TERM
mkdir -p "$work/taken" "$work/passes" "$work/results"
place . "$code"
table mode=list "words=$*" "sample=$sample" "seed=$seed" >"$work/chosen" || touch "$work/unfit"
if [ ! -s "$work/chosen" ] || ! base; then
    [ ! -f "$code/log" ] || cat "$code/log"
    echo 'result mutants=0 noticed=0'
    exit 1
fi
i=0
while [ "$i" -lt "${JOBS:-2}" ]; do
    worker &
    workers="$workers $!" i=$((i + 1))
done
wait
# shellcheck disable=SC2046 # a word for each mutant
cat /dev/null $(find "$work/results" -type f) | awk -v unfit="$(ls "$work/unfit" 2>/dev/null)" '
    { count[$1]++ }
    END {
        n = count["noticed"] + count["explained"] + count["SURVIVED"] + count["BROKEN"]
        if (count["skipped"]) print count["skipped"] " skipped: they need another CPU"
        printf "result mutants=%d noticed=%d\n", n, count["noticed"]
        exit unfit != "" || count["SURVIVED"] + count["BROKEN"] || !n || count["noticed"] < 0.95 * n
    }'
