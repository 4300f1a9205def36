#!/bin/sh
# mls.sh - what the example program promises: results, resume, and one clear line with exit
# status 2 for everything that is wrong. From the repository's root; see program.sh.
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/program.sh
. "$here/program.sh"

# kept FOLDER: its last checkpoint is that of the half run, byte by byte, and nothing lies about.
kept() {
    cmp -s half/last.mlsck "$1/last.mlsck" && ! ls "$1"/*.tmp >/dev/null 2>&1
    ok $? "the last checkpoint is untouched"
}

# small_files COMMAND...: none above 100 blocks, which is less than a checkpoint.
small_files() { (trap '' XFSZ && ulimit -f 100 && exec "$@"); }

# on_disk PREPARE COMMAND...: with the half run in the folder disk, a small file system of its own, for
# which PREPARE is done first; its files are in the folder disk afterwards.
# shellcheck disable=SC2016 # the inner shell expands
on_disk() {
    rm -rf disk after
    mkdir disk after
    unshare -rm sh -c '
        mount -t tmpfs -o size=2m none disk && cp half/* disk && eval "$1" || exit 77
        shift
        "$@"
        code=$?
        cp disk/* after
        exit $code' - "$@"
    code=$?
    rmdir disk
    mv after disk
    return $code
}

# shellcheck disable=SC2086
{
    "$program" train --help >out 2>err && grep -q -- --resume out
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
    "$program" train --kernel none 2>err >out
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
    runs 'by product' $tiny --format shiftquant-4
    runs 'by layer' $tiny --layer-formats 'conv1=2,4; conv3-4=shiftquant-4' --out layers
    layers=$(digest)
    [ "$layers" != "$first" ]
    ok $? 'layers have formats of their own'
    runs 'eval, by layer' test layers/last.mlsck
    [ "$(digest)" = "$layers" ]
    ok $? 'a checkpoint knows the formats of layers'
    refused 'no such layer' 'conv99=2,4' $tiny --layer-formats 'conv99=2,4'
    refused 'other layers than there' 'was made with --layer-formats conv1=2,4' test layers/last.mlsck --layer-formats conv1=fp32
    # Fine-tuning: weights of another run, of which some stay as they are
    runs 'frozen' $tiny --init layers/last.mlsck --layer-rates 'conv=0; linear=2' --out frozen
    grep -q '^[0-9]* of [0-9]* tensors are from layers/last.mlsck$' out
    ok $? 'says what is taken over'
    frozen=$(digest)
    runs 'frozen, gone on with' --resume frozen
    [ "$(digest)" = "$frozen" ] && [ "$frozen" != "$layers" ]
    ok $? 'the same digest'
    refused 'other rates than there' 'was made with --layer-rates' $tiny --resume frozen --layer-rates conv=1
    runs 'another width' --model resnet8 --width 4 --limit 48 --test-limit 24 --batch 16 --epochs 1 --init layers/last.mlsck
    grep -q 'not: conv1.weight' out
    ok $? 'says what does not fit'
    refused 'rates of no layer' 'conv99=0' $tiny --layer-rates conv99=0
    refused 'first weights of nothing' 'nowhere' $tiny --init nowhere
    refused 'first weights of a text' 'not a checkpoint' $tiny --init out
    mls plan $tiny --layer-rates conv=0 >out 2>err
    grep -q '^trained .* are frozen$' out
    ok $? 'the plan says what is frozen'
    mls plan $tiny --format '2,1 e.weight=fp32' >out 2>err
    grep -q '^E, gradient     fp32$' out && grep -q ' 0.0 % of gradient MACs$' out
    ok $? 'dry run by product'
    runs 'option B' --model resnet8b --width 8 --limit 48 --test-limit 24 --batch 16 --epochs 1
    for model in resnet18 resnet34 vgg16 googlenet mobilenet2; do
        runs "$model" --model $model --width 2 --limit 4 --test-limit 2 --batch 2 --epochs 1
    done
    mls plan --model resnet18 --limit 20 --batch 2 --test-limit 2 >out 2>err &&
        grep -q 'width 64\|convolution  32x32x64' out
    ok $? 'a network has a width of its own'
    runs 'cosine and warm-up' $tiny --schedule cosine --warmup 1
    runs 'beside fp32' $tiny --beside fp32
    # A sweep: one table, a CSV, and it can go on
    runs 'a sweep' $tiny --formats '2,1; fp32;2,4' --seeds 2 --out sweep
    [ "$(grep -c '^    2 .* [0-9.]* ' out)" = 3 ] && [ "$(wc -l <sweep/runs.csv)" = 7 ] &&
        grep -q '^"2,4",2,format3-seed2,' sweep/runs.csv && tail -n 1 out | grep -q 'format=2,1 seed=1$'
    ok $? 'a sweep has a table and a CSV'
    [ "$(grep -c '^2 ' sweep/curves.dat)" = 9 ] && [ -s sweep/plot.gp ]
    ok $? 'a sweep has curves'
    sweep=$(digest)
    rm -r sweep/format2-seed2
    runs 'a sweep goes on' --resume sweep
    [ "$(digest)" = "$sweep" ] && [ "$(wc -l <sweep/runs.csv)" = 7 ]
    ok $? 'a sweep goes on: the same'
    refused 'a sweep and --format' '--formats and --format exclude' $tiny --formats '2,1;2,4' --format 2,1
    refused 'a sweep and --beside' '--formats and --beside exclude' $tiny --formats '2,1;2,4' --beside 2,1
    refused 'a bad one in a sweep' "--formats: .*2,x" $tiny --formats '2,1; 2,x'
    refused 'one twice in a sweep' '--formats: 2,1 is there twice' $tiny --formats '2,1; 2,1'
    refused 'an empty one in a sweep' '--formats: one is empty' $tiny --formats '2,1;'
    runs 'two seeds' $tiny --seeds 2
    grep -q deviation out
    ok $? 'seeds have a mean'
    mls plan $tiny >out 2>err && grep -qi arena out
    ok $? 'dry run'

    runs 'with a folder' $net --epochs 4 --out whole
    whole=$(digest)
    [ "$(grep -c '"epoch"' whole/log.jsonl)" = 4 ]
    ok $? 'log.jsonl has a line for each epoch'
    [ -f whole/last.mlsck ] && ! ls whole/*.tmp >/dev/null 2>&1
    ok $? 'a checkpoint, and no temporary file'
    runs 'eval' test whole/last.mlsck
    # Stopped in the middle, by a signal, and resumed
    "$program" train $net --epochs 4 --out part >out 2>err </dev/null &
    pid=$!
    while [ ! -s part/log.jsonl ] && kill -0 $pid 2>/dev/null; do sleep 0.02; done
    kill -TERM $pid 2>/dev/null
    wait $pid
    cp -r part half
    if [ -f part/last.mlsck ]; then
        runs 'resume' $net --epochs 4 --out part --resume part/last.mlsck --threads 1
        [ "$(digest)" = "$whole" ]
        ok $? 'a resumed run ends in the same digest'
        [ "$(grep '"epoch"' part/log.jsonl | sed 's/.*"epoch": *\([0-9]*\).*/\1/' | tr -d '\n')" = 1234 ]
        ok $? 'log.jsonl has no gaps and no doubles'
    else
        ok 1 'a checkpoint after a signal'
    fi
    refused 'resume with another format' fp32 $net --epochs 4 --format fp32 --resume whole/last.mlsck
    refused 'resume with another batch' batch --model resnet8 --width 8 --limit 48 --test-limit 24 --batch 8 \
        --epochs 4 --resume whole/last.mlsck
    head -c 1000 whole/last.mlsck >cut.mlsck
    refused 'truncated checkpoint' cut.mlsck $net --epochs 4 --resume cut.mlsck
    echo hello >foreign.mlsck
    refused 'foreign checkpoint' foreign.mlsck test foreign.mlsck
    refused 'missing checkpoint' nowhere.mlsck $tiny --resume nowhere.mlsck

    # A disk that is full from some moment on: the same run can go on when there is space again
    cp -r half full
    resume="$net --epochs 4 --out full --resume full/last.mlsck"
    broken 'a full disk' full/ small_files "$program" train $resume
    kept full
    runs 'with space again' $resume
    [ "$(digest)" = "$whole" ] && [ "$(cut -c 10 full/log.jsonl | tr -d '\n')" = 1234 ]
    ok $? 'nothing is lost on a full disk'
    broken 'a full disk from the start' new/ small_files "$program" train $tiny --out new
    if [ -c /dev/full ]; then
        mkdir log
        ln -s /dev/full log/log.jsonl
        broken 'a full disk for the log' 'log/log.jsonl: No space' "$program" train $tiny --out log
        "$program" train $tiny >/dev/full 2>err
        [ $? = 2 ] && tail -n 1 err | grep -q '^mls: standard output: .*full'
        ok $? 'a full disk for the output'
    fi
    resume="$net --epochs 4 --out disk --resume disk/last.mlsck"
    if unshare -rm mount -t tmpfs none half 2>/dev/null; then
        fill='! cat /dev/zero >disk/rest 2>/dev/null'
        room="head -c 65536 /dev/zero >disk/room; $fill; rm disk/room"
        broken 'no space for a checkpoint' mlsck on_disk "$room" "$program" train $resume
        kept disk
        broken 'no space at all' 'disk/.*: No space' on_disk "$fill" "$program" train $resume
        kept disk
        cmp -s half/log.jsonl disk/log.jsonl && cmp -s half/config.json disk/config.json
        ok $? 'nor are log.jsonl and config.json touched'
        broken 'a read-only disk' 'disk: Read-only' on_disk 'mount -o remount,bind,ro disk' "$program" train $resume
        kept disk
    elif [ "$(id -u)" != 0 ]; then
        cp -r half disk
        chmod a-w disk
        refused 'a read-only folder' 'disk: Permission denied' $resume
        kept disk
        chmod u+w disk
    fi
    # The folder goes away, with what is in it
    "$program" train $net --epochs 1000 --out gone >out 2>err </dev/null &
    pid=$!
    while [ ! -s gone/last.mlsck ] && kill -0 $pid 2>/dev/null; do sleep 0.02; done
    mv gone moved
    wait $pid
    code=$?
    [ "$code" = 2 ] && tail -n 1 err | grep -q '^mls: .*gone/'
    ok $? "a folder that vanishes (exit $code)"
    runs 'what was in it is whole' test moved/last.mlsck

    cp -r "$here/pictures" pictures
    runs 'pictures' $net --epochs 4 --data pictures --out seen
    seen=$(digest)
    # Pictures that vanish, or change
    "$program" train $net --epochs 4 --data pictures --out unseen >out 2>err </dev/null &
    pid=$!
    while [ ! -s unseen/log.jsonl ] && kill -0 $pid 2>/dev/null; do sleep 0.02; done
    mv pictures vanished
    wait $pid
    code=$?
    [ "$code" = 0 ] && [ "$(digest)" = "$seen" ]
    ok $? "a data set that vanishes in a run (exit $code)"
    cp -r unseen before
    resume="$net --epochs 4 --data pictures --out unseen --resume unseen/last.mlsck"
    refused 'a vanished data set' 'pictures: No such file' $resume
    mkdir pictures
    refused 'an empty data set' 'pictures: neither' $resume
    rmdir pictures
    mv vanished pictures
    mv pictures/train/dark/0.png kept.png
    cp pictures/train/dark/3.png pictures/train/dark/0.png
    refused 'a data set that changed' train_hash $resume
    mv kept.png pictures/train/dark/0.png
    diff -r before unseen >/dev/null
    ok $? 'the folder is untouched'
    runs 'the data set again' $resume
    [ "$(digest)" = "$seen" ]
    ok $? 'the same digest with the data set again'

    MLS_VERBOSE=1
    export MLS_VERBOSE
    runs 'MLS_VERBOSE' $net --epochs 1 --format 2,1:nc:2,0 --kernel scalar
    grep -q '^node .*, backward-weight: the reference' err && grep -q 'forward: .*fp32' err
    ok $? 'it says which kernel each layer gets'
    unset MLS_VERBOSE

    refused 'unknown option' epoch $tiny --epoch 3
    grep -q -- --epochs err
    ok $? 'the nearest option is suggested'
    refused 'two letters swapped' 'did you mean --seed?' --sede 3
    for option in --predict --momentum --adam --test --load --rate=0.1; do
        refused "$option" "unknown option '${option%=*}' (see --help)" "$option" 1
    done
    "$program" --version >out 2>err && grep -Eq '^mls [0-9]+\.[0-9]+\.[0-9]+$' out
    ok $? 'version'
    refused 'an option twice' '--beside is given twice' --beside 0,4 --beside 3,0
    refused 'a number twice' '--epochs is given twice' --epochs 2 --epochs=2
    refused 'a flag twice' '--resize is given twice' --resize --resize
    refused 'an option of another command' '--seeds is not for this command, but for mls train' \
        test whole/last.mlsck --seeds 2
    refused 'no checkpoint' 'which checkpoint' test

    # The listing says what happens, role by role
    mls plan $tiny --format 'w=fp32 a=2,1 e=2,1' >out 2>err
    [ "$(grep -c 'convolution .* fp32  2,1   2,1$' out)" = 6 ] &&
        grep -q '^in integers  *0.0 % of forward, 0.0 % of backward, .*[1-9][0-9.]* % of gradient' out
    ok $? 'dry run: only activations and errors in integers'
    mls plan $tiny --format 'w=2,1 a=2,4 e=fp32' >out 2>err
    [ "$(grep -c 'convolution .* 2,1   2,4   fp32$' out)" = 6 ] &&
        grep -q '^in integers  *[1-9][0-9.]* % of forward, 0.0 % of backward, 0.0 % of gradient' out
    ok $? 'dry run: errors in fp32'
    mls plan $tiny --beside fp32 >out 2>err
    [ "$(grep -c '^in integers' out)" = 2 ]
    ok $? 'dry run: also the format beside'

    # What a learning rate far too high, or far too low, looks like
    runs 'lr 50' $tiny --lr 50
    grep -q '^warning: in epoch 1 the loss is' err && grep -q '^warning: training ended at a loss' err &&
        tr '\n' ' ' <err | grep -q 'too high (--lr 50)'
    ok $? 'lr 50: a warning early and at the end'
    "$program" train --model resnet8 --width 4 --limit 160 --test-limit 24 --batch 4 --lr 50 >out 2>err
    [ ! -s out ] && grep -q '^warning: in epoch 1' err
    ok $? 'lr 50: a warning in the first epoch'
    "$program" train --model resnet8 --width 4 --limit 16 --test-limit 24 --batch 4 --lr 1000 >out 2>err
    [ $? = 1 ] && grep -q '^mls: stopped in .* not finite; .* too high (--lr 1000)$' err
    ok $? 'lr 1000: the learning rate is blamed'
    runs 'lr 1e-9' $tiny --lr 1e-9
    ! grep -q 'in epoch' err && tr '\n' ' ' <err | grep -q 'no more than guessing .* (--lr 1e-09)'
    ok $? 'lr 1e-9: a warning that nothing was learnt'
    mkdir -p other/train/a other/train/b other/test/a other/test/b
    cp "$here"/pictures/train/dark/* other/train/a
    cp "$here"/pictures/train/light/* other/train/b
    cp "$here"/pictures/train/dark/* other/test/b
    cp "$here"/pictures/train/light/* other/test/a
    runs 'other labels' --model resnet8 --width 8 --data other --batch 4 --epochs 12 --lr 0.02
    tr '\n' ' ' <err | grep -q 'warning: .* labels of another kind'
    ok $? 'test labels of another kind: a warning'
    runs 'a rate that fits' --model resnet8 --width 8 --limit 2000 --test-limit 100 --batch 25 --epochs 2
    ! grep -q warning err
    ok $? 'a rate that fits: no warning'

    # As many threads as there really are
    runs '100 threads' $tiny --threads 100
    taken=$(sed -n 's/.*, \([0-9]*\) threads* (not 100).*/\1/p' err)
    [ -n "$taken" ] && [ "$taken" -le 64 ]
    ok $? "100 threads: it says how many it takes ($taken)"
    runs '2 threads' $tiny --threads 2
    # without OpenMP there is one
    [ "$taken" = 1 ] || ! grep -q 'not 2' err
    ok $? '2 threads: nothing to say'
    refused 'a missing value' seed --seed
    refused 'half a number' 3x $net --epochs 3x
    refused 'no number' 'batch none' --batch none
    refused 'zero' epochs --epochs 0
    refused 'a bad format' 9,9 $tiny --format 9,9
    refused 'a bad model' resnet7 --model resnet7
    refused 'a bad schedule' linear $tiny --schedule linear
    refused 'a bad kernel' quantum $tiny --kernel quantum
    touch file
    refused 'a file for a folder' file $tiny --out file/run
    # a format whose sums cannot be exact: the bound is named
    refused 'too wide a format' bits plan --model resnet8 --limit 48 --batch 16 --width 1024 --format 5,10:nc:8,1
}

sums
