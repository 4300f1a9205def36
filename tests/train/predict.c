/* Predictions: classes and probabilities are what the logits say, the same alone and in a batch. */

enum {
    PREDICTED = 6
};

static void predict_is_softmax(void)
{
    const mls_net_desc descs[2] = {desc_fp32(PREDICTED), desc_low(PREDICTED)};
    for (int d = 0; d < 2; d++) {
        int32_t classes[PREDICTED], alone;
        float p[PREDICTED * 10], one[10];
        uint64_t digest;
        rig r;
        if (!rig_make(&r, &descs[d], small_net)) return;
        train(&r, 0, 4, PREDICTED, SMALL_IMAGE, 10);
        digest = mls_net_digest(&r.net);
        T_EQ_INT(mls_net_predict(&r.net, some_images, PREDICTED, classes, p), MLS_OK);
        T_CHECK(mls_net_digest(&r.net) == digest);
        for (int n = 0; n < PREDICTED; n++) {
            const float *z = mls_net_logits(&r.net) + 10 * n;
            double sum = 0;
            for (int i = 0; i < 10; i++) sum += exp((double)(z[i] - z[classes[n]]));
            for (int i = 0; i < 10; i++) {
                const double want = exp((double)(z[i] - z[classes[n]])) / sum;
                T_CHECK(z[i] <= z[classes[n]]);
                T_CHECK(fabs((double)p[10 * n + i] - want) < 1e-6 * want);
            }
        }
        for (int n = 0; n < PREDICTED; n++) {
            const float *image = some_images + n * SMALL_IMAGE;
            T_EQ_INT(mls_net_predict(&r.net, image, 1, &alone, NULL), MLS_OK);
            T_EQ_INT(alone, classes[n]);
            T_EQ_INT(mls_net_predict(&r.net, image, 1, NULL, one), MLS_OK);
            T_EQ_MEM(one, p + 10 * n, sizeof one);
        }
        EQ_HASH(hash_floats(p, PREDICTED * 10), d ? 0x47f7736e94ee4866u : 0xaaff8eb23d58b8d3u);
        rig_free(&r);
    }
}

/* Of equal logits the first; of far smaller ones the probability is 0. */
static void predict_extremes(void)
{
    const mls_net_desc desc = desc_fp32(1);
    int32_t class_of;
    float p[10], *weights, *bias;
    size_t count;
    rig r;
    if (!rig_make(&r, &desc, small_net)) return;
    weights = mls_net_weights(&r.net, 12, 0, &count);
    memset(weights, 0, count * sizeof *weights);
    bias = mls_net_weights(&r.net, 12, 1, &count);
    T_EQ_INT(count, 10);
    make_images(1, SMALL_IMAGE, 10, 1);
    T_EQ_INT(mls_net_predict(&r.net, some_images, 1, &class_of, p), MLS_OK);
    T_EQ_INT(class_of, 0);
    for (int i = 0; i < 10; i++) T_CHECK(p[i] == 0.1f);
    bias[3] = bias[7] = 1e30f;
    T_EQ_INT(mls_net_predict(&r.net, some_images, 1, &class_of, p), MLS_OK);
    T_EQ_INT(class_of, 3);
    for (int i = 0; i < 10; i++) T_CHECK(p[i] == (i == 3 || i == 7 ? 0.5f : 0.0f));
    bias[5] = INFINITY;
    memset(p, 0, sizeof p);
    T_EQ_INT(mls_net_predict(&r.net, some_images, 1, &class_of, p), MLS_ERROR_NONFINITE);
    T_CHECK(p[3] == 0 && class_of == 3);
    rig_free(&r);
}

/* A loss of one's own may say that it has fewer numbers than its input. */
static const char *single_shape(const mls_work *w, mls_layer_sizes *sizes)
{
    (void)w;
    sizes->shape.c = 1, sizes->sums = 2;
    return NULL;
}

static void predict_looks_at_all_scores(void)
{
    const mls_net_desc desc = desc_fp32(2);
    mls_layer_kind single = squares;
    int32_t classes[2];
    float p[6];
    rig r;
    single.shape = single_shape;
    mls_net_begin(&r.net, &desc, r.nodes, 64);
    build(&r.net, "i4 4 1|l0 3");
    mls_net_custom(&r.net, &single, 1, -1, NULL);
    T_REQUIRE(rig_bind(&r));
    make_images(2, 16, 1, 1);
    T_EQ_INT(mls_net_predict(&r.net, some_images, 2, classes, p), MLS_OK);
    for (int n = 0; n < 2; n++) T_CHECK(fabsf(p[3 * n] + p[3 * n + 1] + p[3 * n + 2] - 1) < 1e-5f);
    mls_net_weights(&r.net, 1, 1, NULL)[2] = NAN;
    T_EQ_INT(mls_net_predict(&r.net, some_images, 2, classes, p), MLS_ERROR_NONFINITE);
    rig_free(&r);
}

static void predict_refused(void)
{
    const mls_net_desc desc = desc_fp32(2);
    int32_t classes[3] = {-1, -1, -1};
    rig r;
    if (!rig_make(&r, &desc, tiny_net)) return;
    make_images(3, 16, 2, 1);
    T_EQ_INT(mls_net_predict(&r.net, some_images, 3, classes, NULL), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_predict(&r.net, some_images, 0, classes, NULL), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_predict(&r.net, NULL, 1, classes, NULL), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_predict(NULL, some_images, 1, classes, NULL), MLS_ERROR_ARGUMENT);
    some_images[0] = NAN;
    T_EQ_INT(mls_net_predict(&r.net, some_images, 2, classes, NULL), MLS_ERROR_NONFINITE);
    T_CHECK(classes[0] == -1 && strstr(r.net.text, "image 0") != NULL);
    T_EQ_INT(mls_net_predict(&r.net, some_images + 16, 2, NULL, NULL), MLS_OK);
    rig_free(&r);
}

#define PREDICT_TESTS                                                                          \
    T_TEST(predict_is_softmax), T_TEST(predict_extremes), T_TEST(predict_looks_at_all_scores), \
        T_TEST(predict_refused)
