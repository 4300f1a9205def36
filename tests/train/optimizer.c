/* Optimizers are their formulas, in every kernel and with any number of threads: SGD without decay of norms,
   AdamW, a clipped gradient, an average of the weights; and all of it goes on after it was saved. */

/* A convolution with a bias, a norm, and more weights than a block of an update. */
static const char broad_net[] = "i8 8 3|c0 64 3 2 1 1|n1|r2|l3 10|z4";
static const mls_sgd adam_numbers = {0.01f, 0.9f, 0.05f, 0};

static mls_net_desc desc_adamw(int batch)
{
    mls_net_desc desc = desc_low(batch);
    desc.optimizer = MLS_ADAMW;
    return desc;
}

static void step_by(rig *r, const mls_sgd *sgd, int step, int count)
{
    make_images(count, SMALL_IMAGE, 10, (uint64_t)step * 77 + 5);
    T_EQ_INT(mls_net_step(&r->net, some_images, some_labels, count, sgd, NULL), MLS_OK);
}

/* In the order of rig_weights; 0 where there are none. */
static size_t rig_gradients(rig *r, float *to)
{
    size_t total = 0, count;
    for (int i = 0; i < r->net.count; i++) {
        for (int second = 0; second < 2; second++) {
            const float *g = mls_net_gradients(&r->net, i, second, NULL);
            mls_net_weights(&r->net, i, second, &count);
            for (size_t j = 0; j < count; j++) to[total++] = g ? g[j] : 0;
        }
    }
    return total;
}

/* Sets the whole gradient, as if it were that of one image. */
static void set_gradients(rig *r, float to)
{
    make_images(1, SMALL_IMAGE, 10, 1);
    T_EQ_INT(mls_net_gradient(&r->net, some_images, some_labels, 1, NULL), MLS_OK);
    for (int i = 0; i < r->net.count; i++) {
        for (int second = 0; second < 2; second++) {
            size_t count;
            float *g = mls_net_gradients(&r->net, i, second, &count);
            for (size_t j = 0; j < count; j++) g[j] = to;
        }
    }
}

static float w_before[16384], w_after[16384], w_gradient[16384];

/* Slowly and in double, as the paper has it ("Decoupled Weight Decay Regularization", Algorithm 2). */
static void adamw_formula(void)
{
    static const struct {
        mls_sgd sgd;
        float beta2, epsilon;
    } rules[] = {{{0.01f, 0.9f, 0.05f, 0}, 0, 0},
                 {{0.001f, 0.8f, 0, 0}, 0.99f, 1e-4f},
                 {{0.01f, 0, 0.5f, 0}, 0.5f, 1e-3f}};
    static double m[16384], v[16384];
    for (int i = 0; i < 3; i++) {
        mls_net_desc desc = desc_fp32(4);
        double beta1, beta2, epsilon, first = 1, second = 1;
        mls_sgd s = rules[i].sgd;
        rig r;
        t_note("rule %d", i);
        desc.optimizer = MLS_ADAMW, desc.beta2 = rules[i].beta2, desc.epsilon = rules[i].epsilon;
        if (!rig_make(&r, &desc, small_net)) return;
        beta1 = (double)s.momentum;
        beta2 = (double)(rules[i].beta2 > 0 ? rules[i].beta2 : 0.999f);
        epsilon = rules[i].epsilon > 0 ? (double)rules[i].epsilon : 1e-8;
        memset(m, 0, sizeof m), memset(v, 0, sizeof v);
        for (int step = 0; step < 7; step++) {
            size_t count = rig_weights(&r, w_before);
            make_images(4, SMALL_IMAGE, 10, (uint64_t)step);
            T_EQ_INT(mls_net_gradient(&r.net, some_images, some_labels, 3, NULL), MLS_OK);
            T_EQ_INT(rig_gradients(&r, w_gradient), count);
            T_EQ_INT(mls_net_update(&r.net, &s), MLS_OK);
            rig_weights(&r, w_after);
            first *= beta1, second *= beta2;
            for (size_t j = 0; j < count; j++) {
                const double g = (double)w_gradient[j] / 3, w = (double)w_before[j];
                double move;
                m[j] = beta1 * m[j] + (1 - beta1) * g, v[j] = beta2 * v[j] + (1 - beta2) * g * g;
                move = m[j] / (1 - first) / (sqrt(v[j] / (1 - second)) + epsilon);
                move = (double)s.rate * (move + (double)s.decay * w);
                T_CHECK(fabs((double)w_after[j] - (w - move)) <
                        2e-7 * fabs(w) + 3e-6 * (double)s.rate);
            }
            s.rate *= 0.5f;
        }
        rig_free(&r);
    }
}

/* The root of AdamW is one, from the smallest normal number up; that of 0 is 0. */
static void adamw_roots(void)
{
    uint64_t rng = 1;
    T_CHECK(mls__root_plus_scalar(0, 0) == 0 && mls__root_plus_scalar(0, 2) == 2);
    for (int i = 0; i < 100000; i++) {
        uint32_t u = 0x800000u + (uint32_t)t_random(&rng) % 0x7f000000u;
        float x;
        double root;
        memcpy(&x, &u, sizeof x);
        root = sqrt((double)x);
        t_note("%a", (double)x);
        T_CHECK(fabs((double)mls__root_plus_scalar(x, 0) - root) < 3e-7 * root);
    }
}

/* 1 - beta^n. */
static void adamw_corrections(void)
{
    static const float betas[] = {0, 0.5f, 0.9f, 0.999f, 0.999999f};
    for (int b = 0; b < 5; b++) {
        for (int64_t n = 1; n < 3000000; n = n * 5 / 4 + 1) {
            const double want = 1 - pow((double)betas[b], (double)n);
            t_note("%g, %d", (double)betas[b], (int)n);
            T_CHECK(fabs((double)mls__complement(betas[b], n) - want) < 1e-6 * want);
        }
    }
}

/* The kernels of all vector units, on numbers of all sizes. */
static void optimizer_kernels(void)
{
    enum {
        COUNT = 64
    };
    float w[2][COUNT], g[2][COUNT], m[2][COUNT], v[2][COUNT], a[2][COUNT];
    const mls__layers *k[2] = {&mls__layer_kernels[0], NULL};
    mls__update u;
    uint64_t rng = 5;
    memset(&u, 0, sizeof u);
    u.sgd = adam_numbers, u.share = 0.25f, u.beta2 = 0.999f, u.epsilon = 1e-8f;
    u.first = 0.1f, u.second = 0.0316f, u.fresh = 0.01f;
    for (int kernel = 0; kernel < mls_kernel_count(); kernel++) {
        T_EQ_INT(mls_kernel_use(mls_kernel_name(kernel)), MLS_OK);
        t_note("%s", mls_kernel_name(kernel));
        k[1] = &mls__layer_kernels[mls__unit()];
        for (int round = 0; round < 100; round++) {
            for (int i = 0; i < COUNT; i++) {
                const int size = t_below(&rng, 80) - 40;
                w[0][i] = t_uniform(&rng), g[0][i] = ldexpf(t_uniform(&rng), size);
                m[0][i] = ldexpf(t_uniform(&rng), size), a[0][i] = t_uniform(&rng);
                v[0][i] = ldexpf(t_uniform(&rng), 2 * size), v[0][i] *= v[0][i] < 0 ? -1 : 1;
                if (i % 7 == 0) g[0][i] = m[0][i] = 0;
                if (i % 5 == 0) v[0][i] = 0;
            }
            memcpy(w[1], w[0], sizeof w[0]), memcpy(g[1], g[0], sizeof g[0]);
            memcpy(m[1], m[0], sizeof m[0]), memcpy(v[1], v[0], sizeof v[0]);
            memcpy(a[1], a[0], sizeof a[0]);
            for (int j = 0; j < 2; j++) {
                k[j]->adamw(w[j], g[j], m[j], v[j], COUNT, &u);
                k[j]->average(a[j], w[j], COUNT, u.fresh);
            }
            T_EQ_MEM(w[1], w[0], sizeof w[0]);
            T_EQ_MEM(m[1], m[0], sizeof m[0]);
            T_EQ_MEM(v[1], v[0], sizeof v[0]);
            T_EQ_MEM(a[1], a[0], sizeof a[0]);
            for (int i = 0; i < COUNT; i++) T_CHECK(g[1][i] == 0 && w[1][i] - w[1][i] == 0);
        }
    }
    T_EQ_INT(mls_kernel_use("auto"), MLS_OK);
}

/* All at once, by every kernel and with several threads: one digest. */
static void optimizer_digests(void)
{
    for (int kernel = 0; kernel < mls_kernel_count(); kernel++) {
        mls_net_desc desc = desc_adamw(4);
        rig r;
        t_note("%s", mls_kernel_name(kernel));
        T_EQ_INT(mls_kernel_use(mls_kernel_name(kernel)), MLS_OK);
        desc.clip = 0.5f, desc.average = 1, desc.no_decay_norms = 1;
        threads(1 + kernel % 3);
        if (!rig_make(&r, &desc, broad_net)) return;
        for (int step = 0; step < 4; step++) step_by(&r, &adam_numbers, step, 4);
        EQ_HASH(mls_net_digest(&r.net), 0x645206f406e0ad3au);
        rig_free(&r);
    }
    threads(1);
    T_EQ_INT(mls_kernel_use("auto"), MLS_OK);
}

/* How far an update of SGD without momentum and decay moves the weights, for a rate of 1. */
static double length_of_move(rig *r)
{
    const mls_sgd plain = {1, 0, 0, 0};
    const size_t count = rig_weights(r, w_before);
    double sum = 0;
    T_EQ_INT(mls_net_update(&r->net, &plain), MLS_OK);
    rig_weights(r, w_after);
    for (size_t j = 0; j < count; j++) {
        sum +=
            ((double)w_after[j] - (double)w_before[j]) * ((double)w_after[j] - (double)w_before[j]);
    }
    return sqrt(sum);
}

/* The mean gradient is as long as clip, if it was longer, and has its direction. */
static void clip_bounds_the_norm(void)
{
    static const float clips[] = {0, 1e-3f, 0.1f, 1e6f};
    double whole = 0, norm = 0;
    for (int i = 0; i < 4; i++) {
        mls_net_desc desc = desc_fp32(4);
        rig r;
        t_note("clip %g", (double)clips[i]);
        desc.clip = clips[i];
        if (!rig_make(&r, &desc,
                      "i8 8 3|c0 8 3 1 1 1|n1|r2|c3 12 3 2 1|n4|r5|g6|l7 10|z8|w4 0|w5 0"))
            return;
        make_images(4, SMALL_IMAGE, 10, 3);
        for (int part = 0; part < 2; part++) {
            T_EQ_INT(mls_net_gradient(&r.net, some_images, some_labels, 3, NULL), MLS_OK);
        }
        if (i == 0) {
            const size_t count = rig_gradients(&r, w_gradient);
            for (size_t j = 0; j < count; j++)
                norm += (double)w_gradient[j] * (double)w_gradient[j];
            norm = sqrt(norm) / 6; /* of the mean over six images, trained nodes alone */
            T_CHECK(norm > 0.2 && norm < 1e3);
        }
        whole = i == 1 || i == 2 ? (double)clips[i] : norm;
        T_CHECK(fabs(length_of_move(&r) - whole) < 2e-4 * whole);
        if (i == 2) {
            const size_t count = rig_weights(&r, w_after);
            for (size_t j = 0; j < count; j++) {
                const double move = ((double)w_after[j] - (double)w_before[j]) * norm / whole;
                T_CHECK(fabs(move + (double)w_gradient[j] / 6) < 1e-6 * norm / whole);
            }
        }
        rig_free(&r);
    }
}

/* Norms that no float holds, and ones whose square no float holds. */
static void clip_of_extremes(void)
{
    static const float sizes[] = {3e38f, 1e30f, 1e-20f, 1e-30f};
    for (int i = 0; i < 4; i++) {
        mls_net_desc desc = desc_fp32(4);
        rig r;
        double norm;
        size_t count;
        t_note("%g", (double)sizes[i]);
        desc.clip = i < 2 ? 1.0f : sizes[i] * 2;
        if (!rig_make(&r, &desc, small_net)) return;
        set_gradients(&r, sizes[i]);
        count = rig_gradients(&r, w_gradient);
        norm = mls__gradient_norm(&r.net);
        T_CHECK(fabs(norm / ((double)sizes[i] * sqrt((double)count)) - 1) < 1e-6);
        if (i < 2) T_CHECK(fabs(length_of_move(&r) - 1) < 1e-3);
        rig_free(&r);
    }
}

/* A clip that nothing reaches changes no bit. */
static void clip_out_of_reach(void)
{
    mls_net_desc desc = desc_low(4);
    uint64_t digest = 0;
    for (int i = 0; i < 2; i++) {
        rig r;
        desc.clip = i ? 1e6f : 0;
        if (!rig_make(&r, &desc, small_net)) return;
        train(&r, 0, 3, 4, SMALL_IMAGE, 10);
        if (i) T_CHECK(mls_net_digest(&r.net) == digest);
        digest = mls_net_digest(&r.net);
        rig_free(&r);
    }
}

/* With a gradient of 0 an update is nothing but weight decay. */
static void decay_of_weights_alone(void)
{
    for (int way = 0; way < 4; way++) {
        const mls_sgd sgd = {0.5f, 0, 0.5f, 0};
        mls_net_desc desc = desc_fp32(4);
        rig r;
        desc.optimizer = way & 1 ? MLS_ADAMW : MLS_SGD, desc.no_decay_norms = way >> 1;
        t_note("way %d", way);
        if (!rig_make(&r, &desc, "i8 8 3|c0 8 3 1 1 1|n1|p2|g3|l4 10|z5")) return;
        for (int i = 0; i < r.net.count; i++) {
            for (int second = 0; second < 2; second++) {
                size_t count;
                float *w = mls_net_weights(&r.net, i, second, &count);
                for (size_t j = 0; j < count; j++) w[j] = 8;
            }
        }
        set_gradients(&r, 0);
        T_EQ_INT(mls_net_update(&r.net, &sgd), MLS_OK);
        for (int i = 0; i < r.net.count; i++) {
            const int convolves = i == 1 || i == 5;
            for (int second = 0; second < 2; second++) {
                size_t count;
                const float *w = mls_net_weights(&r.net, i, second, &count);
                const float want = way < 2 || (convolves && !second) ? 6 : 8;
                for (size_t j = 0; j < count; j++) T_CHECK(w[j] == want);
            }
        }
        rig_free(&r);
    }
}

static mls_status copy_tensor(void *user, const mls_net_tensor *t)
{
    float **at = (float **)user;
    memcpy(*at, t->values, t->count * sizeof(float));
    *at += t->count;
    return MLS_OK;
}

static mls_status set_tensor(void *user, const mls_net_tensor *t)
{
    const float **at = (const float **)user;
    memcpy(t->values, *at, t->count * sizeof(float));
    *at += t->count;
    return MLS_OK;
}

/* All tensors of a network, those in use; returns how many numbers. */
static size_t tensors_of(mls_net *net, float *to)
{
    float *at = to;
    T_EQ_INT(mls_net_each_tensor(net, copy_tensor, &at), MLS_OK);
    return (size_t)(at - to);
}

/* Weights and running statistics follow with their own delay; at first they are forgotten soon. */
static void average_formula(void)
{
    static float numbers[16384];
    static double average[16384];
    mls_net_desc desc = desc_low(4);
    rig r;
    desc.average = 1, desc.average_decay = 0.75f;
    if (!rig_make(&r, &desc, small_net)) return;
    for (int step = 0; step < 40; step++) {
        const double first = 9 / (9.0 + step), fresh = first > 0.25 ? first : 0.25;
        size_t count;
        train(&r, step, 1, 4, SMALL_IMAGE, 10);
        count = tensors_of(&r.net, numbers);
        for (size_t j = 0; j < count; j++) {
            average[j] += fresh * ((double)numbers[j] - average[j]);
        }
        T_EQ_INT(mls_net_use_average(&r.net, 1), MLS_OK);
        T_EQ_INT(tensors_of(&r.net, numbers), count);
        T_EQ_INT(mls_net_use_average(&r.net, 0), MLS_OK);
        for (size_t j = 0; j < count; j++) {
            T_CHECK(fabs((double)numbers[j] - average[j]) < 1e-6 * (1 + fabs(average[j])));
        }
    }
    rig_free(&r);
}

/* The average in use is as a network that has these numbers; training does not see whether it is. */
static void average_in_use(void)
{
    static float raw[16384], numbers[16384], logits[40];
    static unsigned char bytes[1 << 17], again[1 << 17];
    const char *formats[] = {"fp32", "2,1"};
    for (int f = 0; f < 2; f++) {
        mls_net_desc desc = desc_fp32(4);
        const float *from = numbers;
        size_t size;
        uint64_t digest;
        rig a, b;
        t_note("%s", formats[f]);
        desc.formats = formats_of(formats[f]);
        if (!rig_make(&b, &desc, small_net)) return;
        desc.average = 1;
        if (!rig_make(&a, &desc, small_net)) return;
        train(&a, 0, 5, 4, SMALL_IMAGE, 10);
        tensors_of(&a.net, raw);
        digest = mls_net_digest(&a.net);
        size = mls_net_checkpoint_size(&a.net, 0);
        T_REQUIRE(size && size <= sizeof bytes);
        T_EQ_INT(mls_net_checkpoint_write(&a.net, NULL, 0, bytes, size), MLS_OK);
        T_EQ_INT(mls_net_use_average(&a.net, 1), MLS_OK);
        tensors_of(&a.net, numbers);
        T_CHECK(memcmp(raw, numbers, sizeof raw) != 0);
        T_CHECK(mls_net_weights(&a.net, 1, 0, NULL)[0] == numbers[0]);
        T_EQ_INT(mls_net_each_tensor(&b.net, set_tensor, &from), MLS_OK);
        T_EQ_INT(mls_net_evaluate(&a.net, some_images, some_labels, 4, NULL), MLS_OK);
        T_EQ_INT(mls_net_evaluate(&b.net, some_images, some_labels, 4, NULL), MLS_OK);
        T_EQ_MEM(mls_net_logits(&a.net), mls_net_logits(&b.net), sizeof logits);
        memcpy(logits, mls_net_logits(&a.net), sizeof logits);
        /* neither checkpoints nor the digest see it */
        T_EQ_INT(mls_net_checkpoint_write(&a.net, NULL, 0, again, size), MLS_OK);
        T_EQ_MEM(bytes, again, size);
        T_CHECK(mls_net_digest(&a.net) == digest);
        /* models are of it, fp32 and packed */
        for (int packed = 0; packed < 2; packed++) {
            mls_net_desc inference = desc;
            rig m;
            inference.inference = 1;
            size = mls_net_model_size(&a.net, packed, 0);
            T_EQ_INT(mls_net_model_write(&a.net, packed, NULL, 0, again, size), MLS_OK);
            if (!rig_make(&m, &inference, small_net)) return;
            T_EQ_INT(mls_net_checkpoint_read(&m.net, again, size, NULL, 0), MLS_OK);
            T_EQ_INT(mls_net_evaluate(&m.net, some_images, some_labels, 4, NULL), MLS_OK);
            T_EQ_MEM(mls_net_logits(&m.net), logits, sizeof logits);
            T_EQ_INT(mls_net_use_average(&m.net, 1), MLS_ERROR_STATE);
            rig_free(&m);
        }
        /* training goes on with the weights: as in a network that read the checkpoint */
        size = mls_net_checkpoint_size(&a.net, 0);
        train(&a, 5, 2, 4, SMALL_IMAGE, 10);
        digest = mls_net_digest(&a.net);
        rig_free(&b);
        if (!rig_make(&b, &desc, small_net)) return;
        T_EQ_INT(mls_net_checkpoint_read(&b.net, bytes, size, NULL, 0), MLS_OK);
        T_EQ_INT(tensors_of(&b.net, numbers), tensors_of(&b.net, numbers));
        T_EQ_MEM(numbers, raw, sizeof raw);
        train(&b, 5, 2, 4, SMALL_IMAGE, 10);
        T_CHECK(mls_net_digest(&b.net) == digest);
        rig_free(&a), rig_free(&b);
    }
}

enum {
    ADAMW = 1,
    AVERAGE = 2
};

static mls_net_desc desc_kept(int kept)
{
    mls_net_desc desc = desc_low(4);
    if (kept & ADAMW) desc.optimizer = MLS_ADAMW;
    if (kept & AVERAGE) desc.average = 1;
    return desc;
}

static size_t saved(rig *r, unsigned char *to, size_t room)
{
    const size_t size = mls_net_checkpoint_size(&r->net, 0);
    if (!size || size > room) return 0;
    T_EQ_INT(mls_net_checkpoint_write(&r->net, NULL, 0, to, size), MLS_OK);
    return size;
}

/* Saved and read again it goes on as ever, also in a network that mls_net_open builds. */
static void optimizer_resumes(void)
{
    static unsigned char bytes[1 << 17];
    for (int kept = 0; kept < 4; kept++) {
        const mls_net_desc desc = desc_kept(kept);
        mls_checkpoint about;
        uint64_t digest;
        size_t size;
        rig a, b;
        t_note("kept %d", kept);
        if (!rig_make(&a, &desc, small_net)) return;
        for (int step = 0; step < 3; step++) step_by(&a, &adam_numbers, step, 4);
        size = saved(&a, bytes, sizeof bytes);
        T_REQUIRE(size);
        T_EQ_INT(mls_checkpoint_look(bytes, size, &about, NULL, 0), MLS_OK);
        T_EQ_INT(about.version, kept ? 4 : 2);
        T_EQ_INT(about.content, MLS_CONTENT_TRAINING);
        T_EQ_INT(about.optimizer, kept & ADAMW ? MLS_ADAMW : MLS_SGD);
        T_EQ_INT(about.average, kept & AVERAGE ? 1 : 0);
        for (int step = 3; step < 6; step++) step_by(&a, &adam_numbers, step, 4);
        digest = mls_net_digest(&a.net);
        rig_free(&a);
        for (int way = 0; way < 2; way++) {
            b.arena = NULL;
            if (way == 0 && !rig_make(&b, &desc, small_net)) return;
            if (way == 0) step_by(&b, &adam_numbers, 9, 4); /* not a fresh one */
            if (way == 1) {
                T_EQ_INT(mls_net_open(&b.net, NULL, b.nodes, 64, bytes, size), MLS_OK);
                T_EQ_INT(mls_net_plan(&b.net, &b.plan), MLS_OK);
                b.arena = t_alloc(b.plan.arena);
                T_EQ_INT(mls_net_bind(&b.net, b.arena, b.plan.arena), MLS_OK);
            }
            T_EQ_INT(mls_net_checkpoint_read(&b.net, bytes, size, NULL, 0), MLS_OK);
            for (int step = 3; step < 6; step++) step_by(&b, &adam_numbers, step, 4);
            T_CHECK(mls_net_digest(&b.net) == digest);
            rig_free(&b);
        }
    }
}

/* What another optimizer saved is refused by name; its model is taken, and the optimizer begins. */
static void optimizer_of_another(void)
{
    static const char *const names[] = {"SGD", "AdamW", "SGD with an average",
                                        "AdamW with an average"};
    static unsigned char bytes[1 << 17], model[1 << 17];
    static float first[16384], second[16384];
    for (int from = 0; from < 4; from++) {
        const mls_net_desc desc = desc_kept(from);
        size_t size, model_size;
        rig a, b;
        if (!rig_make(&a, &desc, small_net)) return;
        for (int step = 0; step < 3; step++) step_by(&a, &adam_numbers, step, 4);
        size = saved(&a, bytes, sizeof bytes), model_size = mls_net_model_size(&a.net, 0, 0);
        T_REQUIRE(size && model_size && model_size <= sizeof model);
        T_EQ_INT(mls_net_model_write(&a.net, 0, NULL, 0, model, model_size), MLS_OK);
        for (int to = 0; to < 4; to++) {
            const mls_net_desc other = desc_kept(to);
            char text[100];
            uint64_t digest;
            t_note("from %s to %s", names[from], names[to]);
            if (!rig_make(&b, &other, small_net)) return;
            step_by(&b, &adam_numbers, 9, 4);
            digest = mls_net_digest(&b.net);
            T_EQ_INT(mls_net_checkpoint_read(&b.net, bytes, size, NULL, 0),
                     from == to ? MLS_OK : MLS_ERROR_DATA);
            snprintf(text, sizeof text, "a checkpoint of %s, not of %s: ", names[from], names[to]);
            if (from != to) T_CHECK(strstr(b.net.text, text) && mls_net_digest(&b.net) == digest);
            T_EQ_INT(mls_net_checkpoint_read(&b.net, model, model_size, NULL, 0), MLS_OK);
            T_EQ_INT(b.net.step, 3);
            T_EQ_INT(b.net.updates, to ? 0 : 3);
            T_EQ_INT(tensors_of(&a.net, first), tensors_of(&b.net, second));
            T_EQ_MEM(second, first, sizeof first);
            if (to & AVERAGE) {
                T_EQ_INT(mls_net_use_average(&b.net, 1), MLS_OK);
                tensors_of(&b.net, second);
                T_EQ_MEM(second, first, sizeof first);
            }
            rig_free(&b);
        }
        rig_free(&a);
    }
}

/* To evaluate, a checkpoint with an average is that. */
static void average_for_inference(void)
{
    static unsigned char bytes[1 << 17];
    for (int kept = 0; kept < 4; kept++) {
        mls_net_desc desc = desc_kept(kept);
        float logits[40];
        size_t size;
        rig a, b;
        t_note("kept %d", kept);
        if (!rig_make(&a, &desc, small_net)) return;
        for (int step = 0; step < 3; step++) step_by(&a, &adam_numbers, step, 4);
        T_EQ_INT(mls_net_use_average(&a.net, 1), kept & AVERAGE ? MLS_OK : MLS_ERROR_STATE);
        T_EQ_INT(mls_net_evaluate(&a.net, some_images, NULL, 4, NULL), MLS_OK);
        memcpy(logits, mls_net_logits(&a.net), sizeof logits);
        size = saved(&a, bytes, sizeof bytes);
        desc.inference = 1;
        if (!rig_make(&b, &desc, small_net)) return;
        T_EQ_INT(mls_net_checkpoint_read(&b.net, bytes, size, NULL, 0), MLS_OK);
        T_EQ_INT(mls_net_evaluate(&b.net, some_images, NULL, 4, NULL), MLS_OK);
        T_EQ_MEM(mls_net_logits(&b.net), logits, sizeof logits);
        rig_free(&a), rig_free(&b);
    }
}

/* A network takes of its frozen nodes what was trained, and nothing of their average. */
static void average_and_frozen(void)
{
    static unsigned char bytes[1 << 17];
    const mls_net_desc desc = desc_kept(AVERAGE);
    char text[200];
    size_t size;
    rig a, b;
    snprintf(text, sizeof text, "%s|w1 0|w2 0", small_net);
    if (!rig_make(&a, &desc, small_net) || !rig_make(&b, &desc, text)) return;
    train(&a, 0, 3, 4, SMALL_IMAGE, 10);
    size = saved(&a, bytes, sizeof bytes);
    T_REQUIRE(size);
    T_EQ_INT(mls_net_checkpoint_read(&b.net, bytes, size, NULL, 0), MLS_OK);
    T_EQ_INT(tensors_of(&b.net, w_after), tensors_of(&a.net, w_before));
    T_EQ_MEM(w_after, w_before, sizeof w_before);
    T_EQ_INT(mls_net_use_average(&b.net, 1), MLS_OK);
    T_CHECK(mls_net_weights(&b.net, 1, 0, NULL)[0] == w_before[0]);
    train(&b, 3, 2, 4, SMALL_IMAGE, 10);
    T_CHECK(mls_net_weights(&b.net, 1, 0, NULL)[0] == w_before[0]);
    rig_free(&a), rig_free(&b);
}

/* Each byte changed, each length cut, and heads that lie with the right checksum. */
static void optimizer_damaged(void)
{
    static unsigned char bytes[1 << 14];
    static const int lies[] = {0, 2, 3, 255, 258, 512, 513};
    mls_net_desc desc = desc_kept(ADAMW | AVERAGE);
    uint64_t digest, rng = 4;
    size_t size;
    rig r;
    if (!rig_make(&r, &desc, tiny_net)) return;
    train(&r, 0, 2, 2, 16, 2);
    size = saved(&r, bytes, sizeof bytes);
    T_REQUIRE(size);
    train(&r, 2, 1, 2, 16, 2);
    digest = mls_net_digest(&r.net);
    for (size_t i = 0; i < size; i++) {
        const unsigned char keep = bytes[i];
        bytes[i] = (unsigned char)(keep ^ (1 + t_below(&rng, 255)));
        t_note("byte %d", (int)i);
        T_EQ_INT(mls_net_checkpoint_read(&r.net, bytes, size, NULL, 0), MLS_ERROR_DATA);
        bytes[i] = keep;
        if (i % 16) continue;
        T_EQ_INT(mls_net_checkpoint_read(&r.net, bytes, i, NULL, 0), MLS_ERROR_DATA);
    }
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        mls__put(bytes + 76, (uint64_t)lies[i], 4); /* content */
        mls__put(bytes + size - 8, mls__mix(mls__hash_bytes(0, bytes, size - 8)), 8);
        t_note("content %d", lies[i]);
        T_EQ_INT(mls_net_checkpoint_read(&r.net, bytes, size, NULL, 0), MLS_ERROR_DATA);
        T_CHECK(strstr(r.net.text, "damaged") != NULL);
    }
    T_CHECK(mls_net_digest(&r.net) == digest);
    mls__put(bytes + 76, 257, 4);
    mls__put(bytes + size - 8, mls__mix(mls__hash_bytes(0, bytes, size - 8)), 8);
    T_EQ_INT(mls_net_checkpoint_read(&r.net, bytes, size, NULL, 0), MLS_OK);
    T_CHECK(mls_net_digest(&r.net) != digest);
    rig_free(&r);
}

/* The arena grows by what is kept, and by nothing else; inference keeps nothing. */
static void optimizer_sizes(void)
{
    size_t plain = 0;
    for (int kept = 0; kept < 4; kept++) {
        mls_net_desc desc = desc_kept(kept);
        size_t more = 0;
        rig r;
        desc.clip = 1;
        t_note("kept %d", kept);
        if (!rig_make(&r, &desc, "i8 8 3|c0 8 3 1 1|n1|r2|c3 12 3 2 1|n4|r5|g6|l7 10|z8|w1 0|w2 0"))
            return;
        if (kept == 0) plain = r.plan.arena;
        if (kept & ADAMW) more += r.net.trained;
        if (kept & AVERAGE) more += r.net.trained + r.net.states;
        T_EQ_INT(r.plan.arena, plain + more * sizeof(float));
        rig_free(&r);
    }
    for (int kept = 0; kept < 4; kept++) {
        mls_net_desc desc = desc_kept(kept);
        rig r;
        desc.inference = 1;
        if (!rig_make(&r, &desc, small_net)) return;
        if (kept == 0) plain = r.plan.arena;
        T_EQ_INT(r.plan.arena, plain);
        rig_free(&r);
    }
}

static mls_status begun(const mls_net_desc *desc)
{
    mls_node nodes[4];
    mls_net net;
    const mls_status status = mls_net_begin(&net, desc, nodes, 4);
    T_CHECK((net.text[0] != 0) == (status != MLS_OK));
    return status;
}

static void optimizer_refused(void)
{
    static const float wrong[] = {-0.5f, 1, 2, (float)INFINITY, (float)NAN};
    static const mls_sgd bad[] = {
        {-0.1f, 0.9f, 0, 0}, {0.1f, -0.1f, 0, 0},   {0.1f, 1, 0, 0},    {0.1f, 0.9f, -1, 0},
        {0.1f, 0.9f, 0, 1},  {(float)NAN, 0, 0, 0}, {0.1f, 1.5f, 0, 0}, {0.1f, (float)NAN, 0, 0}};
    mls_net_desc desc = desc_fp32(2);
    uint64_t digest;
    rig r;
    for (int i = 0; i < 5; i++) {
        t_note("%g", (double)wrong[i]);
        desc = desc_fp32(2), desc.beta2 = wrong[i];
        T_EQ_INT(begun(&desc), MLS_ERROR_ARGUMENT);
        desc = desc_fp32(2), desc.average_decay = wrong[i];
        T_EQ_INT(begun(&desc), MLS_ERROR_ARGUMENT);
        desc = desc_fp32(2), desc.epsilon = wrong[i];
        T_EQ_INT(begun(&desc), i == 1 || i == 2 ? MLS_OK : MLS_ERROR_ARGUMENT);
        desc = desc_fp32(2), desc.clip = wrong[i];
        T_EQ_INT(begun(&desc), i == 1 || i == 2 ? MLS_OK : MLS_ERROR_ARGUMENT);
    }
    desc = desc_fp32(2), desc.epsilon = 9e-31f;
    T_EQ_INT(begun(&desc), MLS_ERROR_ARGUMENT);
    desc = desc_fp32(2), desc.optimizer = (mls_optimizer)(MLS_ADAMW + 1);
    T_EQ_INT(begun(&desc), MLS_ERROR_ARGUMENT);
    desc.optimizer = MLS_ADAMW;
    T_EQ_INT(mls_net_use_average(NULL, 1), MLS_ERROR_ARGUMENT);
    mls_net_begin(&r.net, &desc, r.nodes, 64);
    T_EQ_INT(mls_net_use_average(&r.net, 1), MLS_ERROR_STATE);
    if (!rig_make(&r, &desc, plain_net)) return;
    T_EQ_INT(mls_net_use_average(&r.net, 1), MLS_ERROR_STATE);
    T_CHECK(strstr(r.net.text, "no average") != NULL);
    make_images(2, SMALL_IMAGE, 10, 1);
    T_EQ_INT(mls_net_gradient(&r.net, some_images, some_labels, 2, NULL), MLS_OK);
    digest = mls_net_digest(&r.net);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        t_note("numbers %d", (int)i);
        T_EQ_INT(mls_net_update(&r.net, &bad[i]), MLS_ERROR_ARGUMENT);
        T_CHECK(r.net.text[0] && mls_net_digest(&r.net) == digest);
    }
    T_EQ_INT(mls_net_update(&r.net, &adam_numbers), MLS_OK); /* the gradient is still there */
    rig_free(&r);
}

#define OPTIMIZER_TESTS                                                                          \
    T_TEST(adamw_formula), T_TEST(adamw_roots), T_TEST(adamw_corrections),                       \
        T_TEST(optimizer_kernels), T_TEST(optimizer_digests), T_TEST(clip_bounds_the_norm),      \
        T_TEST(clip_of_extremes), T_TEST(clip_out_of_reach), T_TEST(decay_of_weights_alone),     \
        T_TEST(average_formula), T_TEST(average_in_use), T_TEST(optimizer_resumes),              \
        T_TEST(optimizer_of_another), T_TEST(average_for_inference), T_TEST(average_and_frozen), \
        T_TEST(optimizer_damaged), T_TEST(optimizer_sizes), T_TEST(optimizer_refused)
