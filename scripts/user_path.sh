#!/bin/sh
# user_path.sh [N] - a newcomer's path, timed: clones the repository as it was committed, puts four classes of N (60)
# pictures beside it, JPEG and PNG of odd sizes with spaces in their names, and runs the commands of docs/PICTURES.md,
# "The whole way", as they stand there. Prints the seconds of each, and whether the exported and reloaded classifier
# is the trained one; the last line has the sum, and the processor's part of it.
set -eu
cd "$(dirname "$0")/.."
export OMP_WAIT_POLICY=passive
unset MAKEFLAGS MAKELEVEL 2>/dev/null || true
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git clone -q . "$work/clone"
cc -O1 tests/draw.c -o "$work/draw" -lm
cd "$work/clone"
"$work/draw" 'my pictures' "${1:-60}"

# a command a line
awk '/^## / { here = $0 == "## The whole way" }
    $0 == "```" { inside = 0 }
    here && inside { if (sub(/\\$/, "")) printf "%s", $0; else print }
    here && $0 == "```sh" { inside = 1 }' docs/PICTURES.md >"$work/commands"

now() { date +%s.%N; }
times >"$work/before" # not in a shell of its own, which has no children
first=$(now) commands=0
while read -r line; do
    start=$(now)
    if ! sh -eu -c "$line" >"$work/out" 2>&1 </dev/null; then
        tail -n 20 "$work/out"
        echo "failed: $line" >&2
        exit 1
    fi
    commands=$((commands + 1))
    grep -o 'test_accuracy=[0-9.]* test_loss=[0-9.]*' "$work/out" >>"$work/tests" || true
    echo "$start $(now) $line" | awk '{ s = $2 - $1; sub(/^[^ ]* [^ ]* /, ""); gsub(/ +/, " "); printf "%6.1f s  %s\n", s, $0 }'
done <"$work/commands"
last=$(now)
times >"$work/after"
processor=$(cat "$work/before" "$work/after" | tr 'ms' '  ' |
    awk 'NR % 2 == 0 { t = 60 * $1 + $2 + 60 * $3 + $4; sum = NR == 2 ? -t : sum + t } END { printf "%.1f", sum }')
if [ "$(wc -l <"$work/tests")" != 2 ] || [ "$(sort -u "$work/tests" | wc -l)" != 1 ]; then
    cat "$work/tests"
    echo 'the reloaded classifier has another test result than the trained one' >&2
    exit 1
fi
echo "$first $last $commands $(head -n 1 "$work/tests")" | awk -v processor="$processor" '{
    sub(/.*=/, "", $4)
    printf "result seconds=%.1f processor_seconds=%s commands=%d accuracy=%s\n", $2 - $1, processor, $3, $4 }'
