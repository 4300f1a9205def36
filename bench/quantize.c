/* quantize.c - speed of the quantizer in million elements and GB a second, beside a plain copy.

   bench_quantize --help lists the options.

   Without --elements there are two sizes: 512 KiB of fp32, which the caches of a core hold with
   what becomes of it, and 256 MiB, which is beyond most caches. GB are bytes of fp32, and the copy
   is memcpy of the same. Columns: quantize to packed codes; straight to a convolution's operand
   of 8 and of 16 bits; dequantize; measure the errors; load an operand from packed codes. */
#define MLS_IMPLEMENTATION
#include "mls_train.h"
#include "bench/bench.h"

enum {
    CHANNELS = 16,
    SIDE = 32,
    IMAGE = CHANNELS * SIDE * SIDE,
    IN_CACHE = 8 * IMAGE,
    BEYOND = 4096 * IMAGE
};

enum {
    QUANTIZE,
    TO_INT8,
    TO_INT16,
    DEQUANTIZE,
    MEASURE,
    LOAD,
    COPY, /* what the others are compared with */
    ACTIONS
};
static const char *const actions[ACTIONS] = {"quantize", "to int8", "to int16", "dequantize",
                                             "measure",  "load",    "copy"};

static const char *const study[] = {"2,1:nc:2,0:nearest",       "2,1:nc:2,0:stochastic",
                                    "2,1:nc:2,0:clipped:paper", "2,1:nc:3,1:stochastic",
                                    "2,4:nc:3,1:stochastic",    "2,1:nc:8,1:stochastic",
                                    "0,4:none:stochastic",      "4,7:nc:8,1:stochastic"};

/* Numbers of one size, and what becomes of them in one format. */
typedef struct work {
    mls_shape shape;
    size_t elements;
    float *x, *y;
    mls_tensor tensor;
    mls_operand operand[2]; /* 8 and 16 bits; no data where they do not hold the format */
    bench_times times[ACTIONS];
    int repeats[ACTIONS];
} work;

static int is_possible(const work *k, int action)
{
    if (action == TO_INT8) return k->operand[0].data != 0;
    if (action == TO_INT16 || action == LOAD) return k->operand[1].data != 0;
    return 1;
}

static void act(work *k, int action, uint64_t seed)
{
    mls_operand *narrow = &k->operand[k->operand[0].data ? 0 : 1];
    mls_report report;
    mls_status s = MLS_OK;
    if (action == QUANTIZE) s = mls_quantize(&k->tensor, k->x, seed);
    if (action == TO_INT8) s = mls_operand_quantize(&k->operand[0], k->x, seed);
    if (action == TO_INT16) s = mls_operand_quantize(&k->operand[1], k->x, seed);
    if (action == DEQUANTIZE) s = mls_dequantize(&k->tensor, k->y);
    if (action == MEASURE) s = mls_measure(&k->tensor, k->x, &report);
    if (action == LOAD) s = mls_operand_load(narrow, &k->tensor);
    if (action == COPY) memcpy(k->y, k->x, k->elements * sizeof(float));
    bench_ok(s, actions[action]);
}

static double act_time(work *k, int action, uint64_t seed)
{
    double start = bench_now();
    for (int i = 0; i < k->repeats[action]; i++) act(k, action, seed + (uint64_t)i);
    return (bench_now() - start) / k->repeats[action];
}

static void open_format(work *k, const char *text)
{
    mls_format f = bench_format(text);
    mls_conv conv = {0};
    conv.c_out = CHANNELS, conv.kh = conv.kw = 3, conv.pad = 1;
    conv.in = k->shape;
    k->tensor = bench_tensor(f, k->shape);
    for (int i = 0; i < 2; i++) {
        int32_t bits = mls_operand_bits(f);
        memset(&k->operand[i], 0, sizeof k->operand[i]);
        if (!bits || bits > 8 << i) continue;
        k->operand[i] = bench_operand(&conv, MLS_ACTIVATION, f, 8 << i);
    }
    for (int i = 0; i < ACTIONS; i++) k->times[i].count = 0, k->repeats[i] = 1;
}

/* Every action once in a round; the first round warms up. */
static void measure(work *k, int rounds)
{
    for (int round = -1; round < rounds; round++) {
        for (int i = 0; i < ACTIONS; i++) {
            double seconds;
            if (!is_possible(k, i) || bench_enough(&k->times[i])) continue;
            seconds = act_time(k, i, (uint64_t)(round + 1));
            if (round < 0)
                k->repeats[i] = bench_repeats(seconds);
            else
                bench_add(&k->times[i], seconds);
        }
    }
}

static void print_format(const work *k, const char *text, FILE *to)
{
    fprintf(to, "%-24s", text);
    for (int i = 0; i < COPY; i++) {
        const bench_times *t = &k->times[i];
        double rate;
        if (!t->count) {
            fprintf(to, " %15s", "-");
            continue;
        }
        rate = (double)k->elements / bench_median(t->seconds, t->count);
        fprintf(to, "%6.0f %4.1f %4.2f", rate * 1e-6, rate * 4e-9, bench_ratio(&k->times[COPY], t));
    }
    fprintf(to, "\n");
    fflush(to);
}

static void write_json(const work *k, const char *text, int threads, FILE *to)
{
    for (int i = 0; i < ACTIONS; i++) {
        const bench_times *t = &k->times[i];
        double n = (double)k->elements;
        if (!t->count) continue;
        fprintf(to,
                "{\"format\":\"%s\",\"action\":\"%s\",\"kernel\":\"%s\",\"threads\":%d,"
                "\"elements\":%zu,\"median\":%.4e,\"best\":%.4e,\"of_copy\":%.4f}\n",
                text, actions[i], mls_kernel_used(), threads, k->elements,
                n / bench_median(t->seconds, t->count), n / bench_best(t->seconds, t->count),
                bench_ratio(&k->times[COPY], t));
    }
    fflush(to);
}

static void print_header(const work *k, int rounds, int threads, FILE *to)
{
    fprintf(to,
            "%zu elements [%d][%d][%d][%d], %.1f MiB of fp32, kernel %s, threads %d, %d rounds\n",
            k->elements, (int)k->shape.n, SIDE, SIDE, CHANNELS, (double)k->elements * 4 / (1 << 20),
            mls_kernel_used(), threads, rounds);
    fprintf(to, "medians: million elements a second, GB a second, ratio to the copy\n%-24s",
            "format");
    for (int i = 0; i < COPY; i++) fprintf(to, " %15s", actions[i]);
    fprintf(to, "\n");
}

/* All formats, or the one that is not null, on images of one size. */
static void run(int images, const char *only, int rounds, int threads, FILE *text, FILE *json)
{
    static work k;
    mls_shape shape = {0, SIDE, SIDE, CHANNELS};
    shape.n = images;
    k.shape = shape, k.elements = bench_elements(shape);
    k.x = bench_floats(shape), k.y = bench_floats(shape);
    bench_fill(k.x, k.elements, 1);
    print_header(&k, rounds, threads, text);
    for (size_t i = 0; i < (only ? 1 : sizeof study / sizeof study[0]); i++) {
        bench_block *mark = bench_mark();
        const char *format = only ? only : study[i];
        open_format(&k, format);
        measure(&k, rounds);
        print_format(&k, format, text);
        if (json) write_json(&k, format, threads, json);
        bench_free(mark);
    }
    fprintf(text, "\n");
    bench_free(0);
}

int main(int count, char **words)
{
    static const bench_word known[] = {
        {"--elements N", "quantize so many (131072, then 67108864)"},
        {"--format FORMAT", "only this one, as 2,1:nc:2,0:nearest (eight of a study)"},
        {"--kernel NAME", "one of those that are here, or all (auto)"},
        {"--threads N", "OpenMP threads (1)"},
        {"--rounds N", "measurements of each, whose median counts (9)"},
        {"--json [FILE]", "also as lines of JSON (to standard output)"},
        {0, 0}};
    const char *kernel = bench_option(count, words, "--kernel", "auto");
    const char *format = bench_option(count, words, "--format", 0);
    int all = strcmp(kernel, "all") == 0, sizes[2] = {IN_CACHE, BEYOND}, size_count = 2;
    int rounds, threads;
    FILE *json, *text;
    bench_words(count, words, "bench_quantize - speed of the quantizer, beside a plain copy",
                known);
    rounds = bench_number(count, words, "--rounds", 9);
    threads = bench_thread_option(count, words);
    json = bench_file(count, words, "--json"), text = json == stdout ? stderr : stdout;
    if (bench_flag(count, words, "--elements")) {
        sizes[0] = bench_number(count, words, "--elements", IN_CACHE), size_count = 1;
    }
    if (sizes[0] < IMAGE) {
        fprintf(stderr, "--elements %d: at least %d\n", sizes[0], IMAGE);
        return 2;
    }
    if (format && mls_format_bits(bench_format(format)) == 0) {
        fprintf(stderr, "--format %s: nothing to quantize\n", format);
        return 2;
    }
    bench_threads(threads);
    for (int i = 0; i < size_count; i++) {
        for (int j = 0; j < (all ? mls_kernel_count() : 1); j++) {
            bench_kernel(all ? mls_kernel_name(j) : kernel);
            run(sizes[i] / IMAGE, format, rounds, threads, text, json);
        }
    }
    return 0;
}
