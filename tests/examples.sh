#!/bin/sh
# examples.sh - the small examples build as their first comment says, run, and end as they should.
set -u
cd "$(dirname "$0")/.." || exit 1
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0

# check NAME COMMAND...: what the command says does not matter
check() {
    name=$1
    shift
    if "$@"; then
        echo "$name ok"
        passed=$((passed + 1))
    else
        echo "$name FAILED"
        failed=$((failed + 1))
    fi
}

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
# The checkpoint that it leaves: a lying and a standing picture without noise
awk 'BEGIN { for (p = 0; p < 2; p++) for (y = 0; y < 8; y++) for (x = 0; x < 8; x++) print (p ? x : y) % 4 < 2 ? 1 : -1 }' >"$dir/numbers"
predicts() {
    ${CC:-cc} -O1 -Wall -Wextra -I. examples/predict.c -o "$dir/predict" -lm &&
        "$dir/predict" "$dir/own_data.mlsck" <"$dir/numbers" >"$dir/out" &&
        [ "$(sed 's/,.*//' "$dir/out")" = "$(printf 'class 0\nclass 1')" ] &&
        ! echo 1 | "$dir/predict" "$dir/own_data.mlsck"
}
check predict predicts

# cifar10 FILE OPTION...: a short training, its output in FILE
cifar10() {
    to=$1
    shift
    "$dir/cifar10" --model resnet8 --width 4 --batch 250 "$@" >"$dir/$to" 2>&1
}

# refused TEXT OPTION...: ends with status 2 and says so
refused() {
    text=$1
    shift
    cifar10 refused "$@"
    [ $? = 2 ] && grep -q -e "$text" "$dir/refused"
}

# digest FILE: of a training's last line
digest() {
    sed -n 's/^result.* digest=\([0-9a-f]*\).*/\1/p' "$dir/$1"
}

# same FILE FILE: both ended with the same digest
same() {
    [ -n "$(digest "$1")" ] && [ "$(digest "$1")" = "$(digest "$2")" ]
}

# shellcheck disable=SC2086 # CC may have options
check 'cifar10 builds' ${CC:-cc} -O2 -fopenmp -I. examples/cifar10.c -o "$dir/cifar10" -lm
cifar10 whole --epochs 4 --threads 1
check 'cifar10 shows each epoch' grep -q '^epoch 4 of 4: loss [0-9.]*, test accuracy [0-9.]* %$' \
    "$dir/whole"
if [ -x "${BUILD:-build}/mls" ]; then
    "${BUILD:-build}/mls" train --model resnet8 --width 4 --batch 250 --epochs 4 --format 2,1 \
        >"$dir/tool"
    check 'cifar10 and mls have one answer' same whole tool
fi

"$dir/cifar10" --model resnet8 --width 4 --batch 250 --epochs 4 --save "$dir/run.mlsck" \
    >"$dir/killed" 2>&1 &
for _ in $(seq 600); do
    [ -s "$dir/run.mlsck" ] && break
    sleep 0.1
done
kill -9 $!
wait $! 2>/dev/null
check 'cifar10 was killed before its end' [ -z "$(digest killed)" ]
cifar10 resumed --epochs 4 --resume "$dir/run.mlsck" --save "$dir/run.mlsck"
check 'cifar10 killed and resumed has the same answer' same whole resumed
cifar10 again --epochs 4 --resume "$dir/run.mlsck"
check 'cifar10 resumed when all is done' same whole again
check 'cifar10 refuses a checkpoint of another run' \
    refused 'of another run: epoch 4 of cifar10' --epochs 5 --resume "$dir/run.mlsck"
check 'cifar10 refuses what is no checkpoint' refused 'README.md.* checkpoint' --resume README.md
check 'cifar10 refuses an unknown option' refused '--epoch: unknown option' --epoch 3
check 'cifar10 refuses an option without a value' refused '--seed: needs a value' --seed
check 'cifar10 refuses a word for a number' refused '--batch: needs a whole number' --batch x
check 'cifar10 refuses a number out of range' refused '--epochs: is out of range' --epochs 0
check 'cifar10 refuses a bad format' refused "--format: '9,9' is not a format" --format 9,9
check 'cifar10 refuses a folder without data' refused '--data: .*/nowhere' --data "$dir/nowhere"
check 'cifar10 refuses a folder it cannot save to' \
    refused '--save: .*/nowhere' --epochs 1 --save "$dir/nowhere/run.mlsck"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
