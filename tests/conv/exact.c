/* Every kernel has the bits of the reference, and the reference those of the oracle: all small shapes,
   every format and grouping, any number of threads, what the quantizer makes. */

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
        tf = tensor_filled(f, sf, FILL_SPREAD, &rng), tg = tensor_filled(g, sg, FILL_SPREAD, &rng);
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

#define EXACT_TESTS                                                                   \
    T_TEST(default_stride), T_TEST(small_shapes), T_TEST(small_images),               \
        T_TEST(formats_and_groupings), T_TEST(random_formats), T_TEST(larger_shapes), \
        T_TEST(thread_counts), T_TEST(quantized_operands), T_TEST(padding_left_out)
