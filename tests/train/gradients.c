/* The gradient of every layer is the slope of the loss that finite differences find, alone and in
   random graphs; pools and losses are those of their definitions. */

/* Always of the same step, in which the same elements are dropped. */
static double loss_now(rig *r, int batch)
{
    mls_result result = {0, 0, 0};
    mls_status status;
    r->net.step = 3;
    status = mls_net_gradient(&r->net, some_images, wanted(r), batch, &result);
    T_EQ_INT(status, MLS_OK);
    return result.loss;
}

/* The slope to the left and to the right of *w, from near: two kinks, one on each side, may look like a
   bend from afar, and with a kink right here any slope between is a gradient. One that is wrong is still
   so. Returns how far the exact one is from both. */
static double slope_error(rig *r, float *w, int batch, double loss, double exact)
{
    const float keep = *w, h = 0.0005f;
    double left, right, error;
    *w = keep - h, left = (loss - loss_now(r, batch)) / (double)h;
    *w = keep + h, right = (loss_now(r, batch) - loss) / (double)h;
    *w = keep;
    error = fabs((left + right) / 2 - exact) - fabs(right - left) / 2;
    return error > 0 ? error : 0;
}

/* Central differences of the loss at some of the numbers of each node. The second difference is of
   order h where the loss is smooth, and of order 1 where there is a kink between: such a place does
   not count, but most places must. */
static void check_gradients(const char *text, int samples, uint64_t seed)
{
    enum {
        BATCH = 3
    };
    static float gradient[1 << 14];
    mls_net_desc desc = desc_fp32(BATCH);
    uint64_t rng = seed;
    size_t count;
    int checked = 0, skipped = 0;
    double loss;
    rig r;
    t_note("%.200s", text);
    desc.seed = seed;
    if (!rig_make(&r, &desc, text)) return;
    make_images(BATCH, mls__image(r.nodes[0].shape), r.nodes[r.net.count - 1].shape.c, seed);
    for (int i = 0; i < r.net.count; i++) { /* no number at its special first value */
        for (int second = 0; second < 2; second++) {
            float *w = mls_net_weights(&r.net, i, second, &count);
            int conv = mls__convolves(&r.nodes[i]);
            for (size_t j = 0; w && j < count; j++) {
                w[j] = w[j] * (conv ? 1.3f : 1) + 0.3f * t_uniform(&rng) * (second || !conv);
            }
        }
    }
    loss = loss_now(&r, BATCH);
    count = 0;
    for (int i = 0; i < r.net.count; i++) {
        for (int second = 0; second < 2; second++) {
            size_t n;
            const float *g = mls_net_gradients(&r.net, i, second, &n);
            if (!g) continue;
            T_REQUIRE(count + n <= sizeof gradient / sizeof gradient[0]);
            memcpy(gradient + count, g, n * sizeof(float));
            count += n;
        }
    }
    count = 0;
    for (int i = 0; i < r.net.count; i++) {
        for (int second = 0; second < 2; second++) {
            size_t n;
            float *w = mls_net_weights(&r.net, i, second, &n);
            const float *g = gradient + count;
            double most = 0;
            if (!w || !mls_net_gradients(&r.net, i, second, NULL)) continue;
            count += n;
            for (size_t j = 0; j < n; j++) {
                if (fabs((double)g[j]) > most) most = fabs((double)g[j]);
            }
            most /= (double)BATCH;
            for (int k = 0; k < samples && k < (int)n; k++) {
                size_t j = n <= (size_t)samples ? (size_t)k : (size_t)t_below(&rng, (int)n);
                float keep = w[j];
                double central[2], bend[2], exact = (double)g[j] / (double)BATCH,
                                            scale = fabs(exact);
                if (scale < 0.2 * most) scale = 0.2 * most;
                for (int half = 0; half < 2; half++) {
                    double h = half ? 0.004 : 0.008, up, down;
                    w[j] = keep + (float)h, up = loss_now(&r, BATCH);
                    w[j] = keep - (float)h, down = loss_now(&r, BATCH);
                    w[j] = keep;
                    central[half] = (up - down) / (2 * h);
                    bend[half] = (up + down - 2 * loss) / h;
                }
                if (fabs(central[0] - central[1]) > 0.005 * scale + 4e-4 ||
                    fabs(bend[0] - 2 * bend[1]) > 0.01 * scale + 8e-4) {
                    skipped++;
                    continue;
                }
                checked++;
                if (fabs(central[1] - exact) > 0.015 * scale + 8e-4 &&
                    slope_error(&r, &w[j], BATCH, loss, exact) > 0.015 * scale + 8e-4) {
                    t_fail(__FILE__, __LINE__, "node %d, %s %lu: %g, not %g", i,
                           second ? "second" : "weight", (unsigned long)j, exact, central[1]);
                }
            }
        }
    }
    T_CHECK(skipped <= checked);
    rig_free(&r);
}

/* Every layer behind a convolution or linear layer, whose gradient proves the layer's own. */
static void gradients_of_layers(void)
{
    static const char *const nets[] = {
        "i5 4 2|c0 3 3 1 1 1|l1 4|z2",                          /* conv with bias */
        "i6 5 3|c0 4 3 2 1|c1 3 3 1 1 1|l2 4|z3",               /* its input gradient */
        "i7 7 2|c0 3 3 1 1 1|c1 4 5 2 2 1|l2 4|z3",             /* 5 x 5, stride 2 */
        "i5 5 2|c0 5 1 1 0 1|c1 3 1 2 0 1|c2 2 2 1 0|l3 3|z4",  /* 1 x 1, 2 x 2 */
        "i7 5 2|c0 3 3 3 2 1|c1 17 3 1 1 1|c2 3 3 1 0|l3 3|z4", /* stride 3, many channels */
        "i4 4 2|c0 3 3 1 1|n1|l2 4|z3",                         /* batch norm */
        "i4 4 2|c0 5 3 1 1|n1|c2 3 3 1 1|n3|c4 3 1 1|n5|l6 3|z7",
        "i4 4 3|c0 18 3 1 1|n1|l2 3|z3",
        "i5 5 2|c0 4 3 1 1 1|r1|l2 4|z3", /* relu */
        "i5 5 2|c0 4 3 1 1|n1|r2|c3 5 3 1 1|r4|l5 3|z6",
        "i5 5 2|c0 4 3 1 1 1|a1 1|l2 4|z3", /* the same input twice */
        "i5 5 2|c0 4 3 1 1 1|r1|a2 2|n3|l4 4|z5",
        "i5 5 2|c0 4 3 1 1 1|c1 4 3 1 1|a1 2|a2 3|a4 1|l5 4|z6", /* several consumers */
        "i5 5 2|c0 4 3 1 1 1|r1|c1 4 3 1 1|a2 3|r4|a5 1|a6 2|l7 4|z8",
        "i6 6 2|c0 4 3 1 1 1|m1 2 2|l2 4|z3", /* pools */
        "i6 7 2|c0 4 3 1 1 1|m1 3 2 1|c2 3 3 1 1|m3 2 1|l4 3|z5",
        "i6 6 2|c0 4 3 1 1 1|v1 2 2|l2 4|z3",
        "i6 7 2|c0 4 3 1 1 1|v1 3 2 1|c2 3 3 1 1|v3 3 1 2|l4 3|z5",
        "i6 5 2|c0 4 3 1 1 1|g1|l2 4|z3",
        "i6 5 2|c0 4 3 1 1|n1|g2|l3 5|l4 4|z5",          /* linear behind linear */
        "i6 5 2|c0 4 3 1 1 1|s1 2 9|c2 3 3 1 1|l3 4|z4", /* option A */
        "i6 6 2|c0 4 3 1 1|n1|r2|c3 6 3 2 1|n4|s3 2 6|a5 6|r7|g8|l9 4|z10",
        "i6 6 2|c0 4 3 1 1|n1|r2|c3 6 3 2 1|n4|c3 6 1 2|n6|a5 7|r8|g9|l10 4|z11",
        "i4 4 2|c0 4 3 1 1|n1|a2 1|r3|a4 2|r5|n6|a7 5|l8 3|z9",
        "i1 1 6|l0 5|r1|l2 5|a3 1|l4 2|z5",
        "i4 4 2|c0 3 3 1 1|n1|l2 4|z3|w1 0", /* frozen norms, layers and what is below them */
        "i5 5 2|c0 4 3 1 1|n1|r2|c3 5 3 1 1|n4|r5|l6 3|z7|w4 0|w3 0",
        "i4 4 2|c0 4 3 1 1|n1|c2 4 3 1 1|a3 2|p4|l5 3|z6|w0 0|w1 0|w5 0",
        "i3 3 4|n0|l1 3|z2", /* batch norm and add on the input itself */
        "i3 3 4|a0 0|r1|a2 0|c3 4 3 1 1|a4 0|m5 3 1 1|l6 3|z7",
        "i2 2 3|c0 2 2|z1", /* a convolution as the last layer */
        "i5 4 2|c0 3 3 1 1 1|c1 5 1 1 0 1|k1 2|c3 3 3 1 1|l4 4|z5", /* concat */
        "i5 4 2|k0 0|c1 3 3 1 1 1|k2 2|r3|k4 0|m5 2 2|k6 6|v7 2 1|l8 4|z9",
        "i5 4 2|c0 3 3 1 1 1|n1|p2|c3 3 3 1 1|p4|l5 4|z6", /* rows of our own */
        "i5 4 2|c0 3 3 1 1 1|o1|r2|c3 3 3 1 1|o4|f5|a6 4|l7 4|z8",
        "i5 4 2|c0 4 3 1 1 1|f1|r2|f3|c4 4 3 1 1|f4|f6|a5 7|f8|o9|l10 4|z11",
        "i5 4 2|c0 4 3 1 1 1|x1 1|o2|x3 1|x4 3|k5 5|x6 6|l7 4|z8",
        "i5 4 2|c0 4 3 1 1 1|c1 4 3 1 1|x1 2|x2 3|a4 3|a3 5|l6 4|e7", /* both added up */
        "i5 4 2|p0|x0 1|l2 3|e3",
        "i6 5 2|c0 4 3 1 1 1|d1 4 3 3 1 1 1 1 4 1 1 1 1|r2|l3 4|z4", /* depthwise */
        "i6 7 2|c0 4 3 1 1 1|d1 8 3 3 2 2 1 1 4 0 0 1 1|l2 4|z3",    /* SAME, two of each */
        "i6 7 2|c0 6 3 1 1 1|d1 4 3 2 1 1 1 1 2 1 0 1 1|n2|l3 4|z4", /* groups */
        "i6 9 2|c0 3 3 1 1 1|d1 4 3 3 1 2 2 3 1 2 3 1 2|d2 3 1 3 2 1|l3 4|z4",
        "i7 6 2|c0 6 3 1 1 1|d1 9 2 3 3 1 2 1 3 0 1 2 0|r2|l3 4|z4",
        "i5 5 2|c0 4 3 1 1 1|L1 20|l2 4|z3", /* activations, one in the place of another or not */
        "i5 5 2|c0 4 3 1 1|n1|L2 10|c3 5 3 1 1|L4 30|r5|l6 3|z7",
        "i5 5 2|c0 4 3 1 1 1|S1|l2 4|z3",
        "i5 5 2|c0 4 3 1 1 1|G1|l2 4|z3",
        "i5 5 2|c0 4 3 1 1 1|L1 25|S2|G3|L4 50|G5|l6 4|z7",
        "i5 5 2|c0 4 3 1 1|n1|G2|c3 4 3 1 1|a4 3|S5|a6 3|l7 3|z8",
        "i5 5 2|c0 4 3 1 1 1|D1 30|l2 4|z3", /* dropout: before, behind and beside others */
        "i3 3 4|D0 40|l1 3|z2",
        "i5 5 2|c0 4 3 1 1|n1|D2 50|G3|D4 25|a5 2|S6|D7 10|l8 3|z9",
        "i5 5 2|c0 4 3 1 1|n1|G2|c3 4 3 1 1|L4 10|D5 50|a6 3|l7 3|z8|w1 0|w0 0",
        "i5 4 2|c0 3 3 1 1 1|r1|l2 4|Z3 20", /* losses */
        "i1 1 6|l0 5|Z1 90",
        "i5 4 2|c0 3 3 1 1 1|S1|l2 4|Q3",
        "i1 1 6|l0 1|Q1",
        /* expand, depthwise, project, add */
        ("i6 6 2|c0 4 1 1 0|n1|r2|c3 12 1 1 0|n4|r5|d6 12 3 3 1 1 1 1 12 1 1 1 1|n7|r8|c9 4 1 1 0|"
         "n10|a3 11|g12|l13 4|z14"),
    };
    for (size_t i = 0; i < sizeof nets / sizeof nets[0]; i++) {
        if (T_SLOW && i % 2) continue;
        check_gradients(nets[i], T_SLOW ? 8 : 20, i + 1);
    }
}

/* Random graphs: whatever the planner shares, hands over or overwrites, gradients stay right. */
static void gradients_of_random_graphs(void)
{
    static const char *const layers[] = {NULL /* an addition */,
                                         NULL,
                                         NULL,
                                         "r%d",
                                         "r%d",
                                         "r%d",
                                         "n%d",
                                         "c%d 4 1 1 0 1",
                                         "v%d 3 1 1",
                                         "s%d 1 4",
                                         "o%d",
                                         "f%d",
                                         NULL /* a concatenation */,
                                         "d%d 4 3 3 1 1 1 1 4 1 1 1 1",
                                         "d%d 4 3 2 1 1 2 1 2 3 1 1 0",
                                         "L%d 30",
                                         "S%d",
                                         "G%d",
                                         "D%d 25"};
    uint64_t rng = 99;
    for (int i = 0; i < (T_SLOW ? 10 : 60); i++) {
        char text[1024];
        int used[40] = {0}, wide[40] = {0}, nodes = 2, more = 4 + t_below(&rng, 14), n, layer;
        n = snprintf(text, sizeof text, "i4 3 2|c0 4 3 1 1 1");
        while (nodes < more) {
            int x = 1 + t_below(&rng, nodes - 1), y = 1 + t_below(&rng, nodes - 1);
            if (t_below(&rng, 3)) x = nodes - 1 - t_below(&rng, nodes < 4 ? 1 : 3);
            while (wide[x]) x--; /* with twice the channels */
            while (wide[y]) y--;
            used[x] = 1;
            n += snprintf(text + n, sizeof text - (size_t)n, "|");
            layer = t_below(&rng, (int)(sizeof layers / sizeof layers[0]));
            if (layers[layer]) {
                n += snprintf(text + n, sizeof text - (size_t)n, layers[layer], x);
            } else if (layer < 3) {
                used[y] = 1;
                n += snprintf(text + n, sizeof text - (size_t)n, "a%d %d", x, y);
            } else {
                used[y] = 1;
                n += snprintf(text + n, sizeof text - (size_t)n, "k%d %d|c%d 4 1 1 0 1", x, y,
                              nodes);
                wide[nodes] = used[nodes] = 1;
                nodes++;
            }
            nodes++;
        }
        for (int x = 1; x < nodes - 1; x++) { /* everything must be used */
            if (used[x]) continue;
            n += snprintf(text + n, sizeof text - (size_t)n, "|a%d %d", x, nodes - 1);
            used[nodes - 1] = used[x] = 1;
            nodes++;
        }
        snprintf(text + n, sizeof text - (size_t)n, "|n%d|l%d 3|z%d", nodes - 1, nodes, nodes + 1);
        check_gradients(text, 4, (uint64_t)i + 100);
    }
}

/* The largest of a window and its place, in every kernel: the first one wins, a NaN always does, and zeros
   are equal. */
static void max_pool_of_windows(void)
{
    enum {
        H = 4,
        W = 5,
        C = 70
    };
    static float x[H * W * C], y[C];
    static const float special[] = {NAN, -NAN, 0.0f, -0.0f, INFINITY, -INFINITY, 1e-45f, -1e-45f};
    uint32_t place[C];
    for (int kernel = 0; kernel < mls_kernel_count(); kernel++) {
        T_EQ_INT(mls_kernel_use(mls_kernel_name(kernel)), MLS_OK);
        for (size_t c = 1; c <= C; c += c < 20 ? 1 : 25) {
            const mls__layers *k = &mls__layer_kernels[mls__unit()];
            for (size_t i = 0; i < H * W * c; i++) {
                const uint32_t r = mls_random16(c, i), rare = c % 2 ? 4 : 40;
                x[i] = r % rare ? (float)(r % 7) - 3 : special[r / rare % 8];
            }
            k->max_pool(x, (W + 1) * c, 3, 3, W * c, c, y, place);
            for (size_t ch = 0; ch < c; ch++) {
                size_t best = (W + 1) * c + ch;
                for (size_t i = 0; i < 9; i++) {
                    const size_t at = ((1 + i / 3) * W + 1 + i % 3) * c + ch;
                    if (x[at] > x[best] || (isnan(x[at]) && !isnan(x[best]))) best = at;
                }
                T_EQ_INT(place[ch], best);
                T_CHECK(!memcmp(&y[ch], &x[best], sizeof y[ch]));
            }
            memset(place, 255, sizeof place);
            k->max_pool(x, c, 2, 1, W * c, c, y, NULL);
            T_CHECK(place[0] == UINT32_MAX);
        }
    }
    mls_kernel_use("auto");
}

/* What gradients cannot tell: that a layer reads the right pixels. Kinds are letters as in build. */
static void pools_recomputed(void)
{
    static const struct {
        char kind;
        int h, w, size, stride, pad; /* subsample: size is its channels */
    } pools[] = {{'m', 5, 7, 3, 2, 1}, {'m', 4, 5, 2, 0, 0}, {'v', 5, 7, 3, 2, 1},
                 {'v', 6, 4, 3, 1, 2}, {'v', 7, 5, 2, 0, 0}, {'s', 5, 7, 7, 2, 0},
                 {'s', 4, 5, 3, 3, 0}, {'s', 6, 6, 6, 2, 0}};
    for (size_t i = 0; i < sizeof pools / sizeof pools[0]; i++) {
        int h = pools[i].h, w = pools[i].w, size = pools[i].size, pad = pools[i].pad;
        int stride = pools[i].stride ? pools[i].stride : size, sub = pools[i].kind == 's';
        int oh = sub ? (h + stride - 1) / stride : (h + 2 * pad - size) / stride + 1;
        int ow = sub ? (w + stride - 1) / stride : (w + 2 * pad - size) / stride + 1;
        int c = sub ? size : 3;
        mls_net_desc desc = desc_fp32(2);
        char text[80];
        const float *y;
        mls_shape s;
        rig r;
        snprintf(text, sizeof text, "i%d %d 3|%c0 %d %d %d|l1 3|z2", h, w, pools[i].kind,
                 sub ? stride : size, sub ? size : pools[i].stride, pad);
        t_note("%s", text);
        if (!rig_make(&r, &desc, text)) return;
        make_images(2, (size_t)(h * w * 3), 3, i);
        T_EQ_INT(mls_net_gradient(&r.net, some_images, some_labels, 2, NULL), MLS_OK);
        s = r.nodes[1].shape;
        T_REQUIRE(s.h == oh && s.w == ow && s.c == c);
        y = mls__value(&r.net, 1, 0); /* kept for the gradient of the linear layer */
        for (int at = 0; at < 2 * oh * ow * c; at++) {
            int n = at / (oh * ow * c), oy = at / (ow * c) % oh, ox = at / c % ow, ch = at % c;
            double most = -9, sum = 0, count = 0;
            if (sub) ch -= (c - 3) / 2; /* zeros on both sides */
            for (int k = 0; k < (sub ? 1 : size * size); k++) {
                int iy = oy * stride + (sub ? 0 : k / size) - pad;
                int ix = ox * stride + (sub ? 0 : k % size) - pad;
                double v;
                if (iy < 0 || iy >= h || ix < 0 || ix >= w || ch < 0 || ch >= 3) continue;
                v = (double)some_images[((n * h + iy) * w + ix) * 3 + ch];
                most = v > most ? v : most, sum += v, count++;
            }
            if (pools[i].kind == 'v') sum /= count;
            if (pools[i].kind == 'm') sum = most;
            T_CHECK(fabs((double)y[at] - sum) < 1e-6);
        }
        if (pools[i].kind == 'm') { /* in the middle of a window: it must not be lost */
            some_images[(w + 1) * 3] = NAN;
            T_EQ_INT(mls_net_evaluate(&r.net, some_images, some_labels, 2, NULL),
                     MLS_ERROR_NONFINITE);
        }
        rig_free(&r);
    }
}

/* The loss, the count of right answers and the logits, in double. */
static void loss_of_logits(void)
{
    mls_net_desc desc = desc_fp32(16);
    mls_result result, again;
    const float *z;
    double loss = 0;
    int right = 0;
    rig r;
    if (!rig_make(&r, &desc, plain_net)) return;
    make_images(16, SMALL_IMAGE, 10, 3);
    for (int i = 0; i < 16 * SMALL_IMAGE; i++) some_images[i] *= 20;
    T_EQ_INT(mls_net_evaluate(&r.net, some_images, some_labels, 16, &result), MLS_OK);
    z = mls_net_logits(&r.net);
    T_REQUIRE(z != NULL);
    for (int n = 0; n < 16; n++) {
        const float *p = z + n * 10;
        double most = -1e30, sum = 0;
        int best = 0;
        for (int i = 0; i < 10; i++) {
            if ((double)p[i] > most) most = (double)p[i], best = i;
        }
        for (int i = 0; i < 10; i++) sum += exp((double)p[i] - most);
        loss += log(sum) - ((double)p[some_labels[n]] - most);
        right += best == some_labels[n];
    }
    T_CHECK(fabs(result.loss - loss / 16) < 1e-5 * (1 + loss / 16));
    T_EQ_INT(result.correct, right);
    T_EQ_INT(result.images, 16);
    T_EQ_INT(mls_net_gradient(&r.net, some_images, some_labels, 16, &again), MLS_OK);
    T_EQ_MEM(&again.loss, &result.loss, sizeof result.loss); /* no batch norm: the same forward */
    T_EQ_INT(again.correct, right);
    T_EQ_INT(mls_net_evaluate(&r.net, some_images, NULL, 16, &again), MLS_OK);
    T_CHECK(again.loss == 0 && again.correct == 0 && again.images == 16);
    rig_free(&r);
}

/* After a training call the logits are still those of its forward pass. */
static void logits_after_training(void)
{
    static const char *const nets[] = {plain_net, small_net, "i8 8 3|c0 4 3 1 1|l1 10|z2",
                                       "i8 8 3|c0 24 3 1 1|r1|m2 2 2|c3 10 4|z4"};
    static float before[160];
    for (int i = 0; i < 4; i++) {
        mls_net_desc desc = i % 2 ? desc_low(16) : desc_fp32(16);
        rig r;
        t_note("%s", nets[i]);
        if (!rig_make(&r, &desc, nets[i])) return;
        T_CHECK(mls_net_logits(&r.net) == NULL);
        make_images(16, SMALL_IMAGE, 10, 3);
        for (int n = 1; i == 3 && n < 16; n++) { /* S_t of the batch is that of an image */
            memcpy(some_images + (size_t)n * SMALL_IMAGE, some_images, sizeof(float) * SMALL_IMAGE);
        }
        if (i == 1) { /* batch norm that does the same in evaluation and training */
            T_EQ_INT(mls_net_gradient(&r.net, some_images, some_labels, 16, NULL), MLS_OK);
            for (int n = 0; n < 16; n++) {
                double sum = 0, most = -1e30;
                const float *z = mls_net_logits(&r.net) + n * 10;
                for (int c = 0; c < 10; c++) most = (double)z[c] > most ? (double)z[c] : most;
                for (int c = 0; c < 10; c++) sum += exp((double)z[c] - most);
                T_CHECK(sum >= 1 && sum <= 10 && most > 0.001 && most < 100);
            }
        } else {
            T_EQ_INT(mls_net_evaluate(&r.net, some_images, some_labels, 16, NULL), MLS_OK);
            memcpy(before, mls_net_logits(&r.net), sizeof before);
            T_EQ_INT(mls_net_gradient(&r.net, some_images, some_labels, 16, NULL), MLS_OK);
            T_EQ_MEM(mls_net_logits(&r.net), before, sizeof before);
        }
        rig_free(&r);
    }
}

#define GRADIENTS_TESTS                                                                        \
    T_TEST(gradients_of_layers), T_TEST(gradients_of_random_graphs), T_TEST(pools_recomputed), \
        T_TEST(max_pool_of_windows), T_TEST(loss_of_logits), T_TEST(logits_after_training)
