/* run.h - a run: one format, one seed; what it says of itself */
#ifndef PROGRAM_RUN_H_INCLUDED
#define PROGRAM_RUN_H_INCLUDED

#include "../models.h"
#include "data.h"
#include "settings.h"
#include "specs.h"

/* What all runs of a call share. */
typedef struct job {
    options o;
    specs formats; /* to be trained */
    model model;
    mls_data train, validation, test; /* validation: may be empty */
    uint64_t train_hash, test_hash;
    mls_augment augment;
    settings from;             /* of --resume or mls test, */
    mls_content content;       /* of a checkpoint, */
    char from_name[PATH_SIZE]; /* and the file that has them */
    char out[PATH_SIZE];       /* the folder of --resume, if it says which, or of mls report */
    char checkpoint[PATH_SIZE + 16]; /* in that folder */
} job;

/* Where a run is. */
typedef struct progress {
    int64_t epoch, batch;    /* done; batches of the current epoch */
    int64_t correct, images; /* of the current epoch */
    double loss;             /* summed over these images */
    double last_loss;        /* mean over the last whole epoch */
    int64_t last_correct;    /* test pictures right after it */
    int64_t best;            /* after the best epoch: of the pictures that say which it is */
    double mean[CHANNELS], scale[CHANNELS]; /* of the pictures, see mls_augment */
    int64_t best_epoch, best_correct;       /* the best one, and test pictures right after it */
} progress;

/* Its members, all of 64 bits, in order. */
#define PROGRESS       (EARLY_PROGRESS + 2)
#define EARLY_PROGRESS (8 + 2 * CHANNELS) /* those that every checkpoint has */
static const struct {
    const char *key;
    bool real;
} progress_table[PROGRESS] = {
    {"epoch", false},         {"batch_of_epoch", false},
    {"epoch_correct", false}, {"images", false},
    {"epoch_loss", true},     {"train_loss", true},
    {"correct", false},       {"best_correct", false},
    {"mean_0", true},         {"mean_1", true},
    {"mean_2", true},         {"scale_0", true},
    {"scale_1", true},        {"scale_2", true},
    {"best_epoch", false},    {"best_test_correct", false},
};
_Static_assert(sizeof(progress) == 8 * PROGRESS, "64-bit members only");

typedef struct run {
    const job *job;
    const char *spec;
    mls_formats formats;
    uint64_t seed;
    char folder[PATH_SIZE]; /* empty: nothing is kept */
    mls_net net;
    mls_node *nodes;
    void *arena;
    mls_plan plan;
    float *images; /* (batch, 32, 32, 3) */
    int32_t *labels;
    mls_schedule schedule;
    int64_t batches; /* of an epoch */
    progress at;
    int64_t trained; /* pictures in this process, */
    double seconds;  /* and the time for them */
    double shown;    /* when the progress line last changed */
    bool warned;
    FILE *log;
} run;

static void close_run(run *r)
{
    if (r->log) fclose(r->log);
    free(r->labels);
    free(r->images);
    free(r->arena);
    free(r->nodes);
}

static int channels_of(const options *o)
{
    return o->grey ? 1 : CHANNELS;
}

static mls_schedule make_schedule(const options *o, int64_t batches)
{
    mls_schedule s = {0};
    s.kind = strcmp(o->schedule, "cosine") ? MLS_SCHEDULE_STEP : MLS_SCHEDULE_COSINE;
    s.rate = (float)o->rate;
    s.updates = o->epochs * batches;
    s.warmup = (int64_t)(o->warmup * (double)batches + 0.5);
    s.milestones[0] = s.updates / 2;
    s.milestones[1] = s.updates * 3 / 4;
    return s;
}

static bool is_adamw(const options *o)
{
    return strcmp(o->optimizer, "adamw") == 0;
}

static void set_optimizer(const options *o, mls_net_desc *desc)
{
    desc->optimizer = is_adamw(o) ? MLS_ADAMW : MLS_SGD;
    desc->clip = (float)o->clip;
    desc->no_decay_norms = o->no_decay_norms;
    desc->average = o->ema > 0, desc->average_decay = (float)o->ema;
}

/* close_run also after a failure. */
static bool open_run(run *r, const job *j, const char *spec, uint64_t seed, failure *f)
{
    mls_net_desc desc = {0};
    const int32_t capacity = j->model.nodes, batch = (int32_t)j->o.batch;
    model m = j->model;
    m.h = j->o.size.h, m.w = j->o.size.w, m.c = channels_of(&j->o), m.classes = j->test.classes;
    m.dropout = (float)j->o.dropout, m.smoothing = (float)j->o.smoothing;
    memset(r, 0, sizeof *r);
    r->job = j, r->spec = spec, r->seed = seed;
    r->batches = (j->train.count + j->o.batch - 1) / j->o.batch;
    r->schedule = make_schedule(&j->o, r->batches);
    for (int c = 0; c < CHANNELS; c++) {
        r->at.mean[c] = (double)j->augment.mean[c], r->at.scale[c] = (double)j->augment.scale[c];
    }
    mls_formats_parse(&r->formats, spec, NULL, 0); /* set_option has found it good */
    r->nodes = malloc((size_t)capacity * sizeof *r->nodes);
    r->images = malloc((size_t)batch * (size_t)(m.h * m.w * m.c) * sizeof *r->images);
    r->labels = malloc((size_t)batch * sizeof *r->labels);
    if (!r->nodes || !r->images || !r->labels) {
        return fail(f, 1, "no memory for a batch of %d pictures", (int)batch);
    }
    desc.batch = batch, desc.seed = seed;
    desc.inference = j->content == MLS_CONTENT_PACKED;
    desc.formats = r->formats;
    set_optimizer(&j->o, &desc);
    mls_net_begin(&r->net, &desc, r->nodes, capacity);
    m.build(&r->net, &m);
    if (j->o.layer_formats && mls_net_formats(&r->net, j->o.layer_formats) != MLS_OK) {
        return fail(f, 2, "--layer-formats '%s': %s", j->o.layer_formats, r->net.text);
    }
    if (j->o.layer_rates && mls_net_rates(&r->net, j->o.layer_rates) != MLS_OK) {
        return fail(f, 2, "--layer-rates '%s': %s", j->o.layer_rates, r->net.text);
    }
    if (mls_net_plan(&r->net, &r->plan) != MLS_OK) {
        return fail(f, 2, "--format '%s', --model %s: %s", spec, j->o.model, r->net.text);
    }
    r->arena = malloc(r->plan.arena);
    if (!r->arena) {
        return fail(f, 1, "no memory: the network needs %zu bytes (a smaller --batch needs less)",
                    r->plan.arena);
    }
    if (mls_net_bind(&r->net, r->arena, r->plan.arena) == MLS_OK) return true;
    return fail(f, 1, "%s", r->net.text);
}

/* MLS_VERBOSE=1: which kernel each layer gets in each direction, and why. */
static void explain(const mls_net *net)
{
    static const char *const directions[] = {"forward", "backward-data", "backward-weight"};
    mls_layer layer;
    char text[256];
    for (int32_t i = 0; mls_net_layer(net, i, &layer) == MLS_OK; i++) {
        for (int d = 0; d < 3; d++) {
            if (mls_net_explain(net, i, (mls_direction)d, text, sizeof text) != MLS_OK) continue;
            fprintf(stderr, "node %d, %s to %dx%dx%d, %s: %s\n", (int)i, layer.kind,
                    (int)layer.shape.h, (int)layer.shape.w, (int)layer.shape.c, directions[d],
                    text);
        }
    }
}

/* Once nothing can be refused any more: an error is a single line. */
static void announce(const run *r)
{
    const job *j = r->job;
    const char *verbose = getenv("MLS_VERBOSE");
    int threads = (int)r->plan.threads;
    char asked[32] = "", training[64] = "";
    if (j->o.threads && j->o.threads != threads) {
        snprintf(asked, sizeof asked, " (not %lld)", (long long)j->o.threads);
    }
    if (!j->o.checkpoint)
        snprintf(training, sizeof training, "%d training%s", (int)j->train.count,
                 j->validation.count ? ", " : " and ");
    if (j->validation.count) {
        snprintf(training + strlen(training), sizeof training - strlen(training),
                 "%d validation and ", (int)j->validation.count);
    }
    bool built_in = is_built_in(&j->o);
    say(stderr, "%s, %s, seed %llu; kernel %s, %d thread%s%s; %s%d test pictures %s%s", j->o.model,
        r->spec, (unsigned long long)r->seed, mls_kernel_used(), threads, threads == 1 ? "" : "s",
        asked, training, (int)j->test.count, built_in ? "that are built in" : "of ",
        built_in ? "" : j->o.data);
    if (verbose && strcmp(verbose, "0") != 0) explain(&r->net);
}

/* The options of one of several runs. */
static options one_run(const job *j, const char *spec, uint64_t seed)
{
    options o = j->o;
    o.format = spec, o.seed = seed, o.seeds = 0, o.beside = o.formats = NULL;
    return o;
}

/* Options, and what was found in the pictures. */
static void describe(const job *j, const options *o, settings *to)
{
    char room[MLS_FORMATS_TEXT] = "", key[24];
    mls_formats formats;
    put(to, "program", "mls");
    for (size_t i = 0; i < OPTIONS; i++) {
        const char *value = option_table[i].key ? option_text(o, &option_table[i], room) : NULL;
        if (value) put(to, option_table[i].key, "%s", value);
    }
    mls_formats_parse(&formats, o->format, NULL, 0);
    mls_formats_text(formats, room, sizeof room);
    put(to, "formats", "%s", room);
    put(to, "input", "%dx%dx%d", (int)o->size.h, (int)o->size.w, channels_of(o));
    put(to, "classes", "%d", (int)j->test.classes);
    for (int i = 0; i < j->test.classes; i++) {
        snprintf(key, sizeof key, "class_%d", i);
        put(to, key, "%s", j->test.names[i]);
    }
    if (j->train.count == 0) return; /* a test */
    put(to, "train_count", "%d", (int)j->train.count);
    put(to, "test_count", "%d", (int)j->test.count);
    if (j->validation.count) put(to, "validation_count", "%d", (int)j->validation.count);
    put(to, "train_hash", "%016llx", (unsigned long long)j->train_hash);
    put(to, "test_hash", "%016llx", (unsigned long long)j->test_hash);
}

static void put_progress(settings *to, const progress *from)
{
    for (int i = 0; i < PROGRESS; i++) {
        const char *key = progress_table[i].key, *at = (const char *)from + 8 * i;
        int64_t count;
        double real;
        memcpy(&count, at, 8), memcpy(&real, at, 8);
        if (progress_table[i].real) put_real(to, key, real);
        if (!progress_table[i].real) put(to, key, "%lld", (long long)count);
    }
}

static bool get_progress(progress *to, const settings *from)
{
    for (int i = 0; i < PROGRESS; i++) {
        const char *value = get(from, progress_table[i].key);
        char *end = NULL, *at = (char *)to + 8 * i;
        if (!value && i >= EARLY_PROGRESS) continue;
        if (!value) return false;
        int64_t count = progress_table[i].real ? 0 : strtoll(value, &end, 10);
        double real = progress_table[i].real ? strtod(value, &end) : 0;
        if (*end || end == value || count < 0 || !is_finite(real)) return false;
        memcpy(at, progress_table[i].real ? (const void *)&real : (const void *)&count, 8);
    }
    if (!get(from, "best_epoch")) to->best_epoch = to->epoch; /* --patience counts from here */
    return true;
}

static const option *option_of(const char *key)
{
    for (size_t i = 0; i < OPTIONS; i++) {
        if (option_table[i].key && strcmp(option_table[i].key, key) == 0) return &option_table[i];
    }
    return NULL;
}

/* Whether a description in the file `name` is that of a run with these options, as far as both say
   something: use is RESUME or EVAL. */
static bool same_run(const job *j, const options *o, const settings *theirs, const char *name,
                     int use, failure *f)
{
    settings ours = {0};
    bool good = true;
    describe(j, o, &ours);
    for (size_t i = 0; good && i < ours.count; i++) {
        const char *key = ours.of[i].key, *value = ours.of[i].value, *there = get(theirs, key);
        const option *row = option_of(key);
        if (!there || strcmp(key, "program") == 0 ||
            (row && (!(row->same & use) || same_value(row, there, value) ||
                     grows(row, use, there, value))))
            continue;
        if (strcmp(there, value) == 0) continue;
        good = fail(f, 2, "%s: was made with %s %s, not %s", name, key, there, value);
    }
    if (ours.no_memory) good = fail(f, 1, "no memory to compare with %s", name);
    free_settings(&ours);
    return good;
}

#endif /* PROGRAM_RUN_H_INCLUDED */
