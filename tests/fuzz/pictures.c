/* Folders of pictures through the examples' decoder: two files of any bytes, in one class or two. */
#define _POSIX_C_SOURCE 200809L
#include <stddef.h>
#define MLS_NO_SIMD
#define MLS_IMPLEMENTATION
#include "../../mls_train.h"
#include "../../examples/pictures.h"
#include "fuzz.h"
#include "folder.h"

enum {
    MOST_PIXELS = 1 << 14 /* larger ones decode just the same, for longer */
};

static struct {
    picture_fit fit; /* the decoder's */
    int bad, others;
} heard;

static void hear(void *user, mls_left_out reason, const char *path, const char *text)
{
    CHECK(user == &heard && strncmp(path, folder, strlen(folder)) == 0 && text[0]);
    if (reason == MLS_LEFT_OUT_BAD) heard.bad++;
    if (reason != MLS_LEFT_OUT_BAD) heard.others++;
}

/* No input would find the checksums of a PNG by chance. */
static void repair_png(uint8_t *bytes, size_t size)
{
    size_t at = sizeof png_signature;
    if (size < at || memcmp(bytes, png_signature, at) != 0) return;
    while (size - at >= 12) {
        size_t length = big_endian(bytes + at, 4);
        uint32_t crc;
        if (length > size - at - 12) return;
        crc = png_crc(bytes + at + 4, 4 + length);
        at += 12 + length;
        for (int i = 0; i < 4; i++) bytes[at - 1 - (size_t)i] = (uint8_t)(crc >> (8 * i));
    }
}

/* Writes a picture; 0: it is not worth the time. */
static int put(const char *name, const uint8_t *bytes, size_t size, int repair)
{
    uint8_t *copy = (uint8_t *)block_new(size, 0);
    picture_file p;
    int small;
    if (size) memcpy(copy, bytes, size);
    if (repair) repair_png(copy, size);
    p = walk_file(copy, size);
    small = p.fault || p.w <= MOST_PIXELS / p.h;
    if (small) folder_write(name, copy, size);
    block_free(copy, 0);
    return small;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const files[] = {"a/0.png", "b/1.JpG", "a/.hidden.png", "beside"};
    source s = {data, data + size};
    uint32_t what = byte(&s);
    int32_t h = what & 2 ? between(&s, 1, 40) : 0, w = what & 4 ? between(&s, 1, 40) : 0;
    const int two = what >> 3 & 1, skip = what >> 4 & 1, repair = what >> 5 & 1;
    size_t room = byte(&s), left, first;
    char *text;
    mls_data d;
    mls_folder_desc desc;
    mls_status status;
    if (!folder[0]) {
        folder_make();
        CHECK(mkdir(folder_path("a"), 0777) == 0 && mkdir(folder_path("b"), 0777) == 0);
        folder_write(files[2], (const uint8_t *)"no", 2), folder_write(files[3], NULL, 0);
    }
    first = word(&s, 2), left = (size_t)(s.end - s.at);
    if (!two || first > left) first = left;
    memset(&heard, 0, sizeof heard);
    memset(&desc, 0, sizeof desc);
    heard.fit = what & 1 ? (picture_fit)(what >> 6) : PICTURE_EXACT;
    desc.path = folder, desc.decode = decode_picture, desc.h = h, desc.w = w;
    desc.skip_bad = skip, desc.user = &heard, desc.left_out = hear;
    text = (char *)block_new(room, 0);
    if (put(files[0], s.at, first, repair) &&
        (!two || put(files[1], s.at + first, left - first, repair))) {
        status = mls_data_pictures(&d, &desc, text, room);
        CHECK(heard.others == (two ? 2 : 3) && (heard.bad != 0) == (status == MLS_ERROR_DATA));
        if (status == MLS_OK) {
            size_t bytes = (size_t)d.count * (size_t)d.h * (size_t)d.w * 3;
            CHECK(d.count == 1 + two && d.classes == d.count && d.c == 3);
            CHECK((!h || !w || (d.h == h && d.w == w)) && d.labels[d.count - 1] == d.count - 1);
            mls__hash_bytes(0, d.pixels, bytes); /* reads every byte */
        } else {
            CHECK(!d.pixels && !d.labels && (room < 2 || text[0]));
        }
        mls_data_free(&d);
    }
    block_free(text, 0);
    remove(folder_path(files[0])), remove(folder_path(files[1]));
    return 0;
}
