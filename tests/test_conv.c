/* Tests of mls_conv.h: the scalar reference against an oracle written from the definition of the
   three convolutions, every kernel against the reference, and the fp32 convolutions against plain
   chains of fmaf, all by memcmp. */
#define MLS_IMPLEMENTATION
#include "../mls_conv.h"
#include "t.h"
#include <math.h>

/* How many random cases: fewer under a sanitizer, or TEST_SHARE percent of them. */
static int cases(int count)
{
    const char *share = getenv("TEST_SHARE");
    int percent = share ? atoi(share) : T_SLOW ? 20 : 100;
    count = count * percent / 100;
    return count > 1 ? count : 1;
}

static mls_format format_of(int ex, int mx, int eg, int mg, int grouping)
{
    mls_format f;
    f.ex = (uint8_t)ex, f.mx = (uint8_t)mx, f.eg = (uint8_t)eg, f.mg = (uint8_t)mg;
    f.grouping = (uint8_t)grouping, f.rounding = MLS_ROUND_NEAREST, f.range = MLS_RANGE_FIT;
    return f;
}

static mls_format plain(int ex, int mx)
{
    return format_of(ex, mx, 0, 0, MLS_GROUP_NONE);
}

static mls_shape shape_of(int n, int h, int w, int c)
{
    mls_shape s = {n, h, w, c};
    return s;
}

static mls_conv conv_of(mls_shape in, int c_out, int kh, int kw, int stride, int pad)
{
    mls_conv c;
    memset(&c, 0, sizeof c);
    c.in = in, c.c_out = c_out, c.kh = kh, c.kw = kw, c.stride = stride, c.pad = pad;
    return c;
}

static size_t count_of(mls_shape s)
{
    return (size_t)s.n * (size_t)s.h * (size_t)s.w * (size_t)s.c;
}

static int k_max(mls_format f)
{
    return f.eg >= 7 ? 127 : (1 << f.eg) - 1;
}

static size_t group_at(mls_format f, mls_shape s, size_t index)
{
    size_t c = index % (size_t)s.c, n = index / ((size_t)s.h * (size_t)s.w * (size_t)s.c);
    switch (f.grouping) {
    case MLS_GROUP_N:
        return n;
    case MLS_GROUP_C:
        return c;
    case MLS_GROUP_NC:
        return n * (size_t)s.c + c;
    default:
        return 0;
    }
}

static size_t groups_of(mls_format f, mls_shape s)
{
    int n = f.grouping == MLS_GROUP_N || f.grouping == MLS_GROUP_NC ? s.n : 1;
    int c = f.grouping == MLS_GROUP_C || f.grouping == MLS_GROUP_NC ? s.c : 1;
    return (size_t)n * (size_t)c;
}

static size_t bytes_of(mls_format f, size_t count)
{
    int bits = 1 + f.ex + f.mx;
    return bits <= 4 ? (count + 1) / 2 : bits <= 8 ? count : 2 * count;
}

static mls_shape output_of(const mls_conv *c)
{
    int s = c->stride ? c->stride : 1;
    return shape_of(c->in.n, (c->in.h + 2 * c->pad - c->kh) / s + 1,
                    (c->in.w + 2 * c->pad - c->kw) / s + 1, c->c_out);
}

static mls_shape weight_of(const mls_conv *c)
{
    return shape_of(c->c_out, c->kh, c->kw, c->in.c);
}

/* Shapes of the operands and of the result of a direction. */
static void shapes_of(const mls_conv *c, mls_direction d, mls_shape *first, mls_shape *second,
                      mls_shape *result)
{
    *first = d == MLS_BACKWARD_WEIGHT ? output_of(c) : weight_of(c);
    *second = d == MLS_BACKWARD_DATA ? output_of(c) : c->in;
    *result = d == MLS_FORWARD ? output_of(c) : d == MLS_BACKWARD_DATA ? c->in : weight_of(c);
}

static mls_status convolve(const mls_conv *c, mls_direction d, const mls_tensor *first,
                           const mls_tensor *second, float *to, void *work, size_t size)
{
    if (d == MLS_FORWARD) return mls_conv_forward(c, first, second, to, work, size);
    if (d == MLS_BACKWARD_DATA) return mls_conv_backward_data(c, first, second, to, work, size);
    return mls_conv_backward_weight(c, first, second, to, work, size);
}

static mls_status convolve_fp32(const mls_conv *c, mls_direction d, const float *first,
                                const float *second, float *to, void *work, size_t size)
{
    if (d == MLS_FORWARD) return mls_conv_forward_fp32(c, first, second, to, work, size);
    if (d == MLS_BACKWARD_DATA) {
        return mls_conv_backward_data_fp32(c, first, second, to, work, size);
    }
    return mls_conv_backward_weight_fp32(c, first, second, to, work, size);
}

static void threads(int count)
{
#if defined(_OPENMP) && !defined(MLS_NO_THREADS)
    omp_set_num_threads(count);
#else
    (void)count;
#endif
}

static int kernel_ran[MLS__UNIT_COUNT];

/* Switches to a kernel, and notes that it is at work. */
static const char *use(int kernel)
{
    const char *name = mls_kernel_name(kernel);
    T_CHECK(name != NULL && mls_kernel_use(name) == MLS_OK);
    T_CHECK(strcmp(mls_kernel_used(), name) == 0);
    kernel_ran[mls__unit()] = 1;
    return name;
}

/* ---- operands: made code by code, so that any legal tensor can occur */

enum {
    FILL_RANDOM, /* any codes, neighbouring k */
    FILL_SPREAD, /* any codes, any k of the format; zero groups at the bottom */
    FILL_TOP,    /* every element at +max, every group at 1: the largest sum */
    FILL_ENDS,   /* every element at +max or -max */
    FILL_SIGN,   /* every element at -max, every group at 1 */
    FILL_ZERO,   /* a zero tensor */
    FILL_SPARSE, /* few elements, many zero groups */
    FILL_FAR,    /* as FILL_SIGN, but every eighth group is at 2^-20: no class folds that */
    FILL_KINDS
};

static void put_code(mls_tensor *t, size_t i, uint32_t code)
{
    int bits = 1 + t->format.ex + t->format.mx;
    if (bits <= 4) {
        uint32_t old = t->code[i / 2], shift = i % 2 ? 4 : 0;
        t->code[i / 2] = (uint8_t)((old & ~(15u << shift)) | code << shift);
    } else if (bits <= 8) {
        t->code[i] = (uint8_t)code;
    } else {
        t->code[2 * i] = (uint8_t)code, t->code[2 * i + 1] = (uint8_t)(code >> 8);
    }
}

static void fill(mls_tensor *t, int kind, uint64_t *rng)
{
    mls_format f = t->format;
    size_t count = count_of(t->shape), groups = groups_of(f, t->shape);
    uint32_t top = (1u << (f.ex + f.mx)) - 1;
    int bottom = k_max(f), most = bottom < 3 ? bottom : t_below(rng, 4), fixed;
    static uint8_t dead[1 << 17];
    if (kind == FILL_SPREAD || kind == FILL_SPARSE) most = bottom;
    fixed = kind == FILL_TOP || kind == FILL_SIGN || kind == FILL_FAR;
    t->scale = kind == FILL_ZERO ? 0 : (t_uniform(rng) + 1.5f) * 0.037f;
    for (size_t g = 0; g < groups; g++) {
        int k = fixed ? 0 : t_below(rng, most + 1), m = k && f.mg ? t_below(rng, 2) : 0;
        dead[g] = kind == FILL_ZERO || (kind == FILL_SPREAD && t_below(rng, 8) == 0) ||
                  (kind == FILL_SPARSE && t_below(rng, 2) == 0);
        if (dead[g]) k = bottom, m = 0;
        if (kind == FILL_FAR && g % 8 == 1) k = bottom < 20 ? bottom : 20;
        t->group[g] = (uint16_t)(k << f.mg | m);
    }
    if (1 + f.ex + f.mx <= 4) t->code[bytes_of(f, count) - 1] = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t code = (uint32_t)t_random(rng) & top, sign = (uint32_t)t_below(rng, 2);
        if (fixed || kind == FILL_ENDS) code = top;
        if (fixed) sign = kind != FILL_TOP;
        if (kind == FILL_SPARSE && t_below(rng, 4)) code = 0;
        if (dead[group_at(f, t->shape, i)]) code = 0;
        if (code) code |= sign << (f.ex + f.mx);
        put_code(t, i, code);
    }
}

/* Every array ends at an inaccessible page. */
static mls_tensor tensor_new(mls_format f, mls_shape s, int kind, uint64_t *rng)
{
    mls_tensor t;
    t.format = f, t.shape = s, t.scale = 0;
    t.peak = NULL;
    t.group = (uint16_t *)t_alloc(groups_of(f, s) * sizeof(uint16_t));
    t.code = (uint8_t *)t_alloc(bytes_of(f, count_of(s)));
    fill(&t, kind, rng);
    return t;
}

static void tensor_free(mls_tensor *t)
{
    t_free(t->group), t_free(t->code);
}

/* ---- the oracle: group pairs, shifts and one rounding, as the definition has them */

#if defined(__SIZEOF_INT128__)
__extension__ typedef __int128 wide;
#define WIDE_BITS 127
#else
typedef int64_t wide;
#define WIDE_BITS 63
#endif

static double two_to(int e)
{
    uint64_t u = (uint64_t)(e + 1023) << 52;
    double x;
    memcpy(&x, &u, sizeof x);
    return x;
}

/* Nearest float, ties to even, bit by bit. */
static float wide_to_float(wide v)
{
    int negative = v < 0, bits = 0, sticky = 0;
    double x;
    if (negative) v = -v;
    while (v >> 25) sticky |= (int)(v & 1), v >>= 1, bits++;
    if (v >> 24) { /* 25 bits: the last one is half a step */
        int half = (int)(v & 1);
        v >>= 1, bits++;
        if (half && (sticky || v & 1)) v++;
    }
    x = (double)(int64_t)v * two_to(bits);
    return (float)(negative ? -x : x);
}

/* v * 2^e, rounded down. */
static wide wide_shift(wide v, int e)
{
    if (e >= 0) return v * ((wide)1 << e);
    if (-e >= WIDE_BITS) return v < 0 ? -1 : 0;
    if (v >= 0) return v / ((wide)1 << -e);
    return -((-v - 1) / ((wide)1 << -e)) - 1;
}

static int lsb_log2(mls_format f)
{
    return f.ex ? 1 - (1 << f.ex) - f.mx : -f.mx;
}

static int64_t grid_of(mls_format f, uint32_t code)
{
    uint32_t m = code & ((1u << f.mx) - 1), e = code >> f.mx & ((1u << f.ex) - 1);
    int64_t q = m;
    if (e) q = (int64_t)((1u << f.mx) + m) * ((int64_t)1 << (e - 1));
    return code >> (f.ex + f.mx) & 1 ? -q : q;
}

static uint32_t get_code(const mls_tensor *t, size_t i)
{
    int bits = 1 + t->format.ex + t->format.mx;
    if (bits <= 4) return t->code[i / 2] >> (i % 2 ? 4 : 0) & 15;
    if (bits <= 8) return t->code[i];
    return (uint32_t)t->code[2 * i] | (uint32_t)t->code[2 * i + 1] << 8;
}

enum {
    MOST = 1 << 19 /* elements of an operand, and group pairs of an output */
};
typedef struct decoded {
    int64_t q[MOST];
    int32_t group[MOST];
} decoded;
static decoded oracle_first, oracle_second;

static void decode(const mls_tensor *t, decoded *to)
{
    size_t count = count_of(t->shape);
    if (count > MOST) {
        printf("\nan operand too large for the oracle\n");
        exit(1);
    }
    for (size_t i = 0; i < count; i++) {
        to->q[i] = grid_of(t->format, get_code(t, i));
        to->group[i] = (int32_t)group_at(t->format, t->shape, i);
    }
}

static struct {
    int32_t first, second;
    wide sum;
} oracle_pair[MOST];
static int oracle_pairs;

static void oracle_term(size_t i, size_t j)
{
    int32_t a = oracle_first.group[i], b = oracle_second.group[j];
    int at = oracle_pairs - 1;
    while (at >= 0 && (oracle_pair[at].first != a || oracle_pair[at].second != b)) at--;
    if (at < 0) {
        at = oracle_pairs++;
        oracle_pair[at].first = a, oracle_pair[at].second = b, oracle_pair[at].sum = 0;
    }
    oracle_pair[at].sum += (wide)oracle_first.q[i] * oracle_second.q[j];
}

static float oracle_output(const mls_tensor *f, const mls_tensor *g)
{
    int fraction = k_max(f->format) + k_max(g->format);
    float scale = f->scale * g->scale, z;
    wide acc = 0;
    if (fraction > 30) fraction = 30;
    for (int i = 0; i < oracle_pairs; i++) {
        int a = f->group[oracle_pair[i].first], b = g->group[oracle_pair[i].second];
        int ma = a % (1 << f->format.mg), mb = b % (1 << g->format.mg);
        wide p = oracle_pair[i].sum * ((1 << f->format.mg) + ma) * ((1 << g->format.mg) + mb);
        acc += wide_shift(p, fraction - (a >> f->format.mg) - (b >> g->format.mg));
    }
    z = wide_to_float(acc) * scale;
    return z * (float)two_to(lsb_log2(f->format) + lsb_log2(g->format) - f->format.mg -
                             g->format.mg - fraction);
}

static size_t at4(mls_shape s, int n, int y, int x, int c)
{
    return (((size_t)n * (size_t)s.h + (size_t)y) * (size_t)s.w + (size_t)x) * (size_t)s.c +
           (size_t)c;
}

static void oracle(const mls_conv *c, mls_direction d, const mls_tensor *f, const mls_tensor *g,
                   float *to)
{
    mls_shape sf, sg, so, z = output_of(c);
    int s = c->stride ? c->stride : 1;
    shapes_of(c, d, &sf, &sg, &so);
    decode(f, &oracle_first), decode(g, &oracle_second);
    for (int o0 = 0; o0 < so.n; o0++)
        for (int o1 = 0; o1 < so.h; o1++)
            for (int o2 = 0; o2 < so.w; o2++)
                for (int o3 = 0; o3 < so.c; o3++) {
                    oracle_pairs = 0;
                    /* r0 is the dimension that two groupings may split */
                    for (int r0 = 0; r0 < (d == MLS_FORWARD         ? c->in.c
                                           : d == MLS_BACKWARD_DATA ? z.c
                                                                    : z.n);
                         r0++)
                        for (int r1 = 0; r1 < (d == MLS_BACKWARD_WEIGHT ? z.h : c->kh); r1++)
                            for (int r2 = 0; r2 < (d == MLS_BACKWARD_WEIGHT ? z.w : c->kw); r2++) {
                                int y, x;
                                if (d == MLS_BACKWARD_DATA) {
                                    y = o1 + c->pad - r1, x = o2 + c->pad - r2;
                                    if (y < 0 || x < 0 || y % s || x % s) continue;
                                    y /= s, x /= s;
                                } else if (d == MLS_FORWARD) {
                                    y = o1 * s + r1 - c->pad, x = o2 * s + r2 - c->pad;
                                } else {
                                    y = r1 * s + o1 - c->pad, x = r2 * s + o2 - c->pad;
                                }
                                if (y < 0 || y >= sg.h || x < 0 || x >= sg.w) continue;
                                if (d == MLS_FORWARD)
                                    oracle_term(at4(sf, o3, r1, r2, r0), at4(sg, o0, y, x, r0));
                                else if (d == MLS_BACKWARD_DATA)
                                    oracle_term(at4(sf, r0, r1, r2, o3), at4(sg, o0, y, x, r0));
                                else
                                    oracle_term(at4(sf, r0, r1, r2, o0), at4(sg, r0, y, x, o3));
                            }
                    *to++ = oracle_output(f, g);
                }
}

/* ---- running one case on every kernel */

/* Multiply-adds of a case: the scalar reference takes about 50 ns for each. */
static double work_of(const mls_conv *c)
{
    mls_shape z = output_of(c);
    return (double)count_of(z) * c->kh * c->kw * c->in.c;
}

static uint64_t canary_seed = 1;

/* One kernel, with the output and the workspace at inaccessible pages and full of rubbish; in two
   of three cases the workspace starts at an odd address, then with a canary behind it. */
static mls_status run_guarded(const mls_conv *c, mls_direction d, const mls_tensor *f,
                              const mls_tensor *g, float *to, size_t size)
{
    size_t slack = (size_t)t_below(&canary_seed, 3) * (size_t)(1 + t_below(&canary_seed, 31));
    uint8_t *work = (uint8_t *)t_alloc(size + slack);
    mls_status status = convolve(c, d, f, g, to, work, size);
    for (size_t i = 0; i < slack; i++) T_CHECK(work[size + i] == 0xa5);
    t_free(work);
    return status;
}

/* All kernels against the reference, and the reference against the oracle. big: the reference takes
   too long, the oracle stands for it. */
static void check_tensors(const mls_conv *c, mls_direction d, const mls_tensor *f,
                          const mls_tensor *g, int big)
{
    mls_shape sf, sg, so;
    size_t bytes, size = mls_conv_workspace(c, f->format, g->format);
    float *expected, *truth = NULL;
    shapes_of(c, d, &sf, &sg, &so);
    bytes = count_of(so) * sizeof(float);
    T_REQUIRE(size > 0);
    if (mls_conv_check(c, d, f->format, g->format, NULL, 0) != MLS_OK) {
        unsigned char *to = (unsigned char *)t_alloc(bytes);
        T_EQ_INT(run_guarded(c, d, f, g, (float *)(void *)to, size), MLS_ERROR_RANGE);
        for (size_t i = 0; i < bytes; i++) T_CHECK(to[i] == 0xa5);
        t_free(to);
        return;
    }
    expected = (float *)t_alloc(bytes);
    oracle(c, d, f, g, expected);
    for (int kernel = 0; kernel < mls_kernel_count(); kernel++) {
        float *to;
        char note[sizeof t_state.note];
        if (big && kernel == 0) continue;
        to = (float *)t_alloc(bytes);
        memcpy(note, t_state.note, sizeof note);
        t_note("%s %s", use(kernel), note);
        T_EQ_INT(run_guarded(c, d, f, g, to, size), MLS_OK);
        T_EQ_MEM(to, kernel && truth ? truth : expected, bytes);
        memcpy(t_state.note, note, sizeof note);
        if (kernel == 0)
            truth = to; /* the reference: what all others must equal */
        else
            t_free(to);
    }
    t_free(truth), t_free(expected);
}

static void note_case(const mls_conv *c, mls_direction d, mls_format f, mls_format g, int kind_f,
                      int kind_g)
{
    t_note("%d %dx%dx%dx%d -> %d, %dx%d stride %d pad %d, <%d,%d>%d<%d,%d> x <%d,%d>%d<%d,%d>, "
           "fill %d %d",
           (int)d, c->in.n, c->in.h, c->in.w, c->in.c, c->c_out, c->kh, c->kw, c->stride, c->pad,
           f.ex, f.mx, f.grouping, f.eg, f.mg, g.ex, g.mx, g.grouping, g.eg, g.mg, kind_f, kind_g);
}

static void check_case(const mls_conv *c, mls_direction d, mls_format f, mls_format g, int kind_f,
                       int kind_g, uint64_t *rng)
{
    mls_shape sf, sg, so;
    mls_tensor tf, tg;
    shapes_of(c, d, &sf, &sg, &so);
    note_case(c, d, f, g, kind_f, kind_g);
    tf = tensor_new(f, sf, kind_f, rng), tg = tensor_new(g, sg, kind_g, rng);
    check_tensors(c, d, &tf, &tg, work_of(c) > 4e5);
    tensor_free(&tf), tensor_free(&tg);
}

static void check_all(const mls_conv *c, mls_format f, mls_format g, int kind, uint64_t *rng)
{
    for (int d = 0; d < 3; d++) check_case(c, (mls_direction)d, f, g, kind, kind, rng);
}

/* Formats by class: element, group. */
static const int some_formats[][4] = {
    {2, 1, 2, 0}, {2, 1, 1, 1},  {2, 1, 0, 0},  {1, 1, 2, 1},
    {0, 4, 1, 0}, {0, 7, 0, 0}, /* 8 */
    {2, 1, 3, 1}, {2, 4, 3, 1},  {2, 4, 0, 0},  {3, 2, 2, 1},
    {3, 8, 0, 0}, {0, 10, 2, 1},                              /* 16 */
    {2, 7, 1, 0}, {3, 5, 0, 0},  {3, 6, 0, 0},  {1, 9, 2, 0}, /* 16 */
    {2, 1, 8, 1}, {2, 4, 8, 1},  {2, 1, 5, 0},  {0, 1, 7, 1},
    {4, 3, 3, 1}, {4, 10, 2, 0},                              /* wide */
    {5, 2, 8, 1}, {5, 10, 8, 1}, {5, 10, 0, 0}, {5, 4, 5, 1}, /* reference */
    {0, 6, 4, 1}, {3, 8, 3, 0} /* pairs: 63 * 3 is no byte, 3 * 32704 squared no int32 */
};
enum {
    SOME_FORMATS = sizeof some_formats / sizeof some_formats[0],
    NARROW_FORMATS = 16
};

static mls_format some_format(int index, int grouping)
{
    const int *f = some_formats[index];
    return format_of(f[0], f[1], f[2], f[3], grouping);
}

/* ---- tests */

static void outputs(void)
{
    static const int good[][11] = {
        /* n h w c_in c_out kh kw stride pad -> h w */
        {1, 8, 8, 16, 32, 3, 3, 1, 1, 8, 8},       {2, 32, 32, 3, 16, 3, 3, 2, 1, 16, 16},
        {1, 7, 9, 1, 1, 3, 1, 2, 0, 3, 5},         {1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1},
        {1, 1, 1, 1, 1, 7, 7, 3, 3, 1, 1},         {1, 5, 5, 4, 4, 5, 5, 0, 0, 1, 1},
        {1, 5, 6, 4, 4, 1, 1, 0, 0, 5, 6},         {3, 4, 4, 2, 2, 1, 1, 4, 2, 2, 2},
        {1, 2, 2, 1, 1, 2, 2, 1, 2000, 4001, 4001}};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        const int *g = good[i];
        mls_conv c = conv_of(shape_of(g[0], g[1], g[2], g[3]), g[4], g[5], g[6], g[7], g[8]);
        mls_shape o = mls_conv_output(&c);
        t_note("%d", (int)i);
        T_EQ_INT(o.n, g[0]), T_EQ_INT(o.h, g[9]), T_EQ_INT(o.w, g[10]), T_EQ_INT(o.c, g[4]);
        T_CHECK(mls_conv_workspace(&c, plain(2, 1), plain(2, 1)) > 0);
    }
}

static void outputs_bad(void)
{
    enum {
        BIG = INT32_MAX
    };
    static const int bad[][9] = {
        /* n h w c_in c_out kh kw stride pad */
        {0, 8, 8, 16, 32, 3, 3, 1, 1},       {1, 0, 8, 16, 32, 3, 3, 1, 1},
        {1, 8, 0, 16, 32, 3, 3, 1, 1},       {1, 8, 8, 0, 32, 3, 3, 1, 1},
        {1, 8, 8, 16, 0, 3, 3, 1, 1},        {1, 8, 8, 16, 32, 0, 3, 1, 1},
        {1, 8, 8, 16, 32, 3, 0, 1, 1},       {1, 8, 8, 16, 32, 3, 3, -1, 1},
        {1, 8, 8, 16, 32, 3, 3, 1, -1},      {-1, 8, 8, 16, 32, 3, 3, 1, 1},
        {1, -8, 8, 16, 32, 3, 3, 1, 1},      {1, 8, 8, -16, 32, 3, 3, 1, 1},
        {1, 8, 8, 16, -32, 3, 3, 1, 1},      {1, 8, 8, 16, 32, -3, 3, 1, 1},
        {1, 8, 8, 16, 32, 3, -3, 1, 1},      {1, 8, 8, 16, 32, 9, 3, 1, 0},
        {1, 8, 8, 16, 32, 3, 11, 1, 1},      {1, 8, 8, 16, 32, 3, 3, 1, BIG},
        {BIG, BIG, BIG, BIG, 1, 1, 1, 1, 0}, {1, 8, 8, BIG, BIG, BIG, BIG, 1, BIG},
        {1, BIG, BIG, 1, BIG, 1, 1, 1, 0},   {1, 8, 8, 16, 32, 3, 3, INT32_MIN, 1},
        {1, 8, 8, 16, 32, 3, 3, 1, 1 << 30}, {1, 8, 8, 16, 32, BIG, BIG, 1, 1},
        {1, 8, 8, 1, 1, 3, 3, 1, 1 << 25},   {1, 1, 1, 1 << 29, 1, 1, 1, 1, 0}};
    static float x[4096];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const int *b = bad[i];
        mls_conv c = conv_of(shape_of(b[0], b[1], b[2], b[3]), b[4], b[5], b[6], b[7], b[8]);
        mls_shape o = mls_conv_output(&c);
        mls_format f = plain(2, 1), none;
        memset(&none, 0, sizeof none);
        t_note("%d", (int)i);
        T_CHECK(o.n == 0 && o.h == 0 && o.w == 0 && o.c == 0);
        T_EQ_INT(mls_conv_workspace(&c, f, f), 0);
        T_EQ_INT(mls_conv_workspace(&c, none, none), 0);
        for (int d = 0; d < 3; d++) {
            T_EQ_INT(mls_conv_check(&c, (mls_direction)d, f, f, NULL, 0), MLS_ERROR_SHAPE);
            T_EQ_INT(convolve_fp32(&c, (mls_direction)d, x, x, x, x, sizeof x), MLS_ERROR_SHAPE);
        }
    }
    T_EQ_INT(mls_conv_output(NULL).n, 0);
}

static void workspace_sizes(void)
{
    mls_conv c = conv_of(shape_of(2, 5, 5, 3), 4, 3, 3, 1, 1);
    mls_format f = format_of(2, 1, 2, 0, MLS_GROUP_NC), none, bad = f;
    memset(&none, 0, sizeof none);
    bad.ex = 6;
    T_CHECK(mls_conv_workspace(&c, f, f) > 0);
    T_CHECK(mls_conv_workspace(&c, none, none) > 0);
    T_EQ_INT(mls_conv_workspace(&c, none, f), 0); /* fp32 is both or neither */
    T_EQ_INT(mls_conv_workspace(&c, f, none), 0);
    T_EQ_INT(mls_conv_workspace(&c, f, bad), 0);
    T_EQ_INT(mls_conv_workspace(&c, bad, f), 0);
    T_EQ_INT(mls_conv_workspace(NULL, f, f), 0);
#if SIZE_MAX > 0xffffffffu
    for (int i = 0; i < 3; i++) { /* images with as many pixels as 32 bits count, and more */
        static const int sides[][2] = {{65536, 65536}, {50000, 50000}, {1 << 24, 130}};
        c = conv_of(shape_of(1, sides[i][0], sides[i][1], 1), 1, 3, 3, 1, 1);
        T_CHECK(mls_conv_workspace(&c, f, f) / (size_t)sides[i][0] >= (size_t)sides[i][1]);
    }
#endif
}

/* Channel counts around the vector length, kernels and images of all small sizes. */
static void small_shapes(void)
{
    static const int channels[] = {1, 2, 3, 5, 16, 17}, sides[] = {1, 2, 3, 5, 7};
    uint64_t rng = 1;
    int index = 0, every = T_SLOW ? 9 : 1;
    threads(1);
    for (int ci = 0; ci < 6; ci++)
        for (int co = 0; co < 6; co++)
            for (int k = 0; k < 3; k++)
                for (int stride = 1; stride <= 3; stride++)
                    for (int pad = 0; pad <= 2; pad++) {
                        int kh = sides[k], kw = sides[t_below(&rng, t_below(&rng, 4) ? 3 : 5)];
                        int h = 1 + t_below(&rng, 5), w = 1 + t_below(&rng, 5);
                        mls_conv c;
                        if (index++ % every) continue;
                        if (t_below(&rng, 2)) kw = kh;
                        if (t_below(&rng, 12) == 0) kh = sides[3 + t_below(&rng, 2)];
                        while (h + 2 * pad < kh) h++;
                        while (w + 2 * pad < kw) w++;
                        c = conv_of(shape_of(1 + t_below(&rng, 3), h, w, channels[ci]),
                                    channels[co], kh, kw, stride, pad);
                        for (int d = 0; d < 3; d++) {
                            mls_format f = some_format(t_below(&rng, SOME_FORMATS), index % 4);
                            mls_format g = some_format(t_below(&rng, SOME_FORMATS), index / 4 % 4);
                            if (index % 2) { /* usually the formats of one class */
                                f = some_format(t_below(&rng, NARROW_FORMATS), index % 4);
                                g = some_format(t_below(&rng, NARROW_FORMATS), index / 4 % 4);
                            }
                            check_case(&c, (mls_direction)d, f, g, t_below(&rng, FILL_KINDS),
                                       t_below(&rng, FILL_KINDS), &rng);
                        }
                    }
}

/* Every h, w and kernel size up to 5, with few channels. */
static void small_images(void)
{
    uint64_t rng = 2;
    int index = 0, every = T_SLOW ? 13 : 2;
    threads(1);
    for (int h = 1; h <= 5; h++)
        for (int w = 1; w <= 5; w++)
            for (int kh = 1; kh <= 3; kh++)
                for (int kw = 1; kw <= 3; kw++)
                    for (int stride = 1; stride <= 3; stride++)
                        for (int pad = 0; pad <= 2; pad++) {
                            mls_conv c = conv_of(shape_of(1, h, w, 1 + t_below(&rng, 3)),
                                                 1 + t_below(&rng, 3), kh, kw, stride, pad);
                            int narrow = NARROW_FORMATS + t_below(&rng, 2) * 10;
                            if (h + 2 * pad < kh || w + 2 * pad < kw || index++ % every) continue;
                            check_all(&c, some_format(t_below(&rng, narrow), t_below(&rng, 4)),
                                      some_format(t_below(&rng, narrow), t_below(&rng, 4)),
                                      t_below(&rng, FILL_KINDS), &rng);
                        }
}

/* Every pair of formats and every pair of groupings. */
static void formats_and_groupings(void)
{
    uint64_t rng = 3;
    int index = 0, every = T_SLOW ? 7 : 1;
    threads(1);
    for (int f = 0; f < SOME_FORMATS; f++)
        for (int g = 0; g < SOME_FORMATS; g++) {
            mls_conv c =
                conv_of(shape_of(2, 3, 4, 1 + t_below(&rng, 6)), 1 + t_below(&rng, 6),
                        1 + t_below(&rng, 3), 1 + t_below(&rng, 3), 1 + t_below(&rng, 2), 1);
            if (index++ % every) continue;
            for (int d = 0; d < 3; d++) {
                check_case(&c, (mls_direction)d, some_format(f, t_below(&rng, 4)),
                           some_format(g, t_below(&rng, 4)), FILL_SPREAD, FILL_SPREAD, &rng);
            }
        }
    for (int a = 0; a < 4; a++)
        for (int b = 0; b < 4; b++)
            for (int i = 0; i < 7; i++) {
                static const int which[] = {0, 6, 7, 16, 17, 22, 25};
                mls_conv c = conv_of(shape_of(3, 3, 3, 5), 4, 3, 2, 2, 1);
                check_all(&c, some_format(which[i], a), some_format(which[i], b), FILL_SPREAD,
                          &rng);
            }
}

/* Random formats of any kind. */
static void random_formats(void)
{
    uint64_t rng = 4;
    threads(1);
    for (int i = 0; i < cases(400); i++) {
        mls_format f[2];
        mls_conv c = conv_of(shape_of(1 + t_below(&rng, 3), 2 + t_below(&rng, 4),
                                      2 + t_below(&rng, 4), 1 + t_below(&rng, 20)),
                             1 + t_below(&rng, 20), 1 + t_below(&rng, 2), 1 + t_below(&rng, 2),
                             1 + t_below(&rng, 2), t_below(&rng, 2));
        for (int j = 0; j < 2; j++) {
            int ex = t_below(&rng, 6), mx = t_below(&rng, 11), eg = t_below(&rng, 9);
            if (ex + mx == 0) mx = 1;
            f[j] = format_of(ex, mx, eg, eg ? t_below(&rng, 2) : 0, t_below(&rng, 4));
        }
        check_case(&c, (mls_direction)(i % 3), f[0], f[1], t_below(&rng, FILL_KINDS),
                   t_below(&rng, FILL_KINDS), &rng);
    }
}

/* Shapes that fill several vectors, tiles and blocks. */
static void larger_shapes(void)
{
    static const int channels[] = {3, 8, 15, 16, 17, 31, 32, 33, 48, 64, 70};
    uint64_t rng = 5;
    threads(1);
    for (int i = 0; i < cases(90); i++) {
        int k = 1 + 2 * t_below(&rng, 3), stride = 1 + t_below(&rng, 2);
        mls_conv c = conv_of(shape_of(1 + t_below(&rng, 3), k + t_below(&rng, 14),
                                      k + t_below(&rng, 14), channels[t_below(&rng, 11)]),
                             channels[t_below(&rng, 11)], k, k, stride, t_below(&rng, k));
        int f = t_below(&rng, NARROW_FORMATS), g = t_below(&rng, NARROW_FORMATS);
        if (i % 3 == 0) f = 0, g = 0;
        if (i % 3 == 1) f = 6, g = 6;
        if (work_of(&c) > 3e6) continue;
        check_case(&c, (mls_direction)(i % 3), some_format(f, t_below(&rng, 4)),
                   some_format(g, MLS_GROUP_NC), t_below(&rng, FILL_KINDS),
                   t_below(&rng, FILL_KINDS), &rng);
    }
}

/* Sums that meet the bounds of 8-bit and 16-bit operands in 32-bit accumulators. */
static void long_sums(void)
{
    static const int sides[][2] = {{1, 1}, {3, 3}, {7, 7}, {1, 3}};
    static const int formats[][2] = {{0, 7}, {0, 6}, {2, 4}, {3, 8}, {3, 6}, {3, 5}, {2, 7}};
    uint64_t rng = 6;
    threads(1);
    for (int f = 0; f < 7; f++) {
        for (int side = 0; side < 4; side++) {
            int taps = sides[side][0] * sides[side][1];
            /* a full 32 bits: 66311 products of 255 and 127 */
            int most = 66311 / taps, few = f < 3 ? 6 : 2;
            for (int less = 0; less < few; less++) {
                static const int kinds[] = {FILL_TOP, FILL_SIGN, FILL_ENDS};
                mls_conv c = conv_of(shape_of(1, sides[side][0], sides[side][1], most + 1 - less),
                                     1 + less % 2, sides[side][0], sides[side][1], 1, 0);
                mls_format a = plain(formats[f][0], formats[f][1]), b = a;
                if (T_SLOW && (less > 2 || side == 3)) continue;
                if (less == 3) b = plain(formats[(f + 1) % 7][0], formats[(f + 1) % 7][1]);
                c.in.c /= f < 3 ? 1 : 1 + side; /* 16 bits: several lengths */
                check_case(&c, MLS_FORWARD, a, b, kinds[less % 3], kinds[less / 2 % 2], &rng);
                c.c_out = c.in.c, c.in.c = 1 + less % 2; /* the same number of terms */
                check_case(&c, MLS_BACKWARD_DATA, a, b, kinds[less % 3], kinds[less / 2 % 2], &rng);
            }
        }
    }
    for (int d = 0; d < 2; d++) { /* more than 32 bits hold, also without a bias */
        mls_conv c = conv_of(shape_of(1, 1, 1, d ? 1 : 140000), d ? 140000 : 1, 1, 1, 1, 0);
        check_case(&c, (mls_direction)d, plain(0, 7), plain(0, 7), FILL_TOP, FILL_SIGN, &rng);
    }
    for (int f = 0; f < 7; f++) {
        static const int pictures[][3] = {{1, 255, 255}, {2, 255, 253}, {3, 180, 181},
                                          {1, 1, 30000}, {9, 90, 91},   {1, 257, 256},
                                          {2, 200, 200}};
        for (int i = 0; i < 7; i++) {
            const int *p = pictures[i];
            mls_conv c = conv_of(shape_of(p[0], p[1], p[2], 1), 1, 1, 1, 1, 0);
            mls_format a = plain(formats[f][0], formats[f][1]), b = a;
            if (T_SLOW && i != 2 && i != 0) continue;
            check_case(&c, MLS_BACKWARD_WEIGHT, a, b, i % 2 ? FILL_SIGN : FILL_TOP, FILL_TOP, &rng);
        }
    }
}

/* Sums of group pairs around 2^51, and single pairs beyond it, to either side. */
static void sums_of_pairs(void)
{
    static const int formats[][3] = {{2, 1, 1}, {2, 1, 0}, {2, 4, 0}, {3, 4, 1}, {3, 4, 0}};
    mls_format byte = format_of(0, 7, 4, 0, MLS_GROUP_NC);
    mls_conv c;
    uint64_t rng = 9;
    threads(1);
    for (int f = 0; f < 5; f++) {
        for (int channels = 1; channels <= 1024; channels *= 4) {
            for (int kind = FILL_TOP; kind <= FILL_SIGN; kind += FILL_SIGN - FILL_TOP) {
                mls_format a =
                    format_of(formats[f][0], formats[f][1], 8, formats[f][2], MLS_GROUP_NC);
                int few = channels > 64 ? 3 : 17;
                c = conv_of(shape_of(1, 2, 9, channels), few, 3, 3, 1, 1);
                if (T_SLOW && channels > 16) continue;
                check_case(&c, MLS_FORWARD, a, a, FILL_FAR, kind, &rng);
                check_case(&c, MLS_FORWARD, a, a, FILL_FAR, FILL_FAR, &rng);
                c.in.c = few, c.c_out = channels;
                check_case(&c, MLS_BACKWARD_DATA, a, a, kind, FILL_FAR, &rng);
            }
        }
    }
    /* a window whose P_g needs more than 32 bits */
    c = conv_of(shape_of(1, 400, 400, 1), 2, 400, 400, 1, 0);
    check_case(&c, MLS_FORWARD, byte, byte, FILL_FAR, FILL_TOP, &rng);
}

/* The second operand in two planes of 16 bits: every exponent up to where they do not hold it, sums
   that 32 bits hold by rows of taps, by words or whole, and scales that overflow on the way. */
static void two_planes(void)
{
    static const int formats[][3] = {{2, 1, 1}, {2, 1, 0}, {0, 7, 0}, {3, 6, 1}, {0, 1, 1}};
    static const int kinds[] = {FILL_TOP, FILL_SIGN, FILL_ENDS, FILL_RANDOM};
    static const int channels_of[] = {5, 5, 5, 5, 50, 50, 50, 200};
    uint64_t rng = 10;
    threads(1);
    for (int i = 0; i < 5 * 32 * 4 * 2; i++) {
        int at = i / 8 % 32, first_k = t_below(&rng, 8), channels = channels_of[t_below(&rng, 8)];
        const int *of = formats[i / 256];
        mls_format f = format_of(of[0], of[1], 8, of[2], MLS_GROUP_NC);
        mls_direction d = (mls_direction)(i % 2);
        mls_conv c = conv_of(shape_of(2, 3, 4, d ? 18 : channels), d ? channels : 18, 3, 3,
                             1 + t_below(&rng, 2), t_below(&rng, 3));
        mls_tensor t[2];
        mls_shape s[3];
        if (T_SLOW && (i % 19 || channels > 50)) continue;
        shapes_of(&c, d, &s[0], &s[1], &s[2]);
        for (int j = 0; j < 2; j++) {
            int k = j ? at : first_k;
            t[j] = tensor_new(f, s[j], kinds[j ? i / 2 % 4 : t_below(&rng, 4)], &rng);
            for (size_t g = 0; g < groups_of(f, s[j]); g++) {
                if (g % 3 == 1) t[j].group[g] = (uint16_t)(k << f.mg | (k && g % 2 ? f.mg : 0));
            }
            if (at % 4 == 3) t[j].scale *= (float)two_to(40 + t_below(&rng, 12));
        }
        /* rows that begin with few weights: their other strips are larger */
        for (size_t e = 0; d == MLS_FORWARD && channels > 50 && e < count_of(s[0]); e++) {
            if (e % 600 < 256 && e % 8) put_code(&t[0], e, 0);
        }
        note_case(&c, d, f, f, first_k, at);
        check_tensors(&c, d, &t[0], &t[1], 0);
        tensor_free(&t[0]), tensor_free(&t[1]);
    }
}

/* The largest magnitudes of folded operands: every k in use, the sums at their ends. */
static void full_range(void)
{
    uint64_t rng = 7;
    threads(1);
    for (int f = 0; f < SOME_FORMATS; f++) {
        for (int kind = 0; kind < FILL_KINDS; kind++) {
            for (int other = FILL_TOP; other <= FILL_SIGN; other++) {
                mls_conv c = conv_of(shape_of(2, 4, 4, 18), 19, 3, 3, 1, 1);
                int d = t_below(&rng, 3);
                if (T_SLOW && (kind + other + f) % 5) continue;
                if (kind == FILL_ZERO) c.in.c = 3;
                check_case(&c, (mls_direction)d, some_format(f, MLS_GROUP_NC),
                           some_format(f, MLS_GROUP_NC), kind, other, &rng);
            }
        }
    }
}

/* The sums at the end of 128 bits: what fits is computed, what does not is refused by name. */
static void widest_sums(void)
{
    mls_format wide_format = format_of(5, 10, 8, 1, MLS_GROUP_NC);
    mls_conv c = conv_of(shape_of(1, 1, 1, 9216), 1, 1, 1, 1, 0);
    char text[160];
    uint64_t rng = 8;
    threads(1);
    T_EQ_INT(mls_conv_check(&c, MLS_FORWARD, wide_format, wide_format, text, sizeof text),
             MLS_ERROR_RANGE);
    T_CHECK(strstr(text, "forward") && strstr(text, "9216") && strstr(text, "128 bits"));
    T_CHECK(strstr(text, "2197949513728") != NULL); /* 2047 * 2^30, the largest q */
    T_EQ_INT(mls_conv_check(&c, MLS_FORWARD, wide_format, wide_format, NULL, 0), MLS_ERROR_RANGE);
    memset(text, 'x', sizeof text);
    T_EQ_INT(mls_conv_check(&c, MLS_FORWARD, wide_format, wide_format, text, 9), MLS_ERROR_RANGE);
    T_CHECK(strcmp(text, "forward:") == 0 && text[9] == 'x');
    check_case(&c, MLS_FORWARD, wide_format, wide_format, FILL_TOP, FILL_TOP, &rng);
    /* the paper's 3 x 3 over 1024 channels, all three directions */
    c = conv_of(shape_of(16, 24, 24, 1024), 1024, 3, 3, 1, 1);
    for (int d = 0; d < 3; d++) {
        static const char *const names[] = {"forward", "backward-data", "backward-weight"};
        T_EQ_INT(mls_conv_check(&c, (mls_direction)d, wide_format, wide_format, text, sizeof text),
                 MLS_ERROR_RANGE);
        T_CHECK(strstr(text, names[d]) != NULL);
        T_CHECK(strstr(text, "9216") != NULL); /* 9 * 1024 = 16 * 24 * 24 */
    }
    for (int terms = 8190; terms <= 8202; terms++) { /* 2^13 of them just fit */
        static const int kinds[] = {FILL_TOP, FILL_SIGN, FILL_ENDS};
        int fits;
        c = conv_of(shape_of(1, 1, 1, terms), 1, 1, 1, 1, 0);
        fits =
            mls_conv_check(&c, MLS_FORWARD, wide_format, wide_format, text, sizeof text) == MLS_OK;
        T_CHECK(WIDE_BITS < 127 ? !fits : terms <= 8192 ? fits : fits || text[0]);
        if (fits) T_EQ_INT(text[0], 0);
        if (T_SLOW && terms != 8192) continue;
        check_case(&c, MLS_FORWARD, wide_format, wide_format, kinds[terms % 3], FILL_TOP, &rng);
    }
    c = conv_of(shape_of(1, 1, 1, 4), 8192, 1, 1, 1, 0);
    check_case(&c, MLS_BACKWARD_DATA, wide_format, wide_format, FILL_TOP, FILL_SIGN, &rng);
    c = conv_of(shape_of(2, 64, 64, 1), 1, 1, 1, 1, 0);
    check_case(&c, MLS_BACKWARD_WEIGHT, wide_format, wide_format, FILL_TOP, FILL_SIGN, &rng);
    /* 62 bits is where the wide class ends */
    for (int mx = 0; mx <= 10; mx++) {
        mls_format f = format_of(4, mx, 4, 1, MLS_GROUP_NC);
        for (int terms = 1; terms <= 4096; terms *= 8) {
            c = conv_of(shape_of(1, 1, 1, terms), 2, 1, 1, 1, 0);
            check_case(&c, MLS_FORWARD, f, f, FILL_TOP, FILL_SIGN, &rng);
        }
    }
}

/* Scales whose product is denormal, or so large that a sum times it is infinite. */
static void extreme_scales(void)
{
    static const int exponents[][2] = {{-60, -60}, {-64, -50}, {-70, -70}, {-100, 40}, {59, 59}};
    static const int which[] = {0, 1, 6, 8, 16, 17, 20};
    uint64_t rng = 15;
    threads(1);
    for (int i = 0; i < 5 * 7 * 3; i++) {
        mls_conv c = conv_of(shape_of(1, 3, 4, 5), 18, 2, 2, 1, 0);
        mls_direction d = (mls_direction)(i % 3);
        mls_format f = some_format(which[i / 3 % 7], MLS_GROUP_NC);
        mls_tensor t[2];
        mls_shape s[3];
        shapes_of(&c, d, &s[0], &s[1], &s[2]);
        for (int j = 0; j < 2; j++) {
            t[j] = tensor_new(f, s[j], FILL_RANDOM, &rng);
            t[j].scale *= (float)two_to(exponents[i / 21][j] + 4);
        }
        note_case(&c, d, f, f, exponents[i / 21][0], exponents[i / 21][1]);
        check_tensors(&c, d, &t[0], &t[1], 0);
        tensor_free(&t[0]), tensor_free(&t[1]);
    }
}

static void check_arguments(void)
{
    mls_conv c = conv_of(shape_of(1, 4, 4, 2), 3, 3, 3, 1, 1);
    mls_format f = format_of(2, 1, 2, 0, MLS_GROUP_NC), bad[6];
    char text[80] = "x";
    T_EQ_INT(mls_conv_check(NULL, MLS_FORWARD, f, f, NULL, 0), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_conv_check(&c, (mls_direction)3, f, f, NULL, 0), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_conv_check(&c, MLS_FORWARD, f, f, text, sizeof text), MLS_OK);
    T_EQ_INT(text[0], 0);
    for (int i = 0; i < 6; i++) bad[i] = f;
    bad[0].ex = 6, bad[1].mx = 11, bad[2].eg = 9, bad[3].mg = 2, bad[4].grouping = 4;
    bad[5].eg = 0, bad[5].mg = 1;
    for (int i = 0; i < 6; i++) {
        t_note("%d", i);
        T_EQ_INT(mls_conv_check(&c, MLS_FORWARD, bad[i], f, NULL, 0), MLS_ERROR_FORMAT);
        T_EQ_INT(mls_conv_check(&c, MLS_FORWARD, f, bad[i], NULL, 0), MLS_ERROR_FORMAT);
    }
}

/* Wrong calls: the right status from every kernel, and not a byte of the output touched. */
static void wrong_calls(void)
{
    mls_conv c = conv_of(shape_of(2, 5, 4, 3), 4, 3, 2, 1, 1), other;
    mls_format f = format_of(2, 1, 2, 0, MLS_GROUP_NC);
    uint64_t rng = 9;
    threads(1);
    for (int kernel = 0; kernel < mls_kernel_count(); kernel++) {
        use(kernel);
        for (int d = 0; d < 3; d++) {
            mls_direction dir = (mls_direction)d;
            mls_shape sf, sg, so;
            mls_tensor tf, tg, t;
            size_t size = mls_conv_workspace(&c, f, f), bytes;
            void *work = t_alloc(size);
            unsigned char *to;
            float *out;
            shapes_of(&c, dir, &sf, &sg, &so);
            bytes = count_of(so) * sizeof(float);
            to = (unsigned char *)t_alloc(bytes);
            out = (float *)(void *)to;
            tf = tensor_new(f, sf, FILL_RANDOM, &rng), tg = tensor_new(f, sg, FILL_RANDOM, &rng);
            t_note("%s, direction %d", mls_kernel_name(kernel), d);
            T_EQ_INT(convolve(NULL, dir, &tf, &tg, out, work, size), MLS_ERROR_ARGUMENT);
            T_EQ_INT(convolve(&c, dir, NULL, &tg, out, work, size), MLS_ERROR_ARGUMENT);
            T_EQ_INT(convolve(&c, dir, &tf, NULL, out, work, size), MLS_ERROR_ARGUMENT);
            T_EQ_INT(convolve(&c, dir, &tf, &tg, NULL, work, size), MLS_ERROR_ARGUMENT);
            t = tf, t.code = NULL;
            T_EQ_INT(convolve(&c, dir, &t, &tg, out, work, size), MLS_ERROR_ARGUMENT);
            t = tg, t.group = NULL;
            T_EQ_INT(convolve(&c, dir, &tf, &t, out, work, size), MLS_ERROR_ARGUMENT);
            for (int i = 0; i < 8; i++) {
                int32_t *p;
                t = i < 4 ? tf : tg;
                p = i % 4 == 0   ? &t.shape.n
                    : i % 4 == 1 ? &t.shape.h
                    : i % 4 == 2 ? &t.shape.w
                                 : &t.shape.c;
                ++*p;
                T_EQ_INT(convolve(&c, dir, i < 4 ? &t : &tf, i < 4 ? &tg : &t, out, work, size),
                         MLS_ERROR_SHAPE);
            }
            other = c, other.stride = -1;
            T_EQ_INT(convolve(&other, dir, &tf, &tg, out, work, size), MLS_ERROR_SHAPE);
            t = tf, t.format.ex = 6;
            T_EQ_INT(convolve(&c, dir, &t, &tg, out, work, size), MLS_ERROR_FORMAT);
            t = tg, t.format.grouping = 7;
            T_EQ_INT(convolve(&c, dir, &tf, &t, out, work, size), MLS_ERROR_FORMAT);
            tf.scale = 3e38f, tg.scale = 2;
            T_EQ_INT(convolve(&c, dir, &tf, &tg, out, work, size), MLS_ERROR_NONFINITE);
            tf.scale = INFINITY, tg.scale = 1;
            T_EQ_INT(convolve(&c, dir, &tf, &tg, out, work, size), MLS_ERROR_NONFINITE);
            tf.scale = 1, tg.scale = NAN;
            T_EQ_INT(convolve(&c, dir, &tf, &tg, out, work, size), MLS_ERROR_NONFINITE);
            tg.scale = 1;
            if (kernel) { /* the reference needs no workspace */
                T_EQ_INT(convolve(&c, dir, &tf, &tg, out, NULL, size), MLS_ERROR_ARGUMENT);
                T_EQ_INT(convolve(&c, dir, &tf, &tg, out, work, 0), MLS_ERROR_MEMORY);
                T_EQ_INT(convolve(&c, dir, &tf, &tg, out, work, 64), MLS_ERROR_MEMORY);
            }
            for (size_t i = 0; i < bytes; i++) T_CHECK(to[i] == 0xa5);
            T_EQ_INT(convolve(&c, dir, &tf, &tg, out, work, size), MLS_OK);
            tensor_free(&tf), tensor_free(&tg);
            t_free(work), t_free(to);
        }
    }
}

static void wrong_calls_fp32(void)
{
    mls_conv c = conv_of(shape_of(2, 5, 4, 3), 4, 3, 2, 1, 1);
    mls_format none;
    static float a[512], b[512];
    memset(&none, 0, sizeof none);
    threads(1);
    for (int kernel = 0; kernel < mls_kernel_count(); kernel++) {
        use(kernel);
        for (int d = 0; d < 3; d++) {
            mls_direction dir = (mls_direction)d;
            size_t size = mls_conv_workspace(&c, none, none), bytes = sizeof(float) * 512;
            void *work = t_alloc(size);
            unsigned char *to = (unsigned char *)t_alloc(bytes);
            float *out = (float *)(void *)to;
            t_note("%s, direction %d", mls_kernel_name(kernel), d);
            T_EQ_INT(convolve_fp32(NULL, dir, a, b, out, work, size), MLS_ERROR_ARGUMENT);
            T_EQ_INT(convolve_fp32(&c, dir, NULL, b, out, work, size), MLS_ERROR_ARGUMENT);
            T_EQ_INT(convolve_fp32(&c, dir, a, NULL, out, work, size), MLS_ERROR_ARGUMENT);
            T_EQ_INT(convolve_fp32(&c, dir, a, b, NULL, work, size), MLS_ERROR_ARGUMENT);
            T_EQ_INT(convolve_fp32(&c, dir, a, b, out, NULL, size), MLS_ERROR_ARGUMENT);
            T_EQ_INT(convolve_fp32(&c, dir, a, b, out, work, 0), MLS_ERROR_MEMORY);
            T_EQ_INT(convolve_fp32(&c, dir, a, b, out, work, 100), MLS_ERROR_MEMORY);
            for (size_t i = 0; i < bytes; i++) T_CHECK(to[i] == 0xa5);
            T_EQ_INT(convolve_fp32(&c, dir, a, b, out, work, size), MLS_OK);
            t_free(work), t_free(to);
        }
    }
}

/* Stride 0 means 1. */
static void default_stride(void)
{
    uint64_t rng = 10;
    for (int i = 0; i < 4; i++) {
        mls_conv c = conv_of(shape_of(2, 4, 5, 3 + 14 * (i % 2)), 4, 3, 2, 0, 1);
        check_all(&c, some_format(i, MLS_GROUP_NC), some_format(6 * i, MLS_GROUP_NC), FILL_RANDOM,
                  &rng);
    }
}

/* The least workspace that works is found by bisection: it is at most that of one thread, below it
   the status is MEMORY and the output untouched, and at it the result is right. */
static void workspace_limits(void)
{
    static const int which[] = {0, 6, 7, 16, 25};
    uint64_t rng = 11;
    for (int i = 0; i < 60; i++) {
        mls_conv c = conv_of(shape_of(1 + t_below(&rng, 5), 3 + t_below(&rng, 6),
                                      3 + t_below(&rng, 6), 1 + t_below(&rng, 20)),
                             1 + t_below(&rng, 20), 1 + 2 * t_below(&rng, 2),
                             1 + 2 * t_below(&rng, 2), 1 + t_below(&rng, 2), 1);
        mls_direction d = (mls_direction)(i % 3);
        mls_format f = some_format(which[t_below(&rng, 5)], t_below(&rng, 4)), none;
        mls_format g = some_format(which[t_below(&rng, 5)], t_below(&rng, 4));
        mls_shape sf, sg, so;
        mls_tensor tf, tg;
        size_t one, low = 0, high, bytes;
        float *expected;
        int fp32 = i % 5 == 4;
        if (WIDE_BITS < 127 && mls_conv_check(&c, d, f, g, NULL, 0) != MLS_OK) continue;
        shapes_of(&c, d, &sf, &sg, &so);
        bytes = count_of(so) * sizeof(float);
        memset(&none, 0, sizeof none);
        if (fp32) f = g = none;
        threads(1);
        one = high = mls_conv_workspace(&c, f, g);
        if (fp32) {
            memset(&tf, 0, sizeof tf), memset(&tg, 0, sizeof tg);
            tf.peak = (float *)t_alloc(count_of(sf) * sizeof(float));
            tg.peak = (float *)t_alloc(count_of(sg) * sizeof(float));
            for (size_t j = 0; j < count_of(sf); j++) tf.peak[j] = t_uniform(&rng);
            for (size_t j = 0; j < count_of(sg); j++) tg.peak[j] = t_uniform(&rng);
        } else {
            tf = tensor_new(f, sf, FILL_SPREAD, &rng), tg = tensor_new(g, sg, FILL_SPREAD, &rng);
        }
        expected = (float *)t_alloc(bytes);
        for (int kernel = 0; kernel < mls_kernel_count(); kernel++) {
            for (int count = 1; count <= 4; count *= 2) {
                unsigned char *to = (unsigned char *)t_alloc(bytes), *work;
                float *out = (float *)(void *)to;
                threads(count);
                note_case(&c, d, f, g, kernel, count);
                use(kernel);
                low = 0, high = one + 1;
                while (high - low > 1) { /* low fails, high works */
                    size_t middle = low + (high - low) / 2;
                    mls_status status;
                    if (middle == one + 1) break;
                    work = (unsigned char *)t_alloc(middle);
                    status = fp32 ? convolve_fp32(&c, d, tf.peak, tg.peak, out, work, middle)
                                  : convolve(&c, d, &tf, &tg, out, work, middle);
                    t_free(work);
                    if (status == MLS_OK) {
                        high = middle;
                        if (kernel + count == 1 && middle == one) memcpy(expected, out, bytes);
                        memset(to, 0xa5, bytes);
                    } else {
                        T_EQ_INT(status, MLS_ERROR_MEMORY);
                        for (size_t j = 0; j < bytes; j++) T_CHECK(to[j] == 0xa5);
                        low = middle;
                    }
                }
                T_CHECK(high <= one);
                work = (unsigned char *)t_alloc(high);
                if (fp32) {
                    T_EQ_INT(convolve_fp32(&c, d, tf.peak, tg.peak, out, work, high), MLS_OK);
                } else {
                    T_EQ_INT(convolve(&c, d, &tf, &tg, out, work, high), MLS_OK);
                }
                if (kernel + count == 1) memcpy(expected, out, bytes);
                T_EQ_MEM(out, expected, bytes);
                t_free(work), t_free(to);
            }
        }
        if (fp32)
            t_free(tf.peak), t_free(tg.peak);
        else
            tensor_free(&tf), tensor_free(&tg);
        t_free(expected);
    }
    threads(1);
}

/* 1, 2 and 4 threads with all of their workspace, or only that of one; batches below the count. */
static void thread_counts(void)
{
    uint64_t rng = 12;
    for (int i = 0; i < 40; i++) {
        mls_conv c = conv_of(shape_of(1 + i % 10, 6, 5, 1 + t_below(&rng, 20)),
                             1 + t_below(&rng, 20), 3, 3, 1 + i % 2, 1);
        static const int which[] = {0, 6, 7, 16, 25};
        mls_direction d = (mls_direction)(i % 3);
        mls_format f = some_format(which[i % 5], t_below(&rng, 4));
        mls_format g = some_format(which[(i + i / 5) % 5], t_below(&rng, 4));
        mls_shape sf, sg, so;
        mls_tensor tf, tg;
        size_t one, bytes;
        float *expected, *out;
        if (WIDE_BITS < 127 && mls_conv_check(&c, d, f, g, NULL, 0) != MLS_OK) continue;
        shapes_of(&c, d, &sf, &sg, &so);
        bytes = count_of(so) * sizeof(float);
        tf = tensor_new(f, sf, FILL_SPREAD, &rng), tg = tensor_new(g, sg, FILL_SPREAD, &rng);
        expected = (float *)t_alloc(bytes), out = (float *)t_alloc(bytes);
        threads(1);
        one = mls_conv_workspace(&c, f, g);
        oracle(&c, d, &tf, &tg, expected);
        for (int kernel = 0; kernel < mls_kernel_count(); kernel++) {
            use(kernel);
            for (int count = 1; count <= 4; count *= 2) {
                size_t all;
                threads(count);
                all = mls_conv_workspace(&c, f, g);
                T_CHECK(all >= one);
                note_case(&c, d, f, g, kernel, count);
                memset(out, 0xa5, bytes);
                T_EQ_INT(run_guarded(&c, d, &tf, &tg, out, all), MLS_OK);
                T_EQ_MEM(out, expected, bytes);
                memset(out, 0xa5, bytes);
                T_EQ_INT(run_guarded(&c, d, &tf, &tg, out, one), MLS_OK);
                T_EQ_MEM(out, expected, bytes);
            }
        }
        tensor_free(&tf), tensor_free(&tg);
        t_free(expected), t_free(out);
    }
    threads(1);
}

/* The quantizer's own tensors, as users have them: mls_tensor_init in one block. */
static void quantized_operands(void)
{
    uint64_t rng = 13;
    threads(1);
    for (int i = 0; i < 30; i++) {
        mls_conv c = conv_of(shape_of(2, 6, 6, 3 + t_below(&rng, 16)), 4 + t_below(&rng, 16), 3, 3,
                             1 + i % 2, 1);
        mls_direction d = (mls_direction)(i % 3);
        mls_shape s[3];
        mls_tensor t[2];
        void *memory[2];
        shapes_of(&c, d, &s[0], &s[1], &s[2]);
        for (int j = 0; j < 2; j++) {
            mls_format f = some_format((i + 7 * j) % SOME_FORMATS, t_below(&rng, 4));
            size_t count = count_of(s[j]);
            float *x = (float *)t_alloc(count * sizeof(float));
            f.rounding = (uint8_t)(i % 3);
            for (size_t k = 0; k < count; k++) {
                x[k] = t_uniform(&rng) * (float)two_to(-(int)(k % (size_t)s[j].c * 7 % 20));
                if (k % (size_t)s[j].c == 2 && i % 2) x[k] = 0;
            }
            memory[j] = t_alloc(mls_tensor_size(f, s[j]));
            T_EQ_INT(mls_tensor_init(&t[j], f, s[j], memory[j], mls_tensor_size(f, s[j])), MLS_OK);
            T_EQ_INT(mls_quantize(&t[j], x, (uint64_t)i), MLS_OK);
            t_free(x);
        }
        note_case(&c, d, t[0].format, t[1].format, -1, -1);
        check_tensors(&c, d, &t[0], &t[1], 0);
        t_free(memory[0]), t_free(memory[1]);
    }
}

/* ---- fp32 */

/* a * b + c, rounded once. The fmaf of mingw-w64 rounds twice; the header's own is tested by
   multiply_add of mls/quantize.c. */
static float fused(float a, float b, float c)
{
#if defined(__MINGW32__)
    return mls__fma(a, b, c);
#else
    return fmaf(a, b, c);
#endif
}

/* The documented chains: forward over ky, kx, ci; backward-data over ky and kx downwards, co;
   backward-weight over the images of a block, y, x, and then the blocks. */
static void naive_fp32(const mls_conv *c, mls_direction d, const float *f, const float *g,
                       float *to)
{
    mls_shape sf, sg, so, z = output_of(c);
    int s = c->stride ? c->stride : 1, blocks = z.n < 8 ? z.n : 8;
    shapes_of(c, d, &sf, &sg, &so);
    for (int o0 = 0; o0 < so.n; o0++)
        for (int o1 = 0; o1 < so.h; o1++)
            for (int o2 = 0; o2 < so.w; o2++)
                for (int o3 = 0; o3 < so.c; o3++) {
                    float sum = 0, total = 0;
                    if (d == MLS_FORWARD) {
                        for (int ky = 0; ky < c->kh; ky++)
                            for (int kx = 0; kx < c->kw; kx++)
                                for (int ci = 0; ci < c->in.c; ci++) {
                                    int y = o1 * s + ky - c->pad, x = o2 * s + kx - c->pad;
                                    int in = x >= 0 && x < sg.w;
                                    if (y < 0 || y >= sg.h) continue;
                                    sum = fused(in ? g[at4(sg, o0, y, x, ci)] : 0,
                                                f[at4(sf, o3, ky, kx, ci)], sum);
                                }
                        total = sum;
                    } else if (d == MLS_BACKWARD_DATA) {
                        for (int ky = c->kh - 1; ky >= 0; ky--)
                            for (int kx = c->kw - 1; kx >= 0; kx--)
                                for (int co = 0; co < z.c; co++) {
                                    int y = o1 + c->pad - ky, x = o2 + c->pad - kx, in;
                                    if (y % s || x % s || y < 0 || y / s >= sg.h) continue;
                                    y /= s, x /= s;
                                    in = x >= 0 && x < sg.w;
                                    sum = fused(in ? g[at4(sg, o0, y, x, co)] : 0,
                                                f[at4(sf, co, ky, kx, o3)], sum);
                                }
                        total = sum;
                    } else {
                        for (int b = 0; b < blocks; b++) {
                            sum = 0;
                            for (int n = b * z.n / blocks; n < (b + 1) * z.n / blocks; n++)
                                for (int r = 0; r < z.h * z.w; r++) {
                                    int y = r / z.w * s + o1 - c->pad;
                                    int x = r % z.w * s + o2 - c->pad;
                                    int in = x >= 0 && x < sg.w;
                                    if (y < 0 || y >= sg.h) continue;
                                    sum = fused(in ? g[at4(sg, n, y, x, o3)] : 0,
                                                f[at4(sf, n, r / z.w, r % z.w, o0)], sum);
                                }
                            total = b ? total + sum : sum;
                        }
                    }
                    *to++ = total;
                }
}

static void fill_fp32(float *x, size_t count, int kind, uint64_t *rng)
{
    for (size_t i = 0; i < count; i++) {
        float v = t_uniform(rng);
        if (kind == 1) v *= (float)two_to(t_below(rng, 80) - 40);
        if (kind == 2 && t_below(rng, 3)) v = t_below(rng, 2) ? 0.0f : -0.0f;
        if (kind == 3) v *= (float)two_to(t_below(rng, 60) - 100); /* products underflow */
        x[i] = v;
    }
}

/* One fp32 convolution under all kernels, against its chains. i varies what is in it. */
static void check_chains(const mls_conv *c, mls_direction d, int i, uint64_t *rng)
{
    mls_shape sf, sg, so;
    size_t bytes, size;
    float *f, *g, *expected;
    mls_format none;
    memset(&none, 0, sizeof none);
    shapes_of(c, d, &sf, &sg, &so);
    bytes = count_of(so) * sizeof(float);
    f = (float *)t_alloc(count_of(sf) * sizeof(float));
    g = (float *)t_alloc(count_of(sg) * sizeof(float));
    fill_fp32(f, count_of(sf), i / 3 % 4, rng), fill_fp32(g, count_of(sg), i / 12 % 4, rng);
    expected = (float *)t_alloc(bytes);
    naive_fp32(c, d, f, g, expected);
    for (int kernel = 0; kernel < mls_kernel_count(); kernel++) {
        float *out = (float *)t_alloc(bytes);
        void *work;
        threads(1 + i % 2 * 3);
        size = mls_conv_workspace(c, none, none);
        work = t_alloc(size);
        use(kernel);
        note_case(c, d, none, none, kernel, i);
        T_EQ_INT(convolve_fp32(c, d, f, g, out, work, size), MLS_OK);
        T_EQ_MEM(out, expected, bytes);
        t_free(work), t_free(out);
    }
    t_free(f), t_free(g), t_free(expected);
}

static void fp32_chains(void)
{
    static const int channels[] = {1, 2, 3, 5, 8, 16, 17, 31, 32, 33};
    uint64_t rng = 14;
    for (int i = 0; i < cases(700); i++) {
        int kh = 1 + t_below(&rng, 3), kw = 1 + t_below(&rng, 3), pad = t_below(&rng, 3);
        int h = 1 + t_below(&rng, 6), w = 1 + t_below(&rng, 6), large = t_below(&rng, 5) == 0;
        mls_conv c;
        mls_direction d = (mls_direction)(i % 3);
        if (i % 11 == 0) kh = kw = 5 + t_below(&rng, 3);
        if (large) h += 8, w += 8;
        while (h + 2 * pad < kh) h++;
        while (w + 2 * pad < kw) w++;
        c = conv_of(shape_of(1 + t_below(&rng, large ? 2 : 18), h, w, channels[t_below(&rng, 10)]),
                    channels[t_below(&rng, 10)], kh, kw, t_below(&rng, 4), pad);
        if (work_of(&c) > (T_SLOW ? 1e5 : 1e6)) continue;
        check_chains(&c, d, i, &rng);
    }
    threads(1);
}

/* ---- kernels */

/* Rows of taps in the padding are left out: what is infinite there stays there. */
static void padding_left_out(void)
{
    const mls_conv c = conv_of(shape_of(1, 3, 3, 20), 20, 3, 3, 1, 1);
    uint64_t rng = 21;
    for (int i = 0; i < 6; i++) {
        int d = i / 2, last = i % 2 ? 2 : 0, at = d == MLS_BACKWARD_DATA ? 2 - last : last;
        mls_shape sf, sg, so;
        size_t count, row;
        float *f, *g;
        mls_format none;
        memset(&none, 0, sizeof none);
        shapes_of(&c, (mls_direction)d, &sf, &sg, &so);
        count = count_of(so), row = (size_t)sf.w * (size_t)sf.c;
        f = (float *)t_alloc(count_of(sf) * sizeof(float));
        g = (float *)t_alloc(count_of(sg) * sizeof(float));
        fill_fp32(f, count_of(sf), 0, &rng), fill_fp32(g, count_of(sg), 0, &rng);
        /* a row of every kernel, or of E, that the line on the other side of it never meets */
        for (size_t j = 0; j < (size_t)sf.n * row; j++) {
            f[(j / row * 3 + (size_t)at) * row + j % row] = (float)INFINITY;
        }
        for (int kernel = 0; kernel < mls_kernel_count(); kernel++) {
            float *out = (float *)t_alloc(count * sizeof(float));
            size_t size, finite = 0;
            void *work;
            use(kernel);
            size = mls_conv_workspace(&c, none, none), work = t_alloc(size);
            note_case(&c, (mls_direction)d, none, none, kernel, 0);
            T_EQ_INT(convolve_fp32(&c, (mls_direction)d, f, g, out, work, size), MLS_OK);
            for (size_t j = 0; j < count; j++) {
                size_t line = j / (size_t)so.c / (size_t)so.w % 3;
                int is_finite = out[j] - out[j] == 0;
                T_CHECK(is_finite == (line == (size_t)last));
                finite += (size_t)is_finite;
            }
            T_EQ_INT((int)finite, (int)(count / 3));
            t_free(work), t_free(out);
        }
        t_free(f), t_free(g);
    }
}

static void kernel_names(void)
{
    int count = mls_kernel_count();
    T_CHECK(strcmp(mls_kernel_used(), mls_kernel_name(count - 1)) == 0); /* nobody chose it */
    T_CHECK(count >= 1 && count <= MLS__UNIT_COUNT);
    T_CHECK(strcmp(mls_kernel_name(0), "scalar") == 0);
    T_CHECK(mls_kernel_name(count) == NULL && mls_kernel_name(-1) == NULL);
    T_EQ_INT(mls_kernel_use("auto"), MLS_OK);
    T_CHECK(strcmp(mls_kernel_used(), mls_kernel_name(count - 1)) == 0);
    for (int i = 0; i < count; i++) {
        use(i);
        T_EQ_INT(mls_kernel_use("no such kernel"), MLS_ERROR_KERNEL);
        T_EQ_INT(mls_kernel_use(""), MLS_ERROR_KERNEL);
        T_EQ_INT(mls_kernel_use(NULL), MLS_ERROR_ARGUMENT);
        T_CHECK(strcmp(mls_kernel_used(), mls_kernel_name(i)) == 0);
        for (int j = 0; j < i; j++) T_CHECK(strcmp(mls_kernel_name(i), mls_kernel_name(j)) != 0);
    }
    for (int i = 0; i < MLS__UNIT_COUNT; i++) { /* in the build, not on this CPU */
        if (mls__unit_here(i)) continue;
        T_EQ_INT(mls_kernel_use(mls__unit_names[i]), MLS_ERROR_KERNEL);
    }
    T_EQ_INT(mls_kernel_use("auto"), MLS_OK);
    memset(kernel_ran, 0, sizeof kernel_ran); /* to be chosen is not to run */
}

/* A group scale above 1 (k = 0, m = 1) or below the format's smallest is no group scale. */
static void group_codes_refused(void)
{
    static unsigned char memory[2][1000], workspace[100000];
    const mls_format f = {2, 1, 2, 1, MLS_GROUP_C, MLS_ROUND_NEAREST, MLS_RANGE_FIT};
    const mls_shape s = {1, 1, 1, 2};
    const mls_conv conv = conv_of(s, 1, 1, 1, 1, 0);
    static const uint16_t bad[] = {1, 4 << 1, 127 << 1, 0xffff};
    mls_tensor w, a;
    T_REQUIRE(mls_tensor_init(&w, f, s, memory[0], sizeof memory[0]) == MLS_OK);
    T_REQUIRE(mls_tensor_init(&a, f, s, memory[1], sizeof memory[1]) == MLS_OK);
    w.scale = a.scale = 1;
    w.code[0] = a.code[0] = 0x77;
    w.group[0] = w.group[1] = a.group[0] = a.group[1] = 4;
    for (int kernel = 0; kernel < mls_kernel_count(); kernel++) {
        float out = 5;
        T_EQ_INT(mls_kernel_use(mls_kernel_name(kernel)), MLS_OK);
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
            a.group[1] = bad[i];
            T_EQ_INT(mls_conv_forward(&conv, &w, &a, &out, workspace, sizeof workspace),
                     MLS_ERROR_FORMAT);
            T_CHECK(out == 5);
        }
        a.group[1] = 4;
        T_EQ_INT(mls_conv_forward(&conv, &w, &a, &out, workspace, sizeof workspace), MLS_OK);
        T_CHECK(out == 2 * 9.0f / 16 / 16); /* two products of 3/4 * 1/4 */
    }
    T_EQ_INT(mls_kernel_use("auto"), MLS_OK);
}

/* ---- prepared operands: the bits of the packed tensors, by every kernel */

static mls_role role_of(mls_direction d, int second)
{
    if (second) return d == MLS_BACKWARD_DATA ? MLS_ERROR : MLS_ACTIVATION;
    return d == MLS_BACKWARD_WEIGHT ? MLS_ERROR : MLS_WEIGHT;
}

/* Quantizes both operands, as tensors and straight, and compares the results. load: through
   mls_operand_load. Formats must fit bits. */
static void check_prepared(const mls_conv *c, mls_direction d, mls_format f, mls_format g,
                           int32_t bits, uint64_t seed)
{
    mls_shape s[3];
    mls_format format[2];
    float *x[2], *expected;
    mls_tensor t[2];
    void *memory[2], *work;
    size_t bytes, size;
    uint64_t rng = seed;
    format[0] = f, format[1] = g;
    shapes_of(c, d, &s[0], &s[1], &s[2]);
    bytes = count_of(s[2]) * sizeof(float);
    expected = (float *)t_alloc(bytes);
    size = mls_conv_workspace(c, f, g);
    work = t_alloc(size);
    for (int j = 0; j < 2; j++) {
        size_t count = count_of(s[j]);
        x[j] = (float *)t_alloc(count * sizeof(float));
        for (size_t k = 0; k < count; k++) {
            x[j][k] = t_uniform(&rng) * (float)two_to(-(int)(k % (size_t)s[j].c * 7 % 12));
            if (k % (size_t)s[j].c == 2 && seed % 2) x[j][k] = 0;
        }
        memory[j] = t_alloc(mls_tensor_size(format[j], s[j]));
        T_EQ_INT(
            mls_tensor_init(&t[j], format[j], s[j], memory[j], mls_tensor_size(format[j], s[j])),
            MLS_OK);
    }
    for (int kernel = 0; kernel < mls_kernel_count(); kernel++) {
        mls_operand o[2];
        void *at[2];
        use(kernel);
        for (int j = 0; j < 2; j++) {
            size_t need = mls_operand_size(c, role_of(d, j), format[j], bits);
            T_REQUIRE(need > 0);
            at[j] = t_alloc(need);
            T_EQ_INT(mls_operand_init(&o[j], c, role_of(d, j), format[j], bits, at[j], need),
                     MLS_OK);
            if (kernel == 0) T_EQ_INT(mls_quantize(&t[j], x[j], seed), MLS_OK);
        }
        if (kernel == 0) {
            T_EQ_INT(convolve(c, d, &t[0], &t[1], expected, work, size), MLS_OK);
        }
        for (int load = 0; load < 2; load++) {
            float *out = (float *)t_alloc(bytes);
            for (int j = 0; j < 2; j++) {
                T_EQ_INT(load ? mls_operand_load(&o[j], &t[j])
                              : mls_operand_quantize(&o[j], x[j], seed),
                         MLS_OK);
                T_CHECK(o[j].tensor.scale == t[j].scale);
                T_EQ_MEM(o[j].tensor.group, t[j].group,
                         groups_of(format[j], s[j]) * sizeof(uint16_t));
            }
            T_EQ_INT(mls_conv_prepared(c, d, &o[0], &o[1], out, work, size), MLS_OK);
            T_EQ_MEM(out, expected, bytes);
            t_free(out);
        }
        t_free(at[0]), t_free(at[1]);
    }
    for (int j = 0; j < 2; j++) t_free(x[j]), t_free(memory[j]);
    t_free(work), t_free(expected);
}

/* Operands that do not fit the caches go in parts: rows of an image, several images for a block of
   weights, strips of pixels, words of a row of taps. */
static void parts(void)
{
    static const int convs[][9] = {
        /* n h w c_in c_out kh kw stride pad */
        {1, 200, 180, 3, 2, 3, 3, 1, 1},  {1, 310, 300, 2, 3, 3, 2, 2, 1},
        {1, 260, 250, 1, 17, 1, 1, 1, 0}, {5, 3, 4, 256, 240, 3, 3, 1, 1},
        {20, 4, 9, 16, 33, 3, 3, 1, 1},   {40, 7, 7, 33, 16, 3, 3, 1, 1},
        {19, 1, 1, 1024, 512, 1, 1, 1, 0}};
    uint64_t rng = 41;
    for (int i = 0; i < (T_SLOW ? 1 : 7); i++) {
        const int *v = convs[i];
        mls_conv c = conv_of(shape_of(v[0], v[1], v[2], v[3]), v[4], v[5], v[6], v[7], v[8]);
        for (int d = 0; d < 3; d++) {
            threads(1 + (i + d) % 2);
            for (int bits = 8; bits <= 16; bits += 8) {
                mls_format f = format_of(2, 1, bits == 8 ? 2 : 3, bits == 8 ? 0 : 1, MLS_GROUP_NC);
                check_prepared(&c, (mls_direction)d, f, f, bits, (uint64_t)i + 1);
            }
            check_chains(&c, (mls_direction)d, i, &rng);
        }
        threads(1);
        if (i) continue; /* tensors have no zeros behind their rows */
        check_case(&c, MLS_BACKWARD_WEIGHT, some_format(6, MLS_GROUP_NC),
                   some_format(6, MLS_GROUP_NC), FILL_SPREAD, FILL_SPREAD, &rng);
    }
    if (!T_SLOW) { /* group pairs, with sums that leave the cache: several images at a time */
        mls_conv c = conv_of(shape_of(3, 1, 1, 1027), 1030, 1, 1, 1, 0);
        mls_format f = format_of(2, 1, 8, 1, MLS_GROUP_NC);
        check_case(&c, MLS_BACKWARD_WEIGHT, f, f, FILL_FAR, FILL_FAR, &rng);
    }
}

static void prepared_operands(void)
{
    static const int channels[] = {1, 3, 8, 16, 17, 32, 40};
    static const char *const formats[] = {"2,1:nc:2,0", "2,1:nc:3,1", "0,4:none",   "2,4:n:2,1",
                                          "3,2:c:1,1",  "1,2:nc:2,1", "3,3:nc:1,1", "2,1:nc:2,1"};
    uint64_t rng = 31;
    for (int i = 0; i < cases(240); i++) {
        mls_conv c = conv_of(shape_of(1 + t_below(&rng, 5), 1 + t_below(&rng, 9),
                                      1 + t_below(&rng, 18), channels[t_below(&rng, 7)]),
                             channels[t_below(&rng, 7)], 1 + t_below(&rng, 4), 1 + t_below(&rng, 4),
                             1 + t_below(&rng, 3), t_below(&rng, 3));
        mls_direction d = (mls_direction)(i % 3);
        mls_format f = {0, 0, 0, 0, 0, 0, 0}, g = f;
        int32_t bits;
        while (c.in.h + 2 * c.pad < c.kh) c.in.h++;
        while (c.in.w + 2 * c.pad < c.kw) c.in.w++;
        f.rounding = (uint8_t)t_below(&rng, 3), g.rounding = (uint8_t)t_below(&rng, 3);
        T_EQ_INT(mls_format_parse(&f, formats[t_below(&rng, 8)]), MLS_OK);
        T_EQ_INT(mls_format_parse(&g, formats[t_below(&rng, 8)]), MLS_OK);
        bits =
            mls_operand_bits(f) > mls_operand_bits(g) ? mls_operand_bits(f) : mls_operand_bits(g);
        T_CHECK(bits == 8 || bits == 16);
        threads(1 + i % 2 * 2);
        note_case(&c, d, f, g, bits, i);
        check_prepared(&c, d, f, g, i % 5 ? bits : 16, (uint64_t)i);
    }
    threads(1);
}

/* int8 sums go in one piece: more terms than 32 bits hold are refused. */
static void prepared_too_long(void)
{
    mls_conv c = conv_of(shape_of(1, 1, 1, 70000), 1, 1, 1, 1, 0);
    mls_operand o[2];
    void *memory[2], *work = t_alloc(mls_conv_workspace(&c, plain(0, 7), plain(0, 7)));
    float out = 5;
    for (int i = 0; i < 2; i++) {
        size_t size = mls_operand_size(&c, role_of(MLS_FORWARD, i), plain(0, 7), 8);
        memory[i] = t_alloc(size);
        T_EQ_INT(
            mls_operand_init(&o[i], &c, role_of(MLS_FORWARD, i), plain(0, 7), 8, memory[i], size),
            MLS_OK);
    }
    T_EQ_INT(mls_conv_prepared(&c, MLS_FORWARD, &o[0], &o[1], &out, work,
                               mls_conv_workspace(&c, plain(0, 7), plain(0, 7))),
             MLS_ERROR_RANGE);
    T_CHECK(out == 5);
    t_free(memory[0]), t_free(memory[1]), t_free(work);
}

/* 16 bits where 8 would do take no more workspace than is asked for. */
static void prepared_wider(void)
{
    mls_conv c = conv_of(shape_of(1, 64, 18, 63), 1, 1, 5, 3, 3);
    mls_format f = plain(0, 7);
    size_t size;
    float *x = (float *)t_alloc(64 * 18 * 63 * sizeof(float));
    float *to = (float *)t_alloc(64 * 18 * 63 * sizeof(float));
    threads(1);
    for (size_t i = 0; i < 64 * 18 * 63; i++) x[i] = (float)(i % 7) - 3;
    for (int kernel = 0; kernel < mls_kernel_count(); kernel++) {
        void *work;
        use(kernel);
        size = mls_conv_workspace(&c, f, f);
        work = t_alloc(size);
        for (int d = 0; d < 3; d++) {
            mls_operand o[2];
            void *memory[2];
            for (int i = 0; i < 2; i++) {
                mls_role role = role_of((mls_direction)d, i);
                size_t need = mls_operand_size(&c, role, f, 16);
                memory[i] = t_alloc(need);
                T_EQ_INT(mls_operand_init(&o[i], &c, role, f, 16, memory[i], need), MLS_OK);
                T_EQ_INT(mls_operand_quantize(&o[i], x, 1), MLS_OK);
            }
            T_EQ_INT(mls_conv_prepared(&c, (mls_direction)d, &o[0], &o[1], to, work, size), MLS_OK);
            t_free(memory[0]), t_free(memory[1]);
        }
        t_free(work);
    }
    t_free(x), t_free(to);
    T_EQ_INT(mls_kernel_use("auto"), MLS_OK);
}

static void prepared_refused(void)
{
    mls_conv c = conv_of(shape_of(1, 4, 4, 3), 2, 3, 3, 1, 1), other = c;
    mls_format f = {2, 1, 2, 0, MLS_GROUP_NC, 0, 0}, broad = {2, 1, 8, 1, MLS_GROUP_NC, 0, 0};
    mls_operand w, a, e, w16;
    static float x[96], out[96];
    static uint8_t memory[4][1 << 17], work[1 << 18];
    size_t size = sizeof memory[0];
    mls_tensor t;
    other.in.w = 5;
    T_EQ_INT(mls_operand_bits(f), 8);
    T_EQ_INT(mls_operand_bits(broad), 0);
    T_EQ_INT(mls_operand_size(&c, MLS_WEIGHT, broad, 16), 0);
    T_EQ_INT(mls_operand_size(&c, MLS_WEIGHT, f, 12), 0);
    T_EQ_INT(mls_operand_size(NULL, MLS_WEIGHT, f, 8), 0);
    T_CHECK(mls_operand_size(&c, MLS_ACTIVATION, f, 8) > 48);
    T_EQ_INT(mls_operand_init(&w, &c, MLS_WEIGHT, broad, 16, memory[0], size), MLS_ERROR_FORMAT);
    T_EQ_INT(mls_operand_init(&w, &c, MLS_WEIGHT, f, 4, memory[0], size), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_operand_init(&w, &c, MLS_WEIGHT, f, 8, NULL, size), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_operand_init(&w, &c, MLS_WEIGHT, f, 8, memory[0],
                              mls_operand_size(&c, MLS_WEIGHT, f, 8) - 1),
             MLS_ERROR_MEMORY);
    other.kh = 9;
    T_EQ_INT(mls_operand_init(&w, &other, MLS_WEIGHT, f, 8, memory[0], size), MLS_ERROR_SHAPE);
    other.kh = 3;
    T_EQ_INT(mls_operand_init(&w, &c, MLS_WEIGHT, f, 8, memory[0], size), MLS_OK);
    T_EQ_INT(mls_operand_init(&a, &c, MLS_ACTIVATION, f, 8, memory[1], size), MLS_OK);
    T_EQ_INT(mls_operand_init(&e, &c, MLS_ERROR, f, 8, memory[2], size), MLS_OK);
    T_EQ_INT(mls_operand_init(&w16, &c, MLS_WEIGHT, f, 16, memory[3], size), MLS_OK);
    /* zeros give zeros */
    out[0] = 1;
    T_EQ_INT(mls_conv_prepared(&c, MLS_FORWARD, &w, &a, out, work, sizeof work), MLS_OK);
    T_CHECK(out[0] == 0);
    T_EQ_INT(mls_conv_prepared(&c, MLS_FORWARD, &w, &e, out, work, sizeof work),
             MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_conv_prepared(&c, MLS_FORWARD, &w, NULL, out, work, sizeof work),
             MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_conv_prepared(&other, MLS_FORWARD, &w, &a, out, work, sizeof work),
             MLS_ERROR_SHAPE);
    T_EQ_INT(mls_conv_prepared(&c, MLS_FORWARD, &w16, &a, out, work, sizeof work),
             MLS_ERROR_FORMAT);
    T_EQ_INT(mls_conv_prepared(&c, MLS_FORWARD, &w, &a, out, work, 16), MLS_ERROR_MEMORY);
    x[1] = (float)two_to(127) * 4; /* not finite: nothing changes */
    w.tensor.scale = 3;
    T_EQ_INT(mls_operand_quantize(&w, x, 1), MLS_ERROR_NONFINITE);
    T_CHECK(w.tensor.scale == 3);
    T_EQ_INT(mls_operand_quantize(&w, NULL, 1), MLS_ERROR_ARGUMENT);
    memset(&t, 0, sizeof t);
    T_EQ_INT(mls_operand_load(&w, &t), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_tensor_init(&t, f, shape_of(2, 3, 3, 3), memory[3], size), MLS_OK);
    T_EQ_INT(mls_operand_load(&w, &t), MLS_OK);
    t.group[5] = 4; /* 2^-4 is below the smallest */
    T_EQ_INT(mls_operand_load(&w, &t), MLS_ERROR_FORMAT);
    prepared_too_long();
    prepared_wider();
    if (mls_kernel_count() < 2) return;
    T_EQ_INT(mls_kernel_use("scalar"), MLS_OK);
    T_EQ_INT(mls_conv_prepared(&c, MLS_FORWARD, &w, &a, out, work, sizeof work), MLS_ERROR_KERNEL);
    x[1] = 0;
    T_EQ_INT(mls_operand_quantize(&w, x, 1), MLS_ERROR_KERNEL);
    T_EQ_INT(mls_kernel_use("auto"), MLS_OK);
}

/* A call says how it goes with the exponents that its tensors use, not with those of the formats. */
static void call_explained(void)
{
    mls_conv c = conv_of(shape_of(2, 4, 4, 3), 5, 3, 3, 1, 1);
    mls_format f = {2, 1, 8, 1, MLS_GROUP_NC, 0, 0};
    uint64_t rng = 61;
    char text[200];
    mls_source source[2];
    mls_sink sink;
    mls_conv_call *call;
    mls_shape s[3];
    mls_tensor t[2];
    static float out[512];
    size_t size = mls_conv_call_size(&c, MLS_FORWARD, f, f, 1);
    void *work = t_alloc(size);
    shapes_of(&c, MLS_FORWARD, &s[0], &s[1], &s[2]);
    memset(source, 0, sizeof source);
    for (int i = 0; i < 2; i++)
        t[i] = tensor_new(f, s[i], FILL_SIGN, &rng), source[i].tensor = &t[i];
    sink.out = out;
    for (int kernel = 0; kernel < mls_kernel_count(); kernel++) {
        use(kernel);
        for (int k = 0; k < 20; k += 3) {
            const char *how = !kernel ? "scalar" : k < 3 ? "int8" : k < 9 ? "int16:" : "planes";
            for (int i = 0; i < 2; i++) t[i].group[1] = (uint16_t)((i || k < 9 ? k : 8) << 1);
            T_EQ_INT(mls_conv_begin(&call, &c, MLS_FORWARD, &source[0], &source[1], &sink, 1, work,
                                    size),
                     MLS_OK);
            mls_conv_call_explain(call, text, sizeof text);
            t_note("%d: %s", k, text);
            T_CHECK(strstr(text, how) != NULL || (k >= 9 && strstr(text, "amx int16") != NULL));
            mls_conv_call_explain(call, NULL, 0);
        }
    }
    tensor_free(&t[0]), tensor_free(&t[1]), t_free(work);
}

static void explained(void)
{
    mls_conv c = conv_of(shape_of(2, 8, 8, 16), 16, 3, 3, 1, 1), bad = c;
    mls_format none = {0, 0, 0, 0, 0, 0, 0}, narrow = {2, 1, 2, 0, MLS_GROUP_NC, 0, 0};
    mls_format middle = {2, 1, 3, 1, MLS_GROUP_NC, 0, 0}, broad = {2, 1, 8, 1, MLS_GROUP_NC, 0, 0};
    mls_format farther = {2, 1, 4, 1, MLS_GROUP_NC, 0, 0};
    mls_format wrong = {9, 1, 2, 0, 0, 0, 0};
    char text[200];
    for (int kernel = 0; kernel < mls_kernel_count(); kernel++) {
        const char *name = use(kernel);
        T_EQ_INT(mls_conv_explain(&c, MLS_FORWARD, none, none, text, sizeof text), MLS_OK);
        T_CHECK(strstr(text, "fp32") != NULL && strstr(text, name) != NULL);
        T_EQ_INT(mls_conv_explain(&c, MLS_FORWARD, narrow, narrow, text, sizeof text), MLS_OK);
        T_CHECK(strstr(text, kernel ? "int8: W up to 12 * 2^3, A up to" : "reference") != NULL);
        T_EQ_INT(mls_conv_explain(&c, MLS_BACKWARD_DATA, middle, narrow, text, sizeof text),
                 MLS_OK);
        T_CHECK(strstr(text, kernel ? "W up to 24 * 2^7, E up to 12 * 2^3: 16 bits hold both"
                                    : "scalar") != NULL);
        T_EQ_INT(mls_conv_explain(&c, MLS_FORWARD, broad, broad, text, sizeof text), MLS_OK);
        T_CHECK(strstr(text, kernel ? "pair by group pair" : "scalar") != NULL);
        T_CHECK(strstr(text, kernel ? "these exponents round" : "scalar") != NULL);
        T_EQ_INT(mls_conv_explain(&c, MLS_BACKWARD_DATA, middle, farther, text, sizeof text),
                 MLS_OK);
        T_CHECK(strstr(text, kernel ? "int16 in planes: W up to 24 * 2^7" : "scalar") != NULL);
        T_CHECK(strstr(text, kernel ? "two planes do" : "scalar") != NULL);
    }
    T_EQ_INT(mls_conv_explain(&c, MLS_FORWARD, narrow, narrow, text, 5), MLS_OK);
    T_CHECK(strlen(text) == 4);
    T_EQ_INT(mls_conv_explain(&c, MLS_FORWARD, narrow, narrow, NULL, 0), MLS_OK);
    T_EQ_INT(mls_conv_explain(NULL, MLS_FORWARD, narrow, narrow, text, 5), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_conv_explain(&c, MLS_FORWARD, wrong, narrow, text, 5), MLS_ERROR_FORMAT);
    bad.kh = 99;
    T_EQ_INT(mls_conv_explain(&bad, MLS_FORWARD, narrow, narrow, text, 5), MLS_ERROR_SHAPE);
    T_EQ_INT(mls_kernel_use("auto"), MLS_OK);
}

/* ---- the stages: begin, images in any order from several threads, end */

typedef struct images { /* of a batch, each a tensor of its own, at equal distances */
    mls_tensor tensor;
    uint8_t more[64 - sizeof(mls_tensor) % 64];
} images;

/* A convolution by stages: images in an order of its own, each thread leaving now and then. */
static mls_status staged(const mls_conv *c, mls_direction d, const mls_source *first,
                         const mls_source *second, float *to, int count, size_t size, int order)
{
    void *work = t_alloc(size);
    mls_sink sink;
    mls_conv_call *call;
    mls_status status;
    size_t image = count_of(d == MLS_FORWARD ? output_of(c) : c->in) / (size_t)c->in.n;
    sink.out = order == 2 && d != MLS_BACKWARD_WEIGHT ? NULL : to;
    status = mls_conv_begin(&call, c, d, first, second, &sink, count, work, size);
    T_CHECK((status == MLS_OK) == (call != NULL));
    for (int i = 0; i < c->in.n && call; i++) {
        int n = order == 1 ? c->in.n - 1 - i : i;
        mls_conv_image(call, n, i % count, sink.out ? NULL : to + (size_t)n * image);
        if (i % 3 == 1) mls_conv_leave(call, i % count);
    }
    for (int i = 0; i < count && call; i++) mls_conv_leave(call, i);
    if (call) mls_conv_end(call);
    t_free(work);
    return status;
}

static void stages(void)
{
    uint64_t rng = 51;
    static const int which[] = {0, 6, 7, 16, 17, 25};
    for (int i = 0; i < cases(60); i++) {
        mls_conv c =
            conv_of(shape_of(1 + t_below(&rng, 9), 3 + t_below(&rng, 5), 3 + t_below(&rng, 5),
                             1 + t_below(&rng, 20)),
                    1 + t_below(&rng, 20), 3, 1 + 2 * t_below(&rng, 2), 1 + t_below(&rng, 2), 1);
        mls_direction d = (mls_direction)(i % 3);
        mls_format f = some_format(which[t_below(&rng, 6)], t_below(&rng, 4)), none;
        mls_format g = some_format(which[t_below(&rng, 6)], t_below(&rng, 4));
        int fp32 = i % 4 == 3, count = 1 + t_below(&rng, 4);
        mls_shape s[3];
        mls_tensor t[2];
        mls_source source[2];
        float *x[2], *truth, *out;
        size_t bytes, size, all;
        void *work;
        if (mls_conv_check(&c, d, f, g, NULL, 0) == MLS_ERROR_RANGE)
            continue; /* no 128 bits here */
        shapes_of(&c, d, &s[0], &s[1], &s[2]);
        memset(&none, 0, sizeof none);
        memset(source, 0, sizeof source);
        bytes = count_of(s[2]) * sizeof(float);
        for (int j = 0; j < 2; j++) {
            t[j] = tensor_new(j ? g : f, s[j], FILL_SPREAD, &rng);
            x[j] = (float *)t_alloc(count_of(s[j]) * sizeof(float));
            fill_fp32(x[j], count_of(s[j]), 0, &rng);
            if (fp32) source[j].fp32 = x[j];
            if (!fp32) source[j].tensor = &t[j];
        }
        if (fp32) f = g = none;
        truth = (float *)t_alloc(bytes), out = (float *)t_alloc(bytes);
        for (int kernel = 0; kernel < mls_kernel_count(); kernel++) {
            use(kernel);
            note_case(&c, d, f, g, kernel, count);
            all = mls_conv_workspace(&c, f, g), work = t_alloc(all);
            if (fp32) T_EQ_INT(convolve_fp32(&c, d, x[0], x[1], truth, work, all), MLS_OK);
            if (!fp32) T_EQ_INT(convolve(&c, d, &t[0], &t[1], truth, work, all), MLS_OK);
            t_free(work);
            size = mls_conv_call_size(&c, d, f, g, count);
            T_CHECK(size > 0);
            for (int order = 0; order < 3; order++) {
                /* of floats the images of a block come in order, from one thread */
                int some = fp32 && d == MLS_BACKWARD_WEIGHT ? 1 : count;
                if (some < count && order == 1) continue;
                memset(out, 0xa5, bytes);
                T_EQ_INT(staged(&c, d, &source[0], &source[1], out, some, size, order), MLS_OK);
                T_EQ_MEM(out, truth, bytes);
            }
            if (kernel || fp32) {
                memset(out, 0xa5, bytes);
                T_EQ_INT(staged(&c, d, &source[0], &source[1], out, count, 100, 0),
                         MLS_ERROR_MEMORY);
                T_CHECK(((uint8_t *)out)[0] == 0xa5);
            }
        }
        for (int j = 0; j < 2; j++) tensor_free(&t[j]), t_free(x[j]);
        t_free(truth), t_free(out);
    }
}

/* Blocks of images, from whatever thread and in whatever order, give the sum of floats its bits. */
static void blocks_of_images(void)
{
    uint64_t rng = 53;
    for (int n = 1; n <= 30; n++) {
        const mls_conv c = conv_of(shape_of(n, 4, 3, 5), 6, 3, 3, 1, 1);
        const int blocks = n < MLS_CONV_BLOCKS ? n : MLS_CONV_BLOCKS;
        const size_t bytes = 6 * 9 * 5 * sizeof(float);
        mls_format none;
        mls_shape s[3];
        mls_source source[2];
        float *x[2], *truth = (float *)t_alloc(bytes), *out = (float *)t_alloc(bytes);
        memset(&none, 0, sizeof none);
        memset(source, 0, sizeof source);
        shapes_of(&c, MLS_BACKWARD_WEIGHT, &s[0], &s[1], &s[2]);
        for (int j = 0; j < 2; j++) {
            source[j].fp32 = x[j] = (float *)t_alloc(count_of(s[j]) * sizeof(float));
            fill_fp32(x[j], count_of(s[j]), 0, &rng);
        }
        for (int kernel = 0; kernel < mls_kernel_count(); kernel++) {
            mls_sink sink;
            mls_conv_call *call;
            size_t size;
            void *work;
            use(kernel);
            note_case(&c, MLS_BACKWARD_WEIGHT, none, none, kernel, 3);
            size = mls_conv_workspace(&c, none, none), work = t_alloc(size);
            T_EQ_INT(convolve_fp32(&c, MLS_BACKWARD_WEIGHT, x[0], x[1], truth, work, size), MLS_OK);
            t_free(work);
            size = mls_conv_call_size(&c, MLS_BACKWARD_WEIGHT, none, none, 3), work = t_alloc(size);
            sink.out = out;
            T_EQ_INT(mls_conv_begin(&call, &c, MLS_BACKWARD_WEIGHT, &source[0], &source[1], &sink,
                                    3, work, size),
                     MLS_OK);
            T_REQUIRE(call != NULL);
            for (int b = blocks - 1; b >= 0; b--) {
                int end = mls_conv_block_first(b + 1, n);
                for (int i = mls_conv_block_first(b, n); i < end; i++) {
                    mls_conv_image(call, i, b % 3, NULL);
                }
            }
            for (int i = 0; i < 3; i++) mls_conv_leave(call, i);
            mls_conv_end(call);
            T_EQ_MEM(out, truth, bytes);
            t_free(work);
        }
        t_free(x[0]), t_free(x[1]), t_free(truth), t_free(out);
    }
}

/* Images that are tensors of their own: each has the bits that it has alone. */
static void images_alone(void)
{
    static const int which[] = {0, 6, 7, 16, 17, 25};
    uint64_t rng = 52;
    for (int i = 0; i < cases(60); i++) {
        mls_conv c = conv_of(shape_of(1 + t_below(&rng, 5), 3 + t_below(&rng, 5),
                                      3 + t_below(&rng, 5), 1 + t_below(&rng, 20)),
                             1 + t_below(&rng, 20), 3, 1 + 2 * t_below(&rng, 2),
                             1 + t_below(&rng, 2), 1),
                 one = c;
        mls_direction d = (mls_direction)(i % 2);
        mls_format f = some_format(which[i / 2 % 6], t_below(&rng, 4));
        mls_format g = some_format(which[i / 12 % 6], t_below(&rng, 4));
        mls_source source[2];
        mls_shape s[3];
        mls_tensor w;
        images *all;
        float *truth, *out;
        size_t bytes, image;
        if (mls_conv_check(&c, d, f, g, NULL, 0) == MLS_ERROR_RANGE)
            continue; /* no 128 bits here */
        all = (images *)t_alloc(sizeof(images) * (size_t)c.in.n);
        one.in.n = 1;
        shapes_of(&one, d, &s[0], &s[1], &s[2]);
        memset(source, 0, sizeof source);
        image = count_of(s[2]), bytes = image * (size_t)c.in.n * sizeof(float);
        truth = (float *)t_alloc(bytes), out = (float *)t_alloc(bytes);
        w = tensor_new(f, s[0], FILL_SPREAD, &rng);
        source[0].tensor = &w, source[1].tensor = &all[0].tensor, source[1].step = sizeof(images);
        for (int n = 0; n < c.in.n; n++) {
            all[n].tensor = tensor_new(g, s[1], t_below(&rng, FILL_KINDS), &rng);
        }
        for (int kernel = 0; kernel < mls_kernel_count(); kernel++) {
            size_t size;
            use(kernel);
            note_case(&c, d, f, g, kernel, i);
            size = mls_conv_workspace(&c, f, g);
            for (int n = 0; n < c.in.n && kernel == 0; n++) {
                oracle(&one, d, &w, &all[n].tensor, truth + (size_t)n * image);
            }
            size = mls_conv_call_size(&c, d, f, g, 2);
            T_EQ_INT(staged(&c, d, &source[0], &source[1], out, 2, size, i % 3), MLS_OK);
            T_EQ_MEM(out, truth, bytes);
        }
        all[c.in.n - 1].tensor.scale = INFINITY; /* the last one's scale counts, too */
        T_EQ_INT(
            staged(&c, d, &source[0], &source[1], out, 1, mls_conv_call_size(&c, d, f, g, 1), 0),
            MLS_ERROR_NONFINITE);
        all[c.in.n - 1].tensor.shape.h++;
        T_EQ_INT(
            staged(&c, d, &source[0], &source[1], out, 1, mls_conv_call_size(&c, d, f, g, 1), 0),
            MLS_ERROR_SHAPE);
        for (int n = 0; n < c.in.n; n++) tensor_free(&all[n].tensor);
        tensor_free(&w), t_free(all), t_free(truth), t_free(out);
    }
}

static void stages_refused(void)
{
    mls_conv c = conv_of(shape_of(2, 5, 4, 3), 4, 3, 2, 1, 1);
    mls_format f = format_of(2, 1, 2, 0, MLS_GROUP_NC), bad = f, none;
    uint64_t rng = 53;
    static float x[512], out[512];
    mls_source source[2], empty;
    mls_sink sink;
    mls_conv_call *call;
    mls_shape s[3];
    mls_tensor t[2];
    size_t size = mls_conv_call_size(&c, MLS_FORWARD, f, f, 2);
    void *work = t_alloc(size);
    memset(&none, 0, sizeof none), memset(&empty, 0, sizeof empty);
    memset(source, 0, sizeof source);
    bad.ex = 6;
    T_EQ_INT(mls_conv_call_size(&c, MLS_FORWARD, f, f, 0), 0);
    T_EQ_INT(mls_conv_call_size(&c, MLS_FORWARD, f, bad, 1), 0);
    T_EQ_INT(mls_conv_call_size(&c, MLS_FORWARD, none, f, 1), 0);
    T_EQ_INT(mls_conv_call_size(&c, (mls_direction)3, f, f, 1), 0);
    T_EQ_INT(mls_conv_call_size(NULL, MLS_FORWARD, f, f, 1), 0);
    shapes_of(&c, MLS_FORWARD, &s[0], &s[1], &s[2]);
    for (int j = 0; j < 2; j++) {
        t[j] = tensor_new(f, s[j], FILL_RANDOM, &rng), source[j].tensor = &t[j];
    }
    sink.out = out;
#define BEGIN(first, second, count) \
    mls_conv_begin(&call, &c, MLS_FORWARD, first, second, &sink, count, work, size)
    T_EQ_INT(BEGIN(&source[0], &source[1], 2), MLS_OK);
    T_EQ_INT(BEGIN(NULL, &source[1], 2), MLS_ERROR_ARGUMENT);
    T_EQ_INT(BEGIN(&source[0], NULL, 2), MLS_ERROR_ARGUMENT);
    T_EQ_INT(BEGIN(&source[0], &source[1], 0), MLS_ERROR_ARGUMENT);
    T_EQ_INT(BEGIN(&empty, &source[1], 2), MLS_ERROR_ARGUMENT);
    T_EQ_INT(BEGIN(&source[0], &empty, 2), MLS_ERROR_ARGUMENT);
    empty.fp32 = x;
    T_EQ_INT(BEGIN(&source[0], &empty, 2), MLS_ERROR_ARGUMENT); /* floats and integers */
    source[0].step = 64;
    T_EQ_INT(BEGIN(&source[0], &source[1], 2), MLS_ERROR_ARGUMENT);
    source[0].step = 0, source[0].pending = 1; /* but no peaks */
    T_EQ_INT(BEGIN(&source[0], &source[1], 2), MLS_ERROR_ARGUMENT);
    source[0].pending = 0;
    T_CHECK(call == NULL);
    T_EQ_INT(mls_conv_begin(&call, &c, MLS_FORWARD, &source[0], &source[1], &sink, 2, NULL, size),
             MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_conv_begin(&call, &c, MLS_FORWARD, &source[0], &source[1], NULL, 2, work, size),
             MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_conv_begin(NULL, &c, MLS_FORWARD, &source[0], &source[1], &sink, 2, work, size),
             MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_conv_begin(&call, NULL, MLS_FORWARD, &source[0], &source[1], &sink, 2, work, size),
             MLS_ERROR_ARGUMENT);
    sink.out = NULL;
    T_EQ_INT(mls_conv_begin(&call, &c, MLS_BACKWARD_WEIGHT, &source[0], &source[1], &sink, 2, work,
                            size),
             MLS_ERROR_ARGUMENT);
    t[1].group[0] = 4; /* 2^-4 is below the smallest */
    T_EQ_INT(BEGIN(&source[0], &source[1], 2), MLS_ERROR_FORMAT);
#undef BEGIN
    for (int j = 0; j < 2; j++) tensor_free(&t[j]);
    t_free(work);
}

/* ---- every kernel against the scalar reference on whatever comes. MLS_FUZZ=N: how many shapes,
   MLS_FUZZ_SEED: of them */

static mls_format any_format(uint64_t *rng)
{
    mls_format f = {0, 0, 0, 0, 0, 0, 0};
    do {
        f.ex = (uint8_t)t_below(rng, t_below(rng, 4) ? 4 : 6);
        f.mx = (uint8_t)t_below(rng, t_below(rng, 4) ? 5 : 11);
        f.eg = (uint8_t)t_below(rng, t_below(rng, 2) ? 4 : 9), f.mg = (uint8_t)t_below(rng, 2);
        f.grouping = (uint8_t)t_below(rng, 4);
    } while (mls_format_check(f) != MLS_OK);
    return f;
}

static void fuzz_kernels(void)
{
    const char *count = getenv("MLS_FUZZ"), *first = getenv("MLS_FUZZ_SEED");
    long shapes = count ? atol(count) : cases(300), done = 0;
    uint64_t seed = first ? (uint64_t)atoll(first) : 1;
    for (long i = 0; i < shapes; i++) {
        uint64_t rng = seed * 1000003 + (uint64_t)i;
        int kh = 1 + t_below(&rng, 3), kw = 1 + t_below(&rng, 3);
        mls_direction d = (mls_direction)t_below(&rng, 3);
        mls_format f = any_format(&rng), g = any_format(&rng), none;
        mls_shape s[3];
        mls_conv c;
        mls_tensor t[2];
        float *truth, *out, *x[2], *truth32;
        size_t bytes, size, size32;
        void *work, *work32;
        mls_status status;
        memset(&none, 0, sizeof none);
        if (t_below(&rng, 6) == 0) kh = 1 + t_below(&rng, 7), kw = 1 + t_below(&rng, 7);
        do {
            c = conv_of(shape_of(1 + t_below(&rng, 4), 1 + t_below(&rng, 10), 1 + t_below(&rng, 20),
                                 1 + t_below(&rng, 40)),
                        1 + t_below(&rng, 40), kh, kw, 1 + t_below(&rng, 3), t_below(&rng, 4));
        } while (c.in.h + 2 * c.pad < kh || c.in.w + 2 * c.pad < kw || work_of(&c) > 3e5);
        threads(1 + t_below(&rng, 3));
        shapes_of(&c, d, &s[0], &s[1], &s[2]);
        bytes = count_of(s[2]) * sizeof(float);
        t[0] = tensor_new(f, s[0], t_below(&rng, FILL_KINDS), &rng);
        t[1] = tensor_new(g, s[1], t_below(&rng, FILL_KINDS), &rng);
        for (int j = 0; j < 2; j++) {
            x[j] = (float *)t_alloc(count_of(s[j]) * sizeof(float));
            for (size_t k = 0; k < count_of(s[j]); k++) x[j][k] = t_uniform(&rng);
        }
        truth = (float *)t_alloc(bytes), out = (float *)t_alloc(bytes);
        truth32 = (float *)t_alloc(bytes);
        use(0);
        size = mls_conv_workspace(&c, f, g), size32 = mls_conv_workspace(&c, none, none);
        work = t_alloc(size), work32 = t_alloc(size32);
        status = convolve(&c, d, &t[0], &t[1], truth, work, size);
        T_EQ_INT(convolve_fp32(&c, d, x[0], x[1], truth32, work32, size32), MLS_OK);
        for (int kernel = 1; kernel < mls_kernel_count(); kernel++) {
            use(kernel);
            note_case(&c, d, f, g, kernel, (int)i);
            T_EQ_INT(convolve(&c, d, &t[0], &t[1], out, work, size), status);
            if (status == MLS_OK) T_EQ_MEM(out, truth, bytes);
            T_EQ_INT(convolve_fp32(&c, d, x[0], x[1], out, work32, size32), MLS_OK);
            T_EQ_MEM(out, truth32, bytes);
        }
        done += status == MLS_OK;
        for (int j = 0; j < 2; j++) tensor_free(&t[j]), t_free(x[j]);
        t_free(work), t_free(work32), t_free(truth), t_free(truth32), t_free(out);
    }
    threads(1);
    printf("\n%ld shapes from seed %llu, %ld with sums that fit\n", shapes,
           (unsigned long long)seed, done);
    T_CHECK(shapes < 20 || done > shapes / 2);
}

/* The last test: which kernels were at work. MLS_REQUIRE_KERNELS lists those that must have been. */
static void kernels_that_ran(void)
{
    const char *required = getenv("MLS_REQUIRE_KERNELS");
    printf("\nkernels:");
    for (int i = 0; i < MLS__UNIT_COUNT; i++) {
        printf(" %s=%s", mls__unit_names[i], kernel_ran[i] ? "ran" : "not run");
    }
    printf("\n");
    while (required && *required) {
        size_t length = strcspn(required, ",");
        int found = length == 0;
        for (int i = 0; i < MLS__UNIT_COUNT; i++) {
            const char *name = mls__unit_names[i];
            if (strlen(name) == length && strncmp(name, required, length) == 0) {
                found |= kernel_ran[i];
            }
        }
        t_note("%.*s", (int)length, required);
        T_CHECK(found);
        required += length + (required[length] == ',');
    }
}

T_MAIN(T_TEST(kernel_names), T_TEST(outputs), T_TEST(outputs_bad), T_TEST(workspace_sizes),
       T_TEST(check_arguments), T_TEST(wrong_calls), T_TEST(wrong_calls_fp32),
       T_TEST(default_stride), T_TEST(small_shapes), T_TEST(small_images),
       T_TEST(formats_and_groupings), T_TEST(random_formats), T_TEST(larger_shapes),
       T_TEST(long_sums), T_TEST(sums_of_pairs), T_TEST(two_planes), T_TEST(full_range),
       T_TEST(widest_sums), T_TEST(extreme_scales), T_TEST(workspace_limits), T_TEST(thread_counts),
       T_TEST(quantized_operands), T_TEST(fp32_chains), T_TEST(padding_left_out),
       T_TEST(group_codes_refused), T_TEST(prepared_operands), T_TEST(parts),
       T_TEST(prepared_refused), T_TEST(explained), T_TEST(call_explained), T_TEST(stages),
       T_TEST(blocks_of_images), T_TEST(images_alone), T_TEST(stages_refused), T_TEST(fuzz_kernels),
       T_TEST(kernels_that_ran))
