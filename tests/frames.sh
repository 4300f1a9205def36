#!/bin/sh
# Frames of functions, by the compiler's own report: small machines have small stacks. Run from the
# root of the repository, with gcc.
#   without vectors   at most 1 KiB
#   with vectors      at most 4 KiB; the quantizer keeps the scales of 1024 elements, 14 KiB: with those
#                     of 256 it is half as fast from 512 channels on
set -u
CC=${CC:-gcc}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
passed=0
failed=0
printf '%s\n' '#define MLS_IMPLEMENTATION' '#include "mls_train.h"' >"$work/all.c"

# frames LIMIT OPTIONS...: no function has a larger frame
frames() {
    limit=$1
    shift
    if ! $CC -std=c11 -O2 "$@" -fstack-usage -I. -c "$work/all.c" -o "$work/all.o" >"$work/log" 2>&1; then
        echo "FAILED frames ($*): it does not compile"
        sed 's/^/    /' "$work/log" | head -12
        failed=$((failed + 1))
        return
    fi
    if tr ':' '\t' <"$work/all.su" | awk -F '\t' -v limit="$limit" '
        $4 ~ /^mls__encode_range_/ && $5 <= 16384 { next }
        $5 > most { most = $5; name = $4 }
        $5 > limit { print "    " $4 ": " $5 " bytes"; bad = 1 }
        END { print "    most: " name ", " most + 0 " bytes"; exit bad || !most }' >"$work/log"; then
        echo "ok frames up to $limit bytes ($*)"
        passed=$((passed + 1))
    else
        echo "FAILED frames up to $limit bytes ($*)"
        failed=$((failed + 1))
    fi
    cat "$work/log"
}

if ! echo 'int x;' | $CC -fstack-usage -c -x c -o "$work/x.o" - 2>/dev/null; then
    echo "skipped: $CC does not report frames"
    echo '0 passed, 0 failed'
    exit 0
fi
frames 1024 -DMLS_NO_SIMD
frames 1024 -DMLS_NO_SIMD -Os
frames 4096 -fopenmp
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
