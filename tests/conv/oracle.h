/* The three convolutions once more, from their definition: group pairs, shifts and one rounding. */

#if defined(__SIZEOF_INT128__)
__extension__ typedef __int128 wide;
#define WIDE_BITS 127
#else
typedef int64_t wide;
#define WIDE_BITS 63
#endif

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
