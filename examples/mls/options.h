/* options.h - the command line */
#ifndef PROGRAM_OPTIONS_H_INCLUDED
#define PROGRAM_OPTIONS_H_INCLUDED

#include <errno.h>
#include <stddef.h>

#include "../fit.h"
#include "common.h"

typedef struct sides {
    int32_t h, w;
} sides;

typedef struct options {
    const char *data, *model, *format, *formats, *layer_formats, *layer_rates, *init, *beside,
        *test_format, *schedule, *optimizer;
    const char *kernel, *out, *resume, *fit;
    const char *safetensors, *npz, *npy, *onnx, *onnx_int8, *c_header, *slim,
        *packed;                  /* of mls export */
    const char *mean, *deviation; /* of mls import */
    const char *checkpoint;       /* of mls test, report and export */
    const char *weights;          /* of mls import */
    int64_t crop, patience;       /* 0: none */
    int64_t epochs, batch, width, seeds, limit, test_limit, threads, every; /* 0: not given */
    int64_t top;                                                            /* of mls predict, */
    double rate, warmup, split, validation, dropout, smoothing;
    double decay, clip, ema; /* below their least: not given */
    uint64_t seed;
    sides size; /* of the pictures that the network gets */
    bool coarse, resize, grey, no_flip, balance, skip_bad, no_decay_norms, json, help;
    uint64_t given; /* a bit for each row of option_table */
    char **file;    /* of mls predict, */
    int files;      /* so many */
} options;

typedef enum { /* copy_option has their sizes */
    TEXT,
    SPEC, /* a text that mls_formats_parse reads */
    COUNT,
    REAL,
    SHARE, /* percent, with or without the sign */
    SEED,
    SIDES, /* one number, or HxW */
    FLAG
} option_kind;

/* What is done with a checkpoint. */
enum {
    RESUME = 1,
    EVAL = 2,
    GROWS = 4 /* a run may go on with more of it */
};

/* The commands that an option is for. */
enum {
    TRAIN = 1,
    TEST = 2,
    PLAN = 4,
    EXPORT = 8,
    IMPORT = 16,
    REPORT = 32,
    PREDICT = 64,
    ALL = TRAIN | TEST | PLAN | IMPORT | REPORT
};

typedef struct option {
    const char *name;
    unsigned commands;
    const char *argument, *help; /* a line or several */
    option_kind kind;
    size_t at; /* in options */
    double low, high;
    const char *key; /* in checkpoints and config.json; null: not kept */
    int same;        /* when it must be as it is there */
} option;

#define OPTION(member) offsetof(options, member)
static const option option_table[] = {
    {"--data", ALL, "DIR",
     "binary files of CIFAR-10 or CIFAR-100, or pictures\n"
     "DIR/train/CLASS/*.jpg|png and DIR/test/CLASS/*, or with\n"
     "--split DIR/CLASS/*; 'synthetic' (the default): ten classes\n"
     "that are built in",
     TEXT, OPTION(data), 0, 0, "data", 0},
    {"--coarse", ALL, "", "the 20 coarse labels of CIFAR-100, not the 100 fine ones", FLAG,
     OPTION(coarse), 0, 0, "coarse", RESUME | EVAL},
    {"--size", ALL, "N or HxW", "pixels of the pictures that the network gets (32)", SIDES,
     OPTION(size), 1, 4096, "size", RESUME | EVAL},
    {"--grey", ALL, "", "pictures of one channel", FLAG, OPTION(grey), 0, 0, "grey", RESUME | EVAL},
    {"--fit", ALL, "NAME",
     "pictures of another size: letterbox (default) keeps all,\n"
     "with grey bars; crop takes the middle; stretch takes all;\n"
     "exact refuses them",
     TEXT, OPTION(fit), 0, 0, "fit", RESUME | EVAL},
    {"--resize", ALL, "", "the same as --fit stretch", FLAG, OPTION(resize), 0, 0, "resize",
     RESUME | EVAL},
    {"--split", ALL, "N%",
     "one folder DIR/CLASS/*.jpg|png: so many of its pictures,\n"
     "chosen by their names, are for the test",
     SHARE, OPTION(split), 0.01, 90, "split", RESUME | EVAL},
    {"--validation", ALL, "N%",
     "so many training pictures are not trained on, but say which\n"
     "epoch is best (best.mlsck); otherwise the test pictures do",
     SHARE, OPTION(validation), 0.01, 90, "validation", RESUME},
    {"--balance", ALL, "",
     "repeat pictures of small classes until all are as large as\n"
     "the largest",
     FLAG, OPTION(balance), 0, 0, "balance", RESUME},
    {"--no-flip", ALL, "", "mirror no picture", FLAG, OPTION(no_flip), 0, 0, "no_flip", RESUME},
    {"--crop", ALL, "N", "move pictures by up to N pixels; 0: by none (4)", COUNT, OPTION(crop), 0,
     4096, "crop", RESUME},
    {"--skip-bad", ALL, "", "go on without the pictures that cannot be read", FLAG,
     OPTION(skip_bad), 0, 0, "skip_bad", 0},
    {"--limit", ALL, "N",
     "at most N training pictures, equally many of each class, the\n"
     "same ones for every --seed (synthetic: 5000)",
     COUNT, OPTION(limit), 1, 1e7, "limit", RESUME | EVAL},
    {"--test-limit", ALL, "N", "at most N test pictures (synthetic: 1000)", COUNT,
     OPTION(test_limit), 1, 1e7, "test_limit", RESUME},
    {"--model", ALL, "NAME",
     "resnet8, resnet14, resnet20 (default) ... with 6n+2 layers; a\n"
     "final b takes 1x1 convolutions for shortcuts instead of\n"
     "zero-padded channels. Or resnet18, resnet34, vgg16,\n"
     "googlenet, mobilenet2",
     TEXT, OPTION(model), 0, 0, "model", RESUME | EVAL},
    {"--width", ALL, "N",
     "channels of the first stage (the network's own; 16 of\n"
     "CIFAR's ResNets)",
     COUNT, OPTION(width), 1, 4096, "width", RESUME | EVAL},
    {"--format", ALL, "SPEC", "number formats, see below (2,1:nc:2,0)", SPEC, OPTION(format), 0, 0,
     "format", RESUME | EVAL},
    {"--formats", TRAIN | PLAN, "LIST", "several, one after the other: \"2,1; 2,4; fp32\"", TEXT,
     OPTION(formats), 0, 0, "formats_list", RESUME | EVAL},
    {"--beside", TRAIN | PLAN, "SPEC", "train with this format, too, and compare", SPEC,
     OPTION(beside), 0, 0, "beside", RESUME | EVAL},
    {"--layer-formats", ALL, "LIST",
     "formats of some layers: \"conv1=fp32; conv8-13=2,4;\nlinear=2,4\"", TEXT,
     OPTION(layer_formats), 0, 0, "layer_formats", RESUME | EVAL},
    {"--layer-rates", TRAIN | PLAN, "LIST",
     "shares of the learning rate that some layers get; 0 freezes\n"
     "them, with their norms: \"conv=0; linear=2\"",
     TEXT, OPTION(layer_rates), 0, 0, "layer_rates", RESUME},
    {"--dropout", TRAIN | PLAN, "P",
     "drop numbers before the last layer with this probability, in\ntraining (0)", REAL,
     OPTION(dropout), 0, 0.99, "dropout", RESUME | EVAL},
    {"--label-smoothing", TRAIN | PLAN, "X",
     "so much of each label goes to all classes alike, in training\n(0)", REAL, OPTION(smoothing),
     0, 0.99, "label_smoothing", RESUME | EVAL},
    {"--init", TRAIN, "FILE", "first weights from a checkpoint: what fits by name and shape", TEXT,
     OPTION(init), 0, 0, "init", RESUME},
    {"--test-format", TEST, "SPEC", "not in the format that it was trained in", SPEC,
     OPTION(test_format), 0, 0, NULL, 0},
    {"--epochs", ALL, "N",
     "passes over the training pictures (10; the paper has 160);\n"
     "with --resume more than there were: the rest of a longer run",
     COUNT, OPTION(epochs), 1, 1e6, "epochs", RESUME | EVAL | GROWS},
    {"--patience", TRAIN, "N", "stop after N epochs that were no better than the best before",
     COUNT, OPTION(patience), 1, 1e6, "patience", 0},
    {"--batch", ALL, "N", "pictures of a step (128)", COUNT, OPTION(batch), 1, 65536, "batch",
     RESUME},
    {"--lr", ALL, "X", "learning rate at the top (0.1)", REAL, OPTION(rate), 1e-30, 1000, "lr",
     RESUME | EVAL},
    {"--schedule", ALL, "NAME", "paper: a tenth after 1/2 and 3/4 of the run; cosine (paper)", TEXT,
     OPTION(schedule), 0, 0, "schedule", RESUME | EVAL},
    {"--warmup", ALL, "EPOCHS", "rise linearly to the rate first (0)", REAL, OPTION(warmup), 0, 1e6,
     "warmup", RESUME | EVAL},
    {"--optimizer", TRAIN | PLAN, "NAME", "sgd (with momentum 0.9), or adamw (its --lr is 0.001)",
     TEXT, OPTION(optimizer), 0, 0, "optimizer", RESUME},
    {"--decay", TRAIN | PLAN, "X", "weight decay (0.0005; adamw 0.01)", REAL, OPTION(decay), 0, 10,
     "decay", RESUME},
    {"--no-decay-norms", TRAIN | PLAN, "", "none for norms and biases", FLAG,
     OPTION(no_decay_norms), 0, 0, "no_decay_norms", RESUME},
    {"--clip", TRAIN | PLAN, "NORM", "the longest that the gradient of a step may be", REAL,
     OPTION(clip), 1e-30, 1e30, "clip", RESUME},
    {"--ema", TRAIN | PLAN, "DECAY",
     "average the weights over the steps, 0.999 say; tests and\nexports take the average", REAL,
     OPTION(ema), 0.001, 0.999999, "ema", RESUME},
    {"--seed", ALL, "N", "of weights, order, crops and rounding (1)", SEED, OPTION(seed), 0, 0,
     "seed", RESUME | EVAL},
    {"--seeds", TRAIN, "N", "runs with N seeds from --seed on, and their mean (1)", COUNT,
     OPTION(seeds), 1, 1000, "seeds", RESUME | EVAL},
    {"--out", TRAIN | IMPORT, "DIR",
     "keep config.json, log.jsonl, last.mlsck, best.mlsck,\nruns.csv, a plot; of mls import: the "
     "new checkpoint",
     TEXT, OPTION(out), 0, 0, NULL, 0},
    {"--checkpoint-every", TRAIN, "N", "epochs between checkpoints (1)", COUNT, OPTION(every), 1,
     1e6, "checkpoint_every", 0},
    {"--resume", TRAIN, "DIR",
     "go on with what is kept in DIR: finished runs are left alone,\n"
     "one that was stopped goes on, the rest begins; needs no other\n"
     "option and refuses one that says otherwise. Or FILE: one run\n"
     "from a checkpoint, in its folder or --out",
     TEXT, OPTION(resume), 0, 0, NULL, 0},
    {"--mean", IMPORT, "R,G,B",
     "the pictures' mean and deviation in training, of values 0\n"
     "to 1, as in PyTorch (those of --data)",
     TEXT, OPTION(mean), 0, 0, NULL, 0},
    {"--std", IMPORT, "R,G,B", "see --mean", TEXT, OPTION(deviation), 0, 0, NULL, 0},
    {"--safetensors", EXPORT, "FILE", "as PyTorch's world reads it, names and shapes too", TEXT,
     OPTION(safetensors), 0, 0, NULL, 0},
    {"--npz", EXPORT, "FILE", "arrays for numpy.load", TEXT, OPTION(npz), 0, 0, NULL, 0},
    {"--npy", EXPORT, "FOLDER", "the same, a file each", TEXT, OPTION(npy), 0, 0, NULL, 0},
    {"--onnx", EXPORT, "FILE", "the whole network, in fp32", TEXT, OPTION(onnx), 0, 0, NULL, 0},
    {"--onnx-int8", EXPORT, "FILE", "the same in int8 (QDQ), batch norm folded", TEXT,
     OPTION(onnx_int8), 0, 0, NULL, 0},
    {"--c-header", EXPORT, "FILE", "a C header: the packed model, and each tensor by name", TEXT,
     OPTION(c_header), 0, 0, NULL, 0},
    {"--weights", EXPORT, "FILE", "the checkpoint without what only training needs", TEXT,
     OPTION(slim), 0, 0, NULL, 0},
    {"--packed", EXPORT, "FILE", "the same, low-bit weights as codes; it cannot be trained on",
     TEXT, OPTION(packed), 0, 0, NULL, 0},
    {"--top", PREDICT, "K", "the K most probable classes of each picture (1)", COUNT, OPTION(top),
     1, 256, NULL, 0},
    {"--json", PREDICT, "",
     "a JSON object a line for each picture; the result goes to\nthe standard error", FLAG,
     OPTION(json), 0, 0, NULL, 0},
    {"--threads", ALL | PREDICT, "N", "OpenMP threads (all processors)", COUNT, OPTION(threads), 1,
     1024, NULL, 0},
    {"--kernel", ALL | PREDICT, "NAME", "of the convolutions (auto)", TEXT, OPTION(kernel), 0, 0,
     NULL, 0},
    {"--help", ALL | EXPORT | PREDICT, "", "this text", FLAG, OPTION(help), 0, 0, NULL, 0},
};
#define OPTIONS (sizeof option_table / sizeof *option_table)
_Static_assert(OPTIONS <= 64, "a bit for each in options.given");

static const char spec_help[] =
    "SPEC is fp32, a FORMAT for all, or \"w=FORMAT a=FORMAT e=FORMAT\" for weights,\n"
    "activations and errors; what is left out is 2,1. FORMAT is\n"
    "  E,M[:none|n|c|nc[:Eg,Mg]][:nearest|stochastic|clipped][:fit|paper]\n"
    "  2,1        a sign, 2 exponent and 1 fraction bits; the rest, unless said\n"
    "             otherwise, is :nc:2,0:fit, weights and activations :nearest,\n"
    "             errors :stochastic\n"
    "  mls-2,1    the same, spelled out\n"
    "  paper-2,1  the rest as in the paper, :nc:8,1:clipped:paper; its rows are\n"
    "             paper-2,1, paper-1,2, paper-0,4, paper-0,2, paper-2,1:none ...\n";

static void print_options(unsigned command)
{
    for (size_t i = 0; i < OPTIONS; i++) {
        const option *o = &option_table[i];
        char name[32];
        if (!(o->commands & command)) continue;
        snprintf(name, sizeof name, "%s %s", o->name, o->argument);
        printf("  %-16s%c%*s", name, strlen(name) > 16 ? '\n' : ' ', strlen(name) > 16 ? 19 : 0,
               "");
        for (const char *c = o->help; *c; c++) {
            putchar(*c);
            if (*c == '\n') printf("%19s", "");
        }
        putchar('\n');
    }
}

/* Whether a letter too many, too few or another one, or two that changed places, is all that
   keeps two names apart. */
static bool one_slip(const char *a, const char *b)
{
    size_t na = strlen(a), nb = strlen(b), i = 0, j = 0;
    while (i < na && i < nb && a[i] == b[i]) i++;
    while (j < na - i && j < nb - i && a[na - 1 - j] == b[nb - 1 - j]) j++;
    na -= i + j, nb -= i + j; /* letters between the common beginning and end */
    return (na < 2 && nb < 2) || (na == 2 && nb == 2 && a[i] == b[i + 1] && a[i + 1] == b[i]);
}

/* Advice only where it is hardly wrong: wrong advice is worse than none. */
static bool unknown_option(const char *name, unsigned command, failure *f)
{
    char word[32];
    int length = (int)strcspn(name, "=");
    if (name[0] != '-') return fail(f, 2, "unexpected argument '%s' (see --help)", name);
    snprintf(word, sizeof word, "%.*s", length, name);
    for (size_t i = 0; i < OPTIONS && length > 5 && length < (int)sizeof word; i++) {
        const option *o = &option_table[i];
        if (!(o->commands & command) || !one_slip(word, o->name)) continue;
        return fail(f, 2, "unknown option '%s': did you mean %s?", word, o->name);
    }
    return fail(f, 2, "unknown option '%.*s' (see --help)", length, name);
}

/* The whole text must be a value in range. */
static bool set_option(options *to, const option *o, const char *text, failure *f)
{
    char *end = NULL, *at = (char *)to + o->at;
    bool text_kind = o->kind == TEXT || o->kind == SPEC;
    bool good = text[0] && (text_kind || strchr("0123456789.", text[0]));
    mls_formats formats;
    char wrong[128];
    errno = 0;
    if (text_kind && !good) return fail(f, 2, "%s: the value is empty", o->name);
    if (o->kind == SPEC && mls_formats_parse(&formats, text, wrong, sizeof wrong) != MLS_OK) {
        return fail(f, 2, "%s %s: %s (see --help)", o->name, text, wrong);
    }
    if (text_kind) {
        memcpy(at, &text, sizeof text);
        return true;
    }
    if (o->kind == SEED) {
        uint64_t seed = strtoull(text, &end, 10);
        memcpy(at, &seed, sizeof seed);
        return (good && !*end && !errno) ||
               fail(f, 2, "%s %s: not an integer from 0 to 2^64 - 1", o->name, text);
    }
    if (o->kind == COUNT) {
        int64_t n = strtoll(text, &end, 10);
        good = good && !*end && !errno && (double)n >= o->low && (double)n <= o->high;
        memcpy(at, &n, sizeof n);
        return good || fail(f, 2, "%s %s: not an integer from %.0f to %.0f", o->name, text, o->low,
                            o->high);
    }
    if (o->kind == SHARE) {
        double share = strtod(text, &end);
        good = good && !end[*end == '%'] && !errno && share >= o->low && share <= o->high;
        memcpy(at, &share, sizeof share);
        return good || fail(f, 2, "%s %s: not from %g%% to %g%%", o->name, text, o->low, o->high);
    }
    if (o->kind == SIDES) {
        long h = strtol(text, &end, 10), w = *end == 'x' ? strtol(end + 1, &end, 10) : h;
        const sides size = {(int32_t)h, (int32_t)w};
        good = good && !*end && (double)h >= o->low && (double)h <= o->high &&
               (double)w >= o->low && (double)w <= o->high;
        memcpy(at, &size, sizeof size);
        return good || fail(f, 2, "%s %s: not N or HxW, each from %.0f to %.0f", o->name, text,
                            o->low, o->high);
    }
    double x = strtod(text, &end);
    good = good && !*end && !errno && x >= o->low && x <= o->high;
    memcpy(at, &x, sizeof x);
    return good || fail(f, 2, "%s %s: not a number from %g to %g", o->name, text, o->low, o->high);
}

/* The fewest digits that read back as the same number. */
static void exact_text(double x, char *text, size_t size)
{
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, size, "%.*g", digits, x);
        if (strtod(text, NULL) == x) return;
    }
}

/* What set_option reads: the option's own text, or one in room; null where there is nothing. */
static const char *option_text(const options *from, const option *o, char room[32])
{
    const char *at = (const char *)from + o->at, *own = NULL;
    int64_t n = 0;
    uint64_t seed = 0;
    double x = 0;
    bool flag = false;
    sides size;
    room[0] = 0;
    switch (o->kind) {
    case TEXT:
    case SPEC:
        memcpy(&own, at, sizeof own);
        return own;
    case COUNT:
        memcpy(&n, at, sizeof n), snprintf(room, 32, "%lld", (long long)n);
        break;
    case REAL:
        memcpy(&x, at, sizeof x), exact_text(x, room, 32);
        break;
    case SHARE:
        memcpy(&x, at, sizeof x), snprintf(room, 32, "%.10g%%", x);
        break;
    case SEED:
        memcpy(&seed, at, sizeof seed);
        snprintf(room, 32, "%llu", (unsigned long long)seed);
        break;
    case SIDES:
        memcpy(&size, at, sizeof size);
        snprintf(room, 32, "%dx%d", (int)size.h, (int)size.w);
        break;
    case FLAG:
        memcpy(&flag, at, sizeof flag);
        return flag ? "yes" : NULL;
    }
    const bool real = o->kind == REAL || o->kind == SHARE;
    return (o->kind == COUNT && (double)n < o->low) || (real && x < o->low) ? NULL : room;
}

static void copy_option(options *to, const options *from, const option *o)
{
    static const size_t sizes[] = {sizeof(char *), sizeof(char *), sizeof(int64_t),
                                   sizeof(double), sizeof(double), sizeof(uint64_t),
                                   sizeof(sides),  sizeof(bool)};
    memcpy((char *)to + o->at, (const char *)from + o->at, sizes[o->kind]);
}

/* Whether a run that was begun with so many may go on with more. */
static bool grows(const option *o, int use, const char *from, const char *to)
{
    return o->same & use & GROWS && from && to && atoll(to) > atoll(from);
}

/* Whether two texts of an option mean the same, null: it is not there. Training takes floats. */
static bool same_value(const option *o, const char *a, const char *b)
{
    mls_formats f, g;
    if (!a || !b) return a == b;
    if (o->kind == REAL) return (float)strtod(a, NULL) == (float)strtod(b, NULL);
    if (o->kind != SPEC) return strcmp(a, b) == 0;
    return mls_formats_parse(&f, a, NULL, 0) == MLS_OK &&
           mls_formats_parse(&g, b, NULL, 0) == MLS_OK && memcmp(&f, &g, sizeof f) == 0;
}

static void default_options(options *o)
{
    memset(o, 0, sizeof *o);
    o->data = "synthetic", o->model = "resnet20", o->format = "2,1:nc:2,0";
    o->schedule = "paper", o->kernel = "auto", o->fit = picture_fit_names[PICTURE_LETTERBOX];
    o->size = (sides){32, 32};
    o->top = 1;
    o->epochs = 10, o->batch = 128, o->seeds = 1, o->seed = 1, o->every = 1;
    o->rate = 0.1, o->crop = 4;
    o->optimizer = "sgd", o->decay = -1;
}

static bool is_built_in(const options *o)
{
    return strcmp(o->data, "synthetic") == 0;
}

static const option *find_option(const char *word)
{
    size_t length = strcspn(word, "=");
    if (strcmp(word, "-h") == 0) word = "--help", length = strlen(word);
    for (size_t i = 0; i < OPTIONS; i++) {
        const char *name = option_table[i].name;
        if (strlen(name) == length && memcmp(name, word, length) == 0) return &option_table[i];
    }
    return NULL;
}

static bool given(const options *o, const option *which)
{
    return o->given >> (which - option_table) & 1;
}

/* Both "--name value" and "--name=value". */
static bool read_words(options *to, unsigned command, int count, char **words, failure *f)
{
    const bool yes = true;
    for (int i = 0; i < count; i++) {
        const option *o = find_option(words[i]);
        const char *value = strchr(words[i], '=');
        const char **file = command == IMPORT ? &to->weights : &to->checkpoint;
        if (words[i][0] != '-' && command & (TEST | EXPORT | IMPORT | REPORT | PREDICT) && !*file &&
            words[i][0]) {
            *file = words[i];
            continue;
        }
        if (words[i][0] != '-' && command == PREDICT) {
            to->file = words; /* they move up */
            words[to->files++] = words[i];
            continue;
        }
        if (!o) return unknown_option(words[i], command, f);
        if (!(o->commands & command)) {
            return fail(f, 2, "%s is not for this command, but for mls%s%s%s%s%s", o->name,
                        o->commands & TRAIN ? " train" : "", o->commands & PLAN ? ", mls plan" : "",
                        o->commands & TEST ? " test" : "", o->commands & EXPORT ? " export" : "",
                        o->commands == IMPORT    ? " import"
                        : o->commands == PREDICT ? " predict"
                                                 : "");
        }
        if (given(to, o)) return fail(f, 2, "%s is given twice", o->name);
        to->given |= (uint64_t)1 << (o - option_table);
        if (o->kind == FLAG) {
            if (value) return fail(f, 2, "%s takes no value", o->name);
            memcpy((char *)to + o->at, &yes, sizeof yes);
            continue;
        }
        if (!value && i + 1 == count) return fail(f, 2, "%s needs a value", o->name);
        if (!set_option(to, o, value ? value + 1 : words[++i], f)) return false;
    }
    return true;
}

/* The words after the command's name. */
static bool parse_options(options *to, unsigned command, int count, char **words, failure *f)
{
    if (!read_words(to, command, count, words, f) || to->help) return to->help;
    if (to->formats && (to->beside || given(to, find_option("--format")))) {
        return fail(f, 2, "--formats and %s exclude each other",
                    to->beside ? "--beside" : "--format");
    }
    if (command & (TEST | EXPORT) && !to->checkpoint) {
        return fail(f, 2, "which checkpoint? mls %s FILE", command == TEST ? "test" : "export");
    }
    if (command == IMPORT && !to->weights) return fail(f, 2, "which tensors? mls import FILE");
    if (command == PREDICT && !to->files) {
        return fail(f, 2, "which pictures? mls predict FILE PICTURES...");
    }
    if (command == REPORT && !to->checkpoint) return fail(f, 2, "which run? mls report RUN");
    return true;
}

#endif /* PROGRAM_OPTIONS_H_INCLUDED */
