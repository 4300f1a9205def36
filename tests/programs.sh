#!/bin/sh
# programs.sh - what every program promises: --help says its options and ends well, a wrong option or
# kernel ends with exit status 2 and says which there are; and what make does without a target. From
# the repository's root; BUILD is where the programs are, those of `make build tests benches`.
set -u
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
passed=0 failed=0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

ok() {
    if [ "$1" = 0 ]; then
        passed=$((passed + 1))
        echo "ok $2"
    else
        failed=$((failed + 1))
        echo "FAILED $2"
        sed 's/^/    /' "$work/out" "$work/err" | head -n 12
    fi
}

# says STATUS TEXT PROGRAM OPTION...: the exit status, and the text where it belongs: the output if
# all is well, else the complaint; nothing is said elsewhere
says() {
    status=$1 text=$2 program=$3
    shift 3
    "$BUILD/$program" "$@" >"$work/out" 2>"$work/err" </dev/null
    code=$?
    told=$work/out silent=$work/err
    [ "$status" = 0 ] || told=$work/err silent=$work/out
    [ $code = "$status" ] && grep -q -e "$text" "$told" && [ ! -s "$silent" ]
    ok $? "$program $* (exit $code)"
}

for command in train test plan import; do
    says 0 '--kernel' mls help $command
    ! awk 'length > 80' "$work/out" | grep -q .
    ok $? "mls help $command fits 80 columns"
    says 0 '--kernel' mls $command --help
done
for help in help --help -h; do says 0 'mls test' mls $help; done
says 0 'mls test' mls
says 2 'did you mean train' mls trian
says 2 'unknown command' mls predictions
says 2 'after a command' mls --data x
says 2 'auto scalar' mls train --kernel foo
says 2 '--quite-another.*--help' mls train --quite-another
for program in cifar10 golden bench_conv bench_quantize bench_train bench_infer; do says 0 '--' "$program" --help; done
for program in bench_conv bench_quantize bench_train bench_infer golden; do
    says 0 '--kernel' "$program" -h
    says 0 '--kernel' "$program" --help
    ! awk 'length > 80' "$work/out" | grep -q .
    ok $? "$program --help fits 80 columns"
    says 2 'auto scalar' "$program" --kernel foo
    says 2 '--quite-another.*--help' "$program" --quite-another
done
for program in test_mls test_conv test_train; do
    says 0 'usage' "$program" --help
    says 2 '--quite-another.*--help' "$program" --quite-another
done
says 0 'result gradient_error=0.0' custom_layer
says 0 'result busy fp32=[0-9]' bench_train --busy --rounds 1 --model resnet8 --batch 4

# make_does TARGET COMMAND: what make would do for the target ('': none) has the command
make_does() {
    # shellcheck disable=SC2086 # none or one
    make -n BUILD="$work/new" $1 >"$work/out" 2>"$work/err" && grep -q -e "$2" "$work/out"
    ok $? "make $1"
}
for target in '' all build; do
    make_does "$target" 'examples/mls/mls.c'
    ! grep -q tests/run.sh "$work/out"
    ok $? "make $target does not test"
done
for target in check test; do make_does "$target" tests/run.sh; done
make_does help 'make install'

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
