/* A convolution behind a batch norm and a relu begins before its input is there, and knows the largest
   magnitudes from the ends of what is normalized; the answer is the one of a network where another layer
   stands between them, which does nothing. */

typedef struct fused {
    mls_net net;
    mls_node nodes[8];
    void *arena;
    int32_t normal, conv;
} fused;

enum {
    FUSED_BATCH = 5,
    FUSED_SIDE = 6
};

static int fused_make(fused *r, const char *formats, int32_t c, int relu, int apart)
{
    mls_net_desc desc;
    mls_conv_desc conv;
    mls_plan plan;
    size_t count;
    float *w;
    int32_t x;
    memset(r, 0, sizeof *r), memset(&desc, 0, sizeof desc), memset(&conv, 0, sizeof conv);
    desc.batch = FUSED_BATCH, desc.seed = 9, desc.formats = formats_of(formats);
    mls_net_begin(&r->net, &desc, r->nodes, 8);
    conv.c_out = c, conv.kh = 3, conv.pad = 1;
    x = mls_net_conv(&r->net, mls_net_input(&r->net, FUSED_SIDE, FUSED_SIDE, 2), &conv);
    if (!apart) x = mls_net_subsample(&r->net, x, 1, c);
    x = r->normal = mls_net_batch_norm(&r->net, x);
    if (relu) x = mls_net_relu(&r->net, x);
    if (apart) x = mls_net_subsample(&r->net, x, 1, c);
    conv.c_out = 3;
    x = r->conv = mls_net_conv(&r->net, x, &conv);
    mls_net_loss(&r->net, mls_net_global_pool(&r->net, x));
    if (mls_net_plan(&r->net, &plan) != MLS_OK) t_fail(__FILE__, __LINE__, "%s", r->net.text);
    r->arena = t_alloc(plan.arena);
    T_EQ_INT(mls_net_bind(&r->net, r->arena, plan.arena), MLS_OK);
    T_EQ_INT((r->nodes[r->conv].facts & MLS__IF_EARLY) == 0, apart);
    w = mls_net_weights(&r->net, r->normal, 0, &count);
    for (size_t i = 0; i < count; i++)
        w[i] = (float)((int)i % 5 - 2) / 2; /* falling, flat, rising */
    w = mls_net_weights(&r->net, r->normal, 1, &count);
    for (size_t i = 0; i < count; i++) w[i] = (float)((int)i % 3 - 1) / 8;
    return r->net.status == MLS_OK;
}

static float fused_x[FUSED_BATCH * FUSED_SIDE * FUSED_SIDE * 2];
static int32_t fused_y[FUSED_BATCH];

static void fused_batch(int step)
{
    uint64_t rng = 70 + (uint64_t)step;
    for (int i = 0; i < FUSED_BATCH * FUSED_SIDE * FUSED_SIDE * 2; i++)
        fused_x[i] = t_uniform(&rng) * (float)(1 + i % 3);
    for (int i = 0; i < FUSED_BATCH; i++) fused_y[i] = t_below(&rng, 3);
}

static void fused_same(fused *r)
{
    const mls_sgd sgd = {0.1f, 0.9f, 5e-4f, 0};
    for (int step = 0; step < 6; step++) {
        const int32_t count = step % 2 ? FUSED_BATCH - 2 : FUSED_BATCH;
        fused_batch(step);
        for (int k = 0; k < 2; k++) {
            mls_net *one = &r[k].net;
            const mls_status status = step == 2
                                          ? mls_net_evaluate(one, fused_x, fused_y, count, NULL)
                                          : mls_net_step(one, fused_x, fused_y, count, &sgd, NULL);
            if (status != MLS_OK) t_fail(__FILE__, __LINE__, "%s", one->text);
        }
        T_EQ_MEM(mls_net_logits(&r[0].net), mls_net_logits(&r[1].net),
                 (size_t)count * 3 * sizeof(float));
        T_CHECK(mls_net_digest(&r[0].net) == mls_net_digest(&r[1].net));
    }
}

static void fused_is_unfused(void)
{
    static const char *const formats[] = {"2,1",
                                          "2,1:nc:2,0",
                                          "w=2,1 a=2,4:n:1,0 e=3,1",
                                          "0,4:none",
                                          "paper-2,1",
                                          "2,1 a.weight=0,7:c:2,0",
                                          "w=2,1 a=2,1 e=fp32",
                                          "w=2,1 a=fp32 e=2,1 a.weight=2,1",
                                          "fp32"};
    for (size_t i = 0; i < 4 * sizeof formats / sizeof *formats; i++) {
        fused r[2];
        const int32_t c = i % 2 ? 16 : 19;
        t_note("%s, %d channels, %s", formats[i / 4], (int)c, i / 2 % 2 ? "relu" : "no relu");
        if (fused_make(&r[0], formats[i / 4], c, i / 2 % 2, 0) &&
            fused_make(&r[1], formats[i / 4], c, i / 2 % 2, 1)) {
            fused_same(r);
        }
        t_free(r[0].arena), t_free(r[1].arena);
    }
}

/* What is not finite is found as before, and the same layer is named. */
static void fused_not_finite(void)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY, 3e38f};
    const mls_sgd sgd = {0.1f, 0.9f, 5e-4f, 0};
    for (int i = 0; i < 16; i++) {
        fused r[2];
        t_note("%s %g", i / 8 ? "shift" : "scale", (double)bad[i % 4]);
        for (int k = 0; k < 2; k++) {
            if (!fused_make(&r[k], "2,1", 16, i / 4 % 2, k)) return;
            mls_net_weights(&r[k].net, r[k].normal, i / 8, NULL)[3] = bad[i % 4];
            fused_batch(0);
            mls_net_step(&r[k].net, fused_x, fused_y, FUSED_BATCH, &sgd, NULL);
        }
        T_EQ_INT(r[0].net.status, r[1].net.status);
        T_CHECK(i % 4 > 1 || r[0].net.status == MLS_ERROR_NONFINITE);
        T_CHECK(strcmp(r[0].net.text, r[1].net.text) == 0);
        t_free(r[0].arena), t_free(r[1].arena);
    }
}

#define FUSED_TESTS T_TEST(fused_is_unfused), T_TEST(fused_not_finite)
