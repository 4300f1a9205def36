/* cifar100.h - CIFAR-100's binary files: train.bin and test.bin, records of two labels and three planes */
#ifndef PROGRAM_CIFAR100_H_INCLUDED
#define PROGRAM_CIFAR100_H_INCLUDED

#include "platform.h"

enum {
    CIFAR_SIDE = 32,
    CIFAR_PLANE = CIFAR_SIDE * CIFAR_SIDE,
    CIFAR100_RECORD = 2 + 3 * CIFAR_PLANE /* the coarse label, then the fine one */
};

/* The lines of fine_label_names.txt or coarse_label_names.txt; without the file classes have numbers. */
static bool name_cifar100(mls_data *data, const char *folder, bool coarse, failure *f)
{
    char path[PATH_SIZE + 32], text[PATH_SIZE + 256];
    void *bytes = NULL;
    size_t size = 0, at = 0;
    snprintf(path, sizeof path, "%s/%s_label_names.txt", folder, coarse ? "coarse" : "fine");
    const bool there = is_file(path);
    if (there && mls_file_load(path, &bytes, &size, text, sizeof text) != MLS_OK) {
        return fail(f, 2, "--data: %s", text);
    }
    bool good = true;
    for (int i = 0; i < data->classes && good; i++) {
        char *name = data->names[i];
        size_t length = 0;
        if (!there) snprintf(name, sizeof data->names[i], "class %d", i);
        for (; at < size && ((const char *)bytes)[at] != '\n'; at++) {
            const char c = ((const char *)bytes)[at];
            if (c == '\r') continue;
            good = good && (unsigned char)c >= ' ' && length + 1 < sizeof data->names[i];
            if (good) name[length++] = c;
        }
        at++;
        good = good && name[0];
    }
    mls_file_free(bytes);
    return good || fail(f, 2, "--data: %s: not the names of %d classes, each in a line", path,
                        (int)data->classes);
}

/* part 0: training, 1: test. The pixels and labels are from malloc. */
static bool load_cifar100(mls_data *data, const char *folder, int part, bool coarse, failure *f)
{
    char path[PATH_SIZE + 16], text[PATH_SIZE + 256];
    void *bytes;
    size_t size;
    snprintf(path, sizeof path, "%s/%s.bin", folder, part ? "test" : "train");
    if (mls_file_load(path, &bytes, &size, text, sizeof text) != MLS_OK) {
        return fail(f, 2, "--data: %s", text);
    }
    const size_t count = size / CIFAR100_RECORD;
    bool good = count && count <= INT32_MAX && size % CIFAR100_RECORD == 0;
    if (!good) {
        fail(f, 2, "--data: %s: %zu bytes, not %d for each picture of CIFAR-100", path, size,
             CIFAR100_RECORD);
    }
    data->h = data->w = CIFAR_SIDE, data->c = CHANNELS, data->classes = coarse ? 20 : 100;
    data->pixels = good ? malloc(count * CIFAR_PLANE * CHANNELS) : NULL;
    data->labels = good ? malloc(count) : NULL;
    if (good && (!data->pixels || !data->labels)) {
        good = fail(f, 1, "no memory for %zu pictures", count);
    }
    for (size_t n = 0; n < count && good; n++) {
        const uint8_t *record = (const uint8_t *)bytes + n * CIFAR100_RECORD;
        uint8_t *to = data->pixels + n * CIFAR_PLANE * CHANNELS;
        data->labels[n] = record[coarse ? 0 : 1];
        if (record[0] > 19 || record[1] > 99) {
            good = fail(f, 2, "--data: %s: picture %zu has labels that CIFAR-100 has not", path, n);
        }
        for (size_t i = 0; i < (size_t)CIFAR_PLANE * CHANNELS; i++) { /* planes to channels-last */
            to[i] = record[2 + i % CHANNELS * CIFAR_PLANE + i / CHANNELS];
        }
    }
    mls_file_free(bytes);
    data->count = good ? (int32_t)count : 0;
    return good && name_cifar100(data, folder, coarse, f);
}

#endif /* PROGRAM_CIFAR100_H_INCLUDED */
