/* A network that is built from its checkpoint is the one that was saved: the same bytes, logits and
   training; what is no network is refused, with a word that says why. */

static const char resnet8_net[] =
    "i8 8 3|c0 4 3 1 1|n1|r2|c3 4 3 1 1|n4|r5|c6 4 3 1 1|n7|a8 3|r9|c10 8 3 2 1|n11|r12|c13 8 3 1 "
    "1|"
    "n14|s10 2 8|a15 16|r17|c18 12 3 2 1|n19|r20|c21 12 3 1 1|n22|c18 12 1 2 0|n24|a23 25|r26|g27|"
    "l28 10|z29";
static const char pools_net[] =
    "i8 8 3|c0 6 3 1 1 1|r1|m2 3 2 1|v2 3 2 1|k3 4|c5 5 3 1 0|y6|r7|g8|l9 7|z10";
/* Depthwise and grouped, dilated, with strides and paddings of their own on each side. */
static const char wide_net[] =
    "i7 9 4|c0 6 3 1 1|n1|d2 6 3 3 2 1 1 2 6 1 2 0 1|y3|r4|d5 4 1 3 1 2 1 1 2 0 1 0 0|l6 5|z7";

/* Layers with an amount, and those that stand beside them. */
static const char amounts_net[] =
    "i8 8 3|c0 6 3 1 1|n1|G2|D3 20|c4 5 3 1 1|L5 1|D6 50|c7 6 3 2 1|S8|l9 8|Z10 10";
static const char targets_net[] = "i8 8 3|c0 6 3 1 1|L1 20|c2 4 3 1 1|D3 75|l4 6|Q5";

/* Writes r to checkpoint[], with a note. */
static size_t open_save(rig *r)
{
    const size_t size = mls_net_checkpoint_size(&r->net, 4);
    if (size == 0 || size > sizeof checkpoint) {
        t_fail(__FILE__, __LINE__, "a checkpoint of %d bytes", (int)size);
        return 0;
    }
    T_EQ_INT(mls_net_checkpoint_write(&r->net, "note", 4, checkpoint, size), MLS_OK);
    return size;
}

/* Builds to from checkpoint[] into nodes that are full of something. */
static int open_rig(rig *to, const mls_net_desc *desc, size_t size)
{
    mls_checkpoint about;
    memset(to, 0xa5, sizeof *to);
    to->arena = NULL;
    T_EQ_INT(mls_checkpoint_look(checkpoint, size, &about, NULL, 0), MLS_OK);
    if (mls_net_open(&to->net, desc, to->nodes, about.nodes, checkpoint, size) == MLS_OK &&
        mls_net_plan(&to->net, &to->plan) == MLS_OK) {
        to->arena = t_alloc(to->plan.arena);
        mls_net_bind(&to->net, to->arena, to->plan.arena);
        mls_net_checkpoint_read(&to->net, checkpoint, size, NULL, 0);
    }
    if (to->net.status == MLS_OK) return 1;
    t_fail(__FILE__, __LINE__, "%s", to->net.text);
    t_free(to->arena);
    return 0;
}

static void check_opened(const char *text, const mls_net_desc *desc, const char *formats)
{
    static unsigned char again[sizeof checkpoint];
    static rig a, b, one;
    const mls_net_desc alone = {.batch = 1, .inference = 1};
    size_t size, image, classes;
    t_note("%s, %s", text, formats);
    threads(thread_count);
    mls_net_begin(&a.net, desc, a.nodes, 64);
    build(&a.net, text);
    mls_net_formats(&a.net, formats);
    T_REQUIRE(mls_net_plan(&a.net, &a.plan) == MLS_OK);
    a.arena = t_alloc(a.plan.arena);
    T_EQ_INT(mls_net_bind(&a.net, a.arena, a.plan.arena), MLS_OK);
    image = mls__image(a.nodes[0].shape), classes = (size_t)a.nodes[a.net.count - 1].shape.c;
    train(&a, 0, 3, 4, image, (int)classes);
    size = open_save(&a);
    T_REQUIRE(size > 0 && open_rig(&b, NULL, size) && open_rig(&one, &alone, size));
    T_EQ_INT(b.plan.arena, a.plan.arena), T_CHECK(one.plan.arena < a.plan.arena);
    T_EQ_INT(mls_net_checkpoint_size(&b.net, 4), size);
    T_EQ_INT(mls_net_checkpoint_write(&b.net, "note", 4, again, size), MLS_OK);
    T_EQ_MEM(again, checkpoint, size);
    T_EQ_INT(mls_net_evaluate(&a.net, some_images, NULL, 4, NULL), MLS_OK);
    T_EQ_INT(mls_net_evaluate(&b.net, some_images, NULL, 4, NULL), MLS_OK);
    T_EQ_INT(mls_net_evaluate(&one.net, some_images, NULL, 1, NULL), MLS_OK);
    T_EQ_MEM(mls_net_logits(&b.net), mls_net_logits(&a.net), 4 * classes * sizeof(float));
    T_EQ_MEM(mls_net_logits(&one.net), mls_net_logits(&a.net), classes * sizeof(float));
    train(&a, 3, 2, 4, image, (int)classes), train(&b, 3, 2, 4, image, (int)classes);
    T_CHECK(mls_net_digest(&a.net) == mls_net_digest(&b.net));
    rig_free(&a), rig_free(&b), rig_free(&one);
}

static void open_is_the_same(void)
{
    static const char *const nets[] = {resnet8_net, pools_net, wide_net, amounts_net, targets_net};
    mls_net_desc low = desc_low(4), fp32 = desc_fp32(4), other = desc_low(4);
    low.quantize_first = low.quantize_last = 1;
    other.bn_momentum = 0.25f, other.bn_epsilon = 0.5f; /* so that it can be seen */
    for (int i = 0; i < 5; i++) {
        check_opened(nets[i], &low, "");
        check_opened(nets[i], &fp32, "");
        check_opened(nets[i], &other, "conv2=w=2,4 a=2,1; conv1=shiftquant-4; linear=0,7");
        check_opened(nets[i], &fp32, "conv2=a=2,1 w=fp32; linear=2,4");
    }
}

/* The names come with it, and formats can be given before the plan. */
static void open_then_changed(void)
{
    mls_net_desc desc = desc_low(4);
    static rig a, b;
    mls_layer layer;
    size_t size;
    threads(thread_count);
    mls_net_begin(&a.net, &desc, a.nodes, 64);
    build(&a.net, tiny_net);
    mls_net_name(&a.net, 5, "fc");
    T_REQUIRE(mls_net_plan(&a.net, &a.plan) == MLS_OK);
    a.arena = t_alloc(a.plan.arena);
    mls_net_bind(&a.net, a.arena, a.plan.arena);
    size = open_save(&a);
    T_REQUIRE(size > 0);
    desc.quantize_first = desc.quantize_last = 1; /* the formats are those there all the same */
    T_EQ_INT(mls_net_open(&b.net, &desc, b.nodes, 64, checkpoint, size), MLS_OK);
    for (int i = 1; i < 6; i += 4) {
        T_EQ_INT(mls_net_layer(&b.net, i, &layer), MLS_OK);
        T_EQ_INT(layer.formats.weight.ex, 0);
    }
    T_EQ_INT(mls_net_formats(&b.net, "conv1=2,4; linear=2,1"), MLS_OK);
    T_EQ_INT(mls_net_plan(&b.net, &b.plan), MLS_OK);
    b.arena = t_alloc(b.plan.arena);
    T_EQ_INT(mls_net_bind(&b.net, b.arena, b.plan.arena), MLS_OK);
    T_EQ_INT(mls_net_checkpoint_read(&b.net, checkpoint, size, NULL, 0), MLS_OK);
    T_CHECK(mls_net_digest(&a.net) == mls_net_digest(&b.net));
    T_EQ_INT(mls_net_layer(&b.net, 5, &layer), MLS_OK);
    T_CHECK(strcmp(layer.name, "fc") == 0 && layer.formats.weight.ex == 2);
    train(&b, 0, 1, 4, 16, 2);
    rig_free(&a), rig_free(&b);
}

/* Makes the checksum right again. */
static void open_seal(size_t size)
{
    const uint64_t sum = mls__mix(mls__hash_bytes(0, checkpoint, size - 8));
    for (int i = 0; i < 8; i++) checkpoint[size - 8 + (size_t)i] = (unsigned char)(sum >> 8 * i);
}

static void check_refused(size_t size, mls_status expected, const char *says)
{
    static rig r;
    memset(&r.net, 0xa5, sizeof r.net);
    open_seal(size);
    T_EQ_INT(mls_net_open(&r.net, NULL, r.nodes, 64, checkpoint, size), expected);
    if (!strstr(r.net.text, says)) {
        t_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", r.net.text, says);
    }
    T_EQ_INT(mls_net_plan(&r.net, NULL), expected);
}

/* A checksum can be right, and yet the file was made by somebody else. */
static void open_hostile(void)
{
    static const struct {
        int node, at, value; /* a fact's number, or, from 100 on, a byte of the node */
        const char *says;
    } cases[] = {
        {0, 0, 3, "the checkpoint's node 0: an input node does not exist"},
        {0, 3, 0, "the checkpoint's node 0: node 0 (input): height, width and channels must be"},
        {0, 3, 5,
         "the checkpoint contradicts itself: node 1 (convolution): height 4 there, 5 here"},
        {0, 3, -4, "node 0 (input): height, width and channels must be positive"},
        {0, 3, INT32_MAX, "node 1 (convolution): its input is too large"},
        {1, 1, 1, "the checkpoint's node 1: an input node does not exist"},
        {1, 1, 5, "the checkpoint's node 1: an input node does not exist"},
        {3, 1, -7, "the checkpoint's node 3: an input node does not exist"},
        {1, 5, -2, "the checkpoint's node 1: node 1 (convolution)"},
        {1, 6, 99, "the checkpoint's node 1: node 1 (convolution)"},
        {1, 6, INT32_MIN, "the checkpoint's node 1: node 1 (convolution)"},
        {1, 9, INT32_MAX, "the checkpoint's node 1: node 1 (convolution)"},
        {1, 9, 0, "node 1 (convolution): height 4 there, 2 here"},
        {1, 13, 1, "the checkpoint contradicts itself"},
        {1, 0, 0, "the checkpoint's node 1: the input must be the first node"},
        {1, 0, 9, "node 1 (linear): height 4 there, 1 here"},
        {3, 0, 4, "the checkpoint's node 3: an input node does not exist"},
        {3, 0, 5, "the checkpoint's node 3: node 3 (max pool)"},
        {3, 0, 8, "the checkpoint's node 3: node 3 (subsample)"},
        {3, 0, 11, "the checkpoint's node 3: an unknown kind of layer: only a program"},
        {3, 0, -99, "the checkpoint's node 3: an unknown kind of layer: only a program"},
        {5, 5, -3, "the checkpoint's node 5: node 5 (linear)"},
        {6, 0, 3, "the checkpoint contradicts itself"},
        {2, 0, 10, "the checkpoint's node 2: node 2 (loss)"},
        {1, 156, 200, "the checkpoint's node 1: one of its formats is not a format"},
        {3, 157, 5, "the checkpoint's node 3: node 3 (relu): only convolutions and linear"}};
    mls_net_desc desc = desc_fp32(2);
    rig r;
    if (!rig_make(&r, &desc, tiny_net)) return;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const size_t size = open_save(&r);
        unsigned char *node = checkpoint + 96 + 80 * cases[i].node;
        t_note("node %d, %d: %d", cases[i].node, cases[i].at, cases[i].value);
        if (cases[i].at < 100) {
            mls__put(node + 4 * cases[i].at, (uint32_t)cases[i].value, 4);
        } else {
            node[cases[i].at - 100] = (unsigned char)cases[i].value;
        }
        check_refused(size, MLS_ERROR_DATA, cases[i].says);
    }
    rig_free(&r);
}

static void open_refused(void)
{
    static unsigned char old[4096];
    static rig to;
    const mls_net_desc desc = desc_fp32(2), bad = {.batch = -1};
    size_t size, of_old;
    rig r;
    if (!rig_make(&r, &desc, tiny_net)) return;
    size = open_save(&r);
    of_old = as_format_1(checkpoint, size, 7, old);
    T_EQ_INT(mls_net_open(&to.net, NULL, to.nodes, 8, old, of_old), MLS_ERROR_DATA);
    T_CHECK(strstr(to.net.text, "format 1") != NULL);
    T_EQ_INT(mls_net_open(&to.net, NULL, to.nodes, 6, checkpoint, size), MLS_ERROR_MEMORY);
    T_EQ_INT(mls_net_open(&to.net, &bad, to.nodes, 8, checkpoint, size), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_open(&to.net, NULL, NULL, 8, checkpoint, size), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_open(&to.net, NULL, to.nodes, 8, NULL, size), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_open(NULL, NULL, to.nodes, 8, checkpoint, size), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_open(&to.net, NULL, to.nodes, 7, checkpoint, size - 1), MLS_ERROR_DATA);
    T_EQ_INT(mls_net_open(&to.net, NULL, to.nodes, 7, checkpoint, size), MLS_OK);
    mls__put(checkpoint + 80, 0x7fc00000u, 4); /* the momentum of batch norm is not a number */
    check_refused(size, MLS_ERROR_ARGUMENT, "bn_momentum");
    rig_free(&r);
}

/* A layer of a program's own is named, also where it has the name of one here. */
static void open_custom(void)
{
    const mls_layer_kind ours = {
        "concat", 0, prelu_shape, prelu_init, prelu_forward_steps, prelu_backward_steps, 0, 0};
    const mls_net_desc desc = desc_fp32(2);
    rig r;
    if (!rig_make(&r, &desc, "i4 4 1|c0 2 3 1 1|n1|p2|g3|l4 2|z5")) return;
    check_refused(
        open_save(&r), MLS_ERROR_DATA,
        "the checkpoint's node 3: prelu: only a program that has this layer can build it");
    memcpy(checkpoint + 96 + 3 * MLS__NODE_CUSTOM + MLS__NODE_NAMED, "\033[2J", 4);
    check_refused(open_save(&r), MLS_ERROR_DATA, "node 3: prelu");
    memset(checkpoint + 96 + 3 * MLS__NODE_CUSTOM + MLS__NODE_NAMED, 27, 48);
    check_refused(mls_net_checkpoint_size(&r.net, 4), MLS_ERROR_DATA, "node 3: ????");
    rig_free(&r);
    mls_net_begin(&r.net, &desc, r.nodes, 64);
    mls_net_input(&r.net, 1, 1, 3);
    mls_net_custom(&r.net, &ours, 0, -1, NULL);
    mls_net_loss(&r.net, 1);
    T_REQUIRE(rig_bind(&r));
    check_refused(open_save(&r), MLS_ERROR_DATA, "node 1: concat: only a program");
    rig_free(&r);
}

#define OPEN_TESTS                                                             \
    T_TEST(open_is_the_same), T_TEST(open_then_changed), T_TEST(open_hostile), \
        T_TEST(open_refused), T_TEST(open_custom)
