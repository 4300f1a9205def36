/* conv.c - speed of the three convolutions in GMAC/s, integer beside our own fp32.

   bench_conv [--rounds N] [--batch N] [--kernel NAME] [--threads N]

   The shapes of ResNet-20, and two that do not fill a vector. The tests check the results. */
#define MLS_IMPLEMENTATION
#include "mls_train.h"
#include "bench/bench.h"

typedef struct shape {
    int32_t c_in, side, c_out, stride, k;
} shape;

enum {
    CLASSES = 4,
    DIRECTIONS = 3
};
static const char *const formats[CLASSES] = {"fp32", "2,1:nc:2,0", "2,1:nc:3,1", "3,3:nc:8,1"};
static const char *const classes[CLASSES] = {"fp32", "int8", "int16", "wide"};

/* The operands of one convolution in one class. */
typedef struct work {
    mls_conv conv;
    int fp32;
    mls_tensor w, a, e;
    float *fw, *fa, *fe, *out;
    void *workspace;
    size_t size;
} work;

static void operand(mls_tensor *t, mls_format f, mls_shape s, const float *x)
{
    size_t size = mls_tensor_size(f, s);
    if (mls_tensor_init(t, f, s, bench_memory(size), size) != MLS_OK ||
        mls_quantize(t, x, 1) != MLS_OK) {
        fprintf(stderr, "cannot quantize\n");
        exit(1);
    }
}

static size_t elements(mls_shape s)
{
    return (size_t)s.n * (size_t)s.h * (size_t)s.w * (size_t)s.c;
}

static void work_make(work *k, shape s, int32_t batch, int which)
{
    mls_format f;
    mls_shape in = {batch, s.side, s.side, s.c_in}, weight = {s.c_out, s.k, s.k, s.c_in}, out;
    memset(k, 0, sizeof *k);
    memset(&f, 0, sizeof f);
    k->conv.in = in, k->conv.c_out = s.c_out, k->conv.kh = k->conv.kw = s.k;
    k->conv.stride = s.stride, k->conv.pad = s.k / 2;
    out = mls_conv_output(&k->conv);
    k->fw = (float *)bench_memory(elements(weight) * 4);
    k->fa = (float *)bench_memory(elements(in) * 4);
    k->fe = (float *)bench_memory(elements(out) * 4);
    k->out = (float *)bench_memory((elements(in) + elements(out) + elements(weight)) * 4);
    bench_fill(k->fw, elements(weight), 1);
    bench_fill(k->fa, elements(in), 2);
    bench_fill(k->fe, elements(out), 3);
    if (mls_format_parse(&f, formats[which]) != MLS_OK) exit(1);
    k->fp32 = which == 0;
    if (!k->fp32) {
        operand(&k->w, f, weight, k->fw);
        operand(&k->a, f, in, k->fa);
        operand(&k->e, f, out, k->fe);
    }
    k->size = mls_conv_workspace(&k->conv, f, f);
    k->workspace = bench_memory(k->size);
}

static void work_free(work *k)
{
    free(k->fw);
    free(k->fa);
    free(k->fe);
    free(k->out);
    free(k->workspace);
}

static void run(work *k, int direction)
{
    const mls_conv *c = &k->conv;
    mls_status s;
    if (k->fp32) {
        s = direction == 0 ? mls_conv_forward_fp32(c, k->fw, k->fa, k->out, k->workspace, k->size)
            : direction == 1
                ? mls_conv_backward_data_fp32(c, k->fw, k->fe, k->out, k->workspace, k->size)
                : mls_conv_backward_weight_fp32(c, k->fe, k->fa, k->out, k->workspace, k->size);
    } else {
        s = direction == 0 ? mls_conv_forward(c, &k->w, &k->a, k->out, k->workspace, k->size)
            : direction == 1
                ? mls_conv_backward_data(c, &k->w, &k->e, k->out, k->workspace, k->size)
                : mls_conv_backward_weight(c, &k->e, &k->a, k->out, k->workspace, k->size);
    }
    if (s != MLS_OK) {
        fprintf(stderr, "%s\n", mls_status_string(s));
        exit(1);
    }
}

int main(int count, char **words)
{
    static const shape shapes[] = {{3, 32, 16, 1, 3},  {16, 32, 16, 1, 3}, {16, 32, 32, 2, 3},
                                   {32, 16, 32, 1, 3}, {32, 16, 64, 2, 3}, {64, 8, 64, 1, 3},
                                   {16, 32, 32, 2, 1}, {17, 16, 17, 1, 3}};
    int rounds = bench_number(count, words, "--rounds", 9);
    int batch = bench_number(count, words, "--batch", 32);
    const char *kernel = bench_option(count, words, "--kernel", "auto");
#ifdef _OPENMP
    omp_set_num_threads(bench_number(count, words, "--threads", 1));
#endif
    if (mls_kernel_use(kernel) != MLS_OK) {
        fprintf(stderr, "no kernel %s here\n", kernel);
        return 2;
    }
    printf("kernel %s, batch %d, %d rounds; GMAC/s, median (best)\n", mls_kernel_used(), batch,
           rounds);
    printf("%-22s %-6s %17s %17s %17s\n", "shape", "class", "forward", "backward-data",
           "backward-weight");
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        shape s = shapes[i];
        work k[CLASSES];
        static bench_times times[CLASSES][DIRECTIONS];
        memset(times, 0, sizeof times);
        for (int j = 0; j < CLASSES; j++) work_make(&k[j], s, batch, j);
        for (int round = -1; round < rounds; round++) {
            for (int j = 0; j < CLASSES; j++) {
                for (int d = 0; d < DIRECTIONS; d++) {
                    double start;
                    if (j == CLASSES - 1 && round >= 2)
                        continue; /* wide is slow: twice is enough */
                    start = bench_now();
                    run(&k[j], d);
                    if (round >= 0) bench_add(&times[j][d], bench_now() - start);
                }
            }
        }
        for (int j = 0; j < CLASSES; j++) {
            mls_shape out = mls_conv_output(&k[j].conv);
            double macs = (double)elements(out) * s.k * s.k * s.c_in * 1e-9;
            printf("%2d -> %2d @%d %dx%d s%d %4s %-6s", s.c_in, s.c_out, s.side, s.k, s.k, s.stride,
                   "", classes[j]);
            for (int d = 0; d < DIRECTIONS; d++) {
                const bench_times *t = &times[j][d];
                printf("   %6.1f (%6.1f)", macs / bench_median(t->seconds, t->count),
                       macs / bench_best(t->seconds, t->count));
            }
            printf("\n");
            work_free(&k[j]);
        }
    }
    return 0;
}
