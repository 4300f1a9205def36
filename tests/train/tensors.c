/* Names of nodes, and visits of all tensors: what each is, and where. */

typedef struct seen {
    int count, stop; /* visits; the one that ends them, from 1 on */
    char names[32][80];
    mls_net_tensor of[32];
} seen;

static mls_status see(void *user, const mls_net_tensor *t)
{
    seen *s = (seen *)user;
    if (s->count == 32) return MLS_ERROR_MEMORY;
    snprintf(s->names[s->count], sizeof s->names[0], "%s", t->name);
    s->of[s->count++] = *t;
    return s->count == s->stop ? MLS_ERROR_DATA : MLS_OK;
}

static const mls_layer_kind odd_kind = {
    "my \"prelu\"/..", 0, prelu_shape, prelu_init, prelu_forward_steps, prelu_backward_steps, 0, 0};

/* A custom layer that has a state, and every kind of layer with tensors. */
static void tensors_net(rig *r)
{
    mls_net_desc desc;
    mls_conv_desc conv;
    int32_t x;
    memset(r, 0, sizeof *r), memset(&desc, 0, sizeof desc), memset(&conv, 0, sizeof conv);
    desc.batch = TRIAL_BATCH, desc.seed = 5, desc.formats = formats_of("w=2,1:stochastic a=2,1");
    mls_net_begin(&r->net, &desc, r->nodes, NODES);
    conv.c_out = 6, conv.kh = 3, conv.kw = 1, conv.pad = 1, conv.groups = 2, conv.bias = 1;
    x = mls_net_name(&r->net, mls_net_input(&r->net, 4, 5, 2), "picture");
    x = mls_net_name(&r->net, mls_net_conv(&r->net, x, &conv), "layer1.0.conv1");
    x = mls_net_name(&r->net, mls_net_batch_norm(&r->net, x), "bn1");
    conv.groups = conv.bias = 0, conv.c_out = 3;
    x = mls_net_l1_norm(&r->net, mls_net_conv(&r->net, x, &conv));
    x = mls_net_custom(&r->net, &odd_kind, x, -1, NULL);
    x = mls_net_custom(&r->net, &tally, x, -1, NULL);
    mls_net_loss(&r->net, mls_net_name(&r->net, mls_net_linear(&r->net, x, 7), "fc"));
}

static const struct {
    const char *name, *part;
    int node, rank, dims[4];
} tensors_expected[] = {
    {"layer1.0.conv1.weight", "weight", 1, 4, {6, 3, 1, 1}},
    {"layer1.0.conv1.bias", "bias", 1, 1, {6, 1, 1, 1}},
    {"bn1.weight", "weight", 2, 1, {6, 1, 1, 1}},
    {"bn1.bias", "bias", 2, 1, {6, 1, 1, 1}},
    {"bn1.running_mean", "running_mean", 2, 1, {6, 1, 1, 1}},
    {"bn1.running_var", "running_var", 2, 1, {6, 1, 1, 1}},
    {"node3.convolution.weight", "weight", 3, 4, {3, 3, 1, 6}},
    {"node4.l1_norm.weight", "weight", 4, 1, {3, 1, 1, 1}},
    {"node4.l1_norm.bias", "bias", 4, 1, {3, 1, 1, 1}},
    {"node4.l1_norm.running_mean", "running_mean", 4, 1, {3, 1, 1, 1}},
    {"node4.l1_norm.running_deviation", "running_deviation", 4, 1, {3, 1, 1, 1}},
    {"node5.my__prelu__...weight", "weight", 5, 1, {3, 1, 1, 1}},
    {"node6.tally.state", "state", 6, 1, {1, 1, 1, 1}},
    {"fc.weight", "weight", 7, 2, {7, 4 * 9 * 3, 1, 1}},
    {"fc.bias", "bias", 7, 1, {7, 1, 1, 1}},
};
enum {
    EXPECTED = sizeof tensors_expected / sizeof *tensors_expected
};

static void tensors_in_order(void)
{
    static seen s, early;
    rig r;
    tensors_net(&r);
    T_EQ_INT(mls_net_each_tensor(&r.net, see, &early), MLS_ERROR_STATE);
    T_REQUIRE(mls_net_plan(&r.net, &r.plan) == MLS_OK);
    T_EQ_INT(mls_net_each_tensor(&r.net, see, &early), MLS_OK);
    r.arena = t_alloc(r.plan.arena);
    T_REQUIRE(mls_net_bind(&r.net, r.arena, r.plan.arena) == MLS_OK);
    T_EQ_INT(mls_net_each_tensor(&r.net, see, &s), MLS_OK);
    T_EQ_INT(s.count, EXPECTED), T_EQ_INT(early.count, EXPECTED);
    for (int i = 0; i < s.count && i < EXPECTED; i++) {
        const mls_net_tensor *t = &s.of[i];
        size_t count = 1, weights;
        t_note("%s", s.names[i]);
        T_CHECK(strcmp(s.names[i], tensors_expected[i].name) == 0);
        T_CHECK(strcmp(t->part, tensors_expected[i].part) == 0);
        T_EQ_INT(t->node, tensors_expected[i].node), T_EQ_INT(t->rank, tensors_expected[i].rank);
        for (int d = 0; d < 4; d++) {
            T_EQ_INT(t->dims[d], tensors_expected[i].dims[d]);
            count *= (size_t)t->dims[d];
        }
        T_EQ_INT(t->count, count);
        T_CHECK(early.of[i].values == NULL && t->values != NULL);
        if (strcmp(t->part, "weight") == 0 || strcmp(t->part, "bias") == 0) {
            T_CHECK(t->values == mls_net_weights(&r.net, t->node, t->part[0] == 'b', &weights));
            T_EQ_INT(count, weights);
        }
        T_CHECK(mls_format_check(t->format) == MLS_OK ? i == 6 : is_fp32(t->format));
    }
    for (int ch = 0; ch < 6; ch++) T_CHECK(s.of[4].values[ch] == 0 && s.of[5].values[ch] == 1);
    s.count = 0, s.stop = 3;
    T_EQ_INT(mls_net_each_tensor(&r.net, see, &s), MLS_ERROR_DATA);
    T_EQ_INT(s.count, 3);
    T_EQ_INT(mls_net_each_tensor(&r.net, NULL, &s), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_each_tensor(NULL, see, &s), MLS_ERROR_ARGUMENT);
    rig_free(&r);
}

/* Steps write the running statistics where the visit says. */
static void tensors_are_the_numbers(void)
{
    static seen s;
    mls_net_desc desc = desc_low(TRIAL_BATCH);
    double sum = 0, square = 0, m = TRIAL_BATCH * 36.0;
    rig r;
    if (!rig_make(&r, &desc, "i6 6 1|n0|c1 3 3 1 1|g2|l3 10|z4")) return;
    make_images(TRIAL_BATCH, 36, 10, 3);
    for (int i = 0; i < TRIAL_BATCH * 36; i++) sum += (double)some_images[i];
    for (int i = 0; i < TRIAL_BATCH * 36; i++)
        square += ((double)some_images[i] - sum / m) * ((double)some_images[i] - sum / m);
    T_EQ_INT(mls_net_step(&r.net, some_images, some_labels, TRIAL_BATCH, &plain_sgd, NULL), MLS_OK);
    T_EQ_INT(mls_net_each_tensor(&r.net, see, &s), MLS_OK);
    T_REQUIRE(s.count > 4 && strcmp(s.names[3], "node1.batch_norm.running_var") == 0);
    T_CHECK(fabs((double)s.of[2].values[0] - 0.1 * sum / m) < 1e-6);
    T_CHECK(fabs((double)s.of[3].values[0] - (0.9 + 0.1 * square / (m - 1))) < 1e-6);
    rig_free(&r);
}

/* The codes that a visit leads to are those of evaluation: fp32 weights that are their values give the
   same scores. */
static void tensors_have_the_codes(void)
{
    static seen s;
    static float values[2000], before[TRIAL_BATCH * 7];
    uint8_t memory[4096];
    mls_tensor tensor;
    rig r;
    tensors_net(&r);
    if (!rig_bind(&r)) return;
    make_trial_images(8);
    T_EQ_INT(mls_net_evaluate(&r.net, trial_images, NULL, TRIAL_BATCH, NULL), MLS_OK);
    memcpy(before, mls_net_logits(&r.net), sizeof before);
    T_EQ_INT(mls_net_each_tensor(&r.net, see, &s), MLS_OK);
    T_EQ_INT(mls_tensor_init(&tensor, s.of[6].format, s.of[6].shape, memory, sizeof memory),
             MLS_OK);
    T_EQ_INT(mls_quantize(&tensor, s.of[6].values, s.of[6].seed), MLS_OK);
    T_REQUIRE(s.of[6].count < sizeof values / sizeof *values);
    mls_dequantize(&tensor, values);
    memcpy(s.of[6].values, values, s.of[6].count * sizeof(float));
    T_EQ_INT(mls_net_evaluate(&r.net, trial_images, NULL, TRIAL_BATCH, NULL), MLS_OK);
    T_EQ_MEM(mls_net_logits(&r.net), before, sizeof before);
    s.of[6].values[0] = 9; /* and they are the weights that count */
    T_EQ_INT(mls_net_evaluate(&r.net, trial_images, NULL, TRIAL_BATCH, NULL), MLS_OK);
    T_CHECK(memcmp(mls_net_logits(&r.net), before, sizeof before) != 0);
    rig_free(&r);
}

/* How many tensors of a network show codes, which must be those that fp32 weights are quantized to. */
static int with_codes(mls_net *shown, const seen *fp32)
{
    static uint8_t memory[1 << 14];
    static seen s;
    int count = 0;
    s.count = 0;
    T_EQ_INT(mls_net_each_tensor(shown, see, &s), MLS_OK);
    for (int i = 0; i < s.count; i++) {
        const mls_tensor *t = s.of[i].codes;
        const size_t groups = mls_group_count(s.of[i].format, s.of[i].shape);
        mls_tensor own;
        T_CHECK(!t || !is_fp32(s.of[i].format));
        if (!t) continue;
        t_note("%s", s.names[i]);
        count++;
        T_EQ_INT(mls_tensor_init(&own, t->format, t->shape, memory, sizeof memory), MLS_OK);
        T_EQ_INT(mls_quantize(&own, fp32->of[i].values, fp32->of[i].seed), MLS_OK);
        T_CHECK(own.scale == t->scale);
        T_EQ_MEM(t->group, own.group, groups * sizeof *own.group);
        for (size_t e = 0; e < s.of[i].count; e++)
            T_EQ_INT(mls_tensor_code(t, e), mls_tensor_code(&own, e));
    }
    return count;
}

/* An inference network shows its codes from when it has them until its weights change, also those that were
   read from a file, which their own values need not be quantized to. */
static void tensors_show_the_codes(void)
{
    static seen fp32;
    const kind_of_net *kind = &inferred[0];
    mls_result result;
    mls_net_desc desc;
    rig r, only;
    if (!trained(kind, "2,1:nc:8,1", &r, &desc, &result)) return;
    T_EQ_INT(with_codes(&r.net, &fp32), 0);
    fp32.count = 0;
    T_EQ_INT(mls_net_each_tensor(&r.net, see, &fp32), MLS_OK);
    desc.inference = 1;
    if (!rig_make(&only, &desc, kind->text)) return;
    for (int packed = 0; packed < 2; packed++) {
        const size_t size = mls_net_model_size(&r.net, packed, 0);
        T_EQ_INT(mls_net_model_write(&r.net, packed, NULL, 0, model_bytes, size), MLS_OK);
        T_EQ_INT(mls_net_checkpoint_read(&only.net, model_bytes, size, NULL, 0), MLS_OK);
        T_EQ_INT(with_codes(&only.net, &fp32), 0);
        T_EQ_INT(mls_net_pack(&only.net), MLS_OK);
        T_CHECK(with_codes(&only.net, &fp32) > 2);
    }
    rig_free(&only), rig_free(&r);
}

static void names_refused(void)
{
    static const struct {
        const char *name, *wrong;
    } bad[] = {
        {"", "1 to 47 letters"},
        {"a name", "1 to 47 letters"},
        {"../x", "1 to 47 letters"},
        {"x\n", "1 to 47 letters"},
        {"\xc3\xa9", "1 to 47 letters"},
        {"123456789.123456789.123456789.123456789.12345678", "1 to 47 letters"},
        {"node7", "start with node"},
        {"conv1", "another node has this name"},
    };
    mls_layer layer;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        build_small();
        t_note("\"%s\"", bad[i].name);
        T_EQ_INT(mls_net_name(&small, 1, "conv1"), 1);
        T_EQ_INT(mls_net_name(&small, 0, bad[i].name), -1);
        T_EQ_INT(small.status, MLS_ERROR_ARGUMENT);
        T_CHECK(strstr(small.text, bad[i].wrong) && strstr(small.text, "node 0 (input)"));
        T_EQ_INT(mls_net_name(&small, 1, "conv2"), -1);
        T_EQ_INT(mls_net_plan(&small, NULL), MLS_ERROR_ARGUMENT);
    }
    for (int32_t node = -1; node <= 3; node += 4) {
        build_small();
        T_EQ_INT(mls_net_name(&small, node, "conv1"), -1);
        T_EQ_INT(small.status, MLS_ERROR_ARGUMENT);
    }
    build_small();
    T_EQ_INT(mls_net_name(&small, 0, NULL), -1);
    T_EQ_INT(mls_net_name(NULL, 0, "conv1"), -1);
    build_small();
    T_EQ_INT(mls_net_name(&small, 1, "123456789.123456789.123456789.123456789.1234567"), 1);
    T_EQ_INT(mls_net_layer(&small, 1, &layer), MLS_OK);
    T_EQ_INT(strlen(layer.name), 47);
    T_EQ_INT(mls_net_name(&small, 1, layer.name), 1); /* which it has already */
    T_EQ_INT(strlen(layer.name), 47);
    T_EQ_INT(mls_net_name(&small, 1, "fc"), 1);
    T_EQ_INT(mls_net_layer(&small, 0, &layer), MLS_OK);
    T_EQ_INT(strlen(layer.name), 0);
    T_EQ_INT(mls_net_plan(&small, NULL), MLS_OK);
    T_EQ_INT(mls_net_name(&small, 0, "late"), -1);
    T_EQ_INT(small.status, MLS_ERROR_STATE);
}

/* Names are no part of what makes a network the same, and a file without them is as long as ever. */
static void names_in_checkpoints(void)
{
    static uint8_t with[9999], without[9999];
    size_t size, named;
    mls_formats formats;
    void *memory = bound_small();
    size = mls_net_checkpoint_size(&small, 0);
    T_EQ_INT(mls_net_checkpoint_write(&small, NULL, 0, without, sizeof without), MLS_OK);
    free(memory);
    build_small();
    mls_net_name(&small, 1, "fc");
    T_REQUIRE(mls_net_plan(&small, &small_plan) == MLS_OK);
    memory = malloc(small_plan.arena);
    T_REQUIRE(memory && mls_net_bind(&small, memory, small_plan.arena) == MLS_OK);
    named = mls_net_checkpoint_size(&small, 0);
    T_EQ_INT(named, size + 3 * (180 - 80));
    T_EQ_INT(mls_net_checkpoint_write(&small, NULL, 0, with, sizeof with), MLS_OK);
    T_CHECK(memcmp(with + 96 + 2 * 180 - 48, "fc", 3) == 0);
    T_EQ_INT(mls_net_checkpoint_read(&small, without, size, NULL, 0), MLS_OK);
    T_EQ_INT(mls_net_checkpoint_read(&small, with, named, NULL, 0), MLS_OK);
    T_EQ_INT(mls_checkpoint_formats(with, named, 1, &formats), MLS_OK);
    free(memory);
    memory = bound_small();
    T_EQ_INT(mls_net_checkpoint_read(&small, with, named, NULL, 0), MLS_OK);
    free(memory);
}

#define TENSORS_TESTS                                                                          \
    T_TEST(tensors_in_order), T_TEST(tensors_are_the_numbers), T_TEST(tensors_have_the_codes), \
        T_TEST(tensors_show_the_codes), T_TEST(names_refused), T_TEST(names_in_checkpoints)
