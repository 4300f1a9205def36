#!/bin/sh
# names.sh - the headers in a host's file: whatever they define at file scope (macros, types, functions,
# variables, constants, those local to a function included) has the prefix, private macros are gone at
# their end, and macros that hosts are known to have do not get in the way. From the root of the
# repository. Compilers: $CC, and clang where it is.
set -u
cd "$(dirname "$0")/.." || exit 1
CC=${CC:-gcc}
passed=0 failed=0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# nothing NAME: ok if the log is empty
nothing() {
    if [ ! -s "$work/log" ]; then
        passed=$((passed + 1))
        echo "ok $1"
    else
        failed=$((failed + 1))
        echo "FAILED $1"
        sed 's/^/    /' "$work/log" | head -n 12
    fi
}

# The lines of our own headers in what the preprocessor gives, without strings and characters.
own() {
    awk '/^# [0-9]+ "/ { keep = $3 ~ /mls[a-z_]*\.h"$/; next } keep' |
        sed -E "s/\"([^\"\\\\]|\\\\.)*\"/ /g; s/'([^'\\\\]|\\\\.)+'/ 0 /g"
}

# Names that stand at file scope: bodies, initial values, parameters and attributes are taken away; what
# is left of a declaration ends with its name.
declared() {
    tr '\n' ' ' | sed -E '
        :bodies
        s/\{[^{}]*\}/;/g
        t bodies
        s/typedef (struct|union|enum) *[A-Za-z_0-9]* *;/typedef /g
        s/=[^;]*;/;/g' | tr ';' '\n' | sed -E '
        s/\[[^]]*\]//g
        s/__(attribute|asm)__ *\(\(([^()]|\([^()]*\))*\)\)//g
        s/^[^(]*\(\* *([A-Za-z_0-9]+)\).*$/\1/
        :brackets
        s/\([^()]*\)//g
        t brackets' | grep -oE '[A-Za-z_][A-Za-z_0-9]* *$' | tr -d ' ' | grep -vxE 'enum|struct|union'
}

# Constants of every enum.
constants() {
    tr '\n' ' ' | grep -oE 'enum[^{};]*\{[^}]*\}' | sed -E '
        s/^[^{]*\{//
        :brackets
        s/\([^()]*\)//g
        t brackets' | tr ',' '\n' | sed -nE 's/^ *([A-Za-z_][A-Za-z_0-9]*).*$/\1/p'
}

tags() { grep -oE '\b(struct|union|enum) [A-Za-z_]\w*' | sed 's/.* //'; }

# Whatever begins with a capital, members and variables too: hosts have macros of capitals.
capitals() { grep -oE '\b[A-Z]\w*'; }

macros() { sed -nE 's/^#define ([A-Za-z_0-9]+).*/\1/p'; }

# What is not ours: the types of files and folders of the C library, and fsync, which strict C11 hides.
foreign='^(mls_|mls__|MLS_|MLS__)|^(FILE|DIR|dirent|stat|fsync|MoveFileExA)$'

# What hosts define: windows.h, complex.h, sys/param.h, sys/sysmacros.h, the compiler's own dialect,
# X11, term.h, ctype.h of newlib, Arduino, AssertMacros.h of macOS, and many programs. A use of one of
# these would not compile.
hosts='near far small hyper interface pascal cdecl min(a,b) max(a,b) IN OUT CONST VOID ERROR DELETE
I complex imaginary howmany(a,b) roundup(a,b) powerof2(a) isset(a,b) major(a) minor(a) makedev(a,b)
linux unix i386 bell tab None Bool Status True False Success Always Complex Above Below
_U _L _N _S _P _C _X _B abs(a) round(a) sq(a) bit(a) word(...) F(a) PI HIGH LOW INPUT OUTPUT DEFAULT
check(a) verify(a) require(a,b) likely(a) unlikely(a) swap(a,b) countof(a) lengthof(a) bool true false
nil YES NO N M K E T S R W H C D P Q X Y Z ROWS COLS SIZE BLOCK BYTES STEP MOST CHUNK PARTS COUNT
LANES TILE UNIT EPS DEBUG LOG ASSERT CHECK FAIL OK BATCH CLASSES PICTURES AT_ONCE WEIGHT ACTIVATION
FORWARD BACKWARD NONE NEAREST MASK ALIGN ALIGNED UNUSED INLINE RESTRICT SWAP MIN MAX ABS CLAMP'

# The headers of the system come before them: it is not our business whether those can bear them.
cat >"$work/host.c" <<'END'
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined(_OPENMP)
#include <omp.h>
#endif
#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif
END
{
    for macro in $hosts; do echo "#define $macro @ a macro of the host @"; done
    echo '#define MLS_IMPLEMENTATION'
    echo '#include "mls_train.h"'
} >>"$work/host.c"

for cc in "$CC" clang; do
    command -v "$cc" >/dev/null 2>&1 || continue
    for option in '' -DMLS_NO_SIMD -fopenmp; do
        # shellcheck disable=SC2086 # one or none
        "$cc" -std=c11 -E -dD -DMLS_IMPLEMENTATION $option mls_train.h 2>/dev/null | own >"$work/all"
        grep -v '^#' "$work/all" >"$work/code"
        for kind in declared constants tags capitals; do
            $kind <"$work/code" | sort -u >"$work/names"
            grep -vE "$foreign" "$work/names" >"$work/log"
            [ "$(grep -c '^[mM]' "$work/names")" -gt 20 ] || echo 'hardly a name is found' >"$work/log"
            nothing "$cc $option, $kind"
        done
        macros <"$work/all" | grep -vE "$foreign" >"$work/log"
        nothing "$cc $option, macros"
        # Macros that are left to the host: the guards, and a list that declares and implements.
        # shellcheck disable=SC2086
        "$cc" -std=c11 -E -dM -DMLS_IMPLEMENTATION $option mls_train.h 2>/dev/null |
            macros | sort -u >"$work/left"
        grep '^MLS__' "$work/left" |
            grep -vxE 'MLS__(IMPLEMENTED|CONV_IMPLEMENTED|TRAIN_IMPLEMENTED|STATUS_LIST)' >"$work/log"
        grep -qx MLS_VERSION_STRING "$work/left" || echo 'hardly a macro is found' >"$work/log"
        nothing "$cc $option, private macros end with the headers"
        # shellcheck disable=SC2086
        "$cc" -std=c11 $option -I. -fsyntax-only "$work/host.c" >"$work/log" 2>&1
        nothing "$cc $option, a host's macros"
    done
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
