/* The quantizer once more, from docs/FORMAT.md by search in the table of codes, and what it is tried
   on: formats and inputs of every kind. */

static mls_format full_format(int ex, int mx, int eg, int mg, int grouping, int rounding, int range)
{
    mls_format f = format_of(ex, mx, eg, mg, grouping);
    f.rounding = (uint8_t)rounding, f.range = (uint8_t)range;
    return f;
}

/* A valid format; ex and mx are given. */
static mls_format random_format(uint64_t *rng, int ex, int mx)
{
    int eg = t_below(rng, 9), mg = eg ? t_below(rng, 2) : 0;
    return full_format(ex, mx, eg, mg, t_below(rng, 4), t_below(rng, 3), t_below(rng, 2));
}

static mls_shape random_shape(uint64_t *rng)
{
    int c = t_below(rng, 4) ? 1 + t_below(rng, 40) : 8 << t_below(rng, 4);
    return shape_of(1 + t_below(rng, 4), 1 + t_below(rng, 6), 1 + t_below(rng, 6), c);
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
