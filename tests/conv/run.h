/* Convolutions of the tests: operands made code by code, so that any legal tensor can occur, and a
   case run on every kernel, against the reference and the oracle. */

static mls_conv conv_of(mls_shape in, int c_out, int kh, int kw, int stride, int pad)
{
    mls_conv c;
    memset(&c, 0, sizeof c);
    c.in = in, c.c_out = c_out, c.kh = kh, c.kw = kw, c.stride = stride, c.pad = pad;
    return c;
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

static mls_tensor tensor_filled(mls_format f, mls_shape s, int kind, uint64_t *rng)
{
    mls_tensor t = tensor_of_codes(f, s);
    fill(&t, kind, rng);
    return t;
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

#include "oracle.h"

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
    tf = tensor_filled(f, sf, kind_f, rng), tg = tensor_filled(g, sg, kind_g, rng);
    check_tensors(c, d, &tf, &tg, work_of(c) > 4e5);
    tensor_free(&tf), tensor_free(&tg);
}

static void check_all(const mls_conv *c, mls_format f, mls_format g, int kind, uint64_t *rng)
{
    for (int d = 0; d < 3; d++) check_case(c, (mls_direction)d, f, g, kind, kind, rng);
}
