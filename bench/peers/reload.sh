#!/bin/sh
# reload.sh [MODEL [COUNT]] - what mls export writes says the same elsewhere: trains a network (resnet20) for a
# moment in FORMAT (2,1:nc:2,0), and compares the scores of COUNT (1000) built-in test pictures, one by one, with
#   ONNX          in ONNX Runtime, which npm installs to ${BUILD:-build}/reload
#   safetensors   in a fresh network of mls import, bit for bit; read by NumPy and run by PyTorch
#   NPZ           the same
# all in fp32. From the repository's root, after `make`. What cannot be had is skipped, with a word.
set -u
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build} model=${1:-resnet20} count=${2:-1000} format=${FORMAT:-2,1:nc:2,0}
work=$build/reload dir=$build/reload/$model-$format status=0
mkdir -p "$dir/back" || exit 1
fails() {
    echo "FAILED $*"
    status=1
}

net="--model $model --limit 2000 --test-limit 500 --batch 50"
[ -x "$work/parity" ] || ${CC:-cc} -std=c11 -O2 -fopenmp -I. tests/parity.c -o "$work/parity" -lm || exit 1
# shellcheck disable=SC2086 # lists of options
[ -f "$dir/run/last.mlsck" ] ||
    "$build/mls" train $net --format "$format" --schedule cosine --epochs 8 --out "$dir/run" || exit 1
"$build/mls" export "$dir/run/last.mlsck" --onnx "$dir/net.onnx" --npz "$dir/net.npz" \
    --safetensors "$dir/net.safetensors" >"$dir/log" &&
    "$work/parity" "$dir/run/last.mlsck" "$count" 0 "$dir" || exit 1
for kind in npz safetensors; do
    # shellcheck disable=SC2086
    "$build/mls" import "$dir/net.$kind" $net --format "$format" --out "$dir/back.mlsck" >"$dir/log" &&
        "$work/parity" "$dir/back.mlsck" "$count" 0 "$dir/back" && cmp "$dir/logits" "$dir/back/logits"
    code=$?
    [ $code = 0 ] || fails "$kind in a fresh network"
    [ $code != 0 ] || echo "mls import, $kind: $count pictures, the same scores bit for bit"
done
if python=$(for python in python3 /usr/bin/python3; do
    "$python" -c 'import numpy, torch' 2>/dev/null && echo "$python" && break
done); then
    PYTHONPATH=examples PYTHONDONTWRITEBYTECODE=1 "$python" bench/peers/reload.py "$dir" || fails 'PyTorch'
else
    echo 'skipped: no python3 with numpy and torch'
fi
if module=$(bench/peers/onnxruntime.sh "$work"); then
    node bench/peers/onnx.js "$module" "$dir/net.onnx" "$dir" || fails 'ONNX Runtime'
else
    echo 'skipped: npm does not install onnxruntime-node here'
fi
exit $status
