/* safetensors.h - files of tensors as PyTorch's world keeps them: 8 bytes for the length of a JSON header,
   the header, which says type, shape and place of each tensor, and the numbers */
#ifndef PROGRAM_SAFETENSORS_H_INCLUDED
#define PROGRAM_SAFETENSORS_H_INCLUDED

#if defined(__has_include)
#if __has_include(<jsmn.h>)
#define JSMN_STATIC
#define JSMN_STRICT
#define JSMN_PARENT_LINKS
#include <jsmn.h>
#endif
#endif

#include "tensors.h"

static void append_text(growing *to, const char *text)
{
    append(to, text, strlen(text));
}

/* What the checkpoint says of itself goes along: "mls.model": "resnet20". Not where its data were. */
static void append_header(growing *to, const tensors *list, const settings *about)
{
    char line[256], shape[96];
    size_t at = 0;
    append_text(to, "{\"__metadata__\":{\"format\":\"pt\"");
    for (size_t i = 0; i < about->count; i++) {
        if (strcmp(about->of[i].key, "data") == 0) continue;
        append_text(to, ",\"mls."), append_escaped(to, about->of[i].key);
        append_text(to, "\":\""), append_escaped(to, about->of[i].value), append_text(to, "\"");
    }
    append_text(to, "}");
    for (size_t i = 0; i < list->count; i++) {
        const tensor *t = &list->of[i];
        size_t end = at + 4 * t->own.count;
        snprintf(line, sizeof line,
                 ",\n\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}", t->name,
                 shape_text(t->own.rank, t->dims, shape, sizeof shape), at, end);
        append_text(to, line);
        at = end;
    }
    append_text(to, "}");
    while (to->length % 8) append_text(to, " "); /* the numbers are aligned */
}

static bool write_safetensors(const tensors *list, const settings *about, const char *path,
                              failure *f)
{
    growing header = {0}, file = {0};
    append_header(&header, list, about);
    file.no_memory = header.no_memory;
    append_little(&file, header.length, 8);
    if (!header.no_memory) append(&file, header.at, header.length);
    free(header.at);
    for (size_t i = 0; i < list->count; i++) append_numbers(&file, &list->of[i]);
    return save_growing(&file, path, f);
}

#ifndef JSMN_STATIC
static bool read_safetensors(foreign_list *list, const uint8_t *bytes, size_t size,
                             const char *path, failure *f)
{
    (void)list, (void)bytes, (void)size;
    return fail(f, 2, "%s: this program was built without jsmn.h: want an NPZ file", path);
}
#else

typedef struct parsed {
    const char *text;
    jsmntok_t *of;
    int count;
} parsed;

/* The token behind a value and all that is in it. */
static int after(const parsed *j, int i)
{
    int next = i + 1;
    while (next < j->count && j->of[next].start < j->of[i].end) next++;
    return next;
}

static bool is_key(const parsed *j, int i, const char *text)
{
    size_t length = (size_t)(j->of[i].end - j->of[i].start);
    return length == strlen(text) && memcmp(j->text + j->of[i].start, text, length) == 0;
}

/* Whether a value follows the text at a token. */
static bool is_pair(const parsed *j, int i)
{
    return j->of[i].type == JSMN_STRING && j->of[i].size == 1 && i + 1 < j->count;
}

/* The numbers of an array: how many there are, of which the first `most` go to `to`; -1: it is none. */
static int read_array(const parsed *j, int i, int64_t *to, int most)
{
    const int count = j->of[i].size;
    if (j->of[i].type != JSMN_ARRAY) return -1;
    for (int k = 0; k < count; k++) {
        const jsmntok_t *t = &j->of[i + 1 + k];
        int64_t n = 0;
        if (i + 1 + k >= j->count || t->type != JSMN_PRIMITIVE) return -1;
        for (int c = t->start; c < t->end; c++) {
            if (j->text[c] < '0' || j->text[c] > '9' || n > INT64_MAX / 100) return -1;
            n = n * 10 + (j->text[c] - '0');
        }
        if (k < most) to[k] = n;
    }
    return count;
}

/* The tensor whose key is token i. numbers: what the file has behind its header. */
static const char *read_entry(const parsed *j, int i, const uint8_t *numbers, size_t size,
                              foreign *to)
{
    const int entry = i + 1, end = after(j, entry);
    int64_t place[2] = {-1, -1};
    int type = 0, rank = -1;
    if (j->of[entry].type != JSMN_OBJECT) return "is no object";
    for (int k = entry + 1; k < end; k = after(j, k + 1)) {
        if (!is_pair(j, k)) return "is no object";
        if (is_key(j, k, "dtype")) type = k + 1;
        if (is_key(j, k, "shape")) rank = read_array(j, k + 1, to->dims, 4);
        if (is_key(j, k, "data_offsets") && read_array(j, k + 1, place, 2) != 2) place[0] = -1;
    }
    if (!type || j->of[type].type != JSMN_STRING) return "has no dtype";
    if (rank < 0) return "has no shape";
    if (place[0] < 0 || place[1] < place[0] || (uint64_t)place[1] > size) {
        return "has no data_offsets that lie in the file";
    }
    plain_text(to->type, sizeof to->type, j->text + j->of[type].start,
               (size_t)(j->of[type].end - j->of[type].start));
    to->rank = rank;
    to->bytes = numbers + place[0], to->size = (size_t)(place[1] - place[0]);
    return NULL;
}

static int by_place(const void *a, const void *b)
{
    const foreign *x = a, *y = b;
    return x->bytes != y->bytes ? (x->bytes > y->bytes) - (x->bytes < y->bytes)
                                : (x->size > y->size) - (x->size < y->size);
}

/* Whether the tensors fill the file without a gap and without sharing bytes. */
static const char *wrong_places(foreign_list *list, const uint8_t *numbers, size_t size)
{
    const uint8_t *at = numbers;
    if (list->count) qsort(list->of, list->count, sizeof *list->of, by_place);
    for (size_t i = 0; i < list->count; i++) {
        if (list->of[i].bytes != at) return "tensors overlap, or there are gaps between them";
        at += list->of[i].size;
    }
    return at == numbers + size ? NULL : "bytes that belong to no tensor follow them";
}

static bool read_header(foreign_list *list, const parsed *j, const uint8_t *numbers, size_t size,
                        const char *path, failure *f)
{
    const char *wrong;
    if (j->of[0].type != JSMN_OBJECT || after(j, 0) != j->count) {
        return fail(f, 2, "%s: not a safetensors file: its header is no JSON object", path);
    }
    for (int i = 1; i < j->count; i = after(j, i + 1)) {
        const jsmntok_t *key = &j->of[i];
        if (!is_pair(j, i)) {
            return fail(f, 2, "%s: not a safetensors file: its header is no JSON object", path);
        }
        if (is_key(j, i, "__metadata__")) continue;
        foreign *t = add_foreign(list, j->text + key->start, (size_t)(key->end - key->start));
        if (!t) return fail(f, 1, "no memory for %s", path);
        wrong = read_entry(j, i, numbers, size, t);
        if (wrong) return fail(f, 2, "%s: damaged: %s %s", path, t->name, wrong);
    }
    wrong = wrong_places(list, numbers, size);
    return !wrong || fail(f, 2, "%s: damaged: %s", path, wrong);
}

static bool read_safetensors(foreign_list *list, const uint8_t *bytes, size_t size,
                             const char *path, failure *f)
{
    const uint64_t most = 100000000; /* as the format says */
    uint64_t length = size < 8 ? most : little(bytes, 8);
    parsed j = {.text = (const char *)bytes + 8};
    jsmn_parser parser;
    if (size < 8 || length > size - 8 || length >= most) {
        return fail(f, 2, "%s: truncated, or not a safetensors file", path);
    }
    jsmn_init(&parser);
    j.count = jsmn_parse(&parser, j.text, (size_t)length, NULL, 0);
    if (j.count < 1) return fail(f, 2, "%s: not a safetensors file: its header is no JSON", path);
    j.of = calloc((size_t)j.count, sizeof *j.of);
    if (!j.of) return fail(f, 1, "no memory for %s", path);
    jsmn_init(&parser);
    bool good = jsmn_parse(&parser, j.text, (size_t)length, j.of, (unsigned)j.count) == j.count ||
                fail(f, 2, "%s: not a safetensors file: its header is no JSON", path);
    good = good && read_header(list, &j, bytes + 8 + length, size - 8 - (size_t)length, path, f);
    free(j.of);
    return good;
}
#endif

#endif /* PROGRAM_SAFETENSORS_H_INCLUDED */
