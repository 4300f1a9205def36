/* Formats by role, by product and by layer: each product takes what it was given, and so do all kernels
   and thread counts; formats change between steps as if the network had been planned with them. */
#define MLS_IMPLEMENTATION
#include "../mls_train.h"
#include "t.h"
#include <math.h>

static void threads(int count)
{
#if defined(_OPENMP) && !defined(MLS_NO_THREADS)
    omp_set_num_threads(count);
#else
    (void)count;
#endif
}

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

static mls_format format_of(const char *text)
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

/* ---- texts */

#define NEAREST "nearest:fit"
#define ERRORS  "stochastic:fit"
#define THREE   "w=2,1:nc:2,0:" NEAREST " a=2,1:nc:2,0:" NEAREST " e=2,1:nc:2,0:" ERRORS

static void texts_of_products(void)
{
    static const struct {
        const char *text, *all;
    } good[] = {
        {"2,1", THREE},
        {"2,1 w.data=2,1 a.weight=2,1 e.weight=2,1", THREE}, /* equal: one format */
        {"2,1 w.data=2,4", THREE " w.data=2,4:nc:2,0:" NEAREST},
        {"w.data=2,4", THREE " w.data=2,4:nc:2,0:" NEAREST},
        {"a.weight=0,7:none", THREE " a.weight=0,7:none:2,0:" NEAREST},
        {"e.weight=2,4:n:3,1", THREE " e.weight=2,4:n:3,1:" ERRORS},
        {"e.weight=2,4 e=2,1", THREE " e.weight=2,4:nc:2,0:" ERRORS}, /* in any order */
        {"w.data=2,4 2,1", THREE " w.data=2,4:nc:2,0:" NEAREST},
        {"a.weight=fp32 e.weight=fp32", THREE " a.weight=fp32 e.weight=fp32"},
        {"fp32 w.data=0,3:n:1,0", "w=fp32 a=fp32 e=fp32 w.data=0,3:n:1,0:" NEAREST},
        {"fp32", "fp32"},
        {"fp32 w.data=fp32", "fp32"},
        {"shiftquant-4",
         "w=0,3:c:2,0:" NEAREST " a=0,3:c:2,0:" NEAREST " e=0,3:c:2,0:" ERRORS
         " w.data=0,3:n:2,0:" NEAREST " a.weight=0,3:n:2,0:" NEAREST " e.weight=0,3:n:2,0:" ERRORS},
        {" shiftquant-8 ",
         "w=0,7:c:2,0:" NEAREST " a=0,7:c:2,0:" NEAREST " e=0,7:c:2,0:" ERRORS
         " w.data=0,7:n:2,0:" NEAREST " a.weight=0,7:n:2,0:" NEAREST " e.weight=0,7:n:2,0:" ERRORS},
    };
    static const struct {
        const char *text, *wrong;
    } bad[] = {
        {"2,1 w.data=2,4 w.data=2,4", "'w.data=2,4' gives a role a second"},
        {"2,1 w.weight=2,4", "'w.weight=2,4' is not a format"},
        {"2,1 a.data=2,4", "'a.data=2,4' is not a format"},
        {"2,1 w.data=", "'w.data=' is not a format"},
        {"2,1 w.data", "'w.data' is not a format"},
        {"shiftquant-7", "'shiftquant-7' is not a format"},
        {"w=shiftquant-4", "'w=shiftquant-4' is not a format"},
        {"shiftquant-4 e=2,1", "'e=2,1' gives a role a second"},
        {"shiftquant-4 e.weight=2,1", "'e.weight=2,1' gives a role a second"},
        {"e.weight=2,1 shiftquant-4", "'shiftquant-4' gives a role a second"},
        {"shiftquant-4 2,1", "'2,1' gives a role a second"},
    };
    mls_formats f, g;
    char text[MLS_FORMATS_TEXT], wrong[120];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        t_note("\"%s\"", good[i].text);
        f = formats_of(good[i].text);
        T_EQ_INT(mls_formats_text(f, text, sizeof text), MLS_OK);
        if (strcmp(text, good[i].all) != 0) t_fail(__FILE__, __LINE__, "\"%s\"", text);
        g = formats_of(text);
        T_EQ_MEM(&f, &g, sizeof f);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        t_note("\"%s\"", bad[i].text);
        memset(&f, 1, sizeof f), g = f;
        T_EQ_INT(mls_formats_parse(&f, bad[i].text, wrong, sizeof wrong), MLS_ERROR_FORMAT);
        T_EQ_MEM(&f, &g, sizeof f);
        if (!strstr(wrong, bad[i].wrong)) t_fail(__FILE__, __LINE__, "\"%s\"", wrong);
    }
    t_note("formats made by hand");
    memset(&f, 0, sizeof f);
    T_EQ_INT(mls_formats_text(f, text, sizeof text), MLS_OK);
    T_CHECK(strcmp(text, "fp32") == 0);
    f.weight = f.activation = f.error = format_of("2,4"); /* zero: as in the first */
    T_EQ_INT(mls_formats_text(f, text, sizeof text), MLS_OK);
    T_CHECK(strcmp(text, "w=2,4:nc:2,0:nearest:fit a=2,4:nc:2,0:nearest:fit "
                         "e=2,4:nc:2,0:nearest:fit") == 0);
    f.error_in_weight.rounding = MLS_ROUND_NONE; /* fp32 */
    T_EQ_INT(mls_formats_text(f, text, sizeof text), MLS_OK);
    T_CHECK(strstr(text, "fit e.weight=fp32") != NULL);
    f.error_in_weight.grouping = MLS_GROUP_N; /* neither */
    T_EQ_INT(mls_formats_text(f, text, sizeof text), MLS_ERROR_FORMAT);
    T_EQ_INT(mls_format_check(f.error_in_weight), MLS_ERROR_FORMAT);
}

/* The longest text of six formats has room. */
static void longest_text(void)
{
    const mls_format widest = format_of("5,10:none:8,1:stochastic:paper");
    const mls_format other = format_of("4,10:none:8,1:stochastic:paper");
    mls_formats f, g;
    char text[MLS_FORMATS_TEXT];
    f.weight = f.activation = f.error = widest;
    f.weight_in_data = f.activation_in_weight = f.error_in_weight = other;
    T_EQ_INT(mls_formats_text(f, text, sizeof text), MLS_OK);
    g = formats_of(text);
    T_EQ_MEM(&f, &g, sizeof f);
}

/* ---- networks */

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

typedef struct rig {
    mls_net net;
    mls_node nodes[NODES];
    mls_plan plan;
    void *arena;
} rig;

enum {
    BATCH = 4
};
static float images[BATCH * 6 * 6 * 4];
static int32_t labels[BATCH];

static void make_images(uint64_t rng)
{
    for (size_t i = 0; i < sizeof images / sizeof *images; i++) images[i] = t_uniform(&rng);
    for (int i = 0; i < BATCH; i++) labels[i] = t_below(&rng, 3);
}

/* Takes the arena, which ends at a page that cannot be touched. */
static int rig_bind(rig *r)
{
    if (mls_net_plan(&r->net, &r->plan) == MLS_OK) {
        r->arena = t_alloc(r->plan.arena);
        mls_net_bind(&r->net, r->arena, r->plan.arena);
    }
    if (r->net.status == MLS_OK) return 1;
    t_fail(__FILE__, __LINE__, "%s", r->net.text);
    return 0;
}

/* input, 1: fp32 convolution, 2: tap, 3: the convolution with formats, 4: tap, linear. */
enum {
    UNDER_TEST = 3
};
static int rig_taps(rig *r, const char *formats, int h, int w, int c, int stride)
{
    mls_net_desc desc;
    mls_conv_desc conv;
    int32_t x;
    memset(r, 0, sizeof *r), memset(&desc, 0, sizeof desc), memset(&conv, 0, sizeof conv);
    desc.batch = BATCH, desc.seed = 5, desc.formats = formats_of(formats);
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
static void rig_build(rig *r, const char *formats, const char *widest)
{
    mls_net_desc desc;
    mls_conv_desc conv;
    int32_t x, y;
    memset(r, 0, sizeof *r), memset(&desc, 0, sizeof desc), memset(&conv, 0, sizeof conv);
    desc.batch = BATCH, desc.seed = 5, desc.formats = formats_of(formats);
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

static int rig_make(rig *r, const char *formats, const char *widest)
{
    rig_build(r, formats, widest);
    return rig_bind(r);
}

static void rig_free(rig *r)
{
    t_free(r->arena);
}

static void steps(rig *r, int count)
{
    const mls_sgd sgd = {0.05f, 0.9f, 5e-4f, 0};
    for (int i = 0; i < count; i++) {
        make_images(100 + (uint64_t)r->net.step);
        T_EQ_INT(mls_net_step(&r->net, images, labels, BATCH, &sgd, NULL), MLS_OK);
        if (r->net.status != MLS_OK) t_fail(__FILE__, __LINE__, "%s", r->net.text);
    }
}

/* ---- each product takes what it was given */

/* An operand by hand: its tensor, and its numbers again. */
typedef struct operand {
    mls_tensor t;
    void *memory;
    float x[SMALL];
    int low;
} operand;

static void operand_make(operand *o, mls_format f, mls_shape s, const float *x, uint64_t seed)
{
    size_t count = (size_t)s.n * (size_t)s.h * (size_t)s.w * (size_t)s.c;
    memset(o, 0, sizeof *o);
    memcpy(o->x, x, count * sizeof(float));
    o->low = f.ex + f.mx > 0;
    if (!o->low) return;
    o->memory = t_alloc(mls_tensor_size(f, s));
    T_EQ_INT(mls_tensor_init(&o->t, f, s, o->memory, mls_tensor_size(f, s)), MLS_OK);
    T_EQ_INT(mls_quantize(&o->t, x, seed), MLS_OK);
    T_EQ_INT(mls_dequantize(&o->t, o->x), MLS_OK);
}

static const char *const by_product[] = {
    "2,1",
    "2,1 w.data=2,4",
    "2,1 a.weight=0,7:n:2,0",
    "2,1 e.weight=2,4:c:1,0",
    "2,1:nc:2,0:stochastic w.data=2,1:nc:2,0:nearest a.weight=2,1:nc:2,0:nearest",
    "2,1 e.weight=2,1:n:2,0:stochastic",
    "w=2,1 a=2,4 e=3,1 w.data=0,3:n:1,0 a.weight=0,5:c e.weight=2,3:nc:3,1",
    "shiftquant-4",
    "shiftquant-6",
    "2,1 a.weight=fp32 e.weight=fp32",
    "2,1 w.data=fp32",
    "2,1 e.weight=fp32",
    "w=2,4 a=fp32 e=2,1 w.data=0,3:n:2,0 a.weight=2,1 e.weight=2,4",
    "fp32 a.weight=2,1 e.weight=2,4",
    "fp32 w.data=2,1",
    "w=2,1 a=2,1 e=fp32 w.data=2,4 a.weight=2,4",
};
enum {
    BY_PRODUCT = sizeof by_product / sizeof *by_product
};

/* Seeds of the convolution's operands in its first product, and in the second. */
static uint64_t seed_of(int o)
{
    const uint64_t seed = mls_seed(mls_seed(5, 0), UNDER_TEST * 4 + (uint64_t)(o % 3));
    return o < 3 ? seed : mls_seed(seed, 1);
}

static void check_products(const rig *r, const char *text)
{
    static operand of[6];
    static float out[SMALL], workspace[1 << 16];
    const mls_conv *conv = &r->nodes[UNDER_TEST].conv;
    const mls_shape z = mls_conv_output(conv), w = mls_conv_weight_shape(conv);
    const mls_shape shapes[] = {w, conv->in, z};
    const mls_formats formats = formats_of(text);
    size_t count;
    const float *weights = mls_net_weights((mls_net *)&r->net, UNDER_TEST, 0, &count);
    const float *gradient = mls_net_gradients((mls_net *)&r->net, UNDER_TEST, 0, NULL);
    const float *values[3];
    mls_format f[6];
    values[0] = weights, values[1] = taps[0].x, values[2] = taps[1].dy;
    six_of(&formats, f);
    for (int o = 0; o < 6; o++) {
        const int same = o >= 3 && memcmp(&f[o], &f[o - 3], sizeof *f) == 0;
        operand_make(&of[o], f[o], shapes[o % 3], values[o % 3], seed_of(same ? o - 3 : o));
    }
    if (of[0].low && of[1].low) {
        T_EQ_INT(mls_conv_forward(conv, &of[0].t, &of[1].t, out, workspace, sizeof workspace), 0);
    } else {
        T_EQ_INT(mls_conv_forward_fp32(conv, of[0].x, of[1].x, out, workspace, sizeof workspace),
                 0);
    }
    T_EQ_MEM(taps[1].x, out, (size_t)z.n * (size_t)(z.h * z.w * z.c) * sizeof(float));
    if (of[3].low && of[2].low) {
        T_EQ_INT(mls_conv_backward_data(conv, &of[3].t, &of[2].t, out, workspace, sizeof workspace),
                 0);
    } else {
        T_EQ_INT(
            mls_conv_backward_data_fp32(conv, of[3].x, of[2].x, out, workspace, sizeof workspace),
            0);
    }
    T_EQ_MEM(taps[0].dy, out,
             (size_t)conv->in.n * (size_t)(conv->in.h * conv->in.w * conv->in.c) * sizeof(float));
    if (of[5].low && of[4].low) {
        T_EQ_INT(
            mls_conv_backward_weight(conv, &of[5].t, &of[4].t, out, workspace, sizeof workspace),
            0);
    } else {
        T_EQ_INT(
            mls_conv_backward_weight_fp32(conv, of[5].x, of[4].x, out, workspace, sizeof workspace),
            0);
    }
    T_EQ_MEM(gradient, out, count * sizeof(float));
    for (int o = 0; o < 6; o++) t_free(of[o].memory);
}

/* Every kernel and thread count, with images whose codes threads can write apart (4 channels of 16
   pixels) and cannot. */
static void products_take_their_formats(void)
{
    static const int sizes[][4] = {{4, 4, 4, 1}, {5, 3, 3, 1}, {4, 4, 4, 2}};
    static rig r;
    for (int i = 0; i < BY_PRODUCT * 3; i++) {
        const int *s = sizes[i % 3], count = mls_kernel_count();
        for (int k = 0; k < count; k++) {
            t_note("%s, %dx%dx%d, %s", by_product[i / 3], s[0], s[1], s[2], mls_kernel_name(k));
            mls_kernel_use(mls_kernel_name(k));
            threads(1 + (i + k) % 3);
            make_images((uint64_t)i);
            T_REQUIRE(rig_taps(&r, by_product[i / 3], s[0], s[1], s[2], s[3]));
            T_EQ_INT(mls_net_gradient(&r.net, images, labels, BATCH, NULL), MLS_OK);
            threads(1);
            check_products(&r, by_product[i / 3]);
            rig_free(&r);
        }
    }
    mls_kernel_use("auto");
}

/* Trainings of by_product: one digest by all kernels and thread counts, another one for each of the
   formats; what has the same formats in both products is the same network, and shares its memory. */
static void one_answer(void)
{
    static rig r;
    uint64_t digests[BY_PRODUCT];
    for (int i = 0; i < BY_PRODUCT; i++) {
        digests[i] = 0;
        for (int k = 0; k < mls_kernel_count(); k++) {
            t_note("%s, %s", by_product[i], mls_kernel_name(k));
            mls_kernel_use(mls_kernel_name(k));
            threads(1 + (i + k) % 4);
            T_REQUIRE(rig_make(&r, by_product[i], NULL));
            steps(&r, 3);
            if (!k) digests[i] = mls_net_digest(&r.net);
            T_CHECK(mls_net_digest(&r.net) == digests[i]);
            rig_free(&r);
        }
        for (int j = 0; j < i; j++) T_CHECK(digests[j] != digests[i]);
    }
    mls_kernel_use("auto");
    threads(1);
    t_note("2,1");
    T_REQUIRE(rig_make(&r, "2,1", NULL));
    rig_free(&r);
    size_t arena = r.plan.arena;
    T_REQUIRE(rig_make(&r, "2,1 e.weight=2,1 a.weight=2,1 w.data=2,1", NULL));
    T_CHECK(r.plan.arena == arena);
    steps(&r, 3);
    T_CHECK(mls_net_digest(&r.net) == digests[0]);
    rig_free(&r);
}

/* What no product takes costs nothing: the first layer needs no error for backward-data, however wide. */
static void arena_of_formats(void)
{
    static rig r;
    size_t arenas[3];
    static const char *const first[] = {"e=2,10 e.weight=2,1", "e=2,1:nearest e.weight=2,1", "2,1"};
    for (int i = 0; i < 3; i++) {
        mls_net_desc desc;
        mls_conv_desc conv;
        memset(&r, 0, sizeof r), memset(&desc, 0, sizeof desc), memset(&conv, 0, sizeof conv);
        desc.batch = BATCH, desc.formats = formats_of(first[i]), desc.quantize_first = 1;
        mls_net_begin(&r.net, &desc, r.nodes, NODES);
        conv.c_out = 40, conv.kh = 1;
        mls_net_loss(
            &r.net,
            mls_net_linear(&r.net, mls_net_conv(&r.net, mls_net_input(&r.net, 6, 6, 2), &conv), 3));
        T_REQUIRE(rig_bind(&r));
        arenas[i] = r.plan.values;
        rig_free(&r);
    }
    T_EQ_INT(arenas[0], arenas[2]);
    T_EQ_INT(arenas[1], arenas[2]);
}

/* An image has the same logits alone and in the batch, whatever was trained in between. */
static void evaluation_alone(void)
{
    static rig r;
    for (int i = 0; i < BY_PRODUCT; i++) {
        float all[BATCH * 3];
        t_note("%s", by_product[i]);
        threads(1 + i % 3);
        T_REQUIRE(rig_make(&r, by_product[i], NULL));
        steps(&r, 2);
        T_EQ_INT(mls_net_evaluate(&r.net, images, labels, BATCH, NULL), MLS_OK);
        memcpy(all, mls_net_logits(&r.net), sizeof all);
        for (int n = 0; n < BATCH; n++) {
            T_EQ_INT(mls_net_evaluate(&r.net, images + n * 6 * 6 * 2, NULL, 1, NULL), MLS_OK);
            T_EQ_MEM(all + 3 * n, mls_net_logits(&r.net), 3 * sizeof(float));
        }
        rig_free(&r);
    }
    threads(1);
}

/* ---- shiftquant */

/* The sums of each product run over slices that have a scale each, powers of two, and for 4 and 5 bits
   the folded integers have 8. */
static void shiftquant_formats(void)
{
    static const struct {
        const char *text;
        int bits, folded;
    } presets[] = {{"shiftquant-4", 4, 8},
                   {"shiftquant-5", 5, 8},
                   {"shiftquant-6", 6, 16},
                   {"shiftquant-8", 8, 16}};
    static const int grouping[6] = {MLS_GROUP_C, MLS_GROUP_C, MLS_GROUP_C,
                                    MLS_GROUP_N, MLS_GROUP_N, MLS_GROUP_N};
    for (int i = 0; i < 4; i++) {
        const mls_formats formats = formats_of(presets[i].text);
        mls_format f[6];
        six_of(&formats, f);
        t_note("%s", presets[i].text);
        for (int o = 0; o < 6; o++) {
            T_CHECK(f[o].ex == 0 && f[o].eg == 2 && f[o].mg == 0 && f[o].range == MLS_RANGE_FIT);
            T_EQ_INT(mls_format_bits(f[o]), presets[i].bits);
            T_EQ_INT(f[o].grouping, grouping[o]);
            T_EQ_INT(f[o].rounding, o % 3 == 2 ? MLS_ROUND_STOCHASTIC : MLS_ROUND_NEAREST);
            T_EQ_INT(mls_operand_bits(f[o]), presets[i].folded);
        }
    }
}

enum {
    SLICES = 12,
    SLICE = 8,
    DRAWS = 4096
};

/* Errors whose slices have magnitudes of 1, 0.55, 0.55^2 ... */
static void make_slices(float *x, uint64_t rng)
{
    for (int i = 0; i < SLICE * SLICES; i++) {
        x[i] = t_uniform(&rng) * (float)pow(0.55, i % SLICES);
    }
}

/* Mean variance of a draw. Checks that it is unbiased within 6 sigma. */
static double variance_of(const char *text, const float *x)
{
    const mls_format f = format_of(text);
    const mls_shape s = {1, 1, SLICE, SLICES};
    double sum[SLICE * SLICES] = {0}, square[SLICE * SLICES] = {0}, all = 0;
    float q[SLICE * SLICES];
    void *memory = t_alloc(mls_tensor_size(f, s));
    mls_tensor t;
    t_note("%s", text);
    T_EQ_INT(mls_tensor_init(&t, f, s, memory, mls_tensor_size(f, s)), MLS_OK);
    for (int draw = 0; draw < DRAWS; draw++) {
        T_EQ_INT(mls_quantize(&t, x, mls_seed(3, (uint64_t)draw)), MLS_OK);
        T_EQ_INT(mls_dequantize(&t, q), MLS_OK);
        for (int i = 0; i < SLICE * SLICES; i++) {
            const double d = (double)q[i] - (double)x[i];
            sum[i] += d, square[i] += d * d;
        }
    }
    for (int i = 0; i < SLICE * SLICES; i++) {
        const double mean = sum[i] / DRAWS, v = square[i] / DRAWS - mean * mean;
        /* 16 bits of chance are short of a draw by 2^-17 of a step, of which fp32 rounds more away */
        T_CHECK(fabs(mean) <= 6 * sqrt(v / DRAWS) + 1e-5);
        all += v / (SLICE * SLICES);
    }
    t_free(memory);
    return all;
}

/* One exact scale for each slice is the limit: a power of two costs at most twice the step, so four times
   the variance; too few of them cost more. */
static void shiftquant_variance(void)
{
    static const char *const texts[] = {"0,3:none:stochastic", "0,3:c:1,0:stochastic",
                                        "0,3:c:2,0:stochastic", "0,3:c:3,0:stochastic",
                                        "0,3:c:4,0:stochastic"};
    float x[SLICE * SLICES], slice[SLICE * SLICES];
    double exact = 0, v[5];
    make_slices(x, 4);
    for (int ch = 0; ch < SLICES; ch++) {
        for (int i = 0; i < SLICE * SLICES; i++) slice[i] = x[i / SLICES * SLICES + ch];
        exact += variance_of("0,3:none:stochastic", slice) / SLICES;
    }
    for (int i = 0; i < 5; i++) v[i] = variance_of(texts[i], x);
    t_note("exact %g, G = 1: %g, 2: %g, 4: %g, 8: %g, 16: %g", exact, v[0], v[1], v[2], v[3], v[4]);
    for (int i = 1; i < 5; i++) T_CHECK(v[i] < v[i - 1]);
    T_CHECK(v[0] > 4 * exact); /* one scale for all */
    T_CHECK(v[4] < 4 * exact && v[4] > exact);
}

/* ---- layers */

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

/* What a convolution's description leaves out is the network's, by role; fp32 can be said. */
static void roles_of_a_layer(void)
{
    static rig r;
    mls_net_desc desc;
    mls_conv_desc conv;
    mls_formats f, net = formats_of("w=2,1 a=2,4 e=2,3 e.weight=0,7");
    int32_t x;
    memset(&r, 0, sizeof r), memset(&desc, 0, sizeof desc), memset(&conv, 0, sizeof conv);
    desc.batch = 1, desc.formats = net;
    mls_net_begin(&r.net, &desc, r.nodes, NODES);
    x = mls_net_input(&r.net, 4, 4, 2);
    conv.c_out = 2, conv.kh = 1;
    x = mls_net_conv(&r.net, x, &conv);
    f = layer_formats(&r, x);
    T_CHECK(is_fp32(f.weight) && is_fp32(f.activation) && is_fp32(f.error)); /* the first */
    T_EQ_INT(f.weight.rounding, MLS_ROUND_NONE);
    x = mls_net_conv(&r.net, x, &conv);
    f = layer_formats(&r, x);
    T_EQ_MEM(&f, &net, sizeof f);
    conv.formats.weight = format_of("0,7"); /* and nothing else */
    x = mls_net_conv(&r.net, x, &conv);
    f = layer_formats(&r, x);
    T_EQ_MEM(&f.weight, &conv.formats.weight, sizeof f.weight);
    T_EQ_MEM(&f.activation, &net.activation, 6 * sizeof f.weight - sizeof f.weight);
    conv.formats = formats_of("w=fp32 a=2,1 e=2,1");
    x = mls_net_conv(&r.net, x, &conv);
    f = layer_formats(&r, x);
    T_EQ_MEM(&f, &conv.formats, sizeof f);
    memset(&conv.formats, 0, sizeof conv.formats);
    conv.formats.error_in_weight.rounding = MLS_ROUND_NONE; /* only that product */
    x = mls_net_conv(&r.net, x, &conv);
    f = layer_formats(&r, x);
    T_EQ_MEM(&f, &net, 5 * sizeof f.weight);
    T_CHECK(is_fp32(f.error_in_weight) && f.error_in_weight.rounding == MLS_ROUND_NONE);
    x = mls_net_linear(&r.net, x, 3);
    f = layer_formats(&r, x);
    T_CHECK(is_fp32(f.weight) && is_fp32(f.activation) && is_fp32(f.error)); /* the last */
    T_EQ_INT(mls_net_format(&r.net, x, &net), MLS_OK);
    f = layer_formats(&r, x);
    T_EQ_MEM(&f, &net, sizeof f);
    T_EQ_INT(r.net.status, MLS_OK);
}

/* The formats of each node, one to a word. */
static void say_formats(const rig *r, char *text, size_t size)
{
    text[0] = 0;
    for (int32_t i = 0; i < r->net.count; i++) {
        const mls_formats f = layer_formats(r, i);
        if (!f.weight.ex && !f.weight.rounding) continue;
        snprintf(text + strlen(text), size - strlen(text), "%d:%d%d ", (int)i, f.weight.ex,
                 f.weight.mx);
    }
}

/* conv1, conv2 and conv3 are nodes 1, 4 and 5, the linear layer is node 9. */
static void layers_by_text(void)
{
    static const struct {
        const char *text, *all;
    } good[] = {
        {"", "1:00 4:21 5:21 9:21 "},
        {"conv1=2,4", "1:24 4:21 5:21 9:21 "},
        {"conv=2,4", "1:24 4:24 5:24 9:21 "},
        {"linear=fp32", "1:00 4:21 5:21 9:00 "},
        {"linear1=2,3", "1:00 4:21 5:21 9:23 "},
        {"4=2,3", "1:00 4:23 5:21 9:21 "},
        {"4-9=2,3", "1:00 4:23 5:23 9:23 "},
        {" conv2-3=w=2,4 a=2,1 ;; 5=2,3;", "1:00 4:24 5:23 9:21 "},
        {"conv3-99=2,3", "1:00 4:21 5:23 9:21 "},
        {"conv=2,3; conv2=fp32", "1:23 4:00 5:23 9:21 "}, /* the later one counts */
    };
    static const struct {
        const char *text;
        mls_status status;
        const char *wrong;
    } bad[] = {
        {"conv4=2,1", MLS_ERROR_ARGUMENT, "there is no such layer: conv4=2,1"},
        {"conv0=2,1", MLS_ERROR_ARGUMENT, "there is no such layer: conv0=2,1"},
        {"2=2,1", MLS_ERROR_ARGUMENT, "there is no such layer: 2=2,1"},
        {"9-4=2,1", MLS_ERROR_ARGUMENT, "there is no such layer: 9-4=2,1"},
        {"conv2", MLS_ERROR_FORMAT, "want LAYERS=FORMATS, not conv2"},
        {"con=2,1", MLS_ERROR_FORMAT, "want LAYERS=FORMATS, not con=2,1"},
        {"conv2-=2,1", MLS_ERROR_FORMAT, "want LAYERS=FORMATS, not conv2-=2,1"},
        {"conv2x=2,1", MLS_ERROR_FORMAT, "want LAYERS=FORMATS, not conv2x=2,1"},
        {"2,1", MLS_ERROR_FORMAT, "want LAYERS=FORMATS, not 2,1"},
        {"=2,1", MLS_ERROR_FORMAT, "want LAYERS=FORMATS, not =2,1"},
        {"conv2=", MLS_ERROR_FORMAT, "'' is not a format"},
        {"conv2=2,1:foo", MLS_ERROR_FORMAT, "'2,1:foo' is not a format"},
        {"conv1=2,1; conv2=7,1", MLS_ERROR_FORMAT, "'7,1' is not a format"},
    };
    static rig r;
    char text[120], longest[400];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        t_note("\"%s\"", good[i].text);
        rig_build(&r, "2,1", "2,4");
        T_EQ_INT(mls_net_formats(&r.net, "conv1=2,1"), MLS_OK); /* so that it has room, too */
        T_EQ_INT(mls_net_formats(&r.net, "conv1=fp32"), MLS_OK);
        T_EQ_INT(mls_net_formats(&r.net, good[i].text), MLS_OK);
        T_REQUIRE(rig_bind(&r));
        say_formats(&r, text, sizeof text);
        if (strcmp(text, good[i].all) != 0) t_fail(__FILE__, __LINE__, "\"%s\"", text);
        T_EQ_INT(mls_net_formats(&r.net, good[i].text), MLS_OK); /* again, after planning */
        T_EQ_INT(mls_net_formats(&r.net, "conv2=2,2"), MLS_OK);
        T_EQ_INT(layer_formats(&r, 4).weight.mx, 2);
        steps(&r, 1);
        rig_free(&r);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        t_note("\"%s\"", bad[i].text);
        rig_build(&r, "2,1", NULL);
        T_EQ_INT(mls_net_formats(&r.net, bad[i].text), bad[i].status);
        if (!strstr(r.net.text, bad[i].wrong)) t_fail(__FILE__, __LINE__, "\"%s\"", r.net.text);
        T_EQ_INT(mls_net_plan(&r.net, NULL), bad[i].status); /* an error of building stays */
    }
    rig_build(&r, "2,1", NULL);
    memset(longest, '3', sizeof longest - 1), longest[sizeof longest - 1] = 0;
    T_EQ_INT(mls_net_formats(&r.net, longest), MLS_ERROR_FORMAT);
    T_CHECK(strcmp(r.net.text, "too long for LAYERS=FORMATS") == 0);
    rig_build(&r, "2,1", NULL);
    T_EQ_INT(mls_net_formats(&r.net, NULL), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_formats(NULL, ""), MLS_ERROR_ARGUMENT);
}

/* ---- formats that change */

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
        T_REQUIRE(rig_make(&b, changes[i][2], NULL));
        T_REQUIRE(rig_make(&a, changes[i][0], changes[i][1]));
        steps(&a, 2);
        T_EQ_INT(mls_net_evaluate(&a.net, images, labels, 1, NULL), MLS_OK); /* fewer images */
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
        T_EQ_INT(mls_net_evaluate(&a.net, images, labels, BATCH, NULL), MLS_OK);
        T_EQ_INT(mls_net_evaluate(&b.net, images, labels, BATCH, NULL), MLS_OK);
        T_EQ_MEM(mls_net_logits(&a.net), mls_net_logits(&b.net), 3 * BATCH * sizeof(float));
        rig_free(&a), rig_free(&b);
    }
    threads(1);
}

/* Some layers only, which shared an activation before: each takes its own. */
static void changed_in_part(void)
{
    static rig a, b;
    size_t size;
    T_REQUIRE(rig_make(&a, "2,1", "2,4"));
    steps(&a, 2);
    size = mls_net_checkpoint_size(&a.net, 0);
    T_EQ_INT(mls_net_checkpoint_write(&a.net, NULL, 0, bytes, size), MLS_OK);
    T_EQ_INT(mls_net_formats(&a.net, "conv2=2,4; linear=2,3"), MLS_OK);
    rig_build(&b, "2,1", NULL);
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
    float logits[3 * BATCH];
    static rig a, b;
    T_REQUIRE(rig_make(&a, "2,4", "2,1"));
    T_REQUIRE(rig_make(&b, "2,4", NULL));
    steps(&a, 1), steps(&b, 1);
    T_EQ_INT(mls_net_gradient(&a.net, images, labels, BATCH, NULL), MLS_OK);
    T_EQ_INT(mls_net_gradient(&b.net, images, labels, BATCH, NULL), MLS_OK);
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
    T_REQUIRE(rig_make(&a, "2,1", "2,4"));
    T_REQUIRE(rig_make(&b, "2,1", NULL));
    steps(&a, 2), steps(&b, 2);
    before = layer_formats(&a, 4);
    /* sizes are those of a whole batch, whatever the last call had */
    T_EQ_INT(mls_net_evaluate(&a.net, images, labels, 1, NULL), MLS_OK);
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
    T_REQUIRE(rig_make(&a, "2,1", "shiftquant-8"));
    good = formats_of("w=fp32 a=fp32 e=2,1 w.data=2,1 a.weight=2,1 e.weight=2,1:n");
    T_EQ_INT(mls_net_format(&a.net, 4, &good), MLS_ERROR_MEMORY);
    good = formats_of("w=2,3 a=2,3 e=2,1 w.data=2,1 a.weight=2,1 e.weight=2,1:n");
    T_EQ_INT(mls_net_format(&a.net, 4, &good), MLS_OK);
    rig_free(&a);
    sums_refused();
    t_note("widest formats that are none");
    rig_build(&a, "2,1", "2,4");
    a.net.desc.widest.weight.ex = 9;
    T_EQ_INT(mls_net_plan(&a.net, NULL), MLS_ERROR_FORMAT);
    T_CHECK(strcmp(a.net.text, "node 4 (convolution): one of its formats is not a format, of the "
                               "widest") == 0);
}

/* ---- checkpoints */

/* A run that changed its formats goes on from a file as if nothing had been. */
static void checkpoint_knows_formats(void)
{
    static const char changes[] = "conv2=shiftquant-4; conv3=2,3";
    static rig a, b;
    size_t size;
    uint64_t digest;
    T_REQUIRE(rig_make(&a, "2,1", "shiftquant-8"));
    steps(&a, 2);
    T_EQ_INT(mls_net_formats(&a.net, changes), MLS_OK);
    steps(&a, 2);
    size = mls_net_checkpoint_size(&a.net, 0);
    T_REQUIRE(size <= sizeof bytes);
    T_EQ_INT(mls_net_checkpoint_write(&a.net, NULL, 0, bytes, size), MLS_OK);
    steps(&a, 3);
    digest = mls_net_digest(&a.net);

    T_REQUIRE(rig_make(&b, "2,1", "shiftquant-8"));
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
        HEAD = 96,
        NODE = 80
    };
    static rig r;
    size_t size;
    mls_formats f, g = formats_of("w=2,4 a=fp32 e=2,1");
    T_REQUIRE(rig_make(&r, "w=2,4 a=fp32 e=2,1", NULL));
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
    bytes[HEAD + 4 * NODE + 56] = 9;
    mls__put(bytes + size - 8, mls__mix(mls__hash_bytes(0, bytes, size - 8)), 8);
    T_EQ_INT(mls_checkpoint_formats(bytes, size, 3, &f), MLS_OK);
    T_EQ_INT(mls_checkpoint_formats(bytes, size, 4, &f), MLS_ERROR_DATA);
}

T_MAIN(T_TEST(texts_of_products), T_TEST(longest_text), T_TEST(products_take_their_formats),
       T_TEST(one_answer), T_TEST(arena_of_formats), T_TEST(evaluation_alone),
       T_TEST(shiftquant_formats), T_TEST(shiftquant_variance), T_TEST(roles_of_a_layer),
       T_TEST(layers_by_text), T_TEST(changed_is_planned), T_TEST(changed_in_part),
       T_TEST(change_keeps_numbers), T_TEST(change_refused), T_TEST(checkpoint_knows_formats),
       T_TEST(checkpoint_of_one_format))
