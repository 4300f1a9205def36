#!/bin/sh
# pages.sh - the pages of docs/ that say how are true as far as a machine can tell: their blocks of sh
# and c run, their functions and constants are in the headers, their files are there, the README leads to
# them; the options of the FAQ are those of --help. From the repository's root; BUILD is where the
# programs are.
set -u
cd "$(dirname "$0")/.." || exit 1
root=$(pwd)
programs=$(cd "${BUILD:-build}" && pwd) || exit 1
pages='docs/FAQ.md docs/PICTURES.md docs/PREDICT.md docs/FINE_TUNE.md docs/EXPORT.md docs/EXTEND.md'
faq=docs/FAQ.md
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
passed=0 failed=0
export OMP_WAIT_POLICY=passive
unset MAKEFLAGS MAKELEVEL # a page's make is no part of the one that runs this

ok() {
    if [ "$1" = 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED $2"
        tail -n 12 "$work/log" | sed 's/^/    /'
    fi
}

# The blocks of a page, by language, as files of its kind
blocks() {
    for language in sh c; do
        awk -v language=$language -v to="$work/$(basename "$1" .md)" '
            $0 == "```" { inside = 0 }
            inside { print >file }
            $0 == "```" language { inside = 1; file = to "." sprintf("%02d", ++n) "." language }' "$1"
    done
}

# What the commands of a page find: a repository that is built
place() {
    rm -rf "$work/run"
    mkdir "$work/run" "$work/run/build"
    for name in "$programs"/*; do [ ! -x "$name" ] || ln -s "$name" "$work/run/build/"; done
    for name in "$root"/*; do [ "$(basename "$name")" = build ] || ln -s "$name" "$work/run/"; done
}

# c_block FILE: a program or the middle of one, in the place of its page; what a comment beside puts says is what
# it prints
c_block() {
    if grep -q '^int main' "$1"; then
        cp "$1" "$work/program.c"
    else
        {
            printf '%s\n' '#define MLS_IMPLEMENTATION' '#include "mls_train.h"' '#include <stdio.h>' 'int main(void)' '{'
            cat "$1"
            printf '%s\n' 'return 0;' '}'
        } >"$work/program.c"
    fi
    ${CC:-cc} -std=c11 -O0 -Wall -Wextra -DMLS_NO_SIMD -I. "$work/program.c" -o "$work/program" -lm >"$work/log" 2>&1 &&
        (cd "$work/run" && "$work/program") >"$work/said" 2>>"$work/log"
    ok $? "$(cat "$1")"
    ! grep -q 'puts(text); /' "$1" ||
        sed -n 's|.*puts(text); /\* \(.*\) \*/|\1|p' "$1" | cmp "$work/said" - >"$work/log" 2>&1
    ok $? "what the program prints: $(cat "$work/said")"
}

for page in $pages; do
    blocks "$page"
    place
    for block in "$work/$(basename "$page" .md)".*.sh "$work/$(basename "$page" .md)".*.c; do
        [ -f "$block" ] || continue
        if [ "${block%.c}" != "$block" ]; then
            c_block "$block"
        else
            (cd "$work/run" && sh -eu "$block") >"$work/log" 2>&1 </dev/null
            ok $? "$page: $(cat "$block")"
        fi
    done
    link="($page)"
    grep -q -F "$link" README.md
    ok $? "the README does not lead to $page"
done

# The README's commands take too long; its program must train.
blocks README.md
c_block "$work/README.01.c"
grep -q '64 of 64 are right' "$work/said"
ok $? 'the program of the README learns'

# words PATTERN FILE: what is there, each once; words have no spaces
words() { grep -o -w -E -e "$1" "$2" | sort -u; }

: >"$work/log"
# shellcheck disable=SC2016 # nothing is to expand
grep -o -e '`[^`]*`' $faq | tr -d '`' | grep -v -e '^cmake ' -e '^vcpkg ' >"$work/words"
cat "$work"/FAQ.*.sh "$work"/FAQ.*.c >>"$work/words"
"$programs/mls" help train >"$work/help" 2>&1
for option in $(words '--[a-z][a-z-]*' "$work/words"); do
    grep -q -e "  $option\\b" -e ", $option\\b" "$work/help"
    ok $? "$option is no option of mls train"
done
# shellcheck disable=SC2016,SC2086 # nothing is to expand; a list
grep -h -o -e '`[^`]*`' $pages | tr -d '`' >>"$work/words"
for name in $(words '(mls|MLS)_[A-Za-z0-9_]+' "$work/words"); do
    grep -q -w "$name" mls.h mls_conv.h mls_train.h examples/cifar10.c examples/mls/*.[ch]
    ok $? "$name is in no header"
done
# shellcheck disable=SC2013,SC2086 # words, a list
for file in $(grep -h -o -w -E '(tests|scripts|examples|docs|bench)/[A-Za-z0-9_]+\.[a-z]+' $pages | sort -u); do
    [ -f "$file" ]
    ok $? "$file is not there"
done
for machine in i386 aarch64 armhf riscv64 s390x cortex-m3 cortex-m4 cortex-m7 tcc; do
    grep -q "$machine;" scripts/matrix.sh
    ok $? "scripts/matrix.sh has no $machine"
done
[ "$passed" -gt 30 ]
ok $? 'there is something to look at'
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
