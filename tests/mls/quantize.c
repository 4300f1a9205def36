/* The quantizer has the bits of the oracle and of the vectors of generate.py, in every format, by every
   vector unit, in one piece or in many. */

static void golden_vectors(void)
{
    for (int unit = 0; unit < MLS__UNIT_COUNT; unit++) {
        if (!mls__unit_here(unit)) continue;
        mls__unit_chosen = unit + 1;
        for (size_t i = 0; i < sizeof vector_cases / sizeof vector_cases[0]; i++) {
            const vector_case *v = &vector_cases[i];
            const uint8_t *a = v->format;
            mls_format f = full_format(a[0], a[1], a[2], a[3], a[4], a[5], a[6]);
            mls_shape s = shape_of(v->shape[0], v->shape[1], v->shape[2], v->shape[3]);
            float *x = floats(count_of(s));
            mls_tensor t = tensor_new(f, s);
            t_note("case %d, %s", (int)i, mls__unit_names[unit]);
            memcpy(x, vector_inputs + v->input, count_of(s) * sizeof(float));
            T_EQ_INT(mls_quantize(&t, x, v->seed), v->nonfinite ? MLS_ERROR_NONFINITE : MLS_OK);
            if (!v->nonfinite) {
                T_EQ_INT(to_bits(t.scale), v->scale);
                T_EQ_INT(mls_group_count(f, s), v->groups);
                T_EQ_INT(bytes_of(f, count_of(s)), v->bytes);
                T_EQ_MEM(t.group, vector_groups + v->group, v->groups * sizeof(uint16_t));
                T_EQ_MEM(t.code, vector_codes + v->code, v->bytes);
            }
            tensor_free(&t), t_free(x);
        }
    }
    mls__unit_chosen = 0;
}

/* Every element format with every grouping, rounding and range. */
static void formats_against_oracle(void)
{
    uint64_t rng = 2;
    mls_shape s = shape_of(3, 2, 3, 7);
    float *x = floats(count_of(s));
    for (int ex = 0; ex <= 5; ex++) {
        for (int mx = 0; mx <= 10; mx++) {
            for (int rest = 0; ex + mx > 0 && rest < 24; rest++) {
                mls_format f = random_format(&rng, ex, mx);
                f.grouping = (uint8_t)(rest % 4);
                f.rounding = (uint8_t)(rest / 4 % 3), f.range = (uint8_t)(rest / 12);
                /* all kinds of input where the code fits a byte */
                for (int kind = 0; kind < INPUT_KINDS; kind++) {
                    if (1 + ex + mx > 8 && kind != rest % INPUT_KINDS) continue;
                    fill(x, s, kind, &rng);
                    check_oracle(f, s, x, t_random(&rng));
                }
            }
        }
    }
    t_free(x);
}

/* Every code, every midpoint and their neighbours, with S_t = 1. */
static void rounding_of_every_cell(void)
{
    float *x = floats(4096);
    for (int ex = 0; ex <= 5; ex++) {
        for (int mx = 0; ex + mx <= 9 && mx <= 10; mx++) {
            int codes = 1 << (ex + mx), n = 1;
            if (ex + mx == 0) continue;
            x[0] = (float)element_value(ex, mx, (uint32_t)codes - 1);
            for (int i = 0; i + 1 < codes; i++) {
                float a = (float)element_value(ex, mx, (uint32_t)i);
                float b = (float)element_value(ex, mx, (uint32_t)i + 1), middle = (a + b) / 2;
                x[n++] = a;
                x[n++] = from_bits(to_bits(middle) - 1);
                x[n++] = -middle;
                x[n++] = from_bits(to_bits(middle) + 1);
            }
            for (int rounding = 0; rounding < 3; rounding++) {
                mls_format f = plain(ex, mx);
                f.rounding = (uint8_t)rounding;
                check_oracle(f, shape_of(1, 1, n, 1), x, (uint64_t)n);
            }
        }
    }
    t_free(x);
}

/* Nearest, spelled out for <2,1> with S_t = 1: a third voice beside oracle and golden vectors. */
static void ties_to_even(void)
{
    static const int in[] = {12 * 4, 1, 2, 3, 6, 10, 14, 20, 28, 40, 41, 47, 19, 21};
    static const int out[] = {12, 0, 0, 1, 2, 2, 4, 4, 8, 8, 12, 12, 4, 6};
    float x[14], y[14];
    mls_tensor t = tensor_new(plain(2, 1), shape_of(1, 1, 1, 14));
    for (int i = 0; i < 14; i++) x[i] = (float)in[i] / 64; /* quarters of a step */
    T_EQ_INT(mls_quantize(&t, x, 0), MLS_OK);
    T_EQ_INT(mls_dequantize(&t, y), MLS_OK);
    for (int i = 0; i < 14; i++) T_CHECK(y[i] == (float)out[i] / 16);
    tensor_free(&t);
}

/* Section 8 of docs/FORMAT.md. */
static void documented_example(void)
{
    static const float x[] = {1.5f, 0.5f, -0.4f, 0.07f, 0.625f, -0.2f, 0, -0.01f};
    static const float back[] = {1.5f, 0.5625f, -0.375f, 0.046875f, 0.5f, -0.1875f, 0, 0};
    static const uint8_t nearest[] = {0x77, 0x1b, 0xc4, 0}, stochastic[] = {0x67, 0x1b, 0xc5, 0};
    float y[8];
    mls_format f = full_format(2, 1, 2, 1, MLS_GROUP_C, MLS_ROUND_NEAREST, MLS_RANGE_FIT);
    mls_tensor t = tensor_new(f, shape_of(1, 2, 2, 2));
    T_EQ_INT(mls_quantize(&t, x, 42), MLS_OK);
    T_CHECK(t.scale == 2.0f && t.group[0] == 0 && t.group[1] == 5);
    T_EQ_MEM(t.code, nearest, 4);
    T_EQ_INT(mls_dequantize(&t, y), MLS_OK);
    T_EQ_MEM(y, back, sizeof y);
    t.format.rounding = MLS_ROUND_STOCHASTIC;
    T_EQ_INT(mls_quantize(&t, x, 42), MLS_OK);
    T_EQ_MEM(t.code, stochastic, 4);
    tensor_free(&t);
}

static void units_equal_scalar(void)
{
    uint64_t rng = 3;
    for (int i = 0; i < MLS__UNIT_COUNT; i++) {
        printf("%s%s ", mls__unit_names[i], mls__unit_here(i) ? "" : "(no CPU)");
    }
    if (mls__unit() == 0) T_SKIP("no vector unit in this build or CPU");
    for (int i = 0; i < 4000; i++) {
        int ex = t_below(&rng, 6), mx = ex ? t_below(&rng, 11) : 1 + t_below(&rng, 10);
        int side = i % 2 ? T_FRONT : T_BACK;
        mls_format f = random_format(&rng, ex, mx);
        mls_shape s = random_shape(&rng);
        uint64_t seed = t_random(&rng);
        float *x = (float *)t_alloc_at(count_of(s) * sizeof(float), side);
        mls_status status;
        mls_tensor a = tensor_new(f, s);
        fill(x, s, t_below(&rng, INPUT_KINDS), &rng);
        mls__unit_chosen = 1;
        status = mls_quantize(&a, x, seed); /* huge inputs may be refused */
        for (int unit = 1; unit < MLS__UNIT_COUNT; unit++) {
            if (!mls__unit_here(unit)) continue;
            mls_tensor b = tensor_new(f, s);
            t_note("%s <%d,%d> <%d,%d> %d %d %d, %dx%dx%dx%d", mls__unit_names[unit], f.ex, f.mx,
                   f.eg, f.mg, f.grouping, f.rounding, f.range, s.n, s.h, s.w, s.c);
            mls__unit_chosen = unit + 1;
            T_EQ_INT(mls_quantize(&b, x, seed), status);
            T_EQ_INT(to_bits(b.scale), to_bits(a.scale));
            T_EQ_MEM(b.peak, a.peak, (size_t)s.n * (size_t)s.c * sizeof(float));
            T_EQ_MEM(b.group, a.group, groups_of(f, s) * sizeof(uint16_t));
            T_EQ_MEM(b.code, a.code, bytes_of(f, count_of(s)));
            tensor_free(&b);
        }
        tensor_free(&a), t_free(x);
    }
    mls__unit_chosen = 0;
}

/* Many blocks of the parallel loops, odd ends; and the three stages called piece by piece, as a
   trainer calls them. */
static void large_and_in_pieces(void)
{
    uint64_t rng = 4;
    mls_shape s = shape_of(3, 41, 39, 13);
    size_t count = count_of(s), image = count / 3, middle = count / 2 / 16 * 16;
    float *x = floats(count);
    for (int i = 0; i < 12; i++) {
        static const int element[][2] = {{2, 1}, {2, 4}, {3, 7}, {0, 3}};
        mls_format f = random_format(&rng, element[i % 4][0], element[i % 4][1]);
        mls_tensor a = tensor_new(f, s), b = tensor_new(f, s);
        t_note("<%d,%d> grouping %d rounding %d", f.ex, f.mx, f.grouping, f.rounding);
        fill(x, s, i % INPUT_KINDS, &rng);
        mls__unit_chosen = 1;
        T_EQ_INT(mls_quantize(&a, x, 77), MLS_OK);
        for (int unit = 0; unit < MLS__UNIT_COUNT; unit++) {
            if (!mls__unit_here(unit)) continue;
            mls__unit_chosen = unit + 1;
            memset(b.code, 0, bytes_of(f, count));
            T_EQ_INT(mls_quantize(&b, x, 77), MLS_OK);
            T_EQ_MEM(b.code, a.code, bytes_of(f, count));
            T_EQ_MEM(b.group, a.group, groups_of(f, s) * sizeof(uint16_t));
            memset(b.code, 0, bytes_of(f, count)), memset(b.group, 0xa5, 2 * groups_of(f, s));
            mls__quantize_peaks(&b, x, 2, 3);
            mls__quantize_peaks(&b, x, 0, 2);
            T_EQ_INT(mls__quantize_scales(&b), MLS_OK);
            mls__quantize_codes(&b, x, 77, middle, count);
            mls__quantize_codes(&b, x, 77, 0, image / 16 * 16);
            mls__quantize_codes(&b, x, 77, image / 16 * 16, middle);
            T_EQ_INT(to_bits(b.scale), to_bits(a.scale));
            T_EQ_MEM(b.code, a.code, bytes_of(f, count));
            T_EQ_MEM(b.group, a.group, groups_of(f, s) * sizeof(uint16_t));
        }
        tensor_free(&a), tensor_free(&b);
    }
    mls__unit_chosen = 0;
    t_free(x);
}

/* Products that lie halfway between two floats, and a third number, too small for a double beside
   them, that says to which side. */
static void multiply_add(void)
{
    uint64_t rng = 19;
    for (int i = 0; i < 2000; i++) {
        int e = t_below(&rng, 60) - 30, sign = t_below(&rng, 2) ? 1 : -1;
        float a = 1 + (float)(2 * t_below(&rng, 30) + 1) / 4096.0f;
        float b = (1 + (float)(2 * t_below(&rng, 30) + 1) / 4096.0f) * (float)(sign * two_to(e));
        float c = (float)two_to(e - 56 - t_below(&rng, 30));
        double half = two_to(e - 24);
        t_note("%.9g * %.9g + %.9g", (double)a, (double)b, (double)c);
        T_CHECK(to_bits(mls__fma(a, b, c)) == to_bits((float)((double)a * (double)b + half)));
        T_CHECK(to_bits(mls__fma(a, b, -c)) == to_bits((float)((double)a * (double)b - half)));
        T_CHECK(to_bits(mls__fma(a, b, 0)) == to_bits((float)((double)a * (double)b)));
    }
}

#define QUANTIZE_TESTS                                                                      \
    T_TEST(golden_vectors), T_TEST(formats_against_oracle), T_TEST(rounding_of_every_cell), \
        T_TEST(ties_to_even), T_TEST(documented_example), T_TEST(units_equal_scalar),       \
        T_TEST(large_and_in_pieces), T_TEST(multiply_add)
