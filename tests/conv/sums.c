/* Sums are exact however long they are and however far apart their groups: none overflows, none is
   rounded twice, and what does not fit 128 bits is refused. */

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
            t[j] = tensor_filled(f, s[j], kinds[j ? i / 2 % 4 : t_below(&rng, 4)], &rng);
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
            t[j] = tensor_filled(f, s[j], FILL_RANDOM, &rng);
            t[j].scale *= (float)two_to(exponents[i / 21][j] + 4);
        }
        note_case(&c, d, f, f, exponents[i / 21][0], exponents[i / 21][1]);
        check_tensors(&c, d, &t[0], &t[1], 0);
        tensor_free(&t[0]), tensor_free(&t[1]);
    }
}

#define SUMS_TESTS                                                                    \
    T_TEST(long_sums), T_TEST(sums_of_pairs), T_TEST(two_planes), T_TEST(full_range), \
        T_TEST(widest_sums), T_TEST(extreme_scales)
