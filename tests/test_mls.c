/* Tests of mls.h: the format and the quantizer against an oracle of their own, against the golden
   vectors of vectors/generate.py, and every vector unit against the scalar code. */
#define MLS_IMPLEMENTATION
#include "../mls.h"
#include "t.h"
#include "vectors/quantize.h"

static mls_format format_of(int ex, int mx, int eg, int mg, int grouping, int rounding, int range)
{
    mls_format f;
    f.ex = (uint8_t)ex, f.mx = (uint8_t)mx, f.eg = (uint8_t)eg, f.mg = (uint8_t)mg;
    f.grouping = (uint8_t)grouping, f.rounding = (uint8_t)rounding, f.range = (uint8_t)range;
    return f;
}

static mls_shape shape_of(int n, int h, int w, int c)
{
    mls_shape s = {n, h, w, c};
    return s;
}

/* The simplest format of an element: one group, nearest, fit. */
static mls_format plain(int ex, int mx)
{
    return format_of(ex, mx, 0, 0, MLS_GROUP_NONE, MLS_ROUND_NEAREST, MLS_RANGE_FIT);
}

static float from_bits(uint32_t u)
{
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

static uint32_t to_bits(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

/* 2^e for any e that a test needs, from the bits of a double. */
static double two_to(int e)
{
    uint64_t u = (uint64_t)(e + 1023) << 52;
    double x;
    memcpy(&x, &u, sizeof x);
    return x;
}

static size_t count_of(mls_shape s)
{
    return (size_t)s.n * (size_t)s.h * (size_t)s.w * (size_t)s.c;
}

static size_t groups_of(mls_format f, mls_shape s)
{
    int n = f.grouping == MLS_GROUP_N || f.grouping == MLS_GROUP_NC ? s.n : 1;
    int c = f.grouping == MLS_GROUP_C || f.grouping == MLS_GROUP_NC ? s.c : 1;
    return (size_t)n * (size_t)c;
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

static size_t bytes_of(mls_format f, size_t count)
{
    int bits = 1 + f.ex + f.mx;
    return bits <= 4 ? (count + 1) / 2 : bits <= 8 ? count : 2 * count;
}

/* A tensor whose arrays each end at an inaccessible page, filled with rubbish. */
static mls_tensor tensor_new(mls_format f, mls_shape s)
{
    mls_tensor t;
    t.format = f, t.shape = s, t.scale = 0;
    t.peak = (float *)t_alloc((size_t)s.n * (size_t)s.c * sizeof(float));
    t.group = (uint16_t *)t_alloc(groups_of(f, s) * sizeof(uint16_t));
    t.code = (uint8_t *)t_alloc(bytes_of(f, count_of(s)));
    t.code[bytes_of(f, count_of(s)) - 1] = 0; /* as init does: an unused nibble is never written */
    return t;
}

static void tensor_free(mls_tensor *t)
{
    t_free(t->peak), t_free(t->group), t_free(t->code);
}

static float *floats(size_t count)
{
    return (float *)t_alloc(count * sizeof(float));
}

/* A valid format; ex and mx are given. */
static mls_format random_format(uint64_t *rng, int ex, int mx)
{
    int eg = t_below(rng, 9), mg = eg ? t_below(rng, 2) : 0;
    return format_of(ex, mx, eg, mg, t_below(rng, 4), t_below(rng, 3), t_below(rng, 2));
}

enum {
    INPUT_BELL,     /* sums of uniforms, channels of different size */
    INPUT_WIDE,     /* every exponent from denormal to 2^40 */
    INPUT_BITS,     /* random bit patterns below 2^126 */
    INPUT_GRID,     /* small integers times a power of two: ties and codes */
    INPUT_SPARSE,   /* many zeros of both signs, some channels all zero */
    INPUT_POWERS,   /* powers of two and their neighbours */
    INPUT_TINY,     /* around 2^-64, where a tensor starts to count as zero */
    INPUT_HUGE,     /* around 2^126 */
    INPUT_DENORMAL, /* one large value, the rest denormal */
    INPUT_KINDS
};

static void fill(float *x, mls_shape s, int kind, uint64_t *rng)
{
    size_t count = count_of(s), c = (size_t)s.c;
    float most = t_uniform(rng) + 2;
    for (size_t i = 0; i < count; i++) {
        float u = t_uniform(rng), v = u;
        int e = t_below(rng, 190) - 149;
        uint32_t sign = (uint32_t)t_below(rng, 2) << 31, b = (uint32_t)t_random(rng);
        switch (kind) {
        case INPUT_BELL:
            v = (u + t_uniform(rng) + t_uniform(rng)) * (float)two_to(-(int)(i % c * 5 % 17));
            break;
        case INPUT_WIDE:
            v = (float)((double)u * two_to(e));
            break;
        case INPUT_BITS:
            v = from_bits(sign | b % 0x7e800000u);
            break;
        case INPUT_GRID:
            v = (float)(t_below(rng, 129) - 64) * (float)two_to(-(int)(i % c % 3));
            break;
        case INPUT_SPARSE:
            if (i % c % 3 == 1 || t_below(rng, 2)) v = from_bits(sign);
            break;
        case INPUT_POWERS:
            b = to_bits((float)two_to(t_below(rng, 40) - 30)) + (uint32_t)t_below(rng, 3) - 1;
            v = from_bits(b | sign);
            break;
        case INPUT_TINY:
            v = u * (float)two_to(-65 + t_below(rng, 3));
            break;
        case INPUT_HUGE:
            v = u * (float)two_to(125 + t_below(rng, 2));
            break;
        default:
            v = i % 31 == 7 ? u * most : from_bits(sign | b % 0x00800000u);
            break;
        }
        x[i] = v;
    }
}

/* ---- the oracle: docs/FORMAT.md by search in the table of codes */

/* |Xbar| of a magnitude code as IEEE 754 would say it: hidden one, gradual underflow. */
static double element_value(int ex, int mx, uint32_t code)
{
    uint32_t e = code >> mx, m = code & ((1u << mx) - 1);
    double fraction = (double)m / two_to(mx);
    if (ex == 0) return fraction;
    return e == 0 ? fraction * two_to(1 - (1 << ex)) : (1 + fraction) * two_to((int)e - (1 << ex));
}

static double oracle_grid[1 << 15]; /* element values over the step of the grid, by code */
static int oracle_codes;

static double oracle_lsb(mls_format f)
{
    return element_value(f.ex, f.mx, 1);
}

static void oracle_table(mls_format f)
{
    oracle_codes = 1 << (f.ex + f.mx);
    for (int i = 0; i < oracle_codes; i++) {
        oracle_grid[i] = element_value(f.ex, f.mx, (uint32_t)i) / oracle_lsb(f);
    }
}

/* Magnitude code of y in steps of the grid; u are the random bits. */
static uint32_t oracle_round(mls_format f, double y, uint32_t u)
{
    int lo = 0, hi = oracle_codes;
    double step, part;
    while (hi - lo > 1) {
        int middle = (lo + hi) / 2;
        if (oracle_grid[middle] <= y) {
            lo = middle;
        } else {
            hi = middle;
        }
    }
    if (hi == oracle_codes) return (uint32_t)lo;
    step = oracle_grid[hi] - oracle_grid[lo];
    part = (y - oracle_grid[lo]) / step; /* exact, in [0, 1) */
    if (f.rounding == MLS_ROUND_NEAREST) {
        int odd = (int)((uint64_t)(oracle_grid[lo] / step) & 1);
        return (uint32_t)(part > 0.5 || (part == 0.5 && odd) ? hi : lo);
    }
    /* codes that start a binade have mantissa 0 */
    if (f.rounding == MLS_ROUND_STOCHASTIC_CLIPPED && f.ex && hi % (1 << f.mx) == 0) {
        return (uint32_t)lo;
    }
    return (uint32_t)((uint32_t)(part * 65536) + u >= 65536 ? hi : lo);
}

typedef struct oracle {
    float scale;
    uint16_t group[4096];
    uint32_t code[4096];
} oracle;

static mls_status oracle_quantize(oracle *o, mls_format f, mls_shape s, const float *x,
                                  uint64_t seed)
{
    static float peak[4096];
    size_t count = count_of(s), groups = groups_of(f, s);
    int k_max = f.eg >= 7 ? 127 : (1 << f.eg) - 1;
    float t_max = 0, top;
    memset(peak, 0, sizeof peak);
    oracle_table(f);
    top = (float)element_value(f.ex, f.mx, (uint32_t)oracle_codes - 1);
    for (size_t i = 0; i < count; i++) {
        float v = x[i] < 0 ? -x[i] : x[i];
        size_t g = group_at(f, s, i);
        if (v > peak[g]) peak[g] = v;
        if (v > t_max) t_max = v;
    }
    o->scale = (double)t_max < two_to(-64) ? 0 : f.range == MLS_RANGE_FIT ? t_max / top : t_max;
    if (o->scale > 1.7e38f) return MLS_ERROR_NONFINITE;
    for (size_t g = 0; g < groups; g++) {
        float ratio = o->scale > 0 ? peak[g] / t_max : 0;
        double best = 2;
        for (int k = 0; k <= k_max; k++) {
            for (int m = 0; m <= f.mg; m++) {
                double value = (m ? 1.5 : 1) * two_to(-k);
                if (value < (double)ratio || value >= best) continue;
                best = value, o->group[g] = (uint16_t)(k << f.mg | m);
            }
        }
    }
    for (size_t i = 0; i < count; i++) {
        uint16_t g = o->group[group_at(f, s, i)];
        float v = x[i] < 0 ? -x[i] : x[i], scaled = (f.mg && g & 1 ? 1.5f : 1.0f) * o->scale;
        float y = (v * (float)two_to(g >> f.mg)) * ((float)(1 / oracle_lsb(f)) / scaled);
        o->code[i] = 0;
        if (!(o->scale > 0)) continue;
        o->code[i] = oracle_round(f, (double)y, mls_random16(seed, i));
        if (o->code[i] && x[i] < 0) o->code[i] |= (uint32_t)oracle_codes;
    }
    return MLS_OK;
}

/* Quantizes with every vector unit and compares everything with the oracle. */
static void check_oracle(mls_format f, mls_shape s, const float *x, uint64_t seed)
{
    static oracle o;
    mls_tensor t = tensor_new(f, s);
    mls_status expected = oracle_quantize(&o, f, s, x, seed);
    for (int unit = 0; unit < MLS__UNIT_COUNT; unit++) {
        if (!mls__unit_here(unit)) continue;
        size_t count = expected == MLS_OK ? count_of(s) : 0, wrong = 0;
        t_note("%s <%d,%d> <%d,%d> grouping %d rounding %d range %d, %dx%dx%dx%d",
               mls__unit_names[unit], f.ex, f.mx, f.eg, f.mg, f.grouping, f.rounding, f.range, s.n,
               s.h, s.w, s.c);
        mls__unit_chosen = unit + 1;
        T_EQ_INT(mls_quantize(&t, x, seed), expected);
        if (count) T_EQ_INT(to_bits(t.scale), to_bits(o.scale));
        if (count) T_EQ_MEM(t.group, o.group, groups_of(f, s) * sizeof(uint16_t));
        for (size_t i = 0; i < count && !wrong; i++) {
            wrong = mls_tensor_code(&t, i) != o.code[i];
            if (!wrong) continue;
            T_EQ_INT(mls_tensor_code(&t, i), o.code[i]);
            t_note("element %d, x = %.9g, S_t = %.9g, group %d", (int)i, (double)x[i],
                   (double)o.scale, o.group[group_at(f, s, i)]);
            T_CHECK(!wrong); /* tells which */
        }
    }
    mls__unit_chosen = 0;
    tensor_free(&t);
}

/* ---- format */

static void status_strings(void)
{
    for (int i = 0; i < MLS__STATUS_COUNT; i++) {
        const char *text = mls_status_string((mls_status)i);
        T_REQUIRE(text != NULL && text[0] != 0);
        for (int j = 0; j < i; j++) T_CHECK(strcmp(text, mls_status_string((mls_status)j)) != 0);
    }
    T_EQ_INT(MLS_OK, 0);
    T_CHECK(mls_status_string((mls_status)MLS__STATUS_COUNT) != NULL);
}

static void format_check_is_exact(void)
{
    for (int ex = 0; ex < 8; ex++) {
        for (int mx = 0; mx < 13; mx++) {
            for (int eg = 0; eg < 11; eg++) {
                for (int rest = 0; rest < 4 * 5 * 4 * 3; rest++) {
                    int mg = rest % 4, grouping = rest / 4 % 5, rounding = rest / 20 % 4;
                    int range = rest / 80;
                    int good = ex <= 5 && mx <= 10 && ex + mx > 0 && eg <= 8 && mg <= 1 &&
                               (eg > 0 || mg == 0) && grouping <= 3 && rounding <= 2 && range <= 1;
                    mls_format f = format_of(ex, mx, eg, mg, grouping, rounding, range);
                    T_EQ_INT(mls_format_check(f), good ? MLS_OK : MLS_ERROR_FORMAT);
                    T_EQ_INT(mls_format_bits(f), good ? 1 + ex + mx : 0);
                }
            }
        }
    }
    T_EQ_INT(mls_format_check(format_of(255, 255, 255, 255, 255, 255, 255)), MLS_ERROR_FORMAT);
}

/* Every code of every element format, through both functions that decode. */
static void values_of_all_codes(void)
{
    float *values = floats(1 << 16), *x = floats(1 << 16);
    for (int ex = 0; ex <= 5; ex++) {
        for (int mx = 0; mx <= 10; mx++) {
            mls_format f = plain(ex, mx);
            int half = 1 << (ex + mx), count = 2 * half, wrong = 0;
            mls_tensor t;
            if (ex + mx == 0) continue;
            t_note("<%d,%d>", ex, mx);
            T_EQ_INT(mls_format_values(f, values, count - 1), 0);
            T_EQ_INT(mls_format_values(f, NULL, count), 0);
            T_EQ_INT(mls_format_values(f, values, count), count);
            t = tensor_new(f, shape_of(1, 1, 1, count));
            t.scale = 1, t.group[0] = 0;
            for (int i = 0; i < count; i++) {
                if (1 + ex + mx <= 4) {
                    if (i % 2 == 0) t.code[i / 2] = (uint8_t)(i | (i + 1) << 4);
                } else if (1 + ex + mx <= 8) {
                    t.code[i] = (uint8_t)i;
                } else {
                    t.code[2 * i] = (uint8_t)(i & 255), t.code[2 * i + 1] = (uint8_t)(i >> 8);
                }
            }
            T_EQ_INT(mls_dequantize(&t, x), MLS_OK);
            for (int i = 0; i < count && !wrong; i++) {
                double v = element_value(ex, mx, (uint32_t)(i % half));
                float expected = (float)(i < half || !(v > 0) ? v : -v);
                T_EQ_INT(mls_tensor_code(&t, (size_t)i), i);
                wrong =
                    to_bits(values[i]) != to_bits(expected) || to_bits(x[i]) != to_bits(expected);
            }
            T_CHECK(!wrong);
            tensor_free(&t);
        }
    }
    t_free(values), t_free(x);
}

/* Tables written out, so that an error cannot hide in a formula: FP4 E2M1, FP6 E2M3 and E3M2 up to
   a power of two, uniform ones, powers of two. */
static void values_of_known_formats(void)
{
    static const struct {
        int ex, mx, count;
        float unit;
        int grid[32];
    } known[] = {
        {2, 1, 8, 1 / 16.0f, {0, 1, 2, 3, 4, 6, 8, 12}},
        {0, 3, 8, 1 / 8.0f, {0, 1, 2, 3, 4, 5, 6, 7}},
        {1, 2, 8, 1 / 8.0f, {0, 1, 2, 3, 4, 5, 6, 7}},
        {3, 0, 8, 1 / 128.0f, {0, 1, 2, 4, 8, 16, 32, 64}},
        {2, 3, 32, 1 / 64.0f, {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                               16, 18, 20, 22, 24, 26, 28, 30, 32, 36, 40, 44, 48, 52, 56, 60}},
        {3, 2, 32, 1 / 512.0f, {0,  1,   2,   3,   4,   5,   6,   7,   8,   10, 12,
                                14, 16,  20,  24,  28,  32,  40,  48,  56,  64, 80,
                                96, 112, 128, 160, 192, 224, 256, 320, 384, 448}},
    };
    float values[64];
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        t_note("<%d,%d>", known[i].ex, known[i].mx);
        T_EQ_INT(mls_format_values(plain(known[i].ex, known[i].mx), values, 64),
                 2 * known[i].count);
        for (int j = 0; j < known[i].count; j++) {
            float v = (float)known[i].grid[j] * known[i].unit;
            T_CHECK(values[j] == v && values[known[i].count + j] == -v);
        }
    }
}

static void parse_good(void)
{
    static const struct {
        const char *text;
        uint8_t format[7];
    } good[] = {
        {"2,1", {2, 1, 8, 1, 3, 1, 1}}, /* the rest stays as it was */
        {"0,10", {0, 10, 8, 1, 3, 1, 1}},
        {"5,0", {5, 0, 8, 1, 3, 1, 1}},
        {"2,1:none", {2, 1, 8, 1, 0, 1, 1}},
        {"2,1:n", {2, 1, 8, 1, 1, 1, 1}},
        {"2,1:c:0,0", {2, 1, 0, 0, 2, 1, 1}},
        {"2,1:nc:3,1", {2, 1, 3, 1, 3, 1, 1}},
        {"2,4:nc:8,0:nearest", {2, 4, 8, 0, 3, 0, 1}},
        {"2,4:n:2,0:stochastic:fit", {2, 4, 2, 0, 1, 1, 0}},
        {"2,4:none:0,0:clipped:paper", {2, 4, 0, 0, 0, 2, 1}},
        {"2,4:fit", {2, 4, 8, 1, 3, 1, 0}},
        {"2,4:nearest:fit", {2, 4, 8, 1, 3, 0, 0}},
        {"fp32", {0, 0, 0, 0, 0, 0, 0}},
        {"mls-2,1", {2, 1, 8, 1, 3, 1, 1}},
        {"paper-2,1", {2, 1, 8, 1, 3, 2, 1}},
        {"paper-0,4:none:0,0:fit", {0, 4, 0, 0, 0, 2, 0}},
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        mls_format f = format_of(1, 7, 8, 1, 3, 1, 1);
        const uint8_t *g = good[i].format;
        t_note("\"%s\"", good[i].text);
        T_EQ_INT(mls_format_parse(&f, good[i].text), MLS_OK);
        T_CHECK(f.ex == g[0] && f.mx == g[1] && f.eg == g[2] && f.mg == g[3]);
        T_CHECK(f.grouping == g[4] && f.rounding == g[5] && f.range == g[6]);
    }
}

static void parse_bad(void)
{
    static const char *const bad[] = {"",
                                      "2",
                                      "2,",
                                      ",1",
                                      "2,1 ",
                                      " 2,1",
                                      "2;1",
                                      "-2,1",
                                      "2,1:",
                                      "2,1::nc",
                                      "2,1:nc:",
                                      "2,1:nc:3",
                                      "2,1:nc:3,",
                                      "2,1:nc:9,0",
                                      "2,1:nc:0,1",
                                      "2,1:nc:3,2",
                                      "2,1:3,1",
                                      "2,1:NC",
                                      "2,1:ncc",
                                      "2,1:nears",
                                      "2,1:fitt",
                                      "0,0",
                                      "6,1",
                                      "2,11",
                                      "256,1",
                                      "1000,1",
                                      "99999999999999999999,1",
                                      "2,1,1",
                                      "2,1:nc:3,1,1",
                                      "fp32:nc",
                                      "fp16",
                                      "FP32",
                                      "2,1:fit:up",
                                      "2,1:nc:258,1",
                                      "2,1nc",
                                      "2.0,1",
                                      "0x2,1",
                                      "2,1:nearest:3,1",
                                      "mls-",
                                      "paper-fp32",
                                      "mls-paper-2,1",
                                      "paper2,1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        mls_format f = format_of(1, 7, 8, 1, 3, 1, 1), before = f;
        t_note("\"%s\"", bad[i]);
        T_EQ_INT(mls_format_parse(&f, bad[i]), MLS_ERROR_FORMAT);
        T_EQ_MEM(&f, &before, sizeof f);
    }
    {
        mls_format f = format_of(1, 7, 0, 0, 3, 1, 1), before = f;
        t_note("null");
        T_EQ_INT(mls_format_parse(NULL, "2,1"), MLS_ERROR_ARGUMENT);
        T_EQ_INT(mls_format_parse(&f, NULL), MLS_ERROR_ARGUMENT);
        T_EQ_MEM(&f, &before, sizeof f);
    }
}

/* One text means one thing: of an all-zero format what is not said is nc:2,0:nearest:fit. */
static void parse_from_nothing(void)
{
    mls_format f = format_of(0, 0, 0, 0, 0, 0, 0), wanted = format_of(2, 1, 2, 0, 3, 0, 0);
    T_EQ_INT(mls_format_parse(&f, "2,1"), MLS_OK);
    T_EQ_MEM(&f, &wanted, sizeof f);
}

/* What is written is read again, for formats of every kind; a text that is too short is cut. */
static void format_texts(void)
{
    uint64_t rng = 5;
    for (int i = 0; i < 2000; i++) {
        char text[MLS_FORMAT_TEXT], cut[8];
        mls_format f = format_of(t_below(&rng, 7), t_below(&rng, 12), t_below(&rng, 9),
                                 t_below(&rng, 2), t_below(&rng, 4), t_below(&rng, 3),
                                 t_below(&rng, 2)),
                   g = format_of(1, 7, 8, 1, 3, 1, 1);
        if (f.ex + f.mx + f.eg + f.mg + f.grouping + f.rounding + f.range == 0) continue;
        if (mls_format_check(f) != MLS_OK) {
            T_EQ_INT(mls_format_text(f, text, sizeof text), MLS_ERROR_FORMAT);
            continue;
        }
        T_EQ_INT(mls_format_text(f, text, sizeof text), MLS_OK);
        t_note("\"%s\"", text);
        T_EQ_INT(mls_format_parse(&g, text), MLS_OK);
        T_EQ_MEM(&f, &g, sizeof f);
        memset(cut, 'x', sizeof cut);
        T_EQ_INT(mls_format_text(f, cut, sizeof cut), MLS_ERROR_MEMORY);
        T_CHECK(strncmp(cut, text, 7) == 0 && cut[7] == 0);
    }
    {
        char text[MLS_FORMAT_TEXT] = "x";
        T_EQ_INT(mls_format_text(format_of(0, 0, 0, 0, 0, 0, 0), text, sizeof text), MLS_OK);
        T_CHECK(strcmp(text, "fp32") == 0);
        T_EQ_INT(mls_format_text(format_of(5, 10, 8, 1, 0, 1, 1), text, sizeof text), MLS_OK);
        T_CHECK(strcmp(text, "5,10:none:8,1:stochastic:paper") == 0);
        T_EQ_INT(mls_format_text(format_of(2, 1, 2, 0, 3, 0, 0), NULL, 9), MLS_ERROR_ARGUMENT);
        T_EQ_INT(mls_format_text(format_of(2, 1, 2, 0, 3, 0, 0), text, 0), MLS_ERROR_ARGUMENT);
    }
}

/* The defaults of the roles, and every way to say them. */
static void formats_by_role(void)
{
    static const struct {
        const char *text, *all;
    } good[] = {
        {"2,1", "w=2,1:nc:2,0:nearest:fit a=2,1:nc:2,0:nearest:fit e=2,1:nc:2,0:stochastic:fit"},
        {"fp32", "fp32"},
        {"  e=2,4:nc:3,1  w=fp32 ", "w=fp32 a=2,1:nc:2,0:nearest:fit e=2,4:nc:3,1:stochastic:fit"},
        {"a=0,7:none:nearest",
         "w=2,1:nc:2,0:nearest:fit a=0,7:none:2,0:nearest:fit e=2,1:nc:2,0:stochastic:fit"},
        {"e=2,1:nearest",
         "w=2,1:nc:2,0:nearest:fit a=2,1:nc:2,0:nearest:fit e=2,1:nc:2,0:nearest:fit"},
        {"paper-1,2", "w=1,2:nc:8,1:clipped:paper a=1,2:nc:8,1:clipped:paper "
                      "e=1,2:nc:8,1:clipped:paper"},
        {"w=fp32 a=fp32 e=fp32", "fp32"},
    };
    static const struct {
        const char *text, *wrong;
    } bad[] = {
        {"", "''"},
        {"2,1:foo", "'2,1:foo' is not a format"},
        {"w=2,1 q=2,1", "'q=2,1' is not a format"},
        {"w=2,1 w=2,4", "'w=2,4' gives a role a second"},
        {"2,1 2,4", "'2,4' gives a role a second"},
        {"w=", "'w=' is not"},
        {"w= 2,1", "'w=' is not"},
        {"a=2,1:nc:2,0:nearest:fit:fit:fit:fit:fit:fit:fit:fit:fit:fit:fit:fit:fit", "too long"},
    };
    mls_formats f, g;
    char text[MLS_FORMATS_TEXT], wrong[120];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        t_note("\"%s\"", good[i].text);
        memset(&f, 1, sizeof f), memset(&g, 2, sizeof g);
        T_EQ_INT(mls_formats_parse(&f, good[i].text, wrong, sizeof wrong), MLS_OK);
        T_CHECK(wrong[0] == 0);
        T_EQ_INT(mls_formats_text(f, text, sizeof text), MLS_OK);
        if (strcmp(text, good[i].all) != 0) t_fail(__FILE__, __LINE__, "\"%s\"", text);
        T_EQ_INT(mls_formats_parse(&g, text, NULL, 0), MLS_OK);
        T_EQ_MEM(&f, &g, sizeof f);
        T_EQ_INT(mls_formats_text(f, wrong, 3), MLS_ERROR_MEMORY);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        t_note("\"%s\"", bad[i].text);
        memset(&f, 1, sizeof f), g = f;
        T_EQ_INT(mls_formats_parse(&f, bad[i].text, wrong, sizeof wrong), MLS_ERROR_FORMAT);
        T_EQ_MEM(&f, &g, sizeof f);
        if (!strstr(wrong, bad[i].wrong)) t_fail(__FILE__, __LINE__, "\"%s\"", wrong);
    }
    T_EQ_INT(mls_formats_parse(NULL, "2,1", NULL, 0), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_formats_parse(&f, NULL, wrong, sizeof wrong), MLS_ERROR_ARGUMENT);
    f.error = format_of(7, 7, 7, 7, 7, 7, 7);
    T_EQ_INT(mls_formats_text(f, text, sizeof text), MLS_ERROR_FORMAT);
    T_EQ_INT(mls_formats_text(f, NULL, 0), MLS_ERROR_ARGUMENT);
}

/* ---- tensors */

static void shapes(void)
{
    mls_format f = format_of(2, 1, 2, 0, MLS_GROUP_NC, MLS_ROUND_NEAREST, MLS_RANGE_FIT);
    static const int bad[][4] = {
        {0, 1, 1, 1},
        {1, 0, 1, 1},
        {1, 1, 0, 1},
        {1, 1, 1, 0},
        {-1, 1, 1, 1},
        {1, -3, 1, 1},
        {-2, -2, 1, 1},
        {1, 1, 1, INT32_MIN},
        {INT32_MAX, INT32_MAX, 1, 1},
        {1, INT32_MAX, INT32_MAX, INT32_MAX},
        {INT32_MAX, INT32_MAX, INT32_MAX, INT32_MAX},
        {1 << 16, 1 << 16, 1 << 16, 1 << 16},
        {1 << 16, 1 << 16, 1 << 16, (1 << 16) + 1}, /* 2^48 after the overflow */
    };
    static const size_t groups[] = {1, 3, 7, 21};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        mls_shape s = shape_of(bad[i][0], bad[i][1], bad[i][2], bad[i][3]);
        unsigned char memory[256];
        float x[4] = {1, 2, 3, 4};
        mls_tensor t;
        mls_report report;
        t_note("%dx%dx%dx%d", s.n, s.h, s.w, s.c);
        T_EQ_INT(mls_group_count(f, s), 0);
        T_EQ_INT(mls_tensor_size(f, s), 0);
        T_EQ_INT(mls_tensor_init(&t, f, s, memory, sizeof memory), MLS_ERROR_SHAPE);
        T_EQ_INT(mls_tensor_init(&t, f, shape_of(1, 1, 1, 2), memory, sizeof memory), MLS_OK);
        t.shape = s;
        T_EQ_INT(mls_quantize(&t, x, 0), MLS_ERROR_SHAPE);
        T_EQ_INT(mls_dequantize(&t, x), MLS_ERROR_SHAPE);
        T_EQ_INT(mls_measure(&t, x, &report), MLS_ERROR_SHAPE);
    }
    for (int g = 0; g < 4; g++) {
        f.grouping = (uint8_t)g;
        T_EQ_INT(mls_group_count(f, shape_of(3, 5, 2, 7)), groups[g]);
    }
    f.ex = 6;
    T_EQ_INT(mls_tensor_size(f, shape_of(1, 1, 1, 1)), 0);
}

/* Exactly mls_tensor_size bytes at any alignment, nothing outside them, and a zero tensor inside. */
static void init_stays_inside(void)
{
    uint64_t rng = 1;
    for (int i = 0; i < 300; i++) {
        mls_format f = random_format(&rng, 1 + t_below(&rng, 5), t_below(&rng, 11));
        mls_shape s = shape_of(1 + t_below(&rng, 3), 1 + t_below(&rng, 4), 1 + t_below(&rng, 5),
                               1 + t_below(&rng, 40));
        size_t size = mls_tensor_size(f, s), offset = (size_t)i % 64, count = count_of(s);
        size_t k_max = f.eg >= 7 ? 127 : ((size_t)1 << f.eg) - 1;
        unsigned char *memory = (unsigned char *)t_alloc(size + 64), *p = memory + offset;
        unsigned char *tight = (unsigned char *)t_alloc(size);
        float *x = floats(count);
        mls_tensor t;
        t_note("offset %d", (int)offset);
        T_CHECK(size >=
                63 + 4 * (size_t)s.n * (size_t)s.c + 2 * groups_of(f, s) + bytes_of(f, count));
        T_EQ_INT(mls_tensor_init(&t, f, s, p, size - 1), MLS_ERROR_MEMORY);
        T_EQ_INT(mls_tensor_init(&t, f, s, p, 0), MLS_ERROR_MEMORY);
        for (size_t j = 0; j < size + 64; j++) T_CHECK(memory[j] == 0xa5);
        T_EQ_INT(mls_tensor_init(&t, f, s, p, size), MLS_OK);
        T_CHECK((uintptr_t)t.peak % 64 == 0 && (uintptr_t)t.group % 64 == 0);
        T_CHECK((uintptr_t)t.code % 64 == 0 && (unsigned char *)t.peak >= p);
        T_CHECK(t.code + bytes_of(f, count) <= p + size);
        T_CHECK((unsigned char *)(t.group + groups_of(f, s)) <= t.code);
        T_CHECK((unsigned char *)(t.peak + s.n * s.c) <= (unsigned char *)t.group);
        T_CHECK(memcmp(&t.format, &f, sizeof f) == 0 && memcmp(&t.shape, &s, sizeof s) == 0);
        T_CHECK(to_bits(t.scale) == 0);
        for (size_t g = 0; g < groups_of(f, s); g++) T_EQ_INT(t.group[g], k_max << f.mg);
        for (size_t j = 0; j < count; j++) T_EQ_INT(mls_tensor_code(&t, j), 0);
        fill(x, s, INPUT_BELL, &rng);
        T_EQ_INT(mls_quantize(&t, x, 1), MLS_OK);
        for (size_t j = 0; j < size + 64; j++) {
            T_CHECK((j >= offset && j < offset + size) || memory[j] == 0xa5);
        }
        T_EQ_INT(mls_tensor_init(&t, f, s, tight, size), MLS_OK);
        T_EQ_INT(mls_quantize(&t, x, 1), MLS_OK);
        t_free(memory), t_free(tight), t_free(x);
    }
}

static void packing_order(void)
{
    float x[5] = {0.75f, -0.0625f, 0.125f, -0.75f, -0.5f}; /* <2,1>: 7, 9, 2, 15, 14 */
    float wide[3] = {1023 / 1024.0f, -0.5f, 3 / 1024.0f};  /* <0,10>: 1023, 1024 + 512, 3 */
    static const uint8_t nibbles[] = {0x97, 0xf2, 0x0e}, words[] = {0xff, 0x03, 0x00, 0x06, 3, 0};
    mls_tensor t = tensor_new(plain(2, 1), shape_of(1, 5, 1, 1));
    T_EQ_INT(mls_quantize(&t, x, 0), MLS_OK);
    T_EQ_MEM(t.code, nibbles, 3); /* the unused nibble is 0 */
    T_EQ_INT(mls_tensor_code(&t, 0), 7);
    T_EQ_INT(mls_tensor_code(&t, 1), 9);
    T_EQ_INT(mls_tensor_code(&t, 4), 14);
    tensor_free(&t);
    t = tensor_new(plain(2, 2), shape_of(1, 1, 1, 5)); /* 5 bits: a byte each */
    T_EQ_INT(mls_quantize(&t, x, 0), MLS_OK);
    T_EQ_INT(mls_tensor_code(&t, 4), t.code[4]);
    T_EQ_INT(t.code[0] | 16, t.code[3]);
    tensor_free(&t);
    t = tensor_new(plain(0, 10), shape_of(1, 1, 3, 1));
    T_EQ_INT(mls_quantize(&t, wide, 0), MLS_OK);
    T_EQ_MEM(t.code, words, 6);
    T_EQ_INT(mls_tensor_code(&t, 1), 1024 + 512);
    tensor_free(&t);
}

static void bad_arguments(void)
{
    mls_format f = plain(2, 1), none = format_of(0, 0, 0, 0, 0, 0, 0);
    mls_shape s = shape_of(1, 1, 1, 4);
    unsigned char memory[256];
    float x[4] = {1, 2, 3, 4};
    mls_report report;
    mls_tensor t, u;
    T_EQ_INT(mls_tensor_init(NULL, f, s, memory, sizeof memory), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_tensor_init(&t, f, s, NULL, sizeof memory), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_tensor_init(&t, none, s, memory, sizeof memory), MLS_ERROR_FORMAT);
    T_EQ_INT(mls_tensor_init(&t, f, s, memory, sizeof memory), MLS_OK);
    T_EQ_INT(mls_quantize(NULL, x, 0), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_quantize(&t, NULL, 0), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_dequantize(NULL, x), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_dequantize(&t, NULL), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_measure(NULL, x, &report), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_measure(&t, NULL, &report), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_measure(&t, x, NULL), MLS_ERROR_ARGUMENT);
    u = t, u.group = NULL;
    T_EQ_INT(mls_quantize(&u, x, 0), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_dequantize(&u, x), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_measure(&u, x, &report), MLS_ERROR_ARGUMENT);
    u = t, u.code = NULL;
    T_EQ_INT(mls_quantize(&u, x, 0), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_dequantize(&u, x), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_measure(&u, x, &report), MLS_ERROR_ARGUMENT);
    u = t, u.peak = NULL; /* a tensor that is only read */
    T_EQ_INT(mls_quantize(&u, x, 0), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_dequantize(&u, x), MLS_OK);
    T_EQ_INT(mls_measure(&u, x, &report), MLS_OK);
    u = t, u.format = none;
    T_EQ_INT(mls_quantize(&u, x, 0), MLS_ERROR_FORMAT);
    T_EQ_INT(mls_dequantize(&u, x), MLS_ERROR_FORMAT);
    T_EQ_INT(mls_measure(&u, x, &report), MLS_ERROR_FORMAT);
}

/* ---- quantizer, against the oracle and the golden vectors */

static void golden_vectors(void)
{
    for (int unit = 0; unit < MLS__UNIT_COUNT; unit++) {
        if (!mls__unit_here(unit)) continue;
        mls__unit_chosen = unit + 1;
        for (size_t i = 0; i < sizeof vector_cases / sizeof vector_cases[0]; i++) {
            const vector_case *v = &vector_cases[i];
            const uint8_t *a = v->format;
            mls_format f = format_of(a[0], a[1], a[2], a[3], a[4], a[5], a[6]);
            mls_shape s = shape_of(v->shape[0], v->shape[1], v->shape[2], v->shape[3]);
            float *x = floats(count_of(s));
            mls_tensor t = tensor_new(f, s);
            t_note("case %d, %s", (int)i, mls__unit_names[unit]);
            memcpy(x, vector_inputs + v->input, count_of(s) * sizeof(float));
            T_EQ_INT(mls_quantize(&t, x, v->seed), v->nonfinite ? MLS_ERROR_NONFINITE : MLS_OK);
            if (!v->nonfinite) {
                T_EQ_INT(to_bits(t.scale), v->scale);
                T_EQ_INT(mls_group_count(f, s), v->groups);
                T_EQ_INT(bytes_of(f, count_of(s)), v->bytes);
                T_EQ_MEM(t.group, vector_groups + v->group, v->groups * sizeof(uint16_t));
                T_EQ_MEM(t.code, vector_codes + v->code, v->bytes);
            }
            tensor_free(&t), t_free(x);
        }
    }
    mls__unit_chosen = 0;
}

/* Every element format with every grouping, rounding and range. */
static void formats_against_oracle(void)
{
    uint64_t rng = 2;
    mls_shape s = shape_of(3, 2, 3, 7);
    float *x = floats(count_of(s));
    for (int ex = 0; ex <= 5; ex++) {
        for (int mx = 0; mx <= 10; mx++) {
            for (int rest = 0; ex + mx > 0 && rest < 24; rest++) {
                mls_format f = random_format(&rng, ex, mx);
                f.grouping = (uint8_t)(rest % 4);
                f.rounding = (uint8_t)(rest / 4 % 3), f.range = (uint8_t)(rest / 12);
                /* all kinds of input where the code fits a byte */
                for (int kind = 0; kind < INPUT_KINDS; kind++) {
                    if (1 + ex + mx > 8 && kind != rest % INPUT_KINDS) continue;
                    fill(x, s, kind, &rng);
                    check_oracle(f, s, x, t_random(&rng));
                }
            }
        }
    }
    t_free(x);
}

/* Every code, every midpoint and their neighbours, with S_t = 1. */
static void rounding_of_every_cell(void)
{
    float *x = floats(4096);
    for (int ex = 0; ex <= 5; ex++) {
        for (int mx = 0; ex + mx <= 9 && mx <= 10; mx++) {
            int codes = 1 << (ex + mx), n = 1;
            if (ex + mx == 0) continue;
            x[0] = (float)element_value(ex, mx, (uint32_t)codes - 1);
            for (int i = 0; i + 1 < codes; i++) {
                float a = (float)element_value(ex, mx, (uint32_t)i);
                float b = (float)element_value(ex, mx, (uint32_t)i + 1), middle = (a + b) / 2;
                x[n++] = a;
                x[n++] = from_bits(to_bits(middle) - 1);
                x[n++] = -middle;
                x[n++] = from_bits(to_bits(middle) + 1);
            }
            for (int rounding = 0; rounding < 3; rounding++) {
                mls_format f = plain(ex, mx);
                f.rounding = (uint8_t)rounding;
                check_oracle(f, shape_of(1, 1, n, 1), x, (uint64_t)n);
            }
        }
    }
    t_free(x);
}

/* Nearest, spelled out for <2,1> with S_t = 1: a third voice beside oracle and golden vectors. */
static void ties_to_even(void)
{
    static const int in[] = {12 * 4, 1, 2, 3, 6, 10, 14, 20, 28, 40, 41, 47, 19, 21};
    static const int out[] = {12, 0, 0, 1, 2, 2, 4, 4, 8, 8, 12, 12, 4, 6};
    float x[14], y[14];
    mls_tensor t = tensor_new(plain(2, 1), shape_of(1, 1, 1, 14));
    for (int i = 0; i < 14; i++) x[i] = (float)in[i] / 64; /* quarters of a step */
    T_EQ_INT(mls_quantize(&t, x, 0), MLS_OK);
    T_EQ_INT(mls_dequantize(&t, y), MLS_OK);
    for (int i = 0; i < 14; i++) T_CHECK(y[i] == (float)out[i] / 16);
    tensor_free(&t);
}

/* Section 8 of docs/FORMAT.md. */
static void documented_example(void)
{
    static const float x[] = {1.5f, 0.5f, -0.4f, 0.07f, 0.625f, -0.2f, 0, -0.01f};
    static const float back[] = {1.5f, 0.5625f, -0.375f, 0.046875f, 0.5f, -0.1875f, 0, 0};
    static const uint8_t nearest[] = {0x77, 0x1b, 0xc4, 0}, stochastic[] = {0x67, 0x1b, 0xc5, 0};
    float y[8];
    mls_format f = format_of(2, 1, 2, 1, MLS_GROUP_C, MLS_ROUND_NEAREST, MLS_RANGE_FIT);
    mls_tensor t = tensor_new(f, shape_of(1, 2, 2, 2));
    T_EQ_INT(mls_quantize(&t, x, 42), MLS_OK);
    T_CHECK(t.scale == 2.0f && t.group[0] == 0 && t.group[1] == 5);
    T_EQ_MEM(t.code, nearest, 4);
    T_EQ_INT(mls_dequantize(&t, y), MLS_OK);
    T_EQ_MEM(y, back, sizeof y);
    t.format.rounding = MLS_ROUND_STOCHASTIC;
    T_EQ_INT(mls_quantize(&t, x, 42), MLS_OK);
    T_EQ_MEM(t.code, stochastic, 4);
    tensor_free(&t);
}

/* ---- vector units */

static mls_shape random_shape(uint64_t *rng)
{
    int c = t_below(rng, 4) ? 1 + t_below(rng, 40) : 8 << t_below(rng, 4);
    return shape_of(1 + t_below(rng, 4), 1 + t_below(rng, 6), 1 + t_below(rng, 6), c);
}

static void units_equal_scalar(void)
{
    uint64_t rng = 3;
    for (int i = 0; i < MLS__UNIT_COUNT; i++) {
        printf("%s%s ", mls__unit_names[i], mls__unit_here(i) ? "" : "(no CPU)");
    }
    if (mls__unit() == 0) T_SKIP("no vector unit in this build or CPU");
    for (int i = 0; i < 4000; i++) {
        int ex = t_below(&rng, 6), mx = ex ? t_below(&rng, 11) : 1 + t_below(&rng, 10);
        int side = i % 2 ? T_FRONT : T_BACK;
        mls_format f = random_format(&rng, ex, mx);
        mls_shape s = random_shape(&rng);
        uint64_t seed = t_random(&rng);
        float *x = (float *)t_alloc_at(count_of(s) * sizeof(float), side);
        mls_status status;
        mls_tensor a = tensor_new(f, s);
        fill(x, s, t_below(&rng, INPUT_KINDS), &rng);
        mls__unit_chosen = 1;
        status = mls_quantize(&a, x, seed); /* huge inputs may be refused */
        for (int unit = 1; unit < MLS__UNIT_COUNT; unit++) {
            if (!mls__unit_here(unit)) continue;
            mls_tensor b = tensor_new(f, s);
            t_note("%s <%d,%d> <%d,%d> %d %d %d, %dx%dx%dx%d", mls__unit_names[unit], f.ex, f.mx,
                   f.eg, f.mg, f.grouping, f.rounding, f.range, s.n, s.h, s.w, s.c);
            mls__unit_chosen = unit + 1;
            T_EQ_INT(mls_quantize(&b, x, seed), status);
            T_EQ_INT(to_bits(b.scale), to_bits(a.scale));
            T_EQ_MEM(b.peak, a.peak, (size_t)s.n * (size_t)s.c * sizeof(float));
            T_EQ_MEM(b.group, a.group, groups_of(f, s) * sizeof(uint16_t));
            T_EQ_MEM(b.code, a.code, bytes_of(f, count_of(s)));
            tensor_free(&b);
        }
        tensor_free(&a), t_free(x);
    }
    mls__unit_chosen = 0;
}

/* Many blocks of the parallel loops, odd ends; and the three stages called piece by piece, as a
   trainer calls them. */
static void large_and_in_pieces(void)
{
    uint64_t rng = 4;
    mls_shape s = shape_of(3, 41, 39, 13);
    size_t count = count_of(s), image = count / 3, middle = count / 2 / 16 * 16;
    float *x = floats(count);
    for (int i = 0; i < 12; i++) {
        static const int element[][2] = {{2, 1}, {2, 4}, {3, 7}, {0, 3}};
        mls_format f = random_format(&rng, element[i % 4][0], element[i % 4][1]);
        mls_tensor a = tensor_new(f, s), b = tensor_new(f, s);
        t_note("<%d,%d> grouping %d rounding %d", f.ex, f.mx, f.grouping, f.rounding);
        fill(x, s, i % INPUT_KINDS, &rng);
        mls__unit_chosen = 1;
        T_EQ_INT(mls_quantize(&a, x, 77), MLS_OK);
        for (int unit = 0; unit < MLS__UNIT_COUNT; unit++) {
            if (!mls__unit_here(unit)) continue;
            mls__unit_chosen = unit + 1;
            memset(b.code, 0, bytes_of(f, count));
            T_EQ_INT(mls_quantize(&b, x, 77), MLS_OK);
            T_EQ_MEM(b.code, a.code, bytes_of(f, count));
            T_EQ_MEM(b.group, a.group, groups_of(f, s) * sizeof(uint16_t));
            memset(b.code, 0, bytes_of(f, count)), memset(b.group, 0xa5, 2 * groups_of(f, s));
            mls__quantize_peaks(&b, x, 2, 3);
            mls__quantize_peaks(&b, x, 0, 2);
            T_EQ_INT(mls__quantize_scales(&b), MLS_OK);
            mls__quantize_codes(&b, x, 77, middle, count);
            mls__quantize_codes(&b, x, 77, 0, image / 16 * 16);
            mls__quantize_codes(&b, x, 77, image / 16 * 16, middle);
            T_EQ_INT(to_bits(b.scale), to_bits(a.scale));
            T_EQ_MEM(b.code, a.code, bytes_of(f, count));
            T_EQ_MEM(b.group, a.group, groups_of(f, s) * sizeof(uint16_t));
        }
        tensor_free(&a), tensor_free(&b);
    }
    mls__unit_chosen = 0;
    t_free(x);
}

/* A NaN or an infinity at any place: an error, and the tensor as it was. */
static void nonfinite_inputs(void)
{
    static const uint32_t evil[] = {0x7f800000u, 0xff800000u, 0x7fc00000u, 0xffc00001u,
                                    0x7f800001u};
    uint64_t rng = 5;
    for (int i = 0; i < 12; i++) {
        mls_format f = random_format(&rng, 2, i % 3 * 3 + 1);
        mls_shape s = shape_of(2, 1, 3, 5 + i);
        size_t count = count_of(s);
        float *x = floats(count);
        mls_tensor t = tensor_new(f, s), before = tensor_new(f, s);
        mls_report report;
        for (int unit = 0; unit < MLS__UNIT_COUNT; unit++) {
            if (!mls__unit_here(unit)) continue;
            mls__unit_chosen = unit + 1;
            fill(x, s, INPUT_BELL, &rng);
            T_EQ_INT(mls_quantize(&t, x, 1), MLS_OK);
            before.scale = t.scale;
            memcpy(before.group, t.group, groups_of(f, s) * sizeof(uint16_t));
            memcpy(before.code, t.code, bytes_of(f, count));
            fill(x, s, INPUT_WIDE, &rng);
            for (size_t j = 0; j < count; j++) {
                float keep = x[j];
                t_note("%s, place %d of %d", mls__unit_names[unit], (int)j, (int)count);
                x[j] = from_bits(evil[(j + (size_t)i) % 5]);
                T_EQ_INT(mls_quantize(&t, x, 1), MLS_ERROR_NONFINITE);
                T_EQ_INT(mls_measure(&t, x, &report), MLS_ERROR_NONFINITE);
                x[j] = keep;
            }
            T_EQ_INT(to_bits(t.scale), to_bits(before.scale));
            T_EQ_MEM(t.group, before.group, groups_of(f, s) * sizeof(uint16_t));
            T_EQ_MEM(t.code, before.code, bytes_of(f, count));
        }
        tensor_free(&t), tensor_free(&before), t_free(x);
    }
    mls__unit_chosen = 0;
}

/* The scale must leave room for 1.5 * S_t: beyond 1.7e38 it is refused, below all is finite. */
static void huge_inputs(void)
{
    const float flt_max = from_bits(0x7f7fffffu), limit = 1.7e38f;
    const float above = from_bits(to_bits(limit) + 1);
    for (int unit = 0; unit < MLS__UNIT_COUNT; unit++) {
        if (!mls__unit_here(unit)) continue;
        mls__unit_chosen = unit + 1;
        for (int ex = 0; ex <= 2; ex++) {
            mls_format f = format_of(ex, 1, 3, 1, MLS_GROUP_NC, MLS_ROUND_NEAREST, MLS_RANGE_PAPER);
            mls_shape s = shape_of(1, 1, 2, 9);
            float top = (float)element_value(ex, 1, (1u << (ex + 1)) - 1), x[18], y[18];
            mls_tensor t = tensor_new(f, s);
            for (int i = 0; i < 18; i++) x[i] = limit / (float)(i % 9 + 1);
            T_EQ_INT(mls_quantize(&t, x, 0), MLS_OK);
            T_EQ_INT(mls_dequantize(&t, y), MLS_OK);
            for (int i = 0; i < 18; i++) T_CHECK(y[i] > 0 && y[i] <= flt_max);
            check_oracle(f, s, x, 0);
            mls__unit_chosen = unit + 1;
            x[5] = above;
            T_EQ_INT(mls_quantize(&t, x, 0), MLS_ERROR_NONFINITE);
            x[5] = -flt_max;
            T_EQ_INT(mls_quantize(&t, x, 0), MLS_ERROR_NONFINITE);
            t.format.range = MLS_RANGE_FIT; /* S_t = x / top, and top < 1 */
            T_EQ_INT(mls_quantize(&t, x, 0), MLS_ERROR_NONFINITE);
            x[5] = limit;
            T_EQ_INT(mls_quantize(&t, x, 0), MLS_ERROR_NONFINITE);
            for (int i = 0; i < 18; i++) x[i] = 0.999f * limit * top / (float)(i % 9 + 1);
            T_EQ_INT(mls_quantize(&t, x, 0), MLS_OK);
            T_EQ_INT(mls_dequantize(&t, y), MLS_OK);
            for (int i = 0; i < 18; i++) T_CHECK(y[i] > 0 && y[i] <= flt_max);
            check_oracle(t.format, s, x, 0);
            tensor_free(&t);
        }
    }
    mls__unit_chosen = 0;
}

static void zero_tensors(void)
{
    const float edge = (float)two_to(-64), below = from_bits(to_bits(edge) - 1);
    uint64_t rng = 6;
    for (int unit = 0; unit < MLS__UNIT_COUNT; unit++) {
        if (!mls__unit_here(unit)) continue;
        mls__unit_chosen = unit + 1;
        for (int i = 0; i < 60; i++) {
            mls_format f = random_format(&rng, i % 6, 1 + i % 10);
            mls_shape s = shape_of(2, 3, 1, 7);
            size_t count = count_of(s);
            int k_max = f.eg >= 7 ? 127 : (1 << f.eg) - 1;
            float x[42], y[42];
            mls_tensor t = tensor_new(f, s);
            t_note("%s, input %d", mls__unit_names[unit], i % 3);
            for (size_t j = 0; j < count; j++) {
                x[j] = i % 3 == 0 ? 0.0f : i % 3 == 1 ? -0.0f : j % 2 ? below : -below;
            }
            T_EQ_INT(mls_quantize(&t, x, 9), MLS_OK);
            T_EQ_INT(to_bits(t.scale), 0);
            for (size_t g = 0; g < groups_of(f, s); g++) T_EQ_INT(t.group[g], k_max << f.mg);
            for (size_t j = 0; j < bytes_of(f, count); j++) T_EQ_INT(t.code[j], 0);
            T_EQ_INT(mls_dequantize(&t, y), MLS_OK);
            for (size_t j = 0; j < count; j++) T_EQ_INT(to_bits(y[j]), 0);
            /* the smallest tensor that is not zero; -0 has sign 0; zero groups are at the bottom */
            for (size_t j = 0; j < count; j++) x[j] = -0.0f;
            x[3] = edge;
            T_EQ_INT(mls_quantize(&t, x, 9), MLS_OK);
            T_CHECK(t.scale > 0);
            for (size_t j = 0; j < count; j++) T_CHECK((mls_tensor_code(&t, j) != 0) == (j == 3));
            for (size_t g = 0; g < groups_of(f, s); g++) {
                T_EQ_INT(t.group[g], g == group_at(f, s, 3) ? 0 : k_max << f.mg);
            }
            tensor_free(&t);
        }
    }
    mls__unit_chosen = 0;
}

/* S_g is the smallest of its values that is not below ratio = max of group / max of tensor. */
static void group_scales(void)
{
    enum {
        COUNT = 601
    };
    static float x[COUNT];
    uint64_t rng = 7;
    for (int eg = 0; eg <= 8; eg++) {
        for (int mg = 0; mg <= (eg > 0); mg++) {
            mls_format f = format_of(2, 1, eg, mg, MLS_GROUP_C, MLS_ROUND_NEAREST, MLS_RANGE_FIT);
            int k_max = eg >= 7 ? 127 : (1 << eg) - 1;
            mls_tensor t = tensor_new(f, shape_of(1, 1, 1, COUNT));
            t_note("<%d,%d>", eg, mg);
            x[0] = 1; /* so that a ratio is its input */
            for (int i = 1; i < COUNT; i++) {
                int k = (i - 1) / 6 % 140;
                uint32_t on = to_bits((float)two_to(-k)), half = to_bits((float)(1.5 * two_to(-k)));
                static const int near[] = {-1, 0, 1};
                uint32_t b = (i % 6 < 3 ? on : half) + (uint32_t)near[i % 3];
                x[i] = from_bits(b);
                if (i > 580) x[i] = (float)((double)t_uniform(&rng) * two_to(-t_below(&rng, 10)));
                if (x[i] > 1) x[i] = 1;
            }
            T_EQ_INT(mls_quantize(&t, x, 0), MLS_OK);
            for (int i = 0; i < COUNT; i++) {
                int k = t.group[i] >> mg, m = t.group[i] & mg;
                double ratio = x[i] < 0 ? -(double)x[i] : (double)x[i];
                double value = (m ? 1.5 : 1) * two_to(-k);
                /* the next smaller value, if there is one */
                double less = m ? two_to(-k) : mg ? 1.5 * two_to(-k - 1) : two_to(-k - 1);
                int last = k == k_max && m == 0;
                T_CHECK(k >= 0 && k <= k_max && value >= ratio && value <= 1);
                T_CHECK(last || less < ratio);
            }
            tensor_free(&t);
        }
    }
}

/* A little above a tie, in a group 2^-127 of the tensor: |x| * 2^k comes first, or the little is lost
   in a denormal. */
static void faint_groups(void)
{
    for (int i = 0; i < 12; i++) {
        mls_format f = format_of(0, 3, 7, i % 2, MLS_GROUP_C, i / 2 % 3, MLS_RANGE_FIT);
        float big = (float)two_to(40), x[4] = {0.875f * big, 0, 0.5f * big, 0};
        x[1] = x[3] = (float)((0.5 + two_to(-23)) * two_to(40 - 127 - 3));
        if (i >= 6) x[2] = -x[0], x[3] = -x[1] * 3;
        check_oracle(f, shape_of(1, 1, 2, 2), x, (uint64_t)i);
    }
}

/* ---- what users may rely on */

static void fit_meets_top(void)
{
    uint64_t rng = 8;
    for (int i = 0; i < 3000; i++) {
        int ex = i % 6, mx = ex ? i / 6 % 11 : 1 + i / 6 % 10, at = t_below(&rng, 5);
        mls_format f = random_format(&rng, ex, mx);
        mls_shape s = shape_of(1, 1, 1, 5);
        float x[5], y[5], biggest;
        mls_tensor t = tensor_new(f, s);
        f.rounding = MLS_ROUND_NEAREST, f.range = MLS_RANGE_FIT, t.format = f;
        for (int j = 0; j < 5; j++) x[j] = t_uniform(&rng);
        biggest = (1 + t_uniform(&rng) / 4) * (float)two_to(1 + t_below(&rng, 120) - 60);
        for (int j = 0; j < 5; j++) x[j] *= biggest / 2;
        x[at] = -biggest;
        t_note("<%d,%d>, max %.9g", ex, mx, (double)biggest);
        T_EQ_INT(mls_quantize(&t, x, 0), MLS_OK);
        T_EQ_INT(mls_tensor_code(&t, (size_t)at), (2 << (ex + mx)) - 1);
        T_EQ_INT(t.group[group_at(f, s, (size_t)at)], 0);
        T_EQ_INT(mls_dequantize(&t, y), MLS_OK);
        T_CHECK(-y[at] > biggest * (1 - 3e-7f) && -y[at] < biggest * (1 + 3e-7f));
        tensor_free(&t);
    }
}

static void paper_range_saturates(void)
{
    for (int rounding = 0; rounding < 3; rounding++) {
        mls_format f = format_of(2, 1, 0, 0, MLS_GROUP_NONE, rounding, MLS_RANGE_PAPER);
        float x[6] = {1.0f, -0.99f, 0.875f, 0.7501f, -0.75f, 0.5f}, y[6];
        mls_tensor t = tensor_new(f, shape_of(6, 1, 1, 1));
        T_EQ_INT(mls_quantize(&t, x, 3), MLS_OK);
        T_CHECK(t.scale == 1.0f);
        T_EQ_INT(mls_dequantize(&t, y), MLS_OK);
        for (int i = 0; i < 5; i++) T_CHECK(y[i] == (x[i] < 0 ? -0.75f : 0.75f));
        T_CHECK(y[5] == 0.5f);
        tensor_free(&t);
    }
}

static void clipped_stays_in_binade(void)
{
    uint64_t rng = 9;
    static float x[4001], y[4001];
    for (int ex = 1; ex <= 4; ex++) {
        for (int mx = 0; mx <= 4; mx++) {
            mls_format f = plain(ex, mx);
            double smallest = two_to(1 - (1 << ex)); /* normal; below it there is one binade */
            mls_tensor t = tensor_new(f, shape_of(1, 1, 1, 4001));
            int left = 0;
            f.rounding = MLS_ROUND_STOCHASTIC_CLIPPED, t.format = f;
            x[0] = (float)element_value(ex, mx, (1u << (ex + mx)) - 1);
            for (int i = 1; i < 4001; i++) x[i] = t_uniform(&rng) * x[0];
            T_EQ_INT(mls_quantize(&t, x, (uint64_t)ex), MLS_OK);
            T_EQ_INT(mls_dequantize(&t, y), MLS_OK);
            for (int i = 0; i < 4001; i++) {
                double a = x[i] < 0 ? -(double)x[i] : (double)x[i], end = smallest;
                double b = y[i] < 0 ? -(double)y[i] : (double)y[i];
                while (end <= a) end *= 2;
                left += b >= end || (end > smallest && b < end / 2);
            }
            T_EQ_INT(left, 0);
            tensor_free(&t);
        }
    }
}

/* Values that the format can hold come back bit for bit. In general nothing more is true: where
   mg = 1, rounding can lower the largest value of a group, and then S_g, to one that the others do
   not fit. */
static void representable_values_stay(void)
{
    uint64_t rng = 10;
    for (int i = 0; i < 2000; i++) {
        int ex = i % 6, mx = ex ? i / 6 % 11 : 1 + i / 6 % 10, half = 1 << (ex + mx);
        mls_format f = random_format(&rng, ex, mx);
        mls_shape s = shape_of(2, 2, 2, 5);
        size_t count = count_of(s);
        mls_tensor a = tensor_new(f, s), b = tensor_new(f, s);
        float x[40], y[40];
        /* a scale of few bits keeps every product exact; stochastic rounding needs 1/S_t exact too */
        int bits = f.rounding == MLS_ROUND_NEAREST ? t_below(&rng, 64) : 0;
        f.range = MLS_RANGE_FIT, a.format = b.format = f;
        a.scale = (float)(1 + bits / 64.0) * (float)two_to(t_below(&rng, 40) - 20);
        memset(a.code, 0, bytes_of(f, count));
        for (size_t g = 0; g < groups_of(f, s); g++) {
            int k_max = f.eg >= 5 ? 31 : (1 << f.eg) - 1;
            a.group[g] = (uint16_t)(g ? t_below(&rng, (k_max + 1) << f.mg) : 0);
            if (a.group[g] == 1 && f.mg) a.group[g] = 0; /* S_g = 1.5 does not occur */
        }
        for (size_t j = 0; j < count; j++) {
            /* the first element of each group has the top code, so that S_g stays */
            int first = j < 5 || (j % 20 < 5 && j >= 20), code = t_below(&rng, 2 * half);
            if (code == half) code = 0;
            mls__code_put(a.code, 1 + ex + mx, j, (uint32_t)(first ? half - 1 : code));
        }
        T_EQ_INT(mls_dequantize(&a, x), MLS_OK);
        T_EQ_INT(mls_quantize(&b, x, 11), MLS_OK);
        T_EQ_INT(mls_dequantize(&b, y), MLS_OK);
        t_note("<%d,%d> <%d,%d> grouping %d rounding %d", ex, mx, f.eg, f.mg, f.grouping,
               f.rounding);
        T_EQ_INT(to_bits(b.scale), to_bits(a.scale));
        T_EQ_MEM(y, x, sizeof x);
        T_EQ_MEM(b.group, a.group, groups_of(f, s) * sizeof(uint16_t));
        T_EQ_MEM(b.code, a.code, bytes_of(f, count));
        tensor_free(&a), tensor_free(&b);
    }
}

/* With mg = 0 and nearest rounding, quantizing twice changes S_t by an ulp or two at most. */
static void quantizing_twice(void)
{
    uint64_t rng = 11;
    for (int i = 0; i < 1500; i++) {
        int ex = i % 6, mx = ex ? i / 6 % 11 : 1 + i / 6 % 10, far = 0;
        mls_format f = random_format(&rng, ex, mx);
        mls_shape s = shape_of(2, 2, 2, 5);
        mls_tensor t = tensor_new(f, s);
        float x[40], y[40], z[40];
        f.mg = 0, f.rounding = MLS_ROUND_NEAREST, f.range = MLS_RANGE_FIT, t.format = f;
        fill(x, s, i % 2 ? INPUT_BELL : INPUT_SPARSE, &rng);
        T_EQ_INT(mls_quantize(&t, x, 0), MLS_OK);
        T_EQ_INT(mls_dequantize(&t, y), MLS_OK);
        T_EQ_INT(mls_quantize(&t, y, 0), MLS_OK);
        T_EQ_INT(mls_dequantize(&t, z), MLS_OK);
        for (int j = 0; j < 40; j++) {
            double d = (double)z[j] - (double)y[j], size = 5e-7 * (double)(y[j] < 0 ? -y[j] : y[j]);
            far += d > size || -d > size;
        }
        t_note("<%d,%d> eg %d grouping %d", ex, mx, f.eg, f.grouping);
        T_EQ_INT(far, 0);
        tensor_free(&t);
    }
}

static void sign_symmetry(void)
{
    uint64_t rng = 12;
    for (int i = 0; i < 500; i++) {
        int ex = i % 6, mx = ex ? i / 6 % 11 : 1 + i / 6 % 10;
        mls_format f = random_format(&rng, ex, mx);
        mls_shape s = random_shape(&rng);
        size_t count = count_of(s), wrong = 0;
        mls_tensor a = tensor_new(f, s), b = tensor_new(f, s);
        float *x = floats(count);
        fill(x, s, i % INPUT_KINDS, &rng);
        T_EQ_INT(mls_quantize(&a, x, 5), MLS_OK);
        for (size_t j = 0; j < count; j++) x[j] = -x[j];
        T_EQ_INT(mls_quantize(&b, x, 5), MLS_OK);
        for (size_t j = 0; j < count; j++) {
            uint32_t c = mls_tensor_code(&a, j), sign = 1u << (ex + mx);
            wrong += mls_tensor_code(&b, j) != (c ? c ^ sign : 0);
        }
        T_EQ_INT(wrong, 0);
        T_EQ_MEM(b.group, a.group, groups_of(f, s) * sizeof(uint16_t));
        tensor_free(&a), tensor_free(&b), t_free(x);
    }
}

/* Inside a group, nearest rounding keeps the order of the inputs. */
static void nearest_is_monotone(void)
{
    static float x[2000], y[2000];
    uint64_t rng = 13;
    for (int ex = 0; ex <= 5; ex++) {
        for (int mx = ex ? 0 : 1; mx <= 10; mx++) {
            mls_tensor t = tensor_new(plain(ex, mx), shape_of(1, 2000, 1, 1));
            float biggest = 1 + t_uniform(&rng) / 2;
            int falls = 0;
            for (int i = 0; i < 2000; i++) x[i] = biggest * ((float)i / 1000 - 0.9995f);
            T_EQ_INT(mls_quantize(&t, x, 0), MLS_OK);
            T_EQ_INT(mls_dequantize(&t, y), MLS_OK);
            for (int i = 1; i < 2000; i++) falls += y[i] < y[i - 1];
            t_note("<%d,%d>", ex, mx);
            T_EQ_INT(falls, 0);
            tensor_free(&t);
        }
    }
}

/* fl((q * lsb * (1 + m / 2^mg)) * S_t) * 2^-k, bit for bit, on random tensors. */
static void dequantize_formula(void)
{
    uint64_t rng = 14;
    for (int i = 0; i < 600; i++) {
        int ex = i % 6, mx = ex ? i / 6 % 11 : 1 + i / 6 % 10, half = 1 << (ex + mx), wrong = 0;
        mls_format f = random_format(&rng, ex, mx);
        mls_shape s = shape_of(1 + t_below(&rng, 3), 1 + t_below(&rng, 3), 2, 1 + t_below(&rng, 9));
        size_t count = count_of(s);
        mls_tensor t = tensor_new(f, s);
        float *x = floats(count);
        int k_max = f.eg >= 7 ? 127 : (1 << f.eg) - 1;
        t.scale = (float)((1 + (double)t_uniform(&rng) / 2) * two_to(t_below(&rng, 190) - 64));
        for (size_t g = 0; g < groups_of(f, s); g++) {
            t.group[g] = (uint16_t)t_below(&rng, (k_max + 1) << f.mg);
        }
        memset(t.code, 0, bytes_of(f, count));
        for (size_t j = 0; j < count; j++) {
            mls__code_put(t.code, 1 + ex + mx, j, (uint32_t)t_below(&rng, 2 * half));
        }
        T_EQ_INT(mls_dequantize(&t, x), MLS_OK);
        for (size_t j = 0; j < count; j++) {
            int g = t.group[group_at(f, s, j)], code = (int)mls_tensor_code(&t, j);
            float value = (float)element_value(ex, mx, (uint32_t)(code % half)), product, expected;
            if (code >= half && value > 0) value = -value;
            product = (f.mg && g & 1 ? value * 1.5f : value) * t.scale;
            expected = product * (float)two_to(-(g >> f.mg));
            wrong += to_bits(expected) != to_bits(x[j]);
        }
        t_note("<%d,%d> <%d,%d>", ex, mx, f.eg, f.mg);
        T_EQ_INT(wrong, 0);
        tensor_free(&t), t_free(x);
    }
}

/* log10 bit by bit: squaring doubles a logarithm. */
static double log10_of(double x)
{
    double whole = 0, bit = 1;
    while (x >= 2) x /= 2, whole += 1;
    while (x < 1) x *= 2, whole -= 1;
    for (int i = 0; i < 50; i++) {
        bit /= 2, x *= x;
        if (x >= 2) x /= 2, whole += bit;
    }
    return whole * 0.30102999566398119521;
}

static int close_to(double a, double b)
{
    double d = a < b ? b - a : a - b, size = b < 0 ? -b : b;
    return d <= 1e-6 * size + 1e-12;
}

static void measure_recomputed(void)
{
    uint64_t rng = 15;
    for (int i = 0; i < 400; i++) {
        int ex = i % 6, mx = ex ? i / 6 % 11 : 1 + i / 6 % 10;
        mls_format f = random_format(&rng, ex, mx);
        mls_shape s = shape_of(1 + t_below(&rng, 3), 1 + t_below(&rng, 4), 3, 1 + t_below(&rng, 9));
        size_t count = count_of(s), groups = groups_of(f, s), dead = 0, alive = 0, out = 0,
               gone = 0;
        double relative = 0, signal = 0, noise = 0;
        float *x = floats(count), *y = floats(count), *tops = floats(count);
        mls_tensor t = tensor_new(f, s), top = tensor_new(f, s);
        mls_report r;
        fill(x, s, i % 3 ? INPUT_SPARSE : INPUT_BELL, &rng);
        T_EQ_INT(mls_quantize(&t, x, 3), MLS_OK);
        if (i % 4 == 0) { /* measure against something else, so that clipping shows */
            for (size_t j = 0; j < count; j++) x[j] *= 1 + t_uniform(&rng) / 4;
        }
        T_EQ_INT(mls_dequantize(&t, y), MLS_OK);
        memcpy(top.group, t.group, groups * sizeof(uint16_t));
        top.scale = t.scale;
        for (size_t j = 0; j < count; j++) {
            mls__code_put(top.code, 1 + ex + mx, j, (1u << (ex + mx)) - 1);
        }
        T_EQ_INT(mls_dequantize(&top, tops), MLS_OK);
        for (size_t j = 0; j < count; j++) {
            double a = (double)x[j], d = (double)y[j] - a;
            if (a < 0) a = -a;
            if (d < 0) d = -d;
            if (a > 0) alive++, relative += d / a, gone += !(y[j] < 0 || y[j] > 0);
            out += a > (double)tops[j] * (1 + 1.0 / (1 << 22)); /* as documented */
            signal += a * a, noise += d * d;
        }
        for (size_t g = 0; g < groups; g++) {
            int zero = 1;
            for (size_t j = 0; j < count; j++)
                zero &= group_at(f, s, j) != g || !(x[j] < 0 || x[j] > 0);
            dead += (size_t)zero;
        }
        T_EQ_INT(mls_measure(&t, x, &r), MLS_OK);
        T_CHECK(close_to(r.relative_error, alive ? relative / (double)alive : 0));
        T_CHECK(close_to(r.clipped, (double)out / (double)count));
        T_CHECK(close_to(r.flushed, (double)gone / (double)count));
        T_CHECK(close_to(r.zero_groups, (double)dead / (double)groups));
        if (signal > 0 && noise > 0) T_CHECK(close_to(r.snr_db, 10 * log10_of(signal / noise)));
        if (!(noise > 0)) T_CHECK(r.snr_db > 998 && r.snr_db < 1000);
        tensor_free(&t), tensor_free(&top), t_free(x), t_free(y), t_free(tops);
    }
}

/* ---- random bits; every threshold is six sigma, so a sound generator passes and stays passing */

static void golden_random(void)
{
    for (size_t i = 0; i < sizeof vector_randoms / sizeof vector_randoms[0]; i++) {
        const vector_random *v = &vector_randoms[i];
        T_EQ_INT(mls_random16(v->seed, v->index), v->value);
    }
    for (size_t i = 0; i < sizeof vector_seeds / sizeof vector_seeds[0]; i++) {
        const vector_seed *v = &vector_seeds[i];
        T_CHECK(mls_seed(v->seed, v->part) == v->value);
    }
}

#define DRAWS (1 << 20)

/* Sequences that rounding uses: by index; by seed at one index; by part of one seed. */
static uint32_t draw(int sequence, uint64_t i)
{
    switch (sequence) {
    case 0:
        return mls_random16(1, i);
    case 1:
        return mls_random16(0xfeedfacecafebeefu, i + ((uint64_t)1 << 33) - DRAWS / 2);
    case 2:
        return mls_random16(i, 7);
    case 3:
        return mls_random16(mls_seed(2, i), 0);
    default:
        return mls_random16(mls_seed(mls_seed(3, i / 64), i % 64), 12345);
    }
}

static void random_bits_and_cells(void)
{
    static uint32_t cells[1 << 16];
    for (int sequence = 0; sequence < 5; sequence++) {
        int64_t ones[16] = {0};
        double chi = 0, expected = DRAWS / 65536.0;
        memset(cells, 0, sizeof cells);
        for (uint64_t i = 0; i < DRAWS; i++) {
            uint32_t u = draw(sequence, i);
            T_REQUIRE(u < 65536);
            cells[u]++;
            for (int b = 0; b < 16; b++) ones[b] += u >> b & 1;
        }
        t_note("sequence %d", sequence);
        for (int b = 0; b < 16; b++) {
            double d = (double)ones[b] - DRAWS / 2;
            T_CHECK(d * d < 36.0 * DRAWS / 4);
        }
        for (int i = 0; i < 65536; i++) {
            double d = (double)cells[i] - expected;
            chi += d * d / expected;
        }
        chi -= 65535; /* mean; the variance is twice that */
        T_CHECK(chi * chi < 36.0 * 2 * 65535);
    }
}

/* Correlation of two draws far and near, in one sequence and between neighbouring seeds. */
static void random_independence(void)
{
    static const uint64_t lags[] = {1, 2, 3, 4, 8, 15, 16, 64, 1024, 1 << 14};
    const double variance = (65536.0 * 65536.0 - 1) / 12;
    for (int sequence = 0; sequence < 5; sequence++) {
        for (size_t j = 0; j < sizeof lags / sizeof lags[0]; j++) {
            double sum = 0;
            for (uint64_t i = 0; i < DRAWS / 8; i++) {
                double a = draw(sequence, i), b = draw(sequence, i + lags[j]);
                sum += (a - 32767.5) * (b - 32767.5);
            }
            sum /= variance;
            t_note("sequence %d, lag %d", sequence, (int)lags[j]);
            T_CHECK(sum * sum < 36.0 * (DRAWS / 8));
        }
    }
    /* the upper and the lower halves of pairs, as 256 cells: next element, next seed, next part */
    for (int kind = 0; kind < 6; kind++) {
        static uint32_t cells[256];
        double chi = 0, expected = DRAWS / 8 / 256.0;
        memset(cells, 0, sizeof cells);
        for (uint64_t i = 0; i < DRAWS / 8; i++) {
            uint32_t a = mls_random16(99, i), b = mls_random16(99, i ^ 1);
            if (kind % 3 == 1) b = mls_random16(100, i);
            if (kind % 3 == 2) b = mls_random16(mls_seed(99, 1), i);
            cells[kind < 3 ? (a >> 12) << 4 | b >> 12 : (a & 15) << 4 | (b & 15)]++;
        }
        for (int i = 0; i < 256; i++) {
            double d = (double)cells[i] - expected;
            chi += d * d / expected;
        }
        t_note("pairs %d", kind);
        /* i and i ^ 1 give each pair twice: up to twice the variance of the counts */
        chi -= kind % 3 ? 255 : 510;
        T_CHECK(chi * chi < 36.0 * 2 * 255 * (kind % 3 ? 1 : 4));
    }
}

/* One bit of seed or index changes half of the result's bits, seen over many. */
static void random_avalanche(void)
{
    for (int bit = 0; bit < 128; bit++) {
        int64_t changed = 0;
        double d;
        for (uint64_t i = 0; i < 4096; i++) {
            uint64_t seed = mls_seed(4, i), index = i * 2654435761u;
            uint64_t seed2 = bit < 64 ? seed ^ (uint64_t)1 << bit : seed;
            uint64_t index2 = bit < 64 ? index : index ^ (uint64_t)1 << (bit - 64);
            uint32_t x = mls_random16(seed, index) ^ mls_random16(seed2, index2);
            for (; x; x &= x - 1) changed++;
        }
        d = (double)changed - 4096 * 8;
        t_note("bit %d", bit);
        T_CHECK(d * d < 36.0 * 4096 * 16 / 4);
    }
}

static void stochastic_is_unbiased(void)
{
    static const int element[][2] = {{2, 1}, {0, 3}, {1, 2},  {2, 4},
                                     {3, 0}, {4, 3}, {0, 10}, {5, 10}};
    const int count = 1 << 14;
    float *x = floats((size_t)count), *y = floats((size_t)count);
    uint64_t rng = 16;
    for (int i = 0; i < 8; i++) {
        mls_format f = plain(element[i][0], element[i][1]);
        mls_tensor t;
        f.rounding = MLS_ROUND_STOCHASTIC;
        t = tensor_new(f, shape_of(1, 128, 128, 1));
        oracle_table(f);
        for (int j = 0; j < 24; j++) {
            /* one value many times, in a cell chosen over all the codes, a quarter at the bottom */
            int cell = t_below(&rng, j % 4 ? oracle_codes - 1 : 1);
            double lsb = oracle_lsb(f), lo = oracle_grid[cell] * lsb;
            double hi = oracle_grid[cell + 1] * lsb, sum = 0, variance, step = hi - lo;
            float v = (float)(lo + (hi - lo) * (0.5 + 0.5 * (double)t_uniform(&rng)));
            int outside = 0;
            x[0] = (float)(oracle_grid[oracle_codes - 1] * lsb); /* S_t = 1 */
            for (int k = 1; k < count; k++) x[k] = v;
            T_EQ_INT(mls_quantize(&t, x, (uint64_t)(100 * i + j)), MLS_OK);
            T_EQ_INT(mls_dequantize(&t, y), MLS_OK);
            for (int k = 1; k < count; k++) {
                outside += (double)y[k] != lo && (double)y[k] != hi;
                sum += (double)y[k] - (double)v;
            }
            t_note("<%d,%d> cell %d", f.ex, f.mx, cell);
            T_EQ_INT(outside, 0);
            /* 16 bits of randomness: the share is exact to 2^-16 */
            sum = (sum < 0 ? -sum : sum) - count * step / 65536;
            variance = (hi - (double)v) * ((double)v - lo) * count;
            T_CHECK(sum < 0 || sum * sum < 36 * variance);
        }
        tensor_free(&t);
    }
    t_free(x), t_free(y);
}

/* The sum of a whole tensor with groups, S_g of both kinds and an odd scale. */
static void stochastic_sum_is_unbiased(void)
{
    mls_shape s = shape_of(4, 32, 32, 8);
    size_t count = count_of(s);
    float *x = floats(count), *y = floats(count);
    uint64_t rng = 17;
    for (int i = 0; i < 12; i++) {
        static const int element[][2] = {{2, 1}, {2, 4}, {0, 3}, {3, 2}};
        mls_format f = format_of(element[i % 4][0], element[i % 4][1], 4, 1, i % 3 + 1,
                                 MLS_ROUND_STOCHASTIC, MLS_RANGE_FIT);
        mls_tensor t = tensor_new(f, s);
        double sum = 0, bound = 0, lsb = oracle_lsb(f);
        oracle_table(f);
        fill(x, s, INPUT_BELL, &rng);
        T_EQ_INT(mls_quantize(&t, x, (uint64_t)i), MLS_OK);
        T_EQ_INT(mls_dequantize(&t, y), MLS_OK);
        for (size_t j = 0; j < count; j++) {
            int g = t.group[group_at(f, s, j)];
            double unit = (g & 1 ? 1.5 : 1) * two_to(-(g >> 1)) * (double)t.scale * lsb;
            double v = (x[j] < 0 ? -(double)x[j] : (double)x[j]) / unit;
            int hi = 1;
            while (hi < oracle_codes - 1 && oracle_grid[hi] < v) hi++;
            sum += (double)y[j] - (double)x[j];
            if (v < oracle_grid[hi]) {
                bound += (oracle_grid[hi] - v) * (v - oracle_grid[hi - 1]) * unit * unit;
            }
        }
        t_note("<%d,%d>", f.ex, f.mx);
        T_CHECK(sum * sum < 36 * bound);
        tensor_free(&t);
    }
    t_free(x), t_free(y);
}

/* Products that lie halfway between two floats, and a third number, too small for a double beside
   them, that says to which side. */
static void multiply_add(void)
{
    uint64_t rng = 19;
    for (int i = 0; i < 2000; i++) {
        int e = t_below(&rng, 60) - 30, sign = t_below(&rng, 2) ? 1 : -1;
        float a = 1 + (float)(2 * t_below(&rng, 30) + 1) / 4096.0f;
        float b = (1 + (float)(2 * t_below(&rng, 30) + 1) / 4096.0f) * (float)(sign * two_to(e));
        float c = (float)two_to(e - 56 - t_below(&rng, 30));
        double half = two_to(e - 24);
        t_note("%.9g * %.9g + %.9g", (double)a, (double)b, (double)c);
        T_CHECK(to_bits(mls__fma(a, b, c)) == to_bits((float)((double)a * (double)b + half)));
        T_CHECK(to_bits(mls__fma(a, b, -c)) == to_bits((float)((double)a * (double)b - half)));
        T_CHECK(to_bits(mls__fma(a, b, 0)) == to_bits((float)((double)a * (double)b)));
    }
}

T_MAIN(T_TEST(status_strings), T_TEST(format_check_is_exact), T_TEST(values_of_all_codes),
       T_TEST(values_of_known_formats), T_TEST(parse_good), T_TEST(parse_bad),
       T_TEST(parse_from_nothing), T_TEST(format_texts), T_TEST(formats_by_role), T_TEST(shapes),
       T_TEST(init_stays_inside), T_TEST(packing_order), T_TEST(bad_arguments),
       T_TEST(golden_vectors), T_TEST(formats_against_oracle), T_TEST(rounding_of_every_cell),
       T_TEST(ties_to_even), T_TEST(documented_example), T_TEST(units_equal_scalar),
       T_TEST(large_and_in_pieces), T_TEST(nonfinite_inputs), T_TEST(huge_inputs),
       T_TEST(zero_tensors), T_TEST(group_scales), T_TEST(faint_groups), T_TEST(fit_meets_top),
       T_TEST(paper_range_saturates), T_TEST(clipped_stays_in_binade),
       T_TEST(representable_values_stay), T_TEST(quantizing_twice), T_TEST(sign_symmetry),
       T_TEST(nearest_is_monotone), T_TEST(dequantize_formula), T_TEST(measure_recomputed),
       T_TEST(golden_random), T_TEST(random_bits_and_cells), T_TEST(random_independence),
       T_TEST(random_avalanche), T_TEST(stochastic_is_unbiased), T_TEST(stochastic_sum_is_unbiased),
       T_TEST(multiply_add))
