/* predict.h - mls predict: what is on pictures, as a checkpoint sees it, which knows all that this needs */
#ifndef PROGRAM_PREDICT_H_INCLUDED
#define PROGRAM_PREDICT_H_INCLUDED

#include <ctype.h>

#include "folder.h"

#ifdef NO_PICTURES
static bool predict(const job *j, failure *f)
{
    (void)j;
    return fail(f, 2, "mls predict: this program was built with NO_PICTURES");
}
#else
enum {
    PREDICT_BATCH = 16, /* changes no prediction */
    PREDICT_SIDE = 4096 /* as --size has it */
};

typedef struct predictor {
    const job *job;
    mls_net net;
    mls_node *nodes;
    void *arena;
    mls_augment plain;
    picture_fit fit;
    int32_t h, w, c, classes, waiting; /* waiting: pictures that are decoded */
    uint8_t *pixels, labels[PREDICT_BATCH];
    float *images, *probabilities;
    char paths[PREDICT_BATCH][PATH_SIZE];
    int64_t pictures, bad;
} predictor;

static bool build_predictor(predictor *p, const void *bytes, size_t size, failure *f)
{
    const char *name = p->job->o.checkpoint;
    mls_net_desc desc = {.batch = PREDICT_BATCH, .inference = 1};
    mls_checkpoint about;
    mls_plan plan;
    mls_layer in, out;
    mls_checkpoint_look(bytes, size, &about, NULL, 0); /* open_source has found it good */
    p->nodes = malloc(((size_t)about.nodes + 1) * sizeof *p->nodes);
    if (!p->nodes) return fail(f, 1, "no memory for %d layers", (int)about.nodes);
    if (mls_net_open(&p->net, &desc, p->nodes, about.nodes + 1, bytes, size) != MLS_OK ||
        mls_net_plan(&p->net, &plan) != MLS_OK) {
        return fail(f, 2, "%s: %s", name, p->net.text);
    }
    mls_net_layer(&p->net, 0, &in), mls_net_layer(&p->net, about.nodes - 1, &out);
    p->h = in.shape.h, p->w = in.shape.w, p->c = in.shape.c, p->classes = out.shape.c;
    if ((p->c != 1 && p->c != CHANNELS) || p->h > PREDICT_SIDE || p->w > PREDICT_SIDE) {
        return fail(f, 2, "%s: its input of %dx%dx%d is no picture", name, (int)p->h, (int)p->w,
                    (int)p->c);
    }
    const size_t all = (size_t)PREDICT_BATCH * (size_t)p->h * (size_t)p->w * CHANNELS;
    p->arena = malloc(plan.arena);
    p->pixels = malloc(all);
    p->images = malloc(all * sizeof *p->images);
    p->probabilities = malloc(PREDICT_BATCH * (size_t)p->classes * sizeof *p->probabilities);
    if (!p->arena || !p->pixels || !p->images || !p->probabilities) {
        return fail(f, 1, "no memory: the network needs %zu bytes", plan.arena);
    }
    if (mls_net_bind(&p->net, p->arena, plan.arena) == MLS_OK &&
        mls_net_checkpoint_read(&p->net, bytes, size, NULL, 0) == MLS_OK) {
        return true;
    }
    return fail(f, 2, "%s: %s", name, p->net.text);
}

static bool open_predictor(predictor *p, const job *j, failure *f)
{
    char text[PATH_SIZE + 256];
    const char *name = j->o.checkpoint;
    progress at;
    void *bytes;
    size_t size;
    p->job = j, p->fit = fit_of(&j->o);
    if (!get_progress(&at, &j->from)) {
        return fail(f, 2, "%s: does not say how pictures are normalised", name);
    }
    for (int c = 0; c < CHANNELS; c++) {
        p->plain.mean[c] = (float)at.mean[c], p->plain.scale[c] = (float)at.scale[c];
    }
    if (mls_file_load(name, &bytes, &size, text, sizeof text) != MLS_OK)
        return fail(f, 2, "%s", text);
    bool good = build_predictor(p, bytes, size, f);
    mls_file_free(bytes);
    return good;
}

static void close_predictor(predictor *p)
{
    free(p->nodes);
    free(p->arena);
    free(p->pixels);
    free(p->images);
    free(p->probabilities);
}

/* For a terminal, which a name must not command. */
static void print_plain(FILE *to, const char *text)
{
    for (; *text; text++) fputc((unsigned char)*text < 32 || *text == 127 ? '?' : *text, to);
}

static void class_text(const predictor *p, int32_t which, char *text, size_t size)
{
    const char *name = class_there(p->job, which);
    if (name) snprintf(text, size, "%s", name);
    if (!name) snprintf(text, size, "%d", (int)which);
}

/* The most probable class, which is then no more. */
static int32_t take_class(const predictor *p, float *probabilities, float *probability)
{
    int32_t best = 0;
    for (int32_t i = 1; i < p->classes; i++) {
        if (probabilities[i] > probabilities[best]) best = i;
    }
    *probability = probabilities[best];
    probabilities[best] = -1;
    return best;
}

static void print_prediction(const predictor *p, const char *path, float *probabilities)
{
    const int64_t asked = p->job->o.top, top = asked < p->classes ? asked : p->classes;
    print_plain(stdout, path);
    for (int64_t k = 0; k < top; k++) {
        char name[256];
        float probability;
        class_text(p, take_class(p, probabilities, &probability), name, sizeof name);
        fputs(k ? ", " : ": ", stdout);
        print_plain(stdout, name);
        printf(" %.1f %%", 100 * (double)probability);
    }
    putchar('\n');
}

/* {"file":"a.png","class":"cat","probability":0.9,"top":[{"class":"cat","probability":0.9}, ...]} */
static bool print_json(const predictor *p, const char *path, float *probabilities)
{
    const int64_t asked = p->job->o.top, top = asked < p->classes ? asked : p->classes;
    growing t = {0};
    char name[256], number[64];
    float probability;
    append(&t, "{\"file\":\"", 9);
    append_escaped(&t, path);
    for (int64_t k = 0; k < top; k++) {
        class_text(p, take_class(p, probabilities, &probability), name, sizeof name);
        snprintf(number, sizeof number, "\",\"probability\":%.9g", (double)probability);
        for (int list = k == 0 ? 0 : 1; list < 2; list++) {
            const char *head = !list ? "\",\"class\":\""
                               : k   ? ",{\"class\":\""
                                     : ",\"top\":[{\"class\":\"";
            append(&t, head, strlen(head));
            append_escaped(&t, name);
            append(&t, number, strlen(number));
            if (list) append(&t, "}", 1);
        }
    }
    append(&t, "]}\n", 3);
    if (!t.no_memory) fputs(t.at, stdout);
    free(t.at);
    return !t.no_memory;
}

/* Predicts the pictures that wait. */
static bool predict_waiting(predictor *p, failure *f)
{
    const int32_t count = p->waiting;
    int32_t labels[PREDICT_BATCH];
    mls_data data = {count, p->h, p->w, CHANNELS, 1, p->pixels, p->labels, {{0}}};
    p->waiting = 0;
    if (count == 0) return true;
    if (p->c == 1) to_grey(&data);
    mls_status status = mls_data_batch(&data, &p->plain, 0, 0, 0, count, p->images, labels);
    if (status != MLS_OK) return fail(f, 1, "%s: %s", p->paths[0], mls_status_string(status));
    if (mls_net_predict(&p->net, p->images, count, NULL, p->probabilities) != MLS_OK) {
        return fail(f, 1, "%s: %s", p->job->o.checkpoint, p->net.text);
    }
    for (int32_t n = 0; n < count; n++) {
        float *of = p->probabilities + (size_t)n * (size_t)p->classes;
        if (!p->job->o.json) print_prediction(p, p->paths[n], of);
        if (p->job->o.json && !print_json(p, p->paths[n], of)) return fail(f, 1, "no memory");
    }
    p->pictures += count;
    return true;
}

static bool refuse_picture(predictor *p, const char *path, const char *why)
{
    print_plain(stderr, path);
    fprintf(stderr, ": %s\n", why);
    p->bad++;
    return true;
}

static bool predict_file(predictor *p, const char *path, failure *f)
{
    const size_t size = (size_t)p->h * (size_t)p->w * CHANNELS;
    char why[256] = "";
    int32_t h = p->h, w = p->w;
    if (strlen(path) >= PATH_SIZE) return refuse_picture(p, path, "the name is too long");
    if (decode_picture(&p->fit, path, &h, &w, CHANNELS, p->pixels + (size_t)p->waiting * size, why,
                       sizeof why) != 0) {
        return refuse_picture(p, path, why);
    }
    snprintf(p->paths[p->waiting++], PATH_SIZE, "%s", path);
    return p->waiting < PREDICT_BATCH || predict_waiting(p, f);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* As those that are trained on. */
static bool is_picture_name(const char *name)
{
    static const char *const ends[] = {".jpg", ".jpeg", ".png"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        size_t length = strlen(name), end = strlen(ends[i]), k = 0;
        while (length > end && k < end &&
               tolower((unsigned char)name[length - end + k]) == ends[i][k])
            k++;
        if (k == end) return true;
    }
    return false;
}

/* Names in a folder, in order: pictures and folders that are not hidden. */
static char **list_folder(const char *folder, size_t *count)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    char **names = NULL;
    *count = 0;
    while (dir && (entry = readdir(dir)) != NULL) {
        const char *name = entry->d_name;
        if (name[0] == '.' || !(has_folder(folder, name) || is_picture_name(name))) continue;
        char **more = realloc(names, (*count + 1) * sizeof *more), *copy = malloc(strlen(name) + 1);
        if (more) names = more;
        if (more && copy) names[(*count)++] = strcpy(copy, name);
        if (!more) free(copy);
    }
    if (dir) closedir(dir);
    if (*count) qsort(names, *count, sizeof *names, compare_texts);
    return names;
}

/* A picture, or all in a folder and in those within. */
static bool predict_path(predictor *p, const char *path, failure *f)
{
    char inside[PATH_SIZE];
    size_t count, length = strlen(path);
    bool good = true;
    if (!is_directory(path)) return predict_file(p, path, f);
    char **names = list_folder(path, &count);
    if (count == 0) refuse_picture(p, path, "no pictures in it");
    while (length > 1 && path[length - 1] == '/') length--;
    for (size_t i = 0; i < count; i++) {
        int room = snprintf(inside, sizeof inside, "%.*s/%s", (int)length, path, names[i]);
        if (good && room >= PATH_SIZE) refuse_picture(p, inside, "the name is too long");
        if (good && room < PATH_SIZE) good = predict_path(p, inside, f);
        free(names[i]);
    }
    free(names);
    return good;
}

static bool predict(const job *j, failure *f)
{
    static predictor p;
    const options *o = &j->o;
    bool good = open_predictor(&p, j, f);
    for (int i = 0; good && i < o->files; i++) good = predict_path(&p, o->file[i], f);
    good = good && predict_waiting(&p, f);
    if (good) {
        fprintf(o->json ? stderr : stdout, "result pictures=%lld bad=%lld\n", (long long)p.pictures,
                (long long)p.bad);
    }
    close_predictor(&p);
    if (good && p.bad) return fail(f, 2, "not all pictures could be read");
    return good;
}
#endif

#endif /* PROGRAM_PREDICT_H_INCLUDED */
