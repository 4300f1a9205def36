/* fuzz.h - what the fuzz targets share: bytes become choices, and a check that fails aborts.
   Include it after the library. A target is one function, LLVMFuzzerTestOneInput; replay.c calls it
   for files where there is no libFuzzer. */
#ifndef FUZZ_H_INCLUDED
#define FUZZ_H_INCLUDED

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                                                            \
    do {                                                                    \
        if (!(x)) {                                                         \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #x); \
            abort();                                                        \
        }                                                                   \
    } while (0)

/* The bytes that are left. */
typedef struct source {
    const uint8_t *at, *end;
} source;

/* The next byte; 0 behind the end, so that short inputs are whole ones. */
static inline uint32_t byte(source *s)
{
    return s->at < s->end ? *s->at++ : 0;
}

/* The next count bytes, little-endian. */
static inline uint64_t word(source *s, int count)
{
    uint64_t value = 0;
    for (int i = 0; i < count; i++) value |= (uint64_t)byte(s) << 8 * i;
    return value;
}

/* low .. high, fewer than 256 numbers. */
static inline int32_t between(source *s, int32_t low, int32_t high)
{
    return low + (int32_t)(byte(s) % (uint32_t)(high - low + 1));
}

/* 1 .. high, or now and then any number at all. */
static inline int32_t wild(source *s, int32_t high)
{
    uint32_t b = byte(s);
    return b < 250 ? 1 + (int32_t)b % high : (int32_t)(uint32_t)word(s, 4);
}

/* The floats that break things, and all others. */
static inline float any_float(source *s)
{
    static const float special[] = {
        0, -0.0f, NAN, INFINITY, -INFINITY, 1e-45f, 1e38f, -3.40282347e38f, 1.1754942e-38f};
    uint32_t b = byte(s), bits;
    float x;
    if (b < sizeof special / sizeof special[0]) return special[b];
    bits = (uint32_t)word(s, 4);
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Numbers between powers of two, some zeros, and a few of any kind anywhere. */
static inline void any_floats(source *s, float *x, size_t count)
{
    static const int tops[] = {0, -3, 12, 60, 126, -60, -100, -126};
    static const uint32_t spans[] = {1, 4, 24, 80};
    int top = tops[byte(s) % 8];
    uint32_t span = spans[byte(s) % 4], zeros = byte(s);
    uint64_t seed = word(s, 2);
    for (size_t i = 0; i < count; i++) {
        uint64_t u = mls_seed(seed, i);
        float m = (float)(int32_t)(u & 0xffffff) / (1 << 24);
        x[i] = (u >> 24 & 255) < zeros
                   ? 0
                   : ldexpf(u >> 63 ? m : -m, top - (int)(u >> 32 & 127) % (int)span);
    }
    for (uint32_t pokes = byte(s) % 8; pokes; pokes--) x[word(s, 2) % count] = any_float(s);
}

/* Any legal format. */
static inline mls_format any_format(source *s)
{
    mls_format f;
    f.ex = (uint8_t)between(s, 0, 5), f.mx = (uint8_t)between(s, 0, 10);
    f.eg = (uint8_t)between(s, 0, 8), f.mg = (uint8_t)between(s, 0, 1);
    f.grouping = (uint8_t)between(s, 0, MLS_GROUP_NC);
    f.rounding = (uint8_t)between(s, 0, MLS_ROUND_STOCHASTIC_CLIPPED);
    f.range = (uint8_t)between(s, 0, MLS_RANGE_PAPER);
    if (f.ex + f.mx == 0) f.mx = 1;
    if (f.eg == 0) f.mg = 0;
    return f;
}

/* Memory of exactly this size, skip bytes off malloc's alignment, full of old values. */
static inline void *block_new(size_t size, size_t skip)
{
    uint8_t *p = (uint8_t *)malloc(size + skip);
    if (!p) abort();
    memset(p, 0xa5, size + skip);
    return p + skip;
}

static inline void block_free(void *p, size_t skip)
{
    free((uint8_t *)p - skip);
}

/* The same bits, or both not a number: which one it is may differ. */
static inline int same_floats(const float *a, const float *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (memcmp(&a[i], &b[i], sizeof *a) != 0 && (a[i] == a[i] || b[i] == b[i])) return 0;
    }
    return 1;
}

#endif /* FUZZ_H_INCLUDED */
