/* Tensors: their sizes, their memory, the order of their codes, and calls that are refused. */

static void shapes(void)
{
    mls_format f = full_format(2, 1, 2, 0, MLS_GROUP_NC, MLS_ROUND_NEAREST, MLS_RANGE_FIT);
    static const int bad[][4] = {
        {0, 1, 1, 1},
        {1, 0, 1, 1},
        {1, 1, 0, 1},
        {1, 1, 1, 0},
        {-1, 1, 1, 1},
        {1, -3, 1, 1},
        {-2, -2, 1, 1},
        {1, 1, 1, INT32_MIN},
        {INT32_MAX, INT32_MAX, 1, 1},
        {1, INT32_MAX, INT32_MAX, INT32_MAX},
        {INT32_MAX, INT32_MAX, INT32_MAX, INT32_MAX},
        {1 << 16, 1 << 16, 1 << 16, 1 << 16},
        {1 << 16, 1 << 16, 1 << 16, (1 << 16) + 1}, /* 2^48 after the overflow */
    };
    static const size_t groups[] = {1, 3, 7, 21};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        mls_shape s = shape_of(bad[i][0], bad[i][1], bad[i][2], bad[i][3]);
        unsigned char memory[256];
        float x[4] = {1, 2, 3, 4};
        mls_tensor t;
        mls_report report;
        t_note("%dx%dx%dx%d", s.n, s.h, s.w, s.c);
        T_EQ_INT(mls_group_count(f, s), 0);
        T_EQ_INT(mls_tensor_size(f, s), 0);
        T_EQ_INT(mls_tensor_init(&t, f, s, memory, sizeof memory), MLS_ERROR_SHAPE);
        T_EQ_INT(mls_tensor_init(&t, f, shape_of(1, 1, 1, 2), memory, sizeof memory), MLS_OK);
        t.shape = s;
        T_EQ_INT(mls_quantize(&t, x, 0), MLS_ERROR_SHAPE);
        T_EQ_INT(mls_dequantize(&t, x), MLS_ERROR_SHAPE);
        T_EQ_INT(mls_measure(&t, x, &report), MLS_ERROR_SHAPE);
    }
    for (int g = 0; g < 4; g++) {
        f.grouping = (uint8_t)g;
        T_EQ_INT(mls_group_count(f, shape_of(3, 5, 2, 7)), groups[g]);
    }
    f.ex = 6;
    T_EQ_INT(mls_tensor_size(f, shape_of(1, 1, 1, 1)), 0);
}

/* Exactly mls_tensor_size bytes at any alignment, nothing outside them, and a zero tensor inside. */
static void init_stays_inside(void)
{
    uint64_t rng = 1;
    for (int i = 0; i < 300; i++) {
        mls_format f = random_format(&rng, 1 + t_below(&rng, 5), t_below(&rng, 11));
        mls_shape s = shape_of(1 + t_below(&rng, 3), 1 + t_below(&rng, 4), 1 + t_below(&rng, 5),
                               1 + t_below(&rng, 40));
        size_t size = mls_tensor_size(f, s), offset = (size_t)i % 64, count = count_of(s);
        size_t k_max = f.eg >= 7 ? 127 : ((size_t)1 << f.eg) - 1;
        unsigned char *memory = (unsigned char *)t_alloc(size + 64), *p = memory + offset;
        unsigned char *tight = (unsigned char *)t_alloc(size);
        float *x = floats(count);
        mls_tensor t;
        t_note("offset %d", (int)offset);
        T_CHECK(size >=
                63 + 4 * (size_t)s.n * (size_t)s.c + 2 * groups_of(f, s) + bytes_of(f, count));
        T_EQ_INT(mls_tensor_init(&t, f, s, p, size - 1), MLS_ERROR_MEMORY);
        T_EQ_INT(mls_tensor_init(&t, f, s, p, 0), MLS_ERROR_MEMORY);
        for (size_t j = 0; j < size + 64; j++) T_CHECK(memory[j] == 0xa5);
        T_EQ_INT(mls_tensor_init(&t, f, s, p, size), MLS_OK);
        T_CHECK((uintptr_t)t.peak % 64 == 0 && (uintptr_t)t.group % 64 == 0);
        T_CHECK((uintptr_t)t.code % 64 == 0 && (unsigned char *)t.peak >= p);
        T_CHECK(t.code + bytes_of(f, count) <= p + size);
        T_CHECK((unsigned char *)(t.group + groups_of(f, s)) <= t.code);
        T_CHECK((unsigned char *)(t.peak + s.n * s.c) <= (unsigned char *)t.group);
        T_CHECK(memcmp(&t.format, &f, sizeof f) == 0 && memcmp(&t.shape, &s, sizeof s) == 0);
        T_CHECK(to_bits(t.scale) == 0);
        for (size_t g = 0; g < groups_of(f, s); g++) T_EQ_INT(t.group[g], k_max << f.mg);
        for (size_t j = 0; j < count; j++) T_EQ_INT(mls_tensor_code(&t, j), 0);
        fill(x, s, INPUT_BELL, &rng);
        T_EQ_INT(mls_quantize(&t, x, 1), MLS_OK);
        for (size_t j = 0; j < size + 64; j++) {
            T_CHECK((j >= offset && j < offset + size) || memory[j] == 0xa5);
        }
        T_EQ_INT(mls_tensor_init(&t, f, s, tight, size), MLS_OK);
        T_EQ_INT(mls_quantize(&t, x, 1), MLS_OK);
        t_free(memory), t_free(tight), t_free(x);
    }
}

static void packing_order(void)
{
    float x[5] = {0.75f, -0.0625f, 0.125f, -0.75f, -0.5f}; /* <2,1>: 7, 9, 2, 15, 14 */
    float wide[3] = {1023 / 1024.0f, -0.5f, 3 / 1024.0f};  /* <0,10>: 1023, 1024 + 512, 3 */
    static const uint8_t nibbles[] = {0x97, 0xf2, 0x0e}, words[] = {0xff, 0x03, 0x00, 0x06, 3, 0};
    mls_tensor t = tensor_new(plain(2, 1), shape_of(1, 5, 1, 1));
    T_EQ_INT(mls_quantize(&t, x, 0), MLS_OK);
    T_EQ_MEM(t.code, nibbles, 3); /* the unused nibble is 0 */
    T_EQ_INT(mls_tensor_code(&t, 0), 7);
    T_EQ_INT(mls_tensor_code(&t, 1), 9);
    T_EQ_INT(mls_tensor_code(&t, 4), 14);
    tensor_free(&t);
    t = tensor_new(plain(2, 2), shape_of(1, 1, 1, 5)); /* 5 bits: a byte each */
    T_EQ_INT(mls_quantize(&t, x, 0), MLS_OK);
    T_EQ_INT(mls_tensor_code(&t, 4), t.code[4]);
    T_EQ_INT(t.code[0] | 16, t.code[3]);
    tensor_free(&t);
    t = tensor_new(plain(0, 10), shape_of(1, 1, 3, 1));
    T_EQ_INT(mls_quantize(&t, wide, 0), MLS_OK);
    T_EQ_MEM(t.code, words, 6);
    T_EQ_INT(mls_tensor_code(&t, 1), 1024 + 512);
    tensor_free(&t);
}

static void bad_arguments(void)
{
    mls_format f = plain(2, 1), none = full_format(0, 0, 0, 0, 0, 0, 0);
    mls_shape s = shape_of(1, 1, 1, 4);
    unsigned char memory[256];
    float x[4] = {1, 2, 3, 4};
    mls_report report;
    mls_tensor t, u;
    T_EQ_INT(mls_tensor_init(NULL, f, s, memory, sizeof memory), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_tensor_init(&t, f, s, NULL, sizeof memory), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_tensor_init(&t, none, s, memory, sizeof memory), MLS_ERROR_FORMAT);
    T_EQ_INT(mls_tensor_init(&t, f, s, memory, sizeof memory), MLS_OK);
    T_EQ_INT(mls_quantize(NULL, x, 0), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_quantize(&t, NULL, 0), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_dequantize(NULL, x), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_dequantize(&t, NULL), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_measure(NULL, x, &report), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_measure(&t, NULL, &report), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_measure(&t, x, NULL), MLS_ERROR_ARGUMENT);
    u = t, u.group = NULL;
    T_EQ_INT(mls_quantize(&u, x, 0), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_dequantize(&u, x), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_measure(&u, x, &report), MLS_ERROR_ARGUMENT);
    u = t, u.code = NULL;
    T_EQ_INT(mls_quantize(&u, x, 0), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_dequantize(&u, x), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_measure(&u, x, &report), MLS_ERROR_ARGUMENT);
    u = t, u.peak = NULL; /* a tensor that is only read */
    T_EQ_INT(mls_quantize(&u, x, 0), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_dequantize(&u, x), MLS_OK);
    T_EQ_INT(mls_measure(&u, x, &report), MLS_OK);
    u = t, u.format = none;
    T_EQ_INT(mls_quantize(&u, x, 0), MLS_ERROR_FORMAT);
    T_EQ_INT(mls_dequantize(&u, x), MLS_ERROR_FORMAT);
    T_EQ_INT(mls_measure(&u, x, &report), MLS_ERROR_FORMAT);
}

#define TENSORS_TESTS \
    T_TEST(shapes), T_TEST(init_stays_inside), T_TEST(packing_order), T_TEST(bad_arguments)
