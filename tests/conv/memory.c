/* A convolution needs the workspace that it says, at any address, and touches nothing else. */

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
            tf = tensor_filled(f, sf, FILL_SPREAD, &rng),
            tg = tensor_filled(g, sg, FILL_SPREAD, &rng);
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

#define MEMORY_TESTS T_TEST(workspace_sizes), T_TEST(workspace_limits)
