"""pytorch.py - a ResNet of models.h in PyTorch, its weights from there and back.

    mls export run/last.mlsck --npz ours.npz
    python3 examples/pytorch.py ours.npz theirs.npz       # train it in between
    mls import theirs.npz --model resnet20 --out new.mlsck

Pictures are normalised as in training: value = (byte - mean) * scale, see mls_data_normalise."""
import sys

import numpy
import torch
from torch import nn
from torch.nn import functional


class Block(nn.Module):
    def __init__(self, c_in, c_out, stride, option_b):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False), nn.BatchNorm2d(c_out)
        self.conv2, self.bn2 = nn.Conv2d(c_out, c_out, 3, 1, 1, bias=False), nn.BatchNorm2d(c_out)
        self.stride, self.zeros, self.downsample = stride, (c_out - c_in) // 2, None
        if stride > 1 and option_b:
            self.downsample = nn.Sequential(nn.Conv2d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm2d(c_out))

    def forward(self, x):
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        if self.downsample is not None:
            x = self.downsample(x)
        elif self.stride > 1:  # every second pixel, with channels of zeros around
            x = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.zeros, self.zeros))
        return functional.relu(y + x)


class ResNet(nn.Module):
    """The network that a dictionary of arrays is of, with these weights."""

    def __init__(self, arrays):
        super().__init__()
        width, _, kernel, _ = arrays["conv1.weight"].shape
        option_b = any("downsample" in name for name in arrays)
        self.conv1, self.bn1 = nn.Conv2d(3, width, kernel, 1 + kernel // 7, kernel // 2, bias=False), nn.BatchNorm2d(width)
        self.pool, self.stages, c_in = kernel == 7, [], width
        for stage in range(4):
            blocks, c_out = [], width << stage
            while f"layer{stage + 1}.{len(blocks)}.conv1.weight" in arrays:
                blocks.append(Block(c_in, c_out, 2 if stage and not blocks else 1, option_b))
                c_in = c_out
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(c_in, len(arrays["fc.bias"]))
        self.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})

    def forward(self, x):
        x = functional.relu(self.bn1(self.conv1(x)))
        x = functional.max_pool2d(x, 3, 2, 1) if self.pool else x
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


if __name__ == "__main__":
    net = ResNet(dict(numpy.load(sys.argv[1])))
    numpy.savez(sys.argv[2], **{name: t.numpy() for name, t in net.state_dict().items()})
