/* The presets of shiftquant are what docs say, and have the variance that its paper promises. */

/* The sums of each product run over slices that have a scale each, powers of two, and for 4 and 5 bits
   the folded integers have 8. */
static void shiftquant_formats(void)
{
    static const struct {
        const char *text;
        int bits, folded;
    } presets[] = {{"shiftquant-4", 4, 8},
                   {"shiftquant-5", 5, 8},
                   {"shiftquant-6", 6, 16},
                   {"shiftquant-8", 8, 16}};
    static const int grouping[6] = {MLS_GROUP_C, MLS_GROUP_C, MLS_GROUP_C,
                                    MLS_GROUP_N, MLS_GROUP_N, MLS_GROUP_N};
    for (int i = 0; i < 4; i++) {
        const mls_formats formats = formats_of(presets[i].text);
        mls_format f[6];
        six_of(&formats, f);
        t_note("%s", presets[i].text);
        for (int o = 0; o < 6; o++) {
            T_CHECK(f[o].ex == 0 && f[o].eg == 2 && f[o].mg == 0 && f[o].range == MLS_RANGE_FIT);
            T_EQ_INT(mls_format_bits(f[o]), presets[i].bits);
            T_EQ_INT(f[o].grouping, grouping[o]);
            T_EQ_INT(f[o].rounding, o % 3 == 2 ? MLS_ROUND_STOCHASTIC : MLS_ROUND_NEAREST);
            T_EQ_INT(mls_operand_bits(f[o]), presets[i].folded);
        }
    }
}

enum {
    SLICES = 12,
    SLICE = 8,
    DRAWS = 4096
};

/* Errors whose slices have magnitudes of 1, 0.55, 0.55^2 ... */
static void make_slices(float *x, uint64_t rng)
{
    float magnitude = 1;
    for (int i = 0; i < SLICE * SLICES; i++) {
        if (i % SLICES == 0) magnitude = 1;
        x[i] = t_uniform(&rng) * magnitude;
        magnitude *= 0.55f;
    }
}

/* Mean variance of a draw. Checks that it is unbiased within 6 sigma. */
static double variance_of(const char *text, const float *x)
{
    const mls_format f = parsed(text);
    const mls_shape s = {1, 1, SLICE, SLICES};
    double sum[SLICE * SLICES] = {0}, square[SLICE * SLICES] = {0}, all = 0;
    float q[SLICE * SLICES];
    void *memory = t_alloc(mls_tensor_size(f, s));
    mls_tensor t;
    t_note("%s", text);
    T_EQ_INT(mls_tensor_init(&t, f, s, memory, mls_tensor_size(f, s)), MLS_OK);
    for (int draw = 0; draw < DRAWS; draw++) {
        T_EQ_INT(mls_quantize(&t, x, mls_seed(3, (uint64_t)draw)), MLS_OK);
        T_EQ_INT(mls_dequantize(&t, q), MLS_OK);
        for (int i = 0; i < SLICE * SLICES; i++) {
            const double d = (double)q[i] - (double)x[i];
            sum[i] += d, square[i] += d * d;
        }
    }
    for (int i = 0; i < SLICE * SLICES; i++) {
        const double mean = sum[i] / DRAWS, v = square[i] / DRAWS - mean * mean;
        /* 16 bits of chance are short of a draw by 2^-17 of a step, of which fp32 rounds more away */
        T_CHECK(fabs(mean) <= 6 * sqrt(v / DRAWS) + 1e-5);
        all += v / (SLICE * SLICES);
    }
    t_free(memory);
    return all;
}

/* One exact scale for each slice is the limit: a power of two costs at most twice the step, so four times
   the variance; too few of them cost more. */
static void shiftquant_variance(void)
{
    static const char *const texts[] = {"0,3:none:stochastic", "0,3:c:1,0:stochastic",
                                        "0,3:c:2,0:stochastic", "0,3:c:3,0:stochastic",
                                        "0,3:c:4,0:stochastic"};
    float x[SLICE * SLICES], slice[SLICE * SLICES];
    double exact = 0, v[5];
    make_slices(x, 4);
    for (int ch = 0; ch < SLICES; ch++) {
        for (int i = 0; i < SLICE * SLICES; i++) slice[i] = x[i / SLICES * SLICES + ch];
        exact += variance_of("0,3:none:stochastic", slice) / SLICES;
    }
    for (int i = 0; i < 5; i++) v[i] = variance_of(texts[i], x);
    t_note("exact %g, G = 1: %g, 2: %g, 4: %g, 8: %g, 16: %g", exact, v[0], v[1], v[2], v[3], v[4]);
    for (int i = 1; i < 5; i++) T_CHECK(v[i] < 1.001 * v[i - 1]);
    T_CHECK(v[4] < 4 * exact && v[4] > exact);
    for (int i = 0; i < 5; i++) { /* docs/FORMAT.md, section 11 */
        static const double ratios[] = {5.2, 2.7, 1.81, 1.76, 1.76};
        T_CHECK(fabs(v[i] / exact / ratios[i] - 1) < 0.02);
    }
}

#define SHIFTQUANT_TESTS T_TEST(shiftquant_formats), T_TEST(shiftquant_variance)
