/* Every kernel has the bits of the scalar reference on whatever comes. MLS_FUZZ=N: how many shapes,
   MLS_FUZZ_SEED: of them. MLS_REQUIRE_KERNELS lists the kernels that must have been at work. */

static mls_format any_format(uint64_t *rng)
{
    mls_format f = {0, 0, 0, 0, 0, 0, 0};
    do {
        f.ex = (uint8_t)t_below(rng, t_below(rng, 4) ? 4 : 6);
        f.mx = (uint8_t)t_below(rng, t_below(rng, 4) ? 5 : 11);
        f.eg = (uint8_t)t_below(rng, t_below(rng, 2) ? 4 : 9), f.mg = (uint8_t)t_below(rng, 2);
        f.grouping = (uint8_t)t_below(rng, 4);
    } while (mls_format_check(f) != MLS_OK);
    return f;
}

static void fuzz_kernels(void)
{
    const char *count = getenv("MLS_FUZZ"), *first = getenv("MLS_FUZZ_SEED");
    long shapes = count ? atol(count) : cases(300), done = 0;
    uint64_t seed = first ? (uint64_t)atoll(first) : 1;
    for (long i = 0; i < shapes; i++) {
        uint64_t rng = seed * 1000003 + (uint64_t)i;
        int kh = 1 + t_below(&rng, 3), kw = 1 + t_below(&rng, 3);
        mls_direction d = (mls_direction)t_below(&rng, 3);
        mls_format f = any_format(&rng), g = any_format(&rng), none;
        mls_shape s[3];
        mls_conv c;
        mls_tensor t[2];
        float *truth, *out, *x[2], *truth32;
        size_t bytes, size, size32;
        void *work, *work32;
        mls_status status;
        memset(&none, 0, sizeof none);
        if (t_below(&rng, 6) == 0) kh = 1 + t_below(&rng, 7), kw = 1 + t_below(&rng, 7);
        do {
            c = conv_of(shape_of(1 + t_below(&rng, 4), 1 + t_below(&rng, 10), 1 + t_below(&rng, 20),
                                 1 + t_below(&rng, 40)),
                        1 + t_below(&rng, 40), kh, kw, 1 + t_below(&rng, 3), t_below(&rng, 4));
        } while (c.in.h + 2 * c.pad < kh || c.in.w + 2 * c.pad < kw || work_of(&c) > 3e5);
        threads(1 + t_below(&rng, 3));
        shapes_of(&c, d, &s[0], &s[1], &s[2]);
        bytes = count_of(s[2]) * sizeof(float);
        t[0] = tensor_filled(f, s[0], t_below(&rng, FILL_KINDS), &rng);
        t[1] = tensor_filled(g, s[1], t_below(&rng, FILL_KINDS), &rng);
        for (int j = 0; j < 2; j++) {
            x[j] = (float *)t_alloc(count_of(s[j]) * sizeof(float));
            for (size_t k = 0; k < count_of(s[j]); k++) x[j][k] = t_uniform(&rng);
        }
        truth = (float *)t_alloc(bytes), out = (float *)t_alloc(bytes);
        truth32 = (float *)t_alloc(bytes);
        use(0);
        size = mls_conv_workspace(&c, f, g), size32 = mls_conv_workspace(&c, none, none);
        work = t_alloc(size), work32 = t_alloc(size32);
        status = convolve(&c, d, &t[0], &t[1], truth, work, size);
        T_EQ_INT(convolve_fp32(&c, d, x[0], x[1], truth32, work32, size32), MLS_OK);
        for (int kernel = 1; kernel < mls_kernel_count(); kernel++) {
            use(kernel);
            note_case(&c, d, f, g, kernel, (int)i);
            T_EQ_INT(convolve(&c, d, &t[0], &t[1], out, work, size), status);
            if (status == MLS_OK) T_EQ_MEM(out, truth, bytes);
            T_EQ_INT(convolve_fp32(&c, d, x[0], x[1], out, work32, size32), MLS_OK);
            T_EQ_MEM(out, truth32, bytes);
        }
        done += status == MLS_OK;
        for (int j = 0; j < 2; j++) tensor_free(&t[j]), t_free(x[j]);
        t_free(work), t_free(work32), t_free(truth), t_free(truth32), t_free(out);
    }
    threads(1);
    printf("\n%ld shapes from seed %llu, %ld with sums that fit\n", shapes,
           (unsigned long long)seed, done);
    T_CHECK(shapes < 20 || done > shapes / 2);
}

/* The last test: which kernels were at work. MLS_REQUIRE_KERNELS lists those that must have been. */
static void kernels_that_ran(void)
{
    const char *required = getenv("MLS_REQUIRE_KERNELS");
    printf("\nkernels:");
    for (int i = 0; i < MLS__UNIT_COUNT; i++) {
        printf(" %s=%s", mls__unit_names[i], kernel_ran[i] ? "ran" : "not run");
    }
    printf("\n");
    while (required && *required) {
        size_t length = strcspn(required, ",");
        int found = length == 0;
        for (int i = 0; i < MLS__UNIT_COUNT; i++) {
            const char *name = mls__unit_names[i];
            if (strlen(name) == length && strncmp(name, required, length) == 0) {
                found |= kernel_ran[i];
            }
        }
        t_note("%.*s", (int)length, required);
        T_CHECK(found);
        required += length + (required[length] == ',');
    }
}

#define FUZZ_TESTS T_TEST(fuzz_kernels), T_TEST(kernels_that_ran)
