/* Any network: built, planned and trained in an arena of exactly the planned size, twice, by the
   scalar kernel and by another one, which must agree after every call. */
#define MLS_AMX_EMULATE
#define MLS_IMPLEMENTATION
#include "../../mls_train.h"
#include "fuzz.h"

enum {
    NODES = 12,
    MOST_ARENA = 1 << 20,
    MOST_MACS = 30000 /* of a batch */
};

typedef struct rig {
    mls_net net;
    mls_node nodes[NODES];
    uint8_t *arena;
    const char *kernel;
} rig;

/* The latest node mostly, or another one, or none. */
static int32_t any_node(source *s, const mls_net *net)
{
    uint32_t b = byte(s);
    if (b < 192 || !net->count) return net->count - 1;
    return b < 250 ? (int32_t)b % net->count : (int32_t)(uint32_t)word(s, 4);
}

/* Formats by role, some of them by product. */
static mls_formats any_formats(source *s)
{
    mls_formats f;
    uint32_t b = byte(s);
    memset(&f, 0, sizeof f);
    if (b & 1) f.weight = any_format(s);
    if (b & 2) f.activation = any_format(s);
    if (b & 4) f.error = any_format(s);
    if (b & 8) f.weight_in_data = any_format(s);
    if (b & 16) f.activation_in_weight = any_format(s);
    if (b & 32) f.error_in_weight = any_format(s);
    if (b & 64) f.weight_in_data.rounding = f.error_in_weight.rounding = MLS_ROUND_NONE;
    return f;
}

static mls_conv_desc any_layer(source *s)
{
    mls_conv_desc d;
    uint32_t b;
    memset(&d, 0, sizeof d);
    d.c_out = wild(s, 33), d.kh = wild(s, 3), d.kw = between(s, 0, 3), d.stride = between(s, 0, 2);
    b = byte(s), d.pad = ((int32_t)(b % 5) - 1) % 3;
    d.fp32 = between(s, 0, 3) == 0, d.bias = between(s, 0, 1);
    if (between(s, 0, 3) == 0)
        d.formats.weight = any_format(s), d.formats.activation = any_format(s);
    if (between(s, 0, 3) == 0) d.formats.error = any_format(s);
    if (b < 200) return d;
    d.groups = wild(s, 4), d.stride_h = between(s, 0, 2), d.stride_w = between(s, 0, 2);
    d.dilation_h = between(s, 0, 2), d.dilation_w = wild(s, 2);
    d.pad_top = between(s, 0, 2), d.pad_left = between(s, 0, 2);
    d.pad_bottom = wild(s, 3), d.pad_right = between(s, 0, 2);
    return d;
}

static void add_node(source *s, mls_net *net)
{
    int32_t kind = between(s, 0, 11), x = any_node(s, net), size, stride;
    mls_conv_desc conv;
    switch (kind) {
    case 0:
        mls_net_batch_norm(net, x);
        break;
    case 1:
        mls_net_relu(net, x);
        break;
    case 2:
        mls_net_add(net, x, between(s, -1, net->count));
        break;
    case 3:
    case 4:
        size = wild(s, 3), stride = between(s, 0, 3);
        (kind == 3 ? mls_net_max_pool : mls_net_average_pool)(net, x, size, stride,
                                                              between(s, -1, 2));
        break;
    case 5:
        mls_net_global_pool(net, x);
        break;
    case 6:
        stride = between(s, 0, 3);
        mls_net_subsample(net, x, stride, wild(s, 20));
        break;
    case 7:
        mls_net_linear(net, x, wild(s, 20));
        break;
    default:
        conv = any_layer(s);
        mls_net_conv(net, x, &conv);
    }
}

static void any_optimizer(source *s, mls_net_desc *desc)
{
    const uint32_t b = byte(s);
    desc->optimizer = b & 1 ? MLS_ADAMW : MLS_SGD, desc->average = b >> 1 & 1;
    desc->no_decay_norms = b >> 2 & 1;
    if (b & 8) desc->clip = any_float(s);
    if (b & 16) desc->beta2 = any_float(s), desc->epsilon = any_float(s);
    if (b & 32) desc->average_decay = any_float(s);
}

/* Builds what the bytes say; false where it is refused, or too large for here. */
static int build(rig *r, source *s)
{
    mls_net_desc desc;
    mls_plan plan;
    int32_t h, w, c;
    uint32_t left, what = byte(s);
    memset(&desc, 0, sizeof desc);
    desc.batch = wild(s, 4), desc.seed = word(s, 1);
    if (what & 1) desc.formats.weight = any_format(s);
    if (what & 2) desc.formats.activation = any_format(s);
    if (what & 4) desc.formats.error = any_format(s);
    desc.quantize_first = what >> 3 & 1, desc.quantize_last = what >> 4 & 1;
    if (what & 32) desc.bn_momentum = any_float(s), desc.bn_epsilon = any_float(s);
    h = wild(s, 9), w = wild(s, 9), c = wild(s, 8);
    left = byte(s);
    if (left >= 180) desc.widest = any_formats(s);
    if (left >= 216) desc.formats = any_formats(s);
    if (left >= 236) any_optimizer(s, &desc);
    mls_net_begin(&r->net, &desc, r->nodes, NODES);
    mls_net_input(&r->net, h, w, c);
    for (left %= NODES; left; left--) add_node(s, &r->net);
    if (what & 64) mls_net_linear(&r->net, r->net.count - 1, wild(s, 10));
    if (!(what & 128)) mls_net_loss(&r->net, r->net.count - 1);
    if (mls_net_plan(&r->net, &plan) != MLS_OK) {
        CHECK(r->net.text[0]);
        return 0;
    }
    if (plan.arena > MOST_ARENA || plan.macs > MOST_MACS / desc.batch) return 0;
    if (mls__elements(r->nodes[0].shape) > MOST_ARENA / sizeof(float))
        return 0; /* not in the arena */
    CHECK(plan.parameters + plan.values + plan.scratch <= plan.arena);
    r->arena = (uint8_t *)block_new(plan.arena, (size_t)(what & 63));
    CHECK(mls_net_bind(&r->net, r->arena, plan.arena - 1) == MLS_ERROR_MEMORY);
    CHECK(mls_net_bind(&r->net, r->arena, plan.arena) == MLS_OK);
    for (int32_t i = -1; i <= r->net.count; i++) {
        mls_layer layer;
        char text[100];
        mls_net_layer(&r->net, i, &layer);
        for (int d = 0; d < 3; d++) {
            mls_net_explain(&r->net, i, (mls_direction)d, text, sizeof text);
        }
    }
    return 1;
}

/* A call that the bytes choose. An error must leave the network as it was. */
static mls_status call(rig *r, source *s, mls_result *result)
{
    mls_net *net = &r->net;
    mls_shape in = net->nodes[0].shape;
    mls_sgd sgd = {0.0625f * (float)between(s, 0, 15), 0.125f * (float)between(s, 0, 8),
                   0.0078125f * (float)between(s, 0, 2), between(s, 0, 1)};
    uint32_t kind = byte(s);
    int32_t images = between(s, 0, net->desc.batch + 1),
            classes = net->nodes[net->count - 1].shape.c;
    size_t numbers = (size_t)images * mls__image(in);
    float *x = (float *)block_new((numbers + !numbers) * sizeof *x, 0);
    int32_t *labels = (int32_t *)block_new((size_t)(images + 1) * sizeof *labels, 0);
    uint64_t before = mls_net_digest(net);
    mls_status status;
    any_floats(s, x, numbers + !numbers);
    for (int32_t i = 0; i < images; i++) {
        uint32_t b = byte(s);
        labels[i] = b < 250 ? (int32_t)b % classes : (int32_t)(uint32_t)word(s, 4);
    }
    CHECK(mls_kernel_use(r->kernel) == MLS_OK);
    if (kind % 8 == 0) {
        status = mls_net_gradient(net, x, labels, images, result);
    } else if (kind % 8 == 1) {
        status = mls_net_update(net, &sgd);
    } else if (kind % 8 == 7) {
        const mls_formats f = any_formats(s);
        const int32_t node = any_node(s, net);
        status = mls_net_format(net, kind & 8 ? node : net->count - 2, &f);
        images = 0;
        CHECK(mls_net_digest(net) == before);
    } else if (kind % 8 == 2) {
        if (net->desc.average) CHECK(mls_net_use_average(net, kind >> 4 & 1) == MLS_OK);
        status = mls_net_evaluate(net, x, kind & 8 ? labels : NULL, images, result);
        CHECK(mls_net_digest(net) == before);
    } else {
        status = mls_net_step(net, x, labels, images, &sgd, result);
    }
    CHECK(status == net->status);
    CHECK(status == MLS_OK || (mls_net_digest(net) == before && net->text[0]));
    block_free(x, 0), block_free(labels, 0);
    return status;
}

/* To a checkpoint, and from it into the other network. */
static void transfer(rig *from, rig *to)
{
    size_t size = mls_net_checkpoint_size(&from->net, 3);
    uint8_t *bytes = (uint8_t *)block_new(size, 0);
    char note[3] = "ab", got[3];
    mls_status status = mls_net_checkpoint_write(&from->net, note, 3, bytes, size);
    CHECK(status == (from->net.images_pending ? MLS_ERROR_STATE : MLS_OK));
    if (status == MLS_OK) {
        CHECK(mls_net_checkpoint_read(&to->net, bytes, size - 1, got, 3) == MLS_ERROR_DATA);
        CHECK(mls_net_checkpoint_read(&to->net, bytes, size, got, 3) == MLS_OK);
        CHECK(memcmp(got, note, 3) == 0);
    }
    block_free(bytes, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    source s = {data, data + size}, start;
    static rig a, b;
    int other = between(&s, 1, 16) % mls_kernel_count();
    size_t skip;
    start = s;
    a.kernel = "scalar", b.kernel = mls_kernel_name(other);
    if (!build(&a, &s)) return 0;
    skip = start.at < start.end ? *start.at & 63 : 0;
    CHECK(build(&b, &start));
    CHECK(mls_net_digest(&a.net) == mls_net_digest(&b.net));
    for (int calls = between(&s, 1, 4); calls; calls--) {
        mls_result of_a = {0, 0, 0}, of_b = of_a;
        source same = s;
        mls_status status = call(&a, &s, &of_a);
        CHECK(call(&b, &same, &of_b) == status);
        CHECK(of_a.correct == of_b.correct && of_a.images == of_b.images);
        CHECK(memcmp(&of_a.loss, &of_b.loss, sizeof of_a.loss) == 0);
        if (byte(&s) % 4 == 0) transfer(&a, &b);
        CHECK(mls_net_digest(&a.net) == mls_net_digest(&b.net));
        if (status == MLS_OK && of_a.images) {
            size_t logits = (size_t)of_a.images * (size_t)a.nodes[a.net.count - 1].shape.c;
            CHECK(same_floats(mls_net_logits(&a.net), mls_net_logits(&b.net), logits));
        }
    }
    block_free(a.arena, skip), block_free(b.arena, skip);
    return 0;
}
