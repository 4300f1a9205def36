/* cifar10 - trains a CIFAR-10 ResNet with low-bit integer convolutions, and says how it went.

       cc -O2 -fopenmp -I. examples/cifar10.c -o cifar10 -lm
       ./cifar10                                    built-in pictures, no download
       ./cifar10 --data cifar-10-batches-bin --epochs 160 --out run
       ./cifar10 --help

   The file reads from top to bottom: system, options, pictures, data, model, settings, checkpoints,
   files, progress, training, main; pictures.h decodes. Functions that can fail return false and
   leave a text in a failure; only main prints it. Results go to stdout, progress to stderr. Needs
   C11, POSIX or Windows (MinGW), and stb_image.h (Debian: libstb-dev); with -DNO_PICTURES it does
   without stb_image and reads no picture files.

   The digest at the end depends on options, seed and data alone: not on the kernel, the number of
   threads, the compiler, or whether the run was interrupted and resumed.

   On a machine shared with others set OMP_WAIT_POLICY=passive: threads that wait then sleep and
   do not spin on a processor that somebody needs. It can be several times faster. */

#define _POSIX_C_SOURCE 200809L

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#ifdef _WIN32
#include <direct.h>
#include <io.h>
#include <process.h>
#include <sys/locking.h>
#else
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>
#endif
#ifdef _OPENMP
#include <omp.h>
#endif

#define MLS_IMPLEMENTATION
#include "mls_train.h"

#ifndef NO_PICTURES
#include "pictures.h"
#endif

#define SIZE      32
#define CHANNELS  3
#define PATH_SIZE 1024

/* The arguments of a function are as those of printf: C's, not those of Microsoft's library. */
#ifdef __MINGW_PRINTF_FORMAT
#define PRINTF(format_at, first) __attribute__((format(__MINGW_PRINTF_FORMAT, format_at, first)))
#else
#define PRINTF(format_at, first) __attribute__((format(printf, format_at, first)))
#endif

/* What went wrong. status is the exit status: 1 the work failed, 2 it was not started, or a file
   could not be read or written. */
typedef struct failure {
    int status;
    char text[PATH_SIZE + 512];
} failure;

PRINTF(3, 4) static bool fail(failure *f, int status, const char *format, ...)
{
    va_list list;
    f->status = status;
    va_start(list, format);
    vsnprintf(f->text, sizeof f->text, format, list);
    va_end(list);
    return false;
}

static bool is_finite(double x)
{
    return fabs(x) <= DBL_MAX;
}

/* ---- system ---- */

/* What is not C11, in functions so small that another system can have its own. */

/* The only mutable global: a signal handler has nothing else to write to. */
static volatile sig_atomic_t stop_requested;

static void request_stop(int number)
{
    (void)number;
    stop_requested = 1;
}

static bool is_file(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISREG(s.st_mode);
}

static bool is_directory(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

#ifdef _WIN32

/* Of the whole process, in milliseconds: Microsoft's clock() is no processor time. */
static double now(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

/* A request to stop, as below; the system forgets the handler at the first signal. */
static void catch_signals(void)
{
    signal(SIGINT, request_stop);
    signal(SIGTERM, request_stop);
    signal(SIGBREAK, request_stop);
}

static bool is_screen(FILE *stream)
{
    const char *terminal = getenv("TERM");
    return _isatty(_fileno(stream)) && terminal && *terminal && strcmp(terminal, "dumb") != 0;
}

static int columns(FILE *stream)
{
    const char *text = getenv("COLUMNS");
    int said = text ? atoi(text) : 0;
    (void)stream;
    return said < 1 || said > 1000 ? 80 : said;
}

static bool is_separator(char c)
{
    return c == '/' || c == '\\';
}

static bool make_directory(const char *path)
{
    size_t length = strlen(path);
    return (length && path[length - 1] == ':') || _mkdir(path) == 0 || errno == EEXIST;
}

static bool can_read(const char *folder)
{
    return _access(folder, 4) == 0;
}

static bool can_write(const char *folder)
{
    return _access(folder, 2) == 0;
}

static bool same_directory(const char *a, const char *b)
{
    char whole[2][PATH_SIZE + 2];
    return _fullpath(whole[0], a, PATH_SIZE) && _fullpath(whole[1], b, PATH_SIZE) &&
           _stricmp(whole[0], whole[1]) == 0;
}

static bool hold_lock(const char *path, long *holder)
{
    int file = _open(path, _O_RDWR | _O_CREAT | _O_NOINHERIT, _S_IREAD | _S_IWRITE);
    *holder = 0;
    if (file < 0) return false;
    if (_locking(file, _LK_NBLCK, 1) == 0) return true;
    *holder = -1;
    _close(file);
    return false;
}

static bool flush_to_disk(FILE *file)
{
    return fflush(file) == 0 && _commit(_fileno(file)) == 0;
}

static int run_gnuplot(const char *folder)
{
    char back[PATH_SIZE];
    intptr_t status = -1;
    if (!_getcwd(back, sizeof back) || _chdir(folder) != 0) return 126;
    status = _spawnlp(_P_WAIT, "gnuplot", "gnuplot", "plot.gp", (char *)NULL);
    if (_chdir(back) != 0) return 126;
    return status == -1 ? 127 : (int)status;
}

#else

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* From here on a signal is a request that training obeys between two steps, so that it can save
   what it has; before, and where there is nothing to save, it ends the program at once. A second
   Ctrl-C or TERM does so, too. HUP comes twice when a connection is lost, from the shell and from
   the kernel, and XCPU every second: they may come again. A closed pipe must not end a training. */
static void catch_signals(void)
{
    struct sigaction action = {0}, was;
    action.sa_handler = request_stop;
#ifdef SIGXCPU
    sigaction(SIGXCPU, &action, NULL);
#endif
    /* nohup ignores it */
    if (sigaction(SIGHUP, NULL, &was) == 0 && was.sa_handler != SIG_IGN) {
        sigaction(SIGHUP, &action, NULL);
    }
    action.sa_flags = (int)SA_RESETHAND;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
}

/* Whether the line of a stream can be written again and again. */
static bool is_screen(FILE *stream)
{
    const char *terminal = getenv("TERM");
    return isatty(fileno(stream)) && terminal && *terminal && strcmp(terminal, "dumb") != 0;
}

/* How wide a line for people may be: as the terminal is, and no wider than COLUMNS; 80 without
   either. */
static int columns(FILE *stream)
{
    struct winsize size = {0};
    const char *text = getenv("COLUMNS");
    int said = text ? atoi(text) : 0, seen = 0;
    if (isatty(fileno(stream)) && ioctl(fileno(stream), TIOCGWINSZ, &size) == 0) {
        seen = size.ws_col;
    }
    if (said < 1 || said > 1000) said = seen ? seen : 80;
    return seen && seen < said ? seen : said;
}

static bool make_directory(const char *path)
{
    return mkdir(path, 0777) == 0 || errno == EEXIST;
}

static bool is_separator(char c)
{
    return c == '/';
}

static bool can_read(const char *folder)
{
    return access(folder, R_OK | X_OK) == 0;
}

static bool can_write(const char *folder)
{
    return access(folder, W_OK | X_OK) == 0;
}

static bool same_directory(const char *a, const char *b)
{
    struct stat s, t;
    return stat(a, &s) == 0 && stat(b, &t) == 0 && s.st_dev == t.st_dev && s.st_ino == t.st_ino;
}

/* Holds the file at path, made if need be, until the program ends in whatever way. False with the
   process that holds it in holder (-1: another one), or with 0 and errno. A file system without locks has none to
   give, and then nothing is held. */
static bool hold_lock(const char *path, long *holder)
{
    struct flock lock = {0};
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    *holder = 0;
    if (file < 0) return false;
    lock.l_type = F_WRLCK, lock.l_whence = SEEK_SET;
    if (fcntl(file, F_SETLK, &lock) == 0) return true; /* closing the file would let go */
    if (errno != EACCES && errno != EAGAIN) return close(file) == 0;
    if (fcntl(file, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK) *holder = (long)lock.l_pid;
    close(file);
    if (*holder == 0) errno = EAGAIN;
    return false;
}

static bool flush_to_disk(FILE *file)
{
    return fflush(file) == 0 && (fsync(fileno(file)) == 0 || errno == EINVAL);
}

/* Runs gnuplot on plot.gp in a folder: 0 when it could, 127 when there is none. */
static int run_gnuplot(const char *folder)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        if (chdir(folder) != 0 || !freopen("/dev/null", "w", stderr)) _exit(126);
        execlp("gnuplot", "gnuplot", "plot.gp", (char *)NULL);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) return 126;
    return WEXITSTATUS(status);
}

#endif

/* ---- lines for people ---- */

/* Parts with two spaces between them; those that would make the line too wide are left out. */
typedef struct parts {
    char text[256];
    int length, most;
} parts;

PRINTF(2, 3) static void add_part(parts *l, const char *format, ...)
{
    char part[128];
    va_list list;
    va_start(list, format);
    int length = vsnprintf(part, sizeof part, format, list), space = l->length ? 2 : 0;
    va_end(list);
    if (l->length + space + length > l->most) return;
    if (l->length + space + length >= (int)sizeof l->text) return;
    memcpy(l->text + l->length, "  ", (size_t)space);
    memcpy(l->text + l->length + space, part, (size_t)length + 1);
    l->length += space + length;
}

/* A path as a shell takes it. */
static const char *shell_word(const char *path, char word[PATH_SIZE + 8])
{
    bool plain = !strpbrk(path, " \t\n\"\\$`&|;<>()*?[]#~!{}") && path[0] != '-';
    if (plain || strchr(path, '\'')) return path;
    snprintf(word, PATH_SIZE + 8, "'%s'", path);
    return word;
}

/* Breaks a text between words into lines that are not too wide. */
PRINTF(2, 3) static void say(FILE *to, const char *format, ...)
{
    char text[2048];
    int at = 0, most = columns(to);
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    for (const char *word = text; *word; word += strspn(word, " ")) {
        int length = (int)strcspn(word, " ");
        if (at && at + 1 + length > most) at = 0, fputc('\n', to);
        at += fprintf(to, "%s%.*s", at ? " " : "", length, word);
        word += length;
    }
    fputc('\n', to);
}

static parts new_line(int most)
{
    parts l = {.most = most};
    return l;
}

/* ---- options ---- */

typedef struct options {
    const char *data, *model, *format, *layer_formats, *beside, *test_format, *schedule, *kernel;
    const char *out, *resume, *eval;
    int64_t epochs, batch, width, seeds, limit, test_limit, threads, every; /* 0: not given */
    double rate, warmup;
    uint64_t seed;
    bool resize, skip_bad, dry_run, version, help;
    uint64_t given; /* a bit for each row of option_table */
} options;

typedef enum { /* copy_option has their sizes */
    TEXT,
    SPEC, /* a text that mls_formats_parse reads */
    COUNT,
    REAL,
    SEED,
    FLAG
} option_kind;

/* What is done with a checkpoint. */
enum {
    RESUME = 1,
    EVAL = 2
};

typedef struct option {
    const char *name;
    option_kind kind;
    size_t at; /* in options */
    double low, high;
    const char *key; /* in checkpoints and config.json; null: not kept */
    int same;        /* when it must be as it is there */
} option;

#define OPTION(member) offsetof(options, member)
static const option option_table[] = {
    {"--data", TEXT, OPTION(data), 0, 0, "data", 0},
    {"--resize", FLAG, OPTION(resize), 0, 0, "resize", RESUME | EVAL},
    {"--skip-bad", FLAG, OPTION(skip_bad), 0, 0, "skip_bad", 0},
    {"--limit", COUNT, OPTION(limit), 1, 1e7, "limit", RESUME | EVAL},
    {"--test-limit", COUNT, OPTION(test_limit), 1, 1e7, "test_limit", RESUME},
    {"--model", TEXT, OPTION(model), 0, 0, "model", RESUME | EVAL},
    {"--width", COUNT, OPTION(width), 1, 4096, "width", RESUME | EVAL},
    {"--format", SPEC, OPTION(format), 0, 0, "format", RESUME | EVAL},
    {"--layer-formats", TEXT, OPTION(layer_formats), 0, 0, "layer_formats", RESUME | EVAL},
    {"--beside", SPEC, OPTION(beside), 0, 0, "beside", RESUME | EVAL},
    {"--epochs", COUNT, OPTION(epochs), 1, 1e6, "epochs", RESUME | EVAL},
    {"--batch", COUNT, OPTION(batch), 1, 65536, "batch", RESUME},
    {"--lr", REAL, OPTION(rate), 1e-30, 1000, "lr", RESUME | EVAL},
    {"--schedule", TEXT, OPTION(schedule), 0, 0, "schedule", RESUME | EVAL},
    {"--warmup", REAL, OPTION(warmup), 0, 1e6, "warmup", RESUME | EVAL},
    {"--seed", SEED, OPTION(seed), 0, 0, "seed", RESUME | EVAL},
    {"--seeds", COUNT, OPTION(seeds), 1, 1000, "seeds", RESUME | EVAL},
    {"--checkpoint-every", COUNT, OPTION(every), 1, 1e6, "checkpoint_every", 0},
    {"--out", TEXT, OPTION(out), 0, 0, NULL, 0},
    {"--resume", TEXT, OPTION(resume), 0, 0, NULL, 0},
    {"--eval", TEXT, OPTION(eval), 0, 0, NULL, 0},
    {"--test-format", SPEC, OPTION(test_format), 0, 0, NULL, 0},
    {"--dry-run", FLAG, OPTION(dry_run), 0, 0, NULL, 0},
    {"--threads", COUNT, OPTION(threads), 1, 1024, NULL, 0},
    {"--kernel", TEXT, OPTION(kernel), 0, 0, NULL, 0},
    {"--version", FLAG, OPTION(version), 0, 0, NULL, 0},
    {"--help", FLAG, OPTION(help), 0, 0, NULL, 0},
};
#define OPTIONS (sizeof option_table / sizeof *option_table)
_Static_assert(OPTIONS <= 64, "a bit for each in options.given");

static const char help_text[] =
    "cifar10 - trains a CIFAR-10 ResNet with low-bit integers\n\n"
    "  --data DIR       CIFAR-10 binary files, or pictures DIR/train/CLASS/*.jpg|png\n"
    "                   and DIR/test/CLASS/*; 'synthetic' (the default): ten classes\n"
    "                   that are built in\n"
    "  --resize         scale pictures to 32x32 instead of refusing other sizes\n"
    "  --skip-bad       go on without the pictures that cannot be read\n"
    "  --limit N        at most N training pictures, equally many of each class, the\n"
    "                   same ones for every --seed (synthetic: 5000)\n"
    "  --test-limit N   the same for test pictures (synthetic: 1000)\n"
    "  --model NAME     resnet8, resnet14, resnet20 (default) ... with 6n+2 layers; a\n"
    "                   final b takes 1x1 convolutions for shortcuts instead of\n"
    "                   zero-padded channels\n"
    "  --width N        channels of the first stage (16)\n"
    "  --format SPEC    number formats, see below (2,1:nc:2,0)\n"
    "  --layer-formats TEXT  formats of some layers, in every run: conv1=fp32;\n"
    "                   conv8-13=2,4; linear=2,1 (conv1 is the first convolution)\n"
    "  --beside SPEC    train with this format, too, and compare\n"
    "  --epochs N       passes over the training pictures (10; the paper has 160)\n"
    "  --batch N        pictures of a step (128)\n"
    "  --lr X           learning rate at the top (0.1)\n"
    "  --schedule NAME  paper: a tenth after 1/2 and 3/4 of the run; cosine (paper)\n"
    "  --warmup EPOCHS  rise linearly to the rate first (0)\n"
    "  --seed N         of weights, order, crops and rounding (1)\n"
    "  --seeds N        runs with N seeds from --seed on, and their mean (1)\n"
    "  --out DIR        keep config.json, log.jsonl, last.mlsck, best.mlsck, a plot\n"
    "  --checkpoint-every N  epochs between checkpoints (1)\n"
    "  --resume DIR     go on with what is kept in DIR: finished runs are left alone,\n"
    "                   one that was stopped goes on, the rest begins; needs no other\n"
    "                   option and refuses one that says otherwise\n"
    "  --resume FILE    so for one run from a checkpoint, in its folder or --out\n"
    "  --eval FILE      only test a checkpoint; it knows its own options, too\n"
    "  --test-format SPEC  with --eval: not in the format that it was trained in\n"
    "  --dry-run        only show layers, memory, and an estimate of the time\n"
    "  --threads N      OpenMP threads (all processors)\n"
    "  --kernel NAME    of the convolutions (auto)\n"
    "  --version, --help\n\n"
    "SPEC is fp32, a FORMAT for all, or \"w=FORMAT a=FORMAT e=FORMAT\" for weights,\n"
    "activations and errors; what is left out is 2,1. FORMAT is\n"
    "  E,M[:none|n|c|nc[:Eg,Mg]][:nearest|stochastic|clipped][:fit|paper]\n"
    "  2,1        a sign, 2 exponent and 1 fraction bits; the rest, unless said\n"
    "             otherwise, is :nc:2,0:fit, weights and activations :nearest,\n"
    "             errors :stochastic\n"
    "  mls-2,1    the same, spelled out\n"
    "  paper-2,1  the rest as in the paper, :nc:8,1:clipped:paper; its rows are\n"
    "             paper-2,1, paper-1,2, paper-0,4, paper-0,2, paper-2,1:none ...\n\n"
    "The last line of the output is for programs. Its images_per_second counts\n"
    "training steps with their batches, over this whole process; with --eval, tested\n"
    "pictures. Accuracies are in percent, those of the last epoch. With --seeds it\n"
    "has means and a digest of the digests. It is about --format.\n"
    "On a machine shared with others set OMP_WAIT_POLICY=passive: waiting threads\n"
    "sleep. Exit status: 0 done, 1 stopped (not a finite number, signal), 2 not\n"
    "started, or a file could not be written (full disk); then the last checkpoint\n"
    "is whole: --resume it. A signal before training ends the program at once.\n";

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
static bool unknown_option(const char *name, failure *f)
{
    char word[32];
    int length = (int)strcspn(name, "=");
    if (name[0] != '-') return fail(f, 2, "unexpected argument '%s' (see --help)", name);
    snprintf(word, sizeof word, "%.*s", length, name);
    for (size_t i = 0; i < OPTIONS && length > 5 && length < (int)sizeof word; i++) {
        if (!one_slip(word, option_table[i].name)) continue;
        return fail(f, 2, "unknown option '%s': did you mean %s?", word, option_table[i].name);
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
    case SEED:
        memcpy(&seed, at, sizeof seed);
        snprintf(room, 32, "%llu", (unsigned long long)seed);
        break;
    case FLAG:
        memcpy(&flag, at, sizeof flag);
        return flag ? "yes" : NULL;
    }
    return o->kind == COUNT && n == 0 ? NULL : room;
}

static void copy_option(options *to, const options *from, const option *o)
{
    static const size_t sizes[] = {sizeof(char *), sizeof(char *),   sizeof(int64_t),
                                   sizeof(double), sizeof(uint64_t), sizeof(bool)};
    memcpy((char *)to + o->at, (const char *)from + o->at, sizes[o->kind]);
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
    o->schedule = "paper", o->kernel = "auto";
    o->epochs = 10, o->batch = 128, o->width = 16, o->seeds = 1, o->seed = 1, o->every = 1;
    o->rate = 0.1;
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
static bool read_words(options *to, int count, char **words, failure *f)
{
    const bool yes = true;
    for (int i = 1; i < count; i++) {
        const option *o = find_option(words[i]);
        const char *value = strchr(words[i], '=');
        if (!o) return unknown_option(words[i], f);
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

static bool parse_options(options *to, int count, char **words, failure *f)
{
    if (!read_words(to, count, words, f)) return false;
    if (to->eval && (to->seeds > 1 || to->beside)) {
        return fail(f, 2, "--eval is for one run: no --seeds, no --beside");
    }
    if (to->eval && to->out) return fail(f, 2, "--eval keeps nothing: no --out");
    if (!to->eval && to->test_format) return fail(f, 2, "--test-format is for --eval");
    if (to->resume && to->eval) return fail(f, 2, "--resume and --eval exclude each other");
    if (to->dry_run && to->eval) return fail(f, 2, "--dry-run and --eval exclude each other");
    return true;
}

/* ---- pictures ---- */

/* What was left out of folders of pictures: for each reason how often, and the first. */
typedef struct left_out {
    bool resize; /* comes first: it is what decode_picture looks for */
    int64_t count[MLS_LEFT_OUT_REASONS];
    char first[MLS_LEFT_OUT_REASONS][PATH_SIZE];
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
static bool load_pictures(const options *o, int part, mls_data *data, left_out *left, failure *f)
{
    (void)part, (void)data, (void)left;
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

static bool load_pictures(const options *o, int part, mls_data *data, left_out *left, failure *f)
{
    char folder[PATH_SIZE], text[PATH_SIZE] = "";
    mls_folder_desc desc = {folder, decode_picture, SIZE, SIZE, 1, left, leave_out};
    snprintf(folder, sizeof folder, "%s/%s", o->data, part ? "test" : "train");
    left->resize = o->resize;
    mls_status status = mls_data_pictures(data, &desc, text, sizeof text);
    if (status == MLS_OK) return true;
    return fail(f, 2, "--data: %s", text[0] ? text : mls_status_string(status));
}
#endif

static bool load_synthetic(mls_data *data, int64_t count, int part, failure *f)
{
    data->pixels = malloc((size_t)count * SIZE * SIZE * CHANNELS);
    data->labels = malloc((size_t)count);
    if (!data->pixels || !data->labels) {
        return fail(f, 1, "no memory for %lld pictures", (long long)count);
    }
    mls_status status = mls_data_synthetic(data, (int32_t)count, 0, (uint64_t)part);
    return status == MLS_OK || fail(f, 1, "synthetic pictures: %s", mls_status_string(status));
}

/* Keeps at most limit pictures, equally many of each class as far as there are, chosen by a fixed
   shuffle: neither the order of the files nor --seed matters. */
static bool keep_some(mls_data *data, int64_t limit, failure *f)
{
    size_t bytes = (size_t)data->h * (size_t)data->w * (size_t)data->c;
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
        if (!keep[i]) continue;
        data->labels[kept] = data->labels[i];
        memmove(data->pixels + (size_t)kept++ * bytes, data->pixels + (size_t)i * bytes, bytes);
    }
    data->count = (int32_t)kept;
    free(keep);
    return true;
}

/* ---- data ---- */

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

static bool has_data(const char *folder)
{
    return has_cifar10(folder) || (has_folder(folder, "train") && has_folder(folder, "test"));
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
    {"fine_label_names.txt", "this is CIFAR-100, not CIFAR-10"},
    {"meta", "this is CIFAR-100, not CIFAR-10"},
    {"meta.mat", "this is CIFAR-100, not CIFAR-10"},
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
                "test/CLASS/*.jpg in it",
                path);
}

/* part 0: training, 1: test. */
static bool load_data(const options *o, int part, mls_data *data, left_out *left, failure *f)
{
    char text[PATH_SIZE] = "";
    int64_t limit = part ? o->test_limit : o->limit;
    if (strcmp(o->data, "synthetic") == 0) {
        return load_synthetic(data, limit ? limit : part ? 1000 : 5000, part, f);
    }
    if (!is_folder(o->data, f)) return false;
    if (has_cifar10(o->data)) {
        mls_status status = mls_data_cifar10(data, o->data, part, text, sizeof text);
        if (status != MLS_OK) {
            return fail(f, 2, "--data: %s", text[0] ? text : mls_status_string(status));
        }
    } else if (!has_folder(o->data, part ? "test" : "train")) {
        return no_data(o->data, part, f);
    } else if (!load_pictures(o, part, data, left, f)) {
        return false;
    }
    if (data->classes < 2 && !o->eval) { /* the classes of a checkpoint say it better */
        return fail(f, 2, "--data %s: %s has one class only, %s: nothing can be told apart",
                    o->data, part ? "test" : "train", data->names[0]);
    }
    return keep_some(data, limit, f);
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

/* The test pictures, and unless they are all that --eval needs, those to train on. Bad pictures of both
   are listed before they are refused. */
static bool load_both(const options *o, mls_data *train, mls_data *test, failure *f)
{
    static left_out left;
    bool good = load_data(o, 1, test, &left, f) && (o->eval || load_data(o, 0, train, &left, f));
    say_left_out(&left, o->skip_bad);
    if (!good) return false;
    if (left.count[MLS_LEFT_OUT_BAD] && !o->skip_bad) {
        return fail(f, 2, "--data: %s: %lld, such as %s (--skip-bad goes on without)",
                    left_out_what[MLS_LEFT_OUT_BAD], (long long)left.count[MLS_LEFT_OUT_BAD],
                    left.first[MLS_LEFT_OUT_BAD]);
    }
    return o->eval || same_classes(train, test, f);
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

/* ---- model ---- */

typedef struct model {
    int32_t blocks; /* of each of the three stages */
    int32_t width;
    bool option_b; /* shortcuts: 1x1 convolutions instead of zero-padded channels */
} model;

static bool parse_model(model *to, const options *o, failure *f)
{
    char *end = NULL;
    const char *digits = o->model + 6;
    if (strncmp(o->model, "resnet", 6) == 0 && *digits >= '1' && *digits <= '9') {
        long depth = strtol(digits, &end, 10);
        to->option_b = *end == 'b';
        if (depth >= 8 && depth <= 1202 && depth % 6 == 2 && !end[to->option_b]) {
            to->blocks = (int32_t)(depth / 6);
            to->width = (int32_t)o->width;
            return true;
        }
    }
    return fail(f, 2,
                "--model %s: not resnet8, resnet14, resnet20 ... (6n+2 up to 1202), or with "
                "a final b",
                o->model);
}

static int32_t model_nodes(const model *m)
{
    return 8 + 3 * m->blocks * 8 + 4;
}

static int32_t conv_norm(mls_net *net, int32_t x, int32_t channels, int32_t kernel, int32_t stride)
{
    mls_conv_desc conv = {0};
    conv.c_out = channels, conv.kh = kernel, conv.stride = stride, conv.pad = kernel / 2;
    return mls_net_batch_norm(net, mls_net_conv(net, x, &conv));
}

static int32_t residual_block(mls_net *net, int32_t x, int32_t channels, int32_t stride,
                              bool option_b)
{
    int32_t y = mls_net_relu(net, conv_norm(net, x, channels, 3, stride));
    y = conv_norm(net, y, channels, 3, 1);
    if (stride != 1 && option_b) {
        x = conv_norm(net, x, channels, 1, stride);
    } else if (stride != 1) {
        x = mls_net_subsample(net, x, stride, channels);
    }
    return mls_net_relu(net, mls_net_add(net, y, x));
}

static void build_resnet(mls_net *net, const model *m, int32_t classes)
{
    int32_t x = mls_net_input(net, SIZE, SIZE, CHANNELS);
    x = mls_net_relu(net, conv_norm(net, x, m->width, 3, 1));
    for (int32_t stage = 0; stage < 3; stage++) {
        for (int32_t i = 0; i < m->blocks; i++) {
            x = residual_block(net, x, m->width << stage, stage && i == 0 ? 2 : 1, m->option_b);
        }
    }
    x = mls_net_linear(net, mls_net_global_pool(net, x), classes);
    mls_net_loss(net, x);
}

/* ---- settings: what checkpoints and config.json say, by name ---- */

typedef struct setting {
    char *key, *value;
} setting;

typedef struct settings {
    setting *of;
    size_t count;
    bool no_memory; /* then something is missing */
} settings;

static void free_settings(settings *s)
{
    for (size_t i = 0; i < s->count; i++) free(s->of[i].key), free(s->of[i].value);
    free(s->of);
    memset(s, 0, sizeof *s);
}

/* Null: not there. */
static const char *get(const settings *s, const char *key)
{
    for (size_t i = 0; i < s->count; i++) {
        if (strcmp(s->of[i].key, key) == 0) return s->of[i].value;
    }
    return NULL;
}

/* Takes key and value, both from malloc. */
static void add_setting(settings *s, char *key, char *value)
{
    setting *of = key && value ? realloc(s->of, (s->count + 1) * sizeof *of) : NULL;
    if (of) {
        s->of = of;
        of[s->count].key = key, of[s->count++].value = value;
    } else {
        free(key), free(value);
        s->no_memory = true;
    }
}

PRINTF(3, 4) static void put(settings *s, const char *key, const char *format, ...)
{
    va_list list, again;
    va_start(list, format);
    va_copy(again, list);
    size_t size = (size_t)vsnprintf(NULL, 0, format, list) + 1, length = strlen(key) + 1;
    char *value = malloc(size), *name = malloc(length);
    if (value) vsnprintf(value, size, format, again);
    if (name) memcpy(name, key, length);
    add_setting(s, name, value);
    va_end(again);
    va_end(list);
}

static void put_real(settings *s, const char *key, double x)
{
    char text[32];
    exact_text(x, text, sizeof text);
    put(s, key, "%s", text);
}

/* Text that grows. */
typedef struct growing {
    char *at;
    size_t length;
    bool no_memory;
} growing;

static void append(growing *t, const char *bytes, size_t count)
{
    char *at = realloc(t->at, t->length + count + 1);
    if (!at) {
        t->no_memory = true;
        return;
    }
    t->at = at;
    memcpy(at + t->length, bytes, count);
    at[t->length += count] = 0;
}

/* Bytes of the character that a text starts with; 0: they are not UTF-8. */
static size_t utf8(const char *text)
{
    const unsigned char *u = (const unsigned char *)text;
    const unsigned least = u[0] == 0xe0 ? 0xa0 : u[0] == 0xf0 ? 0x90 : 0x80;
    const unsigned most = u[0] == 0xed ? 0x9f : u[0] == 0xf4 ? 0x8f : 0xbf;
    const size_t bytes = u[0] < 0x80 ? 1 : u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : 4;
    if (bytes > 1 && (u[0] < 0xc2 || u[0] > 0xf4 || u[1] < least || u[1] > most)) return 0;
    for (size_t i = 2; i < bytes; i++) {
        if ((u[i] & 0xc0) != 0x80) return 0;
    }
    return bytes;
}

/* As JSON has it: names of classes can be anything that names a folder. A byte that is no UTF-8 is
   written as the character of its number, so that others can read the file, and read as the byte. */
static void append_escaped(growing *t, const char *value)
{
    for (char escape[8]; *value; value++) {
        unsigned char c = (unsigned char)*value;
        size_t bytes = utf8(value);
        if (c == '"' || c == '\\') append(t, "\\", 1);
        if (c < ' ' || !bytes) snprintf(escape, sizeof escape, "\\u%04x", c), append(t, escape, 6);
        if (c >= ' ' && bytes) append(t, value, bytes), value += bytes - 1;
    }
}

/* Lines "key value", or with json an object of texts, in new memory; null: none left. */
static char *write_settings(const settings *s, bool json)
{
    growing t = {0};
    for (size_t i = 0; i < s->count; i++) {
        if (json) append(&t, i ? ",\n  \"" : "{ \"", i ? 5 : 3);
        append(&t, s->of[i].key, strlen(s->of[i].key));
        append(&t, json ? "\": \"" : " ", json ? 4 : 1);
        append_escaped(&t, s->of[i].value);
        append(&t, json ? "\"" : "\n", 1);
    }
    if (json) append(&t, " }\n", 3);
    if (!s->no_memory && !t.no_memory) return t.at;
    free(t.at);
    return NULL;
}

/* Undoes append_escaped; null: no memory. */
static char *unescape(const char *from, size_t length)
{
    char *to = malloc(length + 1), *at = to;
    for (size_t i = 0; to && i < length; i++) {
        unsigned int c = (unsigned char)from[i];
        if (c == '\\' && i + 1 < length) {
            c = (unsigned char)from[++i];
            if (c == 'u' && i + 4 < length && sscanf(from + i + 1, "%4x", &c) == 1) i += 4;
        }
        *at++ = (char)c;
    }
    if (to) *at = 0;
    return to;
}

/* What write_settings wrote as lines. */
static bool read_lines(settings *to, const char *from, size_t size)
{
    for (const char *end = from + size, *next; from < end; from = next + 1) {
        next = memchr(from, '\n', (size_t)(end - from));
        const char *space = next ? memchr(from, ' ', (size_t)(next - from)) : NULL;
        if (!space) return false;
        add_setting(to, unescape(from, (size_t)(space - from)),
                    unescape(space + 1, (size_t)(next - space - 1)));
    }
    return !to->no_memory;
}

/* The text in quotes that comes next, with nothing but white space and mark before; null: none. */
static char *quoted(const char **at, char mark)
{
    const char *from = *at + strspn(*at, " \t\r\n"), *end;
    if (*from != mark) return NULL;
    from += 1 + strspn(from + 1, " \t\r\n");
    if (*from++ != '"') return NULL;
    for (end = from; *end && *end != '"'; end++) end += *end == '\\' && end[1];
    if (*end != '"') return NULL;
    *at = end + 1;
    return unescape(from, (size_t)(end - from));
}

/* What write_settings wrote as JSON. */
static bool read_object(settings *to, const char *at)
{
    char *key = quoted(&at, '{');
    while (key) {
        add_setting(to, key, quoted(&at, ':'));
        if (to->no_memory) return false;
        key = quoted(&at, ',');
    }
    return at[strspn(at, " \t\r\n")] == '}';
}

/* ---- a run: one format, one seed ---- */

/* What all runs of a call share. */
typedef struct job {
    options o;
    model model;
    mls_data train, test;
    uint64_t train_hash, test_hash;
    mls_augment augment;
    settings from;             /* of --resume or --eval, */
    char from_name[PATH_SIZE]; /* and the file that has them */
    char out[PATH_SIZE];       /* the folder of --resume, if it says which */
} job;

/* Where a run is. */
typedef struct progress {
    int64_t epoch, batch;       /* done; batches of the current epoch */
    int64_t correct, images;    /* of the current epoch */
    double loss;                /* summed over these images */
    double last_loss;           /* mean over the last whole epoch */
    int64_t last_correct, best; /* test pictures right after it, and after the best one */
    double mean[CHANNELS], scale[CHANNELS]; /* of the pictures, see mls_augment */
} progress;

/* Its members, all of 64 bits, in order. */
#define PROGRESS (8 + 2 * CHANNELS)
static const struct {
    const char *key;
    bool real;
} progress_table[PROGRESS] = {
    {"epoch", false},   {"batch_of_epoch", false}, {"epoch_correct", false},
    {"images", false},  {"epoch_loss", true},      {"train_loss", true},
    {"correct", false}, {"best_correct", false},   {"mean_0", true},
    {"mean_1", true},   {"mean_2", true},          {"scale_0", true},
    {"scale_1", true},  {"scale_2", true},
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

/* close_run also after a failure. */
static bool open_run(run *r, const job *j, const char *spec, uint64_t seed, failure *f)
{
    mls_net_desc desc = {0};
    int32_t capacity = model_nodes(&j->model), batch = (int32_t)j->o.batch;
    memset(r, 0, sizeof *r);
    r->job = j, r->spec = spec, r->seed = seed;
    r->batches = (j->train.count + j->o.batch - 1) / j->o.batch;
    r->schedule = make_schedule(&j->o, r->batches);
    for (int c = 0; c < CHANNELS; c++) {
        r->at.mean[c] = (double)j->augment.mean[c], r->at.scale[c] = (double)j->augment.scale[c];
    }
    mls_formats_parse(&r->formats, spec, NULL, 0); /* set_option has found it good */
    r->nodes = malloc((size_t)capacity * sizeof *r->nodes);
    r->images = malloc((size_t)batch * SIZE * SIZE * CHANNELS * sizeof *r->images);
    r->labels = malloc((size_t)batch * sizeof *r->labels);
    if (!r->nodes || !r->images || !r->labels) {
        return fail(f, 1, "no memory for a batch of %d pictures", (int)batch);
    }
    desc.batch = batch, desc.seed = seed;
    desc.formats = r->formats;
    mls_net_begin(&r->net, &desc, r->nodes, capacity);
    build_resnet(&r->net, &j->model, j->test.classes);
    if (j->o.layer_formats && mls_net_formats(&r->net, j->o.layer_formats) != MLS_OK) {
        return fail(f, 2, "--layer-formats '%s': %s", j->o.layer_formats, r->net.text);
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
    char asked[32] = "", training[32] = "";
    if (j->o.threads && j->o.threads != threads) {
        snprintf(asked, sizeof asked, " (not %lld)", (long long)j->o.threads);
    }
    if (!j->o.eval) snprintf(training, sizeof training, "%d training and ", (int)j->train.count);
    say(stderr, "%s, %s, seed %llu; kernel %s, %d thread%s%s; %s%d test pictures", j->o.model,
        r->spec, (unsigned long long)r->seed, mls_kernel_used(), threads, threads == 1 ? "" : "s",
        asked, training, (int)j->test.count);
    if (verbose && strcmp(verbose, "0") != 0) explain(&r->net);
}

/* ---- what a run says of itself ---- */

/* The options of one of several runs. */
static options one_run(const job *j, const char *spec, uint64_t seed)
{
    options o = j->o;
    o.format = spec, o.seed = seed, o.seeds = 0, o.beside = NULL;
    return o;
}

/* Options, and what was found in the pictures. */
static void describe(const job *j, const options *o, settings *to)
{
    char room[MLS_FORMATS_TEXT] = "", key[24];
    mls_formats formats;
    put(to, "program", "cifar10");
    for (size_t i = 0; i < OPTIONS; i++) {
        const char *value = option_table[i].key ? option_text(o, &option_table[i], room) : NULL;
        if (value) put(to, option_table[i].key, "%s", value);
    }
    mls_formats_parse(&formats, o->format, NULL, 0);
    mls_formats_text(formats, room, sizeof room);
    put(to, "formats", "%s", room);
    put(to, "input", "%dx%dx%d", SIZE, SIZE, CHANNELS);
    put(to, "classes", "%d", (int)j->test.classes);
    for (int i = 0; i < j->test.classes; i++) {
        snprintf(key, sizeof key, "class_%d", i);
        put(to, key, "%s", j->test.names[i]);
    }
    if (j->train.count == 0) return; /* a test */
    put(to, "train_count", "%d", (int)j->train.count);
    put(to, "test_count", "%d", (int)j->test.count);
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
        if (!value) return false;
        int64_t count = progress_table[i].real ? 0 : strtoll(value, &end, 10);
        double real = progress_table[i].real ? strtod(value, &end) : 0;
        if (*end || end == value || count < 0 || !is_finite(real)) return false;
        memcpy(at, progress_table[i].real ? (const void *)&real : (const void *)&count, 8);
    }
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
        if (!there || (row && (!(row->same & use) || same_value(row, there, value)))) continue;
        if (strcmp(there, value) == 0) continue;
        good = fail(f, 2, "%s: was made with %s %s, not %s", name, key, there, value);
    }
    if (ours.no_memory) good = fail(f, 1, "no memory to compare with %s", name);
    free_settings(&ours);
    return good;
}

/* ---- checkpoints ---- */

static bool save_run(run *r, const char *name, failure *f)
{
    char path[PATH_SIZE + 16];
    settings s = {0};
    options o = one_run(r->job, r->spec, r->seed);
    describe(r->job, &o, &s);
    put_progress(&s, &r->at);
    char *note = write_settings(&s, false);
    free_settings(&s);
    if (!note) return fail(f, 1, "no memory to save %s/%s", r->folder, name);
    snprintf(path, sizeof path, "%s/%s", r->folder, name);
    bool good = mls_net_save(&r->net, path, note, strlen(note)) == MLS_OK;
    free(note);
    return good || fail(f, 2, "%s", r->net.text);
}

/* The note before format 2: a 1, these settings of 48 bytes, and the words of progress. */
#define OLD_SETTINGS 15
#define OLD_SIZE     (1 + OLD_SETTINGS * 48 + 8 * PROGRESS)
static void read_old_note(settings *to, const uint8_t *note)
{
    static const char *const keys[OLD_SETTINGS] = {
        "model",        "width",      "weight_format", "activation_format",
        "error_format", "seed",       "batch",         "lr",
        "schedule",     "warmup",     "epochs",        "classes",
        "train_count",  "test_count", "train_hash"};
    uint64_t word[PROGRESS] = {0};
    progress p;
    for (int i = 0; i < OLD_SETTINGS; i++)
        put(to, keys[i], "%.47s", (const char *)note + 1 + 48 * i);
    note += 1 + OLD_SETTINGS * 48;
    for (int i = 0; i < 8 * PROGRESS; i++) word[i / 8] |= (uint64_t)*note++ << (i % 8 * 8);
    memcpy(&p, word, sizeof p);
    put_progress(to, &p);
}

/* What said the formats of each role in a line of its own says them all in one. */
static void join_formats(settings *to)
{
    const char *w = get(to, "weight_format"), *a = get(to, "activation_format");
    const char *e = get(to, "error_format");
    char joined[MLS_FORMATS_TEXT], whole[MLS_FORMATS_TEXT];
    mls_formats formats, same;
    if (!w || !a || !e || get(to, "formats")) return;
    snprintf(joined, sizeof joined, "w=%s a=%s e=%s", w, a, e);
    if (mls_formats_parse(&formats, joined, NULL, 0) != MLS_OK) return;
    mls_formats_text(formats, whole, sizeof whole);
    put(to, "formats", "%s", whole);
    /* E,M:GROUPING:Eg,Mg says it all where the roles round as they do by default */
    snprintf(joined, sizeof joined, "%s", a);
    char *rest = strstr(joined, ":nearest");
    if (rest) *rest = 0;
    if (mls_formats_parse(&same, joined, NULL, 0) != MLS_OK ||
        memcmp(&same, &formats, sizeof same) != 0) {
        snprintf(joined, sizeof joined, "%s", whole);
    }
    put(to, "format", "%s", joined);
}

/* A checkpoint's bytes, for mls_file_free, and what it says. */
static bool load_file(const char *path, void **bytes, size_t *size, settings *to, failure *f)
{
    char text[PATH_SIZE + 256];
    mls_checkpoint about;
    if (is_directory(path)) {
        return fail(f, 2, "%s is a folder: want %s/best.mlsck or %s/last.mlsck", path, path, path);
    }
    if (mls_file_load(path, bytes, size, text, sizeof text) != MLS_OK)
        return fail(f, 2, "%s", text);
    if (mls_checkpoint_look(*bytes, *size, &about, text, sizeof text) != MLS_OK) {
        fail(f, 2, "%s: %s", path, text);
    } else {
        const uint8_t *note = about.note;
        if (about.note_size == OLD_SIZE && note[0] == 1) {
            read_old_note(to, note);
            join_formats(to);
        } else if (!read_lines(to, (const char *)note, about.note_size)) {
            to->count = 0;
        }
        if (get(to, "model") && get(to, "seed")) return true;
        fail(f, 2, "%s: a checkpoint of another program", path);
    }
    free_settings(to);
    mls_file_free(*bytes);
    return false;
}

/* The checkpoint must be of this run, or to be tested. */
static bool load_run(run *r, const char *path, int use, failure *f)
{
    settings there = {0};
    void *bytes;
    size_t size;
    options o = one_run(r->job, use == EVAL ? r->job->o.format : r->spec, r->seed);
    if (!load_file(path, &bytes, &size, &there, f)) return false;
    bool good = same_run(r->job, &o, &there, path, use, f);
    if (good && (!get_progress(&r->at, &there) || r->at.epoch > o.epochs)) {
        good = fail(f, 2, "%s: damaged: it does not say how far it is", path);
    }
    if (good && mls_net_checkpoint_read(&r->net, bytes, size, NULL, 0) != MLS_OK) {
        good = fail(f, 2, "%s: %s", path, r->net.text);
    }
    free_settings(&there);
    mls_file_free(bytes);
    return good;
}

/* The checkpoint that is furthest on goes to path, which is empty if there is none. */
static bool newest_checkpoint(const char *folder, char path[PATH_SIZE + 16], failure *f)
{
    static const char *const names[] = {"last.mlsck", "best.mlsck"};
    int64_t most = -1;
    path[0] = 0;
    for (int i = 0; i < 2; i++) {
        char name[PATH_SIZE + 16], text[PATH_SIZE + 256];
        mls_checkpoint about;
        void *bytes;
        size_t size;
        snprintf(name, sizeof name, "%s/%s", folder, names[i]);
        if (!is_file(name)) continue;
        if (mls_file_load(name, &bytes, &size, text, sizeof text) != MLS_OK) {
            return fail(f, 2, "%s", text);
        }
        bool good = mls_checkpoint_look(bytes, size, &about, text, sizeof text) == MLS_OK;
        mls_file_free(bytes);
        if (!good) return fail(f, 2, "%s: %s", name, text);
        if (about.step > most) most = about.step, memcpy(path, name, sizeof name);
    }
    return true;
}

/* ---- files of a run ---- */

static bool make_folder(const char *name, failure *f)
{
    char path[PATH_SIZE + 2];
    size_t length = strlen(name);
    if (length > PATH_SIZE - 64) return fail(f, 2, "--out: the name is too long");
    for (size_t i = 1; i <= length; i++) {
        if (name[i] && !is_separator(name[i])) continue;
        snprintf(path, sizeof path, "%.*s", (int)i, name);
        if (!make_directory(path)) {
            return fail(f, 2, "--out: cannot create %s: %s", path, strerror(errno));
        }
    }
    snprintf(path, sizeof path, "%s/.", name); /* a file is no folder */
    if (can_write(path)) return true;
    return fail(f, 2, "--out: cannot write to %s: %s", name, strerror(errno));
}

static bool in_folder(const char *file, const char *folder)
{
    char path[PATH_SIZE];
    size_t length = strlen(file);
    while (length && !is_separator(file[length - 1])) length--;
    snprintf(path, sizeof path, "%.*s.", (int)length, file);
    return same_directory(path, folder);
}

/* A folder belongs to the process that trains into it, for as long as that lives. */
static bool lock_folder(const char *folder, failure *f)
{
    char path[PATH_SIZE + 16];
    long holder;
    snprintf(path, sizeof path, "%s/lock", folder);
    if (hold_lock(path, &holder)) return true;
    if (holder == 0) return fail(f, 2, "--out: %s: %s", path, strerror(errno));
    if (holder < 0) return fail(f, 2, "--out: another run is at work in %s", folder);
    return fail(f, 2, "--out: another run, process %ld, is at work in %s", holder, folder);
}

/* What a folder's config.json says; nothing if there is none, or none of this program. */
static bool read_config(const char *folder, settings *to, failure *f)
{
    char path[PATH_SIZE + 16], text[PATH_SIZE + 256];
    void *bytes;
    size_t size;
    growing t = {0};
    snprintf(path, sizeof path, "%s/config.json", folder);
    if (!is_file(path)) return true;
    if (mls_file_load(path, &bytes, &size, text, sizeof text) != MLS_OK)
        return fail(f, 2, "%s", text);
    append(&t, bytes, size); /* ends it */
    mls_file_free(bytes);
    bool good = t.at && read_object(to, t.at) && get(to, "model") && get(to, "seed");
    if (!good) free_settings(to);
    free(t.at);
    join_formats(to);
    return true;
}

/* The first of a run's files in a folder; null: none. A link to a device is none. */
static const char *file_of_a_run(const char *folder)
{
    static const char *const names[] = {"last.mlsck",  "best.mlsck", "log.jsonl",
                                        "config.json", "plot.gp",    "plot.png"};
    char path[PATH_SIZE + 16];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        if (is_file(path)) return names[i];
    }
    return NULL;
}

/* Never overwrites what is of another run; a run is what its config.json says. */
static bool claim_folder(const job *j, const options *o, const char *folder, failure *f)
{
    char path[PATH_SIZE + 16], word[PATH_SIZE + 8];
    const char *resume = j->o.resume, *file;
    settings there = {0};
    bool good;
    if (!make_folder(folder, f) || !lock_folder(folder, f)) return false;
    file = file_of_a_run(folder);
    if (!file) return true;
    if (!read_config(folder, &there, f)) return false;
    if (resume && there.count) {
        snprintf(path, sizeof path, "%s/config.json", folder);
        good = same_run(j, o, &there, path, RESUME, f);
    } else if (resume && in_folder(resume, folder) && !exists(folder, "config.json")) {
        good = true; /* only the checkpoint was kept */
    } else {
        good = fail(f, 2, "--out: %s/%s is there, of another run: take another folder%s%s", folder,
                    file, there.count ? ", or go on with that run: --resume " : "",
                    there.count ? shell_word(folder, word) : "");
    }
    free_settings(&there);
    if (good && !is_directory(resume) && !in_folder(resume, folder) &&
        exists(folder, "last.mlsck")) {
        return fail(f, 2,
                    "--out: %s/last.mlsck is there: --resume that one, or take another folder",
                    folder);
    }
    return good;
}

/* Drops what comes after an epoch, and a line that a crash cut off. */
static bool trim_log(const char *path, int64_t epoch, failure *f)
{
    char text[PATH_SIZE + 256], head[64];
    void *bytes;
    size_t size, kept = 0;
    long long number;
    if (!is_file(path)) return true;
    if (mls_file_load(path, &bytes, &size, text, sizeof text) != MLS_OK)
        return fail(f, 2, "%s", text);
    while (kept < size) {
        const char *line = (const char *)bytes + kept, *end = memchr(line, '\n', size - kept);
        if (!end) break;
        size_t length = (size_t)(end - line) + 1;
        snprintf(head, sizeof head, "%.*s", (int)(length < 60 ? length : 60), line);
        if (sscanf(head, "{\"epoch\":%lld", &number) == 1 && number > epoch) break;
        kept += length;
    }
    bool good = mls_file_save(path, bytes, kept, text, sizeof text) == MLS_OK;
    mls_file_free(bytes);
    return good || fail(f, 2, "%s", text);
}

static bool write_config(const job *j, const options *o, const char *folder, failure *f)
{
    char path[PATH_SIZE + 16], text[PATH_SIZE + 256];
    settings s = {0};
    describe(j, o, &s);
    char *json = write_settings(&s, true);
    free_settings(&s);
    if (!json) return fail(f, 1, "no memory for %s/config.json", folder);
    snprintf(path, sizeof path, "%s/config.json", folder);
    bool good = mls_file_save(path, json, strlen(json), text, sizeof text) == MLS_OK;
    free(json);
    return good || fail(f, 2, "%s", text);
}

static bool open_log(run *r, failure *f)
{
    char path[PATH_SIZE + 16];
    bool resumed = r->job->o.resume != NULL;
    snprintf(path, sizeof path, "%s/log.jsonl", r->folder);
    options o = one_run(r->job, r->spec, r->seed);
    if (!write_config(r->job, &o, r->folder, f) || (resumed && !trim_log(path, r->at.epoch, f)))
        return false;
    r->log = fopen(path, resumed ? "a" : "w");
    return r->log || fail(f, 2, "%s: %s", path, strerror(errno));
}

/* ---- options from a checkpoint or a folder ---- */

/* Takes what was not given from the file; what was given must be as it is there. */
static bool adopt(options *o, const settings *from, const char *name, int use, failure *f)
{
    bool whole = get(from, "program"); /* before, not every option was kept */
    options file;
    failure why;
    default_options(&file);
    for (size_t i = 0; i < OPTIONS; i++) {
        const option *row = &option_table[i];
        const char *there = row->key ? get(from, row->key) : NULL;
        char room[32], other[32];
        if (!row->key) continue;
        if (there && row->kind == FLAG)
            memcpy((char *)&file + row->at, &(bool){true}, sizeof(bool));
        if (there && row->kind != FLAG && !set_option(&file, row, there, &why)) {
            return fail(f, 2, "%s: %s", name, why.text);
        }
        if (!given(o, row)) {
            copy_option(o, &file, row);
        } else if (row->same & use && (there || whole)) {
            const char *a = option_text(o, row, room), *b = option_text(&file, row, other);
            if (same_value(row, a, b)) continue;
            if (!b) return fail(f, 2, "%s: was made without %s", name, row->name);
            return fail(f, 2, "%s: was made with %s %s, not %s", name, row->name, b, a ? a : "");
        }
    }
    return true;
}

/* A folder says in its config.json what runs are in it. */
static bool open_folder(job *j, failure *f)
{
    options *o = &j->o;
    char word[PATH_SIZE + 8];
    size_t length = strlen(o->resume);
    if (length >= PATH_SIZE - 64) return fail(f, 2, "--resume: the name is too long");
    while (length > 1 && o->resume[length - 1] == '/') length--;
    snprintf(j->out, sizeof j->out, "%.*s", (int)length, o->resume);
    snprintf(j->from_name, sizeof j->from_name, "%.*s/config.json", PATH_SIZE - 64, j->out);
    if (o->out && !same_directory(o->out, j->out)) {
        return fail(f, 2, "--resume %s goes on there, not in --out %s", o->resume, o->out);
    }
    o->out = j->out;
    if (!read_config(j->out, &j->from, f)) return false;
    if (j->from.count) return adopt(o, &j->from, j->from_name, RESUME, f);
    bool has_config = exists(j->out, "config.json"), has_last = exists(j->out, "last.mlsck");
    const char *what = has_config ? "config.json is damaged or of another program"
                       : has_last ? "there is no config.json"
                                  : "there is no run";
    if (!has_last) return fail(f, 2, "--resume: %s in %s", what, j->out);
    return fail(f, 2, "--resume: %s in %s; try --resume %s/last.mlsck", what, j->out,
                shell_word(j->out, word));
}

/* What --resume or --eval says about itself, before anything else is done. */
static bool open_source(job *j, failure *f)
{
    options *o = &j->o;
    const char *path = o->eval ? o->eval : o->resume;
    void *bytes;
    size_t size;
    if (!path) return true;
    if (o->resume && is_directory(path)) return open_folder(j, f);
    if (o->resume && (o->seeds > 1 || o->beside)) {
        return fail(f, 2,
                    "--resume %s: a file is one run; with --seeds or --beside resume the folder "
                    "around all of them",
                    path);
    }
    if (!load_file(path, &bytes, &size, &j->from, f)) return false;
    mls_file_free(bytes);
    snprintf(j->from_name, sizeof j->from_name, "%s", path);
    if (!adopt(o, &j->from, path, o->eval ? EVAL : RESUME, f)) return false;
    if (o->eval || o->out) return true;
    /* A run goes on where it was, if that is to be seen. */
    const char *slash = strrchr(path, '/');
    settings config = {0};
    snprintf(j->out, sizeof j->out, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    if (slash == path) snprintf(j->out, sizeof j->out, "/");
    if (!read_config(j->out, &config, f)) return false;
    if (config.count) o->out = j->out;
    free_settings(&config);
    return true;
}

static const char *class_there(const job *j, int i)
{
    char key[24];
    snprintf(key, sizeof key, "class_%d", i);
    return get(&j->from, key);
}

static const char *class_here(const job *j, int i)
{
    return i < j->test.classes ? j->test.names[i] : NULL;
}

typedef const char *class_name(const job *j, int i);

/* The first class of one side that the other does not have; null: it has all. */
static const char *unknown_class(const job *j, class_name *side, class_name *other)
{
    for (int i = 0; side(j, i); i++) {
        int k = 0;
        while (other(j, k) && strcmp(other(j, k), side(j, i)) != 0) k++;
        if (!other(j, k)) return side(j, i);
    }
    return NULL;
}

/* The names of the classes, and their order, belong to a checkpoint. Before they were kept, it was
   only their number. */
static bool check_classes(const job *j, failure *f)
{
    const char *count = get(&j->from, "classes"), *from = j->from_name, *data = j->o.data;
    const char *theirs, *ours;
    int i = 0;
    if (!class_there(j, 0)) {
        if (!count || atoi(count) == j->test.classes) return true;
        return fail(f, 2, "%s: has %s classes, --data %s has %d", from, count, data,
                    (int)j->test.classes);
    }
    while (class_there(j, i) && class_here(j, i) &&
           strcmp(class_there(j, i), class_here(j, i)) == 0)
        i++;
    if (!class_there(j, i) && !class_here(j, i)) return true;
    theirs = unknown_class(j, class_there, class_here);
    ours = unknown_class(j, class_here, class_there);
    if (theirs && ours) {
        return fail(f, 2, "%s: has a class '%s', --data %s has '%s' instead", from, theirs, data,
                    ours);
    }
    if (theirs) return fail(f, 2, "%s: has a class '%s', --data %s has none", from, theirs, data);
    if (ours) return fail(f, 2, "%s: has no class '%s', --data %s has one", from, ours, data);
    return fail(f, 2, "%s: has other classes than --data %s, or in another order", from, data);
}

/* ---- progress ---- */

static double percent(int64_t part, int64_t whole)
{
    return whole ? 100.0 * (double)part / (double)whole : 0;
}

static double ratio(double a, double b)
{
    return b > 0 ? a / b : 0;
}

static void add_time_left(parts *l, const run *r)
{
    const progress *p = &r->at;
    double speed = ratio((double)r->trained, r->seconds);
    int64_t pictures = (r->job->o.epochs - p->epoch) * r->job->train.count - p->images;
    int64_t left = (int64_t)ratio((double)pictures, speed);
    if (pictures == 0) return;
    add_part(l, "%lld:%02lld:%02lld left", (long long)left / 3600, (long long)left / 60 % 60,
             (long long)left % 60);
}

/* On a screen, one line that changes ten times a second. */
static void show_progress(run *r)
{
    const progress *p = &r->at;
    parts l = new_line(columns(stderr) - 1); /* some terminals wrap a full line */
    if (!is_screen(stderr) || now() - r->shown < 0.1) return;
    r->shown = now();
    add_part(&l, "epoch %lld/%lld (%.0f%%)", (long long)p->epoch + 1, (long long)r->job->o.epochs,
             floor(percent(p->batch, r->batches)));
    add_time_left(&l, r);
    add_part(&l, "loss %.3f", ratio(p->loss, (double)p->images));
    add_part(&l, "right %.1f%%", percent(p->correct, p->images));
    add_part(&l, "%.0f images/s", ratio((double)r->trained, r->seconds));
    fprintf(stderr, "\r\033[K%s", l.text);
}

static void clear_progress(void)
{
    if (is_screen(stderr)) fprintf(stderr, "\r\033[K");
}

/* What an epoch ended with; losses are means over pictures, accuracies in percent. */
typedef struct figures {
    double rate, loss, accuracy, test_loss, test_accuracy, speed;
    uint64_t digest;
} figures;

/* One line for people; the log has every figure in full. */
static void show_epoch(const run *r, const figures *e)
{
    parts l = new_line(columns(stdout));
    add_part(&l, "epoch %lld/%lld", (long long)r->at.epoch, (long long)r->job->o.epochs);
    add_part(&l, "loss %.3f", e->loss);
    add_part(&l, "train %.2f%%", e->accuracy);
    add_part(&l, "test %.2f%%", e->test_accuracy);
    add_time_left(&l, r);
    add_part(&l, "%.0f images/s", e->speed);
    clear_progress();
    puts(l.text);
    fflush(stdout);
}

static bool log_epoch(const run *r, const figures *e, failure *f)
{
    if (!r->folder[0]) return true;
    fprintf(r->log,
            "{\"epoch\":%lld,\"rate\":%g,\"train_loss\":%.9g,\"train_accuracy\":%.4f,"
            "\"test_accuracy\":%.4f,\"test_loss\":%.9g,\"images_per_second\":%.1f,"
            "\"digest\":\"%016llx\"}\n",
            (long long)r->at.epoch, e->rate, e->loss, e->accuracy, e->test_accuracy, e->test_loss,
            e->speed, (unsigned long long)e->digest);
    return flush_to_disk(r->log) || fail(f, 2, "%s/log.jsonl: %s", r->folder, strerror(errno));
}

/* ---- warnings ---- */

/* The share of pictures, in percent, that always answering the most frequent class gets right. */
static double guessing(const mls_data *data)
{
    int64_t count[256] = {0}, most = 0;
    for (int32_t i = 0; i < data->count; i++) {
        int64_t n = ++count[data->labels[i]];
        if (n > most) most = n;
    }
    return percent(most, data->count);
}

/* Within two standard deviations of guessing, where there are enough pictures to tell. */
static bool as_by_guessing(const mls_data *data, int64_t correct, int64_t images)
{
    double p = guessing(data) / 100, n = (double)images, most = n * p + 2 * sqrt(n * p * (1 - p));
    return most < n && (double)correct <= most;
}

/* What guessing has: the logarithm of the number of classes. */
static double guessing_loss(const run *r)
{
    return log((double)r->job->test.classes);
}

/* As early as it can be told, and once: training that gets worse than guessing will not come back.
   times: how far above guessing the loss has to be. */
static void warn_early(run *r, double loss, int64_t correct, int64_t images, double times)
{
    const job *j = r->job;
    if (r->warned || loss < times * guessing_loss(r) || !as_by_guessing(&j->train, correct, images))
        return;
    r->warned = true;
    clear_progress();
    say(stderr,
        "warning: in epoch %lld the loss is %.4g, far above the %.2f of guessing, and %.2f %% of "
        "the pictures are right, as by guessing. This looks like a learning rate that is too high "
        "(--lr %g).",
        (long long)r->at.epoch + 1, loss, guessing_loss(r), percent(correct, images), j->o.rate);
}

/* What a finished run looks like, if it learnt nothing. */
static void warn_late(const run *r)
{
    const job *j = r->job;
    const progress *p = &r->at;
    double accuracy = percent(p->last_correct, j->test.count);
    if (!as_by_guessing(&j->test, p->last_correct, j->test.count)) return;
    if (p->last_loss > 1.5 * guessing_loss(r)) {
        say(stderr,
            "warning: training ended at a loss of %.4g, far above the %.2f of guessing, with "
            "%.2f %% of the test pictures right, as by guessing. This looks like a learning rate "
            "that is too high (--lr %g).",
            p->last_loss, guessing_loss(r), accuracy, j->o.rate);
    } else if (p->last_loss < 0.8 * guessing_loss(r)) {
        say(stderr,
            "warning: %.2f %% of the test pictures are right, which is no more than guessing gets "
            "(%.2f %%), although the training pictures were learnt (loss %.4g). This looks like "
            "test pictures or labels of another kind, or too few pictures.",
            accuracy, guessing(&j->test), p->last_loss);
    } else {
        say(stderr,
            "warning: training ended with %.2f %% of the test pictures right, which is no more "
            "than guessing gets (%.2f %%). This looks like too few steps (%lld) or a learning rate "
            "that does not fit (--lr %g).",
            accuracy, guessing(&j->test), (long long)(j->o.epochs * r->batches), j->o.rate);
    }
}

/* ---- training ---- */

/* Between steps: the checkpoint holds the batch, too. */
static bool interrupted(run *r, failure *f)
{
    const progress *p = &r->at;
    char word[PATH_SIZE + 8];
    if (!r->folder[0]) return fail(f, 1, "interrupted; without --out nothing is kept");
    if (!save_run(r, "last.mlsck", f)) return false;
    return fail(f, 1, "interrupted in epoch %lld after batch %lld of %lld; go on with --resume %s",
                (long long)p->epoch + 1, (long long)p->batch, (long long)r->batches,
                shell_word(r->job->o.out, word));
}

/* Numbers that are not finite after steps that went well are the rate's doing. */
static bool stopped(const run *r, const char *when, mls_status status, failure *f)
{
    const progress *p = &r->at;
    char rate[64] = "";
    if ((status == MLS_OK || status == MLS_ERROR_NONFINITE) && p->epoch + p->batch > 0) {
        snprintf(rate, sizeof rate, "; the learning rate looks too high (--lr %g)", r->job->o.rate);
    }
    return fail(f, 1, "stopped %s epoch %lld, after batch %lld of %lld: %s%s", when,
                (long long)p->epoch + 1, (long long)p->batch, (long long)r->batches,
                status == MLS_OK ? "the loss is not finite" : r->net.text, rate);
}

static bool train_batch(run *r, failure *f)
{
    const job *j = r->job;
    progress *p = &r->at;
    int64_t first = p->batch * j->o.batch, left = j->train.count - first;
    int32_t count = (int32_t)(left < j->o.batch ? left : j->o.batch);
    mls_sgd sgd = {0, 0.9f, 5e-4f, 0};
    mls_result result;
    double start = now();
    sgd.rate = mls_schedule_rate(&r->schedule, p->epoch * r->batches + p->batch);
    mls_status status = mls_data_batch(&j->train, &j->augment, r->seed, p->epoch, first, count,
                                       r->images, r->labels);
    if (status != MLS_OK) return fail(f, 1, "batch: %s", mls_status_string(status));
    status = mls_net_step(&r->net, r->images, r->labels, count, &sgd, &result);
    if (status != MLS_OK || !is_finite(result.loss)) return stopped(r, "in", status, f);
    r->seconds += now() - start, r->trained += count;
    p->loss += result.loss * count, p->correct += result.correct, p->images += count, p->batch++;
    if (p->batch > 9) warn_early(r, p->loss / (double)p->images, p->correct, p->images, 3);
    return true;
}

/* The mean loss of the test pictures, and how many are right. */
static bool test_net(run *r, double *loss, int64_t *correct, failure *f)
{
    const mls_data *test = &r->job->test;
    mls_augment plain = {0};
    for (int c = 0; c < CHANNELS; c++) {
        plain.mean[c] = (float)r->at.mean[c], plain.scale[c] = (float)r->at.scale[c];
    }
    *correct = 0, *loss = 0;
    for (int64_t first = 0; first < test->count; first += r->job->o.batch) {
        int64_t left = test->count - first;
        int32_t count = (int32_t)(left < r->job->o.batch ? left : r->job->o.batch);
        mls_result result;
        if (stop_requested) return interrupted(r, f);
        mls_status status = mls_data_batch(test, &plain, 0, 0, first, count, r->images, r->labels);
        if (status != MLS_OK) return fail(f, 1, "test: %s", mls_status_string(status));
        status = mls_net_evaluate(&r->net, r->images, r->labels, count, &result);
        if (status != MLS_OK && r->job->o.eval) return fail(f, 1, "the test: %s", r->net.text);
        if (status != MLS_OK) return stopped(r, "in the test of", status, f);
        *correct += result.correct, *loss += result.loss * count;
    }
    *loss = is_finite(*loss) ? *loss / (double)test->count : DBL_MAX; /* a number in the log */
    return true;
}

/* The log comes before the checkpoint: a crash between them leaves a line too many, which
   resuming drops, and never one too few. */
static bool finish_epoch(run *r, double speed, failure *f)
{
    const options *o = &r->job->o;
    progress *p = &r->at;
    figures e = {.speed = speed};
    int64_t correct;
    if (!test_net(r, &e.test_loss, &correct, f)) return false;
    e.rate = (double)mls_schedule_rate(&r->schedule, p->epoch * r->batches);
    e.loss = p->loss / (double)p->images, e.accuracy = percent(p->correct, p->images);
    e.test_accuracy = percent(correct, r->job->test.count);
    e.digest = mls_net_digest(&r->net);
    warn_early(r, e.loss, p->correct, p->images, 1.5);
    bool best = correct > p->best || p->epoch == 0;
    p->epoch++, p->batch = 0, p->loss = 0, p->correct = 0, p->images = 0;
    p->last_loss = e.loss, p->last_correct = correct;
    if (best) p->best = correct;
    show_epoch(r, &e);
    if (!log_epoch(r, &e, f)) return false;
    if (!r->folder[0]) return true;
    if (best && !save_run(r, "best.mlsck", f)) return false;
    if (p->epoch % o->every != 0 && p->epoch != o->epochs) return true;
    return save_run(r, "last.mlsck", f);
}

static bool train(run *r, failure *f)
{
    while (r->at.epoch < r->job->o.epochs) {
        double seconds = r->seconds;
        int64_t trained = r->trained;
        while (r->at.batch < r->batches) {
            if (stop_requested) return interrupted(r, f);
            if (!train_batch(r, f)) return false;
            show_progress(r);
        }
        double speed = ratio((double)(r->trained - trained), r->seconds - seconds);
        if (!finish_epoch(r, speed, f)) return false;
    }
    return true;
}

/* ---- several runs ---- */

typedef struct entry {
    const char *spec;
    uint64_t seed;
    char name[32], folder[PATH_SIZE]; /* "" in DIR for a single run, else DIR/name */
    double accuracy, loss, speed;     /* speed 0: not known, nothing was trained here */
    uint64_t digest;
} entry;

static void name_entry(entry *e, const options *o, int64_t i)
{
    bool beside = i >= o->seeds, single = o->seeds == 1 && !o->beside;
    e->spec = beside ? o->beside : o->format;
    e->seed = o->seed + (uint64_t)(i % o->seeds);
    snprintf(e->name, sizeof e->name, "%sseed%llu", beside ? "beside-" : "",
             (unsigned long long)e->seed);
    if (o->out && single) snprintf(e->folder, PATH_SIZE, "%s", o->out);
    if (o->out && !single) snprintf(e->folder, PATH_SIZE, "%s/%s", o->out, e->name);
}

/* Where the run was, if it goes on. */
static bool load_entry(run *r, failure *f)
{
    const char *resume = r->job->o.resume;
    char path[PATH_SIZE + 16], last[PATH_SIZE + 16];
    if (!resume) return true;
    snprintf(path, sizeof path, "%s", resume);
    if (is_directory(resume) && !newest_checkpoint(r->folder, path, f)) return false;
    if (path[0] && !load_run(r, path, RESUME, f)) return false;
    if (!r->folder[0]) return true;
    if (!open_log(r, f)) return false;
    snprintf(last, sizeof last, "%s/last.mlsck", r->folder);
    return !path[0] || strcmp(path, last) == 0 || save_run(r, "last.mlsck", f);
}

static bool run_entry(const job *j, entry *e, failure *f)
{
    run r;
    bool good = open_run(&r, j, e->spec, e->seed, f);
    memcpy(r.folder, e->folder, sizeof r.folder);
    good = good && load_entry(&r, f) && (!r.folder[0] || r.log || open_log(&r, f));
    if (good) announce(&r);
    if (good && j->o.resume && !r.folder[0]) say(stderr, "nothing is kept: --out says where");
    good = good && train(&r, f);
    if (good) {
        warn_late(&r);
        e->accuracy = percent(r.at.last_correct, j->test.count), e->loss = r.at.last_loss;
        e->speed = ratio((double)r.trained, r.seconds), e->digest = mls_net_digest(&r.net);
    }
    close_run(&r);
    return good;
}

/* Of several words one, for programs. */
static const char *one_word(const char *spec, char *word, size_t size)
{
    snprintf(word, size, "%s", spec);
    for (char *c = word; *c; c++) *c = *c == ' ' ? '/' : *c;
    return word;
}

/* The last line of the output, for programs. */
static void print_result(const entry *e)
{
    char word[256];
    printf("result test_accuracy=%.2f train_loss=%.6f images_per_second=%.1f digest=%016llx "
           "format=%s seed=%llu\n",
           e->accuracy, e->loss, e->speed, (unsigned long long)e->digest,
           one_word(e->spec, word, sizeof word), (unsigned long long)e->seed);
    fflush(stdout);
}

/* Means over the seeds of one format, printed as a row of the table. */
static entry print_row(const entry *e, int64_t seeds)
{
    entry mean = e[0];
    double low = e->accuracy, high = e->accuracy, n = (double)seeds, timed = e->speed > 0;
    for (int64_t i = 1; i < seeds; i++) {
        mean.accuracy += e[i].accuracy, mean.loss += e[i].loss, mean.speed += e[i].speed;
        mean.digest = mls_seed(mean.digest, e[i].digest);
        low = e[i].accuracy < low ? e[i].accuracy : low;
        high = e[i].accuracy > high ? e[i].accuracy : high;
        timed += e[i].speed > 0;
    }
    mean.accuracy /= n, mean.loss /= n, mean.speed = ratio(mean.speed, timed);
    if (strlen(e->spec) > 27) printf("%s\n", e->spec);
    printf("%5lld %9.2f %7.2f %7.2f %9.4f %9.1f  %s\n", (long long)seeds, mean.accuracy, low, high,
           mean.loss, mean.speed, strlen(e->spec) > 27 ? "" : e->spec);
    return mean;
}

static const char *integers(const char *spec)
{
    return strcmp(spec, "fp32") == 0 ? "" : " integers";
}

/* What the table says, in a sentence. */
static void compare_formats(const entry *a, const entry *b, int64_t seeds)
{
    char level[128], speed[128] = "", mean[64] = "";
    double points = a->accuracy - b->accuracy, times = ratio(a->speed, b->speed);
    if (fabs(points) < 0.05) {
        snprintf(level, sizeof level, "level with");
    } else {
        snprintf(level, sizeof level, "%.1f points %s", fabs(points),
                 points < 0 ? "below" : "above");
    }
    if (times >= 1) {
        snprintf(speed, sizeof speed, " and trained %.1f times as fast", times);
    } else if (times > 0) {
        snprintf(speed, sizeof speed, " and took %.1f times as long", 1 / times);
    }
    if (seeds > 1) {
        snprintf(mean, sizeof mean, ", in the mean of %lld seeds", (long long)seeds);
    }
    say(stdout, "%s%s ended %s %s%s%s%s.", a->spec, integers(a->spec), level, b->spec,
        integers(b->spec), speed, mean);
}

/* Writes plot.gp, and plot.png where gnuplot is installed. A plot is no reason to fail. */
static void plot(const char *folder, const entry *e, int64_t count)
{
    char path[PATH_SIZE];
    int status;
    snprintf(path, sizeof path, "%s/plot.gp", folder);
    FILE *file = fopen(path, "w");
    if (!file) {
        fprintf(stderr, "no plot: %s: %s\n", path, strerror(errno));
        return;
    }
    fprintf(file, "set terminal png noenhanced size 1000,450\nset output 'plot.png'\n"
                  "set datafile separator ':,'\nset xlabel 'epoch'\nset grid\n"
                  "set multiplot layout 1,2\n");
    for (int i = 0; i < 2; i++) { /* fields 6 and 10 of a line of the log */
        fprintf(file, i ? "set ylabel 'test accuracy, %%'\nset key bottom\nplot"
                        : "set ylabel 'training loss'\nset key top\nplot");
        for (int64_t k = 0; k < count; k++) {
            fprintf(file, "%s '%s/log.jsonl' using 2:%d with linespoints pt 7 title '%s seed %llu'",
                    k ? ", \\\n    " : "", count > 1 ? e[k].name : ".", i ? 10 : 6, e[k].spec,
                    (unsigned long long)e[k].seed);
        }
        fprintf(file, "\n");
    }
    if (fclose(file) != 0) return;
    status = run_gnuplot(folder);
    if (status == 0) return;
    say(stderr, "no plot.png, only %s: %s", path,
        status == 127 ? "gnuplot is not installed" : "gnuplot failed");
}

/* The table of all runs; the result is about --format. */
static entry print_table(const options *o, const entry *entries)
{
    printf("\n%5s %9s %7s %7s %9s %9s  %s\n", "seeds", "accuracy", "lowest", "highest", "loss",
           "images/s", "format");
    entry result = print_row(entries, o->seeds);
    if (o->beside) {
        entry other = print_row(entries + o->seeds, o->seeds);
        printf("\n");
        compare_formats(&result, &other, o->seeds);
    }
    printf("\n");
    return result;
}

/* Takes the folders of all runs, and the one around them, before the first begins. */
static bool claim_folders(const job *j, const entry *entries, int64_t count, failure *f)
{
    options all = j->o;
    if (!all.out) return true;
    if (count > 1 && !claim_folder(j, &all, all.out, f)) return false;
    for (int64_t i = 0; i < count; i++) {
        options o = one_run(j, entries[i].spec, entries[i].seed);
        if (!claim_folder(j, &o, entries[i].folder, f)) return false;
    }
    return count == 1 || write_config(j, &all, all.out, f);
}

/* --format and then --beside, each with all seeds. */
static bool run_all(const job *j, failure *f)
{
    const options *o = &j->o;
    int64_t count = o->seeds * (o->beside ? 2 : 1);
    entry *entries = calloc((size_t)count, sizeof *entries);
    if (!entries) return fail(f, 1, "no memory for %lld runs", (long long)count);
    for (int64_t i = 0; i < count; i++) name_entry(&entries[i], o, i);
    bool good = claim_folders(j, entries, count, f);
    catch_signals();
    for (int64_t i = 0; good && i < count; i++) {
        entry *e = &entries[i];
        good = run_entry(j, e, f);
        if (!good || count == 1) continue;
        say(stdout, "seed %llu of %s: test %.2f%%, loss %.4f, digest %016llx",
            (unsigned long long)e->seed, e->spec, e->accuracy, e->loss,
            (unsigned long long)e->digest);
        fflush(stdout);
    }
    if (good && o->out) plot(o->out, entries, count);
    if (good) {
        entry result = count > 1 ? print_table(o, entries) : entries[0];
        print_result(&result);
    }
    free(entries);
    return good;
}

/* ---- the other jobs ---- */

static bool evaluate(const job *j, failure *f)
{
    run r;
    const options *o = &j->o;
    const char *spec = o->test_format ? o->test_format : o->format;
    char word[256];
    int64_t correct = 0;
    double loss;
    bool good = open_run(&r, j, spec, o->seed, f) && load_run(&r, o->eval, EVAL, f);
    double start = now();
    if (good) announce(&r);
    if (good) good = test_net(&r, &loss, &correct, f);
    if (good) {
        say(stdout, "%s: %s of width %d, trained in %s with seed %llu, %lld of %lld epochs",
            o->eval, o->model, (int)o->width, o->format, (unsigned long long)o->seed,
            (long long)r.at.epoch, (long long)o->epochs);
        say(stdout, "tested in %s: %lld of the %d test pictures of %s are right, %.2f %%", spec,
            (long long)correct, (int)j->test.count, o->data, percent(correct, j->test.count));
        printf("result test_accuracy=%.2f test_loss=%.6f images_per_second=%.1f digest=%016llx "
               "format=%s seed=%llu\n",
               percent(correct, j->test.count), loss, ratio((double)j->test.count, now() - start),
               (unsigned long long)mls_net_digest(&r.net), one_word(spec, word, sizeof word),
               (unsigned long long)o->seed);
    }
    close_run(&r);
    return good;
}

/* A number format without what all layers share: fp32, or E,M. */
static const char *short_format(mls_format f, char *text, size_t size)
{
    if (f.ex + f.mx == 0) return "fp32";
    snprintf(text, size, "%d,%d", f.ex, f.mx);
    return text;
}

static bool is_low(mls_format f)
{
    return f.ex + f.mx > 0;
}

/* The format of a role in its second product, where zero means: as in the first. */
static mls_format in_second(mls_format first, mls_format second)
{
    const mls_format zero = {0};
    return memcmp(&second, &zero, sizeof zero) ? second : first;
}

/* A product is in integers when both of its operands are: that of weights and activations forward,
   of weights and errors backward, of activations and errors for the gradient of the weights. */
static void add_products(const mls_formats *f, double macs, double *low)
{
    mls_format w = in_second(f->weight, f->weight_in_data);
    mls_format a = in_second(f->activation, f->activation_in_weight);
    mls_format e = in_second(f->error, f->error_in_weight);
    low[0] += is_low(f->weight) && is_low(f->activation) ? macs : 0;
    low[1] += is_low(w) && is_low(f->error) ? macs : 0;
    low[2] += is_low(a) && is_low(e) ? macs : 0;
}

static void print_formats(const mls_formats *f)
{
    const mls_format formats[] = {f->weight,         f->activation,           f->error,
                                  f->weight_in_data, f->activation_in_weight, f->error_in_weight};
    static const char *const names[] = {"\nW, weights    ", "A, activations", "E, errors     ",
                                        "W, backward   ",   "A, gradient   ", "E, gradient   "};
    for (int i = 0; i < 6; i++) {
        const mls_format zero = {0};
        char text[MLS_FORMAT_TEXT];
        if (i >= 3 && memcmp(&formats[i], &zero, sizeof zero) == 0) continue;
        mls_format_text(formats[i], text, sizeof text);
        printf("%s  %s\n", names[i], text);
    }
}

static void print_layers(const run *r)
{
    double all = 0, low[3] = {0};
    printf("%4s %-12s %-11s %9s %11s  %-5s %-5s %s\n", "node", "kind", "output", "weights", "MACs",
           "W", "A", "E");
    for (int32_t i = 0; i < r->net.count; i++) {
        mls_layer l;
        char shape[40], text[3][8];
        if (mls_net_layer(&r->net, i, &l) != MLS_OK) continue;
        double macs = (double)l.macs;
        all += macs;
        add_products(&l.formats, macs, low);
        snprintf(shape, sizeof shape, "%dx%dx%d", (int)l.shape.h, (int)l.shape.w, (int)l.shape.c);
        printf(l.weights || l.macs ? "%4d %-12s %-11s" : "%4d %-12s %s", (int)i, l.kind, shape);
        if (l.weights) printf(" %9lld", (long long)l.weights);
        if (l.macs) {
            printf(" %11lld  %-5s %-5s %s", (long long)l.macs,
                   short_format(l.formats.weight, text[0], sizeof text[0]),
                   short_format(l.formats.activation, text[1], sizeof text[1]),
                   short_format(l.formats.error, text[2], sizeof text[2]));
        }
        printf("\n");
    }
    print_formats(&r->formats);
    printf("in integers     %.1f %% of forward, %.1f %% of backward, %.1f %% of gradient MACs\n",
           100 * ratio(low[0], all), 100 * ratio(low[1], all), 100 * ratio(low[2], all));
}

/* Seconds of the median of three steps on random numbers, after one to warm up; below 0: failed. */
static double time_step(run *r, failure *f)
{
    double t[4] = {0}, high, low;
    int32_t batch = (int32_t)r->job->o.batch;
    const mls_sgd sgd = {1e-3f, 0.9f, 5e-4f, 0};
    for (int i = 0; i < 4; i++) {
        for (int64_t k = 0; k < (int64_t)batch * SIZE * SIZE * CHANNELS; k++) {
            r->images[k] = (float)mls_random16((uint64_t)i, (uint64_t)k) / 32768.0f - 1;
        }
        for (int32_t k = 0; k < batch; k++) r->labels[k] = k % r->job->test.classes;
        t[i] = now();
        if (mls_net_step(&r->net, r->images, r->labels, batch, &sgd, NULL) != MLS_OK) {
            return fail(f, 1, "%s", r->net.text), -1;
        }
        t[i] = now() - t[i];
    }
    high = fmax(t[1], fmax(t[2], t[3])), low = fmin(t[1], fmin(t[2], t[3]));
    return t[1] + t[2] + t[3] - high - low;
}

static bool dry_run(const job *j, const char *spec, failure *f)
{
    run r;
    const mls_plan *p = &r.plan;
    bool good = open_run(&r, j, spec, j->o.seed, f);
    if (good) {
        announce(&r);
        print_layers(&r);
        printf("trained         %lld numbers\n", (long long)p->weights);
        printf("MACs            %lld an image forward\n", (long long)p->macs);
        printf("arena           %zu bytes:\n", p->arena);
        printf("                parameters %zu, values %zu, scratch %zu\n", p->parameters,
               p->values, p->scratch);
        printf("batch           %lld pictures, %lld batches an epoch\n", (long long)j->o.batch,
               (long long)r.batches);
        fflush(stdout);
        double seconds = time_step(&r, f), epoch = seconds * (double)r.batches;
        good = seconds >= 0;
        if (good) {
            printf("estimated       %.0f images/s, %.1f s an epoch, %.1f min for %lld epochs\n"
                   "                (3 steps timed; without tests)\n",
                   ratio((double)j->o.batch, seconds), epoch, epoch * (double)j->o.epochs / 60,
                   (long long)j->o.epochs);
        }
    }
    close_run(&r);
    return good;
}

/* ---- main ---- */

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

static bool prepare_data(job *j, failure *f)
{
    if (!load_both(&j->o, &j->train, &j->test, f)) return false;
    if (!check_classes(j, f)) return false;
    if (j->o.eval) return true; /* the checkpoint knows the normalisation */
    j->train_hash = data_hash(&j->train), j->test_hash = data_hash(&j->test);
    if (mls_data_normalise(&j->train, &j->augment) != MLS_OK) {
        return fail(f, 2, "--data: the training pictures cannot be normalised");
    }
    j->augment.crop = 4, j->augment.flip = 1, j->augment.shuffle = 1;
    return true;
}

static bool work(job *j, int count, char **words, failure *f)
{
    options *o = &j->o;
    default_options(o);
    if (!parse_options(o, count, words, f)) return false;
    if (o->help) return fputs(help_text, stdout), true;
    if (o->version) return puts("cifar10 " MLS_VERSION_STRING), true;
    if (!choose_kernel(o->kernel, f) || !open_source(j, f)) return false;
    if (strcmp(o->schedule, "paper") != 0 && strcmp(o->schedule, "cosine") != 0) {
        return fail(f, 2, "--schedule %s: not paper or cosine", o->schedule);
    }
    if (!parse_model(&j->model, o, f)) return false;
    if (!prepare_data(j, f)) {
        size_t length = strlen(f->text);
        if (j->from.count && !given(o, option_of("data"))) {
            snprintf(f->text + length, sizeof f->text - length,
                     " (so says %s; --data can say otherwise)", j->from_name);
        }
        return false;
    }
    choose_threads(o->threads);
    if (o->dry_run) return dry_run(j, o->format, f) && (!o->beside || dry_run(j, o->beside, f));
    return o->eval ? evaluate(j, f) : run_all(j, f);
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
        fprintf(stderr, "cifar10: %s\n", f.text);
    }
    mls_data_free(&j.train);
    mls_data_free(&j.test);
    free_settings(&j.from);
    return f.status;
}
