/* Convolutions with groups, dilation, strides by side and paddings by side: the scalar kernel against
   sums written from the definition, and every kernel and number of threads against those, by memcmp;
   descriptions that are none are refused by name. */

enum {
    MOST_WORK = 60000,      /* multiply-adds of a case */
    MOST_OF_SHAPE = 1 << 16 /* elements of a tensor */
};

static int elements(mls_shape s)
{
    return (int)count_of(s);
}

static int or_else(int value, int other)
{
    return value ? value : other;
}

/* ---- cases */

static int some(uint64_t *rng, int of, int most)
{
    return t_below(rng, of) ? 0 : t_below(rng, most + 1);
}

/* Any convolution; depthwise: as many groups as channels, or a multiple of that at the output. */
static mls_conv any_conv(uint64_t *rng, int depthwise)
{
    for (;;) {
        mls_conv c;
        mls_shape out;
        int groups = t_below(rng, 3) ? 1 : 1 + t_below(rng, 5), channels;
        memset(&c, 0, sizeof c);
        channels = t_below(rng, 4) ? 1 + t_below(rng, 9) : 1 + t_below(rng, 40);
        if (depthwise) groups = t_below(rng, 3) ? 1 + t_below(rng, 40) : 1 + t_below(rng, 150);
        if (depthwise) channels = 1;
        c.in.n = 1 + t_below(rng, 10), c.in.c = groups * channels;
        c.in.h = 1 + t_below(rng, 12), c.in.w = 1 + t_below(rng, 20);
        c.c_out = groups * (depthwise ? 1 + some(rng, 6, 2) : 1 + t_below(rng, 20));
        c.kh = 1 + t_below(rng, 4), c.kw = 1 + t_below(rng, 4);
        if (t_below(rng, 2)) c.kh = c.kw = 3;
        c.stride = t_below(rng, 3), c.pad = t_below(rng, 3);
        c.groups = groups > 1 ? groups : t_below(rng, 2);
        c.stride_h = some(rng, 3, 3), c.stride_w = some(rng, 3, 3);
        c.dilation_h = some(rng, 2, 4), c.dilation_w = some(rng, 2, 4);
        c.pad_top = some(rng, 3, 3), c.pad_left = some(rng, 3, 3);
        c.pad_bottom = some(rng, 3, 3), c.pad_right = some(rng, 3, 3);
        out = mls_conv_output(&c);
        if (elements(out) > MOST_OF_SHAPE || elements(c.in) > MOST_OF_SHAPE) continue;
        if (out.n && elements(out) * c.kh * c.kw * (c.in.c / groups) <= MOST_WORK) return c;
    }
}

static void note(const mls_conv *c, int d, const char *format)
{
    t_note("direction %d, %s, %d %d %d %d > %d, %d x %d, s%d,%d,%d p%d,%d,%d,%d,%d g%d d%d,%d", d,
           format, c->in.n, c->in.h, c->in.w, c->in.c, c->c_out, c->kh, c->kw, c->stride,
           c->stride_h, c->stride_w, c->pad, c->pad_top, c->pad_left, c->pad_bottom, c->pad_right,
           c->groups, c->dilation_h, c->dilation_w);
}

/* Numbers whose groups use some of the exponents, or all as large as they can be. */
static void fill_operand(float *x, mls_shape s, int extreme, uint64_t *rng)
{
    int count = elements(s), image = s.h * s.w * s.c;
    for (int i = 0; i < count; i++) {
        int spread = (i / image * 7 + i % s.c * 5) % 4;
        x[i] = t_uniform(rng) * 0.75f / (float)(1 << spread);
        if (extreme) x[i] = t_below(rng, 9) ? 1.0f : -1.0f;
    }
}

/* Shapes of the operands and of the result of a direction. */
static void operand_shapes(const mls_conv *c, int d, mls_shape *s)
{
    const mls_shape w = mls_conv_weight_shape(c), z = mls_conv_output(c);
    s[0] = d == MLS_BACKWARD_WEIGHT ? z : w;
    s[1] = d == MLS_BACKWARD_DATA ? z : c->in;
    s[2] = d == MLS_FORWARD ? z : d == MLS_BACKWARD_DATA ? c->in : w;
}

static mls_status convolve_shape(const mls_conv *c, int d, const mls_tensor *t, float *to,
                                 void *work, size_t size)
{
    if (d == MLS_FORWARD) return mls_conv_forward(c, &t[0], &t[1], to, work, size);
    if (d == MLS_BACKWARD_DATA) return mls_conv_backward_data(c, &t[0], &t[1], to, work, size);
    return mls_conv_backward_weight(c, &t[0], &t[1], to, work, size);
}

static mls_status convolve_shape_fp32(const mls_conv *c, int d, float *const *x, float *to,
                                      void *work, size_t size)
{
    if (d == MLS_FORWARD) return mls_conv_forward_fp32(c, x[0], x[1], to, work, size);
    if (d == MLS_BACKWARD_DATA) return mls_conv_backward_data_fp32(c, x[0], x[1], to, work, size);
    return mls_conv_backward_weight_fp32(c, x[0], x[1], to, work, size);
}

/* ---- the definition: every product W * A that the forward convolution has, with the places of its
   two factors and its output. In the other directions the same triples change their parts. */

typedef struct triples {
    mls_conv c; /* all that may be zero filled in; paddings by side */
    mls_shape out;
    int depth, share; /* channels of a group, of the input and of the output */
} triples;

static triples triples_of(const mls_conv *conv)
{
    triples t;
    mls_conv *c = &t.c;
    t.c = *conv, t.out = mls_conv_output(conv);
    c->groups = or_else(c->groups, 1);
    c->stride_h = or_else(c->stride_h, or_else(c->stride, 1));
    c->stride_w = or_else(c->stride_w, or_else(c->stride, 1));
    c->dilation_h = or_else(c->dilation_h, 1), c->dilation_w = or_else(c->dilation_w, 1);
    c->pad_top += c->pad, c->pad_left += c->pad;
    t.depth = c->in.c / c->groups, t.share = c->c_out / c->groups;
    return t;
}

/* The factors at output (n, y, x, co), tap (ky, kx), channel ci of the group: 1 if both are there,
   0 if the tap is beside the image, -1 if it is above or below. place: W, A, Z. */
static int triple(const triples *t, int n, int y, int x, int co, int ky, int kx, int ci, int *place)
{
    const mls_conv *c = &t->c;
    const int row = y * c->stride_h + ky * c->dilation_h - c->pad_top;
    const int col = x * c->stride_w + kx * c->dilation_w - c->pad_left;
    place[0] = ((co * c->kh + ky) * c->kw + kx) * t->depth + ci;
    place[1] = ((n * c->in.h + row) * c->in.w + col) * c->in.c + co / t->share * t->depth + ci;
    place[2] = ((n * t->out.h + y) * t->out.w + x) * c->c_out + co;
    return row < 0 || row >= c->in.h ? -1 : col >= 0 && col < c->in.w;
}

/* Which of a triple's places are the operands and the result of a direction. */
static const int shape_parts[3][3] = {{0, 1, 2}, {0, 2, 1}, {2, 1, 0}};

/* Integer of an element times 2^k_max: sums of such products are exact in 64 bits here. */
static int64_t folded(const mls_tensor *t, int i)
{
    const mls_format f = t->format;
    const int image = t->shape.h * t->shape.w * t->shape.c, c = i % t->shape.c, n = i / image;
    const int by_n = f.grouping == MLS_GROUP_N || f.grouping == MLS_GROUP_NC;
    const int by_c = f.grouping == MLS_GROUP_C || f.grouping == MLS_GROUP_NC;
    const uint32_t code = mls_tensor_code(t, (size_t)i), e = code >> f.mx & ((1u << f.ex) - 1);
    const uint32_t m = code & ((1u << f.mx) - 1);
    const int group = t->group[by_n ? (by_c ? n * t->shape.c + c : n) : by_c ? c : 0];
    int64_t q = e ? (int64_t)((1u << f.mx) + m) << (e - 1) : (int64_t)m;
    if (code >> (f.ex + f.mx) & 1) q = -q;
    return q * ((1 << f.mg) + (group & f.mg)) * ((int64_t)1 << ((1 << f.eg) - 1 - (group >> f.mg)));
}

static int lsb(mls_format f)
{
    return f.ex ? 1 - (1 << f.ex) - f.mx : -f.mx;
}

static void definition(const mls_conv *c, int d, const mls_tensor *operand, float *to)
{
    static int64_t v[2][MOST_OF_SHAPE], sum[MOST_OF_SHAPE];
    const triples t = triples_of(c);
    const mls_format f = operand[0].format, g = operand[1].format;
    mls_shape s[3];
    const int fraction = (1 << f.eg) - 1 + (1 << g.eg) - 1;
    const float scale = operand[0].scale * operand[1].scale;
    int p[3];
    operand_shapes(c, d, s);
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < elements(s[i]); j++) v[i][j] = folded(&operand[i], j);
    memset(sum, 0, sizeof sum);
    for (int n = 0; n < t.out.n; n++)
        for (int y = 0; y < t.out.h; y++)
            for (int x = 0; x < t.out.w; x++)
                for (int co = 0; co < t.out.c; co++)
                    for (int ky = 0; ky < c->kh; ky++)
                        for (int kx = 0; kx < c->kw; kx++)
                            for (int ci = 0; ci < t.depth; ci++)
                                if (triple(&t, n, y, x, co, ky, kx, ci, p) == 1)
                                    sum[p[shape_parts[d][2]]] +=
                                        v[0][p[shape_parts[d][0]]] * v[1][p[shape_parts[d][1]]];
    for (int i = 0; i < elements(s[2]); i++) {
        to[i] = (float)sum[i] * scale * ldexpf(1, lsb(f) + lsb(g) - f.mg - g.mg - fraction);
    }
}

/* The chains of fp32: outputs take their products in the order of this walk, backward-data in the
   opposite one of taps. */
static void definition_fp32(const mls_conv *c, int d, float *const *operand, float *to)
{
    static float block_sum[MOST_OF_SHAPE];
    const triples t = triples_of(c);
    const int back = d == MLS_BACKWARD_DATA, n_all = t.out.n;
    mls_shape s[3];
    int p[3], blocks = d == MLS_BACKWARD_WEIGHT && n_all > 8 ? 8
                       : d == MLS_BACKWARD_WEIGHT            ? n_all
                                                             : 1;
    operand_shapes(c, d, s);
    for (int b = 0; b < blocks; b++) {
        memset(block_sum, 0, sizeof block_sum);
        for (int tap = 0; tap < c->kh * c->kw; tap++)
            for (int n = b * n_all / blocks; n < (b + 1) * n_all / blocks; n++)
                for (int y = 0; y < t.out.h; y++)
                    for (int x = 0; x < t.out.w; x++)
                        for (int co = 0; co < t.out.c; co++)
                            for (int ci = 0; ci < t.depth; ci++) {
                                int at = back ? c->kh * c->kw - 1 - tap : tap;
                                float *z;
                                if (triple(&t, n, y, x, co, at / c->kw, at % c->kw, ci, p) != 1)
                                    continue;
                                z = &block_sum[p[shape_parts[d][2]]];
                                *z = fused(operand[0][p[shape_parts[d][0]]],
                                           operand[1][p[shape_parts[d][1]]], *z);
                            }
        for (int i = 0; i < elements(s[2]); i++) to[i] = b ? to[i] + block_sum[i] : block_sum[i];
    }
}

/* ---- every kernel */

static const char *const shape_formats[] = {
    "2,1:nc:2,0", "2,1:none",   "2,1:nc:3,1", "2,4:c:2,0", "0,7:n:1,1",
    "3,4:nc:3,1", "0,7:nc:2,0", "2,1:nc:1,1", "4,3:none",  "0,9:c:2,1",
};

typedef struct job {
    mls_conv conv;
    int d;
    mls_shape shape[3];
    float *x[2], *truth, *out;
    void *memory[2];
    mls_tensor t[2];
    size_t bytes;
} job;

static void job_open(job *j, const mls_conv *c, int d, mls_format f, mls_format g, uint64_t *rng)
{
    const mls_format format[2] = {f, g};
    const int extreme = t_below(rng, 6) == 0;
    j->conv = *c, j->d = d;
    operand_shapes(c, d, j->shape);
    j->bytes = (size_t)elements(j->shape[2]) * sizeof(float);
    j->truth = (float *)t_alloc(j->bytes), j->out = (float *)t_alloc(j->bytes);
    for (int i = 0; i < 2; i++) {
        size_t size = mls_tensor_size(format[i], j->shape[i]);
        j->x[i] = (float *)t_alloc((size_t)elements(j->shape[i]) * sizeof(float));
        fill_operand(j->x[i], j->shape[i], extreme, rng);
        j->memory[i] = t_alloc(size);
        T_EQ_INT(mls_tensor_init(&j->t[i], format[i], j->shape[i], j->memory[i], size), MLS_OK);
        T_EQ_INT(mls_quantize(&j->t[i], j->x[i], t_random(rng)), MLS_OK);
    }
}

static void job_close(job *j)
{
    for (int i = 0; i < 2; i++) t_free(j->x[i]), t_free(j->memory[i]);
    t_free(j->truth), t_free(j->out);
}

/* The workspace ends at an inaccessible page, as the output does. */
static void check(job *j, int fp32)
{
    mls_format none;
    memset(&none, 0, sizeof none);
    for (int kernel = 0; kernel < mls_kernel_count(); kernel++)
        for (int many = 1; many <= 3; many += 2) {
            size_t size;
            void *work;
            mls_status status;
            T_EQ_INT(mls_kernel_use(mls_kernel_name(kernel)), MLS_OK);
            threads(many);
            size = mls_conv_workspace(&j->conv, fp32 ? none : j->t[0].format,
                                      fp32 ? none : j->t[1].format);
            T_REQUIRE(size > 0);
            work = t_alloc(size);
            memset(j->out, 0xa5, j->bytes);
            status = fp32 ? convolve_shape_fp32(&j->conv, j->d, j->x, j->out, work, size)
                          : convolve_shape(&j->conv, j->d, j->t, j->out, work, size);
            T_EQ_INT(status, MLS_OK);
            T_EQ_MEM(j->out, j->truth, j->bytes);
            if (t_state.failures)
                printf("  (kernel %s, %d threads)", mls_kernel_name(kernel), many);
            t_free(work);
        }
    T_EQ_INT(mls_kernel_use("auto"), MLS_OK);
}

/* Through operands, which hold 8 or 16 bits; more than 32-bit sums of 8 bits are refused. */
static void check_prepared_shape(job *j)
{
    static const mls_role roles[3][2] = {
        {MLS_WEIGHT, MLS_ACTIVATION}, {MLS_WEIGHT, MLS_ERROR}, {MLS_ERROR, MLS_ACTIVATION}};
    const int32_t bits[2] = {mls_operand_bits(j->t[0].format), mls_operand_bits(j->t[1].format)};
    const int32_t most = bits[0] > bits[1] ? bits[0] : bits[1];
    if (!bits[0] || !bits[1]) return;
    for (int kernel = 0; kernel < mls_kernel_count(); kernel++) {
        mls_operand o[2];
        void *memory[2], *work;
        size_t size;
        mls_status status;
        T_EQ_INT(mls_kernel_use(mls_kernel_name(kernel)), MLS_OK);
        threads(1 + kernel % 2 * 2);
        for (int i = 0; i < 2; i++) {
            const mls_role role = roles[j->d][i];
            const mls_format f = j->t[i].format;
            size = mls_operand_size(&j->conv, role, f, most);
            T_REQUIRE(size > 0);
            memory[i] = t_alloc(size);
            T_EQ_INT(mls_operand_init(&o[i], &j->conv, role, f, most, memory[i], size), MLS_OK);
            T_EQ_INT(mls_operand_load(&o[i], &j->t[i]), MLS_OK);
        }
        size = mls_conv_workspace(&j->conv, j->t[0].format, j->t[1].format);
        work = t_alloc(size);
        memset(j->out, 0xa5, j->bytes);
        status = mls_conv_prepared(&j->conv, (mls_direction)j->d, &o[0], &o[1], j->out, work, size);
        T_CHECK(status == MLS_OK || (status == MLS_ERROR_RANGE && most == 8));
        if (status == MLS_OK) T_EQ_MEM(j->out, j->truth, j->bytes);
        if (t_state.failures) printf("  (prepared, kernel %s)", mls_kernel_name(kernel));
        t_free(work), t_free(memory[0]), t_free(memory[1]);
    }
    T_EQ_INT(mls_kernel_use("auto"), MLS_OK);
}

/* With weights that stay packed, of which there is at most one row for whatever the images hold; also
   under another kernel than theirs. */
static int check_kept(job *j, int fp32)
{
    const mls_direction d = (mls_direction)j->d;
    int count = 0;
    mls_format f[2];
    memset(f, 0, sizeof f);
    for (int i = 0; i < 2 && !fp32; i++) f[i] = j->t[i].format;
    for (int kernel = 0; kernel < 2 * mls_kernel_count(); kernel++) {
        const size_t keep = mls_conv_keep_size(&j->conv, d, f[0], f[1]);
        const size_t size = mls_conv_call_size(&j->conv, d, f[0], f[1], 1);
        const size_t image = j->bytes / sizeof(float) / (size_t)j->conv.in.n;
        void *memory, *work;
        mls_source source[2];
        mls_sink sink;
        mls_conv_call *kept = NULL, *call;
        T_EQ_INT(mls_kernel_use(mls_kernel_name(kernel / 2)), MLS_OK);
        if (d == MLS_BACKWARD_WEIGHT) T_EQ_INT(keep, 0);
        if (!keep) continue;
        memset(source, 0, sizeof source), memset(&sink, 0, sizeof sink);
        for (int i = 0; i < 2; i++) {
            if (fp32) source[i].fp32 = j->x[i];
            if (!fp32) source[i].tensor = &j->t[i];
        }
        memory = t_alloc(keep), work = t_alloc(size);
        T_EQ_INT(mls_conv_keep(&kept, &j->conv, d, &source[0], f[1], memory, keep), MLS_OK);
        count += kept != NULL;
        source[0].kept = kept;
        if (kernel % 2) mls_kernel_use(mls_kernel_name(0));
        memset(j->out, 0xa5, j->bytes);
        for (int twice = 0; twice < 2; twice++) {
            T_EQ_INT(
                mls_conv_begin(&call, &j->conv, d, &source[0], &source[1], &sink, 1, work, size),
                MLS_OK);
            for (int n = twice; n < j->conv.in.n; n += 2) {
                mls_conv_image(call, n, 0, j->out + (size_t)n * image);
            }
            mls_conv_leave(call, 0);
            mls_conv_end(call);
        }
        T_EQ_MEM(j->out, j->truth, j->bytes);
        if (t_state.failures) printf("  (kept, kernel %s)", mls_kernel_name(kernel / 2));
        t_free(memory), t_free(work);
    }
    T_EQ_INT(mls_kernel_use("auto"), MLS_OK);
    return count;
}

static void run(int count, int depthwise, uint64_t seed)
{
    enum {
        FORMATS = sizeof shape_formats / sizeof shape_formats[0]
    };
    int kept = 0;
    for (int i = 0; i < cases(count) && !t_state.failures; i++) {
        uint64_t rng = seed + (uint64_t)i;
        const mls_conv c = any_conv(&rng, depthwise);
        const char *text = shape_formats[t_below(&rng, FORMATS)];
        mls_format f = {0}, g = {0};
        job j;
        T_REQUIRE(mls_format_parse(&f, text) == MLS_OK);
        T_REQUIRE(
            mls_format_parse(&g, t_below(&rng, 3) ? text : shape_formats[t_below(&rng, FORMATS)]) ==
            MLS_OK);
        note(&c, i % 3, text);
        job_open(&j, &c, i % 3, f, g, &rng);
        definition(&c, i % 3, j.t, j.truth);
        check(&j, 0);
        check_prepared_shape(&j);
        if (i % 2) kept += check_kept(&j, 0);
        definition_fp32(&c, i % 3, j.x, j.truth);
        check(&j, 1);
        if (i % 6 < 2) T_CHECK(check_kept(&j, 1) > 0);
        job_close(&j);
    }
    T_CHECK(kept > 0);
}

static void all_shapes(void)
{
    run(400, 0, 1);
}

static void depthwise(void)
{
    run(300, 1, 1000000);
}

/* ---- descriptions */

static void outputs_of_shapes(void)
{
    mls_conv c;
    mls_shape z;
    memset(&c, 0, sizeof c);
    c.in.n = 1, c.in.h = 224, c.in.w = 225, c.in.c = 6, c.c_out = 9;
    c.kh = c.kw = 3, c.stride = 2, c.pad_bottom = 1, c.pad_right = 0;
    z = mls_conv_output(&c); /* TensorFlow's SAME of an even side, VALID of an odd one */
    T_EQ_INT(z.h, 112), T_EQ_INT(z.w, 112);
    c.kh = 1, c.stride_h = 1, c.stride_w = 3, c.pad_bottom = 0, c.pad_left = c.pad_right = 1;
    c.groups = 3, c.dilation_w = 2;
    z = mls_conv_output(&c);
    T_EQ_INT(z.h, 224), T_EQ_INT(z.w, (225 + 2 - 5) / 3 + 1), T_EQ_INT(z.c, 9);
    z = mls_conv_weight_shape(&c);
    T_EQ_INT(z.n, 9), T_EQ_INT(z.h, 1), T_EQ_INT(z.w, 3), T_EQ_INT(z.c, 2);
    T_CHECK(mls_conv_wrong(&c) == NULL);
}

/* A description of five fields means what it did. */
static void old_descriptions(void)
{
    const mls_conv old = {{2, 9, 8, 3}, 5, 3, 2, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    const mls_conv same = {{2, 9, 8, 3}, 5, 3, 2, 0, 0, 1, 2, 2, 1, 1, 1, 1, 1, 1};
    const mls_format f = {2, 1, 2, 0, MLS_GROUP_NC, MLS_ROUND_NEAREST, MLS_RANGE_FIT};
    for (int d = 0; d < 3; d++) {
        uint64_t rng = 5;
        job j;
        job_open(&j, &old, d, f, f, &rng);
        definition(&same, d, j.t, j.truth);
        check(&j, 0);
        j.conv = same;
        check(&j, 0);
        job_close(&j);
    }
}

static void bad_descriptions(void)
{
    enum {
        BIG = INT32_MAX
    };
    static const struct {
        mls_conv c;
        const char *text;
    } bad[] = {
        {{{0, 8, 8, 4}, 4, 3, 3, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0}, "its input is empty"},
        {{{1, 8, 8, 4}, 0, 3, 3, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0}, "output channel"},
        {{{1, 8, 8, 4}, 4, 0, 3, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0}, "its window needs"},
        {{{1, 8, 8, 4}, 4, 3, 3, -1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0}, "its stride must"},
        {{{1, 8, 8, 4}, 4, 3, 3, 1, 1, 0, -1, 0, 0, 0, 0, 0, 0, 0}, "its stride must"},
        {{{1, 8, 8, 4}, 4, 3, 3, 1, 1, 0, 0, -1, 0, 0, 0, 0, 0, 0}, "its stride must"},
        {{{1, 8, 8, 4}, 4, 3, 3, BIG, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0}, "its stride is too large"},
        {{{1, 8, 8, 4}, 4, 3, 3, 1, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0}, "its padding must"},
        {{{1, 8, 8, 4}, 4, 3, 3, 1, BIG, 0, 0, 0, 0, 0, 1, 0, 0, 0}, "its padding is too large"},
        {{{1, 8, 8, 4}, 4, 3, 3, 1, 1, -2, 0, 0, 0, 0, 0, 0, 0, 0}, "its groups must"},
        {{{1, 8, 8, 4}, 6, 3, 3, 1, 1, 3, 0, 0, 0, 0, 0, 0, 0, 0}, "divide its input channels"},
        {{{1, 8, 8, 6}, 4, 3, 3, 1, 1, 3, 0, 0, 0, 0, 0, 0, 0, 0}, "divide its output channels"},
        {{{1, 8, 8, 4}, 4, 3, 3, 1, 1, 0, 0, 0, -1, 0, 0, 0, 0, 0}, "its dilation must"},
        {{{1, 8, 8, 4}, 4, 3, 3, 1, 1, 0, 0, 0, 0, -1, 0, 0, 0, 0}, "its dilation must"},
        {{{1, 8, 8, 4}, 4, 3, 3, 1, 1, 0, 0, 0, 0, BIG, 0, 0, 0, 0}, "its dilation is too large"},
        {{{1, 8, 8, 4}, 4, 3, 3, 1, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0}, "its window is larger"},
        {{{1, 8, 8, 4}, 4, 3, 3, 1, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0}, "its window is larger"},
        {{{1, 8, 8, 4}, 4, 3, 3, 1, 1, 0, 0, 0, 0, 0, -1, 0, 0, 0}, "its padding must"},
        {{{1, 8, 8, 4}, 4, 3, 3, 1, 1, 0, 0, 0, 0, 0, 0, -1, 0, 0}, "its padding must"},
        {{{1, 8, 8, 4}, 4, 3, 3, 1, 1, 0, 0, 0, 0, 0, 0, 0, -1, 0}, "its padding must"},
        {{{1, 8, 8, 4}, 4, 3, 3, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, -1}, "its padding must"},
        {{{1, 8, 8, 1}, 1 << 29, 3, 3, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0}, "too many weights"},
        {{{1 << 12, 1 << 24, 1 << 24, 1}, 1, 3, 3, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0},
         "is too large"},
    };
    const mls_format f = {2, 1, 2, 0, MLS_GROUP_NC, MLS_ROUND_NEAREST, MLS_RANGE_FIT};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[200];
        mls_shape z = mls_conv_output(&bad[i].c), w = mls_conv_weight_shape(&bad[i].c);
        const char *wrong = mls_conv_wrong(&bad[i].c);
        t_note("case %d: %s", (int)i, bad[i].text);
        T_CHECK(wrong != NULL && strstr(wrong, bad[i].text) != NULL);
        T_CHECK(z.n == 0 && z.h == 0 && z.w == 0 && z.c == 0 && w.n == 0 && w.c == 0);
        T_EQ_INT(mls_conv_check(&bad[i].c, MLS_FORWARD, f, f, text, sizeof text), MLS_ERROR_SHAPE);
        T_CHECK(strstr(text, bad[i].text) != NULL);
        T_EQ_INT(mls_conv_workspace(&bad[i].c, f, f), 0);
    }
    T_CHECK(mls_conv_wrong(NULL) != NULL);
}

/* The reference takes none of these where 16 bits hold the operands. */
static void methods_of_shapes(void)
{
    static const char *const of[] = {"fp32", "2,1:nc:2,0", "2,1:nc:3,1", "0,7:none"};
    for (int kernel = 0; kernel < mls_kernel_count(); kernel++)
        for (int i = 0; i < 3 * 3; i++) {
            const int d = i % 3, what = i / 3;
            mls_format f = {0};
            char text[200];
            mls_conv c;
            memset(&c, 0, sizeof c), memset(&f, 0, sizeof f), text[0] = 0;
            c.in.n = 2, c.in.h = 9, c.in.w = 8, c.in.c = c.c_out = 32;
            c.kh = c.kw = 3, c.pad = 1, c.pad_right = 2, c.stride_w = 2;
            if (what == 0) c.dilation_h = 2, c.dilation_w = 3;
            if (what == 1) c.groups = 4;
            if (what == 2) c.groups = 32;
            for (int j = 0; j < 4; j++) {
                memset(&f, 0, sizeof f);
                if (j) T_EQ_INT(mls_format_parse(&f, of[j]), MLS_OK);
                T_EQ_INT(mls_kernel_use(mls_kernel_name(kernel)), MLS_OK);
                T_EQ_INT(mls_conv_explain(&c, (mls_direction)d, f, f, text, sizeof text), MLS_OK);
                t_note("%s, direction %d: %s", of[j], d, text);
                if (!kernel && j) continue; /* the scalar kernel is the reference of integers */
                T_CHECK(strstr(text, "reference") == NULL);
                T_CHECK((strstr(text, "depthwise") != NULL) == (what == 2));
                T_CHECK((strstr(text, "group by group") != NULL) == (what == 1));
            }
        }
    T_EQ_INT(mls_kernel_use("auto"), MLS_OK);
}

/* The bounds of sums are those of a group's channels, of the input or of the output. */
static void sums_of_a_group(void)
{
    const mls_format f = {5, 10, 8, 1, MLS_GROUP_NC, MLS_ROUND_NEAREST, MLS_RANGE_FIT};
    mls_conv c;
    memset(&c, 0, sizeof c);
    c.in.n = c.in.h = c.in.w = 1, c.kh = c.kw = 1;
    for (int d = 0; d < 2; d++) {
        char one[200], all[200];
        c.in.c = d ? 1 << 4 : 1 << 20, c.c_out = d ? 1 << 20 : 1 << 4;
        c.groups = 1 << 4;
        mls_conv_check(&c, (mls_direction)d, f, f, one, sizeof one);
        c.groups = 1;
        mls_conv_check(&c, (mls_direction)d, f, f, all, sizeof all);
        T_CHECK(strstr(one, ": 65536 products") != NULL);
        T_CHECK(strstr(all, ": 1048576 products") != NULL);
    }
}

#define SHAPES_TESTS                                                               \
    T_TEST(outputs_of_shapes), T_TEST(old_descriptions), T_TEST(bad_descriptions), \
        T_TEST(sums_of_a_group), T_TEST(methods_of_shapes), T_TEST(all_shapes), T_TEST(depthwise)
