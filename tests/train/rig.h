/* Networks as texts, planned and bound with an arena that ends at an inaccessible page, some images to
   train them on, and hashes of what comes out. */

/* Sums of more than 63 bits are refused where the compiler has no integer for them. */
#if defined(__SIZEOF_INT128__)
#define WIDE_SUMS 1
#else
#define WIDE_SUMS 0
#endif

/* i h w c; c x c_out k stride pad bias fp32; d x c_out, then kernel, strides, dilation, each h and w,
   groups and pads at the top, left, bottom, right (a convolution, too); n x (batch norm); y x (L1 norm); r x (relu); a x y (add);
   m x size stride pad (max pool); v x size stride pad (average); g x (global pool);
   s x stride c (subsample); k x y (concat); l x outputs (linear); z x (loss); L x percent (leaky relu);
   S x (sigmoid); G x (gelu); D x percent (dropout); Z x percent (smooth loss); Q x (mean squared error);
   and the rows above:
   w x rate (of node x, once it is there);
   p x (prelu); o x (softsign); f x (turn); t x (tally); x x y (product); e x (squares). */
static void build(mls_net *net, const char *text)
{
    while (*text) {
        char kind = *text++, *end;
        int a[16] = {0}, count = 0;
        mls_conv_desc conv;
        while (*text && *text != '|' && count < 16) {
            a[count++] = (int)strtol(text, &end, 10);
            if (end == text) break;
            text = end;
        }
        if (*text == '|') text++;
        switch (kind) {
        case 'i':
            mls_net_input(net, a[0], a[1], a[2]);
            break;
        case 'c':
            memset(&conv, 0, sizeof conv);
            conv.c_out = a[1], conv.kh = a[2], conv.stride = a[3], conv.pad = a[4];
            conv.bias = a[5], conv.fp32 = a[6];
            mls_net_conv(net, a[0], &conv);
            break;
        case 'd':
            memset(&conv, 0, sizeof conv);
            conv.c_out = a[1], conv.kh = a[2], conv.kw = a[3], conv.groups = a[8];
            conv.stride_h = a[4], conv.stride_w = a[5];
            conv.dilation_h = a[6], conv.dilation_w = a[7];
            conv.pad_top = a[9], conv.pad_left = a[10];
            conv.pad_bottom = a[11], conv.pad_right = a[12];
            mls_net_conv(net, a[0], &conv);
            break;
        case 'n':
            mls_net_batch_norm(net, a[0]);
            break;
        case 'y':
            mls_net_l1_norm(net, a[0]);
            break;
        case 'r':
            mls_net_relu(net, a[0]);
            break;
        case 'a':
            mls_net_add(net, a[0], a[1]);
            break;
        case 'm':
            mls_net_max_pool(net, a[0], a[1], a[2], a[3]);
            break;
        case 'v':
            mls_net_average_pool(net, a[0], a[1], a[2], a[3]);
            break;
        case 'g':
            mls_net_global_pool(net, a[0]);
            break;
        case 's':
            mls_net_subsample(net, a[0], a[1], a[2]);
            break;
        case 'k':
            mls_net_concat(net, a[0], a[1]);
            break;
        case 'p':
            mls_net_custom(net, &prelu, a[0], -1, NULL);
            break;
        case 'o':
            mls_net_custom(net, &softsign, a[0], -1, NULL);
            break;
        case 'f':
            mls_net_custom(net, &turn, a[0], -1, NULL);
            break;
        case 't':
            mls_net_custom(net, &tally, a[0], -1, NULL);
            break;
        case 'x':
            mls_net_custom(net, &product, a[0], a[1], NULL);
            break;
        case 'e':
            mls_net_custom(net, &squares, a[0], -1, NULL);
            break;
        case 'l':
            mls_net_linear(net, a[0], a[1]);
            break;
        case 'z':
            mls_net_loss(net, a[0]);
            break;
        case 'L':
            mls_net_leaky_relu(net, a[0], (float)a[1] / 100);
            break;
        case 'S':
            mls_net_sigmoid(net, a[0]);
            break;
        case 'G':
            mls_net_gelu(net, a[0]);
            break;
        case 'D':
            mls_net_dropout(net, a[0], (float)a[1] / 100);
            break;
        case 'Z':
            mls_net_smooth_loss(net, a[0], (float)a[1] / 100);
            break;
        case 'Q':
            mls_net_mse_loss(net, a[0]);
            break;
        case 'w':
            mls_net_rate(net, a[0], (float)a[1]);
            break;
        default:
            t_fail(__FILE__, __LINE__, "'%c' is no layer", kind);
        }
    }
}

typedef struct rig {
    mls_net net;
    mls_node nodes[64];
    mls_plan plan;
    void *arena;
} rig;

static mls_net_desc desc_of(int batch, const char *w, const char *a, const char *e)
{
    mls_net_desc d;
    memset(&d, 0, sizeof d);
    d.batch = batch, d.seed = 7;
    T_EQ_INT(mls_format_parse(&d.formats.weight, w), MLS_OK);
    T_EQ_INT(mls_format_parse(&d.formats.activation, a), MLS_OK);
    T_EQ_INT(mls_format_parse(&d.formats.error, e), MLS_OK);
    return d;
}

static mls_net_desc desc_fp32(int batch)
{
    return desc_of(batch, "fp32", "fp32", "fp32");
}

static mls_net_desc desc_low(int batch)
{
    return desc_of(batch, "2,1:nc:2,0", "2,1:nc:2,0", "2,1:nc:2,0:stochastic");
}

/* Plans and binds; the arena ends at an inaccessible page. */
static int rig_bind(rig *r)
{
    r->arena = NULL;
    if (mls_net_plan(&r->net, &r->plan) == MLS_OK) {
        r->arena = t_alloc(r->plan.arena);
        mls_net_bind(&r->net, r->arena, r->plan.arena);
    }
    if (r->net.status == MLS_OK) return 1;
    t_fail(__FILE__, __LINE__, "%s", r->net.text);
    t_free(r->arena);
    return 0;
}

static int rig_make(rig *r, const mls_net_desc *desc, const char *text)
{
    threads(thread_count);
    mls_net_begin(&r->net, desc, r->nodes, 64);
    build(&r->net, text);
    if (rig_bind(r)) return 1;
    t_fail(__FILE__, __LINE__, "it was %s", text);
    return 0;
}

static void rig_free(rig *r)
{
    t_free(r->arena);
}

/* Copies all trained numbers; returns how many there are. */
static size_t rig_weights(rig *r, float *to)
{
    size_t total = 0, count;
    for (int i = 0; i < r->net.count; i++) {
        for (int second = 0; second < 2; second++) {
            const float *w = mls_net_weights(&r->net, i, second, &count);
            if (!w) continue;
            memcpy(to + total, w, count * sizeof(float));
            total += count;
        }
    }
    return total;
}

/* Images, labels and targets for small networks. */
static float some_images[16 * 32 * 32 * 3];
static int32_t some_labels[16];
static float some_targets[16 * 16];

static void make_images(int count, size_t each, int classes, uint64_t seed)
{
    uint64_t rng = seed;
    for (size_t i = 0; i < (size_t)count * each; i++) some_images[i] = t_uniform(&rng);
    for (int i = 0; i < count; i++) some_labels[i] = t_below(&rng, classes);
    for (int i = 0; i < count * classes && i < 16 * 16; i++) some_targets[i] = t_uniform(&rng);
}

/* The labels of the next call, or none where the loss takes targets, which it then has. */
static const int32_t *wanted(rig *r)
{
    if (!(r->nodes[r->net.count - 1].kind->flags & MLS_TARGETS)) return some_labels;
    T_EQ_INT(mls_net_targets(&r->net, some_targets), MLS_OK);
    return NULL;
}

static const mls_sgd plain_sgd = {0.1f, 0.9f, 5e-4f, 0};

/* Input 8 x 8 x 3, ten classes; the first convolution is fp32 by default. */
static const char small_net[] = "i8 8 3|c0 8 3 1 1|n1|r2|c3 12 3 2 1|n4|r5|c6 12 3 1 1|n7|a8 6|r9|"
                                "g10|l11 10|z12";
static const char plain_net[] = "i8 8 3|c0 8 3 1 1 1|r1|c2 12 3 2 1 1|r3|g4|l5 10|z6";
/* The smallest, for checkpoints that are broken byte by byte. */
static const char tiny_net[] = "i4 4 1|c0 2 3 1 1|n1|r2|g3|l4 2|z5";
enum {
    SMALL_IMAGE = 8 * 8 * 3
};

/* Some steps on images that depend on the number of the step. */
static void train(rig *r, int first, int steps, int count, size_t image, int classes)
{
    for (int i = first; i < first + steps; i++) {
        const int32_t *labels;
        make_images(count, image, classes, (uint64_t)i * 77 + 5);
        labels = wanted(r);
        if (mls_net_step(&r->net, some_images, labels, count, &plain_sgd, NULL) != MLS_OK) {
            t_fail(__FILE__, __LINE__, "step %d: %s", i, r->net.text);
            return;
        }
    }
}

/* The bytes of a checkpoint are the same everywhere: a golden hash. */
static uint64_t hash_bytes(const void *bytes, size_t count)
{
    const unsigned char *p = (const unsigned char *)bytes;
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < count; i++) h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}

static uint64_t hash_floats(const float *x, size_t count)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < count; i++) {
        uint32_t u;
        memcpy(&u, &x[i], sizeof u);
        for (int j = 0; j < 4; j++) h = (h ^ (u >> (8 * j) & 255)) * 0x100000001b3u;
    }
    return h;
}

#define EQ_HASH(value, expected)                                                        \
    do {                                                                                \
        uint64_t hash_ = (value);                                                       \
        if (hash_ != (expected)) {                                                      \
            t_fail(__FILE__, __LINE__, "0x%016llxu is new", (unsigned long long)hash_); \
        }                                                                               \
    } while (0)
