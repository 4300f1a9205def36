#!/bin/sh
# The headers in every way that they can be compiled: alone, as declarations, as C11 and C++17, with
# things taken away, twice, in two files. Run from the root of the repository. Compilers: $CC and
# $CXX (gcc, g++), and clang and tcc where they are.
set -u
CC=${CC:-gcc}
CXX=${CXX:-g++}
NM=${NM:-nm}
root=$(pwd)
warnings="-Wall -Wextra -Wconversion -Wshadow -pedantic -Werror"
# What careful hosts add. Not here: what the language needs or C11 is for (-Wpadded,
# -Wdeclaration-after-statement), and what calls good code bad (-Wfloat-equal, -Wcomma).
careful="-Wredundant-decls -Wmissing-declarations -Wcast-qual -Wundef -Wwrite-strings
    -Wdouble-promotion -Wfloat-conversion -Wsign-conversion -Wpointer-arith -Wvla -Wformat=2
    -Wswitch-enum -Wimplicit-fallthrough -Winit-self -Wnull-dereference -Wdate-time -Wunused"
careful_c="-Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wnested-externs"
careful_gcc="-Wcast-align=strict -Wlogical-op -Wduplicated-cond -Walloca"
careful_clang="-Wcast-align -Wshorten-64-to-32 -Wunreachable-code -Wassign-enum -Wnewline-eof
    -Wmissing-variable-declarations -Wextra-semi-stmt -Wshadow-all"
# of the declarations alone, in C++
careful_use="-Wold-style-cast -Wzero-as-null-pointer-constant -Wextra-semi"
passed=0
failed=0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
for header in mls.h mls_conv.h mls_train.h; do
    [ -f "$root/$header" ] || { echo "run this from the root of the repository"; exit 1; }
done

ok() {
    passed=$((passed + 1))
    echo "ok $1"
}

bad() {
    failed=$((failed + 1))
    echo "FAILED $1"
    [ -s "$work/log" ] && sed 's/^/    /' "$work/log" | head -12
    return 0
}

# check NAME COMMAND...: succeeds, and says nothing
check() {
    name=$1
    shift
    rm -f "$work/log"
    if "$@" >"$work/log" 2>&1 && [ ! -s "$work/log" ]; then ok "$name"; else bad "$name"; fi
}

# refused NAME TEXT COMMAND...: fails, and says TEXT
refused() {
    name=$1
    text=$2
    shift 2
    rm -f "$work/log"
    if "$@" >"$work/log" 2>&1; then
        echo "it compiles" >"$work/log"
        bad "$name"
    elif grep -q -- "$text" "$work/log"; then
        ok "$name"
    else
        bad "$name"
    fi
}

# linked OPTION TEXT COMPILER...: floats.c, compiled as usual and linked with the option, says TEXT
linked() {
    option=$1 text=$2
    shift 2
    "$@" -O1 -DMLS_NO_SIMD -c "$work/floats.c" -o "$work/floats.o" &&
        "$1" "$option" "$work/floats.o" -o "$work/program" && "$work/program" >"$work/said" &&
        grep -q "$text" "$work/said"
}

# make_file NAME LINES...: a file of these lines
make_file() {
    file=$work/$1
    shift
    : >"$file"
    for line in "$@"; do printf '%s\n' "$line" >>"$file"; done
}

define='#define MLS_IMPLEMENTATION'
for stem in mls mls_conv mls_train; do
    include="#include \"$root/$stem.h\""
    make_file "declare_$stem.c" "$include" "int mine(void);" "int mine(void) { return 0; }"
    make_file "implement_$stem.c" "$define" "$include" "int mine(void);" "int mine(void) { return 0; }"
    make_file "twice_$stem.c" "$define" "$include" "$include" "int mine(void);" \
        "int mine(void) { return 0; }"
    make_file "after_$stem.c" "$include" "$define" "$include" "int mine(void);" \
        "int mine(void) { return 0; }"
    make_file "before_$stem.c" "$define" "$include" "#undef MLS_IMPLEMENTATION" "$include" \
        "int mine(void);" "int mine(void) { return 0; }"
done
cp "$work/implement_mls_train.c" "$work/implement.c"
# every order of the three headers
n=0
for order in "mls mls_conv mls_train" "mls_train mls_conv mls" "mls_conv mls_train mls"; do
    n=$((n + 1))
    make_file "order_$n.c" "$define"
    for stem in $order; do printf '#include "%s/%s.h"\n' "$root" "$stem" >>"$work/order_$n.c"; done
done
# a program of two files that uses all three headers
make_file use.c "#include \"$root/mls_train.h\"" "#ifdef __cplusplus" 'extern "C"' "#endif" \
    "int other(void);" "int other(void)" "{" \
    "    mls_format f = {2, 1, 2, 0, MLS_GROUP_NC, MLS_ROUND_NEAREST, MLS_RANGE_FIT};" \
    "    mls_net_desc desc;" "    mls_node nodes[1];" "    mls_net net;" "    desc.batch = 0;" \
    "    return mls_format_bits(f) != 4 || mls_kernel_count() < 1 ||" \
    "           mls_net_begin(&net, &desc, nodes, 0) == MLS_OK;" "}"
make_file main.c "$define" "#include \"$root/mls_train.h\"" "#ifdef __cplusplus" 'extern "C"' "#endif" \
    "int other(void);" "int main(void)" "{" "    mls_augment augment;" \
    "    return mls_data_normalise(0, &augment) == MLS_OK || other();" "}"
# says what the quantizer says: a link with -ffast-math sets the processor to flush small floats
make_file floats.c "$define" "#include \"$root/mls.h\"" "#include <stdio.h>" "int main(void)" "{" \
    "    static uint64_t memory[64];" "    float x[4] = {1, 2, 3, 4};" "    mls_tensor t;" \
    "    mls_format f = {2, 1, 2, 0, MLS_GROUP_NC, MLS_ROUND_NEAREST, MLS_RANGE_FIT};" \
    "    mls_shape s = {1, 1, 1, 4};" \
    "    mls_tensor_init(&t, f, s, memory, sizeof memory);" \
    "    puts(mls_status_string(mls_quantize(&t, x, 0)));" \
    "    return 0;" "}"
make_file static_main.c "#define MLS_STATIC" "$define" "#include \"$root/mls_train.h\"" \
    "#ifdef __cplusplus" 'extern "C"' "#endif" "int other(void);" "int main(void)" "{" \
    "    return mls_kernel_count() < 1 || other();" "}"
make_file static_use.c "#define MLS_STATIC" "$define" "$(cat "$work/use.c")"
# renamed headers that include each other under their new names
for stem in mls mls_conv mls_train; do cp "$root/$stem.h" "$work/my_$stem.h"; done
make_file renamed.c '#define MLS_HEADER "my_mls.h"' '#define MLS_CONV_HEADER "my_mls_conv.h"' \
    '#define MLS_TRAIN_HEADER "my_mls_train.h"' "$define" '#include "my_mls_train.h"' \
    "int mine(void);" "int mine(void) { return 0; }"

compilers="c:$CC c++:$CXX"
case $CC in *clang*) ;; *)
    command -v clang >/dev/null 2>&1 && compilers="$compilers c:clang"
    command -v clang++ >/dev/null 2>&1 && compilers="$compilers c++:clang++" ;;
esac
options="MLS_NO_SIMD MLS_NO_THREADS MLS_NO_MALLOC MLS_NO_STDIO"
all="-DMLS_NO_SIMD -DMLS_NO_THREADS -DMLS_NO_MALLOC -DMLS_NO_STDIO"

# What is undefined in an object but no C compiler may assume
undefined() {
    "$NM" -u "$1" | awk '{ print $NF }' |
        grep -Ev '^_?(memcpy|memset|memcmp|memmove|strlen|strcmp|strncmp)$' |
        grep -Ev '^_?_(_(float|fix|mul|div|udiv|mod|umod|ash|lsh|clz|popcount|add|sub|neg|extend|trunc)|_cpu_model|_cpu_features2|_cpu_indicator_init|GLOBAL_OFFSET_TABLE_|_stack_chk_fail)'
}

for entry in $compilers; do
    language=${entry%%:*}
    cc=${entry#*:}
    if ! command -v "$cc" >/dev/null 2>&1; then
        echo "skipped: there is no $cc"
        continue
    fi
    standard="-std=c11"
    [ "$language" = c++ ] && standard="-x c++ -std=c++17"
    case $cc in *clang*) hard="$careful $careful_clang" ;; *) hard="$careful $careful_gcc" ;; esac
    case $language in c) hard="$hard $careful_c" use='' ;; *) use=$careful_use ;; esac
    # shellcheck disable=SC2086 # lists of options
    {
        for stem in mls mls_conv mls_train; do
            check "$cc $stem.h, declarations" \
                "$cc" $standard -O0 $warnings $hard $use -c "$work/declare_$stem.c" -o "$work/o"
            check "$cc $stem.h, implementation" \
                "$cc" $standard -O0 $warnings -c "$work/implement_$stem.c" -o "$work/o"
        done
        # the rest as far as the syntax goes, where no code is needed
        for file in twice_mls_train after_mls_train before_mls_train after_mls before_mls_conv \
            order_1 order_2 order_3 renamed; do
            check "$cc $file" "$cc" $standard -fsyntax-only $warnings "$work/$file.c"
        done
        for option in $options; do
            check "$cc -D$option" \
                "$cc" $standard -O0 $warnings "-D$option" -c "$work/implement.c" -o "$work/o"
        done
        check "$cc, all taken away" "$cc" $standard -O1 $warnings $all -c "$work/implement.c" \
            -o "$work/all.o"
        check "$cc -DMLS_STATIC" \
            "$cc" $standard -O0 $warnings -DMLS_STATIC -c "$work/implement.c" -o "$work/static.o"
        # warnings that need the optimizer, and the threads
        level=-O2
        [ "$language" = c++ ] && level=-O1
        check "$cc $level -fopenmp, all warnings" \
            "$cc" $standard $level -fopenmp $warnings $hard -c "$work/implement.c" -o "$work/o"
        check "$cc, a host that wants all of POSIX" "$cc" $standard -fsyntax-only $warnings $hard \
            -D_GNU_SOURCE "$work/implement.c"
        refused "$cc -ffast-math" "compile this file without it" \
            "$cc" $standard -fsyntax-only -ffast-math "$work/implement.c"
        refused "$cc -ffinite-math-only" "compile this file without it" \
            "$cc" $standard -fsyntax-only -ffinite-math-only "$work/implement.c"
        # clang does not tell the source of the other parts
        if "$cc" -dM -E -funsafe-math-optimizations -x c /dev/null | grep -q ASSOCIATIVE_MATH; then
            refused "$cc -funsafe-math-optimizations" "compile this file without it" \
                "$cc" $standard -fsyntax-only -funsafe-math-optimizations "$work/implement.c"
        fi
        case $cc in *clang*) ;; *)
            refused "$cc -fsingle-precision-constant" "compile this file without it" \
                "$cc" $standard -fsyntax-only -fsingle-precision-constant "$work/implement.c" ;;
        esac
        if [ "$language" = c ]; then
            refused "$cc -Ofast" "compile this file without it" \
                "$cc" $standard -fsyntax-only -Ofast "$work/implement.c"
            refused "$cc, MLS_MALLOC without MLS_FREE" "define both" \
                "$cc" $standard -fsyntax-only '-DMLS_MALLOC(x)=0' "$work/implement.c"
        fi
        # the options of a link are not known when the file is compiled: found out at run time
        check "$cc, linked as usual" linked -O1 '^ok' "$cc" $standard
        check "$cc, linked with -ffast-math: refused at run time" \
            linked -ffast-math 'flushes small ones to zero' "$cc" $standard
        # one implementation, used from another file
        check "$cc, two files" "$cc" $standard -O0 $warnings "$work/main.c" "$work/use.c" \
            -o "$work/program"
        check "$cc, two files, run" "$work/program"
        rm -f "$work/program"
        check "$cc, MLS_STATIC in two files" "$cc" $standard -O0 $warnings -DMLS_NO_SIMD \
            "$work/static_main.c" "$work/static_use.c" -o "$work/program"
        check "$cc, MLS_STATIC in two files, run" "$work/program"
        rm -f "$work/program"
    }
    # symbols: only ours, none with MLS_STATIC, and nothing from an operating system
    for kind in "$work/all.o" "$work/static.o"; do
        case $kind in
        */static.o) what="$cc, MLS_STATIC exports nothing" pattern='^_?(mine|_Z4minev)$|^DW\.ref\.' ;;
        *) what="$cc, symbols are mls_*" pattern='^_?(mine|_Z4minev|mls_[a-z0-9]+[a-z0-9_]*)$|^DW\.ref\.' ;;
        esac
        "$NM" -g --defined-only "$kind" 2>"$work/log" | awk '{ print $NF }' >"$work/symbols"
        grep -Ev "$pattern" "$work/symbols" >"$work/log"
        if [ -s "$work/symbols" ] && [ ! -s "$work/log" ]; then ok "$what"; else bad "$what"; fi
    done
    # shellcheck disable=SC2086
    "$cc" $standard -O1 -DMLS_NO_MALLOC -DMLS_NO_STDIO -c "$work/implement.c" -o "$work/few.o"
    for kind in all few; do
        name="$cc, all taken away needs nothing"
        [ $kind = few ] && name="$cc, MLS_NO_MALLOC MLS_NO_STDIO needs nothing"
        undefined "$work/$kind.o" >"$work/log" 2>&1
        if [ -s "$work/$kind.o" ] && [ ! -s "$work/log" ]; then ok "$name"; else bad "$name"; fi
        rm -f "$work/$kind.o"
    done
done

if command -v tcc >/dev/null 2>&1; then
    for stem in mls mls_conv mls_train; do
        check "tcc $stem.h" tcc -std=c11 -Wall -c "$work/implement_$stem.c" -o "$work/o"
    done
    check "tcc, all taken away" \
        tcc -std=c11 -Wall -DMLS_NO_SIMD -DMLS_NO_THREADS -DMLS_NO_MALLOC -DMLS_NO_STDIO \
        -c "$work/implement.c" -o "$work/o"
    check "tcc, two files" tcc -std=c11 "$work/main.c" "$work/use.c" -o "$work/program"
    check "tcc, two files, run" "$work/program"
else
    echo "skipped: there is no tcc"
fi

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
