/* Blocks of depthwise convolutions train, are saved, and evaluate image by image. */

static const char mobile_net[] = "i8 8 3|c0 8 3 1 1|n1|r2|c3 24 1 1 0|n4|r5|d6 24 3 3 1 1 1 1 24 1 "
                                 "1 1 1|n7|r8|c9 8 1 1 0|n10|a3 "
                                 "11|c12 24 1 1 0|n13|r14|d15 24 3 3 2 2 1 1 24 0 0 1 "
                                 "1|n16|r17|c18 8 1 1 0|n19|d20 8 3 3 1 1 2 1 "
                                 "2 2 1 2 1|g21|l22 10|z23";

/* Expand, depthwise, project, add, and the same with stride 2. */
static void depthwise_blocks_train(void)
{
    static const char *const names[] = {"fp32", "2,1:nc:2,0", "2,4:nc:2,0"};
    for (size_t f = 0; f < sizeof names / sizeof names[0]; f++) {
        mls_net_desc desc = desc_of(16, names[f], names[f], names[f]);
        mls_result first = {0, 0, 0}, last = {0, 0, 0};
        rig r;
        t_note("%s", names[f]);
        if (!rig_make(&r, &desc, mobile_net)) return;
        make_images(16, SMALL_IMAGE, 10, 5);
        for (int i = 0; i < 40; i++) {
            T_EQ_INT(
                mls_net_step(&r.net, some_images, some_labels, 16, &plain_sgd, i ? &last : &first),
                MLS_OK);
        }
        T_CHECK(last.loss < 0.5 * first.loss);
        rig_free(&r);
    }
}

/* Their bits, by every kernel, and a prediction without its batch mates. */
static void depthwise_blocks_alone(void)
{
    check_alone(mobile_net, "fp32", "fp32", "fp32", SMALL_IMAGE);
    check_alone(mobile_net, "2,1:nc:2,0", "2,1:nc:2,0", "2,1:nc:2,0:stochastic", SMALL_IMAGE);
    check_alone(mobile_net, "2,4:nc:3,1", "2,4:nc:3,1", "2,1:c:3,1:stochastic", SMALL_IMAGE);
}

/* A checkpoint tells groups, dilation and sides apart; what says nothing new is the same network. */
static void depthwise_blocks_saved(void)
{
    static const char net[] = "i8 8 4|d0 8 3 3 2 1 1 2 2 0 1 2 3|g1|l2 2|z3";
    static const char *const others[][2] = {
        {"i8 8 4|d0 8 3 3 2 1 1 2 1 0 1 2 3|g1|l2 2|z3", "(convolution): groups 2 there, 1 here"},
        {"i8 8 4|d0 8 3 3 2 1 2 2 2 0 1 2 3|g1|l2 2|z3", "height 4 there, 3 here"},
        {"i8 8 4|d0 8 3 3 2 1 1 1 2 0 1 2 1|g1|l2 2|z3", "dilation in w 2 there, 1 here"},
        {"i8 8 4|d0 8 3 3 2 1 1 2 2 1 1 1 3|g1|l2 2|z3", "padding 0 there, 1 here"},
        {"i8 8 4|d0 8 3 3 2 1 1 2 2 0 2 2 2|g1|l2 2|z3", "padding left 1 there, 2 here"},
        {"i8 8 4|c0 8 3 2 1|g1|l2 2|z3", "node 1 (convolution): width 8 there, 4 here"}};
    mls_net_desc desc = desc_fp32(2);
    size_t size;
    rig r;
    if (!rig_make(&r, &desc, net)) return;
    size = mls_net_checkpoint_size(&r.net, 0);
    T_EQ_INT(mls_net_checkpoint_write(&r.net, NULL, 0, checkpoint, size), MLS_OK);
    T_EQ_INT(mls_net_checkpoint_read(&r.net, checkpoint, size, NULL, 0), MLS_OK);
    rig_free(&r);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (!rig_make(&r, &desc, others[i][0])) return;
        T_EQ_INT(mls_net_checkpoint_read(&r.net, checkpoint, size, NULL, 0), MLS_ERROR_DATA);
        t_note("%s: %s", others[i][1], r.net.text);
        T_CHECK(strstr(r.net.text, others[i][1]) != NULL);
        rig_free(&r);
    }
    if (!rig_make(&r, &desc, "i8 8 4|c0 8 3 2 1|g1|l2 2|z3")) return;
    size = mls_net_checkpoint_size(&r.net, 0);
    T_EQ_INT(mls_net_checkpoint_write(&r.net, NULL, 0, checkpoint, size), MLS_OK);
    rig_free(&r);
    if (!rig_make(&r, &desc, "i8 8 4|d0 8 3 3 2 2 1 1 1 1 1 1 1|g1|l2 2|z3")) return;
    T_EQ_INT(mls_net_checkpoint_size(&r.net, 0), size);
    T_EQ_INT(mls_net_checkpoint_read(&r.net, checkpoint, size, NULL, 0), MLS_OK);
    rig_free(&r);
}

#define DEPTHWISE_TESTS \
    T_TEST(depthwise_blocks_train), T_TEST(depthwise_blocks_alone), T_TEST(depthwise_blocks_saved)
