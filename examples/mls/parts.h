/* parts.h - which pictures are for training, for validation, for the test */
#ifndef PROGRAM_PARTS_H_INCLUDED
#define PROGRAM_PARTS_H_INCLUDED

#include "common.h"

enum {
    TRAIN_PART,
    VALIDATION_PART,
    TEST_PART,
    PARTS
};

static const char *const part_names[PARTS] = {"training", "validation", "test"};

/* Pictures, each with a key that no other picture changes: parts are chosen by it. */
typedef struct picture_set {
    mls_data data;
    uint64_t *keys;
} picture_set;

static size_t picture_bytes(const mls_data *data)
{
    return (size_t)data->h * (size_t)data->w * (size_t)data->c;
}

/* Of pictures that have no paths: by their place. */
static bool number_pictures(picture_set *p, failure *f)
{
    const size_t count = (size_t)p->data.count;
    p->keys = calloc(count, sizeof *p->keys);
    for (size_t i = 0; p->keys && i < count; i++) p->keys[i] = i;
    return p->keys || fail(f, 1, "no memory for %zu pictures", count);
}

static void move_picture(picture_set *to, size_t to_at, const picture_set *from, size_t at)
{
    const size_t bytes = picture_bytes(&from->data);
    to->keys[to_at] = from->keys[at], to->data.labels[to_at] = from->data.labels[at];
    memmove(to->data.pixels + to_at * bytes, from->data.pixels + at * bytes, bytes);
}

/* Keeps at most limit pictures, equally many of each class as far as there are, chosen by a fixed
   shuffle: neither the order of the files nor --seed matters. */
static bool keep_some(picture_set *p, int64_t limit, failure *f)
{
    mls_data *data = &p->data;
    int64_t quota[256], kept = 0;
    if (!limit || limit >= data->count) return true;
    bool *keep = calloc((size_t)data->count, sizeof *keep);
    if (!keep) return fail(f, 1, "no memory to choose from %d pictures", (int)data->count);
    for (int c = 0; c < data->classes; c++) {
        quota[c] = limit / data->classes + (c < limit % data->classes);
    }
    for (int pass = 0; pass < 2; pass++) { /* the second fills up where classes ran short */
        for (int32_t i = 0; i < data->count && kept < limit; i++) {
            int32_t picture = mls_data_order(data->count, 0, 0, i);
            int64_t *left = &quota[data->labels[picture]];
            if (keep[picture] || (pass == 0 && *left == 0)) continue;
            keep[picture] = true, kept++, --*left;
        }
    }
    kept = 0;
    for (int32_t i = 0; i < data->count; i++) {
        if (keep[i]) move_picture(p, (size_t)kept++, p, (size_t)i);
    }
    data->count = (int32_t)kept;
    free(keep);
    return true;
}

/* Moves about so many percent of the pictures, those whose key says so, to a part of their own. */
static bool divide(picture_set *from, double percent, uint64_t salt, picture_set *to, failure *f)
{
    const size_t count = (size_t)from->data.count;
    const uint64_t below = (uint64_t)(percent / 100 * 4294967296.0);
    size_t kept = 0, moved = 0;
    to->data = from->data;
    to->data.pixels = calloc(count, picture_bytes(&from->data));
    to->data.labels = calloc(count, 1);
    to->keys = calloc(count, sizeof *to->keys);
    if (!to->data.pixels || !to->data.labels || !to->keys) {
        return fail(f, 1, "no memory for %zu pictures", count);
    }
    for (size_t i = 0; i < count; i++) {
        const bool moves = mls_seed(from->keys[i], salt) >> 32 < below;
        if (moves) move_picture(to, moved++, from, i);
        if (!moves) move_picture(from, kept++, from, i);
    }
    from->data.count = (int32_t)kept, to->data.count = (int32_t)moved;
    return true;
}

/* A class without pictures in a part; null: there is none. */
static const char *lost_class(const mls_data *data)
{
    bool seen[256] = {0};
    for (int32_t i = 0; i < data->count; i++) seen[data->labels[i]] = true;
    for (int32_t c = 0; c < data->classes; c++) {
        if (!seen[c]) return data->names[c];
    }
    return NULL;
}

/* Repeats pictures of the smaller classes, all equally often or once more, until each class has as
   many as the largest. */
static bool balance(mls_data *data, failure *f)
{
    const size_t bytes = picture_bytes(data);
    size_t have[256] = {0}, most = 0, classes = 0, total = (size_t)data->count;
    for (int32_t i = 0; i < data->count; i++) {
        size_t *count = &have[data->labels[i]];
        if ((*count)++ == 0) classes++;
        if (*count > most) most = *count;
    }
    const size_t room = most * classes;
    uint8_t *pixels = room <= INT32_MAX ? calloc(room, bytes) : NULL;
    uint8_t *labels = pixels ? malloc(room) : NULL;
    if (!labels) {
        free(pixels);
        return fail(f, 1, "--balance: no memory for %zu pictures of each class", most);
    }
    memcpy(pixels, data->pixels, total * bytes);
    memcpy(labels, data->labels, total);
    for (size_t i = 0; total < room; i = (i + 1) % (size_t)data->count) {
        const uint8_t label = data->labels[i];
        if (have[label] == most) continue;
        memcpy(pixels + total * bytes, data->pixels + i * bytes, bytes);
        labels[total++] = label, have[label]++;
    }
    free(data->pixels), free(data->labels);
    data->pixels = pixels, data->labels = labels, data->count = (int32_t)room;
    return true;
}

#endif /* PROGRAM_PARTS_H_INCLUDED */
