/* What is not finite is found at the first step that meets it and named; nothing is trained on it. */

static int text_names(const mls_net *net, const char *step)
{
    return strstr(net->text, step) != NULL && strstr(net->text, "node ") != NULL;
}

static void nonfinite_images(void)
{
    static float before[8192], after[8192];
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 18; i++) {
        mls_net_desc desc = i / 3 % 3 ? desc_low(4) : desc_fp32(4);
        const char *text = i < 9 ? small_net : plain_net;
        size_t count;
        uint64_t digest;
        rig r;
        desc.quantize_first = i / 3 % 3 == 2;
        t_note("%s, %g, %s", text, (double)bad[i % 3], i / 3 % 3 ? "quantized" : "fp32");
        if (!rig_make(&r, &desc, text)) return;
        train(&r, 0, 2, 4, SMALL_IMAGE, 10);
        count = rig_weights(&r, before);
        digest = mls_net_digest(&r.net);
        make_images(4, SMALL_IMAGE, 10, 1);
        some_images[2 * SMALL_IMAGE + 77] = bad[i % 3];
        T_EQ_INT(mls_net_evaluate(&r.net, some_images, some_labels, 4, NULL), MLS_ERROR_NONFINITE);
        T_CHECK(strstr(r.net.text, "step 2, image 2 of the input is not finite") != NULL);
        T_EQ_INT(mls_net_evaluate(&r.net, some_images, NULL, 4, NULL), MLS_ERROR_NONFINITE);
        T_CHECK(strstr(r.net.text, "step 2, image 2 of the input is not finite") != NULL);
        T_CHECK(mls_net_digest(&r.net) == digest);
        T_EQ_INT(mls_net_step(&r.net, some_images, some_labels, 4, &plain_sgd, NULL),
                 MLS_ERROR_NONFINITE);
        T_EQ_INT(r.net.status, MLS_ERROR_NONFINITE);
        T_CHECK(strstr(r.net.text, "step 2, image 2 of the input is not finite") != NULL);
        T_EQ_INT(rig_weights(&r, after), count);
        T_EQ_MEM(after, before, count * sizeof(float));
        T_EQ_INT(r.net.step, 2), T_EQ_INT(r.net.updates, 2);
        T_CHECK(mls_net_digest(&r.net) == digest); /* running statistics included */
        rig_free(&r);
    }
}

/* Weights of every layer, one of them not finite: found, and the layer is named. */
static void nonfinite_weights(void)
{
    static const float bad[] = {NAN, INFINITY};
    for (int i = 0; i < 4; i++) {
        mls_net_desc desc = i / 2 ? desc_low(4) : desc_fp32(4);
        for (int node = 0; node < 14; node++) {
            char name[32];
            size_t count;
            float *w;
            rig r;
            if (!rig_make(&r, &desc, small_net)) return;
            w = mls_net_weights(&r.net, node, 0, &count);
            if (w) {
                t_note("node %d, %g, %s", node, (double)bad[i % 2], i / 2 ? "quantized" : "fp32");
                make_images(4, SMALL_IMAGE, 10, 1);
                w[count / 2] = bad[i % 2];
                T_EQ_INT(mls_net_step(&r.net, some_images, some_labels, 4, &plain_sgd, NULL),
                         MLS_ERROR_NONFINITE);
                snprintf(name, sizeof name, "step 0, node %d (", node);
                /* a quantized reader of the layer may be the one that notices */
                T_CHECK(i / 2 ? text_names(&r.net, "step 0, ") : strstr(r.net.text, name) != NULL);
                T_EQ_INT(r.net.step, 0);
            }
            rig_free(&r);
        }
    }
}

/* One logit that is not a number, of neither the first class nor the label. */
static void nonfinite_logit(void)
{
    for (int class_number = 0; class_number < 10; class_number++) {
        for (int label = 0; label < 10; label += 3) {
            mls_net_desc desc = desc_fp32(2);
            size_t count;
            float *bias;
            rig r;
            if (!rig_make(&r, &desc, plain_net)) return;
            make_images(2, SMALL_IMAGE, 10, 1);
            some_labels[0] = some_labels[1] = label;
            bias = mls_net_weights(&r.net, 6, 1, &count);
            T_REQUIRE(bias != NULL && count == 10);
            bias[class_number] = NAN;
            t_note("logit %d, label %d", class_number, label);
            T_EQ_INT(mls_net_step(&r.net, some_images, some_labels, 2, &plain_sgd, NULL),
                     MLS_ERROR_NONFINITE);
            T_EQ_INT(mls_net_evaluate(&r.net, some_images, some_labels, 2, NULL),
                     MLS_ERROR_NONFINITE);
            rig_free(&r);
        }
    }
}

/* A gradient that overflows in the backward pass: it is dropped, with what was there before. */
static void nonfinite_gradient(void)
{
    mls_net_desc desc = desc_fp32(4);
    size_t count;
    const float *g;
    rig a, b;
    if (!rig_make(&a, &desc, "i1 1 4|l0 2|z1") || !rig_make(&b, &desc, "i1 1 4|l0 2|z1")) return;
    memset(mls_net_weights(&a.net, 1, 0, NULL), 0, 8 * sizeof(float));
    memset(mls_net_weights(&b.net, 1, 0, NULL), 0, 8 * sizeof(float));
    make_images(4, 4, 2, 1);
    T_EQ_INT(mls_net_gradient(&a.net, some_images, some_labels, 4, NULL), MLS_OK);
    for (int i = 0; i < 16; i++) some_images[i] = 3e38f;
    for (int i = 0; i < 4; i++) some_labels[i] = 0;
    T_EQ_INT(mls_net_gradient(&a.net, some_images, some_labels, 4, NULL), MLS_ERROR_NONFINITE);
    T_CHECK(strstr(a.net.text, "step 1, node 1 (linear)") != NULL);
    g = mls_net_gradients(&a.net, 1, 0, &count);
    for (size_t i = 0; i < count; i++) T_CHECK(g[i] == 0);
    T_EQ_INT(mls_net_update(&a.net, &plain_sgd), MLS_ERROR_STATE);
    a.net.step = 0; /* fp32 does not depend on it, the digest does */
    train(&a, 0, 2, 4, 4, 2), train(&b, 0, 2, 4, 4, 2);
    T_CHECK(mls_net_digest(&a.net) == mls_net_digest(&b.net));
    rig_free(&a), rig_free(&b);
}

#define NONFINITE_TESTS                                                           \
    T_TEST(nonfinite_images), T_TEST(nonfinite_weights), T_TEST(nonfinite_logit), \
        T_TEST(nonfinite_gradient)
