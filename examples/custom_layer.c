/* custom_layer.c - a layer that the library lacks: PReLU, y = x where x > 0 and y = slope * x elsewhere,
   with a trained slope for each channel. Its gradient is checked by finite differences, then a small
   network with it trains in low-bit integers.

       cc -O2 -fopenmp -I. examples/custom_layer.c -o custom_layer -lm && ./custom_layer

   A layer is the functions below and a row that names them. Each step says what it reads and writes,
   is given pointers to just that, and works on one image, or, if it is serial, on the whole batch. */
#define MLS_IMPLEMENTATION
#include "mls_train.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- the layer */

static const char *prelu_shape(const mls_work *w, mls_layer_sizes *sizes)
{
    const float *slope = (const float *)w->parameters;
    if (!(*slope >= 0 && *slope <= 1)) return "it needs a first slope from 0 to 1";
    sizes->weights = (size_t)sizes->shape.c; /* the slopes */
    sizes->sums = (size_t)sizes->shape.c;    /* of each image: their gradients */
    return NULL;                             /* the shape of the output is that of the input */
}

static void prelu_init(const mls_work *w, uint64_t seed)
{
    (void)seed;
    for (int32_t ch = 0; ch < w->out.c; ch++) w->weights[0][ch] = *(const float *)w->parameters;
}

static void prelu_forward(const mls_work *w)
{
    const int32_t pixels = w->out.h * w->out.w, c = w->out.c;
    for (int32_t i = 0; i < pixels * c; i++) {
        const float x = w->x[0][i];
        w->y[i] = x > 0 ? x : x * w->weights[0][i % c];
    }
}

/* Sums are of one image and in double, where the product of two floats is exact: so the result depends
   neither on threads nor on how a compiler contracts. */
static void prelu_slopes(const mls_work *w)
{
    const int32_t pixels = w->out.h * w->out.w, c = w->out.c;
    for (int32_t ch = 0; ch < c; ch++) w->sums[ch] = 0;
    for (int32_t i = 0; i < pixels * c; i++) {
        const float x = w->x[0][i];
        if (!(x > 0)) w->sums[i % c] += (double)x * (double)w->dy[i];
    }
}

static void prelu_slopes_sum(const mls_work *w)
{
    const int32_t c = w->out.c;
    for (int32_t ch = 0; ch < c; ch++) {
        double sum = 0;
        for (int32_t n = 0; n < w->out.n; n++) sum += w->sums[n * c + ch];
        w->gradients[0][ch] += (float)sum;
    }
}

static void prelu_dx(const mls_work *w)
{
    const int32_t pixels = w->out.h * w->out.w, c = w->out.c;
    for (int32_t i = 0; i < pixels * c; i++) {
        w->dx[0][i] = w->x[0][i] > 0 ? w->dy[i] : w->dy[i] * w->weights[0][i % c];
    }
}

/* when, how often, reads, writes, function */
static const mls_step prelu_forward_steps[] = {
    {0, MLS_EACH, MLS_X, MLS_Y, prelu_forward},
    MLS_STEPS_END,
};
static const mls_step prelu_backward_steps[] = {
    {MLS_IF_TRAINED, MLS_EACH, MLS_X | MLS_DY, MLS_SUMS, prelu_slopes},
    {MLS_IF_TRAINED, MLS_AFTER, MLS_SUMS, 0, prelu_slopes_sum},
    {MLS_IF_WANTED, MLS_EACH, MLS_X | MLS_DY, MLS_DX, prelu_dx},
    MLS_STEPS_END,
};
static const mls_layer_kind prelu = {
    "prelu", 0, prelu_shape, prelu_init, prelu_forward_steps, prelu_backward_steps, NULL, NULL};

/* ---- a network with it */

enum {
    BATCH = 16,
    STEPS = 100,
    PIXELS = 32 * 32 * 3
};

static void stop(const char *text)
{
    fprintf(stderr, "custom_layer: %s\n", text);
    exit(1);
}

/* Builds it; returns its arena. *layer becomes the number of the layer to be checked. */
static void *open_net(mls_net *net, mls_node *nodes, const mls_formats *formats, int32_t *layer)
{
    static const float first_slope = 0.25f;
    mls_net_desc desc = {0};
    mls_conv_desc conv = {0};
    mls_plan plan;
    void *arena;
    int32_t x;
    desc.batch = BATCH, desc.seed = 1;
    desc.formats = *formats;
    conv.c_out = 8, conv.kh = 3, conv.stride = 2, conv.pad = 1;
    mls_net_begin(net, &desc, nodes, 16);
    x = mls_net_batch_norm(net, mls_net_conv(net, mls_net_input(net, 32, 32, 3), &conv));
    x = *layer = mls_net_custom(net, &prelu, x, -1, &first_slope);
    conv.c_out = 16;
    x = mls_net_batch_norm(net, mls_net_conv(net, x, &conv));
    x = mls_net_custom(net, &prelu, x, -1, &first_slope);
    mls_net_loss(net, mls_net_linear(net, mls_net_global_pool(net, x), 10));
    if (mls_net_plan(net, &plan) != MLS_OK) stop(net->text);
    arena = malloc(plan.arena);
    if (!arena) stop("no memory");
    if (mls_net_bind(net, arena, plan.arena) != MLS_OK) stop(net->text);
    return arena;
}

/* The largest difference between the gradient of the slopes and (loss(w + h) - loss(w - h)) / 2h,
   relative to the largest gradient. */
static double check(const float *images, const int32_t *labels)
{
    static const mls_formats fp32; /* all zero */
    const float h = 0.005f;
    static mls_net net;
    static mls_node nodes[16];
    float gradient[8];
    double worst = 0, most = 0;
    size_t count;
    int32_t layer;
    void *arena = open_net(&net, nodes, &fp32, &layer);
    float *slope = mls_net_weights(&net, layer, 0, &count);
    if (mls_net_gradient(&net, images, labels, BATCH, NULL) != MLS_OK) stop(net.text);
    memcpy(gradient, mls_net_gradients(&net, layer, 0, NULL), sizeof gradient);
    for (size_t i = 0; i < count; i++) {
        const float keep = slope[i];
        mls_result up, down;
        double is = (double)gradient[i] / BATCH, should; /* gradients are sums over the images */
        slope[i] = keep + h, mls_net_gradient(&net, images, labels, BATCH, &up);
        slope[i] = keep - h, mls_net_gradient(&net, images, labels, BATCH, &down);
        slope[i] = keep;
        should = (up.loss - down.loss) / (2 * (double)h);
        printf("slope %d: gradient %9.6f, finite difference %9.6f\n", (int)i, is, should);
        if (fabs(is) > most) most = fabs(is);
        if (fabs(is - should) > worst) worst = fabs(is - should);
    }
    free(arena);
    return worst / most;
}

static uint8_t pixels[STEPS * BATCH * PIXELS], classes[STEPS * BATCH];
static float images[BATCH * PIXELS];
static int32_t labels[BATCH];

int main(void)
{
    static mls_net net;
    static mls_node nodes[16];
    mls_data data = {0};
    mls_augment augment = {0};
    mls_formats formats;
    mls_sgd sgd = {0.1f, 0.9f, 5e-4f, 0};
    mls_result result;
    double error, first = 0, last = 0;
    int32_t layer;
    void *arena;
    data.pixels = pixels, data.labels = classes;
    if (mls_data_synthetic(&data, STEPS * BATCH, 1, 0) != MLS_OK) stop("no data");
    mls_data_batch(&data, &augment, 1, 0, 0, BATCH, images, labels);
    error = check(images, labels);
    mls_formats_parse(&formats, "2,1", NULL, 0);
    arena = open_net(&net, nodes, &formats, &layer);
    for (int step = 0; step < STEPS; step++) {
        mls_data_batch(&data, &augment, 1, 0, step * BATCH, BATCH, images, labels);
        if (mls_net_step(&net, images, labels, BATCH, &sgd, &result) != MLS_OK) stop(net.text);
        if (step < 10) first += result.loss / 10;
        if (step >= STEPS - 10) last += result.loss / 10;
    }
    printf("mean loss of the first ten steps %.3f, of the last ten %.3f\n", first, last);
    printf("result gradient_error=%.4f loss=%.3f digest=%016llx\n", error, last,
           (unsigned long long)mls_net_digest(&net));
    free(arena);
    return error < 0.02 && last < first ? 0 : 1;
}
