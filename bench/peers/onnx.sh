#!/bin/sh
# onnx.sh [MODEL] - exports a network (resnet20) to ONNX, runs it with ONNX Runtime, which npm installs to
# ${BUILD:-build}/onnx, on 96 built-in pictures, and compares the scores with ours. From the repository's
# root, after `make`. Skipped, with a word, where ONNX Runtime cannot be had.
set -u
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build} model=${1:-resnet20}
work=$build/onnx
mkdir -p "$work/$model" || exit 1
# its own script fetches what needs a graphics card
if [ ! -d "$work/node_modules/onnxruntime-node" ] &&
    ! (cd "$work" && npm install --ignore-scripts --no-save --no-fund --no-audit onnxruntime-node@1 >npm.log 2>&1); then
    echo 'skipped: npm does not install onnxruntime-node here'
    exit 0
fi
[ -x "$work/parity" ] || ${CC:-cc} -std=c11 -O2 -fopenmp -I. tests/parity.c -o "$work/parity" -lm || exit 1
run=$work/$model/run
if [ ! -f "$run/last.mlsck" ]; then
    "$build/mls" train --model "$model" --format fp32 --limit 320 --test-limit 96 --batch 32 --lr 0.02 \
        --epochs 2 --out "$run" || exit 1
fi
"$build/mls" export "$run/last.mlsck" --onnx "$work/$model/model.onnx" &&
    "$work/parity" "$run/last.mlsck" 96 0 "$work/$model" &&
    NODE_PATH=$work/node_modules node bench/peers/onnx.js "$work/$model/model.onnx" "$work/$model"
