/* Decoding of picture files, with a stand-in for stb_image that decodes whatever it gets: what is
   refused here is refused whatever stb_image says. From the repository's root. */
#define _POSIX_C_SOURCE 200809L
#include <stddef.h>
#include "t.h"

typedef unsigned char stbi_uc;
static struct {
    int w, h, calls;
    const char *reason; /* null: it decodes */
} stand_in;

static stbi_uc *stbi_load_from_memory(const stbi_uc *bytes, int size, int *w, int *h, int *had,
                                      int channels)
{
    size_t room = (size_t)stand_in.w * (size_t)stand_in.h * (size_t)channels;
    stbi_uc *pixels = stand_in.reason ? NULL : (stbi_uc *)malloc(room);
    (void)bytes, (void)size;
    stand_in.calls++;
    if (pixels) memset(pixels, 128, room);
    *w = stand_in.w, *h = stand_in.h, *had = channels;
    return pixels;
}

static const char *stbi_failure_reason(void)
{
    return stand_in.reason;
}

static void stbi_image_free(void *pixels)
{
    free(pixels);
}

#define STBI_INCLUDE_STB_IMAGE_H
#include "examples/pictures.h"

static const char *const forms[] = {
    "tests/pictures/forms/grey.jpg",        "tests/pictures/forms/restarts.jpg",
    "tests/pictures/forms/scans.jpg",       "tests/pictures/train/dark/1.jpg",
    "tests/pictures/forms/progressive.jpg", "tests/pictures/forms/refined.jpg",
    "tests/pictures/forms/interlaced.png",  "tests/pictures/forms/palette.png",
    "tests/pictures/other-size.png",        "tests/pictures/train/dark/0.png"};
enum {
    FORMS = sizeof forms / sizeof forms[0],
    PROGRESSIVE = 4, /* the first of these, */
    PNG = 6          /* and of the PNG files */
};

typedef struct bytes {
    uint8_t *at;
    size_t size;
} bytes;

static bytes read_form(int i)
{
    bytes b;
    b.at = read_file(forms[i], &b.size);
    t_note("%s", forms[i]);
    if (!b.at) {
        t_fail(__FILE__, __LINE__, "cannot read %s", forms[i]);
        exit(1);
    }
    return b;
}

/* Why bytes are refused, in a block that ends where they do; null: they are not. */
static const char *fault_of(const uint8_t *from, size_t size)
{
    uint8_t *exact = (uint8_t *)t_alloc(size);
    const char *fault;
    memcpy(exact, from, size);
    fault = walk_file(exact, size).fault;
    t_free(exact);
    return fault;
}

static void whole_pictures_pass(void)
{
    for (int i = 0; i < FORMS; i++) {
        bytes b = read_form(i);
        picture_file p = walk_file(b.at, b.size);
        const int own = strstr(forms[i], "forms") != NULL,
                  other = strstr(forms[i], "other") != NULL;
        T_CHECK(!p.fault);
        T_CHECK(own ? p.w == 45 && p.h == 37 : other ? p.w > 0 && p.h > 0 : p.w == 32 && p.h == 32);
        free(b.at);
    }
}

static void what_follows_the_end_does_not_count(void)
{
    for (int i = 0; i < FORMS; i++) {
        bytes b = read_form(i);
        uint8_t *more = (uint8_t *)calloc(b.size + 100, 1);
        memcpy(more, b.at, b.size);
        T_CHECK(!fault_of(more, b.size + 100));
        free(more), free(b.at);
    }
}

static void every_beginning_is_refused(void)
{
    for (int i = 0; i < FORMS; i++) {
        bytes b = read_form(i);
        for (size_t size = 0; size < b.size; size++) {
            t_note("%s, %d of %d bytes", forms[i], (int)size, (int)b.size);
            T_CHECK(fault_of(b.at, size));
        }
        T_CHECK(strstr(fault_of(b.at, b.size / 2), "ends early") != NULL);
        free(b.at);
    }
}

/* As a download leaves it that reserved the space first. */
static void beginnings_with_zeros_behind_are_refused(void)
{
    for (int i = 0; i < FORMS; i++) {
        bytes b = read_form(i);
        uint8_t *zeros = (uint8_t *)calloc(b.size, 1);
        for (size_t size = 0; size + 2 < b.size; size++) {
            memcpy(zeros, b.at, size);
            t_note("%s, %d of %d bytes", forms[i], (int)size, (int)b.size);
            T_CHECK(fault_of(zeros, b.size));
        }
        free(zeros), free(b.at);
    }
}

/* The beginning of a JPEG, and its end marker. Only between two scans of a progressive one is that a
   picture, a coarser one. */
static void pictures_that_are_cut_inside_are_refused(void)
{
    for (int i = 0; i < PNG; i++) {
        bytes b = read_form(i);
        for (size_t size = 2; size + 2 < b.size; size++) {
            const int between = i >= PROGRESSIVE && (b.at[size] == 0xff || b.at[size - 1] == 0xff);
            uint8_t kept[2];
            memcpy(kept, b.at + size, 2);
            b.at[size] = 0xff, b.at[size + 1] = 0xd9;
            t_note("%s, %d of %d bytes", forms[i], (int)size, (int)b.size);
            T_CHECK(between || fault_of(b.at, size + 2));
            memcpy(b.at + size, kept, 2);
        }
        free(b.at);
    }
}

/* Without its last bytes a scan ends before the last pixel, and so does the picture; with bytes of
   its own behind them, nobody knows where they are from. */
static void scans_have_the_data_of_their_pixels(void)
{
    for (int i = 0; i < PNG; i++) {
        bytes b = read_form(i);
        uint8_t *more = (uint8_t *)calloc(b.size + 20, 1);
        const size_t end = b.size - 2;
        const char *fault;
        memcpy(more, b.at, end - 3);
        more[end - 3] = 0xff, more[end - 2] = 0xd9;
        fault = fault_of(more, end - 1);
        T_CHECK(fault && strstr(fault, "ends before"));
        memcpy(more, b.at, end);
        more[end + 18] = 0xff, more[end + 19] = 0xd9; /* zeros are a habit of some cameras */
        T_CHECK(!fault_of(more, end + 20));
        memset(more + end, 0x55, 18);
        fault = fault_of(more, end + 20);
        T_CHECK(fault && strstr(fault, "between"));
        free(more), free(b.at);
    }
}

/* A hole in the middle is seen unless the codes behind it happen to fill the rest of the picture. */
static void most_holes_are_seen(void)
{
    int holes = 0, seen = 0;
    for (int i = 0; i < PNG; i++) {
        bytes b = read_form(i);
        uint8_t *hole = (uint8_t *)malloc(b.size);
        for (size_t at = b.size / 3; at < b.size / 2; at++) {
            memcpy(hole, b.at, b.size);
            memset(hole + at, 0, b.size / 3);
            holes++, seen += fault_of(hole, b.size) != NULL;
        }
        free(hole), free(b.at);
    }
    t_note("%d of %d", seen, holes);
    T_CHECK(seen * 10 > holes * 9);
}

static void a_lost_part_between_restart_markers_is_refused(void)
{
    bytes b = read_form(1);
    const char *fault;
    size_t from = 0, to = 0;
    for (size_t at = 0; at + 1 < b.size; at++) {
        if (b.at[at] == 0xff && b.at[at + 1] == 0xd0) from = at;
        if (b.at[at] == 0xff && b.at[at + 1] == 0xd1 && !to) to = at;
    }
    T_REQUIRE(from && to > from);
    memmove(b.at + from, b.at + to, b.size - to);
    fault = fault_of(b.at, b.size - (to - from));
    T_CHECK(fault && strstr(fault, "between two markers"));
    free(b.at);
}

static void tables_of_codes_must_be_there_and_right(void)
{
    bytes b = read_form(0);
    size_t table = 2;
    const char *fault;
    while (b.at[table] != 0xff || b.at[table + 1] != 0xc4) table++;
    b.at[table + 1] = 0xef; /* a remark */
    fault = fault_of(b.at, b.size);
    T_CHECK(fault && strstr(fault, "code that means nothing"));
    b.at[table + 1] = 0xc4;
    b.at[table + 5] += 3, b.at[table + 7] -= 3; /* three codes of one bit */
    fault = fault_of(b.at, b.size);
    T_CHECK(fault && strstr(fault, "table of codes"));
    free(b.at);
}

static void every_changed_byte_of_a_png_is_refused(void)
{
    for (int i = PNG; i < FORMS; i++) {
        bytes b = read_form(i);
        for (size_t at = 0; at < b.size; at++) {
            t_note("%s, byte %d", forms[i], (int)at);
            b.at[at] ^= 1;
            T_CHECK(fault_of(b.at, b.size));
            b.at[at] ^= 1;
        }
        free(b.at);
    }
}

/* Any bytes in any places: refused or not, but never read behind the end (sanitizers). */
static void damaged_pictures_are_walked_safely(void)
{
    uint64_t rng = 5;
    int refused = 0;
    for (int i = 0; i < PNG; i++) {
        bytes b = read_form(i);
        uint8_t *copy = (uint8_t *)malloc(b.size);
        for (int round = 0; round < 3000; round++) {
            memcpy(copy, b.at, b.size);
            for (int k = 0; k <= round % 4; k++) {
                copy[t_below(&rng, (int)b.size)] = (uint8_t)t_below(&rng, 256);
            }
            refused += fault_of(copy, b.size) != NULL;
        }
        free(copy), free(b.at);
    }
    T_CHECK(refused > 1000);
}

static char path[200], text[300];

static void write_picture(const uint8_t *from, size_t size)
{
    FILE *f;
    const char *where = getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/mls-picture-%d", where ? where : "/tmp", (int)getpid());
    f = fopen(path, "wb");
    if (!f || (size && fwrite(from, 1, size, f) != size) || fclose(f) != 0) {
        perror(path);
        exit(1);
    }
}

static int decode_at(const char *at, picture_fit fit, int32_t h, int32_t w, int32_t c,
                     uint8_t *pixels)
{
    text[0] = 0;
    return decode_picture(&fit, at, &h, &w, c, pixels, text, sizeof text);
}

static void other_kinds_of_files_are_named(void)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *text;
    } other[] = {{"GIF89a....", 10, "GIF"},
                 {"BM........", 10, "BMP"},
                 {"RIFF\4\0\0\0WEBPVP8 ", 16, "WebP"},
                 {"II*\0......", 10, "TIFF"},
                 {"MM\0*......", 10, "TIFF"},
                 {"\0\0\0\x20"
                  "ftypavif....",
                  16, "AVIF"},
                 {"\0\0\0\x20"
                  "ftypheic....",
                  16, "HEIF"},
                 {"<!DOCTYPE html>", 15, "web page"},
                 {"version https://git-lfs.github.com/spec/v1", 42, "Git LFS"},
                 {"", 0, "empty"},
                 {"hello", 5, "neither JPEG nor PNG"}};
    uint8_t pixels[3];
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++) {
        write_picture((const uint8_t *)other[i].bytes, other[i].size);
        T_CHECK(decode_at(path, PICTURE_STRETCH, 1, 1, 3, pixels) != 0);
        t_note("%s: %s", other[i].text, text);
        T_CHECK(strstr(text, other[i].text) != NULL);
    }
    remove(path);
}

/* The numbers are those of the picture, not what stb_image makes of it. */
static void too_large_pictures_are_refused_by_their_size(void)
{
    uint8_t pixels[3];
    for (int i = 0; i < FORMS; i += PNG) { /* a JPEG and a PNG */
        bytes b = read_form(i);
        size_t frame = 2;
        while (i == 0 && (b.at[frame] != 0xff || b.at[frame + 1] != 0xc0)) frame++;
        if (i == 0) {
            b.at[frame + 5] = 9000 >> 8, b.at[frame + 6] = 9000 & 255;
        } else {
            uint32_t crc;
            b.at[22] = 9000 >> 8, b.at[23] = 9000 & 255;
            crc = png_crc(b.at + 12, 17);
            for (int k = 0; k < 4; k++) b.at[29 + k] = (uint8_t)(crc >> (24 - 8 * k));
        }
        write_picture(b.at, b.size);
        T_CHECK(decode_at(path, PICTURE_STRETCH, 1, 1, 3, pixels) != 0);
        t_note("%s: %s", forms[i], text);
        T_CHECK(strstr(text, "45x9000 pixels, over 8192") != NULL);
        free(b.at);
    }
    remove(path);
}

static void the_reason_is_of_the_right_decoder(void)
{
    static uint8_t pixels[45 * 37 * 3];
    stand_in.w = 45, stand_in.h = 37, stand_in.reason = "bad png sig";
    T_CHECK(decode_at(forms[0], PICTURE_EXACT, 37, 45, 3, pixels) != 0);
    T_CHECK(strstr(text, "cannot be decoded") && !strstr(text, "png"));
    stand_in.reason = "bad filter";
    T_CHECK(decode_at(forms[PNG], PICTURE_EXACT, 37, 45, 3, pixels) != 0);
    T_CHECK(strstr(text, "bad filter") != NULL);
    stand_in.reason = NULL;
}

static void sizes_and_files(void)
{
    static uint8_t pixels[45 * 37 * 3];
    picture_fit fit = PICTURE_EXACT;
    int32_t h = 0, w = 0;
    stand_in.w = 45, stand_in.h = 37, stand_in.calls = 0;
    T_EQ_INT(decode_picture(&fit, forms[0], &h, &w, 3, NULL, text, sizeof text), 0);
    T_CHECK(h == 37 && w == 45 && stand_in.calls == 0);
    T_EQ_INT(decode_at(forms[0], PICTURE_EXACT, 37, 45, 3, pixels), 0);
    T_CHECK(stand_in.calls == 1 && pixels[0] == 128 && pixels[sizeof pixels - 1] == 128);
    T_CHECK(decode_at(forms[0], PICTURE_EXACT, 32, 32, 3, pixels) != 0);
    T_CHECK(strstr(text, "45x37 pixels, not 32x32") != NULL);
    memset(pixels, 0, sizeof pixels);
    T_EQ_INT(decode_at(forms[0], PICTURE_STRETCH, 2, 2, 3, pixels), 0);
    T_CHECK(pixels[0] == 128 && pixels[11] == 128 && pixels[12] == 0);
    T_CHECK(decode_at(forms[0], PICTURE_EXACT, 37, 45, 1, pixels) != 0);
    T_CHECK(strstr(text, "three channels") != NULL);
    stand_in.w = 37, stand_in.h = 45; /* no room for that */
    T_CHECK(decode_at(forms[0], PICTURE_EXACT, 37, 45, 3, pixels) != 0);
    T_CHECK(strstr(text, "two sizes") != NULL);
    T_CHECK(decode_at("tests/pictures/none.jpg", PICTURE_EXACT, 37, 45, 3, pixels) != 0);
    T_CHECK(strstr(text, "No such file") != NULL);
    T_CHECK(decode_at("tests/pictures", PICTURE_EXACT, 37, 45, 3, pixels) != 0);
    T_CHECK(text[0] && !strstr(text, "Success"));
}

/* An APP1 segment's bytes: a list of two entries, the second the orientation. */
static size_t exif_bytes(uint8_t *to, bool little, uint32_t tag, uint32_t type, uint32_t value)
{
    const uint32_t fields[][2] = {{8, 4},   {2, 2},    {0x0100, 2}, {3, 2},     {1, 4},
                                  {7, 2},   {0, 2}, /* width 7 */
                                  {tag, 2}, {type, 2}, {1, 4},      {value, 2}, {0, 2}};
    size_t at = 10;
    memcpy(to, little ? "Exif\0\0II*\0" : "Exif\0\0MM\0*", 10);
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        const int count = (int)fields[i][1];
        for (int k = 0; k < count; k++) {
            to[at++] = (uint8_t)(fields[i][0] >> (little ? 8 * k : 8 * (count - 1 - k)));
        }
    }
    return at;
}

static int orientation_of(const uint8_t *from, size_t size)
{
    uint8_t *exact = (uint8_t *)t_alloc(size);
    int found;
    memcpy(exact, from, size);
    found = exif_orientation(exact, size);
    t_free(exact);
    return found;
}

static void orientations_are_read(void)
{
    uint8_t b[64];
    for (int little = 0; little < 2; little++) {
        for (uint32_t value = 0; value < 12; value++) {
            size_t size = exif_bytes(b, little, 0x0112, 3, value);
            t_note("%d in order %d", (int)value, little);
            T_EQ_INT(orientation_of(b, size), value <= 8 ? (int)value : 0);
            for (size_t cut = 0; cut < size; cut++) T_EQ_INT(orientation_of(b, cut), 0);
            b[14 + (little ? 1 : 0)] = 0xff; /* the list says that it goes on */
            T_EQ_INT(orientation_of(b, size), value <= 8 ? (int)value : 0);
            T_EQ_INT(orientation_of(b, exif_bytes(b, little, 0x0112, 4, value)), 0);
            T_EQ_INT(orientation_of(b, exif_bytes(b, little, 0x0113, 3, value)), 0);
            exif_bytes(b, little, 0x0112, 3, value);
            memset(b + 10, 0xff, 4); /* the list lies outside */
            T_EQ_INT(orientation_of(b, size), 0);
        }
        b[6] = 'X';
        T_EQ_INT(orientation_of(b, exif_bytes(b, little, 0x0112, 3, 6) - 1), 0);
    }
}

/* Where a picture of 2 x 3, 012 above 345, has its pixels once it stands. */
static void pictures_are_turned(void)
{
    static const char *const stands[] = {"012345", "012345", "210543", "543210", "345012",
                                         "031425", "304152", "524130", "251403"};
    for (size_t i = 0; i < 9; i++) {
        uint8_t from[18], to[18];
        for (int k = 0; k < 18; k++) from[k] = (uint8_t)k;
        turn_picture(from, 2, 3, turns[i], to);
        for (int k = 0; k < 18; k++) {
            T_EQ_INT(to[k], (stands[i][k / 3] - '0') * 3 + k % 3);
        }
    }
}

/* A segment before the frame, through the walk and the sizes that the decoder says. */
static void a_turned_picture_has_the_other_size(void)
{
    bytes b = read_form(0);
    uint8_t segment[64], *with = (uint8_t *)malloc(b.size + 64), pixels[45 * 37 * 3];
    const size_t size = exif_bytes(segment, true, 0x0112, 3, 6);
    int32_t h = 0, w = 0;
    picture_fit fit = PICTURE_EXACT;
    memcpy(with, b.at, 2);
    with[2] = 0xff, with[3] = 0xe1, with[4] = 0, with[5] = (uint8_t)(size + 2);
    memcpy(with + 6, segment, size);
    memcpy(with + 6 + size, b.at + 2, b.size - 2);
    T_EQ_INT(walk_file(with, b.size + size + 4).orientation, 6);
    write_picture(with, b.size + size + 4);
    T_EQ_INT(decode_picture(&fit, path, &h, &w, 3, NULL, text, sizeof text), 0);
    T_CHECK(h == 45 && w == 37);
    stand_in.w = 45, stand_in.h = 37;
    T_EQ_INT(decode_at(path, PICTURE_EXACT, 45, 37, 3, pixels), 0);
    T_CHECK(decode_at(path, PICTURE_EXACT, 37, 45, 3, pixels) != 0);
    T_CHECK(strstr(text, "37x45 pixels, not 45x37") != NULL);
    remove(path);
    free(with), free(b.at);
}

static void alpha_lies_on_white(void)
{
    uint8_t p[] = {10, 20, 30, 255, 10, 20, 30, 0, 0, 100, 255, 128};
    static const uint8_t want[] = {10, 20, 30, 255, 255, 255, 127, 177, 255};
    blend_on_white(p, 3);
    T_EQ_MEM(p, want, sizeof want);
}

/* A picture of so many pixels whose first channel counts columns and whose second counts rows. */
static void fits(int h, int w, int to_h, int to_w, picture_fit fit, const char *want)
{
    uint8_t from[200], to[200];
    char got[201] = "";
    picture_view f = {from, h, w, w}, t = {to, to_h, to_w, to_w};
    for (int i = 0; i < h * w; i++) {
        from[3 * i] = (uint8_t)(i % w), from[3 * i + 1] = (uint8_t)(i / w), from[3 * i + 2] = 0;
    }
    fit_picture(f, t, fit);
    for (int i = 0; i < to_h * to_w; i++) {
        const uint8_t *p = to + 3 * i;
        snprintf(got + 2 * i, 3, p[2] ? "--" : "%d%d", p[0], p[1]);
    }
    t_note("%s, not %s", got, want);
    T_CHECK(strcmp(got, want) == 0);
}

static void other_sizes_fit(void)
{
    fits(2, 2, 2, 2, PICTURE_LETTERBOX, "00100111");
    fits(2, 2, 4, 2, PICTURE_LETTERBOX, "----00100111----");
    fits(2, 2, 2, 4, PICTURE_LETTERBOX, "--0010----0111--");
    fits(2, 4, 2, 2, PICTURE_LETTERBOX, "1131----"); /* means, .5 rounds up */
    fits(2, 4, 2, 2, PICTURE_CROP, "10201121");
    fits(4, 2, 2, 2, PICTURE_CROP, "01110212");
    fits(2, 4, 2, 2, PICTURE_STRETCH, "10301131");
    fits(1, 2, 2, 4, PICTURE_STRETCH, "0000101000001010");
    fits(1, 9, 2, 2, PICTURE_LETTERBOX, "2060----"); /* a line at least, of whole pixels */
    fits(1, 9, 2, 2, PICTURE_CROP, "40404040");
}

T_MAIN(T_TEST(orientations_are_read), T_TEST(pictures_are_turned),
       T_TEST(a_turned_picture_has_the_other_size), T_TEST(alpha_lies_on_white),
       T_TEST(other_sizes_fit), T_TEST(whole_pictures_pass),
       T_TEST(what_follows_the_end_does_not_count), T_TEST(every_beginning_is_refused),
       T_TEST(beginnings_with_zeros_behind_are_refused),
       T_TEST(pictures_that_are_cut_inside_are_refused),
       T_TEST(scans_have_the_data_of_their_pixels), T_TEST(most_holes_are_seen),
       T_TEST(a_lost_part_between_restart_markers_is_refused),
       T_TEST(tables_of_codes_must_be_there_and_right),
       T_TEST(every_changed_byte_of_a_png_is_refused), T_TEST(damaged_pictures_are_walked_safely),
       T_TEST(other_kinds_of_files_are_named), T_TEST(too_large_pictures_are_refused_by_their_size),
       T_TEST(the_reason_is_of_the_right_decoder), T_TEST(sizes_and_files))
