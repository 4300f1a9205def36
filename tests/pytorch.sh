#!/bin/sh
# pytorch.sh - PyTorch with the same weights computes the same: scores within 1e-4 and, from one state on the same
# batches, the losses of 50 steps within 1e-3 of each. From the repository's root; see program.sh. Skipped where
# Debian's python3-torch is not installed, which is too large for CI to do.
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/program.sh
. "$here/program.sh"

python=
for name in python3 /usr/bin/python3; do
    [ -n "$python" ] || ! "$name" -c 'import torch, numpy' 2>/dev/null || python=$name
done
if [ -z "$python" ]; then
    echo 'skipped: no python3 with torch'
    echo '0 passed, 0 failed'
    exit
fi
# -O1: it is the answer that counts
${CC:-cc} -std=c11 -O1 -I"$here/.." "$here/parity.c" -o parity -lm >out 2>err
ok $? 'parity builds'
# compare MODEL WIDTH STEPS
compare() {
    mls train --model "$1" --width "$2" --format fp32 --limit 64 --test-limit 16 --batch 16 --lr 0.02 --epochs 1 \
        --out "$1" >out 2>err && mls export "$1/last.mlsck" --npz "$1.npz" >out 2>err &&
        ./parity "$1/last.mlsck" 48 "$3" "$1" >"$1/losses" 2>err
    ok $? "$1 here"
    PYTHONPATH=$here/../examples PYTHONDONTWRITEBYTECODE=1 "$python" - "$1" >out 2>err <<'END'
import sys, numpy, torch, pytorch
torch.set_num_threads(1)
model = sys.argv[1]
net = pytorch.ResNet(dict(numpy.load(model + ".npz")))
images = torch.from_numpy(numpy.fromfile(model + "/images", "<f4").reshape(48, 3, 32, 32))
labels = torch.from_numpy(numpy.fromfile(model + "/labels", "<i4").astype("i8"))
logits = numpy.fromfile(model + "/logits", "<f4").reshape(48, 10)
net.eval()
theirs = net(images).detach().numpy()
print("difference", abs(theirs - logits).max())
assert abs(theirs - logits).max() < 1e-4 and (theirs.argmax(1) == logits.argmax(1)).all()
net.train()
sgd = torch.optim.SGD(net.parameters(), lr=0.001, weight_decay=5e-4)
worst = 0
for step, ours in enumerate(map(float, open(model + "/losses"))):
    at = slice(step * 16 % 48, step * 16 % 48 + 16)
    loss = torch.nn.functional.cross_entropy(net(images[at]), labels[at])
    sgd.zero_grad(), loss.backward(), sgd.step()
    worst = max(worst, abs(loss.item() - ours) / ours)
print("loss", ours, "worst", worst)
assert worst < 1e-3
END
    ok $? "$1 in PyTorch"
    [ -z "${VERBOSE:-}" ] || cat out
}
# at this rate; at ten times as much PyTorch in fp32 is 3e-3 from itself in fp64, and so are we
compare resnet20 16 50
compare resnet18 16 1

# And back: the same digest as straight from our own file
"$python" "$here/../examples/pytorch.py" resnet20.npz back.npz >out 2>err
ok $? 'examples/pytorch.py'
for file in resnet20 back; do
    mls import $file.npz --model resnet20 --limit 64 --test-limit 16 --out $file.mlsck >out 2>err
    tail -n 1 out >$file.result
done
grep -q '^result' back.result && cmp -s back.result resnet20.result
ok $? 'weights come back'
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
