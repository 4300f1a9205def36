/* Calls that are none are refused with the right error, and nothing is written. */

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
            tf = tensor_filled(f, sf, FILL_RANDOM, &rng),
            tg = tensor_filled(f, sg, FILL_RANDOM, &rng);
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

#define REFUSED_TESTS                                                                   \
    T_TEST(outputs), T_TEST(outputs_bad), T_TEST(check_arguments), T_TEST(wrong_calls), \
        T_TEST(wrong_calls_fp32), T_TEST(group_codes_refused)
