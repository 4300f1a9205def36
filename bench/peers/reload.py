"""reload.py FOLDER - FOLDER/net.npz and net.safetensors, read by NumPy, have the same tensors bit for bit, and
PyTorch with them (a ResNet, see pytorch.py) says the same of FOLDER/images as FOLDER/logits: the same class of
each picture. Networks other than ResNets are only read."""
import json
import struct
import sys

import numpy
import torch

import pytorch


def safetensors(path):
    raw = open(path, "rb").read()
    (length,) = struct.unpack("<Q", raw[:8])
    header, numbers = json.loads(raw[8 : 8 + length]), raw[8 + length :]
    header.pop("__metadata__")
    return {
        name: numpy.frombuffer(numbers[slice(*entry["data_offsets"])], entry["dtype"].replace("F32", "<f4")).reshape(entry["shape"])
        for name, entry in header.items()
    }


folder = sys.argv[1]
files = {"npz": dict(numpy.load(folder + "/net.npz")), "safetensors": safetensors(folder + "/net.safetensors")}
assert files["npz"].keys() == files["safetensors"].keys()
for name, array in files["npz"].items():
    other = files["safetensors"][name]
    assert array.shape == other.shape and array.tobytes() == other.tobytes(), name
print(f"NumPy: {len(files['npz'])} tensors, the same bits in both files")
if "layer1.0.conv1.weight" not in files["npz"]:
    print("skipped: PyTorch has only the ResNets here")
    sys.exit()
labels = numpy.fromfile(folder + "/labels", "<i4")
logits = numpy.fromfile(folder + "/logits", "<f4").reshape(len(labels), -1)
images = torch.from_numpy(numpy.fromfile(folder + "/images", "<f4").reshape(len(labels), 3, 32, 32))
for kind, arrays in files.items():
    net = pytorch.ResNet({name: array.copy() for name, array in arrays.items()}).eval()
    with torch.no_grad():
        theirs = torch.cat([net(some) for some in images.split(100)]).numpy()
    same = (theirs.argmax(1) == logits.argmax(1)).sum()
    print(f"PyTorch, {kind}: {len(labels)} pictures, {same} of the same class, difference {abs(theirs - logits).max():.2e}")
    assert same == len(labels) and abs(theirs - logits).max() < 1e-3
