/* mls - trains CIFAR-10 ResNets with low-bit integer convolutions, and says how it went.

       cc -O2 -fopenmp -I. examples/mls/mls.c -o mls -lm
       ./mls train                                  built-in pictures, no download
       ./mls train --data cifar-10-batches-bin --epochs 160 --out run
       ./mls help

   A command is a row of the table below and a file beside this one. Functions that can fail return
   false and leave a text in a failure; only main prints it. Results go to stdout, progress to stderr.
   Needs C11, POSIX or Windows (MinGW), and stb_image.h (Debian: libstb-dev); with -DNO_PICTURES it does
   without stb_image and reads no picture files. Where jsmn.h is (Debian: libjsmn-dev) it reads safetensors.

   The digest at the end depends on options, seed and data alone: not on the kernel, the number of
   threads, the compiler, or whether the run was interrupted and resumed.

   On a machine shared with others set OMP_WAIT_POLICY=passive: threads that wait then sleep and
   do not spin on a processor that somebody needs. It can be several times faster. */

#define _POSIX_C_SOURCE 200809L
#define MLS_IMPLEMENTATION
#include "mls_train.h"

#include "export.h"
#include "import.h"
#include "plan.h"
#include "predict.h"
#include "report.h"
#include "sweep.h"
#include "test.h"
#ifdef _OPENMP
#include <omp.h>
#endif

typedef struct command {
    const char *name, *arguments, *what;
    unsigned bit; /* of its options */
    bool (*run)(const job *j, failure *f);
    const char *more; /* for its help */
} command;

static const command commands[] = {
    {"train", "[OPTION ...]", "trains a network, or several, and compares them", TRAIN, train,
     "The last line of the output is for programs. Its images_per_second counts\n"
     "training steps with their batches, over this whole process. Accuracies are in\n"
     "percent, those of the last epoch; best_... are of the epoch that the validation\n"
     "pictures chose, best.mlsck. With --seeds it has means and a digest of the\n"
     "digests. It is about the first format.\n"
     "Exit status: 0 done, 1 stopped (not a finite number, signal), 2 not started, or\n"
     "a file could not be written (full disk); then the last checkpoint is whole:\n"
     "--resume it. A signal before training ends the program at once.\n"},
    {"test", "FILE [OPTION ...]", "tests a checkpoint, which knows its own options", TEST, test,
     "An option that contradicts the checkpoint is refused. Exit status: 0 done, 1 not\n"
     "a finite number, 2 not started.\n"},
    {"predict", "FILE PICTURES...", "says what is on pictures, or on those in folders", PREDICT,
     predict,
     "FILE is a checkpoint, or a run's folder with a best.mlsck. Exit status: 0 done,\n"
     "1 not a finite number, 2 not, or not all pictures could be read.\n"},
    {"report", "RUN [OPTION ...]", "shows what a run has learnt, on a page", REPORT, report,
     "RUN is the folder of a run, whose best checkpoint is taken, or a checkpoint. The\n"
     "page is report.html in that folder, with CSV files beside it.\n"
     "Exit status: 0 done, 1 not a finite number, 2 a file cannot be read or written.\n"},
    {"plan", "[OPTION ...]", "shows layers, memory, and a guess of the time", PLAN, plan, ""},
    {"export", "FILE [OPTION ...]", "writes a checkpoint's network for other programs", EXPORT,
     export,
     "Names and order are PyTorch's, numbers fp32; in C, see the header. What --weights\n"
     "and --packed write is a checkpoint to other commands, but to --resume.\n"
     "Exit status: 0 done, 2 not.\n"},
    {"import", "FILE [OPTION ...]", "makes a checkpoint from .safetensors or .npz", IMPORT, import,
     "The tensors must be those of the network, by name and shape. Classes and, unless\n"
     "--mean says otherwise, the normalisation are those of --data. mls test tests\n"
     "what was made, mls train --resume trains it on. Exit status: 0 done, 2 not.\n"},
};
enum {
    COMMANDS = sizeof commands / sizeof *commands
};

static void print_commands(void)
{
    printf("mls - trains convolutional networks with low-bit integers\n\n");
    for (int i = 0; i < COMMANDS; i++) {
        const command *c = &commands[i];
        printf("  mls %-6s %-18s %s\n", c->name, c->arguments, c->what);
    }
    printf("  mls help [COMMAND]            this text, or the options of a command\n"
           "  mls --version\n\n"
           "On a machine shared with others set OMP_WAIT_POLICY=passive: waiting threads\n"
           "sleep.\n");
}

static void print_help(const command *c)
{
    printf("mls %s %s - %s\n\n", c->name, c->arguments, c->what);
    print_options(c->bit);
    if (c->bit & ALL) printf("\n%s", spec_help);
    printf("%s%s", c->more[0] ? "\n" : "", c->more);
}

static const command *find_command(const char *name, failure *f)
{
    for (int i = 0; i < COMMANDS; i++) {
        if (strcmp(name, commands[i].name) == 0) return &commands[i];
    }
    for (int i = 0; i < COMMANDS; i++) {
        if (!one_slip(name, commands[i].name)) continue;
        fail(f, 2, "unknown command '%s': did you mean %s?", name, commands[i].name);
        return NULL;
    }
    if (find_option(name)) {
        fail(f, 2, "%s comes after a command, such as mls train (see mls help)", name);
    } else {
        fail(f, 2, "unknown command '%s' (see mls help)", name);
    }
    return NULL;
}

static bool choose_kernel(const char *name, failure *f)
{
    char list[256] = "";
    if (mls_kernel_use(name) == MLS_OK) return true;
    for (int i = 0; i < mls_kernel_count(); i++) {
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, " %s", mls_kernel_name(i));
    }
    return fail(f, 2, "--kernel %s: here are auto%s", name, list);
}

/* What the network may take; it says itself what it does take. Without OpenMP that is one, which
   changes the speed but not the answer. */
static void choose_threads(int64_t wanted)
{
#ifdef _OPENMP
    if (wanted) omp_set_num_threads((int)wanted);
#else
    (void)wanted;
#endif
}

static bool check_fit(const options *o, failure *f)
{
    int fit = 0;
    while (fit < PICTURE_FITS && strcmp(o->fit, picture_fit_names[fit]) != 0) fit++;
    if (fit == PICTURE_FITS) {
        return fail(f, 2, "--fit %s: not letterbox, crop, stretch or exact", o->fit);
    }
    if (o->resize && given(o, option_of("fit")) && fit != PICTURE_STRETCH) {
        return fail(f, 2, "--resize and --fit %s exclude each other", o->fit);
    }
    return true;
}

static bool prepare_data(job *j, failure *f)
{
    const options *o = &j->o;
    picture_set part[PARTS] = {{{0}, NULL}};
    bool good = load_all(o, part, f);
    for (int i = 0; i < PARTS; i++) free(part[i].keys);
    j->train = part[TRAIN_PART].data, j->test = part[TEST_PART].data;
    j->validation = part[VALIDATION_PART].data;
    if (o->checkpoint) mls_data_free(&j->train); /* of one folder, for its test picture_set */
    if (!good) return false;
    if (!check_classes(j, f)) return false;
    if (o->checkpoint) return true; /* the checkpoint knows the normalisation */
    j->train_hash = data_hash(&j->train), j->test_hash = data_hash(&j->test);
    if (mls_data_normalise(&j->train, &j->augment) != MLS_OK) {
        return fail(f, 2, "--data: the training pictures cannot be normalised");
    }
    j->augment.crop = (int32_t)o->crop, j->augment.flip = !o->no_flip, j->augment.shuffle = 1;
    return true;
}

/* What the options ask for, before anything is built. */
static bool prepare(job *j, failure *f)
{
    options *o = &j->o;
    if (!choose_kernel(o->kernel, f) || !open_source(j, f) || !split_specs(&j->formats, o, f)) {
        return false;
    }
    if (strcmp(o->schedule, "paper") != 0 && strcmp(o->schedule, "cosine") != 0) {
        return fail(f, 2, "--schedule %s: not paper or cosine", o->schedule);
    }
    if (!model_find(&j->model, o->model, (int32_t)o->width)) {
        return fail(f, 2, "--model %s: not one of %s", o->model, MODEL_NAMES);
    }
    o->width = j->model.width;
    if (strcmp(o->optimizer, "sgd") != 0 && !is_adamw(o)) {
        return fail(f, 2, "--optimizer %s: not sgd or adamw", o->optimizer);
    }
    if (is_adamw(o) && !j->from.count && !given(o, option_of("lr"))) o->rate = 0.001;
    if (!check_fit(o, f)) return false;
    if (!prepare_data(j, f)) {
        size_t length = strlen(f->text);
        if (j->from.count && !given(o, option_of("data"))) {
            snprintf(f->text + length, sizeof f->text - length,
                     " (so says %s; --data can say otherwise)", j->from_name);
        }
        return false;
    }
    choose_threads(o->threads);
    return true;
}

/* All but this is in the file. */
static bool prepare_prediction(job *j, failure *f)
{
    choose_threads(j->o.threads);
    return choose_kernel(j->o.kernel, f) && open_source(j, f) && check_fit(&j->o, f);
}

static bool work(job *j, int count, char **words, failure *f)
{
    const char *first = count > 1 ? words[1] : "help";
    bool help =
        strcmp(first, "help") == 0 || strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0;
    if (strcmp(first, "--version") == 0) return puts("mls " MLS_VERSION_STRING), true;
    if (help && count < 3) return print_commands(), true;
    const command *c = find_command(help ? words[2] : first, f);
    if (!c) return false;
    default_options(&j->o);
    if (!help && !parse_options(&j->o, c->bit, count - 2, words + 2, f)) return false;
    if (help || j->o.help) return print_help(c), true;
    if (c->bit & (REPORT | PREDICT) && !choose_checkpoint(j, f)) return false;
    if (c->bit == PREDICT && !prepare_prediction(j, f)) return false;
    if (c->bit == EXPORT) choose_threads(1); /* what a header says is the same everywhere */
    return (c->bit & (EXPORT | PREDICT) || prepare(j, f)) && c->run(j, f);
}

int main(int count, char **words)
{
    static job j;
    static failure f;
    signal(SIGINT, SIG_DFL); /* a shell may have told a background job to ignore it */
    if (work(&j, count, words, &f) && (fflush(stdout) != 0 || ferror(stdout))) {
        /* errno is long gone: training goes on without output */
        fail(&f, 2, "standard output: not all of it could be written; is the disk full?");
    }
    if (f.status) {
        clear_progress();
        fprintf(stderr, "mls: %s\n", f.text);
    }
    mls_data_free(&j.train);
    mls_data_free(&j.validation);
    mls_data_free(&j.test);
    free_settings(&j.from);
    return f.status;
}
