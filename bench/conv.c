/* conv.c - speed of the three convolutions in GMAC/s: our integer classes and fp32, and oneDNN.

   bench_conv [--set resnet20|resnet18|other|all] [--shape n128c16h32k16r3s1[,SHAPE...]]
              [--direction forward|backward-data|backward-weight|all]
              [--class int8|int16|wide|fp32|all] [--kernel NAME|auto|all] [--threads N]
              [--rounds N] [--tensors] [--peer yes|no] [--json [FILE]] [--plot FILE]

   A shape is n images of h x h pixels with c channels, k output channels, r x r taps, a stride of
   s, r / 2 zeros on every side. Operands are prepared before the clock starts, as the reorders of
   oneDNN are; --tensors starts from packed tensors, as the wide class always does. With --threads N
   one thread is measured in the same rounds. Every result is checked: see >>check. */
#define MLS_IMPLEMENTATION
#include "mls_train.h"
#include "bench/bench.h"
#include "bench/peak.h"
#include <math.h>
#ifdef BENCH_ONEDNN
#include "bench/peers/onednn.h"
#endif

enum {
    DIRECTIONS = 3, /* as mls_direction */
    SHAPES_MOST = 64,
    SERIES_MOST = 80
};

static const char *const directions[DIRECTIONS] = {"forward", "backward-data", "backward-weight"};
static const mls_role roles[DIRECTIONS][2] = {
    {MLS_WEIGHT, MLS_INPUT}, {MLS_WEIGHT, MLS_ERROR}, {MLS_ERROR, MLS_INPUT}};

/* Classes of the formats, by the bits that folded elements need. The spread of the groups, in powers
   of two, makes the tensors use all of them. */
enum {
    INT8,
    INT16,
    WIDE,
    FP32,
    CLASSES
};
static const char *const classes[CLASSES] = {"int8", "int16", "wide", "fp32"};
static const char *const formats[CLASSES] = {"2,1:nc:2,0", "2,1:nc:3,1", "2,1:nc:8,1", "fp32"};
static const int spreads[CLASSES] = {2, 6, 20, 2};

/* ------------------------------------------------------------------------------ >>shapes */

typedef struct shape {
    int n, c, h, k, r, s;
    int other; /* of no network: not in the means */
} shape;

typedef struct shape_set {
    const char *name, *shapes;
} shape_set;

enum {
    SETS = 3,
    OTHER = 2
};
static const char *const sets[SETS] = {"resnet20", "resnet18", "other"};
static const char *const set_shapes[SETS] = {
    "n128c3h32k16r3s1,n128c16h32k16r3s1,n128c16h32k32r3s2,n128c32h16k32r3s1,n128c32h16k64r3s2,"
    "n128c64h8k64r3s1",
    "n16c3h224k64r7s2,n16c64h56k64r3s1,n16c64h56k128r3s2,n16c128h28k128r3s1,n16c128h28k256r3s2,"
    "n16c256h14k256r3s1,n16c256h14k512r3s2,n16c512h7k512r3s1",
    "n128c16h32k32r1s2,n16c64h56k64r1s1,n128c17h16k17r3s1,n32c16h32k16r5s1,n32c16h32k16r7s1"};

static mls_conv shape_conv(const shape *s)
{
    mls_conv c = {{s->n, s->h, s->h, s->c}, s->k, s->r, s->r, s->s, s->r / 2};
    return c;
}

static void shape_name(const shape *s, char *name, size_t size)
{
    snprintf(name, size, "n%dc%dh%dk%dr%ds%d", s->n, s->c, s->h, s->k, s->r, s->s);
}

static double shape_gmacs(const shape *s)
{
    mls_conv c = shape_conv(s);
    return (double)bench_elements(mls_conv_output(&c)) * s->r * s->r * s->c * 1e-9;
}

static int shape_parse(shape *s, const char *text)
{
    int size = 0;
    mls_conv c;
    memset(s, 0, sizeof *s);
    if (sscanf(text, "n%5dc%5dh%5dk%5dr%5ds%5d%n", &s->n, &s->c, &s->h, &s->k, &s->r, &s->s,
               &size) != 6 ||
        text[size] || s->s < 1) {
        return 0;
    }
    c = shape_conv(s);
    return mls_conv_output(&c).n > 0;
}

/* Adds the shapes of a list with commas. */
static void shapes_add(shape *shapes, int *count, const char *list, int other)
{
    char name[64];
    while (*list) {
        size_t size = strcspn(list, ",");
        snprintf(name, sizeof name, "%.*s", (int)(size < 60 ? size : 60), list);
        if (*count == SHAPES_MOST || !shape_parse(&shapes[*count], name)) {
            fprintf(stderr, "--shape %s: %s\n", name,
                    *count == SHAPES_MOST ? "too many" : "not like n128c16h32k16r3s1, or too large");
            exit(2);
        }
        shapes[*count].other = other;
        ++*count;
        list += size + (list[size] == ',');
    }
}

/* Layers that are neither the first nor the last of their network. */
static int is_inner(const shape *s)
{
    return !s->other && s->r == 3 && s->c > 3;
}

static int has_32_or_64(const shape *s)
{
    return is_inner(s) && (s->c == 32 || s->c == 64) && (s->k == 32 || s->k == 64);
}

/* ------------------------------------------------------------------------------ >>series
   What is measured on every shape: a class under a kernel with some threads, or a type of the
   peer's. */

#ifndef BENCH_ONEDNN
typedef struct peer peer;
enum peer_type {
    PEER_F32,
    PEER_BF16,
    PEER_S8,
    PEER_U8
};
#endif
enum {
    PEERS = 4
};
static const char *const peer_names[PEERS] = {"oneDNN fp32", "oneDNN bf16", "oneDNN s8 s8",
                                              "oneDNN u8 s8"};

typedef struct series {
    char name[32];
    const char *kernel; /* null: the peer */
    int which;          /* class, or type of the peer's */
    int threads;
    int extra; /* only for the shapes of its comparison */
    const char *peak;
} series;

typedef struct speed { /* GMAC/s; 0: not measured */
    double median, best;
} speed;

/* The instruction that a kernel multiplies with: int8, int16, wide, fp32. */
static const char *kernel_peak(const char *kernel, int which)
{
    static const struct {
        const char *kernel, *peaks[CLASSES];
    } table[] = {{"sse41", {"maddubs.128", "maddwd.128", "", ""}},
                 {"avx2", {"maddubs.256", "maddwd.256", "", "fp32.256"}},
                 {"avxvnni", {"dpbusd.256", "dpwssd.256", "", "fp32.256"}},
                 {"avx512vnni", {"dpbusd.512", "dpwssd.512", "", "fp32.512"}},
                 {"amx", {"amx.s8", "dpwssd.512", "", "fp32.512"}},
                 {"neon", {"smlal", "", "", "fmla"}},
                 {"dotprod", {"sdot", "", "", "fmla"}}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (strcmp(table[i].kernel, kernel) == 0) return table[i].peaks[which];
    }
    return "";
}

/* The best that the peer could use here. */
static const char *peer_peak(enum peer_type type)
{
    if (type == PEER_F32) return bench_peak_get("fp32.512") > 0 ? "fp32.512" : "fp32.256";
    if (type == PEER_BF16) return "dpbf16.512";
    if (bench_peak_get("amx.s8") > 0) return "amx.s8";
    if (bench_peak_get("dpbusd.512") > 0) return "dpbusd.512";
    return bench_peak_get("dpbusd.256") > 0 ? "dpbusd.256" : "maddubs.256";
}

/* ----------------------------------------------------------------------------- >>options */

typedef struct options {
    shape shapes[SHAPES_MOST];
    series series[SERIES_MOST];
    int shape_count, series_count, rounds, threads, tensors, direction;
    FILE *text, *json, *plot;
} options;

static int find_series(const options *o, const char *kernel, int which, int threads)
{
    for (int i = 0; i < o->series_count; i++) {
        const series *s = &o->series[i];
        if ((s->kernel && kernel ? strcmp(s->kernel, kernel) == 0 : s->kernel == kernel) &&
            s->which == which && s->threads == threads) {
            return i;
        }
    }
    return -1;
}

static void add_series(options *o, const char *kernel, int which, int threads, int extra)
{
    series *s = &o->series[o->series_count];
    if (o->series_count == SERIES_MOST || find_series(o, kernel, which, threads) >= 0) return;
    memset(s, 0, sizeof *s);
    s->kernel = kernel, s->which = which, s->threads = threads, s->extra = extra;
    s->peak = kernel ? kernel_peak(kernel, which) : peer_peak((enum peer_type)which);
    snprintf(s->name, sizeof s->name, "%s%s%s", kernel ? classes[which] : peer_names[which],
             kernel ? " " : "", kernel ? kernel : "");
    if (threads < o->threads) strcat(s->name, " x1");
    o->series_count++;
}

/* Kernels are forced on top of the chosen one to compare them with their instruction's peak. */
static void list_series(options *o, int which, const char *kernel, int peers)
{
    static const char *const forced[] = {"avx512vnni", "avx2"};
    int all = strcmp(kernel, "all") == 0, first = which == CLASSES ? 0 : which;
    int last = which == CLASSES ? FP32 : which;
    if (mls_kernel_use(all ? "auto" : kernel) != MLS_OK) {
        fprintf(stderr, "--kernel %s: not here\n", kernel);
        exit(2);
    }
    for (int i = first; i <= last; i++) {
        add_series(o, mls_kernel_used(), i, o->threads, 0);
        add_series(o, mls_kernel_used(), i, 1, 0);
        for (int j = mls_kernel_count() - 1; all && j >= 0; j--) {
            add_series(o, mls_kernel_name(j), i, o->threads, 0);
        }
    }
    for (int i = 0; i < 2 && strcmp(kernel, "auto") == 0 && first == INT8; i++) {
        if (mls_kernel_use(forced[i]) == MLS_OK) add_series(o, forced[i], INT8, o->threads, 1);
    }
#ifdef BENCH_ONEDNN
    for (int i = 0; i < PEERS && peers; i++) add_series(o, 0, i, o->threads, 0);
#else
    (void)peers;
#endif
}

static void read_options(options *o, int count, char **words)
{
    static const char *const known[] = {"--set NAME",   "--shape SHAPES", "--direction NAME",
                                        "--class NAME", "--kernel NAME",  "--threads N",
                                        "--rounds N",   "--tensors",      "--peer yes|no",
                                        "--json [FILE]", "--plot FILE",   0};
    static const char *const answers[] = {"no", "yes"};
    int set, which, peers;
    memset(o, 0, sizeof *o);
    bench_words(count, words, known);
    set = bench_choice("--set", bench_option(count, words, "--set", "all"), sets, SETS);
    which = bench_choice("--class", bench_option(count, words, "--class", "all"), classes, CLASSES);
    peers = bench_choice("--peer", bench_option(count, words, "--peer", "yes"), answers, 2);
    o->direction = bench_choice("--direction", bench_option(count, words, "--direction", "all"),
                                directions, DIRECTIONS);
    o->rounds = bench_number(count, words, "--rounds", 15);
    o->threads = bench_thread_option(count, words);
    o->tensors = bench_flag(count, words, "--tensors");
    for (int i = 1; i + 1 < count; i++) {
        if (strcmp(words[i], "--shape") == 0) {
            shapes_add(o->shapes, &o->shape_count, words[i + 1], 0);
        }
    }
    for (int i = 0; i < SETS; i++) {
        if (o->shape_count && !bench_flag(count, words, "--set")) break;
        if (set == i || set == SETS) {
            shapes_add(o->shapes, &o->shape_count, set_shapes[i], i == OTHER);
        }
    }
    list_series(o, which, bench_option(count, words, "--kernel", "auto"), peers);
    o->json = bench_file(count, words, "--json");
    o->plot = bench_file(count, words, "--plot");
    o->text = o->json == stdout || o->plot == stdout ? stderr : stdout;
}

/* -------------------------------------------------------------------------------- >>work */

/* A shape in one class: numbers, tensors and prepared operands of W, A and E. */
typedef struct work {
    mls_conv conv;
    int which, prepared;
    float *x[3];
    mls_tensor tensor[3];
    mls_operand operand[3];
    float *out;
    void *workspace;
    size_t size;
} work;

static mls_shape role_shape(const mls_conv *c, int role)
{
    mls_shape weight = {c->c_out, c->kh, c->kw, c->in.c};
    return role == MLS_WEIGHT ? weight : role == MLS_INPUT ? c->in : mls_conv_output(c);
}

/* Bell-shaped numbers whose groups (n, c) span some powers of two. */
static float *numbers(mls_shape s, uint64_t seed, int spread)
{
    float *x = bench_floats(s), *p = x;
    size_t pixels = (size_t)s.h * (size_t)s.w;
    bench_fill(x, bench_elements(s), seed);
    for (int32_t n = 0; n < s.n; n++) {
        for (size_t i = 0; i < pixels; i++) {
            for (int32_t c = 0; c < s.c; c++, p++) *p *= ldexpf(1, -((n + c) % (spread + 1)));
        }
    }
    return x;
}

static void prepare(work *k)
{
    for (int i = 0; i < 3; i++) {
        mls_format f = k->tensor[i].format;
        k->operand[i] = bench_operand(&k->conv, (mls_role)i, f, mls_operand_bits(f));
        bench_ok(mls_operand_load(&k->operand[i], &k->tensor[i]), "load");
    }
}

static work *work_make(const shape *s, int which, int tensors)
{
    work *k = (work *)bench_memory(sizeof *k);
    mls_format f = bench_format(formats[which]);
    size_t most = 0;
    memset(k, 0, sizeof *k);
    k->conv = shape_conv(s), k->which = which;
    for (int i = 0; i < 3; i++) {
        mls_shape t = role_shape(&k->conv, i);
        most = most > bench_elements(t) ? most : bench_elements(t);
        k->x[i] = numbers(t, (uint64_t)i + 1, i == MLS_WEIGHT && which == WIDE ? 2 : spreads[which]);
        if (which == FP32) continue;
        k->tensor[i] = bench_tensor(f, t);
        bench_ok(mls_quantize(&k->tensor[i], k->x[i], 1), "quantize");
    }
    k->prepared = !tensors && which != FP32 && mls_operand_bits(f) > 0;
    if (k->prepared) prepare(k);
    k->out = (float *)bench_memory(most * sizeof(float));
    k->size = mls_conv_workspace(&k->conv, f, f);
    k->workspace = bench_memory(k->size);
    return k;
}

static void work_run(const work *k, int direction, float *out)
{
    typedef mls_status (*with_floats)(const mls_conv *, const float *, const float *, float *,
                                      void *, size_t);
    typedef mls_status (*with_tensors)(const mls_conv *, const mls_tensor *, const mls_tensor *,
                                       float *, void *, size_t);
    static const with_floats floats[DIRECTIONS] = {
        mls_conv_forward_fp32, mls_conv_backward_data_fp32, mls_conv_backward_weight_fp32};
    static const with_tensors tensors[DIRECTIONS] = {mls_conv_forward, mls_conv_backward_data,
                                                     mls_conv_backward_weight};
    mls_role a = roles[direction][0], b = roles[direction][1];
    mls_status s =
        k->which == FP32
            ? floats[direction](&k->conv, k->x[a], k->x[b], out, k->workspace, k->size)
        : k->prepared ? mls_conv_prepared(&k->conv, (mls_direction)direction, &k->operand[a],
                                          &k->operand[b], out, k->workspace, k->size)
                      : tensors[direction](&k->conv, &k->tensor[a], &k->tensor[b], out,
                                           k->workspace, k->size);
    bench_ok(s, directions[direction]);
}

/* ------------------------------------------------------------------------------- >>check
   The reference is slow, so it may compute less than the whole batch: the first images, from the same
   tensors. Those of the timed result must be the same bits; a gradient of the weights, which sums
   over all images, is computed again from these. The wide class and fp32 are compared with the
   library's scalar kernel, the others with sums in double precision, which are exact there. */

static work work_head(const work *k, int32_t images)
{
    work head = *k;
    head.conv.in.n = images;
    head.tensor[MLS_INPUT].shape.n = head.tensor[MLS_ERROR].shape.n = images;
    if (k->prepared && images < k->conv.in.n) prepare(&head);
    return head;
}

static void add_taps(const mls_conv *c, int direction, const double *first, const double *second,
                     double *out)
{
    mls_shape o = mls_conv_output(c);
    size_t ci = (size_t)c->in.c, tap = 0, at = 0;
    (void)tap;
    for (int32_t n = 0; n < o.n; n++) {
        for (int32_t y = 0; y < o.h; y++) {
            for (int32_t x = 0; x < o.w; x++, at += (size_t)o.c) {
                for (int32_t t = 0; t < c->kh * c->kw; t++) {
                    int32_t iy = y * c->stride + t / c->kw - c->pad;
                    int32_t ix = x * c->stride + t % c->kw - c->pad;
                    size_t in = (size_t)((n * c->in.h + iy) * c->in.w + ix) * ci;
                    if (iy < 0 || iy >= c->in.h || ix < 0 || ix >= c->in.w) continue;
                    (void)in, (void)first, (void)second, (void)out, (void)direction;
                }
            }
        }
    }
}
