# shellcheck shell=sh
# program.sh - what the tests of the example program share; each sources it from the repository's root.
# BUILD is where the program was built. The current folder is then an empty one.
set -u
program=$(cd "${BUILD:-build}" && pwd)/mls
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
passed=0 failed=0
# A run that is over in a second: 48 pictures, a narrow ResNet-8.
net='--model resnet8 --width 8 --limit 48 --test-limit 24 --batch 16'
# shellcheck disable=SC2034 # the tests use it
tiny="$net --epochs 2"
export OMP_WAIT_POLICY=passive

# mls [COMMAND] OPTIONS...: the program; without a command it trains.
mls() {
    case ${1-} in
    train | test | plan | predict | report | export | import | help) "$program" "$@" ;;
    *) "$program" train "$@" ;;
    esac
}

# ok STATUS NAME: one test, with what the program said last if it failed.
ok() {
    if [ "$1" = 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED $2"
        sed 's/^/    /' long.err out err 2>/dev/null | tail -n 20
    fi
}

# runs NAME OPTIONS...: succeeds, and ends with a result line on stdout.
runs() {
    name=$1
    shift
    mls "$@" >out 2>err </dev/null
    code=$?
    [ "$code" = 0 ] && tail -n 1 out |
        grep -Eq '^result test_accuracy=[0-9.]+ (train|test)_loss=[0-9.]+ images_per_second=[0-9.]+ digest=[0-9a-f]{16}'
    ok $? "$name (exit $code)"
}

digest() { tail -n 1 out | sed 's/.*digest=\([0-9a-f]*\).*/\1/'; }

# refused NAME TEXT OPTIONS...: exit status 2, nothing on stdout, one line of complaint on stderr, the
# last one, that has TEXT.
refused() {
    name=$1 text=$2
    shift 2
    mls "$@" >out 2>err </dev/null
    code=$?
    [ "$code" = 2 ] && [ ! -s out ] && [ "$(grep -c '^mls: ' err)" = 1 ] &&
        tail -n 1 err | grep -q "^mls: .*$text"
    ok $? "$name (exit $code)"
}

# broken NAME TEXT COMMAND...: a run that something stops: as refused, after some epochs.
broken() {
    name=$1 text=$2
    shift 2
    "$@" >out 2>err </dev/null
    code=$?
    [ "$code" = 2 ] && [ "$(grep -c '^mls: ' err)" = 1 ] &&
        tail -n 1 err | grep -q "^mls: .*$text"
    ok $? "$name (exit $code)"
}

# until_there FILE: waits until a file has something in it, or the process pid is gone.
until_there() {
    while [ ! -s "$1" ] && kill -0 "$pid" 2>/dev/null; do sleep 0.02; done
}

# Who runs the tests may ignore HUP, which a program inherits.
plain=
env --default-signal=HUP true 2>/dev/null && plain='env --default-signal=HUP'

# starts OPTIONS...: in the background, as process pid; it says things in long.out and long.err.
starts() {
    case $1 in -*) set -- train "$@" ;; esac
    $plain "$program" "$@" >long.out 2>long.err </dev/null &
    pid=$!
}

# ends: waits for process pid, a minute at most; code is its exit status.
ends() {
    { sleep 60 && kill -KILL "$pid"; } &
    watchdog=$!
    wait "$pid"
    code=$?
    kill "$watchdog"
} 2>/dev/null

sums() {
    echo "$passed passed, $failed failed"
    [ "$failed" = 0 ]
}
