/* pictures.h - decodes JPEG and PNG files with stb_image, and refuses by name what it would only half
   decode. For folders of pictures: decode_picture is an mls_decoder.

   Where a file ends early, stb_image fills the rest of the picture with grey or zeros, and from 2.28
   on says nothing of it; the checksums of a PNG it never looks at. So a file is walked first, from
   its signature to its end, and in a JPEG through every code of every scan. What cannot be seen:
   damage in a JPEG whose codes can still be read.

   EXIF's orientation is applied, so that a picture stands as its photographer saw it; transparent
   pixels lie on white; grey becomes three equal channels.

   Needs stb_image.h (Debian: libstb-dev); a program may include its own before. */
#ifndef PICTURES_H_INCLUDED
#define PICTURES_H_INCLUDED

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fit.h"

enum {
    PICTURE_SIDE = 8192 /* pixels at most; stb_image needs 9 bytes for each of a large JPEG */
};

#ifndef STBI_INCLUDE_STB_IMAGE_H
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
#define STB_IMAGE_IMPLEMENTATION
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_NO_SIMD        /* the same pixels everywhere */
#define STBI_MAX_DIMENSIONS PICTURE_SIDE
/* Before 2.28 it reads tables that a broken file does not fill. A PNG may claim a part of 2 GiB. */
#define PICTURE_PART          ((size_t)3 << 27)
#define STBI_MALLOC(size)     ((size_t)(size) > PICTURE_PART ? NULL : calloc(1, size))
#define STBI_REALLOC(p, size) ((size_t)(size) > PICTURE_PART ? NULL : realloc(p, size))
#define STBI_FREE(p)          free(p)
#include <stb/stb_image.h>
#pragma GCC diagnostic pop
#endif

/* What the walk through a file finds. fault is null, or why the file is refused. */
typedef struct picture_file {
    int32_t h, w;    /* as the pixels lie in the file */
    int orientation; /* 1 .. 8 of EXIF; 0: it does not say */
    bool alpha;      /* there may be transparent pixels */
    const char *fault;
} picture_file;

static const char picture_ends[] = "ends early, a part of it is missing";
static const char picture_empty[] = "has no pixels";

static uint32_t big_endian(const uint8_t *bytes, int count)
{
    uint32_t value = 0;
    for (int i = 0; i < count; i++) value = value << 8 | bytes[i];
    return value;
}

/* ---- PNG ---- */

static const uint8_t png_signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};

static uint32_t png_crc(const uint8_t *bytes, size_t size)
{
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

/* A chunk is a length, a name, so many bytes, and the checksum of name and bytes. One whose name
   starts with a small letter is a remark, which need not be right. */
static void walk_png(picture_file *p, const uint8_t *bytes, size_t size)
{
    bool pixels = false;
    size_t at = sizeof png_signature;
    p->alpha = true;
    while (size - at >= 12) {
        const uint8_t *name = bytes + at + 4;
        size_t length = big_endian(bytes + at, 4);
        if (length > size - at - 12) break;
        at += 12 + length;
        if (name[0] & 32) continue;
        if (png_crc(name, 4 + length) != big_endian(name + 4 + length, 4)) {
            p->fault = "damaged, a checksum does not fit";
            return;
        }
        if (memcmp(name, "IHDR", 4) == 0 && length >= 8) {
            p->w = (int32_t)(big_endian(name + 4, 4) & INT32_MAX);
            p->h = (int32_t)(big_endian(name + 8, 4) & INT32_MAX);
        }
        if (memcmp(name, "IDAT", 4) == 0) pixels = true;
        if (memcmp(name, "IEND", 4) == 0) {
            if (!pixels || !p->h || !p->w) p->fault = picture_empty;
            return;
        }
    }
    p->fault = picture_ends;
}

/* ---- JPEG ---- */

/* How many codes have each length, and what they stand for, in their order (ITU-T T.81, annex C). */
typedef struct huffman {
    uint8_t count[17], symbol[256];
} huffman;

typedef struct component {
    int id, h, v;       /* blocks of it in an MCU */
    int32_t wide, high; /* blocks that have pixels */
    int32_t row;        /* blocks from one row to the next */
    uint64_t *nonzero;  /* progressive: of each block a bit for each coefficient */
    bool seen;          /* its DC coefficients were there */
} component;

typedef struct jpeg {
    picture_file *found;
    const uint8_t *at, *end;
    unsigned byte, bits; /* the byte before `at`, and how many bits of it are left */
    huffman table[2][4]; /* DC, AC */
    component part[4];
    int parts;
    int32_t wide, high; /* MCUs */
    uint64_t *nonzero;
    bool progressive;
    int32_t restart; /* MCUs from one restart marker to the next; 0: there are none */
    struct scan {
        component *part[4];
        const huffman *dc[4], *ac[4];
        int parts, first, last; /* coefficients */
        bool refines;           /* brings a further bit of coefficients that are known */
        int32_t skip;           /* blocks to come without a code */
    } scan;
} jpeg;

static bool jpeg_fault(jpeg *j, const char *fault)
{
    if (!j->found->fault) j->found->fault = fault;
    return false;
}

/* 0xff in a scan is followed by 0. With something else it is a marker, and the scan is over. */
static unsigned jpeg_bit(jpeg *j)
{
    if (j->bits == 0) {
        ptrdiff_t left = j->end - j->at;
        if (left < 1 || (left == 1 && j->at[0] == 0xff)) return jpeg_fault(j, picture_ends);
        if (j->at[0] == 0xff && j->at[1] != 0) {
            return jpeg_fault(j, "damaged, a scan ends before the last pixel");
        }
        j->byte = j->at[0], j->bits = 8;
        j->at += j->byte == 0xff ? 2 : 1;
    }
    return j->byte >> --j->bits & 1;
}

static int jpeg_bits(jpeg *j, int count)
{
    int value = 0;
    for (int i = 0; i < count; i++) value = value << 1 | (int)jpeg_bit(j);
    return value;
}

/* The codes of a length count up; the first one follows the last shorter one, with a 0 behind it. */
static int jpeg_symbol(jpeg *j, const huffman *h)
{
    int code = 0, first = 0, before = 0;
    for (int length = 1; length <= 16; length++) {
        code = code << 1 | (int)jpeg_bit(j);
        if (code - first < h->count[length]) return h->symbol[before + code - first];
        before += h->count[length];
        first = (first + h->count[length]) << 1;
    }
    return jpeg_fault(j, "damaged, a code that means nothing");
}

/* Each code is for a coefficient and the zeros before it, or ends the block; in a progressive scan
   it may end many. */
static void walk_coefficients(jpeg *j, const huffman *ac, int first, uint64_t *nonzero)
{
    for (int k = first; k <= j->scan.last && !j->found->fault; k++) {
        int symbol = jpeg_symbol(j, ac), run = symbol >> 4, size = symbol & 15;
        if (size == 0 && run < 15) {
            if (j->progressive) j->scan.skip = (1 << run) - 1 + jpeg_bits(j, run);
            return;
        }
        k += run;
        jpeg_bits(j, size);
        if (size && k > j->scan.last) jpeg_fault(j, "damaged, a block has too many codes");
        if (nonzero && size && k < 64) *nonzero |= (uint64_t)1 << k;
    }
}

/* A bit for each coefficient that is known; codes for the others (T.81, G.1.2.3). */
static void walk_refinement(jpeg *j, const huffman *ac, uint64_t *nonzero)
{
    int k = j->scan.first;
    while (k <= j->scan.last && !j->scan.skip && !j->found->fault) {
        int symbol = jpeg_symbol(j, ac), run = symbol >> 4, size = symbol & 15;
        if (size == 0 && run < 15) {
            j->scan.skip = (1 << run) + jpeg_bits(j, run);
            break;
        }
        jpeg_bits(j, size);
        for (; k <= j->scan.last && (*nonzero >> k & 1 || run > 0); k++) {
            if (*nonzero >> k & 1) {
                jpeg_bit(j);
            } else {
                run--;
            }
        }
        if (size && k > j->scan.last) jpeg_fault(j, "damaged, a block has too many codes");
        if (size && k < 64) *nonzero |= (uint64_t)1 << k;
        k++;
    }
    if (!j->scan.skip) return;
    for (j->scan.skip--; k <= j->scan.last; k++) {
        if (*nonzero >> k & 1) jpeg_bit(j);
    }
}

/* The block at y, x of the i-th component of a scan. */
static void walk_block(jpeg *j, int i, int32_t y, int32_t x)
{
    struct scan *s = &j->scan;
    uint64_t *nonzero = j->progressive ? s->part[i]->nonzero + y * s->part[i]->row + x : NULL;
    if (s->first == 0) {
        int size = s->refines ? 1 : jpeg_symbol(j, s->dc[i]);
        if (size > 15) size = jpeg_fault(j, "damaged, a number of over 15 bits");
        jpeg_bits(j, size);
        if (!j->progressive) walk_coefficients(j, s->ac[i], 1, NULL);
    } else if (s->refines) {
        walk_refinement(j, s->ac[i], nonzero);
    } else if (s->skip) {
        s->skip--;
    } else {
        walk_coefficients(j, s->ac[i], s->first, nonzero);
    }
}

/* The next marker; 0: there is none. Some encoders leave bytes before it, mostly zeros. */
static int next_marker(jpeg *j)
{
    for (int left = 0; j->end - j->at >= 2 && left <= 16; j->at++) {
        if (j->at[0] != 0xff || j->at[1] == 0) {
            left += j->at[0] != 0;
        } else if (j->at[1] != 0xff) {
            j->at += 2;
            return j->at[-1];
        }
    }
    return jpeg_fault(j,
                      j->end - j->at < 2 ? picture_ends : "damaged, something lies between parts");
}

/* A scan of one component has those of its blocks that have pixels, one of several has whole MCUs. */
static bool walk_scan(jpeg *j)
{
    struct scan *s = &j->scan;
    bool alone = s->parts == 1;
    int32_t wide = alone ? s->part[0]->wide : j->wide, high = alone ? s->part[0]->high : j->high;
    j->bits = 0;
    for (int32_t n = 0; n < wide * high && !j->found->fault; n++) {
        if (j->restart && n && n % j->restart == 0) {
            int marker = next_marker(j), want = 0xd0 + (n / j->restart - 1) % 8;
            if (marker != want) jpeg_fault(j, "damaged, a part between two markers is missing");
            j->bits = 0, s->skip = 0;
        }
        for (int i = 0; i < s->parts; i++) {
            int h = alone ? 1 : s->part[i]->h, v = alone ? 1 : s->part[i]->v;
            for (int block = 0; block < h * v; block++) {
                walk_block(j, i, n / wide * v + block / h, n % wide * h + block % h);
            }
        }
    }
    return !j->found->fault;
}

static bool read_tables(jpeg *j, const uint8_t *bytes, size_t size)
{
    while (size >= 17) {
        int class = bytes[0] >> 4, id = bytes[0] & 15, codes = 1;
        size_t symbols = 0;
        for (int length = 1; length <= 16; length++) {
            codes = codes * 2 - bytes[length]; /* that are free; below 0 for good */
            symbols += bytes[length];
        }
        if (class > 1 || id > 3 || codes < 0 || symbols > 256 || symbols > size - 17) break;
        memcpy(j->table[class][id].count, bytes, 17);
        memcpy(j->table[class][id].symbol, bytes + 17, symbols);
        bytes += 17 + symbols, size -= 17 + symbols;
    }
    return size == 0 || jpeg_fault(j, "damaged, a bad table of codes");
}

static bool read_frame(jpeg *j, const uint8_t *bytes, size_t size)
{
    int most_h = 1, most_v = 1;
    size_t blocks = 0;
    if (j->parts || size < 6 || size < 6 + (size_t)bytes[5] * 3) {
        return jpeg_fault(j, "damaged, a bad header");
    }
    j->found->h = (int32_t)big_endian(bytes + 1, 2),
    j->found->w = (int32_t)big_endian(bytes + 3, 2);
    if (j->found->h > PICTURE_SIDE || j->found->w > PICTURE_SIDE) return jpeg_fault(j, "too large");
    if (!j->found->h || !j->found->w) return jpeg_fault(j, picture_empty);
    if (bytes[0] != 8 || bytes[5] < 1 || bytes[5] > 4) {
        return jpeg_fault(j, "has not 8 bits a colour, or over 4 colours");
    }
    j->parts = bytes[5];
    for (int i = 0; i < j->parts; i++) {
        component *c = &j->part[i];
        c->id = bytes[6 + i * 3], c->h = bytes[7 + i * 3] >> 4, c->v = bytes[7 + i * 3] & 15;
        if (c->h < 1 || c->h > 4 || c->v < 1 || c->v > 4)
            return jpeg_fault(j, "damaged, a bad header");
        most_h = c->h > most_h ? c->h : most_h, most_v = c->v > most_v ? c->v : most_v;
    }
    j->wide = (j->found->w + 8 * most_h - 1) / (8 * most_h);
    j->high = (j->found->h + 8 * most_v - 1) / (8 * most_v);
    for (int i = 0; i < j->parts; i++) {
        component *c = &j->part[i];
        c->wide = (j->found->w * c->h + 8 * most_h - 1) / (8 * most_h);
        c->high = (j->found->h * c->v + 8 * most_v - 1) / (8 * most_v);
        c->row = j->wide * c->h;
        blocks += (size_t)c->row * (size_t)(j->high * c->v);
    }
    if (!j->progressive) return true;
    j->nonzero = calloc(blocks, sizeof *j->nonzero);
    if (!j->nonzero) return jpeg_fault(j, "no memory for it");
    for (int i = 0; i < j->parts; i++) {
        j->part[i].nonzero =
            i ? j->part[i - 1].nonzero + j->part[i - 1].row * j->high * j->part[i - 1].v
              : j->nonzero;
    }
    return true;
}

static bool read_scan(jpeg *j, const uint8_t *bytes, size_t size)
{
    struct scan *s = &j->scan;
    memset(s, 0, sizeof *s);
    s->parts = size ? bytes[0] : 0;
    if (s->parts < 1 || s->parts > 4 || size != 4 + 2 * (size_t)s->parts) {
        return jpeg_fault(j, "damaged, a bad scan");
    }
    for (int i = 0; i < s->parts; i++) {
        const uint8_t *b = bytes + 1 + 2 * i;
        for (int k = 0; k < j->parts; k++) {
            if (j->part[k].id == b[0]) s->part[i] = &j->part[k];
        }
        if (!s->part[i] || b[1] >> 4 > 3 || (b[1] & 15) > 3)
            return jpeg_fault(j, "damaged, a bad scan");
        s->dc[i] = &j->table[0][b[1] >> 4], s->ac[i] = &j->table[1][b[1] & 15];
    }
    s->last = 63;
    if (j->progressive) {
        const uint8_t *b = bytes + size - 3;
        s->first = b[0], s->last = b[1], s->refines = b[2] >> 4;
        if (s->first > s->last || s->last > 63 || (s->first == 0 && s->last > 0) ||
            (s->first > 0 && s->parts > 1)) {
            return jpeg_fault(j, "damaged, a bad scan");
        }
    }
    for (int i = 0; i < s->parts; i++) s->part[i]->seen |= s->first == 0;
    return true;
}

/* A number in the byte order of a TIFF header. */
static uint32_t tiff_number(const uint8_t *bytes, int count, bool little)
{
    uint32_t value = 0;
    for (int i = 0; i < count; i++) value = value << 8 | bytes[little ? count - 1 - i : i];
    return value;
}

/* The orientation in an APP1 segment: "Exif", a TIFF header, and in its first list an entry of 12
   bytes: tag, type, count, value. 0: it is not there, or cannot be read. */
static int exif_orientation(const uint8_t *bytes, size_t size)
{
    if (size < 14 || memcmp(bytes, "Exif\0", 6) != 0) return 0;
    bytes += 6, size -= 6;
    const bool little = bytes[0] == 'I';
    if (memcmp(bytes, little ? "II*" : "MM\0*", 4) != 0) return 0;
    size_t at = tiff_number(bytes + 4, 4, little);
    if (at > size - 2) return 0;
    size_t entries = tiff_number(bytes + at, 2, little);
    for (at += 2; entries && size - at >= 12; entries--, at += 12) {
        const uint8_t *entry = bytes + at;
        const uint32_t type = tiff_number(entry + 2, 2, little);
        const uint32_t value = tiff_number(entry + 8, 2, little);
        if (tiff_number(entry, 2, little) != 0x0112) continue;
        return type == 3 && value <= 8 ? (int)value : 0;
    }
    return 0;
}

/* A segment is a marker, the length of what follows, and that; a few are only a marker. */
static bool walk_segment(jpeg *j, int marker)
{
    if (marker == 0x01 || (marker >= 0xd0 && marker <= 0xd8)) return true;
    size_t left = (size_t)(j->end - j->at), size = left < 2 ? 0 : big_endian(j->at, 2);
    const uint8_t *bytes = j->at + 2;
    if (left < 2 || size > left) return jpeg_fault(j, picture_ends);
    if (size < 2) return jpeg_fault(j, "damaged, a segment without a length");
    j->at += size, size -= 2;
    if (marker == 0xc4) return read_tables(j, bytes, size);
    if (marker == 0xda) return read_scan(j, bytes, size) && walk_scan(j);
    if (marker == 0xe1 && !j->found->orientation) {
        j->found->orientation = exif_orientation(bytes, size);
    }
    if (marker == 0xdd && size >= 2) j->restart = (int32_t)big_endian(bytes, 2);
    if (marker < 0xc0 || marker > 0xcf) return true;
    j->progressive = marker == 0xc2;
    return marker <= 0xc2 ? read_frame(j, bytes, size)
                          : jpeg_fault(j, "a JPEG of a rare kind, arithmetic or lossless");
}

static void walk_jpeg(picture_file *p, const uint8_t *bytes, size_t size)
{
    jpeg j = {.found = p, .at = bytes + 2, .end = bytes + size};
    int marker = next_marker(&j);
    while (marker && marker != 0xd9 && walk_segment(&j, marker)) marker = next_marker(&j);
    if (!j.parts) jpeg_fault(&j, picture_empty);
    for (int i = 0; i < j.parts; i++) {
        if (!j.part[i].seen) jpeg_fault(&j, "damaged, a colour is missing");
    }
    free(j.nonzero);
}

/* ---- any file ---- */

/* What else lies under the names of pictures. */
static const struct other_file {
    size_t at;
    const char *magic, *what;
} other_files[] = {
    {0, "GIF8", "a GIF picture, neither JPEG nor PNG"},
    {0, "BM", "a BMP picture, neither JPEG nor PNG"},
    {8, "WEBP", "a WebP picture, neither JPEG nor PNG"},
    {0, "II*", "a TIFF picture, neither JPEG nor PNG"},
    {0, "MM", "a TIFF picture, neither JPEG nor PNG"},
    {4, "ftypavif", "an AVIF picture, neither JPEG nor PNG"},
    {4, "ftyp", "a HEIF picture or a film, neither JPEG nor PNG"},
    {4, "jP  ", "a JPEG 2000 picture, neither JPEG nor PNG"},
    {0, "%PDF", "a PDF file, neither JPEG nor PNG"},
    {0, "<", "text like that of a web page, neither JPEG nor PNG"},
    {0, "version https://git-lfs", "a pointer of Git LFS, the picture itself is not here"},
};

static void walk_other(picture_file *p, const uint8_t *bytes, size_t size)
{
    p->fault = size ? "neither JPEG nor PNG" : "empty";
    for (size_t i = 0; i < sizeof other_files / sizeof *other_files; i++) {
        const struct other_file *o = &other_files[i];
        size_t length = strlen(o->magic);
        if (size < o->at + length || memcmp(bytes + o->at, o->magic, length) != 0) continue;
        p->fault = o->what;
        return;
    }
}

static picture_file walk_file(const uint8_t *bytes, size_t size)
{
    picture_file p = {0};
    if (size >= 8 && memcmp(bytes, png_signature, 8) == 0) {
        walk_png(&p, bytes, size);
    } else if (size >= 2 && bytes[0] == 0xff && bytes[1] == 0xd8) {
        walk_jpeg(&p, bytes, size);
    } else {
        walk_other(&p, bytes, size);
    }
    return p;
}

/* The bytes of a file; NULL and errno: not to be had. */
static uint8_t *read_file(const char *path, size_t *size)
{
    errno = 0;
    FILE *file = fopen(path, "rb");
    long end = file && fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    uint8_t *bytes = end >= 0 && end < INT32_MAX ? malloc((size_t)end + 1) : NULL;
    if (end >= INT32_MAX) errno = EFBIG;
    *size = (size_t)end;
    if (bytes && (fseek(file, 0, SEEK_SET) != 0 || fread(bytes, 1, *size, file) != *size)) {
        free(bytes);
        bytes = NULL;
    }
    if (file) fclose(file);
    return bytes;
}

/* ---- pixels ---- */

/* Pixels of four bytes become three, on white. */
static void blend_on_white(uint8_t *pixels, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const uint8_t *from = pixels + 4 * i;
        const int alpha = from[3];
        for (size_t c = 0; c < 3; c++) {
            pixels[3 * i + c] = (uint8_t)((from[c] * alpha + 255 * (255 - alpha) + 127) / 255);
        }
    }
}

/* EXIF's orientations: whether rows and columns change places, and what is counted from its end. */
static const struct turn {
    bool swap, from_bottom, from_right;
} turns[] = {{0, 0, 0}, {0, 0, 0}, {0, 0, 1}, {0, 1, 1}, {0, 1, 0},
             {1, 0, 0}, {1, 1, 0}, {1, 1, 1}, {1, 0, 1}};

/* h and w are of the old picture. */
static void turn_picture(const uint8_t *from, int32_t h, int32_t w, struct turn t, uint8_t *to)
{
    const int32_t new_h = t.swap ? w : h, new_w = t.swap ? h : w;
    for (int32_t y = 0; y < new_h; y++) {
        for (int32_t x = 0; x < new_w; x++, to += PICTURE_CHANNELS) {
            int32_t row = t.swap ? x : y, column = t.swap ? y : x;
            if (t.from_bottom) row = h - 1 - row;
            if (t.from_right) column = w - 1 - column;
            memcpy(to, from + ((size_t)row * (size_t)w + (size_t)column) * PICTURE_CHANNELS,
                   PICTURE_CHANNELS);
        }
    }
}

/* The pixels of a file that is whole, as they lie there, for stbi_image_free; null: fault says why. */
static stbi_uc *decode_file(const uint8_t *bytes, size_t size, picture_file p, const char **fault)
{
    const int channels = p.alpha ? 4 : PICTURE_CHANNELS;
    int w = 0, h = 0, had = 0;
    stbi_uc *pixels = stbi_load_from_memory(bytes, (int)size, &w, &h, &had, channels);
    if (!pixels) {
        /* it tries PNG first, and for some faults of a JPEG leaves what it said then */
        *fault = stbi_failure_reason();
        if (!*fault || strstr(*fault, "png") || strstr(*fault, "unknown")) {
            *fault = "cannot be decoded";
        }
    } else if (h != p.h || w != p.w) {
        *fault = "damaged, it has two sizes";
        stbi_image_free(pixels);
        pixels = NULL;
    } else if (p.alpha) {
        blend_on_white(pixels, (size_t)h * (size_t)w);
    }
    return pixels;
}

/* Pixels of a file that is whole, as h x w; null, or why there are none. */
static const char *decode_pixels(const uint8_t *bytes, size_t size, picture_file p, picture_fit fit,
                                 uint8_t *pixels, int32_t h, int32_t w)
{
    const struct turn turn = turns[p.orientation];
    const char *fault = NULL;
    picture_view to = {pixels, h, w, w}, from = {NULL, p.h, p.w, p.w};
    stbi_uc *decoded = decode_file(bytes, size, p, &fault);
    if (!decoded) return fault;
    uint8_t *turned = malloc((size_t)p.h * (size_t)p.w * PICTURE_CHANNELS);
    if (turned) {
        turn_picture(decoded, p.h, p.w, turn, turned);
        if (turn.swap) from.h = p.w, from.w = from.row = p.h;
        from.at = turned;
        fit_picture(from, to, fit);
    }
    stbi_image_free(decoded);
    free(turned);
    return turned ? NULL : "no memory for it";
}

/* An mls_decoder. user: what becomes of other sizes (picture_fit). */
static int decode_picture(void *user, const char *path, int32_t *h, int32_t *w, int32_t c,
                          uint8_t *pixels, char *text, size_t size)
{
    const picture_fit fit = *(const picture_fit *)user;
    size_t length;
    uint8_t *bytes = read_file(path, &length);
    if (!bytes) {
        snprintf(text, size, "%s", errno ? strerror(errno) : "changed while it was read");
        return 1;
    }
    picture_file p = walk_file(bytes, length);
    const bool swap = turns[p.orientation].swap;
    const int32_t stands_h = swap ? p.w : p.h, stands_w = swap ? p.h : p.w;
    char fault[100] = "";
    if (p.h > PICTURE_SIDE || p.w > PICTURE_SIDE) {
        snprintf(fault, sizeof fault, "%dx%d pixels, over %d on a side", (int)p.w, (int)p.h,
                 PICTURE_SIDE);
    } else if (p.fault) {
        snprintf(fault, sizeof fault, "%s", p.fault);
    } else if (c != PICTURE_CHANNELS) {
        snprintf(fault, sizeof fault, "not three channels");
    } else if (*h == 0 || *w == 0) {
        *h = stands_h, *w = stands_w;
    } else if (fit == PICTURE_EXACT && (stands_h != *h || stands_w != *w)) {
        snprintf(fault, sizeof fault, "%dx%d pixels, not %dx%d", (int)stands_w, (int)stands_h,
                 (int)*w, (int)*h);
    } else {
        const char *why = decode_pixels(bytes, length, p, fit, pixels, *h, *w);
        snprintf(fault, sizeof fault, "%s", why ? why : "");
    }
    free(bytes);
    snprintf(text, size, "%s", fault);
    return fault[0] != 0;
}

#endif /* PICTURES_H_INCLUDED */
