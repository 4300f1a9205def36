/* The stages of a convolution, begin, images in any order from several threads, end, give the bits of
   one call. */

typedef struct images { /* of a batch, each a tensor of its own, at equal distances */
    mls_tensor tensor;
    uint8_t more[64 - sizeof(mls_tensor) % 64];
} images;

/* A convolution by stages: images in an order of its own, each thread leaving now and then. */
static mls_status staged(const mls_conv *c, mls_direction d, const mls_source *first,
                         const mls_source *second, float *to, int count, size_t size, int order)
{
    void *work = t_alloc(size);
    mls_sink sink;
    mls_conv_call *call;
    mls_status status;
    size_t image = count_of(d == MLS_FORWARD ? output_of(c) : c->in) / (size_t)c->in.n;
    sink.out = order == 2 && d != MLS_BACKWARD_WEIGHT ? NULL : to;
    status = mls_conv_begin(&call, c, d, first, second, &sink, count, work, size);
    T_CHECK((status == MLS_OK) == (call != NULL));
    for (int i = 0; i < c->in.n && call; i++) {
        int n = order == 1 ? c->in.n - 1 - i : i;
        mls_conv_image(call, n, i % count, sink.out ? NULL : to + (size_t)n * image);
        if (i % 3 == 1) mls_conv_leave(call, i % count);
    }
    for (int i = 0; i < count && call; i++) mls_conv_leave(call, i);
    if (call) mls_conv_end(call);
    t_free(work);
    return status;
}

static void stages(void)
{
    uint64_t rng = 51;
    static const int which[] = {0, 6, 7, 16, 17, 25};
    for (int i = 0; i < cases(60); i++) {
        mls_conv c =
            conv_of(shape_of(1 + t_below(&rng, 9), 3 + t_below(&rng, 5), 3 + t_below(&rng, 5),
                             1 + t_below(&rng, 20)),
                    1 + t_below(&rng, 20), 3, 1 + 2 * t_below(&rng, 2), 1 + t_below(&rng, 2), 1);
        mls_direction d = (mls_direction)(i % 3);
        mls_format f = some_format(which[t_below(&rng, 6)], t_below(&rng, 4)), none;
        mls_format g = some_format(which[t_below(&rng, 6)], t_below(&rng, 4));
        int fp32 = i % 4 == 3, count = 1 + t_below(&rng, 4);
        mls_shape s[3];
        mls_tensor t[2];
        mls_source source[2];
        float *x[2], *truth, *out;
        size_t bytes, size, all;
        void *work;
        if (mls_conv_check(&c, d, f, g, NULL, 0) == MLS_ERROR_RANGE)
            continue; /* no 128 bits here */
        shapes_of(&c, d, &s[0], &s[1], &s[2]);
        memset(&none, 0, sizeof none);
        memset(source, 0, sizeof source);
        bytes = count_of(s[2]) * sizeof(float);
        for (int j = 0; j < 2; j++) {
            t[j] = tensor_filled(j ? g : f, s[j], FILL_SPREAD, &rng);
            x[j] = (float *)t_alloc(count_of(s[j]) * sizeof(float));
            fill_fp32(x[j], count_of(s[j]), 0, &rng);
            if (fp32) source[j].fp32 = x[j];
            if (!fp32) source[j].tensor = &t[j];
        }
        if (fp32) f = g = none;
        truth = (float *)t_alloc(bytes), out = (float *)t_alloc(bytes);
        for (int kernel = 0; kernel < mls_kernel_count(); kernel++) {
            use(kernel);
            note_case(&c, d, f, g, kernel, count);
            all = mls_conv_workspace(&c, f, g), work = t_alloc(all);
            if (fp32) T_EQ_INT(convolve_fp32(&c, d, x[0], x[1], truth, work, all), MLS_OK);
            if (!fp32) T_EQ_INT(convolve(&c, d, &t[0], &t[1], truth, work, all), MLS_OK);
            t_free(work);
            size = mls_conv_call_size(&c, d, f, g, count);
            T_CHECK(size > 0);
            for (int order = 0; order < 3; order++) {
                /* of floats the images of a block come in order, from one thread */
                int some = fp32 && d == MLS_BACKWARD_WEIGHT ? 1 : count;
                if (some < count && order == 1) continue;
                memset(out, 0xa5, bytes);
                T_EQ_INT(staged(&c, d, &source[0], &source[1], out, some, size, order), MLS_OK);
                T_EQ_MEM(out, truth, bytes);
            }
            if (kernel || fp32) {
                memset(out, 0xa5, bytes);
                T_EQ_INT(staged(&c, d, &source[0], &source[1], out, count, 100, 0),
                         MLS_ERROR_MEMORY);
                T_CHECK(((uint8_t *)out)[0] == 0xa5);
            }
        }
        for (int j = 0; j < 2; j++) tensor_free(&t[j]), t_free(x[j]);
        t_free(truth), t_free(out);
    }
}

/* Blocks of images, from whatever thread and in whatever order, give the sum of floats its bits. */
static void blocks_of_images(void)
{
    uint64_t rng = 53;
    for (int n = 1; n <= 30; n++) {
        const mls_conv c = conv_of(shape_of(n, 4, 3, 5), 6, 3, 3, 1, 1);
        const int blocks = n < MLS_CONV_BLOCKS ? n : MLS_CONV_BLOCKS;
        const size_t bytes = 6 * 9 * 5 * sizeof(float);
        mls_format none;
        mls_shape s[3];
        mls_source source[2];
        float *x[2], *truth = (float *)t_alloc(bytes), *out = (float *)t_alloc(bytes);
        memset(&none, 0, sizeof none);
        memset(source, 0, sizeof source);
        shapes_of(&c, MLS_BACKWARD_WEIGHT, &s[0], &s[1], &s[2]);
        for (int j = 0; j < 2; j++) {
            source[j].fp32 = x[j] = (float *)t_alloc(count_of(s[j]) * sizeof(float));
            fill_fp32(x[j], count_of(s[j]), 0, &rng);
        }
        for (int kernel = 0; kernel < mls_kernel_count(); kernel++) {
            mls_sink sink;
            mls_conv_call *call;
            size_t size;
            void *work;
            use(kernel);
            note_case(&c, MLS_BACKWARD_WEIGHT, none, none, kernel, 3);
            size = mls_conv_workspace(&c, none, none), work = t_alloc(size);
            T_EQ_INT(convolve_fp32(&c, MLS_BACKWARD_WEIGHT, x[0], x[1], truth, work, size), MLS_OK);
            t_free(work);
            size = mls_conv_call_size(&c, MLS_BACKWARD_WEIGHT, none, none, 3), work = t_alloc(size);
            sink.out = out;
            T_EQ_INT(mls_conv_begin(&call, &c, MLS_BACKWARD_WEIGHT, &source[0], &source[1], &sink,
                                    3, work, size),
                     MLS_OK);
            T_REQUIRE(call != NULL);
            for (int b = blocks - 1; b >= 0; b--) {
                int end = mls_conv_block_first(b + 1, n);
                for (int i = mls_conv_block_first(b, n); i < end; i++) {
                    mls_conv_image(call, i, b % 3, NULL);
                }
            }
            for (int i = 0; i < 3; i++) mls_conv_leave(call, i);
            mls_conv_end(call);
            T_EQ_MEM(out, truth, bytes);
            t_free(work);
        }
        t_free(x[0]), t_free(x[1]), t_free(truth), t_free(out);
    }
}

/* Images that are tensors of their own: each has the bits that it has alone. */
static void images_alone(void)
{
    static const int which[] = {0, 6, 7, 16, 17, 25};
    uint64_t rng = 52;
    for (int i = 0; i < cases(60); i++) {
        mls_conv c = conv_of(shape_of(1 + t_below(&rng, 5), 3 + t_below(&rng, 5),
                                      3 + t_below(&rng, 5), 1 + t_below(&rng, 20)),
                             1 + t_below(&rng, 20), 3, 1 + 2 * t_below(&rng, 2),
                             1 + t_below(&rng, 2), 1),
                 one = c;
        mls_direction d = (mls_direction)(i % 2);
        mls_format f = some_format(which[i / 2 % 6], t_below(&rng, 4));
        mls_format g = some_format(which[i / 12 % 6], t_below(&rng, 4));
        mls_source source[2];
        mls_shape s[3];
        mls_tensor w;
        images *all;
        float *truth, *out;
        size_t bytes, image;
        if (mls_conv_check(&c, d, f, g, NULL, 0) == MLS_ERROR_RANGE)
            continue; /* no 128 bits here */
        all = (images *)t_alloc(sizeof(images) * (size_t)c.in.n);
        one.in.n = 1;
        shapes_of(&one, d, &s[0], &s[1], &s[2]);
        memset(source, 0, sizeof source);
        image = count_of(s[2]), bytes = image * (size_t)c.in.n * sizeof(float);
        truth = (float *)t_alloc(bytes), out = (float *)t_alloc(bytes);
        w = tensor_filled(f, s[0], FILL_SPREAD, &rng);
        source[0].tensor = &w, source[1].tensor = &all[0].tensor, source[1].step = sizeof(images);
        for (int n = 0; n < c.in.n; n++) {
            all[n].tensor = tensor_filled(g, s[1], t_below(&rng, FILL_KINDS), &rng);
        }
        for (int kernel = 0; kernel < mls_kernel_count(); kernel++) {
            size_t size;
            use(kernel);
            note_case(&c, d, f, g, kernel, i);
            size = mls_conv_workspace(&c, f, g);
            for (int n = 0; n < c.in.n && kernel == 0; n++) {
                oracle(&one, d, &w, &all[n].tensor, truth + (size_t)n * image);
            }
            size = mls_conv_call_size(&c, d, f, g, 2);
            T_EQ_INT(staged(&c, d, &source[0], &source[1], out, 2, size, i % 3), MLS_OK);
            T_EQ_MEM(out, truth, bytes);
        }
        all[c.in.n - 1].tensor.scale = INFINITY; /* the last one's scale counts, too */
        T_EQ_INT(
            staged(&c, d, &source[0], &source[1], out, 1, mls_conv_call_size(&c, d, f, g, 1), 0),
            MLS_ERROR_NONFINITE);
        all[c.in.n - 1].tensor.shape.h++;
        T_EQ_INT(
            staged(&c, d, &source[0], &source[1], out, 1, mls_conv_call_size(&c, d, f, g, 1), 0),
            MLS_ERROR_SHAPE);
        for (int n = 0; n < c.in.n; n++) tensor_free(&all[n].tensor);
        tensor_free(&w), t_free(all), t_free(truth), t_free(out);
    }
}

static void stages_refused(void)
{
    mls_conv c = conv_of(shape_of(2, 5, 4, 3), 4, 3, 2, 1, 1);
    mls_format f = format_of(2, 1, 2, 0, MLS_GROUP_NC), bad = f, none;
    uint64_t rng = 53;
    static float x[512], out[512];
    mls_source source[2], empty;
    mls_sink sink;
    mls_conv_call *call;
    mls_shape s[3];
    mls_tensor t[2];
    size_t size = mls_conv_call_size(&c, MLS_FORWARD, f, f, 2), bytes;
    void *work = t_alloc(size);
    uint8_t *odd = (uint8_t *)t_alloc(size + 2 * MLS__ALIGN);
    memset(&none, 0, sizeof none), memset(&empty, 0, sizeof empty);
    memset(source, 0, sizeof source);
    bad.ex = 6;
    T_EQ_INT(mls_conv_call_size(&c, MLS_FORWARD, f, f, 0), 0);
    T_EQ_INT(mls_conv_call_size(&c, MLS_FORWARD, f, bad, 1), 0);
    T_EQ_INT(mls_conv_call_size(&c, MLS_FORWARD, none, f, 1), 0);
    T_EQ_INT(mls_conv_call_size(&c, (mls_direction)3, f, f, 1), 0);
    T_EQ_INT(mls_conv_call_size(NULL, MLS_FORWARD, f, f, 1), 0);
    shapes_of(&c, MLS_FORWARD, &s[0], &s[1], &s[2]);
    for (int j = 0; j < 2; j++) {
        t[j] = tensor_filled(f, s[j], FILL_RANDOM, &rng), source[j].tensor = &t[j];
    }
    sink.out = out;
#define BEGIN(first, second, count) \
    mls_conv_begin(&call, &c, MLS_FORWARD, first, second, &sink, count, work, size)
    T_EQ_INT(BEGIN(&source[0], &source[1], 2), MLS_OK);
    T_EQ_INT(BEGIN(NULL, &source[1], 2), MLS_ERROR_ARGUMENT);
    T_EQ_INT(BEGIN(&source[0], NULL, 2), MLS_ERROR_ARGUMENT);
    T_EQ_INT(BEGIN(&source[0], &source[1], 0), MLS_ERROR_ARGUMENT);
    T_EQ_INT(BEGIN(&empty, &source[1], 2), MLS_ERROR_ARGUMENT);
    T_EQ_INT(BEGIN(&source[0], &empty, 2), MLS_ERROR_ARGUMENT);
    empty.fp32 = x;
    T_EQ_INT(BEGIN(&source[0], &empty, 2), MLS_ERROR_ARGUMENT); /* floats and integers */
    source[0].step = 64;
    T_EQ_INT(BEGIN(&source[0], &source[1], 2), MLS_ERROR_ARGUMENT);
    source[0].step = 0, source[0].pending = 1; /* but no peaks */
    T_EQ_INT(BEGIN(&source[0], &source[1], 2), MLS_ERROR_ARGUMENT);
    source[0].pending = 0;
    T_CHECK(call == NULL);
    /* memory that ends before the call itself does, aligned as badly as can be */
    for (size_t n = 0; n < mls__align(sizeof(mls_conv_call), MLS__ALIGN) + MLS__ALIGN - 1; n++) {
        T_EQ_INT(mls_conv_begin(&call, &c, MLS_FORWARD, &source[0], &source[1], &sink, 2,
                                odd + MLS__ALIGN + 1 - (uintptr_t)odd % MLS__ALIGN, n),
                 MLS_ERROR_MEMORY);
    }
    T_EQ_INT(mls_conv_begin(&call, &c, MLS_FORWARD, &source[0], &source[1], &sink, 2, NULL, size),
             MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_conv_begin(&call, &c, MLS_FORWARD, &source[0], &source[1], NULL, 2, work, size),
             MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_conv_begin(NULL, &c, MLS_FORWARD, &source[0], &source[1], &sink, 2, work, size),
             MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_conv_begin(&call, NULL, MLS_FORWARD, &source[0], &source[1], &sink, 2, work, size),
             MLS_ERROR_ARGUMENT);
#define KEEP(to, conv, d, first, g, size) mls_conv_keep(to, conv, d, first, g, odd, size)
    bytes = mls_conv_keep_size(&c, MLS_FORWARD, f, f);
    T_CHECK(bytes > 0 && bytes <= size);
    T_EQ_INT(mls_conv_keep_size(NULL, MLS_FORWARD, f, f), 0);
    T_EQ_INT(mls_conv_keep_size(&c, MLS_BACKWARD_WEIGHT, f, f), 0);
    T_EQ_INT(mls_conv_keep_size(&c, MLS_FORWARD, f, bad), 0);
    T_EQ_INT(KEEP(NULL, &c, MLS_FORWARD, &source[0], f, size), MLS_ERROR_ARGUMENT);
    T_EQ_INT(KEEP(&call, NULL, MLS_FORWARD, &source[0], f, size), MLS_ERROR_ARGUMENT);
    T_EQ_INT(KEEP(&call, &c, MLS_BACKWARD_WEIGHT, &source[0], f, size), MLS_ERROR_ARGUMENT);
    T_EQ_INT(KEEP(&call, &c, MLS_FORWARD, NULL, f, size), MLS_ERROR_ARGUMENT);
    empty.fp32 = NULL;
    T_EQ_INT(KEEP(&call, &c, MLS_FORWARD, &empty, f, size), MLS_ERROR_ARGUMENT);
    empty.fp32 = x;
    T_EQ_INT(KEEP(&call, &c, MLS_FORWARD, &empty, f, size), MLS_ERROR_FORMAT);
    T_EQ_INT(mls_conv_keep_size(&c, MLS_FORWARD, none, f), 0);
    T_EQ_INT(KEEP(&call, &c, MLS_FORWARD, &source[1], f, size), MLS_ERROR_SHAPE);
    T_EQ_INT(KEEP(&call, &c, MLS_FORWARD, &source[0], bad, size), MLS_ERROR_FORMAT);
    T_EQ_INT(KEEP(&call, &c, MLS_FORWARD, &source[0], f, 99), MLS_ERROR_MEMORY);
    T_EQ_INT(KEEP(&call, &c, MLS_FORWARD, &source[0], f, bytes / 2), MLS_ERROR_MEMORY);
    T_CHECK(call == NULL);
    T_EQ_INT(KEEP(&call, &c, MLS_FORWARD, &source[0], f, size), MLS_OK);
    T_CHECK(call != NULL);
#undef KEEP
    sink.out = NULL;
    T_EQ_INT(mls_conv_begin(&call, &c, MLS_BACKWARD_WEIGHT, &source[0], &source[1], &sink, 2, work,
                            size),
             MLS_ERROR_ARGUMENT);
    t[1].group[0] = 4; /* 2^-4 is below the smallest */
    T_EQ_INT(BEGIN(&source[0], &source[1], 2), MLS_ERROR_FORMAT);
#undef BEGIN
    for (int j = 0; j < 2; j++) tensor_free(&t[j]);
    t_free(work), t_free(odd);
}

#define STAGES_TESTS \
    T_TEST(stages), T_TEST(blocks_of_images), T_TEST(images_alone), T_TEST(stages_refused)
