/* Data: an epoch is a permutation, a batch is a pure function of seed and position, and pictures are
   cropped, mirrored and normalised as documented. */

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
        T_EQ_INT(mls_data_normalise(&bad, &a), i == 1 ? MLS_OK : MLS_ERROR_ARGUMENT);
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

#define DATA_TESTS                                                                     \
    T_TEST(order_is_a_permutation), T_TEST(batch_in_pieces), T_TEST(batch_recomputed), \
        T_TEST(batch_refused), T_TEST(batch_far_away), T_TEST(normalise_recomputed),   \
        T_TEST(golden_data_streams)
