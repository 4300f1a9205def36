#!/bin/sh
# dropout.sh - dropout and label smoothing of the example program: they change the training, checkpoints keep
# them, and a test needs no word of them. From the repository's root; see program.sh.
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/program.sh
. "$here/program.sh"

# shellcheck disable=SC2086,SC2154 # options are words, of program.sh
{
    runs 'neither' $tiny
    plain_digest=$(digest)
    runs 'none of both' $tiny --dropout 0 --label-smoothing 0
    [ "$(digest)" = "$plain_digest" ]
    ok $? 'none of both is neither'
    runs 'dropout' $tiny --dropout 0.5
    dropped=$(digest)
    runs 'label smoothing' $tiny --label-smoothing 0.1
    [ "$dropped" != "$plain_digest" ] && [ "$(digest)" != "$plain_digest" ] && [ "$(digest)" != "$dropped" ]
    ok $? 'each is another training'

    runs 'both' $tiny --dropout 0.5 --label-smoothing 0.1 --threads 1 --out run
    both=$(digest)
    runs 'both again' $tiny --dropout 0.5 --label-smoothing 0.1 --threads 3 --kernel portable
    [ "$(digest)" = "$both" ]
    ok $? 'the same bits by another kernel and more threads'
    grep -q '"dropout": "0.5"' run/config.json && grep -q '"label_smoothing": "0.1"' run/config.json
    ok $? 'config.json says them'
    runs 'a test' test run/last.mlsck
    [ "$(digest)" = "$both" ]
    ok $? 'a test has the same network'
    refused 'another dropout' 'run/last.mlsck: was made with --dropout 0.5, not 0.25' \
        --resume run/last.mlsck --dropout 0.25
    refused 'another smoothing' 'was made with --label-smoothing 0.1, not 0' --resume run/last.mlsck --label-smoothing 0
    runs 'more epochs' --resume run/last.mlsck --epochs 3 --out longer
    grep -q '"dropout": "0.5"' longer/config.json
    ok $? 'what goes on keeps them'
    runs 'a whole run' $net --epochs 6 --dropout 0.5 --label-smoothing 0.1
    whole=$(digest)
    starts $net --epochs 6 --dropout 0.5 --label-smoothing 0.1 --out stopped
    until_there stopped/log.jsonl
    kill -s TERM "$pid"
    ends
    runs 'the rest of one that was stopped' --resume stopped
    [ "$(digest)" = "$whole" ]
    ok $? 'it ends as if it had never stopped'
    runs 'first weights from there' $tiny --init run/last.mlsck
    mls export run/last.mlsck --onnx a.onnx --onnx-int8 b.onnx >out 2>err
    grep -q Identity a.onnx && [ -s b.onnx ]
    ok $? 'ONNX has no dropout'

    for model in resnet14b resnet18 resnet34 vgg16 googlenet mobilenet2; do
        mls plan --model $model --width 8 --dropout 0.1 --label-smoothing 0.2 >out 2>err
        ok $? "$model has room for it"
    done
    for wrong in 1 -0.1 nan 2; do
        refused "dropout $wrong" 'not a number from 0 to 0.99' $tiny --dropout $wrong
        refused "smoothing $wrong" 'not a number from 0 to 0.99' $tiny --label-smoothing $wrong
    done
}
sums
