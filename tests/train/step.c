/* A step: gradients add up over batches, the optimizer is its formula, statistics run as documented,
   and smaller batches, odd images and any seed train. */

/* Correctly rounded, as IEEE 754 wants it. */
static void square_root(void)
{
    static const uint32_t special[] = {0, 1, 2, 3, 0x7fffff, 0x800000, 0x3f800000, 0x7f7fffff};
    uint64_t rng = 1;
    for (int i = 0; i < 100000; i++) {
        uint32_t u = i < 8 ? special[i] : (uint32_t)t_random(&rng) % 0x7f800000u, v, w;
        float x, y, z;
        memcpy(&x, &u, sizeof x);
        y = mls__sqrt(x), z = sqrtf(x);
        memcpy(&v, &y, sizeof v), memcpy(&w, &z, sizeof w);
        t_note("%a", (double)x);
        T_EQ_INT(v, w);
    }
}

/* Parts of a batch, then one update, move the weights as the whole batch does. */
static void accumulation(void)
{
    static const int parts[][4] = {{4, 4, 0, 0}, {5, 3, 0, 0}, {1, 1, 5, 1}, {8, 0, 0, 0}};
    static float whole[8192], sum[8192];
    mls_net_desc desc = desc_fp32(8);
    for (int i = 0; i < 4; i++) {
        rig a, b;
        size_t count;
        int first = 0;
        if (!rig_make(&a, &desc, plain_net) || !rig_make(&b, &desc, plain_net)) return;
        for (int step = 0; step < 3; step++) {
            make_images(8, SMALL_IMAGE, 10, (uint64_t)step);
            T_EQ_INT(mls_net_step(&a.net, some_images, some_labels, 8, &plain_sgd, NULL), MLS_OK);
            first = 0;
            for (int j = 0; j < 4; first += parts[i][j++]) {
                if (!parts[i][j]) continue;
                T_EQ_INT(mls_net_gradient(&b.net, some_images + first * SMALL_IMAGE,
                                          some_labels + first, parts[i][j], NULL),
                         MLS_OK);
            }
            T_EQ_INT(mls_net_update(&b.net, &plain_sgd), MLS_OK);
        }
        count = rig_weights(&a, whole);
        T_EQ_INT(rig_weights(&b, sum), count);
        for (size_t j = 0; j < count; j++) {
            T_CHECK(fabs((double)whole[j] - (double)sum[j]) < 1e-5 + 1e-4 * fabs((double)whole[j]));
        }
        if (parts[i][0] == 8) T_CHECK(mls_net_digest(&a.net) == mls_net_digest(&b.net));
        rig_free(&a), rig_free(&b);
    }
}

/* The gradient is a sum over images, and an update clears it. */
static void gradients_add_up(void)
{
    static const struct {
        const char *net;
        int node, second, count;
    } where[] = {{plain_net, 3, 0, 12 * 9 * 8},
                 {plain_net, 3, 1, 12},
                 {small_net, 2, 0, 8}, /* batch norm */
                 {small_net, 2, 1, 8}};
    mls_net_desc desc = desc_fp32(4);
    static float once[8192];
    for (int i = 0; i < 4; i++) {
        size_t count;
        rig r;
        const float *g;
        t_note("%s, node %d", where[i].net, where[i].node);
        if (!rig_make(&r, &desc, where[i].net)) return;
        make_images(4, SMALL_IMAGE, 10, 1);
        g = mls_net_gradients(&r.net, where[i].node, where[i].second, &count);
        T_REQUIRE(g != NULL && count == (size_t)where[i].count);
        for (size_t j = 0; j < count; j++) T_CHECK(g[j] == 0);
        T_EQ_INT(mls_net_gradient(&r.net, some_images, some_labels, 4, NULL), MLS_OK);
        memcpy(once, g, count * sizeof(float));
        T_EQ_INT(mls_net_gradient(&r.net, some_images, some_labels, 4, NULL), MLS_OK);
        for (size_t j = 0; j < count; j++) T_CHECK(g[j] == once[j] + once[j]);
        T_EQ_INT(mls_net_update(&r.net, &plain_sgd), MLS_OK);
        for (size_t j = 0; j < count; j++) T_CHECK(g[j] == 0);
        rig_free(&r);
    }
}

/* v = momentum v + (g + decay w); w = w - rate v, or with Nesterov's look ahead. */
static void optimizer_formula(void)
{
    static const mls_sgd rules[] = {{0.1f, 0, 0, 0},         {0.1f, 0.9f, 0, 0},
                                    {0.05f, 0.9f, 0.01f, 0}, {0.1f, 0.9f, 0, 1},
                                    {0.05f, 0.8f, 0.02f, 1}, {0.3f, 0, 0.1f, 0}};
    static float before[8192], after[8192], g[8192];
    static double v[8192];
    for (int i = 0; i < 6; i++) {
        mls_sgd s = rules[i];
        mls_net_desc desc = desc_fp32(4);
        rig r;
        t_note("rule %d", i);
        if (!rig_make(&r, &desc, small_net)) return;
        memset(v, 0, sizeof v);
        for (int step = 0; step < 4; step++) {
            size_t count = rig_weights(&r, before), at = 0, n;
            make_images(4, SMALL_IMAGE, 10, (uint64_t)step);
            T_EQ_INT(mls_net_gradient(&r.net, some_images, some_labels, 3, NULL), MLS_OK);
            for (int node = 0; node < r.net.count; node++) {
                for (int second = 0; second < 2; second++) {
                    const float *p = mls_net_gradients(&r.net, node, second, &n);
                    if (!p) continue;
                    memcpy(g + at, p, n * sizeof(float));
                    at += n;
                }
            }
            T_EQ_INT(at, count);
            T_EQ_INT(mls_net_update(&r.net, &s), MLS_OK);
            rig_weights(&r, after);
            for (size_t j = 0; j < count; j++) {
                double gradient = (double)g[j] / 3 + (double)s.decay * (double)before[j], move, w;
                v[j] = (double)s.momentum * v[j] + gradient;
                move = s.nesterov ? gradient + (double)s.momentum * v[j] : v[j];
                w = (double)before[j] - (double)s.rate * move;
                T_CHECK(fabs((double)after[j] - w) < 1e-6 * (1 + fabs(w)));
            }
            s.rate *= 0.5f; /* a schedule changes nothing of the past */
        }
        T_EQ_INT(r.net.step, 4), T_EQ_INT(r.net.updates, 4);
        rig_free(&r);
    }
}

static void schedules(void)
{
    mls_schedule s;
    memset(&s, 0, sizeof s);
    s.rate = 0.1f;
    T_CHECK(mls_schedule_rate(&s, 0) == 0.1f && mls_schedule_rate(&s, 1000000) == 0.1f);
    s.kind = MLS_SCHEDULE_STEP, s.milestones[0] = 80, s.milestones[1] = 120;
    T_CHECK(mls_schedule_rate(&s, 79) == 0.1f);
    T_CHECK(fabs((double)mls_schedule_rate(&s, 80) - 0.01) < 1e-9);
    T_CHECK(fabs((double)mls_schedule_rate(&s, 119) - 0.01) < 1e-9);
    T_CHECK(fabs((double)mls_schedule_rate(&s, 120) - 0.001) < 1e-9);
    s.factor = 2, s.milestones[2] = 130, s.milestones[3] = 140;
    T_CHECK(fabs((double)mls_schedule_rate(&s, 500) - 0.1 / 16) < 1e-8);
    s.warmup = 5;
    for (int i = 0; i < 5; i++) {
        T_CHECK(fabs((double)mls_schedule_rate(&s, i) - 0.1 * (i + 1) / 5) < 1e-8);
    }
    T_CHECK(mls_schedule_rate(&s, 5) == 0.1f);
    for (int warmup = 0; warmup <= 7; warmup += 7) {
        s.kind = MLS_SCHEDULE_COSINE, s.updates = 200, s.warmup = warmup;
        for (int i = warmup; i <= 210; i++) {
            double t = i < 200 ? (double)(i - warmup) / (200 - warmup) : 1;
            t_note("%d", i);
            T_CHECK(fabs((double)mls_schedule_rate(&s, i) -
                         0.05 * (1 + cos(3.14159265358979 * t))) < 2e-6);
        }
        T_CHECK(mls_schedule_rate(&s, 200) == 0 && mls_schedule_rate(&s, 300) == 0);
    }
}

/* The running statistics that evaluation uses: mean and unbiased variance, moved by bn_momentum. */
static void running_statistics(void)
{
    mls_net_desc desc = desc_fp32(4);
    static const char net[] = "i3 3 2|n0|l1 2|z2";
    double mean[2] = {0, 0}, variance[2] = {1, 1};
    rig r;
    const float *state;
    desc.bn_momentum = 0.25f;
    if (!rig_make(&r, &desc, net)) return;
    for (int step = 0; step < 3; step++) {
        make_images(4, 18, 2, (uint64_t)step);
        T_EQ_INT(mls_net_gradient(&r.net, some_images, some_labels, 4, NULL), MLS_OK);
        for (int ch = 0; ch < 2; ch++) {
            double m = 0, v = 0;
            for (int i = 0; i < 36; i++) m += (double)some_images[i * 2 + ch] / 36;
            for (int i = 0; i < 36; i++) {
                v += ((double)some_images[i * 2 + ch] - m) * ((double)some_images[i * 2 + ch] - m);
            }
            mean[ch] += 0.25 * (m - mean[ch]);
            variance[ch] += 0.25 * (v / 35 - variance[ch]);
        }
        state = mls__state_at(&r.net, &r.nodes[1]);
        for (int ch = 0; ch < 2; ch++) {
            T_CHECK(fabs((double)state[ch] - mean[ch]) < 1e-6);
            T_CHECK(fabs((double)state[mls__up(2) + (size_t)ch] - variance[ch]) < 1e-6);
        }
    }
    rig_free(&r);
}

/* A step of fewer images than the batch does not depend on what the batch might have been. */
static void smaller_batches(void)
{
    mls_net_desc descs[3];
    descs[0] = desc_fp32(1), descs[1] = desc_low(1);
    descs[2] = desc_of(1, "2,4:nc:8,1", "5,2:nc:3,1", "2,1:none:stochastic");
    for (int i = 0; i < 2 + WIDE_SUMS; i++) {
        for (int count = 1; count <= 5; count += 2) {
            uint64_t expected = 0;
            for (int batch = count; batch <= 11; batch += 3) {
                rig r;
                descs[i].batch = batch;
                threads(1 + batch % 4);
                t_note("desc %d, %d images, batch %d", i, count, batch);
                if (!rig_make(&r, &descs[i], small_net)) return;
                train(&r, 0, 2, count, SMALL_IMAGE, 10);
                if (batch == count) expected = mls_net_digest(&r.net);
                T_CHECK(mls_net_digest(&r.net) == expected);
                rig_free(&r);
            }
        }
        /* a whole batch, a rest, a whole batch */
        {
            rig r;
            descs[i].batch = 7;
            if (!rig_make(&r, &descs[i], small_net)) return;
            train(&r, 0, 1, 7, SMALL_IMAGE, 10);
            train(&r, 1, 1, 2, SMALL_IMAGE, 10);
            train(&r, 2, 1, 7, SMALL_IMAGE, 10);
            T_EQ_INT(r.net.status, MLS_OK);
            rig_free(&r);
        }
    }
    threads(1);
}

/* Images whose codes share bytes and vectors: every kernel, thread count and batch is as good. */
static void odd_images(void)
{
    uint64_t expected = 0;
    for (int kernel = 0; kernel < mls_kernel_count(); kernel++) {
        for (int way = 0; way < 4; way++) {
            mls_net_desc desc = desc_low(way % 2 ? 7 : 11);
            rig r;
            desc.quantize_first = desc.quantize_last = 1;
            T_EQ_INT(mls_kernel_use(mls_kernel_name(kernel)), MLS_OK);
            threads(1 + way / 2 * 2);
            t_note("%s, way %d", mls_kernel_used(), way);
            if (!rig_make(&r, &desc, "i5 3 3|c0 5 3 1 1|n1|r2|c3 7 3 2 1|r4|l5 3|z6")) return;
            train(&r, 0, 3, 7, 45, 3);
            if (kernel + way == 0) expected = mls_net_digest(&r.net);
            T_CHECK(mls_net_digest(&r.net) == expected);
            rig_free(&r);
        }
    }
    threads(1);
    T_EQ_INT(mls_kernel_use("auto"), MLS_OK);
}

/* A channel so faint that its group is the smallest there is, and yet not zero. */
static void lowest_groups(void)
{
    float expected[6];
    for (int kernel = 0; kernel < mls_kernel_count(); kernel++) {
        mls_net_desc desc = desc_of(2, "2,1:nc:2,0", "2,1:nc:4,0", "2,1:nc:2,0");
        rig r;
        desc.quantize_first = 1;
        T_EQ_INT(mls_kernel_use(mls_kernel_name(kernel)), MLS_OK);
        t_note("%s", mls_kernel_used());
        if (!rig_make(&r, &desc, "i4 4 3|c0 4 3 1 1|l1 3|z2")) return;
        make_images(2, 48, 3, 1);
        for (int i = 1; i < 96; i += 3) some_images[i] *= 1.0f / (1 << 15);
        T_EQ_INT(mls_net_evaluate(&r.net, some_images, some_labels, 2, NULL), MLS_OK);
        if (kernel == 0) memcpy(expected, mls_net_logits(&r.net), sizeof expected);
        T_EQ_MEM(mls_net_logits(&r.net), expected, sizeof expected);
        rig_free(&r);
    }
    T_EQ_INT(mls_kernel_use("auto"), MLS_OK);
}

/* Images without any difference: variance 0, groups of zeros, ties everywhere. */
static void equal_images(void)
{
    static const float values[] = {0, 1, -0.5f, 1e-30f};
    for (int i = 0; i < 8; i++) {
        mls_net_desc desc = i % 2 ? desc_low(5) : desc_fp32(5);
        mls_result result = {0, 0, 0};
        rig r;
        desc.quantize_first = desc.quantize_last = i % 2;
        if (!rig_make(&r, &desc, small_net)) return;
        t_note("all %g, %s", (double)values[i / 2], i % 2 ? "quantized" : "fp32");
        for (int j = 0; j < 5 * SMALL_IMAGE; j++) some_images[j] = values[i / 2];
        for (int j = 0; j < 5; j++) some_labels[j] = j;
        for (int step = 0; step < 3; step++) {
            T_EQ_INT(mls_net_step(&r.net, some_images, some_labels, 5, &plain_sgd, &result),
                     MLS_OK);
            T_CHECK(result.loss > 0 && result.loss < 100);
            T_CHECK(result.correct <= 1); /* equal images have one answer */
        }
        T_EQ_INT(mls_net_evaluate(&r.net, some_images, some_labels, 5, &result), MLS_OK);
        rig_free(&r);
    }
}

/* Seeds: the same seed repeats a training, another one does not. */
static void seeds(void)
{
    uint64_t digest[3];
    for (int i = 0; i < 3; i++) {
        mls_net_desc desc = desc_low(4);
        rig r;
        desc.seed = i == 2 ? 8 : 7;
        if (!rig_make(&r, &desc, small_net)) return;
        train(&r, 0, 2, 4, SMALL_IMAGE, 10);
        digest[i] = mls_net_digest(&r.net);
        rig_free(&r);
    }
    T_CHECK(digest[0] == digest[1] && digest[0] != digest[2]);
}

/* First weights: their spread, biases 0, batch norm 1 and 0. */
static void first_weights(void)
{
    mls_net_desc desc = desc_fp32(1);
    size_t count;
    const float *w;
    double sum = 0, square = 0;
    rig r;
    if (!rig_make(&r, &desc, "i8 8 16|c0 32 3 1 1 1|n1|g2|l3 10|z4")) return;
    w = mls_net_weights(&r.net, 1, 0, &count);
    T_REQUIRE(w != NULL && count == 32 * 9 * 16);
    for (size_t i = 0; i < count; i++) sum += (double)w[i], square += (double)w[i] * (double)w[i];
    T_CHECK(fabs(sum / (double)count) < 0.01);
    T_CHECK(fabs(square / (double)count * (9 * 32) / 2 - 1) < 0.1); /* 2 / (kh kw c_out) */
    rig_free(&r);
    if (!rig_make(&r, &desc, "i8 8 64|d0 64 3 3 1 1 1 1 64 1 1 1 1|g1|l2 10|z3")) return;
    w = mls_net_weights(&r.net, 1, 0, &count), square = 0;
    T_REQUIRE(w != NULL && count == 64 * 9);
    for (size_t i = 0; i < count; i++) square += (double)w[i] * (double)w[i];
    T_CHECK(fabs(square / (double)count * 9 / 2 - 1) < 0.25); /* of a group */
    rig_free(&r);
    if (!rig_make(&r, &desc, "i8 8 16|c0 32 3 1 1 1|n1|g2|l3 10|z4")) return;
    w = mls_net_weights(&r.net, 1, 1, &count);
    T_REQUIRE(w != NULL && count == 32);
    for (size_t i = 0; i < count; i++) T_CHECK(w[i] == 0);
    w = mls_net_weights(&r.net, 2, 0, &count);
    T_REQUIRE(w != NULL && count == 32);
    for (size_t i = 0; i < count; i++) T_CHECK(w[i] == 1);
    w = mls_net_weights(&r.net, 2, 1, &count);
    for (size_t i = 0; i < count; i++) T_CHECK(w[i] == 0);
    w = mls_net_weights(&r.net, 4, 0, &count);
    T_REQUIRE(w != NULL && count == 320);
    sum = square = 0;
    for (size_t i = 0; i < count; i++) {
        T_CHECK(fabs((double)w[i]) <= 1 / sqrt(32.0));
        sum += (double)w[i], square += (double)w[i] * (double)w[i];
    }
    T_CHECK(fabs(sum / 320) < 0.03 && fabs(square / 320 * 32 * 3 - 1) < 0.2);
    rig_free(&r);
}

#define STEP_TESTS                                                                                \
    T_TEST(square_root), T_TEST(accumulation), T_TEST(gradients_add_up),                          \
        T_TEST(optimizer_formula), T_TEST(schedules), T_TEST(running_statistics),                 \
        T_TEST(smaller_batches), T_TEST(odd_images), T_TEST(lowest_groups), T_TEST(equal_images), \
        T_TEST(seeds), T_TEST(first_weights)
