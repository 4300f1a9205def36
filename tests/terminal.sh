#!/bin/sh
# terminal.sh - what people see of the example program: one progress line on a terminal, one line an
# epoch on a pipe, nothing wider than the terminal, no escapes where nobody reads them. From the
# repository's root; needs tmux; see program.sh.
set -u
# shellcheck source=tests/program.sh
. "$(dirname "$0")/program.sh"
command -v tmux >/dev/null || {
    echo 'terminal.sh: needs tmux' >&2
    exit 2
}
server="mls-test-$$"
trap 'tmux -L $server kill-server 2>/dev/null; rm -rf "$dir"' EXIT
unset TMUX COLUMNS
many='--model resnet8 --width 8 --limit 20 --test-limit 10 --batch 4 --epochs 160'

# terminal COLUMNS COMMAND: a new terminal of 24 lines runs the command; what it receives is in raw.
terminal() {
    rm -f over raw
    : >raw
    tmux -L "$server" -f /dev/null start-server \; set-option -g history-limit 5000 \; \
        new-session -d -x "$1" -y 24 "sleep 0.3; $2; touch over; exec sleep 1000" \; \
        pipe-pane "cat >'$dir/raw'"
}
screen() { tmux -L "$server" capture-pane -p "$@"; }

# parts: what raw has between line ends, carriage returns and escapes.
escape=$(printf '\033')
parts() { tr '\r' '\n' <raw | sed "s/$escape\[K//g"; }
widest() { awk '{ if (length > n) n = length } END { print n + 0 }'; }
# one_line COLUMNS: 160 epochs in a terminal so wide.
one_line() {
    terminal "$1" "OMP_WAIT_POLICY=passive '$program' train $many"
    lines=0 looks=0
    while [ ! -f over ] && [ "$looks" -lt 3000 ]; do
        screen >seen
        looks=$((looks + 1))
        n=$(grep -c '^epoch [0-9]*/160 (' seen)
        [ "$n" -le "$lines" ] || lines=$n
        sleep 0.05
    done
    screen -S - >out
    tmux -L "$server" kill-server
    cp raw err
    [ "$lines" -le 1 ] && [ "$(parts | grep -c '^epoch [0-9]*/160 (')" -gt 5 ]
    ok $? "$1 columns: one progress line (seen: at most $lines)"
    sed -n '/^epoch 1\/160/,/^epoch 160\/160/p' out >epochs
    [ "$(grep -c '^epoch [0-9]*/160  loss [0-9.]*  train [0-9.]*%' epochs)" = 160 ] &&
        [ "$(wc -l <epochs)" = 160 ] && ! grep -q '/160 (' out
    ok $? "$1 columns: a line an epoch, none of them wrapped"
}

one_line 80
one_line 60

finish() {
    while [ ! -f over ]; do sleep 0.05; done
    tmux -L "$server" kill-server
    cp raw out
}

terminal 80 "COLUMNS=40 '$program' train $many"
finish
parts | grep -q '^epoch [0-9]*/160 (' && [ "$(parts | grep '^epoch' | widest)" -le 40 ]
ok $? 'COLUMNS=40'
terminal 80 "TERM=dumb '$program' train $many"
finish
! grep -q "$escape" raw && [ "$(tr -d '\n' <raw | tr '\r' '\n' | grep -c '^epoch')" = 160 ] &&
    ! grep -q '/160 (' raw
ok $? 'TERM=dumb: no escapes, a line an epoch'

# shellcheck disable=SC2086 # options are words
{
    "$program" train $many >out 2>&1
    [ "$(grep -c epoch out)" = 160 ] && [ "$(grep -c '^epoch [0-9]*/160  loss .* test [0-9.]*%' out)" = 160 ]
    ok $? 'a pipe: one line an epoch'
    ! grep -q "$(printf '[\033\r]')" out
    ok $? 'a pipe: no escapes'

    # Lines for people; result is for programs
    narrow() {
        name=$1
        shift
        mls "$@" >out 2>err
        [ "$(cat out err | grep -v '^result ' | widest)" -le 80 ]
        ok $? "$name: 80 columns"
    }
    narrow help --help
    narrow plan plan --model resnet110 --limit 20 --test-limit 10 --batch 1 --width 2 --threads 1000
    narrow 'two formats' $tiny --format 'w=2,1:nc:3,1 a=2,4:n:2,0 e=2,1:nc:8,1:clipped' --beside fp32 --seeds 2
    narrow 'a warning' $tiny --lr 50

    # The closing sentence compares in words, and the result line is as it was
    "$program" train $tiny --format 2,1 --beside fp32 >out 2>err
    tr '\n' ' ' <out | grep -Eq ' 2,1 integers ended ([0-9.]+ points (below|above)|level with) fp32 and (trained [0-9.]+ times as fast|took [0-9.]+ times as long)\. '
    ok $? 'a sentence compares the formats'
    tail -n 1 out | grep -Eq '^result test_accuracy=[0-9.]+ train_loss=[0-9.]+ images_per_second=[0-9.]+ digest=[0-9a-f]{16} format=2,1 seed=1$'
    ok $? 'the last line is for programs'
}

sums
