#!/bin/sh
# onnxruntime.sh FOLDER - installs ONNX Runtime (npm's onnxruntime-node) in a folder, once, and prints where the
# module is. Status 1: it cannot be had; FOLDER/npm.log says why.
set -u
mkdir -p "$1" && cd "$1" || exit 1
# its own script fetches what needs a graphics card
[ -d node_modules/onnxruntime-node ] ||
    npm install --prefix . --ignore-scripts --no-save --no-fund --no-audit onnxruntime-node@1.30 >npm.log 2>&1 || exit 1
echo "$PWD/node_modules/onnxruntime-node"
