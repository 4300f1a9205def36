/* data.h - training and test pictures from folders, files or memory */
#ifndef PROGRAM_DATA_H_INCLUDED
#define PROGRAM_DATA_H_INCLUDED

#include <dirent.h>
#include <sys/stat.h>

#include "cifar100.h"
#include "lines.h"
#include "options.h"
#include "parts.h"
#ifndef NO_PICTURES
#include "../pictures.h"
#endif

static picture_fit fit_of(const options *o)
{
    int fit = 0;
    while (strcmp(o->fit, picture_fit_names[fit]) != 0) fit++; /* prepare has found it good */
    return o->resize ? PICTURE_STRETCH : (picture_fit)fit;
}

/* What was left out of folders of pictures: for each reason how often, and the first. */
typedef struct left_out {
    picture_fit fit;
    int64_t count[MLS_LEFT_OUT_REASONS];
    char first[MLS_LEFT_OUT_REASONS][PATH_SIZE];
    uint64_t *keys; /* of those that were read */
    size_t read, room;
} left_out;

static const char *const left_out_what[] = {
    "pictures that cannot be decoded", "files that do not end in .jpg, .jpeg or .png",
    "hidden files and folders",        "folders in class folders",
    "files beside the class folders",  "folders without pictures"};

static void say_left_out(const left_out *left, bool skip_bad)
{
    for (int i = 0; i < MLS_LEFT_OUT_REASONS; i++) {
        if (!left->count[i] || (i == MLS_LEFT_OUT_BAD && !skip_bad)) continue;
        say(stderr, "left out %s: %lld, such as %s", left_out_what[i], (long long)left->count[i],
            left->first[i]);
    }
}

#ifdef NO_PICTURES
static bool load_folder(const options *o, const char *part, picture_set *p, left_out *left,
                        failure *f)
{
    (void)part, (void)p, (void)left;
    return fail(f, 2, "--data %s: this program was built with NO_PICTURES", o->data);
}
#else
/* Pictures that cannot be read are listed, so that all can be mended at once, but no more than fit
   on a screen. */
static void leave_out(void *user, mls_left_out reason, const char *path, const char *text)
{
    left_out *left = user;
    char shown[PATH_SIZE];
    int64_t before = left->count[reason]++;
    if (before >= 20 || (before > 0 && reason != MLS_LEFT_OUT_BAD)) return;
    snprintf(shown, sizeof shown, "%s", path);
    for (char *c = shown; *c; c++) *c = (unsigned char)*c < 32 || *c == 127 ? '?' : *c;
    if (before == 0) memcpy(left->first[reason], shown, sizeof shown);
    if (reason == MLS_LEFT_OUT_BAD) fprintf(stderr, "%s: %s\n", shown, text);
}

/* FNV-1a of the end of a path, CLASS/FILE: the folder around may move. */
static uint64_t path_key(const char *path)
{
    uint64_t hash = 0xcbf29ce484222325u;
    const char *from = path + strlen(path);
    for (int slashes = 0; from > path; from--) {
        if (from[-1] == '/' && ++slashes == 2) break;
    }
    for (; *from; from++) hash = (hash ^ (unsigned char)*from) * 0x100000001b3u;
    return hash;
}

/* An mls_decoder that keeps the keys. */
static int load_picture(void *user, const char *path, int32_t *h, int32_t *w, int32_t c,
                        uint8_t *pixels, char *text, size_t size)
{
    left_out *left = user;
    if (left->read == left->room) {
        size_t room = left->room ? 2 * left->room : 64;
        uint64_t *keys = realloc(left->keys, room * sizeof *keys);
        if (!keys) return snprintf(text, size, "no memory for it");
        left->keys = keys, left->room = room;
    }
    int status = decode_picture(&left->fit, path, h, w, c, pixels, text, size);
    if (status == 0 && pixels) left->keys[left->read++] = path_key(path);
    return status;
}

/* Class folders in a part of the data, or in the data itself. */
static bool load_folder(const options *o, const char *part, picture_set *p, left_out *left,
                        failure *f)
{
    char folder[PATH_SIZE], text[PATH_SIZE] = "";
    mls_folder_desc desc = {folder, load_picture, o->size.h, o->size.w, 1, left, leave_out};
    snprintf(folder, sizeof folder, "%s%s%s", o->data, part ? "/" : "", part ? part : "");
    left->fit = fit_of(o), left->keys = NULL, left->read = left->room = 0;
    mls_status status = mls_data_pictures(&p->data, &desc, text, sizeof text);
    p->keys = left->keys;
    if (status == MLS_OK) return true;
    return fail(f, 2, "--data: %s", text[0] ? text : mls_status_string(status));
}
#endif

/* Pictures that are not of the size already, all at once. */
static bool fit_pictures(const options *o, mls_data *data, failure *f)
{
    const picture_fit fit = fit_of(o);
    const size_t size = (size_t)o->size.h * (size_t)o->size.w * CHANNELS;
    const size_t old = (size_t)data->h * (size_t)data->w * CHANNELS;
    if (data->h == o->size.h && data->w == o->size.w) return true;
    if (fit == PICTURE_EXACT) {
        return fail(f, 2, "--size %dx%d: the pictures have %dx%d, and --fit is exact",
                    (int)o->size.h, (int)o->size.w, (int)data->h, (int)data->w);
    }
    uint8_t *pixels = calloc((size_t)data->count, size);
    if (!pixels) return fail(f, 1, "no memory for %d pictures", (int)data->count);
    for (size_t i = 0; i < (size_t)data->count; i++) {
        picture_view from = {data->pixels + i * old, data->h, data->w, data->w};
        picture_view to = {pixels + i * size, o->size.h, o->size.w, o->size.w};
        fit_picture(from, to, fit);
    }
    free(data->pixels);
    data->pixels = pixels, data->h = o->size.h, data->w = o->size.w;
    return true;
}

/* One channel for three, of the usual weights in 256ths: equal ones stay what they are. */
static void to_grey(mls_data *data)
{
    const size_t count = (size_t)data->count * (size_t)data->h * (size_t)data->w;
    const uint8_t *from = data->pixels;
    for (size_t i = 0; i < count; i++, from += CHANNELS) {
        data->pixels[i] = (uint8_t)((77 * from[0] + 150 * from[1] + 29 * from[2] + 128) >> 8);
    }
    data->c = 1;
}

static bool load_synthetic(mls_data *data, int64_t count, int part, failure *f)
{
    data->pixels = malloc((size_t)count * 32 * 32 * CHANNELS);
    data->labels = malloc((size_t)count);
    if (!data->pixels || !data->labels) {
        return fail(f, 1, "no memory for %lld pictures", (long long)count);
    }
    mls_status status = mls_data_synthetic(data, (int32_t)count, 0, (uint64_t)part);
    return status == MLS_OK || fail(f, 1, "synthetic pictures: %s", mls_status_string(status));
}

static bool exists(const char *folder, const char *name)
{
    char path[PATH_SIZE];
    struct stat s;
    int length = snprintf(path, sizeof path, "%s/%s", folder, name);
    return length > 0 && length < PATH_SIZE && stat(path, &s) == 0;
}

static bool has_folder(const char *folder, const char *name)
{
    char path[PATH_SIZE];
    struct stat s;
    int length = snprintf(path, sizeof path, "%s/%s", folder, name);
    return length > 0 && length < PATH_SIZE && stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

static bool has_cifar10(const char *folder)
{
    return exists(folder, "data_batch_1.bin") || exists(folder, "test_batch.bin");
}

static bool has_cifar100(const char *folder)
{
    return exists(folder, "train.bin") || exists(folder, "test.bin");
}

static bool has_data(const char *folder)
{
    return has_cifar10(folder) || has_cifar100(folder) ||
           (has_folder(folder, "train") && has_folder(folder, "test"));
}

/* a/b to a, a to . */
static void to_parent(char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    while (n > 0 && path[n - 1] != '/') n--;
    while (n > 1 && path[n - 1] == '/') n--;
    if (n == 0) path[n++] = '.';
    path[n] = 0;
}

/* A folder in the given one, or around it up to that of a picture, that may have been meant. */
static bool find_data(const char *path, char *found)
{
    DIR *dir = opendir(path);
    const struct dirent *entry;
    bool good = false;
    while (dir && !good && (entry = readdir(dir)) != NULL) {
        int length = snprintf(found, PATH_SIZE, "%s/%s", path, entry->d_name);
        good = entry->d_name[0] != '.' && length < PATH_SIZE && has_data(found);
    }
    if (dir) closedir(dir);
    if (!good) snprintf(found, PATH_SIZE, "%s", path);
    for (int level = 0; level < 3 && !good; level++) {
        to_parent(found);
        good = has_data(found);
    }
    return good;
}

typedef struct hint {
    const char *sign, *text;
} hint;

/* By what is in a name that leads to no folder. */
static const hint path_hints[] = {
    {"~/", " (the shell does not replace this ~: write the folder out)"},
    {"://", " (fetch it first)"},
    {"\\", " (the C:\\data of Windows is /mnt/c/data in WSL)"},
    {".tar", " (unpack it with tar -xf, and give the folder)"},
    {".tgz", " (unpack it with tar -xf, and give the folder)"},
    {".zip", " (unpack it with unzip, and give the folder)"},
    {"", ""},
};

/* By a file in a folder that has nothing for us. */
static const hint folder_hints[] = {
    {"data_batch_1", "this is CIFAR-10 for Python; 'make cifar10' fetches the binary version"},
    {"data_batch_1.mat", "this is CIFAR-10 for Matlab; 'make cifar10' fetches the binary version"},
    {"cifar-10-python.tar.gz",
     "this is CIFAR-10 for Python; 'make cifar10' fetches the binary version"},
    {"cifar-10-binary.tar.gz", "unpack cifar-10-binary.tar.gz first, with tar -xf"},
    {"fine_label_names.txt", "this is CIFAR-100 without train.bin and test.bin"},
    {"meta", "this is CIFAR-100 for Python; only the binary version can be read"},
    {"meta.mat", "this is CIFAR-100 for Matlab; only the binary version can be read"},
    {"cifar-100-binary.tar.gz", "unpack cifar-100-binary.tar.gz first, with tar -xf"},
    {"train-images-idx3-ubyte", "this is MNIST, not CIFAR-10"},
    {"train-images-idx3-ubyte.gz", "this is MNIST, not CIFAR-10"},
};

/* Whether it is a folder that can be looked into. */
static bool is_folder(const char *path, failure *f)
{
    struct stat s;
    char found[PATH_SIZE];
    size_t i = 0;
    if (strlen(path) > PATH_SIZE - 300) return fail(f, 2, "--data: the name is too long");
    bool there = stat(path, &s) == 0, folder = there && S_ISDIR(s.st_mode);
    if (folder && can_read(path)) return true;
    const char *reason = there && !folder ? "not a folder" : strerror(errno);
    if (there && find_data(path, found)) {
        return fail(f, 2, "--data %s: %s; did you mean %s?", path, reason, found);
    }
    while (!strstr(path, path_hints[i].sign)) i++;
    return fail(f, 2, "--data %s: %s%s", path, reason, path_hints[i].text);
}

/* There is nothing to read in a folder: says what it may be. */
static bool no_data(const char *path, int part, failure *f)
{
    static const char *const folders[] = {"train", "test"};
    static const char *const others[] = {"val",  "valid",    "validation", "Train",
                                         "Test", "training", "testing"};
    const bool half = has_folder(path, folders[!part]);
    char found[PATH_SIZE];
    for (size_t i = 0; !half && i < sizeof folder_hints / sizeof *folder_hints; i++) {
        const hint *h = &folder_hints[i];
        if (exists(path, h->sign)) return fail(f, 2, "--data %s: %s", path, h->text);
    }
    if (!half && find_data(path, found)) {
        return fail(f, 2, "--data %s: neither CIFAR-10 nor train and test; did you mean %s?", path,
                    found);
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (!has_folder(path, others[i])) continue;
        return fail(f, 2, "--data %s: no folder %s in it; is that %s?", path, folders[part],
                    others[i]);
    }
    if (half) {
        return fail(f, 2, "--data %s: it has %s, but no folder %s", path, folders[!part],
                    folders[part]);
    }
    return fail(f, 2,
                "--data %s: neither data_batch_1.bin and so on nor train/CLASS/*.jpg and "
                "test/CLASS/*.jpg in it (--split 20%% takes one folder of CLASS/*.jpg)",
                path);
}

/* part 0: training, 1: test. */
static bool load_part(const options *o, int part, picture_set *p, left_out *left, failure *f)
{
    const char *name = part ? "test" : "train";
    const int64_t limit = part ? o->test_limit : o->limit;
    if (is_built_in(o)) {
        return load_synthetic(&p->data,
                              limit  ? limit
                              : part ? 1000
                                     : 5000,
                              part, f) &&
               number_pictures(p, f);
    }
    if (!is_folder(o->data, f)) return false;
    if (has_cifar100(o->data)) {
        return load_cifar100(&p->data, o->data, part, o->coarse, f) && number_pictures(p, f);
    }
    if (!has_cifar10(o->data)) {
        return has_folder(o->data, name) ? load_folder(o, name, p, left, f)
                                         : no_data(o->data, part, f);
    }
    char text[PATH_SIZE] = "";
    mls_status status = mls_data_cifar10(&p->data, o->data, part, text, sizeof text);
    if (status == MLS_OK) return number_pictures(p, f);
    return fail(f, 2, "--data: %s", text[0] ? text : mls_status_string(status));
}

/* Whether the test pictures are to be taken out of one folder. */
static bool is_split(const options *o)
{
    return o->split > 0 && !is_built_in(o) && !has_data(o->data) && !has_folder(o->data, "train") &&
           !has_folder(o->data, "test");
}

enum {
    SALT_TEST = 1,
    SALT_VALIDATION = 2
};

/* What is on the disk. A test needs no training pictures. */
static bool load_parts(const options *o, picture_set part[PARTS], left_out *left, failure *f)
{
    if (!is_split(o)) {
        if (o->split > 0 && given(o, find_option("--split"))) {
            return fail(f, 2, "--split: --data %s has test pictures of its own", o->data);
        }
        return load_part(o, 1, &part[TEST_PART], left, f) &&
               (o->checkpoint || load_part(o, 0, &part[TRAIN_PART], left, f));
    }
    if (!is_folder(o->data, f) || !load_folder(o, NULL, &part[TRAIN_PART], left, f)) return false;
    return divide(&part[TRAIN_PART], o->split, SALT_TEST, &part[TEST_PART], f);
}

/* Without test pictures of a class accuracies are of the others; without training pictures it cannot be
   learnt. */
static bool check_parts(const options *o, const picture_set part[PARTS], failure *f)
{
    const bool divided = o->split > 0 || o->validation > 0;
    for (int i = 0; i < PARTS; i++) {
        const mls_data *data = &part[i].data;
        const char *lost =
            divided && data->pixels && !o->limit && !o->test_limit ? lost_class(data) : NULL;
        if (data->pixels && data->count == 0) {
            return fail(f, 2, "--data %s: no %s pictures are left", o->data, part_names[i]);
        }
        if (lost && i == TRAIN_PART) {
            return fail(f, 2, "--data %s: no training picture is left of the class %s", o->data,
                        lost);
        }
        if (lost) say(stderr, "note: no %s picture is of the class %s", part_names[i], lost);
    }
    return true;
}

/* From what was read to what a network gets. */
static bool prepare_parts(const options *o, picture_set part[PARTS], failure *f)
{
    for (int i = PARTS; i-- > 0;) {
        const int64_t limit = i == TEST_PART ? o->test_limit : o->limit;
        mls_data *data = &part[i].data;
        if (!data->pixels) continue;
        if (data->classes < 2 && !o->checkpoint) { /* the classes of a checkpoint say it better */
            return fail(f, 2, "--data %s: %s has one class only, %s: nothing can be told apart",
                        o->data, i ? "test" : "train", data->names[0]);
        }
        if (!keep_some(&part[i], limit, f) || !fit_pictures(o, data, f)) return false;
        if (o->grey) to_grey(data);
    }
    if (o->checkpoint) return true;
    if (o->validation > 0 &&
        !divide(&part[TRAIN_PART], o->validation, SALT_VALIDATION, &part[VALIDATION_PART], f)) {
        return false;
    }
    return check_parts(o, part, f) && (!o->balance || balance(&part[TRAIN_PART].data, f));
}

/* Both have the names in order: the first that differs is missing on one side. */
static bool same_classes(const mls_data *train, const mls_data *test, failure *f)
{
    for (int i = 0; i < train->classes || i < test->classes; i++) {
        const char *a = i < train->classes ? train->names[i] : NULL;
        const char *b = i < test->classes ? test->names[i] : NULL;
        int order = a && b ? strcmp(a, b) : a ? -1 : 1;
        if (order == 0) continue;
        return fail(f, 2, "--data: train and test differ: %s has no pictures of the class %s",
                    order < 0 ? "test" : "train", order < 0 ? a : b);
    }
    return true;
}

/* The test pictures, and unless they are all that a test needs, those to train on and to validate
   with. Bad pictures of all are listed before they are refused. */
static bool load_all(const options *o, picture_set part[PARTS], failure *f)
{
    static left_out left;
    bool good = load_parts(o, part, &left, f);
    say_left_out(&left, o->skip_bad);
    if (!good) return false;
    if (left.count[MLS_LEFT_OUT_BAD] && !o->skip_bad) {
        return fail(f, 2, "--data: %s: %lld, such as %s (--skip-bad goes on without)",
                    left_out_what[MLS_LEFT_OUT_BAD], (long long)left.count[MLS_LEFT_OUT_BAD],
                    left.first[MLS_LEFT_OUT_BAD]);
    }
    return prepare_parts(o, part, f) &&
           (o->checkpoint || same_classes(&part[TRAIN_PART].data, &part[TEST_PART].data, f));
}

/* FNV-1a of pixels and labels. */
static uint64_t data_hash(const mls_data *data)
{
    uint64_t hash = 0xcbf29ce484222325u;
    size_t count = (size_t)data->count, bytes = count * (size_t)(data->h * data->w * data->c);
    for (size_t i = 0; i < bytes; i++) hash = (hash ^ data->pixels[i]) * 0x100000001b3u;
    for (size_t i = 0; i < count; i++) hash = (hash ^ data->labels[i]) * 0x100000001b3u;
    return hash;
}

#endif /* PROGRAM_DATA_H_INCLUDED */
