#!/bin/sh
# signals.sh - what the example program does when it is told to stop, and that two runs never share a
# folder. From the repository's root; see program.sh.
set -u
# shellcheck source=tests/program.sh
. "$(dirname "$0")/program.sh"
# A run that does not end by itself.
endless="$net --epochs 1000000"

# stops NAME SIGNAL...: a run that gets these signals saves what it has, and says how to go on.
stops() {
    name=$1
    shift
    rm -rf run
    # shellcheck disable=SC2086 # options are words
    starts $endless --out run
    until_there run/log.jsonl
    for signal in "$@"; do kill -s "$signal" "$pid" 2>/dev/null; done
    ends
    [ "$code" = 1 ] && [ -s run/last.mlsck ] && tail -n 1 long.err | grep -q '^mls: interrupted in epoch .*--resume'
    ok $? "$name (exit $code)"
}

# at_once NAME SIGNAL OPTIONS...: a signal ends at once what has nothing to lose.
at_once() {
    name=$1 signal=$2
    shift 2
    starts "$@"
    sleep 0.5
    kill -s "$signal" "$pid"
    before=$(date +%s)
    ends
    [ "$code" -gt 128 ] && [ $(($(date +%s) - before)) -lt 3 ] && [ ! -s long.out ]
    ok $? "$name (exit $code)"
}

stops 'TERM' TERM
stops 'Ctrl-C' INT
stops 'a lost connection' HUP
stops 'a lost connection, as shell and kernel say it' HUP HUP HUP
stops 'no processor time left' XCPU XCPU

# shellcheck disable=SC2086 # options are words
{
    # a lost connection is none of nohup's business
    (trap '' HUP && exec "$program" train $net --epochs 40 --out nohup) >out 2>err </dev/null &
    pid=$!
    until_there nohup/log.jsonl
    kill -s HUP $pid
    ends
    [ "$code" = 0 ] && [ "$(grep -c epoch nohup/log.jsonl)" = 40 ]
    ok $? "nohup (exit $code)"

    # the reader of the output goes away
    "$program" train $net --epochs 40 --out pipe 2>err | head -n 1 >out
    [ "$(grep -c epoch pipe/log.jsonl)" = 40 ] && [ -s pipe/last.mlsck ]
    ok $? 'a closed pipe'

    # A first Ctrl-C also while pictures are made or read, and in a dry run: 60000 take seconds
    many='--model resnet8 --width 4 --limit 60000 --test-limit 24'
    at_once 'Ctrl-C while pictures load' INT $many --batch 4
    at_once 'TERM while pictures load' TERM $many --batch 4
    at_once 'Ctrl-C in a plan' INT plan --model resnet20 --width 64 --limit 24 --test-limit 24 --batch 256 --kernel scalar

    # Two runs never share a folder, be it that of one seed of several
    starts $endless --out one
    until_there one/log.jsonl
    refused 'another run in the same folder' "process $pid, is at work in one" $tiny --out one
    refused 'the same, called otherwise' "process $pid, is at work" $tiny --out ./one/
    refused 'seeds around it' "process $pid, is at work in one" $tiny --out one --seeds 2
    kill -KILL $pid
    ends
    starts $endless --seeds 2 --beside fp32 --out all
    until_there all/seed1/log.jsonl
    refused 'another run in the folder around' "process $pid, is at work in all" $tiny --out all
    for seed in seed1 seed2 beside-seed2; do
        refused "another run in $seed" "process $pid, is at work in all/$seed" $tiny --out all/$seed
    done
    kill -KILL $pid
    ends
}

sums
