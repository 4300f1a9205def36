/* Activations are those of their formulas, dropout drops what its random bits say, a smoothed label and
   targets give the loss of their definitions, and all of it has the same bits everywhere. */

enum {
    VALUES = 4096
};
static float values[VALUES], outputs[2][VALUES + 16];

/* Of all sizes, from subnormal ones to the infinities. */
static void make_values(uint64_t rng)
{
    static const float special[] = {0, -0.0f, 1e-45f, -1e-45f, 87, -87, 88, -88, 1, -1, 6, -6};
    for (int i = 0; i < VALUES; i++) {
        uint32_t u = (uint32_t)t_random(&rng);
        memcpy(&values[i], &u, sizeof u);
        if (i % 2) values[i] = 12 * t_uniform(&rng);
        if (!isfinite(values[i])) values[i] = u >> 31 ? INFINITY : -INFINITY;
        if (i < (int)(sizeof special / sizeof *special)) values[i] = special[i];
    }
}

/* Runs kernel k on count values from at on, into both ends of a room. */
static void run_kernel(int unit, int k, size_t at, size_t count, float *to)
{
    const mls__layers *l = &mls__layer_kernels[unit];
    const mls__keys keys = mls__random_keys(5, 0);
    if (k < MLS__ACTIVATIONS) {
        l->activate[k](values + at, count, 0.3f, to);
    } else if (k < 2 * MLS__ACTIVATIONS) {
        l->activate_back[k - MLS__ACTIVATIONS](values + at, values + VALUES - at - count, count,
                                               0.3f, to);
    } else {
        l->dropout(values + at, count, keys, 20000, 1.5f, to);
    }
}

static void activations_of_every_unit(void)
{
    const unsigned found = mls__units_find();
    make_values(3);
    for (int unit = 1; unit < MLS__UNIT_COUNT; unit++) {
        if (!(found >> unit & 1)) continue;
        for (int k = 0; k <= 2 * MLS__ACTIVATIONS; k++) {
            for (int i = 0; i < 70; i++) {
                const size_t count = i < 69 ? (size_t)i : VALUES, at = (size_t)(i < 69 ? 5 * i : 0);
                memset(outputs, 0x5a, sizeof outputs);
                run_kernel(mls__index_scalar, k, at, count, outputs[0]);
                run_kernel(unit, k, at, count, outputs[1]);
                t_note("%s, kernel %d, %d values", mls__unit_names[unit], k, (int)count);
                T_EQ_MEM(outputs[1], outputs[0], sizeof outputs[0]);
                memcpy(outputs[1], values + at, count * sizeof(float)); /* in place */
                if (k < MLS__ACTIVATIONS) {
                    mls__layer_kernels[unit].activate[k](outputs[1], count, 0.3f, outputs[1]);
                    T_EQ_MEM(outputs[1], outputs[0], sizeof outputs[0]);
                }
            }
        }
    }
}

static double formula(int k, double x)
{
    if (k == MLS__LEAKY_RELU) return x > 0 ? x : 0.3 * x;
    return k == MLS__SIGMOID ? 1 / (1 + exp(-x)) : x / 2 * erfc(-x / sqrt(2));
}

/* Of y where the kernel takes y. */
static double slope(int k, double x)
{
    if (k == MLS__LEAKY_RELU) return x > 0 ? 1 : 0.3;
    if (k == MLS__SIGMOID) return x * (1 - x);
    return erfc(-x / sqrt(2)) / 2 + x * exp(-x * x / 2) / sqrt(2 * acos(-1));
}

/* Nowhere further from them than the prototypes say. */
static void activations_are_their_formulas(void)
{
    static const double far[] = {1e-7, 9e-8, 3.3e-7}, far_slope[] = {1e-7, 1e-7, 3.3e-7};
    const mls__layers *l = &mls__layer_kernels[mls__index_scalar];
    const float one = 1;
    for (uint32_t u = 0; u < 0x85900000u; u += 2 * 5003) { /* up to 100, of both signs */
        for (int k = 0; k < MLS__ACTIVATIONS; k++) {
            const float x = mls__float(u >> 1 | (u & 2) << 30);
            const double at = (double)x, size = k == MLS__SIGMOID ? 1 : fabs(at);
            const float from = k == MLS__SIGMOID ? (float)formula(k, at) : x;
            float y, dx;
            l->activate[k](&x, 1, 0.3f, &y);
            l->activate_back[k](&one, &from, 1, 0.3f, &dx);
            t_note("kernel %d at %a: %a, slope %a", k, at, (double)y, (double)dx);
            T_CHECK(fabs((double)y - formula(k, at)) <= far[k] * size + 1e-44);
            T_CHECK(fabs((double)dx - slope(k, (double)from)) <= far_slope[k]);
        }
    }
}

/* ---- dropout */

enum {
    DROP_BATCH = 3,
    DROP_IMAGE = 5 * 5 * 4
};

/* input, convolution, tap, dropout, tap, linear */
static int drop_make(rig *r, float p, int inference)
{
    mls_net_desc desc;
    mls_conv_desc conv;
    int32_t x;
    memset(r, 0, sizeof *r), memset(&desc, 0, sizeof desc), memset(&conv, 0, sizeof conv);
    desc.batch = DROP_BATCH, desc.seed = 11, desc.inference = inference;
    conv.c_out = 4, conv.kh = 3, conv.pad = 1;
    mls_net_begin(&r->net, &desc, r->nodes, NODES);
    x = mls_net_conv(&r->net, mls_net_input(&r->net, 5, 5, 4), &conv);
    x = mls_net_custom(&r->net, &tap_kind, x, -1, &tap_number[0]);
    x = mls_net_dropout(&r->net, x, p);
    x = mls_net_custom(&r->net, &tap_kind, x, -1, &tap_number[1]);
    mls_net_loss(&r->net, mls_net_linear(&r->net, x, 3));
    return rig_bind(r);
}

/* The elements that are kept, and what passes them, forward and back, are those of mls_random16. */
static void dropout_is_of_its_bits(void)
{
    static const float shares[] = {0, 0.1f, 0.5f, 0.75f, 0.9999999f};
    for (int i = 0; i < 5; i++) {
        const uint32_t least = (uint32_t)(shares[i] * 65536);
        const float scale = (float)(65536.0 / (65536 - least));
        int kept = 0, changed = 0;
        rig r;
        make_trial_images(3);
        T_REQUIRE(drop_make(&r, shares[i], 0));
        for (int step = 0; step < 4; step++) {
            for (int n = 0; n < DROP_BATCH * DROP_IMAGE; n++) {
                const uint64_t node = mls_seed(mls_seed(11, (uint64_t)step), 3 * 4 + 3);
                const uint64_t image = mls_seed(node, (uint64_t)(n / DROP_IMAGE));
                outputs[0][n] = mls_random16(image, (uint64_t)(n % DROP_IMAGE)) < least ? 0 : scale;
                kept += outputs[0][n] > 0, changed += outputs[0][n] != values[n] && step;
                values[n] = outputs[0][n];
            }
            T_EQ_INT(mls_net_gradient(&r.net, trial_images, trial_labels, DROP_BATCH, NULL),
                     MLS_OK);
            for (int n = 0; n < DROP_BATCH * DROP_IMAGE; n++) {
                t_note("%g, step %d, element %d", (double)shares[i], step, n);
                T_CHECK(taps[1].x[n] == taps[0].x[n] * values[n]);
                T_CHECK(taps[0].dy[n] == taps[1].dy[n] * values[n]);
            }
        }
        T_CHECK(fabs(kept / (4.0 * DROP_BATCH * DROP_IMAGE) - (1 - (double)shares[i])) < 0.06);
        T_CHECK((changed > 0) == (i > 0 && i < 4));
        for (int inference = 0; inference < 2; inference++) { /* nothing is dropped */
            if (inference) rig_free(&r);
            if (inference) T_REQUIRE(drop_make(&r, shares[i], 1));
            T_EQ_INT(mls_net_evaluate(&r.net, trial_images, NULL, DROP_BATCH, NULL), MLS_OK);
            T_EQ_MEM(taps[1].x, taps[0].x, DROP_BATCH * DROP_IMAGE * sizeof(float));
        }
        rig_free(&r);
    }
}

/* ---- all of it in a network */

static const char active_net[] =
    "i8 8 3|c0 8 3 1 1|n1|L2 10|c3 9 3 1 1|n4|G5|D6 20|c7 8 3 2 1|n8|S9|c10 8 1 1 0|D11 50|l12 10|"
    "Z13 10";

/* The same digest by every kernel, with any number of threads, and when it goes on from a checkpoint. */
static void activations_have_one_answer(void)
{
    static uint8_t saved[1 << 16];
    static const char *const nets[] = {active_net, "i8 8 3|c0 8 3 1 1|G1|D2 30|l3 7|Q4"};
    mls_net_desc desc = desc_low(5);
    for (int i = 0; i < 4; i++) {
        uint64_t digest = 0;
        if (i > 1) desc = desc_fp32(5);
        for (int k = 0; mls_kernel_name(k); k++) {
            rig r, again;
            size_t size;
            T_EQ_INT(mls_kernel_use(mls_kernel_name(k)), MLS_OK);
            threads(1 + k % 4);
            if (!rig_make(&r, &desc, nets[i % 2]) || !rig_make(&again, &desc, nets[i % 2])) return;
            t_note("%s, %s", nets[i % 2], mls_kernel_used());
            train(&r, 0, 3, 5, SMALL_IMAGE, 7);
            size = mls_net_checkpoint_size(&r.net, 0);
            T_REQUIRE(size && size <= sizeof saved);
            T_EQ_INT(mls_net_checkpoint_write(&r.net, NULL, 0, saved, size), MLS_OK);
            train(&r, 3, 3, 5, SMALL_IMAGE, 7);
            T_EQ_INT(mls_net_checkpoint_read(&again.net, saved, size, NULL, 0), MLS_OK);
            train(&again, 3, 3, 5, SMALL_IMAGE, 7);
            if (!k) digest = mls_net_digest(&r.net);
            T_CHECK(mls_net_digest(&r.net) == digest && mls_net_digest(&again.net) == digest);
            rig_free(&r), rig_free(&again);
        }
    }
    T_EQ_INT(mls_kernel_use("auto"), MLS_OK);
    threads(1);
}

/* In inference nothing is dropped, a gelu lies where its input did, and the logits are those of the network
   that trains. */
static void activations_in_inference(void)
{
    static const char *const nets[] = {active_net, "i8 8 3|c0 32 3 1 1 1|G1|l2 3|z3",
                                       "i8 8 3|c0 32 3 1 1 1|r1|l2 3|z3"};
    size_t arenas[3];
    for (int i = 0; i < 3; i++) {
        mls_net_desc desc = desc_fp32(4);
        rig r, one;
        if (!rig_make(&r, &desc, nets[i])) return;
        desc.inference = 1;
        if (!rig_make(&one, &desc, nets[i])) return;
        arenas[i] = one.plan.values;
        make_images(4, SMALL_IMAGE, 3, 1);
        T_EQ_INT(mls_net_evaluate(&r.net, some_images, NULL, 4, NULL), MLS_OK);
        T_EQ_INT(mls_net_evaluate(&one.net, some_images, NULL, 4, NULL), MLS_OK);
        T_EQ_MEM(mls_net_logits(&one.net), mls_net_logits(&r.net), 4 * 3 * sizeof(float));
        rig_free(&r), rig_free(&one);
    }
    T_CHECK(arenas[1] < arenas[2]); /* a relu keeps a bit for each element */
}

static void amounts_refused(void)
{
    static const float bad[] = {-0.01f, 1, 7, NAN, INFINITY, -INFINITY};
    static const char *const names[] = {"leaky relu", "dropout", "loss"};
    const mls_net_desc desc = desc_fp32(2);
    for (int i = 0; i < 18; i++) {
        const float amount = bad[i / 3];
        rig r;
        int32_t x, y;
        mls_net_begin(&r.net, &desc, r.nodes, 64);
        x = mls_net_linear(&r.net, mls_net_input(&r.net, 1, 1, 4), 3);
        y = i % 3 == 0   ? mls_net_leaky_relu(&r.net, x, amount)
            : i % 3 == 1 ? mls_net_dropout(&r.net, x, amount)
                         : mls_net_smooth_loss(&r.net, x, amount);
        t_note("%s of %g", names[i % 3], (double)amount);
        T_EQ_INT(y, -1), T_EQ_INT(mls_net_plan(&r.net, NULL), MLS_ERROR_ARGUMENT);
        T_CHECK(strstr(r.net.text, names[i % 3]) && strstr(r.net.text, "from 0 to less than 1"));
    }
}

/* Networks that differ in an amount only are different, and a file cannot have an impossible one. */
static void amounts_in_checkpoints(void)
{
    const mls_net_desc desc = desc_fp32(2);
    static const char *const text = "i4 4 1|c0 2 3 1 1|D1 50|l2 2|z3";
    mls_layer layer;
    size_t size;
    rig r, other;
    if (!rig_make(&r, &desc, text) || !rig_make(&other, &desc, "i4 4 1|c0 2 3 1 1|D1 51|l2 2|z3"))
        return;
    T_EQ_INT(mls_net_layer(&r.net, 2, &layer), MLS_OK);
    T_CHECK(strcmp(layer.kind, "dropout") == 0 && layer.amount == 0.5f);
    size = open_save(&r);
    T_EQ_INT(mls_net_checkpoint_read(&other.net, checkpoint, size, NULL, 0), MLS_ERROR_DATA);
    T_CHECK(strstr(other.net.text, "node 2 (dropout): bits of its amount") != NULL);
    mls__put(checkpoint + 96 + 3 * MLS__NODE_AMOUNT - 4, mls__bits(1), 4);
    check_refused(size, MLS_ERROR_DATA, "node 2 (dropout): its amount is not");
    open_save(&r);
    mls__put(checkpoint + 96 + 3 * MLS__NODE_AMOUNT - 4, mls__bits(NAN), 4);
    check_refused(size, MLS_ERROR_DATA, "node 2 (dropout): its amount is not");
    open_save(&r);
    mls__put(checkpoint + 96 + 3 * MLS__NODE_AMOUNT - 4, mls__bits(0.25f), 4);
    check_refused(size, MLS_ERROR_DATA, "contradicts itself");
    rig_free(&r), rig_free(&other);
}

/* ---- losses */

/* In training the distance from what is wanted, in evaluation the loss of the label. */
static void smooth_loss_of_logits(void)
{
    const mls_net_desc desc = desc_fp32(16);
    mls_result smoothed, tested;
    double loss = 0, plain = 0;
    rig r;
    if (!rig_make(&r, &desc, "i1 1 12|l0 7|Z1 30")) return;
    make_images(16, 12, 7, 3);
    for (int i = 0; i < 16 * 12; i++) some_images[i] *= 9;
    T_EQ_INT(mls_net_evaluate(&r.net, some_images, some_labels, 16, &tested), MLS_OK);
    T_EQ_INT(mls_net_gradient(&r.net, some_images, some_labels, 16, &smoothed), MLS_OK);
    for (int n = 0; n < 16; n++) {
        const float *z = mls_net_logits(&r.net) + n * 7;
        double sum = 0;
        for (int i = 0; i < 7; i++) sum += exp((double)z[i]);
        for (int i = 0; i < 7; i++) {
            const double p = log(sum) - (double)z[i];
            loss += ((i == some_labels[n] ? 0.7 : 0) + 0.3 / 7) * p;
            plain += i == some_labels[n] ? p : 0;
        }
    }
    T_CHECK(fabs(smoothed.loss - loss / 16) < 1e-5 && fabs(tested.loss - plain / 16) < 1e-5);
    T_EQ_INT(smoothed.correct, tested.correct);
    rig_free(&r);
}

/* Without smoothing it is the plain loss, bit for bit. */
static void smooth_loss_of_nothing(void)
{
    const mls_net_desc desc = desc_low(8);
    rig a, b;
    if (!rig_make(&a, &desc, "i8 8 3|c0 8 3 1 1|r1|c2 6 3 1 1|l3 10|z4")) return;
    if (!rig_make(&b, &desc, "i8 8 3|c0 8 3 1 1|r1|c2 6 3 1 1|l3 10|Z4 0")) return;
    train(&a, 0, 3, 8, SMALL_IMAGE, 10), train(&b, 0, 3, 8, SMALL_IMAGE, 10);
    T_CHECK(mls_net_digest(&a.net) == mls_net_digest(&b.net));
    T_EQ_INT(mls_net_checkpoint_size(&a.net, 0), mls_net_checkpoint_size(&b.net, 0));
    rig_free(&a), rig_free(&b);
}

static void mse_of_outputs(void)
{
    const mls_net_desc desc = desc_fp32(16);
    mls_result result, none;
    double loss = 0;
    rig r;
    if (!rig_make(&r, &desc, "i1 1 12|l0 7|Q1")) return;
    make_images(16, 12, 7, 3);
    T_EQ_INT(mls_net_evaluate(&r.net, some_images, wanted(&r), 16, &result), MLS_OK);
    for (int i = 0; i < 16 * 7; i++) {
        loss += pow((double)(mls_net_logits(&r.net)[i] - some_targets[i]), 2) / 7 / 16;
    }
    T_CHECK(fabs(result.loss - loss) < 1e-6 && loss > 0.01);
    T_EQ_INT(result.correct, 0), T_EQ_INT(result.images, 16);
    T_EQ_INT(mls_net_evaluate(&r.net, some_images, NULL, 16, &none), MLS_OK);
    T_CHECK(none.loss == 0); /* targets are for one call */
    rig_free(&r);
}

/* Numbers that depend on the pictures are learnt: the mean of the pixels, and that of their squares. */
static void mse_learns(void)
{
    const mls_net_desc desc = desc_low(16);
    double first = 0, last = 0;
    rig r;
    if (!rig_make(&r, &desc, "i6 6 2|c0 8 3 1 1|n1|G2|c3 8 3 1 1|n4|L5 10|g6|l7 2|Q8")) return;
    for (int step = 0; step < 300; step++) {
        mls_result result;
        make_images(16, 72, 2, (uint64_t)step);
        for (int n = 0; n < 16; n++) {
            const float size = (float)(n % 4) / 3, shift = (float)(n % 5) / 4;
            float mean = 0, square = 0;
            for (int i = 72 * n; i < 72 * (n + 1); i++) {
                some_images[i] = some_images[i] * size + shift;
                mean += some_images[i] / 72, square += some_images[i] * some_images[i] / 72;
            }
            some_targets[2 * n] = mean, some_targets[2 * n + 1] = square;
        }
        T_EQ_INT(mls_net_step(&r.net, some_images, wanted(&r), 16, &sgd, &result), MLS_OK);
        if (step < 10) first += result.loss;
        if (step >= 290) last += result.loss;
    }
    t_note("%g, then %g", first / 10, last / 10);
    T_CHECK(last < 0.05 * first);
    rig_free(&r);
}

/* A loss of one's own may take targets, too. */
static void distance_forward(const mls_work *w)
{
    T_CHECK(w->targets != NULL && w->labels == NULL);
    w->sums[0] = 0;
    for (int32_t i = 0; i < w->out.c; i++) {
        const float d = w->x[0][i] - w->targets[w->image * w->out.c + i];
        w->sums[0] += fabs((double)d);
        if (w->dx[0]) w->dx[0][i] = d > 0 ? 1.0f : -1.0f;
    }
}

static void distance_sum(const mls_work *w)
{
    for (int32_t n = 0; n < w->out.n; n++) w->result->loss += w->sums[2 * n];
}

static void targets_of_a_custom_loss(void)
{
    static const mls_step steps[] = {
        {MLS_IF_LABELS, MLS_EACH, MLS_X, MLS_DX | MLS_SUMS, distance_forward},
        {MLS_IF_LABELS, MLS_AFTER, MLS_SUMS, 0, distance_sum},
        MLS_STEPS_END};
    static const mls_layer_kind distance = {
        "distance", MLS_LOSS | MLS_TARGETS, squares_shape, NULL, steps, NULL, NULL, NULL};
    const mls_net_desc desc = desc_fp32(4);
    mls_result before, after;
    rig r;
    mls_net_begin(&r.net, &desc, r.nodes, 64);
    build(&r.net, "i1 1 4|l0 3");
    mls_net_custom(&r.net, &distance, 1, -1, NULL);
    T_REQUIRE(rig_bind(&r));
    make_images(4, 4, 3, 1);
    T_EQ_INT(mls_net_evaluate(&r.net, some_images, wanted(&r), 4, &before), MLS_OK);
    for (int i = 0; i < 5; i++) {
        T_EQ_INT(mls_net_step(&r.net, some_images, wanted(&r), 4, &plain_sgd, NULL), MLS_OK);
    }
    T_EQ_INT(mls_net_evaluate(&r.net, some_images, wanted(&r), 4, &after), MLS_OK);
    T_CHECK(after.loss < before.loss);
    rig_free(&r);
}

static void targets_refused(void)
{
    const mls_net_desc desc = desc_fp32(4);
    uint64_t digest;
    rig r, classes;
    if (!rig_make(&r, &desc, "i1 1 4|l0 3|Q1") || !rig_make(&classes, &desc, "i1 1 4|l0 3|z1"))
        return;
    make_images(4, 4, 3, 1);
    digest = mls_net_digest(&r.net);
    T_EQ_INT(mls_net_targets(NULL, some_targets), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_step(&r.net, some_images, some_labels, 4, &plain_sgd, NULL),
             MLS_ERROR_ARGUMENT);
    T_CHECK(strstr(r.net.text, "mse loss): it takes mls_net_targets, not labels") != NULL);
    T_EQ_INT(mls_net_step(&r.net, some_images, NULL, 4, &plain_sgd, NULL), MLS_ERROR_ARGUMENT);
    T_CHECK(strstr(r.net.text, "labels or targets") != NULL);
    mls_net_targets(&r.net, some_targets);
    T_EQ_INT(mls_net_step(&r.net, some_images, NULL, 5, &plain_sgd, NULL), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_step(&r.net, some_images, NULL, 4, &plain_sgd, NULL), MLS_ERROR_ARGUMENT);
    some_targets[3 * 2 + 1] = NAN;
    mls_net_targets(&r.net, some_targets);
    T_EQ_INT(mls_net_step(&r.net, some_images, NULL, 4, &plain_sgd, NULL), MLS_ERROR_NONFINITE);
    T_CHECK(strstr(r.net.text, "the targets of image 2 are not finite") != NULL);
    mls_net_targets(&r.net, some_targets); /* those of the images at hand count */
    T_EQ_INT(mls_net_evaluate(&r.net, some_images, NULL, 2, NULL), MLS_OK);
    T_CHECK(mls_net_digest(&r.net) == digest);
    mls_net_targets(&classes.net, some_targets);
    T_EQ_INT(mls_net_gradient(&classes.net, some_images, some_labels, 4, NULL), MLS_ERROR_ARGUMENT);
    T_CHECK(strstr(classes.net.text, "loss): it takes labels, not mls_net_targets") != NULL);
    T_EQ_INT(mls_net_gradient(&classes.net, some_images, some_labels, 4, NULL), MLS_OK);
    rig_free(&r), rig_free(&classes);
}

/* ---- data */

/* Labels of 16 bits and targets are those of the pictures, in the order of the epoch. */
static void data_of_other_labels(void)
{
    static uint16_t wide[200];
    static float targets[600], got[600], pictures[200 * PIC], same[200 * PIC];
    static int32_t classes[200];
    mls_data data = noise_data();
    const mls_augment a = augment_of(1, 1, 1);
    uint64_t rng = 2;
    for (int i = 0; i < 200; i++) wide[i] = (uint16_t)(300 * i);
    for (int i = 0; i < 600; i++) targets[i] = t_uniform(&rng);
    T_EQ_INT(mls_data_batch(&data, &a, 3, 5, 0, 200, pictures, classes), MLS_OK);
    T_EQ_INT(mls_data_batch(&data, &a, 3, 5, 0, 200, same, NULL), MLS_ERROR_ARGUMENT);
    data.labels = NULL;
    T_EQ_INT(mls_data_batch(&data, &a, 3, 5, 0, 200, same, classes), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_data_batch(&data, &a, 3, 5, 10, 50, same, NULL), MLS_OK);
    T_EQ_MEM(same, pictures + 10 * PIC, 50 * PIC * sizeof(float));
    T_EQ_INT(mls_data_labels_16(&data, &a, 3, 5, 0, 200, wide, classes), MLS_OK);
    for (int n = 0; n < 200; n++) T_EQ_INT(classes[n], 300 * mls_data_order(200, 3, 5, n));
    T_EQ_INT(mls_data_labels_16(&data, NULL, 3, 5, 199, 1, wide, classes), MLS_OK);
    T_EQ_INT(classes[0], 300 * 199);
    T_EQ_INT(mls_data_targets(&data, &a, 3, 5, 10, 50, targets, 3, got), MLS_OK);
    for (int n = 0; n < 50; n++) {
        const int32_t at = mls_data_order(200, 3, 5, 10 + n);
        T_EQ_MEM(got + 3 * n, targets + 3 * at, 3 * sizeof(float));
    }
    T_EQ_INT(mls_data_targets(&data, NULL, 3, 5, 10, 50, targets, 3, got), MLS_OK);
    T_EQ_MEM(got, targets + 30, 150 * sizeof(float));
    T_EQ_INT(mls_data_targets(&data, &a, 3, 5, 151, 50, targets, 3, got), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_data_targets(&data, &a, 3, 5, -1, 50, targets, 3, got), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_data_targets(&data, &a, 3, 5, 0, 50, NULL, 3, got), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_data_targets(&data, &a, 3, 5, 0, 50, targets, 0, got), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_data_targets(&data, &a, 3, 5, 0, 50, targets, 3, NULL), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_data_labels_16(&data, &a, 3, 5, 151, 50, wide, classes), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_data_labels_16(&data, &a, 3, 5, 0, 50, NULL, classes), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_data_labels_16(NULL, &a, 3, 5, 0, 50, wide, classes), MLS_ERROR_ARGUMENT);
}

#define ACTIVATIONS_TESTS                                                                          \
    T_TEST(activations_of_every_unit), T_TEST(activations_are_their_formulas),                     \
        T_TEST(dropout_is_of_its_bits), T_TEST(activations_have_one_answer),                       \
        T_TEST(activations_in_inference), T_TEST(amounts_refused), T_TEST(amounts_in_checkpoints), \
        T_TEST(smooth_loss_of_logits), T_TEST(smooth_loss_of_nothing), T_TEST(mse_of_outputs),     \
        T_TEST(mse_learns), T_TEST(targets_of_a_custom_loss), T_TEST(targets_refused),             \
        T_TEST(data_of_other_labels)
