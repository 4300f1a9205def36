/* A plan says what a network needs: any memory of that size will do, no less; layers say what they are
   and which formats and methods they take. */

static void arena_anywhere(void)
{
    mls_net_desc desc = desc_low(3);
    static unsigned char memory[1 << 20];
    uint64_t expected = 0;
    size_t size;
    rig r;
    if (!rig_make(&r, &desc, small_net)) return; /* with a page behind its last byte */
    size = r.plan.arena;
    train(&r, 0, 2, 3, SMALL_IMAGE, 10);
    expected = mls_net_digest(&r.net);
    rig_free(&r);
    T_REQUIRE(size + 128 + 4096 < sizeof memory);
    for (size_t offset = 0; offset < 64; offset++) {
        memset(memory, 0xa5, sizeof memory);
        mls_net_begin(&r.net, &desc, r.nodes, 64);
        build(&r.net, small_net);
        T_EQ_INT(mls_net_plan(&r.net, NULL), MLS_OK);
        T_EQ_INT(mls_net_bind(&r.net, memory + 64 + offset, size), MLS_OK);
        train(&r, 0, 2, 3, SMALL_IMAGE, 10);
        T_CHECK(mls_net_digest(&r.net) == expected);
        for (size_t i = 0; i < 64 + offset; i++) T_CHECK(memory[i] == 0xa5);
        for (size_t i = 0; i < 4096; i++) T_CHECK(memory[64 + offset + size + i] == 0xa5);
    }
    r.arena = t_alloc_at(size, T_FRONT);
    mls_net_begin(&r.net, &desc, r.nodes, 64);
    build(&r.net, small_net);
    T_EQ_INT(mls_net_plan(&r.net, NULL), MLS_OK);
    T_EQ_INT(mls_net_bind(&r.net, r.arena, size), MLS_OK);
    train(&r, 0, 2, 3, SMALL_IMAGE, 10);
    T_CHECK(mls_net_digest(&r.net) == expected);
    rig_free(&r);
}

static void arena_refused(void)
{
    mls_net_desc desc = desc_fp32(2);
    rig r;
    unsigned char *memory;
    mls_net_begin(&r.net, &desc, r.nodes, 64);
    build(&r.net, small_net);
    T_EQ_INT(mls_net_plan(&r.net, &r.plan), MLS_OK);
    memory = (unsigned char *)t_alloc(r.plan.arena);
    T_EQ_INT(mls_net_bind(&r.net, memory, r.plan.arena - 1), MLS_ERROR_MEMORY);
    T_CHECK(r.net.text[0] != 0);
    for (size_t i = 0; i < r.plan.arena; i++) T_CHECK(memory[i] == 0xa5);
    T_EQ_INT(mls_net_step(&r.net, some_images, some_labels, 1, &plain_sgd, NULL), MLS_ERROR_STATE);
    t_free(memory);
    mls_net_begin(&r.net, &desc, r.nodes, 64);
    build(&r.net, small_net);
    T_EQ_INT(mls_net_plan(&r.net, &r.plan), MLS_OK);
    T_EQ_INT(mls_net_bind(&r.net, NULL, r.plan.arena), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_bind(NULL, some_images, r.plan.arena), MLS_ERROR_ARGUMENT);
}

/* A bind that was refused for its size works with the right one. */
static void bind_again(void)
{
    mls_net_desc desc = desc_fp32(2);
    rig r;
    mls_net_begin(&r.net, &desc, r.nodes, 64);
    build(&r.net, small_net);
    T_EQ_INT(mls_net_plan(&r.net, &r.plan), MLS_OK);
    r.arena = t_alloc(r.plan.arena);
    T_EQ_INT(mls_net_bind(&r.net, r.arena, 10), MLS_ERROR_MEMORY);
    T_EQ_INT(mls_net_bind(&r.net, r.arena, r.plan.arena), MLS_OK);
    rig_free(&r);
}

static void plans_and_layers(void)
{
    mls_net_desc desc = desc_low(4);
    mls_layer layer;
    rig r;
    if (!rig_make(&r, &desc, small_net)) return;
    T_EQ_INT(r.plan.weights,
             8 * 27 + 16 + 12 * 72 + 24 + 12 * 108 + 24 + 12 * 10 + 10); /* bn has two each */
    T_EQ_INT(r.plan.macs, 64 * 8 * 27 + 16 * 12 * 72 + 16 * 12 * 108 + 120);
    T_EQ_INT(r.plan.macs_low, 16 * 12 * 72 + 16 * 12 * 108);
    T_CHECK(r.plan.arena >= r.plan.parameters + r.plan.values + r.plan.scratch);
    T_CHECK(r.plan.arena <= r.plan.parameters + r.plan.values + r.plan.scratch + 64);
    T_EQ_INT(mls_net_layer(&r.net, 0, &layer), MLS_OK);
    T_CHECK(strcmp(layer.kind, "input") == 0 && layer.inputs[0] == -1 && layer.inputs[1] == -1);
    T_CHECK(layer.shape.n == 4 && layer.shape.h == 8 && layer.shape.w == 8 && layer.shape.c == 3);
    T_EQ_INT(mls_net_layer(&r.net, 1, &layer), MLS_OK);
    T_CHECK(layer.formats.weight.mx == 0 && layer.formats.activation.mx == 0 &&
            layer.formats.error.mx == 0); /* stays fp32 */
    T_EQ_INT(mls_net_layer(&r.net, 4, &layer), MLS_OK);
    T_CHECK(strcmp(layer.kind, "convolution") == 0 && layer.inputs[0] == 3);
    T_CHECK(layer.formats.weight.ex == 2 && layer.formats.weight.mx == 1 &&
            layer.formats.weight.eg == 2);
    T_CHECK(layer.formats.error.rounding == MLS_ROUND_STOCHASTIC);
    T_CHECK(layer.shape.h == 4 && layer.shape.w == 4 && layer.shape.c == 12);
    T_EQ_INT(layer.weights, 12 * 72), T_EQ_INT(layer.macs, 16 * 12 * 72);
    T_EQ_INT(mls_net_layer(&r.net, 9, &layer), MLS_OK);
    T_CHECK(strcmp(layer.kind, "add") == 0 && layer.inputs[0] == 8 && layer.inputs[1] == 6);
    T_EQ_INT(mls_net_layer(&r.net, 14, &layer), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_layer(&r.net, -1, &layer), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_layer(&r.net, 0, NULL), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_layer(NULL, 0, &layer), MLS_ERROR_ARGUMENT);
    rig_free(&r);
    desc.quantize_first = desc.quantize_last = 1;
    if (!rig_make(&r, &desc, small_net)) return;
    T_EQ_INT(r.plan.macs, r.plan.macs_low);
    T_EQ_INT(mls_net_layer(&r.net, 1, &layer), MLS_OK);
    T_CHECK(layer.formats.weight.mx == 1 && layer.formats.activation.mx == 1 &&
            layer.formats.error.mx == 1);
    rig_free(&r);
}

/* Two convolutions of one input, each in formats of its own: they share no quantized copy, and
   which comes first does not matter. */
static void formats_of_layers(void)
{
    static const char *const formats[] = {"2,1:nc:2,0", "0,4:n:1,0"};
    float logits[2][6];
    for (int order = 0; order < 2; order++) {
        mls_net_desc desc = desc_fp32(2);
        int32_t x, y[2] = {0, 0};
        mls_node nodes[8];
        mls_plan plan;
        mls_net net;
        void *arena;
        desc.quantize_first = 1;
        mls_net_begin(&net, &desc, nodes, 8);
        x = mls_net_input(&net, 4, 4, 3);
        for (int i = 0; i < 2; i++) {
            int which = i ^ order;
            mls_conv_desc conv;
            mls_layer layer;
            memset(&conv, 0, sizeof conv);
            conv.c_out = 4, conv.kh = 3, conv.pad = 1;
            T_EQ_INT(mls_format_parse(&conv.formats.weight, formats[which]), MLS_OK);
            conv.formats.activation = conv.formats.error = conv.formats.weight;
            conv.formats.error.rounding = MLS_ROUND_STOCHASTIC;
            y[which] = mls_net_conv(&net, x, &conv);
            T_EQ_INT(mls_net_layer(&net, y[which], &layer), MLS_OK);
            T_EQ_MEM(&layer.formats.weight, &conv.formats.weight, sizeof conv.formats.weight);
            T_EQ_MEM(&layer.formats.activation, &conv.formats.activation,
                     sizeof conv.formats.activation);
            T_EQ_MEM(&layer.formats.error, &conv.formats.error, sizeof conv.formats.error);
        }
        mls_net_loss(&net, mls_net_linear(&net, mls_net_add(&net, y[0], y[1]), 3));
        T_REQUIRE(mls_net_plan(&net, &plan) == MLS_OK);
        arena = t_alloc(plan.arena);
        T_EQ_INT(mls_net_bind(&net, arena, plan.arena), MLS_OK);
        for (int which = 0; which < 2; which++) {
            uint64_t rng = (uint64_t)which;
            size_t count;
            float *w = mls_net_weights(&net, y[which], 0, &count);
            for (size_t i = 0; i < count; i++) w[i] = t_uniform(&rng);
        }
        make_images(2, 48, 3, 1);
        T_EQ_INT(mls_net_evaluate(&net, some_images, some_labels, 2, NULL), MLS_OK);
        memcpy(logits[order], mls_net_logits(&net), sizeof logits[order]);
        t_free(arena);
    }
    T_EQ_MEM(logits[0], logits[1], sizeof logits[0]);
}

static void layers_explained(void)
{
    mls_net_desc desc = desc_low(2);
    char text[160];
    rig r;
    if (!rig_make(&r, &desc, small_net)) return;
    T_EQ_INT(mls_net_explain(&r.net, 1, MLS_FORWARD, text, sizeof text), MLS_OK);
    T_CHECK(strstr(text, "fp32") != NULL);
    for (int d = 0; d < 3; d++) {
        T_EQ_INT(mls_net_explain(&r.net, 4, (mls_direction)d, text, sizeof text), MLS_OK);
        t_note("%s", text);
        T_CHECK(strstr(text, mls_kernel_count() == 1 ? "reference"
                             : d == 2                ? "int8: E up to 12 * 2^3, A up to 12 * 2^3"
                                                     : "int8: W up to 12 * 2^3") != NULL);
    }
    T_EQ_INT(mls_net_explain(&r.net, 12, MLS_FORWARD, text, sizeof text), MLS_OK); /* linear */
    T_EQ_INT(mls_net_explain(&r.net, 2, MLS_FORWARD, text, sizeof text), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_explain(&r.net, -1, MLS_FORWARD, text, sizeof text), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_explain(&r.net, 14, MLS_FORWARD, text, sizeof text), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_explain(&r.net, 4, (mls_direction)3, text, sizeof text), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_explain(NULL, 4, MLS_FORWARD, text, sizeof text), MLS_ERROR_ARGUMENT);
    rig_free(&r);
}

static void numbers_of_nodes(void)
{
    mls_net_desc desc = desc_fp32(2);
    size_t count = 9;
    rig r;
    mls_net_begin(&r.net, &desc, r.nodes, 64);
    build(&r.net, small_net);
    T_CHECK(mls_net_weights(&r.net, 1, 0, &count) == NULL && count == 0); /* not bound */
    if (!rig_make(&r, &desc, small_net)) return;
    T_CHECK(mls_net_weights(&r.net, 1, 0, NULL) != NULL);
    T_CHECK(mls_net_weights(&r.net, 1, 1, &count) == NULL && count == 0); /* no bias */
    T_CHECK(mls_net_weights(&r.net, 0, 0, &count) == NULL);
    T_CHECK(mls_net_weights(&r.net, 3, 0, &count) == NULL);
    T_CHECK(mls_net_weights(&r.net, -1, 0, &count) == NULL);
    T_CHECK(mls_net_weights(&r.net, 14, 0, &count) == NULL);
    T_CHECK(mls_net_gradients(&r.net, 14, 0, &count) == NULL);
    T_CHECK(mls_net_weights(NULL, 0, 0, &count) == NULL);
    T_CHECK(mls_net_gradients(NULL, 0, 0, &count) == NULL);
    T_CHECK(mls_net_weights(&r.net, 2, 1, &count) != NULL && count == 8);
    T_CHECK(mls_net_gradients(&r.net, 2, 1, &count) != NULL && count == 8);
    rig_free(&r);
}

#define PLAN_TESTS                                                                               \
    T_TEST(arena_anywhere), T_TEST(arena_refused), T_TEST(bind_again), T_TEST(plans_and_layers), \
        T_TEST(formats_of_layers), T_TEST(layers_explained), T_TEST(numbers_of_nodes)
