/* Formats that change between steps: as if the network had been planned with them, up to the planned
   widest; what is refused changes nothing; checkpoints know them. */

static unsigned char bytes[1 << 16];

/* Trains in one format, changes, trains on: as a network that was planned with the second format and
   reads the checkpoint of that moment. */
static void changed_is_planned(void)
{
    static const char *const changes[][3] = {
        /* first, widest, then */
        {"2,4", "2,1", "2,1"},
        {"2,1", "2,4", "2,4"},
        {"2,1", "2,4", "2,3"},
        {"2,1:nc:8,1", "2,1", "2,1"},
        {"2,1", "2,4 w.data=2,8 a.weight=2,8 e.weight=2,8", "2,4 w.data=2,1 e.weight=2,3"},
        {"2,1", "shiftquant-8", "shiftquant-4"},
        {"2,1", "shiftquant-8", "2,3"},
        {"2,1", "fp32", "fp32"},
        {"fp32", "2,1", "2,1"},
        {"2,1", "2,4 a.weight=fp32 e.weight=fp32", "2,1 a.weight=fp32 e.weight=fp32"},
        {"2,1", "w=2,4 a=fp32 e=2,1", "w=2,1 a=fp32 e=2,1"},
        {"w=2,4 a=fp32 e=2,1", "fp32 a.weight=2,4 e.weight=2,4", "fp32 a.weight=2,1 e.weight=2,1"},
    };
    static rig a, b;
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        const mls_formats then = formats_of(changes[i][2]);
        size_t size;
        t_note("%s, then %s", changes[i][0], changes[i][2]);
        threads(1 + (int)i % 3);
        T_REQUIRE(trial_make(&b, changes[i][2], NULL));
        T_REQUIRE(trial_make(&a, changes[i][0], changes[i][1]));
        steps(&a, 2);
        T_EQ_INT(mls_net_evaluate(&a.net, trial_images, trial_labels, 1, NULL),
                 MLS_OK); /* fewer images */
        size = mls_net_checkpoint_size(&a.net, 0);
        T_REQUIRE(size <= sizeof bytes);
        T_EQ_INT(mls_net_checkpoint_write(&a.net, NULL, 0, bytes, size), MLS_OK);
        T_EQ_INT(mls_net_checkpoint_read(&b.net, bytes, size, NULL, 0), MLS_OK);
        for (int32_t node = 4; node < 10; node += node == 5 ? 4 : 1) {
            T_EQ_INT(mls_net_format(&a.net, node, &then), MLS_OK);
            if (a.net.status != MLS_OK) t_fail(__FILE__, __LINE__, "%s", a.net.text);
        }
        steps(&a, 3), steps(&b, 3);
        T_CHECK(mls_net_digest(&a.net) == mls_net_digest(&b.net));
        T_EQ_INT(mls_net_evaluate(&a.net, trial_images, trial_labels, TRIAL_BATCH, NULL), MLS_OK);
        T_EQ_INT(mls_net_evaluate(&b.net, trial_images, trial_labels, TRIAL_BATCH, NULL), MLS_OK);
        T_EQ_MEM(mls_net_logits(&a.net), mls_net_logits(&b.net), 3 * TRIAL_BATCH * sizeof(float));
        rig_free(&a), rig_free(&b);
    }
    threads(1);
}

/* Some layers only, which shared an activation before: each takes its own. */
static void changed_in_part(void)
{
    static rig a, b;
    size_t size;
    T_REQUIRE(trial_make(&a, "2,1", "2,4"));
    steps(&a, 2);
    size = mls_net_checkpoint_size(&a.net, 0);
    T_EQ_INT(mls_net_checkpoint_write(&a.net, NULL, 0, bytes, size), MLS_OK);
    T_EQ_INT(mls_net_formats(&a.net, "conv2=2,4; linear=2,3"), MLS_OK);
    trial_build(&b, "2,1", NULL);
    T_EQ_INT(mls_net_formats(&b.net, "conv2=2,4; linear=2,3"), MLS_OK);
    T_REQUIRE(rig_bind(&b));
    T_EQ_INT(mls_net_checkpoint_read(&b.net, bytes, size, NULL, 0), MLS_OK);
    steps(&a, 2), steps(&b, 2);
    T_CHECK(mls_net_digest(&a.net) == mls_net_digest(&b.net));
    rig_free(&a), rig_free(&b);
}

/* A change keeps the numbers, the momentum, a gradient that is not applied yet, and the logits. */
static void change_keeps_numbers(void)
{
    const mls_sgd sgd = {0.05f, 0.9f, 5e-4f, 0};
    const mls_formats narrow = formats_of("2,1"), wide = formats_of("2,4");
    float logits[3 * TRIAL_BATCH];
    static rig a, b;
    T_REQUIRE(trial_make(&a, "2,4", "2,1"));
    T_REQUIRE(trial_make(&b, "2,4", NULL));
    steps(&a, 1), steps(&b, 1);
    T_EQ_INT(mls_net_gradient(&a.net, trial_images, trial_labels, TRIAL_BATCH, NULL), MLS_OK);
    T_EQ_INT(mls_net_gradient(&b.net, trial_images, trial_labels, TRIAL_BATCH, NULL), MLS_OK);
    memcpy(logits, mls_net_logits(&a.net), sizeof logits);
    T_EQ_INT(mls_net_format(&a.net, 4, &narrow), MLS_OK);
    T_EQ_INT(mls_net_format(&a.net, 5, &narrow), MLS_OK);
    T_EQ_INT(mls_net_format(&a.net, 4, &wide), MLS_OK); /* and back */
    T_EQ_INT(mls_net_format(&a.net, 5, &wide), MLS_OK);
    T_EQ_MEM(logits, mls_net_logits(&a.net), sizeof logits);
    T_CHECK(mls_net_digest(&a.net) == mls_net_digest(&b.net));
    T_EQ_INT(mls_net_update(&a.net, &sgd), MLS_OK);
    T_EQ_INT(mls_net_update(&b.net, &sgd), MLS_OK);
    T_CHECK(mls_net_digest(&a.net) == mls_net_digest(&b.net));
    steps(&a, 2), steps(&b, 2);
    T_CHECK(mls_net_digest(&a.net) == mls_net_digest(&b.net));
    rig_free(&a), rig_free(&b);
}

static void refused(rig *r, int32_t node, const mls_formats *formats, mls_status status,
                    const char *text)
{
    t_note("\"%s\"", text);
    T_EQ_INT(mls_net_format(&r->net, node, formats), status);
    if (strcmp(r->net.text, text) != 0) t_fail(__FILE__, __LINE__, "\"%s\"", r->net.text);
}

/* 9216 products of the widest elements do not fit any sum. */
static void sums_refused(void)
{
    const mls_formats huge = formats_of("5,10:nc:8,1");
    static rig r;
    mls_net_desc desc;
    mls_conv_desc conv;
    int32_t x;
    memset(&r, 0, sizeof r), memset(&desc, 0, sizeof desc), memset(&conv, 0, sizeof conv);
    desc.batch = 1, desc.formats = formats_of("2,1"), desc.widest = formats_of("2,10");
    mls_net_begin(&r.net, &desc, r.nodes, NODES);
    conv.c_out = 1024, conv.kh = 1;
    x = mls_net_conv(&r.net, mls_net_input(&r.net, 2, 2, 1), &conv);
    conv.c_out = 2, conv.kh = 3, conv.pad = 1;
    x = mls_net_conv(&r.net, x, &conv);
    mls_net_loss(&r.net, mls_net_linear(&r.net, x, 2));
    T_REQUIRE(rig_bind(&r));
    T_EQ_INT(mls_net_format(&r.net, x, &huge), MLS_ERROR_RANGE);
    T_CHECK(strncmp(r.net.text, "node 2 (convolution): forward: 9216 products", 44) == 0);
    T_EQ_INT(layer_formats(&r, x).weight.mx, 1);
    rig_free(&r);
}

/* What does not fit, or is no format, is refused with a text, and the training goes on as it was. */
static void change_refused(void)
{
    static const char *const too_much[] = {
        "2,8",    "a=2,8",  "e=2,8",  "w=2,8", "2,1 a.weight=2,3", "2,1 w.data=2,3", "shiftquant-4",
        "w=fp32", "a=fp32", "e=fp32", "fp32",
    };
    mls_formats bad = formats_of("2,1"), good = bad;
    static rig a, b;
    mls_formats before, after;
    T_REQUIRE(trial_make(&a, "2,1", "2,4"));
    T_REQUIRE(trial_make(&b, "2,1", NULL));
    steps(&a, 2), steps(&b, 2);
    before = layer_formats(&a, 4);
    /* sizes are those of a whole batch, whatever the last call had */
    T_EQ_INT(mls_net_evaluate(&a.net, trial_images, trial_labels, 1, NULL), MLS_OK);
    for (size_t i = 0; i < sizeof too_much / sizeof *too_much; i++) {
        const mls_formats f = formats_of(too_much[i]);
        t_note("%s", too_much[i]);
        T_EQ_INT(mls_net_format(&a.net, 4, &f), MLS_ERROR_MEMORY);
        T_CHECK(strcmp(a.net.text, "node 4 (convolution): no room was planned for such formats") ==
                0);
    }
    bad.error_in_weight.ex = 9;
    refused(&a, 5, &bad, MLS_ERROR_FORMAT,
            "node 5 (convolution): one of its formats is not a format");
    refused(&a, 1, &good, MLS_ERROR_MEMORY, /* the first one stays fp32 */
            "node 1 (convolution): no room was planned for such formats");
    refused(&a, 2, &good, MLS_ERROR_ARGUMENT,
            "node 2 (batch norm): only convolutions and linear layers have formats");
    refused(&a, -1, &good, MLS_ERROR_ARGUMENT, "mls_net_format of a node that is not there");
    refused(&a, 11, &good, MLS_ERROR_ARGUMENT, "mls_net_format of a node that is not there");
    refused(&a, 4, NULL, MLS_ERROR_ARGUMENT, "mls_net_format without formats");
    refused(&b, 4, &good, MLS_ERROR_STATE,
            "node 4 (convolution): its formats are planned to stay: mls_net_desc has no widest");
    T_EQ_INT(mls_net_format(NULL, 4, &good), MLS_ERROR_ARGUMENT);
    t_note("afterwards");
    after = layer_formats(&a, 4);
    T_EQ_MEM(&after, &before, sizeof after);
    steps(&a, 3), steps(&b, 3);
    T_CHECK(mls_net_digest(&a.net) == mls_net_digest(&b.net));
    rig_free(&a), rig_free(&b);
    t_note(
        "a product in floats that was planned in integers: its operand's memory is free by then");
    T_REQUIRE(trial_make(&a, "2,1", "shiftquant-8"));
    good = formats_of("w=fp32 a=fp32 e=2,1 w.data=2,1 a.weight=2,1 e.weight=2,1:n");
    T_EQ_INT(mls_net_format(&a.net, 4, &good), MLS_ERROR_MEMORY);
    good = formats_of("w=2,3 a=2,3 e=2,1 w.data=2,1 a.weight=2,1 e.weight=2,1:n");
    T_EQ_INT(mls_net_format(&a.net, 4, &good), MLS_OK);
    rig_free(&a);
    sums_refused();
    t_note("widest formats that are none");
    trial_build(&a, "2,1", "2,4");
    a.net.desc.widest.weight.ex = 9;
    T_EQ_INT(mls_net_plan(&a.net, NULL), MLS_ERROR_FORMAT);
    T_CHECK(strcmp(a.net.text, "node 4 (convolution): one of its formats is not a format, of the "
                               "widest") == 0);
}

/* A run that changed its formats goes on from a file as if nothing had been. */
static void checkpoint_knows_formats(void)
{
    static const char changes[] = "conv2=shiftquant-4; conv3=2,3";
    static rig a, b;
    size_t size;
    uint64_t digest;
    T_REQUIRE(trial_make(&a, "2,1", "shiftquant-8"));
    steps(&a, 2);
    T_EQ_INT(mls_net_formats(&a.net, changes), MLS_OK);
    steps(&a, 2);
    size = mls_net_checkpoint_size(&a.net, 0);
    T_REQUIRE(size <= sizeof bytes);
    T_EQ_INT(mls_net_checkpoint_write(&a.net, NULL, 0, bytes, size), MLS_OK);
    steps(&a, 3);
    digest = mls_net_digest(&a.net);

    T_REQUIRE(trial_make(&b, "2,1", "shiftquant-8"));
    T_EQ_INT(mls_net_checkpoint_read(&b.net, bytes, size, NULL, 0), MLS_OK);
    for (int32_t i = 0; i < b.net.count; i++) {
        mls_layer layer;
        mls_formats f;
        T_EQ_INT(mls_checkpoint_formats(bytes, size, i, &f), MLS_OK);
        T_EQ_INT(mls_net_layer(&a.net, i, &layer), MLS_OK);
        if (!layer.macs) continue;
        T_EQ_MEM(&f, &layer.formats, sizeof f);
        T_EQ_INT(mls_net_format(&b.net, i, &f), MLS_OK);
    }
    steps(&b, 3);
    T_CHECK(mls_net_digest(&b.net) == digest);
    rig_free(&a), rig_free(&b);
}

/* A file of a network whose operands have one format each is what it was before there could be two. */
static void checkpoint_of_one_format(void)
{
    enum {
        HEAD_BYTES = 96,
        NODE = 80
    };
    static rig r;
    size_t size;
    mls_formats f, g = formats_of("w=2,4 a=fp32 e=2,1");
    T_REQUIRE(trial_make(&r, "w=2,4 a=fp32 e=2,1", NULL));
    steps(&r, 2);
    size = mls_net_checkpoint_size(&r.net, 5);
    T_REQUIRE(size <= sizeof bytes);
    T_EQ_INT(mls_net_checkpoint_write(&r.net, "note", 5, bytes, size), MLS_OK);
    T_EQ_INT(bytes[68], NODE);
    T_EQ_INT(mls_checkpoint_formats(bytes, size, -1, &f), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_checkpoint_formats(bytes, size, r.net.count, &f), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_checkpoint_formats(bytes, size, 4, NULL), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_checkpoint_formats(NULL, size, 4, &f), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_checkpoint_formats(bytes, size - 1, 4, &f), MLS_ERROR_DATA);
    T_EQ_INT(mls_checkpoint_formats(bytes, size, 4, &f), MLS_OK);
    T_EQ_MEM(&f, &g, sizeof f);
    rig_free(&r);
    /* a format that is none, with a checksum that is right */
    bytes[HEAD_BYTES + 4 * NODE + 56] = 9;
    mls__put(bytes + size - 8, mls__mix(mls__hash_bytes(0, bytes, size - 8)), 8);
    T_EQ_INT(mls_checkpoint_formats(bytes, size, 3, &f), MLS_OK);
    T_EQ_INT(mls_checkpoint_formats(bytes, size, 4, &f), MLS_ERROR_DATA);
}

#define CHANGE_TESTS                                                                   \
    T_TEST(changed_is_planned), T_TEST(changed_in_part), T_TEST(change_keeps_numbers), \
        T_TEST(change_refused), T_TEST(checkpoint_knows_formats), T_TEST(checkpoint_of_one_format)
