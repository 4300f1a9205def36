#!/bin/sh
# optimizer.sh - mls train with AdamW, a clipped gradient, no decay of norms, an average of the weights: what was
# asked for is kept, goes on as it was, and is what tests and predictions take. From the repository's root; see
# program.sh.
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/program.sh
. "$here/program.sh"

all='--optimizer adamw --decay 0.05 --no-decay-norms --clip 0.5 --ema 0.9'
# shellcheck disable=SC2086 # options are words
{
    runs 'SGD' $tiny
    first=$(digest)
    runs 'what is the default' $tiny --optimizer sgd --decay 5e-4
    [ "$(digest)" = "$first" ]
    ok $? 'what is the default changes nothing'
    for option in '--optimizer adamw' '--decay 0.01' '--no-decay-norms' '--clip 0.1' '--ema 0.9'; do
        runs "$option" $tiny $option
        [ "$(digest)" != "$first" ]
        ok $? "$option does something"
    done

    # Kept, and gone on with
    runs 'all of them' $net --epochs 3 $all --out whole
    whole=$(digest)
    for line in '"optimizer": "adamw"' '"decay": "0.05"' '"no_decay_norms": "yes"' '"clip": "0.5"' '"ema": "0.9"' \
        '"lr": "0.001"'; do
        grep -q "$line" whole/config.json
        ok $? "config.json has $line"
    done
    runs 'two epochs' $net --epochs 2 $all --out parts
    runs 'one more' --resume parts --epochs 3
    runs 'as long from the start' $net --epochs 3 $all
    [ "$(digest)" = "$whole" ]
    ok $? 'the same digest again'
    starts $net --epochs 3 $all --out cut
    until_there cut/log.jsonl
    kill -s INT "$pid"
    ends
    runs 'what was cut' --resume cut
    [ "$(digest)" = "$whole" ]
    ok $? 'what was cut ends in the same digest'

    # The tests of the log are those of the average, as are those of the file
    accuracy=$(tail -n 1 whole/log.jsonl | sed 's/.*"test_accuracy":\([0-9.]*\)..,.*/\1/')
    runs 'test' test whole/last.mlsck
    grep -q "^result test_accuracy=$accuracy " out && [ "$(digest)" = "$whole" ]
    ok $? 'test: the accuracy of the log, the digest of the run'
    mls train $tiny --init whole/last.mlsck >out 2>err && grep -q 'tensors are from whole/last.mlsck' out
    ok $? 'another run begins with its weights'
    mls export whole/last.mlsck --weights model.mlsck --npz weights.npz >out 2>err
    ok $? 'export'
    runs 'test of the model' test model.mlsck
    grep -q "^result test_accuracy=$accuracy " out
    ok $? 'the model has the same accuracy: it is of the average'
    mls plan $net >plain 2>err && mls plan $net --optimizer adamw --ema 0.9 >out 2>err
    ok $? 'plan'
    [ "$(sed -n 's/^ *parameters \([0-9]*\),.*/\1/p' out)" -gt "$(sed -n 's/^ *parameters \([0-9]*\),.*/\1/p' plain)" ]
    ok $? 'plan: what is kept takes memory'

    # Refused
    for job in '--resume whole' '--resume whole/last.mlsck'; do
        refused "$job, SGD" 'was made with --optimizer adamw, not sgd' $job --optimizer sgd
        refused "$job, decay" 'was made with --decay 0.05, not 0.1' $job --decay 0.1
        refused "$job, clip" 'was made with --clip 0.5, not 1' $job --clip 1
        refused "$job, ema" 'was made with --ema 0.9, not 0.99' $job --ema 0.99
    done
    runs 'a run of SGD' $tiny --out sgd
    refused 'AdamW instead' 'was made with --optimizer sgd, not adamw' --resume sgd --optimizer adamw
    refused 'an average now' 'was made without --ema' --resume sgd --ema 0.9
    refused 'a clip now' 'was made without --clip' --resume sgd --clip 1
    refused 'no decay now' 'was made without --no-decay-norms' --resume sgd --no-decay-norms
    refused 'no optimizer' '--optimizer adam: not sgd or adamw' $tiny --optimizer adam
    for value in -1 0 nan inf x 1e31; do
        refused "--clip $value" "--clip $value: not a number from" $tiny --clip $value
    done
    for value in -0.5 0 1 2 nan; do
        refused "--ema $value" "--ema $value: not a number from" $tiny --ema $value
    done
    for value in -1 nan 11; do
        refused "--decay $value" "--decay $value: not a number from" $tiny --decay $value
    done
}

sums
