/* Tests of mls_train.h: gradients against finite differences, golden trainings that every kernel and
   thread count must repeat bit for bit, checkpoints, data, and every way to call it wrongly. */
#include <stddef.h>
static void *test_malloc(size_t size);
static void test_free(void *memory);
#define MLS_MALLOC(size) test_malloc(size)
#define MLS_FREE(p)      test_free(p)
#define MLS_IMPLEMENTATION
#include "../mls_train.h"
#include "t.h"
#include <fenv.h>
#include <math.h>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

#if defined(__unix__) || defined(__APPLE__)
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#define FILES 1
#elif defined(__MINGW32__)
#include <direct.h>
#include <process.h>
#include <sys/stat.h>
#define FILES             1
#define WINDOWS           1
#define mkdir(path, mode) _mkdir(path)
#define rmdir(path)       _rmdir(path)
#define getpid()          _getpid()
#else
#define FILES 0
#endif
#ifndef WINDOWS
#define WINDOWS 0
#endif

/* ---- an allocator that counts, fails on demand, and sees writes behind a block */

static int live_blocks, allocations, fail_at, failures;
enum {
    HEAD = 64,
    CANARY = 64
};

static void *test_malloc(size_t size)
{
    unsigned char *p;
    if (++allocations == fail_at) {
        failures++;
        return NULL;
    }
    p = (unsigned char *)malloc(HEAD + size + CANARY);
    if (!p) return NULL;
    memcpy(p, &size, sizeof size);
    memset(p + HEAD, 0xa5, size + CANARY);
    live_blocks++;
    return p + HEAD;
}

static void test_free(void *memory)
{
    unsigned char *p = (unsigned char *)memory - HEAD;
    size_t size;
    T_CHECK(memory != NULL);
    if (!memory) return;
    memcpy(&size, p, sizeof size);
    for (size_t i = 0; i < CANARY; i++) {
        if (p[HEAD + size + i] == 0xa5) continue;
        t_fail(__FILE__, __LINE__, "a write behind a block of %lu bytes", (unsigned long)size);
        break;
    }
    live_blocks--;
    free(p);
}

static int thread_count = 1;

/* Of the networks that are planned from now on. */
static void threads(int count)
{
    thread_count = count;
#if defined(_OPENMP) && !defined(MLS_NO_THREADS)
    omp_set_num_threads(count);
#else
    (void)count;
#endif
}

/* ---- rows of our own, for mls_net_custom */

static size_t work_count(const mls_work *w)
{
    return (size_t)w->out.h * (size_t)w->out.w * (size_t)w->out.c;
}

/* y = x, or slope * x where x is not positive: trained numbers, sums of each image, a serial step. */
static const char *prelu_shape(const mls_work *w, mls_layer_sizes *sizes)
{
    T_CHECK(w->parameters == NULL && w->in[0].c == sizes->shape.c);
    sizes->weights = sizes->sums = (size_t)sizes->shape.c;
    return NULL;
}
static void prelu_init(const mls_work *w, uint64_t seed)
{
    for (int32_t ch = 0; ch < w->out.c; ch++) {
        w->weights[0][ch] = (float)mls_random16(seed, (uint64_t)ch) / 65536;
    }
}
static void prelu_forward(const mls_work *w)
{
    T_CHECK(w->x[0] && w->y && !w->x[1] && !w->dy && !w->dx[0] && !w->keep && !w->sums);
    T_CHECK(!w->gradients[0] && !w->result); /* only what the step names */
    for (size_t i = 0; i < work_count(w); i++) {
        float x = w->x[0][i];
        w->y[i] = x > 0 ? x : x * w->weights[0][i % (size_t)w->out.c];
    }
}
static void prelu_slopes(const mls_work *w)
{
    size_t c = (size_t)w->out.c;
    T_CHECK(w->x[0] && w->dy && w->sums && !w->y && !w->dx[0] && w->training);
    for (size_t ch = 0; ch < c; ch++) w->sums[ch] = 0;
    for (size_t i = 0; i < work_count(w); i++) {
        if (!(w->x[0][i] > 0)) w->sums[i % c] += (double)w->x[0][i] * (double)w->dy[i];
    }
}
static void prelu_sum(const mls_work *w)
{
    for (int32_t n = 0; n < w->out.n; n++) {
        for (int32_t ch = 0; ch < w->out.c; ch++) {
            w->gradients[0][ch] += (float)w->sums[n * w->out.c + ch];
        }
    }
}
static void prelu_dx(const mls_work *w)
{
    for (size_t i = 0; i < work_count(w); i++) {
        float slope = w->x[0][i] > 0 ? 1 : w->weights[0][i % (size_t)w->out.c];
        w->dx[0][i] = w->dy[i] * slope;
    }
}
static const mls_step prelu_forward_steps[] = {{0, MLS_EACH, MLS_X, MLS_Y, prelu_forward},
                                               MLS_STEPS_END};
static const mls_step prelu_backward_steps[] = {
    {0, MLS_EACH, MLS_X | MLS_DY, MLS_SUMS, prelu_slopes},
    {0, MLS_AFTER, MLS_SUMS, 0, prelu_sum},
    {MLS_IF_WANTED, MLS_EACH, MLS_X | MLS_DY, MLS_DX, prelu_dx},
    MLS_STEPS_END};
static const mls_layer_kind prelu = {
    "prelu", 0, prelu_shape, prelu_init, prelu_forward_steps, prelu_backward_steps, NULL, NULL};

/* y = x / (1 + |x|), whose backward reads its output: a layer behind it must not overwrite that. */
static void softsign_forward(const mls_work *w)
{
    for (size_t i = 0; i < work_count(w); i++) {
        float x = w->x[0][i], most = x < 0 ? 1 - x : 1 + x;
        w->y[i] = x / most;
    }
}
static void softsign_backward(const mls_work *w)
{
    for (size_t i = 0; i < work_count(w); i++) {
        float y = w->y[i], rest = y < 0 ? 1 + y : 1 - y;
        w->dx[0][i] = w->dy[i] * (rest * rest);
    }
}
static const mls_step softsign_forward_steps[] = {{0, MLS_EACH, MLS_X, MLS_Y, softsign_forward},
                                                  MLS_STEPS_END};
static const mls_step softsign_backward_steps[] = {
    {MLS_IF_WANTED, MLS_EACH, MLS_Y | MLS_DY, MLS_DX, softsign_backward}, MLS_STEPS_END};
static const mls_layer_kind softsign = {
    "softsign", 0, NULL, NULL, softsign_forward_steps, softsign_backward_steps, NULL, NULL};

/* y = -3/4 x, in place. Not -x: what adds x to that is 0 whatever x is, and a batch norm behind it makes
   gradients of nothing but rounding. */
static void turn_forward(const mls_work *w)
{
    for (size_t i = 0; i < work_count(w); i++) w->y[i] = -0.75f * w->x[0][i];
}
static void turn_backward(const mls_work *w)
{
    for (size_t i = 0; i < work_count(w); i++) w->dx[0][i] = -0.75f * w->dy[i];
}
static const mls_step turn_forward_steps[] = {{0, MLS_EACH, MLS_X, MLS_Y, turn_forward},
                                              MLS_STEPS_END};
static const mls_step turn_backward_steps[] = {
    {MLS_IF_WANTED, MLS_EACH, MLS_DY, MLS_DX, turn_backward}, MLS_STEPS_END};
static const mls_layer_kind turn = {
    "turn", MLS_IN_PLACE, NULL, NULL, turn_forward_steps, turn_backward_steps, NULL, NULL};

/* y = x1 * x2, element by element. */
static const char *product_shape(const mls_work *w, mls_layer_sizes *sizes)
{
    (void)sizes;
    return memcmp(&w->in[0], &w->in[1], sizeof w->in[0]) ? "it needs inputs of one shape" : NULL;
}
static void product_forward(const mls_work *w)
{
    for (size_t i = 0; i < work_count(w); i++) w->y[i] = w->x[0][i] * w->x[1][i];
}
static void product_backward(const mls_work *w)
{
    for (size_t i = 0; i < work_count(w); i++) {
        for (int j = 0; j < 2; j++) {
            if (w->dx[j]) w->dx[j][i] = w->dy[i] * w->x[1 - j][i];
        }
    }
}
static const mls_step product_forward_steps[] = {{0, MLS_EACH, MLS_X, MLS_Y, product_forward},
                                                 MLS_STEPS_END};
static const mls_step product_backward_steps[] = {
    {MLS_IF_WANTED, MLS_EACH, MLS_X | MLS_DY, MLS_DX, product_backward}, MLS_STEPS_END};
static const mls_layer_kind product = {
    "product", 0, product_shape, NULL, product_forward_steps, product_backward_steps, NULL, NULL};

/* Passes on in place, and counts the steps that went well; keeps an odd number of bytes. */
static const char *tally_shape(const mls_work *w, mls_layer_sizes *sizes)
{
    (void)w;
    sizes->state = 1, sizes->constants = 3, sizes->keep = 5;
    return NULL;
}
static void tally_forward(const mls_work *w)
{
    T_CHECK((uintptr_t)w->keep % 16 == 0);
    memset(w->keep, w->image + 1, 5);
    memmove(w->y, w->x[0], work_count(w) * sizeof(float));
}
static void tally_serial(const mls_work *w)
{
    T_EQ_INT(((const uint8_t *)w->keep)[16 * (w->out.n - 1) + 4], w->out.n);
    for (int i = 0; i < 3; i++) w->constants[i] = (float)w->out.n;
}
static void tally_settle(const mls_work *w)
{
    T_EQ_INT((int)w->constants[2], w->out.n);
    w->state[0] += 1;
}
static const mls_step tally_forward_steps[] = {
    {0, MLS_EACH, MLS_X, MLS_Y | MLS_KEEP, tally_forward},
    {0, MLS_SERIAL, MLS_KEEP, 0, tally_serial},
    MLS_STEPS_END};
static const mls_layer_kind tally = {
    "tally",      MLS_IN_PLACE, tally_shape, NULL, tally_forward_steps, turn_backward_steps,
    tally_settle, NULL};

/* Half the squared distance of the scores from 1 for the label and 0 for the others. */
static const char *squares_shape(const mls_work *w, mls_layer_sizes *sizes)
{
    (void)w;
    sizes->sums = 2;
    return NULL;
}
static void squares_forward(const mls_work *w)
{
    w->sums[0] = w->sums[1] = 0;
    for (int32_t i = 0; i < w->out.c; i++) {
        float d = w->x[0][i] - (i == w->labels[w->image] ? 1.0f : 0.0f);
        w->sums[0] += 0.5 * (double)d * (double)d;
        if (w->dx[0]) w->dx[0][i] = d;
    }
    T_CHECK((w->dx[0] != NULL) == w->training);
    w->sums[1] = w->x[0][w->labels[w->image]] > 0.5f;
}
static void squares_sum(const mls_work *w)
{
    for (int32_t n = 0; n < w->out.n; n++) {
        w->result->loss += w->sums[2 * n];
        w->result->correct += (int32_t)w->sums[2 * n + 1];
    }
}
static const mls_step squares_steps[] = {
    {MLS_IF_LABELS, MLS_EACH, MLS_X, MLS_DX | MLS_SUMS, squares_forward},
    {MLS_IF_LABELS, MLS_AFTER, MLS_SUMS, 0, squares_sum},
    MLS_STEPS_END};
static const mls_layer_kind squares = {"squares",     MLS_LOSS, squares_shape, NULL,
                                       squares_steps, NULL,     NULL,          NULL};

/* ---- networks as texts: nodes separated by |, a letter and numbers each */

/* i h w c; c x c_out k stride pad bias fp32; d x c_out, then kernel, strides, dilation, each h and w,
   groups and pads at the top, left, bottom, right (a convolution, too); n x (batch norm); r x (relu); a x y (add);
   m x size stride pad (max pool); v x size stride pad (average); g x (global pool);
   s x stride c (subsample); k x y (concat); l x outputs (linear); z x (loss); and the rows above:
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
static int rig_make(rig *r, const mls_net_desc *desc, const char *text)
{
    r->arena = NULL;
    threads(thread_count);
    mls_net_begin(&r->net, desc, r->nodes, 64);
    build(&r->net, text);
    if (mls_net_plan(&r->net, &r->plan) == MLS_OK) {
        r->arena = t_alloc(r->plan.arena);
        mls_net_bind(&r->net, r->arena, r->plan.arena);
    }
    if (r->net.status != MLS_OK) {
        t_fail(__FILE__, __LINE__, "%s: %s", text, r->net.text);
        t_free(r->arena);
        return 0;
    }
    return 1;
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

/* Images and labels for small networks. */
static float some_images[16 * 32 * 32 * 3];
static int32_t some_labels[16];

static void make_images(int count, size_t each, int classes, uint64_t seed)
{
    uint64_t rng = seed;
    for (size_t i = 0; i < (size_t)count * each; i++) some_images[i] = t_uniform(&rng);
    for (int i = 0; i < count; i++) some_labels[i] = t_below(&rng, classes);
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
        make_images(count, image, classes, (uint64_t)i * 77 + 5);
        if (mls_net_step(&r->net, some_images, some_labels, count, &plain_sgd, NULL) != MLS_OK) {
            t_fail(__FILE__, __LINE__, "step %d: %s", i, r->net.text);
            return;
        }
    }
}

/* ---- gradients */

static double loss_now(rig *r, int batch)
{
    mls_result result = {0, 0, 0};
    mls_status status = mls_net_gradient(&r->net, some_images, some_labels, batch, &result);
    T_EQ_INT(status, MLS_OK);
    return result.loss;
}

/* The slope to the left and to the right of *w, from near: two kinks, one on each side, may look like a
   bend from afar, and with a kink right here any slope between is a gradient. One that is wrong is still
   so. Returns how far the exact one is from both. */
static double slope_error(rig *r, float *w, int batch, double loss, double exact)
{
    const float keep = *w, h = 0.0005f;
    double left, right, error;
    *w = keep - h, left = (loss - loss_now(r, batch)) / (double)h;
    *w = keep + h, right = (loss_now(r, batch) - loss) / (double)h;
    *w = keep;
    error = fabs((left + right) / 2 - exact) - fabs(right - left) / 2;
    return error > 0 ? error : 0;
}

/* Central differences of the loss at some of the numbers of each node. The second difference is of
   order h where the loss is smooth, and of order 1 where there is a kink between: such a place does
   not count, but most places must. */
static void check_gradients(const char *text, int samples, uint64_t seed)
{
    enum {
        BATCH = 3
    };
    static float gradient[1 << 14];
    mls_net_desc desc = desc_fp32(BATCH);
    uint64_t rng = seed;
    size_t count;
    int checked = 0, skipped = 0;
    double loss;
    rig r;
    t_note("%.200s", text);
    desc.seed = seed;
    if (!rig_make(&r, &desc, text)) return;
    make_images(BATCH, mls__image(r.nodes[0].shape), r.nodes[r.net.count - 1].shape.c, seed);
    for (int i = 0; i < r.net.count; i++) { /* no number at its special first value */
        for (int second = 0; second < 2; second++) {
            float *w = mls_net_weights(&r.net, i, second, &count);
            int conv = mls__convolves(&r.nodes[i]);
            for (size_t j = 0; w && j < count; j++) {
                w[j] = w[j] * (conv ? 1.3f : 1) + 0.3f * t_uniform(&rng) * (second || !conv);
            }
        }
    }
    loss = loss_now(&r, BATCH);
    count = 0;
    for (int i = 0; i < r.net.count; i++) {
        for (int second = 0; second < 2; second++) {
            size_t n;
            const float *g = mls_net_gradients(&r.net, i, second, &n);
            if (!g) continue;
            T_REQUIRE(count + n <= sizeof gradient / sizeof gradient[0]);
            memcpy(gradient + count, g, n * sizeof(float));
            count += n;
        }
    }
    count = 0;
    for (int i = 0; i < r.net.count; i++) {
        for (int second = 0; second < 2; second++) {
            size_t n;
            float *w = mls_net_weights(&r.net, i, second, &n);
            const float *g = gradient + count;
            double most = 0;
            if (!w) continue;
            count += n;
            for (size_t j = 0; j < n; j++) {
                if (fabs((double)g[j]) > most) most = fabs((double)g[j]);
            }
            most /= (double)BATCH;
            for (int k = 0; k < samples && k < (int)n; k++) {
                size_t j = n <= (size_t)samples ? (size_t)k : (size_t)t_below(&rng, (int)n);
                float keep = w[j];
                double central[2], bend[2], exact = (double)g[j] / (double)BATCH,
                                            scale = fabs(exact);
                if (scale < 0.2 * most) scale = 0.2 * most;
                for (int half = 0; half < 2; half++) {
                    double h = half ? 0.004 : 0.008, up, down;
                    w[j] = keep + (float)h, up = loss_now(&r, BATCH);
                    w[j] = keep - (float)h, down = loss_now(&r, BATCH);
                    w[j] = keep;
                    central[half] = (up - down) / (2 * h);
                    bend[half] = (up + down - 2 * loss) / h;
                }
                if (fabs(central[0] - central[1]) > 0.005 * scale + 4e-4 ||
                    fabs(bend[0] - 2 * bend[1]) > 0.01 * scale + 8e-4) {
                    skipped++;
                    continue;
                }
                checked++;
                if (fabs(central[1] - exact) > 0.015 * scale + 8e-4 &&
                    slope_error(&r, &w[j], BATCH, loss, exact) > 0.015 * scale + 8e-4) {
                    t_fail(__FILE__, __LINE__, "node %d, %s %lu: %g, not %g", i,
                           second ? "second" : "weight", (unsigned long)j, exact, central[1]);
                }
            }
        }
    }
    T_CHECK(skipped <= checked);
    rig_free(&r);
}

/* Every layer behind a convolution or linear layer, whose gradient proves the layer's own. */
static void gradients_of_layers(void)
{
    static const char *const nets[] = {
        "i5 4 2|c0 3 3 1 1 1|l1 4|z2",                          /* conv with bias */
        "i6 5 3|c0 4 3 2 1|c1 3 3 1 1 1|l2 4|z3",               /* its input gradient */
        "i7 7 2|c0 3 3 1 1 1|c1 4 5 2 2 1|l2 4|z3",             /* 5 x 5, stride 2 */
        "i5 5 2|c0 5 1 1 0 1|c1 3 1 2 0 1|c2 2 2 1 0|l3 3|z4",  /* 1 x 1, 2 x 2 */
        "i7 5 2|c0 3 3 3 2 1|c1 17 3 1 1 1|c2 3 3 1 0|l3 3|z4", /* stride 3, many channels */
        "i4 4 2|c0 3 3 1 1|n1|l2 4|z3",                         /* batch norm */
        "i4 4 2|c0 5 3 1 1|n1|c2 3 3 1 1|n3|c4 3 1 1|n5|l6 3|z7",
        "i4 4 3|c0 18 3 1 1|n1|l2 3|z3",
        "i5 5 2|c0 4 3 1 1 1|r1|l2 4|z3", /* relu */
        "i5 5 2|c0 4 3 1 1|n1|r2|c3 5 3 1 1|r4|l5 3|z6",
        "i5 5 2|c0 4 3 1 1 1|a1 1|l2 4|z3", /* the same input twice */
        "i5 5 2|c0 4 3 1 1 1|r1|a2 2|n3|l4 4|z5",
        "i5 5 2|c0 4 3 1 1 1|c1 4 3 1 1|a1 2|a2 3|a4 1|l5 4|z6", /* several consumers */
        "i5 5 2|c0 4 3 1 1 1|r1|c1 4 3 1 1|a2 3|r4|a5 1|a6 2|l7 4|z8",
        "i6 6 2|c0 4 3 1 1 1|m1 2 2|l2 4|z3", /* pools */
        "i6 7 2|c0 4 3 1 1 1|m1 3 2 1|c2 3 3 1 1|m3 2 1|l4 3|z5",
        "i6 6 2|c0 4 3 1 1 1|v1 2 2|l2 4|z3",
        "i6 7 2|c0 4 3 1 1 1|v1 3 2 1|c2 3 3 1 1|v3 3 1 2|l4 3|z5",
        "i6 5 2|c0 4 3 1 1 1|g1|l2 4|z3",
        "i6 5 2|c0 4 3 1 1|n1|g2|l3 5|l4 4|z5",          /* linear behind linear */
        "i6 5 2|c0 4 3 1 1 1|s1 2 9|c2 3 3 1 1|l3 4|z4", /* option A */
        "i6 6 2|c0 4 3 1 1|n1|r2|c3 6 3 2 1|n4|s3 2 6|a5 6|r7|g8|l9 4|z10",
        "i6 6 2|c0 4 3 1 1|n1|r2|c3 6 3 2 1|n4|c3 6 1 2|n6|a5 7|r8|g9|l10 4|z11",
        "i4 4 2|c0 4 3 1 1|n1|a2 1|r3|a4 2|r5|n6|a7 5|l8 3|z9",
        "i1 1 6|l0 5|r1|l2 5|a3 1|l4 2|z5",
        "i3 3 4|n0|l1 3|z2", /* batch norm and add on the input itself */
        "i3 3 4|a0 0|r1|a2 0|c3 4 3 1 1|a4 0|m5 3 1 1|l6 3|z7",
        "i2 2 3|c0 2 2|z1", /* a convolution as the last layer */
        "i5 4 2|c0 3 3 1 1 1|c1 5 1 1 0 1|k1 2|c3 3 3 1 1|l4 4|z5", /* concat */
        "i5 4 2|k0 0|c1 3 3 1 1 1|k2 2|r3|k4 0|m5 2 2|k6 6|v7 2 1|l8 4|z9",
        "i5 4 2|c0 3 3 1 1 1|n1|p2|c3 3 3 1 1|p4|l5 4|z6", /* rows of our own */
        "i5 4 2|c0 3 3 1 1 1|o1|r2|c3 3 3 1 1|o4|f5|a6 4|l7 4|z8",
        "i5 4 2|c0 4 3 1 1 1|f1|r2|f3|c4 4 3 1 1|f4|f6|a5 7|f8|o9|l10 4|z11",
        "i5 4 2|c0 4 3 1 1 1|x1 1|o2|x3 1|x4 3|k5 5|x6 6|l7 4|z8",
        "i5 4 2|c0 4 3 1 1 1|c1 4 3 1 1|x1 2|x2 3|a4 3|a3 5|l6 4|e7", /* both added up */
        "i5 4 2|p0|x0 1|l2 3|e3",
        "i6 5 2|c0 4 3 1 1 1|d1 4 3 3 1 1 1 1 4 1 1 1 1|r2|l3 4|z4", /* depthwise */
        "i6 7 2|c0 4 3 1 1 1|d1 8 3 3 2 2 1 1 4 0 0 1 1|l2 4|z3",    /* SAME, two of each */
        "i6 7 2|c0 6 3 1 1 1|d1 4 3 2 1 1 1 1 2 1 0 1 1|n2|l3 4|z4", /* groups */
        "i6 9 2|c0 3 3 1 1 1|d1 4 3 3 1 2 2 3 1 2 3 1 2|d2 3 1 3 2 1|l3 4|z4",
        "i7 6 2|c0 6 3 1 1 1|d1 9 2 3 3 1 2 1 3 0 1 2 0|r2|l3 4|z4",
        "i6 6 2|c0 4 1 1 0|n1|r2|c3 12 1 1 0|n4|r5|d6 12 3 3 1 1 1 1 12 1 1 1 1|n7|r8|c9 4 1 1 0|"
        "n10|a3 11|g12|l13 4|z14", /* expand, depthwise, project, add */
    };
    for (size_t i = 0; i < sizeof nets / sizeof nets[0]; i++) {
        if (T_SLOW && i % 2) continue;
        check_gradients(nets[i], T_SLOW ? 8 : 20, i + 1);
    }
}

/* Random graphs: whatever the planner shares, hands over or overwrites, gradients stay right. */
static void gradients_of_random_graphs(void)
{
    uint64_t rng = 99;
    for (int i = 0; i < (T_SLOW ? 10 : 60); i++) {
        char text[1024];
        int used[40] = {0}, wide[40] = {0}, nodes = 2, more = 4 + t_below(&rng, 14), n;
        n = snprintf(text, sizeof text, "i4 3 2|c0 4 3 1 1 1");
        while (nodes < more) {
            int x = 1 + t_below(&rng, nodes - 1), y = 1 + t_below(&rng, nodes - 1);
            if (t_below(&rng, 3)) x = nodes - 1 - t_below(&rng, nodes < 4 ? 1 : 3);
            while (wide[x]) x--; /* with twice the channels */
            while (wide[y]) y--;
            used[x] = 1;
            n += snprintf(text + n, sizeof text - (size_t)n, "|");
            switch (t_below(&rng, 15)) {
            case 13:
                n += snprintf(text + n, sizeof text - (size_t)n, "d%d 4 3 3 1 1 1 1 4 1 1 1 1", x);
                break;
            case 14:
                n += snprintf(text + n, sizeof text - (size_t)n, "d%d 4 3 2 1 1 2 1 2 3 1 1 0", x);
                break;
            case 10:
                n += snprintf(text + n, sizeof text - (size_t)n, "o%d", x);
                break;
            case 11:
                n += snprintf(text + n, sizeof text - (size_t)n, "f%d", x);
                break;
            case 12:
                used[y] = 1;
                n += snprintf(text + n, sizeof text - (size_t)n, "k%d %d|c%d 4 1 1 0 1", x, y,
                              nodes);
                wide[nodes] = used[nodes] = 1;
                nodes++;
                break;
            case 0:
            case 1:
            case 2:
                used[y] = 1;
                n += snprintf(text + n, sizeof text - (size_t)n, "a%d %d", x, y);
                break;
            case 3:
            case 4:
            case 5:
                n += snprintf(text + n, sizeof text - (size_t)n, "r%d", x);
                break;
            case 6:
                n += snprintf(text + n, sizeof text - (size_t)n, "n%d", x);
                break;
            case 7:
                n += snprintf(text + n, sizeof text - (size_t)n, "c%d 4 1 1 0 1", x);
                break;
            case 8:
                n += snprintf(text + n, sizeof text - (size_t)n, "v%d 3 1 1", x);
                break;
            default:
                n += snprintf(text + n, sizeof text - (size_t)n, "s%d 1 4", x);
                break;
            }
            nodes++;
        }
        for (int x = 1; x < nodes - 1; x++) { /* everything must be used */
            if (used[x]) continue;
            n += snprintf(text + n, sizeof text - (size_t)n, "|a%d %d", x, nodes - 1);
            used[nodes - 1] = used[x] = 1;
            nodes++;
        }
        snprintf(text + n, sizeof text - (size_t)n, "|n%d|l%d 3|z%d", nodes - 1, nodes, nodes + 1);
        check_gradients(text, 4, (uint64_t)i + 100);
    }
}

/* What gradients cannot tell: that a layer reads the right pixels. Kinds are letters as in build. */
static void pools_recomputed(void)
{
    static const struct {
        char kind;
        int h, w, size, stride, pad; /* subsample: size is its channels */
    } pools[] = {{'m', 5, 7, 3, 2, 1}, {'m', 4, 5, 2, 0, 0}, {'v', 5, 7, 3, 2, 1},
                 {'v', 6, 4, 3, 1, 2}, {'v', 7, 5, 2, 0, 0}, {'s', 5, 7, 7, 2, 0},
                 {'s', 4, 5, 3, 3, 0}, {'s', 6, 6, 6, 2, 0}};
    for (size_t i = 0; i < sizeof pools / sizeof pools[0]; i++) {
        int h = pools[i].h, w = pools[i].w, size = pools[i].size, pad = pools[i].pad;
        int stride = pools[i].stride ? pools[i].stride : size, sub = pools[i].kind == 's';
        int oh = sub ? (h + stride - 1) / stride : (h + 2 * pad - size) / stride + 1;
        int ow = sub ? (w + stride - 1) / stride : (w + 2 * pad - size) / stride + 1;
        int c = sub ? size : 3;
        mls_net_desc desc = desc_fp32(2);
        char text[80];
        const float *y;
        mls_shape s;
        rig r;
        snprintf(text, sizeof text, "i%d %d 3|%c0 %d %d %d|l1 3|z2", h, w, pools[i].kind,
                 sub ? stride : size, sub ? size : pools[i].stride, pad);
        t_note("%s", text);
        if (!rig_make(&r, &desc, text)) return;
        make_images(2, (size_t)(h * w * 3), 3, i);
        T_EQ_INT(mls_net_gradient(&r.net, some_images, some_labels, 2, NULL), MLS_OK);
        s = r.nodes[1].shape;
        T_REQUIRE(s.h == oh && s.w == ow && s.c == c);
        y = mls__value(&r.net, 1, 0); /* kept for the gradient of the linear layer */
        for (int at = 0; at < 2 * oh * ow * c; at++) {
            int n = at / (oh * ow * c), oy = at / (ow * c) % oh, ox = at / c % ow, ch = at % c;
            double most = -9, sum = 0, count = 0;
            if (sub) ch -= (c - 3) / 2; /* zeros on both sides */
            for (int k = 0; k < (sub ? 1 : size * size); k++) {
                int iy = oy * stride + (sub ? 0 : k / size) - pad;
                int ix = ox * stride + (sub ? 0 : k % size) - pad;
                double v;
                if (iy < 0 || iy >= h || ix < 0 || ix >= w || ch < 0 || ch >= 3) continue;
                v = (double)some_images[((n * h + iy) * w + ix) * 3 + ch];
                most = v > most ? v : most, sum += v, count++;
            }
            if (pools[i].kind == 'v') sum /= count;
            if (pools[i].kind == 'm') sum = most;
            T_CHECK(fabs((double)y[at] - sum) < 1e-6);
        }
        if (pools[i].kind == 'm') { /* in the middle of a window: it must not be lost */
            some_images[(w + 1) * 3] = NAN;
            T_EQ_INT(mls_net_evaluate(&r.net, some_images, some_labels, 2, NULL),
                     MLS_ERROR_NONFINITE);
        }
        rig_free(&r);
    }
}

/* The loss, the count of right answers and the logits, in double. */
static void loss_of_logits(void)
{
    mls_net_desc desc = desc_fp32(16);
    mls_result result, again;
    const float *z;
    double loss = 0;
    int right = 0;
    rig r;
    if (!rig_make(&r, &desc, plain_net)) return;
    make_images(16, SMALL_IMAGE, 10, 3);
    for (int i = 0; i < 16 * SMALL_IMAGE; i++) some_images[i] *= 20;
    T_EQ_INT(mls_net_evaluate(&r.net, some_images, some_labels, 16, &result), MLS_OK);
    z = mls_net_logits(&r.net);
    T_REQUIRE(z != NULL);
    for (int n = 0; n < 16; n++) {
        const float *p = z + n * 10;
        double most = -1e30, sum = 0;
        int best = 0;
        for (int i = 0; i < 10; i++) {
            if ((double)p[i] > most) most = (double)p[i], best = i;
        }
        for (int i = 0; i < 10; i++) sum += exp((double)p[i] - most);
        loss += log(sum) - ((double)p[some_labels[n]] - most);
        right += best == some_labels[n];
    }
    T_CHECK(fabs(result.loss - loss / 16) < 1e-5 * (1 + loss / 16));
    T_EQ_INT(result.correct, right);
    T_EQ_INT(result.images, 16);
    T_EQ_INT(mls_net_gradient(&r.net, some_images, some_labels, 16, &again), MLS_OK);
    T_EQ_MEM(&again.loss, &result.loss, sizeof result.loss); /* no batch norm: the same forward */
    T_EQ_INT(again.correct, right);
    T_EQ_INT(mls_net_evaluate(&r.net, some_images, NULL, 16, &again), MLS_OK);
    T_CHECK(again.loss == 0 && again.correct == 0 && again.images == 16);
    rig_free(&r);
}

/* After a training call the logits are still those of its forward pass. */
static void logits_after_training(void)
{
    static const char *const nets[] = {plain_net, small_net, "i8 8 3|c0 4 3 1 1|l1 10|z2",
                                       "i8 8 3|c0 24 3 1 1|r1|m2 2 2|c3 10 4|z4"};
    static float before[160];
    for (int i = 0; i < 4; i++) {
        mls_net_desc desc = i % 2 ? desc_low(16) : desc_fp32(16);
        rig r;
        t_note("%s", nets[i]);
        if (!rig_make(&r, &desc, nets[i])) return;
        T_CHECK(mls_net_logits(&r.net) == NULL);
        make_images(16, SMALL_IMAGE, 10, 3);
        for (int n = 1; i == 3 && n < 16; n++) { /* S_t of the batch is that of an image */
            memcpy(some_images + (size_t)n * SMALL_IMAGE, some_images, sizeof(float) * SMALL_IMAGE);
        }
        if (i == 1) { /* batch norm that does the same in evaluation and training */
            T_EQ_INT(mls_net_gradient(&r.net, some_images, some_labels, 16, NULL), MLS_OK);
            for (int n = 0; n < 16; n++) {
                double sum = 0, most = -1e30;
                const float *z = mls_net_logits(&r.net) + n * 10;
                for (int c = 0; c < 10; c++) most = (double)z[c] > most ? (double)z[c] : most;
                for (int c = 0; c < 10; c++) sum += exp((double)z[c] - most);
                T_CHECK(sum >= 1 && sum <= 10 && most > 0.001 && most < 100);
            }
        } else {
            T_EQ_INT(mls_net_evaluate(&r.net, some_images, some_labels, 16, NULL), MLS_OK);
            memcpy(before, mls_net_logits(&r.net), sizeof before);
            T_EQ_INT(mls_net_gradient(&r.net, some_images, some_labels, 16, NULL), MLS_OK);
            T_EQ_MEM(mls_net_logits(&r.net), before, sizeof before);
        }
        rig_free(&r);
    }
}

/* Sums of more than 63 bits are refused where the compiler has no integer for them. */
#if defined(__SIZEOF_INT128__)
#define WIDE_SUMS 1
#else
#define WIDE_SUMS 0
#endif

/* ---- golden trainings */

typedef struct golden {
    const char *w, *a, *e;
    int option_a;
    uint32_t loss[10]; /* as floats, by their bits */
    uint64_t digest;   /* after the last step */
} golden;

#define LOW20 "2,1:nc:2,0"
#define LOW31 "2,1:nc:3,1"
#define LOW81 "2,4:nc:8,1"
#define NONE4 "0,4:none"
#define UP    ":stochastic"
#define FP    "fp32"

/* clang-format off */
/* ResNet-8 of width 8 on 16 x 16 pictures, eight a step */
static const golden golden_wide[] = {
    {FP, FP, FP, 0,
     {0x4011de43u, 0x40124f23u, 0x401891a1u, 0x4019c630u, 0x401bf59du,
      0x401cdd4au, 0x401b232bu, 0x402ab6d7u, 0x4023635eu, 0x401e6f33u},
     0x630dbeb1b6a7b354u},
    {LOW20, LOW20, LOW20 UP, 0,
     {0x40138954u, 0x4013e6c0u, 0x401641e1u, 0x4019d049u, 0x401b29f6u,
      0x401b869cu, 0x401d318fu, 0x4026bfdbu, 0x401dd843u, 0x4019c75eu},
     0x7a78f7d006a3c129u},
    {LOW31, LOW31, LOW31 UP, 0,
     {0x40120abbu, 0x40161563u, 0x4016e43eu, 0x40185208u, 0x401ac36bu,
      0x401d52ebu, 0x40191d4bu, 0x4025edf1u, 0x40209536u, 0x401dcbf4u},
     0x7867b8f352c75919u},
    {LOW81, LOW81, LOW81 UP, 0,
     {0x4011a8a8u, 0x4012702au, 0x4018ad85u, 0x40197eaau, 0x401b0288u,
      0x401cd0f9u, 0x401b3a1eu, 0x402e7015u, 0x401e7b5cu, 0x401e1c75u},
     0x07b4d554f966dbb5u},
    {NONE4, NONE4, NONE4 UP, 1,
     {0x4012486fu, 0x401a1a6cu, 0x4016a25au, 0x4020b2f2u, 0x401b7c2fu,
      0x401e06a1u, 0x40259e81u, 0x4025e309u, 0x4035b485u, 0x40314c16u},
     0x27ed7ad3b381586bu},
    {LOW20, FP, LOW20 UP, 0,
     {0x40133510u, 0x4012a7ecu, 0x4015ff07u, 0x401bf9feu, 0x401af1d8u,
      0x401b768cu, 0x401c3217u, 0x4028adc2u, 0x40221519u, 0x40217a52u},
     0x0b46475d0f6e6b3du},
    {FP, "2,4:nc:3,1", "2,1:c:1,1:clipped:paper", 1,
     {0x401210bcu, 0x401b6130u, 0x4016e5bdu, 0x40214280u, 0x401aad5cu,
      0x401e4556u, 0x4023a404u, 0x4027d6a1u, 0x4030655du, 0x402eb2b6u},
     0x3164ae77be431546u},
};
/* width 4 on 8 x 8 pictures, three a step: small enough for the reference */
static const golden golden_tiny[] = {
    {FP, FP, FP, 0,
     {0x4019d387u, 0x3fee8d7bu, 0x40240909u, 0x403d2e1fu, 0x40324737u,
      0x404d70e5u, 0x40179cd4u, 0x3ffda157u, 0x403a1253u, 0x400da96eu},
     0xa1780676a03284fau},
    {LOW20, LOW20, LOW20 UP, 0,
     {0x401dd4f2u, 0x3ff2557cu, 0x4019754eu, 0x4037fe80u, 0x402e5458u,
      0x404556e9u, 0x401e5d46u, 0x400ad0cfu, 0x40337a4du, 0x3ff09e4eu},
     0xdd33c6a654c51942u},
    {LOW31, LOW31, LOW31 UP, 1,
     {0x401c6608u, 0x3ffa70f3u, 0x40311a62u, 0x40305fb7u, 0x4043a296u,
      0x403a17b0u, 0x400f9a97u, 0x400f1f5eu, 0x4030d52eu, 0x4011cf8cu},
     0xfa9552a599a30005u},
    {LOW81, LOW81, LOW81 UP, 0,
     {0x401a1fdeu, 0x3fecaf76u, 0x4023ba65u, 0x403d4351u, 0x402d651bu,
      0x404ba588u, 0x401a24c2u, 0x3ffd3093u, 0x4032b8fau, 0x3ff0a6b8u},
     0x0028f4d648c37be8u},
    {NONE4, NONE4, NONE4 UP, 0,
     {0x4019b2a7u, 0x3ff546dcu, 0x401f2169u, 0x40460929u, 0x4038ac82u,
      0x404955d9u, 0x4016bfe8u, 0x4002d285u, 0x4044b1ddu, 0x40079c5eu},
     0x4c3ed84f1c0ab06bu},
    {LOW20, FP, LOW20 UP, 0,
     {0x401cbc31u, 0x3fefc288u, 0x401ec690u, 0x403c6662u, 0x40374779u,
      0x4041b154u, 0x40226959u, 0x400b1516u, 0x402a2a54u, 0x4006a802u},
     0xc725823fa86d4b74u},
    {"5,2:n:8,1", "4,3:c:5,0", "5,6:nc:4,1:stochastic", 0,
     {0x401c760au, 0x3fee6546u, 0x402271f9u, 0x404188e2u, 0x402f2201u,
      0x404b2c53u, 0x4012cd82u, 0x3ff510e9u, 0x403a5554u, 0x4008000cu},
     0x185929bf6df22280u},
};
/* clang-format on */

/* conv-bn-relu, three stages of one block, pool, linear; pictures 32 x 32 x 3. */
static void build_resnet8(mls_net *net, int32_t width, int32_t shrink, int option_a)
{
    int32_t x = mls_net_input(net, 32, 32, 3);
    mls_conv_desc conv;
    memset(&conv, 0, sizeof conv);
    x = mls_net_subsample(net, x, shrink, 3);
    conv.c_out = width, conv.kh = 3, conv.pad = 1;
    x = mls_net_relu(net, mls_net_batch_norm(net, mls_net_conv(net, x, &conv)));
    for (int32_t stage = 0; stage < 3; stage++) {
        int32_t c = width << stage, stride = stage ? 2 : 1, y, side = x;
        conv.c_out = c, conv.kh = 3, conv.pad = 1, conv.stride = stride;
        y = mls_net_relu(net, mls_net_batch_norm(net, mls_net_conv(net, x, &conv)));
        conv.stride = 1;
        y = mls_net_batch_norm(net, mls_net_conv(net, y, &conv));
        if (stage && option_a) side = mls_net_subsample(net, x, stride, c);
        if (stage && !option_a) {
            conv.kh = 1, conv.pad = 0, conv.stride = stride;
            side = mls_net_batch_norm(net, mls_net_conv(net, x, &conv));
        }
        x = mls_net_relu(net, mls_net_add(net, y, side));
    }
    mls_net_loss(net, mls_net_linear(net, mls_net_global_pool(net, x), 10));
}

static mls_data golden_data;

static void golden_data_make(void)
{
    static uint8_t pixels[80 * 3072], labels[80];
    golden_data.pixels = pixels, golden_data.labels = labels;
    T_EQ_INT(mls_data_synthetic(&golden_data, 80, 5, 0), MLS_OK);
}

/* Trains for some steps; losses by their bits. */
static uint64_t golden_run(const golden *g, int width, int shrink, int batch, int steps,
                           uint32_t *losses)
{
    mls_net_desc desc = desc_of(batch, g->w, g->a, g->e);
    mls_augment augment;
    static rig r;
    uint64_t digest;
    memset(&augment, 0, sizeof augment);
    memset(losses, 0, 10 * sizeof *losses);
    augment.crop = 4, augment.flip = augment.shuffle = 1;
    threads(thread_count);
    mls_net_begin(&r.net, &desc, r.nodes, 64);
    build_resnet8(&r.net, width, shrink, g->option_a);
    if (mls_net_plan(&r.net, &r.plan) != MLS_OK) {
        t_fail(__FILE__, __LINE__, "%s", r.net.text);
        return 0;
    }
    r.arena = t_alloc(r.plan.arena);
    T_EQ_INT(mls_net_bind(&r.net, r.arena, r.plan.arena), MLS_OK);
    for (int i = 0; i < steps; i++) {
        mls_result result = {0, 0, 0};
        float loss;
        T_EQ_INT(mls_data_batch(&golden_data, &augment, 1, 0, (int64_t)i * batch, batch,
                                some_images, some_labels),
                 MLS_OK);
        T_EQ_INT(mls_net_step(&r.net, some_images, some_labels, batch, &plain_sgd, &result),
                 MLS_OK);
        loss = (float)result.loss;
        memcpy(&losses[i], &loss, sizeof loss);
    }
    digest = mls_net_digest(&r.net);
    rig_free(&r);
    return digest;
}

static void golden_check(const golden *g, int width, int shrink, int batch, int steps)
{
    uint32_t losses[10];
    uint64_t digest = golden_run(g, width, shrink, batch, steps, losses);
    if (memcmp(losses, g->loss, (size_t)steps * sizeof losses[0]) == 0 &&
        (steps < 10 || digest == g->digest)) {
        return;
    }
    t_fail(__FILE__, __LINE__,
           "%s %s %s %d, the golden training is not repeated. New values:", g->w, g->a, g->e,
           g->option_a);
    printf("\n/*NEW %d*/ {", width);
    for (int i = 0; i < 10; i++) printf("0x%08xu%s", (unsigned)losses[i], i < 9 ? ", " : "}, ");
    printf("0x%016llxu", (unsigned long long)digest);
}

static void golden_trainings(void)
{
    int kernels = mls_kernel_count();
    golden_data_make();
    for (size_t i = 0; i < sizeof golden_wide / sizeof golden_wide[0]; i++) {
        for (int kernel = kernels - 1; kernel >= 1; kernel--) {
            int best = kernel + 1 == kernels; /* the others on one thread: see the next test */
            if (T_SLOW && !best) continue;
            for (int count = 1; count <= (best ? 4 : 1); count *= 2) {
                if (count == 2 && (T_SLOW || i % 4 != 1)) continue;
                T_EQ_INT(mls_kernel_use(mls_kernel_name(kernel)), MLS_OK);
                threads(count);
                t_note("%s, %d threads", mls_kernel_used(), count);
                golden_check(&golden_wide[i], 8, 2, 8, 10);
            }
        }
        if (kernels == 1) { /* only the reference: a part of it */
            threads(1);
            golden_check(&golden_wide[i], 8, 2, 8, T_SLOW ? 1 : 2);
        }
    }
    threads(1);
    T_EQ_INT(mls_kernel_use("auto"), MLS_OK);
}

static void golden_trainings_of_every_kernel(void)
{
    golden_data_make();
    for (size_t i = 0; i < sizeof golden_tiny / sizeof golden_tiny[0]; i++) {
        if (!WIDE_SUMS && golden_tiny[i].w[0] == '5') continue;
        for (int kernel = mls_kernel_count() - 1; kernel >= 0; kernel--) {
            for (int count = 1; count <= 4; count *= 2) {
                if (count == 2 && (T_SLOW || i % 4 != 1 || kernel + 1 < mls_kernel_count()))
                    continue;
                T_EQ_INT(mls_kernel_use(mls_kernel_name(kernel)), MLS_OK);
                threads(count);
                t_note("%s, %d threads", mls_kernel_used(), count);
                golden_check(&golden_tiny[i], 4, 4, 3, T_SLOW && kernel == 0 ? 4 : 10);
            }
        }
    }
    threads(1);
    T_EQ_INT(mls_kernel_use("auto"), MLS_OK);
}

/* ---- rows of our own */

/* Trains with them in low-bit integers: any number of threads, pieces of a checkpoint, evaluation. */
static void custom_layers_train(void)
{
    static const char net[] = "i8 8 3|c0 8 3 1 1|n1|p2|t3|c4 8 3 1 1|o5|k4 6|c7 12 3 2 1|n8|f9|p10|"
                              "g11|l12 10|e13";
    static uint8_t bytes[1 << 16];
    mls_net_desc desc = desc_low(12);
    uint64_t digest = 0;
    for (int count = 1; count <= 4; count++) {
        mls_result before, after;
        size_t size;
        float *state;
        rig r, again;
        threads(count);
        if (!rig_make(&r, &desc, net) || !rig_make(&again, &desc, net)) return;
        make_images(12, SMALL_IMAGE, 10, 1);
        T_EQ_INT(mls_net_evaluate(&r.net, some_images, some_labels, 12, &before), MLS_OK);
        for (int i = 0; i < 30; i++) {
            mls_net_step(&r.net, some_images, some_labels, 12, &plain_sgd, NULL);
        }
        T_EQ_INT(mls_net_evaluate(&r.net, some_images, some_labels, 12, &after), MLS_OK);
        T_CHECK(after.loss < 0.8 * before.loss && after.correct > before.correct);
        state = mls__state_at(&r.net, &r.nodes[4]);
        T_EQ_INT((int)state[0], 30); /* of steps that went well, not of evaluations */
        some_images[5] = HUGE_VALF;
        T_EQ_INT(mls_net_gradient(&r.net, some_images, some_labels, 12, NULL), MLS_ERROR_NONFINITE);
        T_EQ_INT((int)state[0], 30);
        if (count == 1) digest = mls_net_digest(&r.net);
        T_CHECK(mls_net_digest(&r.net) == digest);
        size = mls_net_checkpoint_size(&r.net, 0);
        T_REQUIRE(size && size <= sizeof bytes);
        T_EQ_INT(mls_net_checkpoint_write(&r.net, NULL, 0, bytes, size), MLS_OK);
        T_CHECK(mls_net_digest(&again.net) != digest);
        T_EQ_INT(mls_net_checkpoint_read(&again.net, bytes, size, NULL, 0), MLS_OK);
        T_CHECK(mls_net_digest(&again.net) == digest);
        state[0]++; /* is part of it */
        T_CHECK(mls_net_digest(&r.net) != digest);
        rig_free(&r), rig_free(&again);
    }
    threads(1);
}

/* The first layer that is not finite is named, whichever step overwrites it. */
static void custom_layers_named(void)
{
    mls_net_desc desc = desc_fp32(4);
    rig r;
    if (!rig_make(&r, &desc, "i4 4 2|c0 4 3 1 1 1|p1|f2|l3 3|z4")) return;
    make_images(4, 32, 3, 1);
    mls_net_weights(&r.net, 2, 0, NULL)[1] = HUGE_VALF;
    T_EQ_INT(mls_net_gradient(&r.net, some_images, some_labels, 4, NULL), MLS_ERROR_NONFINITE);
    T_CHECK(strstr(r.net.text, "node 2 (prelu): its output is not finite") != NULL);
    T_EQ_INT(mls_net_evaluate(&r.net, some_images, NULL, 4, NULL), MLS_ERROR_NONFINITE);
    T_CHECK(strstr(r.net.text, "node 2 (prelu): its output is not finite") != NULL);
    rig_free(&r);
}

static const char *grow_shape(const mls_work *w, mls_layer_sizes *sizes)
{
    (void)w;
    sizes->shape.c++;
    return NULL;
}
static const char *huge_shape(const mls_work *w, mls_layer_sizes *sizes)
{
    (void)w;
    sizes->keep = SIZE_MAX - 3;
    return NULL;
}
static const char *heavy_shape(const mls_work *w, mls_layer_sizes *sizes)
{
    (void)w;
    sizes->state = SIZE_MAX / 2;
    return NULL;
}

static void custom_layers_refused(void)
{
    static const mls_step reads_keep[] = {{0, MLS_EACH, MLS_X | MLS_KEEP, MLS_Y, turn_forward},
                                          MLS_STEPS_END};
    static const mls_step serial_dx[] = {{0, MLS_SERIAL, MLS_DY, MLS_DX, turn_backward},
                                         MLS_STEPS_END};
    static const mls_step reads_x[] = {{0, MLS_EACH, MLS_DY | MLS_X, MLS_DX, turn_backward},
                                       MLS_STEPS_END};
    static const mls_step unknown[] = {{0, 3, MLS_X, MLS_Y, turn_forward}, MLS_STEPS_END};
    static const mls_step stranger[] = {{0, 0, MLS_X, MLS_Y | 64, turn_forward}, MLS_STEPS_END};
    static const mls_step nothing[] = {MLS_STEPS_END};
    static const mls_step *const f = turn_forward_steps, *const b = turn_backward_steps;
    const struct {
        mls_layer_kind kind;
        const char *says;
        mls_status status;
    } rows[] = {
        {{NULL, 0, NULL, NULL, f, b, NULL, NULL}, "its name", MLS_ERROR_ARGUMENT},
        {{"a", 0, NULL, NULL, NULL, b, NULL, NULL}, "forward steps", MLS_ERROR_ARGUMENT},
        {{"a", 0, NULL, NULL, nothing, b, NULL, NULL}, "forward steps", MLS_ERROR_ARGUMENT},
        {{"a", 4, NULL, NULL, f, b, NULL, NULL}, "unknown flags", MLS_ERROR_ARGUMENT},
        {{"a", 0, NULL, NULL, f, serial_dx, NULL, NULL}, "serial step", MLS_ERROR_ARGUMENT},
        {{"a", 0, NULL, NULL, unknown, b, NULL, NULL}, "neither of images", MLS_ERROR_ARGUMENT},
        {{"a", 0, NULL, NULL, stranger, b, NULL, NULL}, "uses what is not", MLS_ERROR_ARGUMENT},
        {{"a", MLS_IN_PLACE, NULL, NULL, f, reads_x, NULL, NULL},
         "overwritten in place",
         MLS_ERROR_ARGUMENT},
        {{"a", MLS_IN_PLACE, grow_shape, NULL, f, b, NULL, NULL},
         "node 1 (a): it is in place",
         MLS_ERROR_SHAPE},
        {{"a", 0, huge_shape, NULL, f, b, NULL, NULL}, "too much memory", MLS_ERROR_SHAPE},
        {{"a", 0, heavy_shape, NULL, f, b, NULL, NULL}, "too large", MLS_ERROR_SHAPE},
        {{"a", 0, NULL, NULL, reads_keep, b, NULL, NULL}, "", MLS_OK}, /* there is nothing kept */
        {{"a", 0, tally_shape, NULL, reads_keep, b, NULL, NULL},
         "node 1 (a): a step reads what no step before it writes",
         MLS_ERROR_STATE},
    };
    mls_net_desc desc = desc_fp32(4);
    rig r;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        t_note("row %d", (int)i);
        mls_net_begin(&r.net, &desc, r.nodes, 64);
        mls_net_custom(&r.net, &rows[i].kind, mls_net_input(&r.net, 4, 4, 2), -1, NULL);
        build(&r.net, "l1 3|z2");
        T_EQ_INT(mls_net_plan(&r.net, NULL), rows[i].status);
        if (!strstr(r.net.text, rows[i].says)) t_fail(__FILE__, __LINE__, "%s", r.net.text);
    }
    T_EQ_INT(mls_net_custom(NULL, &turn, 0, -1, NULL), -1);
    mls_net_begin(&r.net, &desc, r.nodes, 64);
    T_EQ_INT(mls_net_custom(&r.net, NULL, mls_net_input(&r.net, 4, 4, 2), -1, NULL), -1);
    T_EQ_INT(r.net.status, MLS_ERROR_ARGUMENT);
}

/* ---- steps */

static void evaluation_changes_nothing(void)
{
    mls_net_desc descs[2];
    descs[0] = desc_fp32(6), descs[1] = desc_low(6);
    for (int i = 0; i < 2; i++) {
        rig a, b;
        if (!rig_make(&a, &descs[i], small_net) || !rig_make(&b, &descs[i], small_net)) return;
        for (int step = 0; step < 4; step++) {
            uint64_t digest;
            mls_result first = {0, 0, 0}, second = {0, 0, 0};
            train(&a, step, 1, 6, SMALL_IMAGE, 10), train(&b, step, 1, 6, SMALL_IMAGE, 10);
            digest = mls_net_digest(&b.net);
            make_images(6, SMALL_IMAGE, 10, 1234);
            T_EQ_INT(mls_net_evaluate(&b.net, some_images, some_labels, 6, &first), MLS_OK);
            T_EQ_INT(mls_net_evaluate(&b.net, some_images, NULL, 1 + step, NULL), MLS_OK);
            T_EQ_INT(mls_net_evaluate(&b.net, some_images, some_labels, 6, &second), MLS_OK);
            T_CHECK(digest == mls_net_digest(&b.net));
            T_EQ_MEM(&first.loss, &second.loss, sizeof first.loss);
        }
        T_CHECK(mls_net_digest(&a.net) == mls_net_digest(&b.net));
        /* also between the parts of an accumulated gradient */
        for (int part = 0; part < 3; part++) {
            make_images(4, SMALL_IMAGE, 10, (uint64_t)part);
            T_EQ_INT(mls_net_gradient(&a.net, some_images, some_labels, 4, NULL), MLS_OK);
            T_EQ_INT(mls_net_gradient(&b.net, some_images, some_labels, 4, NULL), MLS_OK);
            T_EQ_INT(mls_net_evaluate(&b.net, some_images, NULL, 2, NULL), MLS_OK);
        }
        T_EQ_INT(mls_net_update(&a.net, &plain_sgd), MLS_OK);
        T_EQ_INT(mls_net_update(&b.net, &plain_sgd), MLS_OK);
        T_CHECK(mls_net_digest(&a.net) == mls_net_digest(&b.net));
        rig_free(&a), rig_free(&b);
    }
}

/* An evaluated image gives the same result alone and among others. */
static void evaluation_of_pieces(void)
{
    mls_net_desc desc = desc_fp32(8);
    mls_result all, piece;
    double sum = 0;
    int right = 0;
    rig r;
    if (!rig_make(&r, &desc, small_net)) return;
    train(&r, 0, 3, 8, SMALL_IMAGE, 10);
    make_images(8, SMALL_IMAGE, 10, 9);
    T_EQ_INT(mls_net_evaluate(&r.net, some_images, some_labels, 8, &all), MLS_OK);
    for (int n = 0; n < 8; n++) {
        T_EQ_INT(
            mls_net_evaluate(&r.net, some_images + n * SMALL_IMAGE, some_labels + n, 1, &piece),
            MLS_OK);
        sum += piece.loss, right += piece.correct;
    }
    T_CHECK(sum / 8 == all.loss);
    T_EQ_INT(right, all.correct);
    rig_free(&r);
}

/* Parts of a batch, then one update, move the weights as the whole batch does. */
static void accumulation(void)
{
    static const int parts[][4] = {{4, 4, 0, 0}, {5, 3, 0, 0}, {1, 1, 5, 1}, {8, 0, 0, 0}};
    static float whole[8192], sum[8192];
    mls_net_desc desc = desc_fp32(8);
    for (int i = 0; i < 4; i++) {
        rig a, b;
        size_t count;
        int first = 0;
        if (!rig_make(&a, &desc, plain_net) || !rig_make(&b, &desc, plain_net)) return;
        for (int step = 0; step < 3; step++) {
            make_images(8, SMALL_IMAGE, 10, (uint64_t)step);
            T_EQ_INT(mls_net_step(&a.net, some_images, some_labels, 8, &plain_sgd, NULL), MLS_OK);
            first = 0;
            for (int j = 0; j < 4; first += parts[i][j++]) {
                if (!parts[i][j]) continue;
                T_EQ_INT(mls_net_gradient(&b.net, some_images + first * SMALL_IMAGE,
                                          some_labels + first, parts[i][j], NULL),
                         MLS_OK);
            }
            T_EQ_INT(mls_net_update(&b.net, &plain_sgd), MLS_OK);
        }
        count = rig_weights(&a, whole);
        T_EQ_INT(rig_weights(&b, sum), count);
        for (size_t j = 0; j < count; j++) {
            T_CHECK(fabs((double)whole[j] - (double)sum[j]) < 1e-5 + 1e-4 * fabs((double)whole[j]));
        }
        if (parts[i][0] == 8) T_CHECK(mls_net_digest(&a.net) == mls_net_digest(&b.net));
        rig_free(&a), rig_free(&b);
    }
}

/* The gradient is a sum over images, and an update clears it. */
static void gradients_add_up(void)
{
    static const struct {
        const char *net;
        int node, second, count;
    } where[] = {{plain_net, 3, 0, 12 * 9 * 8},
                 {plain_net, 3, 1, 12},
                 {small_net, 2, 0, 8}, /* batch norm */
                 {small_net, 2, 1, 8}};
    mls_net_desc desc = desc_fp32(4);
    static float once[8192];
    for (int i = 0; i < 4; i++) {
        size_t count;
        rig r;
        const float *g;
        t_note("%s, node %d", where[i].net, where[i].node);
        if (!rig_make(&r, &desc, where[i].net)) return;
        make_images(4, SMALL_IMAGE, 10, 1);
        g = mls_net_gradients(&r.net, where[i].node, where[i].second, &count);
        T_REQUIRE(g != NULL && count == (size_t)where[i].count);
        for (size_t j = 0; j < count; j++) T_CHECK(g[j] == 0);
        T_EQ_INT(mls_net_gradient(&r.net, some_images, some_labels, 4, NULL), MLS_OK);
        memcpy(once, g, count * sizeof(float));
        T_EQ_INT(mls_net_gradient(&r.net, some_images, some_labels, 4, NULL), MLS_OK);
        for (size_t j = 0; j < count; j++) T_CHECK(g[j] == once[j] + once[j]);
        T_EQ_INT(mls_net_update(&r.net, &plain_sgd), MLS_OK);
        for (size_t j = 0; j < count; j++) T_CHECK(g[j] == 0);
        rig_free(&r);
    }
}

/* v = momentum v + (g + decay w); w = w - rate v, or with Nesterov's look ahead. */
static void optimizer_formula(void)
{
    static const mls_sgd rules[] = {{0.1f, 0, 0, 0},         {0.1f, 0.9f, 0, 0},
                                    {0.05f, 0.9f, 0.01f, 0}, {0.1f, 0.9f, 0, 1},
                                    {0.05f, 0.8f, 0.02f, 1}, {0.3f, 0, 0.1f, 0}};
    static float before[8192], after[8192], g[8192];
    static double v[8192];
    for (int i = 0; i < 6; i++) {
        mls_sgd s = rules[i];
        mls_net_desc desc = desc_fp32(4);
        rig r;
        t_note("rule %d", i);
        if (!rig_make(&r, &desc, small_net)) return;
        memset(v, 0, sizeof v);
        for (int step = 0; step < 4; step++) {
            size_t count = rig_weights(&r, before), at = 0, n;
            make_images(4, SMALL_IMAGE, 10, (uint64_t)step);
            T_EQ_INT(mls_net_gradient(&r.net, some_images, some_labels, 3, NULL), MLS_OK);
            for (int node = 0; node < r.net.count; node++) {
                for (int second = 0; second < 2; second++) {
                    const float *p = mls_net_gradients(&r.net, node, second, &n);
                    if (!p) continue;
                    memcpy(g + at, p, n * sizeof(float));
                    at += n;
                }
            }
            T_EQ_INT(at, count);
            T_EQ_INT(mls_net_update(&r.net, &s), MLS_OK);
            rig_weights(&r, after);
            for (size_t j = 0; j < count; j++) {
                double gradient = (double)g[j] / 3 + (double)s.decay * (double)before[j], move, w;
                v[j] = (double)s.momentum * v[j] + gradient;
                move = s.nesterov ? gradient + (double)s.momentum * v[j] : v[j];
                w = (double)before[j] - (double)s.rate * move;
                T_CHECK(fabs((double)after[j] - w) < 1e-6 * (1 + fabs(w)));
            }
            s.rate *= 0.5f; /* a schedule changes nothing of the past */
        }
        T_EQ_INT(r.net.step, 4), T_EQ_INT(r.net.updates, 4);
        rig_free(&r);
    }
}

static void schedules(void)
{
    mls_schedule s;
    memset(&s, 0, sizeof s);
    s.rate = 0.1f;
    T_CHECK(mls_schedule_rate(&s, 0) == 0.1f && mls_schedule_rate(&s, 1000000) == 0.1f);
    s.kind = MLS_SCHEDULE_STEP, s.milestones[0] = 80, s.milestones[1] = 120;
    T_CHECK(mls_schedule_rate(&s, 79) == 0.1f);
    T_CHECK(fabs((double)mls_schedule_rate(&s, 80) - 0.01) < 1e-9);
    T_CHECK(fabs((double)mls_schedule_rate(&s, 119) - 0.01) < 1e-9);
    T_CHECK(fabs((double)mls_schedule_rate(&s, 120) - 0.001) < 1e-9);
    s.factor = 2, s.milestones[2] = 130, s.milestones[3] = 140;
    T_CHECK(fabs((double)mls_schedule_rate(&s, 500) - 0.1 / 16) < 1e-8);
    s.warmup = 5;
    for (int i = 0; i < 5; i++) {
        T_CHECK(fabs((double)mls_schedule_rate(&s, i) - 0.1 * (i + 1) / 5) < 1e-8);
    }
    T_CHECK(mls_schedule_rate(&s, 5) == 0.1f);
    for (int warmup = 0; warmup <= 7; warmup += 7) {
        s.kind = MLS_SCHEDULE_COSINE, s.updates = 200, s.warmup = warmup;
        for (int i = warmup; i <= 210; i++) {
            double t = i < 200 ? (double)(i - warmup) / (200 - warmup) : 1;
            t_note("%d", i);
            T_CHECK(fabs((double)mls_schedule_rate(&s, i) -
                         0.05 * (1 + cos(3.14159265358979 * t))) < 2e-6);
        }
        T_CHECK(mls_schedule_rate(&s, 200) == 0 && mls_schedule_rate(&s, 300) == 0);
    }
}

/* The running statistics that evaluation uses: mean and unbiased variance, moved by bn_momentum. */
static void running_statistics(void)
{
    mls_net_desc desc = desc_fp32(4);
    static const char net[] = "i3 3 2|n0|l1 2|z2";
    double mean[2] = {0, 0}, variance[2] = {1, 1};
    rig r;
    const float *state;
    desc.bn_momentum = 0.25f;
    if (!rig_make(&r, &desc, net)) return;
    for (int step = 0; step < 3; step++) {
        make_images(4, 18, 2, (uint64_t)step);
        T_EQ_INT(mls_net_gradient(&r.net, some_images, some_labels, 4, NULL), MLS_OK);
        for (int ch = 0; ch < 2; ch++) {
            double m = 0, v = 0;
            for (int i = 0; i < 36; i++) m += (double)some_images[i * 2 + ch] / 36;
            for (int i = 0; i < 36; i++) {
                v += ((double)some_images[i * 2 + ch] - m) * ((double)some_images[i * 2 + ch] - m);
            }
            mean[ch] += 0.25 * (m - mean[ch]);
            variance[ch] += 0.25 * (v / 35 - variance[ch]);
        }
        state = mls__state_at(&r.net, &r.nodes[1]);
        for (int ch = 0; ch < 2; ch++) {
            T_CHECK(fabs((double)state[ch] - mean[ch]) < 1e-6);
            T_CHECK(fabs((double)state[mls__up(2) + (size_t)ch] - variance[ch]) < 1e-6);
        }
    }
    rig_free(&r);
}

/* A step of fewer images than the batch does not depend on what the batch might have been. */
static void smaller_batches(void)
{
    mls_net_desc descs[3];
    descs[0] = desc_fp32(1), descs[1] = desc_low(1);
    descs[2] = desc_of(1, "2,4:nc:8,1", "5,2:nc:3,1", "2,1:none:stochastic");
    for (int i = 0; i < 2 + WIDE_SUMS; i++) {
        for (int count = 1; count <= 5; count += 2) {
            uint64_t expected = 0;
            for (int batch = count; batch <= 11; batch += 3) {
                rig r;
                descs[i].batch = batch;
                threads(1 + batch % 4);
                t_note("desc %d, %d images, batch %d", i, count, batch);
                if (!rig_make(&r, &descs[i], small_net)) return;
                train(&r, 0, 2, count, SMALL_IMAGE, 10);
                if (batch == count) expected = mls_net_digest(&r.net);
                T_CHECK(mls_net_digest(&r.net) == expected);
                rig_free(&r);
            }
        }
        /* a whole batch, a rest, a whole batch */
        {
            rig r;
            descs[i].batch = 7;
            if (!rig_make(&r, &descs[i], small_net)) return;
            train(&r, 0, 1, 7, SMALL_IMAGE, 10);
            train(&r, 1, 1, 2, SMALL_IMAGE, 10);
            train(&r, 2, 1, 7, SMALL_IMAGE, 10);
            T_EQ_INT(r.net.status, MLS_OK);
            rig_free(&r);
        }
    }
    threads(1);
}

/* Images whose codes share bytes and vectors: every kernel, thread count and batch is as good. */
static void odd_images(void)
{
    uint64_t expected = 0;
    for (int kernel = 0; kernel < mls_kernel_count(); kernel++) {
        for (int way = 0; way < 4; way++) {
            mls_net_desc desc = desc_low(way % 2 ? 7 : 11);
            rig r;
            desc.quantize_first = desc.quantize_last = 1;
            T_EQ_INT(mls_kernel_use(mls_kernel_name(kernel)), MLS_OK);
            threads(1 + way / 2 * 2);
            t_note("%s, way %d", mls_kernel_used(), way);
            if (!rig_make(&r, &desc, "i5 3 3|c0 5 3 1 1|n1|r2|c3 7 3 2 1|r4|l5 3|z6")) return;
            train(&r, 0, 3, 7, 45, 3);
            if (kernel + way == 0) expected = mls_net_digest(&r.net);
            T_CHECK(mls_net_digest(&r.net) == expected);
            rig_free(&r);
        }
    }
    threads(1);
    T_EQ_INT(mls_kernel_use("auto"), MLS_OK);
}

/* A channel so faint that its group is the smallest there is, and yet not zero. */
static void lowest_groups(void)
{
    float expected[6];
    for (int kernel = 0; kernel < mls_kernel_count(); kernel++) {
        mls_net_desc desc = desc_of(2, "2,1:nc:2,0", "2,1:nc:4,0", "2,1:nc:2,0");
        rig r;
        desc.quantize_first = 1;
        T_EQ_INT(mls_kernel_use(mls_kernel_name(kernel)), MLS_OK);
        t_note("%s", mls_kernel_used());
        if (!rig_make(&r, &desc, "i4 4 3|c0 4 3 1 1|l1 3|z2")) return;
        make_images(2, 48, 3, 1);
        for (int i = 1; i < 96; i += 3) some_images[i] *= 1.0f / (1 << 15);
        T_EQ_INT(mls_net_evaluate(&r.net, some_images, some_labels, 2, NULL), MLS_OK);
        if (kernel == 0) memcpy(expected, mls_net_logits(&r.net), sizeof expected);
        T_EQ_MEM(mls_net_logits(&r.net), expected, sizeof expected);
        rig_free(&r);
    }
    T_EQ_INT(mls_kernel_use("auto"), MLS_OK);
}

/* Images without any difference: variance 0, groups of zeros, ties everywhere. */
static void equal_images(void)
{
    static const float values[] = {0, 1, -0.5f, 1e-30f};
    for (int i = 0; i < 8; i++) {
        mls_net_desc desc = i % 2 ? desc_low(5) : desc_fp32(5);
        mls_result result = {0, 0, 0};
        rig r;
        desc.quantize_first = desc.quantize_last = i % 2;
        if (!rig_make(&r, &desc, small_net)) return;
        t_note("all %g, %s", (double)values[i / 2], i % 2 ? "quantized" : "fp32");
        for (int j = 0; j < 5 * SMALL_IMAGE; j++) some_images[j] = values[i / 2];
        for (int j = 0; j < 5; j++) some_labels[j] = j;
        for (int step = 0; step < 3; step++) {
            T_EQ_INT(mls_net_step(&r.net, some_images, some_labels, 5, &plain_sgd, &result),
                     MLS_OK);
            T_CHECK(result.loss > 0 && result.loss < 100);
            T_CHECK(result.correct <= 1); /* equal images have one answer */
        }
        T_EQ_INT(mls_net_evaluate(&r.net, some_images, some_labels, 5, &result), MLS_OK);
        rig_free(&r);
    }
}

/* Seeds: the same seed repeats a training, another one does not. */
static void seeds(void)
{
    uint64_t digest[3];
    for (int i = 0; i < 3; i++) {
        mls_net_desc desc = desc_low(4);
        rig r;
        desc.seed = i == 2 ? 8 : 7;
        if (!rig_make(&r, &desc, small_net)) return;
        train(&r, 0, 2, 4, SMALL_IMAGE, 10);
        digest[i] = mls_net_digest(&r.net);
        rig_free(&r);
    }
    T_CHECK(digest[0] == digest[1] && digest[0] != digest[2]);
}

/* First weights: their spread, biases 0, batch norm 1 and 0. */
static void first_weights(void)
{
    mls_net_desc desc = desc_fp32(1);
    size_t count;
    const float *w;
    double sum = 0, square = 0;
    rig r;
    if (!rig_make(&r, &desc, "i8 8 16|c0 32 3 1 1 1|n1|g2|l3 10|z4")) return;
    w = mls_net_weights(&r.net, 1, 0, &count);
    T_REQUIRE(w != NULL && count == 32 * 9 * 16);
    for (size_t i = 0; i < count; i++) sum += (double)w[i], square += (double)w[i] * (double)w[i];
    T_CHECK(fabs(sum / (double)count) < 0.01);
    T_CHECK(fabs(square / (double)count * (9 * 32) / 2 - 1) < 0.1); /* 2 / (kh kw c_out) */
    rig_free(&r);
    if (!rig_make(&r, &desc, "i8 8 64|d0 64 3 3 1 1 1 1 64 1 1 1 1|g1|l2 10|z3")) return;
    w = mls_net_weights(&r.net, 1, 0, &count), square = 0;
    T_REQUIRE(w != NULL && count == 64 * 9);
    for (size_t i = 0; i < count; i++) square += (double)w[i] * (double)w[i];
    T_CHECK(fabs(square / (double)count * 9 / 2 - 1) < 0.25); /* of a group */
    rig_free(&r);
    if (!rig_make(&r, &desc, "i8 8 16|c0 32 3 1 1 1|n1|g2|l3 10|z4")) return;
    w = mls_net_weights(&r.net, 1, 1, &count);
    T_REQUIRE(w != NULL && count == 32);
    for (size_t i = 0; i < count; i++) T_CHECK(w[i] == 0);
    w = mls_net_weights(&r.net, 2, 0, &count);
    T_REQUIRE(w != NULL && count == 32);
    for (size_t i = 0; i < count; i++) T_CHECK(w[i] == 1);
    w = mls_net_weights(&r.net, 2, 1, &count);
    for (size_t i = 0; i < count; i++) T_CHECK(w[i] == 0);
    w = mls_net_weights(&r.net, 4, 0, &count);
    T_REQUIRE(w != NULL && count == 320);
    sum = square = 0;
    for (size_t i = 0; i < count; i++) {
        T_CHECK(fabs((double)w[i]) <= 1 / sqrt(32.0));
        sum += (double)w[i], square += (double)w[i] * (double)w[i];
    }
    T_CHECK(fabs(sum / 320) < 0.03 && fabs(square / 320 * 32 * 3 - 1) < 0.2);
    rig_free(&r);
}

/* ---- arenas, plans, layers */

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

/* ---- wrong calls */

/* A network that must be refused when it is built or planned, and what its text must contain. */
typedef struct refusal {
    const char *net, *text;
    mls_status status;
} refusal;

static void networks_refused(void)
{
    static const refusal refused[] = {
        {"i8 8 3|c0 8 3 1 1|l1 4|z2|r3", "does not exist or is the loss", MLS_ERROR_ARGUMENT},
        {"i8 8 3|c5 8 3 1 1", "does not exist", MLS_ERROR_ARGUMENT},
        {"i8 8 3|r-1", "does not exist", MLS_ERROR_ARGUMENT},
        {"i8 8 3|a0 1", "does not exist", MLS_ERROR_ARGUMENT},
        {"i8 8 3|a0 -1", "does not exist", MLS_ERROR_ARGUMENT},
        {"i0 8 3", "node 0 (input): height, width and channels must be positive", MLS_ERROR_SHAPE},
        {"i8 -8 3", "node 0 (input)", MLS_ERROR_SHAPE},
        {"i2147483647 2147483647 2147483647", "node 0 (input): its output is too large",
         MLS_ERROR_SHAPE},
        {"i8 8 3|i8 8 3", "first node", MLS_ERROR_STATE},
        {"i8 8 3|c0 0 3 1 1", "node 1 (convolution): it needs at least one output channel",
         MLS_ERROR_SHAPE},
        {"i8 8 3|c0 8 0 1 1", "node 1 (convolution): its window needs a height", MLS_ERROR_SHAPE},
        {"i8 8 3|c0 8 9 1 0", "node 1 (convolution): its window is larger than its input",
         MLS_ERROR_SHAPE},
        {"i8 8 3|c0 8 3 -1 1", "node 1 (convolution): its stride", MLS_ERROR_SHAPE},
        {"i8 8 3|d0 8 3 3 1 -1", "node 1 (convolution): its stride must", MLS_ERROR_SHAPE},
        {"i8 8 3|d0 8 3 3 1 1 -1", "node 1 (convolution): its dilation must", MLS_ERROR_SHAPE},
        {"i8 8 3|d0 8 3 3 1 1 4 1", "node 1 (convolution): its window is larger", MLS_ERROR_SHAPE},
        {"i8 8 3|d0 8 3 3 1 1 1 1 2", "node 1 (convolution): its groups do not divide its input",
         MLS_ERROR_SHAPE},
        {"i8 8 4|d0 6 3 3 1 1 1 1 4", "node 1 (convolution): its groups do not divide its output",
         MLS_ERROR_SHAPE},
        {"i8 8 3|d0 8 3 3 1 1 1 1 1 -1", "node 1 (convolution): its padding must", MLS_ERROR_SHAPE},
        {"i8 8 3|c0 8 3 1 -1", "node 1 (convolution): its padding", MLS_ERROR_SHAPE},
        {"i8 8 3|c0 8 3 1 1|c0 9 3 1 1|a1 2", "node 3 (add): its inputs differ", MLS_ERROR_SHAPE},
        {"i8 8 3|c0 8 3 1 1|c0 8 3 2 1|a1 2|l3 2|z4", "node 3 (add)", MLS_ERROR_SHAPE},
        {"i8 8 3|c0 8 3 1 1|c0 9 3 2 1|k1 2", "node 3 (concat): its inputs differ in height",
         MLS_ERROR_SHAPE},
        {"i8 8 3|c0 8 3 1 1|c0 9 3 1 1|x1 2", "node 3 (product): it needs inputs of one shape",
         MLS_ERROR_SHAPE},
        {"i8 8 3|m0 9 1", "node 1 (max pool): its window is larger", MLS_ERROR_SHAPE},
        {"i8 8 3|m0 0 1", "node 1 (max pool): its window needs", MLS_ERROR_SHAPE},
        {"i8 8 3|m0 2 2 2", "node 1 (max pool): its padding must be smaller", MLS_ERROR_SHAPE},
        {"i8 8 3|v0 2 -2", "node 1 (average pool): its stride", MLS_ERROR_SHAPE},
        {"i8 8 3|v0 3 1 -1", "node 1 (average pool): its padding", MLS_ERROR_SHAPE},
        {"i8 8 3|s0 0 3", "node 1 (subsample): its stride", MLS_ERROR_SHAPE},
        {"i8 8 3|s0 2 2", "node 1 (subsample): it cannot have fewer", MLS_ERROR_SHAPE},
        {"i8 8 3|l0 0", "node 1 (linear): it needs at least one output", MLS_ERROR_SHAPE},
        {"i8 8 3|l0 -4", "node 1 (linear)", MLS_ERROR_SHAPE},
        {"i8 8 3|z0", "node 1 (loss): it needs computed scores", MLS_ERROR_SHAPE},
        {"i1 1 4|z0", "node 1 (loss): it needs computed scores", MLS_ERROR_SHAPE},
        {"i8 8 3|l0 1|z1", "node 2 (loss): it needs at least two classes", MLS_ERROR_SHAPE},
        {"i8 8 3|c0 8 3 1 1|z1", "node 2 (loss): it needs one pixel", MLS_ERROR_SHAPE},
        {"", "last node must be a loss", MLS_ERROR_STATE},
        {"i8 8 3|l0 4", "last node must be a loss", MLS_ERROR_STATE},
        {"i8 8 3|c0 8 3 1 1|c0 8 3 1 1|l2 4|z3", "node 1 (convolution): nothing uses it",
         MLS_ERROR_STATE},
        {"i8 8 3|r0|n0|l0 4|z3", "node 1 (relu): nothing uses it", MLS_ERROR_STATE},
    };
    mls_net_desc desc = desc_fp32(2);
    rig r;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        t_note("%s", refused[i].net);
        mls_net_begin(&r.net, &desc, r.nodes, 64);
        build(&r.net, refused[i].net);
        T_EQ_INT(mls_net_plan(&r.net, NULL), refused[i].status);
        T_EQ_INT(r.net.status, refused[i].status);
        if (!strstr(r.net.text, refused[i].text)) {
            t_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", r.net.text, refused[i].text);
        }
        T_CHECK(mls_net_bind(&r.net, some_images, sizeof some_images) != MLS_OK);
        T_CHECK(mls_net_step(&r.net, some_images, some_labels, 1, &plain_sgd, NULL) != MLS_OK);
        T_CHECK(mls_net_digest(&r.net) == 0 && mls_net_logits(&r.net) == NULL);
    }
}

static void begin_refused(void)
{
    mls_net_desc desc = desc_fp32(2), bad;
    mls_node nodes[3];
    mls_net net;
    T_EQ_INT(mls_net_begin(NULL, &desc, nodes, 3), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_begin(&net, NULL, nodes, 3), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_begin(&net, &desc, NULL, 3), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_begin(&net, &desc, nodes, 0), MLS_ERROR_ARGUMENT);
    T_CHECK(mls_net_input(&net, 8, 8, 3) == -1 && mls_net_plan(&net, NULL) == MLS_ERROR_ARGUMENT);
    for (int i = 0; i < 6; i++) {
        bad = desc;
        if (i == 0) bad.batch = 0;
        if (i == 1) bad.batch = -3;
        if (i == 2) bad.bn_momentum = -0.5f;
        if (i == 3) bad.bn_momentum = 1.5f;
        if (i == 4) bad.bn_epsilon = -1;
        if (i == 5) bad.bn_momentum = NAN;
        T_EQ_INT(mls_net_begin(&net, &bad, nodes, 3), MLS_ERROR_ARGUMENT);
        T_CHECK(net.text[0] != 0);
    }
    T_EQ_INT(mls_net_begin(&net, &desc, nodes, 3), MLS_OK); /* one node too few */
    T_EQ_INT(mls_net_input(&net, 8, 8, 3), 0);
    T_EQ_INT(mls_net_relu(&net, 0), 1);
    T_EQ_INT(mls_net_linear(&net, 1, 4), 2);
    T_EQ_INT(mls_net_loss(&net, 2), -1);
    T_EQ_INT(net.status, MLS_ERROR_MEMORY);
    T_EQ_INT(mls_net_plan(&net, NULL), MLS_ERROR_MEMORY);
    T_EQ_INT(mls_net_begin(&net, &desc, nodes, 3), MLS_OK);
    T_EQ_INT(mls_net_input(&net, 8, 8, 3), 0);
    T_EQ_INT(mls_net_conv(&net, 0, NULL), -1);
    T_EQ_INT(net.status, MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_relu(NULL, 0), -1);
    T_EQ_INT(mls_net_conv(NULL, 0, NULL), -1);
    T_EQ_INT(mls_net_add(NULL, 0, -1), -1);
    T_EQ_INT(mls_net_input(NULL, 1, 1, 1), -1);
    T_EQ_INT(mls_net_plan(NULL, NULL), MLS_ERROR_ARGUMENT);
}

/* Formats that are none, and sums that cannot be exact. */
static void formats_refused(void)
{
    mls_net_desc desc = desc_low(2);
    mls_format wide_format = {5, 10, 8, 1, MLS_GROUP_NC, MLS_ROUND_NEAREST, MLS_RANGE_FIT};
    rig r;
    desc.formats.activation.ex = 7;
    mls_net_begin(&r.net, &desc, r.nodes, 64);
    build(&r.net, small_net);
    T_EQ_INT(mls_net_plan(&r.net, NULL), MLS_ERROR_FORMAT);
    T_CHECK(strstr(r.net.text, "node 4 (convolution)") != NULL);
    desc.formats.weight = desc.formats.activation = desc.formats.error = wide_format;
    mls_net_begin(&r.net, &desc, r.nodes, 64);
    build(&r.net, "i8 8 3|c0 1024 1|r1|c2 2 3 1 1|l3 2|z4");
    T_EQ_INT(mls_net_plan(&r.net, NULL), MLS_ERROR_RANGE);
    T_CHECK(strstr(r.net.text, "node 3 (convolution): forward: 9216 products") != NULL);
}

static void calls_out_of_order(void)
{
    mls_net_desc desc = desc_fp32(2);
    mls_result result;
    rig r;
    make_images(2, SMALL_IMAGE, 10, 1);
    mls_net_begin(&r.net, &desc, r.nodes, 64);
    build(&r.net, small_net);
    T_EQ_INT(mls_net_step(&r.net, some_images, some_labels, 2, &plain_sgd, NULL), MLS_ERROR_STATE);
    T_CHECK(strstr(r.net.text, "mls_net_bind") != NULL);
    mls_net_begin(&r.net, &desc, r.nodes, 64);
    build(&r.net, small_net);
    T_EQ_INT(mls_net_bind(&r.net, some_images, sizeof some_images), MLS_ERROR_STATE);
    T_CHECK(strstr(r.net.text, "mls_net_plan") != NULL);
    mls_net_begin(&r.net, &desc, r.nodes, 64);
    build(&r.net, small_net);
    T_EQ_INT(mls_net_plan(&r.net, &r.plan), MLS_OK);
    T_EQ_INT(mls_net_evaluate(&r.net, some_images, some_labels, 2, &result), MLS_ERROR_STATE);
    T_EQ_INT(mls_net_update(&r.net, &plain_sgd), MLS_ERROR_STATE);
    T_EQ_INT(mls_net_checkpoint_size(&r.net, 0), 0);
    T_CHECK(mls_net_digest(&r.net) == 0);
    mls_net_begin(&r.net, &desc, r.nodes, 64);
    build(&r.net, small_net);
    T_EQ_INT(mls_net_plan(&r.net, &r.plan), MLS_OK);
    T_EQ_INT(mls_net_plan(&r.net, &r.plan), MLS_ERROR_STATE); /* twice */
    if (!rig_make(&r, &desc, small_net)) return;
    T_EQ_INT(mls_net_relu(&r.net, 0), -1); /* building after planning */
    T_EQ_INT(r.net.status, MLS_ERROR_STATE);
    T_CHECK(strstr(r.net.text, "planned") != NULL);
    T_EQ_INT(mls_net_update(&r.net, &plain_sgd), MLS_ERROR_STATE); /* no gradient yet */
    T_EQ_INT(mls_net_step(&r.net, some_images, some_labels, 2, &plain_sgd, NULL), MLS_OK);
    T_EQ_INT(r.net.status, MLS_OK);
    T_EQ_INT(mls_net_update(&r.net, &plain_sgd), MLS_ERROR_STATE); /* nothing since */
    T_EQ_INT(mls_net_plan(&r.net, &r.plan), MLS_ERROR_STATE);
    rig_free(&r);
}

static void wrong_arguments(void)
{
    mls_net_desc desc = desc_fp32(4);
    int32_t labels[4] = {0, 9, 3, 10};
    uint64_t digest;
    rig r;
    if (!rig_make(&r, &desc, small_net)) return;
    train(&r, 0, 1, 4, SMALL_IMAGE, 10);
    digest = mls_net_digest(&r.net);
    T_EQ_INT(mls_net_step(&r.net, some_images, labels, 4, &plain_sgd, NULL), MLS_ERROR_ARGUMENT);
    T_CHECK(strcmp(r.net.text, "label 10 of image 3 is out of range") == 0);
    labels[1] = -1;
    T_EQ_INT(mls_net_evaluate(&r.net, some_images, labels, 4, NULL), MLS_ERROR_ARGUMENT);
    T_CHECK(strcmp(r.net.text, "label -1 of image 1 is out of range") == 0);
    T_EQ_INT(mls_net_gradient(&r.net, some_images, labels, 1, NULL), MLS_OK); /* 0 is fine */
    T_EQ_INT(mls_net_update(&r.net, NULL), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_update(NULL, &plain_sgd), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_gradient(&r.net, some_images, some_labels, 5, NULL), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_gradient(&r.net, some_images, some_labels, 0, NULL), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_gradient(&r.net, some_images, some_labels, -1, NULL), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_gradient(&r.net, NULL, some_labels, 1, NULL), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_gradient(&r.net, some_images, NULL, 1, NULL), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_gradient(NULL, some_images, some_labels, 1, NULL), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_evaluate(NULL, some_images, some_labels, 1, NULL), MLS_ERROR_ARGUMENT);
    T_CHECK(mls_net_digest(NULL) == 0 && mls_net_logits(NULL) == NULL);
    rig_free(&r);
    if (!rig_make(&r, &desc, small_net)) return;
    train(&r, 0, 1, 4, SMALL_IMAGE, 10);
    T_CHECK(mls_net_digest(&r.net) == digest);
    rig_free(&r);
}

/* ---- what is not finite */

static int text_names(const mls_net *net, const char *step)
{
    return strstr(net->text, step) != NULL && strstr(net->text, "node ") != NULL;
}

static void nonfinite_images(void)
{
    static float before[8192], after[8192];
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 18; i++) {
        mls_net_desc desc = i / 3 % 3 ? desc_low(4) : desc_fp32(4);
        const char *text = i < 9 ? small_net : plain_net;
        size_t count;
        uint64_t digest;
        rig r;
        desc.quantize_first = i / 3 % 3 == 2;
        t_note("%s, %g, %s", text, (double)bad[i % 3], i / 3 % 3 ? "quantized" : "fp32");
        if (!rig_make(&r, &desc, text)) return;
        train(&r, 0, 2, 4, SMALL_IMAGE, 10);
        count = rig_weights(&r, before);
        digest = mls_net_digest(&r.net);
        make_images(4, SMALL_IMAGE, 10, 1);
        some_images[2 * SMALL_IMAGE + 77] = bad[i % 3];
        T_EQ_INT(mls_net_evaluate(&r.net, some_images, some_labels, 4, NULL), MLS_ERROR_NONFINITE);
        T_CHECK(strstr(r.net.text, "step 2, image 2 of the input is not finite") != NULL);
        T_EQ_INT(mls_net_evaluate(&r.net, some_images, NULL, 4, NULL), MLS_ERROR_NONFINITE);
        T_CHECK(strstr(r.net.text, "step 2, image 2 of the input is not finite") != NULL);
        T_CHECK(mls_net_digest(&r.net) == digest);
        T_EQ_INT(mls_net_step(&r.net, some_images, some_labels, 4, &plain_sgd, NULL),
                 MLS_ERROR_NONFINITE);
        T_EQ_INT(r.net.status, MLS_ERROR_NONFINITE);
        T_CHECK(strstr(r.net.text, "step 2, image 2 of the input is not finite") != NULL);
        T_EQ_INT(rig_weights(&r, after), count);
        T_EQ_MEM(after, before, count * sizeof(float));
        T_EQ_INT(r.net.step, 2), T_EQ_INT(r.net.updates, 2);
        T_CHECK(mls_net_digest(&r.net) == digest); /* running statistics included */
        rig_free(&r);
    }
}

/* Weights of every layer, one of them not finite: found, and the layer is named. */
static void nonfinite_weights(void)
{
    static const float bad[] = {NAN, INFINITY};
    for (int i = 0; i < 4; i++) {
        mls_net_desc desc = i / 2 ? desc_low(4) : desc_fp32(4);
        for (int node = 0; node < 14; node++) {
            char name[32];
            size_t count;
            float *w;
            rig r;
            if (!rig_make(&r, &desc, small_net)) return;
            w = mls_net_weights(&r.net, node, 0, &count);
            if (w) {
                t_note("node %d, %g, %s", node, (double)bad[i % 2], i / 2 ? "quantized" : "fp32");
                make_images(4, SMALL_IMAGE, 10, 1);
                w[count / 2] = bad[i % 2];
                T_EQ_INT(mls_net_step(&r.net, some_images, some_labels, 4, &plain_sgd, NULL),
                         MLS_ERROR_NONFINITE);
                snprintf(name, sizeof name, "step 0, node %d (", node);
                /* a quantized reader of the layer may be the one that notices */
                T_CHECK(i / 2 ? text_names(&r.net, "step 0, ") : strstr(r.net.text, name) != NULL);
                T_EQ_INT(r.net.step, 0);
            }
            rig_free(&r);
        }
    }
}

/* One logit that is not a number, of neither the first class nor the label. */
static void nonfinite_logit(void)
{
    for (int class_number = 0; class_number < 10; class_number++) {
        for (int label = 0; label < 10; label += 3) {
            mls_net_desc desc = desc_fp32(2);
            size_t count;
            float *bias;
            rig r;
            if (!rig_make(&r, &desc, plain_net)) return;
            make_images(2, SMALL_IMAGE, 10, 1);
            some_labels[0] = some_labels[1] = label;
            bias = mls_net_weights(&r.net, 6, 1, &count);
            T_REQUIRE(bias != NULL && count == 10);
            bias[class_number] = NAN;
            t_note("logit %d, label %d", class_number, label);
            T_EQ_INT(mls_net_step(&r.net, some_images, some_labels, 2, &plain_sgd, NULL),
                     MLS_ERROR_NONFINITE);
            T_EQ_INT(mls_net_evaluate(&r.net, some_images, some_labels, 2, NULL),
                     MLS_ERROR_NONFINITE);
            rig_free(&r);
        }
    }
}

/* A gradient that overflows in the backward pass: it is dropped, with what was there before. */
static void nonfinite_gradient(void)
{
    mls_net_desc desc = desc_fp32(4);
    size_t count;
    const float *g;
    rig a, b;
    if (!rig_make(&a, &desc, "i1 1 4|l0 2|z1") || !rig_make(&b, &desc, "i1 1 4|l0 2|z1")) return;
    memset(mls_net_weights(&a.net, 1, 0, NULL), 0, 8 * sizeof(float));
    memset(mls_net_weights(&b.net, 1, 0, NULL), 0, 8 * sizeof(float));
    make_images(4, 4, 2, 1);
    T_EQ_INT(mls_net_gradient(&a.net, some_images, some_labels, 4, NULL), MLS_OK);
    for (int i = 0; i < 16; i++) some_images[i] = 3e38f;
    for (int i = 0; i < 4; i++) some_labels[i] = 0;
    T_EQ_INT(mls_net_gradient(&a.net, some_images, some_labels, 4, NULL), MLS_ERROR_NONFINITE);
    T_CHECK(strstr(a.net.text, "step 1, node 1 (linear)") != NULL);
    g = mls_net_gradients(&a.net, 1, 0, &count);
    for (size_t i = 0; i < count; i++) T_CHECK(g[i] == 0);
    T_EQ_INT(mls_net_update(&a.net, &plain_sgd), MLS_ERROR_STATE);
    a.net.step = 0; /* fp32 does not depend on it, the digest does */
    train(&a, 0, 2, 4, 4, 2), train(&b, 0, 2, 4, 4, 2);
    T_CHECK(mls_net_digest(&a.net) == mls_net_digest(&b.net));
    rig_free(&a), rig_free(&b);
}

/* ---- evaluation image by image */

/* Odd sizes: neither images nor rows fill a byte of codes. */
static const char odd_net[] = "i5 7 3|c0 5 3 1 1|n1|r2|c3 6 3 2 1|n4|r5|c6 7 1 1 0|g7|l8 10|z9";

enum {
    ALONE = 10
};

/* Images of very different magnitudes, one of zeros, one of next to zeros. */
static void make_uneven_images(size_t each)
{
    static const float scale[ALONE] = {1, 1000, 1e-3f, 0, 0.5f, 3, 1e-30f, 40, 1, 2};
    make_images(ALONE, each, 10, 99);
    for (int i = 0; i < ALONE; i++) {
        for (size_t j = 0; j < each; j++) some_images[(size_t)i * each + j] *= scale[i];
    }
}

/* A prediction does not depend on its batch mates: the logits alone are those in any batch, with every
   kernel and number of threads. */
static void check_alone(const char *text, const char *w, const char *a, const char *e, size_t image)
{
    static float alone[ALONE * 10];
    mls_net_desc desc = desc_of(ALONE, w, a, e);
    mls_result all, sum = {0, 0, 0};
    rig r;
    desc.quantize_first = desc.quantize_last = 1;
    T_EQ_INT(mls_kernel_use("scalar"), MLS_OK);
    threads(1);
    if (!rig_make(&r, &desc, text)) return;
    train(&r, 0, 2, 6, image, 10);
    make_uneven_images(image);
    for (int i = 0; i < ALONE; i++) {
        mls_result one;
        T_EQ_INT(
            mls_net_evaluate(&r.net, some_images + (size_t)i * image, some_labels + i, 1, &one),
            MLS_OK);
        sum.loss += one.loss, sum.correct += one.correct;
        memcpy(alone + i * 10, mls_net_logits(&r.net), 10 * sizeof(float));
    }
    rig_free(&r);
    for (int k = 0; k < 2 * mls_kernel_count(); k++) {
        T_EQ_INT(mls_kernel_use(mls_kernel_name(k / 2)), MLS_OK);
        threads(1 + k % 2 * 2);
        t_note("%s, w=%s a=%s e=%s, %s", text, w, a, e, mls_kernel_used());
        if (!rig_make(&r, &desc, text)) return;
        train(&r, 0, 2, 6, image, 10);
        make_uneven_images(image);
        T_EQ_INT(mls_net_evaluate(&r.net, some_images, some_labels, ALONE, &all), MLS_OK);
        T_EQ_MEM(mls_net_logits(&r.net), alone, sizeof alone);
        T_CHECK(all.correct == sum.correct && fabs(all.loss - sum.loss / ALONE) < 1e-6);
        for (int first = 0; first < ALONE; first += 4) { /* 4, 4, 2; labels are not needed */
            int count = ALONE - first < 4 ? ALONE - first : 4;
            T_EQ_INT(
                mls_net_evaluate(&r.net, some_images + (size_t)first * image, NULL, count, NULL),
                MLS_OK);
            T_EQ_MEM(mls_net_logits(&r.net), alone + first * 10,
                     (size_t)count * 10 * sizeof(float));
        }
        rig_free(&r);
    }
    threads(1);
    T_EQ_INT(mls_kernel_use("auto"), MLS_OK);
    desc.batch = 128; /* a full batch, with others behind these */
    if ((size_t)desc.batch * image * sizeof(float) > sizeof some_images ||
        !rig_make(&r, &desc, text)) {
        return;
    }
    train(&r, 0, 2, 6, image, 10);
    make_uneven_images(image);
    for (size_t i = ALONE * image; i < (size_t)desc.batch * image; i++) {
        some_images[i] = some_images[i - ALONE * image] * -0.5f;
    }
    for (int k = 0; k < mls_kernel_count(); k++) {
        T_EQ_INT(mls_kernel_use(mls_kernel_name(k)), MLS_OK);
        t_note("%s, w=%s a=%s e=%s, %s, batch 128", text, w, a, e, mls_kernel_used());
        T_EQ_INT(mls_net_evaluate(&r.net, some_images, NULL, desc.batch, NULL), MLS_OK);
        T_EQ_MEM(mls_net_logits(&r.net), alone, sizeof alone);
    }
    T_EQ_INT(mls_kernel_use("auto"), MLS_OK);
    rig_free(&r);
}

static void evaluation_alone(void)
{
    static const char *const formats[][3] = {
        {"fp32", "fp32", "fp32"},
        {"2,1:nc:2,0", "2,1:nc:2,0", "2,1:nc:2,0:stochastic"},
        {"2,4:nc:8,1", "2,4:nc:8,1", "2,4:nc:8,1:stochastic"},
        {"2,1:nc:8,1:clipped:paper", "2,1:nc:8,1:clipped:paper", "2,1:nc:8,1:clipped:paper"},
        {"0,4:none", "0,4:none:stochastic", "0,4:none:stochastic"},
        {"2,1:c:3,1", "2,1:c:3,1", "2,1:c:3,1"},
        {"2,1:n:2,0", "5,2:n:4,1", "2,1:n:2,0"},
        {"5,10:nc:8,1", "5,10:nc:8,1", "5,10:nc:8,1"},
        {"fp32", "2,1:nc:2,0", "2,1:nc:2,0"},
        {"2,1:nc:2,0", "fp32", "2,1:nc:2,0"}};
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        const char *const *f = formats[i];
        if (T_SLOW && i % 3 != 1) continue;
        check_alone(small_net, f[0], f[1], f[2], SMALL_IMAGE);
        check_alone(odd_net, f[0], f[1], f[2], (size_t)5 * 7 * 3);
    }
}

/* ---- blocks of depthwise convolutions */

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

/* ---- hosts that change how floats behave */

static void set_floats(int mode)
{
    static const int rounding[] = {
#ifdef FE_UPWARD
        FE_UPWARD,
#endif
#ifdef FE_DOWNWARD
        FE_DOWNWARD,
#endif
#ifdef FE_TOWARDZERO
        FE_TOWARDZERO,
#endif
        FE_TONEAREST};
    const int count = (int)(sizeof rounding / sizeof *rounding);
    fesetround(rounding[mode >= 0 && mode < count ? mode : count - 1]);
#if defined(__SSE2__) /* flush to zero, denormals are zero */
    _mm_setcsr((_mm_getcsr() & ~0x8040u) | (mode == 3 ? 0x8000u : mode == 4 ? 0x40u : 0));
#elif defined(__aarch64__)
    {
        uint64_t control;
        __asm__ volatile("mrs %0, fpcr" : "=r"(control));
        control = (control & ~(1ull << 24)) | (mode == 3 ? 1ull << 24 : 0);
        __asm__ volatile("msr fpcr, %0" : : "r"(control));
    }
#endif
}

/* Whether the host has such a mode. */
static int floats_changed(void)
{
    volatile float one = 1, some = 0x1p-25f, more = 0x1.8p-24f, tiny = 0x1p-126f, least = 0x1p-149f;
    volatile float half = tiny * 0.5f, grown = least * 0x1p24f, up = one + more;
    uint32_t bits[2];
    float kept = half;
    memcpy(&bits[0], &kept, 4);
    kept = grown;
    memcpy(&bits[1], &kept, 4);
    return one + some != 1 || up == 1 || !bits[0] || !bits[1];
}

/* Every entry point that computes refuses, says why, and leaves all as it is. */
static void floats_refused(void)
{
    static float x[64], out[64], weights[8192], after[8192];
    mls_net_desc desc = desc_low(4);
    mls_format format = desc.formats.weight;
    mls_shape shape = {1, 4, 4, 4}, square = {4, 1, 1, 4};
    mls_conv conv;
    mls_tensor t, w;
    mls_report report;
    mls_data data;
    mls_augment augment;
    static uint8_t pixels[2 * 3072], labels[2];
    unsigned char memory[2][2048];
    size_t count;
    uint64_t digest;
    int seen = 0;
    rig r;
    threads(1);
    memset(&conv, 0, sizeof conv), memset(&data, 0, sizeof data),
        memset(&augment, 0, sizeof augment);
    conv.in = shape, conv.c_out = 4, conv.kh = conv.kw = 1;
    data.pixels = pixels, data.labels = labels;
    T_EQ_INT(mls_data_synthetic(&data, 2, 1, 0), MLS_OK);
    for (int i = 0; i < 64; i++) x[i] = (float)i - 30;
    T_EQ_INT(mls_tensor_init(&t, format, shape, memory[0], sizeof memory[0]), MLS_OK);
    T_EQ_INT(mls_tensor_init(&w, format, square, memory[1], sizeof memory[1]), MLS_OK);
    T_EQ_INT(mls_quantize(&t, x, 0), MLS_OK);
    T_EQ_INT(mls_quantize(&w, x, 0), MLS_OK);
    if (!rig_make(&r, &desc, small_net)) return;
    train(&r, 0, 2, 4, SMALL_IMAGE, 10);
    digest = mls_net_digest(&r.net);
    count = rig_weights(&r, weights);
    make_images(4, SMALL_IMAGE, 10, 3);
    for (int mode = 0; mode < 5; mode++) {
        size_t size = mls_conv_workspace(&conv, format, format);
        void *work = t_alloc(size);
        mls_status status[10];
        int changed;
        set_floats(mode);
        changed = floats_changed();
        status[0] = mls_quantize(&t, x, 0);
        status[1] = mls_dequantize(&t, out);
        status[2] = mls_measure(&t, x, &report);
        status[3] = mls_conv_forward(&conv, &w, &t, out, work, size);
        status[4] = mls_conv_forward_fp32(&conv, x, x, out, work, size);
        status[5] = mls_net_step(&r.net, some_images, some_labels, 4, &plain_sgd, NULL);
        status[6] = mls_net_evaluate(&r.net, some_images, some_labels, 4, NULL);
        status[7] = mls_data_normalise(&data, &augment);
        status[8] = mls_data_batch(&data, NULL, 0, 0, 0, 2, some_images, some_labels);
        status[9] = mls_net_bind(&r.net, r.arena, r.plan.arena);
        set_floats(-1);
        t_free(work);
        if (!changed) continue;
        seen++;
        for (int i = 0; i < 10; i++) {
            t_note("mode %d, call %d", mode, i);
            T_EQ_INT(status[i], MLS_ERROR_FLOATS);
        }
        T_CHECK(strstr(r.net.text, "round to nearest") != NULL);
        T_CHECK(mls_net_digest(&r.net) == digest);
    }
    T_CHECK(rig_weights(&r, after) == count && memcmp(weights, after, count * sizeof(float)) == 0);
    make_images(4, SMALL_IMAGE, 10, 3); /* the gradient is there, then the mode changes */
    T_EQ_INT(mls_net_gradient(&r.net, some_images, some_labels, 4, NULL), MLS_OK);
    set_floats(0);
    if (floats_changed()) {
        mls_status status = mls_net_update(&r.net, &plain_sgd);
        set_floats(-1);
        T_EQ_INT(status, MLS_ERROR_FLOATS);
    }
    set_floats(-1);
    T_EQ_INT(mls_net_update(&r.net, &plain_sgd), MLS_OK);
    rig_free(&r);
    if (!seen) T_SKIP("this host has no other mode");
}

#if defined(_OPENMP) && !defined(MLS_NO_THREADS)
/* The mode belongs to a thread: one of the team is enough. */
static void floats_of_a_thread(void)
{
    mls_net_desc desc = desc_low(4);
    int changed = 0;
    uint64_t digest;
    rig r;
    threads(3);
    if (!rig_make(&r, &desc, small_net)) return;
    digest = mls_net_digest(&r.net);
    make_images(4, SMALL_IMAGE, 10, 3);
#pragma omp parallel num_threads(3)
    if (omp_get_thread_num() == 2) {
        set_floats(0);
        changed = floats_changed();
    }
    if (changed) {
        T_EQ_INT(mls_net_step(&r.net, some_images, some_labels, 4, &plain_sgd, NULL),
                 MLS_ERROR_FLOATS);
        T_EQ_INT(mls_net_evaluate(&r.net, some_images, NULL, 4, NULL), MLS_ERROR_FLOATS);
    }
#pragma omp parallel num_threads(3)
    set_floats(-1);
    T_CHECK(mls_net_digest(&r.net) == digest);
    T_EQ_INT(mls_net_step(&r.net, some_images, some_labels, 4, &plain_sgd, NULL), MLS_OK);
    rig_free(&r);
    threads(1);
    if (!changed) T_SKIP("this host has no other mode");
}
#define FLOAT_TESTS T_TEST(floats_of_a_thread),
#else
#define FLOAT_TESTS
#endif

/* ---- checkpoints */

static unsigned char checkpoint[1 << 17];

static void checkpoint_resumes(void)
{
    mls_net_desc descs[3];
    int last = mls_kernel_count() - 1;
    descs[0] = desc_fp32(4), descs[1] = desc_low(4);
    descs[2] = desc_of(4, "2,4:nc:8,1", "2,4:nc:8,1", "2,4:nc:8,1:stochastic");
    for (int i = 0; i < 3; i++) {
        uint64_t expected;
        size_t size;
        rig a, b;
        threads(1);
        T_EQ_INT(mls_kernel_use("auto"), MLS_OK);
        if (!rig_make(&a, &descs[i], small_net)) return;
        train(&a, 0, 5, 4, SMALL_IMAGE, 10);
        size = mls_net_checkpoint_size(&a.net, 0);
        T_REQUIRE(size > 0 && size <= sizeof checkpoint);
        memset(checkpoint, 0xa5, sizeof checkpoint);
        T_EQ_INT(mls_net_checkpoint_write(&a.net, NULL, 0, checkpoint, size), MLS_OK);
        T_CHECK(checkpoint[size] == 0xa5 && memcmp(checkpoint, "MLSCKPT\n", 8) == 0);
        train(&a, 5, 5, 4, SMALL_IMAGE, 10);
        expected = mls_net_digest(&a.net);
        rig_free(&a);
        for (int how = 0; how < 4; how++) { /* with other threads, kernels, batches */
            descs[i].seed = how == 3 ? 1234 : 7;
            descs[i].batch = 4 + how;
            t_note("desc %d, way %d", i, how);
            threads(1 + how);
            T_EQ_INT(mls_kernel_use(mls_kernel_name(last < how ? 0 : last - how)), MLS_OK);
            if (!rig_make(&b, &descs[i], small_net)) return;
            if (how == 2) train(&b, 3, 2, 4, SMALL_IMAGE, 10); /* not a fresh one */
            if (how == 1) { /* a gradient that loading throws away */
                make_images(4, SMALL_IMAGE, 10, 1);
                T_EQ_INT(mls_net_gradient(&b.net, some_images, some_labels, 4, NULL), MLS_OK);
            }
            T_EQ_INT(mls_net_checkpoint_read(&b.net, checkpoint, size, NULL, 0), MLS_OK);
            T_EQ_INT(b.net.step, 5);
            train(&b, 5, 5, 4, SMALL_IMAGE, 10);
            T_CHECK(mls_net_digest(&b.net) == expected);
            rig_free(&b);
        }
    }
    threads(1);
    T_EQ_INT(mls_kernel_use("auto"), MLS_OK);
}

/* More steps than updates: both numbers come back. */
static void checkpoint_accumulated(void)
{
    mls_net_desc desc = desc_low(4);
    size_t size;
    rig a, b;
    if (!rig_make(&a, &desc, small_net) || !rig_make(&b, &desc, small_net)) return;
    for (int part = 0; part < 6; part++) {
        make_images(4, SMALL_IMAGE, 10, (uint64_t)part);
        T_EQ_INT(mls_net_gradient(&a.net, some_images, some_labels, 4, NULL), MLS_OK);
        if (part % 3 == 2) T_EQ_INT(mls_net_update(&a.net, &plain_sgd), MLS_OK);
    }
    size = mls_net_checkpoint_size(&a.net, 0);
    T_REQUIRE(size > 0 && size <= sizeof checkpoint);
    T_EQ_INT(mls_net_checkpoint_write(&a.net, NULL, 0, checkpoint, size), MLS_OK);
    T_EQ_INT(mls_net_checkpoint_read(&b.net, checkpoint, size, NULL, 0), MLS_OK);
    T_EQ_INT(b.net.step, 6), T_EQ_INT(b.net.updates, 2);
    train(&a, 6, 2, 4, SMALL_IMAGE, 10), train(&b, 6, 2, 4, SMALL_IMAGE, 10);
    T_CHECK(mls_net_digest(&a.net) == mls_net_digest(&b.net));
    rig_free(&a), rig_free(&b);
}

static void checkpoint_note(void)
{
    mls_net_desc desc = desc_fp32(2);
    unsigned char note[21], back[21];
    size_t size;
    rig r;
    if (!rig_make(&r, &desc, tiny_net)) return;
    for (int i = 0; i < 21; i++) note[i] = (unsigned char)(i * 13 + 1);
    T_EQ_INT(mls_net_checkpoint_size(&r.net, 21), mls_net_checkpoint_size(&r.net, 0) + 21);
    size = mls_net_checkpoint_size(&r.net, 21);
    T_EQ_INT(mls_net_checkpoint_write(&r.net, note, 21, checkpoint, size), MLS_OK);
    memset(back, 0, sizeof back);
    T_EQ_INT(mls_net_checkpoint_read(&r.net, checkpoint, size, back, 21), MLS_OK);
    T_EQ_MEM(back, note, 21);
    memset(back, 0, sizeof back);
    for (size_t other = 0; other <= 20; other += 10) {
        T_EQ_INT(mls_net_checkpoint_read(&r.net, checkpoint, size, back, other), MLS_ERROR_DATA);
        T_CHECK(r.net.text[0] != 0);
    }
    checkpoint[size - 20] ^= 1;
    T_EQ_INT(mls_net_checkpoint_read(&r.net, checkpoint, size, back, 21), MLS_ERROR_DATA);
    for (int i = 0; i < 21; i++) T_CHECK(back[i] == 0); /* nor is the note touched */
    T_EQ_INT(mls_net_checkpoint_write(&r.net, NULL, 5, checkpoint, sizeof checkpoint),
             MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_checkpoint_write(&r.net, note, 21, NULL, size), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_checkpoint_write(&r.net, note, 21, checkpoint, size - 1), MLS_ERROR_MEMORY);
    T_EQ_INT(mls_net_checkpoint_write(NULL, note, 21, checkpoint, size), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_checkpoint_read(&r.net, NULL, size, back, 21), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_checkpoint_read(&r.net, checkpoint, size, NULL, 21), MLS_ERROR_ARGUMENT);
    checkpoint[size - 20] ^= 1;
    T_EQ_INT(mls_net_checkpoint_read(&r.net, checkpoint, size, back, 20), MLS_ERROR_DATA);
    T_CHECK(strstr(r.net.text, "bytes 21 there, 20 here") != NULL);
    T_EQ_INT(mls_net_checkpoint_read(&r.net, checkpoint, size, NULL, 0), MLS_OK); /* not wanted */
    T_EQ_INT(mls_net_checkpoint_read(NULL, checkpoint, size, back, 21), MLS_ERROR_ARGUMENT);
    rig_free(&r);
}

/* Every byte changed, every length: refused, and the network stays as it is. */
static void checkpoint_damaged(void)
{
    mls_net_desc desc = desc_fp32(2);
    unsigned char *exact;
    size_t size, step;
    uint64_t digest, rng = 3;
    rig r;
    if (!rig_make(&r, &desc, tiny_net)) return;
    train(&r, 0, 2, 2, 16, 2);
    size = mls_net_checkpoint_size(&r.net, 3);
    exact = (unsigned char *)t_alloc(size);
    T_EQ_INT(mls_net_checkpoint_write(&r.net, "abc", 3, exact, size), MLS_OK);
    train(&r, 2, 1, 2, 16, 2);
    digest = mls_net_digest(&r.net);
    for (size_t i = 0; i < size; i++) {
        unsigned char note[3] = {1, 1, 1}, keep = exact[i];
        exact[i] = (unsigned char)(keep ^ (1 + t_below(&rng, 255)));
        t_note("byte %d", (int)i);
        T_EQ_INT(mls_net_checkpoint_read(&r.net, exact, size, note, 3), MLS_ERROR_DATA);
        T_CHECK(mls_net_digest(&r.net) == digest && note[0] == 1 && r.net.text[0]);
        exact[i] = keep;
    }
    for (size_t length = 0; length < size; length += step) {
        unsigned char *cut = (unsigned char *)t_alloc(length);
        unsigned char note[3];
        memcpy(cut, exact, length);
        t_note("length %d", (int)length);
        T_EQ_INT(mls_net_checkpoint_read(&r.net, cut, length, note, 3), MLS_ERROR_DATA);
        T_CHECK(mls_net_digest(&r.net) == digest);
        t_free(cut);
        step = length < 80 || length > size - 20 ? 1 : 7;
    }
    memcpy(checkpoint, exact, size);
    memset(checkpoint + size, 0, 16);
    t_note("longer");
    T_EQ_INT(mls_net_checkpoint_read(&r.net, checkpoint, size + 1, checkpoint + 9999, 3),
             MLS_ERROR_DATA);
    T_CHECK(mls_net_digest(&r.net) == digest);
    T_EQ_INT(mls_net_checkpoint_read(&r.net, exact, size, checkpoint, 3), MLS_OK);
    T_CHECK(mls_net_digest(&r.net) != digest && memcmp(checkpoint, "abc", 3) == 0);
    t_free(exact);
    rig_free(&r);
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

static void checkpoint_foreign(void)
{
    static const char *const others[][2] = {
        {"i4 4 1|c0 2 3 1 1 1|n1|r2|g3|l4 2|z5", "node 1 (convolution): bias 0 there, 1 here"},
        {"i4 4 1|c0 3 3 1 1|n1|r2|g3|l4 2|z5", "node 1 (convolution): channels 2 there, 3 here"},
        {"i4 4 1|c0 2 1 1 0|n1|r2|g3|l4 2|z5", "kernel height 3 there, 1 here"},
        {"i4 4 1|c0 2 3 2 1|n1|r2|g3|l4 2|z5", "node 1 (convolution): height 4 there, 2 here"},
        {"i4 4 1|c0 2 3 1 1|n1|r2|g3|l4 3|z5", "node 5 (linear): channels 2 there, 3 here"},
        {"i5 4 1|c0 2 3 1 1|n1|r2|g3|l4 2|z5", "node 0 (input): height 4 there, 5 here"},
        {"i4 4 1|c0 2 3 1 1|r1|n2|g3|l4 2|z5", "node 2: batch norm there, relu here"},
        {"i4 4 1|c0 2 3 1 1|n1|r2|v3 4|l4 2|z5", "node 4: global pool there, average pool here"},
        {"i4 4 1|c0 2 3 1 1|n1|r2|g3|l4 2|l5 2|z6", "node 6: loss there, linear here"},
        {"i4 4 1|c0 2 3 1 1|n1|l2 2|z3", "node 3: relu there, linear here"},
        {"i4 4 1|c0 2 3 1 1|n1|p2|g3|l4 2|z5", "node 3: relu there, prelu here"},
        {"i4 4 1|c0 2 3 1 1|n1|k2 2|g3|l4 2|z5", "node 3: relu there, concat here"}};
    mls_net_desc desc = desc_fp32(2);
    size_t size;
    rig r;
    if (!rig_make(&r, &desc, tiny_net)) return;
    size = mls_net_checkpoint_size(&r.net, 0);
    T_EQ_INT(mls_net_checkpoint_write(&r.net, NULL, 0, checkpoint, size), MLS_OK);
    rig_free(&r);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        uint64_t digest;
        t_note("%s", others[i][0]);
        if (!rig_make(&r, &desc, others[i][0])) return;
        digest = mls_net_digest(&r.net);
        T_EQ_INT(mls_net_checkpoint_read(&r.net, checkpoint, size, NULL, 0), MLS_ERROR_DATA);
        T_CHECK(strstr(r.net.text, "another network") != NULL);
        if (!strstr(r.net.text, others[i][1])) {
            t_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", r.net.text, others[i][1]);
        }
        T_CHECK(mls_net_digest(&r.net) == digest);
        rig_free(&r);
    }
    t_note("another row of one's own");
    if (!rig_make(&r, &desc, "i4 4 1|c0 2 3 1 1|n1|f2|g3|l4 2|z5")) return;
    T_EQ_INT(mls_net_checkpoint_write(&r.net, NULL, 0, checkpoint, size), MLS_OK);
    T_EQ_INT(mls_net_checkpoint_read(&r.net, checkpoint, size, NULL, 0), MLS_OK);
    rig_free(&r);
    if (!rig_make(&r, &desc, "i4 4 1|c0 2 3 1 1|n1|o2|g3|l4 2|z5")) return;
    T_EQ_INT(mls_net_checkpoint_read(&r.net, checkpoint, size, NULL, 0), MLS_ERROR_DATA);
    T_CHECK(strstr(r.net.text, "node 3: an unknown kind of layer there, softsign here") != NULL);
    rig_free(&r);
    t_note("version");
    if (!rig_make(&r, &desc, tiny_net)) return;
    size = mls_net_checkpoint_size(&r.net, 0);
    T_EQ_INT(mls_net_checkpoint_write(&r.net, NULL, 0, checkpoint, size), MLS_OK);
    checkpoint[8]++;
    T_EQ_INT(mls_net_checkpoint_read(&r.net, checkpoint, size, NULL, 0), MLS_ERROR_DATA);
    T_CHECK(strstr(r.net.text, "version") != NULL);
    memcpy(checkpoint, "\x89PNG\r\n\x1a\n", 8);
    T_EQ_INT(mls_net_checkpoint_read(&r.net, checkpoint, size, NULL, 0), MLS_ERROR_DATA);
    T_CHECK(strstr(r.net.text, "not a checkpoint") != NULL);
    rig_free(&r);
}

static void checkpoint_while_pending(void)
{
    mls_net_desc desc = desc_fp32(2);
    size_t size;
    rig r;
    if (!rig_make(&r, &desc, tiny_net)) return;
    make_images(2, 16, 2, 1);
    size = mls_net_checkpoint_size(&r.net, 0);
    T_EQ_INT(mls_net_gradient(&r.net, some_images, some_labels, 2, NULL), MLS_OK);
    memset(checkpoint, 0xa5, size);
    T_EQ_INT(mls_net_checkpoint_write(&r.net, NULL, 0, checkpoint, size), MLS_ERROR_STATE);
    T_CHECK(strstr(r.net.text, "pending") != NULL && checkpoint[0] == 0xa5);
    T_EQ_INT(mls_net_update(&r.net, &plain_sgd), MLS_OK);
    T_EQ_INT(mls_net_checkpoint_write(&r.net, NULL, 0, checkpoint, size), MLS_OK);
    rig_free(&r);
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

static void checkpoint_bytes(void)
{
    mls_net_desc desc = desc_low(2);
    size_t size;
    rig r;
    desc.quantize_first = 1;
    if (!rig_make(&r, &desc, tiny_net)) return;
    train(&r, 0, 3, 2, 16, 2);
    size = mls_net_checkpoint_size(&r.net, 5);
    T_EQ_INT(mls_net_checkpoint_write(&r.net, "note\n", 5, checkpoint, size), MLS_OK);
    EQ_HASH(hash_bytes(checkpoint, size), 0x3244a45cd4597549u);
    rig_free(&r);
}

/* The same as format 1 has it: the head without its end, and no nodes. */
static size_t as_format_1(const unsigned char *from, size_t size, size_t nodes, unsigned char *to)
{
    size_t rest = size - 96 - nodes * 80;
    uint64_t sum;
    memcpy(to, from, 64);
    to[8] = 1;
    memcpy(to + 64, from + 96 + nodes * 80, rest - 8);
    sum = mls__mix(mls__hash_bytes(0, to, 64 + rest - 8));
    for (int i = 0; i < 8; i++) to[64 + rest - 8 + (size_t)i] = (unsigned char)(sum >> (8 * i));
    return 64 + rest;
}

/* Files of the first release are read as they were; the hash is that of the bytes that it wrote. */
static void checkpoint_format_1(void)
{
    static unsigned char old[4096];
    mls_net_desc desc = desc_low(2);
    mls_checkpoint about;
    char note[5], text[100];
    uint64_t digest;
    size_t size;
    rig r;
    desc.quantize_first = 1;
    if (!rig_make(&r, &desc, tiny_net)) return;
    train(&r, 0, 3, 2, 16, 2);
    digest = mls_net_digest(&r.net);
    size = mls_net_checkpoint_size(&r.net, 5);
    T_EQ_INT(mls_net_checkpoint_write(&r.net, "note\n", 5, checkpoint, size), MLS_OK);
    T_EQ_INT(mls_checkpoint_look(checkpoint, size, &about, text, sizeof text), MLS_OK);
    T_CHECK(about.version == 2 && about.nodes == 7 && about.batch == 2 && about.seed == 7);
    T_CHECK(about.step == 3 && about.updates == 3 && about.note_size == 5 && text[0] == 0);
    T_CHECK(memcmp(about.note, "note\n", 5) == 0);
    size = as_format_1(checkpoint, size, 7, old);
    EQ_HASH(hash_bytes(old, size), 0xe63bd0969383a217u);
    T_EQ_INT(mls_checkpoint_look(old, size, &about, NULL, 0), MLS_OK);
    T_CHECK(about.version == 1 && about.nodes == 0 && about.batch == 0 && about.seed == 7);
    T_CHECK(about.step == 3 && about.note_size == 5 && memcmp(about.note, "note\n", 5) == 0);
    train(&r, 3, 1, 2, 16, 2);
    T_EQ_INT(mls_net_checkpoint_read(&r.net, old, size, note, 5), MLS_OK);
    T_CHECK(mls_net_digest(&r.net) == digest && memcmp(note, "note\n", 5) == 0);
    old[size - 9] ^= 4;
    T_EQ_INT(mls_checkpoint_look(old, size, &about, text, sizeof text), MLS_ERROR_DATA);
    T_CHECK(strstr(text, "checksum") != NULL);
    T_EQ_INT(mls_checkpoint_look(old, 63, &about, text, sizeof text), MLS_ERROR_DATA);
    T_CHECK(strcmp(text, "truncated") == 0);
    T_EQ_INT(mls_checkpoint_look(NULL, 63, &about, text, sizeof text), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_checkpoint_look(old, size, NULL, text, sizeof text), MLS_ERROR_ARGUMENT);
    rig_free(&r);
    if (!rig_make(&r, &desc, "i4 4 1|c0 2 1 1 0|n1|r2|g3|l4 2|z5")) return;
    old[size - 9] ^= 4;
    T_EQ_INT(mls_net_checkpoint_read(&r.net, old, size, NULL, 0), MLS_ERROR_DATA);
    T_CHECK(strstr(r.net.text, "another network") != NULL);
    rig_free(&r);
}

/* ---- files */

#if FILES
static char folder[256]; /* of this run, for its files */

static const char *path_in(const char *name)
{
    static char path[4][1024];
    static int next;
    next = (next + 1) % 4;
    snprintf(path[next], sizeof path[next], "%s/%s", folder, name);
    return path[next];
}

static void folder_make(void)
{
    const char *base = getenv(WINDOWS ? "TEMP" : "TMPDIR");
    snprintf(folder, sizeof folder, "%s/test_train.%ld", base && *base ? base : "/tmp",
             (long)getpid());
    mkdir(folder, 0777);
}

static int file_write(const char *name, const void *bytes, size_t size)
{
    FILE *f = fopen(path_in(name), "wb");
    int good = f && fwrite(bytes, 1, size, f) == size;
    if (f) good = fclose(f) == 0 && good;
    T_CHECK(good);
    return good;
}

/* A second name for a file; on Windows a copy. */
static int file_link(const char *from, const char *to)
{
#if WINDOWS
    void *bytes = NULL;
    size_t size;
    int good = mls_file_load(from, &bytes, &size, NULL, 0) == MLS_OK;
    if (good) good = mls_file_save(to, bytes, size, NULL, 0) == MLS_OK;
    mls_file_free(bytes);
    return good ? 0 : -1;
#else
    return link(from, to);
#endif
}

static int file_exists(const char *name)
{
    FILE *f = fopen(path_in(name), "rb");
    if (f) fclose(f);
    return f != NULL;
}

static void save_and_load(void)
{
    mls_net_desc desc = desc_low(4);
    unsigned char note[4] = {1, 2, 3, 4}, back[4] = {0, 0, 0, 0};
    uint64_t expected, digest;
    size_t size;
    rig a, b;
    folder_make();
    if (!rig_make(&a, &desc, small_net) || !rig_make(&b, &desc, small_net)) return;
    train(&a, 0, 5, 4, SMALL_IMAGE, 10);
    T_EQ_INT(mls_net_save(&a.net, path_in("net"), note, 4), MLS_OK);
    T_CHECK(file_exists("net") && !file_exists("net.tmp"));
    digest = mls_net_digest(&a.net);
    train(&a, 5, 5, 4, SMALL_IMAGE, 10);
    expected = mls_net_digest(&a.net);
    T_EQ_INT(mls_net_load(&b.net, path_in("net"), back, 4), MLS_OK);
    T_EQ_MEM(back, note, 4);
    T_CHECK(mls_net_digest(&b.net) == digest);
    train(&b, 5, 5, 4, SMALL_IMAGE, 10);
    T_CHECK(mls_net_digest(&b.net) == expected);
    T_EQ_INT(mls_net_save(&b.net, path_in("net"), note, 4), MLS_OK); /* over an old one */
    T_EQ_INT(mls_net_load(&a.net, path_in("net"), back, 4), MLS_OK);
    T_CHECK(mls_net_digest(&a.net) == expected);
    { /* the note of a file, without knowing what it is */
        void *bytes;
        char text[300];
        mls_checkpoint about;
        T_EQ_INT(mls_file_load(path_in("net"), &bytes, &size, text, sizeof text), MLS_OK);
        T_EQ_INT(mls_checkpoint_look(bytes, size, &about, NULL, 0), MLS_OK);
        T_CHECK(about.note_size == 4 && memcmp(about.note, note, 4) == 0);
        mls_file_free(bytes);
        T_EQ_INT(mls_file_load(path_in("nothing"), &bytes, &size, text, sizeof text), MLS_ERROR_IO);
        T_CHECK(bytes == NULL && strstr(text, "nothing") && strchr(text, ':'));
        mls_file_free(NULL);
    }
    { /* a path so long that it would push the reason out of the text */
        char path[700];
        snprintf(path, sizeof path, "%s", folder);
        while (strlen(path) < 400) strcat(path, "/.");
        strcat(path, "/net");
        T_EQ_INT(mls_net_load(&a.net, path, back, 3), MLS_ERROR_DATA);
        T_CHECK(strstr(a.net.text, "bytes 4 there, 3 here") && strstr(a.net.text, "/net: "));
    }
    /* a missing file, a missing folder, a folder in place of the file */
    T_EQ_INT(mls_net_load(&a.net, path_in("nothing"), back, 4), MLS_ERROR_IO);
    T_CHECK(strstr(a.net.text, "nothing") != NULL && a.net.status == MLS_ERROR_IO);
    T_EQ_INT(mls_net_save(&a.net, path_in("no/net"), note, 4), MLS_ERROR_IO);
    T_CHECK(strstr(a.net.text, "no/net") != NULL);
    mkdir(path_in("taken"), 0777);
    T_EQ_INT(mls_net_save(&a.net, path_in("taken"), note, 4), MLS_ERROR_IO);
    T_CHECK(!file_exists("taken.tmp"));
    T_CHECK(mls_net_load(&a.net, path_in("taken"), back, 4) != MLS_OK);
    rmdir(path_in("taken"));
    /* damaged files: the text has the name and the reason */
    size = mls_net_checkpoint_size(&a.net, 4);
    T_EQ_INT(mls_net_checkpoint_write(&a.net, note, 4, checkpoint, size), MLS_OK);
    checkpoint[size / 2] ^= 16;
    if (!file_write("net", checkpoint, size)) return;
    T_EQ_INT(mls_net_load(&a.net, path_in("net"), back, 4), MLS_ERROR_DATA);
    T_CHECK(strstr(a.net.text, "checksum") != NULL && strstr(a.net.text, "net") != NULL);
    file_write("net", checkpoint, size / 2);
    T_EQ_INT(mls_net_load(&a.net, path_in("net"), back, 4), MLS_ERROR_DATA);
    T_CHECK(strstr(a.net.text, "truncated") != NULL);
    file_write("net", checkpoint, 0);
    T_EQ_INT(mls_net_load(&a.net, path_in("net"), back, 4), MLS_ERROR_DATA);
    T_EQ_INT(mls_net_load(&a.net, path_in("net"), back, 3), MLS_ERROR_DATA);
    T_CHECK(mls_net_digest(&a.net) == expected);
    /* what must not be saved leaves the old file alone */
    T_EQ_INT(mls_net_save(&a.net, path_in("net"), note, 4), MLS_OK);
    make_images(4, SMALL_IMAGE, 10, 1);
    T_EQ_INT(mls_net_gradient(&b.net, some_images, some_labels, 4, NULL), MLS_OK);
    T_EQ_INT(mls_net_save(&b.net, path_in("net"), note, 4), MLS_ERROR_STATE);
    T_CHECK(!file_exists("net.tmp"));
    T_EQ_INT(mls_net_load(&b.net, path_in("net"), back, 4), MLS_OK);
    T_CHECK(mls_net_digest(&b.net) == expected);
    T_EQ_INT(mls_net_save(&a.net, NULL, note, 4), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_load(&a.net, NULL, back, 4), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_save(NULL, path_in("net"), note, 4), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_load(NULL, path_in("net"), back, 4), MLS_ERROR_ARGUMENT);
    mls_net_begin(&b.net, &desc, b.nodes, 64);
    T_EQ_INT(mls_net_load(&b.net, path_in("net"), back, 4), MLS_ERROR_STATE);
    T_EQ_INT(mls_net_save(&b.net, path_in("net"), back, 4), MLS_ERROR_STATE);
    remove(path_in("net"));
    rmdir(folder);
    T_EQ_INT(live_blocks, 0);
    rig_free(&a), rig_free(&b);
}

/* Over a file that somebody has open, which Windows refuses: the old one is whole then, and later it
   is replaced. */
static void save_over_an_open_file(void)
{
    mls_net_desc desc = desc_low(4);
    mls_status status;
    uint64_t digest, later;
    FILE *open;
    rig r;
    folder_make();
    if (!rig_make(&r, &desc, small_net)) return;
    train(&r, 0, 1, 4, SMALL_IMAGE, 10);
    digest = mls_net_digest(&r.net);
    T_EQ_INT(mls_net_save(&r.net, path_in("net"), NULL, 0), MLS_OK);
    train(&r, 1, 1, 4, SMALL_IMAGE, 10);
    later = mls_net_digest(&r.net);
    open = fopen(path_in("net"), "rb");
    T_REQUIRE(open);
    status = mls_net_save(&r.net, path_in("net"), NULL, 0);
    T_EQ_INT(status, WINDOWS ? MLS_ERROR_IO : MLS_OK);
    T_CHECK(status == MLS_OK || (strstr(r.net.text, "net: ") && !file_exists("net.tmp")));
    fclose(open);
    T_EQ_INT(mls_net_load(&r.net, path_in("net"), NULL, 0), MLS_OK);
    T_CHECK(mls_net_digest(&r.net) == (WINDOWS ? digest : later));
    for (int i = 0; i < 3; i++) {
        T_EQ_INT(mls_net_save(&r.net, path_in("net"), NULL, 0), MLS_OK);
    }
    remove(path_in("net"));
    rmdir(folder);
    rig_free(&r);
}

/* Any bytes, none included, and a text for what goes wrong. */
static void files_saved_and_loaded(void)
{
    static uint8_t bytes[100000];
    char text[300];
    void *back;
    size_t size;
    folder_make();
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * 7 + i / 256);
    for (size_t n = sizeof bytes; n < sizeof bytes + 1; n = n ? n / 10 : sizeof bytes + 1) {
        T_EQ_INT(mls_file_save(path_in("file"), bytes, n, text, sizeof text), MLS_OK);
        T_CHECK(!text[0] && !file_exists("file.tmp"));
        T_EQ_INT(mls_file_load(path_in("file"), &back, &size, text, sizeof text), MLS_OK);
        T_EQ_INT(size, n);
        T_EQ_MEM(back, bytes, n);
        mls_file_free(back);
    }
    T_EQ_INT(mls_file_save(path_in("no/file"), bytes, 3, text, sizeof text), MLS_ERROR_IO);
    T_CHECK(strstr(text, "cannot write: ") && strstr(text, "no/file: "));
    T_EQ_INT(mls_file_save(path_in("no/file"), bytes, 3, NULL, 0), MLS_ERROR_IO);
    T_EQ_INT(mls_file_save(NULL, bytes, 3, text, sizeof text), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_file_save(path_in("file"), NULL, 3, text, sizeof text), MLS_ERROR_ARGUMENT);
    remove(path_in("file"));
    rmdir(folder);
    T_EQ_INT(live_blocks, 0);
}

#if !WINDOWS
/* The disk is full in the middle of a save: the old checkpoint is whole. */
static void save_fails(void)
{
    mls_net_desc desc = desc_low(4);
    struct rlimit all, few;
    mls_status status;
    uint64_t digest;
    rig r;
    folder_make();
    if (!rig_make(&r, &desc, small_net)) return;
    train(&r, 0, 1, 4, SMALL_IMAGE, 10);
    digest = mls_net_digest(&r.net);
    T_EQ_INT(mls_net_save(&r.net, path_in("net"), NULL, 0), MLS_OK);
    train(&r, 1, 1, 4, SMALL_IMAGE, 10);
    T_REQUIRE(getrlimit(RLIMIT_FSIZE, &all) == 0);
    few = all, few.rlim_cur = 1000;
    signal(SIGXFSZ, SIG_IGN);
    T_REQUIRE(setrlimit(RLIMIT_FSIZE, &few) == 0);
    status = mls_net_save(&r.net, path_in("net"), NULL, 0);
    T_EQ_INT(setrlimit(RLIMIT_FSIZE, &all), 0);
    signal(SIGXFSZ, SIG_DFL);
    if (status != MLS_OK) {
        T_EQ_INT(status, MLS_ERROR_IO);
        T_CHECK(!file_exists("net.tmp"));
        T_EQ_INT(mls_net_load(&r.net, path_in("net"), NULL, 0), MLS_OK);
        T_CHECK(mls_net_digest(&r.net) == digest);
    }
    remove(path_in("net"));
    rmdir(folder);
    rig_free(&r);
    if (status == MLS_OK) T_SKIP("files have no largest size here");
}
#endif

enum {
    PICTURES = 10000,
    RECORD = 3073,
    CIFAR_FILE = PICTURES * RECORD
};

static uint8_t cifar_byte(int file, int picture, int at)
{
    return (uint8_t)(file * 41 + picture * 7 + at * 3 + at / 1024 * 50);
}

static void cifar_write(const char *name, int file, size_t size, int bad_at)
{
    static uint8_t bytes[CIFAR_FILE + 1];
    for (int n = 0; n < PICTURES; n++) {
        uint8_t *record = bytes + (size_t)n * RECORD;
        record[0] = (uint8_t)((n + file) % 10);
        if (n == bad_at) record[0] = 10;
        for (int i = 0; i < 3072; i++) record[1 + i] = cifar_byte(file, n, i);
    }
    bytes[CIFAR_FILE] = 0;
    file_write(name, bytes, size);
}

static void check_cifar(const mls_data *data, int files)
{
    T_EQ_INT(data->count, files * PICTURES);
    T_CHECK(data->h == 32 && data->w == 32 && data->c == 3 && data->classes == 10);
    T_CHECK(strcmp(data->names[0], "airplane") == 0 && strcmp(data->names[9], "truck") == 0);
    T_REQUIRE(data->count == files * PICTURES);
    for (int at = 0; at < data->count; at += 997) {
        int file = at / PICTURES % 2, n = at % PICTURES, good = 1;
        T_EQ_INT(data->labels[at], (n + file) % 10);
        for (int i = 0; i < 1024; i++) {
            for (int ch = 0; ch < 3; ch++) { /* planes in the file, channels last in memory */
                good &= data->pixels[(size_t)at * 3072 + (size_t)(i * 3 + ch)] ==
                        cifar_byte(file, n, ch * 1024 + i);
            }
        }
        t_note("picture %d", at);
        T_CHECK(good);
    }
}

static void cifar_files(void)
{
    mls_data data;
    char text[300];
    folder_make();
    T_EQ_INT(mls_data_cifar10(&data, path_in("nowhere"), 1, text, sizeof text), MLS_ERROR_IO);
    T_CHECK(strstr(text, "nowhere/test_batch.bin: No such file") && data.pixels == NULL);
    cifar_write("test_batch.bin", 0, CIFAR_FILE, -1);
    T_EQ_INT(mls_data_cifar10(&data, folder, 1, text, sizeof text), MLS_OK);
    check_cifar(&data, 1);
    mls_data_free(&data);
    T_CHECK(data.pixels == NULL && data.labels == NULL);
    cifar_write("test_batch.bin", 0, CIFAR_FILE - 1, -1);
    T_EQ_INT(mls_data_cifar10(&data, folder, 1, text, sizeof text), MLS_ERROR_DATA);
    T_CHECK(strstr(text, "test_batch.bin") && strstr(text, "30730000 bytes"));
    T_CHECK(data.pixels == NULL);
    cifar_write("test_batch.bin", 0, CIFAR_FILE + 1, -1);
    T_EQ_INT(mls_data_cifar10(&data, folder, 1, text, sizeof text), MLS_ERROR_DATA);
    cifar_write("test_batch.bin", 0, 0, -1);
    T_EQ_INT(mls_data_cifar10(&data, folder, 1, NULL, 0), MLS_ERROR_DATA);
    cifar_write("test_batch.bin", 0, CIFAR_FILE, PICTURES - 1);
    T_EQ_INT(mls_data_cifar10(&data, folder, 1, text, sizeof text), MLS_ERROR_DATA);
    T_CHECK(data.pixels == NULL && data.labels == NULL && strstr(text, "label is over 9"));
    T_EQ_INT(mls_data_cifar10(NULL, folder, 1, text, sizeof text), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_data_cifar10(&data, NULL, 1, text, sizeof text), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_data_cifar10(&data, folder, 2, text, sizeof text), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_data_cifar10(&data, folder, -1, text, sizeof text), MLS_ERROR_ARGUMENT);
    remove(path_in("test_batch.bin"));
    cifar_write("data_batch_1.bin", 0, CIFAR_FILE, -1);
    cifar_write("data_batch_2.bin", 1, CIFAR_FILE, -1);
    T_CHECK(file_link(path_in("data_batch_1.bin"), path_in("data_batch_3.bin")) == 0);
    T_CHECK(file_link(path_in("data_batch_2.bin"), path_in("data_batch_4.bin")) == 0);
    T_EQ_INT(mls_data_cifar10(&data, folder, 0, text, sizeof text), MLS_ERROR_IO);
    T_CHECK(strstr(text, "data_batch_5.bin") != NULL); /* the one that is missing */
    T_CHECK(file_link(path_in("data_batch_1.bin"), path_in("data_batch_5.bin")) == 0);
    T_EQ_INT(mls_data_cifar10(&data, folder, 0, text, sizeof text), MLS_OK);
    check_cifar(&data, 5);
    mls_data_free(&data);
    for (int i = 1; i <= 5; i++) {
        char name[40];
        snprintf(name, sizeof name, "data_batch_%d.bin", i);
        remove(path_in(name));
    }
    rmdir(folder);
    T_EQ_INT(live_blocks, 0);
}

/* Pictures are texts "height width colour"; "bad" cannot be decoded. */
static int decodes, adds_a_file;

static int decode_text(void *user, const char *path, int32_t *h, int32_t *w, int32_t c,
                       uint8_t *pixels, char *text, size_t size)
{
    int height = 0, width = 0, colour = 0;
    FILE *f = strstr(path, "fifo") ? NULL : fopen(path, "r"); /* which would wait for a writer */
    int good = f && fscanf(f, "%d %d %d", &height, &width, &colour) == 3;
    if (f) fclose(f);
    T_CHECK(user == (void *)&decodes && c == 3);
    decodes++;
    if (!good) {
        snprintf(text, size, "no numbers");
        return 1;
    }
    if (!pixels) {
        *h = height, *w = width;
        if (adds_a_file) file_write("tree/a/new.png", "2 2 9", 5);
        return 0;
    }
    if (*h != height || *w != width) {
        snprintf(text, size, "%d x %d pixels", height, width);
        return 2;
    }
    for (int i = 0; i < height * width * 3; i++) pixels[i] = (uint8_t)(colour + i);
    return 0;
}

static const char *const tree_files[][2] = {
    {"tree/b/two.png", "2 2 20"},   {"tree/b/a.jpg", "2 2 30"},   {"tree/b/Z.jpeg", "2 2 10"},
    {"tree/a/10.png", "2 2 1"},     {"tree/a/9.png", "2 2 2"},    {"tree/c/x.JPG", "2 2 40"},
    {"tree/c/.hid.png", "9 9 9"},   {"tree/c/notes.txt", "none"}, {"tree/README.png", "a file"},
    {"tree/zz/only.txt", "no pic"}, {"tree/.hidden/x.png", "9 9"}};
static const char *const tree_folders[] = {"tree",    "tree/a",       "tree/b",    "tree/c",
                                           "tree/zz", "tree/.hidden", "tree/empty"};
enum {
    TREE_FILES = sizeof tree_files / sizeof tree_files[0],
    TREE_FOLDERS = sizeof tree_folders / sizeof tree_folders[0]
};

static void tree_make(void)
{
    folder_make();
    for (int i = 0; i < TREE_FOLDERS; i++) mkdir(path_in(tree_folders[i]), 0777);
    for (int i = 0; i < TREE_FILES; i++) {
        file_write(tree_files[i][0], tree_files[i][1], strlen(tree_files[i][1]));
    }
    decodes = adds_a_file = 0;
}

static void tree_remove(void)
{
    for (int i = 0; i < TREE_FILES; i++) remove(path_in(tree_files[i][0]));
    remove(path_in("tree/a/new.png"));
    for (int i = TREE_FOLDERS - 1; i >= 0; i--) rmdir(path_in(tree_folders[i]));
    T_EQ_INT(rmdir(folder), 0);
}

static void folder_pictures(void)
{
    static const uint8_t colours[] = {1, 2, 10, 30, 20, 40}, labels[] = {0, 0, 1, 1, 1, 2};
    mls_data data;
    char text[300];
    const char *tree;
    tree_make();
    tree = path_in("tree");
    for (int given = 0; given < 2; given++) {
        T_EQ_INT(mls_data_folder(&data, tree, 2 * given, 2 * given, decode_text, &decodes, text,
                                 sizeof text),
                 MLS_OK);
        T_CHECK(data.count == 6 && data.h == 2 && data.w == 2 && data.c == 3 && data.classes == 3);
        T_CHECK(strcmp(data.names[0], "a") == 0 && strcmp(data.names[1], "b") == 0 &&
                strcmp(data.names[2], "c") == 0);
        for (int i = 0; i < 6 && data.count == 6; i++) {
            T_EQ_INT(data.labels[i], labels[i]);
            for (int j = 0; j < 12; j++) T_EQ_INT(data.pixels[i * 12 + j], colours[i] + j);
        }
        mls_data_free(&data);
    }
    /* another size asked for: the first picture is named, and why */
    T_EQ_INT(mls_data_folder(&data, tree, 3, 2, decode_text, &decodes, text, sizeof text),
             MLS_ERROR_DATA);
    T_CHECK(strstr(text, "a/10.png") && strstr(text, "2 x 2 pixels") && data.pixels == NULL);
    file_write("tree/b/two.png", "3 3 1", 5); /* one of another size */
    T_EQ_INT(mls_data_folder(&data, tree, 0, 0, decode_text, &decodes, text, sizeof text),
             MLS_ERROR_DATA);
    T_CHECK(strstr(text, "b/two.png") && strstr(text, "3 x 3 pixels"));
    file_write("tree/b/two.png", "bad", 3);
    T_EQ_INT(mls_data_folder(&data, tree, 0, 0, decode_text, &decodes, text, sizeof text),
             MLS_ERROR_DATA);
    T_CHECK(strstr(text, "b/two.png") && strstr(text, "no numbers"));
    T_EQ_INT(mls_data_folder(&data, tree, 0, 0, decode_text, &decodes, NULL, 0), MLS_ERROR_DATA);
    file_write("tree/a/10.png", "bad", 3); /* the one that gives the size */
    T_EQ_INT(mls_data_folder(&data, tree, 0, 0, decode_text, &decodes, text, sizeof text),
             MLS_ERROR_DATA);
    T_CHECK(strstr(text, "a/10.png") != NULL);
    T_EQ_INT(mls_data_folder(&data, path_in("tree/empty"), 0, 0, decode_text, &decodes, text,
                             sizeof text),
             MLS_ERROR_ARGUMENT);
    T_CHECK(strstr(text, "tree/empty") != NULL);
    T_EQ_INT(
        mls_data_folder(&data, path_in("none"), 0, 0, decode_text, &decodes, text, sizeof text),
        MLS_ERROR_IO);
    T_CHECK(strstr(text, "none") != NULL);
    T_EQ_INT(mls_data_folder(NULL, tree, 0, 0, decode_text, NULL, NULL, 0), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_data_folder(&data, NULL, 0, 0, decode_text, NULL, NULL, 0), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_data_folder(&data, tree, 0, 0, NULL, NULL, NULL, 0), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_data_folder(&data, tree, -1, 0, decode_text, NULL, NULL, 0), MLS_ERROR_ARGUMENT);
    tree_remove();
    T_EQ_INT(live_blocks, 0);
}

static void folder_of_many_classes(void)
{
    static char name[32];
    mls_data data;
    char text[300];
    folder_make();
    mkdir(path_in("many"), 0777);
    for (int i = 0; i < 257; i++) {
        snprintf(name, sizeof name, "many/%03d", i);
        mkdir(path_in(name), 0777);
        snprintf(name, sizeof name, "many/%03d/x.png", i);
        file_write(name, "1 1 1", 5);
    }
    T_EQ_INT(
        mls_data_folder(&data, path_in("many"), 0, 0, decode_text, &decodes, text, sizeof text),
        MLS_ERROR_ARGUMENT);
    T_CHECK(strstr(text, "256 classes") != NULL);
    remove(path_in(name));
    T_EQ_INT(
        mls_data_folder(&data, path_in("many"), 0, 0, decode_text, &decodes, text, sizeof text),
        MLS_OK);
    T_CHECK(data.classes == 256 && data.count == 256 && data.labels && data.labels[255] == 255);
    mls_data_free(&data);
    for (int i = 0; i < 257; i++) {
        snprintf(name, sizeof name, "many/%03d/x.png", i);
        remove(path_in(name));
        snprintf(name, sizeof name, "many/%03d", i);
        rmdir(path_in(name));
    }
    rmdir(path_in("many"));
    T_EQ_INT(rmdir(folder), 0);
    T_EQ_INT(live_blocks, 0);
}

/* A picture that appears while the folder is read must not be written behind the end. */
static void folder_that_grows(void)
{
    mls_data data;
    char text[300];
    mls_status status;
    tree_make();
    adds_a_file = 1;
    status =
        mls_data_folder(&data, path_in("tree"), 0, 0, decode_text, &decodes, text, sizeof text);
    T_CHECK(status == MLS_OK || text[0]);
    if (status == MLS_OK) mls_data_free(&data); /* checks what is behind the blocks */
    adds_a_file = 0;
    tree_remove();
    T_EQ_INT(live_blocks, 0);
}

/* What mls_data_pictures reports: for each reason the paths, one behind the other, and a text. */
static struct {
    char paths[MLS_LEFT_OUT_REASONS][1024], text[MLS_LEFT_OUT_REASONS][200];
    int count[MLS_LEFT_OUT_REASONS];
} heard;

static void hear(void *user, mls_left_out reason, const char *path, const char *why)
{
    char *to = heard.paths[reason];
    size_t used = strlen(to);
    T_CHECK(user == (void *)&decodes && strncmp(path, folder, strlen(folder)) == 0 && why[0]);
    snprintf(to + used, sizeof heard.paths[0] - used, "%s ", path + strlen(folder) + 1);
    snprintf(heard.text[reason], sizeof heard.text[0], "%s", why);
    heard.count[reason]++;
}

static mls_folder_desc folder_desc(void)
{
    mls_folder_desc desc;
    memset(&desc, 0, sizeof desc);
    memset(&heard, 0, sizeof heard);
    desc.path = path_in("tree"), desc.decode = decode_text, desc.user = &decodes;
    desc.left_out = hear;
    return desc;
}

static void folder_letters_of_any_case(void)
{
    static const char *const names[] = {"tree/a/x.Jpg",  "tree/a/y.PnG", "tree/b/v.JPEG",
                                        "tree/b/W.jPeG", "tree/c/png",   "tree/c/x.jpg.txt",
                                        "tree/c/\016png"};
    mls_data data;
    mls_folder_desc desc;
    char text[300];
    tree_make();
    const int count = WINDOWS ? 6 : 7; /* no control characters there */
    for (int i = 0; i < count; i++) file_write(names[i], "2 2 7", 5);
    desc = folder_desc();
    T_EQ_INT(mls_data_pictures(&data, &desc, text, sizeof text), MLS_OK);
    T_CHECK(data.count == 10 && data.classes == 3);
    T_EQ_INT(heard.count[MLS_LEFT_OUT_NAME], count - 2);
    mls_data_free(&data);
    for (int i = 0; i < count; i++) remove(path_in(names[i]));
    tree_remove();
}

static void folder_tells_what_it_leaves_out(void)
{
    static const char *const paths[] = {"",
                                        "tree/c/notes.txt tree/zz/only.txt ",
                                        "tree/.hidden tree/c/.hid.png ",
                                        "tree/a/deep.png tree/a/fifo.png ",
                                        "tree/README.png ",
                                        "tree/empty tree/zz "};
    static const char *const texts[] = {
        "", ".jpg, .jpeg or .png", "hidden", "folder in a class", "beside", "no pictures"};
    mls_data data;
    mls_folder_desc desc;
    char text[300];
    tree_make();
    T_CHECK(mkdir(path_in("tree/a/deep.png"), 0777) == 0);
#if WINDOWS
    T_CHECK(mkdir(path_in("tree/a/fifo.png"), 0777) == 0);
#else
    T_CHECK(mkfifo(path_in("tree/a/fifo.png"), 0666) == 0);
#endif
    desc = folder_desc();
    T_EQ_INT(mls_data_pictures(&data, &desc, text, sizeof text), MLS_OK);
    T_EQ_INT(data.count, 6);
    for (int i = 0; i < MLS_LEFT_OUT_REASONS; i++) {
        t_note("reason %d: %s", i, heard.paths[i]);
        T_CHECK(strcmp(heard.paths[i], paths[i]) == 0);
        T_CHECK(strstr(heard.text[i], texts[i]) != NULL);
    }
    mls_data_free(&data);
    desc.left_out = NULL; /* nobody needs to listen */
    T_EQ_INT(mls_data_pictures(&data, &desc, text, sizeof text), MLS_OK);
    mls_data_free(&data);
    if (remove(path_in("tree/a/fifo.png")) != 0) rmdir(path_in("tree/a/fifo.png"));
    rmdir(path_in("tree/a/deep.png"));
    tree_remove();
    T_EQ_INT(live_blocks, 0);
}

static void folder_names_all_bad_pictures(void)
{
    static const char all_bad[] = "tree/a/10.png tree/b/a.jpg tree/b/two.png ";
    static const uint8_t colours[] = {2, 10, 40};
    mls_data data;
    mls_folder_desc desc;
    char text[300];
    tree_make();
    file_write("tree/a/10.png", "bad", 3); /* the first of all */
    file_write("tree/b/a.jpg", "bad", 3);
    file_write("tree/b/two.png", "9 9 9", 5); /* another size */
    desc = folder_desc();
    T_EQ_INT(mls_data_pictures(&data, &desc, text, sizeof text), MLS_ERROR_DATA);
    T_CHECK(strstr(text, "3 of 6 pictures") && strstr(text, "tree/a/10.png: no numbers"));
    T_CHECK(strcmp(heard.paths[MLS_LEFT_OUT_BAD], all_bad) == 0 && data.pixels == NULL);
    T_CHECK(strstr(heard.text[MLS_LEFT_OUT_BAD], "9 x 9 pixels") != NULL);
    desc = folder_desc();
    desc.skip_bad = 1;
    T_EQ_INT(mls_data_pictures(&data, &desc, text, sizeof text), MLS_OK);
    T_CHECK(strcmp(heard.paths[MLS_LEFT_OUT_BAD], all_bad) == 0 && !text[0]);
    T_CHECK(data.count == 3 && data.classes == 3 && data.h == 2 && data.w == 2);
    for (int i = 0; i < 3 && data.count == 3; i++) {
        T_CHECK(data.labels[i] == i && data.pixels[i * 12] == colours[i]);
    }
    mls_data_free(&data);
    file_write("tree/c/x.JPG", "bad", 3); /* all of a class */
    desc.skip_bad = 1;
    T_EQ_INT(mls_data_pictures(&data, &desc, text, sizeof text), MLS_ERROR_DATA);
    T_CHECK(strstr(text, "the class: c") && data.pixels == NULL);
    desc.h = desc.w = 3; /* and all of all */
    T_EQ_INT(mls_data_pictures(&data, &desc, text, sizeof text), MLS_ERROR_DATA);
    T_CHECK(strstr(text, "the class: a") && data.pixels == NULL);
    desc.path = NULL;
    T_EQ_INT(mls_data_pictures(&data, &desc, text, sizeof text), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_data_pictures(&data, NULL, text, sizeof text), MLS_ERROR_ARGUMENT);
    tree_remove();
    T_EQ_INT(live_blocks, 0);
}

/* A name that would not fit is not cut short, as two classes could become one. */
static void folder_names_of_classes(void)
{
    static const char *const bad[] = {"control characters", "control characters", "over 63 bytes"};
    static const char *const shown[] = {"line?feed", "back?space", "xxxxx"};
    char name[3][80] = {"tree/line\nfeed", "tree/back\177space", "tree/"}, file[300], text[600];
    mls_data data;
    mls_folder_desc desc;
    tree_make();
    for (int i = WINDOWS ? 2 : 0; i < 4; i++) { /* no control characters there */
        char *to = name[i == 3 ? 2 : i];
        if (i >= 2) memset(to + 5, 'x', 66 - (size_t)i), to[71 - i] = 0; /* 64, then 63 */
        snprintf(file, sizeof file, "%s/1.png", to);
        T_CHECK(mkdir(path_in(to), 0777) == 0);
        file_write(file, "2 2 7", 5);
        desc = folder_desc();
        t_note("class %d", i);
        if (i < 3) {
            T_EQ_INT(mls_data_pictures(&data, &desc, text, sizeof text), MLS_ERROR_ARGUMENT);
            T_CHECK(strstr(text, bad[i]) && strstr(text, shown[i]) && !strchr(text, '\n'));
        } else {
            T_EQ_INT(mls_data_pictures(&data, &desc, text, sizeof text), MLS_OK);
            T_CHECK(strcmp(data.names[3], to + 5) == 0 && strlen(data.names[3]) == 63);
            mls_data_free(&data);
        }
        remove(path_in(file));
        T_CHECK(rmdir(path_in(to)) == 0);
    }
    if (!WINDOWS) { /* nor does another text break */
        file_write("tree/a/line\nfeed.png", "bad", 3);
        desc = folder_desc();
        T_EQ_INT(mls_data_pictures(&data, &desc, text, sizeof text), MLS_ERROR_DATA);
        T_CHECK(strstr(text, "line?feed.png") && !strchr(text, '\n'));
        remove(path_in("tree/a/line\nfeed.png"));
    }
    tree_remove();
    T_EQ_INT(live_blocks, 0);
}

/* Every allocation fails once: a clear status, nothing lost, nothing kept. */
static void failing_allocations(void)
{
    mls_net_desc desc = desc_fp32(2);
    unsigned char note[4] = {9, 9, 9, 9};
    mls_data data;
    char text[300];
    rig r;
    tree_make();
    cifar_write("test_batch.bin", 0, CIFAR_FILE, -1);
    if (!rig_make(&r, &desc, tiny_net)) return;
    T_EQ_INT(mls_net_save(&r.net, path_in("net"), note, 4), MLS_OK);
    train(&r, 0, 1, 2, 16, 2);
    for (int what = 0; what < 4; what++) {
        for (int n = 1; n < 200; n++) {
            uint64_t digest = mls_net_digest(&r.net);
            mls_status status = MLS_OK;
            memset(&data, 0, sizeof data);
            text[0] = 0;
            allocations = failures = 0, fail_at = n;
            t_note("operation %d, allocation %d", what, n);
            if (what == 0) status = mls_net_save(&r.net, path_in("other"), note, 4);
            if (what == 1) status = mls_net_load(&r.net, path_in("net"), note, 4);
            if (what == 2) status = mls_data_cifar10(&data, folder, 1, text, sizeof text);
            if (what == 3) {
                status = mls_data_folder(&data, path_in("tree"), 0, 0, decode_text, &decodes, text,
                                         sizeof text);
            }
            fail_at = 0;
            if (failures && status != MLS_OK) {
                T_EQ_INT(status, MLS_ERROR_MEMORY);
                T_EQ_INT(live_blocks, 0);
                T_CHECK(what < 2 ? r.net.text[0] != 0 : text[0] != 0);
                T_CHECK(mls_net_digest(&r.net) == digest && data.pixels == NULL);
                T_CHECK(!file_exists("other.tmp") && !file_exists("other"));
                continue;
            }
            T_EQ_INT(status, MLS_OK); /* without a failure, or with one that does not matter */
            if (what == 2) check_cifar(&data, 1);
            if (what == 3) T_EQ_INT(data.count, 6);
            mls_data_free(&data);
            T_EQ_INT(live_blocks, 0);
            remove(path_in("other"));
            if (!failures) {
                T_CHECK(n > 1); /* it did allocate */
                break;
            }
        }
    }
    remove(path_in("test_batch.bin"));
    remove(path_in("net"));
    tree_remove();
    rig_free(&r);
}
#if WINDOWS
#define SAVE_FAILS
#else
#define SAVE_FAILS T_TEST(save_fails),
#endif
#define FILE_TESTS                                                                               \
    T_TEST(save_and_load), T_TEST(save_over_an_open_file), T_TEST(files_saved_and_loaded),       \
        SAVE_FAILS T_TEST(cifar_files), T_TEST(folder_pictures), T_TEST(folder_of_many_classes), \
        T_TEST(folder_that_grows), T_TEST(folder_letters_of_any_case),                           \
        T_TEST(folder_tells_what_it_leaves_out), T_TEST(folder_names_all_bad_pictures),          \
        T_TEST(folder_names_of_classes), T_TEST(failing_allocations),
#else
#define FILE_TESTS
#endif /* FILES */

/* ---- data */

static void order_is_a_permutation(void)
{
    static const int counts[] = {1,    2,    3,    4,    5,    7,     15,    16,   17,   31,
                                 63,   64,   65,   99,   100,  255,   256,   257,  1000, 1023,
                                 1024, 1025, 4095, 4096, 4097, 10000, 16385, 50000};
    static uint8_t seen[50000];
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        int count = counts[i], same = 0, epochs = count > 5000 && T_SLOW ? 1 : 4;
        for (int epoch = 0; epoch < epochs; epoch++) {
            memset(seen, 0, sizeof seen);
            for (int at = 0; at < count; at++) {
                int32_t x = mls_data_order(count, 11, epoch, at);
                t_note("%d of %d, epoch %d", at, count, epoch);
                T_REQUIRE(x >= 0 && x < count && !seen[x]);
                seen[x] = 1;
                same += x == mls_data_order(count, 11, epoch + 1, at);
                same += x == mls_data_order(count, 12, epoch, at);
                same += x == at;
            }
        }
        if (count >= 1000) T_CHECK(same < 100); /* other epochs, other seeds, not the identity */
    }
}

enum {
    PIC = 7 * 6 * 3
};

static mls_data noise_data(void)
{
    static uint8_t pixels[200 * PIC], labels[200];
    uint64_t rng = 5;
    mls_data data;
    memset(&data, 0, sizeof data);
    for (int i = 0; i < 200 * PIC; i++) pixels[i] = (uint8_t)t_random(&rng);
    for (int i = 0; i < 200; i++) labels[i] = (uint8_t)t_below(&rng, 10);
    data.count = 200, data.h = 7, data.w = 6, data.c = 3, data.classes = 10;
    data.pixels = pixels, data.labels = labels;
    return data;
}

static mls_augment augment_of(int crop, int flip, int shuffle)
{
    mls_augment a;
    memset(&a, 0, sizeof a);
    a.crop = crop, a.flip = flip, a.shuffle = shuffle;
    return a;
}

/* A batch is a pure function: pieces, in any order, with any threads, equal the whole. */
static void batch_in_pieces(void)
{
    static float whole[200 * PIC], piece[200 * PIC];
    static int32_t labels[200], some[200];
    mls_data data = noise_data();
    mls_augment a = augment_of(2, 1, 1);
    T_EQ_INT(mls_data_batch(&data, &a, 3, 5, 0, 200, whole, labels), MLS_OK);
    for (int size = 1; size <= 64; size = size * 3 + 1) {
        for (int first = 200 - 200 % size - size; first >= 0; first -= size) {
            threads(1 + first % 4);
            T_EQ_INT(mls_data_batch(&data, &a, 3, 5, first, size, piece, some), MLS_OK);
            T_EQ_MEM(piece, whole + first * PIC, (size_t)size * PIC * sizeof(float));
            T_EQ_MEM(some, labels + first, (size_t)size * sizeof(int32_t));
        }
    }
    threads(1);
    T_EQ_INT(mls_data_batch(&data, &a, 3, 6, 0, 200, piece, some), MLS_OK);
    T_CHECK(memcmp(piece, whole, sizeof whole) != 0); /* another epoch */
    T_EQ_INT(mls_data_batch(&data, &a, 4, 5, 0, 200, piece, some), MLS_OK);
    T_CHECK(memcmp(piece, whole, sizeof whole) != 0); /* another seed */
}

/* Each picture of a batch is exactly one crop and mirror of its original; all of them occur. */
static void batch_recomputed(void)
{
    static float images[200 * PIC];
    static int32_t labels[200];
    mls_data data = noise_data();
    for (int kind = 0; kind < 8; kind++) {
        int crop = kind & 1 ? 2 : 0, flip = kind >> 1 & 1, shuffle = kind >> 2;
        int side = 2 * crop + 1, mirrors = 0, used[25] = {0};
        mls_augment a = augment_of(crop, flip, shuffle);
        a.mean[0] = 100, a.scale[0] = 0.5f, a.mean[1] = 3.25f, a.scale[1] = 0.013f;
        t_note("crop %d flip %d shuffle %d", crop, flip, shuffle); /* channel 2: the default */
        T_EQ_INT(mls_data_batch(&data, &a, 21, 1, 0, 200, images, labels), MLS_OK);
        for (int n = 0; n < 200; n++) {
            int at = shuffle ? mls_data_order(200, 21, 1, n) : n, found = 0;
            T_EQ_INT(labels[n], data.labels[at]);
            for (int way = 0; way < side * side * 2; way++) {
                int dy = way / 2 / side - crop, dx = way / 2 % side - crop, good = 1;
                for (int i = 0; i < PIC && good; i++) {
                    int y = i / 18 + dy, x = i / 3 % 6, ch = i % 3, inside;
                    float v = 0, mean = ch == 2 ? 128 : a.mean[ch];
                    float scale = ch == 2 ? 1.0f / 128 : a.scale[ch];
                    x = (way % 2 ? 5 - x : x) + dx;
                    inside = y >= 0 && y < 7 && x >= 0 && x < 6;
                    if (inside) v = (float)data.pixels[at * PIC + (y * 6 + x) * 3 + ch] - mean;
                    good = v * scale == images[n * PIC + i];
                }
                if (!good) continue;
                found++;
                mirrors += way % 2;
                used[way / 2]++;
            }
            T_EQ_INT(found, 1);
        }
        T_CHECK(flip ? mirrors > 60 && mirrors < 140 : mirrors == 0);
        for (int i = 0; i < side * side; i++) T_CHECK(used[i] > 0);
    }
}

static void batch_refused(void)
{
    static float images[4 * PIC];
    int32_t labels[4];
    mls_data data = noise_data(), bad;
    mls_augment a = augment_of(0, 0, 0);
    T_EQ_INT(mls_data_batch(&data, NULL, 0, 0, 196, 4, images, labels), MLS_OK);
    T_CHECK(images[0] == ((float)data.pixels[196 * PIC] - 128) / 128);
    T_EQ_INT(mls_data_batch(&data, &a, 0, 0, 197, 4, images, labels), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_data_batch(&data, &a, 0, 0, -1, 4, images, labels), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_data_batch(&data, &a, 0, 0, 0, 0, images, labels), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_data_batch(&data, &a, 0, 0, 0, -2, images, labels), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_data_batch(&data, &a, 0, 0, 0, 1, NULL, labels), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_data_batch(&data, &a, 0, 0, 0, 1, images, NULL), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_data_batch(NULL, &a, 0, 0, 0, 1, images, labels), MLS_ERROR_ARGUMENT);
    a.crop = -1;
    T_EQ_INT(mls_data_batch(&data, &a, 0, 0, 0, 1, images, labels), MLS_ERROR_ARGUMENT);
    a.crop = 0;
    for (int i = 0; i < 6; i++) {
        bad = data;
        if (i == 0) bad.pixels = NULL;
        if (i == 1) bad.labels = NULL;
        if (i == 2) bad.count = 0;
        if (i == 3) bad.c = 5;
        if (i == 4) bad.h = 0;
        if (i == 5) bad.w = -1;
        T_EQ_INT(mls_data_batch(&bad, &a, 0, 0, 0, 1, images, labels), MLS_ERROR_ARGUMENT);
        T_EQ_INT(mls_data_normalise(&bad, &a), MLS_ERROR_ARGUMENT);
    }
    T_EQ_INT(mls_data_normalise(&data, NULL), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_data_normalise(NULL, &a), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_data_synthetic(NULL, 1, 0, 0), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_data_synthetic(&data, 0, 0, 0), MLS_ERROR_ARGUMENT);
    bad = data, bad.pixels = NULL;
    T_EQ_INT(mls_data_synthetic(&bad, 1, 0, 0), MLS_ERROR_ARGUMENT);
}

/* A position far beyond the end is refused too. */
static void batch_far_away(void)
{
    static float images[4 * PIC];
    int32_t labels[4];
    mls_data data = noise_data();
    T_EQ_INT(mls_data_batch(&data, NULL, 0, 0, INT64_MAX, 1, images, labels), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_data_batch(&data, NULL, 0, 0, INT64_MAX - 3, 4, images, labels),
             MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_data_batch(&data, NULL, 0, 0, INT64_MIN, 1, images, labels), MLS_ERROR_ARGUMENT);
}

static void check_normalise(const mls_data *data, double tolerance)
{
    mls_augment a = augment_of(1, 1, 1);
    size_t pixels = (size_t)data->count * (size_t)data->h * (size_t)data->w;
    T_EQ_INT(mls_data_normalise(data, &a), MLS_OK);
    T_CHECK(a.crop == 1 && a.flip == 1 && a.shuffle == 1);
    for (int ch = 0; ch < data->c; ch++) {
        double mean = 0, variance = 0;
        for (size_t i = 0; i < pixels; i++) {
            mean += (double)data->pixels[i * (size_t)data->c + (size_t)ch];
        }
        mean /= (double)pixels;
        for (size_t i = 0; i < pixels; i++) {
            double v = (double)data->pixels[i * (size_t)data->c + (size_t)ch] - mean;
            variance += v * v;
        }
        variance /= (double)pixels;
        T_CHECK(fabs((double)a.mean[ch] - mean) < 1e-4);
        T_CHECK(variance > 0 ? fabs((double)a.scale[ch] * sqrt(variance) - 1) < tolerance
                             : a.scale[ch] == 1);
    }
}

static void normalise_recomputed(void)
{
    mls_data data = noise_data();
    uint64_t rng = 1;
    check_normalise(&data, 1e-5);
    for (int i = 0; i < 200 * PIC; i++) data.pixels[i] = (uint8_t)(i % 3 * 100);
    check_normalise(&data, 1e-5); /* flat channels */
    for (int i = 0; i < 200 * PIC; i++) data.pixels[i] = (uint8_t)(200 + (t_below(&rng, 3) == 0));
    check_normalise(&data, 3e-2); /* hardly any contrast: (200 / 0.47)^2 * 1e-7, as documented */
    data.c = 1, data.w *= 3;
    check_normalise(&data, 3e-2);
}

static void golden_data_streams(void)
{
    static uint8_t pixels[60 * 3072], labels[60], again[60 * 3072], same[60];
    static float images[60 * PIC];
    static int32_t numbers[60];
    mls_data data = noise_data(), synthetic, other;
    mls_augment a = augment_of(2, 1, 1);
    T_EQ_INT(mls_data_batch(&data, &a, 77, 3, 50, 60, images, numbers), MLS_OK);
    EQ_HASH(hash_floats(images, 60 * PIC), 0xbccbc1a5c5ff401du);
    memset(&synthetic, 0, sizeof synthetic);
    synthetic.pixels = pixels, synthetic.labels = labels;
    T_EQ_INT(mls_data_synthetic(&synthetic, 60, 42, 0), MLS_OK);
    EQ_HASH(hash_bytes(pixels, sizeof pixels), 0x52bb2472cad5183du);
    T_CHECK(synthetic.count == 60 && synthetic.classes == 10 && synthetic.c == 3);
    T_CHECK(synthetic.h == 32 && synthetic.w == 32 && synthetic.names[9][0]);
    for (int i = 0; i < 60; i++) T_EQ_INT(labels[i], i % 10);
    other = synthetic, other.pixels = again, other.labels = same;
    T_EQ_INT(mls_data_synthetic(&other, 30, 42, 0), MLS_OK); /* a beginning is a beginning */
    T_EQ_MEM(again, pixels, 30 * 3072);
    T_EQ_INT(mls_data_synthetic(&other, 60, 42, 1), MLS_OK);
    T_CHECK(memcmp(again, pixels, sizeof pixels) != 0);
    T_EQ_INT(mls_data_synthetic(&other, 60, 43, 0), MLS_OK);
    T_CHECK(memcmp(again, pixels, sizeof pixels) != 0);
}

/* Correctly rounded, as IEEE 754 wants it. */
static void square_root(void)
{
    static const uint32_t special[] = {0, 1, 2, 3, 0x7fffff, 0x800000, 0x3f800000, 0x7f7fffff};
    uint64_t rng = 1;
    for (int i = 0; i < 100000; i++) {
        uint32_t u = i < 8 ? special[i] : (uint32_t)t_random(&rng) % 0x7f800000u, v, w;
        float x, y, z;
        memcpy(&x, &u, sizeof x);
        y = mls__sqrt(x), z = sqrtf(x);
        memcpy(&v, &y, sizeof v), memcpy(&w, &z, sizeof w);
        t_note("%a", (double)x);
        T_EQ_INT(v, w);
    }
}

T_MAIN(T_TEST(square_root), T_TEST(gradients_of_layers), T_TEST(gradients_of_random_graphs),
       T_TEST(pools_recomputed), T_TEST(loss_of_logits), T_TEST(logits_after_training),
       T_TEST(golden_trainings), T_TEST(golden_trainings_of_every_kernel),
       T_TEST(custom_layers_train), T_TEST(custom_layers_named), T_TEST(custom_layers_refused),
       T_TEST(evaluation_changes_nothing), T_TEST(evaluation_of_pieces), T_TEST(accumulation),
       T_TEST(gradients_add_up), T_TEST(optimizer_formula), T_TEST(schedules),
       T_TEST(running_statistics), T_TEST(smaller_batches), T_TEST(odd_images),
       T_TEST(lowest_groups), T_TEST(equal_images), T_TEST(seeds), T_TEST(first_weights),
       T_TEST(arena_anywhere), T_TEST(arena_refused), T_TEST(bind_again), T_TEST(plans_and_layers),
       T_TEST(formats_of_layers), T_TEST(layers_explained), T_TEST(numbers_of_nodes),
       T_TEST(networks_refused), T_TEST(begin_refused), T_TEST(formats_refused),
       T_TEST(calls_out_of_order), T_TEST(wrong_arguments), T_TEST(nonfinite_images),
       T_TEST(nonfinite_weights), T_TEST(nonfinite_logit), T_TEST(nonfinite_gradient),
       T_TEST(evaluation_alone), T_TEST(depthwise_blocks_train), T_TEST(depthwise_blocks_alone),
       T_TEST(depthwise_blocks_saved), T_TEST(floats_refused),
       FLOAT_TESTS T_TEST(checkpoint_resumes), T_TEST(checkpoint_accumulated),
       T_TEST(checkpoint_note), T_TEST(checkpoint_damaged), T_TEST(checkpoint_foreign),
       T_TEST(checkpoint_while_pending), T_TEST(checkpoint_bytes), T_TEST(checkpoint_format_1),
       FILE_TESTS T_TEST(order_is_a_permutation), T_TEST(batch_in_pieces), T_TEST(batch_recomputed),
       T_TEST(batch_refused), T_TEST(batch_far_away), T_TEST(normalise_recomputed),
       T_TEST(golden_data_streams))
