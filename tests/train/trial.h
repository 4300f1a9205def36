/* Formats as texts, and networks whose layers let the test see what passes them. */

static mls_formats formats_of(const char *text)
{
    mls_formats f;
    char wrong[120];
    memset(&f, 0, sizeof f);
    if (mls_formats_parse(&f, text, wrong, sizeof wrong) != MLS_OK) {
        t_fail(__FILE__, __LINE__, "\"%s\": %s", text, wrong);
    }
    return f;
}

static mls_format parsed(const char *text)
{
    mls_format f;
    memset(&f, 0, sizeof f);
    if (mls_format_parse(&f, text) != MLS_OK) t_fail(__FILE__, __LINE__, "\"%s\"", text);
    return f;
}

/* The six, each as mls_format_parse has it. */
static void six_of(const mls_formats *f, mls_format *to)
{
    const mls_format first[] = {f->weight, f->activation, f->error};
    const mls_format second[] = {f->weight_in_data, f->activation_in_weight, f->error_in_weight};
    const mls_format zero = {0, 0, 0, 0, 0, 0, 0};
    for (int role = 0; role < 3; role++) {
        const int like = memcmp(&second[role], &zero, sizeof zero) == 0;
        to[role] = first[role], to[role + 3] = like ? first[role] : second[role];
    }
    for (int o = 0; o < 6; o++) {
        if (to[o].rounding == MLS_ROUND_NONE) to[o] = zero;
    }
}

enum {
    SMALL = 2048, /* numbers of an operand, at most */
    NODES = 16
};

/* A layer that lets everything pass, and keeps it: what comes forward, and what comes back. */
typedef struct tap {
    float x[SMALL], dy[SMALL];
} tap;
static tap taps[2];

static size_t image_of(const mls_work *w)
{
    return (size_t)w->out.h * (size_t)w->out.w * (size_t)w->out.c;
}

static void tap_forward(const mls_work *w)
{
    tap *t = &taps[*(const int *)w->parameters];
    memcpy(w->y, w->x[0], image_of(w) * sizeof(float));
    memcpy(t->x + (size_t)w->image * image_of(w), w->x[0], image_of(w) * sizeof(float));
}

static void tap_backward(const mls_work *w)
{
    tap *t = &taps[*(const int *)w->parameters];
    memcpy(t->dy + (size_t)w->image * image_of(w), w->dy, image_of(w) * sizeof(float));
    if (w->dx[0]) memcpy(w->dx[0], w->dy, image_of(w) * sizeof(float));
}

static const mls_step tap_forward_steps[] = {{0, MLS_EACH, MLS_X, MLS_Y, tap_forward},
                                             MLS_STEPS_END};
static const mls_step tap_backward_steps[] = {{0, MLS_EACH, MLS_DY, MLS_DX, tap_backward},
                                              MLS_STEPS_END};
static const mls_layer_kind tap_kind = {
    "tap", 0, NULL, NULL, tap_forward_steps, tap_backward_steps, NULL, NULL};
static const int tap_number[] = {0, 1};

enum {
    TRIAL_BATCH = 4
};
static float trial_images[TRIAL_BATCH * 6 * 6 * 4];
static int32_t trial_labels[TRIAL_BATCH];

static void make_trial_images(uint64_t rng)
{
    for (size_t i = 0; i < sizeof trial_images / sizeof *trial_images; i++)
        trial_images[i] = t_uniform(&rng);
    for (int i = 0; i < TRIAL_BATCH; i++) trial_labels[i] = t_below(&rng, 3);
}

/* input, 1: fp32 convolution, 2: tap, 3: the convolution with formats, 4: tap, linear. */
enum {
    UNDER_TEST = 3
};
static int trial_taps(rig *r, const char *formats, int h, int w, int c, int stride)
{
    mls_net_desc desc;
    mls_conv_desc conv;
    int32_t x;
    memset(r, 0, sizeof *r), memset(&desc, 0, sizeof desc), memset(&conv, 0, sizeof conv);
    desc.batch = TRIAL_BATCH, desc.seed = 5, desc.formats = formats_of(formats);
    mls_net_begin(&r->net, &desc, r->nodes, NODES);
    x = mls_net_input(&r->net, h, w, 2);
    conv.c_out = c, conv.kh = 3, conv.pad = 1;
    x = mls_net_custom(&r->net, &tap_kind, mls_net_conv(&r->net, x, &conv), -1, &tap_number[0]);
    conv.c_out = c + 1, conv.stride = stride;
    x = mls_net_custom(&r->net, &tap_kind, mls_net_conv(&r->net, x, &conv), -1, &tap_number[1]);
    mls_net_loss(&r->net, mls_net_linear(&r->net, x, 3));
    return rig_bind(r);
}

/* The same as small networks are: two convolutions read what the first relu gives, one in the same
   formats, so that they share its codes. 1: conv, 4: conv, 5: conv, 9: linear. */
static void trial_build(rig *r, const char *formats, const char *widest)
{
    mls_net_desc desc;
    mls_conv_desc conv;
    int32_t x, y;
    memset(r, 0, sizeof *r), memset(&desc, 0, sizeof desc), memset(&conv, 0, sizeof conv);
    desc.batch = TRIAL_BATCH, desc.seed = 5, desc.formats = formats_of(formats);
    if (widest) desc.widest = formats_of(widest);
    desc.quantize_last = 1;
    mls_net_begin(&r->net, &desc, r->nodes, NODES);
    x = mls_net_input(&r->net, 6, 6, 2);
    conv.c_out = 6, conv.kh = 3, conv.pad = 1;
    x = mls_net_relu(&r->net, mls_net_batch_norm(&r->net, mls_net_conv(&r->net, x, &conv)));
    y = mls_net_conv(&r->net, x, &conv);
    conv.kh = 1, conv.pad = 0, conv.bias = 1;
    y = mls_net_add(&r->net, y, mls_net_conv(&r->net, x, &conv));
    y = mls_net_relu(&r->net, mls_net_batch_norm(&r->net, y));
    mls_net_loss(&r->net, mls_net_linear(&r->net, y, 3));
}

static int trial_make(rig *r, const char *formats, const char *widest)
{
    trial_build(r, formats, widest);
    return rig_bind(r);
}

static void steps(rig *r, int count)
{
    const mls_sgd sgd = {0.05f, 0.9f, 5e-4f, 0};
    for (int i = 0; i < count; i++) {
        make_trial_images(100 + (uint64_t)r->net.step);
        T_EQ_INT(mls_net_step(&r->net, trial_images, trial_labels, TRIAL_BATCH, &sgd, NULL),
                 MLS_OK);
        if (r->net.status != MLS_OK) t_fail(__FILE__, __LINE__, "%s", r->net.text);
    }
}

static int is_fp32(mls_format f)
{
    return f.ex + f.mx == 0;
}

static mls_formats layer_formats(const rig *r, int32_t node)
{
    mls_layer layer;
    memset(&layer, 0, sizeof layer);
    T_EQ_INT(mls_net_layer(&r->net, node, &layer), MLS_OK);
    return layer.formats;
}
