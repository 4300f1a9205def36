/* quantize.c - speed of the quantizer in million elements a second, beside a plain copy.

   bench_quantize [--rounds N] [--elements N]   (N a multiple of 16384; 524288: 2 MiB of fp32) */
#define MLS_IMPLEMENTATION
#include "mls_train.h"
#include "bench/bench.h"

enum {
    CHANNELS = 16,
    SIDE = 32,
    IMAGE = CHANNELS * SIDE * SIDE
};

int main(int count, char **words)
{
    static const char *const formats[] = {"2,1:nc:2,0:nearest",       "2,1:nc:2,0:stochastic",
                                          "2,1:nc:2,0:clipped:paper", "2,1:nc:3,1:stochastic",
                                          "2,4:nc:3,1:stochastic",    "2,1:nc:8,1:stochastic",
                                          "0,4:none:stochastic",      "4,7:nc:8,1:stochastic"};
    enum {
        FORMATS = sizeof formats / sizeof formats[0]
    };
    int rounds = bench_number(count, words, "--rounds", 15);
    int images = bench_number(count, words, "--elements", 32 * IMAGE) / IMAGE;
    mls_shape shape = {images, SIDE, SIDE, CHANNELS};
    size_t elements = (size_t)images * IMAGE;
    float *x = (float *)bench_memory(elements * sizeof(float));
    float *y = (float *)bench_memory(elements * sizeof(float));
    if (images < 1) {
        fprintf(stderr, "--elements: at least %d\n", IMAGE);
        return 2;
    }
    bench_fill(x, elements, 1);
    printf("%zu elements, [n][%d][%d][%d], %d rounds; million elements a second, median (best)\n",
           elements, SIDE, SIDE, CHANNELS, rounds);
    printf("%-26s %-12s %18s %18s %10s\n", "format", "kernel", "quantize", "dequantize", "of copy");
    for (int kernel = 0; kernel < mls_kernel_count(); kernel++) {
        mls_tensor t[FORMATS];
        static bench_times quantize[FORMATS], dequantize[FORMATS], copy;
        mls_kernel_use(mls_kernel_name(kernel));
        memset(quantize, 0, sizeof quantize);
        memset(dequantize, 0, sizeof dequantize);
        memset(&copy, 0, sizeof copy);
        for (int i = 0; i < FORMATS; i++) {
            mls_format f = {0, 0, 0, 0, MLS_GROUP_NONE, MLS_ROUND_NEAREST, MLS_RANGE_FIT};
            size_t size;
            if (mls_format_parse(&f, formats[i]) != MLS_OK) return 1;
            size = mls_tensor_size(f, shape);
            if (mls_tensor_init(&t[i], f, shape, bench_memory(size), size) != MLS_OK) return 1;
        }
        for (int round = -1; round < rounds; round++) { /* the first one warms up */
            double start = bench_now();
            memcpy(y, x, elements * sizeof(float));
            if (round >= 0) bench_add(&copy, bench_now() - start);
            for (int i = 0; i < FORMATS; i++) {
                start = bench_now();
                if (mls_quantize(&t[i], x, (uint64_t)round) != MLS_OK) return 1;
                if (round >= 0) bench_add(&quantize[i], bench_now() - start);
                if (round < 0 || round >= 3) continue; /* dequantize is no hot path */
                start = bench_now();
                mls_dequantize(&t[i], y);
                bench_add(&dequantize[i], bench_now() - start);
            }
        }
        for (int i = 0; i < FORMATS; i++) {
            double n = (double)elements * 1e-6, *q = quantize[i].seconds,
                   *d = dequantize[i].seconds;
            int qn = quantize[i].count, dn = dequantize[i].count;
            printf("%-26s %-12s %8.0f (%7.0f) %8.0f (%7.0f) %10.2f\n", formats[i],
                   mls_kernel_used(), n / bench_median(q, qn), n / bench_best(q, qn),
                   n / bench_median(d, dn), n / bench_best(d, dn),
                   bench_ratio(&copy, &quantize[i]));
        }
    }
    return 0;
}
