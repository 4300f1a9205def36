/* Each product takes the formats that it was given, and there is one answer for all kernels and thread
   counts, in an arena of the planned size. */

/* An operand by hand: its tensor, and its numbers again. */
typedef struct operand {
    mls_tensor t;
    void *memory;
    float x[SMALL];
    int low;
} operand;

static void operand_make(operand *o, mls_format f, mls_shape s, const float *x, uint64_t seed)
{
    size_t count = (size_t)s.n * (size_t)s.h * (size_t)s.w * (size_t)s.c;
    memset(o, 0, sizeof *o);
    memcpy(o->x, x, count * sizeof(float));
    o->low = f.ex + f.mx > 0;
    if (!o->low) return;
    o->memory = t_alloc(mls_tensor_size(f, s));
    T_EQ_INT(mls_tensor_init(&o->t, f, s, o->memory, mls_tensor_size(f, s)), MLS_OK);
    T_EQ_INT(mls_quantize(&o->t, x, seed), MLS_OK);
    T_EQ_INT(mls_dequantize(&o->t, o->x), MLS_OK);
}

static const char *const by_product[] = {
    "2,1",
    "2,1 w.data=2,4",
    "2,1 a.weight=0,7:n:2,0",
    "2,1 e.weight=2,4:c:1,0",
    "2,1:nc:2,0:stochastic w.data=2,1:nc:2,0:nearest a.weight=2,1:nc:2,0:nearest",
    "2,1 e.weight=2,1:n:2,0:stochastic",
    "w=2,1 a=2,4 e=3,1 w.data=0,3:n:1,0 a.weight=0,5:c e.weight=2,3:nc:3,1",
    "shiftquant-4",
    "shiftquant-6",
    "2,1 a.weight=fp32 e.weight=fp32",
    "2,1 w.data=fp32",
    "2,1 e.weight=fp32",
    "w=2,4 a=fp32 e=2,1 w.data=0,3:n:2,0 a.weight=2,1 e.weight=2,4",
    "fp32 a.weight=2,1 e.weight=2,4",
    "fp32 w.data=2,1",
    "w=2,1 a=2,1 e=fp32 w.data=2,4 a.weight=2,4",
};
enum {
    BY_PRODUCT = sizeof by_product / sizeof *by_product
};

/* Seeds of the convolution's operands in its first product, and in the second. */
static uint64_t seed_of(int o)
{
    const uint64_t seed = mls_seed(mls_seed(5, 0), UNDER_TEST * 4 + (uint64_t)(o % 3));
    return o < 3 ? seed : mls_seed(seed, 1);
}

static void check_products(const rig *r, const char *text)
{
    static operand of[6];
    static float out[SMALL], workspace[1 << 16];
    const mls_conv *conv = &r->nodes[UNDER_TEST].conv;
    const mls_shape z = mls_conv_output(conv), w = mls_conv_weight_shape(conv);
    const mls_shape shapes[] = {w, conv->in, z};
    const mls_formats formats = formats_of(text);
    size_t count;
    const float *weights = mls_net_weights((mls_net *)&r->net, UNDER_TEST, 0, &count);
    const float *gradient = mls_net_gradients((mls_net *)&r->net, UNDER_TEST, 0, NULL);
    const float *values[3];
    mls_format f[6];
    values[0] = weights, values[1] = taps[0].x, values[2] = taps[1].dy;
    six_of(&formats, f);
    for (int o = 0; o < 6; o++) {
        const int same = o >= 3 && memcmp(&f[o], &f[o - 3], sizeof *f) == 0;
        operand_make(&of[o], f[o], shapes[o % 3], values[o % 3], seed_of(same ? o - 3 : o));
    }
    if (of[0].low && of[1].low) {
        T_EQ_INT(mls_conv_forward(conv, &of[0].t, &of[1].t, out, workspace, sizeof workspace), 0);
    } else {
        T_EQ_INT(mls_conv_forward_fp32(conv, of[0].x, of[1].x, out, workspace, sizeof workspace),
                 0);
    }
    T_EQ_MEM(taps[1].x, out, (size_t)z.n * (size_t)(z.h * z.w * z.c) * sizeof(float));
    if (of[3].low && of[2].low) {
        T_EQ_INT(mls_conv_backward_data(conv, &of[3].t, &of[2].t, out, workspace, sizeof workspace),
                 0);
    } else {
        T_EQ_INT(
            mls_conv_backward_data_fp32(conv, of[3].x, of[2].x, out, workspace, sizeof workspace),
            0);
    }
    T_EQ_MEM(taps[0].dy, out,
             (size_t)conv->in.n * (size_t)(conv->in.h * conv->in.w * conv->in.c) * sizeof(float));
    if (of[5].low && of[4].low) {
        T_EQ_INT(
            mls_conv_backward_weight(conv, &of[5].t, &of[4].t, out, workspace, sizeof workspace),
            0);
    } else {
        T_EQ_INT(
            mls_conv_backward_weight_fp32(conv, of[5].x, of[4].x, out, workspace, sizeof workspace),
            0);
    }
    T_EQ_MEM(gradient, out, count * sizeof(float));
    for (int o = 0; o < 6; o++) t_free(of[o].memory);
}

/* Every kernel and thread count, with images whose codes threads can write apart (4 channels of 16
   pixels) and cannot. */
static void products_take_their_formats(void)
{
    static const int sizes[][4] = {{4, 4, 4, 1}, {5, 3, 3, 1}, {4, 4, 4, 2}};
    static rig r;
    for (int i = 0; i < BY_PRODUCT * 3; i++) {
        const int *s = sizes[i % 3], count = mls_kernel_count();
        for (int k = 0; k < count; k++) {
            t_note("%s, %dx%dx%d, %s", by_product[i / 3], s[0], s[1], s[2], mls_kernel_name(k));
            mls_kernel_use(mls_kernel_name(k));
            threads(1 + (i + k) % 3);
            make_trial_images((uint64_t)i);
            T_REQUIRE(trial_taps(&r, by_product[i / 3], s[0], s[1], s[2], s[3]));
            T_EQ_INT(mls_net_gradient(&r.net, trial_images, trial_labels, TRIAL_BATCH, NULL),
                     MLS_OK);
            threads(1);
            check_products(&r, by_product[i / 3]);
            rig_free(&r);
        }
    }
    mls_kernel_use("auto");
}

/* Trainings of by_product: one digest by all kernels and thread counts, another one for each of the
   formats; what has the same formats in both products is the same network, and shares its memory. */
static void formats_have_one_answer(void)
{
    static rig r;
    uint64_t digests[BY_PRODUCT];
    for (int i = 0; i < BY_PRODUCT; i++) {
        digests[i] = 0;
        for (int k = 0; k < mls_kernel_count(); k++) {
            t_note("%s, %s", by_product[i], mls_kernel_name(k));
            mls_kernel_use(mls_kernel_name(k));
            threads(1 + (i + k) % 4);
            T_REQUIRE(trial_make(&r, by_product[i], NULL));
            steps(&r, 3);
            if (!k) digests[i] = mls_net_digest(&r.net);
            T_CHECK(mls_net_digest(&r.net) == digests[i]);
            rig_free(&r);
        }
        for (int j = 0; j < i; j++) T_CHECK(digests[j] != digests[i]);
    }
    mls_kernel_use("auto");
    threads(1);
    t_note("2,1");
    T_REQUIRE(trial_make(&r, "2,1", NULL));
    rig_free(&r);
    size_t memory = r.plan.arena;
    T_REQUIRE(trial_make(&r, "2,1 e.weight=2,1 a.weight=2,1 w.data=2,1", NULL));
    T_CHECK(r.plan.arena == memory);
    steps(&r, 3);
    T_CHECK(mls_net_digest(&r.net) == digests[0]);
    rig_free(&r);
}

/* What no product takes costs nothing: the first layer needs no error for backward-data, however wide. */
static void arena_of_formats(void)
{
    static rig r;
    size_t arenas[3];
    static const char *const first[] = {"e=2,10 e.weight=2,1", "e=2,1:nearest e.weight=2,1", "2,1"};
    for (int i = 0; i < 3; i++) {
        mls_net_desc desc;
        mls_conv_desc conv;
        memset(&r, 0, sizeof r), memset(&desc, 0, sizeof desc), memset(&conv, 0, sizeof conv);
        desc.batch = TRIAL_BATCH, desc.formats = formats_of(first[i]), desc.quantize_first = 1;
        mls_net_begin(&r.net, &desc, r.nodes, NODES);
        conv.c_out = 40, conv.kh = 1;
        mls_net_loss(
            &r.net,
            mls_net_linear(&r.net, mls_net_conv(&r.net, mls_net_input(&r.net, 6, 6, 2), &conv), 3));
        T_REQUIRE(rig_bind(&r));
        arenas[i] = r.plan.values;
        rig_free(&r);
    }
    T_EQ_INT(arenas[0], arenas[2]);
    T_EQ_INT(arenas[1], arenas[2]);
}

/* An image has the same logits alone and in the batch, whatever was trained in between. */
static void formats_evaluated_alone(void)
{
    static rig r;
    for (int i = 0; i < BY_PRODUCT; i++) {
        float all[TRIAL_BATCH * 3];
        t_note("%s", by_product[i]);
        threads(1 + i % 3);
        T_REQUIRE(trial_make(&r, by_product[i], NULL));
        steps(&r, 2);
        T_EQ_INT(mls_net_evaluate(&r.net, trial_images, trial_labels, TRIAL_BATCH, NULL), MLS_OK);
        memcpy(all, mls_net_logits(&r.net), sizeof all);
        for (int n = 0; n < TRIAL_BATCH; n++) {
            T_EQ_INT(mls_net_evaluate(&r.net, trial_images + n * 6 * 6 * 2, NULL, 1, NULL), MLS_OK);
            T_EQ_MEM(all + 3 * n, mls_net_logits(&r.net), 3 * sizeof(float));
        }
        rig_free(&r);
    }
    threads(1);
}

#define PRODUCTS_TESTS                                                    \
    T_TEST(products_take_their_formats), T_TEST(formats_have_one_answer), \
        T_TEST(arena_of_formats), T_TEST(formats_evaluated_alone)
