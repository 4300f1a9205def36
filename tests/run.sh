#!/bin/sh
# run.sh - runs every test and adds up their counts; the last line is the sum. From the repository's
# root, after `make tests`. SANITIZED=1: only the programs, as the scripts build their own.
set -u
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
export BUILD
out=$BUILD/tests.out
passed=0 failed=0 kernels=

# run NAME COMMAND...: shows the output; its last "N passed, N failed" counts, as does its exit.
run() {
    name=$1
    shift
    echo "== $name"
    "$@" >"$out" 2>&1
    code=$?
    cat "$out"
    kernels="$kernels$(grep '^kernels:' "$out" | tail -n 1)"
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$out" | tail -n 1)
    p=$(echo "$line" | sed -n 's/^\([0-9]*\) passed.*/\1/p')
    f=$(echo "$line" | sed -n 's/.*passed, \([0-9]*\) failed.*/\1/p')
    if [ -z "$line" ] || { [ "$code" != 0 ] && [ "$f" = 0 ]; }; then
        echo "$name stopped with exit status $code"
        f=$((${f:-0} + 1))
    fi
    passed=$((passed + ${p:-0}))
    failed=$((failed + f))
}

run 'mls.h' "$BUILD/test_mls"
run 'mls_conv.h' "$BUILD/test_conv"
run 'mls_train.h' "$BUILD/test_train"
run 'pictures' "$BUILD/test_pictures"
run 'kinds of pictures' "$BUILD/test_kinds"
run 'golden digests' "$BUILD/golden"
run 'mls' tests/mls.sh
run 'data' tests/data.sh
run 'report' tests/report.sh
run 'resume' tests/resume.sh
run 'optimizers' tests/optimizer.sh
run 'signals and locks' tests/signals.sh
run 'terminal' tests/terminal.sh
run 'export and import' tests/export.sh
run 'predict' tests/predict.sh
run 'dropout' tests/dropout.sh
if [ -z "${SANITIZED:-}" ]; then
    run 'examples' tests/examples.sh
    run 'names' tests/names.sh
    run 'headers alone' tests/alone.sh
    run 'frames' tests/frames.sh
    run 'installed' tests/install.sh
    run 'PyTorch' tests/pytorch.sh
    run 'pages' tests/pages.sh
fi
rm -f "$out"
[ -z "$kernels" ] || echo "$kernels"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
