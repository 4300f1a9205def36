#!/bin/sh
# kill.sh [N] - N times (20): kill -9 at a random moment of a training, often while it writes a
# checkpoint, resume with another kernel and thread count, and compare with a run that nobody touched:
# digest, log, checkpoints. SEED=1 repeats the draws, if not the very instants; JOBS=2 at a time.
# Where a cross compiler and an emulator are (ENDIAN=1 installs them, ENDIAN=0 does without), killed
# runs also go on on a big-endian machine, and come back. CALLS=1, which needs strace, also kills at each
# system call for a file, and lets each fail. BUILD is where the program was built.
set -u
cd "$(dirname "$0")/.." || exit 1
root=$(pwd)
count=${1:-20} seed=${SEED:-1} jobs=${JOBS:-2} endian=${ENDIAN:-}
program=$(cd "${BUILD:-build}" && pwd)/mls
[ -x "$program" ] || {
    echo "kill.sh: $program is not there: make build" >&2
    exit 2
}
[ "${CALLS:-0}" != 1 ] || scripts/need.sh strace || exit 2
[ "$endian" != 1 ] || scripts/need.sh s390x-linux-gnu-gcc qemu-s390x-static || exit 2
dir=$(mktemp -d) workers=
# shellcheck disable=SC2086 # none or more
trap 'kill $workers 2>/dev/null; rm -rf "$dir"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
cd "$dir" || exit 1
export OMP_WAIT_POLICY=passive

here=../mls
there="$(command -v qemu-s390x-static) ../s390x"
strace=$(command -v strace)
ln -s "$program" mls
# Half a second, with a checkpoint or two for each epoch; the scalar kernel takes thirty times as long
long='--model resnet8 --width 4 --limit 8 --test-limit 2 --batch 4 --epochs 16'
# An emulator takes seconds for an epoch
short='--model resnet8 --width 2 --limit 8 --test-limit 2 --batch 4 --epochs 6'
kernels=$("$program" train --kernel none 2>&1 | sed 's/.* auto //')

# draw RANGE: drawn is 0 .. RANGE - 1. Every trial starts a sequence of its own.
draw() {
    state=$(((state * 1103515245 + 12345) % 2147483648))
    drawn=$((state / 512 % $1))
}

# go_on: resume goes on with what is in the folder run, by the folder or by the checkpoint; drawn.
go_on() {
    resume=
    [ ! -f run/config.json ] || resume='--resume run'
    draw 2
    if [ "$drawn" = 0 ] && [ -f run/last.mlsck ]; then resume='--resume run/last.mlsck'; fi
}

pause() { sleep "$(printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)))"; }

# train MACHINE OPTIONS...: becomes a run into the folder run, without gnuplot, which would outlive a
# kill.
train() {
    machine=$1
    shift
    # shellcheck disable=SC2086 # a command and its arguments
    exec env PATH=/ $machine train "$@" --out run >out 2>err </dev/null
}

# other_way: how is a kernel of this machine and another number of threads than the last time.
threads=1 state=$seed
other_way() {
    # shellcheck disable=SC2086 # words
    set -- $kernels
    draw $#
    shift "$drawn"
    draw 3
    threads=$(((threads + drawn) % 4 + 1))
    how="--kernel $1 --threads $threads"
}

# What may differ is the speed.
lines() { sed 's/"images_per_second":[^,]*,//' "$1/log.jsonl"; }
digest() { sed -n 's/^result .*digest=\([0-9a-f]*\).*/\1/p' "$1"; }

# compare REFERENCE: wrong says in what the finished run is another one.
compare() {
    wrong=
    [ -n "$(digest out)" ] && [ "$(digest out)" = "$(digest "$1.out")" ] || wrong="$wrong digest"
    [ "$(lines run)" = "$(lines "$1")" ] || wrong="$wrong log"
    cmp -s run/last.mlsck "$1/last.mlsck" || wrong="$wrong last.mlsck"
    cmp -s run/best.mlsck "$1/best.mlsck" || wrong="$wrong best.mlsck"
    [ -z "$(find run -name '*.tmp')" ] || wrong="$wrong temporary-file"
}

# failed WHAT: on stdout, with what the program said last.
failed() {
    echo "FAILED $1"
    tail -n 3 err | sed 's/^/    /'
}

# strike PID: kills; false if the run had ended before.
strike() {
    kill -9 "$1"
    wait "$1"
    [ $? = 137 ]
} 2>/dev/null

# A write has begun, or all is over.
writing() {
    [ -f run/last.mlsck.tmp ] || [ -f run/best.mlsck.tmp ] || [ -f run/runs.csv ]
}

# killed: starts a run and kills it; of all, a quarter while they resume, a third in a write.
killed() {
    from=new resume=
    rm -rf run
    draw 4
    if [ "$drawn" = 0 ]; then
        cp -r ../half run
        from=resumed
        go_on
    fi
    draw 4
    threads=$((drawn + 1))
    draw "$length"
    moment=$drawn
    draw 3
    aim=$drawn
    draw 2000
    delay=$drawn
    # shellcheck disable=SC2086 # options are words
    train "$here" $long --threads $threads $resume &
    pid=$!
    pause "$moment"
    if [ "$aim" = 0 ]; then
        polls=1000000
        until writing || [ $((polls -= 1)) = 0 ]; do :; done
        while [ $((delay -= 1)) -gt 0 ]; do :; done # some way into the write
    fi
    strike "$pid"
}

# trial NUMBER: one kill, one resume, one comparison, one line for the sums.
trial() {
    state=$((seed * 1000003 + $1 * 7919))
    tries=0
    until killed; do
        tries=$((tries + 1))
        if [ "$tries" = 50 ]; then
            failed "trial $1: 50 runs ended before their kill"
            return
        fi
    done
    # A killed write leaves its file: cut short, or not yet renamed
    write='between'
    for file in run/*.mlsck.tmp; do
        [ -f "$file" ] || continue
        write='write'
        [ "$(wc -c <"$file")" = "$(wc -c <../long/last.mlsck)" ] || write='cut'
    done
    logged=$(grep -c '}$' run/log.jsonl 2>/dev/null)
    before=$threads bad='' saved=unsaved
    if [ -f run/best.mlsck ]; then
        "$here" test run/best.mlsck >out 2>err || bad=' best.mlsck-damaged'
    fi
    [ ! -f run/last.mlsck ] || saved=saved
    go_on
    other_way
    # shellcheck disable=SC2086 # options are words
    (train "$here" $long $how $resume) || bad="$bad exit-status-$?"
    # No more than the epoch that was logged last, but not yet saved, is trained again
    again=$(sed -n 's/^epoch \([0-9]*\).*/\1/p' out | head -n 1)
    [ "${again:-99}" -ge "${logged:-0}" ] || bad="$bad lost-epochs"
    compare ../long
    if [ -z "$bad$wrong" ]; then
        echo "equal $1 $from $saved $write"
    else
        failed "trial $1 ($from, $before threads, killed after $moment ms, $write, $saved; $how $resume):$bad$wrong"
    fi
}

# leg MACHINE: goes on from the checkpoint, if there is one, until killed some time after a new one.
leg() {
    resume=
    if [ -f run/last.mlsck ]; then
        mv run/last.mlsck from.mlsck
        resume='--resume from.mlsck'
    fi
    draw 1000
    # shellcheck disable=SC2086 # options are words
    train "$1" $short --threads 2 $resume &
    pid=$!
    polls=0
    until [ -f run/last.mlsck ] || [ "$polls" = 12000 ]; do
        sleep 0.005
        polls=$((polls + 1))
    done
    [ "$1" = "$here" ] || pause "$drawn"
    strike "$pid"
}

# seam NUMBER FIRST SECOND: two kills and two resumes, from one machine to the other and back.
seam() {
    state=$((seed * 1000003 + $1))
    tries=0
    until rm -rf run && leg "$2" && leg "$3"; do
        tries=$((tries + 1))
        if [ "$tries" = 10 ]; then
            failed "seam $1: 10 runs ended before their kill"
            return
        fi
    done
    # shellcheck disable=SC2086 # options are words
    (train "$2" $short --resume run/last.mlsck) || failed "seam $1: exit status $?"
    compare ../short
    if [ -z "$wrong" ]; then
        echo "equal $1"
    else
        failed "seam $1 ($2, $3, $2):$wrong"
    fi
}

# each_call STOP FOLDER: STOP (signal=KILL, error=ENOSPC) at the first call for a file, the second and so
# on, of a run that starts with what is in FOLDER; a line for each.
each_call() {
    for call in openat write fsync ?rename,?renameat,?renameat2 close read; do
        number=0
        while number=$((number + 1)); do
            rm -rf run
            resume=
            if [ -n "$2" ]; then
                cp -r "$2" run
                resume='--resume run/last.mlsck'
            fi
            traced="$strace -o calls -e trace=$call -e inject=$call:$1:when=$number $here"
            # shellcheck disable=SC2086 # options are words
            (train "$traced" $short --threads 1 $resume)
            code=$?
            [ "$(grep -c '(' calls)" -ge "$number" ] || break
            bad=
            case $1:$code in
            signal=KILL:137 | error=*:0) ;;
            error=*:127) continue ;; # not this program, but its loading
            error=*:2)
                [ "$(grep -c '^mls: ' err)" = 1 ] || bad=' complaint'
                [ -z "$(find run -name '*.tmp' 2>/dev/null)" ] || bad="$bad temporary-file"
                ;;
            *) bad=" exit-status-$code" ;;
            esac
            go_on
            # shellcheck disable=SC2086 # options are words
            (train "$here" $short --threads 2 $resume) || bad="$bad not-resumed"
            compare ../short
            if [ -z "$bad$wrong" ]; then
                echo "equal $1 $call $number"
            else
                failed "$1 at $call $number, ${2:-new run}:$bad$wrong"
            fi
        done
    done
}

# whole NAME OPTIONS...: the run that nobody touches, kept as NAME; length is its milliseconds.
whole() {
    name=$1
    shift
    begin=$(date +%s%N)
    (train ./mls "$@") || {
        failed "a run without kills: exit status $?"
        exit 1
    }
    length=$((($(date +%s%N) - begin) / 1000000))
    mv run "$name" && mv out "$name.out"
    seq "$(grep -c '^epoch' "$name.out")" >expected
    sed 's/^{"epoch":\([0-9]*\),.*}$/\1/' "$name/log.jsonl" | cmp - expected || exit 1
}

# stopped NAME EPOCHS OPTIONS...: a run stopped in the middle of an epoch, kept as NAME.
stopped() {
    name=$1 epochs=$2
    shift 2
    until [ -d "$name" ]; do
        rm -rf run
        train ./mls "$@" &
        pid=$!
        until [ "$(grep -c . run/log.jsonl 2>/dev/null)" = "$epochs" ] ||
            [ -f run/runs.csv ]; do :; done
        kill -TERM $pid
        wait $pid
        [ -f run/runs.csv ] || mv run "$name"
    done
}

# shellcheck disable=SC2086 # options are words
{
    whole short $short
    whole long $long
    stopped half 6 $long
    stopped half-short 2 $short
}
echo "seed $seed: $count kills in runs of $length ms, kernels $kernels"

each() {
    mkdir "$2" && cd "$2" || exit 1
    i=$1
    while [ "$i" -le "$count" ]; do
        trial "$i"
        i=$((i + jobs))
    done
}
job=0
while [ $((job += 1)) -le "$jobs" ]; do
    each "$job" "kill$job" >"kill$job.txt" &
    workers="$workers $!"
done
wait
workers=

seams=
if [ "$endian" != 0 ] && command -v qemu-s390x-static >/dev/null &&
    command -v s390x-linux-gnu-gcc >/dev/null; then
    seams=2
    # static OpenMP programs call dlopen, which the linker does not like
    (cd "$root" && s390x-linux-gnu-gcc -std=gnu11 -O2 -DNO_PICTURES -fopenmp -static -I. \
        examples/mls/mls.c -o "$dir/s390x" -lm 2>"$dir/err") || failed 'the big-endian program'
    (mkdir seam1 && cd seam1 && seam 1 "$here" "$there") >seam1.txt &
    workers=$!
    (mkdir seam2 && cd seam2 && seam 2 "$there" "$here") >seam2.txt
    wait
    workers=
else
    echo 'no big-endian machine: no s390x-linux-gnu-gcc, no qemu-s390x-static, or ENDIAN=0'
fi

if [ "${CALLS:-0}" = 1 ]; then
    for folder in '' ../half-short; do
        for stop in signal=KILL error=ENOSPC; do
            mkdir call && cd call || exit 1
            each_call "$stop" "$folder"
            cd .. && rm -r call
        done
    done >call1.txt 2>/dev/null # the shell's words on killed programs
fi

all() { cat "$1"[0-9]*.txt 2>/dev/null; }
sum() { all "$1" | grep -c "^equal${2:-}"; }
all kill | grep -v '^equal'
all seam | grep -v '^equal'
all call | grep -v '^equal'
echo "kills while resuming $(sum kill '.* resumed'), before the first checkpoint" \
    "$(sum kill '.* unsaved'), in a checkpoint's write $(sum kill '.* \(write\|cut\)')," \
    "of these with a part of the file $(sum kill '.* cut')"
[ -z "$seams" ] || echo "endian kills=$((2 * seams)) runs=$seams equal=$(sum seam)"
stops=$(all call | grep -c '^[eF]')
[ "$stops" = 0 ] || echo "calls killed=$(sum call ' signal') failed=$(sum call ' error') equal=$(sum call)"
equal=$(sum kill)
echo "result kills=$count equal=$equal"
[ "$equal" = "$count" ] && [ "$(sum call)" = "$stops" ] && [ "$(sum seam)" = "${seams:-0}" ]
