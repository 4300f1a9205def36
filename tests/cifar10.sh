#!/bin/sh
# cifar10.sh - what the example program promises: results, resume, data, and one clear line with exit
# status 2 for everything that is wrong. From the repository's root; BUILD is where it was built.
set -u
here=$(cd "$(dirname "$0")" && pwd)
program=$(cd "${BUILD:-build}" && pwd)/cifar10
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
passed=0 failed=0
# A run that is over in a second: 48 pictures, a narrow ResNet-8.
tiny='--model resnet8 --width 8 --limit 48 --test-limit 24 --batch 16 --epochs 2'
export OMP_WAIT_POLICY=passive

ok() {
    if [ "$1" = 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED $2"
        sed 's/^/    /' out err 2>/dev/null | tail -n 20
    fi
}

# runs NAME OPTIONS...: succeeds, and ends with a result line on stdout.
runs() {
    name=$1
    shift
    # shellcheck disable=SC2086
    "$program" "$@" >out 2>err </dev/null
    code=$?
    [ "$code" = 0 ] && tail -n 1 out |
        grep -Eq '^result test_accuracy=[0-9.]+ train_loss=[0-9.]+ images_per_second=[0-9.]+ digest=[0-9a-f]{16}'
    ok $? "$name (exit $code)"
}

digest() { tail -n 1 out | sed 's/.*digest=\([0-9a-f]*\).*/\1/'; }

# refused NAME TEXT OPTIONS...: exit status 2, nothing on stdout, one line of complaint on stderr, the
# last one, that has TEXT.
refused() {
    name=$1 text=$2
    shift 2
    "$program" "$@" >out 2>err </dev/null
    code=$?
    [ "$code" = 2 ] && [ ! -s out ] && [ "$(grep -c '^cifar10: ' err)" = 1 ] &&
        tail -n 1 err | grep -q "^cifar10: .*$text"
    ok $? "$name (exit $code)"
}

# shellcheck disable=SC2086
{
    "$program" --help >out 2>err && grep -q -- --resume out
    ok $? 'help'

    runs 'mls' $tiny
    first=$(digest)
    [ "$(grep -c '^epoch ' out)" = 2 ]
    ok $? 'a line for each epoch'
    ! grep -q "$(printf '\r')" err
    ok $? 'no terminal codes on a pipe'
    runs 'again' $tiny
    [ "$(digest)" = "$first" ]
    ok $? 'the same digest again'
    for threads in 1 2 3; do
        runs "$threads threads" $tiny --threads "$threads"
        [ "$(digest)" = "$first" ]
        ok $? "the same digest with $threads threads"
    done
    "$program" --kernel none 2>err >out
    for kernel in sse41 avx2 avx512vnni; do
        grep -q "$kernel" err || continue
        runs "kernel $kernel" $tiny --kernel "$kernel"
        [ "$(digest)" = "$first" ]
        ok $? "the same digest with $kernel"
    done
    runs 'another seed' $tiny --seed 2
    [ "$(digest)" != "$first" ]
    ok $? 'another seed, another digest'
    runs 'fp32' $tiny --format fp32
    runs 'by role' $tiny --format 'w=2,1:nc:3,1 a=2,4:n:2,0 e=2,1:nc:8,1'
    runs 'the paper' $tiny --format paper-2,1
    runs 'option B' $tiny --model resnet8b
    runs 'cosine and warm-up' $tiny --schedule cosine --warmup 1
    runs 'beside fp32' $tiny --beside fp32
    runs 'two seeds' $tiny --seeds 2
    grep -q lowest out
    ok $? 'seeds have a mean'
    "$program" $tiny --dry-run >out 2>err && grep -qi arena out
    ok $? 'dry run'

    runs 'with a folder' $tiny --epochs 4 --out whole
    whole=$(digest)
    [ "$(grep -c '"epoch"' whole/log.jsonl)" = 4 ]
    ok $? 'log.jsonl has a line for each epoch'
    [ -f whole/last.mlsck ] && ! ls whole/*.tmp >/dev/null 2>&1
    ok $? 'a checkpoint, and no temporary file'
    runs 'eval' $tiny --eval whole/last.mlsck
    # Stopped in the middle, by a signal, and resumed
    "$program" $tiny --epochs 4 --out part >out 2>err </dev/null &
    pid=$!
    while [ ! -s part/log.jsonl ] && kill -0 $pid 2>/dev/null; do sleep 0.02; done
    kill -TERM $pid 2>/dev/null
    wait $pid
    if [ -f part/last.mlsck ]; then
        runs 'resume' $tiny --epochs 4 --out part --resume part/last.mlsck --threads 1
        [ "$(digest)" = "$whole" ]
        ok $? 'a resumed run ends in the same digest'
        [ "$(grep '"epoch"' part/log.jsonl | sed 's/.*"epoch": *\([0-9]*\).*/\1/' | tr -d '\n')" = 1234 ]
        ok $? 'log.jsonl has no gaps and no doubles'
    else
        ok 1 'a checkpoint after a signal'
    fi
    refused 'resume with another format' fp32 $tiny --epochs 4 --format fp32 --resume whole/last.mlsck
    refused 'resume with another batch' batch $tiny --epochs 4 --batch 8 --resume whole/last.mlsck
    head -c 1000 whole/last.mlsck >cut.mlsck
    refused 'truncated checkpoint' cut.mlsck $tiny --epochs 4 --resume cut.mlsck
    echo hello >foreign.mlsck
    refused 'foreign checkpoint' foreign.mlsck $tiny --epochs 4 --eval foreign.mlsck
    refused 'missing checkpoint' nowhere.mlsck $tiny --resume nowhere.mlsck

    # CIFAR-10's binary files, made here: 10000 records of a label and 3072 bytes
    mkdir bin
    head -c 30720000 /dev/zero | tr '\0' 'm' | fold -b -w 3072 | head -n 10000 |
        awk '{ printf "%c%s", 1 + NR % 8, $0 }' >bin/data_batch_1.bin
    for i in 2 3 4 5; do cp bin/data_batch_1.bin bin/data_batch_$i.bin; done
    cp bin/data_batch_1.bin bin/test_batch.bin
    runs 'CIFAR-10 files' $tiny --epochs 1 --data bin
    printf 'x' >>bin/data_batch_3.bin
    refused 'a long CIFAR-10 file' data_batch_3.bin $tiny --data bin
    head -c 100 bin/data_batch_1.bin >bin/data_batch_3.bin
    refused 'a short CIFAR-10 file' data_batch_3.bin $tiny --data bin
    rm -r bin

    cp -r "$here/pictures" pictures
    runs 'pictures' $tiny --epochs 1 --data pictures
    cp pictures/other-size.png pictures/train/dark/9.png
    refused 'a picture of another size' 9.png $tiny --data pictures
    runs 'resized' $tiny --epochs 1 --data pictures --resize
    cp pictures/broken.png pictures/train/dark/9.png
    refused 'a broken picture' 9.png $tiny --data pictures
    rm pictures/train/dark/9.png
    rm -r pictures/test
    refused 'no test pictures' test $tiny --data pictures
    refused 'a missing data folder' nowhere $tiny --data nowhere

    MLS_VERBOSE=1
    export MLS_VERBOSE
    runs 'MLS_VERBOSE' $tiny --epochs 1 --format 2,1:nc:2,0 --kernel scalar
    grep -q '^node .*, backward-weight: the reference' err && grep -q 'forward: .*fp32' err
    ok $? 'it says which kernel each layer gets'
    unset MLS_VERBOSE

    refused 'unknown option' epoch $tiny --epoch 3
    grep -q -- --epochs err
    ok $? 'the nearest option is suggested'
    refused 'a missing value' seed --seed
    refused 'half a number' 3x $tiny --epochs 3x
    refused 'no number' batch $tiny --batch none
    refused 'zero' epochs --epochs 0
    refused 'a bad format' 9,9 $tiny --format 9,9
    refused 'a bad model' resnet7 $tiny --model resnet7
    refused 'a bad schedule' linear $tiny --schedule linear
    refused 'a bad kernel' quantum $tiny --kernel quantum
    touch file
    refused 'a file for a folder' file $tiny --out file/run
    # a format whose sums cannot be exact: the bound is named
    refused 'too wide a format' bits $tiny --width 1024 --format 5,10:nc:8,1 --dry-run
}

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
