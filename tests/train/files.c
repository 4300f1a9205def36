/* Files: a save replaces the file whole or not at all, a load takes all or nothing, and the binary
   batches of CIFAR-10 are read. Failing allocations and full disks lose nothing. */

#if FILES

static void save_and_load(void)
{
    mls_net_desc desc = desc_low(4);
    unsigned char note[4] = {1, 2, 3, 4}, back[4] = {0, 0, 0, 0};
    uint64_t expected, digest;
    size_t size;
    rig a, b;
    folder_make();
    if (!rig_make(&a, &desc, small_net) || !rig_make(&b, &desc, small_net)) return;
    train(&a, 0, 5, 4, SMALL_IMAGE, 10);
    T_EQ_INT(mls_net_save(&a.net, path_in("net"), note, 4), MLS_OK);
    T_CHECK(file_exists("net") && !file_exists("net.tmp"));
    digest = mls_net_digest(&a.net);
    train(&a, 5, 5, 4, SMALL_IMAGE, 10);
    expected = mls_net_digest(&a.net);
    T_EQ_INT(mls_net_load(&b.net, path_in("net"), back, 4), MLS_OK);
    T_EQ_MEM(back, note, 4);
    T_CHECK(mls_net_digest(&b.net) == digest);
    train(&b, 5, 5, 4, SMALL_IMAGE, 10);
    T_CHECK(mls_net_digest(&b.net) == expected);
    T_EQ_INT(mls_net_save(&b.net, path_in("net"), note, 4), MLS_OK); /* over an old one */
    T_EQ_INT(mls_net_load(&a.net, path_in("net"), back, 4), MLS_OK);
    T_CHECK(mls_net_digest(&a.net) == expected);
    { /* the note of a file, without knowing what it is */
        void *bytes;
        char text[300];
        mls_checkpoint about;
        T_EQ_INT(mls_file_load(path_in("net"), &bytes, &size, text, sizeof text), MLS_OK);
        T_EQ_INT(mls_checkpoint_look(bytes, size, &about, NULL, 0), MLS_OK);
        T_CHECK(about.note_size == 4 && memcmp(about.note, note, 4) == 0);
        mls_file_free(bytes);
        T_EQ_INT(mls_file_load(path_in("nothing"), &bytes, &size, text, sizeof text), MLS_ERROR_IO);
        T_CHECK(bytes == NULL && strstr(text, "nothing") && strchr(text, ':'));
        mls_file_free(NULL);
    }
    { /* a path so long that it would push the reason out of the text */
        char path[700];
        snprintf(path, sizeof path, "%s", folder);
        while (strlen(path) < 400) strcat(path, "/.");
        strcat(path, "/net");
        T_EQ_INT(mls_net_load(&a.net, path, back, 3), MLS_ERROR_DATA);
        T_CHECK(strstr(a.net.text, "bytes 4 there, 3 here") && strstr(a.net.text, "/net: "));
    }
    /* a missing file, a missing folder, a folder in place of the file */
    T_EQ_INT(mls_net_load(&a.net, path_in("nothing"), back, 4), MLS_ERROR_IO);
    T_CHECK(strstr(a.net.text, "nothing") != NULL && a.net.status == MLS_ERROR_IO);
    T_EQ_INT(mls_net_save(&a.net, path_in("no/net"), note, 4), MLS_ERROR_IO);
    T_CHECK(strstr(a.net.text, "no/net") != NULL);
    mkdir(path_in("taken"), 0777);
    T_EQ_INT(mls_net_save(&a.net, path_in("taken"), note, 4), MLS_ERROR_IO);
    T_CHECK(!file_exists("taken.tmp"));
    T_CHECK(mls_net_load(&a.net, path_in("taken"), back, 4) != MLS_OK);
    rmdir(path_in("taken"));
    /* damaged files: the text has the name and the reason */
    size = mls_net_checkpoint_size(&a.net, 4);
    T_EQ_INT(mls_net_checkpoint_write(&a.net, note, 4, checkpoint, size), MLS_OK);
    checkpoint[size / 2] ^= 16;
    if (!file_write("net", checkpoint, size)) return;
    T_EQ_INT(mls_net_load(&a.net, path_in("net"), back, 4), MLS_ERROR_DATA);
    T_CHECK(strstr(a.net.text, "checksum") != NULL && strstr(a.net.text, "net") != NULL);
    file_write("net", checkpoint, size / 2);
    T_EQ_INT(mls_net_load(&a.net, path_in("net"), back, 4), MLS_ERROR_DATA);
    T_CHECK(strstr(a.net.text, "truncated") != NULL);
    file_write("net", checkpoint, 0);
    T_EQ_INT(mls_net_load(&a.net, path_in("net"), back, 4), MLS_ERROR_DATA);
    T_EQ_INT(mls_net_load(&a.net, path_in("net"), back, 3), MLS_ERROR_DATA);
    T_CHECK(mls_net_digest(&a.net) == expected);
    /* what must not be saved leaves the old file alone */
    T_EQ_INT(mls_net_save(&a.net, path_in("net"), note, 4), MLS_OK);
    make_images(4, SMALL_IMAGE, 10, 1);
    T_EQ_INT(mls_net_gradient(&b.net, some_images, some_labels, 4, NULL), MLS_OK);
    T_EQ_INT(mls_net_save(&b.net, path_in("net"), note, 4), MLS_ERROR_STATE);
    T_CHECK(!file_exists("net.tmp"));
    T_EQ_INT(mls_net_load(&b.net, path_in("net"), back, 4), MLS_OK);
    T_CHECK(mls_net_digest(&b.net) == expected);
    T_EQ_INT(mls_net_save(&a.net, NULL, note, 4), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_load(&a.net, NULL, back, 4), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_save(NULL, path_in("net"), note, 4), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_load(NULL, path_in("net"), back, 4), MLS_ERROR_ARGUMENT);
    mls_net_begin(&b.net, &desc, b.nodes, 64);
    T_EQ_INT(mls_net_load(&b.net, path_in("net"), back, 4), MLS_ERROR_STATE);
    T_EQ_INT(mls_net_save(&b.net, path_in("net"), back, 4), MLS_ERROR_STATE);
    remove(path_in("net"));
    rmdir(folder);
    T_EQ_INT(live_blocks, 0);
    rig_free(&a), rig_free(&b);
}

/* Over a file that somebody has open, which Windows refuses: the old one is whole then, and later it
   is replaced. */
static void save_over_an_open_file(void)
{
    mls_net_desc desc = desc_low(4);
    mls_status status;
    uint64_t digest, later;
    FILE *open;
    rig r;
    folder_make();
    if (!rig_make(&r, &desc, small_net)) return;
    train(&r, 0, 1, 4, SMALL_IMAGE, 10);
    digest = mls_net_digest(&r.net);
    T_EQ_INT(mls_net_save(&r.net, path_in("net"), NULL, 0), MLS_OK);
    train(&r, 1, 1, 4, SMALL_IMAGE, 10);
    later = mls_net_digest(&r.net);
    open = fopen(path_in("net"), "rb");
    T_REQUIRE(open);
    status = mls_net_save(&r.net, path_in("net"), NULL, 0);
    T_EQ_INT(status, WINDOWS ? MLS_ERROR_IO : MLS_OK);
    T_CHECK(status == MLS_OK || (strstr(r.net.text, "net: ") && !file_exists("net.tmp")));
    fclose(open);
    T_EQ_INT(mls_net_load(&r.net, path_in("net"), NULL, 0), MLS_OK);
    T_CHECK(mls_net_digest(&r.net) == (WINDOWS ? digest : later));
    for (int i = 0; i < 3; i++) {
        T_EQ_INT(mls_net_save(&r.net, path_in("net"), NULL, 0), MLS_OK);
    }
    remove(path_in("net"));
    rmdir(folder);
    rig_free(&r);
}

/* Any bytes, none included, and a text for what goes wrong. */
static void files_saved_and_loaded(void)
{
    static uint8_t bytes[100000];
    char text[300];
    void *back;
    size_t size;
    folder_make();
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * 7 + i / 256);
    for (size_t n = sizeof bytes; n < sizeof bytes + 1; n = n ? n / 10 : sizeof bytes + 1) {
        T_EQ_INT(mls_file_save(path_in("file"), bytes, n, text, sizeof text), MLS_OK);
        T_CHECK(!text[0] && !file_exists("file.tmp"));
        T_EQ_INT(mls_file_load(path_in("file"), &back, &size, text, sizeof text), MLS_OK);
        T_EQ_INT(size, n);
        T_EQ_MEM(back, bytes, n);
        mls_file_free(back);
    }
    T_EQ_INT(mls_file_save(path_in("no/file"), bytes, 3, text, sizeof text), MLS_ERROR_IO);
    T_CHECK(strstr(text, "cannot write: ") && strstr(text, "no/file: "));
    T_EQ_INT(mls_file_save(path_in("no/file"), bytes, 3, NULL, 0), MLS_ERROR_IO);
    T_EQ_INT(mls_file_save(NULL, bytes, 3, text, sizeof text), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_file_save(path_in("file"), NULL, 3, text, sizeof text), MLS_ERROR_ARGUMENT);
    remove(path_in("file"));
    rmdir(folder);
    T_EQ_INT(live_blocks, 0);
}

#if !WINDOWS
/* The disk is full in the middle of a save: the old checkpoint is whole. */
static void save_fails(void)
{
    mls_net_desc desc = desc_low(4);
    struct rlimit all, few;
    mls_status status;
    uint64_t digest;
    rig r;
    folder_make();
    if (!rig_make(&r, &desc, small_net)) return;
    train(&r, 0, 1, 4, SMALL_IMAGE, 10);
    digest = mls_net_digest(&r.net);
    T_EQ_INT(mls_net_save(&r.net, path_in("net"), NULL, 0), MLS_OK);
    train(&r, 1, 1, 4, SMALL_IMAGE, 10);
    T_REQUIRE(getrlimit(RLIMIT_FSIZE, &all) == 0);
    few = all, few.rlim_cur = 1000;
    signal(SIGXFSZ, SIG_IGN);
    T_REQUIRE(setrlimit(RLIMIT_FSIZE, &few) == 0);
    status = mls_net_save(&r.net, path_in("net"), NULL, 0);
    T_EQ_INT(setrlimit(RLIMIT_FSIZE, &all), 0);
    signal(SIGXFSZ, SIG_DFL);
    if (status != MLS_OK) {
        T_EQ_INT(status, MLS_ERROR_IO);
        T_CHECK(!file_exists("net.tmp"));
        T_EQ_INT(mls_net_load(&r.net, path_in("net"), NULL, 0), MLS_OK);
        T_CHECK(mls_net_digest(&r.net) == digest);
    }
    remove(path_in("net"));
    rmdir(folder);
    rig_free(&r);
    if (status == MLS_OK) T_SKIP("files have no largest size here");
}
#endif

enum {
    PICTURES = 10000,
    RECORD = 3073,
    CIFAR_FILE = PICTURES * RECORD
};

static uint8_t cifar_byte(int file, int picture, int at)
{
    return (uint8_t)(file * 41 + picture * 7 + at * 3 + at / 1024 * 50);
}

static void cifar_write(const char *name, int file, size_t size, int bad_at)
{
    static uint8_t bytes[CIFAR_FILE + 1];
    for (int n = 0; n < PICTURES; n++) {
        uint8_t *record = bytes + (size_t)n * RECORD;
        record[0] = (uint8_t)((n + file) % 10);
        if (n == bad_at) record[0] = 10;
        for (int i = 0; i < 3072; i++) record[1 + i] = cifar_byte(file, n, i);
    }
    bytes[CIFAR_FILE] = 0;
    file_write(name, bytes, size);
}

static void check_cifar(const mls_data *data, int files)
{
    T_EQ_INT(data->count, files * PICTURES);
    T_CHECK(data->h == 32 && data->w == 32 && data->c == 3 && data->classes == 10);
    T_CHECK(strcmp(data->names[0], "airplane") == 0 && strcmp(data->names[9], "truck") == 0);
    T_REQUIRE(data->count == files * PICTURES);
    for (int at = 0; at < data->count; at += 997) {
        int file = at / PICTURES % 2, n = at % PICTURES, good = 1;
        T_EQ_INT(data->labels[at], (n + file) % 10);
        for (int i = 0; i < 1024; i++) {
            for (int ch = 0; ch < 3; ch++) { /* planes in the file, channels last in memory */
                good &= data->pixels[(size_t)at * 3072 + (size_t)(i * 3 + ch)] ==
                        cifar_byte(file, n, ch * 1024 + i);
            }
        }
        t_note("picture %d", at);
        T_CHECK(good);
    }
}

static void cifar_files(void)
{
    mls_data data;
    char text[300];
    folder_make();
    T_EQ_INT(mls_data_cifar10(&data, path_in("nowhere"), 1, text, sizeof text), MLS_ERROR_IO);
    T_CHECK(strstr(text, "nowhere/test_batch.bin: No such file") && data.pixels == NULL);
    cifar_write("test_batch.bin", 0, CIFAR_FILE, -1);
    T_EQ_INT(mls_data_cifar10(&data, folder, 1, text, sizeof text), MLS_OK);
    check_cifar(&data, 1);
    mls_data_free(&data);
    T_CHECK(data.pixels == NULL && data.labels == NULL);
    cifar_write("test_batch.bin", 0, CIFAR_FILE - 1, -1);
    T_EQ_INT(mls_data_cifar10(&data, folder, 1, text, sizeof text), MLS_ERROR_DATA);
    T_CHECK(strstr(text, "test_batch.bin") && strstr(text, "30730000 bytes"));
    T_CHECK(data.pixels == NULL);
    cifar_write("test_batch.bin", 0, CIFAR_FILE + 1, -1);
    T_EQ_INT(mls_data_cifar10(&data, folder, 1, text, sizeof text), MLS_ERROR_DATA);
    cifar_write("test_batch.bin", 0, 0, -1);
    T_EQ_INT(mls_data_cifar10(&data, folder, 1, NULL, 0), MLS_ERROR_DATA);
    cifar_write("test_batch.bin", 0, CIFAR_FILE, PICTURES - 1);
    T_EQ_INT(mls_data_cifar10(&data, folder, 1, text, sizeof text), MLS_ERROR_DATA);
    T_CHECK(data.pixels == NULL && data.labels == NULL && strstr(text, "label is over 9"));
    T_EQ_INT(mls_data_cifar10(NULL, folder, 1, text, sizeof text), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_data_cifar10(&data, NULL, 1, text, sizeof text), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_data_cifar10(&data, folder, 2, text, sizeof text), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_data_cifar10(&data, folder, -1, text, sizeof text), MLS_ERROR_ARGUMENT);
    remove(path_in("test_batch.bin"));
    cifar_write("data_batch_1.bin", 0, CIFAR_FILE, -1);
    cifar_write("data_batch_2.bin", 1, CIFAR_FILE, -1);
    T_CHECK(file_link(path_in("data_batch_1.bin"), path_in("data_batch_3.bin")) == 0);
    T_CHECK(file_link(path_in("data_batch_2.bin"), path_in("data_batch_4.bin")) == 0);
    T_EQ_INT(mls_data_cifar10(&data, folder, 0, text, sizeof text), MLS_ERROR_IO);
    T_CHECK(strstr(text, "data_batch_5.bin") != NULL); /* the one that is missing */
    T_CHECK(file_link(path_in("data_batch_1.bin"), path_in("data_batch_5.bin")) == 0);
    T_EQ_INT(mls_data_cifar10(&data, folder, 0, text, sizeof text), MLS_OK);
    check_cifar(&data, 5);
    mls_data_free(&data);
    for (int i = 1; i <= 5; i++) {
        char name[40];
        snprintf(name, sizeof name, "data_batch_%d.bin", i);
        remove(path_in(name));
    }
    rmdir(folder);
    T_EQ_INT(live_blocks, 0);
}

/* Every allocation fails once: a clear status, nothing lost, nothing kept. */
static void failing_allocations(void)
{
    mls_net_desc desc = desc_fp32(2);
    unsigned char note[4] = {9, 9, 9, 9};
    mls_data data;
    char text[300];
    rig r;
    tree_make();
    cifar_write("test_batch.bin", 0, CIFAR_FILE, -1);
    if (!rig_make(&r, &desc, tiny_net)) return;
    T_EQ_INT(mls_net_save(&r.net, path_in("net"), note, 4), MLS_OK);
    train(&r, 0, 1, 2, 16, 2);
    for (int what = 0; what < 4; what++) {
        for (int n = 1; n < 200; n++) {
            uint64_t digest = mls_net_digest(&r.net);
            mls_status status = MLS_OK;
            memset(&data, 0, sizeof data);
            text[0] = 0;
            allocations = failures = 0, fail_at = n;
            t_note("operation %d, allocation %d", what, n);
            if (what == 0) status = mls_net_save(&r.net, path_in("other"), note, 4);
            if (what == 1) status = mls_net_load(&r.net, path_in("net"), note, 4);
            if (what == 2) status = mls_data_cifar10(&data, folder, 1, text, sizeof text);
            if (what == 3) {
                status = mls_data_folder(&data, path_in("tree"), 0, 0, decode_text, &decodes, text,
                                         sizeof text);
            }
            fail_at = 0;
            if (failures && status != MLS_OK) {
                T_EQ_INT(status, MLS_ERROR_MEMORY);
                T_EQ_INT(live_blocks, 0);
                T_CHECK(what < 2 ? r.net.text[0] != 0 : text[0] != 0);
                T_CHECK(mls_net_digest(&r.net) == digest && data.pixels == NULL);
                T_CHECK(!file_exists("other.tmp") && !file_exists("other"));
                continue;
            }
            T_EQ_INT(status, MLS_OK); /* without a failure, or with one that does not matter */
            if (what == 2) check_cifar(&data, 1);
            if (what == 3) T_EQ_INT(data.count, 6);
            mls_data_free(&data);
            T_EQ_INT(live_blocks, 0);
            remove(path_in("other"));
            if (!failures) {
                T_CHECK(n > 1); /* it did allocate */
                break;
            }
        }
    }
    remove(path_in("test_batch.bin"));
    remove(path_in("net"));
    tree_remove();
    rig_free(&r);
}

#if WINDOWS
#define SAVE_FAILS
#else
#define SAVE_FAILS T_TEST(save_fails),
#endif
#define FILES_TESTS                                                                        \
    T_TEST(save_and_load), T_TEST(save_over_an_open_file), T_TEST(files_saved_and_loaded), \
        SAVE_FAILS T_TEST(cifar_files), T_TEST(failing_allocations),
#else
#define FILES_TESTS
#endif /* FILES */
