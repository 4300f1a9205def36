/* What users may rely on whatever the input: values that exist stay, order and signs stay, the top is
   reached and not passed. */

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
        mls_format f = full_format(2, 1, 0, 0, MLS_GROUP_NONE, rounding, MLS_RANGE_PAPER);
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

#define PROPERTIES_TESTS                                                                    \
    T_TEST(fit_meets_top), T_TEST(paper_range_saturates), T_TEST(clipped_stays_in_binade),  \
        T_TEST(representable_values_stay), T_TEST(quantizing_twice), T_TEST(sign_symmetry), \
        T_TEST(nearest_is_monotone)
