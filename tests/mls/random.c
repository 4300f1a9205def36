/* The random bits are those of docs/FORMAT.md and good ones, and stochastic rounding is unbiased. Every
   threshold is six sigma, so a sound generator passes and stays passing. */

static void golden_random(void)
{
    for (size_t i = 0; i < sizeof vector_randoms / sizeof vector_randoms[0]; i++) {
        const vector_random *v = &vector_randoms[i];
        T_EQ_INT(mls_random16(v->seed, v->index), v->value);
    }
    for (size_t i = 0; i < sizeof vector_seeds / sizeof vector_seeds[0]; i++) {
        const vector_seed *v = &vector_seeds[i];
        T_CHECK(mls_seed(v->seed, v->part) == v->value);
    }
}

#define DRAWS (1 << 20)

/* Sequences that rounding uses: by index; by seed at one index; by part of one seed. */
static uint32_t draw(int sequence, uint64_t i)
{
    switch (sequence) {
    case 0:
        return mls_random16(1, i);
    case 1:
        return mls_random16(0xfeedfacecafebeefu, i + ((uint64_t)1 << 33) - DRAWS / 2);
    case 2:
        return mls_random16(i, 7);
    case 3:
        return mls_random16(mls_seed(2, i), 0);
    default:
        return mls_random16(mls_seed(mls_seed(3, i / 64), i % 64), 12345);
    }
}

static void random_bits_and_cells(void)
{
    static uint32_t cells[1 << 16];
    for (int sequence = 0; sequence < 5; sequence++) {
        int64_t ones[16] = {0};
        double chi = 0, expected = DRAWS / 65536.0;
        memset(cells, 0, sizeof cells);
        for (uint64_t i = 0; i < DRAWS; i++) {
            uint32_t u = draw(sequence, i);
            T_REQUIRE(u < 65536);
            cells[u]++;
            for (int b = 0; b < 16; b++) ones[b] += u >> b & 1;
        }
        t_note("sequence %d", sequence);
        for (int b = 0; b < 16; b++) {
            double d = (double)ones[b] - DRAWS / 2;
            T_CHECK(d * d < 36.0 * DRAWS / 4);
        }
        for (int i = 0; i < 65536; i++) {
            double d = (double)cells[i] - expected;
            chi += d * d / expected;
        }
        chi -= 65535; /* mean; the variance is twice that */
        T_CHECK(chi * chi < 36.0 * 2 * 65535);
    }
}

/* Correlation of two draws far and near, in one sequence and between neighbouring seeds. */
static void random_independence(void)
{
    static const uint64_t lags[] = {1, 2, 3, 4, 8, 15, 16, 64, 1024, 1 << 14};
    const double variance = (65536.0 * 65536.0 - 1) / 12;
    for (int sequence = 0; sequence < 5; sequence++) {
        for (size_t j = 0; j < sizeof lags / sizeof lags[0]; j++) {
            double sum = 0;
            for (uint64_t i = 0; i < DRAWS / 8; i++) {
                double a = draw(sequence, i), b = draw(sequence, i + lags[j]);
                sum += (a - 32767.5) * (b - 32767.5);
            }
            sum /= variance;
            t_note("sequence %d, lag %d", sequence, (int)lags[j]);
            T_CHECK(sum * sum < 36.0 * (DRAWS / 8));
        }
    }
    /* the upper and the lower halves of pairs, as 256 cells: next element, next seed, next part */
    for (int kind = 0; kind < 6; kind++) {
        static uint32_t cells[256];
        double chi = 0, expected = DRAWS / 8 / 256.0;
        memset(cells, 0, sizeof cells);
        for (uint64_t i = 0; i < DRAWS / 8; i++) {
            uint32_t a = mls_random16(99, i), b = mls_random16(99, i ^ 1);
            if (kind % 3 == 1) b = mls_random16(100, i);
            if (kind % 3 == 2) b = mls_random16(mls_seed(99, 1), i);
            cells[kind < 3 ? (a >> 12) << 4 | b >> 12 : (a & 15) << 4 | (b & 15)]++;
        }
        for (int i = 0; i < 256; i++) {
            double d = (double)cells[i] - expected;
            chi += d * d / expected;
        }
        t_note("pairs %d", kind);
        /* i and i ^ 1 give each pair twice: up to twice the variance of the counts */
        chi -= kind % 3 ? 255 : 510;
        T_CHECK(chi * chi < 36.0 * 2 * 255 * (kind % 3 ? 1 : 4));
    }
}

/* One bit of seed or index changes half of the result's bits, seen over many. */
static void random_avalanche(void)
{
    for (int bit = 0; bit < 128; bit++) {
        int64_t changed = 0;
        double d;
        for (uint64_t i = 0; i < 4096; i++) {
            uint64_t seed = mls_seed(4, i), index = i * 2654435761u;
            uint64_t seed2 = bit < 64 ? seed ^ (uint64_t)1 << bit : seed;
            uint64_t index2 = bit < 64 ? index : index ^ (uint64_t)1 << (bit - 64);
            uint32_t x = mls_random16(seed, index) ^ mls_random16(seed2, index2);
            for (; x; x &= x - 1) changed++;
        }
        d = (double)changed - 4096 * 8;
        t_note("bit %d", bit);
        T_CHECK(d * d < 36.0 * 4096 * 16 / 4);
    }
}

static void stochastic_is_unbiased(void)
{
    static const int element[][2] = {{2, 1}, {0, 3}, {1, 2},  {2, 4},
                                     {3, 0}, {4, 3}, {0, 10}, {5, 10}};
    const int count = 1 << 14;
    float *x = floats((size_t)count), *y = floats((size_t)count);
    uint64_t rng = 16;
    for (int i = 0; i < 8; i++) {
        mls_format f = plain(element[i][0], element[i][1]);
        mls_tensor t;
        f.rounding = MLS_ROUND_STOCHASTIC;
        t = tensor_new(f, shape_of(1, 128, 128, 1));
        oracle_table(f);
        for (int j = 0; j < 24; j++) {
            /* one value many times, in a cell chosen over all the codes, a quarter at the bottom */
            int cell = t_below(&rng, j % 4 ? oracle_codes - 1 : 1);
            double lsb = oracle_lsb(f), lo = oracle_grid[cell] * lsb;
            double hi = oracle_grid[cell + 1] * lsb, sum = 0, variance, step = hi - lo;
            float v = (float)(lo + (hi - lo) * (0.5 + 0.5 * (double)t_uniform(&rng)));
            int outside = 0;
            x[0] = (float)(oracle_grid[oracle_codes - 1] * lsb); /* S_t = 1 */
            for (int k = 1; k < count; k++) x[k] = v;
            T_EQ_INT(mls_quantize(&t, x, (uint64_t)(100 * i + j)), MLS_OK);
            T_EQ_INT(mls_dequantize(&t, y), MLS_OK);
            for (int k = 1; k < count; k++) {
                outside += (double)y[k] != lo && (double)y[k] != hi;
                sum += (double)y[k] - (double)v;
            }
            t_note("<%d,%d> cell %d", f.ex, f.mx, cell);
            T_EQ_INT(outside, 0);
            /* 16 bits of randomness: the share is exact to 2^-16 */
            sum = (sum < 0 ? -sum : sum) - count * step / 65536;
            variance = (hi - (double)v) * ((double)v - lo) * count;
            T_CHECK(sum < 0 || sum * sum < 36 * variance);
        }
        tensor_free(&t);
    }
    t_free(x), t_free(y);
}

/* The sum of a whole tensor with groups, S_g of both kinds and an odd scale. */
static void stochastic_sum_is_unbiased(void)
{
    mls_shape s = shape_of(4, 32, 32, 8);
    size_t count = count_of(s);
    float *x = floats(count), *y = floats(count);
    uint64_t rng = 17;
    for (int i = 0; i < 12; i++) {
        static const int element[][2] = {{2, 1}, {2, 4}, {0, 3}, {3, 2}};
        mls_format f = full_format(element[i % 4][0], element[i % 4][1], 4, 1, i % 3 + 1,
                                   MLS_ROUND_STOCHASTIC, MLS_RANGE_FIT);
        mls_tensor t = tensor_new(f, s);
        double sum = 0, bound = 0, lsb = oracle_lsb(f);
        oracle_table(f);
        fill(x, s, INPUT_BELL, &rng);
        T_EQ_INT(mls_quantize(&t, x, (uint64_t)i), MLS_OK);
        T_EQ_INT(mls_dequantize(&t, y), MLS_OK);
        for (size_t j = 0; j < count; j++) {
            int g = t.group[group_at(f, s, j)];
            double unit = (g & 1 ? 1.5 : 1) * two_to(-(g >> 1)) * (double)t.scale * lsb;
            double v = (x[j] < 0 ? -(double)x[j] : (double)x[j]) / unit;
            int hi = 1;
            while (hi < oracle_codes - 1 && oracle_grid[hi] < v) hi++;
            sum += (double)y[j] - (double)x[j];
            if (v < oracle_grid[hi]) {
                bound += (oracle_grid[hi] - v) * (v - oracle_grid[hi - 1]) * unit * unit;
            }
        }
        t_note("<%d,%d>", f.ex, f.mx);
        T_CHECK(sum * sum < 36 * bound);
        tensor_free(&t);
    }
    t_free(x), t_free(y);
}

#define RANDOM_TESTS                                                                   \
    T_TEST(golden_random), T_TEST(random_bits_and_cells), T_TEST(random_independence), \
        T_TEST(random_avalanche), T_TEST(stochastic_is_unbiased),                      \
        T_TEST(stochastic_sum_is_unbiased)
