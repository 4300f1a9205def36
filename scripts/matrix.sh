#!/bin/sh
# matrix.sh [WORD...] - one answer: builds tests/golden.c by every compiler, option, standard and for
# every machine of the table below, runs it with every kernel and thread count, and shows where the
# digests are the golden ones. WORDs choose the builds whose line has one of them. HALF=N takes those with
# all kernels and of the others every second one, the odd or the even N's. JOBS=2 builds at a time. Machines that are not this one are emulated. The last line is for programs; the exit status is
# 1 if a digest differs or a build fails. What cannot be installed is skipped.
set -u
cd "$(dirname "$0")/.." || exit 1
build=${BUILD:-build}/matrix
OMP_WAIT_POLICY=passive
export OMP_WAIT_POLICY

# machine;compiler;options;kernels (auto, all);threads
table() {
    for cc in gcc clang; do
        for level in -O0 -O1 -O3 -Os '-O2 -march=native' '-O3 -march=native'; do
            echo "x86-64;$cc;-std=c11 $level -fopenmp;auto;2"
        done
        # The compiler's own dialect and what it contracts by default; the other language
        echo "x86-64;$cc;-std=gnu11 -O2 -fopenmp;auto;2"
        echo "x86-64;$cc;-std=gnu11 -O3 -march=native -fopenmp;auto;2"
        case $cc in gcc) cxx=g++ ;; *) cxx=clang++ ;; esac
        echo "x86-64;$cxx;-x c++ -std=c++17 -O2 -fopenmp;auto;2"
        echo "x86-64;$cxx;-x c++ -std=c++17 -O3 -march=native -fopenmp;auto;2"
        echo "x86-64;$cc;-std=c11 -O2;auto;1"
    done
    echo 'x86-64;clang;-std=c11 -O3 -march=native -ffp-contract=fast -fopenmp;auto;2'
    echo 'x86-64;gcc;-std=c11 -O2 -fopenmp;all;1 2 3 4'
    echo 'x86-64;clang;-std=c11 -O2 -fopenmp;all;3'
    echo 'x86-64;gcc;-std=c11 -O2 -fopenmp -DMLS_AMX_EMULATE;amx;2'
    echo 'x86-64;tcc;-DMLS_NO_THREADS;auto;1'
    # without these two options a build stops with a text: x87 arithmetic has extra precision
    sse='-msse2 -mfpmath=sse'
    echo "i386;i686-linux-gnu-gcc;-std=c11 -O2 $sse;all;1"
    echo "i386;i686-linux-gnu-gcc;-std=gnu11 -O0 $sse;auto;1"
    echo "i386;i686-linux-gnu-gcc;-std=gnu11 -O3 $sse -fopenmp;auto;2"
    echo 'aarch64;aarch64-linux-gnu-gcc;-std=c11 -O2 -fopenmp;all;2'
    echo 'aarch64;aarch64-linux-gnu-gcc;-std=gnu11 -O0;auto;1'
    echo 'aarch64;aarch64-linux-gnu-gcc;-std=gnu11 -O3 -fopenmp;auto;3'
    echo 'armhf;arm-linux-gnueabihf-gcc;-std=c11 -O2 -march=armv7-a -mfpu=neon-vfpv4;all;1'
    echo 'armhf;arm-linux-gnueabihf-gcc;-std=gnu11 -O3 -march=armv7-a -mfpu=neon-vfpv4 -fopenmp;auto;2'
    echo 'riscv64;riscv64-linux-gnu-gcc;-std=gnu11 -O3 -fopenmp;auto;2'
    # in the strict dialect gcc computes floats in double there, which is refused
    echo 's390x;s390x-linux-gnu-gcc;-std=gnu11 -O3 -march=z13 -fopenmp;auto;2'
    # microcontrollers: the small network
    echo 'cortex-m3;arm-none-eabi-gcc;-std=c11 -O2;auto;1'
    echo 'cortex-m4;arm-none-eabi-gcc;-std=gnu11 -Os;auto;1'
    echo 'cortex-m7;arm-none-eabi-gcc;-std=gnu11 -O3;auto;1'
}

# needs MACHINE COMPILER: what to install for a line of the table
needs() {
    case $2 in clang*) echo clang libomp ;; *) echo "$2" ;; esac
    case $1 in
    aarch64 | riscv64 | s390x) echo "qemu-$1-static" ;;
    armhf) echo qemu-arm-static ;;
    cortex-m*) echo qemu-system-arm ;;
    esac
}

# cell MACHINE COMPILER OPTIONS KERNEL THREADS RESULT: a row of the table that is shown
cell() { printf '%-9s  %-25s  %-52s  %-10s  %-7s  %s\n' "$@"; }

# one NUMBER LINE: builds a line of the table and runs its cells, to a file of rows
one() {
    number=$1
    IFS=';' read -r machine cc flags kernels threads <<LINE
$2
LINE
    program=$build/$number
    log=$program.log
    run='' link='-lm' source=tests/golden.c
    if grep -qx "$machine $cc" "$build/missing"; then
        cell "$machine" "$cc" "$flags" "$kernels" "$threads" 'skipped: cannot be installed'
        return
    fi
    case $machine in
    x86-64) ;;
    i386) link='-static -lm' ;; # runs on the processor itself
    armhf) run='qemu-arm-static' link='-static -lm' ;;
    aarch64) run='qemu-aarch64-static -cpu max' link='-static -lm' ;;
    cortex-m*)
        case $machine in
        *3) board=mps2-an385 fpu='' ;;
        *4) board=mps2-an386 fpu='-mfloat-abi=hard -mfpu=fpv4-sp-d16' ;;
        *7) board=mps2-an500 fpu='-mfloat-abi=hard -mfpu=fpv5-d16' ;;
        esac
        run="qemu-system-arm -M $board -nographic -monitor none -semihosting-config enable=on,target=native -kernel"
        source="-DGOLDEN_SMALL -mthumb -mcpu=$machine $fpu $source tests/cortex-m/start.c"
        link='--specs=rdimon.specs -T tests/cortex-m/mps2.ld -lm'
        ;;
    *) run="qemu-$machine-static" link='-static -lm' ;;
    esac
    # shellcheck disable=SC2086 # lists of options
    if ! $cc $flags -I. $source -o "$program" $link >"$log" 2>&1; then
        cell "$machine" "$cc" "$flags" "$kernels" "$threads" 'DOES NOT BUILD'
        tail -n 20 "$log"
        return
    fi
    # shellcheck disable=SC2086
    [ "$kernels" != all ] || kernels=$($run "$program" --kernels)
    for kernel in $kernels; do
        for count in $threads; do
            args="--kernel $kernel --threads $count"
            case $machine in cortex-m*) args= ;; esac
            # shellcheck disable=SC2086
            if timeout 1500 $run "$program" $args >"$log" 2>&1 </dev/null &&
                grep -q '^[1-9][0-9]* passed, 0 failed$' "$log"; then
                used=$(sed -n 's/^kernel //p' "$log")
                cell "$machine" "$cc" "$flags" "$used" "$count" equal
            else
                cell "$machine" "$cc" "$flags" "$kernel" "$count" DIFFERENT
                tail -n 12 "$log"
            fi
        done
    done
}

if [ "${1:-}" = --one ]; then
    one "$2" "$3"
    exit
fi

mkdir -p "$build" || exit 1
rm -f "$build"/*
table | {
    if [ $# -gt 0 ]; then
        pattern=$(printf '%s\n' "$@")
        grep -F -e "$pattern"
    else
        cat
    fi
} | awk -v half="${HALF:-}" '
    half == "" || /;all;/ || (half + i++) % 2 { printf "%03d\n%s\n", NR, $0 }' >"$build/list"
cut -d ';' -sf 1,2 "$build/list" | sort -u | tr ';' ' ' | while read -r machine cc; do
    # shellcheck disable=SC2046 # words
    scripts/need.sh $(needs "$machine" "$cc") || echo "$machine $cc"
done >"$build/missing"
cell machine compiler options kernel threads digests
# shellcheck disable=SC2016 # the inner shell expands
tr '\n' '\0' <"$build/list" | xargs -0 -n 2 -P "${JOBS:-2}" \
    sh -c 'scripts/matrix.sh --one "$1" "$2" >"$0/$1.rows" 2>&1' "$build"
cat "$build"/*.rows | tee "$build/table"
cells=$(grep -c -E '(equal|DIFFERENT|DOES NOT BUILD)$' "$build/table")
equal=$(grep -c 'equal$' "$build/table")
skipped=$(grep -c ' skipped: ' "$build/table")
echo "result cells=$cells equal=$equal skipped=$skipped"
[ "$cells" = "$equal" ] && [ "$cells" -gt 0 ]
