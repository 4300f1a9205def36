/* A training that is saved and resumed has the bits of one that was not; what is damaged or foreign is
   refused and nothing is lost; the bytes are the same everywhere. */

static unsigned char checkpoint[1 << 17];

static void checkpoint_resumes(void)
{
    mls_net_desc descs[3];
    int last = mls_kernel_count() - 1;
    descs[0] = desc_fp32(4), descs[1] = desc_low(4);
    descs[2] = desc_of(4, "2,4:nc:8,1", "2,4:nc:8,1", "2,4:nc:8,1:stochastic");
    for (int i = 0; i < 3; i++) {
        uint64_t expected;
        size_t size;
        rig a, b;
        threads(1);
        T_EQ_INT(mls_kernel_use("auto"), MLS_OK);
        if (!rig_make(&a, &descs[i], small_net)) return;
        train(&a, 0, 5, 4, SMALL_IMAGE, 10);
        size = mls_net_checkpoint_size(&a.net, 0);
        T_REQUIRE(size > 0 && size <= sizeof checkpoint);
        memset(checkpoint, 0xa5, sizeof checkpoint);
        T_EQ_INT(mls_net_checkpoint_write(&a.net, NULL, 0, checkpoint, size), MLS_OK);
        T_CHECK(checkpoint[size] == 0xa5 && memcmp(checkpoint, "MLSCKPT\n", 8) == 0);
        train(&a, 5, 5, 4, SMALL_IMAGE, 10);
        expected = mls_net_digest(&a.net);
        rig_free(&a);
        for (int how = 0; how < 4; how++) { /* with other threads, kernels, batches */
            descs[i].seed = how == 3 ? 1234 : 7;
            descs[i].batch = 4 + how;
            t_note("desc %d, way %d", i, how);
            threads(1 + how);
            T_EQ_INT(mls_kernel_use(mls_kernel_name(last < how ? 0 : last - how)), MLS_OK);
            if (!rig_make(&b, &descs[i], small_net)) return;
            if (how == 2) train(&b, 3, 2, 4, SMALL_IMAGE, 10); /* not a fresh one */
            if (how == 1) { /* a gradient that loading throws away */
                make_images(4, SMALL_IMAGE, 10, 1);
                T_EQ_INT(mls_net_gradient(&b.net, some_images, some_labels, 4, NULL), MLS_OK);
            }
            T_EQ_INT(mls_net_checkpoint_read(&b.net, checkpoint, size, NULL, 0), MLS_OK);
            T_EQ_INT(b.net.step, 5);
            train(&b, 5, 5, 4, SMALL_IMAGE, 10);
            T_CHECK(mls_net_digest(&b.net) == expected);
            rig_free(&b);
        }
    }
    threads(1);
    T_EQ_INT(mls_kernel_use("auto"), MLS_OK);
}

/* More steps than updates: both numbers come back. */
static void checkpoint_accumulated(void)
{
    mls_net_desc desc = desc_low(4);
    size_t size;
    rig a, b;
    if (!rig_make(&a, &desc, small_net) || !rig_make(&b, &desc, small_net)) return;
    for (int part = 0; part < 6; part++) {
        make_images(4, SMALL_IMAGE, 10, (uint64_t)part);
        T_EQ_INT(mls_net_gradient(&a.net, some_images, some_labels, 4, NULL), MLS_OK);
        if (part % 3 == 2) T_EQ_INT(mls_net_update(&a.net, &plain_sgd), MLS_OK);
    }
    size = mls_net_checkpoint_size(&a.net, 0);
    T_REQUIRE(size > 0 && size <= sizeof checkpoint);
    T_EQ_INT(mls_net_checkpoint_write(&a.net, NULL, 0, checkpoint, size), MLS_OK);
    T_EQ_INT(mls_net_checkpoint_read(&b.net, checkpoint, size, NULL, 0), MLS_OK);
    T_EQ_INT(b.net.step, 6), T_EQ_INT(b.net.updates, 2);
    train(&a, 6, 2, 4, SMALL_IMAGE, 10), train(&b, 6, 2, 4, SMALL_IMAGE, 10);
    T_CHECK(mls_net_digest(&a.net) == mls_net_digest(&b.net));
    rig_free(&a), rig_free(&b);
}

static void checkpoint_note(void)
{
    mls_net_desc desc = desc_fp32(2);
    unsigned char note[21], back[21];
    size_t size;
    rig r;
    if (!rig_make(&r, &desc, tiny_net)) return;
    for (int i = 0; i < 21; i++) note[i] = (unsigned char)(i * 13 + 1);
    T_EQ_INT(mls_net_checkpoint_size(&r.net, 21), mls_net_checkpoint_size(&r.net, 0) + 21);
    size = mls_net_checkpoint_size(&r.net, 21);
    T_EQ_INT(mls_net_checkpoint_write(&r.net, note, 21, checkpoint, size), MLS_OK);
    memset(back, 0, sizeof back);
    T_EQ_INT(mls_net_checkpoint_read(&r.net, checkpoint, size, back, 21), MLS_OK);
    T_EQ_MEM(back, note, 21);
    memset(back, 0, sizeof back);
    for (size_t other = 0; other <= 20; other += 10) {
        T_EQ_INT(mls_net_checkpoint_read(&r.net, checkpoint, size, back, other), MLS_ERROR_DATA);
        T_CHECK(r.net.text[0] != 0);
    }
    checkpoint[size - 20] ^= 1;
    T_EQ_INT(mls_net_checkpoint_read(&r.net, checkpoint, size, back, 21), MLS_ERROR_DATA);
    for (int i = 0; i < 21; i++) T_CHECK(back[i] == 0); /* nor is the note touched */
    T_EQ_INT(mls_net_checkpoint_write(&r.net, NULL, 5, checkpoint, sizeof checkpoint),
             MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_checkpoint_write(&r.net, note, 21, NULL, size), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_checkpoint_write(&r.net, note, 21, checkpoint, size - 1), MLS_ERROR_MEMORY);
    T_EQ_INT(mls_net_checkpoint_write(NULL, note, 21, checkpoint, size), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_checkpoint_read(&r.net, NULL, size, back, 21), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_checkpoint_read(&r.net, checkpoint, size, NULL, 21), MLS_ERROR_ARGUMENT);
    checkpoint[size - 20] ^= 1;
    T_EQ_INT(mls_net_checkpoint_read(&r.net, checkpoint, size, back, 20), MLS_ERROR_DATA);
    T_CHECK(strstr(r.net.text, "bytes 21 there, 20 here") != NULL);
    T_EQ_INT(mls_net_checkpoint_read(&r.net, checkpoint, size, NULL, 0), MLS_OK); /* not wanted */
    T_EQ_INT(mls_net_checkpoint_read(NULL, checkpoint, size, back, 21), MLS_ERROR_ARGUMENT);
    rig_free(&r);
}

/* Every byte changed, every length: refused, and the network stays as it is. */
static void checkpoint_damaged(void)
{
    mls_net_desc desc = desc_fp32(2);
    unsigned char *exact;
    size_t size, step;
    uint64_t digest, rng = 3;
    rig r;
    if (!rig_make(&r, &desc, tiny_net)) return;
    train(&r, 0, 2, 2, 16, 2);
    size = mls_net_checkpoint_size(&r.net, 3);
    exact = (unsigned char *)t_alloc(size);
    T_EQ_INT(mls_net_checkpoint_write(&r.net, "abc", 3, exact, size), MLS_OK);
    train(&r, 2, 1, 2, 16, 2);
    digest = mls_net_digest(&r.net);
    for (size_t i = 0; i < size; i++) {
        unsigned char note[3] = {1, 1, 1}, keep = exact[i];
        exact[i] = (unsigned char)(keep ^ (1 + t_below(&rng, 255)));
        t_note("byte %d", (int)i);
        T_EQ_INT(mls_net_checkpoint_read(&r.net, exact, size, note, 3), MLS_ERROR_DATA);
        T_CHECK(mls_net_digest(&r.net) == digest && note[0] == 1 && r.net.text[0]);
        exact[i] = keep;
    }
    for (size_t length = 0; length < size; length += step) {
        unsigned char *cut = (unsigned char *)t_alloc(length);
        unsigned char note[3];
        memcpy(cut, exact, length);
        t_note("length %d", (int)length);
        T_EQ_INT(mls_net_checkpoint_read(&r.net, cut, length, note, 3), MLS_ERROR_DATA);
        T_CHECK(mls_net_digest(&r.net) == digest);
        t_free(cut);
        step = length < 80 || length > size - 20 ? 1 : 7;
    }
    memcpy(checkpoint, exact, size);
    memset(checkpoint + size, 0, 16);
    t_note("longer");
    T_EQ_INT(mls_net_checkpoint_read(&r.net, checkpoint, size + 1, checkpoint + 9999, 3),
             MLS_ERROR_DATA);
    T_CHECK(mls_net_digest(&r.net) == digest);
    T_EQ_INT(mls_net_checkpoint_read(&r.net, exact, size, checkpoint, 3), MLS_OK);
    T_CHECK(mls_net_digest(&r.net) != digest && memcmp(checkpoint, "abc", 3) == 0);
    t_free(exact);
    rig_free(&r);
}

static void checkpoint_foreign(void)
{
    static const char *const others[][2] = {
        {"i4 4 1|c0 2 3 1 1 1|n1|r2|g3|l4 2|z5", "node 1 (convolution): bias 0 there, 1 here"},
        {"i4 4 1|c0 3 3 1 1|n1|r2|g3|l4 2|z5", "node 1 (convolution): channels 2 there, 3 here"},
        {"i4 4 1|c0 2 1 1 0|n1|r2|g3|l4 2|z5", "kernel height 3 there, 1 here"},
        {"i4 4 1|c0 2 3 2 1|n1|r2|g3|l4 2|z5", "node 1 (convolution): height 4 there, 2 here"},
        {"i4 4 1|c0 2 3 1 1|n1|r2|g3|l4 3|z5", "node 5 (linear): channels 2 there, 3 here"},
        {"i5 4 1|c0 2 3 1 1|n1|r2|g3|l4 2|z5", "node 0 (input): height 4 there, 5 here"},
        {"i4 4 1|c0 2 3 1 1|r1|n2|g3|l4 2|z5", "node 2: batch norm there, relu here"},
        {"i4 4 1|c0 2 3 1 1|n1|r2|v3 4|l4 2|z5", "node 4: global pool there, average pool here"},
        {"i4 4 1|c0 2 3 1 1|n1|r2|g3|l4 2|l5 2|z6", "node 6: loss there, linear here"},
        {"i4 4 1|c0 2 3 1 1|n1|l2 2|z3", "node 3: relu there, linear here"},
        {"i4 4 1|c0 2 3 1 1|n1|p2|g3|l4 2|z5", "node 3: relu there, prelu here"},
        {"i4 4 1|c0 2 3 1 1|n1|k2 2|g3|l4 2|z5", "node 3: relu there, concat here"}};
    mls_net_desc desc = desc_fp32(2);
    size_t size;
    rig r;
    if (!rig_make(&r, &desc, tiny_net)) return;
    size = mls_net_checkpoint_size(&r.net, 0);
    T_EQ_INT(mls_net_checkpoint_write(&r.net, NULL, 0, checkpoint, size), MLS_OK);
    rig_free(&r);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        uint64_t digest;
        t_note("%s", others[i][0]);
        if (!rig_make(&r, &desc, others[i][0])) return;
        digest = mls_net_digest(&r.net);
        T_EQ_INT(mls_net_checkpoint_read(&r.net, checkpoint, size, NULL, 0), MLS_ERROR_DATA);
        T_CHECK(strstr(r.net.text, "another network") != NULL);
        if (!strstr(r.net.text, others[i][1])) {
            t_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", r.net.text, others[i][1]);
        }
        T_CHECK(mls_net_digest(&r.net) == digest);
        rig_free(&r);
    }
    t_note("another row of one's own");
    if (!rig_make(&r, &desc, "i4 4 1|c0 2 3 1 1|n1|f2|g3|l4 2|z5")) return;
    size = mls_net_checkpoint_size(&r.net, 0);
    T_EQ_INT(mls_net_checkpoint_write(&r.net, NULL, 0, checkpoint, size), MLS_OK);
    T_EQ_INT(mls_net_checkpoint_read(&r.net, checkpoint, size, NULL, 0), MLS_OK);
    rig_free(&r);
    if (!rig_make(&r, &desc, "i4 4 1|c0 2 3 1 1|n1|o2|g3|l4 2|z5")) return;
    T_EQ_INT(mls_net_checkpoint_read(&r.net, checkpoint, size, NULL, 0), MLS_ERROR_DATA);
    T_CHECK(strstr(r.net.text, "node 3: turn there, softsign here") != NULL);
    rig_free(&r);
    t_note("version");
    if (!rig_make(&r, &desc, tiny_net)) return;
    size = mls_net_checkpoint_size(&r.net, 0);
    T_EQ_INT(mls_net_checkpoint_write(&r.net, NULL, 0, checkpoint, size), MLS_OK);
    checkpoint[8] = 5;
    T_EQ_INT(mls_net_checkpoint_read(&r.net, checkpoint, size, NULL, 0), MLS_ERROR_DATA);
    T_CHECK(strstr(r.net.text, "version") != NULL);
    memcpy(checkpoint, "\x89PNG\r\n\x1a\n", 8);
    T_EQ_INT(mls_net_checkpoint_read(&r.net, checkpoint, size, NULL, 0), MLS_ERROR_DATA);
    T_CHECK(strstr(r.net.text, "not a checkpoint") != NULL);
    rig_free(&r);
}

static void checkpoint_while_pending(void)
{
    mls_net_desc desc = desc_fp32(2);
    size_t size;
    rig r;
    if (!rig_make(&r, &desc, tiny_net)) return;
    make_images(2, 16, 2, 1);
    size = mls_net_checkpoint_size(&r.net, 0);
    T_EQ_INT(mls_net_gradient(&r.net, some_images, some_labels, 2, NULL), MLS_OK);
    memset(checkpoint, 0xa5, size);
    T_EQ_INT(mls_net_checkpoint_write(&r.net, NULL, 0, checkpoint, size), MLS_ERROR_STATE);
    T_CHECK(strstr(r.net.text, "pending") != NULL && checkpoint[0] == 0xa5);
    T_EQ_INT(mls_net_update(&r.net, &plain_sgd), MLS_OK);
    T_EQ_INT(mls_net_checkpoint_write(&r.net, NULL, 0, checkpoint, size), MLS_OK);
    rig_free(&r);
}

static void checkpoint_bytes(void)
{
    mls_net_desc desc = desc_low(2);
    size_t size;
    rig r;
    desc.quantize_first = 1;
    if (!rig_make(&r, &desc, tiny_net)) return;
    train(&r, 0, 3, 2, 16, 2);
    size = mls_net_checkpoint_size(&r.net, 5);
    T_EQ_INT(mls_net_checkpoint_write(&r.net, "note\n", 5, checkpoint, size), MLS_OK);
    EQ_HASH(hash_bytes(checkpoint, size), 0x3244a45cd4597549u);
    rig_free(&r);
}

/* The same as format 1 has it: the head without its end, and no nodes. */
static size_t as_format_1(const unsigned char *from, size_t size, size_t nodes, unsigned char *to)
{
    size_t rest = size - 96 - nodes * 80;
    uint64_t sum;
    memcpy(to, from, 64);
    to[8] = 1;
    memcpy(to + 64, from + 96 + nodes * 80, rest - 8);
    sum = mls__mix(mls__hash_bytes(0, to, 64 + rest - 8));
    for (int i = 0; i < 8; i++) to[64 + rest - 8 + (size_t)i] = (unsigned char)(sum >> (8 * i));
    return 64 + rest;
}

/* Files of the first release are read as they were; the hash is that of the bytes that it wrote. */
static void checkpoint_format_1(void)
{
    static unsigned char old[4096];
    mls_net_desc desc = desc_low(2);
    mls_checkpoint about;
    char note[5], text[100];
    uint64_t digest;
    size_t size;
    rig r;
    desc.quantize_first = 1;
    if (!rig_make(&r, &desc, tiny_net)) return;
    train(&r, 0, 3, 2, 16, 2);
    digest = mls_net_digest(&r.net);
    size = mls_net_checkpoint_size(&r.net, 5);
    T_EQ_INT(mls_net_checkpoint_write(&r.net, "note\n", 5, checkpoint, size), MLS_OK);
    T_EQ_INT(mls_checkpoint_look(checkpoint, size, &about, text, sizeof text), MLS_OK);
    T_CHECK(about.version == 2 && about.nodes == 7 && about.batch == 2 && about.seed == 7);
    T_CHECK(about.step == 3 && about.updates == 3 && about.note_size == 5 && text[0] == 0);
    T_CHECK(memcmp(about.note, "note\n", 5) == 0);
    size = as_format_1(checkpoint, size, 7, old);
    EQ_HASH(hash_bytes(old, size), 0xe63bd0969383a217u);
    T_EQ_INT(mls_checkpoint_look(old, size, &about, NULL, 0), MLS_OK);
    T_CHECK(about.version == 1 && about.nodes == 0 && about.batch == 0 && about.seed == 7);
    T_CHECK(about.step == 3 && about.note_size == 5 && memcmp(about.note, "note\n", 5) == 0);
    train(&r, 3, 1, 2, 16, 2);
    T_EQ_INT(mls_net_checkpoint_read(&r.net, old, size, note, 5), MLS_OK);
    T_CHECK(mls_net_digest(&r.net) == digest && memcmp(note, "note\n", 5) == 0);
    old[size - 9] ^= 4;
    T_EQ_INT(mls_checkpoint_look(old, size, &about, text, sizeof text), MLS_ERROR_DATA);
    T_CHECK(strstr(text, "checksum") != NULL);
    T_EQ_INT(mls_checkpoint_look(old, 63, &about, text, sizeof text), MLS_ERROR_DATA);
    T_CHECK(strcmp(text, "truncated") == 0);
    T_EQ_INT(mls_checkpoint_look(NULL, 63, &about, text, sizeof text), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_checkpoint_look(old, size, NULL, text, sizeof text), MLS_ERROR_ARGUMENT);
    rig_free(&r);
    if (!rig_make(&r, &desc, "i4 4 1|c0 2 1 1 0|n1|r2|g3|l4 2|z5")) return;
    old[size - 9] ^= 4;
    T_EQ_INT(mls_net_checkpoint_read(&r.net, old, size, NULL, 0), MLS_ERROR_DATA);
    T_CHECK(strstr(r.net.text, "another network") != NULL);
    rig_free(&r);
}

#define CHECKPOINT_TESTS                                                                          \
    T_TEST(checkpoint_resumes), T_TEST(checkpoint_accumulated), T_TEST(checkpoint_note),          \
        T_TEST(checkpoint_damaged), T_TEST(checkpoint_foreign), T_TEST(checkpoint_while_pending), \
        T_TEST(checkpoint_bytes), T_TEST(checkpoint_format_1)
