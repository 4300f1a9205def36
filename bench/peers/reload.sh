#!/bin/sh
# reload.sh [MODEL [COUNT]] - what mls export writes says the same elsewhere: trains a network (resnet20) for a
# moment in FORMAT (2,1:nc:2,0), and compares the scores of COUNT (1000) built-in test pictures, one by one, with
#   ONNX          in ONNX Runtime, which npm installs to ${BUILD:-build}/reload
#   safetensors   in a fresh network of mls import, bit for bit; read by NumPy and run by PyTorch
#   NPZ           the same
# all in fp32. MODEL may be a checkpoint of any network, of which ONNX is compared. From the repository's root,
# after `make`. What cannot be had is skipped, with a word.
# shellcheck disable=SC2086 # $net is a list of options
set -u
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build} model=${1:-resnet20} count=${2:-1000} format=${FORMAT:-2,1:nc:2,0}
work=$build/reload status=0
dir=$work/$(basename "$model" .mlsck)-$format
mkdir -p "$dir/back" || exit 1
fails() {
    echo "FAILED $*"
    status=1
}

# trained: makes $checkpoint
trained() {
    [ -f "$checkpoint" ] ||
        "$build/mls" train $net --format "$format" --schedule cosine --epochs 8 --out "$dir/run" || exit 1
}

# back KIND: that file in a fresh network
back() {
    if "$build/mls" import "$dir/net.$1" $net --format "$format" --out "$dir/back.mlsck" >"$dir/log" &&
        "$work/parity" "$dir/back.mlsck" "$count" 0 "$dir/back" && cmp "$dir/logits" "$dir/back/logits"; then
        echo "mls import, $1: $count pictures, the same scores bit for bit"
    else
        fails "$1 in a fresh network"
    fi
}

# elsewhere: both files in Python
elsewhere() {
    for python in python3 /usr/bin/python3; do
        "$python" -c 'import numpy, torch' 2>/dev/null || continue
        PYTHONPATH=examples PYTHONDONTWRITEBYTECODE=1 "$python" bench/peers/reload.py "$dir" || fails 'PyTorch'
        return
    done
    echo 'skipped: no python3 with numpy and torch'
}

[ -x "$work/parity" ] || ${CC:-cc} -std=c11 -O2 -fopenmp -I. tests/parity.c -o "$work/parity" -lm || exit 1
net="--model $model --limit 2000 --test-limit 500 --batch 50"
checkpoint=$dir/run/last.mlsck
case $model in
*.mlsck) checkpoint=$model ;;
*) trained ;;
esac
"$build/mls" export "$checkpoint" --onnx "$dir/net.onnx" --npz "$dir/net.npz" --safetensors "$dir/net.safetensors" >"$dir/log" &&
    "$work/parity" "$checkpoint" "$count" 0 "$dir" || exit 1
[ "$checkpoint" = "$model" ] || {
    back npz
    back safetensors
    elsewhere
}
if module=$(bench/peers/onnxruntime.sh "$work"); then
    node bench/peers/onnx.js "$module" "$dir/net.onnx" "$dir" || fails 'ONNX Runtime'
else
    echo 'skipped: npm does not install onnxruntime-node here'
fi
exit $status
