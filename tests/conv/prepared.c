/* Prepared operands give the bits of the packed tensors, by every kernel, whole or in parts. */

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

#define PREPARED_TESTS T_TEST(prepared_operands), T_TEST(parts), T_TEST(prepared_refused)
