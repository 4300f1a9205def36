/* The quantizer where numbers end: infinities and NaN, the largest floats, zeros, and groups far below
   the largest one. */

/* A NaN or an infinity at any place: an error, and the tensor as it was. */
static void nonfinite_inputs(void)
{
    static const uint32_t evil[] = {0x7f800000u, 0xff800000u, 0x7fc00000u, 0xffc00001u,
                                    0x7f800001u};
    uint64_t rng = 5;
    for (int i = 0; i < 12; i++) {
        mls_format f = random_format(&rng, 2, i % 3 * 3 + 1);
        mls_shape s = shape_of(2, 1, 3, 5 + i);
        size_t count = count_of(s);
        float *x = floats(count);
        mls_tensor t = tensor_new(f, s), before = tensor_new(f, s);
        mls_report report;
        for (int unit = 0; unit < MLS__UNIT_COUNT; unit++) {
            if (!mls__unit_here(unit)) continue;
            mls__unit_chosen = unit + 1;
            fill(x, s, INPUT_BELL, &rng);
            T_EQ_INT(mls_quantize(&t, x, 1), MLS_OK);
            before.scale = t.scale;
            memcpy(before.group, t.group, groups_of(f, s) * sizeof(uint16_t));
            memcpy(before.code, t.code, bytes_of(f, count));
            fill(x, s, INPUT_WIDE, &rng);
            for (size_t j = 0; j < count; j++) {
                float keep = x[j];
                t_note("%s, place %d of %d", mls__unit_names[unit], (int)j, (int)count);
                x[j] = from_bits(evil[(j + (size_t)i) % 5]);
                T_EQ_INT(mls_quantize(&t, x, 1), MLS_ERROR_NONFINITE);
                T_EQ_INT(mls_measure(&t, x, &report), MLS_ERROR_NONFINITE);
                x[j] = keep;
            }
            T_EQ_INT(to_bits(t.scale), to_bits(before.scale));
            T_EQ_MEM(t.group, before.group, groups_of(f, s) * sizeof(uint16_t));
            T_EQ_MEM(t.code, before.code, bytes_of(f, count));
        }
        tensor_free(&t), tensor_free(&before), t_free(x);
    }
    mls__unit_chosen = 0;
}

/* The scale must leave room for 1.5 * S_t: beyond 1.7e38 it is refused, below all is finite. */
static void huge_inputs(void)
{
    const float flt_max = from_bits(0x7f7fffffu), limit = 1.7e38f;
    const float above = from_bits(to_bits(limit) + 1);
    for (int unit = 0; unit < MLS__UNIT_COUNT; unit++) {
        if (!mls__unit_here(unit)) continue;
        mls__unit_chosen = unit + 1;
        for (int ex = 0; ex <= 2; ex++) {
            mls_format f =
                full_format(ex, 1, 3, 1, MLS_GROUP_NC, MLS_ROUND_NEAREST, MLS_RANGE_PAPER);
            mls_shape s = shape_of(1, 1, 2, 9);
            float top = (float)element_value(ex, 1, (1u << (ex + 1)) - 1), x[18], y[18];
            mls_tensor t = tensor_new(f, s);
            for (int i = 0; i < 18; i++) x[i] = limit / (float)(i % 9 + 1);
            T_EQ_INT(mls_quantize(&t, x, 0), MLS_OK);
            T_EQ_INT(mls_dequantize(&t, y), MLS_OK);
            for (int i = 0; i < 18; i++) T_CHECK(y[i] > 0 && y[i] <= flt_max);
            check_oracle(f, s, x, 0);
            mls__unit_chosen = unit + 1;
            x[5] = above;
            T_EQ_INT(mls_quantize(&t, x, 0), MLS_ERROR_NONFINITE);
            x[5] = -flt_max;
            T_EQ_INT(mls_quantize(&t, x, 0), MLS_ERROR_NONFINITE);
            t.format.range = MLS_RANGE_FIT; /* S_t = x / top, and top < 1 */
            T_EQ_INT(mls_quantize(&t, x, 0), MLS_ERROR_NONFINITE);
            x[5] = limit;
            T_EQ_INT(mls_quantize(&t, x, 0), MLS_ERROR_NONFINITE);
            for (int i = 0; i < 18; i++) x[i] = 0.999f * limit * top / (float)(i % 9 + 1);
            T_EQ_INT(mls_quantize(&t, x, 0), MLS_OK);
            T_EQ_INT(mls_dequantize(&t, y), MLS_OK);
            for (int i = 0; i < 18; i++) T_CHECK(y[i] > 0 && y[i] <= flt_max);
            check_oracle(t.format, s, x, 0);
            tensor_free(&t);
        }
    }
    mls__unit_chosen = 0;
}

static void zero_tensors(void)
{
    const float edge = (float)two_to(-64), below = from_bits(to_bits(edge) - 1);
    uint64_t rng = 6;
    for (int unit = 0; unit < MLS__UNIT_COUNT; unit++) {
        if (!mls__unit_here(unit)) continue;
        mls__unit_chosen = unit + 1;
        for (int i = 0; i < 60; i++) {
            mls_format f = random_format(&rng, i % 6, 1 + i % 10);
            mls_shape s = shape_of(2, 3, 1, 7);
            size_t count = count_of(s);
            int k_max = f.eg >= 7 ? 127 : (1 << f.eg) - 1;
            float x[42], y[42];
            mls_tensor t = tensor_new(f, s);
            t_note("%s, input %d", mls__unit_names[unit], i % 3);
            for (size_t j = 0; j < count; j++) {
                x[j] = i % 3 == 0 ? 0.0f : i % 3 == 1 ? -0.0f : j % 2 ? below : -below;
            }
            T_EQ_INT(mls_quantize(&t, x, 9), MLS_OK);
            T_EQ_INT(to_bits(t.scale), 0);
            for (size_t g = 0; g < groups_of(f, s); g++) T_EQ_INT(t.group[g], k_max << f.mg);
            for (size_t j = 0; j < bytes_of(f, count); j++) T_EQ_INT(t.code[j], 0);
            T_EQ_INT(mls_dequantize(&t, y), MLS_OK);
            for (size_t j = 0; j < count; j++) T_EQ_INT(to_bits(y[j]), 0);
            /* the smallest tensor that is not zero; -0 has sign 0; zero groups are at the bottom */
            for (size_t j = 0; j < count; j++) x[j] = -0.0f;
            x[3] = edge;
            T_EQ_INT(mls_quantize(&t, x, 9), MLS_OK);
            T_CHECK(t.scale > 0);
            for (size_t j = 0; j < count; j++) T_CHECK((mls_tensor_code(&t, j) != 0) == (j == 3));
            for (size_t g = 0; g < groups_of(f, s); g++) {
                T_EQ_INT(t.group[g], g == group_at(f, s, 3) ? 0 : k_max << f.mg);
            }
            tensor_free(&t);
        }
    }
    mls__unit_chosen = 0;
}

/* S_g is the smallest of its values that is not below ratio = max of group / max of tensor. */
static void group_scales(void)
{
    enum {
        COUNT = 601
    };
    static float x[COUNT];
    uint64_t rng = 7;
    for (int eg = 0; eg <= 8; eg++) {
        for (int mg = 0; mg <= (eg > 0); mg++) {
            mls_format f = full_format(2, 1, eg, mg, MLS_GROUP_C, MLS_ROUND_NEAREST, MLS_RANGE_FIT);
            int k_max = eg >= 7 ? 127 : (1 << eg) - 1;
            mls_tensor t = tensor_new(f, shape_of(1, 1, 1, COUNT));
            t_note("<%d,%d>", eg, mg);
            x[0] = 1; /* so that a ratio is its input */
            for (int i = 1; i < COUNT; i++) {
                int k = (i - 1) / 6 % 140;
                uint32_t on = to_bits((float)two_to(-k)), half = to_bits((float)(1.5 * two_to(-k)));
                static const int near[] = {-1, 0, 1};
                uint32_t b = (i % 6 < 3 ? on : half) + (uint32_t)near[i % 3];
                x[i] = from_bits(b);
                if (i > 580) x[i] = (float)((double)t_uniform(&rng) * two_to(-t_below(&rng, 10)));
                if (x[i] > 1) x[i] = 1;
            }
            T_EQ_INT(mls_quantize(&t, x, 0), MLS_OK);
            for (int i = 0; i < COUNT; i++) {
                int k = t.group[i] >> mg, m = t.group[i] & mg;
                double ratio = x[i] < 0 ? -(double)x[i] : (double)x[i];
                double value = (m ? 1.5 : 1) * two_to(-k);
                /* the next smaller value, if there is one */
                double less = m ? two_to(-k) : mg ? 1.5 * two_to(-k - 1) : two_to(-k - 1);
                int last = k == k_max && m == 0;
                T_CHECK(k >= 0 && k <= k_max && value >= ratio && value <= 1);
                T_CHECK(last || less < ratio);
            }
            tensor_free(&t);
        }
    }
}

/* A little above a tie, in a group 2^-127 of the tensor: |x| * 2^k comes first, or the little is lost
   in a denormal. */
static void faint_groups(void)
{
    for (int i = 0; i < 12; i++) {
        mls_format f = full_format(0, 3, 7, i % 2, MLS_GROUP_C, i / 2 % 3, MLS_RANGE_FIT);
        float big = (float)two_to(40), x[4] = {0.875f * big, 0, 0.5f * big, 0};
        x[1] = x[3] = (float)((0.5 + two_to(-23)) * two_to(40 - 127 - 3));
        if (i >= 6) x[2] = -x[0], x[3] = -x[1] * 3;
        check_oracle(f, shape_of(1, 1, 2, 2), x, (uint64_t)i);
    }
}

#define EXTREMES_TESTS                                                                         \
    T_TEST(nonfinite_inputs), T_TEST(huge_inputs), T_TEST(zero_tensors), T_TEST(group_scales), \
        T_TEST(faint_groups)
