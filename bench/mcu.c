/* mcu.c - instructions per multiply-accumulate of the three convolutions where there are no vectors.
   scripts/mcu.sh runs it on an emulated Cortex-M4, whose clock counts instructions, and on the host, where
   it prints the digest alone. */
#define MLS_NO_STDIO
#define MLS_NO_MALLOC
#define MLS_IMPLEMENTATION
#include "mls_conv.h"

#include <stdio.h>

#ifdef __arm__
/* SysTick counts down 24 bits at 25 MHz; an instruction takes 1 ns. */
static volatile uint32_t *const systick = (volatile uint32_t *)0xe000e010;
static void clock_start(void)
{
    systick[1] = 0xffffff, systick[2] = 0, systick[0] = 5;
}
static double clock_instructions(void)
{
    return 40.0 * (0xffffff - systick[2]);
}
#else
static void clock_start(void) {}
static double clock_instructions(void)
{
    return 0;
}
#endif

enum {
    SIDE = 16,
    CHANNELS = 16,
    IMAGE = SIDE * SIDE * CHANNELS,
    WEIGHTS = 9 * CHANNELS * CHANNELS
};

static float numbers[IMAGE], out[IMAGE];
static uint64_t memory[3][2048], work[16384];

/* A tensor of random numbers between -1 and 1. */
static mls_status make(mls_tensor *t, mls_format f, mls_shape shape, int which)
{
    for (int i = 0; i < IMAGE; i++) {
        numbers[i] =
            (float)((int)(mls_random16((uint64_t)which, (uint64_t)i) & 1023) - 512) / 512.0f;
    }
    mls_status status = mls_tensor_init(t, f, shape, memory[which], sizeof memory[which]);
    return status == MLS_OK ? mls_quantize(t, numbers, 1) : status;
}

static uint64_t digest_of(const float *x, int count)
{
    uint64_t h = 0;
    for (int i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        h = (h ^ bits) * 0x9e3779b97f4a7c15u;
        h ^= h >> 32;
    }
    return h;
}

/* One convolution; returns its digest. t: W, A, E. */
static uint64_t measure(const mls_conv *conv, mls_direction direction, const mls_tensor *t)
{
    static const char *const names[] = {"forward", "backward-data", "backward-weight"};
    mls_status (*const convolve[])(const mls_conv *, const mls_tensor *, const mls_tensor *,
                                   float *, void *, size_t) = {
        mls_conv_forward, mls_conv_backward_data, mls_conv_backward_weight};
    const mls_tensor *first = direction == MLS_BACKWARD_WEIGHT ? &t[2] : &t[0];
    const mls_tensor *second = direction == MLS_BACKWARD_DATA ? &t[2] : &t[1];
    clock_start();
    mls_status status = convolve[direction](conv, first, second, out, work, sizeof work);
    double instructions = clock_instructions();
    uint64_t digest = digest_of(out, direction == MLS_BACKWARD_WEIGHT ? WEIGHTS : IMAGE);
    if (status != MLS_OK) printf("%s failed: %d\n", names[direction], (int)status);
    printf("  %-9s %-16s digest %08lx%08lx", mls_kernel_used(), names[direction],
           (unsigned long)(digest >> 32), (unsigned long)(digest & 0xffffffffu));
    if (instructions > 0)
        printf("  instructions per product %6.2f", instructions / (9.0 * IMAGE * CHANNELS));
    printf("\n");
    return digest;
}

int main(void)
{
    static const char *const formats[] = {"2,1:nc:2,0", "0,4:none", "2,1:nc:3,1"};
    mls_conv conv = {0};
    conv.in.n = 1, conv.in.h = conv.in.w = SIDE, conv.in.c = conv.c_out = CHANNELS;
    conv.kh = conv.kw = 3, conv.pad = 1;
    for (int f = 0; f < 3; f++) {
        mls_format format;
        mls_tensor t[3];
        if (mls_format_parse(&format, formats[f]) != MLS_OK ||
            make(&t[0], format, mls_conv_weight_shape(&conv), 0) != MLS_OK ||
            make(&t[1], format, conv.in, 1) != MLS_OK ||
            make(&t[2], format, mls_conv_output(&conv), 2) != MLS_OK) {
            printf("%s: no tensors\n", formats[f]);
            return 2;
        }
        printf("%s, %d x %d x %d to %d channels, 3 x 3\n", formats[f], SIDE, SIDE, CHANNELS,
               CHANNELS);
        for (int d = 0; d < 3; d++) {
            uint64_t digest[2];
            for (int k = 0; k < 2; k++) {
                if (mls_kernel_use(k ? "portable" : "scalar") != MLS_OK) return 2;
                digest[k] = measure(&conv, (mls_direction)d, t);
            }
            if (digest[0] != digest[1]) printf("  the kernels DIFFER\n");
        }
    }
    return 0;
}
