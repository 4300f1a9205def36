/* Reading back: the formula of a value, bit for bit, and the measures of what was lost. */

/* fl((q * lsb * (1 + m / 2^mg)) * S_t) * 2^-k, bit for bit, on random tensors. */
static void dequantize_formula(void)
{
    uint64_t rng = 14;
    for (int i = 0; i < 600; i++) {
        int ex = i % 6, mx = ex ? i / 6 % 11 : 1 + i / 6 % 10, half = 1 << (ex + mx), wrong = 0;
        mls_format f = random_format(&rng, ex, mx);
        mls_shape s = shape_of(1 + t_below(&rng, 3), 1 + t_below(&rng, 3), 2, 1 + t_below(&rng, 9));
        size_t count = count_of(s);
        mls_tensor t = tensor_new(f, s);
        float *x = floats(count);
        int k_max = f.eg >= 7 ? 127 : (1 << f.eg) - 1;
        t.scale = (float)((1 + (double)t_uniform(&rng) / 2) * two_to(t_below(&rng, 190) - 64));
        for (size_t g = 0; g < groups_of(f, s); g++) {
            t.group[g] = (uint16_t)t_below(&rng, (k_max + 1) << f.mg);
        }
        memset(t.code, 0, bytes_of(f, count));
        for (size_t j = 0; j < count; j++) {
            mls__code_put(t.code, 1 + ex + mx, j, (uint32_t)t_below(&rng, 2 * half));
        }
        T_EQ_INT(mls_dequantize(&t, x), MLS_OK);
        for (size_t j = 0; j < count; j++) {
            int g = t.group[group_at(f, s, j)], code = (int)mls_tensor_code(&t, j);
            float value = (float)element_value(ex, mx, (uint32_t)(code % half)), product, expected;
            if (code >= half && value > 0) value = -value;
            product = (f.mg && g & 1 ? value * 1.5f : value) * t.scale;
            expected = product * (float)two_to(-(g >> f.mg));
            wrong += to_bits(expected) != to_bits(x[j]);
        }
        t_note("<%d,%d> <%d,%d>", ex, mx, f.eg, f.mg);
        T_EQ_INT(wrong, 0);
        tensor_free(&t), t_free(x);
    }
}

/* log10 bit by bit: squaring doubles a logarithm. */
static double log10_of(double x)
{
    double whole = 0, bit = 1;
    while (x >= 2) x /= 2, whole += 1;
    while (x < 1) x *= 2, whole -= 1;
    for (int i = 0; i < 50; i++) {
        bit /= 2, x *= x;
        if (x >= 2) x /= 2, whole += bit;
    }
    return whole * 0.30102999566398119521;
}

static int close_to(double a, double b)
{
    double d = a < b ? b - a : a - b, size = b < 0 ? -b : b;
    return d <= 1e-6 * size + 1e-12;
}

static void measure_recomputed(void)
{
    uint64_t rng = 15;
    for (int i = 0; i < 400; i++) {
        int ex = i % 6, mx = ex ? i / 6 % 11 : 1 + i / 6 % 10;
        mls_format f = random_format(&rng, ex, mx);
        mls_shape s = shape_of(1 + t_below(&rng, 3), 1 + t_below(&rng, 4), 3, 1 + t_below(&rng, 9));
        size_t count = count_of(s), groups = groups_of(f, s), dead = 0, alive = 0, out = 0,
               gone = 0;
        double relative = 0, signal = 0, noise = 0;
        float *x = floats(count), *y = floats(count), *tops = floats(count);
        mls_tensor t = tensor_new(f, s), top = tensor_new(f, s);
        mls_report r;
        fill(x, s, i % 3 ? INPUT_SPARSE : INPUT_BELL, &rng);
        T_EQ_INT(mls_quantize(&t, x, 3), MLS_OK);
        if (i % 4 == 0) { /* measure against something else, so that clipping shows */
            for (size_t j = 0; j < count; j++) x[j] *= 1 + t_uniform(&rng) / 4;
        }
        T_EQ_INT(mls_dequantize(&t, y), MLS_OK);
        memcpy(top.group, t.group, groups * sizeof(uint16_t));
        top.scale = t.scale;
        for (size_t j = 0; j < count; j++) {
            mls__code_put(top.code, 1 + ex + mx, j, (1u << (ex + mx)) - 1);
        }
        T_EQ_INT(mls_dequantize(&top, tops), MLS_OK);
        for (size_t j = 0; j < count; j++) {
            double a = (double)x[j], d = (double)y[j] - a;
            if (a < 0) a = -a;
            if (d < 0) d = -d;
            if (a > 0) alive++, relative += d / a, gone += !(y[j] < 0 || y[j] > 0);
            out += a > (double)tops[j] * (1 + 1.0 / (1 << 22)); /* as documented */
            signal += a * a, noise += d * d;
        }
        for (size_t g = 0; g < groups; g++) {
            int zero = 1;
            for (size_t j = 0; j < count; j++)
                zero &= group_at(f, s, j) != g || !(x[j] < 0 || x[j] > 0);
            dead += (size_t)zero;
        }
        T_EQ_INT(mls_measure(&t, x, &r), MLS_OK);
        T_CHECK(close_to(r.relative_error, alive ? relative / (double)alive : 0));
        T_CHECK(close_to(r.clipped, (double)out / (double)count));
        T_CHECK(close_to(r.flushed, (double)gone / (double)count));
        T_CHECK(close_to(r.zero_groups, (double)dead / (double)groups));
        if (signal > 0 && noise > 0) T_CHECK(close_to(r.snr_db, 10 * log10_of(signal / noise)));
        if (!(noise > 0)) T_CHECK(r.snr_db > 998 && r.snr_db < 1000);
        tensor_free(&t), tensor_free(&top), t_free(x), t_free(y), t_free(tops);
    }
}

#define DEQUANTIZE_TESTS T_TEST(dequantize_formula), T_TEST(measure_recomputed)
