/* CIFAR-10's files: missing, of any size and content, a folder, or of the right size with any label
   anywhere. An allocation may fail. What is read gives batches. */
#define _POSIX_C_SOURCE 200809L
#include <stddef.h>

static void *give(size_t size);
static void take(void *p);
#define MLS_MALLOC(size) give(size)
#define MLS_FREE(p)      take(p)
#define MLS_NO_SIMD
#define MLS_IMPLEMENTATION
#include "../../mls_train.h"
#include "fuzz.h"
#include "folder.h"

enum {
    FILES = 5,
    RECORD = 3073,
    PICTURES = 10000,
    KEPT = 4
};

/* The large blocks are kept: fresh ones of many megabytes are what takes time here. */
static struct kept {
    void *memory;
    size_t size;
    int used;
} kept[KEPT];
static int allocations_left;

static void *give(size_t size)
{
    struct kept *k = kept;
    if (allocations_left-- == 0) return NULL;
    if (size < 1 << 20) return malloc(size);
    while (k < kept + KEPT && k->memory && (k->used || k->size != size)) k++;
    CHECK(k < kept + KEPT);
    if (!k->memory) k->memory = malloc(size), k->size = size;
    k->used = 1;
    return k->memory;
}

static void take(void *p)
{
    for (struct kept *k = kept; k < kept + KEPT; k++) {
        if (k->memory != p) continue;
        k->used = 0;
        return;
    }
    free(p);
}

static void whole_label(uint32_t picture, uint8_t label)
{
    FILE *f = fopen(folder_path("whole"), "r+b");
    CHECK(f && fseek(f, (long)picture * RECORD, SEEK_SET) == 0 && putc(label, f) == label);
    CHECK(fclose(f) == 0);
}

static void batch(const mls_data *d, source *s)
{
    mls_augment a;
    float *images = (float *)block_new(3 * 3072 * sizeof *images, 0);
    int32_t labels[3];
    memset(&a, 0, sizeof a);
    a.crop = wild(s, 8), a.flip = between(s, 0, 1), a.shuffle = between(s, 0, 1);
    for (int i = 0; i < 4; i++) a.mean[i] = any_float(s), a.scale[i] = any_float(s);
    if (mls_data_batch(d, &a, word(s, 2), (int64_t)word(s, 8), (int64_t)word(s, 2), 3, images,
                       labels) == MLS_OK) {
        for (int i = 0; i < 3; i++) CHECK(labels[i] >= 0 && labels[i] < 10);
    }
    block_free(images, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    source s = {data, data + size};
    char name[32], *text;
    int part = between(&s, 0, 1), whole = 0;
    /* whole files take the time: few inputs may have one */
    int wholes = mls__hash_bytes(0, data, size) % 16 == 0;
    uint32_t picture = 0;
    size_t room = byte(&s) % 64;
    mls_data d;
    mls_status status;
    if (!folder[0]) {
        folder_make();
        folder_write("whole", NULL, 0);
        CHECK(truncate(folder_path("whole"), (off_t)PICTURES * RECORD) == 0);
    }
    allocations_left = (int)byte(&s) - 1; /* 0 bytes: never */
    for (int file = 1; file <= (part ? 1 : FILES); file++) {
        char to[sizeof folder + 300];
        int kind = between(&s, 0, 7);
        snprintf(name, sizeof name, part ? "test_batch.bin" : "data_batch_%d.bin", file);
        snprintf(to, sizeof to, "%s", folder_path(name));
        if (kind == 0) continue;
        if (kind == 1) {
            CHECK(mkdir(to, 0777) == 0);
        } else if (kind < 4 && wholes && !whole) {
            picture = (uint32_t)word(&s, 2) % PICTURES;
            whole_label(picture, (uint8_t)byte(&s));
            CHECK(symlink(folder_path("whole"), to) == 0);
            whole = 1;
        } else {
            size_t some = byte(&s) * 16;
            if (some > (size_t)(s.end - s.at)) some = (size_t)(s.end - s.at);
            folder_write(name, s.at, some);
            s.at += some;
        }
    }
    text = (char *)block_new(room, 0);
    status = mls_data_cifar10(&d, folder, part, text, room);
    if (status == MLS_OK) {
        CHECK(d.count == PICTURES && d.h == 32 && d.w == 32 && d.c == 3 && d.classes == 10);
        batch(&d, &s);
    } else {
        CHECK(!d.pixels && !d.labels);
    }
    mls_data_free(&d);
    for (size_t i = 0; i < KEPT; i++) CHECK(!kept[i].used);
    block_free(text, 0);
    if (whole) whole_label(picture, 0);
    for (int file = 0; file <= FILES; file++) {
        snprintf(name, sizeof name, file ? "data_batch_%d.bin" : "test_batch.bin", file);
        remove(folder_path(name));
    }
    return 0;
}
