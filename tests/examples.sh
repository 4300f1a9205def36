#!/bin/sh
# examples.sh - the small examples build as their first comment says, run, and end as they should.
set -u
cd "$(dirname "$0")/.." || exit 1
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0

# example NAME TEXT: builds examples/NAME.c, runs it in an empty folder, looks for TEXT in its output
example() {
    if ${CC:-cc} -O1 -Wall -Wextra -I. "examples/$1.c" -o "$dir/$1" -lm >"$dir/out" 2>&1 &&
        (cd "$dir" && "./$1") >>"$dir/out" 2>&1 && grep -q "$2" "$dir/out"; then
        echo "$1 ok"
        passed=$((passed + 1))
    else
        cat "$dir/out"
        echo "$1 FAILED"
        failed=$((failed + 1))
    fi
}

example own_data 'stands: yes'
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
