/* Frozen nodes stay what they are, and cost nothing: a network trains as if their numbers were copied back
   after each update, in less memory. */

/* Sets the numbers of a node, and their average, to those of another network, and its moments to 0. */
static void copy_back(rig *to, const rig *from, int i)
{
    const mls_node *node = &to->nodes[i];
    for (int part = 0; part < MLS__PARTS; part++) {
        const int weights = part == MLS__PART_WEIGHTS || part == MLS__PART_AVERAGE;
        size_t count, from_count;
        float *x = mls__piece(&to->net, part * to->net.count + i, &count);
        const float *kept = mls__piece(&from->net, part * to->net.count + i, &from_count);
        T_EQ_INT(count, from_count);
        if (part == MLS__PART_STATES || part == MLS__PART_AVERAGE_STATES) continue;
        if (!x || !count) continue; /* frozen here, too, or there is no such part */
        T_CHECK((weights || node->trained) && weights == (kept != NULL));
        if (kept) memcpy(x, kept, count * sizeof(float));
        if (!kept) memset(x, 0, count * sizeof(float));
    }
}

/* Trains text with the nodes of a mask frozen, and again with only the norms among them frozen and the others
   copied back. */
static void same_as_copying(const mls_net_desc *desc, const char *text, uint32_t frozen)
{
    char with[400], without[400];
    const int count = desc->batch;
    rig a, b;
    snprintf(with, sizeof with, "%s", text);
    snprintf(without, sizeof without, "%s", text);
    mls_net_begin(&a.net, desc, a.nodes, 64);
    build(&a.net, text);
    for (int i = 0; i < a.net.count; i++) {
        char word[20];
        if (!(frozen >> i & 1)) continue;
        snprintf(word, sizeof word, "|w%d 0", i);
        strcat(with, word);
        if (strstr(a.nodes[i].kind->name, "norm")) strcat(without, word);
    }
    t_note("%s", with);
    if (!rig_make(&a, desc, with)) return;
    T_REQUIRE(rig_make(&b, desc, without));
    T_CHECK(a.plan.arena < b.plan.arena);
    T_CHECK(a.plan.frozen > 0 && a.plan.weights == b.plan.weights);
    for (int step = 0; step < 3; step++) {
        train(&a, step, 1, count, SMALL_IMAGE, 10);
        train(&b, step, 1, count, SMALL_IMAGE, 10);
        for (int i = 0; i < a.net.count; i++) {
            if (frozen >> i & 1) copy_back(&b, &a, i);
        }
        T_CHECK(mls_net_digest(&a.net) == mls_net_digest(&b.net));
    }
    T_EQ_INT(mls_net_evaluate(&a.net, some_images, some_labels, count, NULL), MLS_OK);
    T_EQ_INT(mls_net_evaluate(&b.net, some_images, some_labels, count, NULL), MLS_OK);
    T_EQ_MEM(mls_net_logits(&a.net), mls_net_logits(&b.net), (size_t)count * 10 * sizeof(float));
    rig_free(&a);
    rig_free(&b);
}

/* All but the last layer, the lower half, a layer in the middle, and norms below what is trained. */
static void frozen_is_copying_back(void)
{
    static const char tangled[] = "i8 8 3|c0 8 3 1 1 1|n1|r2|m3 2 2|p4|c5 12 3 1 1|c6 12 3 1 1|n6|"
                                  "k7 8|g9|l10 10|z11";
    static const char *const formats[] = {"fp32", "2,1", "shiftquant-4", "w=fp32 a=2,4 e=2,1",
                                          "w=2,1 a=2,4 e=fp32"};
    for (size_t f = 0; f < sizeof formats / sizeof *formats; f++) {
        mls_net_desc desc = desc_fp32(5);
        desc.formats = formats_of(formats[f]);
        same_as_copying(&desc, small_net, 0x1b6);
        desc.optimizer = MLS_ADAMW, desc.average = 1;
        same_as_copying(&desc, small_net, 0x1b6);
        desc.optimizer = MLS_SGD, desc.average = 0;
        same_as_copying(&desc, small_net, 0x006);
        same_as_copying(&desc, small_net, 0x030);
        same_as_copying(&desc, small_net, 0x184);
        desc.quantize_first = desc.quantize_last = 1;
        same_as_copying(&desc, small_net, 0x186 | 1 << 12);
        if (f == 1) desc.widest = formats_of("2,4");
        same_as_copying(&desc, tangled, 0x126);
        same_as_copying(&desc, tangled, 0x020);
    }
}

/* The numbers of frozen nodes, running statistics among them, are those of the beginning; all others move. */
static void frozen_stays(void)
{
    const mls_net_desc desc = desc_low(4);
    rig a, b;
    if (!rig_make(&a, &desc, small_net)) return;
    mls_net_begin(&b.net, &desc, b.nodes, 64);
    build(&b.net, small_net);
    T_EQ_INT(mls_net_rates(&b.net, "conv1-2=0"), MLS_OK);
    T_EQ_INT(mls_net_plan(&b.net, &b.plan), MLS_OK);
    b.arena = t_alloc(b.plan.arena);
    T_EQ_INT(mls_net_bind(&b.net, b.arena, b.plan.arena), MLS_OK);
    train(&b, 0, 2, 4, SMALL_IMAGE, 10);
    for (int i = 0; i < a.net.count; i++) {
        const int frozen = i == 1 || i == 2 || i == 4 || i == 5; /* with their norms */
        for (int part = MLS__PART_WEIGHTS; part <= MLS__PART_STATES; part += 2) {
            size_t count;
            const float *x = mls__piece(&a.net, part * a.net.count + i, &count);
            const float *y = mls__piece(&b.net, part * a.net.count + i, &count);
            if (count) T_EQ_INT(memcmp(x, y, count * sizeof(float)) == 0, frozen);
        }
        T_EQ_INT(!mls_net_gradients(&b.net, i, 0, NULL),
                 frozen || !mls_net_gradients(&a.net, i, 0, NULL));
    }
    rig_free(&a);
    rig_free(&b);
}

/* ResNet-20, all but the last layer frozen, takes less than a quarter of the memory. */
static size_t arena_of_resnet(const char *rates)
{
    static mls_node nodes[80];
    mls_net_desc desc = desc_low(128);
    mls_net net;
    mls_plan plan;
    int32_t x;
    mls_net_begin(&net, &desc, nodes, 80);
    build(&net, "i32 32 3|c0 16 3 1 1|n1|r2");
    x = 3;
    for (int block = 0; block < 9; block++) {
        const int c = 16 << block / 3, stride = block % 3 == 0 && block ? 2 : 1;
        char text[200];
        snprintf(text, sizeof text, "c%d %d 3 %d 1|n%d|r%d|c%d %d 3 1 1|n%d", (int)x, c, stride,
                 (int)x + 1, (int)x + 2, (int)x + 3, c, (int)x + 4);
        build(&net, text);
        if (stride == 1) snprintf(text, sizeof text, "a%d %d|r%d", (int)x + 5, (int)x, (int)x + 6);
        if (stride == 2) {
            snprintf(text, sizeof text, "s%d 2 %d|a%d %d|r%d", (int)x, c, (int)x + 5, (int)x + 6,
                     (int)x + 7);
        }
        build(&net, text);
        x += stride > 1 ? 8 : 7;
    }
    x = mls_net_loss(&net, mls_net_linear(&net, mls_net_global_pool(&net, x), 10));
    T_EQ_INT(mls_net_rates(&net, rates), MLS_OK);
    T_EQ_INT(mls_net_plan(&net, &plan), MLS_OK);
    return plan.arena;
}

static void frozen_needs_less(void)
{
    const size_t all = arena_of_resnet(""), last = arena_of_resnet("conv=0");
    t_note("%zu of %zu bytes", last, all);
    T_CHECK(last < all / 4);
    T_CHECK(arena_of_resnet("conv1-13=0") < all * 2 / 3);
    T_CHECK(arena_of_resnet("conv=0.5; linear=2") == all);
}

/* A rate multiplies that of the optimizer. */
static void rates_multiply(void)
{
    const mls_net_desc desc = desc_fp32(4);
    const mls_sgd once = {0.05f, 0.9f, 5e-4f, 0}, twice = {0.1f, 0.9f, 5e-4f, 0};
    rig a, b;
    if (!rig_make(&a, &desc, plain_net)) return;
    T_REQUIRE(rig_make(&b, &desc, plain_net));
    T_EQ_INT(mls_net_rate(&b.net, 6, 2), MLS_OK); /* once it is planned, too */
    make_images(4, SMALL_IMAGE, 10, 3);
    T_EQ_INT(mls_net_step(&a.net, some_images, some_labels, 4, &once, NULL), MLS_OK);
    T_EQ_INT(mls_net_step(&b.net, some_images, some_labels, 4, &once, NULL), MLS_OK);
    T_CHECK(memcmp(mls_net_weights(&a.net, 1, 0, NULL), mls_net_weights(&b.net, 1, 0, NULL),
                   8 * 27 * sizeof(float)) == 0);
    mls_net_bind(&a.net, a.arena, a.plan.arena);
    T_EQ_INT(mls_net_step(&a.net, some_images, some_labels, 4, &twice, NULL), MLS_OK);
    T_CHECK(memcmp(mls_net_weights(&a.net, 6, 0, NULL), mls_net_weights(&b.net, 6, 0, NULL),
                   120 * sizeof(float)) == 0);
    rig_free(&a);
    rig_free(&b);
}

/* The checkpoint of a frozen network is one of the network, with a momentum of 0 where it has none. */
static void frozen_checkpoints(void)
{
    static unsigned char bytes[1 << 16], again[1 << 16];
    const mls_net_desc desc = desc_low(4);
    char text[200];
    size_t size;
    rig a, b;
    snprintf(text, sizeof text, "%s|w1 0|w2 0|w4 0", small_net);
    if (!rig_make(&a, &desc, text)) return;
    T_REQUIRE(rig_make(&b, &desc, small_net));
    train(&a, 0, 2, 4, SMALL_IMAGE, 10);
    size = mls_net_checkpoint_size(&a.net, 0);
    T_REQUIRE(size && size <= sizeof bytes && size == mls_net_checkpoint_size(&b.net, 0));
    T_EQ_INT(mls_net_checkpoint_write(&a.net, NULL, 0, bytes, size), MLS_OK);
    T_EQ_INT(mls_net_checkpoint_read(&b.net, bytes, size, NULL, 0), MLS_OK);
    T_EQ_INT(mls_net_checkpoint_write(&b.net, NULL, 0, again, size), MLS_OK);
    T_EQ_MEM(bytes, again, size);
    T_CHECK(mls_net_digest(&a.net) == mls_net_digest(&b.net));
    train(&b, 2, 2, 4, SMALL_IMAGE, 10); /* and a frozen network reads one with all momentum */
    T_EQ_INT(mls_net_checkpoint_write(&b.net, NULL, 0, bytes, size), MLS_OK);
    T_EQ_INT(mls_net_checkpoint_read(&a.net, bytes, size, NULL, 0), MLS_OK);
    for (int i = 0; i < b.net.count; i++) {
        if (!a.nodes[i].trained) copy_back(&b, &a, i);
    }
    T_CHECK(mls_net_digest(&a.net) == mls_net_digest(&b.net));
    train(&a, 4, 1, 4, SMALL_IMAGE, 10);
    rig_free(&a);
    rig_free(&b);
}

static mls_status rates_status(const char *text)
{
    const mls_net_desc desc = desc_fp32(2);
    mls_node nodes[16];
    mls_net net;
    mls_net_begin(&net, &desc, nodes, 16);
    build(&net, small_net);
    mls_net_rates(&net, text);
    T_CHECK((net.text[0] != 0) == (net.status != MLS_OK));
    return net.status;
}

static const char *careless_shape(const mls_work *w, mls_layer_sizes *s)
{
    (void)w;
    s->seconds = 3, s->sums = 3;
    return NULL;
}

static void rates_refused(void)
{
    static const mls_step careless_steps[] = {{0, MLS_EACH, MLS_X | MLS_DY, MLS_SUMS, prelu_slopes},
                                              {0, MLS_AFTER, MLS_SUMS, 0, prelu_sum},
                                              MLS_STEPS_END};
    static const char *const wrong[] = {"conv",      "conv=",    "conv=x",   "conv=-1",
                                        "conv=1e-3", "relu=0",   "=0",       "linear=0 1",
                                        "conv=0,5",  "conv1-=0", "conv=0 ; "};
    mls_layer_kind careless = prelu;
    const mls_net_desc desc = desc_fp32(2);
    rig r;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        t_note("%s", wrong[i]);
        T_EQ_INT(rates_status(wrong[i]), MLS_ERROR_FORMAT);
    }
    T_EQ_INT(rates_status("conv4=0"), MLS_ERROR_ARGUMENT);
    T_EQ_INT(rates_status("99=0"), MLS_ERROR_ARGUMENT);
    T_EQ_INT(rates_status(NULL), MLS_ERROR_ARGUMENT);
    T_EQ_INT(rates_status(" conv=.5;linear2-3=1; "), MLS_ERROR_ARGUMENT);
    T_EQ_INT(rates_status(" conv=.5;linear1=1.25; 3-5=0"), MLS_OK);
    T_EQ_INT(mls_net_rates(NULL, "conv=0"), MLS_ERROR_ARGUMENT);
    mls_net_begin(&r.net, &desc, r.nodes, 64);
    mls_net_name(&r.net, mls_net_input(&r.net, 8, 8, 3), "a name"); /* the first error stays */
    T_EQ_INT(mls_net_rates(&r.net, NULL), MLS_ERROR_ARGUMENT);
    T_CHECK(strstr(r.net.text, "a name has") != NULL);
    T_EQ_INT(mls_net_rate(NULL, 0, 0), MLS_ERROR_ARGUMENT);
    if (!rig_make(&r, &desc, "i8 8 3|c0 8 3 1 1|n1|p2|l3 10|z4|w1 0")) return;
    T_EQ_INT(mls_net_rate(&r.net, 6, 1), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_rate(&r.net, -1, 1), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_rate(&r.net, 4, -1), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_rate(&r.net, 4, (float)NAN), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_rate(&r.net, 4, (float)INFINITY), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_rate(&r.net, 4, 0), MLS_ERROR_STATE);
    T_EQ_INT(mls_net_rate(&r.net, 1, 1), MLS_ERROR_STATE);
    T_EQ_INT(mls_net_rate(&r.net, 1, 0), MLS_OK);
    train(&r, 0, 1, 2, SMALL_IMAGE, 10);
    rig_free(&r);
    careless.backward = careless_steps;
    for (int i = 0; i < 2; i++) { /* with weights, with seconds alone */
        if (i == 1) careless.shape = careless_shape;
        mls_net_begin(&r.net, &desc, r.nodes, 64);
        build(&r.net, "i8 8 3|c0 8 3 1 1");
        T_EQ_INT(mls_net_custom(&r.net, &careless, 1, -1, NULL), 2);
        T_EQ_INT(mls_net_rate(&r.net, 2, 0.5f), MLS_OK);
        T_EQ_INT(mls_net_rate(&r.net, 2, 0), MLS_ERROR_ARGUMENT);
    }
}

#define FROZEN_TESTS                                                                 \
    T_TEST(frozen_is_copying_back), T_TEST(frozen_stays), T_TEST(frozen_needs_less), \
        T_TEST(rates_multiply), T_TEST(frozen_checkpoints), T_TEST(rates_refused)
