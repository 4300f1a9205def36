/* Kernels are chosen by name, and a convolution says which method it takes and why. */

static void kernel_names(void)
{
    int count = mls_kernel_count();
    T_CHECK(strcmp(mls_kernel_used(), mls_kernel_name(count - 1)) == 0); /* nobody chose it */
    T_CHECK(count >= 1 && count <= MLS__UNIT_COUNT);
    T_CHECK(strcmp(mls_kernel_name(0), "scalar") == 0);
    T_CHECK(mls_kernel_name(count) == NULL && mls_kernel_name(-1) == NULL);
    T_EQ_INT(mls_kernel_use("auto"), MLS_OK);
    T_CHECK(strcmp(mls_kernel_used(), mls_kernel_name(count - 1)) == 0);
    for (int i = 0; i < count; i++) {
        use(i);
        T_EQ_INT(mls_kernel_use("no such kernel"), MLS_ERROR_KERNEL);
        T_EQ_INT(mls_kernel_use(""), MLS_ERROR_KERNEL);
        T_EQ_INT(mls_kernel_use(NULL), MLS_ERROR_ARGUMENT);
        T_CHECK(strcmp(mls_kernel_used(), mls_kernel_name(i)) == 0);
        for (int j = 0; j < i; j++) T_CHECK(strcmp(mls_kernel_name(i), mls_kernel_name(j)) != 0);
    }
    for (int i = 0; i < MLS__UNIT_COUNT; i++) { /* in the build, not on this CPU */
        if (mls__unit_here(i)) continue;
        T_EQ_INT(mls_kernel_use(mls__unit_names[i]), MLS_ERROR_KERNEL);
    }
    T_EQ_INT(mls_kernel_use("auto"), MLS_OK);
    memset(kernel_ran, 0, sizeof kernel_ran); /* to be chosen is not to run */
}

/* A call says how it goes with the exponents that its tensors use, not with those of the formats. */
static void call_explained(void)
{
    mls_conv c = conv_of(shape_of(2, 4, 4, 3), 5, 3, 3, 1, 1);
    mls_format f = {2, 1, 8, 1, MLS_GROUP_NC, 0, 0};
    uint64_t rng = 61;
    char text[200];
    mls_source source[2];
    mls_sink sink;
    mls_conv_call *call;
    mls_shape s[3];
    mls_tensor t[2];
    static float out[512];
    size_t size = mls_conv_call_size(&c, MLS_FORWARD, f, f, 1);
    void *work = t_alloc(size);
    shapes_of(&c, MLS_FORWARD, &s[0], &s[1], &s[2]);
    memset(source, 0, sizeof source);
    for (int i = 0; i < 2; i++)
        t[i] = tensor_filled(f, s[i], FILL_SIGN, &rng), source[i].tensor = &t[i];
    sink.out = out;
    for (int kernel = 0; kernel < mls_kernel_count(); kernel++) {
        use(kernel);
        for (int k = 0; k < 20; k += 3) {
            const char *how = !kernel ? "scalar" : k < 3 ? "int8" : k < 9 ? "int16:" : "planes";
            for (int i = 0; i < 2; i++) t[i].group[1] = (uint16_t)((i || k < 9 ? k : 8) << 1);
            T_EQ_INT(mls_conv_begin(&call, &c, MLS_FORWARD, &source[0], &source[1], &sink, 1, work,
                                    size),
                     MLS_OK);
            mls_conv_call_explain(call, text, sizeof text);
            t_note("%d: %s", k, text);
            T_CHECK(strstr(text, how) != NULL || (k >= 9 && strstr(text, "amx int16") != NULL));
            mls_conv_call_explain(call, NULL, 0);
        }
    }
    tensor_free(&t[0]), tensor_free(&t[1]), t_free(work);
}

static void explained(void)
{
    mls_conv c = conv_of(shape_of(2, 8, 8, 16), 16, 3, 3, 1, 1), bad = c;
    mls_format none = {0, 0, 0, 0, 0, 0, 0}, narrow = {2, 1, 2, 0, MLS_GROUP_NC, 0, 0};
    mls_format middle = {2, 1, 3, 1, MLS_GROUP_NC, 0, 0}, broad = {2, 1, 8, 1, MLS_GROUP_NC, 0, 0};
    mls_format farther = {2, 1, 4, 1, MLS_GROUP_NC, 0, 0};
    mls_format wrong = {9, 1, 2, 0, 0, 0, 0};
    char text[200];
    for (int kernel = 0; kernel < mls_kernel_count(); kernel++) {
        const char *name = use(kernel);
        T_EQ_INT(mls_conv_explain(&c, MLS_FORWARD, none, none, text, sizeof text), MLS_OK);
        T_CHECK(strstr(text, "fp32") != NULL && strstr(text, name) != NULL);
        T_EQ_INT(mls_conv_explain(&c, MLS_FORWARD, narrow, narrow, text, sizeof text), MLS_OK);
        T_CHECK(strstr(text, kernel ? "int8: W up to 12 * 2^3, A up to" : "reference") != NULL);
        T_EQ_INT(mls_conv_explain(&c, MLS_BACKWARD_DATA, middle, narrow, text, sizeof text),
                 MLS_OK);
        T_CHECK(strstr(text, kernel ? "W up to 24 * 2^7, E up to 12 * 2^3: 16 bits hold both"
                                    : "scalar") != NULL);
        T_EQ_INT(mls_conv_explain(&c, MLS_FORWARD, broad, broad, text, sizeof text), MLS_OK);
        T_CHECK(strstr(text, kernel ? "pair by group pair" : "scalar") != NULL);
        T_CHECK(strstr(text, kernel ? "these exponents round" : "scalar") != NULL);
        T_EQ_INT(mls_conv_explain(&c, MLS_BACKWARD_DATA, middle, farther, text, sizeof text),
                 MLS_OK);
        T_CHECK(strstr(text, kernel ? "int16 in planes: W up to 24 * 2^7" : "scalar") != NULL);
        T_CHECK(strstr(text, kernel ? "two planes do" : "scalar") != NULL);
    }
    T_EQ_INT(mls_conv_explain(&c, MLS_FORWARD, narrow, narrow, text, 5), MLS_OK);
    T_CHECK(strlen(text) == 4);
    T_EQ_INT(mls_conv_explain(&c, MLS_FORWARD, narrow, narrow, NULL, 0), MLS_OK);
    T_EQ_INT(mls_conv_explain(NULL, MLS_FORWARD, narrow, narrow, text, 5), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_conv_explain(&c, MLS_FORWARD, wrong, narrow, text, 5), MLS_ERROR_FORMAT);
    bad.kh = 99;
    T_EQ_INT(mls_conv_explain(&bad, MLS_FORWARD, narrow, narrow, text, 5), MLS_ERROR_SHAPE);
    T_EQ_INT(mls_kernel_use("auto"), MLS_OK);
}

#define EXPLAINED_TESTS T_TEST(kernel_names), T_TEST(explained), T_TEST(call_explained)
