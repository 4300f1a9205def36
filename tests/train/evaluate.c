/* Evaluation changes nothing, and an image has the scores that it has alone, whatever stands beside it. */

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

#define EVALUATE_TESTS \
    T_TEST(evaluation_changes_nothing), T_TEST(evaluation_of_pieces), T_TEST(evaluation_alone)
