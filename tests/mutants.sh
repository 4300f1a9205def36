#!/bin/sh
# mutants.sh [-n] [N | WORD...] - do the tests bite? Breaks the code in every way that mutants.txt
# lists, one at a time, and runs the tests on it until one of them notices.
#     N     a sample of so many, always the same one
#     WORD  those whose first line contains one of the words
#     -n    only looks whether every text is still there
# JOBS (2) at a time; LIMIT (120) seconds of the CPU for a test: one that hangs has noticed. The last
# line counts; the exit status is 0 if 95 % were noticed and the others are explained.
set -u
cd "$(dirname "$0")/.." || exit 1
build=${BUILD:-build}
mkdir -p "$build/mutants" && work=$(cd "$build/mutants" && pwd)/$$ || exit 1
CC=${CC:-cc} CFLAGS=${CFLAGS:--O1} OPENMP=${OPENMP--fopenmp} limit=${LIMIT:-120}
export LC_ALL=C OMP_WAIT_POLICY=passive

look='' sample=0 all=''
if [ "${1:-}" = -n ]; then
    look=yes
    shift
fi
case ${1:-} in
[1-9]*) sample=$1 && shift ;;
-*)
    sed -n '2,8s/^# //p' tests/mutants.sh
    exit 2
    ;;
'') all=yes ;;
esac

# Files for each mutant: its head, what it does, the texts, and why nothing may notice it.
list() {
    awk -v list="$work/list" '
        function put(name, text) {
            name = list "/" id "." name
            if (name != last) close(last)
            last = name
            print text >name
        }
        /^@ / {
            id = sprintf("%03d", ++n)
            i = index($0, " | ")
            put("head", substr($0, 3, i - 3))
            put("what", substr($0, i + 3))
        }
        /^- / { put("from", substr($0, 3)) }
        /^[+]/ { put("to", substr($0, 3)) }
        /^= / { put("why", substr($0, 3)) }
    ' tests/mutants.txt
}

# Numbers of the chosen mutants; the sample is drawn by a generator that is the same everywhere.
choose() {
    awk -v sample="$sample" -v words="$*" '
        /^@ / { line[++n] = $0 }
        END {
            count = split(words, word, " ")
            x = 1
            for (i = 1; i <= n; i++) {
                x = x * 16807 % 2147483647
                take = sample ? x / 2147483647 * (n - i + 1) < sample - taken : !count
                for (j = 1; j <= count; j++) if (index(line[i], word[j])) take = 1
                taken += take
                if (take) printf "%03d\n", i
            }
        }
    ' tests/mutants.txt
}

# Sets what the head of a mutant says.
head_of() {
    file='' at=1/1 how=whole unit='' program='' tests=''
    read -r words <"$work/list/$1.head"
    for word in $words; do
        case $word in
        *.h) file=$word ;;
        [0-9]*/[0-9]*) at=$word ;;
        plain) how=plain ;;
        tiles) how=tiles unit=avx512vnni ;;
        vectors | sse41 | avx2 | avx512vnni) unit=$word ;;
        test_mls | test_conv | test_train) program=$word ;;
        *) tests="$tests $word" ;;
        esac
    done
    case $program$file in
    mls.h) program=test_mls ;;
    mls_conv.h) program=test_conv ;;
    mls_train.h) program=test_train ;;
    esac
}

# mutate ID: the file with the text replaced; fails unless that is there as often as it should be.
mutate() {
    awk -v at="$at" -v id="$work/list/$1" -v file="$file" '
        function slurp(name, line, text, newline) {
            while ((getline line <name) > 0) {
                text = text newline line
                newline = "\n"
            }
            return text
        }
        BEGIN {
            rest = slurp(file)
            from = slurp(id ".from")
            to = slurp(id ".to")
            split(at, k, "/")
            while (from != "" && (i = index(rest, from)) > 0) {
                out = out substr(rest, 1, i - 1) (++n == k[1] ? to : from)
                rest = substr(rest, i + length(from))
            }
            print out rest
            exit n != k[2] || from == to
        }
    '
}

# What the tests are built from.
place() {
    mkdir -p "$1/tests" && cp mls*.h "$1" &&
        cp -r tests/t.h tests/test_*.c tests/vectors "$1/tests"
}

# build DIR PROGRAM HOW: makes DIR/PROGRAM.HOW
build() {
    flags=
    [ "$3" != plain ] || flags=-DMLS_NO_SIMD
    [ "$3" != tiles ] || flags=-DMLS_AMX_EMULATE
    # shellcheck disable=SC2086 # flags are words
    (cd "$1" && $CC -std=c11 $CFLAGS $OPENMP $flags -w -I. -Itests "tests/$2.c" -o "$2.$3" -lm) \
        >"$1/log" 2>&1
}

# names HOW: of all tests of the program, from the check of the code as it is
names() {
    "$work/base/$program.$1" -l
}

# noticed DIR TEST...: by the first of the tests that fails, in $by.
noticed() {
    dir=$1
    shift
    for by in "$@"; do
        # || keeps the shell there, whose word about a crash is for the log
        # shellcheck disable=SC3045 # of all shells there are
        (cd "$dir" && ulimit -t "$limit" &&
            TMPDIR=$dir timeout 3600 "./$program.$how" "$by" || exit) >"$dir/log" 2>&1 && continue
        case $? in
        124 | 137 | 152) by="$by, which does not end" ;; # SIGKILL, SIGXCPU
        esac
        return 0
    done
    return 1
}

# result ID WORD TEXT
result() {
    echo "$2" >"$work/results/$1"
    echo "$2$3: $file: $(cat "$work/list/$1.what")"
}

mutant() {
    id=$1 here=$work/$1
    head_of "$id"
    if [ -n "$unit" ] && ! grep -qx "$unit" "$work/units"; then
        result "$id" skipped ", no $unit here"
        return
    fi
    place "$here"
    if ! mutate "$id" >"$here/$file"; then
        result "$id" BROKEN ', the text is not there'
        return
    fi
    # all tests, of the ordinary program, before it counts as survived
    for try in "$how" all; do
        [ "$try$how" != allplain ] || how=whole
        if [ ! -x "$here/$program.$how" ] && ! build "$here" "$program" "$how"; then
            cat "$here/log"
            result "$id" BROKEN ', it does not compile'
            return
        fi
        [ "$try" != all ] || tests=$(names "$how")
        # shellcheck disable=SC2086 # names are words
        if noticed "$here" $tests; then
            result "$id" noticed " by $by"
            rm -rf "$here"
            return
        fi
    done
    if [ -f "$work/list/$id.why" ]; then
        result "$id" explained " ($(tr '\n' ' ' <"$work/list/$id.why"))"
    else
        result "$id" SURVIVED ''
    fi
    rm -rf "$here"
}

# Takes one mutant after the other that no other worker has.
worker() {
    while read -r next; do
        if mkdir "$work/taken/$next" 2>/dev/null; then mutant "$next"; fi
    done <"$work/chosen"
}

# The code as it is passes every test that a mutant names, and without arguments all of them.
base() {
    place "$work/base" && here=$work/base
    printf '%s\n' '#include <stdio.h>' '#define MLS_IMPLEMENTATION' '#include "mls_conv.h"' \
        'int main(void) { for (int i = 0; i < mls_kernel_count(); i++) puts(mls_kernel_name(i)); }' \
        >"$here/tests/units.c"
    build "$here" units whole && "$here/units.whole" >"$work/units" || return 1
    [ "$(wc -l <"$work/units")" = 1 ] || echo vectors >>"$work/units"
    while read -r id; do
        head_of "$id"
        for test in $tests; do echo "$program $how $test"; done
        [ "$how" = whole ] || echo "$program whole"
        [ -n "$unit" ] && ! grep -qx "$unit" "$work/units" && continue
        echo "$program $how"
    done <"$work/chosen" | sort -u >"$work/needs"
    while read -r program how test; do
        case $test in
        '') build "$here" "$program" "$how" || { cat "$here/log" && return 1; } ;;
        *)
            [ -x "$here/$program.$how" ] || continue
            if ! names "$how" | grep -q "$test"; then
                echo "$program has no test $test"
                return 1
            fi
            ;;
        esac
        [ -n "$test" ] || [ "$how" = plain ] || [ -z "$all" ] || test=$(names "$how")
        # shellcheck disable=SC2086 # names are words
        if noticed "$here" $test; then
            cat "$here/log"
            echo "$program ($how) fails $by as it is"
            return 1
        fi
    done <"$work/needs"
}

chosen=$(choose "$@")
[ -n "$chosen" ] || { echo 'no mutant has such a word' && exit 1; }
workers=
trap 'rm -rf "$work"' EXIT
trap 'kill $workers 2>/dev/null; exit 1' HUP INT TERM
mkdir -p "$work/list" "$work/taken" "$work/results"
echo "$chosen" >"$work/chosen"
list
if [ -n "$look" ]; then
    while read -r id; do
        head_of "$id"
        mutate "$id" >/dev/null || result "$id" BROKEN ', the text is not there'
    done <"$work/chosen"
    [ -z "$(ls "$work/results")" ]
    exit
fi
if ! base; then
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
cat /dev/null $(find "$work/results" -type f) | awk '
    { count[$1]++ }
    END {
        n = count["noticed"] + count["explained"] + count["SURVIVED"] + count["BROKEN"]
        if (count["skipped"]) print count["skipped"] " skipped: they need another CPU"
        printf "result mutants=%d noticed=%d\n", n, count["noticed"]
        exit count["SURVIVED"] + count["BROKEN"] || !n || count["noticed"] < 0.95 * n
    }'
