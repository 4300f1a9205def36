/* The L1 norm is what its prototype says, forward and in evaluation; its gradient is that of the loss;
   and there is one answer for all kernels and thread counts, and through a checkpoint. */

enum {
    IMAGES = 6,
    SIDE = 5,
    CHANNELS = 19, /* no multiple of any vector */
    ALL = IMAGES * SIDE * SIDE * CHANNELS,
    CLASSES = 3,
    ROOM = 1 << 20
};
static const double root = 1.2533141373155002512; /* sqrt(pi / 2) */

static float images[ALL];
static int32_t labels[IMAGES];
static uint8_t arena[ROOM];
static mls_net net;
static mls_node nodes[8];
static int32_t norm; /* its number */

/* input, [convolution,] norm, [relu,] pool, linear, loss; scales and shifts are not 1 and 0. */
static void open_net(int deep)
{
    mls_net_desc desc;
    mls_conv_desc conv;
    int32_t x;
    mls_plan plan;
    size_t count;
    memset(&desc, 0, sizeof desc);
    memset(&conv, 0, sizeof conv);
    conv.c_out = CHANNELS, conv.kh = 3, conv.pad = 1;
    desc.batch = IMAGES, desc.seed = 5;
    mls_net_begin(&net, &desc, nodes, 8);
    x = mls_net_input(&net, SIDE, SIDE, CHANNELS);
    if (deep) x = mls_net_conv(&net, x, &conv);
    x = norm = mls_net_l1_norm(&net, x);
    if (deep) x = mls_net_relu(&net, x);
    mls_net_loss(&net, mls_net_linear(&net, mls_net_global_pool(&net, x), CLASSES));
    T_EQ_INT(mls_net_plan(&net, &plan), MLS_OK);
    T_CHECK(plan.arena <= ROOM);
    T_EQ_INT(mls_net_bind(&net, arena, ROOM), MLS_OK);
    for (int second = 0; second < 2; second++) {
        float *w = mls_net_weights(&net, norm, second, &count);
        T_EQ_INT(count, CHANNELS);
        for (size_t i = 0; i < count; i++) w[i] = (float)(second ? 0.1 : 0.7) * (1 + (float)i / 7);
    }
    for (int i = 0; i < ALL; i++) {
        images[i] = (float)(mls_random16(9, (uint64_t)i) % 4001) / 1000 - 1.5f;
        images[i] *= 1 + (float)(i % CHANNELS); /* channels of other means and sizes */
    }
    for (int i = 0; i < IMAGES; i++) labels[i] = i % CLASSES;
}

static double element(int n, int pixel, int ch)
{
    return (double)images[(n * SIDE * SIDE + pixel) * CHANNELS + ch];
}

/* Means over the pixels of y = scale (x - mean) / (s + epsilon) + shift: the input of the linear layer. */
static void pooled(int n, const double *mean, const double *s, double *to)
{
    const float *scale = mls_net_weights(&net, norm, 0, NULL);
    const float *shift = mls_net_weights(&net, norm, 1, NULL);
    for (int ch = 0; ch < CHANNELS; ch++) {
        double sum = 0;
        for (int p = 0; p < SIDE * SIDE; p++) sum += element(n, p, ch) - mean[ch];
        to[ch] = (double)scale[ch] * sum / (SIDE * SIDE) / (s[ch] + 1e-5) + (double)shift[ch];
    }
}

/* The logits of an image, from the definition. */
static void logits_of(int n, const double *mean, const double *s, double *to)
{
    const float *w = mls_net_weights(&net, norm + 2, 0, NULL);
    const float *bias = mls_net_weights(&net, norm + 2, 1, NULL);
    double x[CHANNELS];
    pooled(n, mean, s, x);
    for (int k = 0; k < CLASSES; k++) {
        to[k] = (double)bias[k];
        for (int ch = 0; ch < CHANNELS; ch++) to[k] += (double)w[k * CHANNELS + ch] * x[ch];
    }
}

static void as_defined(const double *mean, const double *s)
{
    const float *found = mls_net_logits(&net);
    T_REQUIRE(found != NULL);
    for (int n = 0; n < IMAGES; n++) {
        double want[CLASSES];
        logits_of(n, mean, s, want);
        for (int k = 0; k < CLASSES; k++) {
            T_CHECK(fabs((double)found[n * CLASSES + k] - want[k]) < 1e-5 * (1 + fabs(want[k])));
        }
    }
}

static void forward_and_evaluation(void)
{
    double mean[CHANNELS], s[CHANNELS];
    mls_sgd sgd = {1e-30f, 0, 0, 0};
    open_net(0);
    for (int ch = 0; ch < CHANNELS; ch++) {
        const double m = IMAGES * SIDE * SIDE;
        mean[ch] = s[ch] = 0;
        for (int i = 0; i < IMAGES * SIDE * SIDE; i++) mean[ch] += element(0, i, ch) / m;
        for (int i = 0; i < IMAGES * SIDE * SIDE; i++) {
            s[ch] += root * fabs(element(0, i, ch) - mean[ch]) / m;
        }
    }
    T_EQ_INT(mls_net_step(&net, images, labels, IMAGES, &sgd, NULL), MLS_OK);
    as_defined(mean, s);
    /* the running ones start at 0 and 1 and take a tenth of the new */
    for (int ch = 0; ch < CHANNELS; ch++) mean[ch] *= 0.1, s[ch] = 0.9 + 0.1 * s[ch];
    T_EQ_INT(mls_net_evaluate(&net, images, NULL, IMAGES, NULL), MLS_OK);
    as_defined(mean, s);
}

/* Against (loss(w + h) - loss(w - h)) / 2h, for weights of the convolution below (so dx), for scale and
   shift. Where an element passes a kink within h, the difference is a little off. */
static void gradient_of(int32_t layer, int second)
{
    const float h = 2e-3f;
    double worst = 0, most = 0;
    size_t count;
    float *w, *g;
    open_net(1);
    w = mls_net_weights(&net, layer, second, &count);
    for (size_t i = 0; i < count; i += count / CHANNELS) {
        const float before = w[i];
        mls_result up, down;
        double is, want;
        w[i] = before + h, mls_net_gradient(&net, images, labels, IMAGES, &up);
        w[i] = before - h, mls_net_gradient(&net, images, labels, IMAGES, &down);
        open_net(1); /* gradients add up: begin again */
        T_EQ_INT(mls_net_gradient(&net, images, labels, IMAGES, NULL), MLS_OK);
        g = mls_net_gradients(&net, layer, second, NULL);
        is = (double)g[i] / IMAGES, want = (up.loss - down.loss) / (2 * (double)h);
        if (fabs(is - want) > worst) worst = fabs(is - want);
        if (fabs(want) > most) most = fabs(want);
    }
    t_note("node %d, second %d: worst %g of %g", (int)layer, second, worst, most);
    T_CHECK(most > 1e-3 && worst < 0.02 * most);
}

static void gradient_of_the_norm(void)
{
    gradient_of(1, 0);
    gradient_of(2, 0);
    gradient_of(2, 1);
}

static uint64_t digest_of_steps(void)
{
    mls_sgd sgd = {0.01f, 0.9f, 0, 0};
    open_net(1);
    for (int step = 0; step < 3; step++) {
        T_EQ_INT(mls_net_step(&net, images, labels, IMAGES, &sgd, NULL), MLS_OK);
    }
    return mls_net_digest(&net);
}

static void norm_has_one_answer(void)
{
    static uint8_t file[1 << 16];
    const size_t size = (digest_of_steps(), mls_net_checkpoint_size(&net, 0));
    const uint64_t want = mls_net_digest(&net);
    T_REQUIRE(size <= sizeof file);
    T_EQ_INT(mls_net_checkpoint_write(&net, NULL, 0, file, size), MLS_OK);
    open_net(1);
    T_EQ_INT(mls_net_checkpoint_read(&net, file, size, NULL, 0), MLS_OK);
    T_CHECK(mls_net_digest(&net) == want);
    for (int i = 0; i < mls_kernel_count(); i++) {
        T_EQ_INT(mls_kernel_use(mls_kernel_name(i)), MLS_OK);
        t_note("kernel %s", mls_kernel_name(i));
        for (int threads = 1; threads <= 3; threads += 2) {
#if defined(_OPENMP) && !defined(MLS_NO_THREADS)
            omp_set_num_threads(threads);
#endif
            T_CHECK(digest_of_steps() == want);
        }
    }
    mls_kernel_use("auto");
}

/* A channel of one value has s = 0: y is the shift, and nothing is infinite. */
static void constant_channel(void)
{
    mls_sgd sgd = {0.01f, 0, 0, 0};
    open_net(0);
    for (int i = 0; i < ALL; i += CHANNELS) images[i] = 3;
    T_EQ_INT(mls_net_step(&net, images, labels, IMAGES, &sgd, NULL), MLS_OK);
    T_EQ_INT(mls_net_evaluate(&net, images, NULL, IMAGES, NULL), MLS_OK);
    for (int i = 0; i < IMAGES * CLASSES; i++) T_CHECK(isfinite(mls_net_logits(&net)[i]));
}

#define NORM_TESTS                                                                             \
    T_TEST(forward_and_evaluation), T_TEST(gradient_of_the_norm), T_TEST(norm_has_one_answer), \
        T_TEST(constant_channel)
