#!/bin/sh
# cross.sh aarch64|armhf - builds the tests of the kernels for another CPU and runs them in an
# emulator: all of test_mls and test_conv (matrix.sh has the golden trainings). The last line is the
# sum of their counts. JOBS=2 programs at a time.
set -u
cd "$(dirname "$0")/.." || exit 1
arch=${1:-}
case $arch in
# every unit: the emulator's best CPU
aarch64) cc=aarch64-linux-gnu-gcc flags='' run='qemu-aarch64-static -cpu max' required=neon,dotprod ;;
armhf)
    cc=arm-linux-gnueabihf-gcc flags='-march=armv7-a -mfpu=neon-vfpv4'
    run=qemu-arm-static required=neon
    ;;
*)
    echo "usage: cross.sh aarch64|armhf" >&2
    exit 2
    ;;
esac
scripts/need.sh "$cc" "${run%% *}" || exit 1
build=${BUILD:-build}/$arch
mkdir -p "$build" || exit 1
# Other words than in the native build: gcc's own dialect, in which it contracts to fused
# multiply-adds where it may.
warnings='-Wall -Wextra -Wconversion -Wshadow -pedantic -Werror'
MLS_REQUIRE_KERNELS=scalar,$required
OMP_WAIT_POLICY=passive
TEST_SHARE=${TEST_SHARE:-40} # per cent of the random cases: an emulator takes its time
export MLS_REQUIRE_KERNELS OMP_WAIT_POLICY TEST_SHARE

# one PROGRAM TESTS...: builds and runs, to a file
one() {
    program=$1
    shift
    {
        # shellcheck disable=SC2086 # lists of options
        $cc -std=gnu11 -O2 $warnings $flags -fopenmp -static -I. -Itests "tests/$program.c" \
            -o "$build/$program" -lm && $run "$build/$program" "$@"
        echo "exit status $?"
    } >"$build/$program.out" 2>&1
}

one test_conv &
[ "${JOBS:-2}" -gt 1 ] || wait
one test_mls
wait

passed=0 failed=0
for program in test_mls test_conv; do
    out=$build/$program.out
    echo "== $program, $arch"
    # static OpenMP programs call dlopen, which the linker does not like
    grep -v -e 'dlopen' -e 'goacc_profiling_initialize' -e '^exit status 0$' "$out"
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$out" | tail -n 1)
    p=$(echo "$line" | sed -n 's/^\([0-9]*\) passed.*/\1/p')
    f=$(echo "$line" | sed -n 's/.*passed, \([0-9]*\) failed.*/\1/p')
    if [ -z "$line" ] || { [ "${f:-0}" = 0 ] && ! grep -q '^exit status 0$' "$out"; }; then
        f=$((${f:-0} + 1))
    fi
    passed=$((passed + ${p:-0}))
    failed=$((failed + ${f:-0}))
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
