/* cifar10 - the paper's job in one file: trains a ResNet on CIFAR-10 with low-bit integers.

       cc -O2 -fopenmp -I. examples/cifar10.c -o cifar10 -lm
       ./cifar10                                                  ten built-in classes
       ./cifar10 --data data/cifar-10-batches-bin --epochs 160 --save run.mlsck
       ./cifar10 --data data/cifar-10-batches-bin --epochs 160 --save run.mlsck --resume run.mlsck

   It reads from top to bottom: options, data, network, training and test, checkpoints. The digest in
   the last line is that of every program that does the same work with this library, whatever the
   kernel, the threads and the compiler, and whether the run was stopped and resumed. examples/mls is
   the same job with all that a tool needs: logs, tables, plots, sweeps, estimates. */
#include <float.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#define MLS_IMPLEMENTATION
#include "mls_train.h"
#include "models.h"
#include "pictures.h" /* needs stb_image (Debian: libstb-dev), and only it does */

enum {
    SIDE = 32,
    PIXELS = SIDE * SIDE * 3,
    NOTE = 512, /* bytes of the note in a checkpoint */
    TRAIN = 0,
    TEST = 1
};

typedef struct run {
    /* options */
    const char *data, *model, *format, *schedule, *save, *resume;
    long width, epochs, batch, seed, threads;
    double rate;
    /* what is made of them */
    mls_data part[2]; /* TRAIN, TEST */
    mls_augment way[2];
    mls_schedule rates;
    mls_net net;
    mls_node *nodes;
    void *arena;
    float *images; /* of a batch */
    int32_t *labels;
} run;

/* Goes on if all is well, or ends the program with a text. */
static void check(bool well, const char *what, const char *why)
{
    if (well) return;
    fprintf(stderr, "cifar10: %s: %s\n", what, why);
    exit(2);
}

/* ---- options */

static const char help[] =
    "cifar10 - trains a CIFAR-10 ResNet with low-bit integers\n\n"
    "  --data DIR       CIFAR-10's binary files, or pictures DIR/train/CLASS/*.jpg|png\n"
    "                   and DIR/test/CLASS/*; without it: ten built-in classes\n"
    "  --format SPEC    fp32, 2,1 (the default), 2,4:nc:3,1, \"w=2,1 a=2,4 e=2,1\" ...\n"
    "  --model NAME     resnet8, resnet14, resnet20 (default) ... with 6n+2 layers\n"
    "  --width N        channels of the first stage (the network's own)\n"
    "  --epochs N       passes over the training pictures (10; the paper has 160)\n"
    "  --batch N        pictures of a step (128)\n"
    "  --lr X           learning rate at the top (0.1)\n"
    "  --schedule NAME  paper (a tenth after 1/2 and 3/4 of the run; the default), cosine\n"
    "  --seed N         of weights, order, crops and rounding (1)\n"
    "  --save FILE      write a checkpoint after every epoch\n"
    "  --resume FILE    go on from one, with the same options\n"
    "  --threads N      (all processors)\n";

static void read_options(run *r, int count, char **words)
{
    const struct {
        const char *name;
        const char **text;
        long *number, least, most;
        double *real;
    } table[] = {
        {"--data", &r->data, NULL, 0, 0, NULL},
        {"--format", &r->format, NULL, 0, 0, NULL},
        {"--model", &r->model, NULL, 0, 0, NULL},
        {"--width", NULL, &r->width, 1, 4096, NULL},
        {"--epochs", NULL, &r->epochs, 1, 100000, NULL},
        {"--batch", NULL, &r->batch, 1, 65536, NULL},
        {"--lr", NULL, NULL, 0, 0, &r->rate},
        {"--schedule", &r->schedule, NULL, 0, 0, NULL},
        {"--seed", NULL, &r->seed, 0, 2147483647, NULL},
        {"--save", &r->save, NULL, 0, 0, NULL},
        {"--resume", &r->resume, NULL, 0, 0, NULL},
        {"--threads", NULL, &r->threads, 1, 1024, NULL},
    };
    const size_t options = sizeof table / sizeof *table;
    for (int i = 1; i < count; i += 2) {
        const char *word = words[i], *value = words[i + 1]; /* null after the last */
        char *end = NULL;
        size_t k = 0;
        if (strcmp(word, "--help") == 0) {
            fputs(help, stdout);
            exit(0);
        }
        while (k < options && strcmp(word, table[k].name) != 0) k++;
        check(k < options, word, "unknown option (see --help)");
        check(value != NULL, word, "needs a value (see --help)");
        if (table[k].text) *table[k].text = value;
        if (table[k].real) {
            *table[k].real = strtod(value, &end);
            check(*end == 0 && *table[k].real > 0 && *table[k].real <= 1000, word,
                  "needs 0 to 1000");
        }
        if (table[k].number) {
            long number = *table[k].number = strtol(value, &end, 10);
            check(end != value && *end == 0, word, "needs a whole number");
            check(number >= table[k].least && number <= table[k].most, word, "is out of range");
        }
    }
    check(strcmp(r->schedule, "paper") == 0 || strcmp(r->schedule, "cosine") == 0, "--schedule",
          "neither paper nor cosine");
#ifdef _OPENMP
    if (r->threads) omp_set_num_threads((int)r->threads);
#endif
}

/* ---- data */

static void load_part(run *r, int part)
{
    mls_data *data = &r->part[part];
    mls_status status;
    char name[1024], text[1200] = "";
    FILE *file;
    if (!r->data) {
        int32_t count = part == TEST ? 1000 : 5000;
        data->pixels = malloc((size_t)count * PIXELS), data->labels = malloc((size_t)count);
        check(data->pixels && data->labels, "built-in pictures", "no memory");
        status = mls_data_synthetic(data, count, 0, (uint64_t)part);
        check(status == MLS_OK, "built-in pictures", mls_status_string(status));
        return;
    }
    check(strlen(r->data) < sizeof name - 20, "--data", "the name is too long");
    snprintf(name, sizeof name, "%s/test_batch.bin", r->data);
    file = fopen(name, "rb");
    if (file) {
        fclose(file);
        status = mls_data_cifar10(data, r->data, part, text, sizeof text);
    } else {
        picture_fit fit = PICTURE_EXACT;
        snprintf(name, sizeof name, "%s/%s", r->data, part == TEST ? "test" : "train");
        status = mls_data_folder(data, name, SIDE, SIDE, decode_picture, &fit, text, sizeof text);
    }
    check(status == MLS_OK, "--data", text[0] ? text : mls_status_string(status));
}

static void load(run *r)
{
    const mls_data *train = &r->part[TRAIN], *test = &r->part[TEST];
    load_part(r, TRAIN), load_part(r, TEST);
    check(train->classes == test->classes, "--data", "train and test have other classes");
    for (int i = 0; i < train->classes; i++) {
        check(strcmp(train->names[i], test->names[i]) == 0,
              "--data: train and test differ in class", train->names[i]);
    }
    check(mls_data_normalise(train, &r->way[TEST]) == MLS_OK, "--data", "cannot be normalised");
    r->way[TRAIN] = r->way[TEST];
    r->way[TRAIN].crop = 4, r->way[TRAIN].flip = 1, r->way[TRAIN].shuffle = 1;
}

/* The pictures of a batch, from first on; returns how many. */
static int32_t next_batch(run *r, int part, long epoch, long first)
{
    const mls_data *data = &r->part[part];
    long left = data->count - first;
    int32_t count = (int32_t)(left < r->batch ? left : r->batch);
    mls_status status = mls_data_batch(data, &r->way[part], (uint64_t)r->seed, epoch, first, count,
                                       r->images, r->labels);
    check(status == MLS_OK, "batch", mls_status_string(status));
    return count;
}

/* ---- network */

static void build(run *r)
{
    model m;
    mls_net_desc desc = {0};
    mls_plan plan;
    char wrong[200];
    check(model_find(&m, r->model, (int32_t)r->width), "--model", "not one of " MODEL_NAMES);
    r->width = m.width;
    m.h = m.w = SIDE, m.c = 3, m.classes = r->part[TRAIN].classes;
    check(mls_formats_parse(&desc.formats, r->format, wrong, sizeof wrong) == MLS_OK, "--format",
          wrong);
    desc.batch = (int32_t)r->batch, desc.seed = (uint64_t)r->seed;

    r->nodes = calloc((size_t)m.nodes, sizeof *r->nodes);
    check(r->nodes != NULL, "network", "no memory");
    mls_net_begin(&r->net, &desc, r->nodes, m.nodes);
    m.build(&r->net, &m);
    check(mls_net_plan(&r->net, &plan) == MLS_OK, "network", r->net.text);

    r->arena = malloc(plan.arena);
    r->images = malloc((size_t)r->batch * PIXELS * sizeof *r->images);
    r->labels = malloc((size_t)r->batch * sizeof *r->labels);
    check(r->arena && r->images && r->labels, "network",
          "no memory (a smaller --batch needs less)");
    check(mls_net_bind(&r->net, r->arena, plan.arena) == MLS_OK, "network", r->net.text);
}

/* ---- training and test */

static long batches(const run *r)
{
    return (r->part[TRAIN].count + r->batch - 1) / r->batch;
}

static void plan_rates(run *r)
{
    r->rates.kind = strcmp(r->schedule, "cosine") ? MLS_SCHEDULE_STEP : MLS_SCHEDULE_COSINE;
    r->rates.rate = (float)r->rate;
    r->rates.updates = r->epochs * batches(r);
    r->rates.milestones[0] = r->rates.updates / 2; /* the paper: after 80 and 120 of 160 epochs */
    r->rates.milestones[1] = r->rates.updates * 3 / 4;
}

/* One pass over the training pictures; returns the mean loss. */
static double train(run *r, long epoch)
{
    mls_sgd sgd = {0, 0.9f, 5e-4f, 0}; /* rate, momentum, weight decay */
    mls_result result;
    double loss = 0;
    for (long i = 0; i < batches(r); i++) {
        int32_t count = next_batch(r, TRAIN, epoch, i * r->batch);
        sgd.rate = mls_schedule_rate(&r->rates, epoch * batches(r) + i);
        check(mls_net_step(&r->net, r->images, r->labels, count, &sgd, &result) == MLS_OK,
              "training", r->net.text);
        check(result.loss <= DBL_MAX, "training", "the loss is not finite (try a smaller --lr)");
        loss += result.loss * count;
    }
    return loss / r->part[TRAIN].count;
}

/* Returns how many percent of the test pictures are told right. */
static double test(run *r)
{
    mls_result result;
    long right = 0;
    for (long first = 0; first < r->part[TEST].count; first += r->batch) {
        int32_t count = next_batch(r, TEST, 0, first);
        check(mls_net_evaluate(&r->net, r->images, r->labels, count, &result) == MLS_OK, "test",
              r->net.text);
        right += result.correct;
    }
    return 100.0 * (double)right / r->part[TEST].count;
}

/* ---- checkpoints: the library keeps the network, a note what else decides the answer */

static void write_note(const run *r, long epochs, char note[NOTE])
{
    const mls_augment *way = &r->way[TEST];
    memset(note, 0, NOTE);
    snprintf(
        note, NOTE,
        "epoch %ld of cifar10 --model %s --width %ld --format '%s' --epochs %ld --batch %ld --lr "
        "%.9g --schedule %s --seed %ld, %d pictures with means %.9g %.9g %.9g",
        epochs, r->model, r->width, r->format, r->epochs, r->batch, r->rate, r->schedule, r->seed,
        (int)r->part[TRAIN].count, (double)way->mean[0], (double)way->mean[1],
        (double)way->mean[2]);
}

static void save(run *r, long epochs)
{
    char note[NOTE];
    if (!r->save) return;
    write_note(r, epochs, note);
    check(mls_net_save(&r->net, r->save, note, NOTE) == MLS_OK, "--save", r->net.text);
}

/* Returns how many epochs are done. What would end in another answer is refused. */
static long resume(run *r)
{
    char theirs[NOTE] = "", ours[NOTE];
    long epochs = 0;
    if (!r->resume) return 0;
    check(mls_net_load(&r->net, r->resume, theirs, NOTE) == MLS_OK, "--resume", r->net.text);
    theirs[NOTE - 1] = 0;
    check(sscanf(theirs, "epoch %ld of cifar10 ", &epochs) == 1, r->resume,
          "is not of this program");
    write_note(r, epochs, ours);
    if (strcmp(ours, theirs) != 0) fprintf(stderr, "asked for: %s\n", ours);
    check(strcmp(ours, theirs) == 0, "--resume: the file is of another run", theirs);
    return epochs;
}

int main(int count, char **words)
{
    static run r;
    r.model = "resnet20", r.format = "2,1", r.schedule = "paper", r.rate = 0.1;
    r.epochs = 10, r.batch = 128, r.seed = 1;
    read_options(&r, count, words);
    load(&r);
    build(&r);
    plan_rates(&r);
    printf("%s in %s on %d %s pictures, %d to test\n", r.model, r.format, (int)r.part[TRAIN].count,
           r.data ? r.data : "built-in", (int)r.part[TEST].count);
    long epoch = resume(&r);
    double accuracy = 0;
    if (epoch == r.epochs) {
        printf("all %ld epochs are done\n", epoch);
        accuracy = test(&r);
    }
    for (; epoch < r.epochs; epoch++) {
        double loss = train(&r, epoch);
        accuracy = test(&r);
        printf("epoch %ld of %ld: loss %.4f, test accuracy %.2f %%\n", epoch + 1, r.epochs, loss,
               accuracy);
        fflush(stdout);
        save(&r, epoch + 1);
    }
    printf("result test_accuracy=%.2f digest=%016llx\n", accuracy,
           (unsigned long long)mls_net_digest(&r.net));
    mls_data_free(&r.part[TRAIN]), mls_data_free(&r.part[TEST]);
    free(r.nodes), free(r.arena), free(r.images), free(r.labels);
    return 0;
}
