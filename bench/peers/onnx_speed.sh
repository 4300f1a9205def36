#!/bin/sh
# onnx_speed.sh [ROUNDS [CLOCK]] - inference beside ONNX Runtime (npm's onnxruntime-node), one thread, the same networks:
# our fp32 and <2,1> with <2,0> groups, its fp32 and int8 (the model that mls export --onnx-int8 writes
# from the same weights). Every round takes each candidate once, so that neighbours hit all alike; times
# are milliseconds a picture, medians over the rounds, bests behind them. From the repository's root,
# after make build benches. CLOCK is wall, or processor: its time, where others are at work, too. Last lines:
# ratios of times, of bests and of medians; above 1 the first one is faster.
set -u
cd "$(dirname "$0")/../.." || exit 1
build=$(cd "${BUILD:-build}" && pwd) || exit 1
rounds=${1:-7} clock=${2:-wall}
work=$build/onnx
export OMP_WAIT_POLICY=passive OMP_NUM_THREADS=1
module=$(bench/peers/onnxruntime.sh "$work") || {
    echo "onnx_speed.sh: npm cannot install onnxruntime-node: see $work/npm.log"
    exit 2
}

# model NAME SIDE: its files, from a short training on built-in pictures
model() {
    [ ! -s "$work/$1.int8.onnx" ] || return 0
    (
        "$build/mls" train --model "$1" --size "$2" --limit 20 --test-limit 10 --batch 10 --epochs 1 --out "$work/$1" &&
            "$build/mls" export "$work/$1/last.mlsck" --onnx "$work/$1.fp32.onnx" --onnx-int8 "$work/$1.int8.onnx"
    ) >"$work/log" 2>&1 && return
    tail -n 5 "$work/log"
    exit 2
}

# one NAME SIDE BATCH: a line for each candidate: name, batch, candidate, median, best
one() {
    for batch in 1 "$3"; do
        for kind in fp32 int8; do
            times=$(node bench/peers/onnx_speed.mjs "$module" "$work/$1.$kind.onnx" "$batch" "$2" 1 "$clock") || exit 2
            echo "$1 $batch onnx-$kind $times"
        done
    done
    "$build/bench_infer" --model "$1" --side "$2" --batch "$3" --rounds 5 --clock "$clock" |
        awk -v name="$1" '$1 == "fp32" || $1 == "2,1:nc:2,0" { gsub(/[()]/, ""); print name, $2, "mls-" $1, $3, $4 }'
}

model resnet20 32
model resnet18 224
round=0
: >"$work/times"
while [ $round -lt "$rounds" ]; do
    one resnet20 32 128 >>"$work/times" || exit 2
    one resnet18 224 16 >>"$work/times" || exit 2
    round=$((round + 1))
done
sort -k1,1r -k2,2n -k3,3 -k4,4n "$work/times" | awk '
    function end() {
        if (!count) return
        median = (at[int((count + 1) / 2)] + at[int(count / 2) + 1]) / 2
        printf "%-10s %6d %-16s %10.3f (%9.3f)\n", name, batch, what, median, best
        m[name "/" batch "/" what] = median
        b[name "/" batch "/" what] = best
        if (!((name "/" batch) in seen)) order[++cases] = name "/" batch
        seen[name "/" batch] = 1
    }
    function ratios(title, of,    i, c, low) {
        printf "%s", title
        for (i = 1; i <= cases; i++) {
            c = order[i]
            low = of[c "/mls-2,1:nc:2,0"]
            printf " %s_low_to_fp32=%.2f", c, of[c "/mls-fp32"] / low
            printf " %s_low_to_onnx_fp32=%.2f", c, of[c "/onnx-fp32"] / low
            printf " %s_low_to_onnx_int8=%.2f", c, of[c "/onnx-int8"] / low
            printf " %s_fp32_to_onnx_fp32=%.2f", c, of[c "/onnx-fp32"] / of[c "/mls-fp32"]
        }
        printf "\n"
    }
    BEGIN { printf "%-10s %6s %-16s %22s\n", "network", "batch", "", "ms a picture (best)" }
    $1 "/" $2 "/" $3 != last { end(); count = 0; best = 1e9; last = $1 "/" $2 "/" $3 }
    { name = $1; batch = $2; what = $3; at[++count] = $4; if ($5 < best) best = $5 }
    END {
        end()
        ratios("bests ", b)
        ratios("result", m)
    }'
