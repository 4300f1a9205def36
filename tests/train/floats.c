/* A host that changes how floats behave, by rounding modes or by flushing denormals, is refused. */

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

#define FLOATS_TESTS T_TEST(floats_refused), T_TEST(floats_of_a_thread)
#else
#define FLOATS_TESTS T_TEST(floats_refused)
#endif
