/* npz.h - arrays as NumPy keeps them: a .npy file each, and a .npz file, a ZIP archive of those, that stores
   them as they are */
#ifndef PROGRAM_NPZ_H_INCLUDED
#define PROGRAM_NPZ_H_INCLUDED

#include "platform.h"
#include "tensors.h"

/* A .npy file: its header is a text that ends at a multiple of 64 bytes. */
static void append_npy(growing *to, const tensor *t)
{
    char head[256], shape[96];
    int length = snprintf(
        head, sizeof head, "{'descr': '<f4', 'fortran_order': False, 'shape': (%s%s), }",
        shape_text(t->own.rank, t->dims, shape, sizeof shape), t->own.rank == 1 ? "," : "");
    int whole = (10 + length + 1 + 63) / 64 * 64 - 10;
    append(to, "\x93NUMPY\x01\x00", 8);
    append_little(to, (uint64_t)whole, 2);
    append(to, head, (size_t)length);
    for (int i = length; i < whole; i++) append(to, i + 1 < whole ? " " : "\n", 1);
    append_numbers(to, t);
}

/* FOLDER/NAME.npy for each. */
static bool write_npy(const tensors *list, const settings *about, const char *folder, failure *f)
{
    char path[PATH_SIZE + TENSOR_NAME + 8];
    (void)about;
    if (strlen(folder) >= PATH_SIZE) return fail(f, 2, "--npy: the name is too long");
    if (!is_directory(folder) && !make_directory(folder)) {
        return fail(f, 2, "--npy: cannot create %s: %s", folder, strerror(errno));
    }
    for (size_t i = 0; i < list->count; i++) {
        growing file = {0};
        snprintf(path, sizeof path, "%s/%s.npy", folder, list->of[i].name);
        append_npy(&file, &list->of[i]);
        if (!save_growing(&file, path, f)) return false;
    }
    return true;
}

/* The checksum of ZIP, a bit at a time. */
static uint32_t zip_crc(const uint8_t *bytes, size_t size)
{
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int k = 0; k < 8; k++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

/* What the header before a file and its entry in the directory have in common: version 2.0, no flags,
   stored, the first day of 1980. */
static void append_zip_facts(growing *to, uint32_t crc, size_t size, size_t name)
{
    append(to, "\x14\0\0\0\0\0\0\0\x21\0", 10);
    append_little(to, crc, 4);
    append_little(to, size, 4), append_little(to, size, 4);
    append_little(to, name, 2), append_little(to, 0, 2);
}

static void append_zip(growing *zip, growing *directory, const char *name, const growing *file)
{
    const size_t at = zip->length;
    uint32_t crc = zip_crc((const uint8_t *)file->at, file->length);
    append(zip, "PK\3\4", 4);
    append_zip_facts(zip, crc, file->length, strlen(name));
    append(zip, name, strlen(name)), append(zip, file->at, file->length);
    append(directory, "PK\1\2\x14\0", 6);
    append_zip_facts(directory, crc, file->length, strlen(name));
    append_little(directory, 0, 10);
    append_little(directory, at, 4), append(directory, name, strlen(name));
}

static bool write_npz(const tensors *list, const settings *about, const char *path, failure *f)
{
    growing zip = {0}, directory = {0};
    (void)about;
    for (size_t i = 0; i < list->count && !zip.no_memory; i++) {
        growing file = {0};
        char name[TENSOR_NAME + 8];
        snprintf(name, sizeof name, "%s.npy", list->of[i].name);
        append_npy(&file, &list->of[i]);
        zip.no_memory |= file.no_memory;
        if (!file.no_memory) append_zip(&zip, &directory, name, &file);
        free(file.at);
    }
    const size_t at = zip.length;
    zip.no_memory |= directory.no_memory;
    if (!zip.no_memory && directory.at) append(&zip, directory.at, directory.length);
    append(&zip, "PK\5\6\0\0\0\0", 8);
    append_little(&zip, list->count, 2), append_little(&zip, list->count, 2);
    append_little(&zip, directory.length, 4), append_little(&zip, at, 4), append_little(&zip, 0, 2);
    free(directory.at);
    if (at < UINT32_MAX && list->count < UINT16_MAX) return save_growing(&zip, path, f);
    free(zip.at);
    return fail(f, 2, "%s: too large for an NPZ file", path);
}

/* ---- reading */

/* The value of a key in the header of a .npy file, a dictionary; null: not there. */
static const char *npy_value(const char *head, const char *key)
{
    const char *at = strstr(head, key);
    if (!at) return NULL;
    at += strlen(key);
    return at + strspn(at, " :");
}

static const char *read_npy_head(foreign *t, const char *head)
{
    const char *type = npy_value(head, "'descr'"), *order = npy_value(head, "'fortran_order'");
    const char *shape = npy_value(head, "'shape'");
    if (!type || *type != '\'' || !order || !shape || *shape != '(') return "is no NPY array";
    if (strncmp(order, "False", 5) != 0) return "is in Fortran's order: want C's";
    plain_text(t->type, sizeof t->type, type + 1, strcspn(type + 1, "'"));
    for (shape++; *shape >= '0' && *shape <= '9'; shape += strspn(shape, ", ")) {
        char *end = NULL;
        long long n = strtoll(shape, &end, 10);
        if (t->rank < 4) t->dims[t->rank] = n;
        t->rank++, shape = end;
    }
    return *shape == ')' ? NULL : "is no NPY array";
}

/* bytes: of a .npy file. */
static const char *read_npy(foreign *t, const uint8_t *bytes, size_t size)
{
    char head[1024];
    if (size < 12 || memcmp(bytes, "\x93NUMPY", 6) != 0) return "is no NPY array";
    const size_t start = bytes[6] == 1 ? 10 : 12,
                 length = (size_t)little(bytes + 8, bytes[6] == 1 ? 2 : 4);
    if (length > size - start) return "is truncated";
    if (length >= sizeof head) return "has a header of over 1023 bytes";
    memcpy(head, bytes + start, length), head[length] = 0;
    t->bytes = bytes + start + length, t->size = size - start - length;
    return read_npy_head(t, head);
}

/* The file whose entry in the directory is at `entry`, with so many bytes from there on. */
static const char *read_zipped(foreign *t, const uint8_t *zip, size_t size, const uint8_t *entry)
{
    const uint64_t method = little(entry + 10, 2), bytes = little(entry + 24, 4);
    const uint64_t at = little(entry + 42, 4);
    if (little(entry + 8, 2) & 1) return "is encrypted";
    if (method != 0) return "is compressed: want numpy.savez, not savez_compressed";
    if (bytes != little(entry + 20, 4)) return "is damaged";
    if (at + 30 > size || memcmp(zip + at, "PK\3\4", 4) != 0) return "is damaged";
    const uint64_t start = at + 30 + little(zip + at + 26, 2) + little(zip + at + 28, 2);
    if (start + bytes > size) return "is truncated";
    if (zip_crc(zip + start, (size_t)bytes) != little(entry + 16, 4)) return "is damaged";
    return read_npy(t, zip + start, (size_t)bytes);
}

/* The end of a ZIP archive, before which its directory lies; 0: there is none. */
static size_t zip_end(const uint8_t *zip, size_t size)
{
    for (size_t at = size < 22 ? 0 : size - 22; at && at + 65557 >= size; at--) {
        if (memcmp(zip + at, "PK\5\6", 4) == 0) return at;
    }
    return 0;
}

static bool read_npz(foreign_list *list, const uint8_t *zip, size_t size, const char *path,
                     failure *f)
{
    const size_t end = zip_end(zip, size);
    if (!end) return fail(f, 2, "%s: truncated, or not an NPZ file", path);
    const uint64_t count = little(zip + end + 10, 2);
    uint64_t at = little(zip + end + 16, 4), all = 0;
    for (uint64_t i = 0; i < count; i++) {
        if (at + 46 > end || memcmp(zip + at, "PK\1\2", 4) != 0) {
            return fail(f, 2, "%s: damaged: its directory has %llu of %llu files", path,
                        (unsigned long long)i, (unsigned long long)count);
        }
        const uint64_t name = little(zip + at + 28, 2);
        const uint64_t next = at + 46 + name + little(zip + at + 30, 2) + little(zip + at + 32, 2);
        if (next > end) return fail(f, 2, "%s: damaged: its directory is truncated", path);
        all += little(zip + at + 20, 4); /* a byte that counts often would be summed as often */
        if (all > size) return fail(f, 2, "%s: damaged: its files overlap", path);
        const char *text = (const char *)zip + at + 46;
        bool npy = name > 4 && memcmp(text + name - 4, ".npy", 4) == 0;
        foreign *t = add_foreign(list, text, (size_t)(npy ? name - 4 : name));
        if (!t) return fail(f, 1, "no memory for %s", path);
        const char *wrong = read_zipped(t, zip, size, zip + at);
        if (wrong) return fail(f, 2, "%s: %s %s", path, t->name, wrong);
        at = next;
    }
    return true;
}

#endif /* PROGRAM_NPZ_H_INCLUDED */
