#!/usr/bin/env python3
"""Writes quantize.h: golden vectors of the quantizer, for tests/test_mls.c.

An implementation of docs/FORMAT.md in numpy that shares no code with mls.h: the scales are fp32
operations in the order of the specification, the elements are rounded with exact fractions and
looked up in a table of codes. Run it only when the format changes:

    python3 tests/vectors/generate.py > tests/vectors/quantize.h
"""

import math
from fractions import Fraction

import numpy as np

f32 = np.float32
NONE, N, C, NC = range(4)
NEAREST, STOCHASTIC, CLIPPED = range(3)
FIT, PAPER = range(2)
MASK32, MASK64 = (1 << 32) - 1, (1 << 64) - 1


def mix(x):
    """The finalizer of splitmix64."""
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK64
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK64
    return x ^ (x >> 31)


def seed_of(seed, part):
    first = mix((seed + 0x9E3779B97F4A7C15) & MASK64)
    return mix(first ^ (((part + 1) * 0xD1342543DE82EF95) & MASK64))


def random16(seed, index):
    """16 random bits: two neighbouring indices share one hash of 32 bits."""
    key = seed_of(seed, index >> 33)
    h = ((index >> 1) & MASK32) ^ (key & MASK32)
    h = ((h ^ (h >> 16)) * 0x7FEB352D) & MASK32
    h = (((h ^ (h >> 15)) + (key >> 32)) * 0x846CA68B) & MASK32
    h ^= h >> 16
    return h >> 16 if index & 1 else h & 0xFFFF


def grid(ex, mx):
    """Grid values q of the magnitude codes, in code order."""
    if ex == 0:
        return list(range(1 << mx))
    low = list(range(1 << mx))
    return low + [((1 << mx) + m) << (e - 1) for e in range(1, 1 << ex) for m in range(1 << mx)]


def round_even(x):
    down = math.floor(x)
    rest = x - down
    return down + (1 if rest > Fraction(1, 2) or (rest == Fraction(1, 2) and down % 2) else 0)


def element(ex, mx, rounding, y, u):
    """Grid value of y, an fp32 in units of the lsb."""
    q_max = grid(ex, mx)[-1]
    exact = min(Fraction(float(y)), Fraction(q_max))
    if exact == 0:
        return 0
    log2 = math.frexp(float(exact))[1] - 1  # floor(log2 y)
    s = max(0, log2 - mx) if ex else 0
    if rounding == NEAREST:
        q = round_even(exact / 2**s) * 2**s
    else:
        t = math.floor(exact * Fraction(2) ** (16 - s))
        q = ((t + u) >> 16) << s
        if rounding == CLIPPED and ex:
            below = 2 ** max(mx, log2 + 1)  # start of the next binade; subnormals end at 2^mx
            q = min(q, max(v for v in grid(ex, mx) if v < below))
    return min(q, q_max)


def quantize(fmt, shape, x, seed):
    """Returns (scale, groups, codes), or None where the scale would not be usable."""
    ex, mx, eg, mg, grouping, rounding, rng = fmt
    x = x.reshape(shape)
    lsb = Fraction(2) ** ((1 - 2**ex if ex else 0) - mx)
    values = grid(ex, mx)
    top = f32(float(values[-1] * lsb))
    code_of = {q: i for i, q in enumerate(values)}
    axes = {NONE: (0, 1, 2, 3), N: (1, 2, 3), C: (0, 1, 2), NC: (1, 2)}[grouping]
    peaks = np.abs(x).max(axis=axes, keepdims=True)
    tmax = peaks.max()
    k_max = min(2**eg - 1, 127)
    if tmax < f32(2.0**-64):
        return f32(0), [k_max << mg] * peaks.size, [0] * x.size
    scale = f32(tmax / top) if rng == FIT else f32(tmax)
    if scale > f32(3.4e38) / f32(2):
        return None
    pairs = [(k, m) for k in range(k_max + 1) for m in range(2**mg)]
    scales = [(Fraction(2**mg + m, 2**mg) / 2**k, k, m) for k, m in pairs]
    groups = []
    for peak in peaks.flatten():
        ratio = Fraction(float(f32(peak / tmax)))
        _, k, m = min(s for s in scales if s[0] >= ratio)
        groups.append((k, m))
    which = np.broadcast_to(np.arange(peaks.size).reshape(peaks.shape), shape).flatten()
    codes = []
    for i, v in enumerate(x.flatten()):
        k, m = groups[which[i]]
        r = f32(f32(float(1 / lsb)) / f32(f32(1 + m / 2**mg) * scale))
        y = f32(f32(abs(v) * f32(2.0**k)) * r)
        code = code_of[element(ex, mx, rounding, y, random16(seed, i))]
        codes.append(code | (int(np.signbit(v)) << (ex + mx)) if code else 0)
    return scale, [k << mg | m for k, m in groups], codes


def pack(bits, codes):
    if bits <= 4:
        pairs = codes + [0] * (len(codes) % 2)
        return [a | b << 4 for a, b in zip(pairs[0::2], pairs[1::2])]
    if bits <= 8:
        return codes
    return [byte for c in codes for byte in (c & 255, c >> 8)]


def make_inputs():
    rs = np.random.RandomState(20)
    out = {}

    def add(name, shape, values):
        a = np.asarray(values, dtype=np.float32).reshape(shape)
        out[name] = (shape, a.flatten())

    add("one", (1, 1, 1, 1), [-0.7])
    bell = rs.standard_normal((2, 3, 3, 5)) * 2.0 ** -np.arange(5)
    bell[1] *= 0.03
    add("bell", (2, 3, 3, 5), bell)
    zeros = rs.standard_normal((3, 1, 3, 7))
    zeros[:, :, :, 2] = 0
    zeros[1] = -0.0
    zeros[2, :, :, 4] = -0.0
    add("zeros", (3, 1, 3, 7), zeros)
    # multiples of 1/64 up to the top of <2,1>: many exact ties when S_t is 1
    ties = rs.randint(-48, 49, (1, 4, 4, 3)) / 64
    ties[0, 0, 0] = [0.75, -0.75, 0.375]
    add("ties", (1, 4, 4, 3), ties)
    shape = (2, 2, 1, 17)
    wide = rs.choice([-1, 1], shape) * rs.uniform(1, 2, shape) * 2.0 ** rs.randint(-140, 20, shape)
    add("wide", shape, wide)
    add("powers", (2, 1, 2, 6), [s * 2.0**-k for k in range(12) for s in (1, -1.5)])
    add("huge", (2, 1, 2, 2), [1.1e38, -1.0e38, 3e37, 1e20, -8.2e37, 5e37, 2e-40, -0.0])
    add("tiny", (2, 1, 1, 3), [2.0**-65, -(2.0**-64) * (1 - 2.0**-24), 1e-40, 0, -0.0, -1e-20])
    add("edge", (2, 1, 1, 3), [2.0**-64, -(2.0**-65), 2.0**-66, 1e-22, -3e-23, 1e-44])
    return out


# ex, mx, eg, mg; every code width of the three packings, E = 0 and M = 0 among them
FORMATS = [
    (2, 1, 2, 0), (2, 1, 8, 1), (2, 1, 0, 0), (2, 4, 3, 1), (2, 3, 8, 1), (3, 2, 3, 1),
    (0, 3, 3, 0), (0, 1, 2, 1), (1, 0, 4, 0), (1, 2, 3, 1), (3, 0, 7, 1), (0, 7, 1, 1),
    (4, 3, 5, 0), (5, 2, 6, 1), (0, 10, 8, 0), (5, 10, 8, 1), (2, 6, 4, 1), (5, 0, 2, 1),
]  # fmt: skip


def rows(name, kind, values, show):
    print(f"static const {kind} {name}[] = {{")
    line = ""
    for v in values:
        word = show(v) + ","
        if len(line) + len(word) > 99:
            print(line)
            line = ""
        line += word
    print(line + "\n};")


def main():
    inputs = make_inputs()
    words, start, cases, groups, codes, seed = [], {}, [], [], [], 1
    for name, (_, x) in inputs.items():
        start[name] = len(words)
        words += [int(v) for v in x.view(np.uint32)]
    combos = [(g, r, t) for g in range(4) for r in range(3) for t in range(2)]
    for i, f in enumerate(FORMATS):
        for j, (name, (shape, x)) in enumerate(inputs.items()):
            # every format with every input; groupings, roundings and ranges take turns
            for turn in range(4 if name in ("bell", "ties", "wide") else 2):
                fmt = f + combos[(5 * i + 7 * j + 13 * turn) % len(combos)]
                seed = seed * 6364136223846793005 + 1442695040888963407 & MASK64
                result = quantize(fmt, shape, x, seed)
                scale, gs, cs = result if result else (f32(0), [], [])
                packed = pack(1 + fmt[0] + fmt[1], cs)
                counts = (len(groups), len(gs), len(codes), len(packed))
                cases.append((fmt, shape, seed, start[name], result is None, scale, *counts))
                groups += gs
                codes += packed
    print("/* Written by generate.py; do not edit. Golden vectors of the quantizer. */")
    print("/* clang-format off */")
    print("#include <stdint.h>\n")
    print("typedef struct vector_case {")
    print("    uint8_t format[7]; /* ex, mx, eg, mg, grouping, rounding, range */")
    print("    uint8_t nonfinite; /* 1: MLS_ERROR_NONFINITE, and nothing below counts */")
    print("    int8_t shape[4];")
    print("    uint64_t seed;")
    print("    uint32_t scale;          /* bits of S_t */")
    print("    uint32_t input;          /* where they start in vector_inputs, ... */")
    print("    uint32_t group, groups;  /* vector_groups: start and count */")
    print("    uint32_t code, bytes;    /* vector_codes: start and count */")
    print("} vector_case;\n")
    print("static const vector_case vector_cases[] = {")
    for fmt, shape, seed, at, bad, scale, *counts in cases:
        bits = int(np.array([scale], np.float32).view(np.uint32)[0])
        lists = [",".join(map(str, a)) for a in (fmt, shape, [at] + counts)]
        values = (lists[0], bad, lists[1], seed, bits, lists[2])
        print("{{%s},%d,{%s},0x%016xu,0x%08xu,%s}," % values)
    print("};")
    rows("vector_inputs", "uint32_t", words, lambda v: "0x%08xu" % v)
    rows("vector_groups", "uint16_t", groups, str)
    rows("vector_codes", "uint8_t", codes, str)
    seeds = [0, 1, 2, 0x123456789ABCDEF0, MASK64]
    indices = [0, 1, 2, 3, 1000003, (1 << 32) + 5, (1 << 33) - 1, 1 << 33, (1 << 40) + 12345]
    print("typedef struct vector_random { uint64_t seed, index; uint32_t value; } vector_random;")
    print("static const vector_random vector_randoms[] = {")
    for s in seeds:
        print("".join("{0x%xu,0x%xu,%d}," % (s, i, random16(s, i)) for i in indices))
    print("};")
    print("typedef struct vector_seed { uint64_t seed, part, value; } vector_seed;")
    print("static const vector_seed vector_seeds[] = {")
    for s in seeds:
        print("".join("{0x%xu,0x%xu,0x%016xu}," % (s, p, seed_of(s, p)) for p in (0, 1, 7, MASK64)))
    print("};")


if __name__ == "__main__":
    main()
