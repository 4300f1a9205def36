#!/bin/sh
# resume.sh - checkpoints and folders of the example program know what they are: mls test and mls train --resume need
# no other option, what contradicts them is refused by name, several runs go on where they were, and
# nothing of another run is overwritten. From the repository's root; see program.sh.
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/program.sh
. "$here/program.sh"

# epochs FOLDER: the numbers in its log.
epochs() { sed 's/^{"epoch":\([0-9]*\),.*}$/\1/' "$1/log.jsonl" | tr '\n' ' '; }

# same_end NAME DIGEST FOLDER EPOCHS: what was resumed ended as if it had never stopped.
same_end() {
    [ "$(digest)" = "$2" ] && [ "$(epochs "$3")" = "$(seq -s ' ' "$4") " ]
    ok $? "$1: the same digest, no epoch missing or twice"
}

# stops SIGNAL FILE OPTIONS...: a run that gets a signal as soon as there is something in the file.
stops() {
    signal=$1 file=$2
    shift 2
    starts "$@"
    until_there "$file"
    kill -s "$signal" "$pid"
    ends
}

# shellcheck disable=SC2086 # options are words
{
    # A test needs nothing
    runs 'a run' $net --epochs 3 --seed 7 --out run
    whole=$(digest)
    runs 'eval' test run/last.mlsck
    [ "$(digest)" = "$whole" ] && tail -n 1 out | grep -q ' seed=7$' && ! grep -q train_loss out
    ok $? 'eval: that network, its seed, no training loss'
    tested=$(tail -n 1 run/log.jsonl | sed 's/.*"test_accuracy":\([0-9.]*\)..,.*/\1/')
    for batch in 1 2 8 32 128; do
        runs "eval, batch $batch" test run/last.mlsck --batch $batch
        grep -q "^result test_accuracy=$tested " out
        ok $? "eval, batch $batch: the accuracy of the log"
    done
    runs 'eval of other pictures' test run/last.mlsck --test-limit 100
    grep -q 'of the 100 test pictures of synthetic' out
    ok $? 'eval says what it tested on'
    runs 'eval in another format' test run/last.mlsck --test-format fp32
    tail -n 1 out | grep -q 'format=fp32' && grep -q 'trained in 2,1:nc:2,0' out && grep -q 'tested in fp32' out
    ok $? 'eval says in what format'
    runs 'eval with what it knows' test run/last.mlsck $net --epochs 3 --seed 7 --format 2,1:nc:2,0:fit --lr 1e-1

    # What contradicts the file is refused: the option, its value there, and here
    contradicts() {
        refused "$1" "run/last.mlsck: was made with $2 $3, not $4" "$1" run/last.mlsck "$2" "$4"
    }
    for job in test --resume; do
        contradicts $job --width 8 16
        contradicts $job --model resnet8 resnet14
        contradicts $job --format 2,1:nc:2,0 2,4
        contradicts $job --epochs 3 2
        contradicts $job --lr 0.1 0.2
        contradicts $job --seed 7 1
        contradicts $job --schedule paper cosine
        contradicts $job --warmup 0 1
        contradicts $job --limit 48 50
        refused "$job --resize" 'was made without --resize' $job run/last.mlsck --resize
    done
    contradicts test --epochs 3 4
    contradicts --resume --batch 16 8
    contradicts --resume --crop 4 0
    contradicts --resume --test-limit 24 25
    refused 'eval keeps nothing' '--out is not for this command' test run/last.mlsck --out other
    refused 'eval of a folder' 'run/best.mlsck' test run
    refused 'no folder' nowhere --resume nowhere
    mkdir empty
    refused 'no run' 'there is no run in empty' --resume empty
    cp run/last.mlsck empty
    refused 'no config.json' 'try --resume empty/last.mlsck' --resume empty
    echo '{ "program": "cifar10",' >empty/config.json
    refused 'a damaged config.json' 'config.json is damaged.* try --resume empty/last.mlsck' --resume empty
    rm empty/config.json
    runs 'only the checkpoint was kept' --resume empty/last.mlsck
    runs 'and in its folder' --resume empty/last.mlsck --out empty

    # Names of classes belong to it
    cp -r "$here/pictures" pictures
    runs 'pictures' $net --epochs 4 --data pictures --out named
    grep -q '"class_0": "dark"' named/config.json && grep -q '"class_1": "light"' named/config.json
    ok $? 'config.json has the names of the classes'
    runs 'eval of pictures' test named/last.mlsck
    mv pictures/test/dark pictures/test/zzz
    refused 'another name' "has a class 'dark', --data pictures has 'zzz' instead" test named/last.mlsck
    mv pictures/test/light pictures/test/dark
    mv pictures/test/zzz pictures/test/light
    runs 'the names swapped: that cannot be seen' test named/last.mlsck
    mv pictures/test/light dark
    refused 'a class is missing' "has a class 'light', --data pictures has none" test named/last.mlsck
    mv pictures/test/dark pictures/test/light
    mv dark pictures/test/dark
    cp -r pictures/test/dark pictures/test/more
    refused 'a class too many' "has no class 'more', --data pictures has one" test named/last.mlsck
    rm -r pictures/test/more
    for part in train test; do mv pictures/$part/dark pictures/$part/zzz; done
    refused 'resume with another name' "class 'dark', --data pictures has 'zzz'" --resume named
    for part in train test; do mv pictures/$part/zzz pictures/$part/dark; done
    mv pictures moved
    refused 'the pictures are elsewhere' 'pictures: No such file.*(so says named/config.json; --data can' --resume named
    runs 'and that is where' --resume named --data moved
    runs 'eval, too' test named/last.mlsck --data moved
    # Not UTF-8 to its end; a line break in a name is refused by the loader
    odd=$(printf 'we"ird\\na me \303\274 \377\355\240\200')
    for part in train test; do mv moved/$part/light "moved/$part/$odd"; done
    runs 'an odd name' $net --epochs 2 --data moved --out odd
    runs 'eval of an odd name' test odd/last.mlsck
    runs 'resume with an odd name' --resume odd
    ! command -v python3 >/dev/null || python3 -c 'import json; print(len(json.load(open("odd/config.json"))))' >out 2>err
    ok $? 'config.json is JSON'

    # --resume needs nothing, wherever one stands
    runs 'a longer run' $net --epochs 6 --out long
    whole=$(digest)
    stops TERM part/log.jsonl $net --epochs 6 --out part
    cp -r part crash
    cp -r part again
    mkdir elsewhere
    cd elsewhere || exit 1
    runs 'resume a folder' --resume ../part/
    cd ..
    mv elsewhere/out elsewhere/err .
    same_end 'resume a folder' "$whole" part 6
    runs 'resume a file' --resume again/last.mlsck
    same_end 'resume a file, in its folder' "$whole" again 6
    runs 'resume what is finished' --resume again
    same_end 'resume what is finished' "$whole" again 6
    runs 'resume elsewhere' --resume crash/last.mlsck --out new --kernel scalar
    [ "$(digest)" = "$whole" ]
    ok $? 'resume elsewhere: the same digest'
    refused 'elsewhere, but it is a folder' 'goes on there' --resume crash --out newer
    refused 'the folder of another run' 'run/config.json: was made with epochs 3, not 6' \
        --resume crash/last.mlsck --out run
    cp part/last.mlsck copy.mlsck
    refused 'a copy into a folder that is further on' 'part/last.mlsck is there' --resume copy.mlsck --out part

    # A crash before last.mlsck
    stops KILL crashed/best.mlsck $net --epochs 6 --checkpoint-every 6 --out crashed
    refused 'another run in the folder of a crashed one' 'crashed/best.mlsck is there, of another run' \
        $tiny --out crashed
    cp -r crashed worse
    runs 'resume a crashed run' --resume crashed
    same_end 'resume a crashed run' "$whole" crashed 6
    rm worse/best.mlsck
    runs 'resume one without any checkpoint' --resume worse
    same_end 'resume one without any checkpoint' "$whole" worse 6

    # More epochs than there were: the rest of a run of that length, stopped or not
    cp -r run more
    runs 'more epochs' --resume more --epochs 5
    more=$(digest)
    [ "$(epochs more)" = '1 2 3 4 5 ' ] && [ "$more" != "$(tail -n 1 run/log.jsonl | sed 's/.*"digest":"\(.*\)"}/\1/')" ]
    ok $? 'more epochs: they are trained'
    grep -q '"epoch":3,"rate":0.001,' more/log.jsonl && grep -q '"epoch":4,"rate":0.01,' more/log.jsonl
    ok $? 'more epochs: the rate is that of the longer run'
    cp -r run cut
    sed 's/"epochs": "3"/"epochs": "5"/' run/config.json >cut/config.json
    runs 'more epochs, cut before the first' --resume cut
    same_end 'more epochs, cut before the first' "$more" cut 5
    runs 'test of more epochs' test more/last.mlsck
    cp run/last.mlsck from.mlsck
    runs 'more epochs from a file' --resume from.mlsck --epochs 5 --out filed
    [ "$(digest)" = "$more" ]
    ok $? 'more epochs from a file: the same'
    refused 'more epochs into the folder of another run' 'was made with epochs 3, not 5' \
        --resume from.mlsck --epochs 5 --out run

    # Early stop, and what it stopped
    runs 'patience' $net --lr 1e-6 --epochs 9 --patience 2 --checkpoint-every 5 --out early
    early=$(digest)
    last=$(tail -n 1 early/log.jsonl | sed 's/{"epoch":\([0-9]*\).*/\1/')
    [ "$last" -lt 9 ] && tr '\n' ' ' <out | grep -q "stopped early: epoch $((last - 2)) was the best, 2 were no better"
    ok $? 'patience: it stops, and says so'
    runs 'resume what was stopped early' --resume early
    [ "$(digest)" = "$early" ] && ! grep -q '^epoch' out
    ok $? 'resume what was stopped early: nothing is left'
    runs 'with more patience' --resume early --patience 9
    [ "$(tail -n 1 early/log.jsonl | sed 's/{"epoch":\([0-9]*\).*/\1/')" -gt "$last" ]
    ok $? 'with more patience it goes on'
    runs 'several with patience' $net --lr 1e-6 --epochs 5 --patience 1 --seeds 2 --out few
    whole=$(digest)
    rm -r few/seed2
    runs 'several with patience go on' --resume few
    [ "$(digest)" = "$whole" ] && [ "$(grep -c '^epoch' out)" -lt 6 ]
    ok $? 'several with patience go on: finished ones are not trained again'
    runs 'format 1 with patience' --resume "$here/vectors/format1.mlsck" --limit 8 --test-limit 10 --patience 1

    # Nothing is overwritten, whatever it is
    for file in last.mlsck best.mlsck log.jsonl config.json plot.gp plot.png; do
        mkdir other
        echo "precious" >other/$file
        refused "$file is there" "--out: other/$file is there, of another run: take another folder$" $tiny --out other
        refused "$file is there, around" "other/$file is there" $tiny --seeds 2 --out other
        [ "$(cat other/$file)" = precious ] && [ "$(cd other && echo ./*)" = "$(printf './%s\n' $file lock | sort | xargs)" ]
        ok $? "$file is untouched, and nothing beside it"
        mkdir -p two/seed2
        mv other/$file two/seed2
        refused "$file is there, in a folder of one seed" "two/seed2/$file is there" $tiny --seeds 2 --out two
        [ "$(cat two/seed2/$file)" = precious ] && [ ! -f two/config.json ]
        ok $? "$file of one seed is untouched"
        rm -r other two
    done

    # Several runs: the advice works, what is finished is left alone, the rest begins
    study='--model resnet8 --width 4 --limit 16 --test-limit 10 --batch 4 --epochs 5 --seeds 4 --beside fp32'
    runs 'several runs' $study --out "all of them"
    whole=$(digest)
    stops INT 'so far/seed3/log.jsonl' $study --out 'so far'
    advice=$(sed -n 's/^mls: interrupted .*; go on with //p' long.err)
    cp 'so far/seed2/last.mlsck' second.mlsck
    cp -r 'so far' kept
    cp -r 'so far' alone
    eval "runs 'the advice' $advice --threads 1"
    same_end 'several runs' "$whole" 'so far/seed3' 5
    cmp -s second.mlsck 'so far/seed2/last.mlsck' && [ "$(grep -c '^epoch' out)" -lt 30 ]
    ok $? 'what was finished is left alone'
    for name in seed1 seed2 seed3 seed4 beside-seed1 beside-seed2 beside-seed3 beside-seed4; do
        cmp -s "all of them/$name/last.mlsck" "so far/$name/last.mlsck" &&
            cmp -s "all of them/$name/best.mlsck" "so far/$name/best.mlsck"
        ok $? "$name is as if it had never stopped"
    done
    refused 'other seeds' 'was made with --seeds 4, not 3' --resume kept --seeds 3
    refused 'another format beside' 'was made with --beside fp32, not 2,4' --resume kept --beside 2,4
    refused 'one file for several runs' 'resume the folder' $study --resume kept/seed3/last.mlsck
    runs 'one of several by itself' --resume kept/seed3/last.mlsck
    [ "$(epochs kept/seed3)" = '1 2 3 4 5 ' ]
    ok $? 'one of several by itself, in its folder'
    mv kept/seed1 seed1
    cp -r seed1 kept/seed1
    sed 's/"seed": "1"/"seed": "9"/' seed1/config.json >kept/seed1/config.json
    refused 'one of several is of another run' 'kept/seed1/config.json: was made with seed 9, not 1' --resume kept
    stops KILL killed/beside-seed2/log.jsonl $study --out killed
    runs 'killed beside' --resume killed
    same_end 'killed beside' "$whole" killed/beside-seed2 5
    rm -r alone/*seed*
    runs 'nothing but the plan is left' --resume alone
    [ "$(digest)" = "$whole" ]
    ok $? 'nothing but the plan is left: the same digest'

    # Of the version before: neither names nor data nor limits are in it
    old=$here/vectors/format1.mlsck
    runs 'eval of format 1' test "$old" --test-limit 10
    [ "$(digest)" = ed2f9902e189dba9 ] && tail -n 1 out | grep -q 'format=2,1:nc:2,0 seed=1$'
    ok $? 'eval of format 1: what it was'
    runs 'resume format 1' --resume "$old" --limit 8 --test-limit 10 --out old
    [ "$(digest)" = bbe031c48985cfee ]
    ok $? 'resume format 1: the digest of its time'
    refused 'format 1 with another rate' 'was made with --lr 0.05, not 0.1' --resume "$old" --lr 0.1
    refused 'format 1 with other pictures' 'was made with train_count 8, not 9' --resume "$old" --limit 9 --test-limit 10
}

sums
