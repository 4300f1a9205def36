/* Networks, formats and calls that are none are refused with a text that names the offending thing. */

/* A network that must be refused when it is built or planned, and what its text must contain. */
typedef struct refusal {
    const char *net, *text;
    mls_status status;
} refusal;

static void networks_refused(void)
{
    static const refusal refused[] = {
        {"i8 8 3|c0 8 3 1 1|l1 4|z2|r3", "does not exist or is the loss", MLS_ERROR_ARGUMENT},
        {"i8 8 3|c5 8 3 1 1", "does not exist", MLS_ERROR_ARGUMENT},
        {"i8 8 3|r-1", "does not exist", MLS_ERROR_ARGUMENT},
        {"i8 8 3|a0 1", "does not exist", MLS_ERROR_ARGUMENT},
        {"i8 8 3|a0 -1", "does not exist", MLS_ERROR_ARGUMENT},
        {"i0 8 3", "node 0 (input): height, width and channels must be positive", MLS_ERROR_SHAPE},
        {"i8 -8 3", "node 0 (input)", MLS_ERROR_SHAPE},
        {"i2147483647 2147483647 2147483647", "node 0 (input): its output is too large",
         MLS_ERROR_SHAPE},
        {"i8 8 3|i8 8 3", "first node", MLS_ERROR_STATE},
        {"i8 8 3|c0 0 3 1 1", "node 1 (convolution): it needs at least one output channel",
         MLS_ERROR_SHAPE},
        {"i8 8 3|c0 8 0 1 1", "node 1 (convolution): its window needs a height", MLS_ERROR_SHAPE},
        {"i8 8 3|c0 8 9 1 0", "node 1 (convolution): its window is larger than its input",
         MLS_ERROR_SHAPE},
        {"i8 8 3|c0 8 3 -1 1", "node 1 (convolution): its stride", MLS_ERROR_SHAPE},
        {"i8 8 3|d0 8 3 3 1 -1", "node 1 (convolution): its stride must", MLS_ERROR_SHAPE},
        {"i8 8 3|d0 8 3 3 1 1 -1", "node 1 (convolution): its dilation must", MLS_ERROR_SHAPE},
        {"i8 8 3|d0 8 3 3 1 1 4 1", "node 1 (convolution): its window is larger", MLS_ERROR_SHAPE},
        {"i8 8 3|d0 8 3 3 1 1 1 1 2", "node 1 (convolution): its groups do not divide its input",
         MLS_ERROR_SHAPE},
        {"i8 8 4|d0 6 3 3 1 1 1 1 4", "node 1 (convolution): its groups do not divide its output",
         MLS_ERROR_SHAPE},
        {"i8 8 3|d0 8 3 3 1 1 1 1 1 -1", "node 1 (convolution): its padding must", MLS_ERROR_SHAPE},
        {"i8 8 3|c0 8 3 1 -1", "node 1 (convolution): its padding", MLS_ERROR_SHAPE},
        {"i8 8 3|c0 8 3 1 1|c0 9 3 1 1|a1 2", "node 3 (add): its inputs differ", MLS_ERROR_SHAPE},
        {"i8 8 3|c0 8 3 1 1|c0 8 3 2 1|a1 2|l3 2|z4", "node 3 (add)", MLS_ERROR_SHAPE},
        {"i8 8 3|c0 8 3 1 1|c0 9 3 2 1|k1 2", "node 3 (concat): its inputs differ in height",
         MLS_ERROR_SHAPE},
        {"i8 8 3|c0 8 3 1 1|c0 9 3 1 1|x1 2", "node 3 (product): it needs inputs of one shape",
         MLS_ERROR_SHAPE},
        {"i8 8 3|m0 9 1", "node 1 (max pool): its window is larger", MLS_ERROR_SHAPE},
        {"i8 8 3|m0 0 1", "node 1 (max pool): its window needs", MLS_ERROR_SHAPE},
        {"i8 8 3|m0 2 2 2", "node 1 (max pool): its padding must be smaller", MLS_ERROR_SHAPE},
        {"i8 8 3|v0 2 -2", "node 1 (average pool): its stride", MLS_ERROR_SHAPE},
        {"i8 8 3|v0 3 1 -1", "node 1 (average pool): its padding", MLS_ERROR_SHAPE},
        {"i8 8 3|s0 0 3", "node 1 (subsample): its stride", MLS_ERROR_SHAPE},
        {"i8 8 3|s0 2 2", "node 1 (subsample): it cannot have fewer", MLS_ERROR_SHAPE},
        {"i8 8 3|l0 0", "node 1 (linear): it needs at least one output", MLS_ERROR_SHAPE},
        {"i8 8 3|l0 -4", "node 1 (linear)", MLS_ERROR_SHAPE},
        {"i8 8 3|z0", "node 1 (loss): it needs computed scores", MLS_ERROR_SHAPE},
        {"i1 1 4|z0", "node 1 (loss): it needs computed scores", MLS_ERROR_SHAPE},
        {"i8 8 3|l0 1|z1", "node 2 (loss): it needs at least two classes", MLS_ERROR_SHAPE},
        {"i8 8 3|c0 8 3 1 1|z1", "node 2 (loss): it needs one pixel", MLS_ERROR_SHAPE},
        {"", "last node must be a loss", MLS_ERROR_STATE},
        {"i8 8 3|l0 4", "last node must be a loss", MLS_ERROR_STATE},
        {"i8 8 3|c0 8 3 1 1|c0 8 3 1 1|l2 4|z3", "node 1 (convolution): nothing uses it",
         MLS_ERROR_STATE},
        {"i8 8 3|r0|n0|l0 4|z3", "node 1 (relu): nothing uses it", MLS_ERROR_STATE},
    };
    mls_net_desc desc = desc_fp32(2);
    rig r;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        t_note("%s", refused[i].net);
        mls_net_begin(&r.net, &desc, r.nodes, 64);
        build(&r.net, refused[i].net);
        T_EQ_INT(mls_net_plan(&r.net, NULL), refused[i].status);
        T_EQ_INT(r.net.status, refused[i].status);
        if (!strstr(r.net.text, refused[i].text)) {
            t_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", r.net.text, refused[i].text);
        }
        T_CHECK(mls_net_bind(&r.net, some_images, sizeof some_images) != MLS_OK);
        T_CHECK(mls_net_step(&r.net, some_images, some_labels, 1, &plain_sgd, NULL) != MLS_OK);
        T_CHECK(mls_net_digest(&r.net) == 0 && mls_net_logits(&r.net) == NULL);
    }
}

static void begin_refused(void)
{
    mls_net_desc desc = desc_fp32(2), bad;
    mls_node nodes[3];
    mls_net net;
    T_EQ_INT(mls_net_begin(NULL, &desc, nodes, 3), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_begin(&net, NULL, nodes, 3), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_begin(&net, &desc, NULL, 3), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_begin(&net, &desc, nodes, 0), MLS_ERROR_ARGUMENT);
    T_CHECK(mls_net_input(&net, 8, 8, 3) == -1 && mls_net_plan(&net, NULL) == MLS_ERROR_ARGUMENT);
    for (int i = 0; i < 6; i++) {
        bad = desc;
        if (i == 0) bad.batch = 0;
        if (i == 1) bad.batch = -3;
        if (i == 2) bad.bn_momentum = -0.5f;
        if (i == 3) bad.bn_momentum = 1.5f;
        if (i == 4) bad.bn_epsilon = -1;
        if (i == 5) bad.bn_momentum = NAN;
        T_EQ_INT(mls_net_begin(&net, &bad, nodes, 3), MLS_ERROR_ARGUMENT);
        T_CHECK(net.text[0] != 0);
    }
    T_EQ_INT(mls_net_begin(&net, &desc, nodes, 3), MLS_OK); /* one node too few */
    T_EQ_INT(mls_net_input(&net, 8, 8, 3), 0);
    T_EQ_INT(mls_net_relu(&net, 0), 1);
    T_EQ_INT(mls_net_linear(&net, 1, 4), 2);
    T_EQ_INT(mls_net_loss(&net, 2), -1);
    T_EQ_INT(net.status, MLS_ERROR_MEMORY);
    T_EQ_INT(mls_net_plan(&net, NULL), MLS_ERROR_MEMORY);
    T_EQ_INT(mls_net_begin(&net, &desc, nodes, 3), MLS_OK);
    T_EQ_INT(mls_net_input(&net, 8, 8, 3), 0);
    T_EQ_INT(mls_net_conv(&net, 0, NULL), -1);
    T_EQ_INT(net.status, MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_relu(NULL, 0), -1);
    T_EQ_INT(mls_net_conv(NULL, 0, NULL), -1);
    T_EQ_INT(mls_net_add(NULL, 0, -1), -1);
    T_EQ_INT(mls_net_input(NULL, 1, 1, 1), -1);
    T_EQ_INT(mls_net_plan(NULL, NULL), MLS_ERROR_ARGUMENT);
}

/* Formats that are none, and sums that cannot be exact. */
static void formats_refused(void)
{
    mls_net_desc desc = desc_low(2);
    mls_format wide_format = {5, 10, 8, 1, MLS_GROUP_NC, MLS_ROUND_NEAREST, MLS_RANGE_FIT};
    rig r;
    desc.formats.activation.ex = 7;
    mls_net_begin(&r.net, &desc, r.nodes, 64);
    build(&r.net, small_net);
    T_EQ_INT(mls_net_plan(&r.net, NULL), MLS_ERROR_FORMAT);
    T_CHECK(strstr(r.net.text, "node 4 (convolution)") != NULL);
    desc.formats.weight = desc.formats.activation = desc.formats.error = wide_format;
    mls_net_begin(&r.net, &desc, r.nodes, 64);
    build(&r.net, "i8 8 3|c0 1024 1|r1|c2 2 3 1 1|l3 2|z4");
    T_EQ_INT(mls_net_plan(&r.net, NULL), MLS_ERROR_RANGE);
    T_CHECK(strstr(r.net.text, "node 3 (convolution): forward: 9216 products") != NULL);
}

static void calls_out_of_order(void)
{
    mls_net_desc desc = desc_fp32(2);
    mls_result result;
    rig r;
    make_images(2, SMALL_IMAGE, 10, 1);
    mls_net_begin(&r.net, &desc, r.nodes, 64);
    build(&r.net, small_net);
    T_EQ_INT(mls_net_step(&r.net, some_images, some_labels, 2, &plain_sgd, NULL), MLS_ERROR_STATE);
    T_CHECK(strstr(r.net.text, "mls_net_bind") != NULL);
    mls_net_begin(&r.net, &desc, r.nodes, 64);
    build(&r.net, small_net);
    T_EQ_INT(mls_net_bind(&r.net, some_images, sizeof some_images), MLS_ERROR_STATE);
    T_CHECK(strstr(r.net.text, "mls_net_plan") != NULL);
    mls_net_begin(&r.net, &desc, r.nodes, 64);
    build(&r.net, small_net);
    T_EQ_INT(mls_net_plan(&r.net, &r.plan), MLS_OK);
    T_EQ_INT(mls_net_evaluate(&r.net, some_images, some_labels, 2, &result), MLS_ERROR_STATE);
    T_EQ_INT(mls_net_update(&r.net, &plain_sgd), MLS_ERROR_STATE);
    T_EQ_INT(mls_net_checkpoint_size(&r.net, 0), 0);
    T_CHECK(mls_net_digest(&r.net) == 0);
    mls_net_begin(&r.net, &desc, r.nodes, 64);
    build(&r.net, small_net);
    T_EQ_INT(mls_net_plan(&r.net, &r.plan), MLS_OK);
    T_EQ_INT(mls_net_plan(&r.net, &r.plan), MLS_ERROR_STATE); /* twice */
    if (!rig_make(&r, &desc, small_net)) return;
    T_EQ_INT(mls_net_relu(&r.net, 0), -1); /* building after planning */
    T_EQ_INT(r.net.status, MLS_ERROR_STATE);
    T_CHECK(strstr(r.net.text, "planned") != NULL);
    T_EQ_INT(mls_net_update(&r.net, &plain_sgd), MLS_ERROR_STATE); /* no gradient yet */
    T_EQ_INT(mls_net_step(&r.net, some_images, some_labels, 2, &plain_sgd, NULL), MLS_OK);
    T_EQ_INT(r.net.status, MLS_OK);
    T_EQ_INT(mls_net_update(&r.net, &plain_sgd), MLS_ERROR_STATE); /* nothing since */
    T_EQ_INT(mls_net_plan(&r.net, &r.plan), MLS_ERROR_STATE);
    rig_free(&r);
}

static void wrong_arguments(void)
{
    mls_net_desc desc = desc_fp32(4);
    int32_t labels[4] = {0, 9, 3, 10};
    uint64_t digest;
    rig r;
    if (!rig_make(&r, &desc, small_net)) return;
    train(&r, 0, 1, 4, SMALL_IMAGE, 10);
    digest = mls_net_digest(&r.net);
    T_EQ_INT(mls_net_step(&r.net, some_images, labels, 4, &plain_sgd, NULL), MLS_ERROR_ARGUMENT);
    T_CHECK(strcmp(r.net.text, "label 10 of image 3 is out of range") == 0);
    labels[1] = -1;
    T_EQ_INT(mls_net_evaluate(&r.net, some_images, labels, 4, NULL), MLS_ERROR_ARGUMENT);
    T_CHECK(strcmp(r.net.text, "label -1 of image 1 is out of range") == 0);
    T_EQ_INT(mls_net_gradient(&r.net, some_images, labels, 1, NULL), MLS_OK); /* 0 is fine */
    T_EQ_INT(mls_net_update(&r.net, NULL), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_update(NULL, &plain_sgd), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_gradient(&r.net, some_images, some_labels, 5, NULL), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_gradient(&r.net, some_images, some_labels, 0, NULL), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_gradient(&r.net, some_images, some_labels, -1, NULL), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_gradient(&r.net, NULL, some_labels, 1, NULL), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_gradient(&r.net, some_images, NULL, 1, NULL), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_gradient(NULL, some_images, some_labels, 1, NULL), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_evaluate(NULL, some_images, some_labels, 1, NULL), MLS_ERROR_ARGUMENT);
    T_CHECK(mls_net_digest(NULL) == 0 && mls_net_logits(NULL) == NULL);
    rig_free(&r);
    if (!rig_make(&r, &desc, small_net)) return;
    train(&r, 0, 1, 4, SMALL_IMAGE, 10);
    T_CHECK(mls_net_digest(&r.net) == digest);
    rig_free(&r);
}

#define REFUSED_TESTS                                                         \
    T_TEST(networks_refused), T_TEST(begin_refused), T_TEST(formats_refused), \
        T_TEST(calls_out_of_order), T_TEST(wrong_arguments)
