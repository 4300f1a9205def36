/* import.h - mls import: a checkpoint from the tensors of others */
#ifndef PROGRAM_IMPORT_H_INCLUDED
#define PROGRAM_IMPORT_H_INCLUDED

#include "checkpoint.h"
#include "npz.h"
#include "safetensors.h"

/* Bytes of a number of a type, in either kind of file, that can be read; 0: it cannot. */
static size_t number_bytes(const char *type)
{
    if (strcmp(type, "F32") == 0 || strcmp(type, "<f4") == 0) return 4;
    return strcmp(type, "F64") == 0 || strcmp(type, "<f8") == 0 ? 8 : 0;
}

static float number_of(const foreign *from, size_t i, size_t bytes)
{
    const uint64_t bits = little(from->bytes + i * bytes, (int)bytes);
    const uint32_t low = (uint32_t)bits;
    float number;
    double wide;
    memcpy(&number, &low, 4), memcpy(&wide, &bits, 8);
    return bytes == 4 ? number : (float)wide;
}

/* What keeps the tensor of a file from being one of the network's, as text; false: something does. */
static bool check_tensor(const tensor *t, const foreign *from, const char *path, failure *f)
{
    const size_t bytes = number_bytes(from->type);
    const int64_t first = from->rank > 0 ? from->dims[0] : 1;
    char there[96], here[96];
    bool same = from->rank == t->own.rank;
    for (int i = 0; same && i < from->rank; i++) same = from->dims[i] == t->dims[i];
    if (!same) {
        shape_text(from->rank < 4 ? from->rank : 4, from->dims, there, sizeof there);
        shape_text(t->own.rank, t->dims, here, sizeof here);
        return fail(f, 2, "%s: %s is [%s%s] there, [%s] here%s", path, t->name, there,
                    from->rank > 4 ? ", ..." : "", here,
                    first != t->dims[0] && t->own.rank == 2 ? ": other classes than --data" : "");
    }
    if (!bytes) {
        return fail(f, 2, "%s: %s has numbers of type %s: want fp32 or fp64", path, t->name,
                    from->type);
    }
    if (from->size != bytes * t->own.count) {
        return fail(f, 2, "%s: damaged: %s has %zu bytes for %zu numbers", path, t->name,
                    from->size, t->own.count);
    }
    for (size_t i = 0; i < t->own.count; i++) {
        const float x = number_of(from, i, bytes);
        if (!is_finite((double)x)) {
            return fail(f, 2, "%s: %s: number %zu is not finite", path, t->name, i);
        }
        if (x >= 0 || strcmp(t->own.part, "running_var") != 0) continue;
        return fail(f, 2, "%s: %s: number %zu is below 0", path, t->name, i);
    }
    return true;
}

/* PyTorch counts the batches of a norm; nothing here depends on it. */
static bool is_counter(const foreign *t)
{
    static const char end[] = "num_batches_tracked";
    const size_t length = sizeof end - 1;
    return t->length >= length && t->length < sizeof t->name &&
           strcmp(t->name + t->length - length, end) == 0;
}

/* The tensor of a file that has a name; null: there is none. */
static foreign *find_foreign(const foreign_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->of[i].length == strlen(name) && strcmp(list->of[i].name, name) == 0) {
            return &list->of[i];
        }
    }
    return NULL;
}

/* Each tensor of the network has one in the file, and the other way round. */
static bool match(const tensors *list, foreign_list *file, const char *path, failure *f)
{
    size_t missing = 0;
    const char *first = NULL;
    for (size_t i = 0; i < list->count; i++) {
        foreign *from = find_foreign(file, list->of[i].name);
        if (!from && !missing++) first = list->of[i].name;
        if (!from) continue;
        if (!check_tensor(&list->of[i], from, path, f)) return false;
        from->taken = true;
    }
    if (missing) {
        return fail(f, 2, "%s: has no %s, nor %zu others of the network's %zu tensors (--model?)",
                    path, first, missing - 1, list->count);
    }
    for (size_t i = 0; i < file->count; i++) {
        if (file->of[i].taken || is_counter(&file->of[i])) continue;
        return fail(f, 2, "%s: %s has no place in the network (--model?)", path, file->of[i].name);
    }
    return true;
}

/* All tensors of a file's bytes, or none. */
static bool take_tensors(const tensors *list, bool npz, const uint8_t *bytes, size_t size,
                         const char *path, failure *f)
{
    foreign_list file = {0};
    bool good = (npz ? read_npz : read_safetensors)(&file, bytes, size, path, f);
    good = good && match(list, &file, path, f);
    for (size_t i = 0; good && i < list->count; i++) {
        const foreign *from = find_foreign(&file, list->of[i].name);
        for (size_t k = 0; k < list->of[i].own.count; k++) {
            *number_at(&list->of[i], k) = number_of(from, k, number_bytes(from->type));
        }
    }
    free(file.of);
    return good;
}

static bool read_tensors(const tensors *list, const char *path, failure *f)
{
    char text[PATH_SIZE + 256];
    const size_t length = strlen(path);
    const bool npz = length > 4 && strcmp(path + length - 4, ".npz") == 0;
    void *bytes;
    size_t size;
    if (!npz && (length < 12 || strcmp(path + length - 12, ".safetensors") != 0)) {
        return fail(f, 2, "%s: want a file whose name ends in .safetensors or .npz", path);
    }
    if (mls_file_load(path, &bytes, &size, text, sizeof text) != MLS_OK) {
        return fail(f, 2, "%s", text);
    }
    bool good = take_tensors(list, npz, bytes, size, path, f);
    mls_file_free(bytes);
    return good;
}

/* A number for each channel, in the units of PyTorch: of pictures from 0 to 1. */
static bool read_channels(const char *name, const char *text, int channels, double *to, failure *f)
{
    const char *at = text;
    for (int c = 0; c < channels; c++) {
        char *end = NULL;
        to[c] = strtod(at, &end);
        if (end == at || !is_finite(to[c]) || *end != (c + 1 < channels ? ',' : 0)) {
            return fail(f, 2, "%s %s: want %d numbers with commas between them", name, text,
                        channels);
        }
        at = end + 1;
    }
    return true;
}

/* What the pictures are brought to: that of the training pictures, or what the options say. */
static bool set_normalisation(run *r, failure *f)
{
    const options *o = &r->job->o;
    const int channels = channels_of(o);
    double mean[CHANNELS], deviation[CHANNELS];
    if (!o->mean && !o->deviation) return true;
    if (!o->mean || !o->deviation) return fail(f, 2, "--mean and --std belong together");
    if (!read_channels("--mean", o->mean, channels, mean, f) ||
        !read_channels("--std", o->deviation, channels, deviation, f)) {
        return false;
    }
    for (int c = 0; c < channels; c++) {
        if (!(deviation[c] > 0)) return fail(f, 2, "--std %s: want numbers above 0", o->deviation);
        r->at.mean[c] = 255 * mean[c], r->at.scale[c] = 1 / (255 * deviation[c]);
    }
    return true;
}

static bool import(const job *j, failure *f)
{
    run r;
    tensors list = {0};
    const options *o = &j->o;
    if (!o->out) return fail(f, 2, "where to? --out CHECKPOINT");
    bool good = open_run(&r, j, o->format, o->seed, f) && set_normalisation(&r, f) &&
                list_tensors(&list, &r.net, f) && read_tensors(&list, o->weights, f) &&
                save_run_as(&r, o->out, f);
    if (good) {
        say(stdout, "%s: the %zu tensors of %s, of width %d, as in %s", o->out, list.count,
            o->model, (int)o->width, o->weights);
        printf("result tensors=%zu weights=%lld digest=%016llx\n", list.count,
               (long long)r.plan.weights, (unsigned long long)mls_net_digest(&r.net));
    }
    free_tensors(&list);
    close_run(&r);
    return good;
}

#endif /* PROGRAM_IMPORT_H_INCLUDED */
