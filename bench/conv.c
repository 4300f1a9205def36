/* conv.c - speed of the three convolutions in GMAC/s: our integer classes and fp32, and oneDNN.

   bench_conv --help lists the options.

   A shape is n images of h x w pixels (w: as h, if it is not said) with c channels, k output
   channels, r x r taps, a stride of s, p zeros on every side (r / 2), and g groups of channels (1):
   n128c16h32k16r3s1, or n1c24h5w40k16r3s1p0. --own FILE.c measures a kernel of yours beside the
   others, see own.h. Operands are prepared
   before the clock starts, as the reorders of oneDNN are; --tensors starts from packed tensors, as the
   wide class always does. Both sides are
   warm, as in a network of such layers; --cold times the first call after others. With --threads N
   one thread is measured in the same rounds (set OMP_WAIT_POLICY=passive on a shared machine).
   Every result is checked: see >>check.

   The last line holds geometric means over the inner 3x3 layers of the two networks. */
#define _POSIX_C_SOURCE 200809L
#define MLS_IMPLEMENTATION
#include "mls_train.h"
#include "bench/bench.h"
#include "bench/own.h"
#include "bench/peak.h"
#include <math.h>
#ifdef BENCH_ONEDNN
#include "bench/peers/onednn.h"
#endif

enum {
    DIRECTIONS = 3, /* as mls_direction */
    WARM = 3,       /* calls before the clock starts, and of a millisecond on it */
    SHAPES_MOST = 64,
    SERIES_MOST = 80
};

static const char *const directions[DIRECTIONS + 1] = {"forward", "backward-data",
                                                       "backward-weight", "all"};
static const mls_role roles[DIRECTIONS][2] = {
    {MLS_WEIGHT, MLS_ACTIVATION}, {MLS_WEIGHT, MLS_ERROR}, {MLS_ERROR, MLS_ACTIVATION}};

/* Classes of the formats, by the bits that folded elements need. The spread of the groups, in
   powers of two, makes the tensors use all of them (wide: A and E). */
enum {
    INT8,
    INT16,
    WIDE,
    FP32,
    CLASSES
};
static const char *const classes[CLASSES + 1] = {"int8", "int16", "wide", "fp32", "all"};
static const char *const formats[CLASSES] = {"2,1:nc:2,0", "2,1:nc:3,1", "2,1:nc:8,1", "fp32"};
static const int spreads[CLASSES] = {2, 6, 20, 2};

/* ------------------------------------------------------------------------------ >>shapes */

typedef struct shape {
    int n, c, h, w, k, r, s, p, g;
    int other; /* of no network: not in the means */
} shape;

enum {
    SETS = 3,
    OTHER = 2
};
static const char *const sets[SETS + 1] = {"resnet20", "resnet18", "other", "all"};
static const char *const set_shapes[SETS] = {
    "n128c3h32k16r3s1,n128c16h32k16r3s1,n128c16h32k32r3s2,n128c32h16k32r3s1,n128c32h16k64r3s2,"
    "n128c64h8k64r3s1",
    "n16c3h224k64r7s2,n16c64h56k64r3s1,n16c64h56k128r3s2,n16c128h28k128r3s1,n16c128h28k256r3s2,"
    "n16c256h14k256r3s1,n16c256h14k512r3s2,n16c512h7k512r3s1",
    "n128c16h32k32r1s2,n16c64h56k64r1s1,n128c17h16k17r3s1,n32c16h32k16r5s1,n32c16h32k16r7s1"};

static mls_conv shape_conv(const shape *s)
{
    const mls_shape in = {s->n, s->h, s->w, s->c};
    mls_conv c = {0};
    c.in = in, c.c_out = s->k, c.kh = c.kw = s->r, c.stride = s->s, c.pad = s->p;
    c.groups = s->g;
    return c;
}

/* Adds a letter and a number to a name. */
static void name_add(char *name, size_t size, char letter, int value)
{
    size_t used = strlen(name);
    snprintf(name + used, size - used, "%c%d", letter, value);
}

static void shape_name(const shape *s, char *name, size_t size)
{
    snprintf(name, size, "n%dc%dh%d", s->n, s->c, s->h);
    if (s->w != s->h) name_add(name, size, 'w', s->w);
    name_add(name, size, 'k', s->k), name_add(name, size, 'r', s->r);
    name_add(name, size, 's', s->s);
    if (s->p != s->r / 2) name_add(name, size, 'p', s->p);
    if (s->g > 1) name_add(name, size, 'g', s->g);
}

static double shape_gmacs(const shape *s)
{
    mls_conv c = shape_conv(s);
    return (double)bench_elements(mls_conv_output(&c)) * s->r * s->r * (s->c / s->g) * 1e-9;
}

/* letter and number, if they come next */
static const char *shape_take(const char *text, char letter, int *value)
{
    int size = 0;
    if (*text != letter || sscanf(text + 1, "%5d%n", value, &size) != 1 || *value < 0) return text;
    return text + 1 + size;
}

static int shape_parse(shape *s, const char *text)
{
    static const char letters[] = "nchwkrspg";
    int *values[] = {&s->n, &s->c, &s->h, &s->w, &s->k, &s->r, &s->s, &s->p, &s->g};
    mls_conv c;
    memset(s, 0, sizeof *s);
    s->w = s->p = s->g = -1;
    for (int i = 0; letters[i]; i++) text = shape_take(text, letters[i], values[i]);
    if (s->w < 0) s->w = s->h;
    if (s->p < 0) s->p = s->r / 2;
    if (s->g < 0) s->g = 1;
    c = shape_conv(s);
    return !*text && s->g > 0 && s->s > 0 && mls_conv_output(&c).n > 0;
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
                    *count == SHAPES_MOST ? "too many"
                                          : "not like n128c16h32k16r3s1, or too large");
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
    return !s->other && s->r == 3 && s->c > 3 && s->g == 1;
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
    int own;   /* the kernel of --own, whose operands are those of kernel */
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

/* Its place in bench_peaks; -1 where it cannot be measured. */
static int peak_index(const char *name)
{
    for (int i = 0; bench_peaks[i].name; i++) {
        if (strcmp(bench_peaks[i].name, name) == 0) return bench_peak_get(name) > 0 ? i : -1;
    }
    return -1;
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
    int shape_count, series_count, rounds, threads, tensors, warm, direction;
    own_library own;
    FILE *text, *json, *plot;
} options;

static int find_series(const options *o, const char *kernel, int which, int threads)
{
    for (int i = 0; i < o->series_count; i++) {
        const series *s = &o->series[i];
        if (!s->own &&
            (s->kernel && kernel ? strcmp(s->kernel, kernel) == 0 : s->kernel == kernel) &&
            s->which == which && s->threads == threads) {
            return i;
        }
    }
    return -1;
}

static int find_own(const options *o)
{
    int i = o->series_count - 1; /* the last one, if there is one */
    return i >= 0 && o->series[i].own ? i : -1;
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
    bench_kernel(all ? "auto" : kernel);
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

static void add_own(options *o, const char *path)
{
    series *s = &o->series[o->series_count];
    if (o->series_count == SERIES_MOST) return;
    own_open(&o->own, path);
    memset(s, 0, sizeof *s);
    s->kernel = o->series[0].kernel, s->which = INT8, s->threads = 1, s->own = 1;
    s->peak = kernel_peak(s->kernel, INT8);
    snprintf(s->name, sizeof s->name, "own int8");
    o->series_count++;
}

static void read_options(options *o, int count, char **words)
{
    static const bench_word known[] = {
        {"--set NAME", "layers of resnet20, resnet18, other or all (all)"},
        {"--shape SHAPES", "instead of a set, or beside it: n128c16h32k16r3s1,..."},
        {"--direction NAME", "forward, backward-data, backward-weight or all (all)"},
        {"--class NAME", "int8, int16, wide, fp32 or all (all)"},
        {"--kernel NAME", "one of those that are here, or all (auto)"},
        {"--threads N", "OpenMP threads (1)"},
        {"--rounds N", "measurements of each, whose median counts (15)"},
        {"--tensors", "start from packed tensors, not from operands"},
        {"--own FILE.c", "a kernel of yours beside ours: see bench/own.h"},
        {"--peer yes|no", "measure oneDNN, too, if it was built in (yes)"},
        {"--cold", "the first call after others, not one of many"},
        {"--json [FILE]", "also as lines of JSON (to standard output)"},
        {"--plot FILE", "also as a table for bench/conv.awk"},
        {0, 0}};
    static const char *const answers[] = {"no", "yes"};
    int set, which, peers, only_shapes;
    memset(o, 0, sizeof *o);
    bench_words(count, words, "bench_conv - speed of the three convolutions in GMAC/s", known);
    set = bench_choice("--set", bench_option(count, words, "--set", "all"), sets, SETS + 1);
    which =
        bench_choice("--class", bench_option(count, words, "--class", "all"), classes, CLASSES + 1);
    peers = bench_choice("--peer", bench_option(count, words, "--peer", "yes"), answers, 2);
    o->direction = bench_choice("--direction", bench_option(count, words, "--direction", "all"),
                                directions, DIRECTIONS + 1);
    o->rounds = bench_number(count, words, "--rounds", 15);
    o->threads = bench_thread_option(count, words);
    o->tensors = bench_flag(count, words, "--tensors");
    o->warm = bench_flag(count, words, "--cold") ? 0 : WARM;
    for (int i = 1; i + 1 < count; i++) {
        if (strcmp(words[i], "--shape") == 0) {
            shapes_add(o->shapes, &o->shape_count, words[i + 1], 0);
        }
    }
    only_shapes = o->shape_count && !bench_flag(count, words, "--set");
    for (int i = 0; i < SETS && !only_shapes; i++) {
        if (set == i || set == SETS) {
            shapes_add(o->shapes, &o->shape_count, set_shapes[i], i == OTHER);
        }
    }
    list_series(o, which, bench_option(count, words, "--kernel", "auto"), peers);
    if (bench_flag(count, words, "--own")) add_own(o, bench_option(count, words, "--own", ""));
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
    return role == MLS_WEIGHT       ? mls_conv_weight_shape(c)
           : role == MLS_ACTIVATION ? c->in
                                    : mls_conv_output(c);
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
        k->x[i] =
            numbers(t, (uint64_t)i + 1, i == MLS_WEIGHT && which == WIDE ? 0 : spreads[which]);
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
        k->which == FP32 ? floats[direction](&k->conv, k->x[a], k->x[b], out, k->workspace, k->size)
        : k->prepared    ? mls_conv_prepared(&k->conv, (mls_direction)direction, &k->operand[a],
                                             &k->operand[b], out, k->workspace, k->size)
                         : tensors[direction](&k->conv, &k->tensor[a], &k->tensor[b], out,
                                           k->workspace, k->size);
    bench_ok(s, directions[direction]);
}

/* ------------------------------------------------------------------------------- >>check
   The references are slow, so of a large batch they compute the first images only, from the same
   tensors. Those must be the same bits in the timed result; a gradient of the weights, which sums
   over all images, is computed once more from these. */

enum {
    EXACT_MACS = 120000000,
    SCALAR_MACS = 50000000
};

static const mls_role results[DIRECTIONS] = {MLS_ERROR, MLS_ACTIVATION, MLS_WEIGHT}; /* by shape */

/* Adds the products of all taps to the one of W, A and E that is the result. */
static void add_products(const mls_conv *c, mls_role result, double *const *v)
{
    mls_shape e = mls_conv_output(c);
    int32_t taps = c->kh * c->kw;
    size_t ci = (size_t)(c->in.c / c->groups), step = (size_t)taps * ci;
    int32_t share = e.c / c->groups; /* outputs that see the same channels */
    double *ep = v[MLS_ERROR];
    for (int64_t pixel = 0; pixel < (int64_t)e.n * e.h * e.w; pixel++, ep += e.c) {
        int64_t n = pixel / (e.h * e.w), y = pixel / e.w % e.h, x = pixel % e.w;
        for (int32_t t = 0; t < taps; t++) {
            int64_t iy = y * c->stride + t / c->kw - c->pad;
            int64_t ix = x * c->stride + t % c->kw - c->pad;
            double *all, *w = v[MLS_WEIGHT] + (size_t)t * ci;
            if (iy < 0 || iy >= c->in.h || ix < 0 || ix >= c->in.w) continue;
            all = v[MLS_ACTIVATION] + (size_t)((n * c->in.h + iy) * c->in.w + ix) * (size_t)c->in.c;
            for (int32_t o = 0; o < e.c; o++, w += step) {
                double sum = ep[o], *a = all + (size_t)(o / share) * ci;
                if (result == MLS_ERROR) {
                    for (size_t i = 0; i < ci; i++) sum += w[i] * a[i];
                    ep[o] = sum;
                } else if (result == MLS_ACTIVATION) {
                    for (size_t i = 0; i < ci; i++) a[i] += w[i] * sum;
                } else {
                    for (size_t i = 0; i < ci; i++) w[i] += sum * a[i];
                }
            }
        }
    }
}

/* The result by sums in double precision of the tensors' values in units of their scales. Nothing
   is rounded there: values are small integers times powers of two that are not far apart. */
static void exact_run(const work *k, int direction, float *out)
{
    mls_role result = results[direction];
    float scale = k->tensor[roles[direction][0]].scale * k->tensor[roles[direction][1]].scale;
    double *v[3];
    for (int i = 0; i < 3; i++) {
        mls_tensor t = k->tensor[i];
        size_t count = bench_elements(t.shape);
        float *x = bench_floats(t.shape);
        t.scale = 1;
        bench_ok(mls_dequantize(&t, x), "dequantize");
        v[i] = (double *)bench_memory(count * sizeof(double));
        for (size_t j = 0; j < count; j++) v[i][j] = i == (int)result ? 0 : (double)x[j];
    }
    add_products(&k->conv, result, v);
    for (size_t j = 0; j < bench_elements(role_shape(&k->conv, (int)result)); j++) {
        out[j] = (float)v[result][j] * scale;
    }
}

static void scalar_run(const work *k, int direction, float *out)
{
    const char *kernel = mls_kernel_used();
    bench_ok(mls_kernel_use("scalar"), "scalar");
    work_run(k, direction, out);
    bench_ok(mls_kernel_use(kernel), kernel);
}

static int largest_k(const mls_tensor *t)
{
    int most = 0;
    for (size_t i = 0; i < mls_group_count(t->format, t->shape); i++) {
        int k = t->group[i] >> t->format.mg;
        most = k > most ? k : most;
    }
    return most;
}

/* Beyond these exponents the format's definition drops bits of products (see mls_conv.h). */
static int is_exact(const work *k, int direction)
{
    return k->which != FP32 && largest_k(&k->tensor[roles[direction][0]]) +
                                       largest_k(&k->tensor[roles[direction][1]]) <=
                                   30;
}

static work work_head(const work *k, int32_t images)
{
    work head = *k;
    head.conv.in.n = images;
    head.tensor[MLS_ACTIVATION].shape.n = head.tensor[MLS_ERROR].shape.n = images;
    return head;
}

/* k->out holds the result of the whole batch. */
static int is_right(const work *k, int direction, double gmacs)
{
    int exact = is_exact(k, direction);
    double images = (exact ? EXACT_MACS : SCALAR_MACS) * 1e-9 / gmacs * k->conv.in.n;
    int32_t n = images < 1 ? 1 : images < k->conv.in.n ? (int32_t)images : k->conv.in.n;
    work head = work_head(k, n);
    mls_shape out = role_shape(&head.conv, (int)results[direction]);
    float *expected = bench_floats(out);
    if (direction == MLS_BACKWARD_WEIGHT && n < k->conv.in.n) {
        if (k->prepared) prepare(&head);
        work_run(&head, direction, k->out);
    }
    head.prepared = 0;
    if (exact)
        exact_run(&head, direction, expected);
    else
        scalar_run(&head, direction, expected);
    return memcmp(expected, k->out, bench_elements(out) * sizeof(float)) == 0;
}

/* -------------------------------------------------------------------------------- >>peer */

#ifdef BENCH_ONEDNN
/* x in integers up to 127: a copy of the numbers, as large as they can be. */
static void to_integers(float *x, size_t count, int positive)
{
    float largest = 0;
    for (size_t i = 0; i < count; i++) largest = fabsf(x[i]) > largest ? fabsf(x[i]) : largest;
    for (size_t i = 0; i < count; i++) {
        x[i] = rintf(x[i] / largest * 127);
        if (positive) x[i] = fabsf(x[i]);
    }
}

/* How far the peer's result is from our fp32 one, in units of the largest. */
static double peer_error(peer *p, const work *k, int direction)
{
    size_t count = bench_elements(role_shape(&k->conv, (int)results[direction]));
    bench_block *mark = bench_mark();
    float *out = (float *)bench_memory(count * sizeof(float));
    double largest = 0, error = 0;
    peer_run(p);
    if (!peer_output(p, out)) return 1;
    work_run(k, direction, k->out);
    for (size_t i = 0; i < count; i++) {
        double z = k->out[i], off = fabs(z - out[i]);
        largest = fabs(z) > largest ? fabs(z) : largest;
        error = off > error ? off : error;
    }
    bench_free(mark);
    return error / largest;
}

/* Null where the peer has none, or a wrong one. */
static peer *peer_open(const shape *s, work *k, int direction, enum peer_type type)
{
    peer_shape q = {s->n, s->h, s->w, s->c, s->k, s->r, s->s, s->p};
    int integer = type == PEER_S8 || type == PEER_U8;
    peer *p;
    double error;
    if (s->g > 1) return 0;
    for (int i = 0; i < 2 && integer && direction == MLS_FORWARD; i++) {
        mls_role role = roles[direction][i];
        to_integers(k->x[role], bench_elements(role_shape(&k->conv, (int)role)),
                    type == PEER_U8 && role == MLS_ACTIVATION);
    }
    p = peer_make(&q, direction, type, k->x[roles[direction][0]], k->x[roles[direction][1]]);
    if (!p) return 0;
    error = peer_error(p, k, direction);
    if (error < (type == PEER_BF16 ? 2e-2 : 1e-4)) return p;
    fprintf(stderr, "%s %s: the peer's result is off by %g, left out\n", peer_names[type],
            directions[direction], error);
    peer_free(p);
    return 0;
}
#else
static peer *peer_open(const shape *s, work *k, int direction, enum peer_type type)
{
    (void)s, (void)k, (void)direction, (void)type;
    return 0;
}
static void peer_run(peer *p)
{
    (void)p;
}
static void peer_free(peer *p)
{
    (void)p;
}
#endif

/* --------------------------------------------------------------------------------- >>own */

/* A tensor's values in units of *unit, the largest power of two that leaves none a fraction: as
   integers in padded images, or, with pad 0, in their order. */
static int8_t *own_integers(const mls_tensor *tensor, int pad, float *unit)
{
    mls_tensor t = *tensor;
    mls_shape s = t.shape;
    size_t count = bench_elements(s), pixel = (size_t)s.c;
    float *x = bench_floats(s);
    int8_t *to;
    *unit = 1;
    t.scale = 1;
    bench_ok(mls_dequantize(&t, x), "dequantize");
    for (size_t i = 0; i < count; i++) {
        while (x[i] / *unit != rintf(x[i] / *unit)) *unit /= 2;
    }
    s.h += 2 * pad, s.w += 2 * pad;
    to = (int8_t *)bench_memory(bench_elements(s) + OWN_BEHIND);
    memset(to, 0, bench_elements(s) + OWN_BEHIND);
    for (size_t i = 0; i < count; i++) {
        size_t c = i % pixel, w = i / pixel % (size_t)t.shape.w + (size_t)pad;
        size_t h = i / pixel / (size_t)t.shape.w % (size_t)t.shape.h + (size_t)pad;
        size_t n = i / pixel / (size_t)t.shape.w / (size_t)t.shape.h;
        float v = x[i] / *unit;
        if (fabsf(v) > 127) bench_ok(MLS_ERROR_RANGE, "--own");
        to[((n * (size_t)s.h + h) * (size_t)s.w + w) * pixel + c] = (int8_t)v;
    }
    return to;
}

static own_call *own_make(const own_library *own, const work *k)
{
    own_call *c = (own_call *)bench_memory(sizeof *c);
    mls_shape out = mls_conv_output(&k->conv);
    float unit[2];
    memset(c, 0, sizeof *c);
    c->weights = own_integers(&k->tensor[MLS_WEIGHT], 0, &unit[0]);
    c->images = own_integers(&k->tensor[MLS_ACTIVATION], k->conv.pad, &unit[1]);
    c->n = k->conv.in.n, c->c = k->conv.in.c;
    c->h = k->conv.in.h + 2 * k->conv.pad, c->w = k->conv.in.w + 2 * k->conv.pad;
    c->kh = k->conv.kh, c->kw = k->conv.kw, c->stride = k->conv.stride;
    c->oh = out.h, c->ow = out.w, c->oc = out.c;
    c->scale = k->tensor[MLS_WEIGHT].scale * k->tensor[MLS_ACTIVATION].scale * unit[0] * unit[1];
    c->out = k->out;
    if (own->prepare) c->prepared = own->prepare(c);
    return c;
}

/* ----------------------------------------------------------------------------- >>measure */

/* A series in one direction, on the present shape. */
typedef struct candidate {
    int series, direction, repeats;
    const work *work;
    peer *peer;
    own_call *own;
    const own_library *library;
    bench_times times;
} candidate;

static speed speeds[SHAPES_MOST][SERIES_MOST][DIRECTIONS];
static speed peaks[SHAPES_MOST][BENCH_PEAKS];

static speed speed_of(const bench_times *t, double gmacs)
{
    speed v = {0, 0};
    if (!t->count) return v;
    v.median = gmacs / bench_median(t->seconds, t->count);
    v.best = gmacs / bench_best(t->seconds, t->count);
    return v;
}

static void use(const series *s)
{
    bench_threads(s->threads);
    bench_ok(mls_kernel_use(s->kernel ? s->kernel : "auto"), "kernel");
}

static void candidate_run(const candidate *c)
{
    if (c->own)
        c->library->forward(c->own);
    else if (c->peer)
        peer_run(c->peer);
    else
        work_run(c->work, c->direction, c->work->out);
}

static double candidate_time(const candidate *c, const options *o)
{
    double start;
    use(&o->series[c->series]);
    for (int i = 0; i < o->warm; i++) candidate_run(c);
    start = bench_now();
    for (int i = 0; i < c->repeats; i++) candidate_run(c);
    return (bench_now() - start) / c->repeats;
}

/* 0 where there is nothing to measure. */
static int candidate_open(candidate *c, const options *o, const shape *s, work *k)
{
    const series *q = &o->series[c->series];
    c->work = k, c->peer = 0, c->own = 0, c->library = &o->own, c->repeats = 1, c->times.count = 0;
    if (q->own) {
        if (c->direction != MLS_FORWARD || s->g > 1) return 0;
        c->own = own_make(&o->own, k);
    }
    if (!q->kernel) {
        c->peer = peer_open(s, k, c->direction, (enum peer_type)q->which);
        if (!c->peer) return 0;
    } else {
        bench_block *mark = bench_mark();
        candidate_run(c);
        if (!is_right(k, c->direction, shape_gmacs(s))) {
            fprintf(stderr, "%s %s: WRONG RESULT\n", q->name, directions[c->direction]);
            exit(1);
        }
        bench_free(mark);
    }
    c->repeats = bench_repeats(candidate_time(c, o)) * (o->warm ? WARM : 1);
    return 1;
}

static int candidates_open(candidate *c, const options *o, const shape *s)
{
    int count = 0;
    for (int i = 0; i < o->series_count; i++) {
        const series *q = &o->series[i];
        work *k;
        if (q->extra && !has_32_or_64(s)) continue;
        use(q);
        k = work_make(s, q->kernel ? q->which : FP32, o->tensors);
        for (int d = 0; d < DIRECTIONS; d++) {
            if (o->direction != DIRECTIONS && o->direction != d) continue;
            c[count].series = i, c[count].direction = d;
            count += candidate_open(&c[count], o, s, k);
        }
    }
    return count;
}

/* The peaks of the instructions that are in use, during some rounds of every shape: a neighbour's
   load moves the clock. */
static void measure_peaks(const candidate *c, int count, const options *o, bench_times *times)
{
    int done[BENCH_PEAKS] = {0};
    for (int i = 0; i < count; i++) {
        int peak = peak_index(o->series[c[i].series].peak);
        if (peak < 0 || done[peak]) continue;
        bench_add(&times[peak], 1 / bench_peaks[peak].measure());
        done[peak] = 1;
    }
}

/* Every candidate once in a round; the first round warms up. */
static void measure(const options *o, int index)
{
    static candidate all[SERIES_MOST * DIRECTIONS];
    static bench_times peak_times[BENCH_PEAKS];
    const shape *s = &o->shapes[index];
    int count = candidates_open(all, o, s);
    double gmacs = shape_gmacs(s);
    memset(peak_times, 0, sizeof peak_times);
    for (int round = -1; round < o->rounds; round++) {
        for (int i = 0; i < count; i++) {
            double seconds;
            if (bench_enough(&all[i].times)) continue;
            seconds = candidate_time(&all[i], o);
            if (round >= 0) bench_add(&all[i].times, seconds);
        }
        if (round >= 0 && round % 5 == 0) measure_peaks(all, count, o, peak_times);
    }
    for (int i = 0; i < BENCH_PEAKS; i++) peaks[index][i] = speed_of(&peak_times[i], 1);
    for (int i = 0; i < count; i++) {
        const candidate *c = &all[i];
        speeds[index][c->series][c->direction] = speed_of(&c->times, gmacs);
        if (c->peer) peer_free(c->peer);
        if (c->own && o->own.release) o->own.release(c->own);
    }
    bench_free(0);
}

/* ------------------------------------------------------------------------------ >>report */

static double share(const series *s, int index, double gmacs)
{
    int peak = peak_index(s->peak);
    return peak < 0 ? 0 : gmacs / (peaks[index][peak].median * s->threads);
}

static void print_header(const options *o)
{
    fprintf(o->text, "%d rounds, %d thread%s, %s; every result checked\n", o->rounds, o->threads,
            o->threads > 1 ? "s" : "", o->tensors ? "from packed tensors" : "operands prepared");
    fprintf(o->text, "peaks of one thread now, GMAC/s:");
    for (int i = 0; i < o->series_count; i++) {
        const char *peak = o->series[i].peak;
        int seen = bench_peak_get(peak) == 0;
        for (int j = 0; j < i; j++) seen |= strcmp(o->series[j].peak, peak) == 0;
        if (!seen) fprintf(o->text, " %s %.0f", peak, bench_peak_get(peak));
    }
    fprintf(o->text,
            "\nGMAC/s, median (best), the median's share of the peak in the same rounds\n%-40s",
            "shape");
    for (int d = 0; d < DIRECTIONS; d++) fprintf(o->text, " %23s", directions[d]);
    fprintf(o->text, "\n");
}

static void print_shape(const options *o, int index)
{
    char name[64];
    shape_name(&o->shapes[index], name, sizeof name);
    for (int i = 0; i < o->series_count; i++) {
        const series *s = &o->series[i];
        const speed *v = speeds[index][i];
        if (v[0].median + v[1].median + v[2].median <= 0) continue;
        fprintf(o->text, "%-20s %-19s", name, s->name);
        for (int d = 0; d < DIRECTIONS; d++) {
            double part = share(s, index, v[d].median);
            if (v[d].median > 0)
                fprintf(o->text, " %8.1f (%7.1f)", v[d].median, v[d].best);
            else
                fprintf(o->text, " %18s", "-");
            if (part > 0)
                fprintf(o->text, " %3.0f%%", part * 100);
            else
                fprintf(o->text, "     ");
        }
        fprintf(o->text, "\n");
    }
    fflush(o->text);
}

static void write_json(const options *o, int index)
{
    char name[64];
    shape_name(&o->shapes[index], name, sizeof name);
    for (int i = 0; i < o->series_count; i++) {
        const series *s = &o->series[i];
        for (int d = 0; d < DIRECTIONS; d++) {
            const speed *v = &speeds[index][i][d];
            if (v->median <= 0) continue;
            fprintf(
                o->json,
                "{\"shape\":\"%s\",\"direction\":\"%s\",\"class\":\"%s\",\"kernel\":\"%s\","
                "\"threads\":%d,\"median\":%.2f,\"best\":%.2f,\"peak\":\"%s\",\"share\":%.4f}\n",
                name, directions[d], s->kernel ? classes[s->which] : peer_names[s->which],
                s->own      ? "own"
                : s->kernel ? s->kernel
                            : "oneDNN",
                s->threads, v->median, v->best, s->peak, share(s, index, v->median));
        }
    }
    fflush(o->json);
}

/* ----------------------------------------------------------------------------- >>compare */

/* The faster one of up to two series (-1: none), or an instruction's peak. */
typedef struct side {
    int series[2];
    const char *peak;
} side;

typedef struct comparison {
    const char *text;
    side ours, theirs;
    int direction; /* DIRECTIONS: all */
    int (*includes)(const shape *s);
} comparison;

typedef struct ratio {
    double mean, worst; /* geometric mean */
    int shape, direction, count;
} ratio;

static double side_speed(const options *o, const side *x, int index, int direction, int best)
{
    int peak = x->peak ? peak_index(x->peak) : -1;
    const speed *p = peak < 0 ? 0 : &peaks[index][peak];
    double most = !p ? 0 : (best ? p->best : p->median) * o->threads;
    for (int i = 0; i < 2; i++) {
        const speed *v = x->series[i] < 0 ? 0 : &speeds[index][x->series[i]][direction];
        double gmacs = !v ? 0 : best ? v->best : v->median;
        most = gmacs > most ? gmacs : most;
    }
    return most;
}

static ratio compare(const options *o, const comparison *c, int best)
{
    ratio r = {0, 0, 0, 0, 0};
    for (int i = 0; i < o->shape_count; i++) {
        for (int d = 0; d < DIRECTIONS; d++) {
            double ours = side_speed(o, &c->ours, i, d, best);
            double theirs = side_speed(o, &c->theirs, i, d, best);
            if (!c->includes(&o->shapes[i]) || ours <= 0 || theirs <= 0) continue;
            if (c->direction != DIRECTIONS && c->direction != d) continue;
            if (!r.count || ours / theirs < r.worst) {
                r.worst = ours / theirs, r.shape = i, r.direction = d;
            }
            r.mean += log(ours / theirs);
            r.count++;
        }
    }
    if (r.count) r.mean = exp(r.mean / r.count);
    return r;
}

static void print_ratio(const options *o, const comparison *c)
{
    if (!compare(o, c, 0).count) return;
    fprintf(o->text, "%-42s", c->text);
    for (int best = 0; best < 2; best++) {
        static const char *const directions_short[DIRECTIONS] = {"f", "d", "w"};
        ratio r = compare(o, c, best);
        char name[64];
        shape_name(&o->shapes[r.shape], name, sizeof name);
        fprintf(o->text, " %6.2f %6.2f %-20s %s", r.mean, r.worst, name,
                directions_short[r.direction]);
    }
    fprintf(o->text, "\n");
}

static side of_series(int first, int second)
{
    side s = {{first, second}, 0};
    return s;
}

static side of_peak(const char *peak)
{
    side s = {{-1, -1}, peak};
    return s;
}

static int every(const shape *s)
{
    return s->n > 0;
}

static comparison make_comparison(const char *text, side ours, side theirs, int direction,
                                  int (*includes)(const shape *))
{
    comparison c;
    c.text = text, c.ours = ours, c.theirs = theirs, c.direction = direction;
    c.includes = includes;
    return c;
}

enum {
    RESULTS = 6,
    COMPARISONS_MOST = 20
};

/* The first RESULTS make the last line. */
static int list_comparisons(const options *o, comparison *c)
{
    static const char *const beside[CLASSES] = {
        "int8 / int8 of one thread", "int16 / int16 of one thread", "wide / wide of one thread",
        "fp32 / fp32 of one thread"};
    const char *kernel = o->series[0].kernel;
    int t = o->threads, count = 0;
    side int8 = of_series(find_series(o, kernel, INT8, t), -1);
    side int16 = of_series(find_series(o, kernel, INT16, t), -1);
    side own = of_series(find_own(o), -1);
    side one = of_series(find_series(o, kernel, INT8, 1), -1);
    side wide = of_series(find_series(o, kernel, WIDE, t), -1);
    side fp32 = of_series(find_series(o, kernel, FP32, t), -1);
    side vnni = of_series(find_series(o, "avx512vnni", INT8, t), -1);
    side avx2 = of_series(find_series(o, "avx2", INT8, t), -1);
    side peer8 = of_series(find_series(o, 0, PEER_S8, t), find_series(o, 0, PEER_U8, t));
    side peer16 = of_series(find_series(o, 0, PEER_BF16, t), -1);
    side peer32 = of_series(find_series(o, 0, PEER_F32, t), -1);
    c[count++] = make_comparison("forward: int8 / oneDNN int8", int8, peer8, 0, is_inner);
    c[count++] = make_comparison("backward-data: int8 / oneDNN bf16", int8, peer16, 1, is_inner);
    c[count++] = make_comparison("backward-weight: int8 / oneDNN bf16", int8, peer16, 2, is_inner);
    c[count++] = make_comparison("int16 / int8", int16, int8, DIRECTIONS, is_inner);
    c[count++] = make_comparison("32, 64 channels: avx512vnni / dpbusd.512", vnni,
                                 of_peak("dpbusd.512"), DIRECTIONS, has_32_or_64);
    c[count++] = make_comparison("32, 64 channels: avx2 / maddubs.256", avx2,
                                 of_peak("maddubs.256"), DIRECTIONS, has_32_or_64);
    c[count++] = make_comparison("fp32 / oneDNN fp32", fp32, peer32, DIRECTIONS, is_inner);
    c[count++] = make_comparison("forward: fp32 / oneDNN fp32", fp32, peer32, 0, is_inner);
    c[count++] = make_comparison("backward-data: fp32 / oneDNN fp32", fp32, peer32, 1, is_inner);
    c[count++] = make_comparison("backward-weight: fp32 / oneDNN fp32", fp32, peer32, 2, is_inner);
    c[count++] = make_comparison("forward: wide / fp32", wide, fp32, 0, is_inner);
    c[count++] = make_comparison("backward-data: wide / fp32", wide, fp32, 1, is_inner);
    c[count++] = make_comparison("backward-weight: wide / fp32", wide, fp32, 2, is_inner);
    c[count++] = make_comparison("forward: own int8 / int8, one thread", own, one, 0, every);
    for (int i = 0; i < CLASSES && t > 1; i++) {
        c[count++] =
            make_comparison(beside[i], of_series(find_series(o, kernel, i, t), -1),
                            of_series(find_series(o, kernel, i, 1), -1), DIRECTIONS, every);
    }
    return count;
}

static void print_comparisons(const options *o)
{
    static const char *const names[RESULTS] = {"forward", "backward_data", "backward_weight",
                                               "int16",   "vnni",          "avx2"};
    comparison c[COMPARISONS_MOST];
    int count = list_comparisons(o, c);
    fprintf(o->text,
            "\nratios of speeds: geometric mean, the worst and where (f, d, w: direction)\n"
            "%-42s %-36s %s\n",
            "of inner 3x3 layers", "medians", "bests");
    for (int i = 0; i < count; i++) print_ratio(o, &c[i]);
    fprintf(o->text, "result");
    for (int i = 0; i < RESULTS; i++) {
        ratio r = compare(o, &c[i], 0);
        if (r.count)
            fprintf(o->text, " %s=%.2f", names[i], r.mean);
        else
            fprintf(o->text, " %s=none", names[i]);
        if (o->json && r.count) {
            fprintf(o->json, "{\"result\":\"%s\",\"mean\":%.4f,\"worst\":%.4f,\"count\":%d}\n",
                    names[i], r.mean, r.worst, r.count);
        }
    }
    fprintf(o->text, "\n");
}

enum {
    COLUMNS = 6
};

/* A direction's line for each layer that the ratios are of, and one of their geometric means. */
static void plot_direction(const options *o, int d, const side columns[COLUMNS])
{
    double logs[COLUMNS] = {0};
    int count = 0;
    for (int i = 0; i < o->shape_count; i++) {
        char name[64];
        if (!is_inner(&o->shapes[i])) continue;
        shape_name(&o->shapes[i], name, sizeof name);
        fprintf(o->plot, "%s %s", directions[d], name);
        for (int j = 0; j < COLUMNS; j++) {
            double gmacs = side_speed(o, &columns[j], i, d, 0);
            fprintf(o->plot, " %.1f", gmacs);
            logs[j] += log(gmacs);
        }
        fprintf(o->plot, "\n");
        count++;
    }
    if (count) fprintf(o->plot, "%s mean", directions[d]);
    for (int j = 0; j < COLUMNS && count; j++) fprintf(o->plot, " %.1f", exp(logs[j] / count));
    if (count) fprintf(o->plot, "\n");
}

/* For bench/conv.awk. */
static void write_plot(const options *o)
{
    const char *kernel = o->series[0].kernel;
    const int t = o->threads, int8 = find_series(o, kernel, INT8, t);
    const int fp32 = find_series(o, kernel, FP32, t);
    const int s8 = find_series(o, 0, PEER_S8, t), u8 = find_series(o, 0, PEER_U8, t);
    const int bf16 = find_series(o, 0, PEER_BF16, t), f32 = find_series(o, 0, PEER_F32, t);
    fprintf(o->plot, "direction shape int8 fp32 onednn_low onednn_fp32 peak_int8 peak_fp32\n");
    for (int d = 0; d < DIRECTIONS; d++) {
        const side columns[COLUMNS] = {of_series(int8, -1),
                                       of_series(fp32, -1),
                                       d ? of_series(bf16, -1) : of_series(s8, u8),
                                       of_series(f32, -1),
                                       of_peak(int8 < 0 ? "" : o->series[int8].peak),
                                       of_peak(fp32 < 0 ? "" : o->series[fp32].peak)};
        plot_direction(o, d, columns);
    }
}

int main(int count, char **words)
{
    static options o;
    read_options(&o, count, words);
    print_header(&o);
    for (int i = 0; i < o.shape_count; i++) {
        measure(&o, i);
        print_shape(&o, i);
        if (o.json) write_json(&o, i);
    }
    if (o.plot) write_plot(&o);
    print_comparisons(&o);
    own_close(&o.own);
    return 0;
}
