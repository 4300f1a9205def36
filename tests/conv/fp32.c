/* The fp32 convolutions are plain chains of fmaf in a fixed order, whatever the kernel. */

/* a * b + c, rounded once. The fmaf of mingw-w64 rounds twice; the header's own is tested by
   multiply_add of mls/quantize.c. */
static float fused(float a, float b, float c)
{
#if defined(__MINGW32__)
    return mls__fma(a, b, c);
#else
    return fmaf(a, b, c);
#endif
}

/* The documented chains: forward over ky, kx, ci; backward-data over ky and kx downwards, co;
   backward-weight over the images of a block, y, x, and then the blocks. */
static void naive_fp32(const mls_conv *c, mls_direction d, const float *f, const float *g,
                       float *to)
{
    mls_shape sf, sg, so, z = output_of(c);
    int s = c->stride ? c->stride : 1, blocks = z.n < 8 ? z.n : 8;
    shapes_of(c, d, &sf, &sg, &so);
    for (int o0 = 0; o0 < so.n; o0++)
        for (int o1 = 0; o1 < so.h; o1++)
            for (int o2 = 0; o2 < so.w; o2++)
                for (int o3 = 0; o3 < so.c; o3++) {
                    float sum = 0, total = 0;
                    if (d == MLS_FORWARD) {
                        for (int ky = 0; ky < c->kh; ky++)
                            for (int kx = 0; kx < c->kw; kx++)
                                for (int ci = 0; ci < c->in.c; ci++) {
                                    int y = o1 * s + ky - c->pad, x = o2 * s + kx - c->pad;
                                    int in = x >= 0 && x < sg.w;
                                    if (y < 0 || y >= sg.h) continue;
                                    sum = fused(in ? g[at4(sg, o0, y, x, ci)] : 0,
                                                f[at4(sf, o3, ky, kx, ci)], sum);
                                }
                        total = sum;
                    } else if (d == MLS_BACKWARD_DATA) {
                        for (int ky = c->kh - 1; ky >= 0; ky--)
                            for (int kx = c->kw - 1; kx >= 0; kx--)
                                for (int co = 0; co < z.c; co++) {
                                    int y = o1 + c->pad - ky, x = o2 + c->pad - kx, in;
                                    if (y % s || x % s || y < 0 || y / s >= sg.h) continue;
                                    y /= s, x /= s;
                                    in = x >= 0 && x < sg.w;
                                    sum = fused(in ? g[at4(sg, o0, y, x, co)] : 0,
                                                f[at4(sf, co, ky, kx, o3)], sum);
                                }
                        total = sum;
                    } else {
                        for (int b = 0; b < blocks; b++) {
                            sum = 0;
                            for (int n = b * z.n / blocks; n < (b + 1) * z.n / blocks; n++)
                                for (int r = 0; r < z.h * z.w; r++) {
                                    int y = r / z.w * s + o1 - c->pad;
                                    int x = r % z.w * s + o2 - c->pad;
                                    int in = x >= 0 && x < sg.w;
                                    if (y < 0 || y >= sg.h) continue;
                                    sum = fused(in ? g[at4(sg, n, y, x, o3)] : 0,
                                                f[at4(sf, n, r / z.w, r % z.w, o0)], sum);
                                }
                            total = b ? total + sum : sum;
                        }
                    }
                    *to++ = total;
                }
}

/* One fp32 convolution under all kernels, against its chains. i varies what is in it. */
static void check_chains(const mls_conv *c, mls_direction d, int i, uint64_t *rng)
{
    mls_shape sf, sg, so;
    size_t bytes, size;
    float *f, *g, *expected;
    mls_format none;
    memset(&none, 0, sizeof none);
    shapes_of(c, d, &sf, &sg, &so);
    bytes = count_of(so) * sizeof(float);
    f = (float *)t_alloc(count_of(sf) * sizeof(float));
    g = (float *)t_alloc(count_of(sg) * sizeof(float));
    fill_fp32(f, count_of(sf), i / 3 % 4, rng), fill_fp32(g, count_of(sg), i / 12 % 4, rng);
    expected = (float *)t_alloc(bytes);
    naive_fp32(c, d, f, g, expected);
    for (int kernel = 0; kernel < mls_kernel_count(); kernel++) {
        float *out = (float *)t_alloc(bytes);
        void *work;
        threads(1 + i % 2 * 3);
        size = mls_conv_workspace(c, none, none);
        work = t_alloc(size);
        use(kernel);
        note_case(c, d, none, none, kernel, i);
        T_EQ_INT(convolve_fp32(c, d, f, g, out, work, size), MLS_OK);
        T_EQ_MEM(out, expected, bytes);
        t_free(work), t_free(out);
    }
    t_free(f), t_free(g), t_free(expected);
}

static void fp32_chains(void)
{
    static const int channels[] = {1, 2, 3, 5, 8, 16, 17, 31, 32, 33};
    uint64_t rng = 14;
    for (int i = 0; i < cases(700); i++) {
        int kh = 1 + t_below(&rng, 3), kw = 1 + t_below(&rng, 3), pad = t_below(&rng, 3);
        int h = 1 + t_below(&rng, 6), w = 1 + t_below(&rng, 6), large = t_below(&rng, 5) == 0;
        mls_conv c;
        mls_direction d = (mls_direction)(i % 3);
        if (i % 11 == 0) kh = kw = 5 + t_below(&rng, 3);
        if (large) h += 8, w += 8;
        while (h + 2 * pad < kh) h++;
        while (w + 2 * pad < kw) w++;
        c = conv_of(shape_of(1 + t_below(&rng, large ? 2 : 18), h, w, channels[t_below(&rng, 10)]),
                    channels[t_below(&rng, 10)], kh, kw, t_below(&rng, 4), pad);
        if (work_of(&c) > (T_SLOW ? 1e5 : 1e6)) continue;
        check_chains(&c, d, i, &rng);
    }
    threads(1);
}

#define FP32_TESTS T_TEST(fp32_chains)
